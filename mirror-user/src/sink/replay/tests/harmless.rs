//! What gives way, what is tried again, and a load that comes little by little.

use std::net::TcpListener;

use super::target::RawRequest;
use super::*;
use crate::http::message::{Flaws, Message};
use crate::http::whole;
use crate::sink::replay::{Connections, RampOptions};

fn live(victim: Victim) -> ReplayOptions {
    options(Pace::Live, WhenFull::Drop(victim))
}

/// The same exchange after production has responded.
fn ended(exchange: Exchange, response: &'static [u8]) -> Exchange {
    let (head, body) = whole::response(&Bytes::from_static(response), false).unwrap();
    let (started, finished) = (Timestamp::default(), Timestamp::default());
    let response =
        Message { started, finished, head, body, incomplete: None, flaws: Flaws::default() };
    Exchange { moment: Moment::Ended, response: Some(Arc::new(response)), ..exchange }
}

#[test]
fn the_oldest_is_displaced_if_configured() {
    let target = Target::start(Behaviour::Hold);
    let limits = Limits { queue_requests: 16, ..Limits::default() };
    let mut replay = Replay::to(&target.url(), ReplayOptions { limits, ..live(Victim::Oldest) });
    // One is on its way and holds the others of its connection up.
    replay.gets(7, 1);
    target.wait_for(1, LONGEST);
    for index in 1..=40 {
        replay.send(get(7, index));
        // Within the room that the engine has for those that come before it could make some.
        replay.wait_until("within limits", |now| now.queued + now.in_flight <= 16);
    }
    target.release();
    let (account, _) = replay.end();
    lost(&account, NotDelivered::Displaced, 25);
    assert_eq!(account.delivered, 16);
    let targets: Vec<String> = target.received().iter().map(RawRequest::target).collect();
    let kept = std::iter::once(0).chain(26..=40).map(|index| format!("/7/{index}"));
    assert_eq!(targets, kept.collect::<Vec<_>>());
}

#[test]
fn only_unsent_requests_are_retried() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let retry = ReplayOptions { retry_unsent: 100, ..file() };
    let mut replay = Replay::to(&format!("http://{address}"), retry);
    replay.gets(1, 3);
    let counters = Arc::clone(&replay.sink.queue);
    wait_until(&replay.sink.monitor(), "tried again", |_| {
        counters.counters.retried.load(Relaxed) > 0
    });
    let target = Target::start_on(address, Behaviour::Answer);
    let (account, _) = replay.end();
    answered(&account, 3);
    assert_eq!(target.received().len(), 3, "each once");

    // The target took the request, and may have acted on it.
    let target = Target::start(Behaviour::AnswerAndReset(b"HTTP/1.1 200 OK\r\n".to_vec()));
    let retry = ReplayOptions { retry_unsent: 100, ..file() };
    let mut replay = Replay::to(&target.url(), retry);
    replay.gets(1, 1);
    let (account, _) = replay.end();
    assert_eq!(account.delivered, 0, "{account}");
    assert_eq!(target.received().len(), 1);
}

