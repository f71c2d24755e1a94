//! What must survive besides the log: the position in it, the acts that are going on, findings, the outbox, dead letters.
//!
//! One embedded key-value store (redb: a B-tree, copy on write, one file), over the same [`Disk`] as the log, so that tests can
//! take its power away too. A [`Step`] is one atomic transaction, synced when it is committed: the position moves together with
//! all that came of the records before it, so that a crash at any moment leaves either all of it or nothing.
//!
//! Sinks follow the outbox at their own pace, each with a cursor. What all of them have passed is removed from it; the
//! findings themselves stay for as long as they are kept.

mod backend;
mod correlations;
mod deadletters;
mod findings;
mod memory;
mod outbox;
mod record;
mod tables;
#[cfg(test)]
mod tests;

use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::sync::Arc;

use redb::{Database, ReadableDatabase as _, ReadableTable as _, WriteTransaction};

use crate::spool::Position;
use crate::spool::disk::{Disk, DiskFile};

use self::backend::Backend;
pub use self::deadletters::DeadLetter;
pub use self::findings::Filter;
pub use self::outbox::{Cursor, Outgoing};
pub use self::record::Record;
pub(crate) use self::record::{pack, unpack};
use self::tables::{META, create_all};

/// The file's name.
const FILE: &str = "store.redb";

/// The form of what is stored. A store of another form is refused, never misread.
const FORMAT: u64 = 1;

/// 64 MiB: pages of the store that are kept in memory.
const CACHE_BYTES: usize = 64 << 20;

/// The store could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk, or the file on it.
    #[error("the store failed: {0}")]
    Failed(Box<redb::Error>),
    /// Its file cannot be opened.
    #[error("cannot open {FILE}: {0}")]
    Open(io::Error),
    /// Another version wrote it.
    #[error(
        "{FILE} has format {found}, this program reads {FORMAT}: use the version that wrote it, or another data directory"
    )]
    Format {
        /// The format that was found.
        found: u64,
    },
    /// Something in it is not what this program wrote.
    #[error("the store holds {what} that cannot be read")]
    Content {
        /// What it should be.
        what: &'static str,
    },
}

impl<E: Into<redb::Error>> From<E> for StoreError {
    fn from(error: E) -> Self {
        Self::Failed(Box::new(error.into()))
    }
}

/// What the store knows of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// All before it was evaluated.
    pub position: Position,
    /// Of the body there so many items were, too.
    pub items: u64,
    /// The time of the log there, microseconds since 1970 UTC.
    pub now_us: i64,
    /// Counts of all records ever.
    pub totals: Totals,
}

/// What became of all records, since the store was made. Moves with the position, so a crash counts nothing twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Totals {
    /// Bodies that were evaluated.
    pub bodies: u64,
    /// Records in them.
    pub received: u64,
    /// Events that the rules have judged.
    pub evaluated: u64,
    /// Byte-equal repeats.
    pub repeated: u64,
    /// Records that are known to be something else.
    pub ignored: u64,
    /// Records that went to the dead letters.
    pub rejected: u64,
    /// Alert records that were raised: created, updated, closed.
    pub raised: u64,
    /// Bytes of the log that could not be read any more.
    pub damaged_bytes: u64,
}

/// The store, open.
#[derive(Debug)]
pub struct Store {
    database: Database,
}

/// One atomic step. Dropped without [`Step::commit`], it never was.
pub struct Step {
    transaction: WriteTransaction,
}

impl Store {
    /// Opens the store of a folder, or makes it.
    ///
    /// # Errors
    /// If the file cannot be opened, or another version wrote it.
    pub fn open(disk: &Arc<dyn Disk>) -> Result<Self, StoreError> {
        let file = open_file(disk).map_err(StoreError::Open)?;
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create_with_backend(Backend::new(file))?;
        let store = Self { database };
        store.check_format()?;
        Ok(store)
    }

    fn check_format(&self) -> Result<(), StoreError> {
        let step = self.begin()?;
        create_all(&step.transaction)?;
        let found = step.meta::<u64>("format")?;
        match found {
            Some(FORMAT) => return Ok(()),
            Some(found) => return Err(StoreError::Format { found }),
            None => step.set_meta("format", &FORMAT)?,
        }
        step.commit()
    }

