//! Walks through a whole JSON value without building it: every key and every scalar, and whether it is a document at all.
//!
//! Two passes: blocks of 64 bytes become the places of quotes; then the text is read byte by byte, but for its strings,
//! whose ends are known, and for parts that the caller has seen before. What it accepts `serde_json` accepts as a document; what it
//! refuses may still be one (a surrogate pair, a number with an exponent, great depth), so that a refusal says only that somebody must
//! look closer.

#![expect(
    clippy::inline_always,
    reason = "the innermost loops, which lose a tenth and more if the compiler decides otherwise"
)]

use std::ops::ControlFlow;

use super::blocks::{self, BLOCK};

/// Far below what `serde_json` accepts (127), and deeper than any object of a cluster but for schemas.
const DEPTH_MAX: usize = 96;

/// How deep a part may be that is not looked into. Inside it nests up to [`DEPTH_MAX`] itself.
const PART_DEPTH_MAX: usize = 24;

/// A plain number of this length is finite.
const NUMBER_BYTES_MAX: usize = 64;

/// Told what a walk meets, in the order of the text.
pub(crate) trait Visitor<'a> {
    /// What stands for a key until its value has ended. Arrays hand the key on to their elements.
    type Key: Copy + Default;

    /// A key.
    fn key(&mut self, key: Key<'a>, depth: usize) -> Self::Key;

    /// A string with its quotes, a number, or a literal, and the number of containers around it.
    fn scalar(&mut self, key: Self::Key, text: &'a [u8], depth: usize);

    /// A string, for whom it matters whether it holds escapes.
    #[inline]
    fn string(&mut self, key: Self::Key, text: &'a [u8], _is_escaped: bool, depth: usize) {
        self.scalar(key, text, depth);
    }
}

/// A key as it is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key<'a> {
    /// Without its quotes.
    pub(crate) text: &'a [u8],
    /// It holds escapes, and means something else than it looks.
    pub(crate) is_escaped: bool,
    /// It is the first of its object.
    pub(crate) is_first: bool,
}

/// Places found by a walk, kept for the next one.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// Quotes that open or close a string, in turn; only the first `quoted` are of this text.
    quotes: Vec<u32>,
    quoted: usize,
    /// What stands behind a backslash.
    escapes: Vec<u32>,
}

/// A container in the text that is known to be a document of its own, and is not looked into: where it starts and ends.
pub(crate) type Part = (usize, usize);

impl Places {
    /// False if a string has a control character, or the text is longer than places can tell.
    fn find(&mut self, text: &[u8], parts: &[Part]) -> bool {
        self.quoted = 0;
        self.escapes.clear();
        if u32::try_from(text.len()).is_err() {
            return false;
        }
        let mut start = 0;
        for (part, end) in parts {
            // No string goes on into a part.
            if !self.find_between(text, start, *part) || !self.quoted.is_multiple_of(2) {
                return false;
            }
            start = *end;
        }
        self.find_between(text, start, text.len())
    }

    /// The places from `start` to `end`, neither of which is inside of a string.
    fn find_between(&mut self, text: &[u8], start: usize, end: usize) -> bool {
        let Some(text) = text.get(start..end) else {
            return false;
        };
        let refused = blocks::for_each(text, |at, block| {
            if block.control != 0 {
                return ControlFlow::Break(());
            }
            self.note_quotes(start + at, block.quote);
            if block.escaped != 0 {
                self.note_escapes(start + at, block.escaped);
            }
            ControlFlow::Continue(())
        });
        refused.is_none()
    }

    /// Room is made for a whole block at once, so that noting a quote is one store.
    #[inline]
    fn note_quotes(&mut self, start: usize, mut bits: u64) {
        if self.quotes.len() < self.quoted + BLOCK {
            self.quotes.resize(2 * (self.quoted + BLOCK), 0);
        }
        let room = self
            .quotes
            .get_mut(self.quoted..)
            .and_then(<[u32]>::first_chunk_mut::<BLOCK>);
        let Some(room) = room else { return };
        let count = bits.count_ones() as usize;
        for place in room.iter_mut().take(count) {
            *place = offset(start, bits);
            bits &= bits.wrapping_sub(1);
        }
        self.quoted += count;
    }

