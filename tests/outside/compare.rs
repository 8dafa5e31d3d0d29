//! `mirror compare`: two recordings, and a replay whose responses are compared.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde_json::Value;

use crate::support::summary::account;
use crate::support::target::{Behaviour, Target};
use crate::support::wire::Talk;
use crate::support::{Workspace, mirror};

/// Requests of a recording.
const REQUESTS: usize = 20;

/// A response with a JSON body.
fn json(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// What a shop says about a product, at a price, to a customer with a secret.
fn product(path: &str, price: &str) -> String {
    let id = path.rsplit('/').next().unwrap();
    json(&format!(r#"{{"id":{id},"price":{price},"access_token":"s3cr3t-for-{id}"}}"#))
}

/// One connection that asks for products.
fn recording(price: &str) -> Vec<u8> {
    let asked = |n: usize| format!("/products/{}", 100 + n);
    let ask = |talk: Talk, n: usize| {
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer s3cr3t\r\n\r\n",
            asked(n)
        );
        talk.client(request).server(product(&asked(n), price))
    };
    (0..REQUESTS).fold(Talk::new().open(), ask).close().pcap()
}

fn fields(report: &Value) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let fields = report["endpoints"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|one| one["fields"].as_array().unwrap());
    fields
        .map(|field| (text(&field["path"]), text(&field["verdict"]), text(&field["cause"])))
        .collect()
}

#[test]
fn two_recordings_of_the_same_are_the_same() {
    let workspace = Workspace::new();
    let production = workspace.file("prod.pcap", &recording("19.99"));
    let candidate = workspace.file("candidate.pcap", &recording("19.99"));
    let gate = "failing_fields=0,failing_rate<0.5%,min_requests=20";
    let args = ["compare", "--from", &production, "--with", &candidate, "--gate", gate, "--json"];
    let report: Value = serde_json::from_str(&mirror(&args).exits_with(0).stdout()).unwrap();
    assert_eq!(report["pairs"], REQUESTS);
    assert_eq!(fields(&report), []);
    // More would be needed than there are.
    let args =
        ["compare", "--from", &production, "--with", &candidate, "--gate", "min_requests=21"];
    let said = mirror(&args).exits_with(3).stderr();
    assert!(said.contains("not enough data: 20 of at least 21"), "{said}");
}

#[test]
fn a_regression_is_told_with_its_cause_and_without_secrets() {
    let workspace = Workspace::new();
    let production = workspace.file("prod.pcap", &recording("19.994"));
    let candidate = workspace.file("candidate.pcap", &recording("19.99"));
    let path = |name: &str| workspace.path(name).to_str().unwrap().to_owned();
    let (html, junit, findings) = (path("r.html"), path("r.xml"), path("f.jsonl"));
    let args = [
        "compare",
        "--from",
        &production,
        "--with",
        &candidate,
        "--gate",
        "failing_fields=0",
        "--html",
        &html,
        "--junit",
        &junit,
        "--findings",
        &findings,
    ];
    let run = mirror(&args).exits_with(1);
    assert!(run.stderr().contains("gate: 1 fields fail"), "{}", run.stderr());
    let told = run.stdout();
    assert!(told.contains("GET /products/{id}  20 requests, 100.00 % failing"), "{told}");
    assert!(told.contains("body.price  20 of 20: another value: rounded"), "{told}");
    let files = [&html, &junit, &findings].map(|file| fs::read_to_string(file).unwrap());
    for text in files.iter().chain([&told]) {
        assert!(text.contains("body.price") && !text.contains("s3cr3t"), "{text}");
    }
    assert!(
        files[1].contains("<failure message=\"20 of 20 requests: another value: rounded\">"),
        "{}",
        files[1]
    );
    let first: Value = serde_json::from_str(files[2].lines().next().unwrap()).unwrap();
    assert_eq!(first["diffs"][0]["path"], "body.price", "{first:#}");
    assert_eq!(
        (&first["diffs"][0]["p"], &first["diffs"][0]["c"]),
        (&"19.994".into(), &"19.99".into())
    );
    assert!(
        first["curl"].as_str().unwrap().ends_with(" http://localhost:8080/products/100"),
        "{first:#}"
    );
    assert_eq!(files[2].lines().count(), REQUESTS);
}

#[test]
fn rules_come_from_a_file() {
    let workspace = Workspace::new();
    let production = workspace.file("prod.pcap", &recording("19.994"));
    let candidate = workspace.file("candidate.pcap", &recording("19.99"));
    let rules = b"version: 1\nrules:\n  - {path: body.price, tolerance: {abs: 0.01}}\n  - {path: body.typo, ignore: all}\n\
        gate: failing_fields=0\n";
    let rules = workspace.file("rules.yaml", rules);
    let args = ["compare", "--from", &production, "--with", &candidate, "--rules", &rules];
    let told = mirror(&args).exits_with(0).stdout();
    assert!(told.contains("forgiven: body.price"), "{told}");
    assert!(told.contains("A rule decided nothing") && told.contains("body.typo"), "{told}");
    for (text, why) in [
        ("version: 2\n", "version 2 is not known"),
        ("version: 1\nrulez: []\n", "unknown field `rulez`"),
        ("version: 1\nrules:\n  - {path: body.a, ignore: some}\n", "unknown variant `some`"),
        ("version: 1\nrules:\n  - {path: body..., ignore: all}\n", "rule 1"),
        ("version: [\n", "line"),
    ] {
        let rules = workspace.file("bad.yaml", text.as_bytes());
        let args = ["compare", "--from", &production, "--with", &candidate, "--rules", &rules];
        let _ = mirror(&args).exits_with(2).complains(&["bad.yaml", why]);
    }
}

#[test]
fn what_has_no_counterpart_is_told() {
    let workspace = Workspace::new();
    let production = workspace.file("prod.pcap", &recording("19.99"));
    let other = Talk::new()
        .open()
        .client("GET /other HTTP/1.1\r\nHost: a\r\n\r\n")
        .server(json("{}"))
        .close();
    let candidate = workspace.file("candidate.pcap", &other.pcap());
    let args = ["compare", "--from", &production, "--with", &candidate];
    let said = mirror(&args).exits_with(0).stderr();
    for told in
        ["20 requests of --from have no equal one", "1 requests of --with have no equal one"]
    {
        assert!(said.contains(told), "{said}");
    }
}

#[test]
fn requests_are_replayed_to_a_candidate_and_a_control_and_their_responses_compared() {
    let shop = |price: &'static str| {
        let answer = move |wire: &str| product(wire.split(' ').nth(1).unwrap(), price);
        Target::start(Behaviour::Serve(Arc::new(answer)))
    };
    let workspace = Workspace::new();
    let production = workspace.file("prod.pcap", &recording("19.994"));
    let (candidate, control) = (shop("19.99"), shop("19.994"));
    let (to, second) = (candidate.url(), control.url());
    let args = [
        "compare",
        "--from",
        &production,
        "--to",
        &to,
        "--control",
        &second,
        "--gate",
        "failing_fields=0",
        "--json",
    ];
    let run = mirror(&args).exits_with(1);
    let report: Value = serde_json::from_str(&run.stdout()).unwrap();
    assert_eq!(report["pairs"], REQUESTS, "{report:#}");
    let told =
        ("body.price".to_owned(), "regression".to_owned(), "another value: rounded".to_owned());
    assert_eq!(fields(&report), [told]);
    assert_eq!(
        (&report["endpoints"][0]["control"], &report["endpoints"][0]["control_differing"]),
        (&20.into(), &0.into())
    );
    assert!(!run.stdout().contains("s3cr3t"), "{report:#}");
    // The candidate got what production got.
    let received = String::from_utf8_lossy(&candidate.received()[0].wire()).into_owned();
    assert!(received.contains("Authorization: Bearer s3cr3t"), "{received}");
}

