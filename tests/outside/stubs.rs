//! Stubs for other servers: WireMock answers every exported request as it was recorded, and a simulation of Hoverfly is
//! what its schema and its users ask for.

mod described;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use boon::{Compiler, Schemas};
use bytes::Bytes;
use mirror_user::http::coding::{Coding, encode};
use mirror_user::http::message::Head;
use mirror_user::http::whole;
use serde_json::{Value, json};

use crate::support::wire::{Talk, interleaved};
use crate::support::{Workspace, mirror};

/// A request, and what production responded.
struct Case {
    request: Vec<u8>,
    response: Vec<u8>,
    status: u16,
    /// The content after decoding.
    body: Vec<u8>,
}

/// A request with this body.
fn asked(start: &str, fields: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let length = match (body.len(), start.starts_with("GET") || start.starts_with("HEAD")) {
        (0, true) => String::new(),
        (n, _) => format!("Content-Length: {n}\r\n"),
    };
    let head = format!("{start} HTTP/1.1\r\nHost: users.internal:8080\r\n{fields}{length}\r\n");
    [head.as_bytes(), body].concat()
}

fn case(request: Vec<u8>, status: u16, fields: &str, body: impl AsRef<[u8]>) -> Case {
    let body = body.as_ref().to_vec();
    let wire = match fields.contains("Content-Encoding: gzip") {
        true => encode(Coding::Gzip, &body),
        false => body.clone(),
    };
    let is_head = request.starts_with(b"HEAD");
    let length = match status {
        204 | 304 => String::new(),
        _ => format!("Content-Length: {}\r\n", wire.len()),
    };
    let head = format!(
        "HTTP/1.1 {status} Any\r\nDate: Fri, 02 Jan 2026 03:04:05 GMT\r\n{fields}{length}\r\n"
    );
    let wire = if is_head { Vec::new() } else { wire };
    let body = if is_head { Vec::new() } else { body };
    Case { request, response: [head.as_bytes(), &wire].concat(), status, body }
}

const JSON: &str = "Content-Type: application/json\r\n";
const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

