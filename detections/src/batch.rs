//! The batch that rules are evaluated on: an Arrow [`RecordBatch`] whose columns are slices of the events' bytes.
//!
//! An event is scanned once, when it is pushed. Every column of [`Column`] is a binary *view* into the one buffer that holds
//! the raw events, so that a column costs 16 bytes a row and copies nothing; a value is the JSON text as it was written,
//! quotes included. Values repeat (verbs, users, resources, status), so they are parsed per distinct text, not per row;
//! bodies are columns too, but are parsed only for rows where a rule is still alive that asks for them.
//!
//! A row whose fields cannot be told by such slices (a record that was cut, or a small object that is not valid JSON) is
//! marked *odd*: the engine judges it by its document alone.

use std::sync::Arc;

use arrow_array::builder::BinaryViewBuilder;
use arrow_array::types::Int64Type;
use arrow_array::{
    Array, ArrayRef, BinaryViewArray, BooleanArray, PrimitiveArray, RecordBatch, StringArray,
    UInt8Array, UInt64Array,
};
use arrow_buffer::Buffer;
use arrow_schema::{ArrowError, DataType, Field, Schema};

use crate::event::{Envelope, Event, NotAnEvent, Origin, Settings};
use crate::fields;
use crate::json::{self, Fault};
use crate::scalar;

/// The columns that are slices of the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each is the field of the same name")]
#[repr(u8)]
pub enum Column {
    AuditId,
    Stage,
    Level,
    Verb,
    RequestUri,
    User,
    ImpersonatedUser,
    SourceIps,
    UserAgent,
    Resource,
    Subresource,
    Namespace,
    Name,
    ApiGroup,
    ResponseStatus,
    Annotations,
    RequestReceivedTimestamp,
    StageTimestamp,
    RequestObject,
    ResponseObject,
}

impl Column {
    /// All columns, in the order of the schema.
    pub const ALL: [Self; 20] = [
        Self::AuditId,
        Self::Stage,
        Self::Level,
        Self::Verb,
        Self::RequestUri,
        Self::User,
        Self::ImpersonatedUser,
        Self::SourceIps,
        Self::UserAgent,
        Self::Resource,
        Self::Subresource,
        Self::Namespace,
        Self::Name,
        Self::ApiGroup,
        Self::ResponseStatus,
        Self::Annotations,
        Self::RequestReceivedTimestamp,
        Self::StageTimestamp,
        Self::RequestObject,
        Self::ResponseObject,
    ];

    /// The path of the field in the event.
    #[must_use]
    pub fn path(self) -> &'static [&'static str] {
        match self {
            Self::AuditId => &["auditID"],
            Self::Stage => &["stage"],
            Self::Level => &["level"],
            Self::Verb => &["verb"],
            Self::RequestUri => &["requestURI"],
            Self::User => &["user"],
            Self::ImpersonatedUser => &["impersonatedUser"],
            Self::SourceIps => &["sourceIPs"],
            Self::UserAgent => &["userAgent"],
            Self::Resource => &["objectRef", "resource"],
            Self::Subresource => &["objectRef", "subresource"],
            Self::Namespace => &["objectRef", "namespace"],
            Self::Name => &["objectRef", "name"],
            Self::ApiGroup => &["objectRef", "apiGroup"],
            Self::ResponseStatus => &["responseStatus"],
            Self::Annotations => &["annotations"],
            Self::RequestReceivedTimestamp => &["requestReceivedTimestamp"],
            Self::StageTimestamp => &["stageTimestamp"],
            Self::RequestObject => &["requestObject"],
            Self::ResponseObject => &["responseObject"],
        }
    }

    fn of_top(key: &str) -> Option<Self> {
        Some(match key {
            "auditID" => Self::AuditId,
            "stage" => Self::Stage,
            "level" => Self::Level,
            "verb" => Self::Verb,
            "requestURI" => Self::RequestUri,
            "user" => Self::User,
            "impersonatedUser" => Self::ImpersonatedUser,
            "sourceIPs" => Self::SourceIps,
            "userAgent" => Self::UserAgent,
            "responseStatus" => Self::ResponseStatus,
            "annotations" => Self::Annotations,
            "requestReceivedTimestamp" => Self::RequestReceivedTimestamp,
            "stageTimestamp" => Self::StageTimestamp,
            "requestObject" => Self::RequestObject,
            "responseObject" => Self::ResponseObject,
            _ => return None,
        })
    }

    fn of_object_ref(key: &str) -> Option<Self> {
        Some(match key {
            "resource" => Self::Resource,
            "subresource" => Self::Subresource,
            "namespace" => Self::Namespace,
            "name" => Self::Name,
            "apiGroup" => Self::ApiGroup,
            _ => return None,
        })
    }
}

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

