//! As the chart runs it: in a container by runc(8) with namespaces of its own, a read-only root that holds the
//! binary alone, no new privileges and three capabilities. What each of them is for shows when it is left out.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

use super::cgroup::{Group, hierarchy};
use crate::support;
use crate::support::netns::{Lab, Mirror};
use crate::support::summary::{account, assert_balance};

const CAPABILITIES: [&str; 3] = ["CAP_BPF", "CAP_PERFMON", "CAP_NET_ADMIN"];

/// What the preset `netns` has besides.
const OF_NETNS: &str = "CAP_SYS_ADMIN";

/// Which of the chart's presets it runs as.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Preset {
    Cgroup,
    Netns,
}

/// An OCI bundle: a root with mirror in it, and how it is run.
struct Container {
    name: String,
    bundle: PathBuf,
    preset: Preset,
}

impl Container {
    /// A root as the image has it; beside a binary of a test build are the libraries that it needs.
    fn new(lab: &Lab, preset: Preset) -> Self {
        let bundle = lab.path("bundle");
        let root = bundle.join("rootfs");
        for folder in ["usr/bin", "proc", "sys", "dev", "var/lib/mirror", "run/netns"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        fs::copy(support::binary(), root.join("usr/bin/mirror")).unwrap();
        let needs = Command::new("ldd").arg(support::binary()).output().unwrap();
        let needs = String::from_utf8(needs.stdout).unwrap();
        for library in needs.split_whitespace().filter(|word| word.starts_with('/')) {
            let copy = root.join(library.trim_start_matches('/'));
            fs::create_dir_all(copy.parent().unwrap()).unwrap();
            fs::copy(library, copy).unwrap();
        }
        Self { name: lab.server(), bundle, preset }
    }

    /// The command that runs mirror in it, with all capabilities and mounts but one.
    fn command(&self, args: &[&str], without: Option<&str>) -> Command {
        let of_netns = (self.preset == Preset::Netns).then_some(OF_NETNS);
        let capabilities = CAPABILITIES.into_iter().chain(of_netns);
        let capabilities: Vec<_> =
            capabilities.filter(|capability| Some(*capability) != without).collect();
        let mount = |kind: &str, from: &Path, to: &str, options: &[&str]| json!({ "destination": to, "type": kind, "source": from, "options": options });
        let read_only = ["ro", "nosuid", "nodev", "noexec"];
        let namespaces =
            ["pid", "network", "ipc", "uts", "mount"].map(|kind| json!({ "type": kind }));
        let of_preset = match self.preset {
            Preset::Cgroup => mount("bind", &hierarchy(), "/sys/fs/cgroup", &["bind", "ro"]),
            Preset::Netns => mount("bind", Path::new("/run/netns"), "/run/netns", &["rbind", "ro"]),
        };
        let mounts: Vec<Value> = [
            mount("proc", Path::new("proc"), "/proc", &[]),
            mount("sysfs", Path::new("sysfs"), "/sys", &read_only),
            of_preset,
            mount("tmpfs", Path::new("tmpfs"), "/var/lib/mirror", &["size=16m"]),
        ]
        .into_iter()
        .filter(|mount| mount["destination"].as_str() != without)
        .collect();
        let command = [&["mirror"], args].concat();
        let config = json!({
            "ociVersion": "1.0.2",
            "process": {
                "user": { "uid": 0, "gid": 0 },
                "args": command,
                "env": ["PATH=/usr/bin", "TMPDIR=/var/lib/mirror"],
                "cwd": "/",
                "noNewPrivileges": true,
                "capabilities": {
                    "bounding": capabilities, "effective": capabilities, "permitted": capabilities,
                },
            },
            "root": { "path": "rootfs", "readonly": true },
            "mounts": mounts,
            "linux": { "namespaces": namespaces, "cgroupsPath": format!("/{}-runc", self.name) },
        });
        fs::write(self.bundle.join("config.json"), config.to_string()).unwrap();
        let mut runc = Command::new("runc");
        runc.arg("--root").arg(self.bundle.join("state")).args(["run", "--bundle"]);
        runc.arg(&self.bundle).arg(&self.name);
        runc
    }

    fn output(&self, args: &[&str], without: Option<&str>) -> Output {
        self.command(args, without).output().unwrap()
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn it_captures_the_requests_of_another_container_with_three_capabilities() {
    Lab::run(|lab| {
        lab.start_nginx();
        let container = Container::new(lab, Preset::Cgroup);
        let doctor = container.output(&["doctor", "--json"], None);
        assert!(doctor.status.success(), "{}", String::from_utf8_lossy(&doctor.stdout));
        let report: Value = serde_json::from_slice(&doctor.stdout).unwrap();
        for finding in report["findings"].as_array().unwrap() {
            assert_ne!(finding["verdict"], "missing", "{finding}");
        }
        let group = Group::new(lab);
        let args = ["inspect", "--cgroup", group.name(), "--port", "8080", "--summary", "--json"];
        let mirror = Mirror::start_as(lab, container.command(&args, None), &[]);
        let urls = ["http://10.77.0.1:8080/1", "http://10.77.0.1:8080/2"];
        assert!(group.curl(lab, &urls).wait().unwrap().success());
        let summary = mirror.summary();
        assert_balance(&summary);
        for kind in ["requests", "responses"] {
            assert_eq!(account(&summary, kind), (2, 2, vec![]), "{summary:#}");
        }
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn without_any_one_of_the_capabilities_it_does_not_start_and_names_it() {
    Lab::run(|lab| {
        let container = Container::new(lab, Preset::Cgroup);
        let group = Group::new(lab);
        for left_out in CAPABILITIES {
            let args = ["inspect", "--cgroup", group.name(), "--port", "8080", "--summary"];
            let run = container.output(&args, Some(left_out));
            let said = String::from_utf8_lossy(&run.stderr);
            assert_eq!(run.status.code(), Some(2), "{left_out}: {said}");
            assert!(
                said.contains(&format!("live capture needs {left_out}: ")),
                "{left_out}: {said}"
            );
            let doctor = container.output(&["doctor", "--json"], Some(left_out));
            let report: Value = serde_json::from_slice(&doctor.stdout).unwrap();
            let findings = report["findings"].as_array().unwrap();
            let missing = findings.iter().filter(|finding| finding["verdict"] == "missing");
            assert!(
                missing.clone().any(|finding| finding["what"] == left_out),
                "{left_out}: {:?}",
                missing.collect::<Vec<_>>()
            );
        }
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn without_what_it_sees_the_node_by_it_does_not_start_and_says_what_to_mount() {
    Lab::run(|lab| {
        let container = Container::new(lab, Preset::Cgroup);
        let group = Group::new(lab);
        let args = ["inspect", "--cgroup", group.name(), "--port", "8080", "--summary"];
        for (left_out, named) in [("/sys", "mount sysfs on /sys"), ("/sys/fs/cgroup", group.name())]
        {
            let run = container.output(&args, Some(left_out));
            let said = String::from_utf8_lossy(&run.stderr);
            println!("without {left_out}: {said}");
            assert_eq!(run.status.code(), Some(2), "{left_out}: {said}");
            assert!(said.contains(named), "{left_out}: {said}");
        }
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn another_namespace_takes_one_capability_more_which_is_named_where_it_is_left_out() {
    Lab::run(|lab| {
        lab.start_nginx();
        let container = Container::new(lab, Preset::Netns);
        let namespace = format!("/run/netns/{}", lab.server());
        let args = ["inspect", "--netns", &namespace, "--from", "srv", "--port", "8080"];
        let args = [&args[..], &["--summary", "--json"]].concat();
        let mirror = Mirror::start_as(lab, container.command(&args, None), &[]);
        lab.curl(&["http://10.77.0.1:8080/"]);
        let summary = mirror.summary();
        assert_balance(&summary);
        assert_eq!(account(&summary, "requests"), (1, 1, vec![]), "{summary:#}");
        let run = container.output(&args, Some(OF_NETNS));
        let said = String::from_utf8_lossy(&run.stderr);
        assert_eq!(run.status.code(), Some(2), "{said}");
        assert!(said.contains("cannot be entered; that takes CAP_SYS_ADMIN"), "{said}");
    });
}
