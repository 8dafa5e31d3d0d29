//! What can be typed. What it means is said in [`config`](crate::config).

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "mirror",
    version,
    about = "Shadows production HTTP traffic without standing in its path",
    long_about = "Shadows production HTTP traffic without standing in its path.\n\n\
        A small kernel program copies the packets of chosen TCP ports; mirror puts the streams back together, \
        reads HTTP/1.x, marks each request as shadow and sends it to a test endpoint, or writes files. \
        Capture files go the same way.",
    after_help = "Try `mirror demo` first: it needs no set-up and no privileges.\n\
        Exit codes: 0 done, 1 differences found, 2 could not do it.",
    disable_help_subcommand = true
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Send a marked copy of every request to a test endpoint
    #[command(after_help = "Examples:\n  \
        mirror replay --from eth0 --port 8080 --to http://staging:8080\n  \
        mirror replay --from day.pcap --to http://staging:8080 --speed 2\n  \
        tcpdump -w - port 8080 | mirror replay --from - --to http://staging:8080")]
    Replay(ReplayArgs),
    /// Write what is seen to a file: .pcap, .pcapng or .jsonl
    #[command(after_help = "Examples:\n  \
        mirror capture --from eth0 --port 8080 --to day.pcap\n  \
        mirror capture --from day.pcap --to day.jsonl\n\n\
        Packet files hold the packets as they were seen, credentials and personal data included; \
        they are created readable for their owner alone.")]
    Capture(CaptureArgs),
    /// Show what was seen, what was skipped, and why
    #[command(after_help = "Examples:\n  \
        mirror inspect --from day.pcap\n  \
        mirror inspect --from day.pcap --json | jq .request.target\n  \
        mirror inspect --from eth0 --port 8080 --summary")]
    Inspect(InspectArgs),
    /// Say whether this host can capture, and if not, what is missing
    Doctor(DoctorArgs),
    /// A self-contained show: a small production, a shadow, and real packets between them
    Demo(DemoArgs),
}

/// Where packets come from.
#[derive(Debug, Args)]
#[command(next_help_heading = "Source")]
pub struct SourceArgs {
    /// An interface (repeat for more; `any` for all), a capture file, a folder of them, or `-` for standard input
    #[arg(long, value_name = "IFACE|FILE|DIR|-", required = true)]
    pub from: Vec<String>,
    /// TCP port that production listens on; repeat for more. Needed for interfaces, optional for files
    #[arg(long = "port", value_name = "PORT", value_delimiter = ',')]
    pub ports: Vec<u16>,
    /// Where in the kernel packets are copied (interfaces only)
    #[arg(long, value_enum, default_value_t = HookArg::Tc)]
    pub hook: HookArg,
    /// Size of the ring between kernel and user space, a power of two (interfaces only)
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    pub ring_size: Option<u64>,
    /// Stop after this time (interfaces only); otherwise on Ctrl-C
    #[arg(long = "for", value_name = "TIME", value_parser = parse_duration)]
    pub run_for: Option<Duration>,
}

/// The kernel hook that copies packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HookArg {
    /// Ingress and egress: TCX where the kernel has it (6.6), clsact before
    Tc,
    /// Ingress and egress through clsact, even where the kernel has TCX
    Clsact,
    /// Ingress only, before the network stack
    Xdp,
}

/// How the end is told.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Print the summary as JSON
    #[arg(long, help_heading = "Output")]
    pub json: bool,
}

/// The longest request body that is replayed unless asked. A body of 4 GiB is to pass, and its chunk
/// framing counts; twice that leaves room, and still bounds what one request takes of the disk.
const MAX_BODY: &str = "8GiB";

