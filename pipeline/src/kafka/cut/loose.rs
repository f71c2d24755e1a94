//! What goes out as it came: what is no list, or none any more, and what of a list does not fit into a message of it.

use std::mem;

use super::{Piece, append};

/// Bytes that go out as they came: whole if they fit, otherwise in numbered parts.
pub(super) struct Loose {
    limit: usize,
    pub(super) is_open: bool,
    pub(super) bytes: Vec<u8>,
    /// How many of this body were larger than a message.
    of: u32,
    /// Parts handed out of this one.
    pub(super) parts: u32,
}

impl Loose {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            is_open: false,
            bytes: Vec::new(),
            of: 0,
            parts: 0,
        }
    }

    pub(super) fn start(&mut self, bytes: Vec<u8>) {
        self.is_open = true;
        self.bytes = bytes;
    }

    pub(super) fn take(&mut self) -> Vec<u8> {
        self.is_open = false;
        mem::take(&mut self.bytes)
    }

    /// A part goes when there is more behind it, since only then it is known not to be the last.
    pub(super) fn push(&mut self, mut bytes: &[u8], pieces: &mut Vec<Piece>) {
        while bytes.len() > self.limit.saturating_sub(self.bytes.len()) {
            let room = self.limit.saturating_sub(self.bytes.len());
            let (now, later) = bytes.split_at(room);
            append(&mut self.bytes, now, self.limit);
            pieces.push(Piece::Part {
                of: self.of,
                number: self.parts,
                last: false,
                bytes: mem::take(&mut self.bytes),
            });
            self.parts = self.parts.saturating_add(1);
            bytes = later;
        }
        append(&mut self.bytes, bytes, self.limit);
    }

    pub(super) fn end(&mut self, pieces: &mut Vec<Piece>) {
        let bytes = self.take();
        if self.parts == 0 {
            pieces.push(Piece::Whole(bytes));
            return;
        }
        pieces.push(Piece::Part {
            of: self.of,
            number: self.parts,
            last: true,
            bytes,
        });
        self.of = self.of.saturating_add(1);
        self.parts = 0;
    }

    pub(super) fn end_unless_empty(&mut self, pieces: &mut Vec<Piece>) {
        if !self.bytes.is_empty() {
            self.end(pieces);
        }
    }
}
