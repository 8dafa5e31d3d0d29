//! Details of why captured requests were not sent, for reasons that have several kinds.

use super::not_delivered::NotDelivered;
use crate::http::message::{Flaw, Incomplete, Message, StartLine};
use crate::stats::{Note, Tally, Topic};

/// Counts the details of requests that were not sent.
#[derive(Default)]
pub(in crate::sink::replay) struct Reasons {
    /// The flaws of ambiguous requests; a request may have several.
    ambiguous: Tally<Flaw>,
    incomplete: Tally<Incomplete>,
    connect: u64,
    upgrade: u64,
}

impl Reasons {
    /// Counts a request that is not sent.
    pub(in crate::sink::replay) fn count(&mut self, why: NotDelivered, request: &Message) {
        match why {
            NotDelivered::Ambiguous => {
                request.flaws.iter().for_each(|flaw| self.ambiguous.count(flaw));
            }
            NotDelivered::Incomplete => {
                request.incomplete.iter().for_each(|why| self.incomplete.count(*why));
            }
            NotDelivered::Tunnel if is_connect(request) => self.connect += 1,
            NotDelivered::Tunnel => self.upgrade += 1,
            _ => {}
        }
    }

    /// A note for each reason that has several kinds.
    pub(in crate::sink::replay) fn notes(&self) -> impl Iterator<Item = Note> {
        let tunnels = [("connect", self.connect), ("upgrade", self.upgrade)];
        let notes = [
            Note::new(Topic::AmbiguousByFlaw, self.ambiguous.non_zero()),
            Note::new(Topic::IncompleteByCause, self.incomplete.non_zero()),
            Note::new(Topic::TunnelByKind, tunnels),
        ];
        notes.into_iter().flatten()
    }
}

fn is_connect(request: &Message) -> bool {
    let StartLine::Request { method, .. } = &request.head.start else { return false };
    request.head.bytes(method) == b"CONNECT"
}
