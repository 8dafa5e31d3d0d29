//! The sockets of one cgroup, on whatever interface and in whatever namespace.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::support;
use crate::support::netns::{Lab, Mirror, until};
use crate::support::summary::{account, assert_balance};

/// Where the cgroup hierarchy of version 2 is.
pub(crate) fn hierarchy() -> PathBuf {
    let mounts = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(PathBuf::from);
    let mount = mounts.into_iter().find(|mount| mount.join("cgroup.controllers").exists());
    mount.expect("a cgroup2 file system")
}

/// A cgroup of the test's own, removed when it is dropped.
pub(crate) struct Group(PathBuf);

impl Group {
    pub(crate) fn new(lab: &Lab) -> Self {
        let folder = hierarchy().join(lab.server());
        fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    /// The same below another one.
    pub(crate) fn at(folder: PathBuf) -> Self {
        fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    /// Starts a program in it: sockets belong to the cgroup in which they were made.
    pub(crate) fn start(&self, program: &Command) -> Child {
        let mut waiting = Command::new("sh");
        waiting.args(["-c", r#"read go; exec "$@""#, "sh"]);
        waiting.arg(program.get_program()).args(program.get_args());
        let mut child = waiting.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        fs::write(self.0.join("cgroup.procs"), child.id().to_string()).unwrap();
        child.stdin.take().unwrap().write_all(b"go\n").unwrap();
        child
    }

    /// Asks for these URLs with curl, which is in it.
    pub(crate) fn curl(&self, lab: &Lab, args: &[&str]) -> Child {
        let mut curl = lab.client("curl");
        self.start(curl.args(["--silent", "--max-time", "60"]).args(args))
    }

    pub(crate) fn name(&self) -> &str {
        self.0.file_name().unwrap().to_str().unwrap()
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let outside = self.0.with_file_name("cgroup.procs");
        for process in fs::read_to_string(self.0.join("cgroup.procs")).unwrap_or_default().lines() {
            let _ = fs::write(&outside, process);
        }
        until("the cgroup is empty", || fs::remove_dir(&self.0).is_ok());
    }
}

const URL: &str = "http://10.77.0.1:8080/";

fn counts(cgroup: &str) -> [&str; 7] {
    ["inspect", "--cgroup", cgroup, "--port", "8080", "--summary", "--json"]
}

fn assert_exchanges(summary: &Value, exchanges: u64) {
    assert_balance(summary);
    for kind in ["requests", "responses"] {
        assert_eq!(account(summary, kind), (exchanges, exchanges, vec![]), "{summary:#}");
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn only_what_its_sockets_send_and_get_is_captured() {
    Lab::run(|lab| {
        lab.start_nginx();
        let group = Group::new(lab);
        for cgroup in [group.path(), group.name()] {
            let mirror = Mirror::start(lab, &counts(cgroup));
            assert!(group.curl(lab, &[URL, URL]).wait().unwrap().success());
            drop(lab.curl(&[URL]));
            let said = mirror.said();
            assert!(said.contains(&format!("cgroup {} by its hooks", group.path())), "{said}");
            assert_exchanges(&mirror.summary(), 2);
        }
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn both_ends_in_it_count_once_and_packets_say_where_they_were_seen() {
    Lab::run(|lab| {
        let group = Group::new(lab);
        lab.start_nginx_by(|nginx| group.start(nginx));
        let file = lab.path("seen.pcapng").to_str().unwrap().to_owned();
        let capture = ["capture", "--cgroup", group.path(), "--port", "8080", "--raw", "--json"];
        let args = [&capture[..], &["--to", &file]].concat();
        let mirror = Mirror::start(lab, &args);
        let post = format!("@{}", lab.file("body", 1 << 20));
        for args in [
            &[URL, "http://[fd00:77::1]:8080/2"][..],
            &["--data-binary", &post, "http://10.77.0.1:8080/post"],
        ] {
            assert!(group.curl(lab, args).wait().unwrap().success());
        }
        let summary = mirror.summary();
        assert_balance(&summary);
        let read = ["inspect", "--from", &file, "--port", "8080", "--summary", "--json"];
        let output = Command::new(support::binary()).args(read).output().unwrap();
        let read: Value = serde_json::from_slice(&output.stdout).unwrap();
        for kind in ["requests", "responses"] {
            assert_eq!(account(&read, kind), (3, 3, vec![]), "{summary:#} {read:#}");
        }
        let bytes = fs::read(&file).unwrap();
        let place = format!("cgroup {}", group.path());
        assert!(bytes.windows(place.len()).any(|part| part == place.as_bytes()));
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_cgroup_that_is_made_anew_under_its_name_is_captured_again() {
    Lab::run(|lab| {
        lab.start_nginx();
        let group = Group::new(lab);
        let mirror = Mirror::start(lab, &counts(group.path()));
        let says = |what: &str, times: usize| {
            until(what, || mirror.said().matches(what).count() == times);
        };
        for times in 1..=3 {
            assert!(group.curl(lab, &[URL]).wait().unwrap().success());
            until("the cgroup is empty", || fs::remove_dir(&group.0).is_ok());
            if times == 2 {
                says("gone", times);
            }
            // Also where nobody noticed that it was away.
            fs::create_dir(&group.0).unwrap();
            says("there again, attached to", times);
            says("gone", times);
        }
        assert!(group.curl(lab, &[URL]).wait().unwrap().success());
        assert_exchanges(&mirror.summary(), 4);
    });
}

/// What sends is interrupted by packets that come in, now and then in the midst of a look.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn nothing_is_lost_while_many_send_and_get_at_once() {
    const CLIENTS: u64 = 4;
    const REQUESTS: u64 = 5_000;
    const DOWNLOADS: u64 = 5;
    Lab::run(|lab| {
        let group = Group::new(lab);
        lab.start_nginx_by(|nginx| group.start(nginx));
        // Room for all of it, twice, as both ends are in the group: this is not about speed.
        let args = [&counts(group.path())[..], &["--ring-size", "256MiB"]].concat();
        let mirror = Mirror::start(lab, &args);
        let url = format!("{URL}[1-{REQUESTS}]");
        // What is long to copy is what is interrupted.
        let long = format!("{URL}big?[1-{DOWNLOADS}]");
        let downloads = group.curl(lab, &[&long]);
        let clients = (0..CLIENTS).map(|_| group.curl(lab, &[&url])).chain([downloads]);
        let clients: Vec<Child> = clients.collect();
        for mut client in clients {
            assert!(client.wait().unwrap().success());
        }
        let summary = mirror.summary();
        assert_exchanges(&summary, CLIENTS * REQUESTS + DOWNLOADS);
    });
}
