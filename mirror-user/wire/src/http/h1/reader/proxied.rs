//! The first bytes of a client may be a header of the PROXY protocol, which is no part of a message.

use super::{ReadEvent, Reader, State};
use crate::http::Context;
use crate::http::h1::proxy::{self, Proxy};
use crate::http::stats::{Refusal, Unread};
use crate::tcp::event::Side;

impl Reader {
    /// True for the first bytes of a connection's client, if they look like such a header so far.
    pub(super) fn may_be_proxied(&self, data: &[u8]) -> bool {
        self.side == Side::Client
            && !self.begun
            && !self.unproxied
            && proxy::read(data) != Proxy::Other
    }

    /// The same where they may also be the middle of a message: only a whole header decides.
    pub(super) fn is_proxied(&self, data: &[u8]) -> bool {
        self.may_be_proxied(data) && matches!(proxy::read(data), Proxy::Header { .. })
    }

    /// Reads the header, and on behind it. Each byte of a header that comes in pieces is copied once.
    pub(super) fn proxied(&mut self, data: &mut &[u8], cx: &mut Context<'_>) -> ReadEvent {
        let before = self.partial.len();
        if before == 0 {
            self.started = cx.at;
        }
        let wanted = cx.options.max_head.saturating_sub(before).min(data.len());
        if !self.hold(data.get(..wanted).unwrap_or_default(), cx) {
            return self.no_message(before, data, Refusal::NoRoom, cx);
        }
        match proxy::read(&self.partial) {
            Proxy::Partial if self.partial.len() < cx.options.max_head => {
                self.state = State::Proxied;
                *data = &[];
                ReadEvent::Nothing
            }
            Proxy::Partial => self.no_message(before, data, Refusal::HeadTooLarge, cx),
            Proxy::Bad => self.no_message(before, data, Refusal::ProxyHeader, cx),
            Proxy::Header { len, client } => {
                *data = data.get(len.saturating_sub(before)..).unwrap_or_default();
                cx.unread(self.side, Unread::BetweenMessages, len);
                cx.stats.proxied += 1;
                self.forget_partial(cx);
                self.unproxied = true;
                self.proxied_client = client.map(Box::new);
                self.state = State::Start;
                self.read(data, cx)
            }
            Proxy::Other => {
                self.unproxied = true;
                self.partial.truncate(before);
                let blank = self.partial.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
                cx.unread(self.side, Unread::BetweenMessages, blank);
                self.partial.drain(..blank);
                if self.partial.is_empty() {
                    self.forget_partial(cx);
                    self.state = State::Start;
                } else {
                    self.state = State::Head { line_seen: false };
                }
                self.read(data, cx)
            }
        }
    }
}
