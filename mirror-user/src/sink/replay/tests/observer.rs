//! What an observer is given of each request.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::sync::Mutex;

use super::*;
use crate::rules::sample::Portion;
use crate::sink::replay::{MAX_BODY_BYTES, OutcomeObserver, ShadowOutcome};

#[derive(Debug, Default)]
struct Outcomes(Mutex<Vec<ShadowOutcome>>);

impl OutcomeObserver for Outcomes {
    fn observe(&self, outcome: ShadowOutcome) {
        self.0.lock().unwrap().push(outcome);
    }
}

/// The outcomes of the requests that `send` sends, in the order of their exchanges.
fn outcomes(
    url: &str,
    options: ReplayOptions,
    send: impl FnOnce(&mut Replay),
) -> Vec<ShadowOutcome> {
    let outcomes = Arc::new(Outcomes::default());
    let observer: Arc<dyn OutcomeObserver> = Arc::clone(&outcomes) as _;
    let mut replay = Replay::to(url, ReplayOptions { observer: Some(observer), ..options });
    send(&mut replay);
    let (account, _) = replay.end();
    let mut outcomes = std::mem::take(&mut *outcomes.0.lock().unwrap());
    outcomes.sort_by_key(|outcome| (outcome.exchange.connection.number(), outcome.exchange.index));
    assert_eq!(account.seen, outcomes.len() as u64, "one outcome for each request");
    outcomes
}

fn response_to_gets(wire: &[u8]) -> Vec<ShadowOutcome> {
    let target = Target::start(Behaviour::AnswerWith(wire.to_vec()));
    outcomes(&target.url(), file(), |replay| replay.gets(1, 2))
}

#[test]
fn response_of_the_target_is_a_message() {
    let wire = b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 201 Created\r\nETag: \"a\"\r\n\
                 Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nDigest: x\r\n\r\n";
    let outcomes = response_to_gets(wire);
    for (index, outcome) in outcomes.iter().enumerate() {
        assert_eq!((outcome.exchange.index as usize, outcome.copy), (index, 0));
        let response = outcome.result.as_ref().unwrap();
        assert_eq!(response.status, 201);
        assert!(response.service_time > Duration::ZERO);
        let message = response.message.as_ref().unwrap();
        assert_eq!(message.head.status(), Some(201));
        assert_eq!(message.head.field("etag"), Some(&b"\"a\""[..]));
        assert_eq!(message.body.trailer_bytes, &b"Digest: x\r\n"[..]);
        let mut content = String::new();
        message.body.content().unwrap().read_to_string(&mut content).unwrap();
        assert_eq!(content, "abc");
        assert!(message.started <= message.finished && message.started.as_nanos() > 0);
    }
}

#[test]
fn body_that_is_too_long_is_reported_by_its_length() {
    let length = MAX_BODY_BYTES as u64 + 1;
    let target = Target::start(Behaviour::AnswerLong(length));
    let outcomes = outcomes(&target.url(), file(), |replay| replay.gets(1, 1));
    let message = outcomes[0].result.as_ref().unwrap().message.as_ref().unwrap();
    assert!(matches!(message.body.wire, Kept::TooLarge));
    assert_eq!(message.body.length, length);
}

#[test]
fn bodies_that_find_no_room_are_counted_and_reported_by_their_length() {
    // More than there is room for, each but for its last byte.
    const CONNECTIONS: u64 = 70;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (go_on, told) = std::sync::mpsc::channel();
    let server = std::thread::spawn(move || {
        let streams = listener.incoming().take(CONNECTIONS as usize).map(|stream| {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {MAX_BODY_BYTES}\r\n\r\n").unwrap();
            stream.write_all(&vec![b'x'; MAX_BODY_BYTES - 1]).unwrap();
            stream
        });
        let streams: Vec<_> = streams.collect();
        told.recv().unwrap();
        streams.into_iter().for_each(|mut stream| stream.write_all(b"x").unwrap());
    });
    let mut not_kept = 0;
    let outcomes = outcomes(&url, file(), |replay| {
        (0..CONNECTIONS).for_each(|connection| replay.gets(connection, 1));
        let queue = Arc::clone(&replay.sink.queue);
        let no_room = || queue.counters.no_room.load(Relaxed);
        replay.wait_until("without room", |_| no_room() >= CONNECTIONS - 64);
        go_on.send(()).unwrap();
        replay.wait_until("answered", |progress| progress.answered == CONNECTIONS);
        not_kept = no_room();
    });
    server.join().unwrap();
    let bodies = outcomes.iter().map(|outcome| {
        let response = outcome.result.as_ref().unwrap();
        &response.message.as_ref().unwrap().body
    });
    assert!(bodies.clone().all(|body| body.length == MAX_BODY_BYTES as u64));
    let too_large = bodies.filter(|body| matches!(body.wire, Kept::TooLarge)).count();
    assert_eq!(too_large as u64, not_kept);
}

#[test]
fn request_without_a_response_has_a_reason() {
    let reasons = |outcomes: Vec<ShadowOutcome>| -> Vec<NotDelivered> {
        outcomes.into_iter().map(|outcome| outcome.result.unwrap_err()).collect()
    };
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused = outcomes(&format!("http://{free}"), file(), |replay| {
        replay.gets(1, 1);
        // It is never queued.
        replay.send(with(get(2, 0), |request| request.incomplete = Some(Incomplete::Gap)));
    });
    assert_eq!(reasons(refused), [NotDelivered::ConnectRefused, NotDelivered::Incomplete]);

    let part = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc".to_vec();
    let target = Target::start(Behaviour::AnswerAndClose(part.clone()));
    let closed = outcomes(&target.url(), file(), |replay| replay.gets(1, 1));
    assert_eq!(reasons(closed), [NotDelivered::Closed]);

    let target = Target::start(Behaviour::AnswerWith(part));
    let timeouts = Timeouts { total: Duration::from_millis(50), ..Timeouts::default() };
    let late = outcomes(&target.url(), ReplayOptions { timeouts, ..file() }, |replay| {
        replay.gets(1, 1);
    });
    assert_eq!(reasons(late), [NotDelivered::ResponseTimeout]);

    let target = Target::start(Behaviour::Hold);
    let stopped = outcomes(&target.url(), file(), |replay| {
        replay.gets(1, 1);
        target.wait_for(1, LONGEST);
        replay.send(at(get(1, 1), 3_600_000));
        replay.stop.store(true, Relaxed);
        target.release();
    });
    assert_eq!(stopped.len(), 2);
}

#[test]
fn a_safe_request_is_asked_again_after_its_response_and_others_are_not() {
    let target = Target::start(Behaviour::Answer);
    let options = ReplayOptions { ask_again: Portion::ALL, ..file() };
    let outcomes = outcomes(&target.url(), options, |replay| {
        replay.gets(1, 2);
        replay.send(asked(2, 0, b"POST /order HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"));
    });
    let again = |outcome: &ShadowOutcome| {
        outcome.again.as_ref().map(|again| again.as_ref().unwrap().message.is_some())
    };
    assert_eq!(outcomes.iter().map(again).collect::<Vec<_>>(), [Some(true), Some(true), None]);
    let received = target.received();
    let mut targets: Vec<String> = received.iter().map(|request| request.target()).collect();
    targets.sort_unstable();
    assert_eq!(targets, ["/1/0", "/1/0", "/1/1", "/1/1", "/order"]);
}
