//! Cuts a stream into records, whatever was done to it on its way here.
//!
//! ```text
//!                    ┌ '{' on a file of lines ─▶ line_object    the quiet path: one look at each record
//!  step ─ skip space ┼ '{' elsewhere ──────────▶ scanned_object count brackets to the end, chunk by chunk
//!                    ├ '[' ────────────────────▶ array          its elements are records
//!                    └ anything else ──────────▶ junk           a timestamp before the record, or a reject
//! ```
//!
//! Three layouts exist. A stream starts as *unknown*; the first whole record decides: if a line
//! break follows it and none is inside of it, the stream has *lines*, and from then on every line
//! break is a hard boundary; if line breaks are inside of it, the stream is *pretty*-printed, and
//! brackets alone decide. A line that is one `{` makes the layout unknown again.
//!
//! A record that holds a list of records (an `EventList`, a batch of Event Hubs, a `CloudWatch`
//! record) is opened: its elements become frames one by one, however long the list is, and its
//! scalar members become their `Context`.
//!
//! 1. Memory is bounded: at most one record of
//!    [`RECORD_BYTES_MAX`](super::limits::RECORD_BYTES_MAX) and a read are buffered. Of a larger
//!    record the first [`KEPT_BYTES_MAX`](super::limits::KEPT_BYTES_MAX) bytes become a cut frame;
//!    the rest is skipped and counted.
//! 2. Nothing is lost: every byte that is neither white space, nor a comma between records, nor a
//!    container's own member, is in exactly one frame, or counted as skipped.
//! 3. Frames depend on the bytes alone, never on how they were split into reads.
//! 4. Time is linear: each byte is scanned a bounded number of times, whatever the input.

mod buffer;
pub(crate) mod context;
mod junk;
mod lists;
mod objects;
pub(crate) mod prefix;
mod scanner;
pub(crate) mod shape;

use std::io::{self, Read};

use memchr::{memchr, memrchr};

use self::buffer::Buffer;
use self::context::Context;
use self::lists::Level;
use self::prefix::Prefix;
use self::scanner::{Extent, Scanner};
use self::shape::Shape;
use super::limits::{LEVELS_MAX, PREFIX_BYTES_MAX};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// One JSON object, or the start of one.
    Object,
    /// Something else.
    Junk,
    /// The rest of a record that a line break cut.
    BehindCut,
    /// A list without elements; the frame is empty.
    EmptyList,
}

/// A piece of the stream. Its bytes are in the framer until the next one is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// What it holds.
    pub kind: FrameKind,
    /// Where it starts in the stream.
    pub offset: u64,
    /// The record goes on behind the frame, but not in the stream, or was too large.
    pub cut: bool,
    /// The timestamp before the record.
    pub(crate) prefix: Option<Prefix>,
    at: usize,
    length: usize,
}

/// What was left out because it was too large.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Records larger than [`RECORD_BYTES_MAX`](super::limits::RECORD_BYTES_MAX), or junk larger
    /// than [`KEPT_BYTES_MAX`](super::limits::KEPT_BYTES_MAX).
    pub oversized: u64,
    /// Bytes behind what was kept of them.
    pub bytes: u64,
}

/// Yields the frames of a stream in order.
#[derive(Debug)]
pub struct Framer<R> {
    buffer: Buffer<R>,
    layout: Layout,
    levels: Vec<Level>,
    /// The context outside of any container.
    outside: Context,
    prefix: Option<Prefix>,
    /// Of what was looked at last.
    shape: Shape,
    /// The next line break: where it is, or up to where there is none.
    next_break: NextBreak,
    /// From where on records are looked at in the quick way.
    compact_from: u64,
    /// Where the current line starts.
    line_start: u64,
    /// A line break was inside of the current top-level record.
    broken_line: bool,
    /// A top-level record has just ended on the line it started on.
    ends_line: bool,
    /// What to do before the next frame.
    pending: Option<Pending>,
    skipped: Skipped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    Unknown,
    Lines,
    Pretty,
}

#[derive(Clone, Copy, Debug)]
enum NextBreak {
    At(u64),
    NotBefore(u64),
}

#[derive(Debug)]
enum Pending {
    /// Bytes of something too large.
    Skip(Extent),
    /// What a record leaves that started at this column and was cut by a line break.
    Remains(u64),
}

enum Step {
    Frame(Frame),
    Again,
    End,
}

