//! What gives way, what is tried again, and a load that comes little by little.

use std::net::TcpListener;

use super::target::RawRequest;
use super::*;
use crate::http::message::Message;
use crate::http::whole;
use crate::sink::replay::RampOptions;

fn live(victim: Victim) -> ReplayOptions {
    options(Pace::Live, WhenFull::Drop(victim))
}

/// The same exchange when production has answered.
fn ended(exchange: Exchange, answer: &'static [u8]) -> Exchange {
    let (head, body) = whole::answer(&Bytes::from_static(answer), false).unwrap();
    let (started, finished) = (Timestamp::default(), Timestamp::default());
    let answer = Message { started, finished, head, body, incomplete: None, flaws: Vec::new() };
    Exchange { moment: Moment::Ended, response: Some(Arc::new(answer)), ..exchange }
}

#[test]
fn the_oldest_gives_way_where_that_is_asked_for() {
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
fn what_was_not_sent_is_tried_again_and_what_was_is_not() {
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

#[test]
fn a_ramp_lets_connections_in_by_their_time_and_stops_when_the_target_fails() {
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
    assert_eq!(account.dropped, [("ramping", 1000 - account.delivered)]);

    let failing = Target::start(Behaviour::AnswerWith(
        b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n".to_vec(),
    ));
    let at_once = RampOptions { over: Duration::from_nanos(1), ..ramp };
    let max = ReplayOptions { ramp: Some(at_once), ..file() };
    let mut replay = Replay::to(&failing.url(), max);
    let deadline = super::super::engine::now() + LONGEST;
    let stopped = |replay: &Replay| {
        let dropped = replay.sink.monitor().progress().dropped;
        dropped.iter().any(|(why, _)| *why == "ramp_stopped")
    };
    // The outcomes are looked at every while.
    for n in 0.. {
        if stopped(&replay) {
            break;
        }
        assert!(super::super::engine::now() < deadline, "never stopped");
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
    assert!(replay.sink.wants_answers());
    for n in 0..30 {
        replay.send(get(n, 0));
        replay.send(ended(get(n, 0), b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"));
    }
    let (account, _) = replay.end();
    assert_eq!(account.delivered, 20);
    lost(&account, NotDelivered::RampStopped, 10);
}
