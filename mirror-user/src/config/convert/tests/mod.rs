//! The vectors of Istio and the Gateway API, by file in and file out.

mod services;
mod wire;

use proptest::prelude::*;

use super::{Conversion, Options, Origin, Outcome};
use crate::config::file::File;
use crate::rules::select::TextMatch;
use crate::settings::{FilterSettings, SourceSettings};

/// Seed: half of what begins with /headers goes to a host outside of the mesh.
const EXTERNAL: &str = include_str!("../../../../../deploy/samples/imports/istio.yaml");

const HOSTS: &str = "[httpbin, httpbin.shop, httpbin.shop.svc, httpbin.shop.svc.cluster.local]";

/// A VirtualService of host `a` whose only route has these fields and a mirror.
fn mirroring(route: &str) -> String {
    virtual_service(&format!("  - mirror: {{host: b, port: {{number: 80}}}}\n{}", indented(route)))
}

fn virtual_service(http: &str) -> String {
    format!(
        "kind: VirtualService\nmetadata: {{name: v}}\nspec:\n  hosts: [a.example]\n  http:\n{http}"
    )
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n")).collect()
}

/// What a capture on port 8080 gets from a file. What is converted can be read.
fn convert(origin: Origin, text: &str) -> Conversion {
    let filter =
        FilterSettings { ports: vec!["8080".parse().unwrap()], ..FilterSettings::default() };
    let source =
        SourceSettings { from: vec!["any".to_owned()], filter, ..SourceSettings::default() };
    let conversion = super::convert(origin, text, &Options { source, ..Options::default() });
    if let Some(native) = &conversion.native {
        let file = File::parse(native);
        assert_eq!(file.map(|file| file.to_yaml()).as_ref(), Ok(native), "{native}");
    }
    conversion
}

#[track_caller]
fn native(conversion: &Conversion) -> &str {
    conversion.native.as_deref().unwrap_or_else(|| panic!("refused: {:#?}", conversion.findings))
}

#[track_caller]
fn refusals(origin: Origin, text: &str) -> Vec<(usize, String)> {
    let Conversion { native, findings } = convert(origin, text);
    assert_eq!(native, None, "it was converted");
    let refused = findings.into_iter().filter(|finding| finding.outcome == Outcome::Refused);
    refused.map(|finding| (finding.line, finding.field)).collect()
}

/// Text without its indentation and line ends.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn istio(text: &str) -> String {
    native(&convert(Origin::Istio, text)).to_owned()
}

#[test]
fn half_of_a_prefix_goes_to_an_external_host() {
    let conversion = convert(Origin::Istio, EXTERNAL);
    let wanted = format!(
        "version: 1\nsource:\n  from: [any]\n  ports: [8080]\n\
         targets:\n  httpbin.example.com:\n    url: http://httpbin.example.com:80\n    host: keep\n\
         rules:\n  - name: httpbin-0\n    match:\n      host: {HOSTS}\n      path:\n        \
         prefix: /headers\n    targets:\n      - name: httpbin.example.com\n        percent: 50\n  \
         - name: httpbin-1\n    match:\n      host: {HOSTS}\n"
    );
    assert_eq!(native(&conversion), wanted);
    let told: Vec<_> = conversion.findings.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "18: dropped http[0].route: production's own routing",
            "23: dropped http[1].route: production's own routing"
        ]
    );
}

#[test]
fn percentages_are_cut_off_as_istio_cuts_them_off() {
    for (given, wanted) in [
        ("mirrorPercentage: {value: 0.57}", "percent: 0.5699"),
        ("mirrorPercentage: {value: 0.69}", "percent: 0.6899"),
        ("mirrorPercentage: {value: 1.13}", "percent: 1.1299"),
        ("mirrorPercentage: {value: 0.0001}", "percent: 0.0001"),
        ("mirrorPercentage: {value: 99.9999}", "percent: 99.9999"),
        ("mirrorPercentage: {value: 50.0}", "percent: 50\n"),
        ("mirrorPercent: 50", "percent: 50\n"),
        ("mirror_percent: 50", "percent: 50\n"),
        ("mirrorPercent: 40\nmirrorPercentage: {value: 50.0}", "percent: 50\n"),
        ("timeout: 0s", "targets: [b.default]\n"),
    ] {
        let text = istio(&mirroring(given));
        assert!(text.contains(wanted), "{given}: {text}");
    }
    for zero in ["mirrorPercentage: {value: 0}", "mirrorPercentage: {}", "mirrorPercent: 0"] {
        let refused = refusals(Origin::Istio, &mirroring(zero));
        assert_eq!(refused, [(1, "file".to_owned())], "{zero}: nothing is mirrored");
    }
    for wrong in ["101", "-1", "NaN", "half", "[]"] {
        let text = mirroring(&format!("mirrorPercentage: {{value: {wrong}}}"));
        assert_eq!(
            refusals(Origin::Istio, &text).first().map(|(line, _)| *line),
            Some(7),
            "{wrong}"
        );
    }
}

