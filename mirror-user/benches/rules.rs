//! What choosing costs: `cargo bench --bench rules`.
#![allow(missing_docs, reason = "criterion's macros")]
#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::fmt::Write;
use std::hint::black_box;
use std::net::TcpListener;
use std::sync::Arc;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use mirror_user::config::file::File;
use mirror_user::http::message::{Exchange, Moment};
use mirror_user::http::{HttpOptions, HttpTable};
use mirror_user::packet::{InterfaceId, Timestamp};
use mirror_user::rules::Rules;
use mirror_user::rules::redact::{Key, Preset, RedactOptions, Redactor};
use mirror_user::rules::tag::Marks;
use mirror_user::sink::Sink;
use mirror_user::sink::replay::{Pace, ReplayOptions, ReplaySink, Target, Victim, WhenFull};
use mirror_user::tcp::event::{Change, ConnId, Peers, Side, StreamEvent};

/// 500 bytes as a browser sends them.
const GET: &str = "GET /api/v2/orders?page=3&sort=created HTTP/1.1\r\nHost: shop.example.com\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
    Accept: application/json, text/plain, */*\r\nAccept-Language: en-US,en;q=0.5\r\n\
    Accept-Encoding: gzip, deflate, br\r\nReferer: https://shop.example.com/account\r\n\
    Authorization: Bearer 3f1c9a7be2d84c55a0f6\r\nCookie: session=9d4e1f0ab7c2; theme=dark\r\n\
    X-Request-Id: 6f9d2c1e-0b7a-4d55-9f0e-2b1c3d4e5f60\r\nConnection: keep-alive\r\n\r\n";

/// A request as the http room hands it over.
fn asked(wire: &str) -> Exchange {
    let mut http = HttpTable::new(HttpOptions::default());
    let peers = Arc::new(Peers {
        client: ([10, 0, 0, 2], 40_000).into(),
        server: ([10, 0, 0, 1], 80).into(),
        interface: InterfaceId(0),
    });
    let conn = ConnId { slot: 0, serial: 0 };
    let mut out = Vec::new();
    for change in [
        Change::Opened { peers, midstream: false },
        Change::Data(Side::Client, Bytes::copy_from_slice(wire.as_bytes())),
    ] {
        http.push(StreamEvent { conn, at: Timestamp::default(), change }, &mut out);
    }
    let exchange = out.pop().unwrap();
    assert_eq!(exchange.moment, Moment::Asked);
    exchange
}

/// 50 rules, 10 of them expressions and 10 with headers, of which none or the last one matches.
fn rules(last: &str) -> Rules {
    let mut text = String::from(
        "version: 1\nsource: { from: day.pcap }\ntargets: { staging: { url: http://staging:8080 } }\nrules:\n",
    );
    for n in 0..49 {
        let matched = match n % 5 {
            0 => format!("{{ path: {{ regex: \"/api/v[0-9]+/customers/{n}/.*\" }} }}"),
            1 => format!("{{ path: {{ segments: /api/v2/goods/{n} }}, method: [GET, POST] }}"),
            2 => format!("{{ host: \"*.tenant{n}.example.com\", path: {{ prefix: /api }} }}"),
            3 => format!("{{ headers: {{ x-tenant-{n}: blue }}, path: {{ prefix: /api }} }}"),
            _ => format!("{{ query: {{ debug{n}: {{ present: true }} }} }}"),
        };
        writeln!(text, "  - {{ name: rule{n}, match: {matched}, targets: staging }}").unwrap();
    }
    writeln!(text, "  - {{ name: last, match: {{ path: {{ {last} }} }}, sample: {{ percent: 100, by: {{ cookie: session }} }}, targets: staging }}").unwrap();
    let file = File::parse(&text).unwrap_or_else(|problems| panic!("{}", problems.render("it")));
    let mut rules = Rules::default();
    rules.routes = Some(file.routes().unwrap());
    rules
}

fn choose(c: &mut Criterion) {
    let exchange = asked(GET);
    let mut group = c.benchmark_group("choose");
    for (name, last) in [
        ("none of 50 rules", "exact: /other"),
        ("the last of 50 rules", "regex: \"/api/v2/[a-z]+\""),
    ] {
        let mut rules = rules(last);
        group.bench_function(name, |bencher| {
            bencher.iter(|| rules.clear(black_box(exchange.clone())).is_ok());
        });
    }
    group.finish();
}

/// The whole stage: what a request pays for 50 rules and the preset `credentials`, beside what it
/// pays for neither.
fn clear(c: &mut Criterion) {
    let mut group = c.benchmark_group("clear");
    let last = || rules("regex: \"/api/v2/[a-z]+\"");
    let key = Some(Key::new([7; 32]).unwrap());
    let options = RedactOptions { key, ..RedactOptions::preset(Preset::Credentials) };
    let redactor = Arc::new(Redactor::new(options).unwrap().unwrap());
    // `session=` is a secret wherever it stands.
    let one = GET.replace(
        "Cookie: session=9d4e1f0ab7c2; theme=dark",
        "X-Third: page-9d4e1f0ab7c2; theme=dark",
    );
    let without = one.replace("Authorization: Bearer ", "X-Other: ");
    for (name, mut rules, wire) in [
        ("nothing to do", Rules::default(), GET),
        ("50 rules, credentials, none in it", last(), &without),
        ("50 rules, credentials, a bearer token", last(), &one),
        ("50 rules, credentials, a bearer token and two cookies", last(), GET),
    ] {
        if rules.routes.is_some() {
            rules.redactor = Some(Arc::clone(&redactor));
        }
        let exchange = asked(wire);
        group.bench_function(name, |bencher| {
            bencher.iter(|| rules.clear(black_box(exchange.clone())).is_ok());
        });
    }
    group.finish();
}

/// What a request costs for which the queue has no room, beside one that is redacted and marked first.
fn drop_at_full_queue(c: &mut Criterion) {
    let mut group = c.benchmark_group("full queue");
    let key = Some(Key::new([7; 32]).unwrap());
    let options = RedactOptions { key, ..RedactOptions::preset(Preset::Credentials) };
    let mut rules = rules("regex: \"/api/v2/[a-z]+\"");
    rules.redactor = Some(Arc::new(Redactor::new(options).unwrap().unwrap()));
    // It accepts and never responds, so that the first request takes all the room there is.
    let target = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", target.local_addr().unwrap());
    let mut options =
        ReplayOptions::new(Marks::default(), Pace::Live, WhenFull::Drop(Victim::Newest));
    options.limits.queue_requests = 1;
    let mut sink =
        ReplaySink::start(Target::parse(&url).unwrap(), options, Arc::default()).unwrap();
    sink.accept(&rules.clear(asked(GET)).unwrap()).unwrap();
    let exchange = asked(GET);
    group.bench_function("50 rules, judged and dropped", |bencher| {
        bencher.iter(|| {
            assert!(sink.is_full());
            sink.refuse(&rules.judge(black_box(&exchange)).unwrap());
        });
    });
    group.bench_function("50 rules, credentials, redacted and marked", |bencher| {
        bencher.iter(|| {
            let cleared = rules.clear(black_box(exchange.clone())).unwrap();
            cleared.shadow_request(&Marks::default(), "staging:8080").is_ok()
        });
    });
    group.finish();
}

criterion_group!(benches, choose, clear, drop_at_full_queue);
criterion_main!(benches);
