//! What a person at the terminal gets: help, results, and one line that says what to do.

mod files;
mod help;
mod log;
mod packaged;

use crate::support::wire::Talk;
use crate::support::{self, Workspace, mirror, mirror_with_input};

const GET: &str = "GET /items HTTP/1.1\r\nHost: shop.example\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

fn one_get() -> Vec<u8> {
    Talk::new().open().client(GET).server(OK).close().pcap()
}

#[test]
fn help_names_every_command() {
    let mut run = mirror(&["--help"]).exits_with(0);
    for command in ["replay", "capture", "inspect", "doctor", "demo"] {
        run = run.says(command);
    }
}

#[test]
fn inspect_shows_a_table_and_then_what_was_skipped() {
    let workspace = Workspace::new();
    let file = workspace.file("one.pcap", &one_get());
    mirror(&["inspect", "--from", &file])
        .exits_with(0)
        .says("GET /items")
        .says("200")
        .says("packets")
        .says("seen");
}

#[test]
fn standard_input_is_a_source() {
    mirror_with_input(&["inspect", "--json", "--from", "-"], &one_get())
        .exits_with(0)
        .says(r#""target":"/items""#);
}

#[test]
fn a_file_cut_short_gives_what_it_holds_and_a_warning() {
    let workspace = Workspace::new();
    let whole = one_get();
    let file = workspace.file("cut.pcap", &whole[..whole.len() - 10]);
    let run =
        mirror(&["inspect", "--json", "--from", &file]).exits_with(0).says(r#""target":"/items""#);
    assert!(run.stderr().contains("cut short"), "{}", run.stderr());
}

#[test]
fn a_port_leaves_the_others_out() {
    let workspace = Workspace::new();
    let file = workspace.file("one.pcap", &one_get());
    mirror(&["inspect", "--summary", "--from", &file, "--port", "9999"])
        .exits_with(0)
        .says("not_watched");
}

#[test]
fn packets_that_are_not_ip_or_not_tcp_are_named() {
    let record = |bytes: &[u8]| {
        let length = u32::try_from(bytes.len()).unwrap().to_le_bytes();
        [&[0; 8][..], &length, &length, bytes].concat()
    };
    let frame =
        |ether_type: [u8; 2], rest: &[u8]| record(&[&[2; 12], &ether_type[..], rest].concat());
    let mut quic = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 2, 10, 0, 0, 1];
    quic.extend([0x9c, 0x40, 0x01, 0xbb, 0, 8, 0, 0]);
    let arp = frame([0x08, 0x06], &[0; 28]);
    let pcap = [one_get(), arp.clone(), arp, frame([0x08, 0], &quic)].concat();
    let workspace = Workspace::new();
    let file = workspace.file("mixed.pcap", &pcap);
    mirror(&["inspect", "--summary", "--from", &file])
        .exits_with(0)
        .says("not_ip 2 + not_tcp 1")
        .says("not_ip by kind")
        .says("EtherType 0x0806 (ARP) 2")
        .says("UDP port 443 (QUIC?) 1");
    let json = mirror(&["inspect", "--summary", "--json", "--from", &file]).exits_with(0);
    assert!(json.stdout().contains(r#"["EtherType 0x0806 (ARP)",2]"#), "{}", json.stdout());
}

#[test]
fn a_missing_file_is_named() {
    mirror(&["inspect", "--from", "/nowhere/day.pcap"])
        .exits_with(2)
        .complains(&["/nowhere/day.pcap", "No such file"]);
}

#[test]
fn a_file_that_is_no_capture_is_told() {
    let workspace = Workspace::new();
    let file = workspace.file("notes.pcap", b"these are my notes, not packets");
    mirror(&["inspect", "--from", &file])
        .exits_with(2)
        .complains(&["notes.pcap", "neither pcap nor pcapng"]);
}

#[test]
fn an_unsupported_link_type_is_named() {
    let workspace = Workspace::new();
    for (number, name, remedy) in [
        (105_u32, "IEEE802_11", "capture on an Ethernet"),
        (252, "WIRESHARK_UPPER_PDU", "give the capture that they were exported from"),
    ] {
        let mut pcap = one_get();
        pcap[20..24].copy_from_slice(&number.to_le_bytes());
        let file = workspace.file("odd.pcap", &pcap);
        let link = format!("link type {number} ({name})");
        mirror(&["inspect", "--from", &file]).exits_with(2).complains(&["odd.pcap", &link, remedy]);
    }
}

#[test]
fn port_0_is_refused() {
    let run = mirror(&["replay", "--from", "lo", "--port", "0", "--to", "http://127.0.0.1:9"]);
    let told = run.exits_with(2).stderr();
    assert!(told.contains("'0' for '--port") && told.contains("write 8080"), "{told}");
}

#[test]
fn live_requests_have_no_speed() {
    mirror(&[
        "replay",
        "--from",
        "lo",
        "--port",
        "80",
        "--to",
        "http://127.0.0.1:9",
        "--speed",
        "2",
    ])
    .exits_with(2)
    .complains(&["--speed", "live"]);
}

#[test]
fn live_capture_asks_which_ports() {
    mirror(&["inspect", "--from", "lo", "--summary"]).exits_with(2).complains(&["lo", "--port"]);
}

#[test]
fn an_interface_that_is_not_there_is_told_with_those_that_are() {
    mirror(&["inspect", "--from", "nosuch0", "--port", "80"])
        .exits_with(2)
        .complains(&["nosuch0", "lo"]);
}

#[test]
fn a_target_that_is_no_http_url_is_refused() {
    let workspace = Workspace::new();
    let file = workspace.file("one.pcap", &one_get());
    mirror(&["replay", "--from", &file, "--to", "ftp://staging"])
        .exits_with(2)
        .complains(&["ftp://staging", "http"]);
}

#[test]
fn a_target_that_cannot_be_reached_is_told() {
    let workspace = Workspace::new();
    let file = workspace.file("one.pcap", &one_get());
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .expect("a port")
        .local_addr()
        .expect("its address");
    mirror(&["replay", "--from", &file, "--to", &format!("http://{closed}")])
        .exits_with(2)
        .complains(&[&closed.to_string(), "refused"]);
}

#[test]
fn an_output_that_cannot_be_written_is_told() {
    let workspace = Workspace::new();
    let file = workspace.file("one.pcap", &one_get());
    mirror(&["capture", "--from", &file, "--to", "/nowhere/out.pcap"])
        .exits_with(2)
        .complains(&["/nowhere/out.pcap"]);
}

#[test]
fn an_ending_that_is_no_format_is_told_with_those_that_are() {
    let workspace = Workspace::new();
    let file = workspace.file("one.pcap", &one_get());
    mirror(&["capture", "--from", &file, "--to", "out.txt"])
        .exits_with(2)
        .complains(&["out.txt", ".pcapng", ".jsonl"]);
}

#[test]
fn capture_writes_a_file_that_reads_the_same() {
    let workspace = Workspace::new();
    let file = workspace.file("one.pcap", &one_get());
    let direct = mirror(&["inspect", "--json", "--from", &file]).exits_with(0).stdout();
    for name in ["copy.pcap", "copy.pcapng"] {
        let copy = workspace.path(name).to_str().expect("a plain path").to_owned();
        mirror(&["capture", "--raw", "--from", &file, "--to", &copy]).exits_with(0).says("packets");
        assert_eq!(
            mirror(&["inspect", "--json", "--from", &copy]).exits_with(0).stdout(),
            direct,
            "{name}"
        );
    }
    let lines = workspace.path("copy.jsonl").to_str().expect("a plain path").to_owned();
    mirror(&["capture", "--from", &file, "--to", &lines]).exits_with(0);
    assert_eq!(std::fs::read_to_string(&lines).expect("the file"), direct);
}

#[test]
fn the_json_summary_is_json_and_its_sums_hold() {
    let workspace = Workspace::new();
    let file = workspace.file("one.pcap", &one_get());
    let out = workspace.path("out.pcap").to_str().expect("a plain path").to_owned();
    let run = mirror(&["capture", "--json", "--from", &file, "--to", &out]).exits_with(0);
    let summary: serde_json::Value = serde_json::from_str(&run.stdout()).expect("JSON");
    let accounts = summary["accounts"].as_array().expect("accounts");
    assert!(accounts.len() >= 4, "{summary}");
    for account in accounts {
        let dropped: u64 = account["dropped"]
            .as_array()
            .expect("reasons")
            .iter()
            .map(|pair| pair[1].as_u64().expect("a count"))
            .sum();
        let delivered = account["delivered"].as_u64().expect("a count");
        assert_eq!(account["seen"].as_u64(), Some(delivered + dropped), "{account}");
    }
}

#[test]
fn doctor_says_whether_this_host_can_capture() {
    let run = mirror(&["doctor"]);
    assert!(run.stdout().contains("kernel"), "{}", run.stdout());
}

#[test]
fn doctor_watches_one_interface_and_a_port() {
    mirror(&["doctor", "--watch", "lo"]).exits_with(2).complains(&["which ports", "--config"]);
    let workspace = Workspace::new();
    let text = "version: 1\nsource: { from: eth0, ports: 80 }\ntargets: { a: { url: http://a } }\n";
    let config = workspace.file("mirror.yaml", text.as_bytes());
    // Its port stands for the flag's.
    mirror(&["doctor", "--watch", "any", "--config", &config])
        .exits_with(2)
        .complains(&["one interface"]);
    mirror(&["doctor", "--for", "1s"]).exits_with(2);
    mirror(&["doctor", "--port", "8080"]).exits_with(2).complains(&["--watch eth0"]);
    mirror(&["doctor", "--watch", "any", "--port", "80"])
        .exits_with(2)
        .complains(&["one interface"]);
}

#[test]
fn the_demo_needs_no_privileges() {
    mirror(&["demo", "--offline"])
        .exits_with(0)
        .says("X-Shadow-Request: 1")
        .says("-shadow")
        .says("pairs: 3 regressions")
        .says("prices are rounded")
        .says("one product of twenty cannot be read")
        .says("the currency is missing")
        .says("the page: http://127.0.0.1:");
}

#[test]
fn an_empty_file_and_a_folder_without_captures_are_told() {
    let workspace = Workspace::new();
    let empty = workspace.file("empty.pcap", b"");
    mirror(&["inspect", "--from", &empty]).exits_with(2).complains(&["empty.pcap", "empty"]);
    std::fs::create_dir(workspace.path("none")).expect("a folder");
    let folder = workspace.path("none").to_str().expect("a plain path").to_owned();
    mirror(&["inspect", "--from", &folder]).exits_with(2).complains(&["none", "no capture"]);
}

#[test]
fn a_folder_is_no_output() {
    let workspace = Workspace::new();
    let file = workspace.file("one.pcap", &one_get());
    for name in ["out.pcap", "out.jsonl"] {
        std::fs::create_dir(workspace.path(name)).expect("a folder");
        let folder = workspace.path(name).to_str().expect("a plain path").to_owned();
        mirror(&["capture", "--from", &file, "--to", &folder]).exits_with(2).complains(&[name]);
    }
}

#[test]
fn files_and_interfaces_do_not_mix_and_a_file_needs_no_time() {
    let workspace = Workspace::new();
    let file = workspace.file("one.pcap", &one_get());
    mirror(&["inspect", "--from", &file, "--from", "lo", "--port", "80"])
        .exits_with(2)
        .complains(&["one.pcap", "lo", "one kind"]);
    mirror(&["inspect", "--from", &file, "--for", "1s"]).exits_with(2).complains(&["--for"]);
}

#[test]
fn two_link_types_need_a_pcapng() {
    let workspace = Workspace::new();
    let ethernet = workspace.file("a.pcap", &one_get());
    let mut raw = one_get();
    raw[20..24].copy_from_slice(&101_u32.to_le_bytes());
    // As raw IP: every record without its 14 bytes of Ethernet.
    let mut records = raw.split_off(24);
    while records.len() >= 16 {
        let length = u32::from_le_bytes(records[8..12].try_into().expect("4 bytes"));
        let rest = records.split_off(16 + length as usize);
        raw.extend(&records[..8]);
        raw.extend((length - 14).to_le_bytes());
        raw.extend((length - 14).to_le_bytes());
        raw.extend(&records[30..]);
        records = rest;
    }
    let ip = workspace.file("b.pcap", &raw);
    let out = workspace.path("out.pcap").to_str().expect("a plain path").to_owned();
    let run = mirror(&["capture", "--raw", "--from", &ethernet, "--from", &ip, "--to", &out]);
    let _ = run.exits_with(2).complains(&["out.pcap", ".pcapng"]);
}

#[test]
fn whoever_reads_standard_output_may_stop_at_any_time() {
    let workspace = Workspace::new();
    let file = workspace.file("one.pcap", &one_get());
    for form in [&["--json"][..], &["--summary"], &[]] {
        let mut child = std::process::Command::new(support::binary())
            .args(["inspect", "--from", &file])
            .args(form)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .expect("mirror can be run");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("mirror ends");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{form:?}: {stderr}");
        assert!(!stderr.contains("Broken pipe"), "{form:?}: {stderr}");
    }
}

#[test]
fn what_an_importer_leaves_out_is_told_by_line_beside_the_native_file() {
    let samples = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/samples/imports");
    for (from, file, target) in [
        ("istio", "istio.yaml", "http://httpbin.example.com:80"),
        ("gateway-api", "gateway-api.yaml", "http://shop-next.prod.svc.cluster.local:8080"),
    ] {
        let file = format!("{samples}/{file}");
        let run = mirror(&["config", "convert", "--port", "8080", "--from", from, &file])
            .exits_with(0)
            .says(target);
        assert!(run.stderr().contains(&format!("{file}:")), "{}", run.stderr());
        assert!(run.stderr().contains("dropped "), "{}", run.stderr());
        let native = mirror_with_input(&["config", "check", "-"], run.stdout().as_bytes());
        native.exits_with(0).says("valid; 1 targets, 2 rules");
    }
}

#[test]
fn a_file_that_would_capture_more_is_not_converted() {
    let workspace = Workspace::new();
    let file = workspace.file(
        "vs.yaml",
        b"kind: VirtualService\nspec:\n  hosts: [a]\n  http:\n  - mirror: {host: b}\n    \
          match: [{sourceLabels: {app: a}}]\n",
    );
    let run = mirror(&["config", "convert", "--from", "istio", &file]).exits_with(2);
    assert_eq!(run.stdout(), "");
    assert!(
        run.stderr().contains("vs.yaml:6: refused http[0].match[0].sourceLabels"),
        "{}",
        run.stderr()
    );
    assert!(run.stderr().contains("1 refused; nothing was converted"), "{}", run.stderr());
}
