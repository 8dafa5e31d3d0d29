//! SYNs that contradict each other.

use proptest::prelude::*;

use super::talk::{Observer, Talk};
use crate::segment::SeqNumber;
use crate::segment::{Flags, Segment};
use crate::tcp::TcpLimits;
use crate::tcp::event::Side;

const SYN_ACK: Flags = Flags::SYN.with(Flags::ACK);

fn story(segments: impl IntoIterator<Item = Segment>) -> String {
    let mut observer = Observer::new(TcpLimits::default());
    observer.push(segments);
    observer.end()
}

fn syn_ack(talk: &mut Talk, isn: u32) -> Segment {
    let own = talk.next[1];
    let segment = talk.segment(Side::Server, SYN_ACK, b"");
    talk.next[1] = own;
    Segment { seq: SeqNumber(isn), ..segment }
}

#[test]
fn of_two_syn_acks_the_acknowledged_one_counts() {
    for first_is_stray in [false, true] {
        let mut talk = Talk::new(100, 500);
        let syn = talk.segment(Side::Client, Flags::SYN, b"");
        let stray = syn_ack(&mut talk, 900_000_000);
        let right = talk.segment(Side::Server, SYN_ACK, b"");
        let answers = if first_is_stray { [stray, right] } else { [right, stray] };
        let rest = [talk.client(b""), talk.client(b"ask"), talk.server(b"answer")];
        let segments = [syn].into_iter().chain(answers).chain(rest);
        assert_eq!(story(segments), "open c:ask s:answer end_of_input");
    }
}

#[test]
fn a_syn_ack_cannot_be_meant_by_a_number_before_it() {
    // The right SYN-ACK was lost by the capture, the stray one is less than a window away.
    let mut talk = Talk::new(100, 500);
    let syn = talk.segment(Side::Client, Flags::SYN, b"");
    let stray = syn_ack(&mut talk, 543);
    talk.segment(Side::Server, SYN_ACK, b"");
    let rest = [talk.client(b""), talk.client(b"ask"), talk.server(b"answer")];
    let segments = [syn, stray].into_iter().chain(rest);
    assert_eq!(story(segments), "open c:ask s:answer end_of_input");
}

#[test]
fn a_syn_ack_that_was_forgotten_counts_when_it_is_acknowledged() {
    for near in [457, 543] {
        let mut talk = Talk::new(100, 500);
        let syn = talk.segment(Side::Client, Flags::SYN, b"");
        let stray = Segment { ack: SeqNumber(1300), ..syn_ack(&mut talk, near) };
        let right = talk.segment(Side::Server, SYN_ACK, b"");
        // More than are remembered.
        let others = (0..10_u32).map(|n| {
            Talk::new(700_000_000 + n * 1_000_000, 0).segment(Side::Client, Flags::SYN, b"")
        });
        let rest = [talk.client(b""), talk.client(b"ask"), talk.server(b"answer")];
        let segments = [syn, stray, right].into_iter().chain(others).chain(rest);
        assert_eq!(story(segments), "open c:ask s:answer end_of_input", "{near}");
    }
}

#[test]
fn a_stray_syn_of_an_end_that_only_its_peer_has_placed_changes_nothing() {
    for isn in [457, 543, 900_000_000] {
        let mut talk = Talk::new(100, 500);
        let syn = talk.segment(Side::Client, Flags::SYN, b"");
        talk.segment(Side::Server, SYN_ACK, b"");
        let acknowledgment = talk.client(b"");
        let stray = Talk::new(0, isn).segment(Side::Server, Flags::SYN, b"");
        let rest = [talk.client(b"ask"), talk.server(b"answer")];
        let segments = [syn, acknowledgment, stray].into_iter().chain(rest);
        assert_eq!(story(segments), "open c:ask s:answer end_of_input", "{isn}");
    }
}

#[test]
fn a_stray_syn_before_the_first_payload_changes_nothing() {
    let mut talk = Talk::new(100, 500);
    let handshake = talk.handshake();
    let stray = Talk::new(16_000_100, 0).segment(Side::Client, Flags::SYN, b"");
    let rest = [stray, talk.client(b"ask"), talk.server(b"answer")];
    assert_eq!(story(handshake.into_iter().chain(rest)), "open c:ask s:answer end_of_input");
}

#[test]
fn the_payload_of_a_stray_syn_is_not_reported() {
    let mut talk = Talk::new(100, 500);
    let stray = Talk::new(77_000_000, 0).segment(Side::Client, Flags::SYN, b"forged");
    let segments = [stray].into_iter().chain(talk.handshake());
    let rest = [talk.client(b"ask"), talk.server(b"answer")];
    assert_eq!(story(segments.chain(rest)), "open c:ask s:answer end_of_input");
}

#[test]
fn a_new_connection_of_which_the_syn_was_lost_has_its_server_where_the_syn_ack_came_from() {
    let mut talk = Talk::new(100, 500);
    let mut observer = Observer::new(TcpLimits::default());
    observer.push(talk.handshake());
    observer.push([talk.client(b"ask"), talk.server(b"answer")]);
    let mut again = Talk::new(77_000_000, 91_000_000);
    let mut handshake = again.handshake();
    handshake.remove(0);
    observer.push(handshake);
    observer.push([again.client(b"more"), again.server(b"yes")]);
    assert_eq!(observer.end(), "open c:ask s:answer reused open c:more s:yes end_of_input");
}

