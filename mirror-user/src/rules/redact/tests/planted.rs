//! Invented secrets of every kind in every place and coding: none survives in what leaves or in what
//! is said of it, and what must not be touched is the same byte for byte.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use proptest::prelude::*;

use super::super::MAX_BODY_BYTES;
use super::*;
use crate::http::coding::{self, Coding};

/// A secret that is known by its name.
fn named() -> impl Strategy<Value = (&'static str, String)> {
    let names = prop::sample::select(vec![
        "password",
        "userPassword",
        "db_password",
        "password2",
        "access_token",
        "oauth_token",
        "X-Api-Key",
        "client_secret",
        "sessionId",
        "JSESSIONID",
        "sid",
        "otp",
        "signature",
        "csrf_token",
        "privateKey",
        "passport_number",
        "dateOfBirth",
        "billing_address",
        "lastName",
    ]);
    // Letters that no token has beside one another.
    (names, "[A-Z][0-9]Q[a-z0-9]{5,20}Z[0-9]")
}

/// A secret that is known by its looks.
fn known() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{3,12}[0-9]{0,3}@[a-z]{3,10}\\.(com|org|example)",
        Just("4111111111111111".to_owned()),
        Just("5555-5555-5555-4444".to_owned()),
        Just("4111\u{a0}1111\u{a0}1111\u{a0}1111".to_owned()),
        Just("4111\u{2011}1111\u{2011}1111\u{2011}1111".to_owned()),
        Just("4111.1111.1111.1111".to_owned()),
        Just("４１１１１１１１１１１１１１１１".to_owned()),
        Just("123\u{2011}45\u{2011}6789".to_owned()),
        Just("GB82WEST12345698765432".to_owned()),
        "[a-zA-Z0-9_-]{10,40}".prop_map(|it| format!("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.{it}")),
        "[a-zA-Z0-9_-]{10,40}"
            .prop_map(|it| format!("eyAiYWxnIjoiSFMyNTYifQ.eyJzdWIiOiI0MiJ9.{it}")),
        "[A-Z0-9]{16}".prop_map(|it| format!("AKIA{it}")),
        "[a-zA-Z0-9]{36}".prop_map(|it| format!("ghp_{it}")),
        "[0-9]{11}-[a-zA-Z0-9]{24}".prop_map(|it| format!("xoxb-{it}")),
        "[a-zA-Z0-9]{20}".prop_map(|it| format!("glpat-{it}")),
        "[a-zA-Z0-9_-]{34}[0-9]".prop_map(|it| format!("AIza{it}")),
        "[a-zA-Z0-9]{35}[0-9]".prop_map(|it| format!("npm_{it}")),
        "[a-zA-Z0-9]{40}".prop_map(|it| format!("pypi-AgEIcHlwaS5vcmc{it}")),
        "[a-zA-Z0-9]{40}[0-9]".prop_map(|it| format!("sk-proj-{it}")),
        "[a-zA-Z0-9]{40}[0-9]".prop_map(|it| format!("sk-ant-api03-{it}")),
        "[a-f0-9]{32}".prop_map(|it| format!("SK{it}")),
        "[a-zA-Z0-9]{22}\\.[a-zA-Z0-9]{42}[0-9]".prop_map(|it| format!("SG.{it}")),
        "[1-9][0-9]{8,9}:AA[a-zA-Z0-9_-]{32}[0-9a-z]",
        "MTIzNDU2Nzg5MDEyMzQ1Njc4\\.[a-zA-Z0-9_-]{6}\\.[a-zA-Z0-9_-]{26,37}[a-z]",
        "pat[a-zA-Z0-9]{14}\\.[a-f0-9]{64}",
        "[a-f0-9]{32}-us[1-9][0-9]",
    ]
}

fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn get(target: &str, field: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: shop\r\n{field}\r\n\r\n").into_bytes()
}

