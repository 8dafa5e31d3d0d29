//! The host that a rule sees is the one that is marked, whichever way a request names it.

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use super::{asked, cleared};
use crate::http::message::{Flaw, Message};
use crate::http::target::{RequestTarget, TargetForm};
use crate::http::{HttpOptions, HttpTable};
use crate::packet::Timestamp;
use crate::rules::host::HostPolicy;
use crate::rules::select::{HostPattern, RequestFacts};
use crate::rules::tag::{Ambiguous, Marks};
use crate::tcp::event::{Change, ConnId, Side, StreamEvent};

/// The request as it is read from these bytes.
fn captured(wire: &[u8]) -> Arc<Message> {
    let mut table = HttpTable::new(HttpOptions::default());
    let (conn, at, mut out) = (ConnId { slot: 0, serial: 0 }, Timestamp::default(), Vec::new());
    let peers = Arc::clone(&asked(0, 0, b"GET / HTTP/1.1\r\n\r\n").peers);
    let data = Change::Data(Side::Client, Bytes::copy_from_slice(wire));
    for change in [Change::Opened { peers, midstream: false }, data] {
        table.push(StreamEvent { conn, at, change }, &mut out);
    }
    out.remove(0).request.unwrap()
}

/// The host that rules see of these bytes.
fn seen(wire: &[u8]) -> Vec<u8> {
    let exchange = asked(0, 0, b"GET / HTTP/1.1\r\n\r\n");
    RequestFacts::new(&captured(wire).head, &exchange.peers).host().to_vec()
}

/// The bytes that are sent for these.
fn sent(wire: &[u8]) -> Vec<u8> {
    let marks = Marks { run: "r".into(), ambiguous: Ambiguous::Send, ..Marks::default() };
    let shadow = cleared(asked(0, 0, wire)).shadow_request(&marks, "staging:80").unwrap();
    shadow.front.to_vec()
}

#[test]
fn user_information_hides_no_host_from_a_rule() {
    let shop: HostPattern = "shop".parse().unwrap();
    for (target, marked) in [
        ("http://me@shop/", "http://me@shop-shadow/"),
        ("http://me:secret@shop:80/a", "http://me:secret@shop-shadow:80/a"),
        ("http://shop?a=b@c", "http://shop-shadow?a=b@c"),
        ("http://shop#a", "http://shop-shadow#a"),
    ] {
        let wire = format!("GET {target} HTTP/1.1\r\nHost: other\r\n\r\n");
        assert!(shop.matches(&seen(wire.as_bytes())), "{target}");
        let sent = String::from_utf8(sent(wire.as_bytes())).unwrap();
        assert!(sent.starts_with(&format!("GET {marked} HTTP/1.1\r\n")), "{sent}");
    }
}

#[test]
fn a_target_that_names_no_host_leaves_that_to_the_field() {
    for target in ["/a", "*", "shop", "shop:80", "a?u=http://shop/", "http:///a", "http://me@/a"] {
        let wire = format!("GET {target} HTTP/1.1\r\nHost: other\r\n\r\n");
        assert_eq!(seen(wire.as_bytes()), b"other", "{target}");
        assert_eq!(seen(&sent(wire.as_bytes())), b"other-shadow", "{target}");
    }
}

proptest! {
    #[test]
    fn all_who_read_a_target_agree_on_its_host(
        target in "(http:|h)?(//|/)?([ab]@){0,2}(shop|\\[::1\\])?(:8080|:80)?[/?#@:a]{0,5}",
    ) {
        prop_assume!(!target.is_empty());
        let wire = format!("GET {target} HTTP/1.1\r\nHost: other\r\n\r\n");
        let before = seen(wire.as_bytes());
        let mut marked = Vec::new();
        HostPolicy::default().apply(&before, "staging:80", &mut marked);
        prop_assert_eq!(seen(&sent(wire.as_bytes())), marked);

        let absolute =
            RequestTarget::parse(b"GET", target.as_bytes()).form() == TargetForm::Absolute;
        let mismatch = captured(wire.as_bytes()).flaws.contains(Flaw::HostMismatch);
        prop_assert_eq!(mismatch, absolute);
    }
}
