//! A shop to replay `pcaps/shopping.pcap` to: it makes other names up than production did, so that the
//! recorded requests fail there, unless `mirror replay --correlate` sees to it.
//!
//! `cargo run --example shop -- 127.0.0.1:9300`

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "what it shares with the tests fails by panicking"
)]

#[path = "../../tests/support/shop.rs"]
mod shop;

#[path = "../../tests/support/target.rs"]
mod target;

use shop::Shop;
use target::{Behaviour, Target};

fn main() -> anyhow::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9300".to_owned());
    let shop = Shop::open("shadow", 1_000_000_001);
    let target = Target::start_on(address.parse()?, Behaviour::Serve(shop));
    println!("a shop with an empty database listens at {}; end it with Ctrl-C", target.url());
    loop {
        std::thread::park();
    }
}
