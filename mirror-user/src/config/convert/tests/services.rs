//! Where copies go: subsets, TLS, gateways, delegates, aliases.

use super::{convert, http_route, istio, mirrored, native, refusals, words};
use crate::config::convert::{Conversion, Options, Origin, Outcome};
use crate::settings::{FilterSettings, SourceSettings};

const SUBSETS: &str = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\n\
    metadata: {name: web, namespace: shop}\nspec:\n  host: web\n  subsets:\n  \
    - {name: v1, labels: {version: v1}}\n  - {name: v2, labels: {version: v2}}\n---\n\
    apiVersion: networking.istio.io/v1\nkind: VirtualService\n\
    metadata: {name: web, namespace: shop}\nspec:\n  hosts: [web]\n  http:\n  \
    - route: [{destination: {host: web, subset: v1, port: {number: 8000}}}]\n    \
    mirror: {host: web, subset: v2, port: {number: 8000}}\n";

fn with(text: &str, gateway: Option<&str>, subsets: &[&str], ports: &[&str]) -> Conversion {
    let ports = ports.iter().map(|port| port.parse().unwrap()).collect();
    let filter = FilterSettings { ports, ..FilterSettings::default() };
    let options = Options {
        source: SourceSettings {
            from: vec!["any".to_owned()],
            filter,
            ..SourceSettings::default()
        },
        gateway: gateway.map(str::to_owned),
        subsets: subsets.iter().map(|one| one.parse().unwrap()).collect(),
    };
    let origin = if text.contains("HTTPRoute") { Origin::GatewayApi } else { Origin::Istio };
    crate::config::convert::convert(origin, text, &options)
}

/// Why the first field was refused.
#[track_caller]
fn refusal(conversion: &Conversion) -> &str {
    assert_eq!(conversion.native, None);
    let mut refused = conversion.findings.iter().filter(|one| one.outcome == Outcome::Refused);
    &refused.next().expect("something was refused").why
}

#[test]
fn a_subset_of_production_needs_an_address_of_its_own() {
    let conversion = with(SUBSETS, None, &[], &[]);
    let why = refusal(&conversion);
    assert!(why.contains("--subset v2=http://web-v2.shop.svc.cluster.local:8000"), "{why}");
    assert!(why.contains("selector {version: v2}"), "{why}");
    for (flag, url) in
        [("v2=http://other:81", "http://other:81"), ("web/v2=https://x", "https://x")]
    {
        let conversion = with(SUBSETS, None, &["v1=http://wrong", flag], &[]);
        assert!(
            words(native(&conversion)).contains(
                &format!("url: \"{url}\"").replace('"', "").replace("https://x", "\"https://x\"")
            ),
            "{conversion:?}"
        );
    }
    let service = |name: &str, selector: &str, ports: &str| {
        format!(
            "{SUBSETS}---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: shop}}\nspec: \
             {{selector: {selector}, ports: [{ports}]}}\n"
        )
    };
    let own = service("web-next", "{app: web, version: v2}", "{port: 81, targetPort: 80}");
    assert!(
        native(&with(&own, None, &[], &[])).contains("http://web-next.shop.svc.cluster.local:81")
    );
    for wrong in [
        service("web-next", "{app: web, version: v1}", "{port: 81}"),
        service("web-next", "{app: web}", "{port: 81}"),
        service("web", "{app: web, version: v2}", "{port: 8000}"),
    ] {
        assert!(refusal(&with(&wrong, None, &[], &[])).contains("--subset v2="), "{wrong}");
    }
    // The whole service is production's, too; so is a subset that production uses.
    for same in ["mirror: {host: web, port", "mirror: {host: web, subset: v1, port"] {
        let text = SUBSETS.replace("mirror: {host: web, subset: v2, port", same);
        assert!(refusal(&with(&text, None, &[], &[])).contains("production"), "{same}");
    }
}

#[test]
fn a_backend_of_the_same_route_is_no_target() {
    let rule = mirrored("web", "{}") + "    backendRefs: [{name: web, port: 8080}]\n";
    assert!(refusal(&with(&http_route("r", &rule), None, &[], &[])).contains("production"));
}

/// A VirtualService of namespace shop that mirrors to `host`, behind these rules.
fn to(host: &str, rules: &[(&str, &str, &str)], more: &str) -> Conversion {
    let rules: String = rules
        .iter()
        .map(|(namespace, host, policy)| {
            format!(
                "kind: DestinationRule\nmetadata: {{name: r, namespace: {namespace}}}\nspec:\n  host: \
                 '{host}'\n  trafficPolicy: {policy}\n---\n"
            )
        })
        .collect();
    let text = format!(
        "{rules}{more}kind: VirtualService\nmetadata: {{name: v, namespace: shop}}\nspec:\n  hosts: [a]\n  \
         http:\n  - mirror: {{host: {host}, port: {{number: 80}}}}\n"
    );
    with(&text, None, &[], &[])
}

