//! What goes wrong on purpose: `reset 5% POST /payments/**`, `status=503 10%`, `delay=2s GET`.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::canonical::Template;
use crate::syntax::is_token;
use crate::units::parse_duration;

/// Something that happens to a share of the requests of one kind.
#[derive(Clone, Debug)]
pub struct Fault {
    kind: Kind,
    /// Of a million.
    share: u64,
    method: Option<String>,
    path: Option<Template>,
    /// Requests of its kind so far, shared by clones.
    asked: Arc<AtomicU64>,
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The response comes so much later.
    Delay(Duration),
    /// The connection is reset in its place.
    Reset,
    /// Another response, with this status and no content.
    Status(u16),
}

const MILLION: u64 = 1_000_000;

impl Fault {
    /// What happens to this request; it is spread evenly, so that a run can be repeated.
    pub(super) fn hits(&self, method: &[u8], path: &[u8]) -> Option<Kind> {
        let fits = self.method.as_ref().is_none_or(|wanted| wanted.as_bytes() == method)
            && self.path.as_ref().is_none_or(|wanted| wanted.fits(path));
        if !fits {
            return None;
        }
        let before = self.asked.fetch_add(1, Relaxed);
        let due = |asked: u64| asked.saturating_mul(self.share) / MILLION;
        (due(before.saturating_add(1)) > due(before)).then_some(self.kind)
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut words = text.split_whitespace().peekable();
        let kind = words.next().and_then(kind).ok_or(
            "begins with delay=TIME, reset or status=CODE, as in `reset 5% POST /payments/**`",
        )?;
        let share = words.peek().and_then(|word| word.strip_suffix('%')).map(|percent| {
            let percent: f64 = percent.parse().unwrap_or(-1.0);
            let is_share = percent > 0.0 && percent <= 100.0;
            // At most a million.
            is_share
                .then_some((percent * 10_000.0).round() as u64)
                .ok_or("a share is above 0% and up to 100%")
        });
        let share = share.transpose()?.unwrap_or(MILLION);
        if words.peek().is_some_and(|word| word.ends_with('%')) {
            words.next();
        }
        let is_method = |word: &&str| !word.starts_with('/') && is_token(word.as_bytes());
        let method = words.next_if(is_method).map(str::to_owned);
        let path = words.next().map(str::parse::<Template>).transpose()?;
        match words.next() {
            Some(word) => Err(format!("{word:?}: nothing is expected after the path")),
            None => Ok(Self { kind, share, method, path, asked: Arc::default() }),
        }
    }
}

fn kind(word: &str) -> Option<Kind> {
    match word.split_once('=') {
        None => (word == "reset").then_some(Kind::Reset),
        Some(("delay", time)) => parse_duration(time).ok().map(Kind::Delay),
        Some(("status", code)) => {
            let code = code.parse().ok().filter(|code| (200..=599).contains(code))?;
            Some(Kind::Status(code))
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(text: &str, requests: &[(&str, &str)]) -> Vec<bool> {
        let fault: Fault = text.parse().unwrap();
        let hit = |(method, path): &(&str, &str)| {
            fault.hits(method.as_bytes(), path.as_bytes()).is_some()
        };
        requests.iter().map(hit).collect()
    }

    #[test]
    fn a_fault_hits_its_share_of_its_kind_evenly() {
        let requests = [("POST", "/payments/1"), ("GET", "/payments/1"), ("POST", "/orders")];
        assert_eq!(hits("reset POST /payments/**", &requests), [true, false, false]);
        assert_eq!(hits("reset", &requests), [true; 3]);
        let third = hits("status=503 25%", &[("GET", "/"); 8]);
        assert_eq!(third, [false, false, false, true, false, false, false, true]);
        let kind = "delay=2s GET".parse::<Fault>().unwrap().hits(b"GET", b"/");
        assert_eq!(kind, Some(Kind::Delay(Duration::from_secs(2))));
    }

    #[test]
    fn what_is_no_fault_is_refused() {
        for bad in [
            "",
            "crash",
            "status=99",
            "status=100",
            "delay=2",
            "reset 0%",
            "reset 101%",
            "reset 5% GET x",
            "reset /a /b",
        ] {
            assert!(bad.parse::<Fault>().is_err(), "{bad}");
        }
    }
}
