//! A shop with 40 seeded regressions and 25 kinds of noise, compared with and without a control, and by Diffy's algorithm
//! on the same traffic. `cargo xtask bench compare` prints the table.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test fails by panicking")]

mod noises;
mod regressions;
mod shop;

use std::collections::BTreeMap;

use mirror_compare::comparison::{Comparison, Options, Pair};
use mirror_compare::diffy::{Counters, Mode, differences, message};
use mirror_compare::pair::{Answer, Failure, Request, Response};
use mirror_compare::report::Report;
use mirror_compare::verdict::{Thresholds, Verdict};

use self::noises::NOISES;
use self::regressions::{Expected, REGRESSIONS};
use self::shop::{Random, Reply, Scene};

/// Requests of each endpoint.
const REQUESTS: usize = 1_000;

/// The name of the endpoint of a regression or a noise.
fn path(kind: &str, name: &str) -> String {
    format!("/{kind}/{}", name.replace([' ', '%'], "-"))
}

/// What was said of the traffic.
struct Said {
    report: Report,
    diffy: Counters,
}

fn response(reply: &Reply) -> Result<Response<'_>, Failure> {
    match reply.failure {
        Some(failure) => Err(failure),
        None => Ok(reply.response()),
    }
}

fn answer(reply: &Reply) -> Answer<'_> {
    match response(reply) {
        Ok(response) => Answer::Response(response),
        Err(failure) => Answer::Failed(failure),
    }
}

/// Runs all the traffic, with or without a control.
fn run(requests: usize, control: bool) -> Said {
    let mut comparison = Comparison::new(Options::default());
    let mut diffy = Counters::default();
    let mut random = Random::new(7);
    let mut ask = |path: &str,
                   scene: &Scene,
                   at: usize,
                   regress: Option<&regressions::Apply>,
                   random: &mut Random| {
        let side = |random: &mut Random, regress: Option<&regressions::Apply>| {
            scene.reply(at, random, regress)
        };
        let production = side(random, None);
        let candidate = side(random, regress);
        let second = side(random, None);
        let target = format!("{path}?u={}", scene.user(at));
        let request = Request { method: "GET", target: &target, fields: &[], body: b"" };
        comparison.push(&Pair {
            id: format!("{path}-{at}").into(),
            request,
            production: production.response(),
            candidate: answer(&candidate),
            control: control.then(|| answer(&second)),
            again: None,
        });
        let lift = |reply: &Reply| message(&response(reply).ok()?, true, Mode::Twitter);
        // Diffy always has a secondary. It drops what it cannot lift.
        if control
            && let (Some(p), Some(c), Some(s)) =
                (lift(&production), lift(&candidate), lift(&second))
        {
            let of = |other| differences(&p, other, Mode::Twitter);
            diffy.add(path, &of(&c), &of(&s));
        }
    };
    for (name, apply, _) in REGRESSIONS {
        let scene = Scene::with(shop::COMMON.iter().map(|name| noises::named(name)).collect());
        (0..requests).for_each(|at| ask(&path("r", name), &scene, at, Some(apply), &mut random));
    }
    for (name, apply) in NOISES {
        let scene = Scene::with(vec![*apply]);
        (0..requests).for_each(|at| ask(&path("n", name), &scene, at, None, &mut random));
    }
    Said { report: comparison.report(), diffy }
}

/// What became of one regression or noise.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Row {
    found: bool,
    false_reports: usize,
}

fn judge(report: &Report, endpoint: &str, expected: Option<&Expected>) -> Row {
    let endpoint = report.endpoints.iter().find(|one| one.name == format!("GET {endpoint}"));
    let Some(endpoint) = endpoint else { return Row { found: false, false_reports: 0 } };
    let failing = endpoint.fields.iter().filter(|field| field.verdict == Verdict::Regression);
    let (mut found, mut false_reports) = (false, 0);
    for field in failing {
        let is_expected = expected.is_some_and(|expected| expected.is(&field.path));
        let is_named = expected.is_some_and(|expected| expected.names(field.class, &field.cause));
        found |= is_expected && is_named;
        false_reports += usize::from(!is_expected);
    }
    if endpoint.is_slower {
        let is_expected = expected.is_some_and(|expected| expected.is("latency"));
        found |= is_expected;
        false_reports += usize::from(!is_expected);
    }
    Row { found, false_reports }
}

