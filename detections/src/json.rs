//! A tolerant scanner over one JSON value: members of an object, elements of an array, as slices.
//!
//! It exists because an audit log is not always JSON: a record may be cut at 16 KiB, and a body nobody asks for need not be
//! parsed. The scanner finds where each member starts and ends by strings and brackets alone, without recursion and without
//! allocation, and yields every complete member before it reports a [`Fault`]. What lies inside a member is not checked
//! here: a body that turns out to be broken makes the body's fields unavailable, not the event.
//!
//! Grammar that matters for framing is checked (a key, a colon, a value, a comma); bytes after the closing bracket are the
//! caller's to judge, by [`Members::end`].

mod blocks;
pub mod compact;
mod skip;
pub(crate) mod walk;

pub(crate) use skip::container_end;

use std::borrow::Cow;
use std::fmt;

use memchr::memchr2;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// Why a scan ended before the closing bracket. `at` is an offset in bytes into the scanned slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The value does not start with the expected bracket.
    #[error("not a JSON object or array")]
    NotAContainer,
    /// The input ended inside the value.
    #[error("cut off at byte {at}")]
    Cut {
        /// Where the member that was cut begins.
        at: usize,
    },
    /// A key, a colon, a comma or a value is missing.
    #[error("malformed JSON at byte {at}")]
    Syntax {
        /// Where the grammar is broken.
        at: usize,
    },
}

/// One member of an object: its key decoded, its value as the bytes between.
pub type Member<'a> = (Cow<'a, str>, &'a [u8]);

/// Iterates over the members of the object at the start of a slice; ends after the first fault.
#[derive(Debug)]
pub struct Members<'a> {
    cursor: Cursor<'a>,
    state: State,
}

/// Iterates over the elements of the array at the start of a slice; ends after the first fault.
#[derive(Debug)]
pub struct Elements<'a> {
    cursor: Cursor<'a>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Start,
    Next,
    Done,
}

/// The members of the object that `bytes` starts with, white space apart.
#[must_use]
pub fn members(bytes: &[u8]) -> Members<'_> {
    Members {
        cursor: Cursor { bytes, at: 0 },
        state: State::Start,
    }
}

/// The elements of the array that `bytes` starts with, white space apart.
#[must_use]
pub fn elements(bytes: &[u8]) -> Elements<'_> {
    Elements {
        cursor: Cursor { bytes, at: 0 },
        state: State::Start,
    }
}

/// The string that `raw` is, unescaped; `None` if it is no well-formed JSON string.
#[must_use]
pub fn string(raw: &[u8]) -> Option<Cow<'_, str>> {
    match plain_string(raw) {
        Some(inner) => std::str::from_utf8(inner).ok().map(Cow::Borrowed),
        None => serde_json::from_slice::<String>(raw).ok().map(Cow::Owned),
    }
}

/// What stands between the quotes of a string that means what is written: no escapes, no control characters.
fn plain_string(raw: &[u8]) -> Option<&[u8]> {
    let inner = raw.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    // All bytes are looked at, and nothing is decided by the way, so that the compiler takes many at a time.
    let is_special = |byte: u8| u8::from(byte < 0x20 || byte == b'\\' || byte == b'"');
    let any = inner.iter().fold(0, |any, byte| any | is_special(*byte));
    (any == 0).then_some(inner)
}

/// Whether the value is a string that means what is written.
pub(crate) fn is_plain_string(value: &[u8]) -> bool {
    plain_string(value).is_some()
}

/// Whether the value can be read as a document: by what the parser of documents accepts, without building one.
pub(crate) fn is_readable(value: &[u8]) -> bool {
    string(value).is_some() || serde_json::from_slice::<Readable>(value).is_ok()
}

/// Any value. Unlike an ignored one it is read as a document would be, so that depth, numbers and escapes are judged
/// alike.
struct Readable;

impl<'de> Deserialize<'de> for Readable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Readable {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self, A::Error> {
        while elements.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self, A::Error> {
        while members.next_entry::<Self, Self>()?.is_some() {}
        Ok(self)
    }
}

impl<'a> Members<'a> {
    /// The offset behind the closing bracket once iteration has ended without a fault.
    #[must_use]
    pub fn end(&self) -> usize {
        self.cursor.at
    }

