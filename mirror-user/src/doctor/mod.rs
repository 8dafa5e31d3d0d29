//! `mirror doctor`: whether this host can capture, and if not, what is missing and what to do.
//! [`watch`] finds out why nothing is seen on a port, [`preflight`] whether a target could harm production.

mod finding;
pub mod preflight;
pub mod watch;

use std::fmt;
use std::io::Write;
use std::path::Path;

use anyhow::ensure;
use rustix::system::uname;
use serde::Serialize;

use self::finding::Mark;
use crate::confine::{Bounds, Confined, confine};
use crate::privileges;
use crate::source::live::{Device, has_tcx};

/// The first kernel with a BPF ring buffer, without which there is no live capture.
const RING_BUFFER: (u32, u32) = (5, 8);
/// The oldest kernel that mirror is tested on.
const OLDEST: (u32, u32) = (5, 15);

/// The findings about this host.
#[derive(Debug, Serialize)]
pub struct Report {
    findings: Vec<Finding>,
    interfaces: Vec<Interface>,
}

/// One fact.
type Finding = finding::Finding<Verdict>;

/// What a fact means for live capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Good,
    /// Capture works, with a restriction.
    Lesser,
    /// Capture does not work without it.
    Missing,
}

#[derive(Debug, Serialize)]
struct Interface {
    name: String,
    up: bool,
    first_header: &'static str,
}

/// Runs `mirror doctor`: writes a report on this host to `out`.
///
/// # Errors
/// When this host cannot capture, after the report was printed.
pub fn run(json: bool, out: &mut dyn Write) -> anyhow::Result<()> {
    let report = examine();
    if json {
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
    } else {
        write!(out, "{report}")?;
    }
    ensure!(
        report.can_capture(),
        "this host cannot capture live traffic; capture files can still be read"
    );
    Ok(())
}

/// Examines this host and this process, and changes nothing.
#[must_use]
pub fn examine() -> Report {
    let release = uname().release().to_string_lossy().into_owned();
    let version = version_of(&release);
    let mut findings = vec![kernel(&release, version), attachment(), btf()];
    findings.extend(privileges::CAPTURE.iter().map(capability));
    findings.push(object());
    findings.push(confinement());
    let interfaces = Device::all().unwrap_or_default().into_iter().map(|device| Interface {
        name: device.name,
        up: device.up,
        first_header: match device.link {
            mirror_common::Link::Ethernet => "Ethernet",
            mirror_common::Link::Ip => "IP",
        },
    });
    Report { findings, interfaces: interfaces.collect() }
}

fn kernel(release: &str, version: Option<(u32, u32)>) -> Finding {
    let (verdict, advice) = match version {
        Some(version) if version >= OLDEST => (Verdict::Good, None),
        Some(version) if version >= RING_BUFFER => {
            (Verdict::Lesser, Some("mirror is tested from Linux 5.15 on".to_owned()))
        }
        _ => (
            Verdict::Missing,
            Some("the ring buffer needs Linux 5.8; use 5.15 or later".to_owned()),
        ),
    };
    Finding { what: "kernel", found: release.to_owned(), verdict, advice }
}

fn attachment() -> Finding {
    let tcx = has_tcx();
    Finding {
        what: "attached by",
        found: if tcx { "TCX" } else { "clsact" }.to_owned(),
        verdict: if tcx { Verdict::Good } else { Verdict::Lesser },
        advice: (!tcx).then(|| {
            "clsact filters stay attached when mirror is killed; its next start removes them (TCX needs Linux 6.6)".to_owned()
        }),
    }
}

fn btf() -> Finding {
    let there = Path::new("/sys/kernel/btf/vmlinux").exists();
    Finding {
        what: "BTF",
        found: if there { "present" } else { "absent" }.to_owned(),
        verdict: if there { Verdict::Good } else { Verdict::Lesser },
        advice: (!there)
            .then(|| "not needed; `bpftool prog dump` shows less without it".to_owned()),
    }
}

/// Tested on a thread of its own, as a thread stays confined until it ends.
fn confinement() -> Finding {
    let bounds = Bounds { writes: Vec::new(), connects: Some(Vec::new()), listens: Vec::new() };
    let confined = std::thread::spawn(move || confine(&bounds)).join();
    let (found, verdict, advice) = match confined {
        Ok(Ok(Confined::Wholly)) => ("Landlock: files, programs, connections", Verdict::Good, None),
        Ok(Ok(Confined::Partly)) => (
            "Landlock: files, programs",
            Verdict::Lesser,
            Some(
                "a live run can connect to any port; from Linux 6.7 on, connections are confined as well",
            ),
        ),
        _ => (
            "nothing",
            Verdict::Lesser,
            Some(
                "not needed; with Landlock (Linux 5.13, `lsm=landlock,…`) a live run could write only to its own files",
            ),
        ),
    };
    Finding {
        what: "confined by",
        found: found.to_owned(),
        verdict,
        advice: advice.map(Into::into),
    }
}

fn capability(capability: &privileges::Capability) -> Finding {
    let held = capability.is_held();
    Finding {
        what: capability.name,
        found: format!("{} ({})", if held { "held" } else { "not held" }, capability.purpose),
        verdict: if held { Verdict::Good } else { Verdict::Missing },
        advice: (!held).then(|| {
            "run as root, or `setcap cap_bpf,cap_perfmon,cap_net_admin+ep mirror`".to_owned()
        }),
    }
}

/// Loads the kernel programs: whether the verifier accepts them, and if not, its message.
fn object() -> Finding {
    let outcome = crate::source::live::try_load();
    Finding {
        what: "kernel program",
        found: match &outcome {
            Ok(()) => "loads".to_owned(),
            Err(_) => "does not load".to_owned(),
        },
        verdict: if outcome.is_ok() { Verdict::Good } else { Verdict::Missing },
        advice: outcome.err().map(|error| format!("{error:#}")),
    }
}

/// `6.18.44-generic` is (6, 18).
fn version_of(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

impl Report {
    /// True when nothing is missing for live capture.
    #[must_use]
    pub fn can_capture(&self) -> bool {
        self.findings.iter().all(|finding| finding.verdict != Verdict::Missing)
    }
}

impl Mark for Verdict {
    fn mark(&self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Lesser => "note",
            Self::Missing => "MISSING",
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            finding.write(f, 14)?;
        }
        writeln!(f, "\ninterfaces (for --from):")?;
        for Interface { name, up, first_header } in &self.interfaces {
            let state = if *up { "up" } else { "down" };
            writeln!(f, "         {name:14}  {state:4}  first header: {first_header}")?;
        }
        if self.can_capture() {
            writeln!(f, "\nthis host can capture: mirror inspect --from lo --port 8080")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_the_start_of_a_release() {
        assert_eq!(version_of("6.18.44-fc"), Some((6, 18)));
        assert_eq!(version_of("5.15.0-91-generic"), Some((5, 15)));
        assert_eq!(version_of("rolling"), None);
    }

    #[test]
    fn the_report_names_every_capability_and_interface() {
        let text = examine().to_string();
        for capability in privileges::CAPTURE {
            assert!(text.contains(capability.name), "{text}");
        }
        assert!(text.contains("lo"), "{text}");
    }
}