#[test]
fn tls_is_that_of_the_destination_rule_that_istio_takes() {
    let simple = "{tls: {mode: SIMPLE, sni: s.example}}";
    let plain = "{tls: {mode: DISABLE}}";
    let internal = "b.shop.svc.cluster.local";
    for (host, rules, secure) in [
        ("b", &[("shop", "b", simple)][..], true),
        ("b", &[("shop", "*.local", simple)], true),
        ("b", &[("istio-system", "*.local", simple)], true),
        ("b", &[("istio-system", "*.local", simple), ("shop", "b", plain)], false),
        ("b", &[("shop", "*.shop.svc.cluster.local", plain), ("shop", "*.local", simple)], false),
        ("b", &[("shop", "*.local", plain), ("shop", internal, simple)], true),
        ("b", &[("other", "b", simple)], false),
        ("b.other.svc.cluster.local", &[("other", "b", simple)], true),
        ("api.example", &[("shop", "*.example", simple)], true),
        ("api.example", &[("shop", "api.example", plain), ("shop", "*", simple)], false),
        (
            "b",
            &[("shop", "b", "{portLevelSettings: [{port: {number: 80}, tls: {mode: SIMPLE}}]}")],
            true,
        ),
        (
            "b",
            &[("shop", "b", "{portLevelSettings: [{port: {number: 81}, tls: {mode: SIMPLE}}]}")],
            false,
        ),
        (
            "b",
            &[("shop", "b", "{tls: {mode: SIMPLE}, portLevelSettings: [{port: {number: 80}}]}")],
            false,
        ),
    ] {
        let conversion = to(host, rules, "");
        let text = native(&conversion);
        assert_eq!(text.contains("https://"), secure, "{host} {rules:?}: {text}");
    }
    // Said, where a rule asks for TLS and does not apply.
    let said = to("b", &[("elsewhere", "b.shop.svc.cluster.local", simple)], "");
    assert!(said.findings.iter().any(|one| one.why.contains("plain HTTP")), "{said:?}");
}

#[test]
fn a_target_by_tls_has_the_name_and_the_certificates_of_the_rule() {
    let mutual = "{tls: {mode: MUTUAL, sni: s.example, clientCertificate: /c.pem, privateKey: /k.pem, \
                  caCertificates: /ca.pem}}";
    let text = words(native(&to("b.example", &[("shop", "b.example", mutual)], "")));
    for wanted in ["server-name: s.example", "cert: /c.pem", "key: /k.pem", "ca: /ca.pem"] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    let own = "{tls: {mode: SIMPLE}}";
    let text = words(native(&to("b.example", &[("shop", "b.example", own)], "")));
    assert!(text.contains("https://b.example:80") && !text.contains("server-name"), "{text}");
    for refused in [
        "{tls: {mode: ISTIO_MUTUAL}}",
        "{tls: {mode: SIMPLE, insecureSkipVerify: true}}",
        "{tls: {mode: SIMPLE, credentialName: secret}}",
        "{tls: {mode: MUTUAL}}",
        "{tls: {mode: SIMPLE, subjectAltNames: ['spiffe://x/y']}}",
        "{tls: {mode: SIMPLE, whatComesNext: 1}}",
        "{tls: {mode: OTHER}}",
        "{tunnel: {targetHost: x}}",
    ] {
        refusal(&to("b.example", &[("shop", "b.example", refused)], ""));
    }
    let entry = "kind: ServiceEntry\nmetadata: {name: e, namespace: shop}\nspec:\n  hosts: ['*.example']\n  \
                 ports: [{number: 80, name: http, protocol: HTTP, targetPort: 443}]\n---\n";
    let text = words(native(&to("b.example", &[("shop", "*.example", own)], entry)));
    assert!(text.contains("https://b.example:443"), "{text}");
}

#[test]
fn plain_http_is_not_sent_to_pods_that_refuse_it() {
    let strict = |name: &str, namespace: &str| {
        format!(
            "kind: PeerAuthentication\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {{mtls: \
             {{mode: STRICT}}}}\n---\n"
        )
    };
    for namespace in ["shop", "istio-system"] {
        assert!(refusal(&to("b", &[], &strict("p", namespace))).contains("PERMISSIVE"));
    }
    native(&to("b", &[], &strict("p", "other")));
    let narrower =
        strict("p", "istio-system") + &strict("q", "shop").replace("STRICT", "PERMISSIVE");
    native(&to("b", &[], &narrower));
}

const EDGE: &str = "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: edge, namespace: shop}\n\
    spec:\n  selector: {istio: ingress}\n  servers:\n  \
    - {port: {number: 80, name: http, protocol: HTTP}, hosts: ['*.example', shop/items.test]}\n  \
    - {port: {number: 443, name: tls, protocol: HTTPS}, hosts: ['*'], tls: {mode: SIMPLE}}\n---\n";

