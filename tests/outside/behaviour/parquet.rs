//! Rows as Parquet: read by DuckDB, whole or not there, and never held in memory.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Map;

use super::*;
use crate::support::memory::peak_until_its_end;
use crate::support::{binary, har};

/// What the files hold, as DuckDB reads them; times as text in UTC with microseconds.
#[track_caller]
fn read(query: &str) -> Vec<Value> {
    let script = "import json, sys, duckdb\n\
        duckdb.execute(\"set timezone = 'UTC'\")\n\
        rows = duckdb.execute(sys.argv[1])\n\
        names = [column[0] for column in rows.description]\n\
        for row in rows.fetchall(): print(json.dumps(dict(zip(names, row)), default=str))";
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/duckdb/bin/python");
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
    for scene in captures() {
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
    mirror(&["capture", "--from", plain(&from), "--to", plain(&to)]).exits_with(2).complains(&[
        "x.parquet",
        "exists",
        "--overwrite",
    ]);
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
    let long = "x".repeat(16 << 10);
    let count = LONG_BYTES / long.len();
    let entries = (0..count).map(|n| {
        format!(
            "{{\"startedDateTime\":\"2026-01-02T03:04:05Z\",\"time\":1,\"request\":{{\"method\":\"GET\",\
             \"url\":\"http://a/{n}\",\"headers\":[{{\"name\":\"X-Long\",\"value\":\"{n}{long}\"}}]}},\
             \"response\":{{\"status\":200,\"headers\":[],\"content\":{{\"size\":0}}}}}}"
        )
    });
    har::write(&path, entries);
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
