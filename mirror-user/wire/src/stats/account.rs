//! The proof at one seam that nothing was lost in silence.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use strum::IntoStaticStr;

use super::grouped;

/// A place where something is handed from one stage to the next, and is counted. In the order in
/// which a packet meets them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, IntoStaticStr)]
pub enum Seam {
    /// Packets that the kernel programs saw, into the source.
    #[strum(serialize = "kernel")]
    Kernel,
    /// Packets of capture files, into the source.
    #[strum(serialize = "packets")]
    Packets,
    /// Entries of HAR files, in the place of packets.
    #[strum(serialize = "HAR entries")]
    Entries,
    /// Lines of JSON, one exchange each, in the place of packets.
    #[strum(serialize = "lines")]
    Lines,
    /// Messages of a broker's stream, in the place of packets.
    #[strum(serialize = "stream messages")]
    Taken,
    /// Requests in those messages.
    #[strum(serialize = "stream requests")]
    TakenRequests,
    /// Packets into `decode`, segments out of it.
    #[strum(serialize = "segments")]
    Segments,
    /// Captured payload bytes into `tcp`, bytes of streams out of it.
    #[strum(serialize = "tcp payload bytes")]
    PayloadBytes,
    /// Connections in `tcp`.
    #[strum(serialize = "connections")]
    Connections,
    /// Requests in `http`.
    #[strum(serialize = "requests")]
    Requests,
    /// Responses in `http`.
    #[strum(serialize = "responses")]
    Responses,
    /// Bytes of clients into `http`, bytes of requests out of it.
    #[strum(serialize = "client bytes")]
    ClientBytes,
    /// Bytes of servers into `http`, bytes of responses out of it.
    #[strum(serialize = "server bytes")]
    ServerBytes,
    /// Requests into `rules`, cleared ones out of it.
    #[strum(serialize = "cleared")]
    Cleared,
    /// Exchanges into a sink that writes or compares them.
    #[strum(serialize = "exchanges")]
    Exchanges,
    /// Requests into a replay; out of it, those that got a response.
    #[strum(serialize = "shadow requests")]
    ShadowRequests,
    /// Requests into a broker's stream; out of it, those that the broker has confirmed.
    #[strum(serialize = "published")]
    Published,
    /// Requests to a stub server; out of it, those that got a recorded response.
    #[strum(serialize = "stub requests")]
    StubRequests,
    /// Compared pairs into a store.
    #[strum(serialize = "stored pairs")]
    StoredPairs,
    /// Packets into a capture file.
    #[strum(serialize = "recorded packets")]
    RecordedPackets,
}

impl Seam {
    /// Its name in summaries; stable.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// What is counted at one seam: so many came in, so many went on, some are still there, the others
/// were dropped and why. seen = delivered + in flight + the sum over dropped(reason), at any time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Where it is counted.
    pub seam: Seam,
    /// For which target, where there are several.
    pub target: Option<Arc<str>>,
    /// How many came in.
    pub seen: u64,
    /// How many went on.
    pub delivered: u64,
    /// How many came in and are still on their way; 0 at the end of a run.
    pub in_flight: u64,
    /// The others, by the name of the reason. Every reason is there from the start, zeros included.
    pub dropped: Vec<(&'static str, u64)>,
}

impl Account {
    /// Nothing was counted yet.
    #[must_use]
    pub fn new(seam: Seam) -> Self {
        Self { seam, target: None, seen: 0, delivered: 0, in_flight: 0, dropped: Vec::new() }
    }

    /// Whatever is accounted for in no other way is in flight. For a stage that holds parts of what
    /// it counts in many places; where more came out than in, the account does not balance.
    #[must_use]
    pub fn with_rest_in_flight(self) -> Self {
        let settled = self.delivered.saturating_add(self.dropped_total());
        Self { in_flight: self.seen.saturating_sub(settled), ..self }
    }

