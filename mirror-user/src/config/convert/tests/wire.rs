//! What a server's wire shows behind rewrites, against a model: every request that is mirrored must
//! have come by a route that mirrors it to the same target.

use proptest::prelude::*;

use super::{
    HOSTS, convert, http_route, istio, mirrored, native, refusals, virtual_service, words,
};
use crate::config::convert::{Options, Origin, Outcome};
use crate::config::file::File;
use crate::rules::select::RequestFacts;
use crate::rules::tests::asked;

const MIRROR: &str = "mirror: {host: b.example, port: {number: 80}}";

/// The targets of a request with this line and these fields.
fn targets(file: &File, target: &str, fields: &[String]) -> Vec<String> {
    let fields: String = fields.iter().map(|line| format!("{line}\r\n")).collect();
    let text = format!("GET {target} HTTP/1.1\r\nHost: a.example\r\n{fields}\r\n");
    let exchange = asked(0, 0, text.as_bytes());
    let message = exchange.request.as_ref().unwrap();
    let facts = RequestFacts::new(&message.head, &exchange.peers);
    let rule = file
        .rules
        .iter()
        .find(|rule| rule.matches.is_empty() || rule.matches.iter().any(|one| one.holds(&facts)));
    rule.map(|rule| rule.targets.iter().map(|target| target.name.clone()).collect())
        .unwrap_or_default()
}

fn mirrors(text: &str, target: &str, fields: &[&str]) -> bool {
    let file = File::parse(&istio(text)).unwrap();
    let fields: Vec<String> = fields.iter().map(ToString::to_string).collect();
    !targets(&file, target, &fields).is_empty()
}

#[test]
fn a_rewritten_prefix_is_what_the_server_sees() {
    let text = virtual_service(&format!(
        "  - match: [{{uri: {{prefix: /api/}}}}]\n    rewrite: {{uri: /}}\n    {MIRROR}\n"
    ));
    assert!(mirrors(&text, "/items/1", &[]));
    for (given, seen) in [
        ("match: [{uri: {prefix: /api}}], rewrite: {uri: /v2}", "path: prefix: /v2"),
        ("match: [{uri: {exact: /a}}], rewrite: {uri: /b}", "path: exact: /b"),
        ("match: [{uri: {regex: /a.*}}], rewrite: {uri: /b}", "path: exact: /b"),
        ("rewrite: {uri: /v2/}", "path: prefix: /v2/"),
        ("rewrite: {authority: other.example}", "host: [other.example]"),
        (
            "match: [{headers: {x: {exact: '1'}}}], headers: {request: {remove: [x]}}",
            "headers: x: present: false",
        ),
        (
            "match: [{headers: {x: {exact: '1'}}}], headers: {request: {set: {X: '2'}}}",
            "headers: x: 2",
        ),
        (
            "match: [{headers: {x: {exact: '1'}}}], headers: {request: {add: {x: '2'}}}",
            "headers: x: \"1,2\"",
        ),
        (
            "match: [{authority: {prefix: a}}], rewrite: {authority: other.example}",
            "match: host: [other.example] targets",
        ),
    ] {
        let text = words(&istio(&virtual_service(&format!("  - {{{given}, {MIRROR}}}\n"))));
        assert!(text.contains(seen), "{given}: {text}");
    }
}

#[test]
fn a_shield_behind_a_rewrite_shields_what_the_server_sees() {
    let text = virtual_service(&format!(
        "  - match: [{{uri: {{prefix: /admin/}}}}]\n    rewrite: {{uri: /internal/}}\n  - {MIRROR}\n"
    ));
    assert!(!mirrors(&text, "/internal/users", &[]));
    assert!(mirrors(&text, "/users", &[]));
}

