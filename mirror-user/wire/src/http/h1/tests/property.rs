//! Any cutting gives the same exchanges; no input panics or loops.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::talk::{Talk, everything};
use crate::http::HttpOptions;
use crate::http::h1::fields;
use crate::http::h1::head::{self, Outcome};
use crate::http::message::{Exchange, Message, StartLine};
use crate::http::slots::CONN_BYTES;
use crate::tcp::event::{CloseReason, Side};

/// A request and its response, as whole as they are on the wire.
#[derive(Clone, Debug)]
struct Turn {
    request: Vec<u8>,
    response: Vec<u8>,
}

fn body() -> impl Strategy<Value = (String, Vec<u8>)> {
    let content = vec(any::<u8>(), 0..200);
    prop_oneof![
        Just(("\r\n".to_owned(), Vec::new())),
        content
            .clone()
            .prop_map(|bytes| (format!("Content-Length: {}\r\n\r\n", bytes.len()), bytes)),
        (vec(vec(any::<u8>(), 1..50), 0..5), any::<bool>()).prop_map(|(chunks, trailer)| {
            let mut wire = Vec::new();
            for chunk in chunks {
                wire.extend(format!("{:x};e=\"f\"\r\n", chunk.len()).into_bytes());
                wire.extend(chunk);
                wire.extend(b"\r\n");
            }
            wire.extend(b"0\r\n");
            wire.extend(if trailer { b"X-Sum: 1\r\n".as_slice() } else { b"" });
            wire.extend(b"\r\n");
            ("Transfer-Encoding: gzip, chunked\r\n\r\n".to_owned(), wire)
        }),
    ]
}

fn turn() -> impl Strategy<Value = Turn> {
    let fields = vec("[A-Za-z-]{1,10}X: [ -~]{0,20}", 0..4);
    let method = prop_oneof![Just("GET"), Just("POST"), Just("HEAD"), Just("PURGE")];
    (method, "/[a-z?=%]{0,12}", fields, body(), body(), 200..600_u16, any::<bool>()).prop_map(
        |(method, target, fields, (lines, content), (answer_lines, answer), code, interim)| {
            let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
            let mut request =
                format!("{method} {target} HTTP/1.1\r\nHost: a.test\r\n{fields}{lines}")
                    .into_bytes();
            request.extend(content);
            let mut response = Vec::new();
            if interim {
                response.extend(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
            }
            // A response without a length would run to the end of the connection.
            let lines =
                if answer_lines == "\r\n" { "Content-Length: 0\r\n\r\n" } else { &answer_lines };
            response.extend(format!("HTTP/1.1 {code} Fine\r\n{lines}").into_bytes());
            if method != "HEAD" && !matches!(code, 204 | 304) {
                response.extend(answer);
            }
            Turn { request, response }
        },
    )
}

/// Cuts bytes at the given places.
fn pieces<'a>(bytes: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    at.push(bytes.len());
    at.sort_unstable();
    let mut start = 0;
    at.into_iter().map(|end| &bytes[std::mem::replace(&mut start, end)..end]).collect()
}

/// Everything of an exchange but its times.
fn reported(exchange: &Exchange) -> String {
    let message = |message: &Message| {
        let Message { head, body, incomplete, flaws, .. } = message;
        format!("{head:?} {body:?} {incomplete:?} {flaws:?}")
    };
    let [request, response] =
        [&exchange.request, &exchange.response].map(|m| m.as_deref().map(message));
    format!("{} {:?} {request:?} {response:?}", exchange.id, exchange.moment)
}

fn converse(turns: &[Turn], cuts: &[Index]) -> Talk {
    let mut talk = Talk::new();
    for turn in turns {
        for piece in pieces(&turn.request, cuts) {
            talk.client(piece);
        }
        for piece in pieces(&turn.response, cuts) {
            talk.server(piece);
        }
    }
    talk.closed(CloseReason::Fin);
    talk
}