    /// Adds what another one counted at the same seam.
    pub fn add(&mut self, part: Self) {
        self.seen = self.seen.saturating_add(part.seen);
        self.delivered = self.delivered.saturating_add(part.delivered);
        self.in_flight = self.in_flight.saturating_add(part.in_flight);
        for (reason, n) in part.dropped {
            match self.dropped.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, total)) => *total = total.saturating_add(n),
                None => self.dropped.push((reason, n)),
            }
        }
    }

    /// How many were dropped for this reason.
    #[must_use]
    pub fn dropped_for(&self, reason: impl Into<&'static str>) -> u64 {
        let reason = reason.into();
        self.dropped.iter().filter(|(known, _)| *known == reason).map(|(_, n)| n).sum()
    }

    /// How many were dropped, whatever the reason.
    #[must_use]
    pub fn dropped_total(&self) -> u64 {
        self.dropped.iter().fold(0, |sum: u64, (_, n)| sum.saturating_add(*n))
    }

    /// The reasons for which anything was dropped.
    #[must_use]
    pub fn losses(&self) -> Vec<(&'static str, u64)> {
        self.dropped.iter().copied().filter(|(_, n)| *n > 0).collect()
    }

    /// True when seen = delivered + in flight + the sum over dropped(reason).
    #[must_use]
    pub fn balances(&self) -> bool {
        let settled = self.delivered.checked_add(self.dropped_total());
        settled.and_then(|settled| settled.checked_add(self.in_flight)) == Some(self.seen)
    }

    /// True when it balances and nothing is in flight any more, as at the end of a run.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.balances() && self.in_flight == 0
    }

    /// What its line is called: the seam, or the target where there are several.
    #[must_use]
    pub fn title(&self) -> Cow<'static, str> {
        match &self.target {
            None => self.seam.name().into(),
            // The exchanges of a target go to a comparison.
            Some(target) if self.seam == Seam::Exchanges => {
                format!("compared with {target}").into()
            }
            Some(target) => format!("to {target}").into(),
        }
    }
}

/// `requests  seen 3 = delivered 2 + incomplete 1`, without zeros; a width pads the name.
impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = f.width().unwrap_or(0);
        let (seen, delivered) = (grouped(self.seen), grouped(self.delivered));
        write!(f, "{:width$}  seen {seen} = delivered {delivered}", self.title())?;
        if self.in_flight > 0 {
            write!(f, " + in_flight {}", grouped(self.in_flight))?;
        }
        for (reason, n) in self.losses() {
            write!(f, " + {reason} {}", grouped(n))?;
        }
        Ok(())
    }
}

/// As in the summary's JSON form: zeros are left out, and so is `in_flight` where it is 0.
impl Serialize for Account {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut account = serializer.serialize_struct("Account", 5)?;
        account.serialize_field("name", &self.title())?;
        account.serialize_field("seen", &self.seen)?;
        account.serialize_field("delivered", &self.delivered)?;
        account.serialize_field("dropped", &self.losses())?;
        match self.in_flight {
            0 => account.skip_field("in_flight")?,
            in_flight => account.serialize_field("in_flight", &in_flight)?,
        }
        account.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> Account {
        let dropped = vec![("ring_full", 1), ("too_large", 0)];
        Account { seen: 4, delivered: 2, in_flight: 1, dropped, ..Account::new(Seam::Kernel) }
    }

    #[test]
    fn the_written_forms_leave_zeros_out_and_the_account_does_not() {
        let moving = account();
        assert_eq!(moving.dropped_for("too_large"), 0);
        assert_eq!(moving.to_string(), "kernel  seen 4 = delivered 2 + in_flight 1 + ring_full 1");
        let json =
            r#"{"name":"kernel","seen":4,"delivered":2,"dropped":[["ring_full",1]],"in_flight":1}"#;
        assert_eq!(serde_json::to_string(&moving).unwrap(), json);
        let settled = Account { seen: 3, in_flight: 0, target: Some("b".into()), ..moving };
        let json = r#"{"name":"to b","seen":3,"delivered":2,"dropped":[["ring_full",1]]}"#;
        assert_eq!(serde_json::to_string(&settled).unwrap(), json);
    }

    #[test]
    fn an_account_balances_with_what_is_in_flight_and_settles_without() {
        let moving = account();
        assert!(moving.balances() && !moving.is_settled());
        let lost = Account { in_flight: 0, ..moving.clone() };
        assert!(!lost.balances());
        assert!(lost.clone().with_rest_in_flight().balances());
        let too_many = Account { delivered: 5, ..lost }.with_rest_in_flight();
        assert!(!too_many.balances(), "{too_many}");
        let mut twice = moving.clone();
        twice.add(moving);
        assert_eq!((twice.seen, twice.in_flight, twice.dropped_total()), (8, 2, 2));
        assert!(twice.balances());
    }
}
