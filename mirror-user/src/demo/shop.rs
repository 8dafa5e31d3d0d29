//! The shop of the demo: production, and a candidate with three faults. Both make noise: clocks, names of requests,
//! counters, lists in any order.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde_json::{Value, json};

use crate::http::message::Message;

/// The three faults, as `mirror compare` names them: endpoint, field, and what it is.
pub(super) const FAULTS: [(&str, &str, &str); 3] = [
    ("GET /products/{id}", "body.price", "prices are rounded"),
    ("GET /products/{id}", "status", "one product of twenty cannot be read"),
    ("GET /cart", "body.currency", "the currency is missing"),
];

/// Products; the candidate cannot read [`BROKEN`].
const PRODUCTS: u64 = 20;
const BROKEN: &str = "107";

/// What customers ask, over and over.
pub(super) fn targets() -> Vec<String> {
    let products = (0..PRODUCTS).map(|n| format!("/products/{}", 100 + n));
    let others = (1..=5).map(|user| format!("/cart?user={user}"));
    products.chain(others).chain(["/search?q=tea".to_owned()]).collect()
}

/// One instance of the shop.
pub(super) struct Shop {
    has_faults: bool,
    /// Where its noise begins: another instance makes other names.
    seed: u64,
    asked: AtomicU64,
}

impl Shop {
    pub(super) fn new(has_faults: bool) -> Self {
        Self { has_faults, seed: u64::from(has_faults) << 32, asked: AtomicU64::new(0) }
    }

    /// Its whole answer.
    pub(super) fn answer(&self, request: &Message) -> Vec<u8> {
        let noise = Noise(mix(self.seed + self.asked.fetch_add(1, Relaxed)));
        let target = String::from_utf8_lossy(request.head.target()).into_owned();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let (status, mut body) = match path.strip_prefix("/products/") {
            Some(BROKEN) if self.has_faults => {
                (500, json!({ "error": "no such column: discount" }))
            }
            Some(id) => (200, self.product(id, &noise)),
            None if path == "/cart" => (200, self.cart(query, &noise)),
            None => (
                200,
                json!({ "q": query, "hits": [101, 103, 119], "scanned": noise.below(1 << 40) }),
            ),
        };
        let now = format!("{:.3}", jiff::Timestamp::now());
        if let Some(body) = body.as_object_mut() {
            body.insert("requestId".to_owned(), noise.uuid().into());
            body.insert("servedAt".to_owned(), now.into());
        }
        let (body, trace) = (body.to_string(), noise.uuid());
        let head = format!(
            "HTTP/1.1 {status} {}\r\nContent-Type: application/json\r\nX-Request-Id: {trace}\r\nContent-Length: {}\r\n\r\n",
            if status == 200 { "OK" } else { "Internal Server Error" },
            body.len()
        );
        [head, body].concat().into_bytes()
    }

    fn product(&self, id: &str, noise: &Noise) -> Value {
        let id = id.parse::<u64>().unwrap_or_default();
        let digits = if self.has_faults { "9" } else { "94" };
        let price = format!("{}.{}{digits}", 9 + id / 10, id % 10);
        json!({
            "id": id,
            "title": format!("Tea number {id}"),
            "price": price.parse::<f64>().unwrap_or_default(),
            "stock": 7,
            "views": noise.below(1 << 40),
        })
    }

    fn cart(&self, query: &str, noise: &Noise) -> Value {
        let mut tags = ["green", "black", "white", "mint", "chai", "mate", "rooibos", "oolong"];
        tags.sort_by_key(|tag| noise.of(tag));
        let mut cart = json!({
            "user": query.trim_start_matches("user="),
            "items": [{ "id": 101, "quantity": 2 }, { "id": 119, "quantity": 1 }],
            "total": 61.488,
            "currency": "EUR",
            "alsoBought": tags,
        });
        if let Some(cart) = cart.as_object_mut().filter(|_| self.has_faults) {
            cart.remove("currency");
        }
        cart
    }
}

/// What one response makes up.
struct Noise(u64);

impl Noise {
    fn below(&self, n: u64) -> u64 {
        mix(self.0) % n
    }

    fn of(&self, text: &str) -> u64 {
        text.bytes().fold(self.0, |state, byte| mix(state ^ u64::from(byte)))
    }

    fn uuid(&self) -> String {
        let (a, b) = (mix(self.0 ^ 1), mix(self.0 ^ 2));
        format!(
            "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
            a >> 32,
            a & 0xffff,
            (a >> 16) & 0xfff,
            b >> 52,
            b & 0xffff_ffff_ffff
        )
    }
}

/// The output function of SplitMix64.
fn mix(seed: u64) -> u64 {
    let mut bits = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
