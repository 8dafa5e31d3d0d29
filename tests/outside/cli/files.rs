//! What becomes of files: those that are there, those that are written, several that are read.

use std::fs;

use super::support::wire::{Talk, interleaved};
use super::support::{Workspace, mirror};
use super::{GET, OK, one_get};

fn text(workspace: &Workspace, name: &str) -> String {
    workspace.path(name).to_str().unwrap().to_owned()
}

#[test]
fn a_capture_that_is_read_is_not_written() {
    let workspace = Workspace::new();
    let file = workspace.file("day.pcap", &one_get());
    let link = text(&workspace, "link.pcap");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let folder = text(&workspace, "");
    for (from, to) in [(&file, &file), (&file, &link), (&link, &file), (&folder, &file)] {
        mirror(&["capture", "--overwrite", "--from", from, "--to", to])
            .exits_with(2)
            .complains(&["--to", "write to another one"]);
    }
    for flag in ["--report", "--log-requests"] {
        mirror(&["replay", "--from", &file, "--to", "http://127.0.0.1:9", flag, &link])
            .exits_with(2)
            .complains(&[flag, "write to another one"]);
    }
    let key = workspace.file("key", &[b'k'; 32]);
    let args = ["replay", "--from", &file, "--to", "http://127.0.0.1:9", "--report", &key];
    mirror(&[&args[..], &["--redact", "pii", "--redact-key-file", &key]].concat())
        .exits_with(2)
        .complains(&["--report", "--redact-key-file"]);
    assert_eq!(fs::read(&file).unwrap(), one_get());
}

#[test]
fn two_outputs_are_two_files() {
    let workspace = Workspace::new();
    let file = workspace.file("day.pcap", &one_get());
    let out = text(&workspace, "out.json");
    let args = ["replay", "--from", &file, "--to", "http://127.0.0.1:9"];
    mirror(&[&args[..], &["--report", &out, "--log-requests", &out]].concat())
        .exits_with(2)
        .complains(&["--log-requests", "--report", "give each its own"]);
    assert!(!workspace.path("out.json").exists());
}

#[test]
fn a_file_that_is_there_is_replaced_only_when_asked() {
    let workspace = Workspace::new();
    let file = workspace.file("day.pcap", &one_get());
    for name in ["out.pcap", "out.pcapng", "out.jsonl"] {
        let out = workspace.file(name, b"yesterday");
        mirror(&["capture", "--from", &file, "--to", &out]).exits_with(2).complains(&[
            name,
            "exists",
            "--overwrite",
        ]);
        assert_eq!(fs::read(&out).unwrap(), b"yesterday");
        mirror(&["capture", "--from", &file, "--to", &out, "--overwrite"]).exits_with(0);
        assert_ne!(fs::read(&out).unwrap(), b"yesterday");
    }
}

#[test]
fn a_capture_that_cannot_be_read_is_said_before_the_target_is_reached_and_a_file_written() {
    let workspace = Workspace::new();
    let out = workspace.file("out.pcap", b"yesterday");
    mirror(&["replay", "--from", "/nowhere/day.pcap", "--to", "http://127.0.0.1:9"])
        .exits_with(2)
        .complains(&["/nowhere/day.pcap"]);
    mirror(&["capture", "--from", "/nowhere/day.pcap", "--to", &out, "--overwrite"])
        .exits_with(2)
        .complains(&["/nowhere/day.pcap"]);
    assert_eq!(fs::read(&out).unwrap(), b"yesterday");
}

/// The packets of a capture in two: those of the client, and those of the server.
fn taps(workspace: &Workspace) -> [String; 2] {
    let whole = Talk::new().open().client(GET).server(OK).client(GET).server(OK).close().pcap();
    let (header, mut records) = whole.split_at(24);
    let mut halves = [header.to_vec(), header.to_vec()];
    while let Some(length) = records.get(8..12) {
        let length = u32::from_le_bytes(length.try_into().unwrap()) as usize;
        let (record, rest) = records.split_at(16 + length);
        // The source port of TCP in IPv4 in Ethernet, behind the record's header.
        let from_server = record[16 + 34..16 + 36] == 8080_u16.to_be_bytes();
        halves[usize::from(from_server)].extend(record);
        records = rest;
    }
    [workspace.file("in.pcap", &halves[0]), workspace.file("out.pcap", &halves[1])]
}

#[test]
fn two_taps_of_the_same_hosts_are_one_capture() {
    let workspace = Workspace::new();
    let [client, server] = taps(&workspace);
    for [first, second] in [[&client, &server], [&server, &client]] {
        mirror(&["inspect", "--summary", "--from", first, second]).exits_with(0).says("paired 2");
        mirror(&["inspect", "--summary", "--from", first, "--from", second])
            .exits_with(0)
            .says("paired 2");
    }
}

#[test]
fn one_unreadable_capture_of_several_is_reported_at_the_end() {
    let workspace = Workspace::new();
    let file = workspace.file("day.pcap", &one_get());
    let notes = workspace.file("notes.pcap", b"these are my notes, not packets");
    let run = mirror(&["inspect", "--from", &file, &notes, "/nowhere/a.pcap"]).exits_with(2);
    let run = run.says("/items");
    for part in ["2 of 3 captures", "notes.pcap", "/nowhere/a.pcap"] {
        assert!(run.stderr().contains(part), "{}", run.stderr());
    }
}

#[test]
fn a_rotated_capture_is_read_again_as_one() {
    let workspace = Workspace::new();
    let talks: Vec<Talk> = (0..20_u16)
        .map(|n| {
            let client = format!("10.1.0.2:{}", 40_000 + n);
            Talk::between(&client, "10.1.0.1:8080").open().client(GET).server(OK).close()
        })
        .collect();
    let file = workspace.file("day.pcap", &interleaved(&talks));
    for (name, raw) in
        [("out.pcap", true), ("out.pcap", false), ("out.pcapng", false), ("out.jsonl", false)]
    {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join(name).to_str().unwrap().to_owned();
        let args = ["capture", "--from", &file, "--to", &out, "--rotate", "2KiB"];
        let raw = if raw { &["--raw"][..] } else { &[] };
        mirror(&[&args, raw].concat()).exits_with(0);
        let files: Vec<_> = fs::read_dir(folder.path()).unwrap().map(Result::unwrap).collect();
        assert!(files.len() > 2, "{name}: {files:?}");
        for file in &files {
            let file = file.file_name().into_string().unwrap();
            assert!(file.starts_with("out-20") && !file.ends_with(".part"), "{file}");
        }
        if name == "out.jsonl" {
            let lines = files.iter().map(|file| fs::read_to_string(file.path()).unwrap());
            assert_eq!(lines.map(|text| text.lines().count()).sum::<usize>(), 20);
        } else {
            let folder = folder.path().to_str().unwrap().to_owned();
            let run = mirror(&["inspect", "--summary", "--from", &folder]).exits_with(0);
            run.says("paired 20");
        }
    }
}

#[test]
fn a_rotation_needs_files_and_keeps_as_many_as_asked() {
    let workspace = Workspace::new();
    let file = workspace.file("day.pcap", &one_get());
    mirror(&["capture", "--from", &file, "--to", "-", "--rotate", "1h"])
        .exits_with(2)
        .complains(&["--rotate", "write to a file"]);
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.pcap").to_str().unwrap().to_owned();
    mirror(&["capture", "--from", &file, "--to", &out, "--rotate", "1,keep=2"]).exits_with(0);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}
