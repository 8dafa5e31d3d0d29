//! Customers in a shop, each with a browser and an app that use what the other one learned, as a capture.

use super::shop::{Asked, Shop};
use super::wire::{Talk, interleaved};

/// Between two requests of a customer, so that one connection knows what another one was told.
const STEP_MILLIS: u64 = 10;

/// How many requests all customers together make.
pub const REQUESTS: usize = 3 * 9;

/// Three customers, one a tenth of a second after the other.
pub fn capture() -> Vec<u8> {
    let mut shop = Shop::new("production", 5001);
    let talks: Vec<Talk> = (0..3).flat_map(|n| Customer::new(n).visit(&mut shop)).collect();
    interleaved(&talks)
}

struct Customer {
    /// What was sent and answered so far, and when the next step is.
    browser: Talk,
    app: Talk,
    millis: u64,
}

impl Customer {
    fn new(n: u64) -> Self {
        let talk = |port: u64| Talk::between(&format!("10.0.0.{}:{port}", n + 2), "10.0.0.1:8080");
        let millis = n * 100;
        let open = |port| talk(port).at_millis(millis).open();
        Self { browser: open(40_000), app: open(41_000), millis }
    }

    /// All of it.
    fn visit(mut self, shop: &mut Shop) -> [Talk; 2] {
        let page = self.browse(shop, "GET /login", "", "");
        let form =
            format!("user=ann&password=secret&csrf_token={}", between(&page, "value=\"", "\""));
        let cookie =
            |answer: &str| format!("Cookie: theme=dark; sid={}\r\n", between(answer, "sid=", ";"));
        let signed_in = self.browse(shop, "POST /login", &(cookie(&page) + FORM), &form);
        let csrf = between(&signed_in, "csrfToken\":\"", "\"");
        let mine = format!("{}X-CSRF-Token: {csrf}\r\n", cookie(&signed_in));
        let cart = self.browse(shop, "POST /carts", &mine, "");
        let cart = between(&cart, "Location: ", "\r\n");
        let json = mine.clone() + JSON;
        self.browse(shop, &format!("POST {cart}/items"), &json, "{\"product\":7,\"quantity\":2}");
        let cart = cart.trim_start_matches("/carts/");
        let order = self.browse(shop, "POST /orders", &json, &format!("{{\"cartId\":\"{cart}\"}}"));
        // The app shows what the browser ordered, with the token of the same person.
        let bearer = between(&signed_in, "access_token\":\"", "\"");
        let bearer = format!("Authorization: Bearer {bearer}\r\n");
        let path = between(&order, "Location: ", "\r\n");
        self.tap(shop, &format!("GET {path}?page=2"), &bearer, "");
        let token = between(&order, "paymentToken\":\"", "\"");
        let number = path.trim_start_matches("/orders/");
        let pay = format!("orderId={number}&amount=12.50&payment_token={token}");
        self.tap(shop, &format!("PUT {path}/payment"), &(bearer + FORM), &pay);
        self.browse(shop, &format!("GET {path}"), &mine, "");
        self.browse(shop, "DELETE /session", &mine, "");
        [self.browser.close(), self.app.close()]
    }

    fn browse(&mut self, shop: &mut Shop, line: &str, headers: &str, body: &str) -> String {
        let (request, answer) = self.ask(shop, line, headers, body);
        self.browser = self.browser.clone().at_millis(self.millis).client(request).server(&answer);
        answer
    }

    fn tap(&mut self, shop: &mut Shop, line: &str, headers: &str, body: &str) -> String {
        let (request, answer) = self.ask(shop, line, headers, body);
        self.app = self.app.clone().at_millis(self.millis).client(request).server(&answer);
        answer
    }

    fn ask(&mut self, shop: &mut Shop, line: &str, headers: &str, body: &str) -> (String, String) {
        self.millis += STEP_MILLIS;
        let length = match body {
            "" => String::new(),
            body => format!("Content-Length: {}\r\n", body.len()),
        };
        let request =
            format!("{line} HTTP/1.1\r\nHost: shop.example\r\n{headers}{length}\r\n{body}");
        let answer = shop.answer(&Asked::read(&request).expect("a request"));
        assert!(answer.starts_with("HTTP/1.1 2"), "{request}\n{answer}");
        (request, answer)
    }
}

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";
const JSON: &str = "Content-Type: application/json\r\n";

/// What stands between two texts.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let rest = text.split_once(before).map_or("", |(_, rest)| rest);
    rest.split(after).next().unwrap_or_default()
}
