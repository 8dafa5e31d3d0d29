//! `cargo xtask bench shadow plot`: what the guard does over time, drawn from a real run into `docs/pictures/production-first.svg`.
//!
//! Customers ask at a fixed rate, then as often as they get answers, then at the fixed rate again, while mirror shadows to a
//! target on the same host. Each second its own metrics tell how many of production's packets passed, which share of
//! connections is copied, and how much of the processors is spare.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use anyhow::Context;

use crate::bench::capture::Guard;
use crate::bench::lab::{CABLE, Lab, SERVER, TARGET, in_namespace};
use crate::bench::live::mirror;
use crate::root;

/// The phases: the requests a second, 0 for as many as there can be, and the seconds.
const PHASES: [(u64, u64); 3] = [(10_000, 10), (0, 30), (10_000, 50)];

const ADMIN: &str = "127.0.0.1:9600";

/// The drawing, in pixels: a strip for each of three values.
const WIDTH: f64 = 720.0;
const STRIP: f64 = 110.0;
const LEFT: f64 = 150.0;
const GAP: f64 = 30.0;

/// One second of the run.
#[derive(Clone, Copy, Default)]
struct Second {
    /// Packets of production.
    packets: f64,
    /// The share of connections that is copied.
    sample: f64,
    /// The share of the processors' time that is spare.
    spare: f64,
}

/// Measures and draws. Needs root.
pub(in crate::bench) fn run() -> anyhow::Result<()> {
    let scratch = tempfile::tempdir()?;
    let lab = Lab::with_mirror(scratch.path())?;
    let _target = lab.target(scratch.path())?;
    let replay = ["replay", "--from", CABLE, "--port", "8080", "--to", TARGET, "--admin", ADMIN];
    let mut child = Guard(lab.server(&mirror(&replay), Stdio::null())?);
    lab.wait_until_attached(&mut child.0)?;
    let mut seconds = Vec::new();
    for (rate, length) in PHASES {
        let mut customers = Guard(start(&lab, rate, length)?);
        while customers.0.try_wait()?.is_none() {
            seconds.push(look(&lab)?);
        }
    }
    let seconds = per_second(&seconds);
    let file = root().join("docs/pictures/production-first.svg");
    fs::create_dir_all(file.parent().unwrap_or(Path::new(".")))?;
    fs::write(&file, draw(&seconds))?;
    println!("{}: {} seconds", file.display(), seconds.len());
    Ok(())
}

/// Customers who ask so many times a second for so long.
fn start(lab: &Lab, rate: u64, length: u64) -> anyhow::Result<Child> {
    let this = std::env::current_exe()?.display().to_string();
    let (rate_text, seconds) = (rate.to_string(), length.to_string());
    let (duration, url) = (format!("-d{length}s"), format!("http://{SERVER}/"));
    let paced = [&*this, "bench", "load", SERVER, &rate_text, &seconds];
    let saturated = ["wrk", "-t1", "-c32", &duration, &url];
    let command: &[&str] = if rate == 0 { &saturated } else { &paced };
    Ok(lab.client(command).stdout(Stdio::null()).spawn()?)
}

/// The totals after another second.
#[expect(clippy::disallowed_methods, reason = "what happens over time is drawn")]
fn look(lab: &Lab) -> anyhow::Result<Second> {
    std::thread::sleep(Duration::from_secs(1));
    let url = format!("http://{ADMIN}/metrics");
    let curl = ["curl", "--silent", &url];
    let output = in_namespace(lab.server_name(), &curl).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let value = |name: &str, label: &str| -> anyhow::Result<f64> {
        let line = text.lines().find(|line| line.starts_with(name) && line.contains(label));
        let value = line.and_then(|line| line.rsplit(' ').next()?.parse().ok());
        value.with_context(|| format!("{name} is not in /metrics"))
    };
    Ok(Second {
        packets: value("mirror_seen_total", r#"seam="kernel""#)?,
        sample: value("mirror_capture_sample_ratio", "")?,
        // Absent until the guard has measured once.
        spare: value("mirror_host_idle_ratio", "").unwrap_or(1.0),
    })
}

/// Packets of each second in place of their sum.
fn per_second(totals: &[Second]) -> Vec<Second> {
    let pairs = totals.windows(2).filter_map(|pair| pair.first().zip(pair.get(1)));
    pairs.map(|(last, now)| Second { packets: now.packets - last.packets, ..*now }).collect()
}

fn draw(seconds: &[Second]) -> String {
    let most = seconds.iter().map(|second| second.packets).fold(1.0, f64::max);
    let strips: [(&str, Vec<f64>); 3] = [
        ("production's packets", seconds.iter().map(|second| second.packets / most).collect()),
        ("connections copied", seconds.iter().map(|second| second.sample).collect()),
        ("processors spare", seconds.iter().map(|second| second.spare).collect()),
    ];
    let height = 3.0 * (STRIP + GAP) + GAP;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {:.0} {height:.0}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
        LEFT + WIDTH + GAP
    );
    let step = WIDTH / seconds.len().max(1) as f64;
    for (row, (title, values)) in strips.iter().enumerate() {
        let bottom = GAP + STRIP + row as f64 * (STRIP + GAP);
        let points: String = values
            .iter()
            .enumerate()
            .map(|(n, value)| {
                let y = bottom - value.clamp(0.0, 1.0) * STRIP;
                format!(
                    "{:.0},{y:.0} {:.0},{y:.0} ",
                    LEFT + n as f64 * step,
                    LEFT + (n + 1) as f64 * step
                )
            })
            .collect();
        // Writing to a string does not fail.
        let _ = write!(
            svg,
            "<text x=\"10\" y=\"{:.0}\" fill=\"#222\">{title}</text>\n\
             <text x=\"{:.0}\" y=\"{:.0}\" fill=\"#666\" text-anchor=\"end\">1</text>\n\
             <text x=\"{:.0}\" y=\"{bottom:.0}\" fill=\"#666\" text-anchor=\"end\">0</text>\n\
             <line x1=\"{LEFT}\" x2=\"{:.0}\" y1=\"{bottom:.0}\" y2=\"{bottom:.0}\" stroke=\"#bbb\"/>\n\
             <polyline points=\"{points}\" fill=\"none\" stroke=\"#0a6ab5\" stroke-width=\"2\"/>\n",
            bottom - STRIP / 2.0,
            LEFT - 6.0,
            bottom - STRIP + 10.0,
            LEFT - 6.0,
            LEFT + WIDTH,
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{:.0}\" y=\"{:.0}\" fill=\"#666\" text-anchor=\"end\">{} s</text>\n</svg>",
        LEFT + WIDTH,
        height - 8.0,
        seconds.len()
    );
    svg
}
