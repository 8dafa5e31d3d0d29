//! Every byte comes back, whatever is cut from a message or changed in it is told, and others can read it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use super::read::NotAnEnvelope;
use super::write::{NotPublishable, Outgoing, Place, Writer};
use super::{Content, Envelope, MAX_HEAD_BYTES, Report, read, report};
use crate::http::message::{Exchange, Incomplete, Kept, Message, Moment};
use crate::http::whole;
use crate::packet::Timestamp;
use crate::rules::Cleared;
use crate::rules::tests::{asked, cleared, with};

/// Messages of at least this many bytes are what a server takes unless it is told otherwise.
const LIMIT: usize = 1 << 20;

fn writer(limit: usize) -> Writer {
    Writer::new("00f1e2d3c4b5a697", "shop-7", true, limit)
}

fn parts(writer: &Writer, outgoing: &Outgoing, at: Place) -> Vec<Bytes> {
    let count = writer.parts(outgoing).unwrap();
    (0..count).map(|part| writer.part(outgoing, at, part).unwrap()).collect()
}

/// The body of an exchange's messages, put together again.
fn joined(messages: &[Bytes]) -> (Envelope, Vec<u8>) {
    let mut all = messages.iter().map(|message| read(message).unwrap());
    let first = all.next().unwrap();
    let mut body = match &first.content {
        Content::Request(request) => request.message.body.to_vec(),
        Content::Response(part) => part.body.to_vec(),
        other => panic!("{other:?}"),
    };
    for (number, next) in all.enumerate() {
        assert_eq!((next.part as usize, next.parts), (number + 1, first.parts));
        assert_eq!(next.place, first.place + number as u64 + 1);
        match next.content {
            Content::RequestBody(rest) | Content::ResponseBody(rest) => body.extend(rest),
            other => panic!("{other:?}"),
        }
    }
    (first, body)
}

fn post(body: &[u8]) -> Exchange {
    let head = format!(
        "POST /cart?x=%20 HTTP/1.1\r\nHOST: shop\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    asked(7, 3, &[head.as_bytes(), body].concat())
}

fn answered(wire: &'static [u8]) -> Cleared {
    let (head, body) = whole::response(&Bytes::from_static(wire), false).unwrap();
    let at = Timestamp::from_nanos(1_767_323_045_000_000_009);
    let message = Message {
        started: at,
        finished: at,
        head,
        body,
        incomplete: None,
        flaws: Default::default(),
    };
    let response = Some(Arc::new(message));
    cleared(Exchange { moment: Moment::Ended, response, ..post(b"a=1") })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_request_comes_back_byte_for_byte_in_however_many_parts(
        body in proptest::collection::vec(any::<u8>(), 0..200_000),
        limit in (MAX_HEAD_BYTES + 20_000)..400_000_usize,
        on_disk: bool,
        sequence: u64,
    ) {
        let exchange = with(post(&body), |request| {
            if on_disk && !body.is_empty() {
                let mut file = tempfile::tempfile().unwrap();
                file.write_all(&body).unwrap();
                request.body.wire = Kept::File(Arc::new(file.into()));
            }
        });
        let known = exchange.request.clone().unwrap();
        let outgoing = Outgoing::request(&cleared(exchange)).unwrap();
        let messages = parts(&writer(limit), &outgoing, Place { sequence, place: 5 });
        prop_assert!(messages.iter().all(|message| message.len() <= limit));
        let (first, again) = joined(&messages);
        prop_assert_eq!(again, body);
        prop_assert_eq!((first.sequence, first.place), (sequence, 5));
        let Content::Request(request) = first.content else { panic!("a request") };
        prop_assert_eq!(&request.message.head, &known.head.raw);
        prop_assert_eq!((request.connection, request.index), (7, 3));
        prop_assert_eq!(request.client.to_string(), "10.0.0.2:40312");
    }

    #[test]
    fn no_bytes_are_more_than_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&bytes.into());
    }

    #[test]
    fn a_changed_byte_never_makes_a_message_that_says_other_sizes(at: prop::sample::Index, to: u8) {
        let outgoing = Outgoing::request(&cleared(post(b"a=1&b=2"))).unwrap();
        let mut bytes = parts(&writer(LIMIT), &outgoing, Place::default()).concat();
        let place = at.index(bytes.len());
        bytes[place] = to;
        if let Ok(Envelope { content: Content::Request(request), parts: 1, .. }) = read(&bytes.into()) {
            let message = request.message;
            let is_there = message.why_no_body.is_empty();
            prop_assert!(!is_there || message.body.len() as u64 == message.wire_length);
        }
    }
}

