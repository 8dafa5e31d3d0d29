//! Valid files, and the problems of invalid ones.

use std::collections::BTreeSet;

use boon::{Compiler, Schemas};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{File, LIMITS, Problem, schema};
use crate::settings::table;
use crate::yaml::{self, Node};

/// Every key of the format once.
const EVERYTHING: &str = include_str!("tests/everything.yaml");

fn problems(text: &str) -> Vec<(usize, usize, String)> {
    let problems = File::parse(text).expect_err("it is wrong");
    problems.iter().map(|Problem { at, text }| (at.line, at.column, text.clone())).collect()
}

#[test]
fn every_key_is_read_and_printed_alike() {
    let file = read_and_print(EVERYTHING);
    assert_eq!(file.targets.len(), 4);
    assert_eq!(file.rules.len(), 4);
    // What looks at responses conflicts with having none.
    let looks = |line: &&str| {
        ["dashboard:", "store:", "    compare:"].iter().all(|key| !line.starts_with(key))
    };
    let other = EVERYTHING
        .lines()
        .filter(looks)
        .collect::<Vec<_>>()
        .join("\n")
        .replace("requests-only: false", "requests-only: true")
        .replace("correlate: true", "correlate: false");
    let other = read_and_print(&other);
    assert!(other.source.filter.requests_only && !file.source.filter.requests_only);
    assert!(file.keeps_responses() && !other.keeps_responses());
}

/// Reads a file, prints it and reads that again.
fn read_and_print(text: &str) -> File {
    let file = File::parse(text).unwrap_or_else(|problems| panic!("{}", problems.render("it")));
    let printed = file.to_yaml();
    let again = File::parse(&printed)
        .unwrap_or_else(|problems| panic!("{printed}\n{}", problems.render("printed")));
    assert_eq!(again.to_yaml(), printed);
    assert_eq!(without_places(again), without_places(file.clone()), "{printed}");
    file
}

/// The file without positions, and with maps in the order of their keys.
fn without_places(mut file: File) -> File {
    for target in &mut file.targets {
        target.at = Default::default();
        target.how.headers.set.0.sort();
        target.how.headers.add.0.sort();
    }
    file.targets.sort_by(|a, b| a.name.cmp(&b.name));
    for rule in &mut file.rules {
        rule.at = Default::default();
        rule.targets.iter_mut().for_each(|used| used.at = Default::default());
        for one in &mut rule.matches {
            one.headers.sort_by(|a, b| a.0.cmp(&b.0));
            one.query.sort_by(|a, b| a.0.cmp(&b.0));
        }
    }
    file
}

#[test]
fn everything_that_is_wrong_is_reported_at_once_with_its_place() {
    let found = problems(
        "version: 2\n\
         source: { from: eth0, prots: 8080 }\n\
         targets:\n\
         \x20 staging: { url: ftp://x, answer-timeout: soon }\n\
         rules:\n\
         \x20 - name: all\n\
         \x20   sample: { by: source }\n\
         \x20   targets: [staging, canary]\n",
    );
    let places: Vec<(usize, usize)> =
        found.iter().map(|(line, column, _)| (*line, *column)).collect();
    assert_eq!(places, [(1, 10), (2, 23), (4, 19), (4, 44), (7, 13), (8, 24)], "{found:#?}");
    let has = |place: usize, text: &str| {
        assert!(found[place].2.contains(text), "{text}: {}", found[place].2);
    };
    has(1, "did you mean `ports`?");
    has(2, "http://HOST:PORT");
    has(3, "500ms");
    has(4, "percent");
    has(5, "known: staging");
}

/// A small file with `part` in place of its rules, targets or source.
fn with(part: &str) -> String {
    let mut file =
        vec!["version: 1", "source: { from: day.pcap }", "targets: { a: { url: http://a:80 } }"];
    let key = part.split(':').next().unwrap_or_default();
    file.retain(|line| !line.starts_with(&format!("{key}:")));
    file.push(part);
    file.join("\n")
}

fn match_of(part: &str) -> String {
    with(&format!("rules: [{{ name: r, match: {{ {part} }}, targets: a }}]"))
}

fn sample_of(part: &str) -> String {
    with(&format!("rules: [{{ name: r, sample: {{ {part} }}, targets: a }}]"))
}

