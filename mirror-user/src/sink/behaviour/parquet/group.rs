//! The rows of one row group, by columns, until they are written.

use std::io::Write;

use bytes::{Bytes, BytesMut};
use parquet::column::writer::ColumnWriterImpl;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, Int64Type};
use parquet::errors::Result;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};

use crate::sink::behaviour::field::Kind;
use crate::sink::behaviour::row::Value;

/// Rows of a row group: as many as DuckDB has in one of its own. Readers share out work by row groups.
pub(super) const MAX_GROUP_ROWS: usize = 122_880;
/// Bytes of values in a row group; with longer values it has fewer rows.
pub(super) const MAX_GROUP_BYTES: usize = 16 << 20;

/// Values that are handed over at once.
const BATCH: usize = 1_024;

/// The level of a value that is there: each column may be null (Dremel's definition level).
const THERE: i16 = 1;

/// Rows that wait.
#[derive(Debug)]
pub(super) struct Group {
    columns: Vec<Column>,
    rows: usize,
    bytes: usize,
    /// The bytes that make it complete.
    max_bytes: usize,
}

/// The values of a column, without nulls, and where nulls are.
#[derive(Debug)]
struct Column {
    levels: Vec<i16>,
    values: Values,
}

#[derive(Debug)]
enum Values {
    Integers(Vec<i64>),
    Flags(Vec<bool>),
    /// All texts in a row, and where each ends.
    Texts(BytesMut, Vec<usize>),
}

impl Group {
    /// No rows of these columns; complete with this many bytes of values, or [`MAX_GROUP_ROWS`].
    pub(super) fn new(kinds: Vec<Kind>, max_bytes: usize) -> Self {
        let values = |kind| match kind {
            Kind::Time | Kind::Integer => Values::Integers(Vec::new()),
            Kind::Flag => Values::Flags(Vec::new()),
            Kind::Text => Values::Texts(BytesMut::new(), Vec::new()),
        };
        let column = |kind| Column { levels: Vec::new(), values: values(kind) };
        Self { columns: kinds.into_iter().map(column).collect(), rows: 0, bytes: 0, max_bytes }
    }

    /// Adds a value to a column; each gets one in every row.
    pub(super) fn put(&mut self, column: usize, value: &Value<'_>) {
        let Some(column) = self.columns.get_mut(column) else { return };
        self.bytes += column.put(value);
    }

    /// A row is complete; true if the group is.
    pub(super) fn end_row(&mut self) -> bool {
        self.rows += 1;
        self.rows >= MAX_GROUP_ROWS || self.bytes >= self.max_bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Writes all rows as a row group, and has none afterwards.
    pub(super) fn write<W: Write + Send>(
        &mut self,
        file: &mut SerializedFileWriter<W>,
    ) -> Result<()> {
        let mut group = file.next_row_group()?;
        for column in &mut self.columns {
            if let Some(mut writer) = group.next_column()? {
                column.write(&mut writer)?;
                writer.close()?;
            }
        }
        group.close()?;
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }
}

impl Column {
    /// Adds a value, or null if it is of another kind. Returns the bytes that it takes.
    fn put(&mut self, value: &Value<'_>) -> usize {
        let taken = match (&mut self.values, value) {
            (Values::Integers(all), Value::Integer(one) | Value::Time(one)) => {
                all.push(*one);
                size_of::<i64>()
            }
            (Values::Flags(all), Value::Flag(one)) => {
                all.push(*one);
                size_of::<bool>()
            }
            (Values::Texts(all, ends), Value::Text(one)) => {
                all.extend_from_slice(one.as_bytes());
                ends.push(all.len());
                one.len() + size_of::<usize>()
            }
            _ => {
                self.levels.push(0);
                return size_of::<i16>();
            }
        };
        self.levels.push(THERE);
        taken + size_of::<i16>()
    }

    fn write(&mut self, writer: &mut SerializedColumnWriter<'_>) -> Result<()> {
        let levels = std::mem::take(&mut self.levels);
        match &mut self.values {
            Values::Integers(all) => {
                let all = std::mem::take(all);
                in_batches(writer.typed::<Int64Type>(), &levels, all.into_iter())
            }
            Values::Flags(all) => {
                let all = std::mem::take(all);
                in_batches(writer.typed::<BoolType>(), &levels, all.into_iter())
            }
            Values::Texts(all, ends) => {
                let (all, ends) = (all.split().freeze(), std::mem::take(ends));
                in_batches(writer.typed::<ByteArrayType>(), &levels, texts(&all, ends))
            }
        }
    }
}

/// The texts, without a copy.
fn texts(all: &Bytes, ends: Vec<usize>) -> impl Iterator<Item = ByteArray> + '_ {
    let mut start = 0;
    ends.into_iter().map(move |end| {
        let text = all.slice(start..end);
        start = end;
        ByteArray::from(text)
    })
}

fn in_batches<T: DataType>(
    writer: &mut ColumnWriterImpl<'_, T>,
    levels: &[i16],
    mut values: impl Iterator<Item = T::T>,
) -> Result<()> {
    for levels in levels.chunks(BATCH) {
        let there = levels.iter().filter(|level| **level == THERE).count();
        let values: Vec<T::T> = values.by_ref().take(there).collect();
        writer.write_batch(&values, Some(levels), None)?;
    }
    Ok(())
}
