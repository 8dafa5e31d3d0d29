use proptest::prelude::*;

use super::*;
use crate::http::message::ConnectionId;
use crate::rules::tests::asked;

fn draw(by: &Stickiness, connection: u64, index: u32, headers: &str) -> u64 {
    let wire = format!("GET / HTTP/1.1\r\n{headers}\r\n");
    let exchange = asked(connection, index, wire.as_bytes());
    let message = exchange.request.as_ref().unwrap();
    by.draw(&RequestFacts::new(&message.head, &exchange.peers), exchange.id, 7)
}

#[test]
fn percentages_are_read_digit_by_digit() {
    // Istio's vectors, and those where `value * 10000` in binary comes out one too small.
    for (text, ppm) in [
        ("0.57", 5_700),
        ("0.69", 6_900),
        ("1.13", 11_300),
        ("0.0001", 1),
        ("99.9999", 999_999),
        ("50", 500_000),
        ("50.0", 500_000),
        ("50.00000", 500_000),
        ("100", 1_000_000),
        ("12.5%", 125_000),
        (".5", 5_000),
        ("0", 0),
    ] {
        assert_eq!(Portion::percent(text), Ok(Portion::reduced(ppm, 1_000_000)), "{text}");
    }
    for bad in ["", ".", "-1", "100.0001", "101", "0.00005", "1e2", "half", "nan", "1.2.3"] {
        assert!(Portion::percent(bad).is_err(), "{bad}");
    }
    for bad in ["", "1", "1/0", "2/1", "a/b", "-1/2", "1/2/3"] {
        assert!(Portion::fraction(bad).is_err(), "{bad}");
    }
    assert_eq!(Portion::fraction("25/50"), Portion::percent("50"));
}

#[test]
fn nothing_and_everything_are_exact() {
    assert_eq!(Portion::percent("0").unwrap().threshold(), 0);
    assert_eq!(Portion::percent("100").unwrap().threshold(), 1 << 32);
    assert_eq!(Portion::percent("0.0001").unwrap().threshold(), 4295);
    assert_eq!(Portion::fraction("1/4294967295").unwrap().threshold(), 2);
}

#[test]
fn as_many_are_sampled_as_the_gateway_api_accepts() {
    // 500 requests, within three standard deviations; the draws are the same in every test run.
    for (portion, share) in [("20/100", 0.2_f64), ("25/50", 0.5), ("35/100", 0.35), ("1/100", 0.01)]
    {
        let threshold = Portion::fraction(portion).unwrap().threshold();
        for by in [
            Stickiness::Random,
            Stickiness::Header("x-user".into()),
            Stickiness::Cookie("sid".into()),
        ] {
            let sampled = (0..500_u64).filter(|n| {
                let headers = format!("X-User: user-{n}\r\nCookie: a=b; sid={n}\r\n");
                draw(&by, 3, u32::try_from(*n).unwrap(), &headers) < threshold
            });
            let (sampled, mean) = (sampled.count() as f64, 500.0 * share);
            let limit = 3.0 * (mean * (1.0 - share)).sqrt();
            assert!((sampled - mean).abs() <= limit, "{portion} by {by:?}: {sampled}");
        }
    }
}

#[test]
fn a_millionth_is_sampled_about_once_in_a_million() {
    let threshold = Portion::percent("0.0001").unwrap().threshold();
    let exchange = asked(0, 0, b"GET / HTTP/1.1\r\n\r\n");
    let message = exchange.request.as_ref().unwrap();
    let facts = RequestFacts::new(&message.head, &exchange.peers);
    let draws = (0..10_000_000).filter(|connection| {
        let id = ExchangeId { connection: ConnectionId::local(*connection), index: 0 };
        Stickiness::Random.draw(&facts, id, 1) < threshold
    });
    let sampled = draws.count();
    assert!((1..=20).contains(&sampled), "{sampled}");
}

#[test]
fn the_same_key_has_the_same_draw_whatever_the_connection() {
    let user = Stickiness::Header("X-User".into());
    assert_eq!(draw(&user, 1, 0, "x-user: ann\r\n"), draw(&user, 9, 4, "X-USER: ann\r\n"));
    assert_ne!(draw(&user, 1, 0, "x-user: ann\r\n"), draw(&user, 1, 0, "x-user: bob\r\n"));
    let cookie = Stickiness::Cookie("sid".into());
    assert_eq!(
        draw(&cookie, 1, 0, "Cookie: a=1; sid=x\r\n"),
        draw(&cookie, 2, 1, "Cookie: sid=x; b=2\r\n")
    );
    assert_ne!(
        draw(&cookie, 1, 0, "Cookie: asid=x\r\n"),
        draw(&cookie, 2, 0, "Cookie: asid=x\r\n")
    );
    for by in [Stickiness::Source, Stickiness::Connection] {
        assert_eq!(draw(&by, 1, 0, ""), draw(&by, 1, 5, ""));
    }
    assert_ne!(draw(&Stickiness::Random, 1, 0, ""), draw(&Stickiness::Random, 1, 1, ""));
    // Without its key each request stands for itself.
    assert_ne!(draw(&user, 1, 0, ""), draw(&user, 1, 1, ""));
}

#[test]
fn sticky_draws_stay_what_they_are() {
    // Whoever samples on several hosts relies on the same choice by every version.
    assert_eq!(draw(&Stickiness::Header("x-user".into()), 1, 0, "x-user: ann\r\n"), 3_020_491_275);
    assert_eq!(draw(&Stickiness::Source, 1, 0, ""), 296_793_351);
}

#[test]
fn connections_are_drawn_as_the_kernel_program_draws() {
    let client = End { address: Address::v4(0x0a00_0002), port: 40_312 };
    let server = End { address: Address::v4(0x0a00_0001), port: 8080 };
    let hash = Ends { source: server, destination: client }.hash();
    assert_eq!(draw(&Stickiness::Connection, 1, 0, ""), u64::from(hash));
}

proptest! {
    #[test]
    fn what_is_printed_reads_as_the_same(numerator in 0..=u32::MAX, denominator in 1..=u32::MAX) {
        let (low, high) = (numerator.min(denominator), numerator.max(denominator));
        let portion = Portion::fraction(&format!("{low}/{high}")).unwrap();
        let text = portion.to_string();
        let again = if text.contains('/') { Portion::fraction(&text) } else { Portion::percent(&text) };
        prop_assert_eq!(again, Ok(portion));
    }

    #[test]
    fn a_smaller_part_lies_within_a_larger_one(small in 0..=1_000_000_u64, more in 0..=1_000_000_u64, connection: u64, index: u32) {
        let large = small.saturating_add(more).min(1_000_000);
        let (small, large) = (Portion::reduced(small, 1_000_000), Portion::reduced(large, 1_000_000));
        prop_assert!(small.threshold() <= large.threshold());
        let drawn = random(ExchangeId { connection: ConnectionId::local(connection), index }, 5);
        prop_assert!(drawn >= small.threshold() || drawn < large.threshold());
    }
}
