//! Learning pairs from two responses, and translating requests with them.

use bytes::Bytes;
use proptest::prelude::*;

use super::state::MAX_HALVES;
use super::*;
use crate::http::message::{Body, BodyLength, ConnectionId, Flaws};
use crate::http::whole;
use crate::packet::Timestamp;
use crate::rules::tag::Rest;
use crate::sink::replay::key::SessionKey;

fn request(text: &str) -> ShadowRequest {
    ShadowRequest {
        front: Bytes::from(text.replace('\n', "\r\n")),
        rest: Rest::Nothing,
        is_head: false,
        is_last: false,
        host_missing: false,
    }
}

fn message((head, body): (Head, Body)) -> Arc<Message> {
    let (started, finished) = (Timestamp::default(), Timestamp::default());
    Arc::new(Message { started, finished, head, body, incomplete: None, flaws: Flaws::default() })
}

/// One session, with the responses of both sides.
struct Exchanges {
    correlate: Correlate,
    counts: Counts,
    arrived: u64,
}

impl Exchanges {
    fn new() -> Self {
        Self { correlate: Correlate::new(1), counts: Counts::default(), arrived: 0 }
    }

    fn next(&mut self) -> (ExchangeKey, u64) {
        self.arrived += 1;
        let session = SessionKey { connection: ConnectionId::local(7), copy: 0 };
        (ExchangeKey { session, index: u32::try_from(self.arrived).unwrap() }, self.arrived)
    }

    fn production_responds(&self, key: ExchangeKey, arrived: u64, sent: &str, response: &str) {
        let request = message(whole::request(&request(sent).front).unwrap());
        let response = Bytes::from(response.replace('\n', "\r\n"));
        let response = message(whole::response(&response, false).unwrap());
        let recorded = RecordedResponse { key, request, response, pass: 0 };
        self.correlate.record_production(&recorded, arrived, &self.counts);
    }

    fn target_responds(&self, key: ExchangeKey, sent: &str, response: Option<&str>) {
        let response = response.map(|response| Bytes::from(response.replace('\n', "\r\n")));
        let response = response.map(|wire| message(whole::response(&wire, false).unwrap()));
        self.correlate.record_target(key, &request(sent), response.as_deref(), &self.counts);
    }

    /// Adds both responses to one request.
    fn after(mut self, sent: &str, production: &str, target: &str) -> Self {
        let (key, arrived) = self.next();
        self.production_responds(key, arrived, sent, production);
        self.target_responds(key, sent, Some(target));
        self
    }

    fn translate(&mut self, text: &str) -> String {
        let (_, arrived) = self.next();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let request = request(text);
        let translated =
            runtime.block_on(self.correlate.translate(0, arrived, &request, &self.counts));
        assert!(matches!(translated.rest, Rest::Nothing));
        String::from_utf8(translated.front.to_vec()).unwrap().replace("\r\n", "\n")
    }

    fn counts(&self) -> Vec<(&'static str, u64)> {
        self.counts.non_zero().collect()
    }
}

fn created(id: &str) -> String {
    format!("HTTP/1.1 201 Created\nLocation: /orders/{id}\nContent-Length: 0\n\n")
}

const CREATE: &str = "POST /orders HTTP/1.1\nHost: a\n\n";

#[test]
fn ids_are_replaced_as_whole_values_everywhere() {
    let mut exchanges = Exchanges::new().after(CREATE, &created("5001"), &created("1000000001"));
    for (recorded, sent) in [
        (
            "GET /orders/5001/items?x=50011 HTTP/1.1\nHost: a\n\n",
            "GET /orders/1000000001/items?x=50011 HTTP/1.1\nHost: a\n\n",
        ),
        (
            "GET /items?orderId=5001&n=15001 HTTP/1.1\nHost: a\n\n",
            "GET /items?orderId=1000000001&n=15001 HTTP/1.1\nHost: a\n\n",
        ),
        (
            "GET / HTTP/1.1\nHost: 5001\nReferer: http://shop/orders/5001#top\nX-Order-Id: 5001\n\n",
            "GET / HTTP/1.1\nHost: 5001\nReferer: http://shop/orders/1000000001#top\nX-Order-Id: 1000000001\n\n",
        ),
        (
            "PUT /x HTTP/1.1\nContent-Type: application/json\nContent-MD5: abc=\nContent-Length: 43\nA: b\n\n\
             {\"orderId\": 5001, \"n\": [\"5001\"], \"total\":5001}",
            "PUT /x HTTP/1.1\nContent-Type: application/json\nContent-Length: 58\nA: b\n\n\
             {\"orderId\": 1000000001, \"n\": [\"1000000001\"], \"total\":5001}",
        ),
        (
            "POST /x HTTP/1.1\nTransfer-Encoding: chunked\nContent-Type: application/x-www-form-urlencoded\n\n\
             9\norder=500\na;x=y\n1&note=%3f\n0\nT: 1\n\n",
            "POST /x HTTP/1.1\nTransfer-Encoding: chunked\nContent-Type: application/x-www-form-urlencoded\n\n\
             19\norder=1000000001&note=%3f\n0\nT: 1\n\n",
        ),
    ] {
        assert_eq!(exchanges.translate(recorded), sent);
    }
}