    /// Begins a step. Waits for the one before to end.
    ///
    /// # Errors
    /// If the store has failed.
    pub fn begin(&self) -> Result<Step, StoreError> {
        let mut transaction = self.database.begin_write()?;
        // A store of gigabytes opens at once after a crash, instead of being walked through.
        transaction.set_quick_repair(true);
        Ok(Step { transaction })
    }

    /// How far evaluation came.
    ///
    /// # Errors
    /// If the store has failed.
    pub fn progress(&self) -> Result<Progress, StoreError> {
        let read = self.database.begin_read()?;
        let meta = read.open_table(META)?;
        let get = |key: &str| -> Result<Option<Vec<u8>>, StoreError> {
            Ok(meta.get(key)?.map(|value| value.value().to_vec()))
        };
        Ok(Progress {
            position: Position(parse(get("position")?)?.unwrap_or(0)),
            items: parse(get("items")?)?.unwrap_or(0),
            now_us: parse(get("now_us")?)?.unwrap_or(0),
            totals: parse(get("totals")?)?.unwrap_or_default(),
        })
    }

    /// What tells this store from all others: drawn when it was made.
    ///
    /// # Errors
    /// If the store has failed.
    pub fn identity(&self) -> Result<String, StoreError> {
        let step = self.begin()?;
        if let Some(identity) = step.meta("identity")? {
            return Ok(identity);
        }
        // Two hashers with keys of their own: 128 bits that the system drew.
        let drawn = || RandomState::new().hash_one(0_u8);
        let identity = format!("{:016x}{:016x}", drawn(), drawn());
        step.set_meta("identity", &identity)?;
        step.commit()?;
        Ok(identity)
    }

    /// A value by name, for sources that keep their own place.
    ///
    /// # Errors
    /// If the store has failed.
    pub fn note(&self, name: &str) -> Result<Option<String>, StoreError> {
        let read = self.database.begin_read()?;
        let meta = read.open_table(META)?;
        let value = meta.get(format!("note {name}").as_str())?;
        parse(value.map(|value| value.value().to_vec()))
    }
}

impl Step {
    /// Moves the position.
    ///
    /// # Errors
    /// If the store has failed.
    pub fn set_progress(&self, progress: &Progress) -> Result<(), StoreError> {
        self.set_meta("position", &progress.position.0)?;
        self.set_meta("items", &progress.items)?;
        self.set_meta("now_us", &progress.now_us)?;
        self.set_meta("totals", &progress.totals)
    }

    /// Keeps a value by name.
    ///
    /// # Errors
    /// If the store has failed.
    pub fn set_note(&self, name: &str, value: &str) -> Result<(), StoreError> {
        self.set_meta(&format!("note {name}"), &value)
    }

    /// Makes all of it durable.
    ///
    /// # Errors
    /// If it could not be synced: then none of it happened.
    pub fn commit(self) -> Result<(), StoreError> {
        Ok(self.transaction.commit()?)
    }

    fn meta<T: serde::de::DeserializeOwned>(&self, key: &str) -> Result<Option<T>, StoreError> {
        let table = self.transaction.open_table(META)?;
        let value = table.get(key)?.map(|value| value.value().to_vec());
        parse(value)
    }

    fn set_meta<T: serde::Serialize>(&self, key: &str, value: &T) -> Result<(), StoreError> {
        let content =
            serde_json::to_vec(value).map_err(|_| StoreError::Content { what: "a value" })?;
        let mut table = self.transaction.open_table(META)?;
        table.insert(key, content.as_slice())?;
        Ok(())
    }
}

fn open_file(disk: &Arc<dyn Disk>) -> io::Result<Arc<dyn DiskFile>> {
    let exists = disk.names()?.iter().any(|name| name == FILE);
    let file = if exists {
        disk.open(FILE)?
    } else {
        disk.create(FILE)?
    };
    // redb writes its mark last: a file without it was being made when the process died, and holds nothing.
    let mut mark = [0; 8];
    if file.len()? > 0 && file.read_exact_at(&mut mark, 0).is_ok() && mark == [0; 8] {
        file.set_len(0)?;
    }
    disk.sync_names()?;
    Ok(file)
}

fn parse<T: serde::de::DeserializeOwned>(value: Option<Vec<u8>>) -> Result<Option<T>, StoreError> {
    value
        .map(|value| serde_json::from_slice(&value))
        .transpose()
        .map_err(|_| StoreError::Content { what: "a value" })
}
