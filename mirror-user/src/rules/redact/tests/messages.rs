//! Whole messages: where values are looked for, and that all else stays.

use std::io::{Read, Write};

use super::super::{Detector, Finding, MAX_BODY_BYTES};
use super::*;
use crate::http::coding::{self, Coding};
use crate::rules::{Cleared, Rules};

const ALICE: &str = "u-zco6mxn34idqef5e@redacted.invalid";
const CARD: &str = "9449188333998295";

#[test]
fn credentials_in_headers_go_and_all_else_stays() {
    let out = text(
        &credentials(),
        "GET /a?b=1 HTTP/1.1\r\nhost:  shop \r\nAUTHORIZATION: Bearer abc\r\nX-Odd:\t kept\r\n\
         Cookie: session=s3cr3t; theme=\"dark\"\r\nx-api-key: k\r\nAccept: */*\r\n\r\n",
    );
    assert!(out.starts_with(
        "GET /a?b=1 HTTP/1.1\r\nhost:  shop \r\nAUTHORIZATION: Bearer redacted-bearer-"
    ));
    assert!(out.contains("\r\nX-Odd:\t kept\r\nCookie: session=redacted-cookie-hseo2ccvjvxbd3bu; theme=\"redacted-cookie-"));
    assert!(out.contains("\"\r\nx-api-key: redacted-api-key-"));
    assert!(out.ends_with("\r\nAccept: */*\r\n\r\n"));
}

