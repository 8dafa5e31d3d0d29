use std::io::{Seek, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;

use super::{
    Limits, NotDelivered, Pace, ReplayMonitor, ReplayOptions, ReplayProgress, ReplaySink, Timeouts,
    Victim, WhenFull,
};
use crate::http::message::{BodyLength, Exchange, Flaw, Incomplete, Kept, Moment};
use crate::packet::Timestamp;
use crate::rules::tag::Marks;
use crate::rules::tests::{asked, cleared, with};
use crate::sink::Sink;
use crate::stats::Account;

use crate::test_target as target;
use target::{Behaviour, Target};

mod harmless;
mod load;
mod observer;

/// Far longer than anything here takes; a test that reaches it has failed.
const LONGEST: Duration = Duration::from_secs(60);

fn options(pace: Pace, when_full: WhenFull) -> ReplayOptions {
    ReplayOptions::new(Marks { run: "r".into(), ..Marks::default() }, pace, when_full)
}

fn file() -> ReplayOptions {
    options(Pace::Max, WhenFull::Wait)
}

struct Replay {
    sink: ReplaySink,
    stop: Arc<AtomicBool>,
}

impl Replay {
    fn to(url: &str, options: ReplayOptions) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let target = super::Target::parse(url).unwrap();
        let sink = ReplaySink::start(target, options, Arc::clone(&stop)).unwrap();
        Self { sink, stop }
    }

    fn send(&mut self, exchange: Exchange) {
        self.sink.accept(&cleared(exchange)).unwrap();
    }

    fn gets(&mut self, connection: u64, count: u32) {
        for index in 0..count {
            self.send(get(connection, index));
        }
    }

    fn wait_until(&self, what: &str, reached: impl Fn(&ReplayProgress) -> bool) {
        wait_until(&self.sink.monitor(), what, reached);
    }

    /// Finishes the replay, and checks that every request has exactly one outcome.
    fn end(mut self) -> (Account, ReplayProgress) {
        self.sink.finish().unwrap();
        let account = self.sink.account();
        assert!(account.is_settled(), "{account}");
        let progress = self.sink.monitor().progress();
        assert_eq!((progress.in_flight, progress.queued, progress.connections), (0, 0, 0));
        (account, progress)
    }
}

fn wait_until(monitor: &ReplayMonitor, what: &str, reached: impl Fn(&ReplayProgress) -> bool) {
    let deadline = crate::sink::replay::clock::now() + LONGEST;
    loop {
        let progress = monitor.progress();
        if reached(&progress) {
            return;
        }
        assert!(crate::sink::replay::clock::now() < deadline, "never {what}: {progress:?}");
        std::thread::yield_now();
    }
}

fn get(connection: u64, index: u32) -> Exchange {
    let wire = format!("GET /{connection}/{index} HTTP/1.1\r\nHost: shop\r\n\r\n");
    asked(connection, index, wire.as_bytes())
}

fn at(exchange: Exchange, millis: u64) -> Exchange {
    with(exchange, |request| request.started = Timestamp::from_nanos(millis * 1_000_000))
}

fn answered(account: &Account, n: u64) {
    assert_eq!((account.delivered, account.losses()), (n, vec![]), "{account}");
}

fn lost(account: &Account, why: NotDelivered, n: u64) {
    let name: &'static str = why.into();
    assert_eq!(account.losses(), [(name, n)], "{account}");
}

#[test]
fn requests_of_a_connection_arrive_in_order_on_one_connection() {
    let target = Target::start(Behaviour::Answer);
    let mut replay = Replay::to(&target.url(), file());
    for index in 0..50 {
        for connection in 0..8 {
            replay.send(get(connection, index));
        }
    }
    answered(&replay.end().0, 400);
    let received = target.received();
    assert_eq!(target.connections(), 8);
    for connection in 0..8 {
        let of_one: Vec<_> =
            received.iter().filter(|request| request.connection == connection).collect();
        let captured = of_one[0].target().split('/').nth(1).unwrap().to_owned();
        let targets: Vec<_> = of_one.iter().map(|request| request.target()).collect();
        let wanted: Vec<_> = (0..50).map(|index| format!("/{captured}/{index}")).collect();
        assert_eq!(targets, wanted);
    }
}

#[test]
fn next_request_waits_for_the_previous_response() {
    let target = Target::start(Behaviour::Hold);
    let mut replay = Replay::to(&target.url(), file());
    replay.gets(1, 3);
    target.wait_for(1, LONGEST);
    replay.wait_until("one in flight", |progress| progress.in_flight == 1 && progress.queued == 2);
    assert_eq!(target.received().len(), 1);
    target.release();
    answered(&replay.end().0, 3);
}