fn target_of(part: &str) -> String {
    with(&format!("targets: {{ a: {{ url: http://a:80, {part} }} }}"))
}

/// The YAML value as JSON.
fn json_of(node: &Node) -> Value {
    match &node.value {
        yaml::Value::Null => Value::Null,
        yaml::Value::Scalar { text, plain: true } => match text.as_str() {
            "true" => json!(true),
            "false" => json!(false),
            number => serde_json::from_str::<serde_json::Number>(number)
                .map_or_else(|_| json!(number), Value::Number),
        },
        yaml::Value::Scalar { text, plain: false } => json!(text),
        yaml::Value::List(list) => list.iter().map(json_of).collect(),
        yaml::Value::Map(map) => {
            let pairs = map.iter().map(|(key, value)| (key.text.clone(), json_of(value)));
            Value::Object(pairs.collect())
        }
    }
}

/// True if the schema accepts it.
fn schema_takes(text: &str) -> bool {
    let root = match yaml::parse(text, LIMITS).as_deref() {
        Ok([]) => Value::Null,
        Ok([root]) => json_of(root),
        _ => return false,
    };
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler.add_resource("mirror.json", serde_json::from_str(&schema()).unwrap()).unwrap();
    let index = compiler.compile("mirror.json", &mut schemas).unwrap();
    schemas.validate(&root, index).is_ok()
}

