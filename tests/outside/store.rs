//! `mirror compare --store`: pairs that are kept, judged again by other rules, and what is refused.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use serde_json::Value;

use crate::support::netns::until;
use crate::support::target::{Behaviour, Target};
use crate::support::wire::Talk;
use crate::support::{Run, Workspace, binary, mirror};

/// Requests of a recording.
const REQUESTS: usize = 60;

/// One connection that asks for products; the candidate rounds each price, and calls each tenth name otherwise.
fn recording(requests: usize, candidate: bool, padding: &str) -> Vec<u8> {
    slowly(requests, candidate, padding, 2_000)
}

/// The same with so many milliseconds between two requests.
fn slowly(requests: usize, candidate: bool, padding: &str, pause: u64) -> Vec<u8> {
    let say = |talk: Talk, n: usize| {
        let request = format!(
            "GET /products/{} HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer s3cr3t\r\n\r\n",
            100 + n
        );
        let price = if candidate { "19.99" } else { "19.994" };
        let name = if candidate && n.is_multiple_of(10) { "other" } else { "plain" };
        let body = format!(
            r#"{{"id":{n},"price":{price},"name":"{name}","padding":"{padding}","access_token":"s3cr3t-{n}"}}"#
        );
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length:";
        talk.client(request)
            .server(format!("{head} {}\r\n\r\n{body}", body.len()))
            .pause_millis(pause)
    };
    (0..requests).fold(Talk::new().open(), say).close().pcap()
}

/// Two recordings in a folder, compared once into `f.db`.
struct Stored {
    workspace: Workspace,
    store: String,
    live: Value,
}

impl Stored {
    fn new(more: &[&str]) -> Self {
        let workspace = Workspace::new();
        let store = workspace.path("f.db").to_str().unwrap().to_owned();
        let stored = Self { workspace, store, live: Value::Null };
        let live = json(&stored.compare(more));
        Self { live, ..stored }
    }

    fn compare(&self, more: &[&str]) -> Run {
        let production = self.workspace.file("prod.pcap", &recording(REQUESTS, false, ""));
        let candidate = self.workspace.file("candidate.pcap", &recording(REQUESTS, true, ""));
        let args = ["compare", "--from", &production, "--with", &candidate, "--store", &self.store];
        mirror(&[&args[..], &["--json"], more].concat())
    }

    fn report(&self, more: &[&str]) -> Run {
        mirror(&[&["compare", "--store", &self.store, "--report"], more].concat())
    }
}

fn json(run: &Run) -> Value {
    serde_json::from_str(&run.stdout())
        .unwrap_or_else(|_| panic!("{}{}", run.stdout(), run.stderr()))
}

/// The fields of a report with their verdicts.
fn verdicts(report: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let endpoints = report["endpoints"].as_array().unwrap().iter();
    let fields = endpoints.flat_map(|one| one["fields"].as_array().unwrap());
    fields.map(|field| (text(&field["path"]), text(&field["verdict"]))).collect()
}

fn holds(path: &Path, text: &str) -> bool {
    fs::read(path).unwrap().windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn what_was_stored_is_judged_again_and_says_the_same() {
    let stored = Stored::new(&[]);
    let mut again = json(&stored.report(&["--json"]).exits_with(0));
    let basis = again.as_object_mut().unwrap().remove("basis").unwrap();
    assert_eq!(again, stored.live);
    let all = serde_json::json!({"runs": 1, "compared": 60, "judged": 60, "missing": 0});
    assert_eq!(basis, all);
    let told = stored.report(&[]).exits_with(0);
    let _ =
        told.says("Judged anew: all 60 pairs of 1 run are stored, so that all figures are exact.");
    // One file, for its owner alone, without a secret.
    let names: Vec<_> = fs::read_dir(stored.workspace.path("")).unwrap().collect();
    assert_eq!(names.len(), 3, "{names:?}");
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(&stored.store).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!holds(stored.store.as_ref(), "s3cr3t"));
}

#[test]
fn a_replay_beside_a_control_is_judged_again_with_its_control() {
    let shop = |price: &'static str| {
        let answer = move |wire: &str| {
            let id = wire.split(['/', ' ']).nth(3).unwrap();
            let body = format!(
                r#"{{"id":{id},"price":{price},"name":"plain","padding":"","access_token":"x-{id}"}}"#
            );
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length:";
            format!("{head} {}\r\n\r\n{body}", body.len())
        };
        Target::start(Behaviour::Serve(Arc::new(answer)))
    };
    let (candidate, control) = (shop("19.99"), shop("19.994"));
    let workspace = Workspace::new();
    let production = workspace.file("prod.pcap", &slowly(REQUESTS, false, "", 1));
    let store = workspace.path("f.db").to_str().unwrap().to_owned();
    let (to, second) = (candidate.url(), control.url());
    let live = mirror(&[
        "compare",
        "--from",
        &production,
        "--to",
        &to,
        "--control",
        &second,
        "--store",
        &store,
        "--json",
    ]);
    let live = json(&live.exits_with(0));
    let mut again =
        json(&mirror(&["compare", "--store", &store, "--report", "--json"]).exits_with(0));
    again.as_object_mut().unwrap().remove("basis");
    assert_eq!(again, live);
    assert_eq!(again["endpoints"][0]["control"], REQUESTS, "{again:#}");
    // The command that asks the candidate again names it.
    assert!(again.to_string().contains(&format!("{to}/products/")), "{again:#}");
}

