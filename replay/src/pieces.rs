//! An input cut into pieces at line ends, to be decoded side by side.
//!
//! A stream with one record a line may be cut at any line end: each line stands for itself. Whether a stream is of that
//! kind, its first piece shows when it is decoded; until then there is no second piece. A stream may also cease to be of
//! that kind, or have a line that is longer than a piece may be: from there on it is no longer cut, and what is left of it
//! is decoded in one go.

use std::io::{self, Cursor, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pipeline::decode::limits::RECORD_BYTES_MAX;
use pipeline::source::input::Input;

use crate::discover::InputPath;

/// 2 MiB: large enough that handing a piece over, and moving a decompressor from core to core, costs little; small enough to stay in a
/// core's cache.
pub(crate) const PIECE_BYTES: usize = 1 << 21;

/// Bytes of the first one.
const FIRST_BYTES: usize = 1 << 16;

/// Some lines of an input.
#[derive(Debug)]
pub(crate) struct Piece {
    /// Its place among the pieces of the input.
    pub(crate) number: u64,
    /// Where it starts in the decompressed stream.
    pub(crate) offset: u64,
    pub(crate) bytes: Vec<u8>,
    /// The stream is known to have lines.
    pub(crate) lines: bool,
    /// It ends with a line; what comes next can be decoded by itself if the stream has lines.
    pub(crate) is_cut: bool,
    /// Nothing comes behind it.
    pub(crate) is_last: bool,
}

/// An input that is being read.
#[derive(Debug)]
pub(crate) struct Source {
    reader: Option<Input>,
    consumed: Arc<AtomicU64>,
    state: State,
    next: u64,
    offset: u64,
    /// The start of a line whose end has not been read.
    carry: Vec<u8>,
    /// Why it could not be opened, or read to its end.
    pub(crate) fault: Option<io::Error>,
}

/// What may be done with an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Nobody has looked at it.
    Closed,
    /// Its first piece is being decoded.
    Probed,
    /// It has lines.
    Lines,
    /// No more pieces: it has ended, or is left to be decoded in one go.
    Done,
}

impl Default for Source {
    fn default() -> Self {
        Self {
            reader: None,
            consumed: Arc::default(),
            state: State::Closed,
            next: 0,
            offset: 0,
            carry: Vec::new(),
            fault: None,
        }
    }
}

impl Source {
    pub(crate) fn state(&self) -> State {
        self.state
    }

    /// How many pieces have been cut.
    pub(crate) fn pieces(&self) -> u64 {
        self.next
    }

    /// Bytes read of the input as it lies on disk.
    pub(crate) fn consumed(&self) -> u64 {
        self.consumed.load(Ordering::Relaxed)
    }

    pub(crate) fn open(&mut self, path: &InputPath) {
        let opened = match path {
            InputPath::Stdin => Input::stdin(),
            InputPath::File(path) => Input::open(path),
        };
        match opened {
            Ok(input) => {
                self.consumed = input.consumed();
                self.reader = Some(input);
            }
            Err(fault) => self.fault = Some(fault),
        }
    }

    /// What the first piece showed.
    pub(crate) fn probed(&mut self, has_lines: bool) {
        if self.state == State::Probed {
            self.state = if has_lines { State::Lines } else { State::Done };
        }
    }

    /// No more pieces are cut.
    pub(crate) fn stop(&mut self) {
        self.state = State::Done;
    }

    /// The next piece, into memory that is free. An input that cannot be opened has one that is empty.
    pub(crate) fn cut(&mut self, mut bytes: Vec<u8>) -> Piece {
        let (number, offset) = (self.next, self.offset);
        let lines = self.state == State::Lines;
        // What is left of another piece is written over, which costs less than clearing it.
        let carried = self.carry.len();
        bytes.resize(bytes.len().clamp(carried, carried.max(PIECE_BYTES)), 0);
        bytes[..carried].copy_from_slice(&self.carry);
        self.carry.clear();
        let is_last = !self.fill(&mut bytes, carried);
        let cut = memchr::memrchr(b'\n', &bytes).map(|at| at + 1);
        let is_cut = cut.is_some() && !is_last;
        if let (Some(cut), true) = (cut, is_cut) {
            self.carry.extend_from_slice(&bytes[cut..]);
            bytes.truncate(cut);
        }
        self.next += 1;
        self.offset += bytes.len() as u64;
        self.state = match self.state {
            _ if !is_cut => State::Done,
            State::Lines => State::Lines,
            _ => State::Probed,
        };
        Piece {
            number,
            offset,
            bytes,
            lines,
            is_cut,
            is_last,
        }
    }

    /// Reads until there is a piece with a line end, or more than a record may be; false at the end.
    fn fill(&mut self, bytes: &mut Vec<u8>, mut filled: usize) -> bool {
        let mut searched = 0;
        // Everybody waits for what the first piece shows.
        let mut wanted = if self.next == 0 {
            FIRST_BYTES
        } else {
            PIECE_BYTES
        };
        loop {
            if !self.read_up_to(bytes, filled, wanted) {
                return false;
            }
            filled = bytes.len();
            if memchr::memrchr(b'\n', &bytes[searched..]).is_some() || wanted > RECORD_BYTES_MAX {
                return true;
            }
            searched = bytes.len();
            wanted = 2 * bytes.len();
        }
    }

    /// False if the input ended, or failed, before so much was there.
    fn read_up_to(&mut self, bytes: &mut Vec<u8>, mut filled: usize, wanted: usize) -> bool {
        let Some(reader) = &mut self.reader else {
            bytes.truncate(filled);
            return false;
        };
        bytes.resize(wanted.max(filled), 0);
        while let Some(room) = bytes.get_mut(filled..).filter(|room| !room.is_empty()) {
            match reader.read(room) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.fault = Some(error);
                    break;
                }
            }
        }
        let is_full = filled == bytes.len();
        bytes.truncate(filled);
        is_full
    }

    /// A file from a place in its decompressed stream on. What goes wrong shows when it is read.
    pub(crate) fn reopened(&mut self, path: &Path, offset: u64) -> Box<dyn Read> {
        self.reader = None;
        let skipped = Input::open(path).and_then(|mut input| {
            self.consumed = input.consumed();
            io::copy(&mut input.by_ref().take(offset), &mut io::sink())?;
            Ok(input)
        });
        match skipped {
            Ok(input) => Box::new(input),
            Err(fault) => Box::new(Failing(Some(fault))),
        }
    }

    /// What has not been cut into pieces.
    pub(crate) fn rest(&mut self) -> Box<dyn Read> {
        let carry = Cursor::new(std::mem::take(&mut self.carry));
        match (self.reader.take(), &self.fault) {
            (Some(reader), None) => Box::new(carry.chain(reader)),
            _ => Box::new(carry),
        }
    }
}

/// Fails once, then has ended.
struct Failing(Option<io::Error>);

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}
