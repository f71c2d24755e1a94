//! What could not be processed, with its original bytes, until somebody has looked at it.

use redb::{ReadableDatabase as _, ReadableTable as _};
use serde::{Deserialize, Serialize};

use super::record::{pack, unpack};
use super::tables::DEAD_LETTERS;
use super::{Step, Store, StoreError};

/// Something that could not be processed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// `input` for what came in and could not be read, else the sink that refused an alert.
    pub stage: String,
    /// Why.
    pub reason: String,
    /// The same in words.
    pub explanation: String,
    /// Where it came from: source, cluster and API server.
    pub origin: String,
    /// The finding, if it is an alert that a sink gave up.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// The cluster, for sending it in again.
    #[serde(default)]
    pub cluster: String,
    /// The position of its body in the log, or the number of the record in the outbox.
    pub position: u64,
    /// Where in the body it starts.
    pub offset: u64,
    /// When, in the time of the log.
    pub at_us: i64,
    /// The bytes, if they are text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The bytes in hex, if they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hex: Option<String>,
}

impl Store {
    /// Hands out letters by number, oldest first, until told to stop.
    ///
    /// # Errors
    /// If the store has failed.
    pub fn dead_letters(
        &self,
        take: &mut dyn FnMut(u64, DeadLetter) -> bool,
    ) -> Result<(), StoreError> {
        let read = self.database.begin_read()?;
        for entry in read.open_table(DEAD_LETTERS)?.iter()? {
            let (number, bytes) = entry?;
            if !take(number.value(), unpack(bytes.value())?) {
                break;
            }
        }
        Ok(())
    }
}

impl Step {
    /// The letter of a number.
    ///
    /// # Errors
    /// If the store has failed.
    pub fn dead_letter(&self, number: u64) -> Result<Option<DeadLetter>, StoreError> {
        let letters = self.transaction.open_table(DEAD_LETTERS)?;
        let found = letters.get(number)?;
        found.map(|found| unpack(found.value())).transpose()
    }

    /// Keeps a letter. Beyond `bytes_max` the oldest are removed; returns how many.
    ///
    /// # Errors
    /// If the store has failed.
    pub fn bury(&self, letter: &DeadLetter, bytes_max: u64) -> Result<u64, StoreError> {
        let bytes = pack(letter)?;
        let mut letters = self.transaction.open_table(DEAD_LETTERS)?;
        let next = self.meta("dead letters next")?.unwrap_or(1_u64);
        self.set_meta("dead letters next", &(next + 1))?;
        letters.insert(next, bytes.as_slice())?;
        let mut held = self.meta("dead letters bytes")?.unwrap_or(0_u64) + bytes.len() as u64;
        let mut removed = 0;
        while held > bytes_max {
            let Some(oldest) = letters.pop_first()? else {
                break;
            };
            held = held.saturating_sub(oldest.1.value().len() as u64);
            removed += 1;
        }
        self.set_meta("dead letters bytes", &held)?;
        Ok(removed)
    }

    /// Removes a letter that was sent again.
    ///
    /// # Errors
    /// If the store has failed.
    pub fn exhume(&self, number: u64) -> Result<(), StoreError> {
        let mut letters = self.transaction.open_table(DEAD_LETTERS)?;
        let removed = letters.remove(number)?.map(|bytes| bytes.value().len());
        let held = self.meta("dead letters bytes")?.unwrap_or(0_u64);
        self.set_meta(
            "dead letters bytes",
            &held.saturating_sub(removed.unwrap_or(0) as u64),
        )
    }
}
