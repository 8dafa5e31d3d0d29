//! Detectors and tokens, each with the values that it must and must not know.

use std::sync::LazyLock;

use super::super::detect::{self, Detector, Detectors, Signs, What};
use super::super::options::{Preset, RedactOptions};
use super::super::tokens::{Tokens, luhn};
use super::*;

/// What is found in a text.
fn found(text: &str) -> Vec<(Detector, &str)> {
    static DETECTORS: LazyLock<Detectors> = LazyLock::new(|| {
        Detectors::new(RedactOptions::preset(Preset::Pii).detectors_on(), Vec::new())
    });
    let detectors = &*DETECTORS;
    let mut found = Vec::new();
    detectors.scan(text.as_bytes(), Signs::of(text.as_bytes()), false, &mut found);
    detect::join(&mut found);
    let known = |found: detect::Detection<'_>| match found.what {
        What::Known(what) => (what, &text[found.range]),
        other => panic!("{other:?}"),
    };
    found.into_iter().map(known).collect()
}

fn knows(what: Detector, text: &str) {
    assert_eq!(found(text), [(what, text)]);
    let around = format!("a ({text}), b");
    assert_eq!(found(&around), [(what, text)], "{around}");
}

fn knows_nothing(text: &str) {
    assert_eq!(found(text), [], "{text}");
}

#[test]
fn cards_are_known_by_length_issuer_and_check() {
    for card in [
        "4111111111111111",
        "4111-1111-1111-1111",
        "4111 1111 1111 1111",
        "378282246310005",
        "5555555555554444",
        "6011111111111117",
        "3530111333300000",
        "30569309025904",
        "2223003122003222",
        "6200000000000005",
    ] {
        knows(Detector::Card, card);
    }
    for other in [
        "1234567812345670",
        "0000000000000000",
        "4111 1111 1111 1112",
        "4532-1234-5678-9012",
        "1700000000000",
        "4444444444444444444444",
        "0.4111111111111111",
        "a4111111111111111",
        "4111  1111 1111 1111",
    ] {
        knows_nothing(other);
    }
    assert!(luhn(b"1234567812345670") && luhn(b"0000000000000000"));
    // Followed by its check number.
    assert_eq!(found("4111 1111 1111 1111 123"), [(Detector::Card, "4111 1111 1111 1111")]);
    assert_eq!(found("17 4111111111111111"), [(Detector::Card, "4111111111111111")]);
}

#[test]
fn bank_accounts_are_known_by_country_length_and_check() {
    for iban in [
        "GB82 WEST 1234 5698 7654 32",
        "GB82WEST12345698765432",
        "DE89370400440532013000",
        "FR1420041010050500013M02606",
        "NL91ABNA0417164300",
        "NO9386011117947",
        "gb82west12345698765432",
    ] {
        knows(Detector::Iban, iban);
    }
    for other in ["GB82WEST12345698765433", "DE8937040044053201300", "XX82WEST12345698765432"] {
        knows_nothing(other);
    }
}

#[test]
fn social_security_numbers_are_known_when_they_could_be_issued() {
    for ssn in ["123-12-1234", "123-12-1034", "123-45-6709", "899-01-0001", "123-45-6789"] {
        knows(Detector::Ssn, ssn);
    }
    for other in [
        "000-12-1234",
        "666-12-1234",
        "900-12-1234",
        "994-52-5117",
        "123-00-1234",
        "123-12-0000",
        "078-05-1120",
        "1123-45-6789",
        "123-45-67890",
        "1-123-45-6789",
        "123456789",
    ] {
        knows_nothing(other);
    }
}

#[test]
fn every_social_security_serial_is_known() {
    for serial in 1..=9_999 {
        knows(Detector::Ssn, &format!("123-45-{serial:04}"));
    }
}

#[test]
fn addresses_are_known_in_their_common_form() {
    for email in [
        "alice@example.com",
        "Alice.B+tag@mail.example.co.uk",
        "a@b.cc",
        "jürgen@bücher.example",
        "x_y-z@xn--bcher-kva.example",
        "o'neil@example.org",
    ] {
        knows(Detector::Email, email);
    }
    for other in [
        "@example.com",
        "alice@localhost",
        "lodash@4.17.21",
        "a@b.c",
        "user@",
        "u-zco6mxn34idqef5e@redacted.invalid",
    ] {
        knows_nothing(other);
    }
    assert_eq!(found("to=alice@example.com."), [(Detector::Email, "alice@example.com")]);
    assert_eq!(found("u-x@redacted.invalid"), [(Detector::Email, "u-x@redacted.invalid")]);
    assert_eq!(found("a@b.cc9x@d.ee"), [(Detector::Email, "b.cc9x@d.ee")]);
    assert_eq!(found("a@b.cc-x@d.ee").len(), 2);
    assert_eq!(found("a@b.cc@d.ee"), [(Detector::Email, "a@b.cc")]);
    knows_nothing("u-zco6mxn34idqef5e@redacted.invalid@d.ee");
    let two = "a@b.cc,c@d.ee";
    assert_eq!(found(two), [(Detector::Email, "a@b.cc"), (Detector::Email, "c@d.ee")]);
}

