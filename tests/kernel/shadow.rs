//! The real program in the real kernel: two network namespaces with a cable between them, nginx as
//! production in one, curl as its customer in the other.

mod filters;

use std::process::Command;

use aya::programs::{SchedClassifier, TcAttachType};
use serde_json::Value;

use crate::support;
use crate::support::netns::{CABLE, Lab, Mirror, Shadow, patience, succeed, until};
use crate::support::summary::{account, assert_balance, dropped};
use crate::support::target::{Behaviour, RawRequest, Target};
use crate::support::wire::Talk;

/// The same, up to the shadows.
#[track_caller]
fn assert_sums(summary: &Value) {
    assert_balance(summary);
    assert_eq!(account(summary, "cleared").1, account(summary, "shadow requests").0, "{summary:#}");
}

/// Shadows the server's port 8080 to a target in the same namespace while `customers` ask, and
/// returns what the target got, and the summary.
fn shadow(
    lab: &mut Lab,
    flags: &[&str],
    requests: usize,
    customers: impl FnOnce(&Lab),
) -> (Vec<RawRequest>, Value) {
    lab.start_nginx();
    let target = Target::start(Behaviour::Answer);
    let url = target.url();
    let mut args = vec!["replay", "--port", "8080", "--to", &url, "--json"];
    args.extend(flags);
    let mirror = Mirror::start(lab, &args);
    customers(lab);
    let received = target.wait_up_to(requests, patience());
    let summary = mirror.summary();
    let came = targets(&received);
    assert!(received.len() >= requests, "{requests} requests wanted, got {came:?}: {summary:#}");
    assert_sums(&summary);
    assert_eq!(account(&summary, "shadow requests").1, requests as u64, "{summary:#}");
    (received, summary)
}

/// By their targets: requests of different connections have no order among them.
fn sorted(mut received: Vec<RawRequest>) -> Vec<RawRequest> {
    received.sort_by_key(RawRequest::target);
    received
}

