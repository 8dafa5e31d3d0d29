//! Every byte case of `cases.jsonl` ends as its expectation says. The file is the project's own
//! collection; each line has the case's name, its bytes, and how they are to be read:
//!
//! - `accept`: exactly the expected messages, without a flaw;
//! - `reject`: no whole message without a flaw, and a reason;
//! - `ambiguous`: the expected messages or one of the `also` outcomes, and always a flaw or a reason;
//! - `incomplete`: exactly the expected messages, incomplete where it says so;
//! - `not-http1`: no message, and the connection is counted as not HTTP/1.

use std::io::Read;

use base64::Engine;
use serde_json::Value;

use super::talk::Talk;
use crate::http::HttpStats;
use crate::http::message::{Body, Flaw, HeaderLine, Incomplete, Message, Moment, StartLine};
use crate::tcp::event::{CloseReason, Side};

struct Case {
    json: Value,
    raw: Vec<u8>,
}

fn cases() -> Vec<Case> {
    include_str!("cases.jsonl")
        .lines()
        .map(|line| {
            let json: Value = serde_json::from_str(line).unwrap();
            let raw = base64::engine::general_purpose::STANDARD
                .decode(json["raw_base64"].as_str().unwrap())
                .unwrap();
            Case { json, raw }
        })
        .collect()
}

impl Case {
    fn name(&self) -> &str {
        self.json["name"].as_str().unwrap()
    }

    fn text(&self, key: &str) -> &str {
        self.json[key].as_str().unwrap_or_default()
    }

    fn also(&self, outcome: &str) -> bool {
        self.json["also"].as_array().is_some_and(|also| also.iter().any(|a| a == outcome))
    }

    /// Reads the bytes in pieces of so many.
    fn read(&self, piece: usize) -> Talk {
        let mut talk = Talk::new();
        let side = if self.text("kind") == "request" { Side::Client } else { Side::Server };
        if side == Side::Server {
            let methods = self.json["request_methods"].as_array().cloned();
            for method in methods.unwrap_or_else(|| vec!["GET".into()]) {
                let method = method.as_str().unwrap();
                talk.client(format!("{method} / HTTP/1.1\r\nHost: a.test\r\n\r\n"));
            }
        }
        for bytes in self.raw.chunks(piece.max(1)) {
            talk.data(side, bytes);
        }
        if self.json["eof"] == true {
            talk.finished(side);
        }
        talk.closed(CloseReason::EndOfInput);
        talk
    }

    /// The messages that came out, but for those that were only guessed after a refusal: where
    /// those are looked for depends on the segments.
    fn messages<'a>(&self, talk: &'a Talk) -> Vec<&'a Message> {
        talk.moment(Moment::Ended)
            .into_iter()
            .filter_map(|exchange| match self.text("kind") {
                "request" => exchange.request.as_deref(),
                _ => exchange.response.as_deref(),
            })
            .filter(|message| !message.flaws.contains(Flaw::AfterRefusal))
            .collect()
    }

    /// The expected messages; interim responses do not come out.
    fn expected(&self) -> Option<Vec<&Value>> {
        let all = self.json["expect"].as_array()?;
        Some(all.iter().filter(|message| message["interim"] != true).collect())
    }
}

fn content(body: &Body) -> Vec<u8> {
    let mut bytes = Vec::new();
    body.content().unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|&b| char::from(b)).collect()
}

fn fields(raw: &[u8], lines: &[HeaderLine]) -> Value {
    let part = |range: &std::ops::Range<u32>| &raw[range.start as usize..range.end as usize];
    // How many blanks a fold leaves is nobody's rule.
    let value = |bytes: &[u8]| latin1(bytes).split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    lines.iter().map(|line| vec![latin1(part(&line.name)), value(part(&line.value))]).collect()
}

fn normal(expected: &Value) -> Value {
    let fields = expected.as_array().cloned().unwrap_or_default();
    fields
        .iter()
        .map(|field| {
            let value = field[1].as_str().unwrap().split_ascii_whitespace().collect::<Vec<_>>();
            vec![field[0].as_str().unwrap().to_owned(), value.join(" ")]
        })
        .collect()
}

/// How a message differs from what is expected.
fn difference(message: &Message, expected: &Value) -> Result<(), String> {
    let equal = |what: &str, got: Value, want: &Value| {
        if got == *want { Ok(()) } else { Err(format!("{what}: {got} instead of {want}")) }
    };
    let head = &message.head;
    let version = match &head.start {
        StartLine::Request { version, .. } => {
            equal("method", latin1(head.method()).into(), &expected["method"])?;
            equal("target", latin1(head.target()).into(), &expected["target"])?;
            version
        }
        StartLine::Status { code, reason, version } => {
            equal("status", (*code).into(), &expected["status"])?;
            equal("reason", latin1(head.bytes(reason)).into(), &expected["reason"])?;
            version
        }
    };
    equal("version", format!("1.{}", version.minor()).into(), &expected["version"])?;
    equal("headers", fields(&head.raw, &head.headers), &normal(&expected["headers"]))?;
    let body = &message.body;
    equal("trailers", fields(&body.trailer_bytes, &body.trailers), &normal(&expected["trailers"]))?;
    equal("length", body.length.into(), &expected["body_len"])?;
    let hex: String = body.sha256.unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
    equal("sha256", hex.into(), &expected["body_sha256"])?;
    let base64 = base64::engine::general_purpose::STANDARD.encode(content(body));
    equal("body", base64.into(), &expected["body_base64"])?;
    let whole = expected["complete"] != false;
    equal("complete", message.incomplete.is_none().into(), &whole.into())
}

