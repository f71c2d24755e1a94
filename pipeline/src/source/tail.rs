//! Follows a log file, for API servers without an audit webhook.
//!
//! What was read goes into the log of the data directory like any other body, with a [`Checkpoint`] beside it: which file, and
//! up to where. So the place in the file is durable together with what was read, and each line is in the log once.
//!
//! Rotation is told by the inode. The file that was being read is looked for under its new name beside it, and read to its end;
//! then those that were begun after it, oldest first; then the one that has the name now. A file that became shorter was cut by
//! `copytruncate`: it is read from its beginning. What was rotated away *and* compressed or removed while nobody read is lost to
//! us, and said.

use std::cmp::Reverse;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use memchr::memrchr;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

use crate::decode::limits::RECORD_BYTES_MAX;
use crate::spool::{Appender, BodyMeta, Room, SourceKind};
use crate::telemetry::Telemetry;

/// How often the file is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How long a file that was rotated away must be quiet before it is left for the next.
const QUIET: Duration = Duration::from_secs(2);

/// 1 MiB: what is read at once.
const PIECE_BYTES: usize = 1 << 20;

/// How far a file was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The name that is followed.
    pub path: String,
    /// The file that was read.
    pub inode: u64,
    /// Up to where.
    pub offset: u64,
}

impl Checkpoint {
    /// The checkpoint beside a body.
    #[must_use]
    pub fn parse(text: Option<&str>) -> Option<Self> {
        serde_json::from_str(text?).ok()
    }

    /// As it is written beside a body.
    #[must_use]
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Its name in the store.
    #[must_use]
    pub fn note(&self) -> String {
        format!("tail {}", self.path)
    }
}

/// What to follow, and for whom.
#[derive(Clone, Debug)]
pub struct TailOptions {
    /// The file.
    pub path: PathBuf,
    /// The cluster of its events.
    pub cluster: String,
    /// Which API server it is of.
    pub name: String,
    /// How far it was read before.
    pub checkpoint: Option<Checkpoint>,
}

/// A file that is being followed.
#[derive(Debug)]
pub struct Tail {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Tail {
    /// Follows a file on a thread of its own.
    ///
    /// # Errors
    /// If no thread can be had.
    pub fn start(
        options: TailOptions,
        log: Appender,
        telemetry: Arc<Telemetry>,
        runtime: Handle,
    ) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut follower = Follower {
            at: options.checkpoint.clone().unwrap_or_default(),
            options,
            log,
            telemetry,
            runtime,
            stop: stop.clone(),
            piece: Vec::new(),
            complained: false,
        };
        let thread = std::thread::Builder::new()
            .name("file".to_owned())
            .spawn(move || follower.run())?;
        Ok(Self { stop, thread })
    }

    /// Stops, and waits until what was read is in the log.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Release);
        self.thread.thread().unpark();
        drop(self.thread.join());
    }
}

struct Follower {
    options: TailOptions,
    log: Appender,
    telemetry: Arc<Telemetry>,
    runtime: Handle,
    stop: Arc<AtomicBool>,
    at: Checkpoint,
    piece: Vec<u8>,
    complained: bool,
}

impl Follower {
    fn run(&mut self) {
        while !self.stop.load(Ordering::Acquire) {
            match self.look() {
                Ok(true) => self.complained = false,
                Ok(false) => std::thread::park_timeout(LOOK_EVERY),
                Err(error) => {
                    self.complain(&error);
                    std::thread::park_timeout(5 * LOOK_EVERY);
                }
            }
        }
    }

    fn complain(&mut self, error: &io::Error) {
        if !self.complained {
            let path = self.options.path.display();
            tracing::warn!(%path, %error, "cannot read the file; will try again");
            self.complained = true;
        }
    }

    /// Reads the next piece; false if there is none.
    fn look(&mut self) -> io::Result<bool> {
        if self.log.room() != Room::Free {
            return Ok(false);
        }
        // Opened first, and asked who it is then: it may be rotated at any moment.
        let file = File::open(&self.options.path)?;
        let current = file.metadata()?;
        if self.at.inode == 0 {
            self.begin(current.ino());
        }
        if self.at.inode == current.ino() {
            return self.read(&file, false);
        }
        self.rotated(&current)
    }

    /// Another file has the name: first the one before is read to its end.
    ///
    /// Its writer may go on in it for a while, until it opens the new one: it is left when the new one is written to and the old
    /// one has been quiet.
    fn rotated(&mut self, current: &fs::Metadata) -> io::Result<bool> {
        let siblings = siblings(&self.options.path)?;
        let Some(place) = siblings
            .iter()
            .position(|sibling| sibling.inode == self.at.inode)
        else {
            let path = self.options.path.display();
            tracing::error!(%path, offset = self.at.offset, "the file that was being read has gone: what it held behind this place is lost");
            self.begin(current.ino());
            return Ok(true);
        };
        let file = File::open(&siblings[place].path)?;
        let metadata = file.metadata()?;
        if metadata.ino() != self.at.inode {
            // Renamed again in this moment.
            return Ok(true);
        }
        let quiet = metadata.modified()?.elapsed().unwrap_or_default() >= QUIET;
        let left = quiet && current.len() > 0;
        if self.read(&file, left)? {
            return Ok(true);
        }
        if !left {
            return Ok(false);
        }
        let next = siblings.get(place + 1);
        self.begin(next.map_or(current.ino(), |next| next.inode));
        Ok(true)
    }

