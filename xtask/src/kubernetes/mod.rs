//! `cargo xtask kubernetes`: builds Debian's Kubernetes from its source package, once, runs the tests that ask a
//! real API server, and shows the chart in a whole cluster of one node. Some nine minutes of CPU for the first time; what
//! was built stays below `target/tools/kubernetes`.

mod cluster;
mod images;
mod show;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use self::cluster::Cluster;
use crate::setup::{Tool, ensure_chart_tools, ensure_tools, is_root};
use crate::test::{REAL_API_SERVER, kernel_test};
use crate::{dist, root, run_command};

/// Debian's packages: a Go that builds it, what a node runs beside it, and what the images are made of.
const TOOLS: &[Tool] = &[
    Tool::new("go", "golang-go"),
    Tool::new("dpkg-source", "dpkg-dev"),
    Tool::new(
        "/usr/share/gocode/src/github.com/modern-go/reflect2/reflect2.go",
        "golang-github-modern-go-reflect2-dev",
    ),
    Tool::new("etcd", "etcd-server"),
    Tool::new("containerd", "containerd"),
    Tool::new("runc", "runc"),
    Tool::new("/usr/lib/cni/bridge", "containernetworking-plugins"),
    Tool::new("iptables", "iptables"),
    Tool::new("bpftool", "bpftool"),
    Tool::new("busybox", "busybox-static"),
    Tool::new("ip", "iproute2"),
    Tool::new("nginx", "nginx-light"),
    Tool::new("curl", "curl"),
    Tool::new("openssl", "openssl"),
];

/// Where Debian has source packages, beside what this machine's apt knows.
const SOURCES: &str = "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] \
    http://deb.debian.org/debian bookworm main\n";

/// The last one that is built.
const LAST: &str = "kube-proxy";

/// Runs the tests that ask a real API server, then the cluster; or `only` one of them.
pub(crate) fn run(only: Option<&str>) -> anyhow::Result<()> {
    ensure!(is_root(), "it makes namespaces and cgroups: run it as root");
    ensure!(ensure_tools(TOOLS) && ensure_chart_tools(), "a part of what it takes is missing");
    let programs = root().join("target/tools/kubernetes");
    build(&programs)?;
    if only != Some("cluster") {
        run_tests(&programs)?;
    }
    if only != Some("tests") {
        let mirror = dist::image()?;
        println!("the image is made of {}", mirror.display());
        run_command(Command::new(mirror.join("mirror")).arg("--version"))?;
        let cluster = Cluster::start(&programs, &mirror)?;
        show::run(&cluster)?;
    }
    Ok(())
}

fn run_tests(programs: &Path) -> anyhow::Result<()> {
    run_command(
        Command::new(kernel_test()?)
            .args(["--ignored", "--test-threads=1", "--nocapture", REAL_API_SERVER])
            .current_dir(root().join("mirror-user"))
            .env("MIRROR_TEST_APISERVER", programs.join("kube-apiserver")),
    )
}

fn build(folder: &PathBuf) -> anyhow::Result<()> {
    if folder.join(LAST).is_file() {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    fs::write(folder.join("sources.list"), SOURCES)?;
    println!("building Kubernetes, once");
    let mut shell = Command::new("sh");
    shell.args(["-c", include_str!("build.sh"), "sh"]).arg(folder);
    run_command(&mut shell).context("building Kubernetes")
}
