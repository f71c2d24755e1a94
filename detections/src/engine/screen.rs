//! Looks into a body for what any rule could be after.

use std::borrow::Cow;

use super::hints::{Atoms, Memo, Wanted};
use crate::json;
use crate::json::walk::{Key, Places, Visitor, walk};
use crate::limits::FIELD_BYTES_FREE;
use crate::views::shown::Body;

/// What screening needs besides the rules; kept from body to body.
#[derive(Debug, Default)]
pub(super) struct Screen {
    places: Places,
    /// By atom, whether the body has it. Only meaningful if the body is readable.
    pub(super) found: Vec<bool>,
}

impl Screen {
    /// Looks through a body.
    pub(super) fn body<'a>(
        &mut self,
        atoms: &Atoms,
        wanted: &Wanted,
        memo: &mut Memo,
        text: &'a [u8],
    ) -> Body<'a> {
        self.found.clear();
        self.found.resize(atoms.len(), false);
        // Larger ones may be too heavy to be a document.
        if text.len() > FIELD_BYTES_FREE {
            return Body::Unclear;
        }
        let mut finder = Finder {
            atoms,
            wanted,
            memo,
            found: &mut self.found,
            kind: None,
        };
        if !walk(text, &mut self.places, &mut finder) {
            return Body::Unclear;
        }
        Body::Readable(finder.kind.and_then(plain_text))
    }
}

/// The text of a string without escapes.
fn plain_text(raw: &[u8]) -> Option<&str> {
    match json::string(raw)? {
        Cow::Borrowed(text) => Some(text),
        Cow::Owned(_) => None,
    }
}

struct Finder<'s, 'a> {
    atoms: &'s Atoms,
    wanted: &'s Wanted,
    memo: &'s mut Memo,
    found: &'s mut [bool],
    /// The body's own kind.
    kind: Option<&'a [u8]>,
}

/// A key, as far as it matters.
#[derive(Clone, Copy, Default)]
struct Known {
    /// Its number and one; zero if nobody asks.
    number: u32,
    is_kind: bool,
}

impl<'a> Visitor<'a> for Finder<'_, 'a> {
    type Key = Known;

    #[inline]
    fn key(&mut self, key: Key<'a>, depth: usize) -> Known {
        let number = if key.is_escaped {
            self.escaped_key(key.text)
        } else {
            self.wanted.key(self.atoms, key.text)
        };
        if let Some(number) = number {
            self.atoms.mark_key(number, self.found);
        }
        let is_kind = depth == 1 && (key.text == b"kind" || key.is_escaped);
        if is_kind {
            // Of duplicate keys the last wins, whatever it is.
            self.kind = None;
        }
        Known {
            number: number.map_or(0, |number| number + 1),
            is_kind: is_kind && !key.is_escaped,
        }
    }

    #[inline]
    fn scalar(&mut self, key: Known, text: &'a [u8], depth: usize) {
        if key.is_kind && depth == 1 {
            self.kind = Some(text);
        }
        if let Some(number) = key.number.checked_sub(1) {
            self.atoms.mark_scalar(number, text, self.memo, self.found);
        }
    }
}

impl Finder<'_, '_> {
    /// Nobody asks for keys with quotes, backslashes or control characters in them, and what else may be escaped is
    /// written `\u` or `\/`. The keys of `managedFields` are full of quotes.
    fn escaped_key(&self, text: &[u8]) -> Option<u32> {
        let is_other = |at: usize| matches!(text.get(at + 1), Some(b'u' | b'/'));
        if !self.atoms.has_quoted_keys() && !memchr::memchr_iter(b'\\', text).any(is_other) {
            return None;
        }
        let quoted = [b"\"", text, b"\""].concat();
        let key = json::string(&quoted)?;
        self.wanted.key(self.atoms, key.as_bytes())
    }
}