/// A slice of the block: offset and length.
type Slice = (u32, u32);

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
    slices: [Option<Slice>; Column::ALL.len()],
    origin: Origin,
    odd: bool,
    time: Option<i64>,
    offset: u64,
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
    ///
    /// # Panics
    /// Never: a block stays far below the 4 GiB that a slice can address, since records are bounded at 32 MiB and
    /// batches are cut at a few MiB.
    pub fn push(&mut self, raw: &[u8], origin: &Origin, offset: u64) -> Result<(), NotAnEvent> {
        let base = u32::try_from(self.block.len()).unwrap_or(u32::MAX);
        let row = scan(raw, base, origin, offset)?;
        self.block.extend_from_slice(raw);
        self.rows.push(row);
        Ok(())
    }

    /// The event time of the last event that was pushed, in microseconds.
    #[must_use]
    pub fn last_time(&self) -> Option<i64> {
        self.rows.last().and_then(|row| row.time)
    }

    /// Takes the last event back, for a caller that decides by its time.
    pub fn pop(&mut self) {
        if let Some(row) = self.rows.pop() {
            self.block.truncate(row.raw.0 as usize);
        }
    }

    /// Cuts the batch; the builder is empty afterwards.
    ///
    /// # Errors
    /// Only if an invariant of this module is broken: a slice outside the block.
    pub fn finish(&mut self) -> Result<EventBatch, ArrowError> {
        let rows = std::mem::take(&mut self.rows);
        let block = Buffer::from_vec(std::mem::take(&mut self.block));
        let view = |slice: &dyn Fn(&Row) -> Option<Slice>| views(&block, rows.iter().map(slice));
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(Column::ALL.len() + 8);
        for column in Column::ALL {
            columns.push(Arc::new(view(&|row| row.slices[column as usize])?));
        }
        columns.push(Arc::new(view(&|row| Some(row.raw))?));
        columns.push(Arc::new(StringArray::from_iter_values(
            rows.iter().map(|row| &row.origin.cluster),
        )));
        columns.push(Arc::new(UInt8Array::from_iter_values(
            rows.iter().map(|row| row.origin.envelope as u8),
        )));
        columns.push(Arc::new(
            rows.iter()
                .map(|row| Some(row.origin.partial))
                .collect::<BooleanArray>(),
        ));
        columns.push(Arc::new(
            rows.iter()
                .map(|row| Some(row.odd))
                .collect::<BooleanArray>(),
        ));
        columns.push(Arc::new(
            rows.iter()
                .map(|row| row.time)
                .collect::<PrimitiveArray<Int64Type>>(),
        ));
        columns.push(Arc::new(
            rows.iter()
                .map(|row| row.origin.time_us)
                .collect::<PrimitiveArray<Int64Type>>(),
        ));
        columns.push(Arc::new(UInt64Array::from_iter_values(
            rows.iter().map(|row| row.offset),
        )));
        let records = RecordBatch::try_new(Arc::new(schema()), columns)?;
        let clusters = rows.into_iter().map(|row| row.origin.cluster).collect();
        Ok(EventBatch {
            records,
            clusters,
            settings: self.settings.clone(),
        })
    }
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

/// Finds the columns of an event. `base` is where the event will stand in the block.
fn scan(raw: &[u8], base: u32, origin: &Origin, offset: u64) -> Result<Row, NotAnEvent> {
    let place = |value: &[u8]| -> Slice {
        let start = u32::try_from(value.as_ptr().addr() - raw.as_ptr().addr()).unwrap_or(u32::MAX);
        (
            base.saturating_add(start),
            u32::try_from(value.len()).unwrap_or(u32::MAX),
        )
    };
    let mut row = Row {
        raw: place(raw),
        slices: [None; Column::ALL.len()],
        origin: origin.clone(),
        odd: origin.partial,
        time: None,
        offset,
    };
    if std::str::from_utf8(raw).is_err() && !origin.partial {
        return Err(NotAnEvent::Utf8);
    }
    let mut times = [None, None];
    for member in json::members(raw) {
        let (key, value) = match member {
            Ok(member) => member,
            Err(Fault::Cut { .. } | Fault::Syntax { .. }) if origin.partial => break,
            Err(fault) => return Err(fault.into()),
        };
        match key.as_ref() {
            "objectRef" => row.odd |= !scan_object_ref(value, &mut row.slices, &place),
            name => {
                let Some(column) = Column::of_top(name) else {
                    // A path finds the longest literal key first: `user.username` may be a key of its own.
                    row.odd |= name.contains('.');
                    continue;
                };
                row.slices[column as usize] = Some(place(value));
                match column {
                    Column::StageTimestamp => times[0] = timestamp(value),
                    Column::RequestReceivedTimestamp => times[1] = timestamp(value),
                    // Whether a column is valid JSON is judged once per distinct value, by whoever reads it.
                    _ => {}
                }
            }
        }
    }
    row.time = times[0].or(times[1]).or(origin.time_us);
    Ok(row)
}