/// `mirror replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// Where packets come from.
    #[command(flatten)]
    pub source: SourceArgs,
    /// The test endpoint
    #[arg(long, value_name = "URL", help_heading = "Replay")]
    pub to: String,
    /// When requests of a file are sent: as recorded (1), N times faster, or as fast as the target
    /// takes them [default: 1]
    #[arg(long, value_name = "N|max", value_parser = parse_speed, help_heading = "Replay")]
    pub speed: Option<Speed>,
    /// The Host that the target sees: as recorded, with `-shadow` before its port, the target's own, or NAME
    #[arg(
        long,
        value_name = "keep|suffix|target|NAME",
        default_value = "suffix",
        help_heading = "Marking"
    )]
    pub host: String,
    /// Append the suffix to IP addresses, too
    #[arg(long, help_heading = "Marking")]
    pub suffix_addresses: bool,
    /// Ask the target to roll back what the request changes (adds `X-Shadow-Mode: rollback`)
    #[arg(long, value_enum, value_name = "MODE", help_heading = "Marking")]
    pub mode: Option<ModeArg>,
    /// Whether requests that can be read in two ways are sent, byte for byte
    #[arg(long, value_enum, default_value_t = AmbiguousArg::Drop, help_heading = "Rules")]
    pub ambiguous: AmbiguousArg,
    /// Connections to the target at the same time, at most
    #[arg(long, value_name = "N", default_value_t = 256, help_heading = "Replay")]
    pub max_connections: usize,
    /// Bytes of requests that may wait for the target, at most
    #[arg(long, value_name = "SIZE", default_value = "32MiB", value_parser = parse_bytes, help_heading = "Replay")]
    pub max_queue: u64,
    /// Bytes of one request body, at most; longer than 1 MiB it waits in an unlinked temporary file
    #[arg(long, value_name = "SIZE", default_value = MAX_BODY, value_parser = parse_bytes, help_heading = "Replay")]
    pub max_body: u64,
    /// How long a connection to the target may take to be made
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = parse_duration, help_heading = "Replay")]
    pub connect_timeout: Duration,
    /// How long the target may take to begin its answer, and how long it may pause inside it
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration, help_heading = "Replay")]
    pub answer_timeout: Duration,
    /// How the end is told.
    #[command(flatten)]
    pub report: ReportArgs,
}

/// What a shadow request asks of the services that it meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ModeArg {
    /// Do the work, then roll it back
    Rollback,
}

/// What becomes of requests that can be read in two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AmbiguousArg {
    /// Count them
    Drop,
    /// Send them byte for byte
    Send,
}

/// `mirror capture`.
#[derive(Debug, Args)]
pub struct CaptureArgs {
    /// Where packets come from.
    #[command(flatten)]
    pub source: SourceArgs,
    /// The file to write; its ending says which format
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub to: PathBuf,
    /// Leave bodies out of .jsonl files
    #[arg(long, help_heading = "Output")]
    pub no_bodies: bool,
    /// How the end is told.
    #[command(flatten)]
    pub report: ReportArgs,
}

/// `mirror inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// Where packets come from.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Print one exchange a line as JSON
    #[arg(long, help_heading = "Output")]
    pub json: bool,
    /// Print counts only
    #[arg(long, help_heading = "Output")]
    pub summary: bool,
    /// Leave bodies out of the JSON (their length and digest stay)
    #[arg(long, help_heading = "Output")]
    pub no_bodies: bool,
}

/// `mirror doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Print the findings as JSON
    #[arg(long)]
    pub json: bool,
}

/// `mirror demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Read the shipped capture file even where live capture is possible
    #[arg(long)]
    pub offline: bool,
}

/// When requests of a file are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// So many times faster than they were recorded.
    Times(f64),
    /// As fast as the target takes them.
    Max,
}

fn parse_speed(text: &str) -> Result<Speed, String> {
    if text == "max" {
        return Ok(Speed::Max);
    }
    match text.trim_end_matches('x').parse::<f64>() {
        Ok(times) if times.is_finite() && times > 0.0 => Ok(Speed::Times(times)),
        _ => Err("a number above 0, such as 1, 0.5 or 10, or `max`".into()),
    }
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|_| "a time with its unit, such as 500ms, 30s or 5m".into())
}

/// Bytes with an optional binary unit: `65536`, `64KiB`, `16M`.
fn parse_bytes(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = text.get(digits.len()..).unwrap_or_default().trim().to_ascii_lowercase();
    let shift = match unit.as_str() {
        "" | "b" => 0,
        "k" | "kib" => 10,
        "m" | "mib" => 20,
        "g" | "gib" => 30,
        _ => return Err("a number of bytes, such as 65536, 64KiB or 16MiB".into()),
    };
    digits
        .parse::<u64>()
        .ok()
        .and_then(|n| n.checked_mul(1 << shift))
        .ok_or_else(|| "a number of bytes, such as 65536, 64KiB or 16MiB".into())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definitions_hold_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn bytes_are_read_with_binary_units() {
        assert_eq!(parse_bytes("65536"), Ok(65536));
        assert_eq!(parse_bytes("64KiB"), Ok(65536));
        assert_eq!(parse_bytes("16m"), Ok(16 << 20));
        assert!(parse_bytes("sixteen").is_err());
        assert!(parse_bytes("99999999999G").is_err());
    }

    #[test]
    fn a_speed_is_a_positive_number_or_max() {
        assert_eq!(parse_speed("max"), Ok(Speed::Max));
        assert_eq!(parse_speed("2.5"), Ok(Speed::Times(2.5)));
        assert_eq!(parse_speed("10x"), Ok(Speed::Times(10.0)));
        for bad in ["0", "-1", "nan", "inf", "fast"] {
            assert!(parse_speed(bad).is_err(), "{bad}");
        }
    }
}
