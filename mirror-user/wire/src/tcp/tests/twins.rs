//! The same connection before and after a translation of addresses.

use std::time::Duration;

use super::talk::{Observer, Talk};
use crate::packet::InterfaceId;
use crate::segment::{Endpoint, Segment};
use crate::tcp::TcpLimits;
use crate::tcp::event::Side;
use crate::tcp::stats::{Disposition, Dropped};

/// As the pod sees what was sent to the service.
fn translated(segment: &Segment, talk: &Talk) -> Segment {
    let pod = |end: Endpoint| match end == talk.server.into() {
        true => Endpoint::new([10, 78, 0, 2].into(), 80),
        false => end,
    };
    Segment {
        source: pod(segment.source),
        destination: pod(segment.destination),
        interface: InterfaceId(1),
        ..segment.clone()
    }
}

fn conversation(talk: &mut Talk) -> Vec<Segment> {
    let mut segments = talk.handshake();
    segments.extend([talk.client(b"ask"), talk.server(b"answer")]);
    segments.extend([
        talk.fin(Side::Client, b""),
        talk.fin(Side::Server, b"bye"),
        talk.client(b""),
    ]);
    segments
}

#[test]
fn what_is_seen_with_two_addresses_is_reported_once() {
    let mut talk = Talk::new(100, 500);
    let mut observer = Observer::new(TcpLimits::default());
    for segment in conversation(&mut talk) {
        let other = translated(&segment, &talk);
        match segment.source == talk.client.into() {
            true => observer.push([segment, other]),
            false => observer.push([other, segment]),
        };
    }
    assert_eq!(observer.table.stats().bytes_dropped.get(Dropped::Translated), 12);
    assert_eq!(observer.table.stats().segments.get(Disposition::Translated), 4);
    // The port is used again at once.
    let mut again = Talk::new(900, 7_000_000);
    again.at = talk.at;
    for segment in conversation(&mut again) {
        observer.push([translated(&segment, &talk), segment]);
    }
    let once = "open c:ask s:answer c. s:bye s. fin";
    assert_eq!(observer.end(), format!("{once} {once}"));
}

#[test]
fn clients_with_the_same_numbers_on_one_interface_are_their_own() {
    let mut talk = Talk::new(100, 500);
    let mut observer = Observer::new(TcpLimits::default());
    for segment in conversation(&mut talk) {
        let other = Segment { interface: segment.interface, ..translated(&segment, &talk) };
        observer.push([segment, other]);
    }
    assert_eq!(observer.table.stats().segments.get(Disposition::Translated), 0);
    observer.end();
}

#[test]
fn a_connection_upstream_and_one_that_comes_later_are_their_own() {
    let mut talk = Talk::new(100, 500);
    let mut observer = Observer::new(TcpLimits::default());
    observer.push(conversation(&mut talk));
    let mut upstream = Talk::new(101, 500);
    upstream.server.set_port(9090);
    upstream.at = talk.at;
    observer.push(conversation(&mut upstream));
    talk.later(Duration::from_secs(1));
    let mut later = Talk::new(100, 500);
    later.at = talk.at;
    let segments = conversation(&mut later);
    observer.push(segments.iter().map(|segment| translated(segment, &talk)).collect::<Vec<_>>());
    let once = "open c:ask s:answer c. s:bye s. fin";
    assert_eq!(observer.end(), format!("{once} {once} {once}"));
}
