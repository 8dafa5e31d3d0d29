//! A body that is longer than all memory that the run may take: it streams through.

use std::io::{BufWriter, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use etherparse::PacketBuilder;
use sha2::{Digest, Sha256};

use crate::support::memory::peak_kib;
use crate::support::target::{Behaviour, Target};
use crate::support::{self, binary};

/// Twice what may be held.
const BODY_BYTES: u32 = 128 << 20;

/// What a run may hold at its peak.
const MOST_KIB: u64 = 64 << 10;

const PATIENCE: Duration = Duration::from_secs(30);

const SEGMENT_BYTES: u32 = 32 << 10;

/// The payload of the segment with this number; no two are alike.
fn segment(n: u32) -> Vec<u8> {
    n.to_le_bytes().repeat(SEGMENT_BYTES as usize / 4)
}

/// Writes a POST with a long body as a capture, packet by packet.
fn write_long_post(out: impl Write) -> std::io::Result<()> {
    let mut out = BufWriter::new(out);
    for word in [0xa1b2_3c4d_u32, 0x0004_0002, 0, 0, 65_535, 1] {
        out.write_all(&word.to_le_bytes())?;
    }
    let mut millis = 0_u32;
    let mut send = |seq: u32, syn: bool, payload: &[u8]| {
        let builder =
            PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4([10, 0, 0, 2], [10, 0, 0, 1], 64);
        let builder = builder.tcp(40_000, 8080, seq, 65_000);
        let builder = if syn { builder.syn() } else { builder.ack(1) };
        let mut packet = Vec::new();
        builder.write(&mut packet, payload).map_err(std::io::Error::other)?;
        let length = u32::try_from(packet.len()).map_err(std::io::Error::other)?;
        millis += 1;
        for word in [millis / 1_000, millis % 1_000 * 1_000_000, length, length] {
            out.write_all(&word.to_le_bytes())?;
        }
        out.write_all(&packet)
    };
    send(0, true, b"")?;
    let head =
        format!("POST /long HTTP/1.1\r\nHost: a.example\r\nContent-Length: {BODY_BYTES}\r\n\r\n");
    send(1, false, head.as_bytes())?;
    let mut seq = 1 + u32::try_from(head.len()).map_err(std::io::Error::other)?;
    for n in 0..BODY_BYTES / SEGMENT_BYTES {
        send(seq, false, &segment(n))?;
        seq += SEGMENT_BYTES;
    }
    out.flush()
}

#[track_caller]
fn streams(args: &[&str]) {
    streams_until(args, || {});
}

/// As [`streams`]; the peak is taken after `done`, while the run still waits for more.
#[track_caller]
fn streams_until(args: &[&str], done: impl FnOnce()) {
    let mut child = Command::new(binary())
        .args(args)
        .args(["--from", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("mirror can be run");
    let mut stdin = child.stdin.take().expect("a pipe");
    write_long_post(&mut stdin).expect("mirror reads to the end");
    // The pipe holds 64 KiB: all but those passed through, and the run still waits for more.
    done();
    let peak = peak_kib(&child).expect("it runs");
    drop(stdin);
    assert!(child.wait().expect("it ends").success());
    assert!(peak <= MOST_KIB, "{args:?} held {peak} KiB, more than {MOST_KIB}");
}

#[test]
fn a_long_body_streams_through_inspect() {
    streams(&["inspect", "--summary"]);
    streams(&["inspect", "--json"]);
}

#[test]
fn a_long_body_streams_through_capture() {
    let workspace = support::Workspace::new();
    for name in ["out.pcap", "out.jsonl"] {
        let out = workspace.path(name);
        streams(&["capture", "--to", out.to_str().expect("a plain path")]);
    }
    let raw = workspace.path("raw.pcap");
    streams(&["capture", "--raw", "--to", raw.to_str().expect("a plain path")]);
}

#[test]
fn a_long_body_streams_through_replay() {
    let target = Target::start(Behaviour::Digest);
    let mut received = Vec::new();
    streams_until(&["replay", "--speed", "max", "--to", &target.url()], || {
        received = target.wait_for(1, PATIENCE);
    });
    let mut sha256 = Sha256::new();
    for n in 0..BODY_BYTES / SEGMENT_BYTES {
        sha256.update(segment(n));
    }
    assert_eq!(received[0].taken, Some((u64::from(BODY_BYTES), sha256.finalize().into())));
}
