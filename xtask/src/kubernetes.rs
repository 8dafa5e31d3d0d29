//! `cargo xtask kubernetes`: builds the API server from Debian's source package of Kubernetes, once, and runs the
//! tests that ask a real one. Some eight minutes of CPU; the result stays below `target/tools/kubernetes`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use crate::setup::{Tool, ensure_tools};
use crate::test::{REAL_API_SERVER, kernel_test};
use crate::{root, run_command};

/// Debian's packages: a Go that builds it, and the store of the API server.
const TOOLS: &[Tool] = &[
    Tool::new("go", "golang-go"),
    Tool::new("dpkg-source", "dpkg-dev"),
    Tool::new("etcd", "etcd-server"),
    Tool::new("ip", "iproute2"),
    Tool::new("nginx", "nginx-light"),
    Tool::new("curl", "curl"),
];

/// Where Debian has source packages, beside what this machine's apt knows.
const SOURCES: &str = "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] \
    http://deb.debian.org/debian bookworm main\n";

/// Fetches the source into `$1`, below a GOPATH, as the package's vendored dependencies want it.
const FETCH: &str = r#"set -eu; cd "$1"
apt() { apt-get -o Dir::Etc::sourcelist="$1/sources.list" -o Dir::Etc::sourceparts=/dev/null -o Dir::State::lists="$1/lists" "$2" "$3"; }
mkdir -p lists/partial gopath/src/k8s.io
apt "$PWD" update --quiet
apt "$PWD" source kubernetes
rm -rf gopath/src/k8s.io/kubernetes
mv kubernetes-*/ gopath/src/k8s.io/kubernetes
rm -rf lists kubernetes_*"#;

/// Builds the API server of the source in `$1`. The source package leaves one generated file out.
const BUILD: &str = r#"set -eu; cd "$1/gopath/src/k8s.io/kubernetes"
export GOPATH="$1/gopath" GOCACHE="$1/cache" GO111MODULE=off CGO_ENABLED=0 GOPROXY=off GOFLAGS=-trimpath
go build -o "$1/openapi-gen" k8s.io/kubernetes/vendor/k8s.io/kube-openapi/cmd/openapi-gen
packages=$(grep -rl --include='*.go' '+k8s:openapi-gen=true' staging/src/k8s.io pkg cmd | xargs -n1 dirname | sort -u |
    grep -v -e kube-scheduler/config -e code-generator/ |
    sed -e 's,^staging/src/,k8s.io/kubernetes/vendor/,' -e 's,^\(pkg\|cmd\)/,k8s.io/kubernetes/\1/,' | paste -sd, -)
"$1/openapi-gen" -O zz_generated.openapi -p k8s.io/kubernetes/pkg/generated/openapi \
    -h hack/boilerplate/boilerplate.generatego.txt -r "$1/report.txt" -i "$packages"
go build -ldflags '-s -w -X k8s.io/component-base/version.gitVersion=v1.20.2 -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=20' \
    -o "$1/kube-apiserver" k8s.io/kubernetes/cmd/kube-apiserver"#;

pub(crate) fn run() -> anyhow::Result<()> {
    ensure!(ensure_tools(TOOLS), "a part of what it takes is missing");
    let folder = root().join("target/tools/kubernetes");
    let server = build(&folder)?;
    let kernel = kernel_test()?;
    run_command(
        Command::new(kernel)
            .args(["--ignored", "--test-threads=1", "--nocapture", REAL_API_SERVER])
            .current_dir(root().join("mirror-user"))
            .env("MIRROR_TEST_APISERVER", server),
    )
}

fn build(folder: &Path) -> anyhow::Result<PathBuf> {
    let server = folder.join("kube-apiserver");
    if server.is_file() {
        return Ok(server);
    }
    fs::create_dir_all(folder)?;
    fs::write(folder.join("sources.list"), SOURCES)?;
    for (what, script) in [("fetching", FETCH), ("building", BUILD)] {
        println!("{what} kube-apiserver");
        let mut shell = Command::new("sh");
        shell.args(["-c", script, "sh"]).arg(folder);
        run_command(&mut shell).with_context(|| format!("{what} kube-apiserver"))?;
    }
    Ok(server)
}
