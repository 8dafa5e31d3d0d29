//! 40 regressions, each with the place and the cause that must be told.

use mirror_compare::difference::Class;
use mirror_compare::pair::Failure;
use serde_json::{Value, json};

use crate::shop::{Random, Reply};

pub(crate) type Apply = fn(&mut Reply, &mut Random);

/// What must be told: a path, a class and a word of the cause.
pub(crate) struct Expected(&'static str, Option<Class>, &'static str);

impl Expected {
    pub(crate) fn is(&self, path: &str) -> bool {
        // Another format has another media type.
        path.starts_with(self.0) || (self.1 == Some(Format) && path == "header.content-type")
    }

    pub(crate) fn names(&self, class: Class, cause: &str) -> bool {
        self.1 == Some(class) && cause.contains(self.2)
    }
}

const fn expect(path: &'static str, class: Class, cause: &'static str) -> Expected {
    Expected(path, Some(class), cause)
}

fn items(r: &mut Reply) -> &mut Vec<Value> {
    r.json["items"].as_array_mut().unwrap()
}

use Class::{
    Extra, Failure as Failed, Format, Missing, Null, Order, Type, Unreadable, Value as Other,
};

pub(crate) const REGRESSIONS: &[(&str, Apply, Expected)] = &[
    ("value", |r, _| r.json["plan"] = json!("free"), expect("body.plan", Other, "")),
    (
        "number as string",
        |r, _| items(r)[0]["qty"] = json!("1"),
        expect("body.items[].qty", Type, "string"),
    ),
    (
        "null",
        |r, _| r.json["address"]["zip"] = Value::Null,
        expect("body.address.zip", Null, "null"),
    ),
    (
        "missing member",
        |r, _| drop(r.json.as_object_mut().unwrap().remove("currency")),
        expect("body.currency", Missing, ""),
    ),
    ("extra member", |r, _| r.json["debug"] = json!("SELECT 1"), expect("body.debug", Extra, "")),
    (
        "order",
        |r, _| r.json["tags"].as_array_mut().unwrap().reverse(),
        expect("body.tags", Order, "order"),
    ),
    (
        "rounding",
        |r, _| r.json["balance"] = json!(1_234.57),
        expect("body.balance", Other, "rounded"),
    ),
    (
        "time zone",
        |r, _| r.json["createdAt"] = json!("2026-10-01T12:00:00Z"),
        expect("body.createdAt", Other, "zone"),
    ),
    (
        "encoding",
        |r, _| r.json["name"] = json!("ZoÃ« MÃ¼ller"),
        expect("body.name", Other, "encoding"),
    ),
    ("header", |r, _| r.remove("X-Frame-Options"), expect("header.x-frame-options", Missing, "")),
    (
        "cookie attribute",
        |r, _| r.header("Set-Cookie", "sid=1; Path=/; HttpOnly; Max-Age=3600"),
        expect("header.set-cookie.sid.secure", Missing, ""),
    ),
    ("status", |r, _| r.status = 500, expect("status", Other, "")),
    ("empty body", |r, _| r.body = Some(Vec::new()), expect("body", Missing, "")),
    ("truncated list", |r, _| items(r).truncate(2), expect("body.items[]", Missing, "cut off")),
    ("slower by half", |r, _| r.latency_us = r.latency_us * 3 / 2, Expected("latency", None, "")),
    (
        "only for 2 % of users",
        |r, _| {
            if r.user == 17 {
                r.json["plan"] = json!("free");
            }
        },
        expect("body.plan", Other, ""),
    ),
    ("sign", |r, _| r.json["balance"] = json!(-1_234.565), expect("body.balance", Other, "sign")),
    (
        "cents for euros",
        |r, _| r.json["balance"] = json!(123_456.5),
        expect("body.balance", Other, "power of ten"),
    ),
    ("case", |r, _| r.json["currency"] = json!("eur"), expect("body.currency", Other, "case")),
    (
        "white space",
        |r, _| r.json["name"] = json!("Zoë  Müller "),
        expect("body.name", Other, "white space"),
    ),
    (
        "lost digits",
        |r, _| r.json["big"] = json!(9_007_199_254_740_992_u64),
        expect("body.big", Other, ""),
    ),
    (
        "truth as string",
        |r, _| r.json["active"] = json!("true"),
        expect("body.active", Type, "string"),
    ),
    ("object as list", |r, _| r.json["address"] = json!([]), expect("body.address", Type, "")),
    ("list as object", |r, _| r.json["tags"] = json!({}), expect("body.tags", Type, "")),
    (
        "extra element",
        |r, _| items(r).push(json!({"id": 999_999, "sku": "SKU-9"})),
        expect("body.items[]", Extra, ""),
    ),
    (
        "nested member missing",
        |r, _| drop(r.json["address"]["geo"].as_object_mut().unwrap().remove("lat")),
        expect("body.address.geo.lat", Missing, ""),
    ),
    ("default value", |r, _| r.json["count"] = json!(0), expect("body.count", Other, "")),
    ("content type", |r, _| r.header("Content-Type", "text/html"), expect("body", Format, "")),
    (
        "broken JSON",
        |r, _| r.body = Some(b"{\"id\": 1,".to_vec()),
        expect("body", Unreadable, "unreadable"),
    ),
    (
        "cache control",
        |r, _| r.header("Cache-Control", "public, max-age=60"),
        expect("header.cache-control", Other, ""),
    ),
    ("cookie missing", |r, _| r.remove("Set-Cookie"), expect("header.set-cookie.sid", Missing, "")),
    (
        "location",
        |r, _| r.header("Location", "http://internal:8080/next/page"),
        expect("header.location", Other, ""),
    ),
    (
        "text in place of JSON",
        |r, _| {
            r.header("Content-Type", "text/plain");
            r.body = Some(b"Internal error, please try again".to_vec());
        },
        expect("body", Format, ""),
    ),
    (
        "timeouts",
        |r, x| r.failure = (x.below(20) == 0).then_some(Failure::Timeout),
        expect("failure.timeout", Failed, "no response"),
    ),
    (
        "resets",
        |r, x| r.failure = (x.below(20) == 0).then_some(Failure::Reset),
        expect("failure.reset", Failed, "no response"),
    ),
    (
        "swapped members",
        |r, _| {
            let address = &mut r.json["address"];
            let (street, zip) = (address["street"].clone(), address["zip"].clone());
            (address["street"], address["zip"]) = (zip, street);
        },
        expect("body.address", Other, ""),
    ),
    (
        "text cut off",
        |r, _| r.json["description"] = json!("A text that is long enough to be…"),
        expect("body.description", Other, "cut off"),
    ),
    (
        "price as string",
        |r, _| items(r)[1]["price"] = json!("20.994"),
        expect("body.items[].price", Type, "string"),
    ),
    (
        "notation of times",
        |r, _| r.json["createdAt"] = json!("2026-10-01T10:00:00+00:00"),
        expect("body.createdAt", Other, "notation"),
    ),
    ("unsorted list", |r, _| items(r).reverse(), expect("body.items", Order, "order")),
];
