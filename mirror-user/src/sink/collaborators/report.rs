//! What is told of collaborators, as JSON and as a table.

use std::fmt;
use std::time::Duration;

use ipnet::IpNet;
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::seen::{Seen, Speaks};

/// Characters of a name that are shown in the table.
const NAME_CHARS: usize = 60;
/// Addresses of a service that are shown in the table.
const SHOWN_ADDRESSES: usize = 2;

/// The services that the captured one calls.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The addresses from which it calls; empty where every captured connection is a call.
    #[serde(serialize_with = "as_texts")]
    pub from: Vec<IpNet>,
    /// From the first to the last of what was captured, inbound traffic included.
    #[serde(rename = "seconds", serialize_with = "as_seconds")]
    pub span: Duration,
    /// Those that are called, in the order of their names.
    pub services: Vec<Service>,
    /// What a shadow target was seen calling that these services are, too.
    pub shared: Vec<Shared>,
}

/// A collaborator.
#[derive(Clone, Debug)]
pub struct Service {
    /// Its name and, where it was said, its port: the host of requests, or the name that TLS was begun with, or else its address.
    pub name: String,
    /// How it is spoken to.
    pub speaks: Speaks,
    /// What was said.
    pub seen: Seen,
    /// Requests in a second, on average; `None` where no time passed.
    pub per_second: Option<f64>,
}

/// A collaborator of production that a shadow target calls.
#[derive(Clone, Debug, Serialize)]
pub struct Shared {
    /// Its name.
    pub name: String,
    /// What the target said to it.
    #[serde(flatten)]
    pub seen: Seen,
}

fn as_texts<S: Serializer>(networks: &[IpNet], out: S) -> Result<S::Ok, S::Error> {
    out.collect_seq(networks.iter().map(ToString::to_string))
}

fn as_seconds<S: Serializer>(span: &Duration, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_f64(span.as_secs_f64())
}

impl Serialize for Service {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let Self { name, speaks, seen, per_second } = self;
        let Seen {
            addresses,
            connections,
            requests,
            unsafe_requests,
            methods,
            statuses,
            unanswered,
        } = seen;
        let mut service = out.serialize_struct("Service", 11)?;
        service.serialize_field("name", name)?;
        let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        service.serialize_field("addresses", &addresses)?;
        service.serialize_field("speaks", speaks)?;
        service.serialize_field("connections", connections)?;
        service.serialize_field("requests", requests)?;
        service.serialize_field("per_second", per_second)?;
        service.serialize_field("unsafe_requests", unsafe_requests)?;
        service.serialize_field("unsafe_share", &seen.unsafe_share())?;
        service.serialize_field("methods", methods)?;
        service.serialize_field("statuses", statuses)?;
        service.serialize_field("unanswered", unanswered)?;
        service.end()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.services.is_empty() {
            return writeln!(f, "no outbound connection was seen");
        }
        let rows: Vec<[String; 7]> = self.services.iter().map(row).collect();
        let head = ["SERVICE", "ADDRESS", "SPEAKS", "CONNECTIONS", "REQUESTS", "PER S", "UNSAFE"];
        let width = |column: usize| {
            let cells =
                rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            cells.chain(head.get(column).map(|cell| cell.len())).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..head.len()).map(width).collect();
        let line = |f: &mut fmt::Formatter<'_>, cells: &[String]| {
            for (place, (cell, width)) in cells.iter().zip(&widths).enumerate() {
                // Texts to the left, numbers to the right.
                match place {
                    0..=2 => write!(f, "{cell:width$}  ")?,
                    _ => write!(f, "{cell:>width$}  ")?,
                }
            }
            Ok(())
        };
        line(f, &head.map(str::to_owned))?;
        writeln!(f, "METHODS; STATUSES")?;
        for (row, service) in rows.iter().zip(&self.services) {
            line(f, row)?;
            writeln!(f, "{}", said(&service.seen))?;
        }
        Ok(())
    }
}

fn row(service: &Service) -> [String; 7] {
    let Service { name, speaks, seen, per_second } = service;
    // Captured characters must not control the terminal.
    let name: String = name.chars().take(NAME_CHARS).flat_map(char::escape_debug).collect();
    let mut addresses: Vec<String> =
        seen.addresses.iter().take(SHOWN_ADDRESSES).map(ToString::to_string).collect();
    if let more @ 1.. = seen.addresses.len().saturating_sub(SHOWN_ADDRESSES) {
        addresses.push(format!("{more} more"));
    }
    let of_requests = |text: String| if seen.requests > 0 { text } else { "-".to_owned() };
    [
        name,
        addresses.join(", "),
        speaks.name().to_owned(),
        seen.connections.to_string(),
        of_requests(seen.requests.to_string()),
        of_requests(per_second.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.2}"))),
        seen.unsafe_share()
            .map_or_else(|| "-".to_owned(), |share| format!("{:.0}%", share * 100.0)),
    ]
}

/// `GET 90, POST 30; 200 118, 503 2, none 1`.
fn said(seen: &Seen) -> String {
    if seen.requests == 0 {
        return "-".to_owned();
    }
    let escaped = |name: &str| name.escape_debug().to_string();
    let methods = seen.methods.iter().map(|(name, n)| format!("{} {n}", escaped(name)));
    let statuses = seen.statuses.iter().map(|(code, n)| format!("{code} {n}"));
    let none = (seen.unanswered > 0).then(|| format!("none {}", seen.unanswered));
    let methods: Vec<_> = methods.collect();
    let statuses: Vec<_> = statuses.chain(none).collect();
    format!("{}; {}", methods.join(", "), statuses.join(", "))
}
