//! The live run: what the log holds becomes findings, in one atomic step after the other.
//!
//! ```text
//!  log ─▶ bodies ─▶ judge ─▶ repeats ─▶ held ─▶ ┌ one step of the store ────────────┐ ─▶ outbox ─▶ sinks
//!         decode             dropped    until   │ acts, findings, outbox, dead      │
//!                                       commit  │ letters, position, time, totals   │
//!                                               └───────────────────────────────────┘
//! ```
//!
//! One thread evaluates, since the log is one sequence. What matched is held in memory until the next commit: at once when the
//! log is drained, and at latest every [`LiveOptions::commit_every`]. A commit that fails is tried again with what is held,
//! until it succeeds or the process ends; then the log is read again from the last position that was committed. Either way
//! each body counts once.
//!
//! The only clock is the log's: bodies carry the time when they came in, and while something waits for a time to pass and
//! nothing comes in, ticks are written.

mod bodies;
mod correlating;
mod evaluator;
mod held;
mod records;
#[cfg(test)]
mod tests;
mod watching;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::catalog::Catalog;
use crate::completeness::{self, Sender, Standing};
use crate::correlate::stream::StreamCounts;
use crate::run::Options;
use crate::store::{Progress, Totals};
use crate::telemetry::Latencies;

pub(crate) use self::bodies::decode_bytes;
pub(crate) use self::correlating::correlating;
pub use self::evaluator::Evaluator;
pub use self::records::OutputForms;
pub(crate) use self::records::record;

/// How a live run goes.
#[derive(Clone, Debug)]
pub struct LiveOptions {
    /// What replay needs to know, too. Its time range is not used.
    pub pipeline: Options,
    /// The longest that something found waits for its commit.
    pub commit_every: Duration,
    /// How long findings are kept for a later look, microseconds.
    pub keep_findings_us: i64,
    /// Bytes of findings that are kept.
    pub findings_bytes_max: u64,
    /// Bytes of dead letters that are kept.
    pub dead_letters_bytes_max: u64,
    /// Whether there is any sink that follows the outbox.
    pub sinks: bool,
    /// What sinks want besides OCSF.
    pub forms: OutputForms,
    /// When something is said of senders.
    pub completeness: completeness::Options,
}

impl Default for LiveOptions {
    fn default() -> Self {
        Self {
            pipeline: Options::default(),
            commit_every: Duration::from_millis(100),
            keep_findings_us: 90 * 24 * 3_600_000_000,
            findings_bytes_max: 1 << 30,
            dead_letters_bytes_max: 1 << 30,
            sinks: false,
            forms: OutputForms::default(),
            completeness: completeness::Options::default(),
        }
    }
}

/// What the rest of the process shares with the evaluator.
#[derive(Debug)]
pub struct Live {
    rules: ArcSwap<Catalog>,
    stopping: AtomicBool,
    pub(crate) told: watch::Sender<Told>,
    latencies: Arc<Latencies>,
}

/// How far the evaluator is, as of its last commit.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// As it is in the store.
    pub progress: Progress,
    /// Counters of this process by reason and envelope.
    pub account: Arc<crate::account::Account>,
    /// Alerts by rule and level, since the process was started.
    pub alerts: Arc<std::collections::BTreeMap<(String, String), u64>>,
    /// Commits of this process, and those that had to be tried again.
    pub commits: u64,
    /// Commits that failed.
    pub failed_commits: u64,
    /// Why the last commit failed, if it did.
    pub fault: Option<String>,
    /// The evaluator has ended.
    pub ended: bool,
    /// Dead letters that were removed to keep within their bound.
    pub letters_removed: u64,
    /// What correlations hold, and could not take.
    pub correlations: Arc<Correlating>,
    /// How each sender stands.
    pub senders: Arc<Vec<(Sender, Standing)>>,
}

/// What correlations hold, and what they could not take since their rules were loaded.
#[derive(Clone, Debug, Default)]
pub struct Correlating {
    /// Groups with open windows or findings that may go on.
    pub groups: usize,
    /// Events that wait for the watermark.
    pub waiting: usize,
    /// Events that could not be put in order.
    pub counts: StreamCounts,
    /// By rule, what was given up or refused for want of room.
    pub lost: std::collections::BTreeMap<String, u64>,
}

impl Correlating {
    /// Adds what others hold and missed.
    pub(crate) fn add(&mut self, other: &Self) {
        self.groups += other.groups;
        self.waiting += other.waiting;
        self.counts.late += other.counts.late;
        self.counts.ahead += other.counts.ahead;
        self.counts.crowded += other.counts.crowded;
        self.counts.unknown += other.counts.unknown;
        for (rule, lost) in &other.lost {
            *self.lost.entry(rule.clone()).or_default() += lost;
        }
    }
}

impl Live {
    /// Shares these rules.
    #[must_use]
    pub fn new(catalog: Catalog) -> Arc<Self> {
        Arc::new(Self {
            rules: ArcSwap::from_pointee(catalog),
            stopping: AtomicBool::new(false),
            told: watch::Sender::new(Told::default()),
            latencies: Arc::default(),
        })
    }

    /// The rules in use.
    #[must_use]
    pub fn rules(&self) -> Arc<Catalog> {
        self.rules.load_full()
    }

    /// Puts other rules in their place, between two bodies.
    pub fn replace_rules(&self, catalog: Catalog) {
        self.rules.store(Arc::new(catalog));
    }

    /// Asks the evaluator to commit what it holds, and to end.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Follows the evaluator's commits.
    #[must_use]
    pub fn follow(&self) -> watch::Receiver<Told> {
        self.told.subscribe()
    }

    /// How long things take.
    #[must_use]
    pub fn latencies(&self) -> Arc<Latencies> {
        self.latencies.clone()
    }

    /// What the totals are now.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.told.borrow().progress.totals
    }
}

/// A folder that one process at a time works in.
#[derive(Debug)]
pub struct DataLock {
    _file: std::fs::File,
}

impl DataLock {
    /// Takes the lock of a data directory, for as long as the value lives. `None` if another process has it.
    ///
    /// # Errors
    /// If the lock file cannot be made.
    pub fn take(folder: &std::path::Path) -> std::io::Result<Option<Self>> {
        use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(folder)?;
        let path: PathBuf = folder.join("lock");
        let mut options = std::fs::OpenOptions::new();
        let file = options
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(std::fs::TryLockError::WouldBlock) => Ok(None),
            Err(std::fs::TryLockError::Error(error)) => Err(error),
        }
    }
}
