//! What cannot be read is withheld with its reason; what is large or deep costs a bounded time.

use super::super::{MAX_BODY_BYTES, Unredactable};
use super::*;
use crate::http::coding::{self, Coding};
use crate::http::message::Body;

/// Why the body of this request is withheld, if it is.
fn withheld(headers: &str, body: &[u8]) -> Option<&'static str> {
    let redactor = pii();
    let mut request =
        format!("POST / HTTP/1.1\r\nHost: a\r\n{headers}Content-Length: {}\r\n\r\n", body.len())
            .into_bytes();
    request.extend_from_slice(body);
    let message = redactor.redact(ended(&request, b""), None).request.expect("a request");
    let counted = redactor.report().withheld.total();
    match message.body.wire {
        Kept::Withheld(why) => {
            assert_eq!((counted, message.body.sha256), (1, None));
            Some(why)
        }
        _ => {
            assert_eq!(counted, 0);
            None
        }
    }
}

fn why(why: Unredactable) -> Option<&'static str> {
    Some(why.into())
}

#[test]
fn what_cannot_be_read_is_withheld() {
    let json = "Content-Type: application/json\r\n";
    assert_eq!(withheld("Content-Encoding: snappy\r\n", b"x"), why(Unredactable::UnknownCoding));
    assert_eq!(withheld("Content-Encoding: gzip\r\n", b"no gzip"), why(Unredactable::BrokenCoding));
    assert_eq!(
        withheld("Content-Encoding: deflate\r\n", b"password=x"),
        why(Unredactable::BrokenCoding)
    );
    assert_eq!(
        withheld("Content-Encoding: br\r\n", b"password=x"),
        why(Unredactable::BrokenCoding)
    );
    assert_eq!(
        withheld("Content-Encoding: zstd\r\n", b"password=x"),
        why(Unredactable::BrokenCoding)
    );
    assert_eq!(
        withheld("Content-Type: text/plain; charset=UTF-16\r\n", b"x"),
        why(Unredactable::Charset)
    );
    assert_eq!(
        withheld("Content-Type: text/plain\r\n", b"\xff\xfea\0"),
        why(Unredactable::Charset)
    );
    assert_eq!(
        withheld("Content-Type: multipart/form-data; boundary=b\r\n", b"--x"),
        why(Unredactable::BadMultipart)
    );
    assert_eq!(
        withheld("Content-Type: multipart/form-data\r\n", b"--x"),
        why(Unredactable::BadMultipart)
    );
    let binary = b"\x00\xff\x80alice@example.com\x00";
    assert_eq!(
        withheld("Content-Type: application/protobuf\r\n", binary),
        why(Unredactable::Binary)
    );
    assert_eq!(withheld("Content-Type: application/protobuf\r\n", b"\x00\xff\x80"), None);
    assert_eq!(withheld("Content-Type: image/png\r\n", binary), None);
    for bad in [
        "{",
        "{\"a\":}",
        "{\"a\":1,}",
        "[1 2",
        "nul",
        "{'a':1}",
        "\"\\x\"",
        "\"\\ud8\"",
        "{\"a\":1}}",
    ] {
        assert_eq!(withheld(json, bad.as_bytes()), why(Unredactable::BadJson), "{bad}");
    }
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    assert_eq!(withheld(form, b"{'password':'x'}"), why(Unredactable::BadJson));
    assert_eq!(withheld("", b"{password:x}"), why(Unredactable::BadJson));
    assert_eq!(withheld("Content-Type: text/plain\r\n", b"[1] a note [2]"), None);
    let longer = b"--b\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--bb\r\n2\r\n--b--";
    assert_eq!(withheld("Content-Type: multipart/form-data; boundary=b\r\n", longer), None);
    for good in
        ["", " ", "1", "-1.5e3 ", "\"\\ud83d\\ude00\"", "[]", "{}", "\u{feff}{}", "{}\n{}\n"]
    {
        assert_eq!(withheld(json, good.as_bytes()), None, "{good}");
    }
}

