//! Records on their way to sinks. Each sink has a cursor: the number of the next record that it wants.

use std::collections::BTreeMap;

use redb::{ReadableDatabase as _, ReadableTable as _};
use serde::{Deserialize, Serialize};

use super::record::{Record, unpack};
use super::tables::{CURSORS, META, OUTBOX};
use super::{Step, Store, StoreError, parse};

/// How far a sink came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The next record that it wants.
    pub next: u64,
    /// Records that it has delivered.
    pub delivered: u64,
    /// Records that it gave up on, and put among the dead letters.
    pub dead: u64,
    /// What a sink needs to know to go on exactly: for a file, its name and length.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub place: String,
}

/// A record and its number.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Its number.
    pub number: u64,
    /// The record.
    pub record: Record,
}

impl Outgoing {
    /// What names the record wherever it goes: its finding and revision.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.record.uid, self.record.revision)
    }
}

impl Store {
    /// How far a sink came; a sink that is not known begins with what is raised from now on.
    ///
    /// # Errors
    /// If the store has failed.
    pub fn cursor(&self, sink: &str) -> Result<Cursor, StoreError> {
        {
            let read = self.database.begin_read()?;
            let cursors = read.open_table(CURSORS)?;
            let value = cursors.get(sink)?.map(|value| value.value().to_vec());
            if let Some(cursor) = parse(value)? {
                return Ok(cursor);
            }
        }
        let step = self.begin()?;
        let cursor = Cursor {
            next: step.meta("outbox next")?.unwrap_or(1),
            ..Cursor::default()
        };
        step.set_cursor(sink, &cursor)?;
        step.commit()?;
        Ok(cursor)
    }

    /// The next records from a number on.
    ///
    /// # Errors
    /// If the store has failed.
    pub fn outgoing(&self, from: u64, count: usize) -> Result<Vec<Outgoing>, StoreError> {
        let read = self.database.begin_read()?;
        let outbox = read.open_table(OUTBOX)?;
        let mut records = Vec::new();
        for entry in outbox.range(from..)?.take(count) {
            let (number, bytes) = entry?;
            records.push(Outgoing {
                number: number.value(),
                record: unpack(bytes.value())?,
            });
        }
        Ok(records)
    }

    /// Records in the outbox, and where each sink stands.
    ///
    /// # Errors
    /// If the store has failed.
    pub fn outbox_state(&self) -> Result<(u64, BTreeMap<String, Cursor>), StoreError> {
        let read = self.database.begin_read()?;
        let meta = read.open_table(META)?;
        let next = parse(meta.get("outbox next")?.map(|next| next.value().to_vec()))?;
        let next = next.unwrap_or(1);
        let cursors = read.open_table(CURSORS)?;
        let mut states = BTreeMap::new();
        for entry in cursors.iter()? {
            let (name, value) = entry?;
            let cursor = parse(Some(value.value().to_vec()))?.unwrap_or_default();
            states.insert(name.value().to_owned(), cursor);
        }
        Ok((next, states))
    }
}

impl Step {
    /// Moves a sink's cursor.
    ///
    /// # Errors
    /// If the store has failed.
    pub fn set_cursor(&self, sink: &str, cursor: &Cursor) -> Result<(), StoreError> {
        let content =
            serde_json::to_vec(cursor).map_err(|_| StoreError::Content { what: "a cursor" })?;
        let mut cursors = self.transaction.open_table(CURSORS)?;
        cursors.insert(sink, content.as_slice())?;
        Ok(())
    }

    /// Removes cursors of sinks that are not there any more, and returns their names.
    ///
    /// # Errors
    /// If the store has failed.
    pub fn retain_cursors(&self, sinks: &[String]) -> Result<Vec<String>, StoreError> {
        let mut cursors = self.transaction.open_table(CURSORS)?;
        let mut gone = Vec::new();
        for entry in cursors.iter()? {
            let name = entry?.0.value().to_owned();
            if !sinks.contains(&name) {
                gone.push(name);
            }
        }
        for name in &gone {
            cursors.remove(name.as_str())?;
        }
        Ok(gone)
    }

    /// Removes what all sinks have passed.
    ///
    /// # Errors
    /// If the store has failed.
    pub fn trim_outbox(&self) -> Result<(), StoreError> {
        let cursors = self.transaction.open_table(CURSORS)?;
        let mut passed = u64::MAX;
        for entry in cursors.iter()? {
            let cursor: Option<Cursor> = parse(Some(entry?.1.value().to_vec()))?;
            passed = passed.min(cursor.unwrap_or_default().next);
        }
        let mut outbox = self.transaction.open_table(OUTBOX)?;
        outbox.retain_in(..passed, |_, _| false)?;
        Ok(())
    }
}
