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
//! 1. Bytes of items are neither lost nor changed nor reordered. What is left out: commas and white space between items, white
//!    space behind a list, and members behind the items which hold neither `[` nor `{` (another `kind`). A list that fits into
//!    one message keeps even these members, and an empty list stays.
//! 2. Pieces depend on the bytes alone, never on how they were split into slices.
//! 3. Memory is bounded: one message and a head, however long an item is. Pieces are handed out as they fill.
//! 4. Time is linear: each byte is looked at once and copied a bounded number of times.
//! 5. What is broken stays broken: the items that were whole go out as a message, and behind it, loose, all from the item that
//!    does not end, or from what stands where a comma should be. Only a body that stops between two items looks whole.

use std::mem;

/// 1 KiB: the least limit. Below, heads of ordinary lists would find no place in a quarter of it.
const LIMIT_BYTES_MIN: usize = 1024;

/// 4 KiB: the longest head, if it is no more than a quarter of a message. API servers write 80 bytes; as each message repeats
/// the head, a long one would multiply the bytes.
const HEAD_BYTES_MAX: usize = 4096;

/// Bytes in which a head is looked for at once. They are copied before it is known where it ends: with more, a body of many
/// small lists would be copied many times.
const HEAD_STEP_BYTES: usize = 256;

/// 1 Mi: deeper structures are loose. Go, and so every API server, reads and writes at most 10,000.
const DEPTH_MAX: u32 = 1 << 20;

/// What ends a message whose head begins a list.
const CLOSE: &[u8] = b"]}";

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
        self.list.head.capacity() + self.list.bytes.capacity() + self.loose.bytes.capacity()
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

    /// Adds to the item. If it does not fit behind those before it, they go; if it does not fit alone, it becomes loose.
    fn keep_item(&mut self, bytes: &[u8], pieces: &mut Vec<Piece>) {
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

    fn end_item(&mut self, pieces: &mut Vec<Piece>) {
        if self.loose.is_open {
            self.loose.end(pieces);
        }
    }

    /// What was thought to be an item is none, or does not end.
    fn detach_item(&mut self, pieces: &mut Vec<Piece>) {
        if !self.loose.is_open {
            let item = self.list.take_item(pieces);
            self.loose.start(item);
        }
    }

    /// The list stops between items without an end. If nothing was in it, its head is all there is to tell of it.
    fn leave_list(&mut self, pieces: &mut Vec<Piece>) {
        let is_empty = !self.list.given && !self.list.has_items();
        self.list.give_items(pieces);
        let rest = self.list.take_head();
        self.loose.start(if is_empty { rest } else { Vec::new() });
    }

    /// At the `]`. While the list is one message, its tail belongs to it; behind several, the tail is a thing of its own.
    fn close_items(&mut self, pieces: &mut Vec<Piece>) {
        if self.list.given {
            self.list.give_items(pieces);
            self.loose.start(Vec::new());
        } else {
            self.list.begin_tail();
        }
        self.place = Place::ListEnd;
    }

    /// There is no tail, or it is to be left out.
    fn end_list(&mut self, pieces: &mut Vec<Piece>) {
        if self.loose.is_open {
            self.loose.take();
        } else {
            self.list.add(b"}");
            self.list.give(pieces);
        }
    }

    /// At the `}` of the list's object, which is already added.
    fn end_tail(&mut self, opened: bool, pieces: &mut Vec<Piece>) {
        if !self.loose.is_open {
            self.list.give(pieces);
        } else if opened || self.loose.parts > 0 {
            self.loose.end(pieces);
        } else {
            self.loose.take();
        }
    }

    /// The tail is too large for the message of its list, or is none.
    fn detach_tail(&mut self, pieces: &mut Vec<Piece>) {
        if !self.loose.is_open {
            let tail = self.list.take_tail(pieces);
            self.loose.start(tail);
        }
    }
}

/// A message in the making: a head, items, commas between them; the end of the list, too, if all of it is this message.
struct List {
    limit: usize,
    head: Vec<u8>,
    bytes: Vec<u8>,
    /// Where the last item begins, or the tail.
    last_at: usize,
    /// Whether something of this list was handed out.
    given: bool,
}

impl List {
    fn new(limit: usize) -> Self {
        Self {
            limit,
            head: Vec::new(),
            bytes: Vec::new(),
            last_at: 0,
            given: false,
        }
    }

    fn begin(&mut self, head: Vec<u8>) {
        self.bytes.clone_from(&head);
        self.head = head;
        self.given = false;
    }

    fn has_items(&self) -> bool {
        self.bytes.len() > self.head.len()
    }

    fn room(&self) -> usize {
        self.limit.saturating_sub(self.bytes.len())
    }

    fn add(&mut self, bytes: &[u8]) {
        append(&mut self.bytes, bytes, self.limit);
    }

