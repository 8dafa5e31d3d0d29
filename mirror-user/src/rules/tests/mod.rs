use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use super::host::HostPolicy;
use super::route::{Routes, Rule, TargetId};
use super::sample::Portion;
use super::select::{Match, PathKind, PathMatch};
use super::tag::{Ambiguous, Baggage, Marks, Mode, NotSent, Rest};
use super::trace::Trace;
use super::{Cleared, Noise, NotCleared, Rules, RulesChange};
use crate::http::message::{
    Body, BodyLength, ConnectionId, Exchange, ExchangeId, Flaw, Flaws, Head, HeaderLine,
    Incomplete, Kept, Message, Moment, StartLine, Version,
};
use crate::packet::{InterfaceId, Timestamp};
use crate::tcp::event::Peers;

mod body_mark;
mod target;

/// A request as the http room hands it over when its last byte was seen; what follows the empty
/// line is its body. Well-formed heads only.
pub(crate) fn asked(connection: u64, index: u32, wire: &[u8]) -> Exchange {
    let end = memchr::memmem::find(wire, b"\r\n\r\n").expect("an empty line") + 4;
    let (head, body) = wire.split_at(end);
    Exchange {
        id: ExchangeId { connection: ConnectionId::local(connection), index },
        moment: Moment::Asked,
        peers: Arc::new(Peers {
            client: ([10, 0, 0, 2], 40_312).into(),
            server: ([10, 0, 0, 1], 8080).into(),
            interface: InterfaceId(0),
        }),
        proxied_client: None,
        request: Some(Arc::new(Message {
            started: Timestamp::from_nanos(0),
            finished: Timestamp::from_nanos(0),
            head: read_head(head),
            body: read_body(head, body),
            incomplete: None,
            flaws: Flaws::default(),
        })),
        response: None,
    }
}

/// The same exchange with its request changed.
pub(crate) fn with(mut exchange: Exchange, change: impl FnOnce(&mut Message)) -> Exchange {
    let mut request = exchange.request.take().map_or_else(|| unreachable!(), Arc::unwrap_or_clone);
    change(&mut request);
    exchange.request = Some(Arc::new(request));
    exchange
}

pub(crate) fn cleared(exchange: Exchange) -> Cleared {
    Rules::default().clear(exchange).expect("it may leave")
}

fn range(start: usize, end: usize) -> Range<u32> {
    u32::try_from(start).unwrap()..u32::try_from(end).unwrap()
}

fn read_head(raw: &[u8]) -> Head {
    let line_end = |from: usize| from + memchr::memmem::find(&raw[from..], b"\r\n").unwrap();
    let first = line_end(0);
    let space = memchr::memchr(b' ', raw).unwrap();
    let last = memchr::memrchr(b' ', &raw[..first]).unwrap();
    let mut headers = Vec::new();
    let mut at = first + 2;
    while at + 2 < raw.len() {
        let end = line_end(at);
        let colon = at + memchr::memchr(b':', &raw[at..end]).unwrap();
        let value = raw[colon + 1..end].trim_ascii();
        let lead = raw[colon + 1..end].len() - raw[colon + 1..end].trim_ascii_start().len();
        let start = colon + 1 + if value.is_empty() { 0 } else { lead };
        headers.push(HeaderLine {
            name: range(at, colon),
            value: range(start, start + value.len()),
            line: range(at, end + 2),
        });
        at = end + 2;
    }
    Head {
        raw: Bytes::copy_from_slice(raw),
        start: StartLine::Request {
            method: range(0, space),
            target: range(space + 1, last),
            version: Version::http1(raw[first - 1] - b'0'),
        },
        headers,
    }
}