#[test]
fn a_candidate_that_does_not_answer_is_a_class_of_its_own() {
    let workspace = Workspace::new();
    let production = workspace.file("prod.pcap", &recording("19.99"));
    let target = Target::start(Behaviour::AnswerAndClose(
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n".to_vec(),
    ));
    let url = target.url();
    let run = mirror(&["compare", "--from", &production, "--to", &url, "--json"]).exits_with(0);
    let report: Value = serde_json::from_str(&run.stdout()).unwrap();
    assert_eq!(fields(&report)[0].0, "failure.closed", "{report:#}");
}

#[test]
fn a_candidate_that_is_asked_twice_shows_its_own_noise() {
    let served = AtomicU64::new(0);
    let answer = move |wire: &str| {
        let target = wire.split(' ').nth(1).unwrap();
        let body = product(target, "19.994").split_once("\r\n\r\n").unwrap().1.to_owned();
        let counter = format!(",\"served\":{}}}", served.fetch_add(1, Relaxed));
        json(&body.replace('}', &counter))
    };
    // Production's counter is another one.
    let seen = |n: usize| {
        let target = format!("/products/{}", 100 + n);
        let body = product(&target, "19.994").split_once("\r\n\r\n").unwrap().1.to_owned();
        (target, json(&body.replace('}', &format!(",\"served\":{}}}", 70_000 + n))))
    };
    let talk = (0..REQUESTS).fold(Talk::new().open(), |talk, n| {
        let (target, response) = seen(n);
        talk.client(format!("GET {target} HTTP/1.1\r\nHost: shop\r\n\r\n")).server(response)
    });
    let workspace = Workspace::new();
    let production = workspace.file("prod.pcap", &talk.close().pcap());
    let candidate = Target::start(Behaviour::Serve(Arc::new(answer)));
    let to = candidate.url();
    let findings = workspace.path("findings.jsonl");
    let compare = |more: &[&str]| -> Value {
        let args = ["compare", "--from", &production, "--to", &to, "--json"];
        serde_json::from_str(&mirror(&[&args, more].concat()).exits_with(0).stdout()).unwrap()
    };
    let of = |report: &Value, verdict: &str| {
        let told = fields(report);
        assert_eq!(
            (&*told[0].0, &*told[0].1, told.len()),
            ("body.served", verdict, 1),
            "{report:#}"
        );
    };
    of(&compare(&[]), "insufficient");
    assert_eq!(candidate.received().len(), REQUESTS);
    let written = findings.to_str().unwrap();
    let report = compare(&["--double-send", "100%", "--findings", written]);
    of(&report, "double_send");
    assert_eq!(candidate.received().len(), 3 * REQUESTS);
    let source = &report["endpoints"][0]["fields"][0]["sources"]["double_send"];
    assert_eq!((&source["trials"], &source["differing"]), (&20.into(), &20.into()));
    let first = fs::read_to_string(findings).unwrap();
    let first: Value = serde_json::from_str(first.lines().next().unwrap()).unwrap();
    assert_eq!(first["diffs"][0]["noise"], "double_send", "{first:#}");
}

