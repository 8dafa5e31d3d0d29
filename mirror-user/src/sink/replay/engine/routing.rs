//! Which session a request goes to, and which request gives way when too many wait.

use std::rc::Rc;

use super::Engine;
use super::job::Job;
use super::session::{self, Session};
use super::waiting::QueuedRequest;
use crate::sink::replay::key::SessionKey;
use crate::sink::replay::outcome::not_delivered::NotDelivered;
use crate::sink::replay::{Victim, WhenFull};

/// How many requests of one captured connection may wait in a live replay. If a client pipelines
/// more, or the target falls behind by more responses than this, the excess is dropped.
const MAX_SESSION_QUEUE: usize = 1024;

impl Engine {
    /// Hands a request to its session, or to those that do not wait for one another, and makes room
    /// for it where requests are displaced.
    pub(super) fn route(self: &Rc<Self>, job: Job, when_full: WhenFull) {
        let queued = QueuedRequest { session: job.key.session, due: job.due, arrived: job.arrived };
        let priority = job.priority;
        match &self.independent {
            Some(independent) => independent.push(job),
            None => self.route_in_order(job, when_full),
        }
        if when_full == WhenFull::Drop(Victim::Oldest) {
            let waits = |queued| self.waits(queued);
            let outstanding = self.queue.outstanding();
            self.waiting.borrow_mut().push(priority, queued, outstanding, waits);
            self.displace_oldest();
        }
    }

    fn route_in_order(self: &Rc<Self>, job: Job, when_full: WhenFull) {
        let session = self.session(job.key.session);
        let is_full = session.queued() >= MAX_SESSION_QUEUE;
        match when_full {
            WhenFull::Drop(Victim::Newest) if is_full => {
                return self.drop_job(job, NotDelivered::QueueFull);
            }
            WhenFull::Drop(Victim::Oldest) if is_full => {
                if let Some(oldest) = session.displace(None) {
                    self.drop_job(oldest, NotDelivered::Displaced);
                }
            }
            WhenFull::Drop(_) | WhenFull::Wait => {}
        }
        session.push(job);
    }

    fn session(self: &Rc<Self>, key: SessionKey) -> Rc<Session> {
        let mut sessions = self.sessions.borrow_mut();
        let session = sessions.entry(key).or_insert_with_key(|key| {
            let session = Rc::new(Session::new(*key));
            tokio::task::spawn_local(session::run(Rc::clone(&session), Rc::clone(self)));
            session
        });
        Rc::clone(session)
    }

    /// Drops the oldest waiting requests until the queue is within its limits.
    fn displace_oldest(&self) {
        while self.queue.overflows() {
            let oldest = self.waiting.borrow_mut().pop(|queued| self.waits(queued));
            let Some(queued) = oldest else { return };
            if let Some(job) = self.displace(queued) {
                self.drop_job(job, NotDelivered::Displaced);
            }
        }
    }

    /// Removes a waiting request.
    fn displace(&self, queued: QueuedRequest) -> Option<Job> {
        if let Some(independent) = &self.independent {
            return independent.displace(queued);
        }
        let session = self.sessions.borrow().get(&queued.session).map(Rc::clone);
        session?.displace(Some(queued.arrived))
    }

    fn waits(&self, queued: QueuedRequest) -> bool {
        match &self.independent {
            Some(independent) => independent.holds(queued),
            None => {
                let sessions = self.sessions.borrow();
                sessions.get(&queued.session).is_some_and(|session| session.holds(queued.arrived))
            }
        }
    }

    fn drop_job(&self, job: Job, why: NotDelivered) {
        self.settle(job, Err(why));
    }
}