#[test]
fn values_are_encoded_where_they_stand_in_urls_and_forms() {
    let named = |id: &str| {
        format!("HTTP/1.1 201 Created\nContent-Type: application/json\n\n{{\"id\":\"{id}\"}}")
    };
    let (production, target) = ("abc+def~123=45678", "xyz+uvw~987=65432");
    let mut exchanges = Exchanges::new().after(CREATE, &named(production), &named(target));
    let recorded =
        "GET /orders/abc%2Bdef~123%3D45678;v=1?a=b;c&id=abc%2Bdef~123%3D45678 HTTP/1.1\n\n";
    // A part that was encoded is encoded again as a whole.
    let sent =
        "GET /orders/xyz%2Buvw~987%3D65432%3Bv%3D1?a=b;c&id=xyz%2Buvw~987%3D65432 HTTP/1.1\n\n";
    assert_eq!(exchanges.translate(recorded), sent);
}

#[test]
fn cookies_and_tokens_are_those_that_the_target_gave() {
    let signed_in = |sid: &str, token: &str| {
        format!(
            "HTTP/1.1 200 OK\nSet-Cookie: sid={sid}; HttpOnly\nContent-Type: application/json\n\n\
             {{\"csrf_token\":\"{token}\",\"name\":\"Ann\"}}"
        )
    };
    let get = "GET /login HTTP/1.1\nHost: a\n\n";
    let mut exchanges =
        Exchanges::new().after(get, &signed_in("A", "prod-t0ken"), &signed_in("B", "shadow-t0ken"));
    let recorded = "POST /cart HTTP/1.1\nCookie: theme=A; sid=A\nX-CSRF-Token: prod-t0ken\n\
                    Authorization: Bearer prod-t0ken\n\n";
    let sent = "POST /cart HTTP/1.1\nCookie: theme=A; sid=B\nX-CSRF-Token: shadow-t0ken\n\
                Authorization: Bearer shadow-t0ken\n\n";
    assert_eq!(exchanges.translate(recorded), sent);
    // The next one replaces the one before.
    let mut exchanges =
        exchanges.after(get, &signed_in("A", "prod-2"), &signed_in("C", "shadow-2"));
    assert!(exchanges.translate("GET / HTTP/1.1\nCookie: sid=A\n\n").contains("sid=C"));
    assert!(exchanges.counts().contains(&("renewed", 1)), "{:?}", exchanges.counts());
}

#[test]
fn a_failed_response_teaches_nothing() {
    let failed = "HTTP/1.1 500 No\nLocation: /orders/666\nContent-Length: 0\n\n";
    let mut exchanges = Exchanges::new().after(CREATE, &created("5001"), failed);
    let get = "GET /orders/5001 HTTP/1.1\n\n";
    assert_eq!(exchanges.translate(get), get);
    assert_eq!(exchanges.counts(), []);
}

#[test]
fn what_contradicts_is_counted_and_changes_nothing() {
    let mut exchanges = Exchanges::new()
        .after(CREATE, &created("5001"), &created("1000000001"))
        .after(CREATE, &created("5001"), &created("1000000002"))
        .after(CREATE, &created("5002"), &created("1000000001"));
    assert_eq!(
        exchanges.translate("GET /orders/5001?order=5002 HTTP/1.1\n\n"),
        "GET /orders/1000000001?order=5002 HTTP/1.1\n\n"
    );
    let expected = [("learned", 1), ("conflicts", 2), ("requests", 1), ("values", 1)];
    assert_eq!(exchanges.counts(), expected);
}

