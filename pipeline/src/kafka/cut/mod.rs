//! Cuts a body into messages, while it comes in.
//!
//! An API server posts up to 64 MiB at once; a broker takes about one. Slices of a body come in, cut anywhere; [`Piece`]s of at
//! most `limit` bytes go out. A list of events is cut between its items, and each message is a list again:
//!
//! ```text
//!  {"kind":"EventList",…,"items":[  a , b , c , d  ],"apiVersion":…}
//!  └──────────── head ───────────┘  └── items ──┘  └──── tail ────┘
//!
//!  head a , b ]}                     as many items as fit
//!               c₀ c₁ c₂             c alone is larger than a message: numbered parts, without the head
//!                        head d ]}
//! ```
//!
//! The scan knows strings, escapes and brackets, and nothing else: what JSON means is for the decoder, which reads the messages
//! later and can tell what is wrong with them. Here nothing is refused, since the sender waits for its acknowledgement. What is
//! no list (one event, gzip, a list whose items come before its kind) and what stops being one goes out *loose*: as it came, in
//! parts if it is larger than a message.
//!
//! [`Cutter`] knows where in the body it is. [`Head`] finds where items begin, and [`Scan`] where a value ends; [`List`] and
//! [`Loose`] hold what is to go out.
//!
//! 1. Bytes of items are neither lost nor changed nor reordered. What is left out: commas and white space between items, white
//!    space behind a list, and members behind the items which hold neither `[` nor `{` (another `kind`). A list that fits into
//!    one message keeps even these members, and an empty list stays.
//! 2. Pieces depend on the bytes alone, never on how they were split into slices.
//! 3. Memory is bounded: one message and a head, however long an item is. Pieces are handed out as they fill.
//! 4. Time is linear: each byte is looked at once and copied a bounded number of times.
//! 5. What is broken stays broken: the items that were whole go out as a message, and behind it, loose, all from the item that
//!    does not end, or from what stands where a comma should be. Only a body that stops between two items looks whole.

mod head;
mod list;
mod loose;
mod scan;
#[cfg(test)]
mod tests;

use std::mem;

use self::head::{Head, Looked};
use self::list::List;
use self::loose::Loose;
use self::scan::{Scan, Scanned, is_bracket, is_white, white_bytes};

/// 1 KiB: the least limit. Below, heads of ordinary lists would find no place in a quarter of it.
const LIMIT_BYTES_MIN: usize = 1024;

/// 4 KiB: the longest head, if it is no more than a quarter of a message. API servers write 80 bytes; as each message repeats
/// the head, a long one would multiply the bytes.
const HEAD_BYTES_MAX: usize = 4096;

/// Bytes in which a head is looked for at once. They are copied before it is known where it ends: with more, a body of many
/// small lists would be copied many times.
const HEAD_STEP_BYTES: usize = 256;

/// A part of a body that becomes one message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// A message of its own.
    Whole(Vec<u8>),
    /// A part of something larger than a message.
    Part {
        /// Which one of this body, from 0.
        of: u32,
        /// Which part of it, from 0.
        number: u32,
        /// Whether it ends here.
        last: bool,
        /// At most `limit`, and exactly that before the last.
        bytes: Vec<u8>,
    },
}

/// Cuts one body: any number of [`push`](Self::push), then [`finish`](Self::finish), once.
pub(crate) struct Cutter {
    place: Place,
    head_bytes_max: usize,
    /// The message being collected, while the body is a list.
    list: List,
    /// What stands for itself. While it is open, bytes go here and the list is empty, or not begun.
    loose: Loose,
}

/// What is expected next.
#[derive(Clone, Copy)]
enum Place {
    /// Behind a list: another, or the end.
    Gap,
    /// The start of a body, up to the `[` of its items.
    Head(Head),
    /// An item, or `]` if no comma was before.
    Before { may_end: bool },
    /// More of a string, an object or an array.
    Item(Scan),
    /// More of a number, or of what else needs no end of its own.
    Bare,
    /// A comma or `]`.
    After,
    /// A comma, or the `}` of the list's object.
    ListEnd,
    /// Members behind the items.
    Tail(Scan),
    /// Anything, to the end.
    Raw,
}

