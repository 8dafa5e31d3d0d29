//! `cargo test --release -p mirror-user --lib tcp::tests::speed -- --ignored --nocapture`

use std::time::Instant;

use super::talk::{Observer, Talk};
use crate::segment::{Flags, Segment};
use crate::tcp::TcpLimits;
use crate::tcp::event::Side;

#[test]
#[ignore = "a measurement: prints nanoseconds for each in-order segment"]
#[expect(clippy::disallowed_methods, reason = "it measures")]
fn nanoseconds_for_each_segment() {
    for connections in [1_u32, 1_000, 100_000] {
        let mut observer = Observer::new(TcpLimits::default());
        let mut talks: Vec<Talk> = (0..connections)
            .map(|i| {
                let mut talk = Talk::new(i, !i);
                talk.client = (std::net::Ipv4Addr::from_bits(0x0b00_0000 + i), 1234).into();
                observer.push(talk.handshake());
                observer.push([talk.client(b"first")]);
                talk
            })
            .collect();
        observer.events.clear();
        let text = [b'x'; 1000];
        let chunk = bytes::Bytes::copy_from_slice(&text);
        let (mut spent, mut count) = (std::time::Duration::ZERO, 0_u32);
        while count < 1_000_000 {
            let mut batch: Vec<Segment> = Vec::with_capacity(200_000);
            'full: loop {
                for talk in &mut talks {
                    for side in [Side::Client, Side::Server] {
                        // A slice of one chunk, as a source gives it: freeing is not the stage's work.
                        let mut segment = talk.segment(side, Flags::ACK, &text);
                        segment.payload = chunk.clone();
                        batch.push(segment);
                    }
                    if batch.len() >= 200_000 {
                        break 'full;
                    }
                }
            }
            count += batch.len() as u32;
            let before = Instant::now();
            for segment in batch {
                observer.table.push(segment, &mut observer.events);
                if observer.events.len() >= 1024 {
                    observer.events.clear();
                }
            }
            spent += before.elapsed();
        }
        eprintln!("{connections} connections: {} ns", spent.as_nanos() / u128::from(count));
    }
}
