//! What leaves when redaction is on: nothing that was planted, in any output; and what is left can
//! still be read by those who judge: tshark, a real target, our own reader.

use std::io::{Cursor, Read, Write};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use mirror_user::decode::{Decoder, Limits};
use mirror_user::http::{BodyKeep, DigestOf, HttpOptions, HttpTable, KeepLimits};
use mirror_user::recorder::{Recorder, SNAPLEN_BYTES};
use mirror_user::rules::Rules;
use mirror_user::rules::redact::{Key, Preset, RedactOptions, Redactor};
use mirror_user::rules::tag::{Marks, Rest};
use mirror_user::sink::Sink;
use mirror_user::sink::jsonl::JsonLines;
use mirror_user::sink::lines::Lines;
use mirror_user::sink::packets::Packets;
use mirror_user::sink::table::Table;
use mirror_user::source::pcap::FileSource;
use mirror_user::source::{Next, PacketSource};
use mirror_user::tcp::{FlowTable, TcpLimits};
use proptest::prelude::*;

use crate::support::target::{Behaviour, Target};
use crate::support::wire::Talk;
use crate::support::{Workspace, mirror};

const PATIENCE: Duration = Duration::from_secs(20);
const KEY: &str = "a key of more than sixteen bytes";

/// Every value that must not be found, as it is planted in [`session`].
const PLANTED: [&str; 9] = [
    "alice@example.com",
    "4111111111111111",
    "123-45-6789",
    "GB82WEST12345698765432",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.c2ln",
    "hunter2",
    "s3cr3t",
    "dXNlcjpwYXNz",
    "AKIAIOSFODNN7EXAMPLE",
];

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain).unwrap();
    plain
}