#[test]
fn a_direction_that_is_seen_late_is_still_in_its_place() {
    let mut talk = Talk::new(100, 500);
    let mut segments = talk.handshake();
    for _ in 0..3 {
        segments.extend([talk.client(b"ask"), talk.server(b"answer")]);
    }
    let (from_server, from_client): (Vec<_>, Vec<_>) =
        segments.into_iter().partition(|segment| segment.source == talk.server.into());
    let expected = "open c:ask s:answer c:ask s:answer c:ask s:answer end_of_input";
    let late = from_server.into_iter().chain(from_client);
    assert_eq!(story(late), expected);
}

#[test]
fn a_direction_that_is_never_seen_is_waited_for_once() {
    let mut talk = Talk::new(100, 500);
    talk.segment(Side::Client, Flags::SYN, b"");
    let mut observer = Observer::new(TcpLimits { grace_segments: 4, ..TcpLimits::default() });
    observer.push([talk.segment(Side::Server, SYN_ACK, b"")]);
    let mut words = String::new();
    for i in 0..8 {
        talk.client(b"never seen");
        observer.push([talk.server(b"a")]);
        assert!(i < 5 || observer.table.held() == 0, "held after {i}");
        words.push('a');
    }
    assert_eq!(observer.end(), format!("open s:{words} end_of_input"));
}

/// A SYN or SYN-ACK that is none of the connection's, or a copy of one that is.
#[derive(Clone, Debug)]
struct Stray {
    place: prop::sample::Index,
    side: bool,
    answers: bool,
    isn: u32,
    ack: u32,
}

/// Any number, and numbers near one of the connection's or equal to it.
fn number(numbers: [u32; 2]) -> impl Strategy<Value = u32> {
    let [client, server] = numbers;
    prop_oneof![
        any::<u32>(),
        (-2000_i32..2000).prop_map(move |n| client.wrapping_add_signed(n)),
        (-2000_i32..2000).prop_map(move |n| server.wrapping_add_signed(n)),
        (0_u32..64_000_000).prop_map(move |n| client.wrapping_add(n)),
        Just(client.wrapping_add(1)),
        Just(server.wrapping_add(1)),
    ]
}

fn strays(isns: [u32; 2], most: usize) -> impl Strategy<Value = Vec<Stray>> {
    let stray =
        (any::<prop::sample::Index>(), any::<bool>(), any::<bool>(), number(isns), number(isns));
    let stray =
        stray.prop_map(|(place, side, answers, isn, ack)| Stray { place, side, answers, isn, ack });
    prop::collection::vec(stray, 0..most)
}

fn connection() -> impl Strategy<Value = ([u32; 2], Vec<Stray>)> {
    let most = prop_oneof![3 => Just(4_usize), 1 => Just(40)];
    (any::<[u32; 2]>(), most).prop_flat_map(|(isns, most)| (Just(isns), strays(isns, most)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn strays_in_any_place_leave_the_confirmed_pair(
        (isns, strays) in connection(), repeats in prop::collection::vec(any::<(prop::sample::Index, bool)>(), 0..4),
        with_ack in any::<bool>(),
    ) {
        prop_assume!(isns[0] != isns[1]);
        let mut talk = Talk::new(isns[0], isns[1]);
        let mut segments = talk.handshake();
        let handshake = segments.clone();
        if !with_ack {
            segments.pop();
        }
        for _ in 0..2 {
            segments.extend([talk.client(b"ask"), talk.server(b""), talk.server(b"answer"), talk.client(b"")]);
        }
        // A number that the connection uses itself would make a stray as good as the right one.
        let used: Vec<[u32; 2]> = segments.iter().map(|s| [s.seq.0, s.ack.0]).collect();
        let mut places: Vec<(usize, Segment)> = repeats.iter().map(|(place, answer)| {
            // A SYN can be repeated once it was sent.
            let n = usize::from(*answer);
            (place.index(segments.len() - n) + n + 1, handshake[n].clone())
        }).collect();
        for Stray { place, side, answers, isn, ack } in strays {
            let first = isn.wrapping_add(1);
            if used.iter().flatten().any(|n| *n == first) {
                continue;
            }
            let side = if side { Side::Server } else { Side::Client };
            let flags = if answers { SYN_ACK } else { Flags::SYN };
            let segment = Talk::new(0, 0).segment(side, flags, b"");
            let segment = Segment { seq: SeqNumber(isn), ack: SeqNumber(ack), ..segment };
            places.push((place.index(segments.len() + 1), segment));
        }
        places.sort_by_key(|(place, _)| std::cmp::Reverse(*place));
        for (place, segment) in places {
            segments.insert(place, segment);
        }
        prop_assert_eq!(story(segments), "open c:ask s:answer c:ask s:answer end_of_input");
    }
}