    fn begin_item(&mut self) {
        if self.has_items() {
            self.add(b",");
        }
        self.last_at = self.bytes.len();
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

/// Bytes that go out as they came: whole if they fit, otherwise in numbered parts.
struct Loose {
    limit: usize,
    is_open: bool,
    bytes: Vec<u8>,
    /// How many of this body were larger than a message.
    of: u32,
    /// Parts handed out of this one.
    parts: u32,
}

impl Loose {
    fn new(limit: usize) -> Self {
        Self {
            limit,
            is_open: false,
            bytes: Vec::new(),
            of: 0,
            parts: 0,
        }
    }

    fn start(&mut self, bytes: Vec<u8>) {
        self.is_open = true;
        self.bytes = bytes;
    }

    fn take(&mut self) -> Vec<u8> {
        self.is_open = false;
        mem::take(&mut self.bytes)
    }

    /// A part goes when there is more behind it, since only then it is known not to be the last.
    fn push(&mut self, mut bytes: &[u8], pieces: &mut Vec<Piece>) {
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

    fn end(&mut self, pieces: &mut Vec<Piece>) {
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

    fn end_unless_empty(&mut self, pieces: &mut Vec<Piece>) {
        if !self.bytes.is_empty() {
            self.end(pieces);
        }
    }
}

/// Where in a body that may be a list a look for its items is.
#[derive(Clone, Copy, Default)]
struct Head {
    /// Bytes that were looked at.
    looked: usize,
    /// Where the `{` is.
    start: usize,
    depth: u32,
    text: Text,
    string_at: usize,
    member: Member,
    /// Whether a member was `EventList`.
    is_event_list: bool,
}

/// What a look at the start of a body saw.
enum Looked {
    /// Not enough.
    More,
    /// A list of events, whose head ends here.
    List { end: usize },
    /// Something else.
    Other,
}

/// Where in a member of the top object. What is deeper is in its [`Rest`](Self::Rest).
#[derive(Clone, Copy, Default)]
enum Member {
    #[default]
    Key,
    /// Behind a key.
    Named { items: bool },
    /// Behind its colon.
    Value { items: bool },
    /// In the value, or behind it.
    Rest,
}

impl Head {
    /// Looks at what is new in all the bytes so far. Byte by byte, as heads are short.
    fn look(&mut self, bytes: &[u8]) -> Looked {
        for at in self.looked..bytes.len() {
            let looked = match self.text {
                Text::Outside if self.depth == 0 => self.top(bytes[at], at),
                Text::Outside => self.outside(bytes[at], at),
                Text::Inside => self.inside(bytes, at),
                Text::Escaped => {
                    self.text = Text::Inside;
                    Looked::More
                }
            };
            if !matches!(looked, Looked::More) {
                return looked;
            }
        }
        self.looked = bytes.len();
        Looked::More
    }

    fn top(&mut self, byte: u8, at: usize) -> Looked {
        match byte {
            b'{' => {
                self.start = at;
                self.depth = 1;
                Looked::More
            }
            byte if is_white(byte) => Looked::More,
            _ => Looked::Other,
        }
    }

    fn outside(&mut self, byte: u8, at: usize) -> Looked {
        match byte {
            b'[' if matches!(self.member, Member::Value { items: true }) => {
                return if self.is_event_list {
                    Looked::List { end: at + 1 }
                } else {
                    Looked::Other
                };
            }
            b'"' => {
                self.text = Text::Inside;
                self.string_at = at;
            }
            b'{' | b'[' => {
                self.member = Member::Rest;
                self.depth += 1;
            }
            b'}' | b']' => {
                self.depth -= 1;
                if self.depth == 0 {
                    return Looked::Other;
                }
            }
            byte if self.depth == 1 && !is_white(byte) => self.punctuation(byte),
            _ => {}
        }
        Looked::More
    }

    fn punctuation(&mut self, byte: u8) {
        self.member = match (byte, self.member) {
            (b',', _) => Member::Key,
            (b':', Member::Named { items }) => Member::Value { items },
            _ => Member::Rest,
        };
    }

    fn inside(&mut self, bytes: &[u8], at: usize) -> Looked {
        match bytes[at] {
            b'\\' => self.text = Text::Escaped,
            b'"' => {
                self.text = Text::Outside;
                self.string(&bytes[self.string_at..=at]);
            }
            _ => {}
        }
        Looked::More
    }

    fn string(&mut self, string: &[u8]) {
        self.member = match self.member {
            Member::Key => Member::Named {
                items: string == b"\"items\"",
            },
            Member::Value { .. } => {
                self.is_event_list |= string == b"\"EventList\"";
                Member::Rest
            }
            Member::Named { .. } | Member::Rest => Member::Rest,
        };
    }
}

/// Where in a value a scan is. It only counts brackets: which kinds belong together is for the decoder.
#[derive(Clone, Copy, Default)]
struct Scan {
    depth: u32,
    text: Text,
    /// Whether a bracket was opened.
    opened: bool,
}

#[derive(Clone, Copy, Default)]
enum Text {
    #[default]
    Outside,
    /// In a string.
    Inside,
    /// Behind a backslash in a string.
    Escaped,
}

/// Why a scan stopped.
enum Scanned {
    /// The bytes are used up.
    More,
    /// What was open at its start is closed; so is a string that is all of the value.
    Closed,
    /// Beyond [`DEPTH_MAX`].
    TooDeep,
}

impl Scan {
    /// Within the brackets of an object, until they close.
    fn inside() -> Self {
        Self {
            depth: 1,
            ..Self::default()
        }
    }

    /// Returns how many bytes belong to the value.
    fn run(&mut self, bytes: &[u8]) -> (usize, Scanned) {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            at += match self.text {
                Text::Outside => outside_bytes(rest),
                Text::Inside => string_bytes(rest),
                Text::Escaped => 0,
            };
            let Some(&byte) = bytes.get(at) else { break };
            at += 1;
            if let Some(end) = self.turn(byte) {
                return (at, end);
            }
        }
        (bytes.len(), Scanned::More)
    }

    /// Takes a byte that means something where it stands.
    fn turn(&mut self, byte: u8) -> Option<Scanned> {
        match (self.text, byte) {
            (Text::Inside, b'\\') => self.text = Text::Escaped,
            (Text::Inside, _) => {
                self.text = Text::Outside;
                return (self.depth == 0).then_some(Scanned::Closed);
            }
            (Text::Escaped, _) | (Text::Outside, b'"') => self.text = Text::Inside,
            (Text::Outside, b'{' | b'[') => {
                self.opened = true;
                self.depth += 1;
                return (self.depth > DEPTH_MAX).then_some(Scanned::TooDeep);
            }
            (Text::Outside, _) => {
                self.depth = self.depth.saturating_sub(1);
                return (self.depth == 0).then_some(Scanned::Closed);
            }
        }
        None
    }
}

/// Bytes before the next quote or backslash. Eight at a time: most bytes of an event are in strings, and with this the whole cut
/// is a quarter faster than with [`plain_string_bytes`], which is its definition.
fn string_bytes(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    for (number, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let found = zero_bytes(word ^ (ONES * u64::from(b'"')))
            | zero_bytes(word ^ (ONES * u64::from(b'\\')));
        if found != 0 {
            return number * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    words.len() * 8 + plain_string_bytes(rest)
}

/// A word of ones.
const ONES: u64 = u64::MAX / 255;

/// The lowest bit that is set tells the first byte that is zero. Those above may be wrong.
fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & (ONES << 7)
}

fn plain_string_bytes(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .position(|byte| matches!(byte, b'"' | b'\\'))
        .unwrap_or(bytes.len())
}

/// Bytes before the next quote or bracket.
fn outside_bytes(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .position(|byte| *byte == b'"' || is_bracket(*byte))
        .unwrap_or(bytes.len())
}

fn white_bytes(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .position(|byte| !is_white(*byte))
        .unwrap_or(bytes.len())
}

/// What JSON takes for white space.
fn is_white(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

fn is_bracket(byte: u8) -> bool {
    matches!(byte, b'{' | b'}' | b'[' | b']')
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

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        r#"{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":["#;

    fn cut_slices<'a>(
        mut cutter: Cutter,
        slices: impl IntoIterator<Item = &'a [u8]>,
    ) -> Vec<Piece> {
        let mut pieces = Vec::new();
        // Of the head there is a copy in each message, and one to copy from.
        let bound = cutter.list.limit + 3 * cutter.head_bytes_max;
        for slice in slices {
            cutter.push(slice, &mut pieces);
            let held = cutter.held_bytes();
            assert!(held <= bound, "{held} held");
        }
        cutter.finish(&mut pieces);
        check_sizes(&pieces, cutter.list.limit);
        pieces
    }

    #[track_caller]
    fn check_sizes(pieces: &[Piece], limit: usize) {
        let mut open: Option<(u32, u32)> = None;
        let mut next_of = 0;
        for piece in pieces {
            match piece {
                Piece::Whole(bytes) => {
                    assert_eq!(open, None, "a message between parts");
                    assert!(bytes.len() <= limit);
                }
                Piece::Part {
                    of,
                    number,
                    last,
                    bytes,
                } => {
                    assert_eq!((*of, *number), open.unwrap_or((next_of, 0)));
                    assert!(!bytes.is_empty() && bytes.len() <= limit);
                    assert!(*last || bytes.len() == limit);
                    open = (!last).then_some((*of, number + 1));
                    next_of = of + 1;
                }
            }
        }
        assert_eq!(open, None, "parts without a last one");
    }

    /// Cuts at once and byte by byte, which must be the same.
    #[track_caller]
    fn cut(body: &[u8], limit: usize) -> Vec<Piece> {
        let at_once = cut_slices(Cutter::new(limit), [body]);
        let by_bytes = cut_slices(Cutter::new(limit), body.chunks(1));
        assert!(at_once == by_bytes, "slices matter");
        at_once
    }

    /// Pieces as texts, parts of one thing joined.
    fn texts(pieces: &[Piece]) -> Vec<String> {
        let mut texts: Vec<Vec<u8>> = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Whole(bytes)
                | Piece::Part {
                    number: 0, bytes, ..
                } => texts.push(bytes.clone()),
                Piece::Part { bytes, .. } => texts.last_mut().unwrap().extend(bytes),
            }
        }
        let text = |bytes| String::from_utf8(bytes).unwrap();
        texts.into_iter().map(text).collect()
    }

    #[track_caller]
    fn check(body: &str, limit: usize, expected: &[&str]) {
        assert_eq!(texts(&cut(body.as_bytes(), limit)), expected);
    }

    /// A JSON string of this many bytes.
    fn text_item(bytes: usize) -> String {
        format!("\"{}\"", "x".repeat(bytes - 2))
    }

    #[test]
    fn a_list_that_fits_stays_as_it_is() {
        let body = format!(r#"{HEAD}{{"a":"]}}\"","b":[1,{{}}]}},{{"c":"\\"}}]}}"#);
        check(&body, 1024, &[&body]);
        let with_tail = format!(r#"{HEAD}{{"a":1}}],"metadata":{{"b":[{{}}]}} , "kind":"x"}}"#);
        check(&with_tail, 1024, &[&with_tail]);
    }

    #[test]
    fn an_empty_list_stays() {
        let body = format!("{HEAD}]}}");
        check(&body, 1024, &[&body]);
        let with_tail = format!(r#"{HEAD}],"a":1}}"#);
        check(&with_tail, 1024, &[&with_tail]);
    }

    #[test]
    fn an_empty_body_is_an_empty_message() {
        assert_eq!(cut(b"", 1024), [Piece::Whole(Vec::new())]);
        let raw = cut_slices(Cutter::raw(1024), [[].as_slice()]);
        assert_eq!(raw, [Piece::Whole(Vec::new())]);
        check(" \n", 1024, &[" \n"]);
    }

    #[test]
    fn the_head_is_what_stands_before_the_items() {
        let body = "\n { \"items\" : {\"items\":[1]}, \"k\\\"\":[\"EventList\"] ,\"kind\" :\"EventList\",\"items\" : [ 1 , 2 ] } ";
        let message = "{ \"items\" : {\"items\":[1]}, \"k\\\"\":[\"EventList\"] ,\"kind\" :\"EventList\",\"items\" : [1,2]}";
        check(body, 1024, &[message]);
    }

    #[test]
    fn messages_are_as_full_as_they_can_be() {
        let room = 1024 - HEAD.len() - CLOSE.len();
        for (second, messages) in [(room - 101, 1), (room - 100, 2)] {
            let items = [text_item(100), text_item(second)];
            let body = format!("{HEAD}{} ,\n{}\t]\n}}", items[0], items[1]);
            let pieces = texts(&cut(body.as_bytes(), 1024));
            assert_eq!(pieces.len(), messages);
            let joined = pieces.join("").replace(&format!("]}}{HEAD}"), ",");
            assert_eq!(joined, format!("{HEAD}{},{}]}}", items[0], items[1]));
        }
    }

    #[test]
    fn an_item_larger_than_a_message_goes_in_parts() {
        let large = format!(r#"{{"a":"{}"}}"#, "x\\\"".repeat(1000));
        let body = format!("{HEAD}{{}},{large},[1]]}}");
        let before = format!("{HEAD}{{}}]}}");
        let after = format!("{HEAD}[1]]}}");
        check(&body, 1024, &[&before, &large, &after]);
        let pieces = cut(body.as_bytes(), 1024);
        let part = |piece: &Piece| match piece {
            Piece::Whole(_) => None,
            Piece::Part {
                of, number, last, ..
            } => Some((*of, *number, *last)),
        };
        let parts: Vec<_> = pieces.iter().filter_map(part).collect();
        assert_eq!(parts, [(0, 0, false), (0, 1, false), (0, 2, true)]);
    }

    #[test]
    fn larger_items_are_numbered() {
        let large = text_item(1500);
        let body = format!("{HEAD}{large},{large}]}}");
        check(&body, 1024, &[&large, &large]);
        let pieces = cut(body.as_bytes(), 1024);
        assert!(matches!(
            pieces[2],
            Piece::Part {
                of: 1,
                number: 0,
                ..
            }
        ));
    }

    #[test]
    fn an_item_that_fits_only_without_the_head_is_whole() {
        for bytes in [1024 - HEAD.len() - 1, 1024] {
            let item = text_item(bytes);
            let body = format!("{HEAD}1,{item},2]}}");
            let expected = [format!("{HEAD}1]}}"), item, format!("{HEAD}2]}}")];
            check(&body, 1024, &expected.each_ref().map(String::as_str));
            assert_eq!(cut(body.as_bytes(), 1024).len(), 3);
        }
    }

    #[test]
    fn parts_go_out_while_the_item_comes_in() {
        let mut cutter = Cutter::new(1024);
        let mut pieces = Vec::new();
        cutter.push(HEAD.as_bytes(), &mut pieces);
        cutter.push(b"\"", &mut pieces);
        for _ in 0..1000 {
            cutter.push(&[b'x'; 100], &mut pieces);
        }
        assert_eq!(pieces.len(), 97);
        cutter.finish(&mut pieces);
        check_sizes(&pieces, 1024);
    }

    #[test]
    fn what_is_no_list_of_events_is_unchanged() {
        let long_head = format!(
            r#"{{"a":"{}","kind":"EventList","items":[1]}}"#,
            "x".repeat(230)
        );
        for body in [
            r#"{"kind":"Event","items":[1, 2]}"#,
            r#"{"items":[1, 2],"kind":"EventList"}"#,
            r#"{"kind":"EventList","items":null} {"kind":"EventList","items":[1, 2]}"#,
            r#"{"a":"EventList\"","items":[1, 2]}"#,
            r#"{"a":{"kind":"EventList"},"items":[1, 2]}"#,
            r#"{"kind":"EventList","items" "a":[1, 2]}"#,
            r#"{"kind":"EventList","items":"a"[1, 2]}"#,
            r#"{"kind":"EventList"]"items":[1, 2]}"#,
            r#"{"kind":"EventList","it"#,
            " [1, 2]",
            "\u{1f}\u{0}{\"",
            "{\"a\":1}\n{\"b\":2}\n",
            &long_head,
        ] {
            check(body, 1024, &[body]);
            let long = format!("{body}{}", " ".repeat(5000));
            check(&long, 1024, &[&long]);
        }
    }

    #[test]
    fn heads_have_a_limit() {
        let body = |name: usize| {
            let name = "x".repeat(name);
            format!(r#"{{"a":"{name}","kind":"EventList","items":[1, 2]}}"#)
        };
        let head_bytes = body(0).find('[').unwrap() + 1;
        for (limit, head_bytes_max) in [(1024, 256), (16384, 4096), (1 << 20, 4096)] {
            let longest = body(head_bytes_max - head_bytes);
            check(&longest, limit, &[&longest.replace(", 2", ",2")]);
            let longer = body(head_bytes_max - head_bytes + 1);
            check(&longer, limit, &[&longer]);
        }
    }

    #[test]
    fn raw_is_never_looked_into() {
        let body = format!("{HEAD}1, 2]}}").repeat(40);
        let slices = body.as_bytes().chunks(7);
        let pieces = cut_slices(Cutter::raw(1024), slices);
        assert_eq!(pieces.len(), body.len().div_ceil(1024));
        assert_eq!(texts(&pieces), [body]);
    }

    #[test]
    fn parts_of_raw_bodies_are_full_but_the_last() {
        for (bytes, parts) in [(1023, 1), (1024, 1), (1025, 2), (2048, 2), (2049, 3)] {
            let body = "x".repeat(bytes);
            check(&body, 1024, &[&body]);
            assert_eq!(cut(body.as_bytes(), 1024).len(), parts);
        }
    }

    #[test]
    fn members_behind_several_messages_are_kept_if_they_may_hold_events() {
        let item = text_item(900);
        let message = format!("{HEAD}{item}]}}");
        let body = |tail: &str| format!("{HEAD}{item},{item} ] {tail}}}");
        let messages = [message.as_str(), message.as_str()];
        check(&body(""), 1024, &messages);
        check(&body(r#", "kind":"a{[" "#), 1024, &messages);
        let kept = r#"{"kind":"x","items":[{"a":1}] }"#;
        let tail = kept.replacen('{', ",", 1);
        let tail = tail.strip_suffix('}').unwrap();
        check(&body(tail), 1024, &[messages.as_slice(), &[kept]].concat());
    }

    #[test]
    fn members_that_do_not_fit_behind_their_list_are_a_piece() {
        for bytes in [1000, 3000] {
            let tail = format!(r#""items":[{}]}}"#, text_item(bytes));
            let body = format!("{HEAD}1],{tail}");
            check(&body, 1024, &[&format!("{HEAD}1]}}"), &format!("{{{tail}")]);
            let empty = format!("{HEAD}],{tail}");
            check(&empty, 1024, &[&format!("{HEAD}]}}"), &format!("{{{tail}")]);
        }
    }

    #[test]
    fn members_are_left_out_or_kept_by_what_they_may_hold_not_by_where_they_fit() {
        let message = format!("{HEAD}1]}}");
        let tail = |bytes: usize| format!(r#""a":{}}}"#, text_item(bytes));
        let fits = 1024 - message.len() - tail(2).len() + 2;
        let fitting = format!("{HEAD}1],{}", tail(fits));
        assert_eq!(fitting.len(), 1024);
        check(&fitting, 1024, &[&fitting]);
        let longer = format!("{HEAD}1],{}", tail(fits + 1));
        check(&longer, 1024, &[&message]);
        // It is larger than a message, and its first part went before its end was known.
        let parts = format!("{HEAD}1],{}", tail(3000));
        check(&parts, 1024, &[&message, &format!("{{{}", tail(3000))]);
    }

    #[test]
    fn lists_may_follow_each_other() {
        let body = format!("{HEAD}1]}}\n {HEAD}]}}{HEAD}2]}} {{\"a\":1}} {HEAD}3]}}");
        let rest = format!("{{\"a\":1}} {HEAD}3]}}");
        let lists = [
            format!("{HEAD}1]}}"),
            format!("{HEAD}]}}"),
            format!("{HEAD}2]}}"),
            rest,
        ];
        check(&body, 1024, &lists.each_ref().map(String::as_str));
    }

    #[test]
    fn an_unfinished_item_is_a_piece_behind_those_that_were_whole() {
        let whole = format!("{HEAD}{{\"a\":1}}]}}");
        for unfinished in [r#"{"b"#, r#"{"b\"#, r#"{"b":[{}"#, "\"b", "tru"] {
            let body = format!("{HEAD}{{\"a\":1}},{unfinished}");
            check(&body, 1024, &[&whole, unfinished]);
            let body = format!("{HEAD}{unfinished}");
            check(&body, 1024, &[unfinished]);
        }
        let long = text_item(3000);
        let body = format!("{HEAD}{{\"a\":1}},{}", &long[..2999]);
        check(&body, 1024, &[&whole, &long[..2999]]);
    }

    #[test]
    fn a_body_may_end_between_items() {
        let message = format!("{HEAD}1,2]}}");
        for end in ["", " ", ", ", "]", "] "] {
            check(&format!("{HEAD}1, 2 {end}"), 1024, &[&message]);
        }
        check(&format!("{HEAD} "), 1024, &[HEAD]);
        check(&format!("{HEAD}]"), 1024, &[&format!("{HEAD}]}}")]);
        check(
            &format!("{HEAD}1],\"a\":"),
            1024,
            &[&format!("{HEAD}1]}}"), "{\"a\":"],
        );
        let long = text_item(3000);
        check(&format!("{HEAD}{long}, "), 1024, &[&long]);
        check(&format!("{HEAD}{long}] "), 1024, &[&long]);
        check(&format!("{HEAD}{long}],"), 1024, &[&long, "{"]);
    }

    #[test]
    fn what_stops_being_a_list_is_raw_from_there() {
        let message = format!("{HEAD}{{\"a\":1}}]}}");
        for rest in ["{\"b\":2}, 3]}", "\"b\", 3]}", "}, 3]}", "4, 3]}"] {
            check(
                &format!("{HEAD}{{\"a\":1}} {rest}"),
                1024,
                &[&message, rest],
            );
        }
        for rest in [", 3]}", "]}", "}, 3]", "tr{}, 3]}", "1\"a\" , 3]}", "1} "] {
            check(
                &format!("{HEAD}{{\"a\":1}} , {rest}"),
                1024,
                &[&message, rest],
            );
        }
        for rest in ["], 3]}", "[1, 2] "] {
            check(
                &format!("{HEAD}{{\"a\":1}}] {rest}"),
                1024,
                &[&message, rest],
            );
        }
        let tail = format!("{HEAD}{{\"a\":1}}], 3] , {HEAD}4, 5]}}");
        check(&tail, 1024, &[&message, &format!("{{ 3] , {HEAD}4, 5]}}")]);
        let unchanged = format!("{HEAD}}}, {HEAD}4, 5]}}");
        check(&unchanged, 1024, &[&unchanged]);
    }

    #[test]
    fn a_list_that_breaks_behind_a_larger_item_ends_its_parts() {
        let long = text_item(3000);
        check(&format!("{HEAD}{long}x, 1"), 1024, &[&long, "x, 1"]);
        let bare = "1".repeat(3000);
        check(
            &format!("{HEAD}{bare}{{, 1"),
            1024,
            &[&format!("{bare}{{, 1")],
        );
    }

    #[test]
    fn what_is_too_deep_is_raw() {
        let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        let texts = |item: &str| {
            let body = format!("{HEAD}1,{item}, 2 ]}}");
            texts(&cut_slices(Cutter::new(1 << 22), [body.as_bytes()]))
        };
        let deepest = deep(DEPTH_MAX as usize);
        assert!(texts(&deepest) == [format!("{HEAD}1,{deepest},2]}}")]);
        let deeper = deep(DEPTH_MAX as usize + 1);
        assert!(texts(&deeper) == [format!("{HEAD}1]}}"), format!("{deeper}, 2 ]}}")]);
    }

    #[test]
    fn a_limit_has_a_least_value() {
        let body = "x".repeat(1024);
        assert_eq!(cut(body.as_bytes(), 0).len(), 1);
    }

    #[test]
    fn strings_end_where_the_definition_says() {
        let mut random = Random(7);
        for _ in 0..20_000 {
            let length = random.below(40);
            let byte = |random: &mut Random| random.of(b"\"\\!#[]\xa2\xdc\x22x\x00\xff");
            let bytes: Vec<u8> = (0..length).map(|_| byte(&mut random)).collect();
            assert_eq!(string_bytes(&bytes), plain_string_bytes(&bytes));
        }
    }

    /// xorshift64*.
    struct Random(u64);

    impl Random {
        fn below(&mut self, bound: usize) -> usize {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
            usize::try_from(high).unwrap() % bound
        }

        fn of<T: Copy>(&mut self, choices: &[T]) -> T {
            choices[self.below(choices.len())]
        }

        fn white(&mut self) -> &'static str {
            self.of(&["", "", "", " ", "\n", "\r\n\t", "    "])
        }

        fn string(&mut self) -> String {
            let mut text = String::from("\"");
            for _ in 0..self.below(12) {
                text += self.of(&[
                    "a",
                    "items",
                    "EventList",
                    "{",
                    "}",
                    "[",
                    "]",
                    "],",
                    "]}",
                    ",",
                    ":",
                    " ",
                    "\\\"",
                    "\\\\",
                    "\\n",
                    "\\u007b",
                    "ü",
                    "→",
                    "🦀",
                ]);
            }
            text + "\""
        }

        fn value(&mut self, depth: usize) -> String {
            match self.below(if depth == 0 { 4 } else { 8 }) {
                0 | 1 => self.string(),
                2 => self.of(&["1", "-2.5e3", "true", "null"]).to_owned(),
                3 => self.of(&["{}", "[]", "[ ]", "\"\""]).to_owned(),
                4 | 5 => self.list(depth, "[", "]", |_| String::new()),
                _ => self.list(depth, "{", "}", |random| random.string() + ": "),
            }
        }

        fn list(
            &mut self,
            depth: usize,
            open: &str,
            close: &str,
            key: impl Fn(&mut Self) -> String,
        ) -> String {
            let count = self.below(4);
            let member = |_| key(self) + &self.value(depth - 1) + self.white();
            let members: Vec<String> = (0..count).map(member).collect();
            format!("{open}{}{close}", members.join(","))
        }

        /// Mostly small, now and then of the size of a message or several.
        fn item(&mut self) -> String {
            match self.below(20) {
                0 => {
                    let bytes = 700 + self.below(3000);
                    format!("[{},{}]", text_item(bytes), self.value(2))
                }
                1 => text_item(2 + self.below(2000)),
                2 => self.value(0),
                _ => {
                    let value = self.value(4);
                    format!("{{\"a\":{value}}}")
                }
            }
        }

        /// Cuts with random slices.
        fn cut(&mut self, body: &[u8], limit: usize) -> Vec<Piece> {
            let most = self.of(&[1, 10, 300, 5000, 100_000]);
            let mut slices = Vec::new();
            let mut rest = body;
            while !rest.is_empty() {
                let (slice, later) = rest.split_at(self.below(most + 1).min(rest.len()));
                slices.push(slice);
                rest = later;
            }
            cut_slices(Cutter::new(limit), slices)
        }
    }

    const TAILS: [&str; 5] = [
        "",
        "",
        r#","apiVersion":"a{]","b":1"#,
        r#","more":[{"x":"}"}]"#,
        r#","last":{}"#,
    ];

    struct RandomList {
        head: String,
        items: Vec<String>,
        tail: &'static str,
        text: String,
        /// Where in the text each item begins and ends.
        spans: Vec<(usize, usize)>,
        /// Where the items end.
        close_at: usize,
    }

    impl RandomList {
        fn new(random: &mut Random) -> Self {
            let head = match random.below(3) {
                0 => HEAD.to_owned(),
                1 => "{ \"kind\":\"EventList\", \"items\" :\n[".to_owned(),
                _ => HEAD.replace("{}", &format!("{{\"a\":{}}}", random.string())),
            };
            let count = random.of(&[0, 1, 2, 5, 20, 60]);
            let items: Vec<String> = (0..count).map(|_| random.item()).collect();
            let tail = random.of(&TAILS);
            let mut text = head.clone() + random.white();
            let mut spans = Vec::new();
            for (number, item) in items.iter().enumerate() {
                if number > 0 {
                    text = text + random.white() + "," + random.white();
                }
                spans.push((text.len(), text.len() + item.len()));
                text += item;
            }
            text += random.white();
            let close_at = text.len();
            text = text + "]" + random.white() + tail + "}" + random.white();
            Self {
                head,
                items,
                tail,
                text,
                spans,
                close_at,
            }
        }

        /// Takes the pieces of this list off, and asserts that they are what the module says.
        fn check<'a>(&self, mut pieces: &'a [String], limit: usize) -> &'a [String] {
            let mut items = self.items.as_slice();
            let mut messages = 0;
            let mut tail = "";
            while messages == 0 || !items.is_empty() {
                let (piece, later) = pieces.split_first().unwrap();
                pieces = later;
                messages += 1;
                let Some(mut rest) = piece.strip_prefix(&self.head) else {
                    let (item, later) = items.split_first().unwrap();
                    assert_eq!(piece, item);
                    assert!(self.head.len() + item.len() + CLOSE.len() > limit);
                    items = later;
                    continue;
                };
                while let Some((item, later)) = items.split_first() {
                    let Some(behind) = rest.strip_prefix(item.as_str()) else {
                        break;
                    };
                    rest = behind.strip_prefix(',').unwrap_or(behind);
                    items = later;
                }
                tail = rest.strip_prefix(']').unwrap().strip_suffix('}').unwrap();
                let next = items.first().map_or(limit, |item| item.len() + 1);
                assert!(tail == self.tail || piece.len() + next > limit || messages > 1);
                assert!(tail.is_empty() || items.is_empty() && messages == 1);
            }
            if tail != self.tail && self.tail.contains(['[', '{']) && self.tail != TAILS[2] {
                assert_eq!(pieces[0], format!("{{{}}}", &self.tail[1..]));
                pieces = &pieces[1..];
            }
            pieces
        }

        /// What the first bytes of the text come to, cut at `at`.
        fn check_start(&self, pieces: &[String], at: usize) {
            if at < self.head.len() {
                assert_eq!(pieces, [&self.text[..at]]);
                return;
            }
            let mut expected = String::new();
            for (start, end) in &self.spans {
                expected += &self.text[*start.min(&at)..*end.min(&at)];
            }
            let mut found = String::new();
            for piece in pieces {
                // Without heads, ends and commas; those in items are taken off on both sides.
                let items = piece.strip_prefix(&self.head);
                found += items.map_or(piece, |items| items.strip_suffix("]}").unwrap_or(items));
            }
            assert_eq!(found.replace(',', ""), expected.replace(',', ""));
        }
    }

    fn random_limit(random: &mut Random) -> usize {
        match random.below(3) {
            0 => 1024,
            1 => 1024 + random.below(3000),
            _ => 1024 + random.below(100_000),
        }
    }

    #[test]
    fn random_lists_come_out_item_by_item() {
        let mut random = Random(0x9e37_79b9);
        for _ in 0..6000 {
            let count = 1 + random.below(3);
            let lists: Vec<_> = (0..count).map(|_| RandomList::new(&mut random)).collect();
            let body: String = lists.iter().map(|list| list.text.as_str()).collect();
            let limit = random_limit(&mut random);
            let pieces = random.cut(body.as_bytes(), limit);
            assert!(pieces == random.cut(body.as_bytes(), limit));
            let texts = texts(&pieces);
            let mut rest = texts.as_slice();
            for list in &lists {
                rest = list.check(rest, limit);
            }
            assert_eq!(rest, [""; 0]);
        }
    }

    #[test]
    fn the_start_of_a_random_list_loses_nothing() {
        let mut random = Random(0x51_7cc1);
        for _ in 0..6000 {
            let mut list = RandomList::new(&mut random);
            list.text.truncate(list.close_at);
            let mut at = random.below(list.text.len() + 1);
            while !list.text.is_char_boundary(at) {
                at -= 1;
            }
            let limit = random_limit(&mut random);
            let pieces = random.cut(&list.text.as_bytes()[..at], limit);
            list.check_start(&texts(&pieces), at);
        }
    }

    #[test]
    fn random_garbage_stays_as_it_is() {
        let mut random = Random(0xbad_5eed);
        for _ in 0..6000 {
            let length = random.below(6000);
            let most = random.of(&[6, 12, 256]);
            let byte = |random: &mut Random| match random.below(most) {
                choice @ 0..12 => b"{}[]\",:\\ \x0ax1"[choice],
                choice => u8::try_from(choice).unwrap(),
            };
            let body: Vec<u8> = (0..length).map(|_| byte(&mut random)).collect();
            let pieces = random.cut(&body, 1024);
            let bytes = |piece| match piece {
                Piece::Whole(bytes) | Piece::Part { bytes, .. } => bytes,
            };
            assert!(pieces.into_iter().flat_map(bytes).eq(body));
        }
    }

    /// How many bytes are neither white space nor commas nor brackets.
    fn content_bytes(text: &[u8]) -> usize {
        let is_content = |byte: &&u8| !b" \t\r\n,[]{}".contains(byte);
        text.iter().filter(is_content).count()
    }

    /// Whether somewhere a list might end, and members follow that hold no bracket: these may be left out.
    fn may_have_left_out(body: &[u8]) -> bool {
        let text = String::from_utf8_lossy(body);
        text.split(['[', '{'])
            .filter_map(|without_open| without_open.split_once(']'))
            .any(|(_, behind)| behind.trim_start().starts_with(',') && behind.contains('}'))
    }

    #[test]
    fn damaged_lists_lose_nothing() {
        let mut random = Random(0xda_3a6e);
        let mut compared = 0;
        for _ in 0..12_000 {
            let mut list = RandomList::new(&mut random);
            list.text.truncate(list.close_at);
            let mut body = (list.text + "]}").into_bytes();
            for _ in 0..=random.below(2) {
                let at = list.head.len() + random.below(body.len() - list.head.len());
                let byte = random.of(b"{}[]\",:\\ x");
                match random.below(3) {
                    0 => body[at] = byte,
                    1 => body.insert(at, byte),
                    _ => drop(body.splice(at..=at, [])),
                }
            }
            let limit = random_limit(&mut random);
            let pieces = random.cut(&body, limit);
            assert!(pieces == random.cut(&body, limit), "slices matter");
            if may_have_left_out(&body) {
                continue;
            }
            compared += 1;
            let head = list.head.as_bytes();
            let contents = pieces.iter().map(|piece| match piece {
                Piece::Whole(bytes) => {
                    content_bytes(bytes.strip_prefix(head).unwrap_or(bytes.as_slice()))
                }
                Piece::Part { bytes, .. } => content_bytes(bytes),
            });
            let behind_head = &body[head.len().min(body.len())..];
            assert_eq!(contents.sum::<usize>(), content_bytes(behind_head));
        }
        assert!(compared > 5000, "{compared}");
    }
}
