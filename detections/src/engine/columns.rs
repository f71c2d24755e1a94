//! Columns that repeat: which fields they decide, and one small event per distinct combination of their values.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::batch::{Column, EventBatch};
use crate::event::{Envelope, Event, Origin};
use crate::path::FieldPath;

/// Columns that some leaves read together. A leaf is judged once per distinct combination of their values.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) columns: &'static [Column],
}

/// The columns that decide a field, if they repeat enough to be worth a dictionary: whatever [`Event::resolve`] reads
/// for this path, and nothing else.
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
        ("sourceIPs", _) | ("source", _) => &[Column::SourceIps],
        ("user", _) | ("actor", _) => &[Column::User],
        ("impersonatedUser", _) => &[Column::ImpersonatedUser],
        ("effective", _) => &[Column::User, Column::ImpersonatedUser],
        ("objectRef", Some("resource")) => &[Column::Resource],
        ("objectRef", Some("subresource")) => &[Column::Subresource],
        ("objectRef", Some("namespace")) => &[Column::Namespace],
        ("objectRef", Some("apiGroup")) => &[Column::ApiGroup],
        ("responseStatus", _) => &[Column::ResponseStatus, Column::Stage],
        ("annotations", _) => &[Column::Annotations, Column::Stage],
        ("outcome", Some("result" | "denied_by")) => {
            &[Column::ResponseStatus, Column::Stage, Column::Annotations]
        }
        _ => return None,
    })
}

/// The distinct texts of columns within one batch.
#[derive(Default)]
pub(super) struct Dictionaries<'a> {
    columns: HashMap<Column, Dictionary<'a>>,
}

#[derive(Default)]
struct Dictionary<'a> {
    values: Vec<Option<&'a [u8]>>,
    codes: Vec<u32>,
}

impl<'a> Dictionaries<'a> {
    fn of(&mut self, column: Column, batch: &'a EventBatch) -> &Dictionary<'a> {
        self.columns
            .entry(column)
            .or_insert_with(|| Dictionary::new(column, batch))
    }
}

impl<'a> Dictionary<'a> {
    fn new(column: Column, batch: &'a EventBatch) -> Self {
        let mut known: HashMap<Option<&[u8]>, u32> = HashMap::new();
        let mut dictionary = Self::default();
        for row in 0..batch.rows() {
            let slice = batch.slice(column, row);
            let next = u32::try_from(dictionary.values.len()).unwrap_or(u32::MAX);
            let code = *known.entry(slice).or_insert_with(|| {
                dictionary.values.push(slice);
                next
            });
            dictionary.codes.push(code);
        }
        dictionary
    }
}

/// The distinct combinations of a group's values, each as a small event that has only these fields.
pub(super) struct Combinations {
    pub(super) events: Vec<Event>,
    pub(super) codes: Vec<u32>,
}

impl Combinations {
    pub(super) fn new<'a>(
        group: &Group,
        batch: &'a EventBatch,
        dictionaries: &mut Dictionaries<'a>,
    ) -> Self {
        let mut known: HashMap<(Envelope, [u32; 3]), u32> = HashMap::new();
        let mut combinations = Self {
            events: Vec::new(),
            codes: Vec::with_capacity(batch.rows()),
        };
        for column in group.columns {
            dictionaries.of(*column, batch);
        }
        for row in 0..batch.rows() {
            let envelope = batch.envelope(row);
            let mut codes = [0; 3];
            for (code, column) in codes.iter_mut().zip(group.columns) {
                *code = dictionaries.of(*column, batch).codes[row];
            }
            let next = u32::try_from(combinations.events.len()).unwrap_or(u32::MAX);
            let code = *known.entry((envelope, codes)).or_insert_with(|| {
                combinations.events.push(small_event(group, batch, row));
                next
            });
            combinations.codes.push(code);
        }
        combinations
    }
}

/// The event at a row, reduced to the fields of a group.
fn small_event(group: &Group, batch: &EventBatch, row: usize) -> Event {
    let mut fields = Map::new();
    for column in group.columns {
        let Some(value) = batch
            .slice(*column, row)
            .and_then(|slice| serde_json::from_slice::<Value>(slice).ok())
        else {
            continue;
        };
        match column.path() {
            [outer, inner] => {
                let outer = fields
                    .entry(*outer)
                    .or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(outer) = outer {
                    outer.insert((*inner).to_owned(), value);
                }
            }
            path => drop(fields.insert(path.join("."), value)),
        }
    }
    let origin = Origin {
        envelope: batch.envelope(row),
        ..Origin::default()
    };
    Event::from_fields(fields, origin, batch.settings().clone())
}