#[test]
fn several_mirrors_have_a_part_each() {
    let text = virtual_service(
        "  - mirrors:\n    - {destination: {host: b, port: {number: 80}}, percentage: {value: 10}}\n    \
         - {destination: {host: c, port: {number: 81}}}\n    \
         - {destination: {host: d}, percentage: {value: 0}}\n    timeout: 1m0.5s\n",
    );
    let text = istio(&text);
    let text = words(&text);
    let timeout = "host: keep response-timeout: \"1m 500ms\"";
    for wanted in [
        format!("b.default: url: http://b.default.svc.cluster.local:80 {timeout}"),
        format!("c.default: url: http://c.default.svc.cluster.local:81 {timeout}"),
        "targets: - name: b.default percent: 10 - c.default".to_owned(),
    ] {
        assert!(text.contains(&wanted), "{wanted}: {text}");
    }
    let both = mirroring("mirrors: [{destination: {host: c}}]");
    assert_eq!(refusals(Origin::Istio, &both), [(6, "http[0].mirror".to_owned())]);
}

#[test]
fn conditions_of_istio_keep_their_meaning() {
    for (given, wanted) in [
        ("uri: {exact: /a}", "path: exact: /a"),
        ("uri: {regex: /a.*}", "path: regex: \"/a.*\""),
        ("uri: {prefix: /a}\n  ignoreUriCase: true", "path: prefix: /a ignore-case: true"),
        ("uri: {regex: /a.*}\n  ignoreUriCase: true", "path: regex: \"/a.*\" targets"),
        ("method: {exact: GET}", "method: [GET]"),
        ("authority: {prefix: a}", "headers: host: prefix: a"),
        ("headers: {x: {}}", "headers: x: present: true"),
        ("headers: {x: {regex: '*'}}", "headers: x: present: true"),
        ("headers: {x: {exact: '1'}}", "headers: x: 1"),
        ("withoutHeaders: {x: {}}", "headers: x: present: false"),
        ("withoutHeaders: {x: {exact: b}}", "headers: x: not: b"),
        ("queryParams: {v: {exact: '2'}}", "query: v: 2"),
        ("port: 8080", "port: [8080]"),
    ] {
        let text = words(&istio(&mirroring(&format!("match:\n- {given}"))));
        assert!(text.contains(wanted), "{given}: {text}");
    }
}

#[test]
fn what_would_capture_more_is_refused_where_it_stands() {
    for given in [
        "sourceLabels: {app: a}",
        "sourceNamespace: a",
        "scheme: {exact: https}",
        "gateways: [edge]",
        "headers: {'@request.auth.claims.sub': {exact: a}}",
        "headers: {x: {exact: a, prefix: b}}",
        "headers: {x: {like: a}}",
        "method: {prefix: G}",
        "whatComesNext: 1",
    ] {
        let refused = refusals(Origin::Istio, &mirroring(&format!("match:\n- {given}")));
        let [(line, field)] = refused.as_slice() else { panic!("{given}: {refused:?}") };
        assert_eq!(*line, 8, "{given}");
        assert!(field.starts_with("http[0].match[0]."), "{field}");
    }
    let unknown = mirroring("whatComesNext: 1");
    assert_eq!(refusals(Origin::Istio, &unknown), [(7, "http[0].whatComesNext".to_owned())]);
    // A route that is answered or that stands elsewhere mirrors nothing of its own.
    let delegate = mirroring("delegate: {name: other}");
    assert_eq!(refusals(Origin::Istio, &delegate), [(7, "http[0].delegate".to_owned())]);
    let gateway = EXTERNAL.replace("  hosts: [httpbin]\n", "  hosts: [httpbin]\n  gateways: [g]\n");
    assert_eq!(refusals(Origin::Istio, &gateway), [(15, "gateways".to_owned())]);
}