#[test]
fn every_byte_arrives_as_it_was_captured() {
    let target = Target::start(Behaviour::Answer);
    let mut replay = Replay::to(&target.url(), file());
    let head = "POST /a?b=%zz HTTP/1.1\r\nhOsT: shop:80\r\nX-Dup: 1\r\nx-dup:2\r\nEmpty:\r\nOdd: \u{e9}\r\n";
    let ours = |id| {
        format!(
            "X-Shadow-Request: 1\r\nX-Shadow-Id: r-1-{id}\r\nbaggage: synthetic_request=true\r\n\r\n"
        )
    };
    let chunked = "4;ext=\"a\"\r\nabcd\r\n0\r\nTrailer: x\r\n\r\n";
    let framing = "Transfer-Encoding: chunked\r\n";
    replay.send(asked(1, 0, format!("{head}{framing}\r\n{chunked}").as_bytes()));

    let long = Bytes::from((0..1_000_000_u32).map(|n| n.to_le_bytes()[0]).collect::<Vec<_>>());
    let lengths = "Content-Length: 1000000\r\n";
    replay.send(with(asked(1, 1, format!("{head}{lengths}\r\n").as_bytes()), |request| {
        request.body.framing = BodyLength::Length(1_000_000);
        request.body.wire = Kept::Memory(long.clone());
    }));

    let mut spooled = tempfile::tempfile().unwrap();
    spooled.write_all(&long).unwrap();
    spooled.rewind().unwrap();
    replay.send(with(asked(1, 2, format!("{head}{lengths}\r\n").as_bytes()), |request| {
        request.body.framing = BodyLength::Length(1_000_000);
        request.body.wire = Kept::File(Arc::new(spooled.into()));
    }));

    answered(&replay.end().0, 3);
    let received = target.received();
    let head = head.replace("shop:80", "shop-shadow:80");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    assert_eq!(text(&received[0].wire()), format!("{head}{framing}{}{chunked}", ours(0)));
    for (index, request) in received.iter().enumerate().skip(1) {
        assert_eq!(text(&request.head), format!("{head}{lengths}{}", ours(index)));
        assert!(request.body == long, "the body of request {index} differs");
    }
}

#[test]
fn requests_that_may_not_be_sent_are_counted_by_reason() {
    let target = Target::start(Behaviour::Answer);
    let mut replay = Replay::to(&target.url(), file());
    let mut ended = get(1, 0);
    replay.send(ended.clone());
    ended.moment = Moment::Ended; // the same request again, with its answer
    replay.send(ended.clone());
    replay.send(with(ended.clone(), |request| request.incomplete = Some(Incomplete::Reset)));
    replay.send(with(get(1, 2), |request| request.flaws = [Flaw::ConflictingLengths].into()));
    replay.send(asked(1, 3, b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n"));
    ended.request = None;
    replay.send(ended);
    let (account, _) = replay.end();
    assert_eq!((account.seen, account.delivered), (4, 1));
    assert_eq!(account.losses(), [("incomplete", 1), ("ambiguous", 1), ("tunnel", 1)]);
    assert_eq!(target.received().len(), 1);
}

#[test]
fn target_that_refuses_costs_counted_requests_and_few_connections() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut replay = Replay::to(&format!("http://{free}"), file());
    for connection in 0..1000 {
        replay.gets(connection, 1);
    }
    let (account, progress) = replay.end();
    lost(&account, NotDelivered::ConnectRefused, 1000);
    assert_eq!((progress.sent, progress.connected), (0, 0));
}

#[test]
fn target_that_comes_back_is_found() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut replay = Replay::to(&format!("http://{free}"), file());
    replay.gets(1, 2);
    replay.wait_until("refused", |progress| progress.dropped == [("connect_refused", 2)]);
    let target = Target::start_on(free, Behaviour::Answer);
    replay.gets(2, 3);
    let (account, _) = replay.end();
    assert_eq!((account.seen, account.delivered), (5, 3), "{account}");
    assert_eq!(target.received().len(), 3);
}

#[test]
fn reset_in_the_middle_of_a_response_is_counted_and_never_retried() {
    let part = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc".to_vec();
    let target = Target::start(Behaviour::AnswerAndReset(part));
    let mut replay = Replay::to(&target.url(), file());
    replay.gets(1, 5);
    let (account, progress) = replay.end();
    assert_eq!((account.seen, account.delivered, progress.sent), (5, 0, 5), "{account}");
    assert_eq!(target.received().len(), 5);
}

#[test]
fn close_in_the_middle_of_a_response_is_counted() {
    let part = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc".to_vec();
    let target = Target::start(Behaviour::AnswerAndClose(part));
    let mut replay = Replay::to(&target.url(), file());
    replay.gets(1, 5);
    lost(&replay.end().0, NotDelivered::Closed, 5);
}