fn judge_diffy(diffy: &Counters, endpoint: &str, is_regression: bool) -> Row {
    let stats = diffy.stats(endpoint, true, &Thresholds::default()).unwrap_or_default();
    let is_noise = |path: &String| shop::COMMON_FIELDS.iter().any(|field| path.contains(field));
    let noise = stats.fields.keys().filter(|path| is_noise(path)).count();
    let other = stats.fields.len() - noise;
    match is_regression {
        true => Row { found: other > 0, false_reports: noise },
        false => Row { found: false, false_reports: stats.fields.len() },
    }
}

#[derive(Default)]
struct Table(BTreeMap<&'static str, Vec<(&'static str, Row)>>);

fn table(said: &Said, plain: &Said) -> Table {
    let mut table = Table::default();
    let mut add = |by, name, row| table.0.entry(by).or_default().push((name, row));
    for (name, _, expected) in REGRESSIONS {
        let path = path("r", name);
        add("control", *name, judge(&said.report, &path, Some(expected)));
        add("no control", name, judge(&plain.report, &path, Some(expected)));
        add("Diffy", name, judge_diffy(&said.diffy, &path, true));
    }
    for (name, _) in NOISES {
        let path = path("n", name);
        add("control", *name, judge(&said.report, &path, None));
        add("no control", name, judge(&plain.report, &path, None));
        add("Diffy", name, judge_diffy(&said.diffy, &path, false));
    }
    table
}

impl Table {
    fn missed(&self, by: &str) -> Vec<&'static str> {
        self.0[by]
            .iter()
            .take(REGRESSIONS.len())
            .filter(|(_, row)| !row.found)
            .map(|(name, _)| *name)
            .collect()
    }

    fn false_reports(&self, by: &str) -> Vec<&'static str> {
        self.0[by].iter().filter(|(_, row)| row.false_reports > 0).map(|(name, _)| *name).collect()
    }

    fn print(&self) {
        let mark = |row: Row, is_regression: bool| {
            let found = if !is_regression {
                ""
            } else if row.found {
                "found"
            } else {
                "MISSED"
            };
            let wrong = if row.false_reports > 0 {
                format!(" +{} false", row.false_reports)
            } else {
                String::new()
            };
            format!("{found}{wrong}")
        };
        println!("{:32} {:18} {:18} Diffy", "", "control", "no control");
        for at in 0..REGRESSIONS.len() + NOISES.len() {
            let row = |by: &str| mark(self.0[by][at].1, at < REGRESSIONS.len());
            println!(
                "{:32} {:18} {:18} {}",
                self.0["control"][at].0,
                row("control"),
                row("no control"),
                row("Diffy")
            );
        }
        for by in ["control", "no control", "Diffy"] {
            println!(
                "{by}: {} of {} found; false reports at {} of {}; missed: {}",
                REGRESSIONS.len() - self.missed(by).len(),
                REGRESSIONS.len(),
                self.false_reports(by).len(),
                REGRESSIONS.len() + NOISES.len(),
                self.missed(by).join(", ")
            );
        }
    }
}

#[test]
fn every_regression_is_found_by_its_cause_and_no_noise_is_reported() {
    let table = table(&run(REQUESTS, true), &run(REQUESTS, false));
    table.print();
    assert_eq!(REGRESSIONS.len(), 40);
    assert_eq!(NOISES.len(), 25);
    assert_eq!(table.missed("control"), [""; 0]);
    assert_eq!(table.false_reports("control"), [""; 0]);
    // Different hardware makes different times: without a control they are not judged.
    assert_eq!(table.missed("no control"), ["slower by half"]);
    assert_eq!(table.false_reports("no control"), [""; 0]);
}

#[test]
fn with_few_requests_and_no_control_noise_is_not_enough_data() {
    for requests in [3, 10, 30, 100] {
        let report = run(requests, false).report;
        let reported: Vec<&str> = NOISES
            .iter()
            .filter(|(name, _)| judge(&report, &path("n", name), None).false_reports > 0)
            .map(|(name, _)| *name)
            .collect();
        assert_eq!(reported, [""; 0], "{requests} requests");
    }
}

/// The curve, which takes a minute: `cargo xtask bench compare` prints it.
#[test]
#[ignore = "it measures, and checks nothing"]
fn more_requests_find_more() {
    println!("{:>9}  {:>16}  {:>16}  {:>16}", "requests", "control", "no control", "Diffy");
    for requests in [10, 30, 100, 300, 1_000] {
        let table = table(&run(requests, true), &run(requests, false));
        let cell = |by: &str| {
            let (missed, wrong) = (table.missed(by).len(), table.false_reports(by).len());
            format!("{} found, {wrong} false", REGRESSIONS.len() - missed)
        };
        println!(
            "{requests:>9}  {:>16}  {:>16}  {:>16}",
            cell("control"),
            cell("no control"),
            cell("Diffy")
        );
    }
}
