//! 25 kinds of noise, none of which is a regression.

use jiff::Timestamp;
use serde_json::json;

use crate::shop::{Random, Reply};

pub(crate) type Apply = fn(&mut Reply, &mut Random);

const DIGITS_AND_UPPER: &str = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const BASE62: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

fn now(reply: &Reply) -> Timestamp {
    Timestamp::from_nanosecond(reply.now.into()).unwrap()
}

pub(crate) fn named(name: &str) -> Apply {
    NOISES.iter().find(|(have, _)| *have == name).unwrap().1
}

pub(crate) const NOISES: &[(&str, Apply)] = &[
    ("clock", |r, _| r.json["updatedAt"] = json!(format!("{:.3}", now(r)))),
    ("epoch seconds", |r, _| r.json["at"] = json!(now(r).as_second())),
    ("epoch milliseconds", |r, _| r.json["at"] = json!(now(r).as_millisecond())),
    ("uuid", |r, x| {
        let h = x.hex(32);
        let id = format!("{}-{}-4{}-a{}-{}", &h[..8], &h[8..12], &h[13..16], &h[17..20], &h[20..]);
        r.json["requestId"] = json!(id);
    }),
    ("ulid", |r, x| r.json["event"] = json!(format!("0{}1", x.from(DIGITS_AND_UPPER, 24)))),
    ("trace id", |r, x| r.json["trace"] = json!(format!("a1{}", x.hex(30)))),
    ("jwt", |r, x| {
        let token = format!("eyJhbGciOiJIUzI1NiJ9.{}.{}", x.from(BASE62, 40), x.from(BASE62, 43));
        r.json["token"] = json!(token);
    }),
    ("opaque token", |r, x| r.json["csrf"] = json!(format!("aB3{}", x.from(BASE62, 29)))),
    ("random order", |r, x| x.shuffle(r.json["tags"].as_array_mut().unwrap())),
    ("counter", |r, x| r.json["visits"] = json!(100_000 + x.below(1_000))),
    ("date header", |r, _| {
        let date =
            jiff::fmt::rfc2822::to_string(&now(r).to_zoned(jiff::tz::TimeZone::UTC)).unwrap();
        r.header("Date", date);
    }),
    ("request id", |r, x| r.header("X-Request-Id", x.hex(20))),
    ("session cookie", |r, x| {
        r.header(
            "Set-Cookie",
            format!("sid={}; Path=/; Secure; HttpOnly; Max-Age=3600", x.hex(16)),
        );
    }),
    ("etag", |r, x| {
        r.header("ETag", format!("W/\"{}\"", x.hex(12)));
        r.json["version"] = json!(x.below(1_000_000));
    }),
    ("server timing", |r, x| r.header("Server-Timing", format!("db;dur={}", x.below(90)))),
    ("age", |r, x| r.header("Age", x.below(60).to_string())),
    ("A/B test", |r, x| r.json["variant"] = json!(if x.below(2) == 0 { "a" } else { "b" })),
    ("float jitter", |r, x| r.json["score"] = json!(0.5 + x.below(1_000) as f64 * 1e-9)),
    ("host name", |r, x| r.json["servedBy"] = json!(format!("web-{}", x.below(5)))),
    ("cache hit", |r, x| r.header("X-Cache", if x.below(3) == 0 { "MISS" } else { "HIT" })),
    ("retries", |r, x| r.json["attempts"] = json!(1 + u64::from(x.below(20) == 0))),
    ("recommendations", |r, x| {
        let picks: Vec<u64> = (0..3).map(|_| 100 + x.below(40)).collect();
        r.json["recommended"] = json!(picks);
    }),
    ("member order", |r, x| {
        let mut members: Vec<String> = r
            .json
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| format!("{}:{value}", json!(name)))
            .collect();
        x.shuffle(&mut members);
        r.body = Some(format!("{{{}}}", members.join(",")).into_bytes());
    }),
    ("pretty printing", |r, x| {
        if x.below(2) == 0 {
            r.body = Some(serde_json::to_vec_pretty(&r.json).unwrap());
        }
    }),
    ("transfer coding", |r, x| {
        if x.below(2) == 0 {
            r.header("Transfer-Encoding", "chunked");
        } else {
            r.header("Content-Length", "700");
        }
    }),
];
