use std::time::Duration;

use super::talk::{Observer, Talk};
use crate::segment::Flags;
use crate::segment::SeqNumber;
use crate::tcp::TcpLimits;
use crate::tcp::event::{Change, Side};
use crate::tcp::stats::Disposition;

fn begun(client_isn: u32, server_isn: u32) -> (Talk, Observer) {
    let mut talk = Talk::new(client_isn, server_isn);
    let mut observer = Observer::new(TcpLimits::default());
    observer.push(talk.handshake());
    assert_eq!(observer.story(), "", "a connection without payload is not reported");
    (talk, observer)
}

#[test]
fn a_whole_conversation_is_reported_in_order() {
    let (mut talk, mut observer) = begun(100, 500);
    observer.push([talk.client(b"ask"), talk.server(b"answer")]);
    observer.push([talk.fin(Side::Client, b""), talk.fin(Side::Server, b"bye"), talk.client(b"")]);
    assert_eq!(observer.story(), "open c:ask s:answer c. s:bye s. fin");
    assert_eq!(observer.table.stats().segments.get(Disposition::AfterClose), 1);
    assert_eq!(observer.end(), "");
}

#[test]
fn a_segment_that_comes_early_waits() {
    let (mut talk, mut observer) = begun(100, 500);
    let [a, b, c] = [talk.client(b"aa"), talk.client(b"bb"), talk.client(b"cc")];
    observer.push([c, a]);
    assert_eq!(observer.story(), "open c:aa");
    observer.push([b]);
    assert_eq!(observer.story(), "c:bbcc");
    assert_eq!(observer.end(), "end_of_input");
}

#[test]
fn repeated_bytes_are_emitted_once_and_the_first_ones_stay() {
    let (mut talk, mut observer) = begun(100, 500);
    let a = talk.client(b"abcd");
    let mut overlap = talk.client(b"xxxxef");
    overlap.seq = a.seq;
    observer.push([a.clone(), overlap, a]);
    assert_eq!(observer.story(), "open c:abcdef");
    assert_eq!(observer.table.stats().segments.get(Disposition::Retransmitted), 1);
    assert_eq!(observer.table.stats().segments.get(Disposition::Overlapping), 1);
    observer.end();
}

#[test]
fn among_waiting_segments_the_one_that_starts_first_wins_as_in_linux() {
    let (mut talk, mut observer) = begun(100, 500);
    let first = talk.client(b"0");
    let at = |talk: &mut Talk, offset: u32, bytes: &[u8]| {
        let mut segment = talk.client(bytes);
        segment.seq = first.seq.advanced_by(1 + offset);
        segment
    };
    let late = at(&mut talk, 2, b"cdef");
    let early = at(&mut talk, 0, b"ABCD");
    let longer = at(&mut talk, 0, b"abXXe");
    let within = at(&mut talk, 1, b"zz");
    observer.push([late, early, longer, within, first]);
    assert_eq!(observer.story(), "open c:0abXXef");
    observer.end();
}

#[test]
fn numbers_wrap() {
    let (mut talk, mut observer) = begun(u32::MAX - 2, u32::MAX);
    let [a, b, c] = [talk.client(b"one"), talk.client(b"two"), talk.client(b"three")];
    observer.push([c, b, a, talk.server(b"ok")]);
    assert_eq!(observer.story(), "open c:onetwothree s:ok");
    observer.end();
}

#[test]
fn probes_are_not_bytes() {
    let (mut talk, mut observer) = begun(100, 500);
    observer.push([talk.client(b"ask")]);
    let mut probe = talk.client(b"");
    probe.seq = SeqNumber(probe.seq.0 - 1);
    let mut with_byte = probe.clone();
    with_byte.payload = bytes::Bytes::from_static(b"?");
    observer.push([probe, with_byte]);
    assert_eq!(observer.table.stats().segments.get(Disposition::KeepAlive), 2);
    assert_eq!(observer.story(), "open c:ask");
    let zero_window_probe = talk.server(b"x");
    let mut after = talk.server(b"yz");
    after.seq = zero_window_probe.seq;
    after.payload = bytes::Bytes::from_static(b"xyz");
    observer.push([zero_window_probe, after]);
    assert_eq!(observer.story(), "s:xyz");
    observer.end();
}

