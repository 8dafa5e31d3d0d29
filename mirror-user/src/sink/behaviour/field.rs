//! What a row holds: the fields by their names, and the column that each becomes.

use std::fmt;
use std::str::FromStr;

use strum::{EnumIter, EnumMessage, EnumString, IntoEnumIterator, IntoStaticStr};

use crate::syntax::is_token;

/// Fields of one row. Buffers grow with them.
const MAX_FIELDS: usize = 100;
/// Bytes of a header's name that is a column.
const MAX_HEADER_NAME: usize = 100;

/// A field that every exchange has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, EnumMessage, EnumString, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum Fact {
    /// When the first byte of the request was seen, or that of the response if no request was
    Time,
    /// The connection's number within the run, then the exchange's place on it
    Id,
    /// The connection's number within the run; of another host's capture with that host's number before a dot
    Connection,
    /// The client's IP address; the one that a header of the PROXY protocol named, where there was one
    Client,
    /// The client's port
    ClientPort,
    /// The server's IP address
    Server,
    /// The server's port
    ServerPort,
    /// The interface on which it was seen
    Interface,
    /// The method
    Method,
    /// The host that the request names, with the port where it has one
    Host,
    /// The request target as it was sent
    Target,
    /// The path, without the query
    Path,
    /// The query, without the question mark
    Query,
    /// The path with identifiers replaced, such as /orders/{id}
    PathTemplate,
    /// The minor version of HTTP: 0 or 1
    MinorVersion,
    /// The status code
    Status,
    /// From the first byte of the request to the last byte of the response
    Latency,
    /// From the last byte of the request to the first byte of the response; below 0 if the response began earlier
    FirstByte,
    /// The length of the request's body after de-chunking, before any content decoding
    RequestBytes,
    /// The same of the response's body
    ResponseBytes,
    /// Whether the request and the response were captured whole
    Complete,
    /// Why `replay` would not send the request
    Skipped,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A moment: microseconds in UTC; in JSON RFC 3339.
    Time,
    /// Text: UTF-8; bytes that are not are read as ISO 8859-1.
    Text,
    /// A whole number of 64 bits, with its sign.
    Integer,
    /// True or false.
    Flag,
}

/// A field of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// One that every exchange has.
    Fact(Fact),
    /// The values of a request header by its name in lower case, joined by `, ` (RFC 9110 §5.3).
    Header(String),
    /// The same of a response header.
    ResponseHeader(String),
}

impl Fact {
    /// What it holds.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self {
            Self::Time => Kind::Time,
            Self::ClientPort
            | Self::ServerPort
            | Self::MinorVersion
            | Self::Status
            | Self::Latency
            | Self::FirstByte
            | Self::RequestBytes
            | Self::ResponseBytes => Kind::Integer,
            Self::Complete => Kind::Flag,
            _ => Kind::Text,
        }
    }

    /// What its column's name ends with: the unit, where the field's name does not say it.
    fn unit(self) -> &'static str {
        match self {
            Self::Latency | Self::FirstByte => "_us",
            _ => "",
        }
    }
}

impl Field {
    /// What it holds.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Fact(fact) => fact.kind(),
            Self::Header(_) | Self::ResponseHeader(_) => Kind::Text,
        }
    }

    /// The name of its column: letters, digits and `_`, so that no query must quote it.
    #[must_use]
    pub fn column(&self) -> String {
        let plain = |name: &str| -> String {
            let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
            name.chars().map(plain).collect()
        };
        match self {
            Self::Fact(fact) => plain(<&str>::from(fact)) + fact.unit(),
            Self::Header(name) => format!("header_{}", plain(name)),
            Self::ResponseHeader(name) => format!("response_header_{}", plain(name)),
        }
    }
}

impl FromStr for Field {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let header = |name: &str| {
            let is_name = is_token(name.as_bytes()) && name.len() <= MAX_HEADER_NAME;
            is_name
                .then(|| name.to_ascii_lowercase())
                .ok_or_else(|| format!("{text}: no name of a header, such as header:x-user"))
        };
        if let Some(name) = text.strip_prefix("header:") {
            return header(name).map(Self::Header);
        }
        if let Some(name) = text.strip_prefix("response-header:") {
            return header(name).map(Self::ResponseHeader);
        }
        let fact = text.parse().map(Self::Fact);
        fact.map_err(|_| format!("{text}: no such field; there are {}", Names))
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fact(fact) => f.write_str(fact.into()),
            Self::Header(name) => write!(f, "header:{name}"),
            Self::ResponseHeader(name) => write!(f, "response-header:{name}"),
        }
    }
}

