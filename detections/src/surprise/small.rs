//! An event of a few columns only, for the views that read no others.

use serde_json::{Map, Value};

use crate::batch::{Column, EventRow};
use crate::event::Event;
use crate::fields;

/// The event at a row, reduced to some columns; the whole event where these cannot be told apart or are no valid JSON. `None`
/// if it is no event at all.
pub(super) fn event_of(columns: &[Column], row: &EventRow<'_>) -> Option<Event> {
    let small = if row.is_odd() {
        None
    } else {
        fields_of(columns, row)
    };
    match small {
        Some(fields) => Some(Event::from_fields(
            fields,
            row.origin.clone(),
            row.settings.clone(),
        )),
        None => row.event().ok(),
    }
}

fn fields_of(columns: &[Column], row: &EventRow<'_>) -> Option<Map<String, Value>> {
    let mut small = Map::new();
    for column in columns {
        let Some(slice) = row.slice(*column) else {
            continue;
        };
        let value = fields::document(slice)?;
        // No column below `objectRef` is asked for.
        small.insert(column.path().join("."), value);
    }
    Some(small)
}
