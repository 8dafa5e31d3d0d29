//! The same addresses in several networks.

use super::talk::{Observer, Talk};
use crate::segment::{Segment, Tag};
use crate::tcp::TcpLimits;
use crate::tcp::event::Side;

fn conversation(isns: [u32; 2], words: [&[u8]; 2]) -> Vec<Segment> {
    let mut talk = Talk::new(isns[0], isns[1]);
    let mut segments = talk.handshake();
    segments.extend([talk.client(words[0]), talk.server(words[1])]);
    segments
}

fn within(tag: Tag, segment: Segment) -> Segment {
    Segment { tag, ..segment }
}

#[test]
fn the_same_addresses_in_two_networks_are_two_connections() {
    for tags in [[Tag::vlan(10), Tag::vlan(20)], [Tag::NONE, Tag::vlan(20)]] {
        let mut observer = Observer::new(TcpLimits::default());
        let one = conversation([100, 500], [b"one", b"1"]);
        let two = conversation([77_000_000, 99_000_000], [b"two", b"2"]);
        for (one, two) in one.into_iter().zip(two) {
            observer.push([within(tags[0], one), within(tags[1], two)]);
        }
        let expected = "open c:one open c:two s:12 end_of_input end_of_input";
        assert_eq!(observer.end(), expected);
    }
}

#[test]
fn equal_numbers_in_two_networks_are_two_connections() {
    let mut observer = Observer::new(TcpLimits::default());
    for segment in conversation([100, 500], [b"ask", b"answer"]) {
        observer.push([10, 20].map(|id| within(Tag::vlan(id), segment.clone())));
    }
    let expected = "open c:ask open c:ask s:answeranswer end_of_input end_of_input";
    assert_eq!(observer.end(), expected);
}

#[test]
fn each_direction_may_have_lost_its_tag_or_have_another() {
    let pairs =
        [[Tag::vlan(10), Tag::NONE], [Tag::NONE, Tag::vlan(10)], [Tag::vlan(10), Tag::vlan(20)]];
    for [from_client, from_server] in pairs {
        let mut observer = Observer::new(TcpLimits::default());
        let server = Talk::new(0, 0).segment(Side::Server, crate::segment::Flags::ACK, b"").source;
        for segment in conversation([100, 500], [b"ask", b"answer"]) {
            let tag = if segment.source == server { from_server } else { from_client };
            observer.push([within(tag, segment)]);
        }
        assert_eq!(observer.end(), "open c:ask s:answer end_of_input");
    }
}

#[test]
fn packets_without_tags_find_the_tenant_that_they_fit() {
    let mut observer = Observer::new(TcpLimits::default());
    let one = conversation([100, 500], [b"one", b"1"]);
    let two = conversation([77_000_000, 99_000_000], [b"two", b"2"]);
    for (i, (one, two)) in one.into_iter().zip(two).enumerate() {
        // As of the host's own side: responses are seen first without their tags.
        let is_answer = matches!(i, 1 | 4);
        let [first, second] =
            if is_answer { [Tag::NONE; 2] } else { [Tag::vlan(10), Tag::vlan(20)] };
        observer.push([within(first, one), within(second, two)]);
    }
    assert_eq!(observer.end(), "open c:one open c:two s:12 end_of_input end_of_input");
    assert!(observer.table.is_empty());
}