fn post(headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head =
        format!("POST / HTTP/1.1\r\nHost: shop\r\n{headers}Content-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

const TYPES: [&str; 6] = [
    "application/json",
    "text/plain",
    "application/xml",
    "text/html; charset=utf-8",
    "application/octet-stream",
    "application/x-unknown",
];

/// A request with a named secret in one of the places.
fn with_name(place: u8, media_type: &str, name: &str, value: &str) -> Vec<u8> {
    let json = serde_json::json!({ "a": [{ name: value }], "b": 1 }).to_string();
    let inner = serde_json::json!({ "body": json }).to_string();
    let url = format!("https://shop/cb?x=1&{name}={value}&y=2");
    let type_ = format!("Content-Type: {media_type}\r\n");
    match place {
        0 => get(&format!("/a?{name}={value}&c=d"), "A: b"),
        1 => get(&format!("/a?x=1?{name}={value}"), "A: b"),
        2 => get(&format!("/a;{name}={value}/b"), "A: b"),
        3 => get(&format!("/a#{name}={value}"), "A: b"),
        4 => get(&format!("/a?next={}", percent(&url)), "A: b"),
        5 => get(&format!("/a?next={}", percent(&percent(&url))), "A: b"),
        6 => get("/", &format!("X-Original: {url}")),
        7 => get("/", &format!("X-Original: {}", percent(&url))),
        8 => get("/", &format!("Link: <{url}>; rel=next")),
        9 => get("/", &format!("X-State: {json}")),
        10 => get("/", &format!("Cookie2: {name}={value}; b=c")),
        11 => post(&type_, json.as_bytes()),
        12 => post(&type_, inner.as_bytes()),
        13 => post("Content-Type: text/plain\r\n", format!("see {url} now").as_bytes()),
        14 => post("Content-Type: text/plain\r\n", format!("{{'{name}': '{value}', x}}").as_bytes()),
        15 => post("Content-Type: text/plain\r\n", format!("{{\"{name}\": \"{value}\", }}").as_bytes()),
        16 => post("Content-Type: text/plain\r\n", format!("a: b\n{name}: {value}\n").as_bytes()),
        17 => post("Content-Type: text/xml\r\n", format!("<a><{name}>{value}</{name}></a>").as_bytes()),
        18 => post("Content-Type: text/xml\r\n", format!("<a {name}=\"{value}\"/>").as_bytes()),
        19 => post(
            "Content-Type: text/html\r\n",
            format!("<input type=\"hidden\" name=\"{name}\" value=\"{value}\">").as_bytes(),
        ),
        20 => post(
            "Content-Type: application/x-www-form-urlencoded\r\n",
            format!("a=b&{}={}", percent(name), percent(value)).as_bytes(),
        ),
        21 => post(
            "Content-Type: multipart/form-data; boundary=xYz\r\n",
            format!("--xYz\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n--xYz--\r\n")
                .as_bytes(),
        ),
        22 => post(
            "Content-Type: application/json\r\nContent-Encoding: gzip\r\n",
            &coding::encode(Coding::Gzip, json.as_bytes()),
        ),
        23 => {
            let wide: Vec<u8> = json.encode_utf16().flat_map(u16::to_le_bytes).collect();
            post(&type_, &wide)
        }
        24 => {
            let wide: Vec<u8> = json.encode_utf16().flat_map(u16::to_be_bytes).collect();
            post("", &wide)
        }
        25 if name.len() >= 5 => {
            let lengths = [name.len() as u8 | 0xa0, value.len() as u8 | 0xa0];
            let packed = [&[0x81, lengths[0]], name.as_bytes(), &lengths[1..], value.as_bytes()];
            post("Content-Type: application/msgpack\r\n", &packed.concat())
        }
        _ => get("/", &format!("X-Log: user=1, {name}={value}")),
    }
}

const PLACES_OF_NAMES: u8 = 27;

fn left(message: &Message, value: &str) -> Option<String> {
    let mut out = wire(message);
    if let Kept::Memory(bytes) = &message.body.wire
        && let Ok(content) = coding::decode(Coding::Gzip, bytes, MAX_BODY_BYTES)
    {
        out.extend_from_slice(&content);
    }
    let wide: Vec<u8> = value.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let spellings =
        [value.as_bytes().to_vec(), percent(value).into(), percent(&percent(value)).into(), wide];
    let is_left = spellings.iter().any(|it| memchr::memmem::find(&out, it).is_some());
    is_left.then(|| String::from_utf8_lossy(&out).into_owned())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn no_named_secret_leaves(place in 0..PLACES_OF_NAMES, kind in 0..6_usize, secret in named()) {
        let options = RedactOptions {
            key: Some(key()), discover: true, ..RedactOptions::preset(Preset::Pii)
        };
        let redactor = redactor(options);
        let (name, value) = secret;
        let request = with_name(place, TYPES[kind], name, &value);
        let message = redactor.redact(ended(&request, b""), None).request.expect("a request");
        let left = left(&message, &value);
        prop_assert!(left.is_none(), "place {}: {}", place, left.unwrap_or_default());
        let said = format!("{:?} {:?} {:?}", redactor.findings(), redactor.notes(), redactor.warnings());
        prop_assert!(!said.contains(&value), "{said}");
    }

    #[test]
    fn no_known_secret_leaves(place in 0..7_u8, value in known()) {
        let text = format!("see {value} now");
        let request = match place {
            0 => get(&format!("/a?b={}&c=d", percent(&text)), "A: b"),
            1 => get("/", &format!("X-A: {text}")),
            2 => post("Content-Type: application/json\r\n", serde_json::json!({ "a": [text] }).to_string().as_bytes()),
            3 => post("Content-Type: text/plain\r\n", text.as_bytes()),
            4 => post("Content-Type: application/x-protobuf\r\n", &[&[0x0a, text.len() as u8], text.as_bytes()].concat()),
            5 => post("", &[&[0x0a, text.len() as u8, 0], text.as_bytes()].concat()),
            _ => post("Content-Type: application/grpc-web-text\r\n", BASE64.encode(&text).as_bytes()),
        };
        let message = pii().redact(ended(&request, b""), None).request.expect("a request");
        if place >= 4 {
            prop_assert!(matches!(message.body.wire, Kept::Withheld("binary")), "{message:?}");
        }
        let left = left(&message, &value);
        prop_assert!(left.is_none(), "{}", left.unwrap_or_default());
    }

    #[test]
    fn identifiers_and_files_stay(digits in "[1-9][0-9]{15}", hex in "[0-9a-f]{32}", place in 0..3_u8) {
        let uuid = format!("{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..]);
        let text = format!("logo@2x.png pkg@1.2.3.tgz {uuid} {hex}");
        let request = match place {
            0 => get(&format!("/a/{uuid}?order_id={digits}"), &format!("X-B3-TraceId: {digits}\r\nx-datadog-trace-id: {digits}")),
            1 => post("Content-Type: application/json\r\n", format!("{{\"id\":{digits},\"orderId\":\"{digits}\",\"max_tokens\":5,\"t\":\"{text}\"}}").as_bytes()),
            _ => post("Content-Type: text/plain\r\n", text.as_bytes()),
        };
        prop_assert_eq!(self::request(&pii(), &request), request);
    }
}

#[test]
fn joined_cookies_all_lose_their_values() {
    let response = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=s1x; Path=/; Expires=Wed, 21 Oct 2026 07:28:00 GMT, \
        b=s2x; HttpOnly, c=s3x,d=s4x; odd=s5x\r\nSet-Cookie2: e=s6x; Version=1\r\nContent-Length: 0\r\n\r\n";
    let exchange =
        credentials().redact(ended(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", response), None);
    let out =
        String::from_utf8(wire(exchange.response.as_deref().expect("a response"))).expect("text");
    for n in 1..=6 {
        assert!(!out.contains(&format!("s{n}x")), "{out}");
    }
    for kept in ["Path=/", "Expires=Wed, 21 Oct 2026 07:28:00 GMT, b=", "HttpOnly, c=", "Version=1"]
    {
        assert!(out.contains(kept), "{kept} in {out}");
    }
}

#[test]
fn what_is_the_users_own_is_replaced_and_what_is_kept_stays() {
    use super::super::{Custom, Detector};
    let options = RedactOptions {
        key: Some(key()),
        custom: vec![
            Custom::new("order", "ORD-[0-9]{8}", false).expect("an expression"),
            Custom::new("badge", "badge ([A-Z][0-9]{4})", true).expect("an expression"),
        ],
        segments: vec!["/reset/{token}".into()],
        keep: vec!["theme".into(), "authorization".into()],
        skip: vec![Detector::Email],
        ..RedactOptions::preset(Preset::Pii)
    };
    let redactor = redactor(options);
    let out = text(
        &redactor,
        "GET /reset/abc?q=ORD-12345678 HTTP/1.1\r\nHost: a\r\nCookie: theme=a@b.cc; b=c\r\n\
         Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.c2ln\r\nX: badge A1234 a@b.cc\r\n\r\n",
    );
    assert!(out.starts_with("GET /reset/redacted-token-"), "{out}");
    assert!(out.contains("?q=redacted-order-") && out.contains("X: badge X0000 a@b.cc"), "{out}");
    assert!(
        out.contains("theme=a@b.cc; b=redacted-cookie-") && out.contains("Bearer eyJ"),
        "{out}"
    );
    for (name, regex) in [("A", "a"), ("", "a"), ("a", "("), ("a", "x*"), ("a", "(?=a)b")] {
        assert!(Custom::new(name, regex, false).is_err(), "{name} {regex}");
    }
}

#[test]
fn a_websockets_bearer_and_real_numbers_are_replaced() {
    let out = text(
        &pii(),
        "GET / HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Protocol: chat, bearer, s3cr3tvalue, \
         base64url.bearer.authorization.k8s.io.bXktdG9rZW4\r\nX-Phone-Number: 9991234567\r\n\
         X-Up: https://bob:hunter2@host/a\r\n\r\n",
    );
    for gone in ["s3cr3tvalue", "bXktdG9rZW4", "9991234567", "hunter2"] {
        assert!(!out.contains(gone), "{gone} in {out}");
    }
    assert!(out.contains("Protocol: chat, bearer, redacted-bearer-"), "{out}");
}
