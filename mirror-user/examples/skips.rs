//! Reads capture files, decodes them, and prints for each what was skipped and how fast it went:
//! `cargo run --release --example skips -- FILE…`

use std::time::{Duration, Instant};

use mirror_user::decode::{Decoder, Limits};
use mirror_user::source::Next;

fn main() {
    for path in std::env::args().skip(1) {
        if let Err(error) = read(&path) {
            println!("{path}\terror: {error:#}");
        }
    }
}

fn read(path: &str) -> anyhow::Result<()> {
    #[expect(clippy::disallowed_methods, reason = "measures how long reading takes")]
    let start = Instant::now();
    let mut source = mirror_user::source::folder::open(&[path])?;
    let mut decoder = Decoder::new(Limits::default());
    let (mut packets, mut bytes, mut payload) = (0_u64, 0_u64, 0_u64);
    loop {
        let packet = match source.next(Duration::ZERO)? {
            Next::Packet(packet) => packet,
            Next::Idle => continue,
            Next::End => break,
        };
        packets += 1;
        bytes += packet.data.len() as u64;
        if let Ok(segment) = decoder.push(&packet) {
            payload += segment.payload.len() as u64;
        }
    }
    let took = start.elapsed().as_secs_f64();
    println!(
        "{path}\t{}\t{}\t{:?}\tpayload {payload}\t{:.0} ns/packet\t{:.2} GB/s\t{:?}",
        source.account(),
        decoder.account(),
        decoder.datagrams(),
        took * 1e9 / packets.max(1) as f64,
        bytes as f64 / took / 1e9,
        source.warnings(),
    );
    Ok(())
}