fn read_body(head: &[u8], body: &[u8]) -> Body {
    let chunked = memchr::memmem::find(head, b"chunked").is_some();
    let length = body.len() as u64;
    Body {
        framing: match length {
            0 => BodyLength::None,
            _ if chunked => BodyLength::Chunked,
            _ => BodyLength::Length(length),
        },
        length,
        wire: if body.is_empty() {
            Kept::Nothing
        } else {
            Kept::Memory(Bytes::copy_from_slice(body))
        },
        ..Body::default()
    }
}

fn host(policy: &HostPolicy, host: &str) -> String {
    let mut out = Vec::new();
    policy.apply(host.as_bytes(), "staging:8080", &mut out);
    String::from_utf8(out).unwrap()
}

fn marks() -> Marks {
    Marks { run: "r1".into(), ..Marks::default() }
}

fn sent(marks: &Marks, wire: &str) -> String {
    let shadow = cleared(asked(7, 2, wire.as_bytes())).shadow_request(marks, "staging:8080");
    String::from_utf8(shadow.expect("it is sent").front.to_vec()).unwrap()
}

const OUR_LINES: &str =
    "X-Shadow-Request: 1\r\nX-Shadow-Id: r1-7-2\r\nbaggage: synthetic_request=true\r\n";

#[test]
fn suffix_goes_where_envoy_puts_it() {
    let envoy = HostPolicy::Suffix { ip_literals: true };
    for (given, wanted) in [
        ("cluster1", "cluster1-shadow"),
        ("cluster1:8000", "cluster1-shadow:8000"),
        ("cluster1:80", "cluster1-shadow:80"),
        ("sni.lyft.com", "sni.lyft.com-shadow"),
        ("127.0.0.1:9", "127.0.0.1-shadow:9"),
        ("[::1]:9", "[::1]-shadow:9"),
        ("mirror.example.com", "mirror.example.com-shadow"),
        ("[::1]", "[::1]-shadow"),
        ("[2001:db8::1]:8443", "[2001:db8::1]-shadow:8443"),
        ("example.com.", "example.com.-shadow"),
        ("example.com.:80", "example.com.-shadow:80"),
        ("host:", "host-shadow:"),
        ("host:abc", "host-shadow:abc"),
        ("a:b:c", "a:b-shadow:c"),
        ("::1", ":-shadow:1"),
        ("fe80::1", "fe80:-shadow:1"),
        ("user@h:80", "user@h-shadow:80"),
        (":8080", "-shadow:8080"),
        ("EXAMPLE.com:80", "EXAMPLE.com-shadow:80"),
        ("", ""),
    ] {
        assert_eq!(host(&envoy, given), wanted, "{given}");
    }
}

#[test]
fn suffix_is_never_added_twice_nor_on_ip_literals_unless_asked() {
    let default = HostPolicy::default();
    for (given, wanted) in [
        ("svc-shadow:80", "svc-shadow:80"),
        ("svc-shadow", "svc-shadow"),
        ("svc", "svc-shadow"),
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1:9", "127.0.0.1:9"),
        ("[::1]", "[::1]"),
        ("[::1]:9", "[::1]:9"),
        ("::1", "::1"),
        ("fe80::1", "fe80::1"),
        ("1.2.3.example", "1.2.3.example-shadow"),
    ] {
        assert_eq!(host(&default, given), wanted, "{given}");
    }
}

#[test]
fn host_is_kept_or_replaced_when_asked() {
    assert_eq!(host(&HostPolicy::Keep, "cluster2"), "cluster2");
    assert_eq!(host(&HostPolicy::Target, "cluster2:80"), "staging:8080");
    assert_eq!(host(&HostPolicy::Name("other".into()), "cluster2:80"), "other");
}

