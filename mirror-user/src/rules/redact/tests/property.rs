//! No value that a detector knows survives, wherever it is planted.

use proptest::prelude::*;

use super::super::MAX_BODY_BYTES;
use super::*;
use crate::http::coding::{self, Coding};

/// Values of every kind, and what must not be found of them.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{3,12}[0-9]{0,3}@[a-z]{3,10}\\.(com|org|example)",
        Just("4111111111111111".to_owned()),
        Just("5555-5555-5555-4444".to_owned()),
        Just("GB82WEST12345698765432".to_owned()),
        (1_u32..=665, 1_u32..=99, 1_u32..=9_999)
            .prop_map(|(a, g, s)| format!("{a:03}-{g:02}-{s:04}"))
            .prop_filter("was shown in wallets", |ssn| ssn != "078-05-1120"),
        "[a-zA-Z0-9_-]{10,40}"
            .prop_map(|tail| format!("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.{tail}")),
        "[A-Z0-9]{16}".prop_map(|tail| format!("AKIA{tail}")),
        "[a-zA-Z0-9]{36}".prop_map(|tail| format!("ghp_{tail}")),
    ]
}

/// Text that may stand around a value.
fn filler() -> impl Strategy<Value = String> {
    "[ -~]{0,20}".prop_map(|text| format!("{text} "))
}

fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// A request with the value in one of its places.
fn planted(place: u8, value: &str, filler: &str) -> Vec<u8> {
    let get = |target: &str, field: &str| {
        format!("GET {target} HTTP/1.1\r\nHost: shop\r\n{field}\r\n\r\n").into_bytes()
    };
    let post = |headers: &str, body: &[u8]| {
        let head = format!(
            "POST / HTTP/1.1\r\nHost: shop\r\n{headers}Content-Length: {}\r\n\r\n",
            body.len()
        );
        [head.as_bytes(), body].concat()
    };
    let json = serde_json::json!({ "a": [1, { "b": format!("{filler}{value}") }], "c": filler })
        .to_string();
    let text = format!("{filler}{value} {filler}");
    let coded = |name: &str, coding| {
        post(
            &format!("Content-Type: application/json\r\nContent-Encoding: {name}\r\n"),
            &coding::encode(coding, json.as_bytes()),
        )
    };
    match place {
        0 => get(&format!("/a/{value}/b"), "A: b"),
        1 => get(&format!("/a?b={value}&c=d"), "A: b"),
        2 => get(&format!("/a?b={}&c=d", percent(&text)), "A: b"),
        3 => get(&format!("/{}", percent(value)), "A: b"),
        4 => get("/", &format!("X-A: {}", text.trim())),
        5 => get("/", &format!("Cookie: a=b; c={value}")),
        6 => get("/", &format!("Referer: https://a/b?c={value}#d")),
        7 => post("Content-Type: application/json\r\n", json.as_bytes()),
        8 => post(
            "Content-Type: application/x-www-form-urlencoded\r\n",
            format!("a={}", percent(&text)).as_bytes(),
        ),
        9 => post("Content-Type: text/plain\r\n", text.as_bytes()),
        10 => post("", text.as_bytes()),
        11 => coded("gzip", Coding::Gzip),
        12 => coded("deflate", Coding::Deflate),
        13 => coded("br", Coding::Brotli),
        14 => coded("zstd", Coding::Zstd),
        15 => post(
            "Content-Type: multipart/form-data; boundary=xYz\r\n",
            format!(
                "--xYz\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n{text}\r\n--xYz--\r\n"
            )
            .as_bytes(),
        ),
        _ => {
            let mut wire =
                b"POST / HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
            for chunk in text.as_bytes().chunks(5) {
                wire.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                wire.extend_from_slice(chunk);
                wire.extend_from_slice(b"\r\n");
            }
            wire.extend_from_slice(format!("0\r\nX-T: {value}\r\n\r\n").as_bytes());
            wire
        }
    }
}

proptest! {
    #[test]
    fn no_planted_value_leaves(place in 0_u8..17, value in value(), filler in filler()) {
        let redactor = pii();
        let exchange = redactor.redact(ended(&planted(place, &value, &filler), b""), None);
        let message = exchange.request.expect("a request");
        let mut out = wire(&message);
        let coding = match place {
            11 => Some(Coding::Gzip),
            12 => Some(Coding::Deflate),
            13 => Some(Coding::Brotli),
            14 => Some(Coding::Zstd),
            _ => None,
        };
        if let (Some(coding), Kept::Memory(wire)) = (coding, &message.body.wire) {
            out.extend_from_slice(&coding::decode(coding, wire, MAX_BODY_BYTES).expect("what was encoded"));
        }
        let left = [value.clone(), percent(&value)]
            .iter()
            .any(|value| memchr::memmem::find(&out, value.as_bytes()).is_some());
        prop_assert!(!left, "{}", String::from_utf8_lossy(&out));
    }

    #[test]
    fn any_bytes_are_redacted_without_a_panic_and_twice_alike(
        media in prop::sample::select(vec!["application/json", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=-", "x/y"]),
        content in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let redactor = pii();
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Type: {media}\r\nContent-Length: {}\r\n\r\n", content.len());
        let once = redactor.redact(ended(&[head.as_bytes(), &content].concat(), b""), None).request.expect("a request");
        if matches!(once.body.wire, Kept::Memory(_) | Kept::Nothing) {
            let twice = request(&redactor, &wire(&once));
            prop_assert_eq!(twice, wire(&once));
        }
    }
}