/// Events of any kind and content; the content looks like HTTP often enough.
fn noise() -> impl Strategy<Value = Vec<(u8, Vec<u8>)>> {
    let scrap = prop_oneof![
        Just(b"GET / HTTP/1.1\r\n".to_vec()),
        Just(b"HTTP/1.1 200 OK\r\n".to_vec()),
        Just(b"HTTP/1.1 101 Up\r\n\r\n".to_vec()),
        Just(b"Transfer-Encoding: chunked\r\n".to_vec()),
        Just(b"Content-Length: 7\r\n".to_vec()),
        Just(b"Connection: upgrade\r\nUpgrade: x\r\n".to_vec()),
        Just(b"Connection: close\r\n".to_vec()),
        Just(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 7\r\n\r\n".to_vec()),
        Just(b"HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n".to_vec()),
        Just(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec()),
        Just(b"PROXY UNKNOWN\r\n".to_vec()),
        Just(b"\r\n\r\n\0\r\nQUIT\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"5\r\nhello\r\n".to_vec()),
        Just(b"0\r\n\r\n".to_vec()),
        vec(any::<u8>(), 0..20),
    ];
    let bytes = vec(scrap, 0..6).prop_map(|scraps| scraps.concat());
    vec((0..9_u8, bytes), 0..30)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_cutting_of_a_conversation_gives_the_same_exchanges(
        turns in vec(turn(), 1..5),
        cuts in vec(any::<Index>(), 0..12),
    ) {
        let whole = converse(&turns, &[]);
        let cut = converse(&turns, &cuts);
        prop_assert_eq!(whole.moment(crate::http::message::Moment::Ended).len(), turns.len());
        prop_assert!(whole.table.stats().paired == turns.len() as u64);
        let tell = |talk: &Talk| talk.out.iter().map(reported).collect::<Vec<_>>();
        prop_assert_eq!(tell(&whole), tell(&cut));
    }

    #[test]
    fn pipelining_gives_the_same_pairs(turns in vec(turn(), 1..5), cuts in vec(any::<Index>(), 0..9)) {
        let all = |part: fn(&Turn) -> &[u8]| turns.iter().flat_map(part).copied().collect::<Vec<_>>();
        let mut piped = Talk::new();
        for piece in pieces(&all(|turn| &turn.request), &cuts) {
            piped.client(piece);
        }
        for piece in pieces(&all(|turn| &turn.response), &cuts) {
            piped.server(piece);
        }
        piped.closed(CloseReason::Fin);
        let ended = converse(&turns, &[]).ended();
        prop_assert_eq!(piped.ended(), ended);
    }

    #[test]
    fn a_gap_costs_at_most_the_messages_that_it_touches(
        turns in vec(turn(), 2..6),
        hit in any::<Index>(),
        from in any::<Index>(),
        to in any::<Index>(),
        server in any::<bool>(),
    ) {
        let hit = hit.index(turns.len());
        let mut talk = Talk::new();
        for (i, turn) in turns.iter().enumerate() {
            for (side, bytes) in [(Side::Client, &turn.request), (Side::Server, &turn.response)] {
                if i != hit || server != (side == Side::Server) {
                    talk.data(side, bytes);
                    continue;
                }
                let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
                let (from, to) = (from.min(to), from.max(to) + 1);
                talk.data(side, &bytes[..from]).gap(side, (to - from) as u64);
                talk.data(side, &bytes[to..]);
            }
        }
        talk.closed(CloseReason::Fin);
        let all = converse(&turns, &[]).ended();
        let ended = talk.ended();
        for (i, pair) in all.iter().enumerate() {
            // What was hit may take a body's bytes for the next start, never another's pair.
            if i != hit {
                prop_assert!(ended.contains(pair), "{} is missing in {:?}", pair, ended);
            }
        }
    }

    #[test]
    fn no_input_panics_and_every_byte_is_counted(
        noise in noise(),
        midstream in any::<bool>(),
        heads in any::<bool>(),
        most in 0..20_000_u64,
    ) {
        // Some of them have no space for the connection.
        let max_held = most + CONN_BYTES / 2;
        let options = HttpOptions { heads, max_held, max_waiting: 3, ..everything() };
        let mut talk = Talk::with(options, midstream);
        for (kind, bytes) in &noise {
            match kind {
                0..=3 => { talk.client(bytes); }
                4..=6 => { talk.server(bytes); }
                7 => { talk.gap(Side::Client, bytes.len() as u64); }
                _ => { talk.gap(Side::Server, bytes.len() as u64); }
            }
        }
        talk.closed(CloseReason::EndOfInput);
    }

    #[test]
    fn a_mutated_conversation_never_panics(
        turns in vec(turn(), 1..3),
        changes in vec((any::<Index>(), any::<u8>()), 1..5),
        cuts in vec(any::<Index>(), 0..5),
    ) {
        let mut turns = turns;
        for (at, byte) in changes {
            let nth = at.index(turns.len());
            let turn = &mut turns[nth];
            let bytes = if byte % 2 == 0 { &mut turn.request } else { &mut turn.response };
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        converse(&turns, &cuts);
    }

    #[test]
    fn both_ways_to_read_a_head_agree(turn in turn(), lf in any::<bool>()) {
        for (side, bytes) in [(Side::Client, turn.request), (Side::Server, turn.response)] {
            let end = head::find_end(&bytes, 0).unwrap();
            let mut raw = bytes[..end].to_vec();
            if lf {
                raw.retain(|&byte| byte != b'\r');
            }
            let (mut fast, mut slow) = (Vec::new(), Vec::new());
            let Outcome::Head(parsed) = head::parse(side, &raw, &mut fast) else { panic!() };
            let line = memchr::memchr(b'\n', &raw).unwrap() + 1;
            let flaws = fields::split(side, &raw, line, &mut slow);
            prop_assert_eq!(parsed.len, raw.len());
            prop_assert_eq!(fast, slow);
            prop_assert_eq!(parsed.facts.flaws, flaws);
            if let StartLine::Request { target, .. } = &parsed.start {
                prop_assert!(raw[target.start as usize..].starts_with(b"/"));
            }
        }
    }
}
