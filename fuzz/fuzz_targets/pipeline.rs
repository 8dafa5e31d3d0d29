//! Any bytes as a capture file, through every room up to the rules: never a panic, and every sum
//! holds at the end.
#![no_main]

use std::io::Cursor;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use mirror_user::decode::{Decoder, Limits};
use mirror_user::http::{BodyKeep, DigestOf, HttpOptions, HttpTable, KeepLimits};
use mirror_user::rules::Rules;
use mirror_user::rules::tag::Marks;
use mirror_user::source::pcap::FileSource;
use mirror_user::source::{Next, PacketSource};
use mirror_user::tcp::{FlowTable, TcpLimits};

fuzz_target!(|file: &[u8]| {
    let reader = Box::new(Cursor::new(file.to_vec()));
    let Ok(mut source) = FileSource::from_reader("fuzz", reader) else { return };
    let keep =
        BodyKeep::Keep(KeepLimits { digest: DigestOf::All, memory: 1 << 16, total: 1 << 20 });
    let mut decoder = Decoder::new(Limits::default());
    let mut flows = FlowTable::new(TcpLimits::default());
    let mut http = HttpTable::new(HttpOptions {
        request_body: keep,
        response_body: BodyKeep::Digest,
        ..HttpOptions::default()
    });
    let (mut events, mut exchanges) = (Vec::new(), Vec::new());
    let marks = Marks::default();
    while let Ok(Next::Packet(packet)) = source.next(Duration::ZERO) {
        if let Ok(segment) = decoder.push(&packet) {
            flows.push(segment, &mut events);
        }
        flows.expire(packet.at, &mut events);
        events.drain(..).for_each(|event| http.push(event, &mut exchanges));
        for cleared in
            exchanges.drain(..).filter_map(|exchange| Rules::for_targets().clear(exchange).ok())
        {
            let _ = cleared.shadow_request(&marks, "target:80");
        }
    }
    flows.finish(&mut events);
    events.drain(..).for_each(|event| http.push(event, &mut exchanges));
    assert!(source.account().is_settled());
    assert!(decoder.account().is_settled());
    assert!(flows.stats().bytes().is_settled());
    for account in http.stats().accounts() {
        assert!(account.is_settled(), "{account:?}");
    }
});