    fn note_escapes(&mut self, start: usize, mut bits: u64) {
        while bits != 0 {
            self.escapes.push(offset(start, bits));
            bits &= bits - 1;
        }
    }
}

/// The place of the lowest bit.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "the length was checked before"
)]
fn offset(start: usize, bits: u64) -> u32 {
    start as u32 + bits.trailing_zeros()
}

/// Walks through an object or array, but for `parts`, in order, each of which a walk has accepted. False if the text may be no
/// document, also if a part does not stand where a value is expected; the visitor has seen a part of it then.
pub(crate) fn walk<'a, V: Visitor<'a>>(
    text: &'a [u8],
    parts: &[Part],
    places: &mut Places,
    visitor: &mut V,
) -> bool {
    if !places.find(text, parts) {
        return false;
    }
    let quotes = places.quotes.get(..places.quoted).unwrap_or_default();
    let (strings, []) = quotes.as_chunks() else {
        return false;
    };
    let mut walk = Walk {
        text,
        strings,
        escapes: &places.escapes,
        parts,
        depth: 0,
        stack: [Open::default(); DEPTH_MAX],
        visitor,
    };
    walk.run().is_some()
}

/// A container that is open.
#[derive(Clone, Copy, Default)]
struct Open<K> {
    is_object: bool,
    /// The key that the container is the value of.
    key: K,
}

/// The places in the text go from hand to hand, so that they can stay in registers.
struct Walk<'a, 'p, V: Visitor<'a>> {
    text: &'a [u8],
    /// The quotes of strings that have not been passed.
    strings: &'p [[u32; 2]],
    /// Those that have not been passed.
    escapes: &'p [u32],
    parts: &'p [Part],
    depth: usize,
    stack: [Open<V::Key>; DEPTH_MAX],
    visitor: &'p mut V,
}

impl<'a, V: Visitor<'a>> Walk<'a, '_, V> {
    /// `None` as soon as something is not as it should be.
    fn run(&mut self) -> Option<()> {
        let mut at = self.behind_space(0);
        let mut key = V::Key::default();
        loop {
            // A value is expected.
            match *self.text.get(at)? {
                b'"' => {
                    let (text, is_escaped, end) = self.string(at)?;
                    self.visitor.string(key, text, is_escaped, self.depth);
                    at = end;
                }
                bracket @ (b'{' | b'[') => match self.open(bracket == b'{', key, at)? {
                    Inside::Ended(behind) => at = behind,
                    Inside::Value(first, of) => {
                        (at, key) = (first, of);
                        continue;
                    }
                },
                _ => at = self.scalar(key, at)?,
            }
            match self.value_ended(at)? {
                Inside::Ended(end) => {
                    let is_all = end == self.text.len() && self.parts.is_empty();
                    return is_all.then_some(());
                }
                Inside::Value(next, of) => (at, key) = (next, of),
            }
        }
    }

    #[inline(always)]
    fn behind_space(&self, mut at: usize) -> usize {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.text.get(at) {
            at += 1;
        }
        at
    }

    /// The string that starts at `at` with its quotes, whether it holds escapes, and the place behind it.
    #[inline(always)]
    fn string(&mut self, at: usize) -> Option<(&'a [u8], bool, usize)> {
        let ([start, end], rest) = self.strings.split_first()?;
        let (start, end) = (*start as usize, *end as usize);
        if start != at {
            return None;
        }
        self.strings = rest;
        let is_escaped = match self.escapes.first() {
            Some(first) if (*first as usize) < end => self.check_escapes(start, end)?,
            _ => false,
        };
        Some((self.text.get(start..=end)?, is_escaped, end + 1))
    }

    /// Passes the escapes of a string; `None` if one of them is unusual, or stands outside of strings.
    fn check_escapes(&mut self, start: usize, end: usize) -> Option<bool> {
        while let Some((first, rest)) = self.escapes.split_first() {
            let at = *first as usize;
            if at > end {
                break;
            }
            self.escapes = rest;
            let is_sound = at > start
                && match self.text.get(at)? {
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => true,
                    b'u' => is_plain_unit(self.text.get(at + 1..end)?),
                    _ => false,
                };
            if !is_sound {
                return None;
            }
        }
        Some(true)
    }

