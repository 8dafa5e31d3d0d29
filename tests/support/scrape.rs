//! Asks the admin endpoint as a scraper does, and reads metrics in Prometheus' text format. Shares no code
//! with what it tests.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// An admin endpoint.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Endpoint(pub(crate) SocketAddr);

/// Where mirror's endpoint listens in a namespace of a test's own.
pub(crate) const ADMIN: &str = "127.0.0.1:9600";

/// The endpoint there.
pub(crate) fn endpoint() -> Endpoint {
    Endpoint(ADMIN.parse().expect("an address"))
}

/// What it answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Endpoint {
    /// Where mirror says that it listens; `None` if it does not say so yet.
    pub(crate) fn told_by(said: &str) -> Option<Self> {
        let rest = said.split("admin: http").nth(1)?.trim_start_matches('s');
        let address = rest.strip_prefix("://")?.split('/').next()?;
        Some(Self(address.parse().expect("an address")))
    }

    /// Asks with these header fields.
    pub(crate) fn ask(self, method: &str, path: &str, headers: &[&str]) -> Answer {
        let mut stream = TcpStream::connect(self.0).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
        let fields: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
        write!(stream, "{method} {path} HTTP/1.1\r\n{fields}\r\n").expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    /// Asks for a path by GET.
    pub(crate) fn get(self, path: &str) -> Answer {
        self.ask("GET", path, &[&format!("Host: {}", self.0)])
    }

    /// The metrics.
    #[track_caller]
    pub(crate) fn scrape(self) -> Samples {
        let answer = self.get("/metrics");
        assert_eq!(answer.status, 200, "{answer:?}");
        Samples::read(&answer.body)
    }

    /// The names of the reasons why it is not ready.
    pub(crate) fn not_ready(self) -> Vec<String> {
        let answer = self.get("/readyz");
        assert_eq!(answer.status == 200, answer.body == "ready\n", "{answer:?}");
        let reasons = answer.body.lines().filter_map(|line| line.split_once(": "));
        reasons.map(|(reason, _)| reason.to_owned()).collect()
    }
}

/// All samples of a scrape.
pub(crate) struct Samples(Vec<(String, BTreeMap<String, String>, f64)>);

impl Samples {
    pub(crate) fn read(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let samples: Vec<_> = lines.map(sample).collect();
        let series: BTreeSet<_> = samples.iter().map(|(name, labels, _)| (name, labels)).collect();
        assert_eq!(series.len(), samples.len(), "a series is there twice:\n{text}");
        Self(samples)
    }

    /// The sum over all samples of this name with these labels.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let has = |of: &BTreeMap<String, String>| {
            labels.iter().all(|(label, value)| of.get(*label).is_some_and(|it| it == value))
        };
        let samples = self.0.iter().filter(|(known, of, _)| known == name && has(of));
        samples.map(|(_, _, value)| value).sum()
    }

    /// True if there is a sample of this name with these labels.
    pub(crate) fn has(&self, name: &str, labels: &[(&str, &str)]) -> bool {
        let has = |of: &BTreeMap<String, String>| {
            labels.iter().all(|(label, value)| of.get(*label).is_some_and(|it| it == value))
        };
        self.0.iter().any(|(known, of, _)| known == name && has(of))
    }

    /// Fails unless seen = delivered + in flight + the sum over dropped, at every seam.
    #[track_caller]
    pub(crate) fn assert_sums_hold(&self) {
        let seams: Vec<_> = self.0.iter().filter(|it| it.0 == "mirror_seen_total").collect();
        assert!(!seams.is_empty());
        for (_, labels, seen) in seams {
            let labels: Vec<(&str, &str)> =
                labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let parts = ["mirror_delivered_total", "mirror_in_flight", "mirror_dropped_total"];
            // Seams without a target have no such label, so that no other one is added to them.
            let sum: f64 = parts.iter().map(|name| self.sum(name, &labels)).sum();
            assert_eq!(*seen, sum, "{labels:?}");
        }
    }
}

/// Reads `name{label="value"} 1`, whose values have no quotes.
fn sample(line: &str) -> (String, BTreeMap<String, String>, f64) {
    let (series, value) = line.rsplit_once(' ').expect("a value");
    let value = value.parse().expect("a number");
    let Some((name, labels)) = series.split_once('{') else {
        return (series.to_owned(), BTreeMap::new(), value);
    };
    let labels = labels.trim_end_matches('}').split("\",").filter_map(|label| {
        let (name, value) = label.split_once("=\"")?;
        Some((name.to_owned(), value.trim_end_matches('"').to_owned()))
    });
    (name.to_owned(), labels.collect(), value)
}