    fn step(&mut self) -> Result<Option<Member<'a>>, Fault> {
        if !self.cursor.enter(&mut self.state, b'{', b'}')? {
            return Ok(None);
        }
        let begin = self.cursor.at;
        let key = match self.cursor.plain_key() {
            Some(key) => Cow::Borrowed(key),
            None => self.key(begin)?,
        };
        self.cursor
            .expect(b':')
            .map_err(|fault| fault.begin(begin))?;
        let value = self.cursor.value().map_err(|fault| fault.begin(begin))?;
        Ok(Some((key, value)))
    }

    fn key(&mut self, begin: usize) -> Result<Cow<'a, str>, Fault> {
        let raw = self.cursor.string().map_err(|fault| fault.begin(begin))?;
        string(raw).ok_or(Fault::Syntax { at: begin })
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = Result<Member<'a>, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == State::Done {
            return None;
        }
        let step = self.step();
        if !matches!(step, Ok(Some(_))) {
            self.state = State::Done;
        }
        step.transpose()
    }
}

impl<'a> Elements<'a> {
    /// The offset behind the closing bracket once iteration has ended without a fault.
    #[must_use]
    pub fn end(&self) -> usize {
        self.cursor.at
    }

    fn step(&mut self) -> Result<Option<&'a [u8]>, Fault> {
        if !self.cursor.enter(&mut self.state, b'[', b']')? {
            return Ok(None);
        }
        let begin = self.cursor.at;
        self.cursor
            .value()
            .map(Some)
            .map_err(|fault| fault.begin(begin))
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<&'a [u8], Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == State::Done {
            return None;
        }
        let step = self.step();
        if !matches!(step, Ok(Some(_))) {
            self.state = State::Done;
        }
        step.transpose()
    }
}

impl Fault {
    /// A cut is reported where the lost member begins, so that what stands before it can be kept.
    fn begin(self, at: usize) -> Self {
        match self {
            Self::Cut { .. } => Self::Cut { at },
            other => other,
        }
    }
}

