//! Columns that repeat: which fields they decide, and one small event per distinct combination of their values.

use std::collections::HashMap;
use std::hash::Hash;

use serde_json::{Map, Value};

use crate::batch::{Column, EventBatch};
use crate::event::{Event, Origin};
use crate::fields;
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
        ("sourceIPs" | "source", _) => &[Column::SourceIps],
        ("user" | "actor", _) => &[Column::User],
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

/// The distinct values of something by row: each row's code, and the first row of each code.
#[derive(Clone, Debug, Default)]
struct Codes {
    codes: Vec<u32>,
    first_rows: Vec<usize>,
}

impl Codes {
    fn new<T: Hash + Eq>(values: impl Iterator<Item = T>) -> Self {
        // The keys come from the log: the hash is seeded, so that nobody can prepare collisions.
        let mut known: HashMap<T, u32, foldhash::fast::RandomState> = HashMap::default();
        let mut new = Self::default();
        for (row, value) in values.enumerate() {
            let next = u32::try_from(new.first_rows.len()).unwrap_or(u32::MAX);
            let code = *known.entry(value).or_insert_with(|| {
                new.first_rows.push(row);
                next
            });
            new.codes.push(code);
        }
        new
    }

    /// The distinct pairs of both.
    fn with(self, other: &Self) -> Self {
        match (self.first_rows.len(), other.first_rows.len()) {
            (_, 0 | 1) => self,
            (0 | 1, _) => other.clone(),
            _ => Self::new(self.codes.into_iter().zip(other.codes.iter().copied())),
        }
    }
}

/// The distinct texts of columns within one batch.
#[derive(Default)]
pub(super) struct Dictionaries {
    columns: HashMap<Column, Codes>,
    envelopes: Codes,
}

impl Dictionaries {
    pub(super) fn new(batch: &EventBatch) -> Self {
        let envelopes = Codes::new((0..batch.rows()).map(|row| batch.envelope(row)));
        Self {
            columns: HashMap::new(),
            envelopes,
        }
    }

    fn of(&mut self, column: Column, batch: &EventBatch) -> &Codes {
        let build = || Codes::new(batch.slices(column));
        self.columns.entry(column).or_insert_with(build)
    }
}

/// The distinct combinations of a group's values, each as a small event that has only these fields.
pub(super) struct Combinations {
    pub(super) events: Vec<Event>,
    /// Whether all values of a combination are valid JSON. Else the small event lies, and its rows are odd.
    pub(super) sound: Vec<bool>,
    pub(super) codes: Vec<u32>,
}

impl Combinations {
    pub(super) fn new(group: &Group, batch: &EventBatch, dictionaries: &mut Dictionaries) -> Self {
        let mut distinct = dictionaries.envelopes.clone();
        for column in group.columns {
            distinct = distinct.with(dictionaries.of(*column, batch));
        }
        let small = distinct.first_rows.iter();
        let (events, sound) = small.map(|row| small_event(group, batch, *row)).unzip();
        Self {
            events,
            sound,
            codes: distinct.codes,
        }
    }
}

/// The event at a row, reduced to the fields of a group, and whether they are all valid JSON.
fn small_event(group: &Group, batch: &EventBatch, row: usize) -> (Event, bool) {
    let mut fields = Map::new();
    let mut sound = true;
    for column in group.columns {
        let Some(slice) = batch.slice(*column, row) else {
            continue;
        };
        let Some(value) = fields::document(slice) else {
            sound = false;
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
    let event = Event::from_fields(fields, origin, batch.settings().clone());
    (event, sound)
}