#[test]
fn a_target_of_a_file_is_compared_beside_one_that_only_replays() {
    let shop = |price: &'static str| {
        let answer = move |wire: &str| product(wire.split(' ').nth(1).unwrap(), price);
        Target::start(Behaviour::Serve(Arc::new(answer)))
    };
    let workspace = Workspace::new();
    let production = workspace.file("prod.pcap", &recording("19.994"));
    let (candidate, control, plain) = (shop("19.99"), shop("19.994"), shop("5"));
    let findings = workspace.path("findings.jsonl");
    let rules = workspace.file("rules.yaml", b"version: 1\ngate: failing_fields=0\n");
    let config = format!(
        "version: 1\nsource: {{ from: {production} }}\npace: {{ speed: max }}\ntargets:\n\
         \x20 canary: {{ url: \"{}\", compare: {{ control: \"{}\", rules: {rules}, findings: {} }} }}\n\
         \x20 plain: {{ url: \"{}\" }}\n",
        candidate.url(),
        control.url(),
        findings.display(),
        plain.url()
    );
    let config = workspace.file("mirror.yaml", config.as_bytes());
    let run = mirror(&["replay", "--config", &config, "--json"]).exits_with(1);
    let summary: Value = serde_json::from_str(&run.stdout()).unwrap();
    let told =
        ("body.price".to_owned(), "regression".to_owned(), "another value: rounded".to_owned());
    assert_eq!(fields(&summary["comparison"]), [told]);
    assert_eq!(summary["comparison"]["pairs"], REQUESTS, "{summary:#}");
    for side in [&candidate, &control, &plain] {
        assert_eq!(side.received().len(), REQUESTS);
    }
    for name in ["to canary", "to canary/control", "compared with canary", "to plain"] {
        assert_eq!(account(&summary, name), (20, 20, vec![]), "{name}");
    }
    assert_eq!(fs::read_to_string(findings).unwrap().lines().count(), REQUESTS);
    assert!(!run.stdout().contains("s3cr3t"), "{summary:#}");
    let text = mirror(&["replay", "--config", &config]).exits_with(1).stdout();
    assert!(
        text.contains("gate: 1 fields fail") && text.contains("body.price  20 of 20"),
        "{text}"
    );
    // A page without a comparison shows nothing.
    let url = plain.url();
    let args = ["replay", "--from", &production, "--to", &url, "--dashboard", "127.0.0.1:0"];
    let _ = mirror(&args).exits_with(2).complains(&["nothing is compared"]);
}
