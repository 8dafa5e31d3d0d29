//! The mark in a body, from a captured request to the bytes that are sent.

use bytes::Bytes;
use proptest::prelude::*;

use super::{asked, cleared, marks, with};
use crate::http::coding::{self, Coding};
use crate::http::message::{BodyLength, Exchange};
use crate::rules::body_mark::{BodyMarks, JsonMark};
use crate::rules::tag::{Marks, NotSent};

/// Marks for each type of body.
fn in_body() -> Marks {
    let json = vec![JsonMark::new("$.s", true.into()).unwrap()];
    let fields = vec![("s".to_owned(), "1".to_owned())];
    Marks { body: BodyMarks { json, form: fields, multipart: Vec::new() }, ..marks() }
}

fn post(media_type: &str, lines: &str, body: &[u8]) -> Exchange {
    let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Type: {media_type}\r\n{lines}\r\n");
    asked(7, 2, &[head.as_bytes(), body].concat())
}

#[test]
fn a_marked_body_has_its_new_length_and_its_old_framing() {
    let sent = |exchange| {
        let shadow = cleared(exchange).shadow_request(&in_body(), "t").unwrap();
        String::from_utf8_lossy(&shadow.front).into_owned()
    };
    let plain = sent(post(
        "application/json; charset=utf-8",
        "Content-Length: 7\r\nContent-MD5: x\r\n",
        b"{\"a\":1}",
    ));
    assert!(plain.contains("\r\nContent-Length: 16\r\n") && !plain.contains("MD5"), "{plain}");
    assert!(plain.ends_with("\r\n\r\n{\"a\":1,\"s\":true}"), "{plain}");
    let body = b"3;x=y\r\na=1\r\n4\r\n&s=0\r\n0\r\nT: u\r\n\r\n";
    let chunked = post("application/x-www-form-urlencoded", "Transfer-Encoding: chunked\r\n", body);
    let chunked = sent(with(chunked, |request| {
        request.body.framing = BodyLength::Chunked;
        request.body.trailer_bytes = Bytes::from_static(b"T: u\r\n");
    }));
    assert!(chunked.ends_with("\r\n\r\n7\r\na=1&s=1\r\n0\r\nT: u\r\n\r\n"), "{chunked}");
    // Nothing to mark: sent as it came.
    assert!(sent(asked(7, 2, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")).ends_with("\r\n\r\n"));
    assert!(sent(post("image/png", "Content-Length: 0\r\n", b"")).ends_with("\r\n\r\n"));
    let zipped = coding::encode(Coding::Gzip, b"{}");
    let lines = format!("Content-Encoding: gzip\r\nContent-Length: {}\r\n", zipped.len());
    let shadow = cleared(post("application/problem+json", &lines, &zipped));
    let front = shadow.shadow_request(&in_body(), "t").unwrap().front;
    let at = front.windows(4).position(|it| it == b"\r\n\r\n").unwrap() + 4;
    let length = format!("Content-Length: {}\r\n", front.len() - at);
    assert!(String::from_utf8_lossy(&front[..at]).contains(&length));
    assert_eq!(coding::decode(Coding::Gzip, &front[at..], 100).unwrap(), b"{\"s\":true}");
}

#[test]
fn a_body_that_cannot_take_the_mark_is_not_sent() {
    for exchange in [
        post("image/png", "Content-Length: 1\r\n", b"x"),
        post("application/json", "Content-Length: 2\r\n", b"[]"),
        post("application/json", "Content-Length: 2\r\nContent-Encoding: x\r\n", b"{}"),
        post("multipart/form-data; boundary=b", "Content-Length: 5\r\n", b"--b--"),
        asked(1, 0, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"),
    ] {
        let why = cleared(exchange).shadow_request(&in_body(), "t").unwrap_err();
        assert_eq!(why, NotSent::BodyNotMarked);
    }
}

proptest! {
    #[test]
    fn any_body_of_any_type_is_marked_or_refused(
        which in 0..3_usize, head: [u8; 4], mut body: Vec<u8>, delimiters in prop::collection::vec(0..64_usize, 0..4),
    ) {
        let types =
            ["application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"];
        for at in delimiters {
            let at = at.min(body.len());
            body.splice(at..at, *b"\r\n--b\r\n\r\n");
        }
        body.splice(0..0, head);
        let media_type = types[which];
        let length = format!("Content-Length: {}\r\n", body.len());
        let multipart = vec![("s".to_owned(), "1".to_owned())];
        let marks = Marks { body: BodyMarks { multipart, ..in_body().body }, ..in_body() };
        match cleared(post(media_type, &length, &body)).shadow_request(&marks, "t") {
            Ok(shadow) => prop_assert!(shadow.front.len() > body.len()),
            Err(why) => prop_assert_eq!(why, NotSent::BodyNotMarked),
        }
    }
}
