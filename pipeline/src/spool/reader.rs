//! Reads the log: bodies whole, in the order in which they ended.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use super::record::{BodyMeta, Kind, parse_meta};
use super::segments::{Found, Position, Segments};

/// Walks through the log from a position on. Sees what is synced, never more.
#[derive(Debug)]
pub struct Reader {
    segments: Arc<Segments>,
    at: u64,
    payload: Vec<u8>,
}

/// What comes next in the log.
#[derive(Debug)]
pub enum Entry {
    /// A body.
    Body(StoredBody),
    /// Time has passed: microseconds since 1970 UTC.
    Tick(i64),
    /// Bytes that cannot be read any more: whoever acknowledged what they held must know.
    Damaged {
        /// Where they start.
        from: Position,
        /// Where reading goes on.
        to: Position,
    },
}

/// A body that lies in the log.
#[derive(Debug)]
pub struct StoredBody {
    /// What is known of it.
    pub meta: BodyMeta,
    /// Its place: that of its last record.
    pub position: Position,
    segments: Arc<Segments>,
    last: Vec<u8>,
}

impl Reader {
    pub(crate) fn new(segments: Arc<Segments>, at: Position) -> Self {
        Self {
            segments,
            at: at.0,
            payload: Vec::new(),
        }
    }

    /// Where the next entry will be looked for: everything before has been handed out.
    #[must_use]
    pub fn position(&self) -> Position {
        Position(self.at)
    }

    /// The next entry; `None` if nothing more is synced.
    ///
    /// # Errors
    /// If a file cannot be read. Damaged content is no error but an [`Entry::Damaged`].
    pub fn next_entry(&mut self) -> io::Result<Option<Entry>> {
        loop {
            let limit = self.segments.synced();
            if self.at >= limit {
                return Ok(None);
            }
            let at = self.at;
            match self.segments.read(at, limit, &mut self.payload)? {
                Found::Damaged(to) => {
                    self.at = to;
                    return Ok(Some(damaged(at, to)));
                }
                Found::Record(header) => {
                    self.at = at + header.record_bytes();
                    if header.kind != Kind::Chunk {
                        return Ok(Some(self.entry(at, header.kind)));
                    }
                }
            }
        }
    }

    /// Waits until there is something to read, the time is over, or the log is closed.
    pub fn wait(&self, timeout: Duration) {
        self.segments.wait_beyond(self.at, timeout);
    }

    fn entry(&mut self, at: u64, kind: Kind) -> Entry {
        if kind == Kind::Tick
            && let Some(time) = self.payload.first_chunk()
        {
            return Entry::Tick(i64::from_le_bytes(*time));
        }
        let Some((meta, start)) = parse_meta(&self.payload) else {
            // Its checksum is right, so another version of the program wrote it.
            return damaged(at, self.at);
        };
        let mut last = std::mem::take(&mut self.payload);
        last.drain(..start);
        Entry::Body(StoredBody {
            meta,
            position: Position(at),
            segments: self.segments.clone(),
            last,
        })
    }
}

fn damaged(from: u64, to: u64) -> Entry {
    Entry::Damaged {
        from: Position(from),
        to: Position(to),
    }
}

impl StoredBody {
    /// The bytes, from the first on.
    #[must_use]
    pub fn open(&self) -> BodyReader<'_> {
        BodyReader {
            body: self,
            next_chunk: 0,
            chunk: Vec::new(),
            read: 0,
        }
    }
}

/// Reads a body. Holds one chunk in memory.
#[derive(Debug)]
pub struct BodyReader<'a> {
    body: &'a StoredBody,
    next_chunk: usize,
    chunk: Vec<u8>,
    read: usize,
}

impl BodyReader<'_> {
    /// The part that is being read; the last one lies in the body itself.
    fn part(&self) -> &[u8] {
        if self.next_chunk > self.body.meta.chunks.len() {
            &self.body.last
        } else {
            &self.chunk
        }
    }

    /// Goes on to the next part; false behind the last.
    fn advance(&mut self) -> io::Result<bool> {
        let chunks = &self.body.meta.chunks;
        if self.next_chunk > chunks.len() {
            return Ok(false);
        }
        if let Some((at, length)) = chunks.get(self.next_chunk).copied() {
            let limit = self.body.position.0;
            let found = self.body.segments.read(at, limit, &mut self.chunk)?;
            let whole = matches!(&found, Found::Record(header) if header.kind == Kind::Chunk);
            if !whole || self.chunk.len() != length as usize {
                let message = format!("the log is damaged at {at}: a part of this body is lost");
                return Err(io::Error::new(io::ErrorKind::NotFound, message));
            }
        }
        self.next_chunk += 1;
        self.read = 0;
        Ok(true)
    }
}

impl Read for BodyReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        // Before the first part there is an empty one.
        while self.next_chunk == 0 || self.read == self.part().len() {
            if !self.advance()? {
                return Ok(0);
            }
        }
        let part = &self.part()[self.read..];
        let length = part.len().min(buffer.len());
        buffer[..length].copy_from_slice(&part[..length]);
        self.read += length;
        Ok(length)
    }
}