#[test]
fn what_cannot_be_told_apart_behind_rewrites_is_refused() {
    for routes in [
        // The catch-all may have asked for the same path.
        format!(
            "  - {{match: [{{uri: {{prefix: /api/}}}}], rewrite: {{uri: /}}, {MIRROR}}}\n  - {{}}\n"
        ),
        format!(
            "  - {{match: [{{uri: {{prefix: /v1/}}}}], rewrite: {{uri: /}}}}\n  - {{{MIRROR}}}\n"
        ),
        format!(
            "  - {{match: [{{headers: {{x: {{}}}}}}], headers: {{request: {{remove: [x]}}}}, {MIRROR}}}\n  \
             - {{}}\n"
        ),
        // Two targets.
        format!(
            "  - {{match: [{{uri: {{prefix: /v1/}}}}], rewrite: {{uri: /}}, {MIRROR}}}\n  - {{match: \
             [{{uri: {{prefix: /v2/}}}}], rewrite: {{uri: /}}, mirror: {{host: c.example}}}}\n"
        ),
        format!(
            "  - {{match: [{{uri: {{prefix: /a}}}}], rewrite: {{uriRegexRewrite: {{match: a, rewrite: \
             b}}}}, {MIRROR}}}\n"
        ),
    ] {
        let refused = refusals(Origin::Istio, &virtual_service(&routes));
        assert!(
            refused.iter().any(|(_, field)| field.starts_with("http[")),
            "{routes} {refused:?}"
        );
    }
    // A header that each sets tells them apart.
    let marked = |name: &str, host: &str| {
        format!(
            "  - {{match: [{{uri: {{prefix: /{name}/}}}}], rewrite: {{uri: /}}, headers: {{request: {{set: \
             {{x-api: {name}}}}}}}, mirror: {{host: {host}.example, port: {{number: 80}}}}}}\n"
        )
    };
    let file = istio(&virtual_service(&(marked("v1", "b") + &marked("v2", "c"))));
    let file = File::parse(&file).unwrap();
    assert_eq!(targets(&file, "/x", &["x-api: v1".to_owned()]), ["b.example"]);
    assert_eq!(targets(&file, "/x", &["x-api: v2".to_owned()]), ["c.example"]);
}

#[test]
fn what_a_gateways_proxy_responds_to_itself_is_not_mirrored() {
    for answered in ["redirect: {uri: /b}", "directResponse: {status: 200}"] {
        let text = virtual_service(&format!("  - {{{answered}, {MIRROR}}}\n"));
        assert_eq!(refusals(Origin::Istio, &text), [(1, "file".to_owned())], "{answered}");
    }
}

#[test]
fn filters_of_the_gateway_api_are_seen_applied() {
    let rule = |filters: &str, path: &str| {
        let rule = mirrored("b", &format!("{{path: {path}}}"));
        http_route("r", &rule.replace("filters:\n", &format!("filters:\n{filters}")))
    };
    let rewrite = |path: &str| format!("    - {{type: URLRewrite, urlRewrite: {path}}}\n");
    let prefix = |to: &str| {
        rewrite(&format!("{{path: {{type: ReplacePrefixMatch, replacePrefixMatch: {to}}}}}"))
    };
    for (filters, path, seen) in [
        (prefix("/two"), "{value: /one}", "path: segments: /two"),
        (prefix("/"), "{value: /one}", "- name: n-r-0 targets"),
        (
            rewrite("{path: {type: ReplaceFullPath, replaceFullPath: /x}}"),
            "{value: /one}",
            "path: exact: /x",
        ),
        (
            rewrite("{hostname: c.example}"),
            "{value: /one}",
            "host: [c.example] path: segments: /one",
        ),
        (
            "    - {type: RequestHeaderModifier, requestHeaderModifier: {remove: [x]}}\n"
                .to_owned(),
            "{value: /one}\n    headers: [{name: x, value: a}]",
            "headers: x: present: false",
        ),
    ] {
        let path = path.replace("\n    headers", ", headers");
        let conversion = convert(Origin::GatewayApi, &rule(&filters, &path));
        let text = words(native(&conversion));
        assert!(text.contains(seen), "{filters}: {text}");
    }
    let extension = "    - {type: ExtensionRef, extensionRef: {group: g, kind: K, name: n}}\n";
    let refused = refusals(Origin::GatewayApi, &rule(extension, "{value: /one}"));
    assert!(!refused.is_empty());
}

