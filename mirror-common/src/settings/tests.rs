//! What is wanted, and how it stands in the maps.

use super::*;
use crate::flow::End;

#[test]
fn every_port_has_a_bit_of_its_own() {
    assert_eq!(port_bit(0), (0, 1));
    assert_eq!(port_bit(63), (0, 1 << 63));
    assert_eq!(port_bit(64), (1, 1));
    assert_eq!(port_bit(u16::MAX), (PORT_WORDS - 1, 1 << 63));
}

#[test]
fn the_switch_changes_one_byte() {
    for (slot, paused) in [(0, false), (1, false), (0, true), (1, true)] {
        let switch = Switch::new(slot, paused);
        assert_eq!((switch.slot(), switch.is_paused()), (slot, paused));
        assert!(switch.0 <= 0xff);
    }
}

#[test]
fn settings_stand_in_the_map_field_by_field() {
    let settings = Settings {
        sample: 1,
        copied: 2,
        wake_bytes: 3,
        snaplen_to_server: 4,
        snaplen_to_client: 5,
        flags: 6,
    };
    let bytes = settings.to_bytes();
    assert_eq!(bytes[..8], 1_u64.to_ne_bytes());
    assert_eq!(bytes[8..16], 2_u64.to_ne_bytes());
    for (place, value) in [3_u32, 4, 5, 6].into_iter().enumerate() {
        assert_eq!(bytes[16 + place * 4..][..4], value.to_ne_bytes());
    }
}

/// One network for each list: 10.1/16 with its verdict.
struct OneNet(List, Listed);

impl Networks for OneNet {
    fn listed(&self, list: List, address: Address) -> Option<Listed> {
        let [_, low] = address.halves();
        (list == self.0 && low as u32 >> 16 == 0x0a01).then_some(self.1)
    }
}

fn ends(client: [u8; 4], server: [u8; 4]) -> Ends {
    let end = |address, port| End { address: Address::v4(u32::from_be_bytes(address)), port };
    Ends { source: end(client, 40_000), destination: end(server, 80) }
}

const ALL: Settings = Settings {
    sample: SAMPLE_ALL,
    copied: SAMPLE_ALL,
    wake_bytes: 0,
    snaplen_to_server: 0,
    snaplen_to_client: 0,
    flags: 0,
};

#[test]
fn networks_include_and_exclude() {
    let (inside, outside) = ([10, 1, 2, 3], [10, 2, 2, 3]);
    let judge = |flags, net: OneNet, ends: Ends| {
        Settings { flags, ..ALL }.judge(&net, &ends, Way::ToServer, None)
    };
    let refused = Err(Outcome::OtherNetwork);
    let only = || OneNet(List::Client, Listed::Included);
    assert_eq!(judge(flag::CLIENT_LISTED, only(), ends(inside, outside)), Ok(()));
    assert_eq!(judge(flag::CLIENT_LISTED, only(), ends(outside, inside)), refused);
    let not = || OneNet(List::Server, Listed::Excluded);
    let flags = flag::SERVER_LISTED | flag::SERVER_OPEN;
    assert_eq!(judge(flags, not(), ends(inside, outside)), Ok(()));
    assert_eq!(judge(flags, not(), ends(outside, inside)), refused);
    let either = || OneNet(List::Either, Listed::Included);
    assert_eq!(judge(flag::EITHER_LISTED, either(), ends(outside, inside)), Ok(()));
    assert_eq!(judge(flag::EITHER_LISTED, either(), ends(inside, outside)), Ok(()));
    assert_eq!(judge(flag::EITHER_LISTED, either(), ends(outside, outside)), refused);
}

#[test]
fn sides_need_a_direction() {
    let nets = OneNet(List::Either, Listed::Included);
    let ends = ends([10, 0, 0, 1], [10, 0, 0, 2]);
    let settings = Settings { flags: flag::NOT_AS_CLIENT, ..ALL };
    let judge = |way, direction| settings.judge(&nets, &ends, way, direction);
    assert_eq!(judge(Way::ToServer, Some(Direction::Ingress)), Ok(()));
    assert_eq!(judge(Way::ToClient, Some(Direction::Egress)), Ok(()));
    assert_eq!(judge(Way::ToServer, Some(Direction::Egress)), Err(Outcome::OtherSide));
    assert_eq!(judge(Way::ToClient, Some(Direction::Ingress)), Err(Outcome::OtherSide));
    assert_eq!(judge(Way::ToServer, None), Ok(()));
}

#[test]
fn a_sample_of_nothing_and_requests_alone() {
    let nets = OneNet(List::Either, Listed::Included);
    let ends = ends([10, 0, 0, 1], [10, 0, 0, 2]);
    let none = Settings { sample: 0, copied: 0, ..ALL };
    assert_eq!(none.judge(&nets, &ends, Way::ToServer, None), Err(Outcome::SampledOut));
    let shed = Settings { copied: 0, ..ALL };
    assert_eq!(shed.judge(&nets, &ends, Way::ToServer, None), Err(Outcome::LoadShed));
    let requests = Settings { flags: flag::REQUESTS_ONLY, ..ALL };
    assert_eq!(requests.judge(&nets, &ends, Way::ToServer, None), Ok(()));
    assert_eq!(requests.judge(&nets, &ends, Way::ToClient, None), Err(Outcome::NotRequest));
}