/// A VirtualService of gateway edge with these hosts, and these fields of its route.
fn at_edge(hosts: &str, route: &str) -> String {
    format!(
        "{EDGE}kind: VirtualService\nmetadata: {{name: v, namespace: shop}}\nspec:\n  gateways: [edge]\n  \
         hosts: {hosts}\n  http:\n  - {route}\n    mirror: {{host: b, port: {{number: 81}}}}\n"
    )
}

#[test]
fn routes_of_a_gateway_are_converted_for_its_pods() {
    let all = at_edge("['*']", "name: r");
    let refused = with(&all, None, &[], &[]);
    assert!(refusal(&refused).contains("--gateway edge"), "{refused:?}");
    let text = words(native(&with(&all, Some("edge"), &[], &[])));
    assert!(text.contains("ports: [80]"), "{text}");
    for host in ["host: [items.test]", "host: [\"*.example\"]"] {
        assert!(text.contains(host), "{host}: {text}");
    }
    assert!(
        words(native(&with(&all, Some("shop/edge"), &[], &["8080"]))).contains("ports: [8080]")
    );
    refusal(&with(&all, Some("other"), &[], &[]));
    let service = format!(
        "{all}---\napiVersion: v1\nkind: Service\nmetadata: {{name: ingress}}\nspec: {{selector: {{istio: \
         ingress}}, ports: [{{port: 80, targetPort: 8080}}]}}\n"
    );
    assert!(words(native(&with(&service, Some("edge"), &[], &[]))).contains("ports: [8080]"));
    // Elsewhere its hosts have no server.
    refusal(&with(&at_edge("[other.test]", "name: r"), Some("edge"), &[], &[]));
}

