//! Server-sent events: a browser is told that there is something new, and asks for what it shows.

use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use super::watched::{State, Watched};

/// How often it looks whether there is something new.
const LOOK: Duration = Duration::from_secs(1);
/// After so long without news a line is sent, so that neither side takes the connection for dead.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);
/// A stream ends after this time; the page asks again. A browser that is gone is then forgotten.
pub(super) const LONGEST: Duration = Duration::from_secs(300);

/// One stream. While its browser reads nothing, nothing is made for it.
pub(super) struct Events {
    watched: Arc<Watched>,
    looks: Interval,
    told: Option<State>,
    last: Instant,
    begun: Instant,
    /// Counts it among the streams.
    _place: Rc<()>,
}

impl Events {
    pub(super) fn new(watched: Arc<Watched>, place: Rc<()>) -> Self {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let now = Instant::now();
        Self { watched, looks, told: None, last: now, begun: now, _place: place }
    }

    fn line(&mut self, now: Instant) -> Option<String> {
        let state = self.watched.state();
        if self.told.as_ref() != Some(&state) {
            let text = serde_json::to_string(&state).unwrap_or_default();
            (self.told, self.last) = (Some(state), now);
            return Some(format!("event: change\ndata: {text}\n\n"));
        }
        if now.duration_since(self.last) >= SIGN_OF_LIFE {
            self.last = now;
            return Some(": still here\n\n".to_owned());
        }
        None
    }
}

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        loop {
            let now = ready!(self.looks.poll_tick(context));
            if now.duration_since(self.begun) >= LONGEST {
                return Poll::Ready(None);
            }
            if let Some(line) = self.line(now) {
                return Poll::Ready(Some(Ok(Frame::data(line.into()))));
            }
        }
    }
}
