//! What each route answers.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use bytes::Bytes;
use enum_map::{Enum, EnumMap};
use percent_encoding::percent_decode_str;
use serde::Serialize;
use strum::{EnumIter, IntoEnumIterator, IntoStaticStr};

use super::access::Asker;
use super::events::Events;
use super::page;
use super::view::View;
use crate::admin::Access;

const PLAIN: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const READ: &str = "GET, HEAD";
/// Streams of events at the same time: tabs of a browser.
const MAX_STREAMS: usize = 16;

/// Why a request is not answered.
#[derive(Clone, Copy, Debug, Enum, EnumIter, IntoStaticStr, PartialEq, Eq)]
#[strum(serialize_all = "snake_case")]
pub(super) enum Refused {
    /// By a name that may be a page's.
    Host,
    /// By a page of another site.
    Origin,
    /// Without the token.
    Token,
    /// By a method that the route does not have.
    Method,
    /// There is no such route, or it names what is not there.
    NotFound,
    /// Too many streams of events.
    Busy,
}

/// What of a request matters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) method: &'a str,
    /// Without a query.
    pub(super) path: &'a str,
    pub(super) asker: Asker<'a>,
}

/// An answer.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) content: Content,
    /// The methods that the route has.
    pub(super) allow: &'static str,
}

/// What is in it.
pub(super) enum Content {
    /// All of it, of this type.
    Text(&'static str, Bytes),
    Events(Events),
}

impl Reply {
    fn new(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self { status, content: Content::Text(content_type, body.into()), allow: READ }
    }
}

/// A route below `/api/v1/`, with the names in it.
#[derive(Debug, PartialEq, Eq)]
enum Route {
    Overview,
    Endpoint(String),
    Field(String, String, String),
    Requests,
    Request(String),
    Rules,
    Events,
    Reset,
}

impl Route {
    /// Reads what is behind `/api/v1/`. Names are percent-encoded: they hold slashes.
    fn read(path: &str) -> Option<Self> {
        let name = |text: &str| percent_decode_str(text).decode_utf8().ok().map(Into::into);
        let segments: Vec<&str> = path.split('/').collect();
        Some(match segments.as_slice() {
            ["overview"] => Self::Overview,
            ["endpoints", id] => Self::Endpoint(name(id)?),
            ["endpoints", id, "fields", path, class] => {
                Self::Field(name(id)?, name(path)?, name(class)?)
            }
            ["requests"] => Self::Requests,
            ["requests", id] => Self::Request(name(id)?),
            ["rules"] => Self::Rules,
            ["events"] => Self::Events,
            ["reset"] => Self::Reset,
            _ => return None,
        })
    }
}

/// Answers requests, and counts those that it refuses.
pub(super) struct Routes {
    access: Access,
    view: RefCell<View>,
    refused: EnumMap<Refused, Cell<u64>>,
    /// One for each stream of events.
    streams: Rc<()>,
}

impl Routes {
    pub(super) fn new(access: Access, view: View) -> Self {
        Self {
            access,
            view: RefCell::new(view),
            refused: EnumMap::default(),
            streams: Rc::default(),
        }
    }

    /// Answers a request.
    pub(super) async fn answer(&self, asked: Asked<'_>) -> Reply {
        let answered = match asked.path.strip_prefix("/api/v1/") {
            Some(rest) => self.api(asked, rest).await,
            None => self.page(asked),
        };
        answered.unwrap_or_else(|why| {
            let count = &self.refused[why];
            count.set(count.get() + 1);
            let allow = if asked.path.ends_with("/reset") { "POST" } else { READ };
            Reply { allow, ..refusal(why) }
        })
    }

    fn page(&self, asked: Asked<'_>) -> Result<Reply, Refused> {
        asked.asker.may_read_page(&self.access)?;
        let file = page::file(asked.path).ok_or(Refused::NotFound)?;
        reads(asked)?;
        Ok(Reply::new(200, file.content_type, file.text))
    }

    async fn api(&self, asked: Asked<'_>, rest: &str) -> Result<Reply, Refused> {
        // Who may not ask does not learn which routes there are.
        asked.asker.may_read(&self.access)?;
        let route = Route::read(rest).ok_or(Refused::NotFound)?;
        if route == Route::Reset {
            if asked.method != "POST" {
                return Err(Refused::Method);
            }
            self.view.borrow_mut().reset();
            return Ok(Reply::new(204, PLAIN, ""));
        }
        reads(asked)?;
        let watched = self.view.borrow().watched();
        let health = if route == Route::Overview { Some(watched.health().await) } else { None };
        let mut view = self.view.borrow_mut();
        match route {
            Route::Overview => Ok(json(&view.overview(health.unwrap_or_default(), self.counts()))),
            Route::Endpoint(name) => found(view.endpoint(&name)),
            Route::Field(name, path, class) => found(view.field(&name, &path, &class)),
            Route::Requests => Ok(json(&view.requests())),
            Route::Request(id) => found(view.request(&id)),
            Route::Rules => Ok(json(&view.rules())),
            Route::Events if Rc::strong_count(&self.streams) > MAX_STREAMS => Err(Refused::Busy),
            Route::Events => {
                let events = Events::new(watched, Rc::clone(&self.streams));
                Ok(Reply { status: 200, content: Content::Events(events), allow: READ })
            }
            Route::Reset => Err(Refused::Method),
        }
    }

    fn counts(&self) -> BTreeMap<&'static str, u64> {
        Refused::iter().map(|why| (why.into(), self.refused[why].get())).collect()
    }
}

fn reads(asked: Asked<'_>) -> Result<(), Refused> {
    if matches!(asked.method, "GET" | "HEAD") { Ok(()) } else { Err(Refused::Method) }
}

fn json(value: &impl Serialize) -> Reply {
    match serde_json::to_vec(value) {
        Ok(json) => Reply::new(200, JSON, json),
        Err(error) => Reply::new(500, PLAIN, format!("{error}\n")),
    }
}

fn found(value: Option<impl Serialize>) -> Result<Reply, Refused> {
    value.as_ref().map(json).ok_or(Refused::NotFound)
}

fn refusal(why: Refused) -> Reply {
    let (status, text) = match why {
        Refused::Host => (
            403,
            "ask by an address or localhost, or give a token by --dashboard-token-file; other names may be a page's that \
             a browser was made to resolve to this host\n",
        ),
        Refused::Origin => (403, "a page of another site asks\n"),
        Refused::Token => (401, "needs the token: Authorization: Bearer TOKEN\n"),
        Refused::Method => (405, "not by this method\n"),
        Refused::NotFound => (404, "there is no such thing\n"),
        Refused::Busy => (503, "too many pages are open\n"),
    };
    Reply::new(status, PLAIN, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_route_and_what_is_none_names_nothing() {
        let endpoint = Route::Endpoint("GET /orders/{id}".to_owned());
        assert_eq!(Route::read("endpoints/GET%20%2Forders%2F%7Bid%7D"), Some(endpoint));
        let field = Route::read("endpoints/a/fields/body.x%2Fy/value").unwrap();
        assert_eq!(field, Route::Field("a".into(), "body.x/y".into(), "value".into()));
        for none in ["", "overview/", "endpoints", "endpoints/a/b", "requests/%ff", "..", "a%00"] {
            assert_eq!(Route::read(none), None, "{none}");
        }
    }
}