#[test]
fn an_acknowledged_gap_is_given_up_after_the_grace_and_no_later() {
    let (mut talk, mut observer) = begun(100, 500);
    observer.push([talk.client(b"ask1")]);
    let _lost = talk.client(b"lost");
    observer.push([talk.client(b"ask3"), talk.server(b"answer")]);
    assert_eq!(observer.story(), "open c:ask1");
    talk.later(Duration::from_millis(21));
    observer.table.expire(talk.at, &mut observer.events);
    assert_eq!(observer.story(), "c-4 c:ask3 s:answer");
    assert_eq!(observer.end(), "end_of_input");
}

#[test]
fn a_request_that_was_lost_whole_is_a_gap_before_its_response() {
    let (mut talk, mut observer) = begun(100, 500);
    let _lost = talk.client(b"lost");
    observer.push([talk.server(b"answer")]);
    for _ in 0..40 {
        observer.push([talk.client(b"")]);
        observer.push([talk.server(b"")]);
    }
    assert_eq!(observer.story(), "open c-4 s:answer", "without any time passing");
    observer.end();
}

#[test]
fn a_response_waits_for_its_request() {
    let (mut talk, mut observer) = begun(100, 500);
    let ask = talk.client(b"ask");
    observer.push([talk.server(b"answer")]);
    assert_eq!(observer.story(), "");
    observer.push([ask]);
    assert_eq!(observer.story(), "open c:ask s:answer");
    observer.end();
}

#[test]
fn an_unacknowledged_gap_waits_for_the_retransmission() {
    let (mut talk, mut observer) = begun(100, 500);
    let first = talk.client(b"aa");
    observer.push([talk.client(b"bb")]);
    talk.later(Duration::from_secs(3));
    observer.table.expire(talk.at, &mut observer.events);
    assert_eq!(observer.story(), "");
    observer.push([first]);
    assert_eq!(observer.story(), "open c:aabb");
    observer.end();
}

#[test]
fn a_fin_before_its_time_waits_too() {
    let (mut talk, mut observer) = begun(100, 500);
    let ask = talk.client(b"ask");
    observer.push([talk.fin(Side::Client, b""), ask, talk.client(b"more")]);
    assert_eq!(observer.story(), "open c:ask c.");
    assert_eq!(observer.table.stats().segments.get(Disposition::AfterFin), 1);
    assert_eq!(observer.end(), "end_of_input");
}

#[test]
fn a_lost_fin_is_not_a_gap() {
    let (mut talk, mut observer) = begun(100, 500);
    observer.push([talk.client(b"ask")]);
    let fin = talk.fin(Side::Client, b"");
    observer.push([talk.server(b"answer")]);
    talk.later(Duration::from_millis(21));
    observer.table.expire(talk.at, &mut observer.events);
    assert_eq!(observer.story(), "open c:ask s:answer");
    observer.push([fin, talk.fin(Side::Server, b"")]);
    assert_eq!(observer.story(), "c. s. fin");
    observer.end();
}

#[test]
fn a_reset_must_fit() {
    let (mut talk, mut observer) = begun(100, 500);
    observer.push([talk.client(b"ask")]);
    let mut forged = talk.segment(Side::Server, Flags::RST, b"");
    forged.seq = SeqNumber(forged.seq.0 + 77);
    observer.push([forged]);
    assert_eq!(observer.story(), "open c:ask");
    assert_eq!(observer.table.stats().segments.get(Disposition::ResetIgnored), 1);
    observer.push([talk.segment(Side::Server, Flags::RST, b"")]);
    assert_eq!(observer.story(), "reset");
    observer.push([talk.client(b"still in flight")]);
    assert_eq!(observer.end(), "");
}

