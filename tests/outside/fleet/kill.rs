//! Three capturers, three replayers and one server, each of them killed in the middle: every request is delivered or
//! counted, none twice unless it is counted, and each connection's requests arrive in their order.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::hosts::PATIENCE;
use super::{Host, requests};
use crate::support::nats::Nats;
use crate::support::netns::until;
use crate::support::summary::{account, balanced};
use crate::support::target::{Behaviour, RawRequest, Target};
use crate::support::{Workspace, binary, mirror};

const CONNECTIONS: usize = 40;
const EACH: usize = 50;

/// A capturing host, whose traffic the test makes up as it goes.
struct Capturer {
    child: Child,
    traffic: Vec<u8>,
    fed: usize,
    out: std::path::PathBuf,
}

impl Capturer {
    fn start(workspace: &Workspace, name: &str, stream: &str) -> Self {
        let out = workspace.path(&format!("{name}.json"));
        let err = workspace.path(&format!("{name}.err"));
        let child = Command::new(binary())
            .args(["replay", "--from", "-", "--to", stream, "--json"])
            .stdin(Stdio::piped())
            .stdout(std::fs::File::create(&out).unwrap())
            .stderr(std::fs::File::create(err).unwrap())
            .spawn()
            .unwrap();
        Self { child, traffic: requests(name, CONNECTIONS, EACH), fed: 0, out }
    }

