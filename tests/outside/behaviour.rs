//! Behaviour logs: rows say what `inspect` says, in JSON lines and in Parquet, which a real reader judges.

#[cfg(feature = "parquet")]
#[path = "behaviour/parquet.rs"]
mod parquet;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::scenes::captures;
use crate::support::wire::{Talk, interleaved};
use crate::support::{Workspace, mirror, plain};

/// Every field that `inspect --json` shows in its own way.
const FIELDS: &str = "time,id,client,client-port,server,server-port,interface,method,host,target,minor-version,status,\
                      request-bytes,response-bytes,complete,skipped,header:user-agent,response-header:content-type";

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The rows that must be written for a capture, made of what `inspect` shows of it.
fn expected(from: &Path) -> Vec<Value> {
    let args = ["inspect", "--redact", "none", "--json", "--no-bodies", "--from", plain(from)];
    lines(&mirror(&args).exits_with(0).stdout()).iter().map(row).collect()
}

fn row(exchange: &Value) -> Value {
    let (request, response) = (&exchange["request"], &exchange["response"]);
    let first = if request.is_null() { response } else { request };
    let end = |name: &str| exchange[name].as_str().unwrap().rsplit_once(':').unwrap();
    let client = if exchange["proxied_client"].is_null() { "client" } else { "proxied_client" };
    let ip = |name| end(name).0.trim_matches(['[', ']']).to_owned();
    let port = |name| end(name).1.parse::<u16>().unwrap();
    let header = |message: &Value, name: &str| -> Option<String> {
        let fields = message["headers"].as_array()?.iter();
        let named = fields.filter(|field| field[0].as_str().unwrap().eq_ignore_ascii_case(name));
        let values: Vec<_> = named.map(|field| field[1].as_str().unwrap()).collect();
        (!values.is_empty()).then(|| values.join(", "))
    };
    // From nanoseconds to microseconds.
    let time = first["time"].as_str().unwrap();
    let time = format!("{}Z", &time[..time.len() - 4]);
    let version = request["version"].as_str().map(|text| text[2..].parse::<u8>().unwrap());
    json!({
        "time": time, "id": exchange["id"],
        "client": ip(client), "client_port": port(client),
        "server": ip("server"), "server_port": port("server"),
        "interface": exchange["interface"], "method": request["method"], "host": request["host"],
        "target": request["target"], "minor_version": version, "status": response["status"],
        "request_bytes": request["body_length"], "response_bytes": response["body_length"],
        "complete": request["complete"] == true && response["complete"] == true,
        "skipped": exchange["skipped"],
        "header_user_agent": header(request, "user-agent"),
        "response_header_content_type": header(response, "content-type"),
    })
}

/// Where a target in absolute form names another host than the field, rows have the target's.
fn without_host(mut row: Value, expected: &Value) -> Value {
    if expected["target"].as_str().is_some_and(|target| target.contains("://")) {
        row["host"] = expected["host"].clone();
    }
    row
}

fn capture(from: &Path, to: &Path, more: &[&str]) -> crate::support::Run {
    let args = ["capture", "--redact", "none", "--from", plain(from), "--to", plain(to)];
    mirror(&[&args[..], more].concat()).exits_with(0)
}

#[track_caller]
fn assert_rows(have: Vec<Value>, expected: &[Value], of: &Path) {
    assert_eq!(have.len(), expected.len(), "{}", of.display());
    for (have, expected) in have.into_iter().zip(expected) {
        assert_eq!(&without_host(have, expected), expected, "{}", of.display());
    }
}

#[test]
fn flat_rows_say_what_inspect_says() {
    let workspace = Workspace::new();
    for scene in captures() {
        let to = workspace.path("rows.jsonl");
        capture(&scene, &to, &["--fields", FIELDS, "--overwrite"]);
        let rows = lines(&fs::read_to_string(&to).unwrap());
        assert_rows(rows, &expected(&scene), &scene);
    }
}

fn response(more: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n{more}\r\nok")
}

