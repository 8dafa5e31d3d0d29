//! How recorded responses are given.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use clap::ValueEnum;

use super::canonical::Matching;
use super::fault::Fault;
use super::pass::Upstream;

/// What a stub server does.
#[derive(Debug)]
pub struct Options {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Connections that are open at the same time; others wait.
    pub connections: usize,
    /// Between two requests of a connection.
    pub idle_timeout: Duration,
    /// For a client: to send a whole request, to perform the handshake of TLS, to take the next bytes of a response.
    pub client_timeout: Duration,
    /// Bytes of a request's body; a longer one is refused.
    pub max_body: usize,
    /// How requests are recognized.
    pub matching: Matching,
    /// Other names: of a recorded host or, as `None`, of the server itself.
    pub aliases: Vec<(String, Option<String>)>,
    /// What comes after the last response of a sequence.
    pub after_last: AfterLast,
    /// A response that was recorded after a write is given after that write.
    pub by_state: bool,
    /// How long a response takes.
    pub latency: Latency,
    /// What goes wrong on purpose.
    pub faults: Vec<Fault>,
    /// Where requests without a stub go instead, by host.
    pub pass: HashMap<Vec<u8>, Upstream>,
}

/// What comes after the last response of a sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum AfterLast {
    /// It is given again and again
    #[default]
    Repeat,
    /// The first one again
    Again,
    /// None: the request is a miss
    Fail,
}

/// How long a response takes: the recorded time, times this.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Latency(pub f64);

/// More than a client waits for.
const LONGEST: Duration = Duration::from_secs(3600);

impl Latency {
    /// How long to wait for what took `recorded`.
    pub(super) fn of(self, recorded: Duration) -> Duration {
        if self.0 == 0.0 {
            return Duration::ZERO;
        }
        let seconds = recorded.as_secs_f64() * self.0;
        Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST).min(LONGEST)
    }
}

impl FromStr for Latency {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let factor = match text {
            "recorded" => 1.0,
            "none" => 0.0,
            text => text.strip_suffix('x').unwrap_or(text).parse().unwrap_or(-1.0),
        };
        let is_factor = (0.0..=1000.0).contains(&factor);
        is_factor
            .then_some(Self(factor))
            .ok_or("`recorded`, `none`, or a factor up to 1000 such as 0.5")
    }
}