    /// So many percent of its traffic have passed.
    fn feed(&mut self, percent: usize) {
        let end = self.traffic.len() * percent / 100;
        let mut stdin = self.child.stdin.as_ref().unwrap();
        stdin.write_all(&self.traffic[self.fed..end]).unwrap();
        self.fed = end;
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn end(mut self) -> Value {
        self.feed(100);
        drop(self.child.stdin.take());
        until("the capturer ends", || self.child.try_wait().unwrap().is_some());
        serde_json::from_str(&std::fs::read_to_string(&self.out).unwrap()).unwrap()
    }
}

/// What arrived of each connection, in the order of arrival: name, connection → indexes.
fn arrived(received: &[RawRequest]) -> BTreeMap<(String, usize), Vec<usize>> {
    let mut of: BTreeMap<(String, usize), Vec<usize>> = BTreeMap::new();
    for request in received {
        let target = request.target();
        let mut parts = target.split('/').skip(1);
        let mut next = || parts.next().unwrap().to_owned();
        let (name, connection, index) = (next(), next(), next());
        of.entry((name, connection.parse().unwrap())).or_default().push(index.parse().unwrap());
    }
    of
}

fn is_complete(received: &[RawRequest], name: &str) -> bool {
    let of = arrived(received);
    (0..CONNECTIONS).all(|connection| {
        let there = of.get(&(name.to_owned(), connection));
        there.is_some_and(|all| all.iter().collect::<BTreeSet<_>>().len() == EACH)
    })
}

fn count(summary: &Value, topic: &str, what: &str) -> u64 {
    let notes = summary["notes"].as_array().unwrap().iter();
    let counts = notes
        .filter(|note| note["name"] == topic)
        .flat_map(|note| note["counts"].as_array().unwrap());
    counts.filter(|pair| pair[0] == what).map(|pair| pair[1].as_u64().unwrap()).sum()
}

#[test]
#[ignore = "needs nats-server, which `cargo xtask test` installs"]
fn nats_whoever_dies_every_request_is_delivered_or_counted_and_in_order() {
    let workspace = Workspace::new();
    // It answers nothing before it is told to, so that those who die have requests under way.
    let target = Target::start(Behaviour::Hold);
    let mut server = Nats::start();
    let stream = server.stream("prod");
    let to = format!("http://{}", target.address());

    // The first capturer makes the stream.
    let mut first = Capturer::start(&workspace, "one", &stream);
    let replayer =
        |name| Host::start(&workspace, name, &["replay", "--from", &stream, "--to", &to]);
    first.feed(1);
    until("the stream is there", || server.asks("STREAM.INFO.prod", "").contains("\"state\""));
    let mut second = Capturer::start(&workspace, "two", &stream);
    let mut third = Capturer::start(&workspace, "three", &stream);
    let (a, b, c) = (replayer("a"), replayer("b"), replayer("c"));
    until("all share the work", || {
        let report = mirror(&["fleet", "report", "--from", &stream, "--json"]);
        let report: Value = serde_json::from_str(&report.stdout()).unwrap_or_default();
        let members = report["members"].as_array().cloned().unwrap_or_default();
        members.len() == 3 && members.iter().all(|member| member["shards"].as_u64() >= Some(5))
    });
    for capturer in [&mut first, &mut second, &mut third] {
        capturer.feed(25);
    }
    let quarter = 3 * CONNECTIONS * EACH / 4;
    // One request of each connection is under way.
    target.wait_for(3 * CONNECTIONS, PATIENCE);
    b.kill();
    target.release();
    let d = replayer("d");
    for capturer in [&mut first, &mut second, &mut third] {
        capturer.feed(50);
    }
    target.wait_for(quarter * 4 / 3, PATIENCE);
    server.kill();
    for capturer in [&mut first, &mut second, &mut third] {
        capturer.feed(75);
    }
    server.restart();
    third.feed(85);
    third.kill();
    let again = Capturer::start(&workspace, "again", &stream);
    let published: Vec<Value> = [first, second, again].into_iter().map(Capturer::end).collect();
    until("everything arrived that was published", || {
        let received = target.received();
        ["one", "two", "again"].into_iter().all(|name| is_complete(&received, name))
    });
    let taken: Vec<Value> = [a, c, d].into_iter().map(Host::stop).collect();

    // What was seen was published, though the server was away.
    for summary in &published {
        let all = (CONNECTIONS * EACH) as u64;
        assert_eq!(balanced(summary, "published"), (all, all, vec![]), "{summary:#}");
    }
    for summary in &taken {
        balanced(summary, "stream messages");
        balanced(summary, "stream requests");
        balanced(summary, "shadow requests");
    }
    // In order, but for what came again: each connection's first arrivals are 0, 1, 2 and so on.
    let received = target.received();
    let mut twice = 0;
    for ((name, connection), indexes) in arrived(&received) {
        let mut seen = BTreeSet::new();
        let firsts: Vec<usize> =
            indexes.iter().copied().filter(|index| seen.insert(*index)).collect();
        assert!(firsts.is_sorted(), "{name}/{connection} arrived as {indexes:?}");
        // Of a capturer that was killed, what it had published, without a gap.
        assert_eq!(firsts.last().map(|last| last + 1), Some(firsts.len()), "{name}/{connection}");
        twice += indexes.len() - firsts.len();
    }
    // From end to end, by run: what the group counted is what arrived, whoever was killed.
    let report = mirror(&["fleet", "report", "--from", &stream, "--json"]).exits_with(0);
    let report: Value = serde_json::from_str(&report.stdout()).unwrap();
    let (ended, killed): (Vec<&Value>, Vec<&Value>) =
        report["runs"].as_array().unwrap().iter().partition(|run| run["ended"] == true);
    assert_eq!((ended.len(), killed.len()), (3, 1), "{report:#}");
    for run in ended {
        let counts = ["seen", "published", "delivered"].map(|name| run[name].as_u64().unwrap());
        assert_eq!(counts, [(CONNECTIONS * EACH) as u64; 3], "{report:#}");
    }
    let of_killed =
        received.iter().map(RawRequest::target).filter(|target| target.starts_with("/three/"));
    let distinct = of_killed.collect::<BTreeSet<_>>().len() as u64;
    assert_eq!(killed[0]["delivered"].as_u64(), Some(distinct), "{report:#}");
    let lost = |run: &Value| {
        ["not_delivered", "parked", "missing"].map(|name| run[name].as_u64().unwrap())
    };
    assert!(report["runs"].as_array().unwrap().iter().all(|run| lost(run) == [0; 3]), "{report:#}");
    let redelivered: u64 =
        taken.iter().map(|summary| count(summary, "broker", "redelivered")).sum();
    assert!(twice > 0, "what the dead replayer had under way came again");
    assert!(twice as u64 <= redelivered, "{twice} came twice, {redelivered} are counted");
    let handed: u64 = taken.iter().map(|summary| account(summary, "stream requests").1).sum();
    println!(
        "{} requests arrived, {twice} of them twice; the replayers that lived took {handed}, {redelivered} of them again",
        received.len()
    );
}