#[test]
fn a_route_without_a_mirror_shields_and_may_shield_more() {
    let text = virtual_service(
        "  - match: [{uri: {prefix: /a}, sourceLabels: {app: a}}]\n  \
         - mirror: {host: b, port: {number: 80}}\n",
    );
    let conversion = convert(Origin::Istio, &text);
    let rules = native(&conversion);
    let shield = rules.find("v-0").expect("the shield");
    assert!(shield < rules.find("v-1").expect("the mirror"), "{rules}");
    assert!(!rules[shield..rules.find("v-1").unwrap()].contains("targets"), "{rules}");
    assert_eq!(
        conversion.findings.first().map(|finding| finding.outcome),
        Some(Outcome::Approximated)
    );
}

#[test]
fn the_most_specific_virtual_service_decides_alone() {
    let one = |name: &str, host: &str| {
        format!(
            "---\nkind: VirtualService\nmetadata: {{name: {name}}}\nspec:\n  hosts: ['{host}']\n  http:\n  \
             - match: [{{uri: {{exact: /{name}}}}}]\n    mirror: {{host: b.example}}\n"
        )
    };
    let text =
        istio(&[one("all", "*"), one("wild", "*.example"), one("exact", "a.example")].concat());
    let names: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("  - name: ")).collect();
    assert_eq!(
        names,
        ["exact-0", "exact-no-route", "wild-0", "wild-example-no-route", "all-0", "all--no-route",]
    );
}

#[test]
fn services_are_resolved_from_the_same_file() {
    let to = |documents: &str, port: &str| {
        let route = format!("  - mirror: {{host: b.example{port}}}\n");
        convert(Origin::Istio, &format!("{documents}---\n{}", virtual_service(&route)))
    };
    let entry = |rest: &str| format!("kind: ServiceEntry\nspec:\n  hosts: [b.example]\n{rest}");
    let http = "  ports: [{number: 80, name: web, protocol: HTTP, targetPort: 8080}]\n";
    for (documents, url) in [
        (entry(http), "http://b.example:8080"),
        (
            entry(&format!("{http}  endpoints: [{{address: 192.0.2.1, ports: {{web: 9}}}}]\n")),
            "http://192.0.2.1:9",
        ),
        (
            entry(&format!("{http}  endpoints: [{{address: '2001:db8::1'}}]\n")),
            "http://[2001:db8::1]:8080",
        ),
        (String::new(), "http://b.example:80"),
    ] {
        let conversion = to(&documents, "");
        assert!(native(&conversion).contains(url), "{documents}");
    }
    let rule =
        "kind: DestinationRule\nspec:\n  host: b.example\n  trafficPolicy: {tls: {mode: SIMPLE}}\n";
    for refused in [
        entry("  ports: [{number: 443, name: tls, protocol: HTTPS}]\n"),
        entry(&format!("{http}  endpoints: [{{address: a}}, {{address: b}}]\n")),
        entry(&format!("{http}  endpoints: [{{address: 'unix:///run/b'}}]\n")),
        rule.replace("SIMPLE", "ISTIO_MUTUAL"),
    ] {
        assert_eq!(to(&refused, "").native, None, "{refused}");
    }
    assert!(native(&to(rule, ", port: {number: 443}")).contains("https://b.example:443"));
    assert_eq!(to(&entry(http), ", port: {number: 81}").native, None, "no such port");
}

/// An HTTPRoute with these rules.
fn http_route(name: &str, rules: &str) -> String {
    format!(
        "kind: HTTPRoute\nmetadata: {{name: {name}, namespace: n}}\nspec:\n  rules:\n{rules}---\n"
    )
}

/// A rule that mirrors to the service of its name.
fn mirrored(service: &str, matches: &str) -> String {
    format!(
        "  - matches: [{matches}]\n    filters:\n    - type: RequestMirror\n      \
         requestMirror: {{backendRef: {{name: {service}, port: 80}}}}\n"
    )
}

/// The targets in the order of their rules.
#[track_caller]
fn order(text: &str) -> Vec<String> {
    let conversion = convert(Origin::GatewayApi, text);
    let to = |line: &str| {
        let url = line.strip_prefix("    url: http://")?;
        url.split('.').next().map(str::to_owned)
    };
    native(&conversion).lines().filter_map(to).collect()
}