#[test]
fn other_rules_gates_and_reports_hold_for_what_was_stored() {
    let rules = b"version: 1\nrules:\n  - {path: body.price, ignore: all}\n";
    let stored = Stored::new(&[]);
    assert_eq!(
        verdicts(&stored.live),
        [("body.price".into(), "regression".into()), ("body.name".into(), "insufficient".into())]
    );
    let path = |name: &str| stored.workspace.path(name).to_str().unwrap().to_owned();
    let rules = stored.workspace.file("rules.yaml", rules);
    let (junit, html, findings) = (path("r.xml"), path("r.html"), path("f.jsonl"));
    let more = [
        "--rules",
        &rules,
        "--gate",
        "failing_fields=0",
        "--junit",
        &junit,
        "--html",
        &html,
        "--findings",
        &findings,
        "--json",
    ];
    let report = json(&stored.report(&more).exits_with(3));
    assert_eq!(
        verdicts(&report),
        [("body.name".into(), "insufficient".into()), ("body.price".into(), "forgiven".into())]
    );
    assert_eq!(report["endpoints"][0]["differing"], 6);
    for file in [&junit, &html, &findings] {
        assert!(holds(file.as_ref(), "body.name") && !holds(file.as_ref(), "s3cr3t"), "{file}");
    }
    assert_eq!(fs::read_to_string(&findings).unwrap().lines().count(), 6);
    // The thresholds, too: sixty of sixty may be chance for whoever asks for more certainty.
    let rules = stored.workspace.file("rules.yaml", b"version: 1\nnoise: {alpha: 1e-30}\n");
    let report = json(&stored.report(&["--rules", &rules, "--json"]).exits_with(0));
    assert!(
        verdicts(&report).contains(&("body.price".into(), "insufficient".into())),
        "{report:#}"
    );
    let redact = ["--redact", "none"];
    let _ = stored.report(&redact).exits_with(2).complains(&["--redact", "stays so"]);
    // What the store holds stays as it is.
    assert_eq!(json(&stored.report(&["--json"]))["endpoints"], stored.live["endpoints"]);
}

#[test]
fn a_part_of_the_time_is_judged_by_itself() {
    let stored = Stored::new(&[]);
    let path = stored.workspace.path("f.jsonl");
    let findings = path.to_str().unwrap();
    let _ = stored.report(&["--findings", findings]).exits_with(0);
    let times: Vec<String> = fs::read_to_string(&path)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["ts"].as_str().unwrap().to_owned())
        .collect();
    let minute = |at: &str| at[..16].to_owned();
    let last = format!("{}:00Z", minute(times.last().unwrap()));
    let late = times.iter().filter(|at| minute(at) == minute(&last)).count();
    assert!(late > 0 && late < REQUESTS, "{times:?}");
    let pairs = |more: &[&str]| {
        json(&stored.report(&[more, &["--json"]].concat()).exits_with(0))["pairs"].clone()
    };
    assert_eq!(pairs(&["--since", &last]), late);
    assert_eq!(pairs(&["--until", &last]), REQUESTS - late);
    let _ = stored
        .report(&["--since", &last, "--until", &last])
        .exits_with(2)
        .complains(&["--since", "not before"]);
}

#[test]
fn runs_that_follow_one_another_add_to_a_store() {
    let stored = Stored::new(&[]);
    let _ = stored.compare(&[]).exits_with(0);
    let report = json(&stored.report(&["--json"]).exits_with(0));
    assert_eq!((&report["basis"]["runs"], &report["pairs"]), (&2.into(), &120.into()));
    assert_eq!(report["endpoints"][0]["repeated"][1], 0, "two runs are not production's own noise");
}

