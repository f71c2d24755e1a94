//! Columns that repeat: which fields they decide, and the small event that has only these.

use serde_json::{Map, Value};

use crate::batch::{Column, EventBatch};
use crate::event::{Event, Origin};
use crate::fields;
use crate::path::FieldPath;

/// The columns by which most rules can be ruled out, with few distinct values each. What the rules come to for a
/// combination of them is remembered as a whole.
pub(super) const SITUATION: [Column; 6] = [
    Column::Verb,
    Column::Resource,
    Column::Subresource,
    Column::ApiGroup,
    Column::Stage,
    Column::Level,
];

/// The columns that decide a field, if they repeat enough to be remembered: whatever [`Event::resolve`] reads for this
/// path, and nothing else.
pub(super) fn columns_of(path: &FieldPath) -> Option<&'static [Column]> {
    if path.has_positions() {
        return None;
    }
    // A column holds one field of the reference, not what a path below it may find as a key with dots.
    if path.first() == "objectRef" && path.key(2).is_some() {
        return None;
    }
    Some(match (path.first(), path.key(1)) {
        ("verb", _) => &[Column::Verb],
        ("stage", _) => &[Column::Stage],
        ("level", _) => &[Column::Level],
        ("userAgent", _) => &[Column::UserAgent],
        ("sourceIPs" | "source", _) => &[Column::SourceIps],
        ("user" | "actor", _) => &[Column::User],
        ("impersonatedUser", _) => &[Column::ImpersonatedUser],
        ("effective", _) => &[Column::User, Column::ImpersonatedUser],
        ("objectRef", Some("resource")) => &[Column::Resource],
        ("objectRef", Some("subresource")) => &[Column::Subresource],
        ("objectRef", Some("namespace")) => &[Column::Namespace],
        ("objectRef", Some("apiGroup")) => &[Column::ApiGroup],
        ("responseStatus", _) | ("outcome", Some("result")) => {
            &[Column::ResponseStatus, Column::Stage]
        }
        ("annotations", _) => &[Column::Annotations, Column::Stage],
        ("outcome", Some("denied_by")) => {
            &[Column::ResponseStatus, Column::Stage, Column::Annotations]
        }
        // Records that were cut are odd and never judged by columns.
        ("event", Some("envelope" | "partial")) => &[],
        ("event", Some("truncated")) => &[Column::Annotations],
        _ => return None,
    })
}

/// The column that is a field as a whole, and whose value differs from row to row.
pub(super) fn text_column_of(path: &FieldPath) -> Option<Column> {
    match (path.first(), path.key(1), path.key(2)) {
        _ if path.has_positions() => None,
        ("objectRef", Some("name"), None) => Some(Column::Name),
        ("requestURI", None, None) => Some(Column::RequestUri),
        _ => None,
    }
}

/// The event at a row, reduced to some columns; `None` if one of them is not valid JSON, so that the small event would lie.
pub(super) fn small_event(columns: &[Column], batch: &EventBatch, row: usize) -> Option<Event> {
    let mut small = Map::new();
    for column in columns {
        let Some(slice) = batch.slice(*column, row) else {
            continue;
        };
        let value = fields::document(slice)?;
        match column.path() {
            [outer, inner] => {
                let outer = small
                    .entry(*outer)
                    .or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(outer) = outer {
                    outer.insert((*inner).to_owned(), value);
                }
            }
            path => drop(small.insert(path.join("."), value)),
        }
    }
    let origin = Origin {
        envelope: batch.envelope(row),
        ..Origin::default()
    };
    Some(Event::from_fields(small, origin, batch.settings().clone()))
}