/// All that can be asked for.
struct Names;

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Fact::iter().try_for_each(|fact| write!(f, "{}, ", <&str>::from(fact)))?;
        f.write_str("header:NAME and response-header:NAME")
    }
}

/// The fields of a row, in their order. Each has a column of its own name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields(Vec<Field>);

impl Fields {
    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = &Field> {
        self.0.iter()
    }
}

impl Default for Fields {
    /// What most questions need.
    fn default() -> Self {
        use Fact::{
            Client, Complete, Host, Id, Latency, Method, Path, PathTemplate, RequestBytes,
            ResponseBytes, Server, Status, Time,
        };
        let facts = [
            Time,
            Id,
            Client,
            Server,
            Method,
            Host,
            Path,
            PathTemplate,
            Status,
            Latency,
            RequestBytes,
            ResponseBytes,
            Complete,
        ];
        Self(facts.map(Field::Fact).into())
    }
}

impl FromStr for Fields {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fields: Vec<Field> =
            text.split(',').map(|field| field.trim().parse()).collect::<Result<_, _>>()?;
        if fields.len() > MAX_FIELDS {
            return Err(format!("{} fields; a row has at most {MAX_FIELDS}", fields.len()));
        }
        for (at, field) in fields.iter().enumerate() {
            let mut before = fields.iter().take(at);
            if let Some(other) = before.find(|other| other.column() == field.column()) {
                return Err(format!(
                    "{other}, {field}: both would be the column {}; leave one out",
                    field.column()
                ));
            }
        }
        Ok(Self(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        text.parse::<Fields>().unwrap_err()
    }

    #[test]
    fn fields_become_columns_that_say_their_unit() {
        let fields: Fields = "time, latency,header:X-User,response-header:etag".parse().unwrap();
        let columns: Vec<_> = fields.iter().map(Field::column).collect();
        assert_eq!(columns, ["time", "latency_us", "header_x_user", "response_header_etag"]);
        let kinds: Vec<_> = fields.iter().map(Field::kind).collect();
        assert_eq!(kinds, [Kind::Time, Kind::Integer, Kind::Text, Kind::Text]);
        let text: Vec<_> = Fields::default().iter().map(ToString::to_string).collect();
        assert_eq!(text.join(",").parse(), Ok(Fields::default()));
    }

    #[test]
    fn an_unknown_field_is_refused_with_all_that_there_are() {
        let refused = refusal("time,latncy");
        assert!(refused.starts_with("latncy: no such field; there are time, id, "), "{refused}");
        for fact in Fact::iter() {
            assert!(refused.contains(<&str>::from(fact)), "{refused}");
        }
        assert!(refusal("header:x user").contains("no name of a header"));
        assert!(refusal("").contains("no such field"));
    }

    #[test]
    fn two_fields_of_one_column_are_refused() {
        assert!(refusal("status,status").contains("the column status"));
        assert!(refusal("header:x-user,header:x_user").contains("the column header_x_user"));
        let many: Vec<_> = (0..=MAX_FIELDS).map(|n| format!("header:h{n}")).collect();
        assert!(refusal(&many.join(",")).contains("at most 100"));
    }

    #[test]
    fn the_page_says_of_every_field_what_it_is() {
        let page = include_str!("../../../../docs/behaviour.md");
        for fact in Fact::iter() {
            let kind = match fact.kind() {
                Kind::Time => "time",
                Kind::Text => "text",
                Kind::Integer => "integer",
                Kind::Flag => "true or false",
            };
            let (name, column) = (<&str>::from(fact), Field::Fact(fact).column());
            let told = fact.get_documentation().unwrap();
            let line = format!("| `{name}` | `{column}` | {kind} | {told} |");
            assert!(page.contains(&line), "docs/behaviour.md has no line\n{line}");
        }
    }
}
