//! Entries read as a whole: what becomes of them, and that none becomes anything else.

use std::io::Write;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::http::message::{Exchange, Moment};
use crate::http::{BodyKeep, HttpOptions, HttpTable, KeepLimits};
use crate::packet::{InterfaceId, Timestamp};
use crate::tcp::event::{Change, ConnId, Peers, Side, StreamEvent};

fn dialogue(entry: Value) -> Result<Dialogue, NotRead> {
    Dialogue::of(&serde_json::from_value(entry).map_err(|_| NotRead::Malformed)?, 0)
}

fn text(part: &Part) -> String {
    String::from_utf8_lossy(&part.bytes).into_owned()
}

/// What Chrome writes of a request on HTTP/2.
fn of_chrome() -> Value {
    json!({
        "_initiator": {"type": "script"}, "_priority": "High", "_resourceType": "fetch", "cache": {},
        "connection": "52344", "pageref": "page_1",
        "request": {
            "method": "POST", "url": "https://shop.example/api/cart?x=1#top", "httpVersion": "h2",
            "headers": [
                {"name": ":authority", "value": "shop.example"}, {"name": ":method", "value": "POST"},
                {"name": "content-length", "value": "7"}, {"name": "content-type", "value": "application/json"}
            ],
            "queryString": [{"name": "x", "value": "1"}], "cookies": [], "headersSize": -1, "bodySize": 7,
            "postData": {"mimeType": "application/json", "text": "{\"a\":1}"}
        },
        "response": {
            "status": 201, "statusText": "", "httpVersion": "h2",
            "headers": [{"name": "content-type", "value": "text/plain"}, {"name": "set-cookie", "value": "a=1\nb=2"}],
            "cookies": [], "content": {"size": 5, "mimeType": "text/plain", "text": "hello"},
            "redirectURL": "", "headersSize": -1, "bodySize": -1, "_transferSize": 80, "_error": null
        },
        "serverIPAddress": "203.0.113.7", "startedDateTime": "2026-01-02T04:04:05.678+01:00", "time": 18.0,
        "timings": {"blocked": 2, "dns": -1, "connect": 3.5, "ssl": 3, "send": 0.5, "wait": 11, "receive": 1, "_blocked_queueing": 1}
    })
}

#[test]
fn an_entry_of_a_browser_is_a_request_and_a_response() {
    let dialogue = dialogue(of_chrome()).unwrap();
    assert_eq!(
        text(&dialogue.request),
        "POST /api/cart?x=1 HTTP/1.1\r\nHost: shop.example\r\ncontent-length: 7\r\n\
         content-type: application/json\r\n\r\n{\"a\":1}"
    );
    let response = dialogue.response.unwrap();
    assert_eq!(
        text(&response),
        "HTTP/1.1 201 \r\ncontent-type: text/plain\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n\
         Content-Length: 5\r\n\r\nhello"
    );
    // 03:04:05.678 in UTC, and what went before the request was sent.
    let asked = Timestamp::from_nanos(1_767_323_045_683_500_000);
    let times =
        [dialogue.request.started, dialogue.request.finished, response.started, response.finished];
    let spans = times.map(|time| time.since(asked));
    assert_eq!(spans, [0, 500, 11_500, 12_500].map(Duration::from_micros));
    assert_eq!(dialogue.ends.server.to_string(), "203.0.113.7:443");
    assert_eq!((dialogue.connection.as_deref(), dialogue.closes), (Some("52344"), false));
}

