//! What each route answers.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use bytes::Bytes;
use enum_map::{Enum, EnumMap};
use mirror_compare::diffy::Told;
use percent_encoding::percent_decode_str;
use serde::Serialize;
use strum::{EnumIter, IntoEnumIterator, IntoStaticStr};
use tokio::task::spawn_blocking;

use super::access::Asker;
use super::events::Events;
use super::page;
use super::requests::Stored;
use super::view::View;
use crate::admin::Access;
use crate::sink::compare::store::FieldName;

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
    pub(super) query: &'a str,
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
    /// Stored pairs of a field, and one at its place.
    Pairs(FieldName),
    Pair(i64),
    Requests,
    Request(String),
    Rules,
    Events,
    /// These change what is shown.
    Reset,
    Ignore(String, String, String),
    Range(Option<i64>, Option<i64>),
    Live,
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
            ["endpoints", id, "fields", path, class, "pairs"] => Self::Pairs(FieldName {
                endpoint: name(id)?,
                path: name(path)?,
                class: name(class)?,
            }),
            ["pairs", place] => Self::Pair(place.parse().ok()?),
            ["requests"] => Self::Requests,
            ["requests", id] => Self::Request(name(id)?),
            ["rules"] => Self::Rules,
            ["events"] => Self::Events,
            ["reset"] => Self::Reset,
            ["ignore", id, path, class] => Self::Ignore(name(id)?, name(path)?, name(class)?),
            ["range", from, to] => Self::Range(second(from)?, second(to)?),
            ["live"] => Self::Live,
            _ => return None,
        })
    }
}

impl Route {
    fn changes(&self) -> bool {
        matches!(self, Self::Reset | Self::Ignore(..) | Self::Range(..) | Self::Live)
    }
}

/// A second since 1970, or `-` for no bound.
fn second(text: &str) -> Option<Option<i64>> {
    if text == "-" { Some(None) } else { text.parse().ok().map(Some) }
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
        let below = |start| asked.path.strip_prefix(start);
        let answered = match (below("/api/v1/"), below("/api/1/")) {
            (Some(rest), _) => self.api(asked, rest).await,
            (None, Some(rest)) => self.diffy(asked, rest),
            (None, None) => self.page(asked),
        };
        answered.unwrap_or_else(|why| {
            let count = &self.refused[why];
            count.set(count.get() + 1);
            let route = asked.path.strip_prefix("/api/v1/").and_then(Route::read);
            let allow = if route.is_some_and(|route| route.changes()) { "POST" } else { READ };
            Reply { allow, ..refusal(why) }
        })
    }

    fn page(&self, asked: Asked<'_>) -> Result<Reply, Refused> {
        asked.asker.may_read_page(&self.access)?;
        let file = page::file(asked.path).ok_or(Refused::NotFound)?;
        reads(asked)?;
        Ok(Reply::new(200, file.content_type, file.text))
    }

    /// What Diffy would answer, where that was asked for.
    fn diffy(&self, asked: Asked<'_>, rest: &str) -> Result<Reply, Refused> {
        asked.asker.may_read(&self.access)?;
        reads(asked)?;
        let names = rest.split('/').map(|name| percent_decode_str(name).decode_utf8());
        let names = names.collect::<Result<Vec<_>, _>>().map_err(|_| Refused::NotFound)?;
        let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
        let watched = self.view.borrow().watched();
        let told = match watched.comparison.lock().diffy() {
            Some(diffy) => diffy.answer(&names, asked.query),
            None => Told::NoRoute,
        };
        match told {
            Told::Json(told) => Ok(json(&told)),
            Told::Cleared(told) => {
                self.view.borrow_mut().reset();
                Ok(json(&told))
            }
            Told::NoRoute => Err(Refused::NotFound),
        }
    }

    async fn api(&self, asked: Asked<'_>, rest: &str) -> Result<Reply, Refused> {
        // Who may not ask does not learn which routes there are.
        asked.asker.may_read(&self.access)?;
        let route = Route::read(rest).ok_or(Refused::NotFound)?;
        if route.changes() {
            if asked.method != "POST" {
                return Err(Refused::Method);
            }
            return self.change(route);
        }
        reads(asked)?;
        self.view.borrow_mut().follow();
        match route {
            Route::Pairs(field) => return self.stored(|stored| stored.of_field(field)).await,
            Route::Pair(place) => return self.stored(move |stored| stored.pair(place)).await,
            _ => {}
        }
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
            Route::Pairs(_) | Route::Pair(_) => Err(Refused::NotFound),
            Route::Reset | Route::Ignore(..) | Route::Range(..) | Route::Live => {
                Err(Refused::Method)
            }
        }
    }

    /// Answers from the store, without making others wait for the disk.
    async fn stored<T: Serialize + Send + 'static>(
        &self,
        find: impl FnOnce(Stored) -> Option<T> + Send + 'static,
    ) -> Result<Reply, Refused> {
        let stored = self.view.borrow().stored().ok_or(Refused::NotFound)?;
        let answered = spawn_blocking(move || find(stored)).await;
        found(answered.ok().flatten())
    }

    fn change(&self, route: Route) -> Result<Reply, Refused> {
        let mut view = self.view.borrow_mut();
        let done = Ok(Reply::new(204, PLAIN, ""));
        match route {
            Route::Ignore(name, path, class) => {
                let rule = view.ignore(&name, &path, &class).ok_or(Refused::NotFound)?;
                Ok(Reply::new(200, "application/yaml", rule))
            }
            Route::Range(from, to) if view.of(from, to) => done,
            Route::Range(..) => Err(Refused::NotFound),
            Route::Live => {
                view.live();
                done
            }
            _ => {
                view.reset();
                done
            }
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
