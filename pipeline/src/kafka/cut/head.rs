//! Looks for the items of a list of events at the start of a body.
//!
//! A list is an object of which a member is `EventList`, before a member `items` that is an array: so every API server writes it.
//! What else stands before the items does not matter.

use super::scan::{Text, is_white};

/// Where in a body that may be a list a look for its items is.
#[derive(Clone, Copy, Default)]
pub(super) struct Head {
    /// Bytes that were looked at.
    looked: usize,
    /// Where the `{` is.
    pub(super) start: usize,
    depth: u32,
    text: Text,
    string_at: usize,
    member: Member,
    /// Whether a member was `EventList`.
    is_event_list: bool,
}

/// What a look at the start of a body saw.
pub(super) enum Looked {
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
    pub(super) fn look(&mut self, bytes: &[u8]) -> Looked {
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
