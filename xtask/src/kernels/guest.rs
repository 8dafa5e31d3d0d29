//! One boot of one kernel.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail, ensure};

use super::initramfs;
use super::package::Files;
use crate::root;
use crate::test::REAL_API_SERVER;

/// What the guest's script says at its end, with the exit code behind it.
pub(super) const DONE: &str = "mirror-guest-done=";

/// How the guest's processor is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Accelerator {
    /// By this machine's own, through `/dev/kvm`.
    Kvm,
    /// By a program, everywhere, and some 20 times slower.
    Software,
}

impl Accelerator {
    /// KVM where this process may use it and the processor can. Some virtual machines have the
    /// device without the processor's part, and a guest then hangs before its first word.
    pub(super) fn best() -> Self {
        let device = OpenOptions::new().read(true).write(true).open("/dev/kvm").is_ok();
        let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let can = processor.split_whitespace().any(|flag| flag == "svm" || flag == "vmx");
        if device && can { Self::Kvm } else { Self::Software }
    }

    /// How long a guest may say nothing.
    fn patience(self) -> Duration {
        match self {
            Self::Kvm => Duration::from_secs(2 * 60),
            Self::Software => Duration::from_secs(20 * 60),
        }
    }

    /// How many times longer than usual a test may wait for something.
    fn slowness(self) -> u32 {
        match self {
            Self::Kvm => 2,
            Self::Software => 15,
        }
    }
}

impl fmt::Display for Accelerator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kvm => "KVM",
            Self::Software => "software emulation",
        })
    }
}

/// A kernel with the tests that it is to run.
pub(super) struct Guest<'a> {
    pub(super) files: &'a Files,
    pub(super) accelerator: Accelerator,
    pub(super) test: &'a Path,
    /// What the names of tests that are run contain; all, if empty.
    pub(super) filters: &'a [&'a str],
    /// What the names of tests that are left out contain.
    pub(super) skip: &'a [&'a str],
}

/// What the tests said.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) passed: u32,
    pub(super) failed: u32,
    /// Left out because the kernel lacks what they test.
    pub(super) skipped: u32,
}

impl Outcome {
    /// Adds up what a test binary says at its end: `test result: ok. 17 passed; 1 failed; …`.
    fn read(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result: ") else { return };
        let words: Vec<&str> =
            result.split([' ', ';', '.']).filter(|word| !word.is_empty()).collect();
        for pair in words.windows(2) {
            let [number, kind] = pair else { continue };
            let number: u32 = number.parse().unwrap_or(0);
            match *kind {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "filtered" => self.skipped += number,
                _ => {}
            }
        }
    }
}

impl Guest<'_> {
    /// Boots, runs the test binary, and reads its results off the console.
    pub(super) fn run(&self) -> anyhow::Result<Outcome> {
        let scratch = tempfile::tempdir()?;
        let archive = scratch.path().join("initramfs");
        initramfs::write(self.files, &self.command(), &archive)?;
        let mut qemu = Running(self.start(&archive)?);
        let console = qemu.0.stdout.take().context("a console")?;
        let lines = lines_of(console);
        let mut outcome = Outcome::default();
        loop {
            let line = match lines.recv_timeout(self.accelerator.patience()) {
                Ok(line) => line,
                Err(mpsc::RecvTimeoutError::Timeout) => bail!("the guest says nothing any more"),
                Err(mpsc::RecvTimeoutError::Disconnected) => bail!("the guest ended too early"),
            };
            println!("{line}");
            if let Some(code) = line.trim().strip_prefix(DONE) {
                let sums_up = (code == "0") == (outcome.failed == 0);
                ensure!(sums_up && outcome.passed > 0, "the tests ended with exit code {code}");
                return Ok(outcome);
            }
            outcome.read(line.trim());
        }
    }

    fn command(&self) -> String {
        let filters: String = self.filters.iter().map(|name| format!(" {name}")).collect();
        // What asks a real API server needs one that was built.
        let skip = self.skip.iter().copied().chain([REAL_API_SERVER]);
        let skip: String = skip.map(|name| format!(" --skip {name}")).collect();
        format!(
            "export PATH=/usr/sbin:/usr/bin:/sbin:/bin MIRROR_TEST_SLOWNESS={} TERM=dumb\n\
             cd {}/mirror-user; {} --include-ignored --test-threads=1{filters}{skip}",
            self.accelerator.slowness(),
            root().display(),
            self.test.display()
        )
    }

    fn start(&self, archive: &Path) -> anyhow::Result<Child> {
        let accelerator = match self.accelerator {
            Accelerator::Kvm => ["-accel", "kvm", "-cpu", "host"],
            Accelerator::Software => ["-accel", "tcg,thread=multi", "-cpu", "max"],
        };
        Command::new("qemu-system-x86_64")
            .args(accelerator)
            .args(["-m", "3G", "-smp", "2", "-nodefaults", "-display", "none", "-no-reboot"])
            .args(["-serial", "stdio", "-device", "virtio-rng-pci", "-kernel"])
            .arg(&self.files.image)
            .arg("-initrd")
            .arg(archive)
            .args(["-append", "console=ttyS0 quiet panic=-1 rdinit=/init"])
            .args([
                "-virtfs",
                "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap",
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("qemu-system-x86_64")
    }
}

/// Ended when it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The console's lines, read by a thread so that waiting for one can have an end.
fn lines_of(console: ChildStdout) -> mpsc::Receiver<String> {
    // guest --lines--> run
    let (line_tx, line_rx) = mpsc::channel();
    thread::spawn(move || {
        let mut reader = BufReader::new(console);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            if line_tx.send(text).is_err() {
                return;
            }
            line.clear();
        }
    });
    line_rx
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_each_test_binary_is_added_up() {
        let mut outcome = Outcome::default();
        outcome.read("test result: FAILED. 17 passed; 1 failed; 0 ignored; 0 measured; 2 filtered out; finished in 9.9s");
        outcome.read("test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.1s");
        outcome.read("test any_other ... ok");
        assert_eq!((outcome.passed, outcome.failed, outcome.skipped), (20, 1, 2));
    }
}
