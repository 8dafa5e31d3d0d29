//! One exchange as a row.

use std::borrow::Cow;

use mirror_compare::endpoint::Endpoints;

use super::field::{Fact, Field, Fields};
use crate::http::message::{Head, Message, StartLine};
use crate::http::target::RequestTarget;
use crate::rules::Cleared;
use crate::sink::jsonl::text;
use crate::sink::lines::started_at;

/// Nanoseconds of a microsecond.
const MICRO: u64 = 1_000;

/// A value of a row, of the kind that its field has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// It was not seen, or there is none.
    Null,
    /// Microseconds since 1970 in UTC.
    Time(i64),
    /// Text.
    Text(Cow<'a, str>),
    /// A whole number.
    Integer(i64),
    /// True or false.
    Flag(bool),
}

/// Makes rows of exchanges.
#[derive(Debug)]
pub struct Rows {
    columns: Vec<(Field, String)>,
    /// Names the templates of paths.
    endpoints: Endpoints,
}

impl Rows {
    /// Rows of these fields.
    #[must_use]
    pub fn new(fields: &Fields) -> Self {
        let columns = fields.iter().map(|field| (field.clone(), field.column())).collect();
        Self { columns, endpoints: Endpoints::default() }
    }

    /// Gives each column's name and value, in their order, to `put`. `interface` is the name of the interface on
    /// which the exchange was seen.
    ///
    /// # Errors
    /// The first that `put` returns.
    pub fn row<E>(
        &mut self,
        cleared: &Cleared,
        interface: &str,
        mut put: impl FnMut(&str, Value<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let Self { columns, endpoints } = self;
        columns.iter().try_for_each(|(field, column)| {
            let value = match field {
                Field::Fact(fact) => of_fact(*fact, cleared, interface, endpoints),
                Field::Header(name) => header(cleared.exchange().request.as_deref(), name),
                Field::ResponseHeader(name) => header(cleared.exchange().response.as_deref(), name),
            };
            put(column, value.unwrap_or(Value::Null))
        })
    }
}

fn of_fact<'a>(
    fact: Fact,
    cleared: &'a Cleared,
    interface: &'a str,
    endpoints: &mut Endpoints,
) -> Option<Value<'a>> {
    let exchange = cleared.exchange();
    let (request, response) = (exchange.request.as_deref(), exchange.response.as_deref());
    let client = exchange.proxied_client.unwrap_or(exchange.peers.client);
    let server = exchange.peers.server;
    let head = request.map(|request| &request.head);
    Some(match fact {
        Fact::Time => Value::Time(whole(started_at(exchange).as_nanos() / MICRO)),
        Fact::Id => owned(exchange.id.to_string()),
        Fact::Connection => owned(exchange.id.connection.to_string()),
        Fact::Client => owned(client.ip().to_string()),
        Fact::ClientPort => Value::Integer(client.port().into()),
        Fact::Server => owned(server.ip().to_string()),
        Fact::ServerPort => Value::Integer(server.port().into()),
        Fact::Interface => Value::Text(interface.into()),
        Fact::Method => Value::Text(text(head?.method())),
        Fact::Host => host(head?)?,
        Fact::Target => Value::Text(text(head?.target())),
        Fact::Path => Value::Text(text(target(head?).path())),
        Fact::Query => Value::Text(text(target(head?).query())),
        Fact::PathTemplate => {
            let (method, target) = (text(head?.method()), text(head?.target()));
            owned(endpoints.path(&method, &target))
        }
        Fact::MinorVersion => Value::Integer(minor_version(head?).into()),
        Fact::Status => Value::Integer(response?.head.status()?.into()),
        Fact::Latency => latency(request?, response?)?,
        Fact::FirstByte => first_byte(request?, response?)?,
        Fact::RequestBytes => Value::Integer(whole(request?.body.length)),
        Fact::ResponseBytes => Value::Integer(whole(response?.body.length)),
        Fact::Complete => {
            let is_whole = |message: &Message| message.incomplete.is_none();
            Value::Flag(request.is_some_and(is_whole) && response.is_some_and(is_whole))
        }
        Fact::Skipped => Value::Text(cleared.refusal()?.into()),
    })
}

fn owned(text: String) -> Value<'static> {
    Value::Text(Cow::Owned(text))
}

/// A number of what is counted; at most what a signed one of 64 bits holds.
fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn target(head: &Head) -> RequestTarget<'_> {
    RequestTarget::parse(head.method(), head.target())
}

/// The host of an absolute target goes before that of the field (RFC 9112 §3.2.2).
fn host(head: &Head) -> Option<Value<'_>> {
    let named = target(head).host();
    let host = if named.is_empty() { head.field("host")? } else { named };
    Some(Value::Text(text(host)))
}

fn minor_version(head: &Head) -> u8 {
    let (StartLine::Request { version, .. } | StartLine::Status { version, .. }) = &head.start;
    version.minor()
}

/// A response that breaks off has no last byte.
fn latency(request: &Message, response: &Message) -> Option<Value<'static>> {
    response.incomplete.is_none().then(|| {
        let took = response.finished.since(request.started);
        Value::Integer(i64::try_from(took.as_micros()).unwrap_or(i64::MAX))
    })
}

fn first_byte(request: &Message, response: &Message) -> Option<Value<'static>> {
    let [from, to] = [request.finished, response.started].map(|at| whole(at.as_nanos()));
    let micro = i64::try_from(MICRO).unwrap_or(i64::MAX);
    request.incomplete.is_none().then(|| Value::Integer(to.saturating_sub(from) / micro))
}

fn header<'a>(message: Option<&'a Message>, name: &'a str) -> Option<Value<'a>> {
    let mut values = message?.head.values(name).map(text);
    let first = values.next()?;
    Some(Value::Text(values.fold(first, |joined, next| joined + ", " + next)))
}
