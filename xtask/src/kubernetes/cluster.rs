//! A cluster of one node in namespaces of its own: it ends, with all that runs in it, when this is dropped.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};

use super::images;
use crate::root;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(180);

/// How long it waits before it looks again.
const LOOK: Duration = Duration::from_millis(200);

/// The cluster that runs.
pub(super) struct Cluster {
    pub(super) folder: PathBuf,
    /// Ends everything in its namespaces when it ends.
    outer: Child,
    /// The first process in its namespaces.
    init: u32,
    cgroups: Vec<PathBuf>,
}

impl Cluster {
    /// Starts it. `mirror` is the folder that its image is built from.
    pub(super) fn start(programs: &Path, mirror: &Path) -> anyhow::Result<Self> {
        let folder = programs.join("cluster");
        if folder.exists() {
            fs::remove_dir_all(&folder).context("what an earlier cluster left")?;
        }
        images::write(&folder.join("images"), mirror)?;
        let cgroup = format!("/mirror-kubernetes-{}", std::process::id());
        let cgroups = cgroups(&cgroup)?;
        let mut outer = Command::new("unshare")
            .args(["--mount", "--net", "--uts", "--ipc", "--pid", "--mount-proc"])
            .args(["--fork", "--kill-child", "sh", "-c", include_str!("node.sh"), "sh"])
            .args([programs, &folder])
            .arg(cgroup)
            .stdin(Stdio::null())
            .spawn()
            .context("unshare: cannot be run")?;
        let children = format!("/proc/{0}/task/{0}/children", outer.id());
        let init = wait("the first process", || {
            fs::read_to_string(&children).ok()?.split_whitespace().next()?.parse().ok()
        });
        match init {
            Ok(init) => Ok(Self { folder, outer, init, cgroups }),
            Err(error) => {
                outer.kill()?;
                Err(error)
            }
        }
    }

    /// The cgroup below which its pods are, in the hierarchy that programs are attached in.
    pub(super) fn pods(&self) -> &Path {
        let of_version_2 = |cgroup: &&PathBuf| cgroup.join("cgroup.controllers").is_file();
        self.cgroups.iter().find(of_version_2).map_or(Path::new("/"), PathBuf::as_path)
    }

    /// A program in its namespaces.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--all", "--target", &self.init.to_string(), program]);
        command.env("KUBECONFIG", self.folder.join("kubeconfig"));
        command
    }

    /// kubectl, of the chart's tools.
    pub(super) fn kubectl(&self, args: &str) -> Command {
        self.tool("kubectl", args)
    }

    /// helm, of the chart's tools.
    pub(super) fn helm(&self, args: &str) -> Command {
        self.tool("helm", args)
    }

    fn tool(&self, name: &str, args: &str) -> Command {
        let program = root().join("target/tools/charts/bin").join(name);
        let mut command = self.command(&program.display().to_string());
        command.args(args.split(' '));
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.outer.kill();
        let _ = self.outer.wait();
        for cgroup in &self.cgroups {
            if wait("the cgroup is empty", || remove(cgroup).ok()).is_err() {
                eprintln!("{}: could not be removed", cgroup.display());
            }
        }
    }
}

/// Makes a cgroup in every hierarchy.
fn cgroups(name: &str) -> anyhow::Result<Vec<PathBuf>> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let mut all = Vec::new();
    for line in mounts.lines() {
        let mut fields = line.split(' ').skip(1);
        let (Some(mount), Some("cgroup" | "cgroup2")) = (fields.next(), fields.next()) else {
            continue;
        };
        let cgroup = Path::new(mount).join(name.trim_start_matches('/'));
        fs::create_dir(&cgroup).with_context(|| cgroup.display().to_string())?;
        // Empty until they are set, so that no process could be in it.
        for file in ["cpuset.cpus", "cpuset.mems"] {
            if cgroup.join(file).is_file() {
                fs::copy(Path::new(mount).join(file), cgroup.join(file))?;
            }
        }
        all.push(cgroup);
    }
    ensure!(!all.is_empty(), "no cgroups are mounted");
    Ok(all)
}

/// Removes a cgroup with those below it.
fn remove(cgroup: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(cgroup)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        }
    }
    fs::remove_dir(cgroup)
}

/// Runs a command and gives what it printed.
pub(super) fn output(command: &mut Command) -> anyhow::Result<String> {
    let Output { status, stdout, stderr } = command.output().with_context(|| text(command))?;
    ensure!(status.success(), "{}: {}", text(command), String::from_utf8_lossy(&stderr));
    Ok(String::from_utf8_lossy(&stdout).into_owned())
}

/// The same of a command that reads this.
pub(super) fn with_input(command: &mut Command, input: &str) -> anyhow::Result<String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| text(command))?;
    // Dropped, so that it ends.
    child.stdin.take().context("no input")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "{}: {}", text(command), output.status);
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A command as it is typed, without how it gets into the namespaces.
pub(super) fn text(command: &Command) -> String {
    let checkout = format!("{}/", root().display());
    let words = command.get_args().skip(3).map(|word| {
        let word = word.to_string_lossy().replace(&checkout, "");
        word.replace("target/tools/charts/bin/", "")
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Looks until there is something.
#[expect(clippy::disallowed_methods, reason = "a deadline is wall time")]
pub(super) fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> anyhow::Result<T> {
    let start = std::time::Instant::now();
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        if start.elapsed() > PATIENCE {
            bail!("{what}: not within {PATIENCE:?}");
        }
        std::thread::sleep(LOOK);
    }
}