#[test]
fn copies_of_what_is_captured_before_a_gateways_rewrites_are_rewritten() {
    let route = "match: [{uri: {prefix: /api/}}]\n    rewrite: {uri: /v2/, authority: x.example}\n    \
                 headers: {request: {set: {a: '1'}, remove: [b]}}";
    let text = words(native(&with(&at_edge("['*']", route), Some("edge"), &[], &[])));
    for wanted in [
        "path: prefix: /api/",
        "path-prefix: from: /api/ to: /v2/",
        "host: x.example",
        "set: a: 1",
        "remove: [b]",
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    for inexact in [
        "rewrite: {uri: /v2}",
        "match: [{uri: {regex: /a.*}}]\n    rewrite: {uri: /v2}",
        "rewrite: {uriRegexRewrite: {match: a, rewrite: b}}",
        "headers: {request: {set: {a: '%REQ(b)%'}}}",
        "headers: {request: {set: {transfer-encoding: a}}}",
        "fault: {abort: {httpStatus: 500}}",
    ] {
        refusal(&with(&at_edge("['*']", inexact), Some("edge"), &[], &[]));
    }
    let cors = at_edge("['*']", "corsPolicy: {allowOrigins: [{exact: '*'}]}");
    assert!(words(native(&with(&cors, Some("edge"), &[], &[]))).contains("method: [OPTIONS]"));
}

#[test]
fn a_gateway_takes_the_virtual_services_of_one_host_together() {
    let text = at_edge("[items.test]", "name: first")
        + "---\nkind: VirtualService\nmetadata: {name: w, namespace: shop}\nspec:\n  gateways: [edge]\n  \
           hosts: [items.test]\n  http:\n  - match: [{uri: {prefix: /private}}]\n";
    let text = words(native(&with(&text, Some("edge"), &[], &[])));
    let shield = text.find("w-0").expect("the shield");
    assert!(shield < text.find("v-0-first").expect("what matches everything"), "{text}");
}

/// The server's wire does not say by which of them a request came.
#[test]
fn a_match_for_some_gateways_mirrors_only_where_it_is_all_that_is_seen() {
    let route = |gateways: &str, route: &str| {
        format!(
            "kind: VirtualService\nmetadata: {{name: v}}\nspec:\n  gateways: [mesh, edge]\n  hosts: \
             [a.example]\n  http:\n  - match: [{{gateways: [{gateways}]}}]\n    {route}\n  - mirror: {{host: \
             b.example}}\n"
        )
    };
    refusal(&with(&route("mesh", "mirror: {host: c.example}"), None, &[], &[]));
    refusal(&with(&route("edge", "mirror: {host: c.example}"), None, &[], &[]));
    // A shield takes all, and nothing is left.
    refusal(&with(&route("edge", "name: shield"), None, &[], &[]));
    let edge = with(&route("edge", "mirror: {host: c.example}"), Some("edge"), &[], &[]);
    assert!(native(&edge).contains("c.example"));
    let mesh = with(&route("mesh", "name: shield"), Some("edge"), &[], &[]);
    assert!(native(&mesh).contains("b.example"));
}

#[test]
fn a_delegates_routes_are_merged_with_its_roots() {
    let text = |root: &str, delegate: &str| {
        format!(
            "kind: VirtualService\nmetadata: {{name: root, namespace: shop}}\nspec:\n  hosts: [a.example]\n  http:\n  \
             - match: [{root}]\n    delegate: {{name: part, namespace: other}}\n    timeout: 3s\n---\nkind: \
             VirtualService\nmetadata: {{name: part, namespace: other}}\nspec:\n  http:\n  - match: \
             [{delegate}]\n    mirror: {{host: b, port: {{number: 80}}}}\n"
        )
    };
    let merged = text(
        "{uri: {prefix: /a}, headers: {x: {exact: '1'}}}",
        "{uri: {prefix: /a/b}, method: {exact: GET}}",
    );
    let native = words(&istio(&merged));
    for wanted in [
        "method: [GET]",
        "prefix: /a/b",
        "x: 1",
        "http://b.other.svc.cluster.local:80",
        "response-timeout: \"3s\"",
    ] {
        assert!(native.contains(wanted), "{wanted}: {native}");
    }
    for apart in [
        text("{uri: {prefix: /a}}", "{uri: {prefix: /b}}"),
        text("{uri: {regex: /a}}", "{uri: {prefix: /b}}"),
        text("{uri: {exact: /a}}", "{uri: {prefix: /a}}"),
    ] {
        assert_eq!(refusals(Origin::Istio, &apart), [(1, "file".to_owned())]);
    }
    let alone = merged.rsplit("---\n").next().unwrap();
    assert_eq!(
        refusals(Origin::Istio, alone).first().map(|(_, field)| field.as_str()),
        Some("hosts")
    );
}

#[test]
fn anchors_aliases_and_merge_keys_are_written_out_within_bounds() {
    let text = "kind: VirtualService\nmetadata: {name: v}\nspec:\n  hosts: [a.example]\n  http:\n  \
                - match: [{uri: {exact: /a}}]\n    mirror: &to {host: b.example, port: {number: 80}}\n  \
                - match: [{uri: {exact: /b}}]\n    mirror:\n      <<: *to\n      host: c.example\n  \
                - match: [{uri: {exact: /c}}]\n    mirror: *to\n";
    let text = istio(text);
    for url in ["http://b.example:80", "http://c.example:80"] {
        assert_eq!(text.matches(url).count(), 1, "{text}");
    }
    // Ten to the ninth from a few lines, and the same by bytes and by depth.
    let mut laughs = "a: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    let mut deep = "a: &a0 [x]\n".to_owned();
    for level in 1..40 {
        let below = level - 1;
        let ten = vec![format!("*a{below}"); 10].join(", ");
        laughs += &format!("b{level}: &a{level} [{ten}]\n");
        deep += &format!("b{level}: &a{level} [*a{below}]\n");
    }
    let wide = format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), "*a, ".repeat(1000));
    for bomb in [laughs, deep, wide] {
        let refused = refusals(Origin::Istio, &bomb);
        assert_eq!(refused.first().map(|(_, field)| field.as_str()), Some("YAML"));
    }
}

#[test]
fn a_listener_narrows_the_hosts_of_its_routes() {
    let route = |parent: &str, hosts: &str| {
        let head = format!("spec:\n  parentRefs: [{{name: g{parent}}}]\n  hostnames: {hosts}\n");
        let route = http_route("r", &mirrored("b", "{}")).replace("spec:\n", &head);
        route
            + "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: g, namespace: n}\nspec:\n  \
               listeners:\n  - {name: wild, port: 80, protocol: HTTP, hostname: '*.example'}\n  \
               - {name: one, port: 443, protocol: HTTPS, hostname: a.test}\n  \
               - {name: raw, port: 90, protocol: TCP}\n"
    };
    for (parent, hosts, met) in [
        ("", "[]", "host: [\"*.example\"]"),
        ("", "['*.test']", "host: [a.test]"),
        ("", "[b.example, c.other]", "host: [b.example]"),
        (", sectionName: one", "[]", "host: [a.test]"),
        (", port: 80", "[]", "host: [\"*.example\"]"),
    ] {
        let text = words(native(&convert(Origin::GatewayApi, &route(parent, hosts))));
        assert!(text.contains(met), "{parent} {hosts}: {text}");
    }
    for none in [route("", "[c.other]"), route(", sectionName: raw", "[]")] {
        assert_eq!(refusals(Origin::GatewayApi, &none), [(1, "file".to_owned())]);
    }
    let edge = with(&route("", "[]"), Some("g"), &[], &[]);
    let text = words(native(&edge));
    assert!(text.contains("ports: [80]") && !text.contains("a.test"), "{text}");
}
