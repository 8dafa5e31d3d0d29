//! The vectors of the Gateway API's conformance tests and of Istio, as rules in the order that
//! their precedence gives.

use proptest::prelude::*;

use super::*;
use crate::rules::tests::asked;

fn request(line: &str, headers: &[&str]) -> crate::http::message::Exchange {
    let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    asked(0, 0, format!("{line} HTTP/1.1\r\n{headers}\r\n").as_bytes())
}

/// Whether a request of this line and these fields is matched.
fn holds(rule: &Match, line: &str, headers: &[&str]) -> bool {
    let exchange = request(line, headers);
    let message = exchange.request.as_ref().unwrap();
    let facts = RequestFacts::new(&message.head, &exchange.peers);
    let (holds, needed) = (rule.holds(&facts), Signature::needed(rule));
    let had = Signature::of(&facts, needed);
    assert!(!holds || needed.may_match(had), "{rule:?}: {line} {headers:?}");
    holds
}

/// The first rule that matches, by its name.
fn first(rules: &[(&'static str, Match)], line: &str, headers: &[&str]) -> &'static str {
    rules.iter().find(|(_, rule)| holds(rule, line, headers)).map_or("none", |(name, _)| name)
}

fn any() -> Match {
    Match::default()
}

impl Match {
    fn path(self, kind: PathKind) -> Self {
        Self { path: Some(PathMatch { kind, ignore_case: false }), ..self }
    }

    fn exact(self, path: &str) -> Self {
        self.path(PathKind::Exact(path.into()))
    }

    fn segments(self, path: &str) -> Self {
        self.path(PathKind::Segments(path.into()))
    }

    fn prefix(self, path: &str) -> Self {
        self.path(PathKind::Prefix(path.into()))
    }

    fn regex(self, path: &str) -> Self {
        self.path(PathKind::Regex(Pattern::new(path).unwrap()))
    }

    fn header(mut self, name: &str, text: TextMatch) -> Self {
        self.headers.push((name.into(), text));
        self
    }

    fn is(self, name: &str, value: &str) -> Self {
        self.header(name, TextMatch::Exact(value.into()))
    }

    fn asks(mut self, name: &str, text: TextMatch) -> Self {
        self.query.push((name.into(), text));
        self
    }

    fn queries(self, name: &str, value: &str) -> Self {
        self.asks(name, TextMatch::Exact(value.into()))
    }

    fn method(mut self, method: &str) -> Self {
        self.methods.push(method.into());
        self
    }

    fn host(mut self, host: &str) -> Self {
        self.hosts.push(host.parse().unwrap());
        self
    }
}

#[test]
fn gateway_matching() {
    // `/v2` is longer than `/`, and both come before headers.
    let rules = [
        ("R2", any().segments("/v2")),
        ("R1", any().is("version", "one")),
        ("R2", any().is("version", "two")),
        ("R1", any().segments("/")),
    ];
    for (target, header, rule) in [
        ("/", None, "R1"),
        ("/example", None, "R1"),
        ("/", Some("Version: one"), "R1"),
        ("/v2", None, "R2"),
        ("/v2/", None, "R2"),
        ("/v2/example", None, "R2"),
        ("/", Some("version: two"), "R2"),
        ("/v2example", None, "R1"),
        ("/foo/v2/example", None, "R1"),
    ] {
        let headers: Vec<&str> = header.into_iter().collect();
        assert_eq!(first(&rules, &format!("GET {target}"), &headers), rule, "{target} {header:?}");
    }
}

#[test]
fn gateway_exact_paths() {
    let rules = [("one", any().exact("/one")), ("two", any().exact("/two"))];
    assert_eq!(first(&rules, "GET /one", &[]), "one");
    assert_eq!(first(&rules, "GET /two?x=1", &[]), "two");
    for target in ["/one/example", "/two/", "/Two", "/"] {
        assert_eq!(first(&rules, &format!("GET {target}"), &[]), "none", "{target}");
    }
}

#[test]
fn gateway_path_order() {
    let rules = [
        ("exact one", any().exact("/match/exact/one")),
        ("exact", any().exact("/match/exact")),
        ("exact match", any().exact("/match")),
        ("prefix one", any().segments("/match/prefix/one")),
        ("prefix", any().segments("/match/prefix/")),
        ("match", any().segments("/match/")),
    ];
    for (target, rule) in [
        ("/match/exact/one", "exact one"),
        ("/match/exact", "exact"),
        ("/match", "exact match"),
        ("/match/prefix/one/any", "prefix one"),
        ("/match/prefix/any", "prefix"),
        ("/match/any", "match"),
    ] {
        assert_eq!(first(&rules, &format!("GET {target}"), &[]), rule, "{target}");
    }
}

#[test]
fn gateway_headers() {
    let rules = [
        ("b1", any().is("version", "two").is("color", "orange")),
        ("b1", any().is("version", "one")),
        ("b2", any().is("version", "two")),
        ("b1", any().is("color", "blue")),
    ];
    for (headers, rule) in [
        (&["version: two"][..], "b2"),
        (&["VERSION: two", "Color: orange"], "b1"),
        (&["version: two", "color: blue"], "b2"),
        (&["color: blue"], "b1"),
        (&["color: orange"], "none"),
        (&["version: Two"], "none"),
    ] {
        assert_eq!(first(&rules, "GET /", headers), rule, "{headers:?}");
    }
}

#[test]
fn gateway_queries() {
    let rules = [
        ("path", any().segments("/path5")),
        ("header", any().is("version", "four")),
        ("b3", any().queries("animal", "dolphin").queries("color", "blue")),
        ("b1", any().queries("animal", "whale")),
        ("b2", any().queries("animal", "dolphin")),
        ("b3", any().queries("ANIMAL", "Whale")),
        ("hydra", any().queries("animal", "hydra")),
    ];
    for (target, headers, rule) in [
        ("/?animal=whale", &[][..], "b1"),
        ("/?animal=dolphin", &[], "b2"),
        ("/?animal=dolphin&color=blue", &[], "b3"),
        ("/?ANIMAL=Whale", &[], "b3"),
        ("/?animal=whale&otherparam=irrelevant", &[], "b1"),
        ("/?animal=whaledolphin", &[], "none"),
        ("/?color=blue", &[], "none"),
        ("/path5?animal=hydra", &[], "path"),
        ("/?animal=hydra", &["version: four"], "header"),
        ("/?animal=whale&animal=dolphin", &[], "b1"),
    ] {
        assert_eq!(first(&rules, &format!("GET {target}"), headers), rule, "{target}");
    }
}

#[test]
fn gateway_methods() {
    let rules = [
        ("path", any().segments("/path5")),
        ("patch", any().method("PATCH")),
        ("get", any().method("GET").segments("/path1")),
        ("b1", any().method("POST")),
        ("header", any().is("version", "four")),
    ];
    assert_eq!(first(&rules, "POST /", &[]), "b1");
    assert_eq!(first(&rules, "HEAD /", &[]), "none");
    assert_eq!(first(&rules, "post /", &[]), "none", "methods are told apart by case");
    assert_eq!(first(&rules, "PATCH /path5", &[]), "path");
    assert_eq!(first(&rules, "PATCH /", &["version: four"]), "patch");
    assert_eq!(first(&rules, "GET /path1", &[]), "get");
}

#[test]
fn hosts_with_wildcards_and_ports() {
    for (pattern, host, matches) in [
        ("example.com", "example.com", true),
        ("example.com", "EXAMPLE.com:8080", true),
        ("example.com", "example.com.", true),
        ("example.com", "a.example.com", false),
        ("*.example.com", "a.b.example.com", true),
        ("*.example.com", "a.example.com:443", true),
        ("*.example.com", "example.com", false),
        ("*.example.com", ".example.com", false),
        ("*.example.com", "notexample.com", false),
        ("example.com:8080", "example.com:8080", true),
        ("example.com:8080", "example.com", false),
        ("example.com:80", "example.com", true),
        ("*.example.com:8080", "a.example.com:8080", true),
        ("*.example.com:8080", "a.example.com:8081", false),
        ("*", "anything:1", true),
        ("*", "", true),
        ("[::1]", "[::1]:8080", true),
        ("[::1]:8080", "[::1]:8080", true),
        ("[::1]:8080", "[::1]", false),
    ] {
        let rule = any().host(pattern);
        let line = format!("Host: {host}");
        assert_eq!(holds(&rule, "GET /", &[&line]), matches, "{pattern} {host}");
    }
    let rule = any().host("a.example").segments("/x");
    assert!(holds(&rule, "GET http://a.example:81/x/y?q=1", &["Host: b.example"]));
    assert!(!holds(&rule, "GET http://b.example/x", &["Host: a.example"]));
    assert!(!holds(&any().host("a.example"), "GET /", &[]), "no host is no host");
    for bad in ["", "*example.com", "a.*.com", "http://a", "a:", "a:0", "a:99999", "a b", "*."] {
        assert!(bad.parse::<HostPattern>().is_err(), "{bad}");
    }
}

#[test]
fn istio_paths() {
    let prefix = any().prefix("/foo");
    for (target, matches) in
        [("/foo", true), ("/foobar", true), ("/foo/bar?x", true), ("/fo", false), ("/Foo", false)]
    {
        assert_eq!(holds(&prefix, &format!("GET {target}"), &[]), matches, "{target}");
    }
    // Full match, case sensitive, on the path without its query.
    let regex = any().regex("/v[0-9]+/a|/b");
    for (target, matches) in [
        ("/v1/a", true),
        ("/v12/a?b=c", true),
        ("/b", true),
        ("/v1/ab", false),
        ("/x/v1/a", false),
        ("/bc", false),
        ("/V1/a", false),
    ] {
        assert_eq!(holds(&regex, &format!("GET {target}"), &[]), matches, "{target}");
    }
    let mut either = any().exact("/Foo");
    either.path.as_mut().unwrap().ignore_case = true;
    assert!(holds(&either, "GET /fOO", &[]) && !holds(&either, "GET /fooo", &[]));
    assert!(holds(&any().exact("*"), "OPTIONS *", &[]));
    assert!(holds(&any().exact("/"), "GET http://a.example", &[]));
    assert!(!holds(&any().prefix("/"), "CONNECT a.example:443", &[]));
}

#[test]
fn istio_headers_and_queries() {
    use TextMatch::{Absent, Exact, Not, Prefix, Present, Regex};
    let not = |text| Not(Box::new(text));
    let regex = |text| Regex(Pattern::new(text).unwrap());
    for (text, headers, matches) in [
        (Present, &["x: "][..], true),
        (Present, &[], false),
        (Absent, &[], true),
        (Absent, &["X: 1"], false),
        (Exact("a,b".into()), &["x: a", "X: b"], true),
        (Exact("a,b,c".into()), &["x: a", "X: b", "x: c"], true),
        (Exact("a".into()), &["x: a", "x: b"], false),
        (Prefix("a".into()), &["x: ab"], true),
        (Prefix("a".into()), &["x: ba"], false),
        (regex("a+"), &["x: aaa"], true),
        (regex("a+"), &["x: aab"], false),
        (regex(".*"), &[], false),
        // `withoutHeaders`: one that is not there counts as empty.
        (not(Exact("a".into())), &[], true),
        (not(Exact("a".into())), &["x: a"], false),
        (not(Exact(String::new())), &[], false),
        (not(regex(".*")), &[], false),
        (not(Present), &[], false),
    ] {
        assert_eq!(
            holds(&any().header("x", text.clone()), "GET /", headers),
            matches,
            "{text:?} {headers:?}"
        );
    }
    for (text, target, matches) in [
        (Present, "/?x", true),
        (Present, "/?x=", true),
        (Present, "/?X=1", false),
        (Present, "/?xx=1", false),
        (Absent, "/?y=1", true),
        (Exact("1".into()), "/?y=2&x=1", true),
        (Exact("2".into()), "/?x=1&x=2", false),
        (Exact("a b".into()), "/?x=a%20b", false),
        (Exact("a%20b".into()), "/?x=a%20b", true),
        (Exact("1=2".into()), "/?x=1=2", true),
        (regex("[0-9]+"), "/?x=12", true),
    ] {
        let line = format!("GET {target}");
        assert_eq!(holds(&any().asks("x", text.clone()), &line, &[]), matches, "{text:?} {target}");
    }
    // `authority` is the host as sent, with its port.
    assert!(holds(&any().is("host", "a.example:8080"), "GET /", &["Host: a.example:8080"]));
}

#[test]
fn the_client_behind_a_proxy_is_matched_by_a_key_of_its_own() {
    let nets = |net: &str| vec![net.parse::<Network>().unwrap()];
    let exchange = request("GET /", &[]);
    let head = &exchange.request.as_ref().unwrap().head;
    let named = Some(([203, 0, 113, 9], 51_000).into());
    for (rule, client, matches) in [
        (Match { proxied_sources: nets("203.0.113.0/24"), ..any() }, named, true),
        (Match { proxied_sources: nets("10.0.0.0/8"), ..any() }, named, false),
        // Without a header nobody was named, whoever asked.
        (Match { proxied_sources: nets("0.0.0.0/0"), ..any() }, None, false),
        (Match { sources: nets("203.0.113.0/24"), ..any() }, named, false),
        (Match { sources: nets("10.0.0.0/8"), ..any() }, named, true),
    ] {
        let facts = RequestFacts::new(head, &exchange.peers).proxied_for(client);
        assert_eq!(rule.holds(&facts), matches, "{rule:?} {client:?}");
    }
    let wide = Match { proxied_sources: nets("203.0.113.0/24"), ..any() };
    assert!(!wide.covers(&any()) && any().covers(&wide));
}

#[test]
fn connections_are_matched_by_networks_and_ports() {
    let nets =
        |list: &[&str]| list.iter().map(|net| net.parse().unwrap()).collect::<Vec<Network>>();
    let ports =
        |list: &[&str]| list.iter().map(|port| port.parse().unwrap()).collect::<Vec<PortRange>>();
    // The request comes from 10.0.0.2:40312 to 10.0.0.1:8080.
    for (rule, matches) in [
        (Match { sources: nets(&["10.0.0.0/8"]), ..any() }, true),
        (Match { sources: nets(&["192.0.2.0/24", "10.0.0.2"]), ..any() }, true),
        (Match { sources: nets(&["10.0.0.1"]), ..any() }, false),
        (Match { sources: nets(&["::/0"]), ..any() }, false),
        (Match { sources: nets(&["0.0.0.0/0"]), ..any() }, true),
        (Match { destinations: nets(&["10.0.0.0/31"]), ..any() }, true),
        (Match { destinations: nets(&["10.0.0.2/31"]), ..any() }, false),
        (Match { ports: ports(&["80", "8000-8080"]), ..any() }, true),
        (Match { ports: ports(&["40312"]), ..any() }, false),
        (Match { source_ports: ports(&["40312"]), ..any() }, true),
    ] {
        assert_eq!(holds(&rule, "GET /", &[]), matches, "{rule:?}");
    }
    let v4: Network = "10.0.0.0/8".parse().unwrap();
    assert!(v4.contains("::ffff:10.1.2.3".parse().unwrap()));
    for bad in ["10.0.0.1/8", "10.0.0.0/33", "::/129", "x", "10.0.0.0/", "2001:db8::1/32"] {
        assert!(bad.parse::<Network>().is_err(), "{bad}");
    }
    for bad in ["0", "0-5", "9-8", "65536", "-1", "http"] {
        assert!(bad.parse::<PortRange>().is_err(), "{bad}");
    }
}

#[test]
fn a_rule_covers_what_it_takes_from_those_behind() {
    let covers = |wide: &Match, narrow: &Match| wide.covers(narrow);
    let wide = [any(), any().prefix("/a"), any().segments("/a"), any().segments("/a/")];
    for wide in &wide {
        assert!(
            covers(wide, &any().exact("/a")) && covers(wide, &any().segments("/a/b").method("GET")),
            "{wide:?}"
        );
    }
    assert!(covers(&any().prefix("/"), &any().segments("/")));
    assert!(!covers(&any().segments("/a"), &any().prefix("/a")), "/ab");
    assert!(covers(&any().segments("/a"), &any().prefix("/a/b")));
    assert!(!covers(&any().exact("/a"), &any().segments("/a")));
    assert!(!covers(&any().prefix("/a"), &any().regex("/a/.*")), "nobody knows");
    assert!(covers(&any().regex("/a/.*"), &any().regex("/a/.*").is("x", "1")));
    assert!(covers(&any().regex("/a/.*"), &any().exact("/a/b")));
    assert!(covers(&any().host("*.a.b"), &any().host("x.a.b:8080")));
    assert!(!covers(&any().host("*.a.b:80"), &any().host("x.a.b")));
    assert!(covers(&any().method("GET").method("PUT"), &any().method("PUT")));
    assert!(!covers(&any().method("GET"), &any()));
    assert!(covers(&any().header("X-A", TextMatch::Present), &any().is("x-a", "1")));
    assert!(!covers(&any().is("x-a", "1"), &any().header("x-a", TextMatch::Present)));
    assert!(!covers(&any().queries("a", "1"), &any().queries("A", "1")));
}

#[test]
fn an_expression_matches_from_end_to_end_and_stays_small() {
    assert!(Pattern::new("a)|(b").is_err(), "it would close the group around it");
    assert!(Pattern::new("(?=a)").is_err(), "no look-around");
    assert!(Pattern::new(&"(a{1000}){1000}".repeat(2)).unwrap_err().contains("repetitions"));
    assert!(!Pattern::new("a|b").unwrap().matches(b"ab"));
    assert!(Pattern::new("(?i)a").unwrap().matches(b"A"));
    // What makes a backtracking engine take years.
    let long = "a".repeat(64 * 1024);
    assert!(!Pattern::new("(a+)+b").unwrap().matches(long.as_bytes()));
}

/// Names, values and paths of few letters, so that many match.
mod few {
    use super::*;

    pub(super) fn text() -> impl Strategy<Value = TextMatch> {
        let plain = prop_oneof![
            "[ab]{0,2}".prop_map(TextMatch::Exact),
            "[ab]{0,2}".prop_map(TextMatch::Prefix),
            "[ab]{1,2}[+]?".prop_map(|text| TextMatch::Regex(Pattern::new(&text).unwrap())),
            Just(TextMatch::Present),
            Just(TextMatch::Absent),
        ];
        plain.prop_recursive(2, 4, 1, |text| text.prop_map(|text| TextMatch::Not(Box::new(text))))
    }

    fn path() -> impl Strategy<Value = PathMatch> {
        let kind = prop_oneof![
            "/[ab/]{0,3}".prop_map(PathKind::Exact),
            "/[ab/]{0,3}".prop_map(PathKind::Prefix),
            "/[ab/]{0,3}".prop_map(PathKind::Segments),
            "/[ab]{1,2}([+]|/[.][*])?"
                .prop_map(|text| PathKind::Regex(Pattern::new(&text).unwrap())),
        ];
        (kind, proptest::bool::ANY).prop_map(|(kind, ignore_case)| PathMatch { kind, ignore_case })
    }

    pub(super) fn rule() -> impl Strategy<Value = Match> {
        let names = || prop::collection::vec(("[ab]{1,2}", text()), 0..2);
        let hosts = prop::collection::vec("([*][.])?[ab]{1,2}([.][ab])?(:80)?", 0..3);
        (names(), names(), prop::option::of(path()), hosts).prop_map(
            |(headers, query, path, hosts)| {
                let hosts = hosts.iter().map(|host| host.parse().unwrap()).collect();
                Match { headers, query, path, hosts, ..Match::default() }
            },
        )
    }
}

proptest! {
    #[test]
    fn the_first_look_leaves_out_nothing_that_matches(
        rule in few::rule(),
        target in "/[abAB/]{0,4}([?]([ab]{0,2}=?[ab]?&){0,3})?",
        host in "[abAB]{1,2}([.][abAB]{1,2}){0,2}[.]?(:80|:81)?",
        fields in prop::collection::vec("[abAB]{1,2}: [ab]{0,2}", 0..4),
    ) {
        let host = format!("Host: {host}");
        let fields: Vec<&str> =
            std::iter::once(host.as_str()).chain(fields.iter().map(String::as_str)).collect();
        holds(&rule, &format!("GET {target}"), &fields);
    }
}