/// A customer's session with a value in every place.
fn session() -> Vec<u8> {
    let json = br#"{"email":"alice@example.com","card":"4111111111111111","password":"hunter2","n":[1,{"iban":"GB82WEST12345698765432"}]}"#;
    let coded = gzip(json);
    let mut second = format!(
        "POST /users/alice%40example.com HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\n\
         Content-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        coded.len()
    )
    .into_bytes();
    second.extend_from_slice(&coded);
    Talk::new()
        .open()
        .client(
            "GET /?email=alice@example.com&key=AKIAIOSFODNN7EXAMPLE HTTP/1.1\r\nHost: shop\r\n\
             Authorization: Basic dXNlcjpwYXNz\r\nCookie: session=s3cr3t\r\n\
             X-Token: eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.c2ln\r\n\r\n",
        )
        .server(
            "HTTP/1.1 200 OK\r\nSet-Cookie: session=s3cr3t\r\nContent-Type: text/plain\r\nContent-Length: 29\r\n\r\n\
             ssn 123-45-6789 of your files",
        )
        .client(second)
        .server("HTTP/1.1 204 No Content\r\n\r\n")
        .client(
            "POST /form HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n\
             a\r\nalice@exam\r\n16\r\nple.com 41111111111111\r\n2\r\n11\r\n0\r\n\r\n",
        )
        .server("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        .close()
        .pcap()
}

/// No planted value in these bytes, nor in the bodies that they hold in base64 or gzip.
#[track_caller]
fn holds_nothing(what: &str, bytes: &[u8], planted: &[&str]) {
    let mut all = bytes.to_vec();
    for line in String::from_utf8_lossy(bytes).lines() {
        let Ok(line) = serde_json::from_str::<serde_json::Value>(line) else { continue };
        for side in ["request", "response"] {
            let Some(body) = line[side]["body"].as_str() else { continue };
            let body = BASE64.decode(body).unwrap();
            all.extend_from_slice(&if body.starts_with(b"\x1f\x8b") {
                gunzip(&body)
            } else {
                body
            });
        }
    }
    for value in planted {
        let percent: String = value.bytes().map(|byte| format!("%{byte:02X}")).collect();
        for form in [*value, &percent, &value.replace('@', "%40")] {
            assert!(
                memchr::memmem::find(&all, form.as_bytes()).is_none(),
                "{what} holds {form}: {}",
                String::from_utf8_lossy(&all)
            );
        }
    }
}

fn key_file(workspace: &Workspace) -> String {
    workspace.file("key", format!("{KEY}\n").as_bytes())
}

#[test]
fn nothing_planted_is_in_any_output() {
    let workspace = Workspace::new();
    let (file, key) = (workspace.file("day.pcap", &session()), key_file(&workspace));
    let pii = ["--redact", "pii", "--redact-key-file", &key];
    for args in [&["inspect"][..], &["inspect", "--json"], &["inspect", "--find-personal-data"]] {
        let run = mirror(&[args, &["--from", &file], &pii].concat()).exits_with(0);
        holds_nothing(&format!("{args:?}"), run.stdout().as_bytes(), &PLANTED);
        holds_nothing(&format!("{args:?}"), run.stderr().as_bytes(), &PLANTED);
    }
    for name in ["out.jsonl", "out.pcap", "out.pcapng"] {
        let out = workspace.path(name).to_str().unwrap().to_owned();
        mirror(&[&["capture", "--from", &file, "--to", &out][..], &pii].concat()).exits_with(0);
        holds_nothing(name, &std::fs::read(&out).unwrap(), &PLANTED);
    }
    let target = Target::start(Behaviour::Answer);
    let to = target.url();
    mirror(&[&["replay", "--from", &file, "--to", &to, "--speed", "max"][..], &pii].concat())
        .exits_with(0);
    let received = target.wait_for(3, PATIENCE);
    for request in &received {
        holds_nothing("replay", &request.wire(), &PLANTED);
    }
    let coded = received.iter().find(|request| request.header("content-encoding").is_some());
    let coded = coded.expect("the second request");
    assert_eq!(coded.header("content-length"), Some(coded.body.len().to_string()));
    let json: serde_json::Value = serde_json::from_slice(&gunzip(&coded.body)).unwrap();
    assert!(json["email"].as_str().unwrap().ends_with("@redacted.invalid"), "{json}");
    assert!(json["card"].as_str().unwrap().starts_with('9'), "{json}");
}

#[test]
fn a_packet_file_has_the_redacted_streams() {
    let workspace = Workspace::new();
    let (file, key) = (workspace.file("day.pcap", &session()), key_file(&workspace));
    let pii = ["--redact", "pii", "--redact-key-file", &key];
    let exchanges = |file: &str, redact: &[&str]| {
        mirror(&[&["inspect", "--json", "--from", file][..], redact].concat())
            .exits_with(0)
            .stdout()
    };
    let direct = exchanges(&file, &pii);
    for name in ["out.pcap", "out.pcapng"] {
        let out = workspace.path(name).to_str().unwrap().to_owned();
        mirror(&[&["capture", "--from", &file, "--to", &out][..], &pii].concat())
            .exits_with(0)
            .says("exchanges");
        // The same addresses and times, and what redacting again does not change.
        let again = exchanges(&out, &["--redact", "none"]);
        assert_eq!(without_interface(&again), without_interface(&direct), "{name}");
        assert_eq!(exchanges(&out, &pii), again, "{name}");
    }
}

fn without_interface(lines: &str) -> Vec<serde_json::Value> {
    let exchange = |line: &str| {
        let mut exchange: serde_json::Value = serde_json::from_str(line).unwrap();
        exchange.as_object_mut().unwrap().remove("interface");
        exchange
    };
    lines.lines().map(exchange).collect()
}

#[test]
#[ignore = "needs tshark: cargo xtask test"]
fn tshark_reads_a_redacted_packet_file_without_complaint() {
    let workspace = Workspace::new();
    let file = workspace.file("day.pcap", &session());
    for name in ["out.pcap", "out.pcapng"] {
        let out = workspace.path(name).to_str().unwrap().to_owned();
        mirror(&["capture", "--from", &file, "--to", &out, "--redact", "pii"]).exits_with(0);
        let tshark = |args: &[&str]| {
            let checked = ["-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"];
            let run = Command::new("tshark").args(["-r", &out]).args(checked).args(args).output();
            let run = run.expect("tshark can be run");
            assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
            String::from_utf8_lossy(&run.stdout).into_owned()
        };
        let complaints = tshark(&["-Y", "_ws.expert.severity >= 0x600000 || tcp.analysis.flags"]);
        assert_eq!(complaints, "", "{name}");
        let uris = tshark(&["-Y", "http.request", "-T", "fields", "-e", "http.request.uri"]);
        assert_eq!(uris.lines().count(), 3, "{uris}");
        assert!(uris.contains("@redacted.invalid"), "{uris}");
        let codes = tshark(&["-Y", "http.response", "-T", "fields", "-e", "http.response.code"]);
        assert_eq!(codes, "200\n204\n200\n");
        let clients = tshark(&["-Y", "http.request", "-T", "fields", "-e", "ip.src"]);
        assert_eq!(clients, "10.0.0.2\n10.0.0.2\n10.0.0.2\n");
    }
}

#[test]
fn files_and_reports_are_without_credentials_by_default_and_replay_is_exact() {
    let workspace = Workspace::new();
    let file = workspace.file("day.pcap", &session());
    let credentials = ["hunter2", "s3cr3t", "dXNlcjpwYXNz", "AKIAIOSFODNN7EXAMPLE", PLANTED[4]];
    let run = mirror(&["inspect", "--json", "--from", &file]).exits_with(0);
    holds_nothing("inspect", run.stdout().as_bytes(), &credentials);
    assert!(run.stdout().contains("alice@example.com"), "that is no credential");
    assert!(run.stderr().contains("--redact-key-file"), "{}", run.stderr());
    for name in ["out.jsonl", "out.pcap"] {
        let out = workspace.path(name).to_str().unwrap().to_owned();
        mirror(&["capture", "--from", &file, "--to", &out]).exits_with(0);
        holds_nothing(name, &std::fs::read(&out).unwrap(), &credentials);
    }
    let target = Target::start(Behaviour::Answer);
    mirror(&["replay", "--from", &file, "--to", &target.url(), "--speed", "max"]).exits_with(0);
    let received = target.wait_for(3, PATIENCE);
    let first = received.iter().find(|request| request.header("cookie").is_some()).unwrap();
    assert_eq!(first.header("authorization").as_deref(), Some("Basic dXNlcjpwYXNz"));
    assert_eq!(first.header("cookie").as_deref(), Some("session=s3cr3t"));
}

#[test]
fn a_body_that_cannot_be_read_is_not_sent_and_is_reported() {
    let workspace = Workspace::new();
    let talk = Talk::new()
        .open()
        .client("POST /bad HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: 7\r\n\r\nhunter2")
        .server("HTTP/1.1 204 No Content\r\n\r\n")
        .client("GET /good HTTP/1.1\r\nHost: a\r\n\r\n")
        .server("HTTP/1.1 204 No Content\r\n\r\n")
        .close();
    let file = workspace.file("day.pcap", &talk.pcap());
    let target = Target::start(Behaviour::Answer);
    mirror(&["replay", "--from", &file, "--to", &target.url(), "--redact", "credentials"])
        .exits_with(0)
        .says("unredactable 1")
        .says("bodies withheld")
        .says("broken_coding 1");
    let received = target.wait_for(1, PATIENCE);
    assert_eq!(received[0].target(), "/good");
    let run = mirror(&["inspect", "--json", "--from", &file]).exits_with(0);
    assert!(run.stdout().contains(r#""body_withheld":"broken_coding""#), "{}", run.stdout());
    holds_nothing("inspect", run.stdout().as_bytes(), &["hunter2"]);
    // In a packet file, a hole; what follows is whole.
    let out = workspace.path("out.pcap").to_str().unwrap().to_owned();
    mirror(&["capture", "--from", &file, "--to", &out]).exits_with(0);
    let again = mirror(&["inspect", "--json", "--from", &out]).exits_with(0).stdout();
    assert!(again.contains(r#""why":"gap""#) && again.contains(r#""target":"/good""#), "{again}");
}

#[test]
fn discovery_lists_places_detectors_and_counts() {
    let workspace = Workspace::new();
    let file = workspace.file("day.pcap", &session());
    mirror(&["inspect", "--find-personal-data", "--from", &file])
        .exits_with(0)
        .says("request   email                   1  query email")
        .says("body $.n[*].iban")
        .says("response  ssn                     1  body")
        .says("values found");
    let run = mirror(&["inspect", "--find-personal-data", "--json", "--from", &file]).exits_with(0);
    let lines: Vec<serde_json::Value> =
        run.stdout().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().any(|line| line["place"] == "header Authorization"), "{lines:?}");
}

#[test]
fn flags_that_contradict_or_mean_nothing_are_reported() {
    let workspace = Workspace::new();
    let file = workspace.file("day.pcap", &session());
    let short = workspace.file("short", b"too short\n");
    let out = workspace.path("out.pcap").to_str().unwrap().to_owned();
    let capture = ["capture", "--from", &file, "--to", &out];
    let refused = |more: &[&str], words: &[&str]| {
        mirror(&[&capture[..], more].concat()).exits_with(2).complains(words);
    };
    refused(&["--redact", "none"], &["--raw"]);
    refused(&["--raw", "--redact", "pii"], &["--raw", "--redact"]);
    refused(&["--redact-key-file", &short], &["short", "16 bytes"]);
    refused(&["--redact-key-file", "/nowhere/key"], &["/nowhere/key"]);
    // As any value that a flag does not take.
    let not_taken = |flag: &str, value: &str, words: &[&str]| {
        let said = mirror(&[&capture[..], &[flag, value]].concat()).exits_with(2).stderr();
        for word in [&[flag, value], words].concat() {
            assert!(said.contains(word), "{word}: {said}");
        }
    };
    not_taken("--redact-json", "$.a[b]", &["JSON path"]);
    not_taken("--redact-header", "-", &["a name to redact"]);
    let lines = workspace.path("out.jsonl").to_str().unwrap().to_owned();
    mirror(&["capture", "--from", &file, "--to", &lines, "--raw"])
        .exits_with(2)
        .complains(&["--raw"]);
    // As it was seen, when that is asked for.
    mirror(&[&capture[..], &["--raw"]].concat()).exits_with(0);
    assert_eq!(std::fs::read(&out).unwrap()[24..], session()[24..]);
}

#[test]
fn a_configuration_file_redacts_as_the_flags_do() {
    let workspace = Workspace::new();
    let (file, key) = (workspace.file("day.pcap", &session()), key_file(&workspace));
    let target = Target::start(Behaviour::Answer);
    let config = |redact: &str| {
        let text = format!(
            "version: 1\nsource: {{ from: {file} }}\ntargets: {{ staging: {{ url: {} }} }}\nredact: {redact}\n",
            target.url()
        );
        workspace.file("mirror.yaml", text.as_bytes())
    };
    let bad = config("{ preset: most, json: \"$.a[b]\", headers: [\"-\"], detect: [card, crad] }");
    let told = mirror(&["config", "check", &bad]).exits_with(2).stderr();
    for word in ["most", "credentials", "JSON path", "a name to redact", "crad", "github-token"] {
        assert!(told.contains(word), "{word}: {told}");
    }
    let good = config(&format!("{{ preset: pii, key-file: {key} }}"));
    mirror(&["run", "--config", &good]).exits_with(0).says("values redacted");
    for request in &target.wait_for(3, PATIENCE) {
        holds_nothing("run", &request.wire(), &PLANTED);
    }
}

/// What a sink wrote.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Everything that every sink makes of a capture.
fn all_outputs(capture: Vec<u8>) -> Vec<(&'static str, Vec<u8>)> {
    let folder = tempfile::tempdir().unwrap();
    let packets = folder.path().join("out.pcapng");
    let (lines, table) = (Written::default(), Written::default());
    let mut sinks: Vec<Box<dyn Sink>> = vec![
        Box::new(Lines::new(Box::new(JsonLines { bodies: true }), Box::new(lines.clone()))),
        Box::new(Lines::new(Box::new(Table), Box::new(table.clone()))),
        Box::new(Packets::new(Recorder::create(&packets, SNAPLEN_BYTES).unwrap())),
    ];
    let key = Some(Key::new(KEY).unwrap());
    let options = RedactOptions { key, ..RedactOptions::preset(Preset::Pii) };
    let redactor = Redactor::new(options).unwrap().map(Arc::new);
    let mut rules = Rules::for_reports();
    rules.redactor = redactor;
    let keep = BodyKeep::Keep(KeepLimits { digest: DigestOf::All, ..KeepLimits::default() });
    let options = HttpOptions { request_body: keep, response_body: keep, ..HttpOptions::default() };
    let mut source = FileSource::from_reader("test", Box::new(Cursor::new(capture))).unwrap();
    let (mut decoder, mut flows) =
        (Decoder::new(Limits::default()), FlowTable::new(TcpLimits::for_files()));
    let mut http = HttpTable::new(options);
    let (mut events, mut exchanges, mut replayed) = (Vec::new(), Vec::new(), Vec::new());
    let mut ended = false;
    while !ended {
        match source.next(Duration::ZERO).unwrap() {
            Next::Packet(packet) => {
                if let Ok(segment) = decoder.push(&packet) {
                    flows.push(segment, &mut events);
                }
            }
            Next::Idle | Next::Again(_) => {}
            Next::End => {
                flows.finish(&mut events);
                ended = true;
            }
        }
        events.drain(..).for_each(|event| http.push(event, &mut exchanges));
        for exchange in exchanges.drain(..) {
            let cleared = rules.clear(exchange).unwrap();
            sinks.iter_mut().for_each(|sink| sink.accept(&cleared).unwrap());
            if let Ok(request) = cleared.shadow_request(&Marks::default(), "staging:80") {
                replayed.extend_from_slice(&request.front);
                if let Rest::Memory(bytes) = &request.rest {
                    replayed.extend_from_slice(bytes);
                }
            }
        }
    }
    for sink in &mut sinks {
        sink.finish().unwrap();
        assert!(sink.account().is_settled());
    }
    drop(sinks);
    let written = |written: &Written| written.0.lock().unwrap().clone();
    vec![
        ("json lines", written(&lines)),
        ("table", written(&table)),
        ("packets", std::fs::read(&packets).unwrap()),
        ("replay", replayed),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_planted_value_is_in_any_sink(
        name in "[a-z]{4,12}[0-9]{1,3}",
        serial in 1_u32..10_000,
        cut in 1_usize..60,
        chunk in 1_usize..40,
    ) {
        let (email, ssn) = (format!("{name}@example.com"), format!("123-45-{serial:04}"));
        let planted = [email.as_str(), ssn.as_str(), "4111111111111111"];
        let text = format!("{ssn} and {email} and 4111111111111111.");
        let chunked: String = text
            .as_bytes()
            .chunks(chunk)
            .map(|piece| format!("{:x}\r\n{}\r\n", piece.len(), String::from_utf8_lossy(piece)))
            .collect();
        let json = serde_json::json!({ "a": [{ "b": text }], email.as_str(): 4_111_111_111_111_111_u64 }).to_string();
        let request = format!(
            "POST /{email}?q={ssn}&{email}=4111111111111111 HTTP/1.1\r\nHost: {email}\r\nX-A: {text}\r\n\
             Cookie: {email}={ssn}\r\nReferer: http://{email}/{ssn}\r\nTransfer-Encoding: chunked\r\n\r\n\
             {chunked}0\r\nX-T: {text}\r\n\r\n"
        );
        let (first, second) = request.split_at(cut);
        let capture = Talk::new()
            .open()
            .client(first)
            .client(second)
            .server(format!("HTTP/1.1 200 {email}\r\nX-B: {text}\r\nContent-Length: {}\r\n\r\n{text}", text.len()))
            .client(format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{json}", json.len()))
            .server("HTTP/1.1 204 No Content\r\n\r\n")
            .close()
            .pcap();
        for (sink, bytes) in all_outputs(capture) {
            prop_assert!(!bytes.is_empty(), "{sink} wrote nothing");
            holds_nothing(sink, &bytes, &planted);
        }
    }
}
