//! The batch that rules are evaluated on: the bytes of some events, and where their columns lie in them.
//!
//! An event is copied once, into the block of its batch. Every column of [`Column`] is a slice of that block, so that a
//! column costs eight bytes a row and copies nothing; a value is the JSON text as it was written, quotes included.
//! [`EventBatch::records`] shows the same slices as an Arrow [`RecordBatch`] of binary views over the same block; it is made
//! when somebody asks, because judging rules row by row needs no arrays.
//!
//! A row whose fields cannot be told by such slices (a record that was cut, or a small object that is not valid JSON) is
//! marked *odd*: the engine judges it by its document alone.

use std::sync::Arc;

use arrow_array::builder::BinaryViewBuilder;
use arrow_array::types::Int64Type;
use arrow_array::{
    ArrayRef, BinaryViewArray, BooleanArray, PrimitiveArray, RecordBatch, StringArray, UInt8Array,
    UInt64Array,
};
use arrow_buffer::Buffer;
use arrow_schema::{ArrowError, DataType, Field, Schema};

pub use crate::columns::{Column, Columns};

use crate::columns::Slice;
use crate::event::{Envelope, Event, NotAnEvent, Origin, Settings};

/// The schema of a batch: one binary view per [`Column`], then the record's own columns.
///
/// | column | type | unit |
/// |---|---|---|
/// | `auditID` … `responseObject` | `BinaryView`, null if the event lacks it | JSON text |
/// | `raw` | `BinaryView` | the whole event |
/// | `cluster` | `Utf8` | |
/// | `envelope` | `UInt8` | 0 raw, 1 AKS, 2 EKS, 3 GKE |
/// | `partial`, `odd` | `Boolean` | |
/// | `time` | `Int64`, null if unknown | microseconds since 1970 UTC |
/// | `envelope_time` | `Int64`, null if there is none | microseconds since 1970 UTC |
/// | `offset` | `UInt64` | bytes into the input |
#[must_use]
pub fn schema() -> Schema {
    let slices =
        Column::ALL.map(|column| Field::new(column.path().join("."), DataType::BinaryView, true));
    let own = [
        Field::new("raw", DataType::BinaryView, false),
        Field::new("cluster", DataType::Utf8, false),
        Field::new("envelope", DataType::UInt8, false),
        Field::new("partial", DataType::Boolean, false),
        Field::new("odd", DataType::Boolean, false),
        Field::new("time", DataType::Int64, true),
        Field::new("envelope_time", DataType::Int64, true),
        Field::new("offset", DataType::UInt64, false),
    ];
    Schema::new(slices.into_iter().chain(own).collect::<Vec<_>>())
}

/// Collects events until the batch is cut. When to cut is the caller's decision.
#[derive(Debug)]
pub struct BatchBuilder {
    block: Vec<u8>,
    rows: Vec<Row>,
    settings: Arc<Settings>,
}

#[derive(Debug)]
struct Row {
    raw: Slice,
    columns: Columns,
    origin: Origin,
    time: Option<i64>,
    offset: u64,
}

/// A batch of events, ready to be evaluated.
#[derive(Debug)]
pub struct EventBatch {
    block: Vec<u8>,
    rows: Vec<Row>,
    settings: Arc<Settings>,
}

/// One event where it lies, in a batch or wherever it was decoded.
#[derive(Clone, Copy, Debug)]
pub struct EventRow<'a> {
    /// The whole event.
    pub raw: &'a [u8],
    /// Where its columns lie in it.
    pub columns: &'a Columns,
    /// What is known of it besides its bytes.
    pub origin: &'a Origin,
    /// The installation's settings.
    pub settings: &'a Arc<Settings>,
}

impl<'a> EventRow<'a> {
    /// The JSON text of a field, if the event has it.
    #[must_use]
    #[inline]
    pub fn slice(&self, column: Column) -> Option<&'a [u8]> {
        let (start, length) = self.columns.get(column)?;
        self.raw.get(start as usize..)?.get(..length as usize)
    }

    /// Whether the event must be judged by its document.
    #[must_use]
    pub fn is_odd(&self) -> bool {
        self.columns.is_odd()
    }

    /// The form in which the event arrived.
    #[must_use]
    pub fn envelope(&self) -> Envelope {
        self.origin.envelope
    }

    /// The event time in microseconds since 1970 UTC, if the event or its envelope has one.
    #[must_use]
    pub fn time(&self) -> Option<i64> {
        self.columns.time(self.raw).or(self.origin.time_us)
    }

    /// The event as a document.
    ///
    /// # Errors
    /// Never for an event that was decoded; the type is the parser's.
    pub fn event(&self) -> Result<Event, NotAnEvent> {
        Event::parse(self.raw, self.origin.clone(), self.settings.clone())
    }
}

impl BatchBuilder {
    /// An empty builder.
    #[must_use]
    pub fn new(settings: Arc<Settings>) -> Self {
        Self {
            block: Vec::new(),
            rows: Vec::new(),
            settings,
        }
    }