fn as_expected(messages: &[&Message], expected: &[&Value]) -> Result<(), String> {
    if messages.len() != expected.len() {
        return Err(format!("{} messages instead of {}", messages.len(), expected.len()));
    }
    messages.iter().zip(expected).try_for_each(|(message, expected)| difference(message, expected))
}

fn reasons(stats: &HttpStats, messages: &[&Message]) -> Vec<String> {
    let sides = [&stats.requests, &stats.responses];
    let refused = sides.iter().flat_map(|side| side.refused.non_zero());
    let mut reasons: Vec<String> = refused.map(|(name, _)| format!("refused {name}")).collect();
    reasons.extend(stats.not_http.non_zero().map(|(name, _)| format!("not HTTP/1: {name}")));
    for message in messages {
        reasons.extend(message.flaws.iter().map(|flaw| <&str>::from(flaw).to_owned()));
    }
    reasons
}

/// How a case ended, or why that is wrong.
fn judge(case: &Case, talk: &Talk) -> Result<String, String> {
    let messages = case.messages(talk);
    let reasons = reasons(talk.table.stats(), &messages);
    let clean = messages.iter().filter(|m| m.incomplete.is_none() && m.flaws.is_empty()).count();
    let exact = case
        .expected()
        .map_or(Err("an error is expected".into()), |expected| as_expected(&messages, &expected));
    let reported =
        || if reasons.is_empty() { Err("nothing is reported".to_owned()) } else { Ok(()) };
    let refused = || if clean > 0 { Err("a message passed".to_owned()) } else { reported() };
    let not_http = || match talk.table.stats().not_http.total() {
        0 => Err("taken as HTTP/1".to_owned()),
        _ => refused(),
    };
    match case.text("cls") {
        "accept" | "incomplete" => {
            exact?;
            let odd = messages.iter().any(|message| !message.flaws.is_empty());
            if odd { Err(format!("flaws: {reasons:?}")) } else { Ok("as expected".into()) }
        }
        "reject" => refused().map(|()| format!("refused: {}", reasons.join(", "))),
        "not-http1" => not_http().map(|()| reasons.join(", ")),
        "ambiguous" => {
            reported()?;
            let reported = reasons.join(", ");
            let outcome = if exact.is_ok() {
                Ok("read")
            } else if case.json["expect"]["error"].is_string() && clean == 0 {
                let whole = messages.iter().any(|message| message.incomplete.is_none());
                if whole && !case.also("accept") { Err("accepted".into()) } else { Ok("reported") }
            } else if case.also("reject") && refused().is_ok() {
                Ok("refused")
            } else if case.also("not-http1") && not_http().is_ok() {
                Ok("not HTTP/1")
            } else {
                exact.map(|()| "")
            };
            outcome.map(|outcome| format!("{outcome}: {reported}"))
        }
        class => Err(format!("no such class: {class}")),
    }
}

#[test]
fn every_case_ends_as_its_expectation_says() {
    let mut wrong = Vec::new();
    let mut table = String::new();
    for case in cases() {
        match judge(&case, &case.read(usize::MAX)) {
            Ok(how) => table += &format!("{:11} {:42} {how}\n", case.text("cls"), case.name()),
            Err(why) => wrong.push(format!("{}: {why}", case.name())),
        }
    }
    println!("{table}");
    assert!(wrong.is_empty(), "{} cases are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Everything that is reported of a case but times, and but what was guessed after a refusal.
fn reported(case: &Case, talk: &Talk) -> String {
    let messages = case.messages(talk);
    let parts = messages.iter().map(|message| {
        let Message { head, body, incomplete, flaws, .. } = *message;
        format!("{head:?} {body:?} {incomplete:?} {flaws:?}")
    });
    let mut reported: Vec<String> = parts.collect();
    reported.extend(reasons(talk.table.stats(), &messages));
    reported.join("\n")
}

#[test]
fn every_case_ends_so_however_its_bytes_are_cut() {
    let mut wrong = Vec::new();
    for case in cases() {
        let whole = reported(&case, &case.read(usize::MAX));
        for piece in 1..=case.raw.len().min(1500) {
            let talk = case.read(piece);
            let name = case.name();
            if let Err(why) = judge(&case, &talk) {
                wrong.push(format!("{name} in pieces of {piece}: {why}"));
            } else if reported(&case, &talk) != whole {
                wrong.push(format!(
                    "{name} in pieces of {piece}:\n{whole}\n{}",
                    reported(&case, &talk)
                ));
            } else {
                continue;
            }
            break;
        }
    }
    assert!(wrong.is_empty(), "{} cases are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn refused_messages_are_never_whole() {
    for case in cases() {
        let talk = case.read(usize::MAX);
        for message in case.messages(&talk) {
            let side = if case.text("kind") == "request" { Side::Client } else { Side::Server };
            let refused = message.flaws.iter().any(|flaw| flaw.refuses(side));
            assert_eq!(message.incomplete == Some(Incomplete::Refused), refused, "{}", case.name());
        }
    }
}
