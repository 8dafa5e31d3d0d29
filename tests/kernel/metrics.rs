//! Metrics of a live run: sums under load, readiness, and what a real Prometheus makes of them.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::netns::{CABLE, Lab, Mirror, patience, succeed, until};
use crate::support::scrape::{ADMIN, endpoint};
use crate::support::summary::assert_balance;
use crate::support::target::{Behaviour, Target};

/// A process that is killed when this is dropped.
struct Process(Child);

impl Process {
    fn start(command: &mut Command) -> Self {
        Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn every_sum_holds_in_every_scrape_under_load() {
    Lab::run(|lab| {
        lab.start_nginx();
        let target = Target::start(Behaviour::Digest);
        let to = target.url();
        // A small ring and a short queue, so that packets and requests are lost.
        let mirror = Mirror::start(
            lab,
            &[
                "replay",
                "--from",
                CABLE,
                "--port",
                "8080",
                "--to",
                &to,
                "--json",
                "--admin",
                ADMIN,
                "--ring-size",
                "512KiB",
                "--max-queue",
                "64KiB",
            ],
        );
        let endpoint = endpoint();
        assert_eq!(endpoint.not_ready(), [""; 0]);
        let mut load = lab.client("wrk");
        load.args(["-t1", "-c16", "-d3s", "http://10.77.0.1:8080/"]).stdout(Stdio::null());
        let mut load = load.spawn().unwrap();
        let (mut scrapes, mut in_flight) = (0, 0.0);
        while load.try_wait().unwrap().is_none() {
            let samples = endpoint.scrape();
            samples.assert_sums_hold();
            in_flight += samples.sum("mirror_in_flight", &[("seam", "shadow_requests")]);
            scrapes += 1;
        }
        assert!(scrapes > 10 && in_flight > 0.0, "{scrapes} scrapes, {in_flight} in flight");
        let samples = endpoint.scrape();
        assert!(samples.sum("mirror_seen_total", &[("seam", "kernel")]) > 1_000.0);
        assert_eq!(samples.sum("mirror_capture_attached", &[]), 1.0);
        assert_eq!(samples.sum("mirror_ring_size_bytes", &[]), 524_288.0);
        assert!(samples.sum("mirror_ring_used_bytes", &[]) <= 524_288.0);
        assert_balance(&mirror.summary());
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn what_keeps_a_live_run_from_being_ready_is_told() {
    Lab::run(|lab| {
        lab.start_nginx();
        let inspect = lab.path("out.jsonl");
        let to = ["--to", inspect.to_str().unwrap(), "--admin", ADMIN];
        // Nothing to attach to yet, and then something.
        let mirror = Mirror::start(
            lab,
            &[&["capture", "--from", "later*", "--port", "8080"], &to[..]].concat(),
        );
        assert_eq!(endpoint().not_ready(), ["not_attached"]);
        succeed(Command::new("ip").args(["link", "add", "later0", "type", "veth"]));
        succeed(Command::new("ip").args(["link", "set", "later0", "up"]));
        until("it is attached", || endpoint().not_ready().is_empty());
        mirror.kill();

        // Only traffic of which this host is the client, and it is the server.
        let mirror = Mirror::start(
            lab,
            &[
                &["capture", "--from", CABLE, "--port", "8080", "--side", "client", "--overwrite"],
                &to[..],
            ]
            .concat(),
        );
        drop(lab.curl(&["--output", "/dev/null", "http://10.77.0.1:8080/[1-60]"]));
        until("nothing is captured", || endpoint().not_ready() == ["nothing_captured"]);
        let why = endpoint().get("/readyz").body;
        assert!(why.contains("other_side"), "{why}");
        mirror.kill();
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_run_that_stands_still_is_not_ready_and_can_still_be_asked() {
    Lab::run(|lab| {
        lab.start_nginx();
        // Nobody reads its standard output, so that writing there waits for ever.
        let args = ["capture", "--from", CABLE, "--port", "8080", "--raw", "--to", "-"];
        let mirror = Mirror::start(lab, &[&args[..], &["--admin", ADMIN]].concat());
        drop(lab.curl(&["--output", "/dev/null", "http://10.77.0.1:8080/big"]));
        until("the ring is not read", || endpoint().not_ready() == ["ring_unread"]);
        assert_eq!(endpoint().get("/livez").status, 200);
        let samples = endpoint().scrape();
        samples.assert_sums_hold();
        assert_eq!(samples.sum("mirror_not_ready", &[("reason", "ring_unread")]), 1.0);
        mirror.kill();
    });
}

/// Runs a query of PromQL, and counts the series of its result.
fn series(query: &str) -> usize {
    let query = format!("query={query}");
    let url = "http://127.0.0.1:9090/api/v1/query";
    let output =
        succeed(Command::new("curl").args(["--silent", "-G", url, "--data-urlencode", &query]));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["status"], "success", "{query}: {answer}");
    answer["data"]["result"].as_array().unwrap().len()
}

fn deploy(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(name);
    fs::read_to_string(path).unwrap()
}

/// Every query of the dashboard, with the values of its variables.
fn dashboard_queries() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&deploy("grafana/mirror.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let queries = targets.map(|target| target["expr"].as_str().unwrap().to_owned());
    let variables = dashboard["templating"]["list"].as_array().unwrap().iter();
    let variables = variables.filter_map(|variable| {
        let (series, _) =
            variable["query"].as_str()?.strip_prefix("label_values(")?.rsplit_once(", ")?;
        Some(series.to_owned())
    });
    let all = queries.chain(variables).map(|query| {
        ["$job", "$instance", "$target"]
            .into_iter()
            .fold(query, |query, variable| query.replace(variable, ".*"))
            .replace("$__rate_interval", "10s")
    });
    all.collect()
}

/// The expression of every alert without its bound, which no series crosses where all is well.
fn alert_expressions() -> Vec<String> {
    let rules = deploy("prometheus/alerts.yaml");
    let expressions = rules.lines().filter_map(|line| line.trim().strip_prefix("expr: "));
    let without_bound = |expression: &str| {
        let mut words: Vec<&str> = expression.split(' ').collect();
        let bound: Vec<&str> = words.split_off(words.len() - 2);
        assert!(["==", "!=", ">", "<"].contains(&bound[0]), "{expression}");
        words.join(" ")
    };
    expressions.map(without_bound).collect()
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_real_prometheus_has_data_for_every_query_of_the_dashboard_and_the_alerts() {
    Lab::run(|lab| {
        lab.start_nginx();
        let target = Target::start(Behaviour::Digest);
        let config = lab.path("mirror.yaml");
        let text = format!(
            "version: 1\nsource: {{ from: [{CABLE}], ports: [8080] }}\nadmin: {{ listen: '{ADMIN}' }}\n\
             targets: {{ staging: {{ url: '{}' }} }}\nrules: [{{ name: all, targets: [staging] }}]\n",
            target.url()
        );
        fs::write(&config, text).unwrap();
        let mirror = Mirror::start(lab, &["run", "--config", config.to_str().unwrap(), "--json"]);
        let scrapes = lab.path("prometheus.yaml");
        let text = format!(
            "global: {{ scrape_interval: 1s, scrape_timeout: 1s }}\n\
             scrape_configs: [{{ job_name: mirror, static_configs: [{{ targets: ['{ADMIN}'] }}] }}]\n"
        );
        fs::write(&scrapes, text).unwrap();
        let mut command = Command::new("prometheus");
        command.arg(format!("--config.file={}", scrapes.display()));
        command.arg(format!("--storage.tsdb.path={}", lab.path("tsdb").display()));
        let _prometheus = Process::start(command.arg("--web.listen-address=127.0.0.1:9090"));
        let mut browse = lab.client("sh");
        let url = "'http://10.77.0.1:8080/[1-50]'";
        browse.arg("-c").arg(format!("while curl -s -o /dev/null {url}; do sleep 0.1; done"));
        let _customers = Process::start(&mut browse);
        until("Prometheus is ready", || {
            let mut asked = Command::new("curl");
            asked.args(["--silent", "--fail", "http://127.0.0.1:9090/-/ready"]);
            asked.stdout(Stdio::null()).status().unwrap().success()
        });
        until("it has scraped", || series("up == 1") == 1);
        let (queries, alerts) = (dashboard_queries(), alert_expressions());
        assert!(queries.len() > 30 && alerts.len() > 8);
        for query in queries.iter().chain(&alerts) {
            until(query, || series(query) > 0);
        }
        assert!(!target.wait_for(1, patience()).is_empty());
        assert_eq!(series("count(mirror_seen_total) > 0"), 1);
        assert_balance(&mirror.summary());
    });
}

/// Prints, with `--nocapture`, what mirror takes of the processor for a captured request while nobody asks for its
/// metrics, and while a scraper asks ten times a second; that of a scrape each second is a tenth of the difference.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn measured_what_scrapes_cost_a_capture_under_load() {
    const ROUNDS: usize = 3;
    Lab::run(|lab| {
        lab.start_nginx();
        let target = Target::start(Behaviour::Digest);
        let to = target.url();
        let args = ["replay", "--from", CABLE, "--port", "8080", "--to", &to, "--json"];
        let mirror = Mirror::start(lab, &[&args[..], &["--admin", ADMIN]].concat());
        let figures = || {
            let samples = endpoint().scrape();
            samples.assert_sums_hold();
            let requests = samples.sum("mirror_seen_total", &[("seam", "requests")]);
            (samples.sum("process_cpu_seconds_total", &[]), requests)
        };
        // Microseconds of CPU time for a request, and scrapes, of a run under load.
        let measure = |scrape_every: Option<Duration>| {
            let before = figures();
            let mut load = lab.client("wrk");
            load.args(["-t1", "-c8", "-d2s", "http://10.77.0.1:8080/"]).stdout(Stdio::null());
            let mut load = load.spawn().unwrap();
            let mut scrapes = 0;
            while load.try_wait().unwrap().is_none() {
                if let Some(every) = scrape_every {
                    endpoint().scrape();
                    scrapes += 1;
                    next_scrape(every);
                } else {
                    next_scrape(Duration::from_millis(100));
                }
            }
            let after = figures();
            assert!(after.1 > before.1, "nothing was captured");
            ((after.0 - before.0) * 1e6 / (after.1 - before.1), scrapes)
        };
        for round in 1..=ROUNDS {
            let (without, _) = measure(None);
            let (with, scrapes) = measure(Some(Duration::from_millis(100)));
            println!(
                "round {round}: {without:.1} µs of CPU time for a request, {with:.1} µs with {scrapes} scrapes in 2 s: {:.3} times",
                with / without
            );
        }
        assert_balance(&mirror.summary());
    });
}

/// What a scraper does between two scrapes.
#[expect(clippy::disallowed_methods, reason = "a scraper's interval is wall time")]
fn next_scrape(every: Duration) {
    std::thread::sleep(every);
}
