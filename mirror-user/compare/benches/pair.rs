//! What comparing a pair of JSON responses of 2 KiB costs: equal, with one difference, and with many under rules.

use criterion::{Criterion, criterion_group, criterion_main};
use mirror_compare::comparison::{Comparison, Options, Pair, Spec};
use mirror_compare::lift::Content;
use mirror_compare::pair::{Answer, Request, Response};

fn body(price: &str) -> String {
    let item = |n: usize| {
        format!(
            r#"{{"id":{n},"sku":"SKU-{n}","title":"A product with a name, number {n}","price":{price},"stock":{},"tags":["red","new"]}}"#,
            n * 7
        )
    };
    let items: Vec<String> = (0..17).map(item).collect();
    format!(r#"{{"total":17,"updatedAt":"2026-11-28T10:00:00Z","items":[{}]}}"#, items.join(","))
}

fn response(body: &str) -> Response<'_> {
    Response {
        status: 200,
        fields: vec![
            (b"Content-Type", b"application/json"),
            (b"Date", b"Sat, 28 Nov 2026 10:00:00 GMT"),
            (b"Cache-Control", b"private, max-age=60"),
            (b"X-Request-Id", b"4bf92f3577b34da6"),
        ],
        trailers: Vec::new(),
        content: Content::Bytes(body.as_bytes().into()),
        at: Some(1_796_000_000_000_000_000),
        latency_us: Some(12_000),
    }
}

fn pairs(criterion: &mut Criterion) {
    let (base, other) = (body("19.99"), body("19.99").replace("\"total\":17", "\"total\":18"));
    assert!((1_900..2_300).contains(&base.len()), "{}", base.len());
    let rules = r#"{"version":1,"rules":[{"path":"body.items[].price","tolerance":{"abs":0.01}},{"path":"body..updatedAt","ignore":"value"}]}"#;
    let spec: Spec = serde_json::from_str(rules).expect("rules");
    let with_rules = || spec.options(Options::default()).expect("rules").0;
    let mut run = |name: &str, options: Options, right: &str| {
        let mut comparison = Comparison::new(options);
        criterion.bench_function(name, |bencher| {
            // Each request is another one, so that production's own noise has nothing to compare.
            let mut page = 0_u64;
            bencher.iter(|| {
                page += 1;
                let target = format!("/products?page={page}");
                comparison.push(&Pair {
                    id: "pair".into(),
                    request: Request { method: "GET", target: &target, fields: &[], body: b"" },
                    production: response(&base),
                    candidate: Answer::Response(response(right)),
                    control: None,
                    again: None,
                })
            });
        });
    };
    run("equal", Options::default(), &base);
    run("one difference", Options::default(), &other);
    run("17 differences that a rule forgives", with_rules(), &body("19.995"));
    run("17 differences", with_rules(), &body("29.995"));
}

criterion_group!(benches, pairs);
criterion_main!(benches);