/// What collaborators are asked, with every kind of body, name and answer that formats have their ways with.
fn cases() -> Vec<Case> {
    let get = |target: &str| asked(&format!("GET {target}"), "", "");
    let text = "Content-Type: text/plain; charset=utf-8\r\n";
    let user = r#"{"id":42,"name":"Ada","plan":"pro"}"#;
    let bytes: Vec<u8> = (0..=255).collect();
    let long: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
    vec![
        case(
            asked("POST /v1/users?source=web", JSON, r#"{"name":"Ada","plan":"pro"}"#),
            201,
            JSON,
            user,
        ),
        case(
            asked("POST /v1/users?source=web", JSON, r#"{"name":"Bob"}"#),
            201,
            JSON,
            r#"{"id":43}"#,
        ),
        case(asked("POST /v1/users?source=web", JSON, ""), 400, JSON, r#"{"error":"empty"}"#),
        case(
            asked(
                "POST /v1/users?source=web",
                "Content-Type: text/plain\r\n",
                "a text with ${} in it",
            ),
            415,
            text,
            "no",
        ),
        // A sequence; and the same again, which is merged.
        case(get("/v1/job"), 200, text, "pending"),
        case(get("/v1/job"), 200, text, "pending"),
        case(get("/v1/job"), 202, text, "nearly"),
        case(get("/v1/job"), 200, text, "done"),
        case(get("/v1/job"), 200, text, "done"),
        case(get("/v1/same"), 200, text, "one"),
        case(get("/v1/same"), 200, text, "one"),
        // Queries that are parts of others, with escapes, repeated and empty names.
        case(get("/v1/items"), 200, JSON, "[]"),
        case(get("/v1/items?a=1"), 200, JSON, "[1]"),
        case(get("/v1/items?a=1&b=2"), 200, JSON, "[1,2]"),
        case(get("/v1/items?b=2&b=3"), 200, JSON, "[2,3]"),
        case(get("/v1/items?name=J%C3%BCrgen+%26+Co"), 200, JSON, r#"["Jürgen & Co"]"#),
        case(get("/v1/items?flag"), 200, JSON, "[true]"),
        case(get("/a%20b/c"), 200, text, "escaped path"),
        case(get("/templated"), 200, text, "not a template: {{request.path}} ${json-unit.any}"),
        case(
            asked("POST /login", FORM, "user=ada&pass=a%26b&tag=x&tag=y"),
            303,
            "Location: /home\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n",
            "",
        ),
        case(asked("POST /login", FORM, "user=bob&pass=b"), 401, text, "no"),
        case(
            asked("PUT /upload", "Content-Type: application/octet-stream\r\n", &bytes),
            200,
            text,
            "took 256 bytes",
        ),
        case(
            asked("PUT /upload", "Content-Type: application/octet-stream\r\n", &bytes[100..]),
            200,
            text,
            "took 156 bytes",
        ),
        case(get("/image.png"), 200, "Content-Type: image/png\r\nETag: \"x\"\r\n", &bytes),
        case(get("/long"), 200, "Content-Type: application/octet-stream\r\n", &long),
        case(
            get("/gzip"),
            200,
            &format!("{text}Content-Encoding: gzip\r\nVary: Accept-Encoding\r\n"),
            "compressed grüße",
        ),
        case(get("/latin"), 200, "Content-Type: text/html; charset=iso-8859-1\r\n", b"gr\xfc\xdfe"),
        case(get("/utf8"), 200, "Content-Type: text/html\r\n", "grüße \u{1f600}\u{0}\n"),
        case(asked("HEAD /long", "", ""), 200, "Content-Type: application/octet-stream\r\n", ""),
        case(asked("DELETE /v1/users/42", "", ""), 204, "", ""),
        case(get("/cached"), 304, "ETag: \"x\"\r\n", ""),
        case(get("/broken"), 503, "Retry-After: 7\r\nConnection: X-Hop\r\nX-Hop: 1\r\n", "down"),
        case(
            asked(
                "PATCH /v1/users/42",
                "Content-Type: application/merge-patch+json\r\n",
                r#"{"a":[1,2,{"b":null}],"big":123456789012345678901}"#,
            ),
            200,
            JSON,
            "{}",
        ),
    ]
}

fn recorded(cases: &[Case]) -> Vec<u8> {
    let mut talk = Talk::new().open();
    for case in cases {
        talk = talk.client(&case.request).server(&case.response);
    }
    talk.close().pcap()
}

/// The command that exports a recording with all that is in it.
fn export<'a>(from: &'a str, to: &'a Path, format: &'a str) -> [&'a str; 9] {
    ["capture", "--redact", "none", "--from", from, "--to", plain(to), "--format", format]
}

fn plain(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// WireMock, which answers from a directory.
struct WireMock {
    process: Child,
    port: u16,
}

impl WireMock {
    fn start(folder: &Path) -> Self {
        let jar = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/stubs/wiremock.jar");
        let mut process = Command::new("java")
            .args(["-Xmx256m", "-XX:TieredStopAtLevel=1", "-jar"])
            .arg(jar)
            .args(["--bind-address", "127.0.0.1", "--port", "0", "--root-dir"])
            .arg(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut said = Vec::new();
        let mut port = None;
        for line in lines.map_while(Result::ok) {
            let words: Vec<&str> = line.split_whitespace().collect();
            if let ["port:", number, ..] = words.as_slice() {
                port = number.parse().ok();
                break;
            }
            said.push(line);
        }
        Self { process, port: port.unwrap_or_else(|| panic!("WireMock did not start: {said:?}")) }
    }

    /// Sends a request, and reads the response to its end.
    fn ask(&self, request: &[u8]) -> (Head, Vec<u8>) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let line = request.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        let request = [&request[..line], b"Connection: close\r\n", &request[line..]].concat();
        stream.write_all(&request).unwrap();
        let mut wire = Vec::new();
        stream.read_to_end(&mut wire).unwrap();
        let (head, body) =
            whole::response(&Bytes::from(wire), request.starts_with(b"HEAD")).unwrap();
        let mut content = Vec::new();
        body.content().unwrap().read_to_end(&mut content).unwrap();
        (head, content)
    }
}

impl Drop for WireMock {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn line(case: &Case) -> String {
    String::from_utf8_lossy(&case.request).lines().next().unwrap().to_owned()
}

/// A value without case and spaces: Jetty writes media types in a way of its own.
fn like(value: &str) -> String {
    value.replace(' ', "").to_ascii_lowercase()
}

/// Every request of the cases, in their order, gets its recorded status and content.
fn answers_as_recorded(server: &WireMock, cases: &[Case]) {
    for case in cases {
        let (head, body) = server.ask(&case.request);
        let asked = line(case);
        let shown = String::from_utf8_lossy(&body);
        assert_eq!(head.status(), Some(case.status), "{asked}: {shown}");
        assert!(body == case.body, "{asked}: {} bytes: {shown}", body.len());
        assert_eq!(head.field("content-encoding"), None, "{asked}");
        let recorded = String::from_utf8_lossy(&case.response).into_owned();
        let fields = |name: &str| -> Vec<String> {
            let all =
                head.fields().filter(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes()));
            all.map(|(_, value)| like(&String::from_utf8_lossy(value))).collect()
        };
        for name in ["Content-Type", "Location", "Set-Cookie", "ETag", "Retry-After"] {
            let recorded =
                recorded.lines().filter_map(|line| line.strip_prefix(&format!("{name}: ")));
            assert_eq!(fields(name), recorded.map(like).collect::<Vec<_>>(), "{asked}");
        }
        assert!(fields("X-Hop").is_empty(), "{asked}");
    }
}

#[test]
#[ignore = "needs WireMock: cargo xtask test"]
fn wiremock_answers_every_exported_request_as_it_was_recorded() {
    let workspace = Workspace::new();
    let cases = cases();
    let from = workspace.file("day.pcap", &recorded(&cases));
    let folder = workspace.path("stubs");
    mirror(&export(&from, &folder, "wiremock"))
        .exits_with(0)
        .says(&format!("seen {0} = delivered {0}", cases.len()))
        .says("requests 28, answers 31, merged 2");
    let server = WireMock::start(&folder);
    answers_as_recorded(&server, &cases);
    // The last answer of a sequence repeats, and what means the same is the same.
    for (again, body) in [
        (asked("GET /v1/job", "", ""), "done"),
        (
            asked("POST /v1/users?source=web", JSON, "{ \"plan\": \"pro\", \"name\": \"Ada\" }"),
            r#"{"id":42,"name":"Ada","plan":"pro"}"#,
        ),
        (asked("GET /v1/items?b=2&a=1", "", ""), "[1,2]"),
        (asked("POST /login", FORM, "tag=x&tag=y&pass=a%26b&user=ada"), ""),
    ] {
        let (_, content) = server.ask(&again);
        assert_eq!(String::from_utf8_lossy(&content), body, "{}", String::from_utf8_lossy(&again));
    }
    // What was never asked is no answer of another request.
    for unknown in [
        asked("GET /v1/items?a=2", "", ""),
        asked("GET /v1/items?a=1&flag=1", "", ""),
        asked("POST /v1/users?source=web", JSON, r#"{"name":"Eve"}"#),
        asked("DELETE /v1/job", "", ""),
        asked("PUT /upload", "", [0_u8]),
    ] {
        assert_eq!(
            server.ask(&unknown).0.status(),
            Some(404),
            "{}",
            String::from_utf8_lossy(&unknown)
        );
    }
}

#[test]
#[ignore = "needs WireMock: cargo xtask test"]
fn wiremock_lets_redacted_values_be_any_and_tells_collaborators_apart() {
    let workspace = Workspace::new();
    let other = |request: &[u8]| {
        String::from_utf8(request.to_vec())
            .unwrap()
            .replace("users.internal:8080", "orders.internal")
            .into_bytes()
    };
    let ask = asked(
        "POST /charge?api_key=sesame-open-1234567890&n=1",
        JSON,
        r#"{"password":"hunter2-hunter2","n":1}"#,
    );
    let mut second = case(ask.clone(), 200, JSON, r#"{"from":"orders"}"#);
    second.request = other(&second.request);
    let cases = vec![case(ask, 200, JSON, r#"{"from":"users"}"#), second];
    let from = workspace.file("day.pcap", &recorded(&cases));
    let har = workspace.path("day.har");
    mirror(&["capture", "--from", &from, "--to", plain(&har)]).exits_with(0);
    let folder = workspace.path("stubs");
    // From a HAR as well as from packets.
    mirror(&[
        "capture",
        "--from",
        plain(&har),
        "--to",
        plain(&folder),
        "--format",
        "wiremock",
        "--delays",
    ])
    .exits_with(0);
    let files: BTreeSet<_> = fs::read_dir(folder.join("mappings"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(files, ["orders.internal.json", "users.internal_8080.json"].map(Into::into).into());
    let mapping = &read(&folder.join("mappings/orders.internal.json"))["mappings"][0];
    assert_eq!(mapping["response"]["fixedDelayMilliseconds"], 1);
    let server = WireMock::start(&folder);
    answers_as_recorded(&server, &cases);
    let with = |key: &str, password: &str, n: u32| {
        asked(
            &format!("POST /charge?api_key={key}&n=1"),
            JSON,
            format!(r#"{{"n":{n},"password":"{password}"}}"#),
        )
    };
    assert_eq!(server.ask(&with("of-the-test", "another", 1)).1, br#"{"from":"users"}"#);
    assert_eq!(server.ask(&other(&with("of-the-test", "another", 1))).1, br#"{"from":"orders"}"#);
    assert_eq!(server.ask(&with("of-the-test", "another", 2)).0.status(), Some(404));
}

/// The shape of a simulation, stricter than Hoverfly's own schema where that lets pass what Hoverfly then breaks at.
fn simulation_schema() -> Value {
    let matchers = json!({"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/matcher"}});
    let of_names = json!({"type": "object", "additionalProperties": matchers});
    let state = json!({"type": "object", "additionalProperties": {"type": "string"}});
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$defs": {"matcher": {
            "type": "object", "required": ["matcher", "value"], "additionalProperties": false,
            "properties": {
                "matcher": {"enum": ["exact", "glob", "regex", "json", "jsonpartial", "jsonpath", "xml", "xpath", "array", "form"]},
                "value": {}, "config": {"type": "object"}, "doMatch": {"$ref": "#/$defs/matcher"}
            }
        }},
        "type": "object", "required": ["data", "meta"], "additionalProperties": false,
        "properties": {
            "meta": {"type": "object", "required": ["schemaVersion"], "properties": {"schemaVersion": {"pattern": "^v5"}}},
            "data": {"type": "object", "additionalProperties": false, "properties": {
                "globalActions": {"type": "object"},
                "pairs": {"type": "array", "items": {
                    "type": "object", "required": ["request", "response"], "additionalProperties": false,
                    "properties": {
                        "request": {"type": "object", "additionalProperties": false, "properties": {
                            "method": matchers, "scheme": matchers, "destination": matchers, "path": matchers, "body": matchers,
                            "query": of_names, "headers": of_names, "requiresState": state}},
                        "response": {"type": "object", "required": ["status", "body"], "additionalProperties": false, "properties": {
                            "status": {"type": "integer"}, "body": {"type": "string"}, "encodedBody": {"type": "boolean"},
                            "templated": {"const": false}, "fixedDelay": {"type": "integer"}, "transitionsState": state,
                            "headers": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}}}}
                    }
                }}
            }}
        }
    })
}

#[test]
fn a_simulation_of_hoverfly_holds_what_was_recorded() {
    let workspace = Workspace::new();
    let cases = cases();
    let from = workspace.file("day.pcap", &recorded(&cases));
    let to = workspace.path("day.hoverfly.json");
    mirror(&["capture", "--redact", "none", "--from", &from, "--to", plain(&to), "--delays"])
        .exits_with(0)
        .says("binary_request 2");
    let simulation = read(&to);
    let (mut compiler, mut schemas) = (Compiler::new(), Schemas::new());
    compiler.add_resource("simulation.json", simulation_schema()).unwrap();
    let schema = compiler.compile("simulation.json", &mut schemas).unwrap();
    schemas.validate(&simulation, schema).unwrap_or_else(|error| panic!("{error}"));
    let pairs = simulation["data"]["pairs"].as_array().unwrap();
    // Two pairs of one request and state are one to Hoverfly.
    let requests: BTreeSet<String> = pairs.iter().map(|pair| pair["request"].to_string()).collect();
    assert_eq!(requests.len(), pairs.len());
    let mut sequences: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for pair in pairs {
        let response = &pair["response"];
        let names: Vec<String> = response["headers"]
            .as_object()
            .unwrap()
            .keys()
            .map(|name| name.to_ascii_lowercase())
            .collect();
        for left_out in
            ["content-length", "transfer-encoding", "connection", "content-encoding", "x-hop"]
        {
            assert!(!names.iter().any(|name| name == left_out), "{names:?}");
        }
        if response["encodedBody"] == true {
            BASE64.decode(response["body"].as_str().unwrap()).unwrap();
        }
        if let Some(state) = pair["request"]["requiresState"].as_object() {
            let (name, from) = state.iter().next().unwrap();
            let to = response["transitionsState"][name].as_str().unwrap_or("last");
            sequences
                .entry(name.clone())
                .or_default()
                .push((from.as_str().unwrap().into(), to.into()));
        }
    }
    let steps = [("1", "2"), ("2", "3"), ("3", "4"), ("4", "last")]
        .map(|(from, to)| (from.to_owned(), to.to_owned()));
    assert_eq!(sequences, [("sequence:1".to_owned(), steps.to_vec())].into());
    let find =
        |path: &str| pairs.iter().find(|pair| pair["request"]["path"][0]["value"] == path).unwrap();
    assert_eq!(find("/image.png")["response"]["encodedBody"], true);
    // As Go shows paths.
    find("/a b/c");
    assert_eq!(find("/login")["response"]["headers"]["Set-Cookie"], json!(["a=1", "b=2"]));
    assert_eq!(find("/gzip")["response"]["body"], "compressed grüße");
    assert_eq!(find("/v1/users")["request"]["destination"][0]["value"], "users.internal:8080");
    assert_eq!(find("/v1/users")["response"]["fixedDelay"], 1);
    assert_eq!(
        find("/v1/users")["request"]["body"],
        json!([{"matcher": "json", "value": "{\"name\":\"Ada\",\"plan\":\"pro\"}"}])
    );
}

#[test]
fn what_is_no_stub_is_counted_and_said() {
    let workspace = Workspace::new();
    let tunnel = "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n";
    let asterisk = "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n";
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let between = |client: &str| Talk::between(client, "10.0.0.1:8080").open();
    let talks = [
        between("10.0.0.2:1001").client(tunnel).server("HTTP/1.1 200 OK\r\n\r\n").close(),
        between("10.0.0.2:1002").client(asterisk).server(ok).close(),
        between("10.0.0.2:1003").client(asked("GET /a", "", "")).close(),
        between("10.0.0.2:1004").client(asked("GET /?q=%ff", "", "")).server(ok).close(),
        between("10.0.0.2:1005").client(asked("GET /good", "", "")).server(ok).close(),
    ];
    let from = workspace.file("day.pcap", &interleaved(&talks));
    let to = workspace.path("day.hoverfly.json");
    let run = mirror(&["capture", "--from", &from, "--to", plain(&to)]).exits_with(0);
    run.says("seen 5 = delivered 1 + response_incomplete 1 + tunnel 1 + no_path 1 + not_text 1");
    assert_eq!(read(&to)["data"]["pairs"].as_array().unwrap().len(), 1);
}

#[test]
fn a_place_for_stubs_is_not_overwritten_unless_asked() {
    let workspace = Workspace::new();
    let from = workspace.file("day.pcap", &recorded(&cases()));
    let folder = workspace.path("stubs");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("mine"), "mine").unwrap();
    let args = export(&from, &folder, "wiremock");
    mirror(&args).exits_with(2).complains(&["stubs", "not empty", "--overwrite"]);
    mirror(&[&args[..], &["--overwrite"]].concat()).exits_with(0);
    let mappings = read(&folder.join("mappings/users.internal_8080.json"));
    mirror(&[&args[..], &["--overwrite"]].concat()).exits_with(0);
    // The same recording gives the same files.
    assert_eq!(read(&folder.join("mappings/users.internal_8080.json")), mappings);
    assert_eq!(fs::read_to_string(folder.join("mine")).unwrap(), "mine");
    let file = workspace.path("a.json");
    let args = ["capture", "--from", &from, "--to", plain(&file)];
    mirror(&args).exits_with(2).complains(&["a.json", "--format"]);
    mirror(&[&args[..], &["--format", "hoverfly", "--rotate", "1h"]].concat())
        .exits_with(2)
        .complains(&["--rotate"]);
    mirror(&[&args[..], &["--format", "hoverfly", "--no-bodies"]].concat())
        .exits_with(2)
        .complains(&["--no-bodies"]);
    let jsonl = workspace.path("a.jsonl");
    mirror(&["capture", "--from", &from, "--to", plain(&jsonl), "--delays"])
        .exits_with(2)
        .complains(&["--delays"]);
}