#[test]
fn a_silent_target_is_given_up_at_the_deadline() {
    let target = Target::start(Behaviour::Silence);
    let timeouts = Timeouts { first_byte: Duration::from_millis(50), ..Timeouts::default() };
    let mut replay = Replay::to(&target.url(), ReplayOptions { timeouts, ..file() });
    replay.gets(1, 2);
    replay.gets(2, 1);
    lost(&replay.end().0, NotDelivered::ResponseTimeout, 3);
    assert_eq!(target.connections(), 3);
}

#[test]
fn response_that_never_ends_is_cut_at_the_total_deadline() {
    let part = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc".to_vec();
    let target = Target::start(Behaviour::AnswerWith(part));
    let timeouts = Timeouts { total: Duration::from_millis(50), ..Timeouts::default() };
    let mut replay = Replay::to(&target.url(), ReplayOptions { timeouts, ..file() });
    replay.gets(1, 2);
    lost(&replay.end().0, NotDelivered::ResponseTimeout, 2);
}

#[test]
fn target_that_reads_nothing_of_an_upload_is_given_up() {
    // It accepts connections, and reads nothing.
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", deaf.local_addr().unwrap());
    let timeouts = Timeouts { first_byte: Duration::from_millis(50), ..Timeouts::default() };
    let mut replay = Replay::to(&url, ReplayOptions { timeouts, ..file() });
    replay.send(with(
        asked(1, 0, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\n"),
        |request| {
            request.body.framing = BodyLength::Length(50_000_000);
            request.body.wire = Kept::Memory(Bytes::from(vec![b'x'; 50_000_000]));
        },
    ));
    lost(&replay.end().0, NotDelivered::ResponseTimeout, 1);
}

#[test]
fn garbage_is_counted() {
    let target = Target::start(Behaviour::AnswerWith(b"SSH-2.0-x\r\n".to_vec()));
    let mut replay = Replay::to(&target.url(), file());
    replay.gets(1, 3);
    lost(&replay.end().0, NotDelivered::InvalidResponse, 3);
}

#[test]
fn long_response_is_read_and_dropped_and_its_connection_kept() {
    let target = Target::start(Behaviour::AnswerLong(100_000_000));
    let mut replay = Replay::to(&target.url(), file());
    replay.gets(1, 2);
    answered(&replay.end().0, 2);
    assert_eq!(target.connections(), 1);
}

#[test]
fn keep_alive_that_was_closed_silently_costs_nothing() {
    let ok = b"HTTP/1.1 204 No Content\r\n\r\n".to_vec();
    let target = Target::start(Behaviour::AnswerAndClose(ok));
    let mut replay = Replay::to(&target.url(), file());
    for index in 0..3 {
        replay.send(get(1, index));
        replay.wait_until("closed", |progress| {
            progress.answered == u64::from(index) + 1 && progress.connections == 0
        });
    }
    let (account, progress) = replay.end();
    answered(&account, 3);
    assert_eq!(progress.classes, [0, 3, 0, 0, 0]);
    assert_eq!(target.connections(), 3);
}

#[test]
fn response_before_the_request_is_complete_counts() {
    let target = Target::start(Behaviour::AnswerEarly);
    let mut replay = Replay::to(&target.url(), file());
    replay.send(with(
        asked(1, 0, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\n"),
        |request| {
            request.body.framing = BodyLength::Length(50_000_000);
            request.body.wire = Kept::Memory(Bytes::from(vec![b'x'; 50_000_000]));
        },
    ));
    let (account, progress) = replay.end();
    answered(&account, 1);
    assert_eq!(progress.classes, [0, 0, 0, 1, 0]);
}

#[test]
fn nothing_follows_a_request_after_which_the_client_closed() {
    let target = Target::start(Behaviour::Answer);
    let mut replay = Replay::to(&target.url(), file());
    for index in 0..2 {
        replay.send(asked(1, index, b"GET / HTTP/1.0\r\n\r\n"));
    }
    let (account, progress) = replay.end();
    answered(&account, 2);
    assert_eq!((target.connections(), progress.host_missing), (2, 2));
}

#[test]
fn live_replay_never_waits_and_counts_what_does_not_fit() {
    let target = Target::start(Behaviour::Hold);
    let limits = Limits { queue_requests: 10, ..Limits::default() };
    let live = options(Pace::Live, WhenFull::Drop(Victim::Newest));
    let mut replay = Replay::to(&target.url(), ReplayOptions { limits, ..live });
    for connection in 0..100 {
        replay.gets(connection, 1);
    }
    let progress = replay.sink.monitor().progress();
    assert_eq!(progress.dropped, [("queue_full", 90)]);
    target.release();
    let (account, _) = replay.end();
    assert_eq!((account.seen, account.delivered), (100, 10));
    lost(&account, NotDelivered::QueueFull, 90);
}

#[test]
fn file_waits_for_space_and_loses_nothing() {
    let target = Target::start(Behaviour::Answer);
    let limits = Limits { queue_requests: 4, connections: 2, ..Limits::default() };
    let mut replay = Replay::to(&target.url(), ReplayOptions { limits, ..file() });
    for connection in 0..100 {
        replay.gets(connection, 3);
    }
    answered(&replay.end().0, 300);
}

#[test]
fn a_few_connections_serve_many_sessions() {
    let target = Target::start(Behaviour::Answer);
    let limits = Limits { connections: 3, ..Limits::default() };
    let mut replay = Replay::to(&target.url(), ReplayOptions { limits, ..file() });
    for index in 0..5 {
        for connection in 0..100 {
            replay.send(get(connection, index));
        }
    }
    answered(&replay.end().0, 500);
}

#[test]
fn request_larger_than_the_queue_goes_alone() {
    let target = Target::start(Behaviour::Answer);
    let limits = Limits { queue_bytes: 10, ..Limits::default() };
    let mut replay = Replay::to(&target.url(), ReplayOptions { limits, ..file() });
    replay.gets(1, 20);
    answered(&replay.end().0, 20);
}

#[test]
fn live_replay_that_ends_waits_for_queued_requests_up_to_the_drain_deadline() {
    let target = Target::start(Behaviour::Silence);
    let timeouts = Timeouts { drain: Duration::from_millis(50), ..Timeouts::default() };
    let live = options(Pace::Live, WhenFull::Drop(Victim::Newest));
    let mut replay = Replay::to(&target.url(), ReplayOptions { timeouts, ..live });
    replay.gets(1, 5);
    target.wait_for(1, LONGEST);
    lost(&replay.end().0, NotDelivered::Stopped, 5);
}

#[test]
fn stop_drops_and_counts_what_is_not_due() {
    let target = Target::start(Behaviour::Answer);
    let recorded = options(Pace::Recorded { speed: 1.0 }, WhenFull::Wait);
    let mut replay = Replay::to(&target.url(), recorded);
    replay.send(at(get(1, 0), 0));
    replay.send(at(get(1, 1), 3_600_000));
    replay.send(at(get(2, 0), 3_600_000));
    replay.wait_until("one answered", |progress| progress.answered == 1);
    replay.stop.store(true, Relaxed);
    let (account, _) = replay.end();
    assert_eq!(account.delivered, 1);
    lost(&account, NotDelivered::Stopped, 2);
}

#[test]
fn stop_releases_a_file_that_waits_for_space() {
    let target = Target::start(Behaviour::Silence);
    let limits = Limits { queue_requests: 2, ..Limits::default() };
    let timeouts = Timeouts { drain: Duration::from_millis(50), ..Timeouts::default() };
    let mut replay = Replay::to(&target.url(), ReplayOptions { limits, timeouts, ..file() });
    let (stop, monitor) = (Arc::clone(&replay.stop), replay.sink.monitor());
    let stopper = std::thread::spawn(move || {
        wait_until(&monitor, "full", |progress| progress.offered == 3);
        stop.store(true, Relaxed);
    });
    replay.gets(1, 10);
    stopper.join().unwrap();
    lost(&replay.end().0, NotDelivered::Stopped, 10);
}

#[test]
fn recorded_gaps_are_kept_and_never_cut_short() {
    let target = Target::start(Behaviour::Answer);
    let recorded = options(Pace::Recorded { speed: 2.0 }, WhenFull::Wait);
    let mut replay = Replay::to(&target.url(), recorded);
    let start = crate::sink::replay::clock::now();
    for (index, millis) in [0, 100, 300, 301].into_iter().enumerate() {
        replay.send(at(get(index as u64 % 2, u32::try_from(index).unwrap()), 1000 + millis));
    }
    let (account, progress) = replay.end();
    answered(&account, 4);
    let received = target.received();
    // The first is due after the head start. On a slow machine all may be late; none is early.
    let gap = |path: &str| {
        let request = received.iter().find(|request| request.target() == path).unwrap();
        request.at - start - crate::sink::replay::engine::session::CONNECT_AHEAD
    };
    assert!(gap("/1/1") >= Duration::from_millis(50));
    assert!(gap("/1/3") >= Duration::from_millis(150));
    assert!(progress.late.p50 <= progress.late.p99);
}

#[test]
fn sink_that_is_dropped_without_an_end_leaves_no_thread() {
    let target = Target::start(Behaviour::Silence);
    let timeouts = Timeouts { drain: Duration::from_millis(20), ..Timeouts::default() };
    let mut replay = Replay::to(&target.url(), ReplayOptions { timeouts, ..file() });
    replay.gets(1, 3);
    let monitor = replay.sink.monitor();
    drop(replay.sink);
    assert_eq!(monitor.progress().dropped, [("stopped", 3)]);
    assert!(!replay.stop.load(Relaxed), "stopping one sink stops no other");
}