#[test]
fn a_regular_expression_whose_place_is_not_known_shields_first() {
    let shield = "  - matches: [{path: {type: RegularExpression, value: /private/.*}}]\n";
    let conversion = convert(
        Origin::GatewayApi,
        &http_route("r", &(mirrored("b", "{path: {value: /}}") + shield)),
    );
    let file = File::parse(native(&conversion)).unwrap();
    assert!(targets(&file, "/private/a", &[]).is_empty());
    assert_eq!(targets(&file, "/a", &[]), ["b.n"]);
    assert!(conversion.findings.iter().any(|one| one.outcome == Outcome::Approximated));
}

#[test]
fn two_targets_of_which_an_expression_may_come_first_are_refused() {
    let regex = mirrored("b", "{path: {type: RegularExpression, value: /match/.*}}");
    let text = http_route("r", &(regex.clone() + &mirrored("c", "{path: {value: /match}}")));
    let refused = refusals(Origin::GatewayApi, &text);
    assert_eq!(refused, [(5, "rules[0]".to_owned())]);
    assert!(native(&convert(Origin::GatewayApi, &http_route("r", &regex))).contains("regex"));
}

/// A redirect hangs on a listener of its own, and what it answers never reaches the server.
#[test]
fn a_redirect_to_https_does_not_shield_the_route_behind_it() {
    let redirect = http_route("a", "  - filters: [{type: RequestRedirect, requestRedirect: {}}]\n");
    let text = redirect + &http_route("b", &mirrored("c", "{path: {value: /}}"));
    assert!(native(&convert(Origin::GatewayApi, &text)).contains("c.n"));
}

#[test]
fn the_sample_shields_all_its_hosts() {
    let text = format!(
        "kind: VirtualService\nmetadata: {{name: v, namespace: shop}}\nspec:\n  hosts: \
         [httpbin.shop.svc.cluster.local]\n  http:\n  - {MIRROR}\n"
    );
    assert!(istio(&text).contains(HOSTS));
}

/// A route of the model: what it matches, what it changes, where it mirrors.
#[derive(Clone, Debug)]
struct Modelled {
    prefix: &'static str,
    header: Option<&'static str>,
    rewrite: Option<&'static str>,
    set: Option<&'static str>,
    remove: bool,
    mirror: Option<&'static str>,
}

impl Modelled {
    fn yaml(&self) -> String {
        let header = self
            .header
            .map_or(String::new(), |value| format!(", headers: {{x: {{exact: '{value}'}}}}"));
        let mut text = format!("  - match: [{{uri: {{prefix: {}}}{header}}}]\n", self.prefix);
        if let Some(to) = self.rewrite {
            text += &format!("    rewrite: {{uri: {to}}}\n");
        }
        let set = self.set.map(|value| format!("set: {{x: '{value}'}}"));
        let remove = self.remove.then(|| "remove: [x]".to_owned());
        let operations: Vec<String> = [set, remove].into_iter().flatten().collect();
        if !operations.is_empty() {
            text += &format!("    headers: {{request: {{{}}}}}\n", operations.join(", "));
        }
        if let Some(host) = self.mirror {
            text += &format!("    mirror: {{host: {host}.example, port: {{number: 80}}}}\n");
        }
        text
    }

    fn takes(&self, path: &str, header: Option<&str>) -> bool {
        path.starts_with(self.prefix) && self.header.is_none_or(|value| header == Some(value))
    }

    fn behind<'a>(&'a self, path: &str, header: Option<&'a str>) -> (String, Option<&'a str>) {
        let path = match (self.rewrite, path.strip_prefix(self.prefix)) {
            (Some(to), Some(rest)) => format!("{to}{rest}"),
            _ => path.to_owned(),
        };
        (path, self.set.or(if self.remove { None } else { header }))
    }
}

