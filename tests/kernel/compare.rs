//! `mirror compare` and compared targets on real packets: production's responses come from the capture, every side is asked
//! once, and what is too much is not compared, while the replay goes on.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;
use std::sync::Arc;
use std::thread;

use rustix::fs::OFlags;
use serde_json::Value;

use crate::support::netns::{CABLE, Lab, Mirror, patience, succeed, until};
use crate::support::scrape::Endpoint;
use crate::support::summary::{account, assert_balance};
use crate::support::target::{Behaviour, RawRequest, Target};

const URL: &str = "http://10.77.0.1:8080";
/// Products that customers ask for.
const REQUESTS: usize = 40;

/// A shop that has one price.
fn shop(price: &'static str) -> Behaviour {
    let answer = move |wire: &str| {
        let target = wire.split(' ').nth(1).expect("a request");
        let id = target.rsplit('/').next().expect("a path");
        let body = format!(r#"{{"id":{id},"price":{price},"token":"s3cr3t-{id}"}}"#);
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    Behaviour::Serve(Arc::new(answer))
}

fn production(behaviour: Behaviour) -> Target {
    Target::start_on("10.77.0.1:8080".parse().expect("an address"), behaviour)
}

fn ask(lab: &Lab, count: usize) {
    ask_from(lab, 100, count);
}

fn ask_from(lab: &Lab, first: usize, count: usize) {
    let url = format!("{URL}/products/[{first}-{}]", first + count - 1);
    lab.curl(&["-o", "/dev/null", &url]);
}

/// Path, verdict and cause of each field.
fn fields(report: &Value) -> Vec<[String; 3]> {
    let endpoints = report["endpoints"].as_array().expect("endpoints").iter();
    let fields = endpoints.flat_map(|one| one["fields"].as_array().expect("fields"));
    let text = |field: &Value, key: &str| field[key].as_str().expect("a text").to_owned();
    fields.map(|field| ["path", "verdict", "cause"].map(|key| text(field, key))).collect()
}

fn rounded() -> [String; 3] {
    ["body.price", "regression", "another value: rounded"].map(str::to_owned)
}

/// Each product was asked for once.
#[track_caller]
fn assert_once(received: &[RawRequest], count: usize) {
    let targets: BTreeSet<String> = received.iter().map(RawRequest::target).collect();
    assert_eq!((received.len(), targets.len()), (count, count), "{targets:?}");
}

/// A page, by which a test knows what was compared.
const PAGE: [&str; 2] = ["--dashboard", "127.0.0.1:0"];

/// Exchanges into the comparison, and those that were compared.
fn compared(mirror: &Mirror) -> (u64, u64) {
    let health = &overview(mirror)["health"];
    let mut accounts = health["accounts"].as_array().expect("accounts").iter();
    let of =
        |account: &Value| account["name"].as_str().is_some_and(|name| name.starts_with("compared"));
    let account = accounts.rfind(|account| of(account));
    let count = |key: &str| account.and_then(|account| account[key].as_u64()).unwrap_or_default();
    (count("seen"), count("delivered"))
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_seeded_difference_is_found_and_every_side_is_asked_once() {
    Lab::run(|lab| {
        let production = production(shop("19.994"));
        let (candidate, control) = (Target::start(shop("19.99")), Target::start(shop("19.994")));
        let (to, second) = (candidate.url(), control.url());
        let args =
            ["compare", "--from", CABLE, "--port", "8080", "--to", &to, "--control", &second];
        let mirror = Mirror::start(
            lab,
            &[&args[..], &["--gate", "failing_fields=0", "--json"], &PAGE].concat(),
        );
        ask(lab, REQUESTS);
        until("all is compared", || compared(&mirror).1 == REQUESTS as u64);
        let report = mirror.told(1);
        assert_eq!(report["pairs"], REQUESTS, "{report:#}");
        assert_eq!(fields(&report), [rounded()]);
        let endpoint = &report["endpoints"][0];
        assert_eq!(
            (&endpoint["name"], &endpoint["control"]),
            (&"GET /products/{id}".into(), &REQUESTS.into())
        );
        for side in [&production, &candidate, &control] {
            assert_once(&side.received(), REQUESTS);
        }
        assert!(!report.to_string().contains("s3cr3t"), "{report:#}");
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn without_a_control_the_capture_alone_is_the_left_side() {
    Lab::run(|lab| {
        let production = production(shop("19.994"));
        let candidate = Target::start(shop("19.99"));
        let to = candidate.url();
        let args = ["compare", "--from", CABLE, "--port", "8080", "--to", &to, "--json"];
        let args = [&args[..], &PAGE].concat();
        let mirror = Mirror::start(lab, &args);
        ask(lab, REQUESTS);
        until("all is compared", || compared(&mirror).1 == REQUESTS as u64);
        let report = mirror.told(0);
        assert_eq!(fields(&report), [rounded()], "{report:#}");
        assert_once(&production.received(), REQUESTS);
        assert_once(&candidate.received(), REQUESTS);
    });
}

/// A plan: one target that is compared, beside one that only replays.
fn plan(candidate: &Target, plain: &Target, more: &str) -> String {
    format!(
        "version: 1\nsource: {{ from: {CABLE}, ports: 8080 }}\ndashboard: {{ listen: 127.0.0.1:0, diffy-compatible: true }}\ntargets:\n\
         \x20 canary: {{ url: \"{}\", compare: {{ {more} }} }}\n\
         \x20 plain: {{ url: \"{}\" }}\n",
        candidate.url(),
        plain.url()
    )
}

/// What the page answers.
fn overview(mirror: &Mirror) -> Value {
    answer(mirror, "/api/v1/overview")
}

fn answer(mirror: &Mirror, path: &str) -> Value {
    let said = mirror.said();
    let address = said.split("dashboard: http://").nth(1).expect("a page").split('/').next();
    let page = Endpoint(address.expect("an address").parse().expect("an address"));
    serde_json::from_str(&page.get(path).body).expect("JSON")
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_compared_target_runs_beside_others_and_a_reload_begins_its_comparison_anew() {
    Lab::run(|lab| {
        let _production = production(shop("19.994"));
        let (old, new) = (Target::start(shop("19.99")), Target::start(shop("19.994")));
        let plain = Target::start(shop("5"));
        let config = lab.path("mirror.yaml");
        std::fs::write(&config, plan(&old, &plain, "double-send: 100%")).unwrap();
        let mirror = Mirror::start(lab, &["run", "--json", "--config", config.to_str().unwrap()]);
        ask(lab, REQUESTS);
        // Each safe request is sent twice to the candidate, and once to the other target.
        old.wait_for(2 * REQUESTS, patience());
        plain.wait_for(REQUESTS, patience());
        let failing = |mirror: &Mirror| {
            let overview = overview(mirror);
            let all = &overview["endpoints"][0];
            (all["total"].as_u64().unwrap_or(0), all["failing"].as_u64().unwrap_or(0))
        };
        let all = REQUESTS as u64;
        until("all is compared", || failing(&mirror) == (all, all));
        std::fs::write(&config, plan(&new, &plain, "")).unwrap();
        until("it is reloaded", || mirror.said().contains(": reloaded"));
        ask(lab, REQUESTS);
        new.wait_for(REQUESTS, patience());
        until("the new one is compared", || failing(&mirror) == (all, 0));
        assert_eq!(answer(&mirror, "/api/1/info")["candidate"]["target"], new.url());
        let summary = mirror.summary();
        assert_balance(&summary);
        assert_once(&new.received(), REQUESTS);
        assert_eq!(old.received().len(), 2 * REQUESTS, "nothing after the reload");
        assert_eq!(plain.received().len(), 2 * REQUESTS, "it stayed");
        assert_eq!(summary["comparison"]["pairs"], REQUESTS, "{summary:#}");
        assert_eq!(fields(&summary["comparison"]), [[""; 3]; 0]);
        // What the page judges anew is stored, whichever target it was of.
        let (compared, stored, _) = account(&summary, "stored pairs");
        assert_eq!((compared, stored), (2 * all, 2 * all), "{summary:#}");
        let told = summary["notes"].to_string();
        assert!(told.contains(&format!(r#"["to canary answered",{REQUESTS}]"#)), "{told}");
    });
}

/// Requests at a time, and how often: more than wait to be compared, and than a pipe that nobody reads takes of findings.
const BATCH: usize = 500;
const BATCHES: usize = 5;

#[test]
#[ignore = "needs root: cargo xtask test"]
fn under_pressure_pairs_are_not_compared_and_all_requests_are_sent() {
    Lab::run(|lab| {
        let _production = production(shop("19.994"));
        let (candidate, plain) = (Target::start(shop("19.99")), Target::start(shop("5")));
        // What compares cannot go on while nobody reads the findings.
        let findings = lab.path("findings");
        succeed(Command::new("mkfifo").arg(&findings));
        let reader = |flags| {
            OpenOptions::new().read(true).custom_flags(flags).open(&findings).expect("a pipe")
        };
        let held = reader(OFlags::NONBLOCK.bits() as i32);
        let config = lab.path("mirror.yaml");
        let more = format!("findings: {}", findings.display());
        std::fs::write(&config, plan(&candidate, &plain, &more)).unwrap();
        let mirror = Mirror::start(lab, &["run", "--json", "--config", config.to_str().unwrap()]);
        for batch in 1..=BATCHES {
            ask_from(lab, batch * BATCH, BATCH);
            candidate.wait_for(batch * BATCH, patience());
            plain.wait_for(batch * BATCH, patience());
        }
        until("all were seen", || compared(&mirror).0 == (BATCHES * BATCH) as u64);
        // From here on they are read, so that the run can end.
        let mut pipe = reader(0);
        drop(held);
        let reading = thread::spawn(move || {
            let mut text = String::new();
            pipe.read_to_string(&mut text).expect("text");
            text.lines().count() as u64
        });
        let summary = mirror.summary();
        assert_balance(&summary);
        let (seen, compared, dropped) = account(&summary, "compared with canary");
        assert_eq!(seen, (BATCHES * BATCH) as u64, "{summary:#}");
        assert!(dropped.iter().any(|(why, _)| why == "shed"), "{dropped:?}");
        assert_eq!(reading.join().unwrap(), compared, "each pair differs");
        assert_eq!(summary["comparison"]["pairs"], compared, "{summary:#}");
        let warned = summary["warnings"].to_string();
        assert!(warned.contains("were not compared"), "{warned}");
        assert_once(&candidate.received(), BATCHES * BATCH);
        assert_once(&plain.received(), BATCHES * BATCH);
    });
}