    /// Takes an opening bracket, up to the first value inside.
    #[inline(always)]
    fn open(&mut self, is_object: bool, key: V::Key, at: usize) -> Option<Inside<V::Key>> {
        if let Some((part, end)) = self.parts.first()
            && *part == at
        {
            self.parts = self.parts.get(1..)?;
            return (self.depth < PART_DEPTH_MAX).then_some(Inside::Ended(*end));
        }
        *self.stack.get_mut(self.depth)? = Open { is_object, key };
        let first = self.behind_space(at + 1);
        let closing = if is_object { b'}' } else { b']' };
        if *self.text.get(first)? == closing {
            return Some(Inside::Ended(first + 1));
        }
        self.depth += 1;
        if is_object {
            self.key(first, true)
        } else {
            Some(Inside::Value(first, key))
        }
    }

    /// Takes a key and its colon.
    #[inline(always)]
    fn key(&mut self, at: usize, is_first: bool) -> Option<Inside<V::Key>> {
        let (quoted, is_escaped, end) = self.string(at)?;
        let text = quoted.get(1..quoted.len() - 1)?;
        let key = Key {
            text,
            is_escaped,
            is_first,
        };
        let key = self.visitor.key(key, self.depth);
        let colon = self.behind_space(end);
        if *self.text.get(colon)? != b':' {
            return None;
        }
        Some(Inside::Value(self.behind_space(colon + 1), key))
    }

    /// Takes a number or a literal, and tells the place behind it.
    fn scalar(&mut self, key: V::Key, at: usize) -> Option<usize> {
        let rest = self.text.get(at..)?;
        let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n');
        let length = rest.iter().position(ends).unwrap_or(rest.len());
        let text = rest.get(..length).filter(|text| is_scalar(text))?;
        self.visitor.scalar(key, text, self.depth);
        Some(at + length)
    }

    /// Takes what stands behind a value: brackets that close, then a comma and the next key.
    #[inline(always)]
    fn value_ended(&mut self, mut at: usize) -> Option<Inside<V::Key>> {
        while let Some(around) = self.depth.checked_sub(1) {
            let Open { is_object, key } = *self.stack.get(around)?;
            at = self.behind_space(at);
            match (*self.text.get(at)?, is_object) {
                (b',', true) => return self.key(self.behind_space(at + 1), false),
                (b',', false) => return Some(Inside::Value(self.behind_space(at + 1), key)),
                (b'}', true) | (b']', false) => {
                    at += 1;
                    self.depth = around;
                }
                _ => return None,
            }
        }
        // White space may follow, and nothing else.
        Some(Inside::Ended(self.behind_space(at)))
    }
}

/// Where a walk is.
enum Inside<K> {
    /// Behind a container, or behind everything.
    Ended(usize),
    /// Before a value of this key.
    Value(usize, K),
}

/// A literal, or a number without an exponent that is short enough to be finite.
fn is_scalar(text: &[u8]) -> bool {
    matches!(text, b"true" | b"false" | b"null") || is_number(text)
}

fn is_number(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let is_digits = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let (whole, fraction) = match digits.iter().position(|byte| *byte == b'.') {
        Some(dot) => (digits.get(..dot), digits.get(dot + 1..)),
        None => (Some(digits), None),
    };
    let whole = whole.unwrap_or_default();
    text.len() <= NUMBER_BYTES_MAX
        && is_digits(whole)
        && (whole.len() == 1 || whole.first() != Some(&b'0'))
        && fraction.is_none_or(is_digits)
}

/// Four digits behind `\u` that are no half of a pair.
fn is_plain_unit(text: &[u8]) -> bool {
    let digits = text
        .get(..4)
        .and_then(|digits| std::str::from_utf8(digits).ok());
    let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    digits
        .and_then(|digits| u16::from_str_radix(digits, 16).ok())
        .is_some_and(|unit| !(0xd800..0xe000).contains(&unit))
}

#[cfg(test)]
mod tests;
