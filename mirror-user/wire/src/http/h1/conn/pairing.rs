//! Which response belongs to which request.
//!
//! Responses come in the order of their requests (RFC 9112 §9.3.2), so the oldest waiting request
//! gets the next response. Where messages may have been lost (after a gap that lost the framing, or
//! when the connection is seen from its middle) that count is of no use, but time is: a client that
//! does not pipeline waits, so the newest request that started before a response is the one that is
//! responded to, and the older ones lost theirs; unless its own response and a request after it may both
//! be among what was lost: then it comes out unpaired, as does that response. On a connection that does pipeline, nothing can be
//! known until it was quiet; its messages come out unpaired until then.

use std::sync::Arc;
use std::time::Duration;

use super::{Conn, Pairing, ResponseTo};
use crate::http::Context;
use crate::http::h1::waiting::Waiting;
use crate::http::message::{ConnectionId, Exchange, ExchangeId, Flaw, Incomplete, Message, Moment};
use crate::http::stats::Unpaired;
use crate::tcp::event::Side;

/// After a response and this much silence no request is taken to be still waiting: the responses
/// of a pipeline follow each other sooner.
const QUIET: Duration = Duration::from_secs(5);

impl Conn {
    /// Finds out what the final response that has just started belongs to.
    pub(super) fn answered(&mut self, cx: &mut Context<'_>) -> ResponseTo {
        let started = self.server.started();
        match self.pairing {
            Pairing::Certain => {
                let (is_asked, second) = {
                    let mut open = self.waiting.iter().filter(|w| w.response.is_none());
                    (open.next().is_some(), open.next().map(|second| second.started))
                };
                if is_asked {
                    self.pipelined |= second.is_some_and(|second| second < started);
                    self.confirm(cx);
                    return ResponseTo::Oldest;
                }
                self.overflow = self.overflow.saturating_sub(1);
            }
            Pairing::Uncertain => {
                let open = || self.waiting.iter().filter(|w| w.response.is_none());
                let before = open().filter(|w| w.started <= started).count();
                let newest = before.checked_sub(1).and_then(|n| open().nth(n));
                let in_doubt = newest.is_some_and(|w| w.doubts.values().all(|doubt| *doubt));
                if before > 1 && (self.pipelined || self.sent_together()) {
                    self.lose_pairing(cx);
                } else if in_doubt {
                    for _ in 0..before {
                        self.give_up_oldest(Unpaired::Uncertain, cx);
                    }
                } else if before > 0 {
                    for _ in 1..before {
                        self.give_up_oldest(Unpaired::Unanswered, cx);
                    }
                    self.pairing = Pairing::Certain;
                    self.confirm(cx);
                    return ResponseTo::Guessed;
                }
            }
            Pairing::Lost => {}
        }
        ResponseTo::Nothing(self.index())
    }

    /// The response to the oldest request begins. If it follows a refusal and nothing but it waits,
    /// the server takes it for a request: it is one, and what follows it is read as before.
    fn confirm(&mut self, cx: &mut Context<'_>) {
        let alone = self.waiting.len() == 1;
        let Some(oldest) = self.waiting.front().filter(|oldest| oldest.unconfirmed && alone) else {
            return;
        };
        let Some(request) = oldest.request.as_mut().and_then(Arc::get_mut) else { return };
        request.flaws.remove(&[Flaw::AfterRefusal]);
        oldest.unconfirmed = false;
        let (index, request) = (oldest.index, oldest.request.clone());
        cx.stats.requests.flaws.take_back(Flaw::AfterRefusal);
        self.client.recover();
        self.emit(index, Moment::Asked, request, None, cx);
    }

    /// The response under way has no content although its head announces it: its request is a HEAD
    /// that was not seen, and not the one that time suggested.
    pub(super) fn has_no_content(&mut self) {
        self.server.flaw(Flaw::UnseenHead);
        if self.response_to == ResponseTo::Guessed {
            self.waiting.front().into_iter().for_each(|waiting| waiting.answered = false);
            self.response_to = ResponseTo::Nothing(self.index());
            self.pairing = Pairing::Uncertain;
        }
    }

    /// True when a waiting request started with the last byte of the one before it.
    fn sent_together(&self) -> bool {
        let mut before: Option<&Waiting> = None;
        self.waiting.iter().any(|waiting| {
            let end = before.replace(waiting).and_then(|w| w.request.as_ref()).map(|r| r.finished);
            end == Some(waiting.started)
        })
    }

    /// A request has started: pairing begins anew if everything before it has its response.
    pub(super) fn recover(&mut self) {
        if self.pairing != Pairing::Lost || self.overflow > 0 || self.waiting.len() > 0 {
            return;
        }
        let (Some(asked), Some(answered)) = (self.client.rests_since(), self.server.rests_since())
        else {
            return;
        };
        let silence = self.client.started().as_nanos().saturating_sub(answered.as_nanos());
        if answered >= asked && u128::from(silence) >= QUIET.as_nanos() {
            self.pairing = Pairing::Certain;
            self.pipelined = false;
        }
    }

