//! When requests go, how often, and over which connections.

use std::collections::HashSet;
use std::time::Duration;

use super::*;
use crate::sink::Event;
use crate::sink::replay::engine::session::CONNECT_AHEAD;
use crate::sink::replay::{Connections, Copies, Limits, Point, Rate, Window};

fn recorded(speed: f64) -> ReplayOptions {
    options(Pace::Recorded { speed }, WhenFull::Wait)
}

#[test]
fn one_session_that_waits_delays_no_other() {
    let target = Target::start(Behaviour::Hold);
    let mut replay = Replay::to(&target.url(), recorded(1.0));
    replay.send(at(get(1, 0), 0));
    replay.send(at(get(1, 1), 1));
    replay.send(at(get(2, 0), 2));
    replay.send(at(get(3, 0), 3));
    // All but the one that waits for an answer are there while nothing is answered.
    let received = target.wait_for(3, LONGEST);
    let targets: HashSet<_> = received.iter().map(|request| request.target()).collect();
    assert_eq!(targets, HashSet::from(["/1/0", "/2/0", "/3/0"].map(str::to_owned)));
    target.release();
    answered(&replay.end().0, 4);
}

#[test]
fn requests_without_space_in_time_are_dropped_and_delay_no_other() {
    let target = Target::start(Behaviour::Hold);
    let limits = Limits { queue_requests: 3, ..Limits::default() };
    let timeouts = Timeouts { late: Duration::ZERO, ..Timeouts::default() };
    let mut replay = Replay::to(&target.url(), ReplayOptions { limits, timeouts, ..recorded(1.0) });
    for connection in 0..10 {
        replay.send(at(get(connection, 0), 0));
    }
    target.release();
    let (account, _) = replay.end();
    assert_eq!((account.seen, account.delivered), (10, 3));
    lost(&account, NotDelivered::QueueFull, 7);
}

#[test]
fn slow_target_shows_in_the_time_from_the_schedule() {
    let target = Target::start(Behaviour::Hold);
    let mut replay = Replay::to(&target.url(), recorded(1.0));
    replay.send(at(get(1, 0), 0));
    replay.send(at(get(1, 1), 10));
    target.wait_for(1, LONGEST);
    // The second one is due, and waits for the answer to the first.
    let deadline = crate::sink::replay::clock::now() + Duration::from_millis(60);
    replay.wait_until("some time has passed", |_| crate::sink::replay::clock::now() >= deadline);
    target.release();
    let (account, progress) = replay.end();
    answered(&account, 2);
    // Both were held; only the first was sent on time.
    assert!(progress.response.p50 >= Duration::from_millis(45), "{progress:?}");
    assert!(progress.late.max >= Duration::from_millis(45), "{progress:?}");
}

#[test]
fn connection_is_made_before_its_request_is_due() {
    let target = Target::start(Behaviour::Answer);
    let mut replay = Replay::to(&target.url(), recorded(1.0));
    replay.send(at(get(1, 0), 0));
    replay.send(at(get(2, 0), 3_600_000));
    replay.send(at(get(3, 0), 90));
    // While nothing but the first was sent, the third has its connection, and the second, which is
    // due in an hour, has none.
    replay.wait_until("connected", |progress| progress.connected == 2);
    assert!(replay.sink.monitor().progress().connected < 3);
    replay.wait_until("sent", |progress| progress.sent == 2);
    replay.stop.store(true, Relaxed);
    let (account, progress) = replay.end();
    assert_eq!((account.delivered, progress.connected), (2, 2));
}

#[test]
fn rate_replaces_recorded_gaps_and_sessions_keep_their_order() {
    let target = Target::start(Behaviour::Answer);
    let rate: Rate = "100..200/1s".parse().unwrap();
    let start = crate::sink::replay::clock::now();
    let mut replay = Replay::to(&target.url(), options(Pace::Rate(rate), WhenFull::Wait));
    for index in 0..10 {
        // Hours apart, and before the start of time.
        replay.send(at(get(1, index), u64::from(10 - index) * 3_600_000));
    }
    answered(&replay.end().0, 10);
    let received = target.received();
    let order: Vec<_> = received.iter().map(|request| request.target()).collect();
    assert_eq!(order, (0..10).map(|index| format!("/1/{index}")).collect::<Vec<_>>());
    // The tenth is due 86 ms after the first, which is due after the head start; it may be late on a slow
    // machine, and is never early.
    assert!(received[9].at - start >= CONNECT_AHEAD + Duration::from_millis(86));
}

