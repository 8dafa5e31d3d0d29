//! Bodies of each format, and those that are none.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;
use crate::tree::Value;

fn of(fields: &[(&str, &str)], body: &[u8]) -> Lifted {
    let fields: Vec<(&[u8], &[u8])> =
        fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    lift(&fields, &Content::Bytes(body.into()), &Limits::default())
}

fn typed(kind: &str, body: &str) -> Lifted {
    of(&[("Content-Type", kind)], body.as_bytes())
}

fn shown(lifted: &Lifted) -> String {
    crate::diff::show(crate::diff::At::root(&lifted.tree), 4_096)
}

#[test]
fn each_format_becomes_a_tree() {
    for (kind, body, format, tree) in [
        (
            "application/json",
            r#" {"a":[1.0,1e2,"\u00e9\ud83d\ude00",null,true],"a":2} "#,
            Format::Json,
            r#"{"a":[1.0,1e2,"é😀",null,true],"a":2}"#,
        ),
        ("application/problem+json; charset=utf-8", "[]", Format::Json, "[]"),
        (
            "application/x-ndjson",
            "{\"a\":1}\n\n{\"a\":2}\n",
            Format::JsonLines,
            r#"[{"a":1},{"a":2}]"#,
        ),
        (
            "text/event-stream",
            ": hi\nevent: tick\ndata: {\"n\":1}\nid: 7\n\ndata: a\ndata: b\n\n",
            Format::Events,
            r#"[{"event":"tick","id":"7","data":{"n":1}},{"data":"a\nb"}]"#,
        ),
        (
            "application/x-www-form-urlencoded",
            "a=1+2&b=%C3%A9&a=3",
            Format::Form,
            r#"{"a":"1 2","b":"é","a":"3"}"#,
        ),
        ("text/plain", "a\r\nb\n", Format::Text, r#"["a","b"]"#),
        (
            "application/xml",
            "<?xml version=\"1.0\"?><!-- c --><a x='1 &amp; 2'>\n t &lt; <b/><![CDATA[<c>]]></a>",
            Format::Xml,
            r#"{"tag":"a","attributes":{"x":"1 & 2"},"children":["t <",{"tag":"b","attributes":{},"children":[]},"<c>"]}"#,
        ),
        (
            "text/html",
            "<!doctype html><title>T</title><p class=x>one<p>two<script>1<2</script>",
            Format::Html,
            r#"{"tag":"html","attributes":{},"children":[{"tag":"head","attributes":{},"children":[{"tag":"title","attributes":{},"children":["T"]}]},{"tag":"body","attributes":{},"children":[{"tag":"p","attributes":{"class":"x"},"children":["one"]},{"tag":"p","attributes":{},"children":["two",{"tag":"script","attributes":{},"children":["1<2"]}]}]}]}"#,
        ),
        ("", "{\"a\":1}", Format::Json, r#"{"a":1}"#),
        ("", "hello", Format::Text, r#"["hello"]"#),
        ("", "", Format::Empty, "null"),
    ] {
        let lifted = typed(kind, body);
        assert_eq!((lifted.format, lifted.flaw), (format, None), "{kind}");
        assert_eq!(shown(&lifted), tree, "{kind}");
    }
    let picture = of(&[("Content-Type", "image/png")], b"\x89PNG\0");
    assert_eq!((picture.format, picture.flaw), (Format::Binary, None));
    assert!(shown(&picture).starts_with("5 bytes, sha256 "), "{}", shown(&picture));
}

#[test]
fn what_cannot_be_read_has_a_reason_and_is_kept() {
    for (kind, body, flaw, format) in [
        ("application/json", "{\"a\":", Unreadable::BadJson, Format::Text),
        ("application/json", "{\"a\":01}", Unreadable::BadJson, Format::Text),
        ("application/json", "{\"a\":1} x", Unreadable::BadJson, Format::Text),
        ("application/json", "{\"a\":\"\u{1}\"}", Unreadable::BadJson, Format::Text),
        ("application/json", "{'a':1}", Unreadable::BadJson, Format::Text),
        ("application/xml", "<a><b></a>", Unreadable::BadXml, Format::Text),
        ("application/xml", "<a/><b/>", Unreadable::BadXml, Format::Text),
        ("application/xml", "plain", Unreadable::BadXml, Format::Text),
    ] {
        let lifted = typed(kind, body);
        assert_eq!((lifted.flaw, lifted.format), (Some(flaw), format), "{body}");
    }
    let bytes = of(&[("Content-Type", "text/plain")], b"caf\xe9");
    assert_eq!((bytes.flaw, bytes.format), (Some(Unreadable::BadText), Format::Binary));
    let latin = of(&[("Content-Type", "text/plain; charset=ISO-8859-1")], b"caf\xe9");
    assert_eq!((latin.flaw, &*shown(&latin)), (None, r#"["café"]"#));
    let wrong = typed("", "{not json}");
    assert_eq!((wrong.flaw, wrong.format), (None, Format::Text), "it never said that it is JSON");
    let halves = typed("application/json", r#"["\ud800","\udbff","\ud800x"]"#);
    assert_eq!(halves.flaw, None);
    assert_ne!(
        halves.tree.children(halves.tree.root()).map(|id| halves.tree.hash(id)).next(),
        None
    );
}

#[test]
fn hostile_bodies_are_refused_within_limits() {
    let deep = "[".repeat(100_000);
    assert_eq!(typed("application/json", &deep).flaw, Some(Unreadable::TooDeep));
    assert_eq!(
        typed("application/json", &format!("{deep}{}", "]".repeat(100_000))).flaw,
        Some(Unreadable::TooDeep)
    );
    assert_eq!(typed("text/html", &"<div>".repeat(100_000)).flaw, Some(Unreadable::TooDeep));
    assert_eq!(typed("application/xml", &"<a>".repeat(100_000)).flaw, Some(Unreadable::TooDeep));
    let many = format!("[{}1]", "1,".repeat(600_000));
    assert_eq!(typed("application/json", &many).flaw, Some(Unreadable::TooManyValues));
    let key = "k".repeat(1 << 20);
    let lifted = typed("application/json", &format!("{{\"{key}\":1}}"));
    assert_eq!(lifted.flaw, None);
    assert_eq!(lifted.tree.value(lifted.tree.root()), Value::Object(1));
    let huge = vec![b'a'; 100 << 20];
    let lifted = of(&[("Content-Type", "text/plain")], &huge);
    assert_eq!((lifted.flaw, lifted.format), (Some(Unreadable::TooLarge), Format::Binary));
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    let block = vec![0; 1 << 20];
    (0..64).for_each(|_| gzip.write_all(&block).unwrap());
    let bomb = gzip.finish().unwrap();
    let coded =
        |body: &[u8]| of(&[("Content-Type", "text/plain"), ("Content-Encoding", "gzip")], body);
    assert!(matches!(coded(&bomb).flaw, Some(Unreadable::Bomb | Unreadable::TooLarge)));
    assert_eq!(coded(b"not gzip").flaw, Some(Unreadable::BrokenCoding));
    let unknown = of(&[("Content-Encoding", "compress")], b"x");
    assert_eq!(unknown.flaw, Some(Unreadable::UnknownCoding));
}

#[test]
fn codings_are_undone() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(b"{\"a\":1}").unwrap();
    let body = gzip.finish().unwrap();
    let lifted = of(&[("content-type", "application/json"), ("content-encoding", "gzip")], &body);
    assert_eq!((lifted.flaw, &*shown(&lifted)), (None, "{\"a\":1}"));
}
