//! The files of the log, shared by its writer and its readers.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use memchr::memmem;
use serde::{Deserialize, Serialize};

use super::disk::{Disk, DiskFile};
use super::record::{HEADER_BYTES, Header, MAGIC};

/// A place in the log: an offset in bytes from its very beginning, whatever of it is still there.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Position(pub u64);

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// One file. It ends where the next one starts.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) name: String,
    /// When it was begun, microseconds since 1970 UTC.
    pub(crate) created_us: i64,
}

/// What readers may see.
#[derive(Clone, Copy, Debug, Default)]
struct Visible {
    synced: u64,
    closed: bool,
}

/// The files, and how far they are synced.
#[derive(Debug)]
pub(crate) struct Segments {
    pub(crate) disk: Arc<dyn Disk>,
    files: RwLock<BTreeMap<u64, Segment>>,
    visible: Mutex<Visible>,
    grown: Condvar,
}

/// A file, where it starts in the log, and up to where it may be read.
struct Stretch {
    base: u64,
    file: Arc<dyn DiskFile>,
    end: u64,
}

/// What stands at a place.
#[derive(Debug)]
pub(crate) enum Found {
    /// A record; its payload is in the buffer.
    Record(Header),
    /// Bytes that are none, up to there.
    Damaged(u64),
}

impl Segments {
    pub(crate) fn new(disk: Arc<dyn Disk>) -> Self {
        Self {
            disk,
            files: RwLock::default(),
            visible: Mutex::default(),
            grown: Condvar::new(),
        }
    }

    /// The name of the file that starts at a position. Two of one position differ in the time: the later one counts.
    pub(crate) fn name(base: u64, created_us: i64) -> String {
        format!("{base:020}-{created_us:016}.log")
    }

    /// Position and time in a name; `None` for files that are not ours.
    pub(crate) fn parse_name(name: &str) -> Option<(u64, i64)> {
        let (base, created) = name.strip_suffix(".log")?.split_once('-')?;
        (base.len() == 20 && created.len() == 16).then_some(())?;
        Some((base.parse().ok()?, created.parse().ok()?))
    }

    pub(crate) fn insert(&self, base: u64, segment: Segment) {
        self.write_files().insert(base, segment);
    }

    pub(crate) fn remove(&self, base: u64) {
        self.write_files().remove(&base);
    }

    /// Starts and files, oldest first.
    pub(crate) fn list(&self) -> Vec<(u64, Segment)> {
        let files = self.read_files();
        files
            .iter()
            .map(|(base, segment)| (*base, segment.clone()))
            .collect()
    }

    /// Where the oldest file starts.
    pub(crate) fn first(&self) -> u64 {
        self.read_files().keys().next().copied().unwrap_or(0)
    }

    pub(crate) fn synced(&self) -> u64 {
        self.visible().synced
    }

    /// Shows readers what is synced now.
    pub(crate) fn show(&self, synced: u64) {
        self.visible().synced = synced;
        self.grown.notify_all();
    }

    /// Tells readers that nothing more will come.
    pub(crate) fn close(&self) {
        self.visible().closed = true;
        self.grown.notify_all();
    }

    /// Waits until there is something behind a position, or the time is over, or the log is closed.
    pub(crate) fn wait_beyond(&self, position: u64, timeout: Duration) {
        let until = Instant::now() + timeout;
        let mut visible = self.visible();
        while visible.synced <= position && !visible.closed {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            visible = self
                .grown
                .wait_timeout(visible, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Reads the record at a position below `limit`. The payload goes into the buffer.
    pub(crate) fn read(&self, at: u64, limit: u64, buffer: &mut Vec<u8>) -> io::Result<Found> {
        let Some(Stretch { base, file, end }) = self.file_of(at, limit)? else {
            // Its file has gone: what is left starts later.
            let next = self.next_base(at).unwrap_or(limit);
            return Ok(Found::Damaged(next.min(limit)));
        };
        if let Some(header) = read_record(&*file, base, at, end, buffer)? {
            return Ok(Found::Record(header));
        }
        Ok(Found::Damaged(
            next_record(&*file, base, at + 1, end)?.unwrap_or(end),
        ))
    }

    /// The file that holds a position, its start, and where it ends at most.
    fn file_of(&self, at: u64, limit: u64) -> io::Result<Option<Stretch>> {
        let files = self.read_files();
        let Some((base, segment)) = files.range(..=at).next_back() else {
            return Ok(None);
        };
        let next = files.range(at + 1..).next().map(|(next, _)| *next);
        let end = next
            .unwrap_or(limit)
            .min(limit)
            .min(base + segment.file.len()?);
        Ok((at < end).then(|| Stretch {
            base: *base,
            file: segment.file.clone(),
            end,
        }))
    }

    fn next_base(&self, at: u64) -> Option<u64> {
        let files = self.read_files();
        files.range(at + 1..).next().map(|(base, _)| *base)
    }

    fn read_files(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<u64, Segment>> {
        self.files.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_files(&self) -> std::sync::RwLockWriteGuard<'_, BTreeMap<u64, Segment>> {
        self.files.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn visible(&self) -> MutexGuard<'_, Visible> {
        self.visible.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The record at a position of a file that starts at `base`, if there is a whole one before `end`.
pub(crate) fn read_record(
    file: &dyn DiskFile,
    base: u64,
    at: u64,
    end: u64,
    buffer: &mut Vec<u8>,
) -> io::Result<Option<Header>> {
    let mut bytes = [0; HEADER_BYTES];
    if end.saturating_sub(at) < HEADER_BYTES as u64 {
        return Ok(None);
    }
    file.read_exact_at(&mut bytes, at - base)?;
    let Some(header) = Header::parse(&bytes) else {
        return Ok(None);
    };
    if at + header.record_bytes() > end {
        return Ok(None);
    }
    buffer.resize(header.length, 0);
    file.read_exact_at(buffer, at - base + HEADER_BYTES as u64)?;
    Ok(header.fits(at, &[buffer]).then_some(header))
}

/// Where the next whole record starts, from a position on.
pub(crate) fn next_record(
    file: &dyn DiskFile,
    base: u64,
    from: u64,
    end: u64,
) -> io::Result<Option<u64>> {
    const WINDOW: usize = 256 << 10;
    let mut window = vec![0; WINDOW];
    let mut payload = Vec::new();
    let mut start = from;
    while start < end {
        let length = WINDOW.min(usize::try_from(end - start).unwrap_or(WINDOW));
        file.read_exact_at(&mut window[..length], start - base)?;
        for found in memmem::find_iter(&window[..length], &MAGIC) {
            let at = start + found as u64;
            if read_record(file, base, at, end, &mut payload)?.is_some() {
                return Ok(Some(at));
            }
        }
        if length < WINDOW {
            break;
        }
        // The magic may lie across two windows.
        start += (length - MAGIC.len() + 1) as u64;
    }
    Ok(None)
}