#[test]
fn framing_is_made_anew_and_stays_chunked_where_it_was() {
    let with = |request: Value, response: Value| {
        let mut entry = of_chrome();
        entry["request"]["headers"] = request;
        entry["response"]["headers"] = response;
        let dialogue = dialogue(entry).unwrap();
        (text(&dialogue.request), text(&dialogue.response.unwrap()))
    };
    let chunked = json!([{"name": "Transfer-Encoding", "value": "chunked"}]);
    let (request, response) = with(chunked.clone(), chunked);
    assert!(
        request.ends_with("Transfer-Encoding: chunked\r\n\r\n7\r\n{\"a\":1}\r\n0\r\n\r\n"),
        "{request}"
    );
    assert!(response.ends_with("chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), "{response}");
    let wrong = json!([{"name": "Content-Length", "value": "99"}, {"name": "content-length", "value": "1"},
        {"name": "Transfer-Encoding", "value": "gzip, chunked"}]);
    let (request, response) = with(wrong.clone(), wrong);
    assert!(request.ends_with("\r\nContent-Length: 7\r\n\r\n{\"a\":1}"), "{request}");
    assert!(response.ends_with("201 \r\nContent-Length: 5\r\n\r\nhello"), "{response}");
}

#[test]
fn responses_without_content_keep_their_fields() {
    let mut entry = of_chrome();
    entry["request"]["method"] = "HEAD".into();
    entry["request"].as_object_mut().unwrap().remove("postData");
    entry["request"]["bodySize"] = 0.into();
    entry["request"]["headers"] = json!([]);
    entry["response"]["headers"] = json!([{"name": "content-length", "value": "99"}]);
    let dialogue = dialogue(entry).unwrap();
    assert_eq!(
        text(&dialogue.request),
        "HEAD /api/cart?x=1 HTTP/1.1\r\nHost: shop.example\r\n\r\n"
    );
    assert_eq!(text(&dialogue.response.unwrap()), "HTTP/1.1 201 \r\ncontent-length: 99\r\n\r\n");
}

#[test]
fn a_target_of_its_own_has_a_byte_for_each_character() {
    let line = |target: &str| {
        let mut entry = of_chrome();
        entry["request"]["_target"] = target.into();
        dialogue(entry).map(|dialogue| text(&dialogue.request).lines().next().unwrap().to_owned())
    };
    assert_eq!(line("*").as_deref(), Ok("POST * HTTP/1.1"));
    assert_eq!(line("/\u{c3}\u{bc}").as_deref(), Ok("POST /ü HTTP/1.1"));
    for wrong in ["", "/a b", "/\u{20ac}", "/\r\nX: y", "/\u{7f}"] {
        assert_eq!(line(wrong), Err(NotRead::BadField), "{wrong:?}");
    }
}

#[test]
fn a_body_that_the_file_does_not_hold_is_a_gap() {
    let mut entry = of_chrome();
    entry["response"]["content"] =
        json!({"size": 500, "mimeType": "video/mp4", "comment": "Response body is not included."});
    entry["response"]["bodySize"] = 300.into();
    let response = dialogue(entry).unwrap().response.unwrap();
    assert!(text(&response).ends_with("Content-Length: 300\r\n\r\n"));
    assert_eq!(response.missing, Some(300));
}

#[test]
fn entries_that_no_server_saw_are_told_apart() {
    let changed = |path: &str, value: Value| {
        let mut entry = of_chrome();
        *entry.pointer_mut(path).unwrap() = value;
        dialogue(entry).map(|dialogue| dialogue.response.is_some())
    };
    assert_eq!(changed("/request/url", "data:text/css,a".into()), Err(NotRead::NotHttp));
    assert_eq!(changed("/request/url", "wss://shop.example/".into()), Err(NotRead::NotHttp));
    assert_eq!(changed("/request/method", "".into()), Err(NotRead::Malformed));
    assert_eq!(changed("/request/method", "GE T".into()), Err(NotRead::BadField));
    assert_eq!(changed("/startedDateTime", "2026-01-02T03:04:05".into()), Err(NotRead::BadTime));
    assert_eq!(changed("/startedDateTime", 7.into()), Err(NotRead::Malformed));
    assert_eq!(changed("/response/status", 0.into()), Ok(false));
    assert_eq!(changed("/response/status", "200".into()), Ok(true));
    assert_eq!(changed("/response", Value::Null), Ok(false));
    let mut cached = of_chrome();
    cached["_fromCache"] = "disk".into();
    assert_eq!(dialogue(cached).unwrap_err(), NotRead::FromCache);
}

/// The requests and responses that the `http` stage finds in what was said.
fn read(dialogue: &Dialogue) -> Vec<Exchange> {
    let keep = BodyKeep::Keep(KeepLimits::default());
    let mut http = HttpTable::new(HttpOptions {
        request_body: keep,
        response_body: keep,
        ..HttpOptions::default()
    });
    let mut out = Vec::new();
    let conn = ConnId { slot: 0, serial: 0 };
    let Ends { client, server } = dialogue.ends;
    let peers = Peers { client, server, interface: InterfaceId(0) };
    let mut push =
        |change| http.push(StreamEvent { conn, at: Timestamp::default(), change }, &mut out);
    push(Change::Opened { peers: peers.into(), midstream: false });
    let sides =
        [(Side::Client, Some(&dialogue.request)), (Side::Server, dialogue.response.as_ref())];
    for (side, part) in sides.into_iter().filter_map(|(side, part)| Some((side, part?))) {
        push(Change::Data(side, part.bytes.clone().into()));
        if let Some(missing) = part.missing {
            push(Change::Gap(side, missing));
        }
    }
    push(Change::Closed(crate::tcp::event::CloseReason::Fin));
    out
}

proptest! {
    /// Whatever the strings of a file hold, an entry is one request and one response: a line of one cannot become another.
    #[test]
    fn no_entry_becomes_two_messages(
        method in "GET|POST|HEAD|PUT|[A-Z \r\n]{1,8}",
        path in "[a-z/?#%\r\n ü\u{0}]{0,12}",
        name in "[a-zA-Z-]{1,12}|Content-Length|Transfer-Encoding|Content-Encoding|Connection|[a-z: \r\n]{0,6}",
        value in "chunked|gzip|[0-9]{1,3}|close|[ -~\r\n\u{0}é]{0,20}",
        body in prop::option::of("[ -~\r\n]{0,40}"),
        status in 0..700_u16,
        sizes in (-1_i64..50, -1_i64..50),
    ) {
        let headers = json!([{"name": name, "value": value}, {"name": name, "value": value}]);
        let entry = json!({
            "startedDateTime": "2026-01-02T03:04:05Z", "time": 1,
            "request": {"method": method, "url": format!("http://a/{path}"), "headers": headers, "bodySize": sizes.0,
                "postData": body.as_ref().map(|text| json!({"mimeType": "text/plain", "text": text}))},
            "response": {"status": status, "headers": headers, "bodySize": sizes.1, "content": {"size": sizes.1, "text": body}},
        });
        if let Ok(dialogue) = dialogue(entry) {
            let exchanges = read(&dialogue);
            let ended: Vec<_> = exchanges.iter().filter(|exchange| exchange.moment == Moment::Ended).collect();
            let requests = ended.iter().filter(|exchange| exchange.request.is_some()).count();
            let responses = ended.iter().filter(|exchange| exchange.response.is_some()).count();
            prop_assert!(requests <= 1 && responses <= 1, "{exchanges:?}");
        }
    }
}

fn entry_at(time: &str, path: &str) -> String {
    let mut entry = of_chrome();
    entry["startedDateTime"] = time.into();
    entry["request"]["url"] = format!("http://a/{path}").into();
    entry.to_string()
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::with_suffix(".har").unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

/// The request lines that a reader gives, and what else came.
fn lines(reader: &mut Reader) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        lines.push(match reader.read() {
            Outcome::Dialogue(dialogue, file) => {
                format!("{} {file}", text(&dialogue.request).lines().next().unwrap())
            }
            Outcome::Dropped => "dropped".to_owned(),
            Outcome::Again(shift) => format!("again {shift:?}"),
            Outcome::End => return lines,
        });
    }
}

#[test]
fn entries_of_several_files_come_in_the_order_of_their_times() {
    let [a, b, c] = [("01", "a"), ("03", "c"), ("02", "b")]
        .map(|(second, path)| entry_at(&format!("2026-01-02T03:04:{second}Z"), path));
    let one = file(&format!("{{\"log\":{{\"version\":\"1.1\",\"entries\":[{b},{a},{{}},7]}}}}"));
    let two = file(&format!("\u{feff}{{\"log\":{{\"entries\":[{c}]}}}}"));
    let index = Index::of(&[one.path(), two.path()]).unwrap();
    let mut reader = Reader::new(index, 2);
    let pass = ["POST /a HTTP/1.1 0", "POST /b HTTP/1.1 1", "POST /c HTTP/1.1 0"];
    let expected: Vec<String> =
        [&pass[..], &["again 3.018s"], &pass[..]].concat().iter().map(|&s| s.into()).collect();
    assert_eq!(lines(&mut reader), expected);
    let account = reader.account();
    assert!(account.is_settled());
    assert_eq!((account.seen, account.delivered, account.dropped_for(NotRead::BadTime)), (8, 6, 2));
}

#[test]
fn a_file_that_is_cut_short_is_read_as_far_as_it_goes() {
    let entry = entry_at("2026-01-02T03:04:05Z", "a");
    let cut = file(&format!("{{\"log\":{{\"entries\":[{entry},{}", &entry[..entry.len() / 2]));
    let mut reader = Reader::new(Index::of(&[cut.path()]).unwrap(), 1);
    assert_eq!(lines(&mut reader).len(), 1);
    let warnings = reader.warnings();
    assert!(
        warnings[0].contains("cut short at byte") && warnings[0].contains("the 1 entries before"),
        "{warnings:?}"
    );
}

#[test]
fn what_is_no_har_is_refused_by_name() {
    for (text, problem) in [
        ("", "it is empty"),
        ("[]", "no JSON from byte 0 on, before its first entry; is it a HAR?"),
        ("{\"log\":{}}", "no HAR: it has no list log.entries"),
        ("{\"log\":{\"entries\":[", "cut short at byte 19, before its first entry"),
        ("{\0\"\0", "its text is not UTF-8"),
    ] {
        let file = file(text);
        let error = format!("{:#}", Index::of(&[file.path()]).unwrap_err());
        assert!(
            error.contains(problem) && error.starts_with(file.path().to_str().unwrap()),
            "{error}"
        );
    }
    assert!(format!("{:#}", Index::of(&["/dev/null"]).unwrap_err()).contains("must be a file"));
}

#[test]
fn an_entry_that_is_too_long_costs_itself_alone() {
    let entry = entry_at("2026-01-02T03:04:05Z", "a");
    let long = format!("{{\"x\":\"{}\"}}", "x".repeat(MAX_ENTRY_BYTES as usize));
    let file = file(&format!("{{\"log\":{{\"entries\":[{long},{entry}]}}}}"));
    let mut reader = Reader::new(Index::of(&[file.path()]).unwrap(), 1);
    assert_eq!(lines(&mut reader).len(), 1);
    assert_eq!(reader.account().dropped_for(NotRead::TooLarge), 1);
}
