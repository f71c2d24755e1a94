//! Containers of records: arrays, and objects with a list among their members.

use std::io::Read;

use memchr::memchr;

use super::context::Context;
use super::shape::{Api, Shape};
use super::{FrameKind, Framer, Layout, Step};
use crate::decode::limits::{EVENT_LIST_HEADER_BYTES, LEVELS_MAX, LISTS_MAX, PROBE_BYTES};

/// A container that is open.
#[derive(Debug)]
pub(super) struct Level {
    pub(super) context: Context,
    /// An array with no object around it.
    pub(super) bare: bool,
    /// Behind the list, among the other members.
    pub(super) tail: bool,
    pub(super) elements: u64,
    pub(super) lists: u32,
}

impl<R: Read> Framer<R> {
    /// Whether the array at hand starts with an object, or is empty.
    pub(super) fn array_of_objects(&mut self) -> bool {
        let mut count = 1;
        let first = loop {
            let window = self.buffer.window(PROBE_BYTES);
            let length = window.len();
            match window
                .get(count..)
                .unwrap_or_default()
                .trim_ascii_start()
                .first()
                .copied()
            {
                None if length < PROBE_BYTES && self.buffer.fill() => count = length,
                first => break first,
            }
        };
        let line = if self.layout == Layout::Lines {
            self.line_length(PROBE_BYTES)
        } else {
            None
        };
        if line.is_some_and(|length| self.buffer.window(length).trim_ascii_end() == b"[") {
            // A bracket alone on its line: what follows is no file of lines.
            self.layout = Layout::Unknown;
        }
        matches!(first, Some(b'{' | b']'))
    }

    pub(super) fn open_array(&mut self) -> Step {
        let context = self.context().clone();
        self.consume(1);
        self.levels.push(Level {
            context,
            bare: true,
            tail: false,
            elements: 0,
            lists: 1,
        });
        Step::Again
    }

    /// Where the list of the container starts, if this is a container that we open.
    pub(super) fn opens(&mut self) -> Option<usize> {
        let list = self.shape.list?;
        if let Some(level) = self.levels.last().filter(|level| level.tail) {
            return (level.lists < LISTS_MAX).then_some(list);
        }
        if self.levels.len() >= LEVELS_MAX && self.buffer.offset() == self.line_start {
            // Not that deep: containers before this one were cut and never closed.
            self.levels.clear();
        }
        (self.levels.len() < LEVELS_MAX).then_some(list)
    }

    /// Opens what starts like the API server's own posts, without looking at all of it first:
    /// nothing stands behind its list that matters.
    pub(super) fn open_event_list(&mut self) -> Option<Step> {
        const START: &[u8] = b"{\"kind\":\"EventList\",";
        if !self.has(START.len()) || !self.buffer.pending().starts_with(START) {
            return None;
        }
        let length = self
            .line_length(EVENT_LIST_HEADER_BYTES)
            .unwrap_or(EVENT_LIST_HEADER_BYTES);
        self.look(length);
        let list = self.opens().filter(|_| self.shape.api == Api::Audit)?;
        Some(self.open_list(list, length))
    }

    pub(super) fn open_list(&mut self, list: usize, length: usize) -> Step {
        let container = self.buffer.window(length);
        let context = self.context().inside(&self.shape, container);
        self.broken_line |= memchr(b'\n', self.buffer.window(list)).is_some();
        self.consume(list + 1);
        match self.levels.last_mut().filter(|level| level.tail) {
            Some(level) => {
                (level.tail, level.elements, level.context) = (false, 0, context);
                level.lists += 1;
            }
            None => self.levels.push(Level {
                context,
                bare: false,
                tail: false,
                elements: 0,
                lists: 1,
            }),
        }
        Step::Again
    }

    pub(super) fn close_list(&mut self) -> Step {
        let empty = self.levels.last().is_some_and(|level| level.elements == 0);
        self.shape = Shape::default();
        let frame = self.frame(FrameKind::EmptyList, 0, false);
        self.consume(1);
        if self.levels.last().is_some_and(|level| level.bare) {
            self.levels.pop();
            self.record_ended();
        } else if let Some(level) = self.levels.last_mut() {
            level.tail = true;
        }
        if empty {
            Step::Frame(frame)
        } else {
            Step::Again
        }
    }

    /// Behind a container's list: its other members, then its closing bracket.
    pub(super) fn tail(&mut self, first: u8) -> Step {
        match first {
            b'}' => {
                self.consume(1);
                self.levels.pop();
                self.record_ended();
                Step::Again
            }
            b',' => {
                // What is left of the container is an object of its own, but for this byte; it may
                // hold another list.
                self.buffer.replace_next(b'{');
                self.scanned_object()
            }
            _ => {
                self.levels.pop();
                Step::Again
            }
        }
    }
}