#[test]
fn a_full_store_says_what_is_exact_and_what_rests_on_samples() {
    let workspace = Workspace::new();
    // Bytes that no compression makes fewer.
    let mut state = 1_u64;
    let mut noise = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b'a' + u8::try_from((state >> 33) % 26).unwrap())
    };
    let padding: String = (0..40_000).map(&mut noise).collect();
    let requests = 600;
    let production = workspace.file("prod.pcap", &recording(requests, false, &padding));
    let candidate = workspace.file("candidate.pcap", &recording(requests, true, &padding));
    let store = workspace.path("f.db").to_str().unwrap().to_owned();
    let args =
        ["compare", "--from", &production, "--with", &candidate, "--json", "--store", &store];
    let live = json(&mirror(&[&args[..], &["--store-size", "16MiB"]].concat()).exits_with(0));
    assert!(fs::metadata(&store).unwrap().len() <= 16 << 20);
    let report = |more: &[&str]| {
        mirror(&[&["compare", "--store", &store, "--report"], more].concat()).exits_with(0)
    };
    let again = json(&report(&["--json"]));
    let judged = again["basis"]["judged"].as_u64().unwrap();
    assert!((100..600).contains(&judged), "{judged}");
    assert_eq!((&again["basis"]["compared"], &again["basis"]["missing"]), (&600.into(), &0.into()));
    // Sums are exact, and so is what each field has.
    let counts = |report: &Value| {
        let fields = report["endpoints"][0]["fields"].as_array().unwrap().iter();
        let fields = fields.map(|field| {
            (field["path"].to_string(), field["raw"].clone(), field["verdict"].clone())
        });
        (
            report["pairs"].clone(),
            report["endpoints"][0]["failing"].clone(),
            fields.collect::<Vec<_>>(),
        )
    };
    assert_eq!(counts(&again), counts(&live));
    let told = report(&[]);
    let _ = told
        .says(&format!("{judged} of 600 pairs of 1 run are stored"))
        .says("rest on the stored pairs");
    // A rule about a whole field is exact, too.
    let rules =
        workspace.file("rules.yaml", b"version: 1\nrules:\n  - {path: body.price, ignore: all}\n");
    let again = json(&report(&["--json", "--rules", &rules]));
    assert_eq!(again["endpoints"][0]["differing"], 60);
}

#[test]
fn what_is_no_store_is_refused_with_one_line() {
    let stored = Stored::new(&[]);
    let refused = |run: Run, parts: &[&str]| {
        let _ = run.exits_with(2).complains(parts);
    };
    let at = |name: &str, bytes: &[u8]| stored.workspace.file(name, bytes);
    let report = |store: &str| mirror(&["compare", "--store", store, "--report"]);
    let text = at("text.db", b"one line\n");
    refused(report(&text), &["--store", "text.db", "no store of mirror compare"]);
    refused(report("/nowhere/f.db"), &["/nowhere/f.db", "no such file"]);
    let whole = fs::read(&stored.store).unwrap();
    let cut = at("cut.db", &whole[..whole.len() - 5_000]);
    refused(report(&cut), &["cut.db", "cut off or damaged"]);
    let newer = at("newer.db", &[&whole[..60], &9_u32.to_be_bytes(), &whole[64..]].concat());
    refused(report(&newer), &["newer.db", "a newer mirror wrote it"]);
    // The same where a run would add to it, and it stays as it is.
    for (store, why) in [(&text, "no store of"), (&cut, "cut off"), (&newer, "newer mirror")] {
        let before = fs::read(store).unwrap();
        let other = Stored { store: store.clone(), workspace: Workspace::new(), live: Value::Null };
        refused(other.compare(&[]), &["--store", why]);
        assert_eq!(fs::read(store).unwrap(), before);
    }
    // Bytes were changed in the middle of each page behind the first.
    let mut bad = whole.clone();
    bad.chunks_mut(4_096).skip(1).for_each(|page| page[1_500..3_500].fill(0xff));
    let bad = at("bad.db", &bad);
    let said = report(&bad).exits_with(2).stderr();
    assert!(said.contains("damaged") && said.lines().count() == 1, "{said}");

    let production = stored.workspace.file("prod.pcap", &recording(1, false, ""));
    let compare = |more: &[&str]| mirror(&[&["compare", "--from", &production], more].concat());
    refused(compare(&["--with", &production, "--store", &production]), &["--store", "--from"]);
    let _ = compare(&["--with", &production, "--store", &stored.store, "--report"]).exits_with(2);
    let _ = compare(&["--with", &production, "--report"]).exits_with(2);
    let _ = mirror(&["compare", "--with", &production]).exits_with(2);
}

/// A `mirror compare` with a store that stays until it is killed.
fn staying(store: &str, workspace: &Workspace) -> std::process::Child {
    let production = workspace.file("prod.pcap", &recording(REQUESTS, false, ""));
    let candidate = workspace.file("candidate.pcap", &recording(REQUESTS, true, ""));
    let said = workspace.path("stderr");
    let child = Command::new(binary())
        .args(["compare", "--from", &production, "--with", &candidate])
        .args(["--store", store, "--dashboard", "127.0.0.1:0"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(&said).unwrap())
        .spawn()
        .unwrap();
    let told = || fs::read_to_string(&said).unwrap_or_default();
    until("all is compared", || told().contains("stays until Ctrl-C"));
    child
}

#[test]
fn two_runs_on_one_store_are_told_and_a_killed_one_leaves_it_whole() {
    let workspace = Workspace::new();
    let store = workspace.path("f.db").to_str().unwrap().to_owned();
    let mut first = staying(&store, &workspace);
    let second = Stored { store: store.clone(), workspace: Workspace::new(), live: Value::Null };
    for run in [second.compare(&[]), second.report(&[])] {
        let _ = run.exits_with(2).complains(&["--store", "f.db", "another mirror uses it"]);
    }
    first.kill().unwrap();
    first.wait().unwrap();
    let report = json(&second.report(&["--json"]).exits_with(0));
    assert_eq!(report["pairs"], REQUESTS, "{report:#}");
    let _ = second.compare(&[]).exits_with(0);
    assert_eq!(json(&second.report(&["--json"]).exits_with(0))["pairs"], 2 * REQUESTS);
}