impl<R: Read> Framer<R> {
    /// Frames what the reader yields.
    pub fn new(reader: R) -> Self {
        Self {
            buffer: Buffer::new(reader),
            layout: Layout::Unknown,
            levels: Vec::new(),
            outside: Context::default(),
            prefix: None,
            shape: Shape::default(),
            next_break: NextBreak::NotBefore(0),
            compact_from: 0,
            line_start: 0,
            broken_line: false,
            ends_line: false,
            pending: None,
            skipped: Skipped::default(),
        }
    }

    /// The next frame; `None` at the end of the stream.
    ///
    /// # Errors If reading failed: once, after everything that was read before has been framed (as
    /// a cut frame, if need be).
    pub fn next_frame(&mut self) -> io::Result<Option<Frame>> {
        loop {
            match self.step() {
                Step::Frame(frame) => return Ok(Some(frame)),
                Step::Again => {}
                Step::End => return self.buffer.take_failure().map_or(Ok(None), Err),
            }
        }
    }

    fn step(&mut self) -> Step {
        match self.pending.take() {
            Some(Pending::Skip(extent)) => return self.skip(extent),
            Some(Pending::Remains(column)) => {
                return self.junk(Extent::remains(column), FrameKind::BehindCut);
            }
            None => self.skip_space(),
        }
        let Some(first) = self.buffer.pending().first().copied() else {
            self.levels.clear();
            return Step::End;
        };
        match self.levels.last_mut() {
            None => self.top_level(first),
            Some(level) if level.tail => self.tail(first),
            Some(_) if first == b']' => self.close_list(),
            Some(level) => {
                level.elements += 1;
                self.element(first)
            }
        }
    }

    fn top_level(&mut self, first: u8) -> Step {
        (self.broken_line, self.ends_line) = (false, false);
        match first {
            b'{' if self.layout == Layout::Lines => self.line_object(),
            b'{' => self.scanned_object(),
            b'[' if self.array_of_objects() => self.open_array(),
            b'0'..=b'9' if self.prefix.is_none() && self.take_prefix() => Step::Again,
            _ => self.junk(Extent::Line, FrameKind::Junk),
        }
    }

    fn element(&mut self, first: u8) -> Step {
        match first {
            b'{' => self.scanned_object(),
            b'[' if self.levels.len() < LEVELS_MAX && self.array_of_objects() => self.open_array(),
            b'[' | b'"' => self.junk(Extent::Value(self.scanner()), FrameKind::Junk),
            _ => self.junk(Extent::Scalar, FrameKind::Junk),
        }
    }

    fn skip_space(&mut self) {
        loop {
            match self.buffer.pending().first().copied() {
                Some(b'\n') => {
                    self.buffer.consume(1);
                    self.line_ended();
                }
                Some(b' ' | b'\t' | b'\r') => self.buffer.consume(1),
                // In a container's tail a comma matters; elsewhere it only separates records.
                Some(b',') if self.levels.last().is_none_or(|level| !level.tail) => {
                    self.buffer.consume(1);
                }
                Some(0xef)
                    if self.has(BYTE_ORDER_MARK.len())
                        && self.buffer.pending().starts_with(BYTE_ORDER_MARK) =>
                {
                    self.buffer.consume(BYTE_ORDER_MARK.len());
                }
                None if self.buffer.fill() => {}
                _ => return,
            }
        }
    }

    fn line_ended(&mut self) {
        self.line_start = self.buffer.offset();
        self.prefix = None;
        if self.ends_line && self.layout == Layout::Unknown {
            self.layout = Layout::Lines;
        }
        if self.layout == Layout::Lines {
            self.levels.clear();
        }
        (self.broken_line, self.ends_line) = (true, false);
    }

    /// Reads until so many bytes are there.
    fn has(&mut self, count: usize) -> bool {
        while self.buffer.pending().len() < count {
            if !self.buffer.fill() {
                return false;
            }
        }
        true
    }

    fn take_prefix(&mut self) -> bool {
        self.has(PREFIX_BYTES_MAX);
        let Some((prefix, length)) = prefix::parse(self.buffer.window(PREFIX_BYTES_MAX)) else {
            return false;
        };
        self.buffer.consume(length);
        self.prefix = Some(prefix);
        self.layout = Layout::Lines;
        true
    }

