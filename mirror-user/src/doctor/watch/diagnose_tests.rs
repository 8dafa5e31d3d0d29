use proptest::prelude::*;

use super::*;
use crate::doctor::watch::evidence::Inside;

fn port_8080() -> Ports {
    Ports::new(vec![8080])
}

/// Something passes the interface, and this of the port.
fn port(traffic: PortTraffic) -> Evidence {
    let port = PortTraffic { segments: 10, to_here: 10, ..traffic };
    let here = Place { packets: 20, port, ..Place::default() };
    Evidence { up: true, here, ..Evidence::default() }
}

fn captured(requests: u64) -> Capture {
    Capture { connections: 1, requests, responses: requests, ..Capture::default() }
}

#[track_caller]
fn assert_causes(evidence: &Evidence, expected: &[Reason]) {
    let found = diagnose(evidence, &port_8080());
    let causes = found.into_iter().filter(|finding| finding.level == Level::Cause);
    assert_eq!(causes.map(|finding| finding.reason).collect::<Vec<_>>(), expected);
}

#[test]
fn requests_are_all_that_well_takes() {
    let traffic = PortTraffic { opened: 1, to_port: 3, from_port: 3, ..PortTraffic::default() };
    let evidence = Evidence { capture: captured(3), ..port(traffic) };
    let well = Reason::Well { connections: 1, requests: 3, responses: 3 };
    let expected = [Finding { reason: well, level: Level::Good }];
    assert_eq!(diagnose(&evidence, &port_8080()), expected);
}

#[test]
fn a_silent_interface_is_explained_before_anything_else() {
    assert_causes(&Evidence::default(), &[Reason::InterfaceDown]);
    assert_causes(&Evidence { up: true, ..Evidence::default() }, &[Reason::NoPackets]);
    let mut other = port(PortTraffic::default());
    other.here.port.segments = 0;
    other.here.requests.extend([(80, 2), (9000, 7)]);
    other.elsewhere.insert("veth0".to_owned(), Place { ..port(PortTraffic::default()).here });
    assert_causes(&other, &[Reason::NotOnPort { packets: 20 }]);
    let found = diagnose(&other, &port_8080());
    let hints = found.into_iter().filter(|finding| finding.level == Level::Hint);
    assert_eq!(
        hints.map(|finding| finding.reason).collect::<Vec<_>>(),
        [
            Reason::OtherInterface { interface: "veth0".to_owned(), segments: 10, requests: 0 },
            Reason::OtherPort { port: 9000, requests: 7 },
            Reason::OtherPort { port: 80, requests: 2 },
        ]
    );
}

#[test]
fn a_protocol_is_the_cause_alone() {
    let both = PortTraffic { opened: 1, to_port: 5, from_port: 5, ..PortTraffic::default() };
    let tls = PortTraffic { client_hellos: 1, tls_records: 4, ..both };
    assert_causes(&port(tls), &[Reason::Tls { client_hellos: 1, records: 4 }]);
    assert_causes(&port(PortTraffic { http2: 2, ..both }), &[Reason::Http2 { connections: 2 }]);
    assert_causes(&port(both), &[Reason::NotHttp { segments: 10 }]);
    let begun_before = PortTraffic { opened: 0, ..both };
    assert_causes(&port(begun_before), &[Reason::MidStream { segments: 10 }]);
}

#[test]
fn connections_without_payload_are_told_apart() {
    let opened = PortTraffic { opened: 3, refused: 3, ..PortTraffic::default() };
    assert_causes(&port(opened), &[Reason::NoResponse { opened: 3, refused: 3 }]);
    let idle = PortTraffic { bare_acks: 10, ..PortTraffic::default() };
    assert_causes(&port(idle), &[Reason::NoPayload { segments: 10, bare_acks: 10 }]);
    let dialled = PortTraffic { dialled: 1, to_port: 1, from_port: 1, ..PortTraffic::default() };
    let clients = Reason::ClientPort { connections: 1, segments: 10 };
    assert_causes(&port(dialled), std::slice::from_ref(&clients));
    // Requests that were captured went to other ports, then, but for those that were seen not to.
    let mut captured = Evidence { capture: captured(2), ..port(dialled) };
    assert_causes(&captured, &[clients]);
    captured.here.requests.insert(8080, 1);
    assert_causes(&captured, &[]);
}

#[test]
fn a_half_of_the_connections_is_missed() {
    let answers = PortTraffic { from_port: 5, ..PortTraffic::default() };
    let missing = Missing::Requests;
    assert_causes(&port(answers), &[Reason::OneWay { missing, segments: 5 }]);
    let evidence = Evidence { capture: captured(5), ..port(PortTraffic { to_port: 5, ..answers }) };
    assert_causes(&evidence, &[]);
}