#[test]
fn matches_are_ordered_as_the_gateway_api_orders_them() {
    let rules = [
        mirrored("method", "{path: {value: /match/}, method: GET}"),
        mirrored("query", "{path: {value: /match/}, queryParams: [{name: a, value: b}]}"),
        mirrored("header", "{path: {value: /match}, headers: [{name: v, value: two}]}"),
        mirrored("prefix", "{path: {type: PathPrefix, value: /match/}}"),
        mirrored("long", "{path: {type: PathPrefix, value: /match/prefix}}"),
        mirrored("root", "{path: {value: /}}"),
        mirrored("exact", "{path: {type: Exact, value: /match}}"),
        mirrored("two", "{headers: [{name: v, value: two}, {name: c, value: o}]}"),
    ];
    assert_eq!(
        order(&http_route("r", &rules.concat())),
        ["exact", "long", "method", "header", "query", "prefix", "two", "root"]
    );
    let mut hosts = http_route("a", &mirrored("any", ""));
    for (name, host) in [("short", "*.com"), ("wild", "*.example.com"), ("full", "a.example.com")] {
        let route = http_route(name, &mirrored(name, "{}"));
        hosts += &route.replace("spec:\n", &format!("spec:\n  hostnames: ['{host}']\n"));
    }
    assert_eq!(order(&hosts), ["full", "wild", "short", "any"]);
    let old = http_route("young", &mirrored("young", ""))
        + &http_route("old, creationTimestamp: 2020-01-01T00:00:00Z", &mirrored("old", ""));
    assert_eq!(order(&old), ["old"], "the older one takes everything");
}

#[test]
fn a_rule_whose_matches_stand_apart_is_several() {
    let rules = mirrored("a", "{path: {type: Exact, value: /1}}, {path: {value: /}}")
        + "  - matches: [{path: {value: /2}}]\n";
    let conversion = convert(Origin::GatewayApi, &http_route("r", &rules));
    let lines: Vec<_> =
        native(&conversion).lines().filter(|line| line.starts_with("  - ")).collect();
    assert_eq!(lines, ["  - name: n-r-0", "  - name: n-r-1", "  - name: n-r-0-2"]);
}

#[test]
fn portions_of_the_gateway_api_are_kept() {
    let route = |portion: &str| {
        let rule = mirrored("a", "{}").replace("{backendRef", &format!("{{{portion}backendRef"));
        convert(Origin::GatewayApi, &http_route("r", &rule))
    };
    for (given, wanted) in [
        ("", "targets: [a.n]"),
        ("percent: 20, ", "percent: 20"),
        ("fraction: {numerator: 25, denominator: 50}, ", "percent: 50"),
        ("fraction: {numerator: 1, denominator: 3}, ", "fraction: \"1/3\""),
        ("fraction: {numerator: 5}, ", "percent: 5"),
    ] {
        assert!(native(&route(given)).contains(wanted), "{given}");
    }
    for wrong in [
        "percent: 20, fraction: {numerator: 1}, ",
        "percent: 101, ",
        "percent: 0.5, ",
        "fraction: {numerator: 2, denominator: 1}, ",
        "fraction: {numerator: 0, denominator: 0}, ",
        "fraction: {denominator: 10}, ",
        "percent: 0, ",
    ] {
        assert_eq!(route(wrong).native, None, "{wrong}");
    }
}

#[test]
fn what_the_gateway_api_says_beyond_is_refused_or_reported() {
    for given in [
        "kind: GRPCRoute\nspec: {}\n".to_owned(),
        http_route("r", &mirrored("a", "{}").replace("port: 80", "kind: Bucket, port: 80")),
        http_route("r", &mirrored("a", "{body: {}}")),
        http_route("r", &mirrored("a", "{headers: [{name: x, type: Suffix, value: y}]}")),
        http_route("r", "  - backendRefs: [{name: a, filters: [{type: RequestMirror}]}]\n"),
    ] {
        assert!(!refusals(Origin::GatewayApi, &given).is_empty(), "{given}");
    }
    // The same listeners in front of a route with and without hosts of its own.
    let below = |parent: &str, gateway: &str| {
        let parents = format!("spec:\n  parentRefs: [{parent}]\n");
        let route = http_route("r", &mirrored("a", "{}")).replace("spec:\n", &parents);
        format!(
            "{route}---\nkind: Gateway\nmetadata: {{name: g}}\nspec: {{listeners: [{gateway}]}}\n"
        )
    };
    let hosts = vec!["hostnames".to_owned()];
    let refused = |given: &str| -> Vec<String> {
        refusals(Origin::GatewayApi, given).into_iter().map(|(_, field)| field).collect()
    };
    assert_eq!(refused(&below("{name: other, kind: Gateway}", "{}")), hosts);
    let narrowed = convert(Origin::GatewayApi, &below("{name: g}", "{hostname: a.example}"));
    assert!(native(&narrowed).contains("host: [a.example]"), "{narrowed:?}");
    for (parent, gateway) in
        [("{name: g}", "{port: 80}"), ("{name: s, kind: Service}", "{hostname: a.example}")]
    {
        native(&convert(Origin::GatewayApi, &below(parent, gateway)));
    }
    let elsewhere = mirrored("a", "{}").replace("port: 80", "namespace: other, port: 80");
    let elsewhere = http_route("r", &elsewhere);
    assert_eq!(
        refusals(Origin::GatewayApi, &elsewhere),
        [(8, "rules[0].filters[0].backendRef".to_owned())]
    );
    let grant = |from: &str, to: &str| {
        format!(
            "{elsewhere}kind: ReferenceGrant\nmetadata: {{name: g, namespace: other}}\nspec:\n  from: \
             [{{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: {from}}}]\n  to: \
             [{{group: '', kind: Service{to}}}]\n"
        )
    };
    for granted in [grant("n", ""), grant("n", ", name: a")] {
        let conversion = convert(Origin::GatewayApi, &granted);
        assert!(native(&conversion).contains("http://a.other.svc.cluster.local:80"));
    }
    for other in [grant("m", ""), grant("n", ", name: b")] {
        assert!(!refusals(Origin::GatewayApi, &other).is_empty(), "{other}");
    }
}

