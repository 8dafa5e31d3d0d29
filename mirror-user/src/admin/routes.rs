//! What each route answers.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use enum_map::{Enum, EnumMap};
use strum::{EnumIter, IntoEnumIterator, IntoStaticStr};

use super::ConfigText;
use super::access::Access;
use crate::metrics::{Format, Requests, RequestsRefused, Sources, text};

const PLAIN: &str = "text/plain; charset=utf-8";

/// A route. The name is its path.
#[derive(Clone, Copy, Debug, Enum, EnumIter, IntoStaticStr, PartialEq, Eq)]
enum Route {
    #[strum(serialize = "/metrics")]
    Metrics,
    #[strum(serialize = "/livez")]
    Livez,
    #[strum(serialize = "/readyz")]
    Readyz,
    #[strum(serialize = "/debug/summary")]
    Summary,
    #[strum(serialize = "/debug/config")]
    Config,
}

impl Route {
    /// True if whoever reaches it may ask. A kubelet has no token.
    fn is_open(self) -> bool {
        matches!(self, Self::Livez | Self::Readyz)
    }
}

/// What of a request matters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) method: &'a str,
    /// Without a query.
    pub(super) path: &'a str,
    pub(super) host: Option<&'a str>,
    pub(super) authorization: Option<&'a [u8]>,
    pub(super) accept: &'a str,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    pub(super) body: String,
}

impl Reply {
    fn plain(status: u16, body: impl Into<String>) -> Self {
        Self { status, content_type: PLAIN, body: body.into() }
    }
}

/// Answers requests, and counts them.
pub(super) struct Routes {
    access: Access,
    config: ConfigText,
    sources: Sources,
    answered: EnumMap<Route, AtomicU64>,
    refused: EnumMap<RequestsRefused, AtomicU64>,
}

impl Routes {
    pub(super) fn new(access: Access, config: ConfigText, sources: Sources) -> Self {
        let (answered, refused) = (EnumMap::default(), EnumMap::default());
        Self { access, config, sources, answered, refused }
    }

    /// Answers a request.
    pub(super) async fn answer(&self, asked: Asked<'_>) -> Reply {
        match self.route(asked) {
            Ok(route) => {
                self.answered[route].fetch_add(1, Relaxed);
                self.of(route, asked).await
            }
            Err(why) => {
                self.refuse(why);
                refusal(why)
            }
        }
    }

    /// Counts a request or connection that is not answered.
    pub(super) fn refuse(&self, why: RequestsRefused) {
        self.refused[why].fetch_add(1, Relaxed);
    }

    fn route(&self, asked: Asked<'_>) -> Result<Route, RequestsRefused> {
        if !matches!(asked.method, "GET" | "HEAD") {
            return Err(RequestsRefused::Method);
        }
        let route = Route::iter().find(|route| <&str>::from(*route) == asked.path);
        // Who may not ask does not learn which routes there are.
        if !route.is_some_and(Route::is_open) {
            self.access.check(asked.authorization, asked.host)?;
        }
        route.ok_or(RequestsRefused::NoRoute)
    }

    async fn of(&self, route: Route, asked: Asked<'_>) -> Reply {
        match route {
            Route::Livez => Reply::plain(200, "ok\n"),
            Route::Config => Reply::plain(200, self.config.get()),
            Route::Readyz => {
                let reasons = self.sources.read().await.not_ready();
                if reasons.is_empty() {
                    return Reply::plain(200, "ready\n");
                }
                let lines: String = reasons.iter().map(|reason| format!("{reason}\n")).collect();
                Reply::plain(503, lines)
            }
            Route::Metrics => {
                let figures = self.sources.read().await;
                let format = Format::accepted(asked.accept);
                let body = text(&figures, &self.requests(), format);
                Reply { status: 200, content_type: format.content_type(), body }
            }
            Route::Summary => {
                let summary = self.sources.summary().await;
                match serde_json::to_string(&summary) {
                    Ok(json) => {
                        Reply { status: 200, content_type: "application/json", body: json + "\n" }
                    }
                    Err(error) => Reply::plain(500, format!("{error}\n")),
                }
            }
        }
    }

    fn requests(&self) -> Requests {
        let answered = self.answered.iter();
        Requests {
            answered: answered.map(|(route, n)| (route.into(), n.load(Relaxed))).collect(),
            refused: EnumMap::from_fn(|why| self.refused[why].load(Relaxed)),
        }
    }
}

fn refusal(why: RequestsRefused) -> Reply {
    match why {
        RequestsRefused::Method => Reply::plain(405, "only GET and HEAD\n"),
        RequestsRefused::Token => {
            Reply::plain(401, "needs the token: Authorization: Bearer TOKEN\n")
        }
        RequestsRefused::Host => Reply::plain(
            403,
            "ask by an address or localhost, or set admin.token-file; other names may be a page's that \
             a browser was made to resolve to this host\n",
        ),
        RequestsRefused::NoRoute => {
            let routes: String =
                Route::iter().map(|route| format!("{}\n", <&str>::from(route))).collect();
            Reply::plain(404, routes)
        }
        RequestsRefused::Broken | RequestsRefused::Timeout | RequestsRefused::Handshake => {
            Reply::plain(400, "")
        }
    }
}