#[derive(Debug)]
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn peek(&self) -> Result<u8, Fault> {
        self.bytes
            .get(self.at)
            .copied()
            .ok_or(Fault::Cut { at: self.at })
    }

    fn skip_space(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), Fault> {
        self.skip_space();
        if self.peek()? != byte {
            return Err(Fault::Syntax { at: self.at });
        }
        self.at += 1;
        self.skip_space();
        Ok(())
    }

    /// Steps over the opening bracket or the comma before the next item; `false` at the closing bracket.
    fn enter(&mut self, state: &mut State, open: u8, close: u8) -> Result<bool, Fault> {
        self.skip_space();
        let first = *state == State::Start;
        if first {
            if self.bytes.get(self.at) != Some(&open) {
                return Err(Fault::NotAContainer);
            }
            self.at += 1;
            self.skip_space();
            *state = State::Next;
        }
        let byte = self.peek()?;
        if byte == close {
            self.at += 1;
            return Ok(false);
        }
        if first {
            return Ok(true);
        }
        self.expect(b',')?;
        // A comma before the closing bracket would otherwise be read as a value.
        if self.peek()? == close {
            return Err(Fault::Syntax { at: self.at });
        }
        Ok(true)
    }

    fn value(&mut self) -> Result<&'a [u8], Fault> {
        let begin = self.at;
        match self.peek()? {
            b'"' => return self.string(),
            b'{' | b'[' => self.skip_container()?,
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => self.skip_scalar()?,
            _ => return Err(Fault::Syntax { at: begin }),
        }
        Ok(&self.bytes[begin..self.at])
    }

    /// The key at the cursor, if it is plain ASCII, as nearly all are; else the cursor stays.
    #[inline]
    #[allow(
        unsafe_code,
        reason = "the one call below is proven; the check costs as much as finding the key"
    )]
    fn plain_key(&mut self) -> Option<&'a str> {
        let rest = self.bytes.get(self.at..)?.strip_prefix(b"\"")?;
        let length = rest
            .iter()
            .position(|byte| !matches!(byte, b' '..=b'!' | b'#'..=b'[' | b']'..=b'~'))?;
        let key = rest.get(..length).filter(|_| rest[length] == b'"')?;
        self.at += length + 2;
        // SAFETY: every byte of the key is one of those matched above, all ASCII, which is UTF-8.
        Some(unsafe { std::str::from_utf8_unchecked(key) })
    }

    /// The string at the cursor with its quotes.
    fn string(&mut self) -> Result<&'a [u8], Fault> {
        let begin = self.at;
        if self.peek()? != b'"' {
            return Err(Fault::Syntax { at: begin });
        }
        self.at += 1;
        self.skip_string_tail()?;
        Ok(&self.bytes[begin..self.at])
    }

    /// Moves behind the quote that closes the string the cursor is in.
    fn skip_string_tail(&mut self) -> Result<(), Fault> {
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let Some(found) = memchr2(b'"', b'\\', rest) else {
                return Err(Fault::Cut {
                    at: self.bytes.len(),
                });
            };
            if rest[found] == b'"' {
                self.at += found + 1;
                return Ok(());
            }
            self.at += found + 2;
        }
    }

    /// A number or a literal: up to what cannot belong to one. A scalar that runs into the end of input is cut.
    fn skip_scalar(&mut self) -> Result<(), Fault> {
        let belongs =
            |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|byte| !belongs(byte));
        self.at += length.ok_or(Fault::Cut {
            at: self.bytes.len(),
        })?;
        Ok(())
    }

    fn skip_container(&mut self) -> Result<(), Fault> {
        let end = container_end(self.bytes, self.at);
        self.at = end.ok_or(Fault::Cut {
            at: self.bytes.len(),
        })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> (Vec<String>, Option<Fault>) {
        let mut keys = Vec::new();
        for member in members(text.as_bytes()) {
            match member {
                Ok((key, _)) => keys.push(key.into_owned()),
                Err(fault) => return (keys, Some(fault)),
            }
        }
        (keys, None)
    }

    #[test]
    fn yields_members_with_nested_values_as_slices() {
        let text = r#" {"a" : {"x":["}"]}, "b":"\"}", "c":-1.5e3,"d":null }"#;
        let values: Vec<_> = members(text.as_bytes()).map(|m| m.unwrap().1).collect();
        assert_eq!(
            values,
            [
                br#"{"x":["}"]}"#.as_slice(),
                br#""\"}""#,
                b"-1.5e3",
                b"null"
            ]
        );
    }

    #[test]
    fn keeps_what_stands_before_a_cut() {
        let (found, fault) =
            keys(r#"{"verb":"create","requestObject":{"spec":{"containers":[{"na"#);
        assert_eq!(found, ["verb"]);
        assert_eq!(fault, Some(Fault::Cut { at: 17 }));
    }

    #[test]
    fn refuses_broken_framing() {
        assert_eq!(keys("[1]").1, Some(Fault::NotAContainer));
        assert_eq!(keys(r#"{"a" 1}"#).1, Some(Fault::Syntax { at: 5 }));
        assert_eq!(keys(r#"{"a":1,}"#).1, Some(Fault::Syntax { at: 7 }));
        assert_eq!(keys(r#"{"a":1 "b":2}"#).1, Some(Fault::Syntax { at: 7 }));
        assert_eq!(keys(r#"{"a":}"#).1, Some(Fault::Syntax { at: 5 }));
    }

    #[test]
    fn a_very_deep_value_needs_no_stack() {
        let deep = format!(
            "{{\"a\":{}{}}}",
            "[".repeat(1_000_000),
            "]".repeat(1_000_000)
        );
        assert_eq!(keys(&deep), (vec!["a".to_owned()], None));
    }

    #[test]
    fn strings_are_unescaped_only_when_they_need_it() {
        assert!(matches!(string(br#""abc""#), Some(Cow::Borrowed("abc"))));
        assert_eq!(string(br#""a\u0026b""#).as_deref(), Some("a&b"));
        assert_eq!(string(br#""\ud800""#), None);
        assert_eq!(string(b"\"\xff\""), None);
        assert_eq!(string(b"12"), None);
    }

    #[test]
    fn readable_is_what_becomes_a_document() {
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        for text in [
            "{\"a\":[1,-2,0.5,null,true,\"x\\n\"]}",
            "12",
            "{}",
            "\"\\ud800\"",
            "{\"a\":\"\\ud800\"}",
            "1e999",
            "[1e999]",
            "tru",
            "[}",
            "{\"a\":1,}",
            "{\"\\ud800\":1}",
            "[18446744073709551616]",
            &deep,
        ] {
            let document = serde_json::from_str::<serde_json::Value>(text);
            assert_eq!(is_readable(text.as_bytes()), document.is_ok(), "{text}");
        }
    }

    #[test]
    fn elements_of_an_array() {
        let found: Vec<_> = elements(b"[{\"a\":1}, 2,\"x\" ]")
            .map(Result::unwrap)
            .collect();
        assert_eq!(found, [b"{\"a\":1}".as_slice(), b"2", b"\"x\""]);
        assert_eq!(elements(b"[1,2").last(), Some(Err(Fault::Cut { at: 3 })));
    }
}