fn modelled() -> impl Strategy<Value = Modelled> {
    let paths = ["/", "/a", "/a/", "/b/", "/a/b/"];
    let values = || proptest::option::of(proptest::sample::select(vec!["1", "2"]));
    (
        proptest::sample::select(paths.to_vec()),
        values(),
        proptest::option::of(proptest::sample::select(paths.to_vec())),
        values(),
        any::<bool>(),
        proptest::option::of(proptest::sample::select(vec!["c", "d"])),
    )
        .prop_map(|(prefix, header, rewrite, set, remove, mirror)| Modelled {
            prefix,
            header,
            rewrite,
            set,
            remove: remove && header.is_some(),
            mirror,
        })
}

proptest! {
    /// At the gateway each request is mirrored as its route says, and its copy has the path that the
    /// route gives it.
    #[test]
    fn a_gateways_copies_are_those_of_its_routes(
        routes in proptest::collection::vec(modelled(), 1..4),
    ) {
        let text: String = routes.iter().map(Modelled::yaml).collect();
        let text = virtual_service(&text).replace("spec:\n", "spec:\n  gateways: [edge]\n");
        let options = Options { gateway: Some("edge".to_owned()), ..Options::default() };
        let conversion = crate::config::convert::convert(Origin::Istio, &text, &options);
        let Some(native) = conversion.native else { return Ok(()) };
        let file = File::parse(&native).unwrap();
        for path in ["/", "/x", "/a", "/ax", "/a/", "/a/x", "/b/", "/b/x", "/a/b/", "/a/b/x", "/bx"] {
            for header in [None, Some("1"), Some("2"), Some("3")] {
                let route = routes.iter().find(|one| one.takes(path, header));
                let fields: Vec<String> = header.iter().map(|value| format!("x: {value}")).collect();
                let sent = targets(&file, path, &fields);
                let wanted = route.and_then(|route| route.mirror);
                prop_assert_eq!(sent.len(), usize::from(wanted.is_some()), "{}\n{}", native, path);
                for name in sent {
                    let target = file.targets.iter().find(|one| one.name == name).unwrap();
                    let url = format!("http://{}.example:80", wanted.unwrap());
                    prop_assert_eq!(&target.url, &url);
                    let edits = target.how.edits();
                    let path_there = edits.path(path.as_bytes()).concat();
                    let path_there = String::from_utf8(path_there).unwrap();
                    let (behind, header_there) = route.unwrap().behind(path, header);
                    prop_assert_eq!(path_there, behind, "{}\n{}", native, path);
                    let hidden = edits.hides(b"x");
                    let set = edits.set.iter().find(|(name, _)| name == "x");
                    let there = match (set, hidden) {
                        (Some((_, value)), _) => Some(value.as_str()),
                        (None, true) => None,
                        (None, false) => header,
                    };
                    prop_assert_eq!(there, header_there, "{}", native);
                }
            }
        }
    }

    /// Nothing that the wire shows goes to a target that not every route by which it could have come
    /// mirrors to.
    #[test]
    fn nothing_more_is_mirrored_than_the_routes_mirror(
        routes in proptest::collection::vec(modelled(), 1..4),
    ) {
        let text: String = routes.iter().map(Modelled::yaml).collect();
        let conversion = convert(Origin::Istio, &virtual_service(&text));
        let Some(native) = conversion.native else { return Ok(()) };
        let file = File::parse(&native).unwrap();
        for path in ["/", "/x", "/a", "/ax", "/a/", "/a/x", "/b/", "/b/x", "/a/b/", "/a/b/x", "/bx"] {
            for header in [None, Some("1"), Some("2"), Some("3")] {
                let Some(route) = routes.iter().find(|one| one.takes(path, header)) else { continue };
                let (path, header) = route.behind(path, header);
                let fields: Vec<String> = header.iter().map(|value| format!("x: {value}")).collect();
                let sent = targets(&file, &path, &fields);
                let wanted = route.mirror.map(|host| format!("{host}.example"));
                for target in sent {
                    prop_assert_eq!(Some(target), wanted.clone(), "{}\n{}", native, path);
                }
            }
        }
    }
}