    /// Events collected so far.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Bytes of raw events collected so far.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.block.len()
    }

    /// Adds an event in the API server's own form. `offset` is its place in the input.
    ///
    /// # Errors
    /// If the bytes are no JSON object, or no UTF-8; nothing is added then.
    pub fn push(&mut self, raw: &[u8], origin: &Origin, offset: u64) -> Result<(), NotAnEvent> {
        let columns = columns_of(raw, origin.partial)?;
        self.push_scanned(raw, &columns, origin.clone(), offset);
        Ok(())
    }

    /// Adds an event that is known to be UTF-8 and whose columns have been found in just these bytes.
    pub fn push_scanned(&mut self, raw: &[u8], columns: &Columns, origin: Origin, offset: u64) {
        // Records are bounded at 32 MiB and batches are cut at a few MiB, far below what a slice can address.
        let place = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        self.rows.push(Row {
            raw: (place(self.block.len()), place(raw.len())),
            columns: *columns,
            time: columns.time(raw).or(origin.time_us),
            origin,
            offset,
        });
        self.block.extend_from_slice(raw);
    }

    /// Cuts the batch; the builder is empty afterwards.
    pub fn finish(&mut self) -> EventBatch {
        EventBatch {
            block: std::mem::take(&mut self.block),
            rows: std::mem::take(&mut self.rows),
            settings: self.settings.clone(),
        }
    }
}

impl EventBatch {
    /// The batch in the form of [`schema`].
    ///
    /// # Errors
    /// Only if an invariant of this module is broken: a slice outside the block.
    pub fn records(&self) -> Result<RecordBatch, ArrowError> {
        let block = Buffer::from(self.block.as_slice());
        let rows = || self.rows.iter();
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(Column::ALL.len() + 8);
        for column in Column::ALL {
            columns.push(Arc::new(views(
                &block,
                rows().map(|row| row.place(column)),
            )?));
        }
        columns.push(Arc::new(views(&block, rows().map(|row| Some(row.raw)))?));
        columns.push(Arc::new(StringArray::from_iter_values(
            rows().map(|row| &row.origin.cluster),
        )));
        columns.push(Arc::new(UInt8Array::from_iter_values(
            rows().map(|row| row.origin.envelope as u8),
        )));
        let flags = |flag: fn(&Row) -> bool| -> ArrayRef {
            Arc::new(rows().map(|row| Some(flag(row))).collect::<BooleanArray>())
        };
        columns.push(flags(|row| row.origin.partial));
        columns.push(flags(|row| row.columns.is_odd()));
        let times = |time: fn(&Row) -> Option<i64>| -> ArrayRef {
            Arc::new(rows().map(time).collect::<PrimitiveArray<Int64Type>>())
        };
        columns.push(times(|row| row.time));
        columns.push(times(|row| row.origin.time_us));
        columns.push(Arc::new(UInt64Array::from_iter_values(
            rows().map(|row| row.offset),
        )));
        RecordBatch::try_new(Arc::new(schema()), columns)
    }

    /// Events in the batch.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// The installation's settings.
    #[must_use]
    pub fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// One of the events.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn row(&self, row: usize) -> EventRow<'_> {
        let row = &self.rows[row];
        EventRow {
            raw: self.bytes(row.raw).unwrap_or_default(),
            columns: &row.columns,
            origin: &row.origin,
            settings: &self.settings,
        }
    }

    /// The event time in microseconds, if the event or its envelope has one.
    #[must_use]
    pub fn time(&self, row: usize) -> Option<i64> {
        self.rows[row].time
    }

    /// The event's place in the input.
    #[must_use]
    pub fn offset(&self, row: usize) -> u64 {
        self.rows[row].offset
    }

    fn bytes(&self, (start, length): Slice) -> Option<&[u8]> {
        self.block.get(start as usize..)?.get(..length as usize)
    }
}

impl Row {
    /// Where a column lies in the block.
    #[inline]
    fn place(&self, column: Column) -> Option<Slice> {
        let (start, length) = self.columns.get(column)?;
        Some((self.raw.0.checked_add(start)?, length))
    }
}

/// The columns of an event in the API server's own form.
///
/// # Errors
/// If the bytes are no JSON object, or no UTF-8.
pub fn columns_of(raw: &[u8], partial: bool) -> Result<Columns, NotAnEvent> {
    if !partial && std::str::from_utf8(raw).is_err() {
        return Err(NotAnEvent::Utf8);
    }
    Ok(Columns::of(raw, partial)?)
}

fn views(
    block: &Buffer,
    slices: impl Iterator<Item = Option<Slice>>,
) -> Result<BinaryViewArray, ArrowError> {
    let mut builder = BinaryViewBuilder::new();
    let number = builder.append_block(block.clone());
    for slice in slices {
        match slice {
            Some((offset, length)) => builder.try_append_view(number, offset, length)?,
            None => builder.append_null(),
        }
    }
    Ok(builder.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::Array;

    #[test]
    fn records_show_the_same_slices() {
        let mut builder = BatchBuilder::new(Arc::default());
        let texts = [
            r#"{"verb":"get","objectRef":{"name":"a","resource":"pods"},"stageTimestamp":"2026-11-20T21:39:58.333744Z"}"#,
            r#"{"verb":"list","objectRef":null}"#,
        ];
        for text in texts {
            builder
                .push(text.as_bytes(), &Origin::default(), 7)
                .unwrap();
        }
        let batch = builder.finish();
        let records = batch.records().unwrap();
        assert_eq!(
            (records.num_rows(), records.num_columns()),
            (2, Column::ALL.len() + 8)
        );
        for (index, column) in Column::ALL.into_iter().enumerate() {
            let array = records
                .column(index)
                .as_any()
                .downcast_ref::<BinaryViewArray>()
                .unwrap();
            for row in 0..2 {
                let seen = (!array.is_null(row)).then(|| array.value(row));
                assert_eq!(seen, batch.row(row).slice(column), "{column:?}");
            }
        }
        assert_eq!(batch.row(0).slice(Column::Name), Some(br#""a""#.as_slice()));
        assert_eq!(
            (batch.time(0), batch.time(1)),
            (Some(1_795_210_798_333_744), None)
        );
        assert_eq!(
            (batch.row(0).is_odd(), batch.row(1).is_odd()),
            (false, true)
        );
    }
}