#[test]
fn window_excludes_what_was_captured_before_or_after() {
    let target = Target::start(Behaviour::Answer);
    let point = |millis| Some(Point::After(Duration::from_millis(millis)));
    let window = Window::new(point(10), point(20));
    let mut replay = Replay::to(&target.url(), ReplayOptions { window, ..file() });
    for (index, millis) in (0..).zip([0, 9, 10, 19, 20, 25]) {
        replay.send(at(get(1, index), 5_000 + millis));
    }
    let (account, _) = replay.end();
    assert_eq!((account.seen, account.delivered), (6, 2));
    lost(&account, NotDelivered::OutsideTime, 4);
    let order: Vec<_> = target.received().iter().map(|request| request.target()).collect();
    assert_eq!(order, ["/1/2", "/1/3"]);
}

#[test]
fn second_pass_has_the_same_window() {
    let target = Target::start(Behaviour::Answer);
    let window = Window::new(None, Some(Point::After(Duration::from_millis(10))));
    let mut replay = Replay::to(&target.url(), ReplayOptions { window, ..recorded(1.0) });
    for pass in 0..3 {
        let shift = pass * 1_000;
        replay.sink.on(Event::Rewound(Duration::from_millis(shift)));
        replay.send(at(get(10 * pass + 1, 0), 5_000 + shift));
        replay.send(at(get(10 * pass + 2, 0), 5_050 + shift));
    }
    let (account, _) = replay.end();
    assert_eq!((account.seen, account.delivered), (6, 3));
    lost(&account, NotDelivered::OutsideTime, 3);
}

#[test]
fn copies_have_their_own_sessions_and_names() {
    let target = Target::start(Behaviour::Answer);
    let copies = Copies { count: 3, over: Duration::from_millis(30) };
    for pace in [Pace::Max, Pace::Recorded { speed: 1.0 }, Pace::Live] {
        let target = Target::start(Behaviour::Answer);
        let mut replay =
            Replay::to(&target.url(), ReplayOptions { copies, ..options(pace, WhenFull::Wait) });
        replay.gets(1, 2);
        answered(&replay.end().0, 6);
        let received = target.received();
        let names: HashSet<_> =
            received.iter().map(|request| request.header("x-shadow-id").unwrap()).collect();
        let wanted = ["r-1-0", "r-1-1", "r.1-1-0", "r.1-1-1", "r.2-1-0", "r.2-1-1"];
        assert_eq!(names, HashSet::from(wanted.map(str::to_owned)), "{pace:?}");
        assert_eq!(target.connections(), 3, "{pace:?}");
    }
    assert_eq!(target.connections(), 0);
}

#[test]
fn pool_serves_all_sessions_in_their_order() {
    let target = Target::start(Behaviour::Answer);
    let connections = Connections::Pooled(2);
    let mut replay = Replay::to(&target.url(), ReplayOptions { connections, ..file() });
    for index in 0..10 {
        for connection in 0..20 {
            replay.send(get(connection, index));
        }
    }
    answered(&replay.end().0, 200);
    assert!(target.connections() <= 2, "{} connections", target.connections());
    let received = target.received();
    for connection in 0..20 {
        let prefix = format!("/{connection}/");
        let of_session: Vec<_> = received
            .iter()
            .map(|request| request.target())
            .filter(|target| target.starts_with(&prefix))
            .collect();
        let wanted: Vec<_> = (0..10).map(|index| format!("{prefix}{index}")).collect();
        assert_eq!(of_session, wanted);
    }
}