#[test]
fn a_new_handshake_on_the_same_ports_is_a_new_connection() {
    let (mut talk, mut observer) = begun(100, 500);
    observer.push([talk.client(b"one")]);
    let mut again = Talk::new(9_000_000, 7_000_000);
    observer.push(again.handshake());
    observer.push([again.client(b"two")]);
    assert_eq!(observer.story(), "open c:one reused open c:two");
    observer.end();
}

#[test]
fn a_repeated_or_forged_syn_changes_nothing() {
    let (mut talk, mut observer) = begun(100, 500);
    observer.push([talk.client(b"one")]);
    observer.push(Talk::new(100, 500).handshake());
    let forged = Talk::new(4_000_000, 0).segment(Side::Client, Flags::SYN, b"");
    observer.push([forged, talk.client(b"two"), talk.server(b"ok")]);
    assert_eq!(observer.story(), "open c:onetwo s:ok");
    observer.end();
}

#[test]
fn after_a_close_the_ports_may_be_used_again() {
    let (mut talk, mut observer) = begun(100, 500);
    observer.push([talk.client(b"one"), talk.fin(Side::Client, b""), talk.fin(Side::Server, b"")]);
    let mut again = Talk::new(200, 900);
    observer.push(again.handshake());
    observer.push([again.client(b"two")]);
    assert_eq!(observer.story(), "open c:one c. s. fin open c:two");
    observer.end();
}

#[test]
fn both_may_send_syn_at_once() {
    let mut talk = Talk::new(100, 500);
    let mut observer = Observer::new(TcpLimits::default());
    let client = talk.segment(Side::Client, Flags::SYN, b"");
    let server = talk.segment(Side::Server, Flags::SYN, b"");
    observer.push([client, server, talk.client(b"ask"), talk.server(b"ok")]);
    assert_eq!(observer.story(), "open c:ask s:ok");
    observer.end();
}

#[test]
fn a_syn_may_carry_payload() {
    let mut talk = Talk::new(100, 500);
    let mut observer = Observer::new(TcpLimits::default());
    let syn = talk.segment(Side::Client, Flags::SYN, b"ask");
    let answer = talk.segment(Side::Server, Flags::SYN.with(Flags::ACK), b"");
    observer.push([syn.clone(), syn, answer, talk.client(b""), talk.server(b"ok")]);
    assert_eq!(observer.story(), "open c:ask s:ok");
    observer.end();
}

#[test]
fn a_connection_met_in_the_middle_is_reported_by_what_it_says() {
    for (first, second, expected) in [
        (
            "GET / HTTP/1.1\r\n",
            "HTTP/1.1 200 OK\r\n",
            "open~ c:GET / HTTP/1.1\r\n s:HTTP/1.1 200 OK\r\n end_of_input",
        ),
        (
            "HTTP/1.1 200 OK\r\n",
            "GET / HTTP/1.1\r\n",
            "open~ s:HTTP/1.1 200 OK\r\n c:GET / HTTP/1.1\r\n end_of_input",
        ),
    ] {
        let mut talk = Talk::new(100, 500);
        // The ports alone would say the opposite of the first case.
        (talk.client, talk.server) =
            ("10.0.0.2:80".parse().unwrap(), "10.0.0.1:4000".parse().unwrap());
        let mut observer = Observer::new(TcpLimits::default());
        observer.push([talk.client(first.as_bytes()), talk.server(second.as_bytes())]);
        assert_eq!(observer.end(), expected);
    }
}

#[test]
fn one_direction_alone_is_reported() {
    let (mut talk, mut observer) = (Talk::new(100, 500), Observer::new(TcpLimits::default()));
    observer.push([talk.segment(Side::Client, Flags::SYN, b"")]);
    talk.segment(Side::Server, Flags::SYN.with(Flags::ACK), b"");
    for _ in 0..50 {
        observer.push([talk.client(b"a")]);
        talk.server(b"never seen");
    }
    assert_eq!(observer.story(), format!("open c:{}", "a".repeat(50)));
    observer.push([talk.server(b"here I am")]);
    assert_eq!(
        observer.end(),
        "s-10 s:here I am end_of_input",
        "the last response was not acknowledged yet"
    );
}

