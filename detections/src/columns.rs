//! The columns of an event: slices of its bytes that rules can be judged by without a document.

use crate::fields;
use crate::json::compact::Members;
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

    /// Those below `objectRef`.
    const OF_OBJECT_REF: [Self; 5] = [
        Self::Resource,
        Self::Subresource,
        Self::Namespace,
        Self::Name,
        Self::ApiGroup,
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

    /// Matched as bytes, which the compiler turns into a tree over lengths and letters.
    fn of_top(key: &[u8]) -> Option<Self> {
        Some(match key {
            b"auditID" => Self::AuditId,
            b"stage" => Self::Stage,
            b"level" => Self::Level,
            b"verb" => Self::Verb,
            b"requestURI" => Self::RequestUri,
            b"user" => Self::User,
            b"impersonatedUser" => Self::ImpersonatedUser,
            b"sourceIPs" => Self::SourceIps,
            b"userAgent" => Self::UserAgent,
            b"responseStatus" => Self::ResponseStatus,
            b"annotations" => Self::Annotations,
            b"requestReceivedTimestamp" => Self::RequestReceivedTimestamp,
            b"stageTimestamp" => Self::StageTimestamp,
            b"requestObject" => Self::RequestObject,
            b"responseObject" => Self::ResponseObject,
            _ => return None,
        })
    }

    fn of_object_ref(key: &[u8]) -> Option<Self> {
        Some(match key {
            b"resource" => Self::Resource,
            b"subresource" => Self::Subresource,
            b"namespace" => Self::Namespace,
            b"name" => Self::Name,
            b"apiGroup" => Self::ApiGroup,
            _ => return None,
        })
    }
}

/// A piece of bytes: offset and length. No JSON value is empty, so that no length is no value.
pub(crate) type Slice = (u32, u32);

/// Where the columns of one event lie in its bytes. Filled member by member, by whoever goes through the event's top level
/// anyway.
#[derive(Clone, Copy, Debug, Default)]
pub struct Columns {
    slices: [Slice; Column::ALL.len()],
    odd: bool,
}

impl Columns {
    /// Goes through an event. With `partial`, what stands before a fault is taken, and the event is odd.
    ///
    /// # Errors
    /// If the framing is broken.
    pub fn of(raw: &[u8], partial: bool) -> Result<Self, Fault> {
        let mut columns = Self {
            odd: partial,
            ..Self::default()
        };
        let mut members = json::members(raw);
        while let Some(member) = members.next() {
            match member {
                Ok((key, value)) => {
                    let start = members.end() - value.len();
                    columns.note(key.as_bytes(), value, start);
                }
                Err(Fault::Cut { .. } | Fault::Syntax { .. }) if partial => break,
                Err(fault) => return Err(fault),
            }
        }
        Ok(columns)
    }

    /// Takes a member of the top level in, whose value starts at `start`. Of duplicate keys the last wins, as in the API
    /// server. Whether it is a key that is known.
    #[inline]
    pub fn note(&mut self, key: &[u8], value: &[u8], start: usize) -> bool {
        if let Some(column) = Column::of_top(key) {
            self.slices[column as usize] = slice(start, value);
        } else if key == b"objectRef" {
            self.odd |= !self.note_object_ref(value, start);
        } else {
            // A path finds the longest literal key first: `user.username` may be a key of its own.
            self.odd |= memchr::memchr(b'.', key).is_some();
            return false;
        }
        true
    }

    /// False if it is not valid JSON or no object.
    fn note_object_ref(&mut self, value: &[u8], start: usize) -> bool {
        let mut compact = ObjectRef {
            columns: self,
            value,
            start,
            is_plain: true,
        };
        compact.clear();
        if json::compact::compact(value, &mut compact) == Some(value.len()) && compact.is_plain {
            // An object of plain strings is a document by its framing.
            return true;
        }
        compact.clear();
        let mut members = json::members(value);
        while let Some(member) = members.next() {
            let Ok((key, inner)) = member else {
                return false;
            };
            let end = members.end();
            compact.member(key.as_bytes(), end - inner.len(), end);
        }
        fields::is_document(value)
    }

    /// Whether the event must be judged by its document: it was cut, or a small object in it is not valid JSON.
    pub(crate) fn is_odd(&self) -> bool {
        self.odd
    }

    pub(crate) fn get(&self, column: Column) -> Option<Slice> {
        let slice = self.slices[column as usize];
        (slice.1 > 0).then_some(slice)
    }

    /// The event time in microseconds since 1970 UTC, if the event has one.
    pub(crate) fn time(&self, raw: &[u8]) -> Option<i64> {
        let time = |column| {
            let (start, length) = self.get(column)?;
            let text = raw.get(start as usize..)?.get(..length as usize)?;
            scalar::micros_of_json(text)
        };
        time(Column::StageTimestamp).or_else(|| time(Column::RequestReceivedTimestamp))
    }
}

/// An object reference being read.
struct ObjectRef<'c, 'a> {
    columns: &'c mut Columns,
    value: &'a [u8],
    /// Where it starts in the event.
    start: usize,
    /// So far all values are strings that mean what is written.
    is_plain: bool,
}

impl ObjectRef<'_, '_> {
    /// Of duplicate keys the last wins as a whole.
    fn clear(&mut self) {
        for column in Column::OF_OBJECT_REF {
            self.columns.slices[column as usize] = Slice::default();
        }
    }
}

impl Members for ObjectRef<'_, '_> {
    #[inline]
    fn member(&mut self, key: &[u8], start: usize, end: usize) -> bool {
        let inner = self.value.get(start..end).unwrap_or_default();
        self.is_plain &= json::is_plain_string(inner);
        let Some(column) = Column::of_object_ref(key) else {
            return false;
        };
        self.columns.slices[column as usize] = slice(self.start + start, inner);
        true
    }
}

/// Records are bounded at 32 MiB, far below what a slice can address.
fn slice(start: usize, value: &[u8]) -> Slice {
    (
        u32::try_from(start).unwrap_or(u32::MAX),
        u32::try_from(value.len()).unwrap_or(u32::MAX),
    )
}