#[test]
fn what_is_no_plain_yaml_is_refused_with_its_line() {
    for (text, line) in [
        ("a: &x [*x]\n", 1),
        ("a: *x\n", 1),
        ("a: !!str 1\n", 1),
        ("a: 1\na: 2\n", 2),
        ("a:\n  <<: 1\n", 2),
        ("a: [\n", 2),
        (&"[".repeat(100_000), 1),
        (&"a: ".repeat(100_000), 1),
    ] {
        let refused = refusals(Origin::Istio, text);
        assert_eq!(refused.first().map(|(at, _)| *at), Some(line), "{text:.40}");
    }
    for nothing in ["", "---\n---\n", "kind: Service\n", "just text", "- 1\n"] {
        assert_eq!(refusals(Origin::Istio, nothing), [(1, "file".to_owned())], "{nothing}");
    }
}

/// Hosts and routes multiply.
#[test]
fn a_file_that_would_come_to_millions_of_rules_is_refused() {
    let hosts: Vec<String> = (0..2_000).map(|n| format!("'*.h{n}.example'")).collect();
    let routes: String =
        (0..2_000).map(|n| format!("  - match: [{{uri: {{exact: /{n}}}}}]\n")).collect();
    let many = virtual_service(&routes).replace("[a.example]", &format!("[{}]", hosts.join(", ")));
    assert_eq!(
        refusals(Origin::Istio, &many).last().map(|(_, field)| field.as_str()),
        Some("http")
    );
}

#[test]
fn a_list_of_kubectl_is_its_items() {
    let items: String =
        EXTERNAL.split("---\n").map(|document| format!("-\n{}", indented(document))).collect();
    let list = format!("apiVersion: v1\nkind: List\nitems:\n{items}");
    assert_eq!(istio(&list), istio(EXTERNAL));
}

proptest! {
    #[test]
    fn no_text_panics(text in ".{0,200}") {
        convert(Origin::Istio, &text);
        convert(Origin::GatewayApi, &text);
    }

    /// A valid file with a piece replaced: the way past the parser.
    #[test]
    fn no_damage_panics(
        at in 0..EXTERNAL.len(), length in 0_usize..40, piece in "[ -~\n]{0,20}",
        gateway: bool,
    ) {
        let route = http_route("r", &mirrored("a", "{path: {value: /}}"));
        let (origin, text) =
            if gateway { (Origin::GatewayApi, route.as_str()) } else { (Origin::Istio, EXTERNAL) };
        let at = at.min(text.len());
        let end = at.saturating_add(length).min(text.len());
        convert(origin, &format!("{}{piece}{}", &text[..at], &text[end..]));
    }

    /// Whatever a name is, the result is YAML with that name in it.
    #[test]
    fn any_text_survives(value in "[^\\p{C}]{1,30}") {
        // One that no header could have is refused.
        let value = format!("a{value}z");
        let quoted = serde_json::to_string(&value).unwrap();
        let text = mirroring(&format!("match:\n- headers: {{x: {{exact: {quoted}}}}}"));
        let native = istio(&text);
        let file = File::parse(&native).unwrap();
        let wanted = ("x".to_owned(), TextMatch::Exact(value));
        prop_assert_eq!(file.rules[0].matches[0].headers.first(), Some(&wanted));
    }
}
