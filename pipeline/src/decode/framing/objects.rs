//! Where a record ends that starts with `{`.

use std::io::Read;

use detections::json::Fault;
use memchr::memchr;

use super::scanner::{Scanner, Stop};
use super::shape::Shape;
use super::{FrameKind, Framer, Layout, Pending, Step};
use crate::decode::limits::{COMPACT_BYTES, PROBE_BYTES, RECORD_BYTES_MAX};

impl<R: Read> Framer<R> {
    /// A record of a stream of lines: ordinarily the whole line.
    pub(super) fn line_object(&mut self) -> Step {
        if let Some(step) = self.open_event_list().or_else(|| self.compact_line()) {
            return step;
        }
        let mut limit = PROBE_BYTES;
        loop {
            let length = self.line_length(limit);
            self.look(length.unwrap_or(limit));
            if let Some(list) = self.opens() {
                return self.open_list(list, length.unwrap_or(limit));
            }
            let record = self.buffer.window(length.unwrap_or(limit));
            let alone = || record.trim_ascii_end() == b"{";
            match (self.shape.fault, length) {
                (None, _) => return self.whole(self.shape.end),
                (Some(Fault::Cut { .. }), None) if limit < RECORD_BYTES_MAX => limit *= 2,
                (Some(_), None) => return self.scanned_object(),
                (Some(_), Some(_)) if alone() => {
                    self.layout = Layout::Unknown;
                    return Step::Again;
                }
                (Some(_), Some(length)) => return self.cut(length),
            }
        }
    }

    /// The common case of [`line_object`](Self::line_object): a sound record that is no container. Its end is found before that
    /// of its line, which then costs next to nothing: the bytes are at hand.
    fn compact_line(&mut self) -> Option<Step> {
        let offset = self.buffer.offset();
        if offset < self.compact_from {
            return None;
        }
        let window = self.buffer.window(COMPACT_BYTES);
        let is_whole = self.shape.look_compact(window);
        let record = window.get(..self.shape.end).unwrap_or_default();
        if !is_whole || self.shape.list.is_some() || memchr(b'\n', record).is_some() {
            // A record that was cut may have cost a look far beyond its line: each byte is looked at so once.
            self.compact_from = offset + COMPACT_BYTES as u64;
            return None;
        }
        Some(self.whole(self.shape.end))
    }

    /// A record that may span lines, or end in the middle of one.
    pub(super) fn scanned_object(&mut self) -> Step {
        if let Some(step) = self.open_event_list().or_else(|| self.object_on_a_line()) {
            return step;
        }
        let mut scanner = self.scanner();
        let mut limit = PROBE_BYTES;
        loop {
            let window = self.buffer.window(limit);
            let length = window.len();
            let stop = scanner.run(window);
            if let Some(stop) = stop {
                return self.region(&scanner, stop);
            }
            if length < limit {
                if !self.buffer.fill() {
                    scanner.at = length;
                    return self.region(&scanner, Stop::Cut);
                }
                continue;
            }
            self.look(limit);
            if let Some(list) = self.opens() {
                return self.open_list(list, limit);
            }
            if limit >= RECORD_BYTES_MAX {
                return self.oversized(scanner);
            }
            limit *= 2;
        }
    }

    /// The common case of [`scanned_object`](Self::scanned_object), which it would decide in the
    /// same way in two passes: a sound record without line breaks that has been read already.
    fn object_on_a_line(&mut self) -> Option<Step> {
        let window = self.buffer.window(PROBE_BYTES);
        if matches!(window.get(1), Some(b'\n' | b'\r')) {
            return None;
        }
        self.shape = Shape::of(window);
        let end = self.shape.end;
        if self.shape.fault.is_some()
            || memchr(b'\n', window.get(..end).unwrap_or_default()).is_some()
        {
            return None;
        }
        Some(match self.opens() {
            Some(list) => self.open_list(list, end),
            None => self.whole(end),
        })
    }

    /// A record whose end is known.
    fn region(&mut self, scanner: &Scanner, stop: Stop) -> Step {
        self.look(scanner.at);
        if let Some(list) = self.opens() {
            return self.open_list(list, scanner.at);
        }
        self.broken_line |= scanner.broken_line;
        match stop {
            Stop::Balanced => self.whole(scanner.at),
            Stop::Cut => self.cut(scanner.at),
        }
    }

    fn whole(&mut self, length: usize) -> Step {
        let tail = self.in_tail();
        let kind = if tail {
            FrameKind::Junk
        } else {
            FrameKind::Object
        };
        let frame = self.frame(kind, length, false);
        self.consume(length);
        if tail {
            self.levels.pop();
        }
        self.record_ended();
        // The tail of a container is no record, but one list too many must not be lost.
        if tail && self.shape.list.is_none() {
            Step::Again
        } else {
            Step::Frame(frame)
        }
    }

    /// A record that ends with the line or the stream, not with its bracket.
    fn cut(&mut self, length: usize) -> Step {
        if self.layout == Layout::Unknown && !self.broken_line && self.starts_line_behind(length) {
            self.layout = Layout::Lines;
        }
        let column = self.buffer.offset() - self.line_start;
        let frame = self.frame(
            FrameKind::Object,
            length,
            matches!(self.shape.fault, Some(Fault::Cut { .. })),
        );
        let tail = self.in_tail();
        self.consume(length);
        if tail {
            self.levels.pop();
            return Step::Again;
        }
        if self.layout != Layout::Lines {
            self.pending = Some(Pending::Remains(column));
        }
        Step::Frame(frame)
    }

    /// So far all was on one line, and a record starts on the next one: this is a file of lines.
    fn starts_line_behind(&mut self, length: usize) -> bool {
        self.has(length + 2) && self.buffer.window(length + 2).ends_with(b"\n{")
    }
}
