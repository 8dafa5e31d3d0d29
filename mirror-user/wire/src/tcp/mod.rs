//! `Segment`s in, `StreamEvent`s out: each side's bytes in order, each byte once,
//! and every gap with its exact length.
//!
//! **Drops** what the receiving host would drop as well (RFC 9293 §3.10.7.4): bytes it already
//! has, bytes outside its window, bytes after FIN, a RST that does not fit. Each reason has a
//! name in [`stats`], and captured bytes = delivered + Σ dropped(reason) + those still held.
//!
//! **Remembers** at most [`TcpLimits::connections`] connections, and forgets half-open ones first,
//! then closed ones, then the longest idle; and out-of-order bytes, copied, up to the limits of
//! [`TcpLimits`]. It never blocks and never reads a clock.
//!
//! **Order.** Bytes of one side come after every byte of the other side that their segment
//! acknowledges, unless that byte was lost: a request is emitted before its response even if the
//! capture has them in the opposite order. Bytes that are acknowledged and still missing after
//! [`TcpLimits::grace`] or [`TcpLimits::grace_segments`] were lost by the capture and become a gap.
//!
//! **Overlaps** are resolved as Linux does (`tcp_data_queue`, `tcp_data_queue_ofo`): what was
//! delivered stays; among waiting segments the one that starts first wins, at the same start the
//! longer one, of two equal ones the first.
//!
//! A connection is reported ([`Change::Opened`](event::Change::Opened)) when it first carries
//! payload, so that scans, floods and idle connections cost the later stages nothing.

pub mod event;
pub mod limits;
pub mod stats;

mod clock;
mod contest;
mod control;
mod emit;
mod flow;
mod key;
mod lru;
mod receive;
mod roles;
mod settle;
mod table;
mod twins;
mod waiting;

pub use limits::TcpLimits;
pub use table::FlowTable;

#[cfg(test)]
mod tests;