fn targets(received: &[RawRequest]) -> Vec<String> {
    received.iter().map(RawRequest::target).collect()
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn requests_over_ipv4_and_ipv6_are_shadowed_with_their_marks() {
    Lab::run(|lab| {
        let (received, _) = shadow(lab, &["--from", CABLE], 2, |lab| {
            lab.curl(&["http://10.77.0.1:8080/four"]);
            lab.curl(&["http://[fd00:77::1]:8080/six", "-H", "Host: shop.example:8080"]);
        });
        let received = sorted(received);
        assert_eq!(targets(&received), ["/four", "/six"]);
        for request in &received {
            assert_eq!(request.header("X-Shadow-Request").as_deref(), Some("1"));
            assert_eq!(request.header("baggage").as_deref(), Some("synthetic_request=true"));
        }
        assert_eq!(
            received[0].header("Host").as_deref(),
            Some("10.77.0.1:8080"),
            "no suffix on addresses"
        );
        assert_eq!(received[1].header("Host").as_deref(), Some("shop.example-shadow:8080"));
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn requests_of_one_connection_keep_their_order_and_their_connection() {
    Lab::run(|lab| {
        let (received, _) = shadow(lab, &["--from", CABLE], 20, |lab| {
            let urls: Vec<String> = (0..20).map(|n| format!("http://10.77.0.1:8080/{n}")).collect();
            lab.curl(&urls.iter().map(String::as_str).collect::<Vec<_>>());
        });
        assert_eq!(targets(&received), (0..20).map(|n| format!("/{n}")).collect::<Vec<_>>());
        assert!(received.iter().all(|request| request.connection == received[0].connection));
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_large_post_in_gro_packets_arrives_whole() {
    Lab::run(|lab| {
        let (received, summary) = shadow(lab, &["--from", CABLE], 1, |lab| {
            let file = lab.file("body", 1 << 20);
            lab.curl(&[
                "-H",
                "Expect:",
                "--data-binary",
                &format!("@{file}"),
                "http://10.77.0.1:8080/post",
            ]);
        });
        assert_eq!(received[0].body.len(), 1 << 20);
        assert!(received[0].body.iter().all(|byte| *byte == b'x'));
        let (_, packets, _) = account(&summary, "kernel");
        assert!(packets < 400, "{packets} packets for 1 MiB: GRO packets were not seen as such");
    });
}

/// Posts numbered lines of eight bytes by one write, so that packets become as large as they may.
const POST_LINES: &str = r#"
import socket, sys
body = b"".join(b"%07d\n" % line for line in range(int(sys.argv[2])))
customer = socket.create_connection((sys.argv[1], 8080))
head = b"POST /post HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
customer.sendall(head % len(body) + body)
assert customer.makefile("rb").read().startswith(b"HTTP/1.1 200")
"#;

#[test]
#[ignore = "needs root: cargo xtask test"]
fn big_tcp_packets_arrive_whole() {
    const LINES: usize = 2 << 20;
    const LINE: usize = 8;
    Lab::run(|lab| {
        let client = lab.client_name();
        for (namespace, device) in [(lab.server(), CABLE), (client, "cli")] {
            let set = ["link", "set", device, "gso_max_size", "524280", "gro_max_size", "524280"];
            succeed(Command::new("ip").args(["-n", &namespace]).args(set));
        }
        let (received, summary) = shadow(lab, &["--from", CABLE], 1, |lab| {
            let lines = LINES.to_string();
            succeed(lab.client("python3").args(["-c", POST_LINES, "fd00:77::1", &lines]));
        });
        let body = &received[0].body;
        assert_eq!(body.len(), LINES * LINE);
        let right = |(number, line): (usize, &[u8])| line == format!("{number:07}\n").as_bytes();
        assert!(body.chunks(LINE).enumerate().all(right));
        // How long they become depends on the machine: on a fast one most take several parts.
        assert_eq!(dropped(&summary, "kernel", "too_large"), 0, "{summary:#}");
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn packets_in_a_vlan_are_seen_and_keep_their_tag() {
    Lab::run(|lab| {
        let request = "GET /vlan HTTP/1.1\r\nHost: shop.example\r\n\r\n";
        let talk = Talk::new()
            .in_vlan(7)
            .open()
            .client(request)
            .server("HTTP/1.1 204 No Content\r\n\r\n")
            .close();
        let file = lab.path("out.pcap").to_str().expect("a plain path").to_owned();
        let capture = Mirror::start(
            lab,
            &["capture", "--raw", "--from", CABLE, "--port", "8080", "--to", &file, "--json"],
        );
        let (received, _) =
            shadow(lab, &["--from", CABLE], 1, |lab| lab.send("vlan.pcap", &talk.pcap()));
        assert_eq!(targets(&received), ["/vlan"]);
        let packets = account(&capture.summary(), "segments").1;
        let tagged = succeed(Command::new("tshark").args(["-r", &file, "-Y", "vlan.id == 7"]));
        assert_eq!(String::from_utf8_lossy(&tagged.stdout).lines().count() as u64, packets);
    });
}

/// The request of `talk` is seen when `rewrite` has changed the bytes of each of its packets.
#[track_caller]
fn assert_seen(lab: &Lab, talk: Talk, rewrite: impl Fn(Vec<u8>) -> Vec<Vec<u8>>) -> Value {
    let args = ["inspect", "--from", CABLE, "--port", "8080", "--summary", "--json"];
    let mirror = Mirror::start(lab, &args);
    lab.send("rewritten.pcap", &talk.rewritten(rewrite).pcap());
    let summary = mirror.summary();
    assert_balance(&summary);
    assert_eq!(account(&summary, "requests").1, 1, "{summary:#}");
    assert_eq!(dropped(&summary, "kernel", "malformed"), 0, "{summary:#}");
    summary
}

/// One request and its answer between two addresses.
fn one_request(client: &str, server: &str) -> Talk {
    Talk::between(client, server)
        .open()
        .client("GET /rare HTTP/1.1\r\nHost: shop.example\r\n\r\n")
        .server("HTTP/1.1 204 No Content\r\n\r\n")
        .close()
}

/// Where the header behind the Ethernet header begins.
const NETWORK: usize = 14;

#[test]
#[ignore = "needs root: cargo xtask test"]
fn two_vlan_tags_are_walked() {
    Lab::run(|lab| {
        let talk = one_request("10.77.0.2:40000", "10.77.0.1:8080");
        assert_seen(lab, talk, |mut packet| {
            packet.splice(12..12, [0x88, 0xa8, 0, 5, 0x81, 0x00, 0, 7]);
            vec![packet]
        });
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn ipv6_extension_headers_are_walked_also_far_behind() {
    /// The longest that RFC 8200 §4.6 can say, in eight bytes beyond the first eight.
    const LONGEST: u8 = 255;
    Lab::run(|lab| {
        for (namespace, device) in [(lab.server(), CABLE), (lab.client_name(), "cli")] {
            succeed(
                Command::new("ip").args(["-n", &namespace, "link", "set", device, "mtu", "9000"]),
            );
        }
        // Near; far; and so far that the kernel keeps the packet in pieces.
        for extensions in [vec![0_u8], vec![LONGEST], vec![LONGEST, LONGEST]] {
            let talk = one_request("[fd00:77::2]:40000", "[fd00:77::1]:8080");
            assert_seen(lab, talk, |mut packet| {
                const DESTINATION_OPTIONS: u8 = 60;
                for len in &extensions {
                    let next_header = packet[NETWORK + 6];
                    let mut extension = vec![0; (usize::from(*len) + 1) * 8];
                    extension[..2].copy_from_slice(&[next_header, *len]);
                    let payload_len = [packet[NETWORK + 4], packet[NETWORK + 5]];
                    let added = u16::try_from(extension.len()).expect("a header");
                    let payload_len = u16::from_be_bytes(payload_len) + added;
                    packet[NETWORK + 4..NETWORK + 6].copy_from_slice(&payload_len.to_be_bytes());
                    packet[NETWORK + 6] = DESTINATION_OPTIONS;
                    packet.splice(NETWORK + 40..NETWORK + 40, extension);
                }
                vec![packet]
            });
        }
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn fragments_are_copied_and_counted() {
    Lab::run(|lab| {
        let talk = one_request("10.77.0.2:40000", "10.77.0.1:8080");
        let summary = assert_seen(lab, talk, |packet| {
            // TCP's fixed header in the first piece, everything else in the second.
            const FIRST: usize = 24;
            let (headers, tcp) = packet.split_at(NETWORK + 20);
            if tcp.len() <= FIRST {
                return vec![packet];
            }
            let piece = |payload: &[u8], place: u16| {
                let mut piece = headers.to_vec();
                let total_len = u16::try_from(20 + payload.len()).expect("a piece");
                piece[NETWORK + 2..NETWORK + 4].copy_from_slice(&total_len.to_be_bytes());
                piece[NETWORK + 6..NETWORK + 8].copy_from_slice(&place.to_be_bytes());
                let sum = checksum(&piece[NETWORK..NETWORK + 20]);
                piece[NETWORK + 10..NETWORK + 12].copy_from_slice(&sum.to_be_bytes());
                piece.extend_from_slice(payload);
                piece
            };
            const MORE_FRAGMENTS: u16 = 0x2000;
            let (first, second) = tcp.split_at(FIRST);
            vec![piece(first, MORE_FRAGMENTS), piece(second, FIRST as u16 / 8)]
        });
        let notes = summary["notes"].to_string();
        assert!(
            notes.contains(r#"["fragments",4]"#),
            "two of the request, two of the answer: {notes}"
        );
    });
}

/// Of an IPv4 header whose own field is taken for zero (RFC 791 §3.1).
fn checksum(header: &[u8]) -> u16 {
    let words = header.chunks(2).enumerate().filter(|(place, _)| *place != 5);
    let sum: u32 = words.map(|(_, word)| u32::from(u16::from_be_bytes([word[0], word[1]]))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !u16::try_from((folded & 0xffff) + (folded >> 16)).expect("folded twice")
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn on_lo_each_packet_counts_once() {
    Lab::run(|lab| {
        let (received, summary) = shadow(lab, &["--from", "lo"], 1, |_| {
            succeed(Command::new("curl").args(["--silent", "http://127.0.0.1:8080/lo"]));
        });
        assert_eq!(targets(&received), ["/lo"]);
        assert_eq!(dropped(&summary, "segments", "duplicate"), 0, "{summary:#}");
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn any_means_every_interface_and_sees_each_request_once() {
    Lab::run(|lab| {
        let (received, _) = shadow(lab, &["--from", "any"], 2, |lab| {
            lab.curl(&["http://10.77.0.1:8080/cable"]);
            succeed(Command::new("curl").args(["--silent", "http://127.0.0.1:8080/lo"]));
        });
        assert_eq!(targets(&sorted(received)), ["/cable", "/lo"]);
    });
}

/// A small answer and a large request, through a hook that is not the usual one.
fn captures_by(hook: &'static str) {
    Lab::run(move |lab| {
        let (received, _) = shadow(lab, &["--from", CABLE, "--hook", hook], 2, |lab| {
            let file = format!("@{}", lab.file("body", 100_000));
            lab.curl(&["http://10.77.0.1:8080/small"]);
            lab.curl(&["-H", "Expect:", "--data-binary", &file, "http://10.77.0.1:8080/post"]);
        });
        let received = sorted(received);
        assert_eq!(targets(&received), ["/post", "/small"]);
        assert_eq!(received[0].body.len(), 100_000);
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn clsact_captures_too() {
    captures_by("clsact");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn xdp_captures_too() {
    captures_by("xdp");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn what_the_ring_cannot_hold_is_counted_and_costs_only_what_it_touched() {
    Lab::run(|lab| {
        lab.start_nginx();
        let target = Target::start(Behaviour::Answer);
        let url = target.url();
        let args = [
            "replay",
            "--from",
            CABLE,
            "--port",
            "8080",
            "--to",
            &url,
            "--ring-size",
            "512KiB",
            "--json",
        ];
        let mut mirror = Mirror::start(lab, &args);
        lab.curl(&["http://10.77.0.1:8080/before"]);
        target.wait_for(1, patience());
        // A reader that gets no processor at all, and sixteen times what the ring holds.
        mirror.signal("-STOP");
        lab.curl(&["-o", "/dev/null", "http://10.77.0.1:8080/big"]);
        mirror.signal("-CONT");
        // Customers go on until the reader is back, which shows by the first that arrives.
        let mut asked = 0;
        until("requests arrive again", || {
            lab.curl(&[&format!("http://10.77.0.1:8080/after/{asked}")]);
            asked += 1;
            target.received().iter().any(|request| request.target().starts_with("/after"))
        });
        let summary = mirror.summary();
        assert!(dropped(&summary, "kernel", "ring_full") > 0, "{summary:#}");
        assert_sums(&summary);
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn shadows_of_our_own_are_passed_over() {
    Lab::run(|lab| {
        // The target is on the client's host, on the same port: its traffic passes the same cable.
        lab.start_nginx();
        let shadow = Shadow::start(lab);
        let to = ["--to", "http://10.77.0.2:8080"];
        let mirror = Mirror::start(
            lab,
            &["replay", "--from", CABLE, "--port", "8080", to[0], to[1], "--json"],
        );
        lab.curl(&["http://10.77.0.1:8080/one"]);
        shadow.has_served("/one");
        let summary = mirror.summary();
        assert_sums(&summary);
        assert!(dropped(&summary, "kernel", "own_replay") > 0, "{summary:#}");
        assert_eq!(account(&summary, "shadow requests").0, 1, "{summary:#}");
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_target_that_is_captured_itself_is_refused() {
    Lab::run(|_| {
        support::mirror(&[
            "replay",
            "--from",
            CABLE,
            "--port",
            "8080",
            "--to",
            "http://10.77.0.1:8080",
        ])
        .exits_with(2)
        .complains(&["10.77.0.1:8080", "captured itself"]);
    });
}

/// True when any program is attached to the cable by TCX or XDP.
fn is_attached() -> bool {
    let by_tcx = [TcAttachType::Ingress, TcAttachType::Egress].into_iter().any(|direction| {
        let (_, programs) =
            SchedClassifier::query_tcx(CABLE, direction).expect("the kernel has TCX");
        !programs.is_empty()
    });
    let link = succeed(Command::new("ip").args(["link", "show", "dev", CABLE]));
    by_tcx || String::from_utf8_lossy(&link.stdout).contains("xdp")
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn tcx_leaves_nothing_attached_when_a_mirror_is_killed() {
    for hook in ["tc", "xdp"] {
        Lab::run(move |lab| {
            let args = ["inspect", "--from", CABLE, "--port", "8080", "--summary", "--hook", hook];
            let mirror = Mirror::start(lab, &args);
            assert!(is_attached());
            mirror.kill();
            until("nothing is attached", || !is_attached());
        });
    }
}

/// Counts what passes the cable, by this hook, and tells the sums as JSON.
fn count_by(hook: &str) -> [&str; 9] {
    ["inspect", "--from", CABLE, "--port", "8080", "--summary", "--json", "--hook", hook]
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn filters_that_a_killed_mirror_left_are_removed_by_the_next_and_foreign_ones_stay() {
    Lab::run(|lab| {
        let tc = |line: &str| succeed(Command::new("tc").args(line.split(' ')));
        let filters = || {
            String::from_utf8_lossy(&tc(&format!("filter show dev {CABLE} ingress")).stdout)
                .into_owned()
        };
        tc(&format!("qdisc add dev {CABLE} clsact"));
        tc(&format!("filter add dev {CABLE} ingress pref 7 protocol all u32 match u32 0 0"));
        let args = count_by("clsact");
        Mirror::start(lab, &args).kill();
        assert!(filters().contains("mirror_ingress"), "{}", filters());
        let second = Mirror::start(lab, &args);
        assert_eq!(
            filters().lines().filter(|line| line.contains("mirror_ingress")).count(),
            1,
            "{}",
            filters()
        );
        second.summary();
        assert!(!filters().contains("mirror_ingress"), "{}", filters());
        assert!(filters().contains("u32"), "{}", filters());
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn two_mirrors_on_one_interface_both_see_everything() {
    for hook in ["tc", "clsact"] {
        Lab::run(move |lab| {
            lab.start_nginx();
            let args = count_by(hook);
            let both = [Mirror::start(lab, &args), Mirror::start(lab, &args)];
            lab.curl(&["http://10.77.0.1:8080/1", "http://10.77.0.1:8080/2"]);
            for mirror in both {
                let summary = mirror.summary();
                assert_eq!(account(&summary, "requests").1, 2, "{hook}: {summary:#}");
            }
        });
    }
}

/// Counts by this hook, at this place among other programs.
fn count_at<'a>(hook: &'a str, order: &'a str) -> Vec<&'a str> {
    [&count_by(hook)[..], &["--order", order]].concat()
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_filter_that_decides_hides_packets_from_those_behind_it_alone() {
    Lab::run(|lab| {
        lab.start_nginx();
        let tc = |line: &str| succeed(Command::new("tc").args(line.split(' ')));
        tc(&format!("qdisc add dev {CABLE} clsact"));
        // As the programs of a network plug-in do: what it has seen, none behind it sees.
        tc(&format!(
            "filter add dev {CABLE} ingress pref 100 protocol all u32 match u32 0 0 flowid 1:1"
        ));
        let (first, last) = (count_at("clsact", "first"), count_at("clsact", "last"));
        let mirrors = [Mirror::start(lab, &last), Mirror::start(lab, &first)];
        let answer = lab.curl(&["http://10.77.0.1:8080/1"]);
        assert_eq!(answer.stdout, b"hello\n", "and its packets go on");
        let [behind, before] = mirrors.map(Mirror::summary);
        assert_eq!(account(&before, "requests").1, 1, "{before:#}");
        assert_eq!(account(&behind, "requests").0, 0, "{behind:#}");
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn tcx_programs_stand_first_or_last_and_all_of_them_run() {
    Lab::run(|lab| {
        lab.start_nginx();
        let ids = || -> Vec<u32> {
            let programs = SchedClassifier::query_tcx(CABLE, TcAttachType::Ingress).expect("TCX").1;
            programs.iter().map(aya::programs::ProgramInfo::id).collect()
        };
        // Each is attached when those before it are, and its program's number is larger than theirs.
        let middle = Mirror::start(lab, &count_at("tc", "first"));
        let last = Mirror::start(lab, &count_at("tc", "last"));
        let first = Mirror::start(lab, &count_at("tc", "first"));
        let now = ids();
        let [a, b, c] = now[..] else { panic!("not three programs: {now:?}") };
        assert!(b < c && c < a, "the third, the first, the second: {now:?}");
        lab.curl(&["http://10.77.0.1:8080/1"]);
        for mirror in [first, middle, last] {
            let summary = mirror.summary();
            assert_eq!(account(&summary, "requests").1, 1, "{summary:#}");
        }
        assert!(ids().is_empty(), "nothing stays");
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_capture_of_gro_packets_reads_the_same_in_tshark() {
    for ending in ["pcap", "pcapng"] {
        Lab::run(move |lab| {
            lab.start_nginx();
            let file =
                lab.path(&format!("out.{ending}")).to_str().expect("a plain path").to_owned();
            let mirror = Mirror::start(
                lab,
                &["capture", "--raw", "--from", CABLE, "--port", "8080", "--to", &file, "--json"],
            );
            let body = lab.file("body", 300_000);
            lab.curl(&["http://10.77.0.1:8080/first"]);
            lab.curl(&[
                "-H",
                "Expect:",
                "--data-binary",
                &format!("@{body}"),
                "http://10.77.0.1:8080/post",
            ]);
            lab.curl(&["-o", "/dev/null", "http://10.77.0.1:8080/big"]);
            mirror.summary();
            let checked = ["-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"];
            let tshark = |filter: &str, fields: &[&str]| {
                let mut command = Command::new("tshark");
                command.args(["-r", &file, "-Y", filter, "-T", "fields"]).args(checked);
                fields.iter().for_each(|field| {
                    command.args(["-e", field]);
                });
                String::from_utf8_lossy(&succeed(&mut command).stdout).into_owned()
            };
            assert_eq!(
                tshark("http.request", &["http.request.uri"]),
                "/first\n/post\n/big\n",
                "{ending}"
            );
            assert_eq!(
                tshark("http.response", &["http.response.code"]),
                "200\n200\n200\n",
                "{ending}"
            );
            assert_eq!(
                tshark("tcp.checksum.status == 0 || ip.checksum.status == 0", &["frame.number"]),
                "",
                "{ending}"
            );
        });
    }
}

#[test]
fn the_object_holds_the_programs_and_maps_that_the_loader_names() {
    let object =
        std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../mirror-ebpf/mirror-ebpf.o"))
            .expect("the object");
    let text = String::from_utf8_lossy(&object);
    for name in mirror_common::names::PROGRAMS.iter().chain(&mirror_common::names::MAPS) {
        assert!(text.contains(&format!("{name}\0")), "{name}");
    }
}
