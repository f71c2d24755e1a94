//! A window over a stream: what has been read and not yet consumed, in one piece.

use std::io::{self, Read};

use crate::decode::limits::{BUFFER_BYTES, READ_BYTES_MAX, READ_BYTES_MIN};

/// Reads ahead of a consumer who takes from the front. It grows only while a single record needs
/// it.
#[derive(Debug)]
pub(super) struct Buffer<R> {
    reader: R,
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// The place of `start` in the stream.
    offset: u64,
    ended: bool,
    /// Bytes that were replaced since all bytes were handed over, to be put back; see [`load`](Self::load).
    replaced: Option<Vec<(usize, u8)>>,
    failure: Option<io::Error>,
}

impl<R: Read> Buffer<R> {
    pub(super) fn new(reader: R) -> Self {
        Self {
            reader,
            bytes: Vec::new(),
            start: 0,
            end: 0,
            offset: 0,
            ended: false,
            replaced: None,
            failure: None,
        }
    }

    /// Reads more. `false` at the end of the stream; a failed read ends it too, and is kept for
    /// [`take_failure`](Self::take_failure), so that what was read before it is not lost.
    pub(super) fn fill(&mut self) -> bool {
        if self.ended {
            return false;
        }
        self.make_room();
        let room = self.bytes.get_mut(self.end..).unwrap_or_default();
        let wanted = room.len().min(READ_BYTES_MAX);
        let room = room.get_mut(..wanted).unwrap_or_default();
        loop {
            match self.reader.read(room) {
                Ok(0) => break,
                Ok(read) => {
                    self.end += read.min(room.len());
                    return true;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failure = Some(error);
                    break;
                }
            }
        }
        self.ended = true;
        false
    }

    fn make_room(&mut self) {
        if self.bytes.len() - self.end >= READ_BYTES_MIN {
            return;
        }
        self.bytes.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.bytes.len() > 2 * BUFFER_BYTES && self.end < BUFFER_BYTES / 2 {
            // One huge record must not keep its memory for the rest of the stream.
            self.bytes.truncate(BUFFER_BYTES);
            self.bytes.shrink_to_fit();
        }
        if self.end > self.bytes.len() / 2 || self.bytes.is_empty() {
            let length = (self.bytes.len() * 2).max(BUFFER_BYTES);
            self.bytes.resize(length, 0);
        }
    }
}

impl<R> Buffer<R> {
    /// Replaces the stream by bytes that are all there and start at `offset`, and hands back the last ones, as they
    /// were.
    pub(super) fn load(&mut self, text: &mut Vec<u8>, offset: u64) {
        let replaced = self.replaced.get_or_insert_default();
        for (at, byte) in replaced.drain(..) {
            if let Some(place) = self.bytes.get_mut(at) {
                *place = byte;
            }
        }
        std::mem::swap(&mut self.bytes, text);
        (self.start, self.end, self.offset) = (0, self.bytes.len(), offset);
        self.ended = true;
    }

    /// Counts places from `offset` on.
    pub(super) fn resume(&mut self, offset: u64) {
        self.offset = offset;
    }

    /// What was read and not yet consumed.
    pub(super) fn pending(&self) -> &[u8] {
        self.slice(self.start, self.end - self.start)
    }

    /// At most `limit` bytes of [`pending`](Self::pending).
    pub(super) fn window(&self, limit: usize) -> &[u8] {
        self.slice(self.start, limit.min(self.end - self.start))
    }

    /// Bytes that were consumed since the last [`fill`](Self::fill), by their place in the buffer.
    pub(super) fn slice(&self, at: usize, length: usize) -> &[u8] {
        self.bytes.get(at..at + length).unwrap_or_default()
    }

    pub(super) fn consume(&mut self, count: usize) {
        let count = count.min(self.end - self.start);
        self.start += count;
        self.offset += count as u64;
    }

    /// Puts another byte in the place of the next one.
    pub(super) fn replace_next(&mut self, byte: u8) {
        let next = self.bytes.get_mut(self.start..self.end);
        if let Some(next) = next.and_then(<[u8]>::first_mut) {
            if let Some(replaced) = &mut self.replaced {
                replaced.push((self.start, *next));
            }
            *next = byte;
        }
    }

    /// The place of the next byte in the stream.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The place of the next byte in the buffer.
    pub(super) fn at(&self) -> usize {
        self.start
    }

    /// The error that ended the stream, once.
    pub(super) fn take_failure(&mut self) -> Option<io::Error> {
        self.failure.take()
    }
}
