//! Acts that are going on, as the ledger keeps them.

use redb::ReadableTable as _;

use crate::correlate::{Memory, RequestSeen};

use super::tables::{FAMILIES, REQUEST_TIMES, REQUESTS, TIMERS};
use super::{Step, StoreError};

/// Timers that are handed out at once: after a long pause all families are due.
const DUE_MAX: usize = 1000;

/// Old requests that one step forgets.
const FORGOTTEN_MAX: usize = 10_000;

impl Memory for Step {
    type Error = StoreError;

    fn family(&mut self, family: &[u8; 16]) -> Result<Vec<Vec<u8>>, StoreError> {
        let table = self.transaction.open_table(FAMILIES)?;
        let (first, last) = ([0; 16], [0xff; 16]);
        let mut parts = Vec::new();
        for part in table.range((family, &first)..=(family, &last))? {
            parts.push(part?.1.value().to_vec());
        }
        Ok(parts)
    }

    fn put(
        &mut self,
        family: &[u8; 16],
        part: &[u8; 16],
        content: Option<&[u8]>,
    ) -> Result<(), StoreError> {
        let mut table = self.transaction.open_table(FAMILIES)?;
        match content {
            Some(content) => drop(table.insert((family, part), content)?),
            None => drop(table.remove((family, part))?),
        }
        Ok(())
    }

    fn request(&mut self, request: &[u8; 16]) -> Result<Option<RequestSeen>, StoreError> {
        let table = self.transaction.open_table(REQUESTS)?;
        let found = table.get(request)?;
        Ok(found.map(|found| {
            let (stage, family, at_us) = found.value();
            RequestSeen {
                stage,
                family: *family,
                at_us,
            }
        }))
    }

    fn put_request(&mut self, request: &[u8; 16], seen: RequestSeen) -> Result<(), StoreError> {
        let mut table = self.transaction.open_table(REQUESTS)?;
        let before = table
            .insert(request, (seen.stage, &seen.family, seen.at_us))?
            .map(|before| before.value().2);
        let mut times = self.transaction.open_table(REQUEST_TIMES)?;
        if let Some(before) = before {
            times.remove((before, request))?;
        }
        times.insert((seen.at_us, request), ())?;
        Ok(())
    }

    fn set_timer(
        &mut self,
        family: &[u8; 16],
        from_us: Option<i64>,
        to_us: Option<i64>,
    ) -> Result<(), StoreError> {
        let mut table = self.transaction.open_table(TIMERS)?;
        if let Some(from_us) = from_us {
            table.remove((from_us, family))?;
        }
        if let Some(to_us) = to_us {
            table.insert((to_us, family), ())?;
        }
        Ok(())
    }

    fn due(&mut self, now_us: i64) -> Result<Vec<(i64, [u8; 16])>, StoreError> {
        let table = self.transaction.open_table(TIMERS)?;
        let mut due = Vec::new();
        for timer in table.range(..=(now_us, &[0xff; 16]))?.take(DUE_MAX) {
            let (due_us, family) = timer.as_ref().map(|timer| timer.0.value()).map_err(clone)?;
            due.push((due_us, *family));
        }
        Ok(due)
    }
}

fn clone(error: &redb::StorageError) -> StoreError {
    StoreError::Open(std::io::Error::other(error.to_string()))
}

impl Step {
    /// When the next family is to be looked at.
    ///
    /// # Errors
    /// If the store has failed.
    pub fn next_timer(&self) -> Result<Option<i64>, StoreError> {
        let table = self.transaction.open_table(TIMERS)?;
        Ok(table.first()?.map(|timer| timer.0.value().0))
    }

    /// Forgets requests that were seen before a time. True if there may be more of them.
    ///
    /// # Errors
    /// If the store has failed.
    pub fn forget_requests(&self, before_us: i64) -> Result<bool, StoreError> {
        let mut times = self.transaction.open_table(REQUEST_TIMES)?;
        let mut old = Vec::new();
        for entry in times.range(..(before_us, &[0; 16]))?.take(FORGOTTEN_MAX) {
            let (at_us, request) = entry.as_ref().map(|entry| entry.0.value()).map_err(clone)?;
            old.push((at_us, *request));
        }
        let more = old.len() == FORGOTTEN_MAX;
        let mut requests = self.transaction.open_table(REQUESTS)?;
        for (at_us, request) in old {
            times.remove((at_us, &request))?;
            requests.remove(&request)?;
        }
        Ok(more)
    }
}