#[test]
fn filters_are_named_before_what_the_port_shows() {
    let both = PortTraffic { opened: 1, to_port: 5, from_port: 5, ..PortTraffic::default() };
    let filtered = vec![("--sample", 8), ("--side", 0)];
    let capture = Capture { filtered, ..Capture::default() };
    let mut evidence = Evidence { capture, ..port(both) };
    let filtered = Reason::Filtered { by: "--sample", segments: 8 };
    assert_causes(&evidence, &[filtered.clone(), Reason::NotHttp { segments: 10 }]);
    evidence.here.requests.insert(8080, 2);
    assert_causes(&evidence, &[filtered]);
    evidence.capture.filtered.clear();
    assert_causes(&evidence, &[Reason::Unread { requests: 2 }]);
    evidence.capture.own = 4;
    assert_causes(&evidence, &[Reason::Own { segments: 4 }]);
}

#[test]
fn tunnels_are_causes_where_the_port_is_inside_or_may_be() {
    let mut evidence = port(PortTraffic::default());
    evidence.here.port.segments = 0;
    evidence.here.tunnels[Tunnel::WireGuard] = Inside { packets: 4, on_port: 0 };
    evidence.here.tunnels[Tunnel::Gre] = Inside { packets: 4, on_port: 0 };
    evidence.here.tunnels[Tunnel::Ipsec] = Inside { packets: 4, on_port: 0 };
    evidence.here.tunnels[Tunnel::Vxlan] = Inside { packets: 9, on_port: 6 };
    let tunnel = |kind, packets, on_port| Reason::Tunnel { kind, packets, on_port };
    assert_causes(
        &evidence,
        &[
            tunnel(Tunnel::Vxlan, 9, 6),
            tunnel(Tunnel::WireGuard, 4, 0),
            tunnel(Tunnel::Ipsec, 4, 0),
        ],
    );
    evidence.here.tunnels[Tunnel::Vxlan].on_port = 0;
    evidence.here.tunnels[Tunnel::WireGuard].packets = 0;
    assert_causes(&evidence, &[Reason::NotOnPort { packets: 20 }, tunnel(Tunnel::Ipsec, 4, 0)]);
}

/// Small numbers, zero often among them.
fn few() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 0_u64..5, Just(u64::MAX)]
}

prop_compose! {
    fn any_traffic()(n in prop::collection::vec(few(), 13)) -> PortTraffic {
        PortTraffic {
            segments: n[0], opened: n[1], dialled: n[2], refused: n[3], to_port: n[4],
            from_port: n[5], bare_acks: n[6], client_hellos: n[7], tls_records: n[8], http2: n[9],
            h2c: n[10], to_elsewhere: n[11], to_here: n[12],
        }
    }
}

prop_compose! {
    fn any_place()(
        port in any_traffic(), n in prop::collection::vec(few(), 3),
        requests in prop::collection::btree_map(8078_u16..8083, few(), 0..5),
        tunnels in prop::collection::vec((few(), few()), 7),
    ) -> Place {
        let mut place = Place {
            packets: n[0], port, requests, udp: n[1], quic: n[2], ..Place::default()
        };
        for (inside, (packets, on_port)) in place.tunnels.values_mut().zip(tunnels) {
            *inside = Inside { packets, on_port };
        }
        place
    }
}

prop_compose! {
    fn any_evidence()(
        up in any::<bool>(), here in any_place(), overlooked in few(),
        elsewhere in prop::collection::btree_map("[a-z]{1,4}", any_place(), 0..6),
        n in prop::collection::vec(few(), 6),
    ) -> Evidence {
        let capture = Capture {
            connections: n[0], requests: n[1], responses: n[2], filtered: vec![("--side", n[3])],
            own: n[4], lost: n[5],
        };
        Evidence { up, capture, here, elsewhere, overlooked }
    }
}

proptest! {
    #[test]
    fn whatever_was_counted_the_findings_hold_together(evidence in any_evidence()) {
        let found = diagnose(&evidence, &port_8080());
        // All is well when requests of the port were captured, which is then said first and once.
        let well = found.first().is_some_and(|first| first.level == Level::Good);
        let good = found.iter().filter(|finding| finding.level == Level::Good).count();
        prop_assert_eq!(good, usize::from(well));
        prop_assert!(!well || evidence.capture.requests > 0);
        prop_assert!(well || evidence.capture.requests == 0 || evidence.here.port.dialled > 0);
        // Whatever is not well has something to be done about; a bound of what is told.
        prop_assert!(found.len() <= 24);
        for (place, finding) in found.iter().enumerate() {
            prop_assert_eq!(finding.reason.advice().is_none(), finding.level == Level::Good);
            prop_assert!(!found[..place].iter().any(|other| other.reason == finding.reason));
            prop_assert!(!(well && finding.level == Level::Cause));
            serde_json::to_string(finding).unwrap();
        }
        prop_assert_eq!(&diagnose(&evidence, &port_8080()), &found);
    }

    #[test]
    fn silence_always_has_a_cause(mut evidence in any_evidence()) {
        evidence.capture.requests = 0;
        let found = diagnose(&evidence, &port_8080());
        prop_assert!(found.iter().any(|finding| finding.level == Level::Cause), "{found:?}");
    }
}
