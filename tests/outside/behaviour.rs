//! Behaviour logs: rows say what `inspect` says, in JSON lines and in Parquet, which a real reader judges.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::support::wire::{Talk, interleaved};
use crate::support::{Workspace, mirror};

/// Every field that `inspect --json` shows in its own way.
const FIELDS: &str = "time,id,client,client-port,server,server-port,interface,method,host,target,minor-version,status,\
                      request-bytes,response-bytes,complete,skipped,header:user-agent,response-header:content-type";

fn scenes() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pcaps");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut scenes: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|it| it == "pcap")).collect();
    scenes.sort();
    assert!(scenes.len() > 10);
    scenes
}

fn plain(path: &Path) -> &str {
    path.to_str().unwrap()
}

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
    for scene in scenes() {
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

#[cfg(feature = "parquet")]
mod parquet {
    use std::io::Write;
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    use super::*;
    use crate::support::binary;
    use crate::support::memory::peak_until_its_end;

    /// What the files hold, as DuckDB reads them; times as text in UTC with microseconds.
    #[track_caller]
    fn read(query: &str) -> Vec<Value> {
        let script = "import json, sys, duckdb\n\
            duckdb.execute(\"set timezone = 'UTC'\")\n\
            rows = duckdb.execute(sys.argv[1])\n\
            names = [column[0] for column in rows.description]\n\
            for row in rows.fetchall(): print(json.dumps(dict(zip(names, row)), default=str))";
        let python =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/duckdb/bin/python");
        let run = Command::new(python).args(["-c", script, query]).output().unwrap();
        assert!(run.status.success(), "{query}\n{}", String::from_utf8_lossy(&run.stderr));
        lines(&String::from_utf8(run.stdout).unwrap())
    }

    const AS_TEXT: &str = "* replace (strftime(time, '%Y-%m-%dT%H:%M:%S.%fZ') as time)";

    /// The files below a folder by their paths in it, in order.
    fn files(folder: &Path) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(next) = folders.pop() {
            for entry in fs::read_dir(&next).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => folders.push(path),
                    false => found.push(plain(path.strip_prefix(folder).unwrap()).to_owned()),
                }
            }
        }
        found.sort();
        found
    }

    #[test]
    #[ignore = "needs duckdb: cargo xtask test"]
    fn duckdb_reads_what_inspect_says() {
        let workspace = Workspace::new();
        let mut all = Map::new();
        for scene in scenes() {
            let name = scene.file_stem().unwrap().to_str().unwrap().to_owned();
            capture(&scene, &workspace.path(&format!("{name}.parquet")), &["--fields", FIELDS]);
            all.insert(name, Value::Array(expected(&scene)));
        }
        let glob = workspace.path("*.parquet");
        let query = format!(
            "select {AS_TEXT} from read_parquet('{}', filename = true, file_row_number = true) \
             order by filename, file_row_number",
            plain(&glob)
        );
        let mut read_rows: Map<String, Value> =
            all.keys().map(|name| (name.clone(), json!([]))).collect();
        for mut row in read(&query) {
            let row_of = row.as_object_mut().unwrap();
            row_of.remove("file_row_number");
            let file = row_of.remove("filename").unwrap();
            let name = Path::new(file.as_str().unwrap()).file_stem().unwrap().to_str().unwrap();
            read_rows[name].as_array_mut().unwrap().push(row);
        }
        for (name, expected) in &all {
            let rows = read_rows[name].as_array().unwrap().clone();
            assert_rows(rows, expected.as_array().unwrap(), Path::new(name));
        }
        let types = read(&format!("describe select * from '{}'", plain(&glob)));
        let of = |column: &str| {
            let found = types.iter().find(|row| row["column_name"] == column).unwrap();
            found["column_type"].as_str().unwrap().to_owned()
        };
        assert_eq!(
            ["time", "status", "method", "complete"].map(of),
            ["TIMESTAMP WITH TIME ZONE", "BIGINT", "VARCHAR", "BOOLEAN"]
        );
    }

    /// One exchange of each connection that begins at these milliseconds after 03:04:05, and ends so much later.
    fn at(times: &[(u64, u64)]) -> Vec<u8> {
        let talk = |n: usize, (start, took): (u64, u64)| {
            Talk::between(&format!("10.0.0.9:{}", 40_000 + n), "10.0.0.1:8080")
                .at_millis(start)
                .open()
                .client(format!("GET /{start} HTTP/1.1\r\nHost: a\r\n\r\n"))
                .at_millis(start + took)
                .server(response(""))
                .close()
        };
        let talks: Vec<_> = times.iter().enumerate().map(|(n, time)| talk(n, *time)).collect();
        interleaved(&talks)
    }

    const MINUTE: u64 = 60_000;

    /// Around four o'clock: the second begins before it and ends behind what begins after it; the last one is an hour later.
    fn around_the_hour() -> Vec<u8> {
        at(&[(MINUTE, 10), (55 * MINUTE, 3 * MINUTE), (57 * MINUTE, 10), (120 * MINUTE, 10)])
    }

    #[test]
    fn a_row_is_in_the_folder_of_the_hour_in_which_its_exchange_began() {
        let workspace = Workspace::new();
        let from = PathBuf::from(workspace.file("day.pcap", &around_the_hour()));
        let to = workspace.path("log");
        capture(&from, &to, &["--format", "parquet"]);
        let expected = [
            "date=2026-01-02/hour=3/part-20260102T030505Z.parquet",
            "date=2026-01-02/hour=4/part-20260102T040105Z.parquet",
            "date=2026-01-02/hour=5/part-20260102T050405Z.parquet",
        ];
        assert_eq!(files(&to), expected);
        // Another run adds files.
        capture(&from, &to, &["--format", "parquet"]);
        assert_eq!(files(&to).len(), 6);
        assert!(files(&to)[1].ends_with("Z_2.parquet"), "{:?}", files(&to));
        // No file is left open, and none is in the way.
        capture(&from, &to, &["--format", "parquet", "--rotate", "1h,keep=1"]);
        assert_eq!(files(&to).len(), 7);
    }

    #[test]
    #[ignore = "needs duckdb: cargo xtask test"]
    fn duckdb_finds_rows_by_date_and_hour() {
        let workspace = Workspace::new();
        let from = PathBuf::from(workspace.file("day.pcap", &around_the_hour()));
        let to = workspace.path("log");
        capture(&from, &to, &["--format", "parquet", "--fields", "time,path,latency"]);
        // What a run leaves that was killed.
        fs::write(to.join("date=2026-01-02/hour=3/.part-a1b2c3.parquet.part"), "PAR1").unwrap();
        let query = format!(
            "select path, latency_us, date, hour from '{}/**/*.parquet' order by path",
            plain(&to)
        );
        let row = |path: &str, latency: u64, hour: u8| json!({"path": path, "latency_us": latency, "date": "2026-01-02", "hour": hour});
        let expected = [
            row("/3300000", 180_000_000 - 3_000, 3),
            row("/3420000", 7_000, 4),
            row("/60000", 7_000, 3),
            row("/7200000", 7_000, 5),
        ];
        assert_eq!(read(&query), expected);
        let query = format!(
            "select count(*) as n from '{}/**/*.parquet' where date = '2026-01-02' and hour = 4",
            plain(&to)
        );
        assert_eq!(read(&query), [json!({"n": 1})]);
    }

    #[test]
    fn files_are_rotated_and_old_ones_removed() {
        let workspace = Workspace::new();
        let times: Vec<_> = (0..6).map(|n| (n * 1_000, 10)).collect();
        let from = PathBuf::from(workspace.file("day.pcap", &at(&times)));
        let folder = workspace.path("out");
        fs::create_dir(&folder).unwrap();
        capture(&from, &folder.join("x.parquet"), &["--rotate", "2s,keep=2"]);
        assert_eq!(files(&folder), ["x-20260102T030407Z.parquet", "x-20260102T030409Z.parquet"]);
        // A size of a byte is reached by every row.
        capture(&from, &folder.join("y.parquet"), &["--rotate", "1"]);
        assert_eq!(files(&folder).len(), 2 + 6);
    }

    #[test]
    fn a_file_that_is_there_is_replaced_only_when_asked() {
        let workspace = Workspace::new();
        let from = PathBuf::from(workspace.file("day.pcap", &at(&[(0, 10)])));
        let to = PathBuf::from(workspace.file("x.parquet", b"yesterday"));
        mirror(&["capture", "--from", plain(&from), "--to", plain(&to)])
            .exits_with(2)
            .complains(&["x.parquet", "exists", "--overwrite"]);
        assert_eq!(fs::read(&to).unwrap(), b"yesterday");
        capture(&from, &to, &["--overwrite"]);
        let file = fs::read(&to).unwrap();
        assert!(file.starts_with(b"PAR1") && file.ends_with(b"PAR1"));
        assert_eq!(files(to.parent().unwrap()), ["day.pcap", "x.parquet"]);
        mirror(&[
            "capture",
            "--from",
            plain(&from),
            "--overwrite",
            "--to",
            "/dev/full.parquet/x.parquet",
        ])
        .exits_with(2)
        .complains(&["/dev/full.parquet", "no file can be created"]);
    }

    /// Waits until there is a file whose name ends so.
    #[expect(clippy::disallowed_methods, reason = "waits for another process")]
    fn wait_for(folder: &Path, ending: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(found) = files(folder).into_iter().find(|name| name.ends_with(ending)) {
                return found;
            }
            assert!(Instant::now() < deadline, "no {ending} in {:?}", files(folder));
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_run_that_is_killed_leaves_no_file_that_looks_whole() {
        let workspace = Workspace::new();
        let folder = workspace.path("out");
        fs::create_dir(&folder).unwrap();
        let to = folder.join("x.parquet");
        let mut child = Command::new(binary())
            .args(["capture", "--from", "-", "--to", plain(&to)])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(&at(&[(0, 10)])).unwrap();
        let part = wait_for(&folder, ".part");
        assert!(part.starts_with(".x-") && part.ends_with(".parquet.part"), "{part}");
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(files(&folder), [part]);
    }

    /// Values of rows, so long that no run may hold them all.
    const LONG_BYTES: usize = 160 << 20;

    /// What a run may hold at its peak, in KiB: the rows of a row group, and as much while it is written.
    const MOST_KIB: u64 = 96 << 10;

    #[test]
    fn rows_are_not_held_in_memory() {
        let workspace = Workspace::new();
        let path = workspace.path("long.har");
        let mut file = std::io::BufWriter::new(fs::File::create(&path).unwrap());
        let long = "x".repeat(16 << 10);
        file.write_all(
            br#"{"log":{"version":"1.2","creator":{"name":"x","version":"1"},"entries":["#,
        )
        .unwrap();
        let count = LONG_BYTES / long.len();
        for n in 0..count {
            let between = if n == 0 { "" } else { "," };
            write!(
                file,
                "{between}{{\"startedDateTime\":\"2026-01-02T03:04:05Z\",\"time\":1,\"request\":{{\"method\":\"GET\",\
                 \"url\":\"http://a/{n}\",\"headers\":[{{\"name\":\"X-Long\",\"value\":\"{n}{long}\"}}]}},\
                 \"response\":{{\"status\":200,\"headers\":[],\"content\":{{\"size\":0}}}}}}"
            )
            .unwrap();
        }
        file.write_all(b"]}}").unwrap();
        file.into_inner().unwrap();
        let to = workspace.path("long.parquet");
        let child = Command::new(binary())
            .args(["capture", "--redact", "none", "--json", "--from", plain(&path)])
            .args(["--fields", "time,path,header:x-long", "--to", plain(&to)])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let peak = peak_until_its_end(&child);
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        let said = String::from_utf8(output.stdout).unwrap();
        let account = format!("\"name\":\"exchanges\",\"seen\":{count},\"delivered\":{count}");
        assert!(said.contains(&account), "{said}");
        assert!(peak < MOST_KIB, "{peak} KiB");
    }
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
