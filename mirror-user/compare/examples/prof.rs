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

fn main() {
    let which = std::env::args().nth(1).unwrap();
    let n: u64 = std::env::args().nth(2).unwrap().parse().unwrap();
    let base = body("19.99");
    let rules = r#"{"version":1,"rules":[{"path":"body.items[].price","tolerance":{"abs":0.01}},{"path":"body..updatedAt","ignore":"value"}]}"#;
    let spec: Spec = serde_json::from_str(rules).expect("rules");
    let (options, right) = match &*which {
        "equal" => (Options::default(), base.clone()),
        "one" => (Options::default(), base.replace("\"total\":17", "\"total\":18")),
        "rules" => (spec.options(Options::default()).expect("rules").0, body("19.995")),
        "many" => (spec.options(Options::default()).expect("rules").0, body("29.995")),
        "details" => (Options { details: true, ..spec.options(Options::default()).expect("rules").0 }, body("29.995")),
        _ => panic!(),
    };
    let mut comparison = Comparison::new(options);
    let start = std::time::Instant::now();
    for page in 0..n {
        let target = format!("/products?page={page}");
        comparison.push(&Pair {
            id: "pair".into(),
            request: Request { method: "GET", target: &target, fields: &[], body: b"" },
            production: response(&base),
            candidate: Answer::Response(response(&right)),
            control: None,
            again: None,
        });
    }
    println!("{which} {:?} a pair", start.elapsed() / n as u32);
}