#[test]
fn a_message_that_was_cut_is_refused_wherever() {
    let outgoing = Outgoing::request(&cleared(post(b"a=1&b=2"))).unwrap();
    let whole = parts(&writer(LIMIT), &outgoing, Place::default()).concat();
    for end in 0..whole.len() {
        let cut = Bytes::copy_from_slice(&whole[..end]);
        assert!(read(&cut).is_err(), "cut at {end}");
    }
}

#[test]
fn each_way_to_be_no_envelope_has_its_name() {
    use NotAnEnvelope::{BadPart, Damaged, ForgedSize, OtherVersion};
    let refused = |bytes: &[u8]| read(&Bytes::copy_from_slice(bytes)).unwrap_err();
    assert_eq!(refused(b""), Damaged);
    assert_eq!(refused(b"\x08\x02"), OtherVersion);
    assert_eq!(refused(b"\x08\x02\xff\xff\x03"), Damaged);
    // A run, and a part that is none.
    assert_eq!(refused(b"\x08\x01\x12\x01a"), BadPart);
    assert_eq!(refused(b"\x08\x01\x12\x01a\x38\x01"), Damaged);
    assert_eq!(refused(b"\x08\x01\x12\x02a \x38\x01"), Damaged);
    // A response that says to have more bytes than are there.
    let response = b"\x08\x01\x12\x01a\x38\x01\x4a\x05\x1a\x01x\x40\x07";
    assert_eq!(refused(response), ForgedSize);
}

#[test]
fn what_is_not_whole_is_not_published() {
    let refused = |change: fn(&mut Message)| {
        Outgoing::request(&cleared(with(post(b"a=1"), change))).unwrap_err()
    };
    let incomplete = refused(|request| request.incomplete = Some(Incomplete::Gap));
    assert_eq!(incomplete, NotPublishable::Incomplete);
    let too_large = refused(|request| request.body.wire = Kept::TooLarge);
    assert_eq!(too_large, NotPublishable::BodyTooLarge);
    let withheld = refused(|request| request.body.wire = Kept::Withheld("not_json"));
    assert_eq!(withheld, NotPublishable::Unredactable);
    let not_kept = refused(|request| request.body.wire = Kept::Nothing);
    assert_eq!(not_kept, NotPublishable::BodyNotKept);
    let long = |request: &mut Message| request.head.raw = vec![b'a'; MAX_HEAD_BYTES + 1].into();
    assert_eq!(refused(long), NotPublishable::HeadTooLarge);
}

#[test]
fn a_response_has_the_number_of_its_request_and_its_trailers() {
    let wire = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3;a=b\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n";
    let outgoing = Outgoing::response(&answered(wire)).unwrap();
    let at = Place { sequence: 12, place: 40 };
    let (first, body) = joined(&parts(&writer(LIMIT), &outgoing, at));
    assert_eq!((first.sequence, first.place), (12, 40));
    assert!(body.ends_with(b"3;a=b\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n"));
    let Content::Response(part) = first.content else { panic!("a response") };
    assert_eq!(part.head.as_ref(), &wire[..part.head.len()]);
}

#[test]
fn a_report_comes_back() {
    let dropped = vec![("broker_away".into(), 3), ("sampled".into(), 0)];
    let known =
        Report { time: Timestamp::from_nanos(9), seen: 10, published: 7, dropped, ended: true };
    let read = read(&report(&writer(LIMIT), &known)).unwrap();
    assert_eq!(read.content, Content::Report(known));
    assert_eq!(read.host, "shop-7");
}

/// What is checked in for readers in other languages.
fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/envelope")
}

fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let lines = digits.as_bytes().chunks(96).map(|line| std::str::from_utf8(line).unwrap());
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_vectors_are_what_is_written() {
    let request = with(post(b"a=1&b=2"), |request| {
        request.started = Timestamp::from_nanos(1_767_323_045_000_000_001);
        request.finished = Timestamp::from_nanos(1_767_323_045_000_000_002);
    });
    let request = Outgoing::request(&cleared(request)).unwrap();
    let response = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    let response = Outgoing::response(&answered(response)).unwrap();
    let at = Place { sequence: 41, place: 17 };
    let dropped = vec![("broker_away".into(), 3)];
    let figures =
        Report { time: Timestamp::from_nanos(9), seen: 10, published: 7, dropped, ended: true };
    for (name, bytes) in [
        ("request", parts(&writer(LIMIT), &request, at).concat()),
        ("response", parts(&writer(LIMIT), &response, at).concat()),
        ("report", report(&writer(LIMIT), &figures).to_vec()),
    ] {
        let file = docs().join("vectors").join(name).with_extension("hex");
        if std::env::var_os("MIRROR_BLESS").is_some() {
            fs::write(&file, hex(&bytes)).unwrap();
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), hex(&bytes), "{}", file.display());
    }
}
