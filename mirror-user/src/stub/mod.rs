//! Recorded exchanges in, a server that answers as recorded out: the collaborators of a shadow, without reaching them.
//!
//! Recordings pass the pipeline like everything else, so that only what the rules have cleared is served; the sink at
//! its end ([`StubSink`]) fills a [`Book`]. A request is recognized by what it says and not by its bytes ([`canonical`]);
//! a response is given byte by byte. What was not recorded is refused with 502 and the nearest recorded request, and
//! leaves for nobody but a host that the operator named.
//!
//! Everything is bounded: what is kept of recordings, connections, requests, waits.

mod authority;
pub mod book;
pub mod canonical;
mod counts;
mod fail_on;
mod fault;
mod load;
mod miss;
mod options;
mod pass;
pub mod serve;

pub use self::book::Book;
pub use self::counts::{Counts, NotServed};
pub use self::fail_on::FailOn;
pub use self::fault::Fault;
pub use self::load::{Recording, Skipped, StubSink};
pub use self::options::{AfterLast, Latency, Options};
pub use self::pass::Upstream;