impl Cutter {
    /// For bodies that may be lists of events; `limit` is what a message may have.
    pub(crate) fn new(limit: usize) -> Self {
        Self::at(Place::Head(Head::default()), limit)
    }

    /// For bodies that are not to be looked into.
    pub(crate) fn raw(limit: usize) -> Self {
        Self::at(Place::Raw, limit)
    }

    fn at(place: Place, limit: usize) -> Self {
        let limit = limit.max(LIMIT_BYTES_MIN);
        let mut loose = Loose::new(limit);
        loose.start(Vec::new());
        Self {
            place,
            head_bytes_max: HEAD_BYTES_MAX.min(limit / 4),
            list: List::new(limit),
            loose,
        }
    }

    /// Takes the next bytes of the body, and hands out what is ready.
    pub(crate) fn push(&mut self, bytes: &[u8], pieces: &mut Vec<Piece>) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let used = self.step(rest, pieces);
            rest = rest.get(used..).unwrap_or_default();
        }
    }

    /// The body ends here. An empty one is an empty message, so that it is seen.
    pub(crate) fn finish(&mut self, pieces: &mut Vec<Piece>) {
        match mem::replace(&mut self.place, Place::Gap) {
            Place::Gap => {}
            Place::Head(_) | Place::Raw => self.loose.end(pieces),
            Place::Before { .. } | Place::After => {
                self.leave_list(pieces);
                self.loose.end_unless_empty(pieces);
            }
            Place::Item(_) | Place::Bare => {
                self.detach_item(pieces);
                self.loose.end(pieces);
            }
            Place::ListEnd => {
                self.end_list(pieces);
            }
            Place::Tail(_) => {
                self.detach_tail(pieces);
                self.loose.end(pieces);
            }
        }
    }

    /// Bytes this holds.
    #[cfg(test)]
    fn held_bytes(&self) -> usize {
        self.list.held_bytes() + self.loose.bytes.capacity()
    }

    /// Returns how many of the bytes were used. Where it uses none, it goes on to a place that does.
    fn step(&mut self, bytes: &[u8], pieces: &mut Vec<Piece>) -> usize {
        match self.place {
            Place::Gap => self.gap(bytes),
            Place::Head(head) => self.head(head, bytes, pieces),
            Place::Before { may_end } => self.before(may_end, bytes, pieces),
            Place::Item(scan) => self.item(scan, bytes, pieces),
            Place::Bare => self.bare(bytes, pieces),
            Place::After => self.after(bytes, pieces),
            Place::ListEnd => self.list_end(bytes, pieces),
            Place::Tail(scan) => self.tail(scan, bytes, pieces),
            Place::Raw => {
                self.loose.push(bytes, pieces);
                bytes.len()
            }
        }
    }

    fn gap(&mut self, bytes: &[u8]) -> usize {
        let white = white_bytes(bytes);
        if white < bytes.len() {
            self.loose.start(Vec::new());
            self.place = Place::Head(Head::default());
        }
        white
    }

    /// A body is loose until it is known to be a list: then its head is taken out.
    fn head(&mut self, mut head: Head, bytes: &[u8], pieces: &mut Vec<Piece>) -> usize {
        let before = self.loose.bytes.len();
        let step = bytes.len().min(HEAD_STEP_BYTES);
        self.loose.push(&bytes[..step], pieces);
        match head.look(&self.loose.bytes) {
            Looked::List { end } if end <= self.head_bytes_max => {
                let mut bytes = self.loose.take();
                bytes.truncate(end);
                bytes.drain(..head.start);
                self.list.begin(bytes);
                self.place = Place::Before { may_end: true };
                end - before
            }
            Looked::More if self.loose.bytes.len() <= self.head_bytes_max => {
                self.place = Place::Head(head);
                step
            }
            _ => {
                self.place = Place::Raw;
                step
            }
        }
    }

    fn before(&mut self, may_end: bool, bytes: &[u8], pieces: &mut Vec<Piece>) -> usize {
        let white = white_bytes(bytes);
        match bytes.get(white) {
            None => return white,
            Some(b']') if may_end => {
                self.close_items(pieces);
                return white + 1;
            }
            Some(b']' | b'}' | b',') => {
                self.leave_list(pieces);
                self.place = Place::Raw;
            }
            Some(b'{' | b'[' | b'"') => {
                self.list.begin_item();
                self.place = Place::Item(Scan::default());
            }
            Some(_) => {
                self.list.begin_item();
                self.place = Place::Bare;
            }
        }
        white
    }

    fn item(&mut self, mut scan: Scan, bytes: &[u8], pieces: &mut Vec<Piece>) -> usize {
        let (used, scanned) = scan.run(bytes);
        self.keep_item(&bytes[..used], pieces);
        self.place = match scanned {
            Scanned::More => Place::Item(scan),
            Scanned::Closed => {
                self.end_item(pieces);
                Place::After
            }
            Scanned::TooDeep => {
                self.detach_item(pieces);
                Place::Raw
            }
        };
        used
    }

    fn bare(&mut self, bytes: &[u8], pieces: &mut Vec<Piece>) -> usize {
        let end = bytes
            .iter()
            .position(|byte| is_white(*byte) || matches!(byte, b',' | b'"') || is_bracket(*byte));
        let used = end.unwrap_or(bytes.len());
        self.keep_item(&bytes[..used], pieces);
        match bytes.get(used) {
            None => {}
            Some(b'"' | b'{' | b'[' | b'}') => {
                self.detach_item(pieces);
                self.place = Place::Raw;
            }
            Some(_) => {
                self.end_item(pieces);
                self.place = Place::After;
            }
        }
        used
    }

    fn after(&mut self, bytes: &[u8], pieces: &mut Vec<Piece>) -> usize {
        let white = white_bytes(bytes);
        match bytes.get(white) {
            None => white,
            Some(b',') => {
                self.place = Place::Before { may_end: false };
                white + 1
            }
            Some(b']') => {
                self.close_items(pieces);
                white + 1
            }
            Some(_) => {
                self.leave_list(pieces);
                self.place = Place::Raw;
                white
            }
        }
    }

    fn list_end(&mut self, bytes: &[u8], pieces: &mut Vec<Piece>) -> usize {
        let white = white_bytes(bytes);
        match bytes.get(white) {
            None => white,
            Some(b',') => {
                if self.loose.is_open {
                    self.loose.push(b"{", pieces);
                } else {
                    self.list.add(b",");
                }
                self.place = Place::Tail(Scan::inside());
                white + 1
            }
            Some(b'}') => {
                self.end_list(pieces);
                self.place = Place::Gap;
                white + 1
            }
            Some(_) => {
                self.end_list(pieces);
                self.loose.start(Vec::new());
                self.place = Place::Raw;
                white
            }
        }
    }

    fn tail(&mut self, mut scan: Scan, bytes: &[u8], pieces: &mut Vec<Piece>) -> usize {
        let (used, scanned) = scan.run(bytes);
        let bytes = &bytes[..used];
        if self.list.room() < used {
            self.detach_tail(pieces);
        }
        if self.loose.is_open {
            self.loose.push(bytes, pieces);
        } else {
            self.list.add(bytes);
        }
        self.place = match scanned {
            Scanned::More => Place::Tail(scan),
            Scanned::Closed if bytes.ends_with(b"}") => {
                self.end_tail(scan.opened, pieces);
                Place::Gap
            }
            Scanned::Closed | Scanned::TooDeep => {
                self.detach_tail(pieces);
                Place::Raw
            }
        };
        used
    }
}

/// Grows by doubling, but never beyond `limit`: a vector's own growth would take up to twice as much.
fn append(to: &mut Vec<u8>, bytes: &[u8], limit: usize) {
    let needed = to.len() + bytes.len();
    if needed > to.capacity() {
        let wanted = (to.capacity() * 2).min(limit).max(needed);
        to.reserve_exact(wanted - to.len());
    }
    to.extend_from_slice(bytes);
}