#[test]
fn deep_json_is_withheld() {
    let json = "Content-Type: application/json\r\n";
    assert_eq!(withheld(json, "[".repeat(100_000).as_bytes()), why(Unredactable::JsonTooDeep));
    let deep = |n: usize| format!("{}1{}", "{\"a\":".repeat(n), "}".repeat(n));
    assert_eq!(withheld(json, deep(128).as_bytes()), None);
    assert_eq!(withheld(json, deep(129).as_bytes()), why(Unredactable::JsonTooDeep));
}

#[test]
fn bombs_are_withheld() {
    let zeros = vec![b'0'; 8 << 20];
    for (name, coding) in [
        ("gzip", Coding::Gzip),
        ("deflate", Coding::Deflate),
        ("br", Coding::Brotli),
        ("zstd", Coding::Zstd),
    ] {
        let header = format!("Content-Encoding: {name}\r\n");
        assert_eq!(
            withheld(&header, &coding::encode(coding, &zeros)),
            why(Unredactable::Bomb),
            "{name}"
        );
    }
    let twice = coding::encode(Coding::Gzip, &coding::encode(Coding::Gzip, &zeros));
    assert_eq!(withheld("Content-Encoding: gzip, gzip\r\n", &twice), why(Unredactable::Bomb));
    let many = "gzip, ".repeat(100) + "gzip";
    let header = format!("Content-Encoding: {many}\r\n");
    assert_eq!(withheld(&header, b"x"), why(Unredactable::UnknownCoding));
}

