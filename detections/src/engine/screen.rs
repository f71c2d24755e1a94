//! Looks into a body for what any rule could be after.

use std::borrow::Cow;

use memchr::memmem;

use super::dictionary::Dictionary;
use super::hints::{Atoms, Memo, Wanted};
use crate::fields;
use crate::json;
use crate::json::walk::{Key, Part, Places, Visitor, walk};
use crate::limits::{PART_BYTES_MAX, PARTS_BYTES_MAX};
use crate::views::shown::{Body, Kind};

/// What screening needs besides the rules; kept from body to body.
#[derive(Debug, Default)]
pub(super) struct Screen {
    places: Places,
    parts: Vec<Part>,
    /// By atom, whether the body has it. Only meaningful if the body is readable.
    pub(super) found: Vec<bool>,
}

impl Screen {
    /// Looks through a body.
    pub(super) fn body<'a>(
        &mut self,
        atoms: &Atoms,
        wanted: &Wanted,
        (memo, known): (&mut Memo, &mut KnownParts),
        text: &'a [u8],
    ) -> Body<'a> {
        self.found.clear();
        self.found.resize(atoms.len(), false);
        if fields::is_heavy(text) {
            return Body::Unclear;
        }
        self.parts.clear();
        known.find(atoms, memo, text, (&mut self.parts, &mut self.found));
        let mut finder = Finder {
            atoms,
            wanted,
            memo,
            found: &mut self.found,
            kind: Kind::Missing,
        };
        if !walk(text, &self.parts, &mut self.places, &mut finder) {
            return Body::Unclear;
        }
        Body::Readable(finder.kind)
    }
}

/// Parts of bodies that were walked through before. Nearly half of what a cluster writes is `managedFields`, the names of
/// fields and their owners, which are the same for thousands of objects; and a workload is written again with every change
/// of its status.
#[derive(Debug)]
pub(super) struct KnownParts {
    finders: [memmem::Finder<'static>; 1],
    texts: Dictionary,
    /// By the number of the text, the atoms in it; `None` inside if it cannot be passed.
    atoms: Vec<Option<Box<[u32]>>>,
    places: Places,
}

/// What comes before such parts. Quotes that are not escaped cannot be inside of a string, so that what follows is a value
/// wherever the text is a document.
const PARTS: [&[u8]; 1] = [b"\"fieldsV1\":{"];

impl Default for KnownParts {
    fn default() -> Self {
        Self {
            finders: PARTS.map(memmem::Finder::new),
            texts: Dictionary::with_longest(PART_BYTES_MAX),
            atoms: Vec::new(),
            places: Places::default(),
        }
    }
}

impl KnownParts {
    /// Finds the parts of a text that need not be walked through, and marks the atoms in them.
    fn find(
        &mut self,
        atoms: &Atoms,
        memo: &mut Memo,
        text: &[u8],
        (parts, found): (&mut Vec<Part>, &mut [bool]),
    ) {
        for finder in 0..self.finders.len() {
            self.find_one(finder, atoms, memo, text, (parts, found));
        }
        // Parts may hold others.
        parts.sort_unstable();
        let mut behind = 0;
        parts.retain(|(start, end)| {
            let is_apart = *start >= behind;
            if is_apart {
                behind = *end;
            }
            is_apart
        });
    }

    fn find_one(
        &mut self,
        finder: usize,
        atoms: &Atoms,
        memo: &mut Memo,
        text: &[u8],
        (parts, found): (&mut Vec<Part>, &mut [bool]),
    ) {
        let mut from = 0;
        while let Some(at) = text
            .get(from..)
            .and_then(|rest| self.finders[finder].find(rest))
        {
            let start = from + at + PARTS[finder].len() - 1;
            let Some(end) = json::container_end(text, start) else {
                return;
            };
            if let Some(part) = text.get(start..end)
                && let Some(inside) = self.look(atoms, memo, part)
            {
                parts.push((start, end));
                for atom in inside {
                    found[*atom as usize] = true;
                }
            }
            from = end;
        }
    }

    /// The atoms in a part; `None` if it must be looked into.
    fn look(&mut self, atoms: &Atoms, memo: &mut Memo, part: &[u8]) -> Option<&[u32]> {
        // Nobody holds a number from one part to the next.
        if self.texts.bytes() > PARTS_BYTES_MAX {
            self.texts.clear();
            self.atoms.clear();
        }
        let number = self.texts.number(part)? as usize;
        if number >= self.atoms.len() {
            self.atoms.resize(number + 1, None);
            self.atoms[number] = self.walk(atoms, memo, part);
        }
        self.atoms[number].as_deref()
    }

    /// Whatever is asked for: others will ask for other keys.
    fn walk(&mut self, atoms: &Atoms, memo: &mut Memo, part: &[u8]) -> Option<Box<[u32]>> {
        let mut found = vec![false; atoms.len()];
        let mut finder = Finder {
            atoms,
            wanted: &Wanted::all(atoms),
            memo,
            found: &mut found,
            kind: Kind::Missing,
        };
        let is_document = walk(part, &[], &mut self.places, &mut finder);
        let atoms = (0_u32..)
            .zip(found)
            .filter_map(|(atom, found)| found.then_some(atom));
        is_document.then(|| atoms.collect())
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
    kind: Kind<'a>,
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
            self.kind = Kind::Unclear;
        }
        Known {
            number: number.map_or(0, |number| number + 1),
            is_kind: is_kind && !key.is_escaped,
        }
    }

    #[inline]
    fn scalar(&mut self, key: Known, text: &'a [u8], depth: usize) {
        if key.is_kind && depth == 1 {
            self.kind = plain_text(text).map_or(Kind::Unclear, Kind::Plain);
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
