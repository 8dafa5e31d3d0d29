//! HAR files as outputs and as sources: what is written is read back, judged by others, and whole at any time.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use mirror_user::http::coding::{Coding, encode};
use serde_json::{Value, json};

use crate::support::har;
use crate::support::memory::peak_until_its_end;
use crate::support::scenes::captures;
use crate::support::target::{Behaviour, RawRequest, Target};
use crate::support::wire::{Talk, interleaved};
use crate::support::{Workspace, binary, mirror, plain};

const PATIENCE: Duration = Duration::from_secs(30);

/// Fields that say how a message was framed, or name one thing only within a run.
const OF_FRAMING: [&str; 2] = ["content-length", "transfer-encoding"];

/// The exchanges of a file as `inspect` shows them.
fn exchanges(file: &str) -> Vec<Value> {
    let run = mirror(&["inspect", "--redact", "none", "--json", "--from", file]).exits_with(0);
    run.stdout().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn capture(from: &str, to: &str) {
    mirror(&["capture", "--redact", "none", "--from", from, "--to", to]).exits_with(0);
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn entries(har: &Value) -> &Vec<Value> {
    har["log"]["entries"].as_array().unwrap()
}

/// What a HAR must keep of an exchange; `None` of one that it has no place for.
fn kept(exchange: &Value) -> Option<String> {
    let request = exchange["request"].as_object()?;
    // What servers refuse or tunnels carry is shown and never replayed; nor are trailers.
    if request["complete"] != true || request.contains_key("flaws") {
        return None;
    }
    let message = |message: &Value| {
        let fields = message["headers"].as_array()?.iter();
        let fields = fields.filter(|field| {
            let name = field[0].as_str().unwrap().to_ascii_lowercase();
            !OF_FRAMING.contains(&name.as_str())
        });
        Some(json!([
            message["method"],
            message["target"],
            message["host"],
            message["status"],
            message["reason"],
            fields.collect::<Vec<_>>(),
            message["body"],
            message["complete"],
            message["why"]
        ]))
    };
    // A response that begins before its request has ended has no place in the timings of a HAR.
    let time = &exchange["request"]["time"];
    let ends = [&exchange["client"], &exchange["server"]];
    Some(
        json!([message(&exchange["request"]), message(&exchange["response"]), time, ends])
            .to_string(),
    )
}

#[test]
fn what_is_written_is_read_back() {
    let workspace = Workspace::new();
    let mut seen = 0;
    for scene in captures() {
        let har = workspace.path("x.har");
        mirror(&[
            "capture",
            "--redact",
            "none",
            "--overwrite",
            "--from",
            plain(&scene),
            "--to",
            plain(&har),
        ])
        .exits_with(0);
        let all = |file: &str| {
            let mut kept: Vec<_> = exchanges(file).iter().filter_map(kept).collect();
            kept.sort();
            kept
        };
        let (packets, entries) = (all(plain(&scene)), all(plain(&har)));
        assert_eq!(packets, entries, "{}", scene.display());
        seen += packets.len();
    }
    assert!(seen > 40, "{seen}");
}

#[test]
fn reading_and_writing_again_changes_nothing() {
    let workspace = Workspace::new();
    let (one, two) = (workspace.path("one.har"), workspace.path("two.har"));
    capture(
        plain(&captures().into_iter().find(|scene| scene.ends_with("shopping.pcap")).unwrap()),
        plain(&one),
    );
    capture(plain(&one), plain(&two));
    let shown = |path: &Path| {
        let mut entries = entries(&read(path)).clone();
        entries.sort_by_key(|entry| entry["startedDateTime"].as_str().unwrap().to_owned());
        for entry in &mut entries {
            let entry = entry.as_object_mut().unwrap();
            // Numbers of this run's connections, and sums of floating-point numbers.
            entry.retain(|name, _| !["connection", "time", "timings"].contains(&name.as_str()));
        }
        entries
    };
    assert_eq!(shown(&one), shown(&two));
    assert_eq!(shown(&one).len(), 27);
}

const REQUEST: &str = "GET /a?b=c&d HTTP/1.1\r\nHost: shop.example:8080\r\nAuthorization: Bearer sesame-open-1234567890\r\n\
                       Cookie: a=1; b=2\r\n\r\n";

fn response(body: &[u8], fields: &str) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// Text, gzip, bytes, a broken coding, a body of a request that is no text.
fn bodies() -> Vec<u8> {
    let gzip = encode(Coding::Gzip, "grüße".as_bytes());
    let upload =
        [b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n", &[0xff, 0, 0xfe][..]]
            .concat();
    Talk::new()
        .open()
        .client(REQUEST)
        .server(response(
            &gzip,
            "Content-Type: text/plain; charset=utf-8\r\nContent-Encoding: gzip\r\n",
        ))
        .client(REQUEST)
        .server(response(
            &[0xff, 0xd8, 0],
            "Content-Type: image/jpeg\r\nSet-Cookie: id=7; Path=/; HttpOnly\r\n",
        ))
        .client(REQUEST)
        .server(response(b"no gzip", "Content-Encoding: gzip\r\n"))
        .client(upload)
        .server(response(b"", ""))
        .close()
        .pcap()
}

#[test]
fn bodies_are_decoded_text_or_base64() {
    let workspace = Workspace::new();
    let (from, to) = (workspace.file("day.pcap", &bodies()), workspace.path("day.har"));
    capture(&from, plain(&to));
    let har = read(&to);
    let content = |n: usize| &entries(&har)[n]["response"]["content"];
    assert_eq!((&content(0)["text"], &content(0)["encoding"]), (&json!("grüße"), &Value::Null));
    assert_eq!(content(0)["size"], 7);
    assert_eq!((&content(1)["text"], &content(1)["encoding"]), (&json!("/9gA"), &json!("base64")));
    assert_eq!(content(2)["text"], BASE64.encode("no gzip"));
    assert_eq!(content(2)["comment"], "in its Content-Encoding");
    let upload = &entries(&har)[3]["request"];
    assert_eq!(upload["_content"]["text"], "/wD+");
    assert_eq!(upload["_requestBodyStatus"], "discarded:not-representable");
    let first = &entries(&har)[0];
    assert_eq!(first["request"]["url"], "http://shop.example:8080/a?b=c&d");
    let query = json!([{"name": "b", "value": "c"}, {"name": "d", "value": ""}]);
    assert_eq!(first["request"]["queryString"], query);
    assert_eq!(first["timings"], json!({"send": 0.0, "wait": 1.0, "receive": 0.0}));
    let cookies = json!([{"name": "id", "value": "7", "path": "/", "httpOnly": true}]);
    assert_eq!(entries(&har)[1]["response"]["cookies"], cookies);
    let bare = workspace.path("bare.har");
    mirror(&["capture", "--no-bodies", "--from", &from, "--to", plain(&bare)]).exits_with(0);
    assert_eq!(entries(&read(&bare))[0]["response"]["content"]["text"], Value::Null);
    let named = workspace.path("named.har");
    let comment = "microcksId: Users API:1.0.0";
    mirror(&["capture", "--comment", comment, "--from", &from, "--to", plain(&named)])
        .exits_with(0);
    assert_eq!(read(&named)["log"]["comment"], comment);
    let lines = workspace.path("x.jsonl");
    mirror(&["capture", "--comment", comment, "--from", &from, "--to", plain(&lines)])
        .exits_with(2)
        .complains(&["--comment", ".har"]);
}

#[test]
fn credentials_are_redacted_in_fields_and_in_what_is_made_of_them() {
    let workspace = Workspace::new();
    let (from, to) = (workspace.file("day.pcap", &bodies()), workspace.path("day.har"));
    let key = workspace.file("key", &[b'k'; 32]);
    let redacted = |from: &str, to: &Path| {
        mirror(&["capture", "--redact-key-file", &key, "--from", from, "--to", plain(to)])
            .exits_with(0);
        read(to)
    };
    let har = redacted(&from, &to);
    let text = fs::read_to_string(&to).unwrap();
    assert!(!text.contains("sesame") && text.contains("Bearer redacted-"), "{text}");
    let cookies = &entries(&har)[0]["request"]["cookies"];
    assert!(cookies[0]["value"].as_str().unwrap().starts_with("redacted-"), "{cookies}");
    // What could not be looked into is not there.
    let content = &entries(&har)[2]["response"]["content"];
    assert_eq!(
        (&content["text"], &content["comment"]),
        (&Value::Null, &json!("withheld by redaction: broken_coding"))
    );
    // What is redacted stays as it is.
    let again = redacted(plain(&to), &workspace.path("again.har"));
    assert_eq!(entries(&again)[0]["request"], entries(&har)[0]["request"]);
}

/// As Chrome's importer takes a file: its constructors throw where these are missing or of another kind, whatever else it
/// may hold.
fn is_imported_by_chrome(har: &Value) {
    let log = &har["log"];
    assert!(
        log["version"].is_string()
            && log["creator"]["name"].is_string()
            && log["creator"]["version"].is_string()
    );
    for entry in entries(har) {
        let started = entry["startedDateTime"].as_str().unwrap();
        started.parse::<jiff::Timestamp>().unwrap();
        let (request, response) = (&entry["request"], &entry["response"]);
        for (of, names) in [
            (request, &["method", "url", "httpVersion"][..]),
            (response, &["statusText", "httpVersion", "redirectURL"]),
            (&response["content"], &["mimeType"]),
        ] {
            names.iter().for_each(|name| assert!(of[name].is_string(), "{name} in {of}"));
        }
        for (of, names) in [
            (entry, &["time"][..]),
            (request, &["headersSize", "bodySize"]),
            (response, &["status", "headersSize", "bodySize"]),
            (&response["content"], &["size"]),
            (&entry["timings"], &["send", "wait", "receive"]),
        ] {
            names
                .iter()
                .for_each(|name| assert!(of[name].as_f64().unwrap() >= -1.0, "{name} in {of}"));
        }
        for (of, names) in [
            (request, &["cookies", "headers", "queryString"][..]),
            (response, &["cookies", "headers"]),
        ] {
            names.iter().for_each(|name| assert!(of[name].is_array(), "{name} in {of}"));
        }
        assert!(entry["cache"].is_object());
        let own = entry.as_object().unwrap().keys().filter(|name| name.starts_with('_'));
        assert!(own.count() <= 2);
        let spans =
            ["send", "wait", "receive"].map(|name| entry["timings"][name].as_f64().unwrap());
        assert!((spans.iter().sum::<f64>() - entry["time"].as_f64().unwrap()).abs() < 1e-6);
    }
}

#[test]
fn every_scene_is_imported_by_chrome() {
    let workspace = Workspace::new();
    for scene in captures() {
        let har = workspace.path(&format!("{}.har", scene.file_stem().unwrap().to_str().unwrap()));
        capture(plain(&scene), plain(&har));
        is_imported_by_chrome(&read(&har));
    }
}

/// The folder that `cargo xtask test` installs the judges of formats into.
fn tools() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/stubs")
}

#[test]
#[ignore = "needs har-validator: cargo xtask test"]
fn har_validator_takes_every_scene() {
    let workspace = Workspace::new();
    let mut all = Vec::new();
    for scene in captures() {
        let har = workspace.path(&format!("{}.har", scene.file_stem().unwrap().to_str().unwrap()));
        capture(plain(&scene), plain(&har));
        all.push(har);
    }
    let from = workspace.file("bodies.pcap", &bodies());
    let har = workspace.path("bodies.har");
    mirror(&["capture", "--from", &from, "--to", plain(&har)]).exits_with(0);
    all.push(har);
    let script = "const { validate } = require(process.argv[1]);\
        for (const path of process.argv.slice(2)) {\
          try { validate('har', JSON.parse(require('fs').readFileSync(path))); }\
          catch (error) { console.error(path, JSON.stringify(error.errors ?? String(error))); process.exitCode = 1; }\
        }";
    let judge = tools().join("har-validator/dist/cjs/index.js");
    let judged = Command::new("node").args(["-e", script]).arg(&judge).args(&all).output().unwrap();
    assert!(judged.status.success(), "{}", String::from_utf8_lossy(&judged.stderr));
    // A judge that takes anything judges nothing.
    let wrong = workspace.file(
        "wrong.har",
        br#"{"log":{"version":"1.2","creator":{"name":"x","version":"1"},"entries":[{}]}}"#,
    );
    let judged = Command::new("node").args(["-e", script]).arg(&judge).arg(wrong).output().unwrap();
    assert!(!judged.status.success());
}

#[test]
#[expect(clippy::disallowed_methods, reason = "waits for another process")]
fn a_process_that_is_killed_leaves_a_whole_file() {
    let workspace = Workspace::new();
    let har = workspace.path("live.har");
    let mut child = Command::new(binary())
        .args(["capture", "--from", "-", "--to", plain(&har)])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut talk = Talk::new().open();
    for _ in 0..500 {
        talk = talk.client(get).server(response(b"x", ""));
    }
    stdin.write_all(&talk.pcap()).unwrap();
    stdin.flush().unwrap();
    let deadline = Instant::now() + PATIENCE;
    // A look in the middle of a write may see half of it.
    let now = || serde_json::from_slice::<Value>(&fs::read(&har).ok()?).ok();
    while now().is_none_or(|har| entries(&har).len() < 500) {
        assert!(Instant::now() < deadline, "nothing was written");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(entries(&read(&har)).len(), 500);
    is_imported_by_chrome(&read(&har));
}

#[test]
fn rotated_files_are_whole_ones() {
    let workspace = Workspace::new();
    let demo = captures().into_iter().find(|scene| scene.ends_with("shopping.pcap")).unwrap();
    let to = workspace.path("day.har");
    mirror(&["capture", "--from", plain(&demo), "--to", plain(&to), "--rotate", "4KiB"])
        .exits_with(0);
    let files = fs::read_dir(to.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    let counts: Vec<usize> = files.map(|path| entries(&read(&path)).len()).collect();
    assert!(counts.len() > 3 && counts.iter().sum::<usize>() == 27, "{counts:?}");
}

/// Two requests on one connection, one on another at the same time, and what is no request.
fn of_a_browser() -> Value {
    let entry = |started: &str, connection: &str, method: &str, path: &str, wait: f64| {
        json!({
            "startedDateTime": started, "time": wait + 1.0, "connection": connection, "serverIPAddress": "203.0.113.7",
            "request": {"method": method, "url": format!("https://shop.example{path}"), "httpVersion": "http/2.0", "cookies": [],
                "headers": [{"name": ":method", "value": method}, {"name": "accept-encoding", "value": "gzip, br"}],
                "queryString": [], "headersSize": -1, "bodySize": 0},
            "response": {"status": 200, "statusText": "", "httpVersion": "http/2.0", "cookies": [], "redirectURL": "",
                "headers": [{"name": "content-encoding", "value": "br"}, {"name": "content-type", "value": "text/html"}],
                "content": {"size": 5, "mimeType": "text/html", "text": "hello"}, "headersSize": -1, "bodySize": -1},
            "cache": {}, "timings": {"send": 0.5, "wait": wait, "receive": 0.5}
        })
    };
    let mut image = entry("2026-01-02T03:04:05.004Z", "1", "GET", "/logo.png", 3.0);
    image["request"]["url"] = "data:image/png;base64,AA==".into();
    let mut cached = entry("2026-01-02T03:04:05.004Z", "1", "GET", "/app.js", 3.0);
    cached["_fromCache"] = "memory".into();
    json!({"log": {"version": "1.2", "creator": {"name": "WebInspector", "version": "537.36"}, "pages": [], "entries": [
        entry("2026-01-02T03:04:05.010Z", "1", "GET", "/second", 3.0),
        entry("2026-01-02T03:04:05.000Z", "1", "GET", "/first", 8.0),
        entry("2026-01-02T03:04:05.002Z", "1", "DELETE", "/beside?x=%20", 3.0),
        image, cached, {"startedDateTime": "2026-01-02T03:04:05.000Z"},
    ]}})
}

#[test]
fn the_export_of_a_browser_is_inspected_and_replayed() {
    let workspace = Workspace::new();
    let har = workspace.file("page.har", of_a_browser().to_string().as_bytes());
    let run = mirror(&["inspect", "--summary", "--from", &har]).exits_with(0);
    run.says("seen 6 = delivered 3 + malformed 1 + not_http 1 + from_cache 1");
    let targets: Vec<_> =
        exchanges(&har).iter().map(|one| one["request"]["target"].clone()).collect();
    assert_eq!(targets, ["/first", "/beside?x=%20", "/second"]);
    assert_eq!(exchanges(&har)[0]["id"], "0-0");
    assert_eq!(exchanges(&har)[2]["id"], "0-1", "it follows on the same connection");
    assert_eq!(exchanges(&har)[0]["request"]["host"], "shop.example");
    let target = Target::start(Behaviour::Answer);
    let to = format!("http://{}", target.address());
    mirror(&["replay", "--from", &har, "--to", &to, "--speed", "max"]).exits_with(0);
    let requests = target.wait_for(3, PATIENCE);
    let sent = |request: &RawRequest| {
        format!(
            "{} {}",
            String::from_utf8_lossy(&request.head).split(' ').next().unwrap(),
            request.target()
        )
    };
    let lines: Vec<_> = requests.iter().map(sent).collect();
    for line in ["GET /first", "DELETE /beside?x=%20", "GET /second"] {
        assert!(lines.iter().any(|sent| sent == line), "{line} in {lines:?}");
    }
    // By the port that the URL has; and a file ends by itself.
    mirror(&["inspect", "--summary", "--port", "8443", "--from", &har])
        .exits_with(0)
        .says("not_watched 3");
    mirror(&["inspect", "--from", &har, "--for", "1s"])
        .exits_with(2)
        .complains(&["--for", "a file ends by itself"]);
}

#[test]
fn an_entry_that_cannot_be_read_taints_none_behind_it() {
    let workspace = Workspace::new();
    let mut har = of_a_browser();
    let first = &mut har["log"]["entries"][1]["request"];
    first["headers"][1]["value"] = "a control character: \u{1}".into();
    let har = workspace.file("page.har", har.to_string().as_bytes());
    let exchanges = exchanges(&har);
    let of =
        |target: &str| exchanges.iter().find(|one| one["request"]["target"] == target).unwrap();
    assert_eq!(of("/first")["request"]["why"], "refused");
    let second = of("/second");
    assert_eq!((&second["request"]["flaws"], &second["skipped"]), (&Value::Null, &Value::Null));
    assert_eq!(second["response"]["status"], 200);
}

#[test]
fn recordings_of_two_kinds_are_compared() {
    let workspace = Workspace::new();
    let gzip = encode(Coding::Gzip, "grüße".as_bytes());
    let talk = Talk::new()
        .open()
        .client(REQUEST)
        .server(response(&gzip, "Content-Type: text/plain\r\nContent-Encoding: gzip\r\n"))
        .client("POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
        .server(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n1\r\nf\r\n0\r\n\r\n",
        )
        .close();
    let pcap = workspace.file("prod.pcap", &talk.pcap());
    let har = workspace.path("candidate.har");
    capture(&pcap, plain(&har));
    let differing = |with: &str| {
        let findings = workspace.path("findings.jsonl");
        let args =
            ["compare", "--json", "--findings", plain(&findings), "--from", &pcap, "--with", with];
        let report: Value = serde_json::from_str(&mirror(&args).exits_with(0).stdout()).unwrap();
        assert_eq!(report["pairs"], 2, "{report}");
        fs::read_to_string(findings).unwrap().lines().count()
    };
    assert_eq!(differing(plain(&har)), 0);
    let text = fs::read_to_string(&har).unwrap().replace("grüße", "grüsse");
    assert_eq!(differing(&workspace.file("other.har", text.as_bytes())), 1);
}

#[test]
fn what_is_wrong_with_a_har_is_said_in_one_line() {
    let workspace = Workspace::new();
    let har = workspace.file("a.har", b"{\"log\":{}}");
    let pcap = workspace.file("a.pcap", &bodies());
    mirror(&["inspect", "--from", &har]).exits_with(2).complains(&["a.har", "log.entries"]);
    mirror(&["inspect", "--from", &har, "--from", &pcap])
        .exits_with(2)
        .complains(&["give one kind at a time"]);
    mirror(&["inspect", "--from", "/nowhere/a.har"])
        .exits_with(2)
        .complains(&["/nowhere/a.har", "cannot be read"]);
    let good = workspace.file("b.har", of_a_browser().to_string().as_bytes());
    let out = workspace.path("out.pcap");
    mirror(&["capture", "--raw", "--from", &good, "--to", plain(&out)])
        .exits_with(2)
        .complains(&["--raw", "no packets"]);
    mirror(&["capture", "--from", &good, "--to", &good, "--overwrite"])
        .exits_with(2)
        .complains(&["write to another one"]);
    mirror(&["capture", "--from", &good, "--to", plain(&out)]).exits_with(0);
    assert_eq!(exchanges(plain(&out)).len(), 3);
}

/// Entries with bodies, so long that no run may hold them.
const LONG_BYTES: u64 = 160 << 20;

/// What a run may hold at its peak, in KiB.
const MOST_KIB: u64 = 64 << 10;

#[test]
fn a_long_file_is_not_held_in_memory() {
    let workspace = Workspace::new();
    let path = workspace.path("long.har");
    let body = "x".repeat(1 << 20);
    let count = LONG_BYTES >> 20;
    let entries = (0..count).map(|n| {
        // Backwards, so that it is put in order.
        let second = 59 - n % 60;
        format!(
            "{{\"startedDateTime\":\"2026-01-02T03:04:{second:02}Z\",\"time\":1,\"request\":{{\"method\":\"GET\",\
             \"url\":\"http://a/{n}\",\"headers\":[]}},\"response\":{{\"status\":200,\"headers\":[],\"content\":{{\"size\":1,\
             \"text\":\"{body}\"}}}}}}"
        )
    });
    har::write(&path, entries);
    let child = Command::new(binary())
        .args(["inspect", "--summary", "--json", "--from", plain(&path)])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let peak = peak_until_its_end(&child);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.contains(&format!("\"name\":\"requests\",\"seen\":{count},\"delivered\":{count}")),
        "{said}"
    );
    assert!(peak < MOST_KIB, "{peak} KiB");
}

#[test]
fn many_connections_of_a_capture_stay_apart() {
    let workspace = Workspace::new();
    let talks: Vec<Talk> = (0..30)
        .map(|n| {
            let get = format!("GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n");
            Talk::between(&format!("10.0.0.9:{}", 40_000 + n), "10.0.0.1:8080")
                .open()
                .client(&get)
                .server(response(b"1", ""))
                .client(&get)
                .server(response(b"2", ""))
                .close()
        })
        .collect();
    let from = workspace.file("many.pcap", &interleaved(&talks));
    let har = workspace.path("many.har");
    capture(&from, plain(&har));
    let ids: std::collections::BTreeSet<_> =
        exchanges(plain(&har)).iter().map(|one| one["id"].to_string()).collect();
    assert_eq!(ids.len(), 60);
    assert!(ids.contains("\"29-1\"") && !ids.contains("\"30-0\""), "{ids:?}");
}