#[test]
fn a_body_in_a_file_is_read_up_to_the_limit() {
    let text = b"alice@example.com ".repeat(100_000);
    assert!(text.len() > 1 << 20, "it waits in a file");
    let head = |length: usize| {
        format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    let request = [head(text.len()).as_bytes(), &text].concat();
    let message = pii().redact(ended(&request, b""), None).request.expect("a request");
    let Kept::Memory(wire) = &message.body.wire else { panic!("not read") };
    assert!(memchr::memmem::find(wire, b"alice").is_none());
    assert_eq!(withheld("", &vec![b'x'; MAX_BODY_BYTES + 1]), why(Unredactable::TooLarge));
}

#[test]
fn what_is_withheld_or_was_not_kept_can_be_told_apart_under_one_key() {
    let redactor = credentials();
    let keyed = |redactor: &Redactor, body: Body| {
        let known = ended(
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        );
        let mut message = Message::clone(known.response.as_deref().expect("a response"));
        message.body = body;
        let redact = |message: Message| {
            let exchange = Exchange { response: Some(Arc::new(message)), ..known.clone() };
            Message::clone(redactor.redact(exchange, None).response.as_deref().expect("a response"))
        };
        let once = redact(message);
        assert_eq!(once.body.sha256, None, "it could be reversed by trying");
        assert_eq!(redact(once.clone()).body.keyed, once.body.keyed, "twice is as once");
        once.body.keyed.expect("a digest under the key")
    };
    let dropped = |sha256: u8| Body {
        length: 5 << 20,
        sha256: Some([sha256; 32]),
        wire: Kept::TooLarge,
        ..Body::default()
    };
    assert_eq!(keyed(&redactor, dropped(1)), keyed(&redactor, dropped(1)));
    assert_ne!(keyed(&redactor, dropped(1)), keyed(&redactor, dropped(2)));
    assert_ne!(keyed(&redactor, dropped(1)), [1; 32]);
    let other = RedactOptions {
        key: Some(Key::new([7; 32]).expect("32 bytes")),
        ..RedactOptions::preset(Preset::Credentials)
    };
    let other = Redactor::new(other).expect("options").expect("it is on");
    assert_ne!(keyed(&redactor, dropped(1)), keyed(&other, dropped(1)));
    let bad = |body: &[u8]| {
        let response = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let response = [response.as_bytes(), body].concat();
        let exchange =
            redactor.redact(ended(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", &response), None);
        let body = exchange.response.expect("a response").body.clone();
        assert!(matches!(body.wire, Kept::Withheld("bad_json")), "{body:?}");
        body.keyed.expect("a digest under the key")
    };
    assert_eq!(bad(b"{\"a\":1"), bad(b"{\"a\":1"));
    assert_ne!(bad(b"{\"a\":1"), bad(b"{\"a\":2"));
}

#[test]
fn an_incomplete_body_is_withheld() {
    let redactor = pii();
    let request = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 30\r\n\r\ncard 411111111";
    let message = redactor.redact(ended(request, b""), None).request.expect("a request");
    assert!(matches!(message.body.wire, Kept::Withheld("incomplete")), "{message:?}");
}

#[test]
fn large_heads_are_read_in_linear_time() {
    let long = [
        "4".repeat(60_000),
        "4 ".repeat(30_000),
        "@".repeat(60_000),
        "a@".repeat(30_000),
        "a.a@a.".repeat(10_000),
        "eyJhbGciOiJub25lIn0.".repeat(3_000),
        ".eyJ".repeat(15_000),
        "Bearer ".repeat(8_000),
        "-----BEGIN ".repeat(5_000),
        "-----BEGIN PRIVATE KEY----- ".repeat(2_000),
        "GB82".repeat(15_000),
        "phone 1 ".repeat(7_000),
        "a=b;".repeat(15_000),
        "{\"a\":".repeat(10_000),
    ];
    for value in long {
        let target = value.replace(' ', "+");
        for wire in [
            format!("GET /?{target} HTTP/1.1\r\nHost: a\r\n\r\n"),
            format!("GET / HTTP/1.1\r\nHost: a\r\nX-Long: {value}\r\n\r\n"),
            format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: {value}\r\n\r\n"),
        ] {
            // That it comes to an end is what counts; a quadratic search would take minutes.
            assert!(!request_of(&wire).is_empty());
        }
    }
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "a:b\r\n".repeat(10_000));
    assert_eq!(request_of(&many), many.as_bytes());
}

fn request_of(wire: &str) -> Vec<u8> {
    let exchanges = exchanges(wire.as_bytes(), b"");
    let redactor = pii();
    let mut out = Vec::new();
    for exchange in exchanges {
        if let Some(message) = redactor.redact(exchange, None).request {
            out = self::wire(&message);
        }
    }
    out
}

#[test]
fn folded_and_broken_lines_do_not_hide_values() {
    let out = |wire: &str| String::from_utf8(request_of(wire)).expect("text");
    let folded = out("GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\n Authorization: Bearer abc\r\n\r\n");
    assert!(folded.contains("X-A: redacted-folded-"), "{folded}");
    let spaced = out("GET / HTTP/1.1\r\nHost: a\r\nAuthorization : Bearer abc\r\n\r\n");
    assert!(spaced.contains("Authorization : Bearer redacted-bearer-"), "{spaced}");
    let no_colon = out(
        "GET / HTTP/1.1\r\nHost: a\r\nalice@example.com\r\nX: alice@example.com\r\nbob@example.com\r\n\r\n",
    );
    assert!(!no_colon.contains("example.com"), "{no_colon}");
    let first = out("GET / HTTP/1.1\r\nalice@example.com\r\nHost: a\r\n\r\n");
    assert!(!first.contains("example.com"), "{first}");
}

#[test]
fn a_changed_body_that_is_framed_in_two_ways_is_withheld() {
    let redactor = pii();
    let request =
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n\
        11\r\nalice@example.com\r\n0\r\n\r\n";
    let message = redactor.redact(ended(request, b""), None).request.expect("a request");
    assert!(matches!(message.body.wire, Kept::Withheld("ambiguous")), "{message:?}");
}