#[test]
fn schema_and_reader_take_the_same_files() {
    let taken = [
        EVERYTHING.to_owned(),
        with("version: 1"),
        with("rules:"),
        with("max-body: 1GiB"),
        with("max-body: 1024"),
        with("source: { from: [a.pcap, b.pcap], ports: 80, hook: xdp, ring-size: 1m }"),
        with("source: { from: eth0, ports: ['80', 9000-9010] }"),
        with("rules: [{ name: s, targets: [{ name: a, fraction: 1/2 }] }]"),
        match_of("method: GET"),
        match_of("path: { exact: '*' }"),
        match_of("path: { segments: /a, ignore-case: true }"),
        match_of("path: { regex: 'a|b' }"),
        match_of("host: ['*', 'a.b:80']"),
        match_of("headers: { a: 1, b: true, c: { not: { exact: x } }, d: { not: x } }"),
        match_of("query: { a: { present: false } }, source: 10.0.0.0/8"),
        sample_of("percent: 0"),
        sample_of("percent: 0.0001"),
        sample_of("percent: '12.5%'"),
        sample_of("fraction: 1/3, by: source"),
        sample_of("percent: 1, by: { cookie: sid }"),
        target_of("host: keep"),
        target_of("host: a.example:80, mode: rollback, ambiguous: send"),
        target_of("connect-timeout: 1m 30s, max-connections: 5, max-queue: 1024"),
        target_of("headers: { set: { a: b }, remove: c }, path-prefix: { from: /a, to: / }"),
        target_of("breaker: { failures: off }"),
        target_of("breaker: { failures: 20, rest: 1s }"),
        with("targets: { a: { url: https://a }, b: { url: unix:/run/b.sock } }"),
        with("targets: { a: { url: https://a/v2, tls: { insecure: true, cert: c, key: k } } }"),
        with("targets: { a: { url: https://a, tls: { ca: ca.pem, cert: c.pem, key: k.pem } } }"),
        with("source: { from: eth0, nets: [10.0.0.0/8, '!10.1.2.3'], server-nets: fd00::/8 }"),
        with("source: { from: eth0, side: client, direction: out, sample: 5%, snaplen: 256 }"),
        with(
            "source: { from: eth0, snaplen: [requests=1k], requests-only: true, kernel-log: off }",
        ),
        with("pace: { rate: 100..2000/10m, from-time: 1m, connections: faithful }"),
        with("pace: { connections: independent:8 }"),
        target_of("idle-close: drop"),
        with("pace: { speed: max, loop: 3, copies: 1000, copies-over: 1m }"),
        with("pace: { rate: 500 }"),
        "version: 1\nsource: { from: eth0, requests-only: true }\ntargets: { a: { url: http://b, ramp: { over: 1m, production-errors: off } } }".to_owned(),
        with("source: { from: 'veth*', pid: 4711 }"),
        with("source: { cgroup: system.slice/nginx.service, ports: 80 }"),
        with("source: { from: eth0, guard: { cpu-limit: 150, memory-limit: 1GiB } }"),
    ];
    for text in &taken {
        let read = File::parse(text);
        assert!(read.is_ok(), "{text}\n{}", read.unwrap_err().render("it"));
        assert!(schema_takes(text), "the schema refuses:\n{text}");
    }
    let refused = [
        String::new(),
        "[]".to_owned(),
        with("version: 2"),
        with("source: eth0"),
        with("source: { ports: 80 }"),
        with("source: { from: [] }"),
        with("source: { from: eth0, ports: 0 }"),
        with("source: { from: eth0, ports: http }"),
        with("source: { from: eth0, hook: tcp }"),
        with("targets: { }"),
        with("targets: { 'a b': { url: http://a } }"),
        with("targets: { a: { host: keep } }"),
        with("targets: { a: { url: ftp://a } }"),
        with("targtes: { }"),
        with("max-body: big"),
        with("rules: [{ match: { method: GET } }]"),
        with("rules: [{ name: r, priority: urgent, targets: a }]"),
        with("rules: []"),
        match_of(""),
        match_of("methods: GET"),
        match_of("path: /a"),
        match_of("path: { exact: a }"),
        match_of("path: { exact: /a?b }"),
        match_of("path: { exact: /a, prefix: /b }"),
        match_of("path: { ignore-case: true }"),
        match_of("headers: { a: { exact: x, prefix: y } }"),
        match_of("headers: { a: { like: x } }"),
        match_of("headers: { }"),
        match_of("port: 70000"),
        sample_of("by: source"),
        sample_of("percent: 101"),
        sample_of("percent: -1"),
        sample_of("percent: 1, fraction: 1/2"),
        sample_of("fraction: 0.5"),
        sample_of("percent: 1, by: user"),
        sample_of("percent: 1, by: { header: a, cookie: b }"),
        target_of("mode: rollbak"),
        target_of("suffix-addresses: 'yes'"),
        target_of("answer-timeout: soon"),
        target_of("max-connections: 0"),
        target_of("host: 'a b'"),
        target_of("headers: { set: [a] }"),
        target_of("path-prefix: { from: /a }"),
        target_of("breaker: { failures: often }"),
        target_of("breaker: 50%"),
        with("targets: { a: { url: 'unix:a' } }"),
        with("targets: { a: { url: https://a, tls: { cert: c.pem } } }"),
        with("source: { from: eth0, side: left }"),
        with("source: { from: eth0, sample: 0 }"),
        with("source: { from: eth0, sample: some }"),
        with("source: { from: eth0, snaplen: 64 }"),
        with("source: { from: eth0, snaplen: both=256 }"),
        with("source: { from: eth0, requests-only: 'yes' }"),
        with("source: { from: eth0, kernel-log: loud }"),
        with("source: { from: eth0, for: ever }"),
        with("redact: { skip: [{ name: a, regex: b }] }"),
        with("redact: { detect: { name: a } }"),
        with("redact: { headers: { x: y } }"),
        with("source: { from: eth0, ports: [80, { a: b }] }"),
        with("source: { from: eth0, nets: { a: b } }"),
        with("pace: { speed: 1, rate: 5 }"),
        with("pace: { speed: 0 }"),
        with("pace: { rate: fast }"),
        with("pace: { rate: 5, max-gap: 1s }"),
        with("pace: { loop: 0 }"),
        with("pace: { connections: pooled }"),
        with("pace: { from-time: yesterday }"),
        with("source: { from: eth0, pid: nginx }"),
        with("source: { from: eth0, cgroup: /sys/fs/cgroup/a }"),
        with("source: { cgroup: a, netns: b }"),
        with("source: { from: eth0, guard: { cpu-limit: much } }"),
        with("source: { from: eth0, guard: { memory: 1GiB } }"),
    ];
    let taken: Vec<&String> = refused.iter().filter(|text| File::parse(text).is_ok()).collect();
    assert!(taken.is_empty(), "the reader takes:\n{taken:#?}");
    let taken: Vec<&String> = refused.iter().filter(|text| schema_takes(text)).collect();
    assert!(taken.is_empty(), "the schema takes:\n{taken:#?}");
}

