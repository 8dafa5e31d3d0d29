//! Captures that were damaged at will, through every room: no panic, and every sum holds.

use std::io::Cursor;
use std::sync::LazyLock;
use std::time::Duration;

use mirror_user::decode::{Decoder, Limits};
use mirror_user::http::{BodyKeep, DigestOf, HttpOptions, HttpTable, KeepLimits};
use mirror_user::rules::Rules;
use mirror_user::rules::tag::Marks;
use mirror_user::source::pcap::FileSource;
use mirror_user::source::{Next, PacketSource};
use mirror_user::stats::Account;
use mirror_user::tcp::{FlowTable, TcpLimits};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::support::scenes;

static CAPTURES: LazyLock<Vec<Vec<u8>>> =
    LazyLock::new(|| scenes::all().into_iter().map(|scene| scene.pcap).collect());

/// What the stages counted for one file; `None` for a file that is refused.
fn accounts(file: Vec<u8>) -> Option<Vec<Account>> {
    let mut source = FileSource::from_reader("damaged", Box::new(Cursor::new(file))).ok()?;
    let keep = BodyKeep::Keep(KeepLimits { digest: DigestOf::All, ..KeepLimits::default() });
    let options = HttpOptions { request_body: keep, response_body: keep, ..HttpOptions::default() };
    let mut decoder = Decoder::new(Limits::default());
    let mut flows = FlowTable::new(TcpLimits::default());
    let mut http = HttpTable::new(options);
    let (mut events, mut exchanges) = (Vec::new(), Vec::new());
    while let Ok(Next::Packet(packet)) = source.next(Duration::ZERO) {
        if let Ok(segment) = decoder.push(&packet) {
            flows.push(segment, &mut events);
        }
        flows.expire(packet.at, &mut events);
        events.drain(..).for_each(|event| http.push(event, &mut exchanges));
    }
    flows.finish(&mut events);
    events.drain(..).for_each(|event| http.push(event, &mut exchanges));
    for exchange in exchanges {
        if let Ok(cleared) = Rules::for_targets().clear(exchange) {
            // Refused or not: it must only not panic.
            let _ = cleared.shadow_request(&Marks::default(), "target:80");
        }
    }
    let mut accounts = vec![source.account(), decoder.account(), flows.stats().bytes()];
    accounts.extend(http.stats().accounts());
    Some(accounts)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_damaged_capture_is_ordinary_input(
        capture in any::<Index>(),
        damage in vec((any::<Index>(), any::<u8>()), 0..12),
        cut in proptest::option::of(any::<Index>()),
    ) {
        let mut file = capture.get(&CAPTURES).clone();
        for (place, byte) in damage {
            *place.get_mut(&mut file) = byte;
        }
        if let Some(cut) = cut {
            file.truncate(cut.index(file.len()));
        }
        for account in accounts(file).into_iter().flatten() {
            prop_assert!(account.is_settled(), "{account:?}");
        }
    }
}

#[test]
fn an_undamaged_capture_is_read_whole() {
    for capture in CAPTURES.iter() {
        let accounts = accounts(capture.clone()).expect("a capture");
        assert!(accounts.iter().all(Account::is_settled));
        assert!(accounts.first().is_some_and(|packets| packets.delivered > 0));
    }
}