#[test]
fn authorization_keeps_its_scheme() {
    let authorization = |value: &str| {
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: {value}\r\n\r\n");
        let out = text(&credentials(), &request);
        let line = out.lines().nth(2).expect("a line").to_owned();
        line.strip_prefix("Authorization: ").expect("the field").to_owned()
    };
    assert!(authorization("Basic dXNlcjpwYXNz").starts_with("Basic cmVkYWN0ZWQtYmFzaWMt"));
    assert!(
        authorization("AWS4-HMAC-SHA256 Credential=AKIA").starts_with("AWS4-HMAC-SHA256 redacted-")
    );
    assert!(authorization("hunter2 and more").starts_with("redacted-authorization-"));
    assert!(authorization("hunter2").starts_with("redacted-authorization-"));
    // The same secret has the same token in a login's answer and in the next request.
    let json = body(&credentials(), "application/json", r#"{"access_token":"abc"}"#);
    let token = json.strip_prefix(r#"{"access_token":""#).and_then(|it| it.strip_suffix(r#""}"#));
    assert_eq!(format!("Bearer {}", token.expect("a token")), authorization("Bearer abc"));
}

#[test]
fn a_handshake_in_a_challenge_goes_and_other_challenges_stay() {
    let challenge = |value: &str| {
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\nWWW-Authenticate: {value}\r\n\r\n");
        let out = text(&credentials(), &request);
        let line = out.lines().nth(2).expect("a line").to_owned();
        line.strip_prefix("WWW-Authenticate: ").expect("the field").to_owned()
    };
    assert!(
        challenge("Negotiate oYG2MIGzoAMKAQ==").starts_with("Negotiate redacted-authorization-")
    );
    assert!(challenge("NTLM TlRMTVNTUAACAAAA").starts_with("NTLM redacted-authorization-"));
    for stays in ["Negotiate", "NTLM", "Basic realm=\"shop\"", "Bearer error=\"invalid_token\""] {
        assert_eq!(challenge(stays), stays);
    }
}

#[test]
fn the_addresses_of_forwarded_are_personal() {
    let request = "GET / HTTP/1.1\r\nHost: a\r\nForwarded: for=203.0.113.9;proto=https\r\n\r\n";
    assert!(text(&pii(), request).contains("\r\nForwarded: redacted-ip-"));
    assert_eq!(text(&credentials(), request), request);
}

#[test]
fn a_pair_of_name_and_value_is_read_as_one() {
    let json = |json: &str| body(&credentials(), "application/json", json);
    let out = json(
        r#"[{"name":"Authorization","value":"Bearer abc"},{"key":"db_password","value":"abc"}]"#,
    );
    assert!(
        out.starts_with(r#"[{"name":"Authorization","value":"Bearer redacted-bearer-"#),
        "{out}"
    );
    assert!(out.contains(r#"{"key":"db_password","value":"redacted-password-"#), "{out}");
    for stays in [
        r#"{"name":"colour","value":"red"}"#,
        r#"{"name":"password","label":"Password"}"#,
        r#"[{"name":"password"},{"value":"red"}]"#,
    ] {
        assert_eq!(json(stays), stays);
    }
}

#[test]
fn a_message_without_secrets_is_the_same_one() {
    let exchange = ended(
        b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    );
    let (request, response) = (exchange.request.clone(), exchange.response.clone());
    let redacted = pii().redact(exchange, None);
    assert!(Arc::ptr_eq(&redacted.request.expect("a request"), &request.expect("a request")));
    assert!(Arc::ptr_eq(&redacted.response.expect("one"), &response.expect("one")));
}

#[test]
fn values_are_found_in_every_part_of_a_head() {
    let out = text(
        &pii(),
        "GET http://bob:pw@shop/u/alice%40example.com/4111111111111111?email=alice@example.com&x=a%20\
         4111111111111111&alice%40example.com=1;password=hunter2#access_token=abc HTTP/1.1\r\nHost: a\r\n\
         X-User: alice@example.com\r\nReferer: http://a/?token=t&q=1\r\nX-GB82WEST12345698765432: 1\r\n\r\n",
    );
    let line = out.lines().next().expect("a line");
    assert!(line.starts_with("GET http://redacted-userinfo-"), "{line}");
    assert!(line.contains(&format!("@shop/u/{ALICE}/{CARD}?email={ALICE}&x=a%20{CARD}&{ALICE}=1;password=redacted-password-")), "{line}");
    assert!(line.contains("#access_token=redacted-bearer-"), "{line}");
    assert!(out.contains(&format!("\r\nX-User: {ALICE}\r\n")));
    assert!(out.contains("\r\nReferer: http://a/?token=redacted-bearer-"));
    assert!(out.contains("&q=1\r\nX-redacted-iban-4q2rrk7ezr6eds4x: 1\r\n"));
}

#[test]
fn json_is_rewritten_member_by_member() {
    let source = "{ \"user\" : {\"e\\u006dail\":\"alice\\u0040example.com\",\"n\":1.50e+3,\"n\":2},\r\n\
                  \t\"card\":4111111111111111, \"PassWord\":\"hun\\\"ter2\", \"pin\": 1234, \"ok\":[true,null,\"4111111111111111\"],\
                  \"alice@example.com\":\"a\\nb alice@example.com\", \"ssn\":123456789, \"phone\":4155550123}";
    let out = body(&pii(), "application/json", source);
    assert!(out.starts_with("{ \"user\" : {\"e\\u006dail\":\"u-zco6mxn34idqef5e@redacted.invalid\",\"n\":1.50e+3,\"n\":2},\r\n\t"), "{out}");
    assert!(out.contains("\"card\":8999449188333996, \"PassWord\":\"redacted-password-"), "{out}");
    assert!(out.contains("\"pin\": 8999"), "{out}");
    assert!(
        out.contains(&format!("[true,null,\"{CARD}\"],\"{ALICE}\":\"a\\nb {ALICE}\"")),
        "{out}"
    );
    assert!(out.contains("\"ssn\":994525117"), "{out}");
    assert!(out.contains("\"phone\":8999"), "{out}");
}

#[test]
fn json_is_found_inside_other_things() {
    let inner = r#"{"password":"x","n":1}"#;
    let quoted = serde_json::to_string(inner).expect("a string");
    let out = body(&credentials(), "application/json", &format!("{{\"body\":{quoted}}}"));
    assert!(out.starts_with(r#"{"body":"{\"password\":\"redacted-password-"#), "{out}");
    assert!(out.ends_with(r#"\",\"n\":1}"}"#), "{out}");
    // As curl sends it, and without a type.
    for media_type in ["application/x-www-form-urlencoded", "text/plain", "x/y"] {
        let out = body(&credentials(), media_type, inner);
        assert!(out.starts_with(r#"{"password":"redacted-"#), "{out}");
    }
    let out =
        body(&credentials(), "application/x-ndjson", "{\"token\":\"a\"}\n{\"token\":\"a\"}\n");
    assert_eq!(out.matches("redacted-bearer-").count(), 2, "{out}");
}

#[test]
fn json_paths_name_single_members() {
    let options = RedactOptions {
        json_paths: vec!["$.user.name".into(), "$.cards[*].no".into(), "$..deep".into()],
        ..RedactOptions::default()
    };
    let out = body(
        &redactor(options),
        "application/json",
        r#"{"user":{"name":"Ann","id":7},"name":"shop","cards":[{"no":1,"k":2},{"no":"x"}],"a":{"deep":{"b":["c",3]}}}"#,
    );
    assert!(out.starts_with(r#"{"user":{"name":"redacted-json-"#), "{out}");
    assert!(out.contains(r#","id":7},"name":"shop","cards":[{"no":8999"#), "{out}");
    assert!(out.contains(r#","k":2},{"no":"redacted-json-"#), "{out}");
    assert!(
        out.contains(r#""a":{"deep":{"b":["redacted-json-"#) && !out.contains("\"c\""),
        "{out}"
    );
}

#[test]
fn forms_and_parts_are_rewritten_by_name_and_by_looks() {
    let form = "application/x-www-form-urlencoded";
    let out = body(
        &pii(),
        form,
        "user%5Bpassword%5D=a+b&card=4111+1111+1111+1111&q=x+y&mail=alice%40example.com&phone=%2B14155550123",
    );
    assert!(out.starts_with("user%5Bpassword%5D=redacted-password-"), "{out}");
    assert!(
        out.ends_with(&format!(
            "&card=9449%201883%203399%208295&q=x+y&mail={ALICE}&phone=%2B99974291489"
        )),
        "{out}"
    );
    let parts = "--b\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\nhunter2\r\n\
                 --b\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nalice@example.com\r\n\
                 --b\r\nContent-Disposition: form-data; name=\"doc\"; filename=\"a\"\r\nContent-Type: application/json\r\n\r\n{\"token\":\"t\"}\r\n--b--\r\n";
    let out = body(&pii(), "multipart/form-data; boundary=\"b\"", parts);
    assert!(out.contains("name=\"password\"\r\n\r\nredacted-password-"), "{out}");
    assert!(out.contains(&format!("name=\"note\"\r\n\r\n{ALICE}\r\n--b\r\n")), "{out}");
    assert!(out.contains("\r\n\r\n{\"token\":\"redacted-bearer-"), "{out}");
    assert!(out.ends_with("\"}\r\n--b--\r\n"), "{out}");
}

#[test]
fn values_across_chunks_are_found_and_the_chunks_made_anew() {
    let out = text(
        &pii(),
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Mail\r\n\r\n\
         8\r\ncard 411\r\nc\r\n111111111111\r\n3\r\n1 x\r\n0\r\nX-Mail: alice@example.com\r\n\r\n",
    );
    let body = out.split_once("\r\n\r\n").expect("a body").1;
    assert_eq!(body, format!("17\r\ncard {CARD} x\r\n0\r\nX-Mail: {ALICE}\r\n\r\n"));
}

#[test]
fn what_chunk_extensions_say_does_not_leave() {
    let out = text(
        &pii(),
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;mail=alice@example.com\r\nabc\r\n0\r\n\r\n",
    );
    assert!(out.ends_with("\r\n\r\n3\r\nabc\r\n0\r\n\r\n"), "{out}");
}

#[test]
fn coded_bodies_are_decoded_and_coded_again() {
    let source = br#"{"card":"4111111111111111","pad":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}"#;
    for (name, coding) in [
        ("gzip", Coding::Gzip),
        ("deflate", Coding::Deflate),
        ("br", Coding::Brotli),
        ("zstd", Coding::Zstd),
    ] {
        let coded = coding::encode(coding, source);
        let mut request = format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Encoding: {name}\r\n\
             ETag: \"1\"\r\nContent-Length: {}\r\nContent-MD5: abc=\r\n\r\n",
            coded.len()
        )
        .into_bytes();
        request.extend_from_slice(&coded);
        let redacted = pii().redact(ended(&request, b""), None);
        let message = redacted.request.expect("a request");
        assert_eq!(message.head.field("content-encoding"), Some(name.as_bytes()));
        assert_eq!(
            message.head.field("content-length"),
            Some(message.body.length.to_string().as_bytes())
        );
        assert_eq!(message.head.field("etag"), None);
        assert_eq!(message.head.field("content-md5"), None);
        let Kept::Memory(wire) = &message.body.wire else { panic!("{message:?}") };
        let decoded = coding::decode(coding, wire, MAX_BODY_BYTES).expect("what was encoded");
        assert_eq!(
            String::from_utf8(decoded).expect("text"),
            String::from_utf8_lossy(source).replace("4111111111111111", CARD)
        );
        // Cut short, or with something behind it, it is not guessed at.
        for broken in [&coded[..coded.len() - 1], &[&coded[..], b"alice@example.com"].concat()] {
            assert!(coding::decode(coding, broken, MAX_BODY_BYTES).is_err(), "{name}");
        }
    }
}

#[test]
fn gzip_of_others_is_read() {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(b"bare deflate").expect("a Vec");
    let bare = encoder.finish().expect("a Vec");
    assert_eq!(
        coding::decode(Coding::Deflate, &bare, MAX_BODY_BYTES).expect("deflate"),
        b"bare deflate"
    );
    let members =
        [coding::encode(Coding::Gzip, b"one "), coding::encode(Coding::Gzip, b"two")].concat();
    assert_eq!(coding::decode(Coding::Gzip, &members, MAX_BODY_BYTES).expect("gzip"), b"one two");
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&coding::encode(Coding::Gzip, b"ours")[..])
        .read_to_end(&mut plain)
        .expect("gzip");
    assert_eq!(plain, b"ours");
}

#[test]
fn a_response_is_redacted_like_a_request() {
    let exchange = ended(
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"HTTP/1.1 200 Hi alice@example.com\r\nSet-Cookie: session=s3cr3t; Path=/; HttpOnly\r\n\
          Location: /next?password=x\r\nETag: \"5d41402abc4b2a76b9719d911017c592\"\r\n\
          Content-Type: text/plain\r\n\r\nalice@example.com",
    );
    let redacted = pii().redact(exchange, None).response.expect("a response");
    let out = String::from_utf8(wire(&redacted)).expect("text");
    assert!(out.starts_with(&format!("HTTP/1.1 200 Hi {ALICE}\r\nSet-Cookie: session=redacted-cookie-hseo2ccvjvxbd3bu; Path=/; HttpOnly\r\nLocation: /next?password=redacted-password-")), "{out}");
    assert!(out.ends_with(&format!("\r\nContent-Type: text/plain\r\n\r\n{ALICE}")), "{out}");
    assert_eq!(redacted.head.field("etag"), None);
    use sha2::Digest as _;
    assert_eq!(redacted.body.sha256, Some(sha2::Sha256::digest(ALICE).into()));
}

#[test]
fn both_moments_of_an_exchange_share_one_redacted_request() {
    let redactor = Arc::new(pii());
    let mut rules = Rules { redactor: Some(Arc::clone(&redactor)), ..Rules::default() };
    rules.remember_open(true);
    let request = b"GET /?email=alice@example.com HTTP/1.1\r\nHost: a\r\n\r\n";
    let moments: Vec<Cleared> = exchanges(request, b"HTTP/1.1 204 No Content\r\n\r\n")
        .into_iter()
        .map(|exchange| rules.clear(exchange).expect("it may leave"))
        .collect();
    let [asked, ended] = &moments[..] else { panic!("{moments:?}") };
    let (asked, ended) = (asked.exchange(), ended.exchange());
    assert_eq!((asked.moment, ended.moment), (Moment::Asked, Moment::Ended));
    let (asked, ended) = (asked.request.as_ref(), ended.request.as_ref());
    assert!(Arc::ptr_eq(asked.expect("a request"), ended.expect("a request")));
    assert_eq!(redactor.report().named, 1);
}

#[test]
fn values_that_adjoin_are_one() {
    for twins in ["ann@a.example+bob@b.example", "ann@a.example%2Bbob@b.example"] {
        let request = format!("GET /{twins}/x HTTP/1.1\r\nHost: a\r\n\r\n");
        let once = text(&pii(), &request);
        assert!(
            !once.contains("example") && once.matches("@redacted.invalid").count() == 1,
            "{once}"
        );
        assert_eq!(text(&pii(), &once), once);
    }
}

/// Detection by fuzzing: behind the token of a key, what stood before it is an address.
#[test]
fn what_a_token_makes_of_its_neighbours_is_replaced_at_once() {
    let body = b"5@s.H\xfbA\xefASIAAJJJJJ27777ASIA5.5";
    let head = format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let once = super::request(&pii(), &[head.as_bytes(), body].concat());
    assert_eq!(super::request(&pii(), &once), once);
}

#[test]
fn a_successor_counts_on_and_makes_the_same_tokens() {
    let options = || RedactOptions { key: None, ..RedactOptions::preset(Preset::Pii) };
    let former = Redactor::new(options()).expect("options").expect("it is on");
    let request = "GET /?email=alice@example.com HTTP/1.1\r\nHost: a\r\n\r\n";
    let first = text(&former, request);
    let next = former.successor(options()).expect("options").expect("it is on");
    next.continue_counts_of(&former);
    assert_eq!(text(&next, request), first);
    assert_eq!((former.report().named, next.report().named), (0, 2));
}

#[test]
fn lists_add_to_a_preset_and_take_from_it() {
    let options = RedactOptions {
        headers: vec!["X-Tenant".into()],
        fields: vec!["nick_name".into()],
        cookies: vec!["who".into()],
        detectors: vec![Detector::Email],
        ..RedactOptions::default()
    };
    let out = text(
        &redactor(options),
        "GET /?nickName=a&tenant=b&m=alice@example.com&c=4111111111111111 HTTP/1.1\r\nHost: a\r\nx-tenant: t\r\n\
         Authorization: Bearer abc\r\nCookie: who=me; b=c\r\n\r\n",
    );
    assert!(out.starts_with("GET /?nickName=redacted-nick-name-"), "{out}");
    assert!(out.contains(&format!("&tenant=b&m={ALICE}&c=4111111111111111 HTTP")), "{out}");
    assert!(out.contains("x-tenant: redacted-x-tenant-"), "{out}");
    assert!(out.contains("Authorization: Bearer abc\r\nCookie: who=redacted-cookie-"), "{out}");
    assert!(out.ends_with("; b=c\r\n\r\n"), "{out}");
    let options = RedactOptions {
        keep: vec!["theme".into(), "x-api-key".into()],
        ..RedactOptions::preset(Preset::Credentials)
    };
    let out = text(
        &redactor(options),
        "GET / HTTP/1.1\r\nHost: a\r\nCookie: theme=dark; s=1\r\nX-Api-Key: k\r\n\r\n",
    );
    assert!(out.contains("Cookie: theme=dark; s=redacted-cookie-"), "{out}");
    assert!(out.contains("\r\nX-Api-Key: k\r\n"), "{out}");
    assert!(Redactor::new(RedactOptions::default()).expect("options").is_none());
    for bad in ["", "---", &"x".repeat(49)] {
        let options = RedactOptions { headers: vec![bad.into()], ..RedactOptions::default() };
        assert!(Redactor::new(options).is_err(), "{bad}");
    }
}

#[test]
fn discovery_tells_places_and_never_values() {
    let options = RedactOptions { discover: true, ..RedactOptions::preset(Preset::Pii) };
    let redactor = redactor(options);
    let request = "POST /?email=alice@example.com HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer abc\r\n\
         Content-Type: application/json\r\nContent-Length: 83\r\n\r\n\
         {\"cards\":[{\"no\":\"4111111111111111\"},{\"no\":\"378282246310005\"}],\"alice@example.com\":1}";
    let _ = redactor.redact(ended(request.as_bytes(), b""), None);
    let findings = redactor.findings();
    let place = |place: &str| {
        let finding = findings.iter().find(|finding| finding.place == place);
        finding.map(|Finding { message, what, count, .. }| (*message, what.clone(), *count))
    };
    assert_eq!(place("query email"), Some(("request", "email".into(), 1)));
    assert_eq!(place("header Authorization"), Some(("request", "authorization".into(), 1)));
    assert_eq!(place("body $.cards[*].no"), Some(("request", "card".into(), 2)));
    assert_eq!(place("body $.<email>"), Some(("request", "email".into(), 1)));
    let told = format!("{findings:?}");
    for value in ["alice", "4111", "378282", "abc"] {
        assert!(!told.contains(value), "{told}");
    }
}

#[test]
fn a_message_inside_a_body_is_looked_through_as_one() {
    let inner = "POST /up HTTP/1.1\r\nHost: a\r\ncookie: session=s3cr3t; theme=dark\r\n\
                 Authorization: Bearer s3cr3t-token\r\nX-Api-Key : s3cr3t\r\nX-Other: kept\r\n\r\nbody";
    // As TRACE echoes it, as part of a batch, cut at both ends, and under any other name.
    let batch = format!("--b\r\nContent-Type: application/http\r\n\r\n{inner}\r\n--b--\r\n");
    let cut = inner.replace("POST /up HTTP/1.1\r\nHost: ", "");
    let folded = "Authorization:\r\n Bearer\r\n\ts3cr3t";
    let lf = inner.replace("\r\n", "\n");
    for (media_type, content) in [
        ("message/http", inner),
        ("text/plain", &cut),
        ("text/plain", &lf),
        ("image/png", inner),
        ("text/html", folded),
        ("multipart/mixed; boundary=b", &batch),
        ("application/x-www-form-urlencoded", inner),
        ("application/json", inner),
        ("x", inner),
    ] {
        // A form's value is coded anew when a part of it was replaced.
        let out = body(&credentials(), media_type, content).replace("%20", " ");
        assert!(!out.contains("s3cr3t"), "{media_type}: {out}");
        if media_type != "application/json" {
            assert!(out.contains("redacted-"), "{media_type}: {out}");
            assert_eq!(out.contains("X-Other: kept"), content.contains("X-Other"), "{out}");
        }
    }
    let out = body(&credentials(), "application/octet-stream", folded);
    assert_eq!(out, "[binary]", "what may be binary is withheld, not edited");
    let binary = [b"\xff\xd8\n", inner.as_bytes()].concat();
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: image/jpeg\r\n";
    let whole = format!("{head}Content-Length: {}\r\n\r\n", binary.len());
    let out = request(&credentials(), &[whole.as_bytes(), &binary].concat());
    assert!(out.ends_with(b"[binary]"), "{}", String::from_utf8_lossy(&out));
    let plain = "Note: a line with a colon\r\nCookie policy: none\r\n";
    assert_eq!(body(&credentials(), "text/plain", plain), plain);
}