#[test]
fn telephone_numbers_need_a_word() {
    for (text, number) in [
        ("phone: +14155550123", "+14155550123"),
        ("call (415) 555-0123 now", "(415) 555-0123"),
        ("Tel. +49 30 901820", "+49 30 901820"),
        ("mobile 1-415-555-0123", "1-415-555-0123"),
    ] {
        assert_eq!(found(text), [(Detector::Phone, number)], "{text}");
    }
    for other in ["+14155550123", "order 4155550123", "phone 12345", "phone +99974291489"] {
        knows_nothing(other);
    }
}

const JWT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.c2ln";

#[test]
fn tokens_and_keys_are_known_by_their_beginnings() {
    knows(Detector::Jwt, JWT);
    knows(Detector::Jwt, "eyJhbGciOiJSU0EtT0FFUCJ9.a.b.c.d");
    knows(Detector::AwsKey, "AKIAIOSFODNN7EXAMPLE");
    knows(Detector::AwsKey, "ASIAIOSFODNN7EXAMPLE");
    knows(Detector::GithubToken, "ghp_0123456789abcdefghijABCDEFGHIJ012345");
    knows(Detector::GithubToken, "github_pat_11ABCDEFG0abcdefghijkl_0123456789");
    // In two pieces, so that scanners of repositories do not take it for one.
    knows(Detector::StripeKey, concat!("sk_li", "ve_4eC39HqLyjWDarjtT1zdp7dc"));
    let pem = "-----BEGIN RSA PRIVATE KEY-----\nMIIB\nAAAA\n-----END RSA PRIVATE KEY-----";
    knows(Detector::PrivateKey, pem);
    let cut = "-----BEGIN PRIVATE KEY-----\nMIIB";
    assert_eq!(found(cut), [(Detector::PrivateKey, cut)]);
    assert_eq!(
        found("curl -H 'Authorization: Bearer abcdef0123456789' x"),
        [(Detector::Bearer, "abcdef0123456789")]
    );
    assert_eq!(found("authorization: basic dXNlcjpwYXNz"), [(Detector::Basic, "dXNlcjpwYXNz")]);
    for other in [
        "eyJhbGciOiJIUzI1NiJ9",
        "eyJ4IjoxfQ.eyJ4IjoxfQ.c2ln",
        "AKIAIOSFODNN7EXAMPLEX",
        "akiaiosfodnn7example",
        "xAKIAIOSFODNN7EXAMPLE",
        "ghp_short",
        "Bearer of good news",
        "Bearer notokenbutalongword",
        "Basic knowledge",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        "Bearer redacted-bearer-abcdefghijklmnop",
        "Basic cmVkYWN0ZWQtYmFzaWMtYWFhYWFhYWFhYWFhYWFhYTpyZWRhY3RlZA==",
    ] {
        knows_nothing(other);
    }
}

fn token(write: impl FnOnce(&Tokens, &mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&Tokens::new(&key()), &mut out);
    String::from_utf8(out).expect("text")
}

#[test]
fn tokens_are_those_of_the_vectors() {
    for email in ["alice@example.com", "Alice@Example.com"] {
        let token = token(|tokens, out| tokens.email(email.as_bytes(), out));
        assert_eq!(token, "u-zco6mxn34idqef5e@redacted.invalid");
    }
    let card = |card: &str| token(|tokens, out| tokens.card(card.as_bytes(), out));
    assert_eq!(card("4111 1111 1111 1111"), "9449 1883 3399 8295");
    assert_eq!(card("4111111111111111"), "9449188333998295");
    assert_eq!(card("378282246310005"), "995054370411856");
    assert!(luhn(b"9449188333998295") && luhn(b"995054370411856"));
    assert_eq!(token(|tokens, out| tokens.ssn(b"123-45-6789", out)), "994-52-5117");
    assert_eq!(token(|tokens, out| tokens.phone(b"+14155550123", out)), "+99974291489");
    assert_eq!(
        token(|tokens, out| tokens.plain("cookie", b"s3cr3t", out)),
        "redacted-cookie-hseo2ccvjvxbd3bu"
    );
    for iban in ["GB82WEST12345698765432", "GB82 WEST 1234 5698 7654 32"] {
        let token = token(|tokens, out| tokens.iban(iban.as_bytes(), out));
        assert_eq!(token, "redacted-iban-4q2rrk7ezr6eds4x");
    }
}

#[test]
fn another_key_gives_other_tokens_and_a_short_one_is_refused() {
    let mut out = Vec::new();
    Tokens::new(&Key::new([7; 32]).expect("a key")).plain("cookie", b"s3cr3t", &mut out);
    assert_ne!(out, b"redacted-cookie-hseo2ccvjvxbd3bu");
    assert!(Key::new([7; 15]).is_err());
    let random = Key::random().expect("random numbers");
    assert!(random.is_random());
    assert_eq!(format!("{random:?}"), "Key { random: true, .. }");
}