    fn begin(&mut self, inode: u64) {
        self.at = Checkpoint {
            path: self.options.path.display().to_string(),
            inode,
            offset: 0,
        };
    }

    /// Reads whole lines from where we are; of a file that nobody writes any more also the last one, if it has no end.
    fn read(&mut self, file: &File, ended: bool) -> io::Result<bool> {
        let length = file.metadata()?.len();
        if length < self.at.offset {
            let path = self.options.path.display();
            tracing::warn!(%path, "the file was cut; reading it from its beginning");
            self.at.offset = 0;
        }
        let mut wanted = PIECE_BYTES;
        loop {
            self.piece.resize(wanted, 0);
            let read = read_at(file, &mut self.piece, self.at.offset)?;
            self.piece.truncate(read);
            let whole = memrchr(b'\n', &self.piece).map_or(0, |end| end + 1);
            let taken = if whole > 0 {
                whole
            } else if ended || read >= RECORD_BYTES_MAX {
                read
            } else {
                0
            };
            if taken > 0 {
                self.piece.truncate(taken);
                return self.append().map(|()| true);
            }
            if read < wanted {
                return Ok(false);
            }
            // A line that is longer than a piece.
            wanted = (wanted * 2).min(RECORD_BYTES_MAX);
        }
    }

    fn append(&mut self) -> io::Result<()> {
        let bytes = self.piece.len() as u64;
        let next = Checkpoint {
            offset: self.at.offset + bytes,
            ..self.at.clone()
        };
        let options = &self.options;
        let meta = BodyMeta {
            source: SourceKind::File,
            cluster: options.cluster.clone(),
            origin: options.name.clone(),
            checkpoint: Some(next.to_text()),
            ..BodyMeta::default()
        };
        let begun = Instant::now();
        let appended = self.runtime.block_on(self.log.append(&self.piece, meta));
        appended.map_err(io::Error::other)?;
        let (cluster, name) = (&options.cluster, &options.name);
        self.telemetry
            .received(SourceKind::File, cluster, name, bytes, 0, begun.elapsed());
        self.at = next;
        Ok(())
    }
}

fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        match file.read_at(&mut buffer[read..], offset + read as u64) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

/// Whether a file has a name that rotation makes of the followed one's: `audit.log`, `audit.log.1`, `audit-2026….log`.
fn is_rotation(name: &str, own: &str, stem: &str) -> bool {
    let begins_with_digit = |rest: &str| rest.starts_with(|first: char| first.is_ascii_digit());
    let numbered = name.strip_prefix(own).is_some_and(|rest| {
        rest.is_empty() || rest.strip_prefix(['.', '-']).is_some_and(begins_with_digit)
    });
    let dated = name
        .strip_prefix(stem)
        .is_some_and(|rest| rest.strip_prefix(['.', '-']).is_some_and(begins_with_digit));
    numbered || dated
}

struct Sibling {
    path: PathBuf,
    inode: u64,
    order: Order,
}

/// By the time of the last write. Clocks of file systems tick slowly: of two with one time, the one that has the name now is
/// the newer; `audit.log.2` is older than `audit.log.1`, and names with times sort by themselves.
type Order = ((i64, i64), bool, Reverse<u64>, String);

/// Files beside the followed one that were rotated away from it, oldest first: names that begin alike (`audit.log.1`,
/// `audit-2026-11-21T10-00-00.000.log`), not compressed.
fn siblings(path: &Path) -> io::Result<Vec<Sibling>> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let stem = path
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let own = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let mut found = Vec::new();
    for entry in fs::read_dir(folder.unwrap_or(Path::new(".")))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let packed = [".gz", ".zst", ".bz2", ".xz"]
            .iter()
            .any(|end| name.ends_with(end));
        let metadata = entry.metadata()?;
        if metadata.is_file() && is_rotation(&name, &own, &stem) && !packed {
            let changed = (metadata.mtime(), metadata.mtime_nsec());
            let number = name
                .rsplit('.')
                .next()
                .and_then(|number| number.parse().ok());
            let is_current = Some(name.as_str()) == path.file_name().and_then(|name| name.to_str());
            found.push(Sibling {
                path: entry.path(),
                inode: metadata.ino(),
                order: (changed, is_current, Reverse(number.unwrap_or(0)), name),
            });
        }
    }
    found.sort_by(|a, b| a.order.cmp(&b.order));
    Ok(found)
}
