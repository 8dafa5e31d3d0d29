//! What redaction costs: `cargo xtask bench rules`.
#![allow(missing_docs, reason = "criterion's macros")]
#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mirror_user::http::message::{Exchange, Moment};
use mirror_user::http::{BodyKeep, HttpOptions, HttpTable, KeepLimits};
use mirror_user::packet::{InterfaceId, Timestamp};
use mirror_user::rules::redact::{Key, Preset, RedactOptions, Redactor};
use mirror_user::tcp::event::{Change, ConnId, Peers, Side, StreamEvent};

/// A request as the http room hands it over.
fn asked(wire: &[u8]) -> Exchange {
    let keep = BodyKeep::Keep(KeepLimits::default());
    let mut http = HttpTable::new(HttpOptions { request_body: keep, ..HttpOptions::default() });
    let peers = Arc::new(Peers {
        client: ([10, 0, 0, 2], 40_000).into(),
        server: ([10, 0, 0, 1], 80).into(),
        interface: InterfaceId(0),
    });
    let conn = ConnId { slot: 0, serial: 0 };
    let mut out = Vec::new();
    for change in [
        Change::Opened { peers, midstream: false },
        Change::Data(Side::Client, Bytes::copy_from_slice(wire)),
    ] {
        http.push(StreamEvent { conn, at: Timestamp::default(), change }, &mut out);
    }
    // At its end, so that nothing is remembered from one round to the next.
    Exchange { moment: Moment::Ended, ..out.pop().unwrap() }
}

fn redactor(preset: Preset) -> Redactor {
    let key = Some(Key::new([7; 32]).unwrap());
    Redactor::new(RedactOptions { key, ..RedactOptions::preset(preset) }).unwrap().unwrap()
}

/// 500 bytes as a browser sends them, with a session cookie and a bearer token.
const GET: &str = "GET /api/v2/orders?page=3&sort=created HTTP/1.1\r\nHost: shop.example.com\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
    Accept: application/json, text/plain, */*\r\nAccept-Language: en-US,en;q=0.5\r\n\
    Accept-Encoding: gzip, deflate, br\r\nReferer: https://shop.example.com/account\r\n\
    Authorization: Bearer 3f1c9a7be2d84c55a0f6\r\nCookie: session=9d4e1f0ab7c2; theme=dark\r\n\
    X-Request-Id: 6f9d2c1e-0b7a-4d55-9f0e-2b1c3d4e5f60\r\nConnection: keep-alive\r\n\r\n";

/// A KiB of an order, one in eight members a personal value.
fn order(personal: bool) -> String {
    let pick = |value: &'static str, other: &'static str| if personal { value } else { other };
    let line = format!(
        r#"{{"id":102938,"sku":"A-4471-b","title":"Ünbreakable mug, 300 ml","price":12.5,"qty":2,"note":"{}","tags":["home","gift"],"at":"2026-01-02T03:04:05Z"}}"#,
        pick("ask bob@example.com first", "ask at the front desk first")
    );
    let lines = vec![line; 6].join(",");
    format!(
        r#"{{"customer":{{"mail":"{}","card":"{}"}},"lines":[{lines}]}}"#,
        pick("alice@example.com", "none"),
        pick("4111111111111111", "none")
    )
}

fn post(body: &str) -> String {
    format!(
        "POST /orders HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn redact(c: &mut Criterion) {
    let mut group = c.benchmark_group("redact");
    let (plain, personal) = (order(false), order(true));
    let bare = GET.replace("Authorization", "X-Other").replace("Cookie", "X-Third");
    for (name, preset, wire) in [
        ("credentials, request of 500 bytes", Preset::Credentials, GET.to_owned()),
        ("credentials, the same without any", Preset::Credentials, bare),
        ("pii, request of 500 bytes", Preset::Pii, GET.to_owned()),
        ("credentials, JSON of 1 KiB", Preset::Credentials, post(&personal)),
        ("pii, JSON of 1 KiB, nothing in it", Preset::Pii, post(&plain)),
        ("pii, JSON of 1 KiB, 8 values in it", Preset::Pii, post(&personal)),
    ] {
        let (redactor, exchange) = (redactor(preset), asked(wire.as_bytes()));
        group.throughput(Throughput::Bytes(wire.len() as u64));
        group.bench_function(name, |b| {
            b.iter(|| redactor.redact(black_box(exchange.clone()), None))
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(std::time::Duration::from_millis(500))
        .measurement_time(std::time::Duration::from_secs(2))
        .without_plots();
    targets = redact
}
criterion_main!(benches);