#[test]
fn what_a_schema_cannot_express_is_checked_by_the_reader() {
    let rules = |list: &str| with(&format!("rules: [{list}]"));
    for (text, parts) in [
        (match_of("method: get"), &["could never match", "write GET"][..]),
        (match_of("path: { regex: '(' }"), &["regular expression"]),
        (match_of("source: 10.0.0.1/8"), &["10.0.0.0/8"]),
        (match_of("host: '*shop'"), &["*.shop.example"]),
        (match_of("headers: { A: x, a: y }"), &["could never match"]),
        (match_of("method: GET, method: PUT"), &["already given at line 4"]),
        (rules("{ name: r, targets: b }"), &["no such target (known: a)", "no rule sends"]),
        (rules("{ name: r, targets: [a, a] }"), &["named twice"]),
        (rules("{ name: r, targets: a }, { name: r, match: { method: GET } }"), &["has the same name", "never reached"]),
        (rules("{ name: r, sample: { percent: 1 } }, { name: s, targets: a }"), &["a sample without targets", "never reached"]),
        (target_of("tls: { ca: ca.pem }"), &["only with an https target"]),
        (with("targets: { a: { url: https://a, tls: { ca: c, insecure: true } } }"), &["both ca and insecure"]),
        (with("targets: { a: { url: 'http://me:pw@a?b' } }"), &["http://***@a?b: a target has no query"]),
        (with("targets: { a: { url: 'a:80' } }"), &["write http://a:80"]),
        (with("source: { from: eth0, nets: 10.0.0.1/8 }"), &["10.0.0.0/8 is one"]),
        (with("pace: { copies: 1001 }"), &["from 1 to 1000"]),
        (with("pace: { rate: 1..0/1s }"), &["above 0"]),
        (target_of("headers: { set: { Host: b } }"), &["cannot be changed"]),
        (target_of("headers: { remove: x-shadow-request }"), &["cannot be changed"]),
        (target_of("headers: { add: { a: \"b\\r\\nc: d\" } }"), &["one line"]),
        (target_of("host: keep, suffix-addresses: true"), &["only with host: suffix"]),
        ("version: 1\nsource: { from: lo, ports: 80 }\ntargets: { a: { url: 'http://[::1]' } }".to_owned(), &["captured"]),
        ("version: 1\nsource: { from: lo, ports: 80 }\ntargets: { a: { url: http://b } }\nrules: [{ name: r, match: { port: 81 }, targets: a }]".to_owned(), &["source.ports"]),
        ("version: 1\nsource: { from: eth0, requests-only: true }\ntargets: { a: { url: http://b, correlate: true, ramp: { over: 1m } } }".to_owned(), &["correlate: learns", "ramp: watches"]),
        ("a: &x [1]\nb: *x".to_owned(), &["anchor"]),
        ("a: !!str 1".to_owned(), &["a tag"]),
        ("version: 1\n---\nversion: 1".to_owned(), &["second YAML document"]),
        ("? [a]\n: b".to_owned(), &["a key is a word"]),
        ("a: [".to_owned(), &["not YAML"]),
        ("[".repeat(100), &["nested more than"]),
        ("a".repeat(2 << 20), &["longer than"]),
        (format!("[{}]", "1,".repeat(70_000)), &["more than 65536 values"]),
    ] {
        let found = problems(&text);
        for part in parts {
            assert!(found.iter().any(|(_, _, found)| found.contains(part)), "{part}: {found:?}");
        }
    }
    let many = rules(&"{ nam: x },".repeat(500));
    assert_eq!(problems(&many).len(), crate::yaml::MAX_PROBLEMS);
}

#[test]
fn a_password_is_read_and_never_printed() {
    let file = File::parse(&with("targets: { a: { url: 'https://me:pw@a/v2' } }")).unwrap();
    let target = &file.targets[0];
    assert_eq!(target.url, "https://a/v2");
    assert_eq!(target.credentials.as_ref().unwrap().header(), "Basic bWU6cHc=");
    let shown = file.to_yaml();
    assert!(shown.contains("https://***@a/v2"), "{shown}");
    assert!(!shown.contains("pw") && !format!("{file:?}").contains("pw"));
    // A file with a hidden password cannot be run.
    let found = File::parse(&shown).unwrap_err().render("it");
    assert!(found.contains("hidden where a URL is shown; write them"), "{found}");
}