/// Sends requests with these methods to a target that closes each connection on its second request.
/// Returns the outcomes, and how many were sent twice.
fn to_one_that_closes(methods: &[&str], options: ReplayOptions) -> (Account, u64, Vec<String>) {
    let target = Target::start(Behaviour::AnswerOnce);
    let mut replay = Replay::to(&target.url(), options);
    for (index, method) in (0..).zip(methods) {
        let wire = format!("{method} /{index} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
        replay.send(asked(1, index, wire.as_bytes()));
    }
    let counters = Arc::clone(&replay.sink.queue);
    let (account, _) = replay.end();
    let targets = target.received().iter().map(RawRequest::target).collect();
    (account, counters.counters.resent.load(Relaxed), targets)
}

#[test]
fn an_idempotent_request_on_a_closing_connection_is_sent_once_more() {
    for connections in [Connections::Faithful, Connections::Pooled(4), Connections::Independent(1)]
    {
        let options = ReplayOptions { connections, ..file() };
        let methods = ["GET", "PUT", "DELETE", "OPTIONS"];
        let (account, resent, targets) = to_one_that_closes(&methods, options);
        answered(&account, 4);
        assert_eq!(
            (resent, targets),
            (3, ["/0", "/1", "/1", "/2", "/2", "/3", "/3"].map(str::to_owned).to_vec())
        );
    }
}

#[test]
fn what_is_not_idempotent_or_not_to_be_sent_again_is_sent_once() {
    let (account, resent, targets) = to_one_that_closes(&["POST", "POST", "PATCH"], file());
    assert_eq!((account.delivered, resent, targets.len()), (2, 0, 3), "{account}");
    lost(&account, NotDelivered::Closed, 1);
    let off = ReplayOptions { resend: false, ..file() };
    let (account, resent, targets) = to_one_that_closes(&["GET", "GET", "GET"], off);
    assert_eq!((account.delivered, resent, targets.len()), (2, 0, 3), "{account}");
}

#[test]
fn a_new_connection_that_closes_is_no_reason_to_send_again() {
    let target = Target::start(Behaviour::AnswerAndClose(Vec::new()));
    let mut replay = Replay::to(&target.url(), file());
    replay.gets(1, 1);
    let (account, _) = replay.end();
    lost(&account, NotDelivered::Closed, 1);
    assert_eq!(target.received().len(), 1);
    // Neither is a response that began.
    let target = Target::start(Behaviour::AnswerAndClose(b"HTTP/1.1 2".to_vec()));
    let mut replay = Replay::to(&target.url(), file());
    replay.gets(1, 1);
    assert_eq!(replay.end().0.delivered, 0);
    assert_eq!(target.received().len(), 1);
}

#[test]
fn the_oldest_of_independent_requests_is_displaced_too() {
    let target = Target::start(Behaviour::Hold);
    let limits = Limits { queue_requests: 16, ..Limits::default() };
    let connections = Connections::Independent(1);
    let options = ReplayOptions { limits, connections, ..live(Victim::Oldest) };
    let mut replay = Replay::to(&target.url(), options);
    replay.gets(7, 1);
    target.wait_for(1, LONGEST);
    for index in 1..=40 {
        replay.send(get(7, index));
        replay.wait_until("within limits", |now| now.queued + now.in_flight <= 16);
    }
    target.release();
    let (account, _) = replay.end();
    lost(&account, NotDelivered::Displaced, 25);
    let targets: Vec<String> = target.received().iter().map(RawRequest::target).collect();
    let kept = std::iter::once(0).chain(26..=40).map(|index| format!("/7/{index}"));
    assert_eq!(targets, kept.collect::<Vec<_>>());
}

#[test]
fn a_ramp_admits_connections_over_time_and_stops_when_the_target_fails() {
    let ramp = RampOptions {
        over: Duration::from_secs(100),
        target_errors: Some(0.5),
        production_errors: None,
    };
    let target = Target::start(Behaviour::Answer);
    let recorded = options(Pace::Recorded { speed: 1000.0 }, WhenFull::Wait);
    let mut replay = Replay::to(&target.url(), ReplayOptions { ramp: Some(ramp), ..recorded });
    for n in 0..1000 {
        // All of it within a tenth of a second, so that one in a hundred comes.
        replay.send(at(get(n, 0), n));
    }
    let (account, _) = replay.end();
    assert!((8..=12).contains(&account.delivered), "{account}");
    assert_eq!(account.losses(), [("ramping", 1000 - account.delivered)]);

    let failing = Target::start(Behaviour::AnswerWith(
        b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n".to_vec(),
    ));
    let at_once = RampOptions { over: Duration::from_nanos(1), ..ramp };
    let max = ReplayOptions { ramp: Some(at_once), ..file() };
    let mut replay = Replay::to(&failing.url(), max);
    let deadline = crate::sink::replay::clock::now() + LONGEST;
    let stopped = |replay: &Replay| {
        let dropped = replay.sink.monitor().progress().dropped;
        dropped.iter().any(|(why, _)| *why == "ramp_stopped")
    };
    // The outcomes are looked at every while.
    for n in 0.. {
        if stopped(&replay) {
            break;
        }
        assert!(crate::sink::replay::clock::now() < deadline, "never stopped");
        replay.send(get(n, 0));
        replay.wait_until("answered", |now| now.queued + now.in_flight == 0);
    }
    replay.end();
}

#[test]
fn a_ramp_stops_when_production_fails() {
    let ramp = RampOptions {
        over: Duration::from_nanos(1),
        target_errors: None,
        production_errors: Some(0.5),
    };
    let target = Target::start(Behaviour::Answer);
    let mut replay = Replay::to(&target.url(), ReplayOptions { ramp: Some(ramp), ..file() });
    assert!(replay.sink.needs_responses());
    for n in 0..30 {
        replay.send(get(n, 0));
        replay.send(ended(get(n, 0), b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"));
    }
    let (account, _) = replay.end();
    assert_eq!(account.delivered, 20);
    lost(&account, NotDelivered::RampStopped, 10);
}

#[test]
fn a_cap_drops_excess_load_by_connection() {
    let target = Target::start(Behaviour::Answer);
    let cap = Some("1/s".parse().unwrap());
    let mut replay = Replay::to(&target.url(), ReplayOptions { cap, ..live(Victim::Newest) });
    for connection in 0..50 {
        replay.gets(connection, 1);
    }
    // The first one is in, and may run ahead by one.
    replay.send(get(0, 1));
    let (account, progress) = replay.end();
    lost(&account, NotDelivered::OverRate, 49);
    assert_eq!(
        (account.delivered, progress.attribution[crate::sink::replay::Attribution::Operator]),
        (2, 49)
    );
    let targets: Vec<String> = target.received().iter().map(RawRequest::target).collect();
    assert_eq!(targets, ["/0/0", "/0/1"]);
}