#[test]
fn bytes_that_the_capture_cut_are_a_gap() {
    let (mut talk, mut observer) = begun(100, 500);
    let mut cut = talk.client(b"abcdef");
    cut.payload.truncate(2);
    cut.cut = 4;
    observer.push([cut, talk.client(b"next")]);
    assert_eq!(observer.story(), "open c:ab c-4 c:next");
    observer.end();
}

#[test]
fn what_is_cut_of_responses_on_purpose_is_no_gap() {
    let mut talk = Talk::new(100, 500);
    let mut observer = Observer::new(TcpLimits { brief_responses: true, ..TcpLimits::default() });
    observer.push(talk.handshake());
    let mut request = talk.client(b"abcdef");
    let mut response = talk.server(b"uvwxyz");
    for cut in [&mut request, &mut response] {
        cut.payload.truncate(2);
        cut.cut = 4;
    }
    observer.push([request, response, talk.server(b"next")]);
    assert_eq!(observer.story(), "open c:ab c-4 s:uv s~4 s:next");
    assert_eq!((observer.table.stats().omitted_bytes, observer.table.stats().gaps.total()), (4, 1));
    observer.end();
}

#[test]
fn a_loss_of_more_than_a_window_is_reported_exactly() {
    let (mut talk, mut observer) = begun(100, 500);
    observer.push([talk.client(b"a")]);
    talk.next[0] = talk.next[0].wrapping_add(3_000_000_000);
    for _ in 0..4 {
        observer.push([talk.client(b"xx")]);
    }
    observer.push([talk.client(b"on")]);
    assert_eq!(observer.story(), "open c:a c-3000000008 c:on");
    observer.end();
}

#[test]
fn silence_closes_a_connection_even_when_time_steps_back() {
    let (mut talk, mut observer) = begun(100, 500);
    observer.push([talk.client(b"a")]);
    talk.at = crate::packet::Timestamp::from_nanos(5);
    observer.push([talk.client(b"b")]);
    talk.later(Duration::from_secs(3700));
    observer.table.expire(talk.at, &mut observer.events);
    assert_eq!(observer.story(), "open c:ab idle");
    assert!(observer.table.is_empty());
    observer.end();
}

#[test]
fn the_held_limit_gives_up_the_first_gap() {
    let limits = TcpLimits { held_per_connection: 400, ..TcpLimits::default() };
    let (mut talk, mut observer) = (Talk::new(100, 500), Observer::new(limits));
    observer.push(talk.handshake());
    let _lost = talk.client(b"lost");
    for _ in 0..5 {
        observer.push([talk.client(b"0123456789")]);
        assert!(observer.table.held() <= 400);
    }
    assert_eq!(observer.story(), format!("open c-4 c:{}", "0123456789".repeat(5)));
    observer.end();
}

#[test]
fn the_longest_idle_connection_is_evicted() {
    let limits = TcpLimits { connections: 2, ..TcpLimits::default() };
    let mut observer = Observer::new(limits);
    let mut talks = [1, 2, 3].map(|port| {
        let mut talk = Talk::new(100, 500);
        talk.client.set_port(port);
        talk
    });
    for (i, talk) in talks.iter_mut().enumerate() {
        talk.later(Duration::from_secs(2 * i as u64));
        observer.push(talk.handshake());
        observer.push([talk.client(b"x")]);
    }
    let evicted: Vec<_> = observer
        .events
        .iter()
        .filter(|e| matches!(e.change, Change::Closed(_)))
        .map(|e| e.conn.serial)
        .collect();
    assert_eq!(evicted, [0]);
    assert_eq!(observer.story(), "open c:x open c:x evicted open c:x");
    observer.end();
}
