//! In a container whose memory ends where the chart lets it end, at ring and budget, while a load comes in that a
//! target never answers: the kernel has no reason to kill it, and what found no room is counted.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::cgroup::hierarchy;
use crate::support::binary;
use crate::support::netns::{Lab, Mirror, until};
use crate::support::scrape::{ADMIN, endpoint};
use crate::support::summary::assert_balance;
use crate::support::target::{Behaviour, Target};

const MIB: u64 = 1 << 20;

/// As in `deploy/helm/mirror/templates`: the container ends at ring + budget, and the guard acts at ring + 3/4 of
/// the budget. The smallest budget that the chart takes.
const RING: u64 = 16;
const BUDGET: u64 = 128;

/// A cgroup with a limit of memory, of version 2 or, where that has no such controller, 1.
struct Limited {
    folder: PathBuf,
    is_v2: bool,
}

impl Limited {
    fn new(lab: &Lab, bytes: u64) -> Self {
        let v2 = hierarchy();
        let has = |file: &str| {
            let controllers = fs::read_to_string(v2.join(file)).unwrap_or_default();
            controllers.split_whitespace().any(|name| name == "memory")
        };
        let is_v2 = has("cgroup.controllers");
        if is_v2 && !has("cgroup.subtree_control") {
            fs::write(v2.join("cgroup.subtree_control"), "+memory").unwrap();
        }
        let parent = if is_v2 { v2.clone() } else { PathBuf::from("/sys/fs/cgroup/memory") };
        let folder = parent.join(format!("{}-memory", lab.server()));
        fs::create_dir(&folder).unwrap();
        let limit = if is_v2 { "memory.max" } else { "memory.limit_in_bytes" };
        fs::write(folder.join(limit), bytes.to_string()).unwrap();
        Self { folder, is_v2 }
    }

    /// The command that runs a program in it.
    fn command(&self, program: &Path) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", r#"echo $$ > "$1" && shift && exec "$@""#, "sh"]);
        shell.arg(self.folder.join("cgroup.procs")).arg(program);
        shell
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.folder.join(file)).unwrap_or_default()
    }

    /// How many of its processes the kernel killed for want of memory.
    fn killed(&self) -> u64 {
        let events = self.read(if self.is_v2 { "memory.events" } else { "memory.oom_control" });
        let killed = events.lines().find_map(|line| line.strip_prefix("oom_kill "));
        killed.expect("a kernel that counts").trim().parse().unwrap()
    }

    /// The most that was ever used, where the kernel says so.
    fn peak(&self) -> Option<u64> {
        let file = if self.is_v2 { "memory.peak" } else { "memory.max_usage_in_bytes" };
        self.read(file).trim().parse().ok()
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        until("the cgroup is empty", || fs::remove_dir(&self.folder).is_ok());
    }
}

/// Posts bodies of these bytes on many connections at once.
fn load(lab: &Lab, bytes: usize) -> Command {
    let script = lab.path("post.lua");
    let lua = format!(
        "wrk.method = \"POST\"\nwrk.path = \"/post\"\nwrk.body = string.rep(\"x\", {bytes})\n"
    );
    fs::write(&script, lua).unwrap();
    let mut wrk = lab.client("wrk");
    wrk.args(["-t1", "-c64", "-d6s", "-s"]).arg(script).arg("http://10.77.0.1:8080/");
    wrk.stdout(Stdio::null());
    wrk
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn at_its_limit_of_memory_it_drops_and_counts_and_is_not_killed() {
    Lab::run(|lab| {
        lab.start_nginx();
        // A target that takes connections and never answers: everything waits.
        let target = Target::start(Behaviour::Digest);
        target.hold();
        let limited = Limited::new(lab, (RING + BUDGET) * MIB);
        let file = lab.path("mirror.yaml");
        let config = format!(
            "version: 1\nmax-spool: 64MiB\nsource:\n  from: srv\n  ports: 8080\n  ring-size: {RING}MiB\n  \
             guard: {{ memory-limit: {}MiB }}\ntargets: {{ shadow: {{ url: \"{}\" }} }}\n",
            RING + BUDGET * 3 / 4,
            target.url()
        );
        fs::write(&file, config).unwrap();
        let args = ["run", "--config", file.to_str().unwrap(), "--admin", ADMIN, "--json"];
        let mut command = limited.command(binary());
        command.env("TMPDIR", lab.path(""));
        let mirror = Mirror::start_as(lab, command, &args);
        let endpoint = endpoint();
        // Bodies in memory, then bodies that are spooled, then heads.
        for bytes in [64 << 10, 2 << 20, 1] {
            assert!(load(lab, bytes).status().unwrap().success());
            let samples = endpoint.scrape();
            samples.assert_sums_hold();
            println!(
                "bodies of {bytes}: {} requests, {} dropped; resident {:.0} MiB, peak of the cgroup {:?} MiB",
                samples.sum("mirror_seen_total", &[("seam", "requests")]),
                samples.sum("mirror_dropped_total", &[]),
                samples.sum("process_resident_memory_bytes", &[]) / MIB as f64,
                limited.peak().map(|bytes| bytes / MIB),
            );
            assert_eq!(limited.killed(), 0);
        }
        let samples = endpoint.scrape();
        assert!(samples.sum("mirror_dropped_total", &[("seam", "shadow_requests")]) > 0.0);
        target.release();
        assert_balance(&mirror.summary());
        assert_eq!(limited.killed(), 0);
    });
}
