//! Customers of a shop that makes names up, replayed to another one that makes others up.

use serde_json::Value;

use crate::support::shop::Shop;
use crate::support::shopping::{self, REQUESTS};
use crate::support::target::{Behaviour, RawRequest, Target};
use crate::support::{Workspace, mirror};

/// Replays the customers to a shop of its own: how many answers of each class there were, the
/// summary, and what the shop was asked.
fn replay(flags: &[&str]) -> ([u64; 5], Value, Vec<RawRequest>) {
    let shop = Shop::open("shadow", 1_000_000_001);
    let target = Target::start(Behaviour::Serve(shop));
    let workspace = Workspace::new();
    let file = workspace.file("shopping.pcap", &shopping::capture());
    let url = target.url();
    let args = ["replay", "--from", &file, "--to", &url, "--json"];
    let run = mirror(&[&args, flags].concat()).exits_with(0);
    let summary: Value = serde_json::from_str(&run.stdout()).unwrap();
    let classes = summary["replays"][0]["classes"].as_array().unwrap();
    let classes: Vec<u64> = classes.iter().map(|n| n.as_u64().unwrap()).collect();
    (classes.try_into().unwrap(), summary, target.received())
}

#[test]
fn customers_are_served_where_values_are_correlated() {
    let all = [0, REQUESTS as u64, 0, 0, 0];
    let (classes, _, _) = replay(&["--speed", "max"]);
    // What needs no name that production gave: the page to sign in at.
    assert_eq!(classes, [0, 3, 0, REQUESTS as u64 - 3, 0]);
    for flags in [
        &["--speed", "1"][..],
        &["--speed", "max"],
        &["--speed", "max", "--connections", "pooled:4"],
    ] {
        let (classes, summary, received) = replay(&[flags, &["--correlate"]].concat());
        assert_eq!(classes, all, "{flags:?} {summary:#}");
        for request in received {
            let wire = String::from_utf8_lossy(&request.wire()).into_owned();
            assert!(!wire.contains("500"), "an order of production's: {wire}");
            if wire.contains("/items") {
                assert!(wire.ends_with("\r\n\r\n{\"product\":7,\"quantity\":2}"), "{wire}");
            }
            if wire.contains("sid=") {
                assert!(wire.contains("\r\nCookie: theme=dark; sid="), "{wire}");
            }
        }
    }
}

#[test]
fn each_copy_has_names_of_its_own() {
    let (classes, summary, _) = replay(&["--speed", "max", "--correlate", "--copies", "3"]);
    assert_eq!(classes, [0, 3 * REQUESTS as u64, 0, 0, 0], "{summary:#}");
}

#[test]
fn the_capture_may_be_read_again() {
    let (classes, summary, _) = replay(&["--speed", "1", "--correlate", "--loop", "2"]);
    assert_eq!(classes, [0, 2 * REQUESTS as u64, 0, 0, 0], "{summary:#}");
}

#[test]
fn redaction_comes_first_and_its_tokens_are_correlated() {
    // What a page carries is not replaced there, and so must not be in what is sent.
    let keep = ["--redact-keep", "csrf_token", "--redact-keep", "x-csrf-token"];
    let flags = [&["--speed", "max", "--correlate", "--redact", "credentials"][..], &keep].concat();
    let (classes, summary, received) = replay(&flags);
    assert_eq!(classes, [0, REQUESTS as u64, 0, 0, 0], "{summary:#}");
    assert!(
        received.iter().all(|it| !String::from_utf8_lossy(&it.body).contains("password=secret"))
    );
}

#[test]
fn responses_that_are_not_copied_teach_nothing() {
    mirror(&[
        "replay",
        "--from",
        "lo",
        "--port",
        "1",
        "--to",
        "http://127.0.0.1:2",
        "--requests-only",
        "--correlate",
    ])
    .exits_with(2)
    .complains(&["--requests-only", "--correlate"]);
}
