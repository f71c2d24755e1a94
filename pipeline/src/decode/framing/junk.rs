//! Bytes that become no whole record: too large, or no record at all.

use std::io::Read;

use super::scanner::{Extent, Scanner};
use super::shape::Shape;
use super::{FrameKind, Framer, Pending, Step};
use crate::decode::limits::KEPT_BYTES_MAX;

impl<R: Read> Framer<R> {
    /// Keeps the start of the record at hand, which is larger than we keep.
    pub(super) fn oversized(&mut self, scanner: Scanner) -> Step {
        self.look(KEPT_BYTES_MAX);
        let frame = self.frame(FrameKind::Object, KEPT_BYTES_MAX, true);
        self.keep_start(Extent::Value(scanner));
        if self.in_tail() {
            self.levels.pop();
            return Step::Again;
        }
        Step::Frame(frame)
    }

    /// Bytes that are no record, up to where one may start.
    pub(super) fn junk(&mut self, mut extent: Extent, kind: FrameKind) -> Step {
        loop {
            let window = self.buffer.window(KEPT_BYTES_MAX);
            let length = window.len();
            let end = extent.end(window);
            if end.is_none() && length < KEPT_BYTES_MAX && self.buffer.fill() {
                continue;
            }
            self.shape = Shape::default();
            let frame = self.frame(kind, end.unwrap_or(length), false);
            let blank = self
                .bytes(&frame)
                .iter()
                .all(|byte| b" \t\r\n".contains(byte));
            if end.is_none() && length == KEPT_BYTES_MAX {
                self.keep_start(extent);
            } else {
                self.consume(frame.length);
            }
            return if blank {
                Step::Again
            } else {
                Step::Frame(frame)
            };
        }
    }

    /// Consumes what is kept of something too large, and leaves the rest to be skipped.
    fn keep_start(&mut self, mut extent: Extent) {
        self.skipped.oversized += 1;
        self.consume(KEPT_BYTES_MAX);
        extent.rebase(KEPT_BYTES_MAX);
        self.pending = Some(Pending::Skip(extent));
    }

    pub(super) fn skip(&mut self, mut extent: Extent) -> Step {
        loop {
            let window = self.buffer.window(usize::MAX);
            let length = window.len();
            let end = extent.end(window);
            // Something may hang on the last byte: an escape, or a line break and what follows it.
            let count = end.unwrap_or(length.saturating_sub(1));
            self.skipped.bytes += count as u64;
            self.consume(count);
            if end.is_some() {
                return Step::Again;
            }
            extent.rebase(count);
            if !self.buffer.fill() {
                let rest = length - count;
                self.skipped.bytes += rest as u64;
                self.consume(rest);
                return Step::Again;
            }
        }
    }
}