/// Two customers and a request that nobody answered.
fn shop() -> Vec<u8> {
    let ada = Talk::new()
        .open()
        .client("GET /orders/5001/items?sort=price HTTP/1.1\r\nHost: shop\r\nX-User: ada\r\nAuthorization: Bearer sesame\r\n\r\n")
        .at_millis(24)
        .server(response("Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n"))
        .close();
    let ben = Talk::between("10.0.0.3:40000", "10.0.0.1:8080")
        .open()
        .client("POST /carts HTTP/1.1\r\nHost: shop\r\nX-User: ben\r\nX-User: eve\r\nContent-Length: 3\r\n\r\ntea")
        .at_millis(100)
        .close();
    interleaved(&[ada, ben])
}

#[test]
fn times_templates_and_headers_are_made_of_exchanges() {
    let workspace = Workspace::new();
    let from = PathBuf::from(workspace.file("shop.pcap", &shop()));
    let to = workspace.path("rows.jsonl");
    let fields = "path-template,query,path,latency,first-byte,status,complete,connection,header:x-user,\
                  header:authorization,response-header:set-cookie";
    let args = ["capture", "--fields", fields, "--from", plain(&from), "--to", plain(&to)];
    mirror(&args).exits_with(0);
    let mut rows = lines(&fs::read_to_string(&to).unwrap());
    for row in &mut rows {
        let row = row.as_object_mut().unwrap();
        let token = row.remove("header_authorization").unwrap();
        assert!(
            token.is_null() || token.as_str().unwrap().starts_with("Bearer redacted-"),
            "{token}"
        );
        let cookies = row.remove("response_header_set_cookie").unwrap();
        let cookies: Option<Vec<_>> = cookies.as_str().map(|text| text.split(", ").collect());
        assert!(cookies.is_none_or(|it| it[0].starts_with("a=red") && it[1].starts_with("b=red")));
    }
    let ada = json!({
        "path_template": "/orders/{id}/items", "query": "sort=price", "path": "/orders/5001/items",
        "latency_us": 21_000, "first_byte_us": 21_000, "status": 200, "complete": true, "connection": "0",
        "header_x_user": "ada"
    });
    let ben = json!({
        "path_template": "/carts", "query": "", "path": "/carts", "latency_us": null,
        "first_byte_us": null, "status": null, "complete": false, "connection": "1",
        "header_x_user": "ben, eve"
    });
    assert_eq!(rows, [ada, ben]);
}

#[test]
fn what_is_wrong_with_fields_is_said_in_one_line() {
    let workspace = Workspace::new();
    let from = workspace.file("shop.pcap", &shop());
    let refused = |to: &str, more: &[&str], parts: &[&str]| {
        let to = workspace.path(to);
        let args = ["capture", "--from", &from, "--to", plain(&to)];
        let run = mirror(&[&args[..], more].concat()).exits_with(2);
        for part in parts {
            assert!(run.stderr().contains(part), "no {part:?} in {}", run.stderr());
        }
        assert!(!to.exists(), "{}", to.display());
    };
    let unknown = ["latncy: no such field", "latency", "header:NAME"];
    refused("x.jsonl", &["--fields", "time,latncy"], &unknown);
    for other in ["x.har", "x.pcap"] {
        refused(other, &["--fields", "time"], &["--fields", ".jsonl and .parquet"]);
    }
    refused("x.hoverfly.json", &["--fields", "time"], &["--fields", "stubs"]);
    refused("x.jsonl", &["--fields", "time", "--no-bodies"], &["--no-bodies", "leave it out"]);
    refused("x.parquet", &["--no-bodies"], &["--no-bodies", "leave it out"]);
    refused("x", &["--format", "parquet", "--overwrite"], &["--overwrite", "none is replaced"]);
}

#[cfg(not(feature = "parquet"))]
#[test]
fn without_the_feature_parquet_is_refused_by_name() {
    let workspace = Workspace::new();
    let from = workspace.file("shop.pcap", &shop());
    let to = workspace.path("x.parquet");
    mirror(&["capture", "--from", &from, "--to", plain(&to)])
        .exits_with(2)
        .complains(&["x.parquet", "the feature `parquet`"]);
}
