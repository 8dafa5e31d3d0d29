//! Rows as JSON lines: one flat object for each exchange, whose keys are always the same.

use std::io::{self, Write};

use serde::Serializer;
use serde::ser::SerializeMap;

use super::field::Fields;
use super::row::{Rows, Value};
use crate::rules::Cleared;
use crate::sink::lines::Form;

/// One row per line.
#[derive(Debug)]
pub struct RowLines {
    rows: Rows,
}

impl RowLines {
    /// Rows of these fields.
    #[must_use]
    pub fn new(fields: &Fields) -> Self {
        Self { rows: Rows::new(fields) }
    }
}

impl Form for RowLines {
    fn write(&mut self, cleared: &Cleared, interface: &str, out: &mut dyn Write) -> io::Result<()> {
        let mut json = serde_json::Serializer::new(&mut *out);
        let mut row = json.serialize_map(None)?;
        self.rows.row(cleared, interface, |column, value| match value {
            Value::Null => row.serialize_entry(column, &()),
            Value::Time(micros) => row.serialize_entry(column, &rfc3339(micros)),
            Value::Text(text) => row.serialize_entry(column, &text),
            Value::Integer(number) => row.serialize_entry(column, &number),
            Value::Flag(flag) => row.serialize_entry(column, &flag),
        })?;
        row.end()?;
        out.write_all(b"\n")
    }
}

/// RFC 3339 in UTC with microseconds; the epoch for a time that jiff cannot hold.
fn rfc3339(micros: i64) -> String {
    let at = jiff::Timestamp::from_microsecond(micros).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{at:.6}")
}
