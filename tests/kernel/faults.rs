//! Capture while targets fail: it goes on, and every request has one outcome. `tests/outside/faults.rs`
//! has the same for replays of files.

use std::fs::File;
use std::os::fd::AsFd;
use std::process::Command;
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::support::netns::{CABLE, Lab, Mirror, patience, succeed, until};
use crate::support::scrape::{ADMIN, endpoint};
use crate::support::summary::{account, assert_balance};
use crate::support::target::{Behaviour, Target};
use crate::support::{binary, free_address};

/// Requests of one connection, while the targets fail.
const LIVE: usize = 2_000;

#[test]
#[ignore = "needs root: cargo xtask test"]
fn capture_goes_on_whatever_targets_do() {
    Lab::run(|lab| {
        lab.start_nginx();
        let behaviours = [
            Behaviour::Silence,
            Behaviour::AnswerAndClose(b"SSH-2.0-none\r\n".to_vec()),
            Behaviour::AnswerAndReset(b"HTTP/1.1 200 OK\r\n".to_vec()),
            Behaviour::AnswerLong(10_000_000),
        ];
        let bad = behaviours.map(Target::start);
        let good = Target::start(Behaviour::Answer);
        let mut urls: Vec<String> = bad.iter().map(Target::url).collect();
        urls.push(format!("http://{}", free_address()));
        urls.push("http://staging.invalid:8080".to_owned());
        urls.push(good.url());
        let mut args = vec!["replay", "--from", CABLE, "--port", "8080", "--json"];
        args.extend(urls.iter().flat_map(|url| ["--to", url.as_str()]));
        args.extend(["--answer-timeout", "500ms", "--max-queue", "64KiB"]);
        let mirror = Mirror::start(lab, &args);
        lab.curl(&["-o", "/dev/null", &format!("http://10.77.0.1:8080/n/[1-{LIVE}]")]);
        let seen = good.wait_for(1, patience()).len();
        assert!(seen > 0);
        let summary = mirror.summary();
        assert_balance(&summary);
        let all = LIVE as u64;
        for name in ["requests", "responses", "cleared"] {
            assert_eq!(account(&summary, name), (all, all, vec![]), "{summary:#}");
        }
        for url in &urls {
            assert_eq!(account(&summary, &format!("to {url}")).0, all, "{url}: {summary:#}");
        }
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_link_to_the_target_that_goes_down_and_up() {
    Lab::run(|lab| {
        lab.start_nginx();
        // A second cable, to where the target is.
        let client = lab.client_name();
        let ip = |line: &str| succeed(Command::new("ip").args(line.split(' ')));
        for line in [
            format!("link add tgt type veth peer name far netns {client}"),
            "addr add 10.78.0.1/24 dev tgt".to_owned(),
            "link set tgt up".to_owned(),
            format!("-n {client} addr add 10.78.0.2/24 dev far"),
            format!("-n {client} link set far up"),
        ] {
            ip(&line);
        }
        let target = thread::spawn(move || {
            let there = File::open(format!("/run/netns/{client}")).unwrap();
            move_into_link_name_space(there.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            Target::start_on("10.78.0.2:9090".parse().unwrap(), Behaviour::Answer)
        });
        let target = target.join().unwrap();
        let flags = ["--connect-timeout", "500ms", "--answer-timeout", "500ms", "--breaker", "off"];
        let args = [
            "replay",
            "--from",
            CABLE,
            "--port",
            "8080",
            "--json",
            "--to",
            "http://10.78.0.2:9090",
        ];
        let mirror = Mirror::start(lab, &[&args[..], &flags].concat());
        // Each on a connection of its own.
        let ask = |name: &str| {
            let urls: Vec<String> =
                (0..20).map(|n| format!("http://10.77.0.1:8080/{name}/{n}")).collect();
            let urls = urls.iter().map(String::as_str);
            lab.curl(&["-H", "Connection: close"].into_iter().chain(urls).collect::<Vec<_>>());
        };
        ask("before");
        target.wait_for(20, patience());
        ip("link set tgt down");
        ask("down");
        ip("link set tgt up");
        ask("after");
        until("it answers again", || {
            target.received().iter().any(|one| one.target().starts_with("/after/"))
        });
        let summary = mirror.summary();
        assert_balance(&summary);
        for name in ["requests", "responses", "cleared"] {
            assert_eq!(account(&summary, name), (60, 60, vec![]), "{summary:#}");
        }
        let (seen, answered, _) = account(&summary, "shadow requests");
        assert!(seen == 60 && answered > 20, "{summary:#}");
    });
}

/// Large bodies wait in `TMPDIR`, here a file system that is smaller than they are.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_full_disk_for_large_bodies_costs_their_shadows_alone() {
    Lab::run(|lab| {
        lab.start_nginx();
        let target = Target::start(Behaviour::Digest);
        let disk = lab.path("disk");
        std::fs::create_dir(&disk).unwrap();
        let mut command = Command::new("unshare");
        let script =
            r#"mount -t tmpfs -o size=512k tmpfs "$1"; export TMPDIR="$1"; shift; exec "$@""#;
        command.args(["--mount", "sh", "-ec", script, "sh"]).arg(disk).arg(binary());
        let to = target.url();
        let args = ["replay", "--from", CABLE, "--port", "8080", "--to", &to, "--json"];
        let mirror = Mirror::start_as(lab, command, &[&args[..], &["--admin", ADMIN]].concat());
        let body = lab.path("body");
        std::fs::write(&body, vec![b'x'; 3 << 20]).unwrap();
        let post = format!("@{}", body.display());
        let url = "http://10.77.0.1:8080/";
        // Production takes it, as it takes what comes after.
        lab.curl(&["--data-binary", &post, &format!("{url}post")]);
        lab.curl(&[url]);
        target.wait_for(1, patience());
        let metrics = endpoint().get("/metrics").body;
        assert!(metrics.contains("spool_failed"), "{metrics}");
        endpoint().scrape().assert_sums_hold();
        let summary = mirror.summary();
        assert_balance(&summary);
        let (seen, delivered, dropped) = account(&summary, "shadow requests");
        assert_eq!((seen, delivered), (2, 1), "{summary:#}");
        assert_eq!(dropped.iter().map(|(_, n)| n).sum::<u64>(), 1, "{dropped:?}");
        assert!(summary.to_string().contains("spool_failed"), "{summary:#}");
    });
}