/// Takes the columns below `objectRef`; false if it is not valid JSON or no object.
fn scan_object_ref(
    value: &[u8],
    slices: &mut [Option<Slice>; Column::ALL.len()],
    place: &dyn Fn(&[u8]) -> Slice,
) -> bool {
    // Of duplicate keys the last wins as a whole.
    for column in Column::ALL
        .into_iter()
        .filter(|column| column.path().len() > 1)
    {
        slices[column as usize] = None;
    }
    for member in json::members(value) {
        let Ok((key, inner)) = member else {
            return false;
        };
        if let Some(column) = Column::of_object_ref(&key) {
            slices[column as usize] = Some(place(inner));
        }
    }
    fields::is_document(value)
}

fn timestamp(value: &[u8]) -> Option<i64> {
    scalar::micros(&json::string(value)?)
}

/// A batch of events, ready to be evaluated.
#[derive(Debug)]
pub struct EventBatch {
    records: RecordBatch,
    clusters: Vec<Arc<str>>,
    settings: Arc<Settings>,
}

impl EventBatch {
    /// The Arrow batch, in the form of [`schema`].
    #[must_use]
    pub fn records(&self) -> &RecordBatch {
        &self.records
    }

    /// Events in the batch.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.records.num_rows()
    }

    /// The installation's settings.
    #[must_use]
    pub fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// The JSON text of a field of an event, if the event has it.
    #[must_use]
    pub fn slice(&self, column: Column, row: usize) -> Option<&[u8]> {
        let array = self.binary(column as usize)?;
        (!array.is_null(row)).then(|| array.value(row))
    }

    /// The JSON texts of a field, by row.
    pub fn slices(&self, column: Column) -> impl Iterator<Item = Option<&[u8]>> {
        self.binary(column as usize).into_iter().flatten()
    }

    /// The whole event as bytes.
    #[must_use]
    pub fn raw(&self, row: usize) -> &[u8] {
        self.binary(Column::ALL.len())
            .map_or(&[], |array| array.value(row))
    }

    /// The event time in microseconds, if the event or its envelope has one.
    #[must_use]
    pub fn time(&self, row: usize) -> Option<i64> {
        let times = self.own::<PrimitiveArray<Int64Type>>("time")?;
        (!times.is_null(row)).then(|| times.value(row))
    }

    /// The event's place in the input.
    #[must_use]
    pub fn offset(&self, row: usize) -> u64 {
        self.own::<UInt64Array>("offset")
            .map_or(0, |offsets| offsets.value(row))
    }

    /// Whether the row must be judged by its document.
    #[must_use]
    pub fn is_odd(&self, row: usize) -> bool {
        self.own::<BooleanArray>("odd")
            .is_none_or(|odd| odd.value(row))
    }

    /// The form in which the event arrived.
    #[must_use]
    pub fn envelope(&self, row: usize) -> Envelope {
        let envelopes = [Envelope::Raw, Envelope::Aks, Envelope::Eks, Envelope::Gke];
        let number = self
            .own::<UInt8Array>("envelope")
            .map_or(0, |numbers| numbers.value(row));
        envelopes
            .get(usize::from(number))
            .copied()
            .unwrap_or_default()
    }

    /// What is known of the record besides its bytes.
    #[must_use]
    pub fn origin(&self, row: usize) -> Origin {
        let partial = self
            .own::<BooleanArray>("partial")
            .is_some_and(|partial| partial.value(row));
        let times = self.own::<PrimitiveArray<Int64Type>>("envelope_time");
        let time_us = times.and_then(|times| (!times.is_null(row)).then(|| times.value(row)));
        let cluster = self.clusters.get(row).cloned().unwrap_or_default();
        Origin {
            cluster,
            envelope: self.envelope(row),
            partial,
            time_us,
        }
    }

    /// The event as a document.
    ///
    /// # Errors
    /// Never for a row that was pushed; the type is the parser's.
    pub fn event(&self, row: usize) -> Result<Event, NotAnEvent> {
        Event::parse(self.raw(row), self.origin(row), self.settings.clone())
    }

    fn binary(&self, index: usize) -> Option<&BinaryViewArray> {
        self.records.column(index).as_any().downcast_ref()
    }

    fn own<T: 'static>(&self, name: &str) -> Option<&T> {
        self.records.column_by_name(name)?.as_any().downcast_ref()
    }
}