#[test]
fn order_case_and_odd_bytes_survive() {
    let wire = b"GeT /a?b=%zz\xff HTTP/1.1\r\nhOsT:  shop:80 \r\nX-Odd:\tobs\xff\x80\t\r\nA:1\r\nEmpty:\r\n\
        Cookie: a\r\nCookie: b\r\n\r\n";
    let shadow = cleared(asked(7, 2, wire)).shadow_request(&marks(), "t").unwrap();
    let wanted = [
        &b"GeT /a?b=%zz\xff HTTP/1.1\r\nhOsT:  shop-shadow:80 \r\nX-Odd:\tobs\xff\x80\t\r\nA:1\r\nEmpty:\r\n\
        Cookie: a\r\nCookie: b\r\n"[..],
        OUR_LINES.as_bytes(),
        b"\r\n",
    ]
    .concat();
    assert_eq!(shadow.front.escape_ascii().to_string(), wanted.escape_ascii().to_string());
}

#[test]
fn hop_by_hop_lines_are_dropped_but_never_what_frames_the_request() {
    let sent = sent(
        &marks(),
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: close, X-Hop, content-length, host\r\nX-Hop: 1\r\n\
         Keep-Alive: 5\r\nProxy-Connection: x\r\nTE: trailers\r\nExpect: 100-continue\r\n\
         Content-Length: 3\r\nUpgrade: h2c\r\nX-Stays: 1\r\n\r\nabc",
    );
    let wanted = format!(
        "POST / HTTP/1.1\r\nHost: a-shadow\r\nContent-Length: 3\r\nX-Stays: 1\r\n{OUR_LINES}\r\nabc"
    );
    assert_eq!(sent, wanted);
}

#[test]
fn absolute_form_target_gets_the_mark_too() {
    let sent =
        sent(&marks(), "GET http://me@shop:80/a?u=http://x HTTP/1.1\r\nHost: shop:80\r\n\r\n");
    assert!(sent.starts_with(
        "GET http://me@shop-shadow:80/a?u=http://x HTTP/1.1\r\nHost: shop-shadow:80\r\n"
    ));
}

