//! The tables, and what each holds.

use redb::{TableDefinition, WriteTransaction};

use super::StoreError;

type Id = &'static [u8; 16];

/// Values by name, as JSON: format, position, time, totals, cursors, notes.
pub(super) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

/// Parts of families of acts: family and part → content.
pub(super) const FAMILIES: TableDefinition<'_, (Id, Id), &[u8]> = TableDefinition::new("families");

/// When families are to be looked at: time and family.
pub(super) const TIMERS: TableDefinition<'_, (i64, Id), ()> = TableDefinition::new("timers");

/// Requests that a rule has counted → stage, family, time.
pub(super) const REQUESTS: TableDefinition<'_, Id, (u8, Id, i64)> =
    TableDefinition::new("requests");

/// The same by time, so that old ones are found.
pub(super) const REQUEST_TIMES: TableDefinition<'_, (i64, Id), ()> =
    TableDefinition::new("request_times");

/// The last record of each finding: id → compressed record.
pub(super) const FINDINGS: TableDefinition<'_, Id, &[u8]> = TableDefinition::new("findings");

/// Findings by the time of their last record → size of the record.
pub(super) const FINDING_TIMES: TableDefinition<'_, (i64, Id), u64> =
    TableDefinition::new("finding_times");

/// Records on their way to sinks: number → compressed record.
pub(super) const OUTBOX: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("outbox");

/// How far each sink came: name → JSON.
pub(super) const CURSORS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("cursors");

/// What could not be processed: number → compressed letter.
pub(super) const DEAD_LETTERS: TableDefinition<'_, u64, &[u8]> =
    TableDefinition::new("dead_letters");

/// What correlations remember: kind and key → content.
pub(super) const CORRELATIONS: TableDefinition<'_, &[u8], &[u8]> =
    TableDefinition::new("correlations");

/// Makes the tables, so that readers find them.
pub(super) fn create_all(transaction: &WriteTransaction) -> Result<(), StoreError> {
    transaction.open_table(META)?;
    transaction.open_table(FAMILIES)?;
    transaction.open_table(TIMERS)?;
    transaction.open_table(REQUESTS)?;
    transaction.open_table(REQUEST_TIMES)?;
    transaction.open_table(FINDINGS)?;
    transaction.open_table(FINDING_TIMES)?;
    transaction.open_table(OUTBOX)?;
    transaction.open_table(CURSORS)?;
    transaction.open_table(DEAD_LETTERS)?;
    transaction.open_table(CORRELATIONS)?;
    Ok(())
}
