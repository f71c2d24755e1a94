//! What correlations remember.

use redb::{ReadableDatabase as _, ReadableTable as _};

use crate::correlate::stream::{Kept, StreamMemory};

use super::tables::CORRELATIONS;
use super::{Step, Store, StoreError};

/// A value of correlations: its kind, its key, its content.
pub(crate) type StoredPart = (Kept, Vec<u8>, Vec<u8>);

fn place(kind: Kept, key: &[u8]) -> Vec<u8> {
    let mut place = Vec::with_capacity(key.len() + 1);
    place.push(kind.mark());
    place.extend(key);
    place
}

impl StreamMemory for Step {
    type Error = StoreError;

    fn put(&mut self, kind: Kept, key: &[u8], content: Option<&[u8]>) -> Result<(), StoreError> {
        let mut table = self.transaction.open_table(CORRELATIONS)?;
        let place = place(kind, key);
        match content {
            Some(content) => drop(table.insert(place.as_slice(), content)?),
            None => drop(table.remove(place.as_slice())?),
        }
        Ok(())
    }
}

impl Store {
    /// All that correlations remember.
    ///
    /// # Errors
    /// If the store has failed.
    pub(crate) fn correlations(&self) -> Result<Vec<StoredPart>, StoreError> {
        let read = self.database.begin_read()?;
        let mut parts = Vec::new();
        for part in read.open_table(CORRELATIONS)?.iter()? {
            let part = part?;
            let (place, content) = (part.0.value(), part.1.value());
            let Some((kind, key)) = place.split_first() else {
                continue;
            };
            let kind = Kept::of_mark(*kind).ok_or(StoreError::Content {
                what: "a part of a correlation",
            })?;
            parts.push((kind, key.to_vec(), content.to_vec()));
        }
        Ok(parts)
    }

    /// Forgets parts that no rule knows any more.
    ///
    /// # Errors
    /// If the store has failed.
    pub(crate) fn forget_correlations(&self, parts: &[(Kept, Vec<u8>)]) -> Result<(), StoreError> {
        if parts.is_empty() {
            return Ok(());
        }
        let mut step = self.begin()?;
        for (kind, key) in parts {
            step.put(*kind, key, None)?;
        }
        step.commit()
    }
}
