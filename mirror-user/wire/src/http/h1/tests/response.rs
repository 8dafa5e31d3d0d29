use std::io::Read;

use sha2::{Digest, Sha256};

use crate::http::h1::response::{InvalidResponse, ResponseProgress, ResponseReader};
use crate::http::message::{BodyLength, Flaw, Kept, Message};
use crate::packet::Timestamp;

/// Reads `wire` split at every byte, and in one piece. All results must agree.
fn read(wire: &[u8], is_head: bool) -> Result<ResponseProgress, InvalidResponse> {
    let whole = read_in(&[wire], is_head);
    for cut in 0..wire.len() {
        let (a, b) = wire.split_at(cut);
        let parts = read_in(&[a, b], is_head);
        // Whether bytes follow the response is known only once they have arrived.
        if let (
            Ok(ResponseProgress::Complete { status, .. }),
            Ok(ResponseProgress::Complete { status: other, .. }),
        ) = (whole, parts)
        {
            assert_eq!(status, other);
        } else {
            assert_eq!(whole, parts, "cut at {cut}");
        }
    }
    whole
}

fn read_in(parts: &[&[u8]], is_head: bool) -> Result<ResponseProgress, InvalidResponse> {
    let mut reader = ResponseReader::default();
    reader.expect(is_head, None);
    let mut last = ResponseProgress::NeedMore;
    for part in parts {
        last = reader.push(part)?;
        if last != ResponseProgress::NeedMore {
            break;
        }
    }
    Ok(if last == ResponseProgress::NeedMore { reader.end().unwrap_or(last) } else { last })
}

const OK: Result<ResponseProgress, InvalidResponse> =
    Ok(ResponseProgress::Complete { status: 200, reusable: true });
const LAST: Result<ResponseProgress, InvalidResponse> =
    Ok(ResponseProgress::Complete { status: 200, reusable: false });

#[test]
fn response_ends_where_its_framing_says() {
    for (wire, wanted) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", OK),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\n\r\nabc", OK),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", OK),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", Ok(ResponseProgress::NeedMore)),
        ("HTTP/1.1 200 OK\r\nConnection: a, Close\r\nContent-Length: 0\r\n\r\n", LAST),
        ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", LAST),
        ("HTTP/1.1 200 OK\r\n\r\nuntil close", LAST),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nmore", LAST),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nT: 1\r\n\r\n",
            OK,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n",
            OK,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
            Ok(ResponseProgress::NeedMore),
        ),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            OK,
        ),
    ] {
        assert_eq!(read(wire.as_bytes(), false), wanted, "{wire:?}");
    }
}

#[test]
fn response_to_head_has_no_body() {
    assert_eq!(read(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", true), OK);
    assert_eq!(
        read(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", false),
        Ok(ResponseProgress::Complete { status: 304, reusable: true })
    );
}

#[test]
fn garbage_is_named() {
    for wire in [
        "SSH-2.0-OpenSSH\r\n",
        "HTTP/1.1 999 No\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\na",
    ] {
        assert_eq!(read(wire.as_bytes(), false), Err(InvalidResponse), "{wire:?}");
    }
}

#[test]
fn head_without_end_is_bounded() {
    let mut reader = ResponseReader::default();
    reader.expect(false, None);
    assert_eq!(reader.push(b"HTTP/1.1 200 OK\r\nX: "), Ok(ResponseProgress::NeedMore));
    let long = vec![b'x'; 64 * 1024];
    assert_eq!(reader.push(&long), Err(InvalidResponse));
}

#[test]
fn end_of_a_head_may_come_with_much_of_the_body() {
    let mut reader = ResponseReader::default();
    reader.expect(false, None);
    assert_eq!(
        reader.push(b"HTTP/1.1 200 OK\r\nContent-Length: 70000"),
        Ok(ResponseProgress::NeedMore)
    );
    let rest = [b"\r\n\r\n".to_vec(), vec![b'x'; 70_000]].concat();
    assert_eq!(reader.push(&rest), OK);
}

/// The response in `wire`, read in pieces of `size` bytes, with at most ten bytes of its body.
fn kept(wire: &[u8], size: usize) -> Option<Message> {
    let mut reader = ResponseReader::default();
    reader.expect(false, Some(10));
    for piece in wire.chunks(size) {
        reader.push(piece).unwrap();
    }
    reader.take(Timestamp::from_nanos(1), Timestamp::from_nanos(2))
}

#[test]
fn response_that_is_kept_is_a_message_however_its_bytes_arrive() {
    let wire = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 201 Created\r\nA:  b \r\n\
                 Transfer-Encoding: chunked\r\n\r\n2 \r\nab\r\n0\r\nT: 1\r\n\r\n";
    for size in 1..=wire.len() {
        let mut reader = ResponseReader::default();
        reader.expect(false, Some(100));
        for piece in wire.chunks(size) {
            reader.push(piece).unwrap();
        }
        let message = reader.take(Timestamp::from_nanos(1), Timestamp::from_nanos(2)).unwrap();
        assert_eq!(message.head.status(), Some(201));
        assert_eq!(message.head.field("a"), Some(&b"b"[..]));
        assert_eq!((message.body.framing, message.body.length), (BodyLength::Chunked, 2));
        assert_eq!(message.body.trailer_bytes, &b"T: 1\r\n"[..]);
        assert_eq!(message.body.trailers.len(), 1);
        assert_eq!(message.flaws, [Flaw::ChunkSpace].into());
        let mut content = String::new();
        message.body.content().unwrap().read_to_string(&mut content).unwrap();
        assert_eq!(content, "ab");
        assert!(reader.take(Timestamp::default(), Timestamp::default()).is_none(), "once");
    }
}

#[test]
fn body_that_is_too_long_to_keep_is_digested_however_it_is_framed() {
    let sha256: [u8; 32] = Sha256::digest(b"0123456789ab").into();
    for wire in [
        "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n0123456789ab",
        "HTTP/1.1 200 OK\r\n\r\n0123456789ab",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n7\r\n56789ab\r\n0\r\n\r\n",
    ] {
        for size in 1..=wire.len() {
            let body = kept(wire.as_bytes(), size).unwrap().body;
            assert!(matches!(body.wire, Kept::TooLarge), "{wire:?}");
            assert_eq!((body.length, body.sha256), (12, Some(sha256)), "{wire:?} {size}");
        }
    }
}

#[test]
fn body_that_is_too_long_to_keep_is_counted() {
    for (body, expected) in [("0123456789", true), ("0123456789a", false), ("", true)] {
        for framing in [format!("Content-Length: {}\r\n", body.len()), String::new()] {
            let wire = format!("HTTP/1.1 200 OK\r\n{framing}\r\n{body}");
            for size in 1..=wire.len() {
                let message = kept(wire.as_bytes(), size).unwrap();
                assert_eq!(message.body.length, body.len() as u64);
                match message.body.wire {
                    Kept::Nothing => assert_eq!(body, ""),
                    Kept::Memory(bytes) => assert_eq!(bytes, body.as_bytes()),
                    Kept::TooLarge => assert!(!expected, "{wire:?}"),
                    other => panic!("{other:?}"),
                }
            }
        }
    }
}

#[test]
fn response_that_nobody_wants_is_not_kept() {
    let mut reader = ResponseReader::default();
    reader.expect(false, None);
    reader.push(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na").unwrap();
    assert!(reader.take(Timestamp::default(), Timestamp::default()).is_none());
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_safe(bytes in proptest::collection::vec(0_u8.., 0..300)) {
        let _ = read_in(&[&bytes], false);
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let _ = read_in(&[chunked, &bytes], false);
    }
}
