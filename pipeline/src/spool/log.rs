//! The log as the rest of the process holds it: opened, written to, read, closed.

use std::io;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::{Semaphore, mpsc};

use crate::clock::Clock;

use super::appender::Appender;
use super::disk::Disk;
use super::limits::{COMMANDS_MAX, IN_FLIGHT_BYTES_MAX, SEGMENT_BYTES};
use super::reader::Reader;
use super::recover::{Recovered, recover};
use super::segments::{Position, Segments};
use super::writer::{Command, Writer};

/// How the log is kept.
#[derive(Clone, Copy, Debug)]
pub struct LogOptions {
    /// Bytes that the log may take, evaluated or not. What is not evaluated is never removed: with that much of it nothing
    /// more is accepted.
    pub quota_bytes: u64,
    /// How long evaluated bodies are kept for a later look, microseconds.
    pub keep_us: i64,
    /// Bytes that must stay free on the disk, for the store and for everybody else.
    pub reserve_bytes: u64,
    /// Bytes of a file before the next one is begun.
    pub segment_bytes: u64,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            quota_bytes: 8 << 30,
            keep_us: 24 * 3_600_000_000,
            reserve_bytes: 512 << 20,
            segment_bytes: SEGMENT_BYTES,
        }
    }
}

/// Why a body is not in the log.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// The disk refused; later it may not.
    #[error("cannot write to the log: {0}")]
    Disk(Arc<io::Error>),
    /// The bytes before were lost with a failed sync.
    #[error("the log lost the beginning of this body in a failed sync")]
    Lost,
    /// The log is being closed.
    #[error("the log is closed")]
    Closed,
}

/// A log that is open. One process may have it open at a time (`tidewatch serve` holds a lock).
#[derive(Debug)]
pub struct Log {
    segments: Arc<Segments>,
    gauges: Arc<Gauges>,
    appender: Appender,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the writer tells without being asked.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    /// Where the log ends.
    pub(crate) end: AtomicU64,
    /// Where its oldest file starts.
    pub(crate) start: AtomicU64,
    /// Up to where all was evaluated.
    pub(crate) evaluated: AtomicU64,
    /// Bytes that the disk has left.
    pub(crate) free: AtomicU64,
    /// How long the last sync took, microseconds.
    pub(crate) sync_us: AtomicI64,
    /// Syncs, and those that failed.
    pub(crate) syncs: AtomicU64,
    pub(crate) faults: AtomicU64,
    /// Sync times since they were last asked for, microseconds.
    pub(crate) sync_times: Mutex<Vec<u64>>,
}

impl Log {
    /// Opens the log in a folder; `evaluated` is where the store says that evaluation stands.
    ///
    /// # Errors
    /// If the folder's files cannot be read.
    pub fn open(
        disk: &Arc<dyn Disk>,
        options: LogOptions,
        evaluated: Position,
        clock: Clock,
    ) -> io::Result<(Self, Recovered)> {
        let (segments, recovered) = recover(disk, evaluated)?;
        let segments = Arc::new(segments);
        let gauges = Arc::new(Gauges::default());
        gauges.end.store(recovered.end.0, Ordering::Relaxed);
        gauges.start.store(recovered.start.0, Ordering::Relaxed);
        gauges.evaluated.store(evaluated.0, Ordering::Relaxed);
        let (commands, inbox) = mpsc::channel(COMMANDS_MAX);
        let abandoned = Arc::new(Mutex::new(Vec::new()));
        let mut writer = Writer::new(
            segments.clone(),
            gauges.clone(),
            options,
            clock,
            &recovered,
            abandoned.clone(),
        );
        let thread = std::thread::Builder::new()
            .name("log writer".to_owned())
            .spawn(move || writer.run(inbox))?;
        let log = Self {
            appender: Appender {
                commands,
                budget: Arc::new(Semaphore::new(IN_FLIGHT_BYTES_MAX)),
                gauges: gauges.clone(),
                next_body: Arc::new(AtomicU64::new(0)),
                abandoned,
                options,
            },
            segments,
            gauges,
            thread: Mutex::new(Some(thread)),
        };
        Ok((log, recovered))
    }

    /// A handle to write with.
    #[must_use]
    pub fn appender(&self) -> Appender {
        self.appender.clone()
    }

    /// Reads from a position on.
    #[must_use]
    pub fn reader(&self, from: Position) -> Reader {
        Reader::new(self.segments.clone(), from)
    }

    /// A place from which on records can be read, about so many bytes before a position.
    #[must_use]
    pub fn recent(&self, before: Position, bytes: u64) -> Position {
        let wanted = before.0.saturating_sub(bytes);
        let files = self.segments.list();
        let found = files
            .into_iter()
            .map(|(base, _)| base)
            .find(|base| *base >= wanted);
        Position(found.unwrap_or(before.0).min(before.0))
    }

    /// Says up to where all was evaluated, for good: files before that may be removed in time.
    pub fn release(&self, evaluated: Position) {
        self.gauges.evaluated.store(evaluated.0, Ordering::Relaxed);
    }

    /// Ends the log: what was accepted is written, nothing more is. Blocks until then.
    pub fn close(&self) {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = thread.take() {
            let _sent = self.appender.commands.blocking_send(Command::Close);
            drop(thread.join());
        }
        self.segments.close();
    }
}

impl Gauges {
    pub(super) fn note_sync(&self, took_us: u64) {
        /// Beyond it the oldest are not worth a queue; whoever reads the metrics comes every few seconds.
        const TIMES_MAX: usize = 65_536;
        self.syncs.fetch_add(1, Ordering::Relaxed);
        let shown = i64::try_from(took_us).unwrap_or(i64::MAX);
        self.sync_us.store(shown, Ordering::Relaxed);
        let mut times = self
            .sync_times
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if times.len() < TIMES_MAX {
            times.push(took_us);
        }
    }
}
