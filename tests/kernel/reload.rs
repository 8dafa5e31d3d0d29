//! A file that changes while real packets pass: nothing is detached, no connection and no request
//! is lost, and the kernel program copies what the rules want and nothing else.

use std::path::Path;
use std::thread;

use crate::support::netns::{CABLE, Lab, Mirror, patience, until};
use crate::support::summary::{account, assert_balance, dropped};
use crate::support::target::{Behaviour, RawRequest, Target};

const URL: &str = "http://10.77.0.1:8080";

/// A file that captures port `port` on the cable and sends to `targets` by these rules.
fn file(port: u16, targets: &[(&str, &Target)], rules: &str) -> String {
    let targets: String = targets
        .iter()
        .map(|(name, to)| format!("  {name}: {{ url: \"{}\" }}\n", to.url()))
        .collect();
    format!("version: 1\nsource: {{ from: {CABLE}, ports: {port} }}\ntargets:\n{targets}{rules}")
}

fn start(lab: &Lab, config: &Path) -> Mirror {
    Mirror::start(lab, &["run", "--json", "--config", config.to_str().unwrap()])
}

/// The numbers in `/n/NUMBER`.
fn numbers(requests: &[RawRequest]) -> Vec<u32> {
    requests.iter().map(|one| one.target()["/n/".len()..].parse().unwrap()).collect()
}

/// The connection in `X-Shadow-Id: RUN-CONNECTION-PLACE`.
fn connections(requests: &[RawRequest]) -> Vec<String> {
    let id = |one: &RawRequest| one.header("x-shadow-id").unwrap();
    let mut connections: Vec<String> =
        requests.iter().map(|one| id(one).split('-').nth(1).unwrap().to_owned()).collect();
    connections.dedup();
    connections
}

/// Requests on the connection that is open while the file changes.
const REQUESTS: u32 = 400;

#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_open_connection_goes_on_at_the_new_target_without_losing_a_request() {
    Lab::run(|lab| {
        lab.start_nginx();
        let (first, second) = (Target::start(Behaviour::Answer), Target::start(Behaviour::Answer));
        let config = lab.path("mirror.yaml");
        std::fs::write(&config, file(8080, &[("first", &first)], "")).unwrap();
        let mirror = start(lab, &config);
        thread::scope(|scope| {
            let url = format!("{URL}/n/[1-{REQUESTS}]");
            // One connection, long enough for the change to fall into it.
            let asking =
                scope.spawn(move || lab.curl(&["--rate", "100/s", "-o", "/dev/null", &url]));
            first.wait_for(20, patience());
            std::fs::write(&config, file(8080, &[("second", &second)], "")).unwrap();
            second.wait_for(1, patience());
            asking.join().unwrap();
        });
        until("all have come", || {
            first.received().len() + second.received().len() >= REQUESTS as usize
        });
        let summary = mirror.summary();
        let (before, after) = (first.received(), second.received());
        let all: Vec<u32> = [numbers(&before), numbers(&after)].concat();
        assert_eq!(all, (1..=REQUESTS).collect::<Vec<_>>(), "each once, in order");
        assert_eq!(connections(&[before, after].concat()).len(), 1, "one captured connection");
        assert_balance(&summary);
        assert_eq!(
            account(&summary, "cleared"),
            (u64::from(REQUESTS), u64::from(REQUESTS), vec![])
        );
        let to = |name: &str| account(&summary, name).1;
        assert_eq!(to("to first") + to("to second"), u64::from(REQUESTS), "{summary:#}");
    });
}

/// Connections of one request each.
const CONNECTIONS: usize = 120;

#[test]
#[ignore = "needs root: cargo xtask test"]
fn connections_that_no_rule_wants_are_not_copied_and_a_change_wants_others() {
    Lab::run(|lab| {
        lab.start_nginx();
        let target = Target::start(Behaviour::Answer);
        let config = lab.path("mirror.yaml");
        let sampled = |port: u16, percent: u32| {
            let rule = format!(
                "rules: [{{ name: part, sample: {{ percent: {percent}, by: connection }}, targets: only }}]\n"
            );
            std::fs::write(&config, file(port, &[("only", &target)], &rule)).unwrap();
        };
        let ask = || {
            let urls: Vec<String> = (0..CONNECTIONS).map(|n| format!("{URL}/n/{n}")).collect();
            let urls = urls.iter().map(String::as_str);
            lab.curl(&["-H", "Connection: close"].into_iter().chain(urls).collect::<Vec<_>>());
        };
        let reloads = |mirror: &Mirror, n: usize| {
            until("it is reloaded", || mirror.said().matches("reloaded").count() == n);
        };
        sampled(8080, 25);
        let mirror = start(lab, &config);
        ask();
        sampled(8080, 100);
        reloads(&mirror, 1);
        ask();
        // Another port, which nobody asks for.
        sampled(9999, 100);
        reloads(&mirror, 2);
        ask();
        until("all have come", || target.received().len() >= CONNECTIONS);
        let summary = mirror.summary();
        assert_balance(&summary);
        let sent = target.received().len();
        let part = sent - CONNECTIONS;
        assert!((8..=60).contains(&part), "{part} of {CONNECTIONS}, not a quarter");
        // What was copied was sent: the rules had nothing left to leave out.
        let sent = sent as u64;
        assert_eq!(account(&summary, "requests"), (sent, sent, vec![]), "{summary:#}");
        assert_eq!(account(&summary, "cleared"), (sent, sent, vec![]), "{summary:#}");
        // Of each connection that was left out, a request and its answer at least.
        let left_out = 2 * (CONNECTIONS - part) as u64;
        assert!(dropped(&summary, "kernel", "sampled_out") >= left_out, "{summary:#}");
        assert!(
            dropped(&summary, "kernel", "not_watched") >= 2 * CONNECTIONS as u64,
            "{summary:#}"
        );
    });
}
