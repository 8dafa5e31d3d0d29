//! Stubs by request: equal answers merged, different ones in their order.

use hashbrown::HashMap;

use super::{Answer, Asked, NotExported};

/// Bytes that stubs take in memory, about. To write them takes up to three times as many.
pub const MAX_STUB_BYTES: usize = 128 << 20;

/// Answers to one request: a sequence that is longer is no sequence of states, but a request whose answer never is the same.
pub const MAX_STEPS: usize = 1_000;

/// A request and its answers: each is given once, in their order, and the last one from then on.
#[derive(Clone, Copy, Debug)]
pub struct Stub<'c> {
    /// The request.
    pub asked: &'c Asked,
    /// Equal for equal requests, in every run.
    pub key: [u8; 32],
    runs: &'c [Run],
}

/// Equal answers, one after the other.
#[derive(Debug)]
struct Run {
    answer: Answer,
    length: usize,
}

/// Requests with their answers, in the order in which they were seen first.
#[derive(Debug, Default)]
pub struct Collection {
    requests: Vec<Recorded>,
    places: HashMap<[u8; 32], usize>,
    bytes: usize,
    taken: u64,
}

#[derive(Debug)]
struct Recorded {
    asked: Asked,
    key: [u8; 32],
    runs: Vec<Run>,
    /// Answers before the last run.
    before: usize,
}

/// What a collection holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Different requests.
    pub requests: u64,
    /// Answers to them.
    pub answers: u64,
    /// Answers that were like the one that repeats.
    pub merged: u64,
}

impl<'c> Stub<'c> {
    /// The answers in their order.
    pub fn answers(&self) -> impl Iterator<Item = &'c Answer> + use<'c> {
        let last = self.runs.len().saturating_sub(1);
        self.runs.iter().enumerate().flat_map(move |(place, run)| {
            let times = if place == last { 1 } else { run.length };
            std::iter::repeat_n(&run.answer, times)
        })
    }
}

impl Collection {
    /// Adds what a request was answered.
    ///
    /// # Errors
    /// Why it is not added.
    pub(super) fn add(&mut self, asked: Asked, answer: Answer) -> Result<(), NotExported> {
        let key = asked.key();
        let place = self.places.get(&key).copied();
        let known = place.and_then(|place| self.requests.get_mut(place));
        let last = known.and_then(|known| known.runs.last_mut());
        if let Some(run) = last.filter(|run| run.answer.is_like(&answer)) {
            run.length += 1;
            self.taken += 1;
            return Ok(());
        }
        let bytes = answer.memory() + if place.is_none() { asked.memory() } else { 0 };
        if self.bytes.saturating_add(bytes) > MAX_STUB_BYTES {
            return Err(NotExported::NoRoom);
        }
        match place.and_then(|place| self.requests.get_mut(place)) {
            None => {
                self.places.insert(key, self.requests.len());
                let runs = vec![Run { answer, length: 1 }];
                self.requests.push(Recorded { asked, key, runs, before: 0 });
            }
            Some(known) => {
                let before = known.before + known.runs.last().map_or(0, |run| run.length);
                if before >= MAX_STEPS {
                    return Err(NotExported::SequenceFull);
                }
                known.before = before;
                known.runs.push(Run { answer, length: 1 });
            }
        }
        self.bytes += bytes;
        self.taken += 1;
        Ok(())
    }

    /// The stubs, in the order in which their requests were seen first.
    #[must_use]
    pub fn stubs(&self) -> Vec<Stub<'_>> {
        let requests = self.requests.iter();
        requests.map(|Recorded { asked, key, runs, .. }| Stub { asked, key: *key, runs }).collect()
    }

    /// How much there is.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let answers: usize = self.requests.iter().map(|recorded| recorded.before + 1).sum();
        let answers = answers as u64;
        let requests = self.requests.len() as u64;
        Counts { requests, answers, merged: self.taken.saturating_sub(answers) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::AskedBody;
    use super::*;

    fn asked(path: &str) -> Asked {
        Asked {
            method: "GET".into(),
            authority: "a".into(),
            path: path.into(),
            query: Vec::new(),
            body: AskedBody::Empty,
            content_type: String::new(),
        }
    }

    fn answer(body: &str) -> Answer {
        Answer { status: 200, headers: Vec::new(), body: body.into(), latency: Duration::ZERO }
    }

    fn bodies(stub: &Stub<'_>) -> Vec<String> {
        stub.answers().map(|answer| String::from_utf8(answer.body.clone()).unwrap()).collect()
    }

    #[test]
    fn asking_again_in_the_same_order_gives_the_same_answers() {
        let mut collection = Collection::default();
        for body in ["pending", "pending", "done", "done", "gone", "gone", "gone"] {
            collection.add(asked("/job"), answer(body)).unwrap();
        }
        collection.add(asked("/other"), answer("x")).unwrap();
        let stubs = collection.stubs();
        assert_eq!(bodies(&stubs[0]), ["pending", "pending", "done", "done", "gone"]);
        assert_eq!(bodies(&stubs[1]), ["x"]);
        assert_eq!(collection.counts(), Counts { requests: 2, answers: 6, merged: 2 });
    }

    #[test]
    fn sequences_and_memory_are_bounded() {
        let mut collection = Collection::default();
        let mut full = 0;
        for n in 0..MAX_STEPS + 10 {
            let added = collection.add(asked("/time"), answer(&n.to_string()));
            full += usize::from(added == Err(NotExported::SequenceFull));
        }
        assert_eq!(full, 10);
        let long = "x".repeat(MAX_STUB_BYTES / 3);
        let mut added = (0..4).map(|n| collection.add(asked(&format!("/{n}")), answer(&long)));
        assert!(added.any(|added| added == Err(NotExported::NoRoom)));
    }
}
