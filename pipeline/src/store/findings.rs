//! The last record of each finding, for as long as findings are kept.

use redb::{ReadableDatabase as _, ReadableTable as _};

use super::record::{Record, pack, unpack};
use super::tables::{FINDING_TIMES, FINDINGS, OUTBOX};
use super::{Step, Store, StoreError};

/// Findings that one step removes.
const REMOVED_MAX: usize = 1000;

/// Which findings to list.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Filter {
    /// Only those that were raised or updated at or after this time, microseconds since 1970 UTC.
    pub since_us: Option<i64>,
    /// Only those that were raised or updated before.
    pub until_us: Option<i64>,
    /// Only these levels.
    pub levels: Vec<String>,
    /// Only these rules, by name or id.
    pub rules: Vec<String>,
    /// Only these clusters.
    pub clusters: Vec<String>,
    /// Only ids that start with this.
    pub uid: Option<String>,
    /// At most so many, the newest.
    pub limit: Option<usize>,
}

impl Filter {
    fn takes(&self, record: &Record) -> bool {
        let among = |list: &[String], values: &[&str]| {
            list.is_empty() || list.iter().any(|one| values.contains(&one.as_str()))
        };
        among(&self.levels, &[&record.level])
            && among(&self.rules, &[&record.rule, &record.rule_id])
            && among(&self.clusters, &[&record.cluster])
            && self
                .uid
                .as_ref()
                .is_none_or(|uid| record.uid.starts_with(uid.as_str()))
    }
}

impl Store {
    /// Hands out the last records of findings, newest first, until told to stop.
    ///
    /// # Errors
    /// If the store has failed.
    pub fn findings(
        &self,
        filter: &Filter,
        take: &mut dyn FnMut(Record) -> bool,
    ) -> Result<(), StoreError> {
        let read = self.database.begin_read()?;
        let (times, findings) = (read.open_table(FINDING_TIMES)?, read.open_table(FINDINGS)?);
        let from = filter.since_us.unwrap_or(i64::MIN);
        let to = filter.until_us.unwrap_or(i64::MAX);
        let mut left = filter.limit.unwrap_or(usize::MAX);
        for entry in times.range((from, &[0; 16])..(to, &[0; 16]))?.rev() {
            if left == 0 {
                break;
            }
            let entry = entry?;
            let Some(bytes) = findings.get(entry.0.value().1)? else {
                continue;
            };
            let record: Record = unpack(bytes.value())?;
            if filter.takes(&record) {
                left -= 1;
                if !take(record) {
                    break;
                }
            }
        }
        Ok(())
    }
}

impl Step {
    /// The last record of a finding.
    ///
    /// # Errors
    /// If the store has failed.
    pub fn finding(&self, uid: &[u8; 16]) -> Result<Option<Record>, StoreError> {
        let table = self.transaction.open_table(FINDINGS)?;
        let found = table.get(uid)?;
        found.map(|found| unpack(found.value())).transpose()
    }

    /// Keeps a record, and puts it into the outbox if there are sinks.
    ///
    /// # Errors
    /// If the store has failed.
    pub fn raise(&self, uid: &[u8; 16], record: &Record, sinks: bool) -> Result<(), StoreError> {
        let bytes = pack(record)?;
        let mut findings = self.transaction.open_table(FINDINGS)?;
        let mut times = self.transaction.open_table(FINDING_TIMES)?;
        let before = findings.insert(uid, bytes.as_slice())?;
        if let Some(before) = before {
            let before: Record = unpack(before.value())?;
            times.remove((before.raised_us, uid))?;
        }
        times.insert((record.raised_us, uid), bytes.len() as u64)?;
        if sinks {
            self.send(&bytes)?;
        }
        Ok(())
    }

    /// Sends a record again to the one sink that it names.
    ///
    /// # Errors
    /// If the store has failed.
    pub fn send_again(&self, record: &Record) -> Result<(), StoreError> {
        self.send(&pack(record)?)
    }

    fn send(&self, bytes: &[u8]) -> Result<(), StoreError> {
        let mut outbox = self.transaction.open_table(OUTBOX)?;
        let next: u64 = self.meta("outbox next")?.unwrap_or(1);
        outbox.insert(next, bytes)?;
        self.set_meta("outbox next", &(next + 1))
    }

    /// Removes findings that were last raised before a time, and the oldest until so many bytes are left. True if there may be
    /// more of them.
    ///
    /// # Errors
    /// If the store has failed.
    pub fn retain_findings(&self, since_us: i64, bytes_max: u64) -> Result<bool, StoreError> {
        let mut findings = self.transaction.open_table(FINDINGS)?;
        let mut times = self.transaction.open_table(FINDING_TIMES)?;
        let mut bytes = 0_u64;
        for entry in times.iter()? {
            bytes += entry?.1.value();
        }
        let mut old = Vec::new();
        for entry in times.iter()?.take(REMOVED_MAX) {
            let entry = entry?;
            let (raised_us, uid) = entry.0.value();
            if raised_us >= since_us && bytes <= bytes_max {
                break;
            }
            bytes = bytes.saturating_sub(entry.1.value());
            old.push((raised_us, *uid));
        }
        for (raised_us, uid) in &old {
            times.remove((*raised_us, uid))?;
            findings.remove(uid)?;
        }
        Ok(old.len() == REMOVED_MAX)
    }
}
