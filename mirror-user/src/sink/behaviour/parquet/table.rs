//! One Parquet file that is being written. Its last part, the footer, says where everything is: until that is written,
//! nobody can read it.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use anyhow::anyhow;
use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{Type, TypePtr};

use super::group::{Group, MAX_GROUP_BYTES};
use crate::files::part::Part;
use crate::files::rotate::Rotation;
use crate::packet::Timestamp;
use crate::rules::Cleared;
use crate::sink::behaviour::field::{Field, Fields, Kind};
use crate::sink::behaviour::row::Rows;

/// Row groups of a file. What is told of each at the file's end is in memory until then: some 300 bytes for each column.
const MAX_GROUPS: usize = 2_000;

/// What the columns are, in the terms of Parquet.
#[derive(Clone, Debug)]
pub(super) struct Schema {
    kinds: Vec<Kind>,
    /// Bytes of values in a row group.
    group_bytes: usize,
    schema: TypePtr,
    properties: WriterPropertiesPtr,
}

impl Schema {
    /// A column for each field, which may be null. Where files have a size, no row group has more bytes than that.
    ///
    /// # Errors
    /// If Parquet cannot have such columns.
    pub(super) fn new(fields: &Fields, file_bytes: Option<u64>) -> anyhow::Result<Self> {
        let columns: Result<Vec<TypePtr>, ParquetError> =
            fields.iter().map(|field| column(field).map(Arc::new)).collect();
        let schema = Type::group_type_builder("exchange").with_fields(columns.map_err(told)?);
        let properties = WriterProperties::builder()
            .set_created_by(format!("mirror {}", env!("CARGO_PKG_VERSION")))
            .set_compression(Compression::SNAPPY)
            // Of each page, they would take memory until the end of the file.
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_offset_index_disabled(true)
            .build();
        Ok(Self {
            group_bytes: file_bytes
                .and_then(|bytes| usize::try_from(bytes).ok())
                .map_or(MAX_GROUP_BYTES, |bytes| bytes.min(MAX_GROUP_BYTES)),
            kinds: fields.iter().map(Field::kind).collect(),
            schema: Arc::new(schema.build().map_err(told)?),
            properties: Arc::new(properties),
        })
    }
}

fn column(field: &Field) -> Result<Type, ParquetError> {
    let (physical, logical) = match field.kind() {
        // Spark reads no nanoseconds.
        Kind::Time => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MICROS))),
        Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        Kind::Integer => (Physical::INT64, None),
        Kind::Flag => (Physical::BOOLEAN, None),
    };
    Type::primitive_type_builder(&field.column(), physical)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(logical)
        .build()
}

/// A file, and the rows that are not in it yet.
pub(super) struct Table {
    part: Part,
    writer: SerializedFileWriter<File>,
    group: Group,
    /// Rows in the file and in the group.
    rows: u64,
    groups: usize,
    /// Bytes in the file when a group was last written.
    bytes: u64,
}

impl Table {
    /// Starts a file beside `path`.
    ///
    /// # Errors
    /// If it cannot be created or written.
    pub(super) fn begin(path: &Path, schema: &Schema) -> anyhow::Result<Self> {
        let (part, file) = Part::hidden(path)?;
        let Schema { kinds, group_bytes, schema, properties } = schema.clone();
        let writer = SerializedFileWriter::new(file, schema, properties).map_err(told)?;
        let group = Group::new(kinds, group_bytes);
        Ok(Self { part, writer, group, rows: 0, groups: 0, bytes: 0 })
    }

    /// Adds the row of an exchange that began at `at`.
    ///
    /// # Errors
    /// If the disk takes no more.
    pub(super) fn push(
        &mut self,
        (cleared, at): (&Cleared, Timestamp),
        interface: &str,
        rows: &mut Rows,
    ) -> anyhow::Result<()> {
        let mut place = 0;
        rows.row(cleared, interface, |_, value| {
            self.group.put(place, &value);
            place += 1;
            Ok::<(), anyhow::Error>(())
        })?;
        self.rows += 1;
        self.part.wrote(at, 0);
        if self.group.end_row() {
            self.write_group(at)?;
        }
        Ok(())
    }

    fn write_group(&mut self, at: Timestamp) -> anyhow::Result<()> {
        self.group.write(&mut self.writer).map_err(told)?;
        self.groups += 1;
        let bytes = self.writer.bytes_written() as u64;
        self.part.wrote(at, bytes.saturating_sub(self.bytes));
        self.bytes = bytes;
        Ok(())
    }

    /// Rows that it has.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// What is known of the file itself.
    pub(super) fn part(&self) -> &Part {
        &self.part
    }

    /// True if a row of this time belongs in the next file; without one, if this file is old enough.
    pub(super) fn is_due(&self, rotation: Rotation, at: Option<Timestamp>) -> bool {
        self.part.is_due(rotation, at)
    }

    /// True if it takes no more row groups.
    pub(super) fn is_full(&self) -> bool {
        self.groups >= MAX_GROUPS
    }

    /// Writes what waits, and the end of the file. It is whole then, and still has its name to get.
    ///
    /// # Errors
    /// If the disk takes no more; the file is removed then, as nobody could read it.
    pub(super) fn end(mut self) -> anyhow::Result<Part> {
        let at = self.part.first().unwrap_or_default();
        let mut ended = match self.group.is_empty() {
            true => Ok(()),
            false => self.write_group(at),
        };
        if ended.is_ok() {
            ended = self.writer.finish().map(drop).map_err(told);
        }
        match ended {
            Ok(()) => Ok(self.part),
            Err(error) => {
                self.abandon();
                Err(error)
            }
        }
    }

    /// Removes what was written.
    pub(super) fn abandon(self) {
        // What is to be told is why it cannot be written.
        let _ = self.part.remove();
    }
}

fn told(error: ParquetError) -> anyhow::Error {
    match error {
        // Its text is the reason of the operating system.
        ParquetError::External(error) => anyhow!("{error}"),
        error => anyhow!("{error}"),
    }
}