/// All keys of the schema, without former names.
fn every_key() -> BTreeSet<String> {
    fn add(schema: &Value, keys: &mut BTreeSet<String>) {
        if let Some(properties) = schema["properties"].as_object() {
            let current = properties.iter().filter(|(_, one)| one["deprecated"] != true);
            keys.extend(current.map(|(key, _)| key.clone()));
        }
        match schema {
            Value::Object(map) => map.values().for_each(|one| add(one, keys)),
            Value::Array(list) => list.iter().for_each(|one| add(one, keys)),
            _ => {}
        }
    }
    let mut keys = BTreeSet::new();
    add(&serde_json::from_str(&schema()).unwrap(), &mut keys);
    keys
}

#[test]
fn the_example_has_every_key_of_the_schema() {
    let absent: Vec<String> =
        every_key().into_iter().filter(|key| !EVERYTHING.contains(&format!("{key}:"))).collect();
    assert!(absent.is_empty(), "{absent:?}");
}

const DOCS: &str = include_str!("../../../../docs/configuration.md");

#[test]
fn the_documented_example_is_valid_and_every_key_is_documented() {
    let example = DOCS.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    File::parse(example)
        .unwrap_or_else(|problems| panic!("{}", problems.render("docs/configuration.md")));
    let is_documented =
        |key: &String| DOCS.contains(&format!("`{key}`")) || DOCS.contains(&format!("`{key}:"));
    let absent: Vec<String> = every_key().into_iter().filter(|key| !is_documented(key)).collect();
    assert!(absent.is_empty(), "{absent:?}");
}

#[test]
fn the_documented_table_is_that_of_the_definitions() {
    assert!(
        DOCS.contains(&table::all()),
        "docs/configuration.md: put the output of `mirror config settings` under \"All settings\""
    );
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[\\[\\]{}:,&*!|>'\"%#?\\- \na-z0-9/.]{0,200}") {
        let _ = File::parse(&text);
        let _ = File::parse(&with(&format!("rules: {text}")));
    }
}

#[test]
fn one_target_is_compared_and_its_control_is_not_this_host() {
    let file = |targets: &str, more: &str| {
        let text =
            format!("version: 1\nsource: {{ from: eth0, ports: 8080 }}\n{more}targets:\n{targets}");
        File::parse(&text).map_err(|problems| problems.render("it"))
    };
    let one =
        "  canary: { url: http://canary, compare: true }\n  staging: { url: http://staging }\n";
    let read = file(one, "dashboard: { listen: 127.0.0.1:8888 }\n").unwrap();
    assert!(read.targets[0].compare.is_some() && read.targets[1].compare.is_none());
    assert!(read.to_yaml().contains("    compare: true\n"), "{}", read.to_yaml());
    let secret = "  a: { url: http://a, compare: { control: 'http://me:sesame@b' } }\n";
    let shown = file(secret, "").unwrap().to_yaml();
    assert!(shown.contains("@b") && !shown.contains("sesame"), "{shown}");
    for (targets, more, why) in [
        (
            "  a: { url: http://a, compare: {} }\n  b: { url: http://b, compare: true }\n",
            "",
            "a run has one comparison",
        ),
        (
            "  a: { url: http://a, compare: { control: 'http://127.0.0.1:8080' } }\n",
            "",
            "a port that is captured",
        ),
        ("  a: { url: http://a, compare: { control: nowhere } }\n", "", "not a URL"),
        ("  a: { url: http://a, compare: { double-send: 200% } }\n", "", "not a percentage"),
        (
            "  a: { url: http://a, compare: false }\n",
            "dashboard: { listen: 127.0.0.1:8888 }\n",
            "nothing is compared",
        ),
        ("  a: { url: http://a }\n", "store: { file: /a.db }\n", "nothing is compared"),
        (one, "store: { size: 1GiB }\n", "size without file"),
        (one, "dashboard: { listen: 127.0.0.1:8080 }\n", "this port is captured"),
        (one, "dashboard: { listen: 0.0.0.0:8888 }\n", "token-file"),
    ] {
        let problem = file(targets, more).unwrap_err();
        assert!(problem.contains(why), "{targets}{more}: {problem}");
    }
}