    fn lose_pairing(&mut self, cx: &mut Context<'_>) {
        self.pairing = Pairing::Lost;
        self.overflow = 0;
        while self.waiting.front().is_some_and(|waiting| waiting.request.is_some()) {
            self.give_up_oldest(Unpaired::Uncertain, cx);
        }
    }

    pub(super) fn end_request(
        &mut self,
        message: Arc<Message>,
        charged: u64,
        cx: &mut Context<'_>,
    ) {
        if std::mem::take(&mut self.closing) {
            self.client.close();
        }
        self.note_request(message, charged, cx);
        if let Some(why) = self.switched.take() {
            self.leave(why, cx);
        }
    }

    fn note_request(&mut self, message: Arc<Message>, charged: u64, cx: &mut Context<'_>) {
        let seen_whole = match message.incomplete {
            None => true,
            // A refused message whose end is known: who replays attacks wants it in time.
            Some(Incomplete::Refused) => !message.flaws.iter().any(|flaw| flaw.loses_framing()),
            Some(_) => false,
        };
        if let Some(index) = self.outside.take() {
            if seen_whole {
                self.emit(index, Moment::Asked, Some(message.clone()), None, cx);
            }
            self.emit(index, Moment::Ended, Some(message), None, cx);
            self.overflow = self.overflow.saturating_add(1);
            cx.stats.unpaired.count(Unpaired::TooManyWaiting);
            cx.budget.give(charged);
            return;
        }
        let Some(waiting) = self.waiting.back() else { return };
        waiting.request = Some(message.clone());
        waiting.charged += charged;
        let (index, answered) = (waiting.index, waiting.response.is_some());
        if waiting.may_switch && !waiting.answered && !self.server.has_ended() {
            self.client.await_response();
        }
        waiting.unconfirmed &= seen_whole;
        if seen_whole && !waiting.unconfirmed {
            self.emit(index, Moment::Asked, Some(message), None, cx);
        }
        if answered {
            self.end_oldest(cx);
        } else if self.server.has_ended() {
            self.give_up_oldest(Unpaired::Unanswered, cx);
        } else if self.pairing == Pairing::Lost {
            self.give_up_oldest(Unpaired::Uncertain, cx);
        }
    }

    pub(super) fn end_response(
        &mut self,
        message: Arc<Message>,
        charged: u64,
        cx: &mut Context<'_>,
    ) {
        match std::mem::replace(&mut self.response_to, ResponseTo::Interim) {
            ResponseTo::Interim => {
                cx.stats.interim += 1;
                let index = self.waiting.front().map_or(self.next_index, |waiting| waiting.index);
                self.emit(index, Moment::Interim, None, Some(message), cx);
                cx.budget.give(charged);
            }
            ResponseTo::Nothing(index) => {
                self.emit(index, Moment::Ended, None, Some(message), cx);
                cx.stats.unpaired.count(match self.pairing {
                    Pairing::Lost => Unpaired::Uncertain,
                    Pairing::Certain | Pairing::Uncertain => Unpaired::Unsolicited,
                });
                cx.budget.give(charged);
            }
            ResponseTo::Oldest | ResponseTo::Guessed => {
                let Some(oldest) = self.waiting.front() else { return };
                oldest.response = Some(message);
                oldest.charged += charged;
                if oldest.request.is_some() {
                    self.end_oldest(cx);
                }
            }
        }
    }

    /// The oldest exchange has ended as it should.
    fn end_oldest(&mut self, cx: &mut Context<'_>) {
        let Some(Waiting { index, request, response, charged, unconfirmed, .. }) =
            self.waiting.pop()
        else {
            return;
        };
        if unconfirmed && request.is_some() {
            self.emit(index, Moment::Asked, request.clone(), None, cx);
        }
        cx.stats.paired += u64::from(request.is_some() && response.is_some());
        self.emit(index, Moment::Ended, request, response, cx);
        cx.budget.give(charged);
    }

    /// The oldest exchange has ended without a response.
    pub(super) fn give_up_oldest(&mut self, why: Unpaired, cx: &mut Context<'_>) {
        if self.waiting.front().is_some_and(|waiting| waiting.response.is_none()) {
            cx.stats.unpaired.count(why);
        }
        self.end_oldest(cx);
    }

    pub(super) fn emit(
        &self,
        index: u32,
        moment: Moment,
        request: Option<Arc<Message>>,
        response: Option<Arc<Message>>,
        cx: &mut Context<'_>,
    ) {
        let id = ExchangeId { connection: ConnectionId::local(self.serial), index };
        let proxied_client = self.client.proxied_client();
        let peers = self.peers.clone();
        cx.out.push(Exchange { id, moment, peers, proxied_client, request, response });
    }

    /// Messages of `side` may have been lost.
    pub(super) fn doubt(&mut self, side: Side) {
        if let Some(newest) = self.waiting.back() {
            newest.doubts[side] = true;
        }
        if self.overflow > 0 {
            self.pairing = Pairing::Lost;
        } else if self.pairing == Pairing::Certain {
            self.pairing = Pairing::Uncertain;
        }
    }

    pub(super) fn index(&mut self) -> u32 {
        let index = self.next_index;
        self.next_index = index.wrapping_add(1);
        index
    }
}