#[test]
fn pool_replaces_connections_that_the_target_has_closed() {
    let ok = b"HTTP/1.1 204 No Content\r\n\r\n".to_vec();
    let target = Target::start(Behaviour::AnswerAndClose(ok));
    let connections = Connections::Pooled(1);
    let mut replay = Replay::to(&target.url(), ReplayOptions { connections, ..file() });
    replay.gets(1, 3);
    replay.gets(2, 3);
    let (account, _) = replay.end();
    assert_eq!(account.seen, 6, "{account}");
    assert!(account.balances());
}

#[test]
fn independent_requests_of_one_connection_do_not_wait_for_one_another() {
    let target = Target::start(Behaviour::Hold);
    let connections = Connections::Independent(3);
    for pace in [Pace::Recorded { speed: 1.0 }, Pace::Rate("1000".parse().unwrap()), Pace::Max] {
        let options = options(pace, WhenFull::Wait);
        let mut replay = Replay::to(&target.url(), ReplayOptions { connections, ..options });
        let before = target.received().len();
        for index in 0..5 {
            replay.send(at(get(1, index), u64::from(index)));
        }
        // As many as there may be connections, while nothing is answered.
        let received = target.wait_for(before + 3, LONGEST);
        let targets: HashSet<_> =
            received[before..].iter().map(|request| request.target()).collect();
        assert_eq!(targets, HashSet::from(["/1/0", "/1/1", "/1/2"].map(str::to_owned)));
        replay.wait_until("the others wait", |now| now.in_flight == 3 && now.queued == 2);
        target.release();
        let (account, progress) = replay.end();
        answered(&account, 5);
        assert!(progress.connected <= 3, "{progress:?}");
        target.hold();
    }
}

#[test]
fn independent_requests_go_when_they_are_due_whatever_their_order() {
    let target = Target::start(Behaviour::Answer);
    // Over one connection, on which they arrive in the order in which they were sent.
    let connections = Connections::Independent(1);
    let options = ReplayOptions { connections, ..recorded(1.0) };
    let mut replay = Replay::to(&target.url(), options);
    for (index, millis) in (0..).zip([0, 400, 200, 3_600_000]) {
        replay.send(at(get(1, index), millis));
    }
    replay.wait_until("what is due was answered", |now| now.answered == 3);
    let order: Vec<_> = target.received().iter().map(|request| request.target()).collect();
    assert_eq!(order, ["/1/0", "/1/2", "/1/1"]);
    replay.stop.store(true, Relaxed);
    lost(&replay.end().0, NotDelivered::Stopped, 1);
}

#[test]
fn requests_that_are_late_because_of_their_order_are_counted() {
    for (connections, behind) in [(Connections::Faithful, 2), (Connections::Independent(3), 0)] {
        let target = Target::start(Behaviour::Hold);
        let options = ReplayOptions { connections, ..recorded(1.0) };
        let mut replay = Replay::to(&target.url(), options);
        (0..3).for_each(|index| replay.send(at(get(1, index), 0)));
        target.wait_for(1, LONGEST);
        let due =
            crate::sink::replay::clock::now() + crate::sink::replay::engine::behind::WARN_FROM;
        replay.wait_until("they are late", |_| crate::sink::replay::clock::now() >= due);
        target.release();
        let counters = Arc::clone(&replay.sink.queue);
        answered(&replay.end().0, 3);
        assert_eq!(counters.counters.behind.load(Relaxed), behind, "{connections}");
    }
}

#[test]
fn a_long_wait_for_the_next_request_is_shown() {
    for connections in [Connections::Faithful, Connections::Independent(2)] {
        let target = Target::start(Behaviour::Answer);
        let options = ReplayOptions { connections, ..recorded(1.0) };
        let mut replay = Replay::to(&target.url(), options);
        replay.send(at(get(1, 0), 0));
        replay.send(at(get(1, 1), 3_600_000));
        let hour = Duration::from_secs(3_000)..=Duration::from_secs(3_600);
        replay.wait_until("shown", |now| now.next_in.is_some_and(|next| hour.contains(&next)));
        replay.stop.store(true, Relaxed);
        let (_, progress) = replay.end();
        assert_eq!((progress.answered, progress.dropped), (1, vec![("stopped", 1)]));
    }
}
