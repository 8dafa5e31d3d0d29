//! Against a model that is obviously right: the bytes that each side said.

use proptest::prelude::*;

use super::talk::{Observer, Talk};
use crate::packet::Timestamp;
use crate::segment::Segment;
use crate::segment::SeqNumber;
use crate::tcp::TcpLimits;
use crate::tcp::event::{Change, Side, StreamEvent};

/// What a side said, as a function of the place, so that a wrong place shows.
fn byte(place: usize) -> u8 {
    (place.wrapping_mul(2_654_435_761) >> 7) as u8
}

/// The pieces of both sides in the order in which they were sent, and each side's length.
fn conversation(isns: [u32; 2], turns: &[(bool, u16)]) -> (Vec<Segment>, [usize; 2]) {
    let mut talk = Talk::new(isns[0], isns[1]);
    let mut segments = talk.handshake();
    let mut said = [0_usize; 2];
    for (server, length) in turns {
        let side = usize::from(*server);
        let text: Vec<u8> = (said[side]..said[side] + usize::from(*length)).map(byte).collect();
        said[side] += text.len();
        segments.push(if *server { talk.server(&text) } else { talk.client(&text) });
    }
    (segments, said)
}

/// Follows the events; checks every byte at its place. Returns how far each side came and how
/// many of the bytes were gaps.
fn follow(events: &[StreamEvent]) -> Result<([usize; 2], [usize; 2]), TestCaseError> {
    let (mut place, mut lost) = ([0; 2], [0; 2]);
    for event in events {
        match &event.change {
            Change::Data(side, bytes) => {
                let side = usize::from(*side == Side::Server);
                for b in bytes {
                    prop_assert_eq!(
                        *b,
                        byte(place[side]),
                        "place {} of side {}",
                        place[side],
                        side
                    );
                    place[side] += 1;
                }
            }
            Change::Gap(side, n) => {
                let side = usize::from(*side == Side::Server);
                place[side] += *n as usize;
                lost[side] += *n as usize;
            }
            _ => {}
        }
    }
    Ok((place, lost))
}

/// The same text in other cuts: a slice of what its side said, somewhere.
fn again(of: &Segment, isns: [u32; 2], from: usize, length: usize, said: [usize; 2]) -> Segment {
    let side = usize::from(of.source.port() == 8080);
    let from = from.min(said[side]);
    let text: Vec<u8> = (from..(from + length).min(said[side])).map(byte).collect();
    let seq = SeqNumber(isns[side].wrapping_add(1).wrapping_add(from as u32));
    Segment { seq, payload: text.into(), ..of.clone() }
}

/// Stamps in the order of arrival, as a capture does.
fn stamped(mut segments: Vec<Segment>) -> Vec<Segment> {
    for (i, segment) in segments.iter_mut().enumerate() {
        segment.at = Timestamp::from_nanos(1_000_000_000 + i as u64 * 1000);
    }
    segments
}

fn turns() -> impl Strategy<Value = Vec<(bool, u16)>> {
    prop::collection::vec((any::<bool>(), 1_u16..60), 1..25)
}

fn patient() -> TcpLimits {
    TcpLimits { grace_segments: u32::MAX, ..TcpLimits::default() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn any_order_repetition_and_cutting_gives_the_same_bytes(
        isns in any::<[u32; 2]>(), turns in turns(),
        copies in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..600, 1_usize..200), 0..20),
        order in prop::collection::vec(any::<u32>(), 60),
    ) {
        let (mut segments, said) = conversation(isns, &turns);
        let text = segments.split_off(3);
        let mut sent = text.clone();
        for (of, from, length) in copies {
            sent.push(again(of.get(&text), isns, from, length, said));
        }
        let mut ranked: Vec<_> = sent.into_iter().enumerate().collect();
        ranked.sort_by_key(|(i, _)| order[*i]);
        segments.extend(ranked.into_iter().map(|(_, segment)| segment));
        let mut observer = Observer::new(patient());
        observer.push(stamped(segments));
        let (place, lost) = follow(&observer.events)?;
        prop_assert_eq!(place, said);
        prop_assert_eq!(lost, [0, 0]);
        observer.end();
    }

    #[test]
    fn a_response_never_comes_before_what_it_acknowledges(
        isns in any::<[u32; 2]>(), turns in turns(), order in prop::collection::vec(any::<u32>(), 30),
    ) {
        let (mut segments, _) = conversation(isns, &turns);
        let text = segments.split_off(3);
        let mut ranked: Vec<_> = text.into_iter().enumerate().collect();
        ranked.sort_by_key(|(i, _)| order[*i]);
        segments.extend(ranked.into_iter().map(|(_, segment)| segment));
        let mut observer = Observer::new(patient());
        observer.push(stamped(segments));
        let sides: Vec<usize> = observer.events.iter().filter_map(|e| match &e.change {
            Change::Data(side, bytes) => Some(vec![usize::from(*side == Side::Server); bytes.len()]),
            _ => None,
        }).flatten().collect();
        let expected: Vec<usize> =
            turns.iter().flat_map(|(s, n)| vec![usize::from(*s); usize::from(*n)]).collect();
        prop_assert_eq!(sides, expected);
        observer.end();
    }

    #[test]
    fn what_is_lost_is_reported_exactly_and_the_rest_is_right(
        isns in any::<[u32; 2]>(), turns in turns(),
        lost in prop::collection::vec(any::<bool>(), 30), swaps in prop::collection::vec(0_usize..30, 0..6),
        quick in any::<bool>(),
    ) {
        let (mut segments, said) = conversation(isns, &turns);
        let mut text = segments.split_off(3);
        let mut keep = lost.iter().copied();
        text.retain(|_| keep.next().unwrap_or(true));
        for at in swaps {
            if at + 1 < text.len() {
                text.swap(at, at + 1);
            }
        }
        let captured: usize = text.iter().map(|s| s.payload.len()).sum();
        segments.extend(text);
        // A last word of each, so that the ends are known.
        let mut last = Talk::new(
            isns[0].wrapping_add(1 + said[0] as u32), isns[1].wrapping_add(1 + said[1] as u32));
        segments.push(last.segment(Side::Client, crate::segment::Flags::FIN.with(crate::segment::Flags::ACK), b""));
        segments.push(last.segment(Side::Server, crate::segment::Flags::FIN.with(crate::segment::Flags::ACK), b""));
        let grace_segments = if quick { 4 } else { u32::MAX };
        let mut observer = Observer::new(TcpLimits { grace_segments, ..TcpLimits::default() });
        for segment in stamped(segments) {
            observer.table.push(segment, &mut observer.events);
        }
        observer.table.finish(&mut observer.events);
        let (place, gaps) = follow(&observer.events)?;
        let delivered = observer.table.stats().bytes_delivered as usize;
        if !observer.events.is_empty() {
            prop_assert_eq!(place, said);
            prop_assert_eq!(delivered + gaps[0] + gaps[1], said[0] + said[1]);
        }
        if !quick {
            prop_assert_eq!(delivered, captured);
        }
        observer.end();
    }
}