#[test]
fn a_request_waits_for_the_response_that_brings_its_value() {
    let mut exchanges = Exchanges::new();
    let (key, arrived) = exchanges.next();
    exchanges.production_responds(key, arrived, CREATE, &created("5001"));
    let (_, later) = exchanges.next();
    let get = request("GET /orders/5001 HTTP/1.1\n\n");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let front = runtime.block_on(async {
        let translated = exchanges.correlate.translate(0, later, &get, &exchanges.counts);
        let responses = async {
            // The other future was polled first, so it waits.
            exchanges.target_responds(key, CREATE, Some(&created("77")));
        };
        let (translated, ()) = tokio::join!(biased; translated, responses);
        translated.front.clone()
    });
    assert_eq!(front, "GET /orders/77 HTTP/1.1\r\n\r\n");
    assert!(exchanges.counts().contains(&("waited", 1)), "{:?}", exchanges.counts());
    assert!(!exchanges.counts().iter().any(|(name, _)| *name == "waited_in_vain"));
}

#[test]
fn a_request_without_a_response_delays_no_other() {
    let mut exchanges = Exchanges::new();
    let (key, arrived) = exchanges.next();
    exchanges.production_responds(key, arrived, CREATE, &created("5001"));
    exchanges.target_responds(key, CREATE, None);
    let get = "GET /orders/5001 HTTP/1.1\n\n";
    assert_eq!(exchanges.translate(get), get);
    assert_eq!(exchanges.counts(), []);
}

#[test]
fn the_target_may_respond_first() {
    let mut exchanges = Exchanges::new();
    let (key, arrived) = exchanges.next();
    exchanges.target_responds(key, CREATE, Some(&created("77")));
    exchanges.production_responds(key, arrived, CREATE, &created("5001"));
    assert_eq!(exchanges.translate("GET /orders/5001 HTTP/1.1\n\n"), "GET /orders/77 HTTP/1.1\n\n");
}

#[test]
fn halves_that_stay_alone_are_forgotten() {
    let mut exchanges = Exchanges::new();
    for _ in 0..MAX_HALVES + 10 {
        let (key, _) = exchanges.next();
        exchanges.target_responds(key, CREATE, Some(&created("77")));
    }
    assert_eq!(exchanges.counts(), [("halves_forgotten", 10)]);
    assert_eq!(exchanges.correlate.state.borrow().halves.len(), MAX_HALVES);
}

#[test]
fn bodies_that_cannot_be_read_are_counted_and_stay() {
    let mut exchanges = Exchanges::new().after(CREATE, &created("5001"), &created("77"));
    let coded = "POST /x HTTP/1.1\nContent-Type: application/json\nContent-Encoding: gzip\nContent-Length: 8\n\n\"5001\"  ";
    assert_eq!(exchanges.translate(coded), coded);
    assert!(exchanges.counts().contains(&("bodies_left", 1)), "{:?}", exchanges.counts());
}

proptest! {
    /// Without a value of production no byte changes; with one, only that value changes.
    #[test]
    fn every_other_byte_stays(
        before in "[a-z/]{0,8}", behind in "(;v=[a-z,]{0,3})?", after in "[a-z0-9?=&%_.;,:-]{0,8}",
        body in "[ -~]{0,60}", json: bool,
    ) {
        let mut exchanges = Exchanges::new().after(CREATE, &created("5001"), &created("1000000001"));
        let media_type = if json { "application/json" } else { "application/x-www-form-urlencoded" };
        let make = |id: &str, body: &str| format!(
            "POST /{before}/{id}{behind}/{after} HTTP/1.1\nHost: a\nContent-Type: {media_type}\nContent-Length: {}\n\n{body}",
            body.len(),
        );
        prop_assume!(!format!("{before}{after}{body}").contains("5001"));
        prop_assert_eq!(exchanges.translate(&make("5002", &body)), make("5002", &body));
        prop_assert_eq!(exchanges.translate(&make("5001", &body)), make("1000000001", &body));
    }

    /// Whatever the body is, the output is framed as its head says.
    #[test]
    fn what_goes_out_is_framed_as_it_says(pieces in proptest::collection::vec(
        prop_oneof![
            Just("5001".to_owned()), Just("\"".to_owned()), Just("\\".to_owned()), Just("orderId\":".to_owned()),
            Just("order_id=5001&".to_owned()), Just("\u{e9}".to_owned()), "[ -~]{0,6}",
        ], 0..12), json: bool)
    {
        let mut exchanges = Exchanges::new().after(CREATE, &created("5001"), &created("1000000001"));
        let media_type = if json { "application/json" } else { "application/x-www-form-urlencoded" };
        let body = pieces.concat();
        let text = format!(
            "POST /x HTTP/1.1\nContent-Type: {media_type}\nContent-Length: {}\n\n{body}", body.len(),
        );
        let sent = request(&exchanges.translate(&text));
        let (_, body) = whole::request(&sent.front).unwrap();
        prop_assert_eq!(body.framing, BodyLength::Length(body.length));
    }
}