    /// The length of the current line, if it ends within `limit` bytes; the end of the stream ends
    /// it too.
    fn line_length(&mut self, limit: usize) -> Option<usize> {
        loop {
            let offset = self.buffer.offset();
            let searched = match self.next_break {
                NextBreak::At(at) if at >= offset => {
                    return usize::try_from(at - offset)
                        .ok()
                        .filter(|length| *length <= limit);
                }
                NextBreak::At(_) => 0,
                NextBreak::NotBefore(at) => usize::try_from(at.saturating_sub(offset)).unwrap_or(0),
            };
            let window = self.buffer.window(limit);
            let length = window.len();
            if let Some(found) = memchr(b'\n', window.get(searched..).unwrap_or_default()) {
                self.next_break = NextBreak::At(offset + (searched + found) as u64);
                return Some(searched + found);
            }
            self.next_break = NextBreak::NotBefore(offset + length.max(searched) as u64);
            if length == limit {
                return None;
            }
            if !self.buffer.fill() {
                return Some(length);
            }
        }
    }

    fn in_tail(&self) -> bool {
        self.levels.last().is_some_and(|level| level.tail)
    }

    fn scanner(&self) -> Scanner {
        Scanner::new(self.layout == Layout::Lines)
    }

    /// Looks at the object at hand, of which at most `limit` bytes are asked for.
    fn look(&mut self, limit: usize) {
        self.shape = Shape::of(self.buffer.window(limit));
    }

    fn frame(&self, kind: FrameKind, length: usize, cut: bool) -> Frame {
        let (at, offset) = (self.buffer.at(), self.buffer.offset());
        Frame {
            kind,
            offset,
            cut,
            prefix: self.prefix,
            at,
            length,
        }
    }

    fn consume(&mut self, count: usize) {
        let offset = self.buffer.offset();
        if self.layout != Layout::Lines
            && let Some(last) = memrchr(b'\n', self.buffer.window(count))
        {
            self.line_start = offset + last as u64 + 1;
        }
        self.buffer.consume(count);
    }

    fn record_ended(&mut self) {
        if !self.levels.is_empty() {
            return;
        }
        if !self.broken_line {
            self.ends_line = true;
        } else if self.layout == Layout::Unknown {
            self.layout = Layout::Pretty;
        }
    }
}

impl<R> Framer<R> {
    /// Frames bytes that are all there instead of what is left of the stream, and hands back the last ones. They start at
    /// `offset`, and at the start of a line; unless it is known that they are `lines`, they tell themselves.
    pub(crate) fn load(&mut self, text: &mut Vec<u8>, offset: u64, lines: bool) {
        self.buffer.load(text, offset);
        self.levels.clear();
        self.layout = if lines {
            Layout::Lines
        } else {
            Layout::Unknown
        };
        (self.prefix, self.pending, self.next_break) = (None, None, NextBreak::NotBefore(offset));
        (self.line_start, self.broken_line, self.ends_line) = (offset, false, false);
        self.compact_from = 0;
    }

    /// Starts at `offset` of a stream that is known to have lines.
    pub(crate) fn resume(&mut self, offset: u64) {
        self.buffer.resume(offset);
        self.layout = Layout::Lines;
        (self.line_start, self.next_break) = (offset, NextBreak::NotBefore(offset));
        self.compact_from = 0;
    }

    /// Whether all was taken that was there, and what comes next is another line of a stream of lines.
    pub(crate) fn is_between_lines(&self) -> bool {
        self.layout == Layout::Lines
            && self.levels.is_empty()
            && self.pending.is_none()
            && self.buffer.pending().is_empty()
    }

    /// The bytes of the last frame.
    #[must_use]
    pub fn bytes(&self, frame: &Frame) -> &[u8] {
        self.buffer.slice(frame.at, frame.length)
    }

    /// The outside of the last frame.
    pub(crate) fn shape(&self) -> &Shape {
        &self.shape
    }

    /// What the containers around the last frame say.
    pub(crate) fn context(&self) -> &Context {
        self.levels
            .last()
            .map_or(&self.outside, |level| &level.context)
    }

    /// What was left out because it was too large, since the last time.
    pub(crate) fn take_skipped(&mut self) -> Skipped {
        std::mem::take(&mut self.skipped)
    }

    /// What was left out so far because it was too large.
    #[must_use]
    pub fn skipped(&self) -> Skipped {
        self.skipped
    }
}

impl Frame {
    /// A frame of nothing, at no place.
    pub(crate) fn none() -> Self {
        let kind = FrameKind::Junk;
        Self {
            kind,
            offset: 0,
            cut: false,
            prefix: None,
            at: 0,
            length: 0,
        }
    }

    /// The same frame without what stands behind `length` bytes.
    pub(crate) fn truncated(self, length: usize) -> Self {
        Self {
            length: length.min(self.length),
            ..self
        }
    }
}

#[cfg(test)]
mod tests;
