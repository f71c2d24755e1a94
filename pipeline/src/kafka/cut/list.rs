//! The list that is being cut: which of its bytes go into a message, and when that goes out.
//!
//! A message goes out when the next bytes of an item do not fit into it. That item is taken out of it before, and begins the next
//! message; if it does not fit there either, it becomes [`Loose`](super::loose::Loose), and so does a tail that is too large.

use std::mem;

use super::{Cutter, Piece, Place, append};

/// What ends a message whose head begins a list.
pub(super) const CLOSE: &[u8] = b"]}";

/// A message in the making: a head, items, commas between them; the end of the list, too, if all of it is this message.
pub(super) struct List {
    limit: usize,
    head: Vec<u8>,
    bytes: Vec<u8>,
    /// Where the last item begins, or the tail.
    last_at: usize,
    /// Whether something of this list was handed out.
    given: bool,
}

impl Cutter {
    /// Adds to the item. If it does not fit behind those before it, they go; if it does not fit alone, it becomes loose.
    pub(super) fn keep_item(&mut self, bytes: &[u8], pieces: &mut Vec<Piece>) {
        if !self.loose.is_open && self.list.room() < bytes.len() + CLOSE.len() {
            let item = self.list.take_item(pieces);
            if self.list.room() < item.len() + bytes.len() + CLOSE.len() {
                self.list.given = true;
                self.loose.start(item);
            } else {
                self.list.add(&item);
            }
        }
        if self.loose.is_open {
            self.loose.push(bytes, pieces);
        } else {
            self.list.add(bytes);
        }
    }

    pub(super) fn end_item(&mut self, pieces: &mut Vec<Piece>) {
        if self.loose.is_open {
            self.loose.end(pieces);
        }
    }

    /// What was thought to be an item is none, or does not end.
    pub(super) fn detach_item(&mut self, pieces: &mut Vec<Piece>) {
        if !self.loose.is_open {
            let item = self.list.take_item(pieces);
            self.loose.start(item);
        }
    }

    /// The list stops between items without an end. If nothing was in it, its head is all there is to tell of it.
    pub(super) fn leave_list(&mut self, pieces: &mut Vec<Piece>) {
        let is_empty = !self.list.given && !self.list.has_items();
        self.list.give_items(pieces);
        let rest = self.list.take_head();
        self.loose.start(if is_empty { rest } else { Vec::new() });
    }

    /// At the `]`. While the list is one message, its tail belongs to it; behind several, the tail is a thing of its own.
    pub(super) fn close_items(&mut self, pieces: &mut Vec<Piece>) {
        if self.list.given {
            self.list.give_items(pieces);
            self.loose.start(Vec::new());
        } else {
            self.list.begin_tail();
        }
        self.place = Place::ListEnd;
    }

    /// There is no tail, or it is to be left out.
    pub(super) fn end_list(&mut self, pieces: &mut Vec<Piece>) {
        if self.loose.is_open {
            self.loose.take();
        } else {
            self.list.add(b"}");
            self.list.give(pieces);
        }
    }

    /// At the `}` of the list's object, which is already added.
    pub(super) fn end_tail(&mut self, opened: bool, pieces: &mut Vec<Piece>) {
        if !self.loose.is_open {
            self.list.give(pieces);
        } else if opened || self.loose.parts > 0 {
            self.loose.end(pieces);
        } else {
            self.loose.take();
        }
    }

    /// The tail is too large for the message of its list, or is none.
    pub(super) fn detach_tail(&mut self, pieces: &mut Vec<Piece>) {
        if !self.loose.is_open {
            let tail = self.list.take_tail(pieces);
            self.loose.start(tail);
        }
    }
}

impl List {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            head: Vec::new(),
            bytes: Vec::new(),
            last_at: 0,
            given: false,
        }
    }

    pub(super) fn begin(&mut self, head: Vec<u8>) {
        self.bytes.clone_from(&head);
        self.head = head;
        self.given = false;
    }

    pub(super) fn room(&self) -> usize {
        self.limit.saturating_sub(self.bytes.len())
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        append(&mut self.bytes, bytes, self.limit);
    }

    pub(super) fn begin_item(&mut self) {
        if self.has_items() {
            self.add(b",");
        }
        self.last_at = self.bytes.len();
    }

    /// Bytes this holds.
    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.head.capacity() + self.bytes.capacity()
    }

    fn has_items(&self) -> bool {
        self.bytes.len() > self.head.len()
    }

    fn begin_tail(&mut self) {
        self.add(b"]");
        self.last_at = self.bytes.len();
    }

    /// Hands out the items before the last one, and returns that one.
    fn take_item(&mut self, pieces: &mut Vec<Piece>) -> Vec<u8> {
        let item = if self.last_at > self.head.len() {
            let item = self.bytes.split_off(self.last_at);
            // The comma before it.
            self.bytes.pop();
            self.give_items(pieces);
            item
        } else {
            // An item that is alone may fill the message: it is moved, since a copy would be a second message in memory.
            let mut item = mem::replace(&mut self.bytes, self.head.clone());
            item.drain(..self.last_at);
            item
        };
        self.last_at = self.bytes.len();
        item
    }

    /// Hands out the list without its tail, and returns that as an object.
    fn take_tail(&mut self, pieces: &mut Vec<Piece>) -> Vec<u8> {
        let mut tail = self.bytes.split_off(self.last_at);
        // Before it was the comma.
        if let Some(first) = tail.first_mut() {
            *first = b'{';
        }
        self.add(b"}");
        self.give(pieces);
        tail
    }

    fn take_head(&mut self) -> Vec<u8> {
        self.bytes.clear();
        mem::take(&mut self.head)
    }

    fn give_items(&mut self, pieces: &mut Vec<Piece>) {
        if self.has_items() {
            self.add(CLOSE);
            self.give(pieces);
        }
    }

    fn give(&mut self, pieces: &mut Vec<Piece>) {
        let message = mem::replace(&mut self.bytes, self.head.clone());
        pieces.push(Piece::Whole(message));
        self.given = true;
    }
}
