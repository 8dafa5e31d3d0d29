//! What a run shows of itself while it goes on: its counters as metrics, and whether it is ready.
//!
//! In come handles to the parts of a run that count ([`Sources`]); out go [`Figures`], read at one
//! moment, and their forms: the text that Prometheus scrapes ([`text()`]), plain series ([`Families`]), the reasons why a run is not
//! ready ([`NotReady`]), and the summary so far. Every metric is defined once, in
//! `table`; `docs/metrics.md` is made from there.
//!
//! Nothing is counted here, and nothing is remembered: the parts of a run count in plain numbers of
//! their own, and a scrape reads them. An account has every reason from the start, zeros included, and
//! its sum holds in each scrape. The names of targets and rules, which are the operator's own, and of
//! pods, of which there is a limit, are the only labels whose values are not fixed.

mod collect;
mod families;
mod figures;
mod groups;
mod ready;
mod table;
mod text;

pub use self::collect::{Requests, RequestsRefused};
pub use self::families::{Families, Family};
pub use self::figures::{Capture, Figures, Sources};
pub use self::ready::{NotReady, NotReadyBecause};
pub use self::table::reference;
pub use self::text::{Format, text};