#[test]
fn url_in_a_path_or_query_is_left_alone() {
    for target in ["/go?to=http://shop/", "*", "a/b?c=http://shop", "/http://shop"] {
        let sent = sent(&marks(), &format!("OPTIONS {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert!(sent.starts_with(&format!("OPTIONS {target} HTTP/1.1\r\n")), "{sent}");
    }
}

#[test]
fn our_member_joins_the_last_baggage_line() {
    for (given, wanted) in [
        ("baggage: a=1\r\n", "baggage: a=1,synthetic_request=true\r\n"),
        (
            "Baggage: a\r\nbaggage: b=2 \r\n",
            "Baggage: a\r\nbaggage: b=2,synthetic_request=true \r\n",
        ),
        ("baggage:\r\n", "baggage:synthetic_request=true\r\n"),
        ("baggage: synthetic_request=true;x=1,b=2\r\n", "baggage: synthetic_request=true,b=2\r\n"),
        ("baggage: a=1, synthetic_request=false\r\n", "baggage: a=1,synthetic_request=true\r\n"),
    ] {
        let sent = sent(&marks(), &format!("GET / HTTP/1.1\r\nHost: a\r\n{given}\r\n"));
        let ours = "X-Shadow-Request: 1\r\nX-Shadow-Id: r1-7-2\r\n";
        assert_eq!(sent, format!("GET / HTTP/1.1\r\nHost: a-shadow\r\n{wanted}{ours}\r\n"));
    }
}

#[test]
fn equal_lengths_are_sent_once() {
    for lengths in ["Content-Length: 3\r\ncontent-length: 3\r\n", "Content-Length: 3, 3\r\n"] {
        let sent = sent(&marks(), &format!("POST / HTTP/1.1\r\nHost: a\r\n{lengths}\r\nabc"));
        let wanted =
            format!("POST / HTTP/1.1\r\nHost: a-shadow\r\nContent-Length: 3\r\n{OUR_LINES}\r\nabc");
        assert_eq!(sent, wanted);
    }
}

#[test]
fn chunked_body_goes_out_with_its_extensions_and_trailers() {
    let body = "3;x=y\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n";
    let sent = sent(
        &marks(),
        &format!(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n{body}"
        ),
    );
    assert!(sent.contains("Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n"));
    assert!(sent.ends_with(&format!("\r\n\r\n{body}")));
}

#[test]
fn long_body_is_not_copied() {
    let body = Bytes::from(vec![b'x'; 100_000]);
    let exchange =
        with(asked(1, 0, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"), |m| {
            m.body.framing = BodyLength::Length(100_000);
            m.body.wire = Kept::Memory(body.clone());
        });
    let shadow = cleared(exchange).shadow_request(&marks(), "t").unwrap();
    let Rest::Memory(rest) = shadow.rest else { panic!("{:?}", shadow.rest) };
    assert_eq!(rest.as_ptr(), body.as_ptr());
}

#[test]
fn request_without_host_stays_without() {
    let wire = b"GET / HTTP/1.0\r\nA: 1\r\n\r\n";
    let shadow = cleared(asked(7, 2, wire)).shadow_request(&marks(), "t").unwrap();
    assert!(shadow.host_missing && shadow.is_last);
    assert_eq!(shadow.front, format!("GET / HTTP/1.0\r\nA: 1\r\n{OUR_LINES}\r\n").as_bytes());
}

#[test]
fn request_line_alone_is_marked_too() {
    assert_eq!(
        sent(&marks(), "GET / HTTP/1.0\r\n\r\n"),
        format!("GET / HTTP/1.0\r\n{OUR_LINES}\r\n")
    );
}

#[test]
fn rollback_mode_says_so_and_strangers_claims_are_dropped() {
    let marks = Marks { mode: Mode::Rollback, ..marks() };
    let sent = sent(
        &marks,
        "GET / HTTP/1.1\r\nHost: a\r\nX-Shadow-Mode: replay\r\nx-shadow-id: 5\r\n\r\n",
    );
    assert_eq!(
        sent,
        "GET / HTTP/1.1\r\nHost: a-shadow\r\nX-Shadow-Request: 1\r\nX-Shadow-Id: r1-7-2\r\n\
         X-Shadow-Mode: rollback\r\nbaggage: synthetic_request=true\r\n\r\n"
    );
}

#[test]
fn a_shadow_is_never_cleared_again_at_either_moment() {
    let mut exchange = asked(1, 0, b"GET / HTTP/1.1\r\nHost: a\r\nx-shadow-REQUEST: 0\r\n\r\n");
    assert_eq!(Rules::default().clear(exchange.clone()).unwrap_err(), NotCleared::AlreadyShadow);
    exchange.moment = Moment::Ended;
    assert_eq!(Rules::default().clear(exchange).unwrap_err(), NotCleared::AlreadyShadow);
}

#[test]
fn a_probe_is_never_cleared_at_either_moment() {
    for agent in ["kube-probe/1.31", "ELB-HealthChecker/2.0", "googlehc/1.0", "Envoy/HC"] {
        let probe = format!("GET / HTTP/1.1\r\nHost: a\r\nuser-agent: {agent}\r\n\r\n");
        let mut exchange = asked(1, 0, probe.as_bytes());
        assert_eq!(Rules::for_targets().clear(exchange.clone()).unwrap_err(), NotCleared::Probe);
        assert!(Rules::for_reports().clear(exchange.clone()).is_ok());
        let mut keep = Rules { probes: Noise::Keep, ..Rules::for_targets() };
        assert!(keep.clear(exchange.clone()).is_ok());
        exchange.moment = Moment::Ended;
        assert_eq!(Rules::for_targets().clear(exchange).unwrap_err(), NotCleared::Probe);
    }
    for agent in ["curl/8 (like kube-probe/1)", "kube-prober", ""] {
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\nuser-agent: {agent}\r\n\r\n");
        assert!(Rules::for_targets().clear(asked(1, 0, request.as_bytes())).is_ok(), "{agent}");
    }
}

#[test]
fn a_retry_leaves_only_when_asked() {
    let attempt = |connection, n: u8| {
        let head = "GET / HTTP/1.1\r\nHost: a\r\nx-request-id: 7\r\nx-envoy-attempt-count: ";
        asked(connection, 0, format!("{head}{n}\r\n\r\n").as_bytes())
    };
    let mut rules = Rules::for_targets();
    assert!(rules.clear(attempt(1, 1)).is_ok());
    assert_eq!(rules.clear(attempt(2, 2)).unwrap_err(), NotCleared::Retry);
    let mut rules = Rules { retries: Noise::Keep, ..Rules::for_targets() };
    assert!(rules.clear(attempt(1, 1)).is_ok());
    assert!(rules.clear(attempt(2, 2)).is_ok());
}

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn traced(trace: Trace, lines: &str) -> String {
    let sent = sent(
        &Marks { trace, host: HostPolicy::Keep, ..marks() },
        &format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n"),
    );
    let captured = sent.strip_prefix("GET / HTTP/1.1\r\nHost: a\r\n").expect("the captured lines");
    captured.strip_suffix(&format!("{OUR_LINES}\r\n")).expect("our lines").to_owned()
}

#[test]
fn a_shadow_has_a_trace_of_its_own_that_names_the_captured_one() {
    let lines = format!("Traceparent: {TRACE}\r\nx: 1\r\ntracestate: vendor=a\r\n");
    let new = traced(Trace::default(), &lines);
    let (own, rest) = new.split_once("\r\n").expect("a line");
    assert_eq!(rest, format!("X-Shadow-Traceparent: {TRACE}\r\nx: 1\r\n"));
    let own = own.strip_prefix("Traceparent: 00-").expect("the captured name");
    assert!(own.ends_with("-01") && own.len() == TRACE.len() - 3, "{own}");
    assert!(!own.contains("0af7651916cd43dd8448eb211c80319c"), "{own}");
    assert_eq!(traced(Trace::Keep, &lines), lines);
    assert_eq!(traced(Trace::Off, &lines), "x: 1\r\n");
}

#[test]
fn a_trace_that_cannot_be_read_is_not_passed_on() {
    let twice = format!("traceparent: {TRACE}\r\ntraceparent: {TRACE}\r\ntracestate: a=b\r\n");
    for lines in ["traceparent: 00-0-0-00\r\ntracestate: a=b\r\n", &twice, "tracestate: a=b\r\n"] {
        assert_eq!(traced(Trace::default(), lines), "", "{lines}");
        assert_eq!(traced(Trace::Keep, lines), lines);
    }
    assert_eq!(traced(Trace::default(), "x-shadow-traceparent: 1\r\n"), "", "a stranger's claim");
}

#[test]
fn baggage_can_be_kept_as_captured() {
    let marks = Marks { baggage: Baggage::Keep, ..marks() };
    for lines in ["", "baggage: a=1\r\n"] {
        let wire = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
        let wanted = format!(
            "GET / HTTP/1.1\r\nHost: a-shadow\r\n{lines}\
             X-Shadow-Request: 1\r\nX-Shadow-Id: r1-7-2\r\n\r\n"
        );
        assert_eq!(sent(&marks, &wire), wanted);
    }
}

#[test]
fn what_cannot_be_replayed_is_refused_by_name() {
    let get = || asked(1, 0, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut answer_only = get();
    answer_only.request = None;
    for (exchange, why) in [
        (answer_only, NotSent::NoRequest),
        (with(get(), |m| m.incomplete = Some(Incomplete::Gap)), NotSent::Incomplete),
        (with(get(), |m| m.flaws = [Flaw::ConflictingLengths].into()), NotSent::Ambiguous),
        (asked(1, 0, b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n"), NotSent::Tunnel),
        (
            asked(
                1,
                0,
                b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
            ),
            NotSent::Tunnel,
        ),
        (with(get(), |m| m.body.wire = Kept::TooLarge), NotSent::BodyTooLarge),
        (with(get(), |m| m.body.framing = BodyLength::Length(3)), NotSent::BodyNotKept),
    ] {
        assert_eq!(cleared(exchange).shadow_request(&marks(), "t").unwrap_err(), why);
    }
}

#[test]
fn ambiguous_framing_is_sent_as_it_came_when_asked() {
    let marks = Marks { ambiguous: Ambiguous::Send, ..marks() };
    let lines = "Content-Length: 3\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n";
    let wire = format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n0\r\n\r\n");
    let exchange =
        with(asked(7, 2, wire.as_bytes()), |m| m.flaws = [Flaw::LengthAndTransferEncoding].into());
    let shadow = cleared(exchange).shadow_request(&marks, "t").unwrap();
    let wanted = format!("POST / HTTP/1.1\r\nHost: a-shadow\r\n{lines}{OUR_LINES}\r\n0\r\n\r\n");
    assert_eq!(shadow.front, wanted.as_bytes());
    assert!(shadow.is_last);
}

proptest! {
    #[test]
    fn any_host_is_marked_once(name in "[ -~]{0,40}") {
        for policy in [HostPolicy::default(), HostPolicy::Suffix { ip_literals: true }] {
            let once = host(&policy, &name);
            prop_assert!(once.len() == name.len() || once.len() == name.len() + "-shadow".len());
        }
    }

    #[test]
    fn any_target_and_value_is_safe(
        target in "[!-~]{1,40}", name in "[!-9;-~]{1,20}", value in "[!-~]{0,40}",
    ) {
        let wire = format!("GET {target} HTTP/1.1\r\nHost: a\r\n{name}: {value}\r\n\r\n");
        let cleared = Rules::default().clear(asked(0, 0, wire.as_bytes()));
        if let Some(Ok(shadow)) = cleared.ok().map(|c| c.shadow_request(&marks(), "t")) {
            prop_assert!(shadow.front.ends_with(b"\r\n\r\n"));
        }
    }
}

#[test]
fn an_exchange_stays_judged_as_it_was_when_it_was_asked() {
    let rule = |path: &str| Rule {
        name: path.into(),
        matches: vec![Match {
            path: Some(PathMatch { kind: PathKind::Exact(path.to_owned()), ignore_case: false }),
            ..Match::default()
        }],
        targets: vec![(TargetId::new(0).unwrap(), Portion::ALL)],
        ..Rule::default()
    };
    let routes = |path: &str| Routes::new(vec![rule(path)], 1);
    let mut rules = Rules { routes: Some(routes("/a")), ..Rules::for_reports() };
    rules.remember_open(true);
    let exchange = |connection: u64, path: &str| {
        asked(connection, 0, format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes())
    };
    let ended = |exchange: Exchange| Exchange { moment: Moment::Ended, ..exchange };
    let answered =
        |exchange: Exchange| Exchange { moment: Moment::Interim, request: None, ..exchange };
    assert!(rules.clear(exchange(1, "/a")).is_ok());
    assert_eq!(rules.clear(exchange(2, "/b")).err(), Some(NotCleared::NotMatched));
    let (probes, retries) = (Noise::Keep, Noise::Keep);
    rules.change(RulesChange { probes, retries, redactor: None, routes: routes("/b") });
    assert!(rules.clear(answered(exchange(1, "/a"))).is_ok(), "what comes in between, too");
    assert!(rules.clear(ended(exchange(1, "/a"))).is_ok());
    assert_eq!(rules.clear(ended(exchange(2, "/b"))).err(), Some(NotCleared::NotMatched));
    assert!(rules.clear(exchange(3, "/b")).is_ok());
    assert_eq!(rules.clear(exchange(4, "/a")).err(), Some(NotCleared::NotMatched));
}
