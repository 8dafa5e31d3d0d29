//! Live capture published to a real broker, confined and without the capabilities that it needs no more.

use serde_json::Value;

use crate::support::nats::Nats;
use crate::support::netns::{CABLE, Lab, Mirror, until};
use crate::support::summary::{account, assert_balance, balanced};

/// Asks for so many pages on one connection.
fn ask(lab: &Lab, path: &str, count: usize) {
    lab.curl(&["-o", "/dev/null", &format!("http://10.77.0.1:8080/{path}/[1-{count}]")]);
}

fn note(summary: &Value, what: &str) -> u64 {
    let notes = summary["notes"].as_array().unwrap().iter();
    let broker = notes
        .filter(|note| note["name"] == "broker")
        .flat_map(|note| note["counts"].as_array().unwrap());
    broker.filter(|pair| pair[0] == what).map(|pair| pair[1].as_u64().unwrap()).sum()
}

#[test]
#[ignore = "needs root and nats-server: cargo xtask test"]
fn live_requests_are_published_and_those_without_a_broker_are_counted() {
    Lab::run(|lab| {
        lab.start_nginx();
        let mut server = Nats::start();
        let stream = server.stream("prod");
        let flags =
            ["replay", "--from", CABLE, "--port", "8080", "--to", &stream, "--publish-responses"];
        let mirror = Mirror::start(lab, &[&flags[..], &["--max-queue", "1MiB", "--json"]].concat());
        ask(lab, "there", 300);
        let messages = |server: &Nats| {
            let info: Value = serde_json::from_str(&server.asks("STREAM.INFO.prod", "")).unwrap();
            info["state"]["messages"].as_u64().unwrap()
        };
        until("everything is in the stream", || messages(&server) >= 600);
        server.kill();
        until("it says so", || mirror.said().contains("dropped"));
        // More than the queue takes; production answers all the same.
        ask(lab, "away", 10_000);
        server.restart();
        until("it goes on", || mirror.said().contains("takes messages again"));
        ask(lab, "again", 100);
        let summary = mirror.summary();
        assert_balance(&summary);
        let all = 300 + 10_000 + 100;
        assert_eq!(account(&summary, "requests").0, all, "{summary:#}");
        let (seen, published, dropped) = balanced(&summary, "published");
        assert_eq!(seen, all, "{summary:#}");
        // Those of the beginning, and what waited when the broker came back.
        assert!(published > 300, "{summary:#}");
        assert!(dropped.iter().any(|(why, _)| why == "broker_away"), "{summary:#}");
        // The queue was full of what waited when the last ones came.
        let reasons = ["broker_away", "broker_slow"];
        assert!(dropped.iter().all(|(why, _)| reasons.contains(&why.as_str())), "{summary:#}");
        assert_eq!(
            note(&summary, "messages"),
            messages_of_exchanges(&summary, published),
            "{summary:#}"
        );
    });
}

/// Requests and responses, each one message.
fn messages_of_exchanges(summary: &Value, published: u64) -> u64 {
    published + note(summary, "responses")
}
