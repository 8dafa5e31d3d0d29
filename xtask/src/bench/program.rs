//! How long the kernel program takes for a packet, by what becomes of it and by its size, as the
//! kernel itself counts it (`kernel.bpf_stats_enabled`).

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, ensure};
use etherparse::PacketBuilder;
use serde_json::Value;

use super::capture::Guard;
use super::lab::{CABLE, Lab};
use super::live::{interrupt, lost_in_kernel, mirror};
use crate::{cargo, run_command, setup};

/// Payload sizes: a small request, a full segment, and GRO packets, the last of as many full
/// segments as IPv4 can say.
const SIZES: [usize; 4] = [100, 1_448, 16_384, 45 * 1_448];

/// Packets of each measurement, and how many a second: few enough that none is lost.
const PACKETS: u32 = 20_000;
const PACKETS_PER_SECOND: u32 = 10_000;

/// What becomes of the packets, and the flags for that.
const PATHS: [(&str, &[&str]); 5] = [
    ("a port that is not watched", &["--port", "9999"]),
    ("not in the sample", &["--port", "8080", "--sample", "0.0000001"]),
    (
        "not of the networks (10 of them)",
        &[
            "--port",
            "8080",
            "--client-net",
            "10.0.0.0/30,10.1.0.0/16,10.2.0.0/16,10.3.0.0/16,10.4.0.0/16",
            "--client-net",
            "192.168.0.0/16,172.16.0.0/12,fd00::/8,10.5.0.0/16,10.6.0.0/16",
        ],
    ),
    ("copied, 128 bytes of it", &["--port", "8080", "--snaplen", "128"]),
    ("copied", &["--port", "8080"]),
];

/// Measures and prints a table. Needs root.
pub(super) fn run() -> anyhow::Result<()> {
    ensure!(setup::is_root(), "network namespaces need root");
    setup::ensure_tools(setup::TEST_TOOLS);
    cargo(&["build", "--release", "--package", "mirror-user"])?;
    let scratch = tempfile::tempdir()?;
    let lab = Lab::new(scratch.path())?;
    lab.let_pass_large_packets()?;
    let _counting = Counting::start()?;
    let files: Vec<PathBuf> =
        SIZES.iter().map(|size| packets(scratch.path(), *size)).collect::<Result<_, _>>()?;
    println!("nanoseconds a packet of payload bytes (time of the kernel's own clock included):");
    println!("  {:34} {}", "", SIZES.map(|size| format!("{size:>8}")).concat());
    for (name, flags) in PATHS {
        let nanos = files.iter().map(|file| nanos(&lab, scratch.path(), flags, file));
        let nanos = nanos.map(|nanos| Ok(format!("{:>8.0}", nanos?)));
        println!("  {name:34} {}", nanos.collect::<anyhow::Result<Vec<_>>>()?.concat());
    }
    Ok(())
}

/// One packet of a connection's middle, to nobody's hardware address: it passes the hook, and the
/// server's stack throws it away.
fn packets(folder: &Path, size: usize) -> anyhow::Result<PathBuf> {
    let path = folder.join(format!("{size}.pcap"));
    let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv4([10, 78, 0, 2], [10, 78, 0, 1], 64)
        .tcp(40_000, 8080, 1, 65_535)
        .ack(1);
    let mut bytes = Vec::with_capacity(builder.size(size));
    builder.write(&mut bytes, &vec![b'x'; size])?;
    // A little-endian pcap file, version 2.4, Ethernet, and its one packet.
    let len = u32::try_from(bytes.len())?;
    let header = [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 262_144, 1, 0, 0, len, len];
    let header = header.into_iter().flat_map(u32::to_le_bytes);
    fs::write(&path, header.chain(bytes).collect::<Vec<u8>>())?;
    Ok(path)
}

fn nanos(lab: &Lab, folder: &Path, flags: &[&str], file: &Path) -> anyhow::Result<f64> {
    let command =
        mirror(&[&["inspect", "--summary", "--json", "--from", CABLE][..], flags].concat());
    let summary = folder.join("summary.json");
    let mut child = Guard(lab.server(&command, File::create(&summary)?.into())?);
    lab.wait_until_attached(&mut child.0)?;
    let before = time_and_packets(child.0.id())?;
    let (loops, pps) = (PACKETS.to_string(), PACKETS_PER_SECOND.to_string());
    let file = file.to_string_lossy();
    let replay = ["tcpreplay", "--quiet", "--loop", &loops, "--pps", &pps, "--intf1=cli", &file];
    run_command(lab.client(&replay).stdout(Stdio::null()).stderr(Stdio::null()))?;
    let after = time_and_packets(child.0.id())?;
    interrupt(&child)?;
    child.0.wait()?;
    let (time, packets) = (after.0 - before.0, after.1 - before.1);
    ensure!(packets >= u64::from(PACKETS), "only {packets} packets passed the hook");
    let summary: Value = serde_json::from_reader(File::open(summary)?)?;
    let (_, lost) = lost_in_kernel(&summary)?;
    ensure!(lost.is_empty(), "some were lost, which is cheaper than to copy them: {lost:?}");
    Ok(time as f64 / packets as f64)
}

/// Of the programs of a process: how long they ran in all, nanoseconds, and how often.
fn time_and_packets(process: u32) -> anyhow::Result<(u64, u64)> {
    let mut sum = (0, 0);
    for entry in fs::read_dir(format!("/proc/{process}/fdinfo"))? {
        // One that was closed meanwhile is no program.
        let Ok(told) = fs::read_to_string(entry?.path()) else { continue };
        let number = |name: &str| -> Option<u64> {
            told.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
        };
        // Links tell the id of their program, too, but not its time.
        if let (Some(time), Some(count)) = (number("run_time_ns:"), number("run_cnt:")) {
            sum = (sum.0 + time, sum.1 + count);
        }
    }
    Ok(sum)
}

/// While it lives, the kernel counts the time of its programs.
struct Counting {
    before: String,
}

impl Counting {
    const SWITCH: &str = "/proc/sys/kernel/bpf_stats_enabled";

    fn start() -> anyhow::Result<Self> {
        let before = fs::read_to_string(Self::SWITCH).context(Self::SWITCH)?;
        fs::write(Self::SWITCH, "1").context(Self::SWITCH)?;
        Ok(Self { before })
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        // Nothing can be done about a failure, and it costs the host next to nothing.
        let _ = fs::write(Self::SWITCH, self.before.trim());
    }
}
