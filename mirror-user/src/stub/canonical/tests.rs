use std::fmt::Write;

use proptest::prelude::*;

use super::*;

fn matching() -> Matching {
    Matching {
        headers: vec!["accept".into()],
        ignored_query: vec![b"_ts".to_vec()],
        ignored_body: Paths::new(&["$.at".into(), "$.items[*].id".into()]).unwrap(),
        templates: vec!["/orders/{id}".parse().unwrap(), "/static/**".parse().unwrap()],
    }
}

/// What a request is recognized by, as one text.
fn read(target: &str, fields: &[(&str, &str)], content: &[u8]) -> String {
    let fields = fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    let facts = Facts { method: b"POST", target: target.as_bytes(), content };
    let matching = matching();
    let canonical = matching.canonical(facts, fields);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut out = String::new();
    let host = canonical.host.as_deref().map(text).unwrap_or_default();
    write!(out, "{host} {} ?{}", text(&canonical.path), text(&canonical.query)).unwrap();
    if !canonical.headers.is_empty() {
        write!(out, " {}", text(&canonical.headers)).unwrap();
    }
    if canonical.body_kind != BodyKind::Empty {
        write!(out, " {:?} {}", canonical.body_kind, text(&canonical.body)).unwrap();
    }
    out
}

const JSON: (&str, &str) = ("Content-Type", "application/json; charset=utf-8");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

#[test]
fn what_means_the_same_is_one() {
    for same in [
        &[
            "/a?b=2&a=1",
            "/a?a=1&b=2",
            "/a?a=%31&b=2&_ts=99",
            "/%61?&&a=1&b=2",
            "http://x/a?b=2&a=1",
        ][..],
        &["/a?q=x+y", "/a?q=x%20y"],
        &["/a?flag", "/a?flag="],
        &["/a%2fb", "/a%2Fb"],
    ] {
        for target in same {
            assert_eq!(
                read(target, &[("Host", "X:80")], b""),
                read(same[0], &[("Host", "x")], b"")
            );
        }
    }
    for same in [
        &[
            r#"{"a":1,"b":[1,2]}"#,
            r#" { "b": [1.0, 2e0], "a": 10e-1 } "#,
            r#"{"at":5,"a":1,"b":[1,2]}"#,
        ][..],
        &[r#"{"items":[{"id":1,"n":"\u00e9"}]}"#, r#"{"items":[{"n":"é","id":2}]}"#],
    ] {
        for body in same {
            let fields = [("Host", "x"), JSON];
            assert_eq!(read("/", &fields, body.as_bytes()), read("/", &fields, same[0].as_bytes()));
        }
    }
    assert_eq!(read("/", &[FORM], b"b=2&a=1+1"), read("/", &[FORM], b"a=1%201&b=2&at=7"));
}

#[test]
fn what_differs_stays_different() {
    let targets =
        ["/a", "/a/", "/a%2Fb", "/a/b", "/a?b=1", "/a?b=2", "/a?b=1&b=2", "/a?b=2&b=1", "/A"];
    for (at, one) in targets.iter().enumerate() {
        for other in &targets[at + 1..] {
            assert_ne!(read(one, &[], b""), read(other, &[], b""), "{one} {other}");
        }
    }
    let json = |body: &str| read("/", &[JSON], body.as_bytes());
    for (one, other) in [
        (r#"{"a":1}"#, r#"{"a":"1"}"#),
        (r#"{"a":[1,2]}"#, r#"{"a":[2,1]}"#),
        (r#"{"a":9007199254740993}"#, r#"{"a":9007199254740992}"#),
        (r#"{"a":1,"a":2}"#, r#"{"a":2}"#),
        (r#"{"a":null}"#, "{}"),
        // What is no JSON stands for itself.
        (r#"{"a":1"#, r#"{ "a":1"#),
    ] {
        assert_ne!(json(one), json(other), "{one} {other}");
    }
    let text = [("Content-Type", "text/plain")];
    assert_ne!(read("/", &[JSON], b"1"), read("/", &text, b"1"));
    assert_ne!(read("/", &text, b"a b"), read("/", &text, b"a  b"));
    assert_ne!(read("/", &[("Accept", "a")], b""), read("/", &[("accept", "b")], b""));
    assert_ne!(read("/", &[("Accept", "a")], b""), read("/", &[], b""));
}

#[test]
fn parts_are_the_same_whatever_their_boundary() {
    let part = |boundary: &str, text: &str| {
        let media = format!("multipart/form-data; boundary=\"{boundary}\"");
        let body = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"f\"\r\n\r\n{text}\r\n--{boundary}--\r\n"
        );
        read("/", &[("Content-Type", &media)], body.as_bytes())
    };
    assert_eq!(part("aaa", "x"), part("----bbb", "x"));
    assert_ne!(part("aaa", "x"), part("aaa", "y"));
}

#[test]
fn codings_do_not_matter_and_what_cannot_be_decoded_stands_for_itself() {
    let gzip = coding(r#"{"b":1,"a":2}"#);
    let coded = [JSON, ("Content-Encoding", "gzip")];
    assert_eq!(read("/", &coded, &gzip), read("/", &[JSON], br#"{"a":2,"b":1}"#));
    assert_ne!(read("/", &coded, b"no gzip"), read("/", &coded, b"nor this"));
}

fn coding(text: &str) -> Vec<u8> {
    crate::http::coding::encode(crate::http::coding::Coding::Gzip, text.as_bytes())
}

#[test]
fn a_long_body_is_known_by_its_digest() {
    let long = "x".repeat(1 << 20);
    let other = "x".repeat((1 << 20) - 1) + "y";
    let text = [("Content-Type", "text/plain")];
    let read = |body: &str| read("/", &text, body.as_bytes());
    assert_eq!(read(&long), read(&long));
    assert_ne!(read(&long), read(&other));
    assert!(read(&long).len() < 200);
}

#[test]
fn a_template_fits_paths_of_its_kind() {
    let matching = matching();
    let fits = |path: &str| {
        let number = matching.template(path.as_bytes())?;
        Some(matching.templates[usize::from(number)].text())
    };
    assert_eq!(fits("/orders/5001"), Some("/orders/{id}"));
    assert_eq!(fits("/orders/"), None);
    assert_eq!(fits("/orders/5001/items"), None);
    assert_eq!(fits("/static/a/b.css"), Some("/static/**"));
    for bad in ["orders/{id}", "/a?b", "/a{id}", "/*", "/{}", ""] {
        assert!(bad.parse::<Template>().is_err(), "{bad}");
    }
    assert!("/**".parse::<Template>().unwrap().fits(b"/a/b"));
}

proptest! {
    #[test]
    fn what_is_canonical_stays_so(target in "/[ab%2F.?&=+;]{0,24}", body in r#"[\[{}\],:"a1. ]{0,24}"#) {
        let matching = Matching::default();
        let facts = Facts { method: b"GET", target: target.as_bytes(), content: body.as_bytes() };
        let fields = [(&b"Content-Type"[..], &b"application/json"[..])];
        let once = matching.canonical(facts, fields.into_iter());
        let again = [&once.path[..], b"?", &once.query].concat();
        let facts = Facts { method: b"GET", target: &again, content: &once.body };
        let twice = matching.canonical(facts, fields.into_iter());
        prop_assert_eq!(&once.path, &twice.path);
        prop_assert_eq!(&once.query, &twice.query);
        prop_assert_eq!(&once.body, &twice.body);
    }
}
