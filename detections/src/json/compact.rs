//! The members of an object that is written without white space, as the API server and all exporters write it.
//!
//! One pass over blocks of 64 bytes: strings and containers end at bits of a mask, and what lies in a container is passed a block
//! at a time. Whatever is not as expected ends the pass; then the tolerant scanner must look, which tells what is wrong.

use super::blocks::{self, BLOCK, Block, Blocks, Form, Work};

/// Told the members of an object in order.
pub trait Members {
    /// A key without its quotes, and where its value starts and ends. True if it is a key with neither escapes nor control
    /// characters nor anything beyond ASCII, for example because it is known.
    fn member(&mut self, key: &[u8], start: usize, end: usize) -> bool;
}

/// Hands the members of the object that `bytes` starts with to `members`, and returns the place behind it. `None` if the object is
/// not compact, or not sound; what was handed out is void then. What lies inside of values is not checked.
pub fn compact<M: Members>(bytes: &[u8], members: &mut M) -> Option<usize> {
    if !bytes.starts_with(b"{\"") {
        return None;
    }
    blocks::work(bytes, Pass(members))
}

/// Whether a key means what is written.
#[must_use]
pub fn is_plain_key(key: &[u8]) -> bool {
    key.iter()
        .all(|byte| matches!(byte, b' '..=b'!' | b'#'..=b'[' | b']'..=b'~'))
}

struct Pass<'m, M>(&'m mut M);

impl<M: Members> Work for Pass<'_, M> {
    type Done = Option<usize>;

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "as the trait asks")]
    fn run<F: Form>(self, blocks: Blocks<'_, F>) -> Option<usize> {
        let bytes = blocks.bytes;
        let mut masks = Masks {
            blocks,
            start: 0,
            block: Block::default(),
        };
        masks.turn()?;
        // The opening bracket.
        masks.pass(1);
        let mut at = 1;
        loop {
            // A key.
            if masks.quote()? != at {
                return None;
            }
            let key_end = masks.quote()?;
            let start = key_end + 2;
            let [b':', first] = bytes.get(key_end + 1..key_end + 3)? else {
                return None;
            };
            // Its value.
            let end = match first {
                b'"' => {
                    masks.quote()?;
                    masks.quote()? + 1
                }
                b'{' | b'[' => masks.container_end(start)?,
                b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => start + scalar_length(&bytes[start..])?,
                _ => return None,
            };
            let key = bytes.get(at + 1..key_end)?;
            if !self.0.member(key, start, end) && !is_plain_key(key) {
                return None;
            }
            match bytes.get(end)? {
                b',' => at = end + 1,
                b'}' => return Some(end + 1),
                _ => return None,
            }
        }
    }
}

/// The length of a number or literal that something stands behind.
#[inline]
fn scalar_length(rest: &[u8]) -> Option<usize> {
    let belongs = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    rest.iter().position(|byte| !belongs(byte))
}

/// The masks of the block at hand, without the bits that were passed.
struct Masks<'a, F> {
    blocks: Blocks<'a, F>,
    /// Where the block starts.
    start: usize,
    block: Block,
}

impl<F: Form> Masks<'_, F> {
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "compiled anew for each form")]
    fn turn(&mut self) -> Option<()> {
        (self.start, self.block) = self.blocks.next()?;
        Some(())
    }

    /// Passes the bits below a place in the block.
    #[inline]
    fn pass(&mut self, bits: u32) {
        let left = u64::MAX.checked_shl(bits).unwrap_or(0);
        self.block.quote &= left;
        self.block.open &= left;
        self.block.close &= left;
    }

    /// The next quote; brackets before it are passed when they are asked for.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "compiled anew for each form")]
    fn quote(&mut self) -> Option<usize> {
        while self.block.quote == 0 {
            self.turn()?;
        }
        let bit = self.block.quote.trailing_zeros() as usize;
        self.block.quote &= self.block.quote - 1;
        Some(self.start + bit)
    }

    /// The place behind the container that starts at `from`, in this block or just behind it.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "compiled anew for each form")]
    fn container_end(&mut self, from: usize) -> Option<usize> {
        while from >= self.start + BLOCK {
            self.turn()?;
        }
        self.pass(u32::try_from(from - self.start).ok()?);
        let mut depth = 0_u32;
        loop {
            // The depth cannot reach zero within a block that closes fewer brackets than are open.
            let (opened, closed) = (self.block.open.count_ones(), self.block.close.count_ones());
            if depth > closed {
                depth = depth - closed + opened;
            } else if let Some(bit) = self.walk(&mut depth) {
                self.pass(bit + 1);
                return Some(self.start + bit as usize + 1);
            }
            self.turn()?;
        }
    }

    /// Goes from bracket to bracket; the bit of the one that closes the outermost.
    #[inline]
    fn walk(&self, depth: &mut u32) -> Option<u32> {
        let mut brackets = self.block.open | self.block.close;
        while brackets != 0 {
            let bit = brackets.trailing_zeros();
            if self.block.open >> bit & 1 == 1 {
                *depth += 1;
            } else {
                *depth = depth.saturating_sub(1);
                if *depth == 0 {
                    return Some(bit);
                }
            }
            brackets &= brackets - 1;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Default, PartialEq, Debug)]
    struct Found(Vec<(String, usize, usize)>);

    impl Members for Found {
        fn member(&mut self, key: &[u8], start: usize, end: usize) -> bool {
            self.0
                .push((String::from_utf8_lossy(key).into_owned(), start, end));
            false
        }
    }

    fn tolerant(text: &[u8]) -> Option<(Found, usize)> {
        let mut members = super::super::members(text);
        let mut found = Found::default();
        while let Some(member) = members.next() {
            let (key, value) = member.ok()?;
            let end = members.end();
            found.0.push((key.into_owned(), end - value.len(), end));
        }
        Some((found, members.end()))
    }

    /// What is found is what the tolerant scanner finds.
    #[track_caller]
    fn check(text: &[u8]) -> bool {
        let mut found = Found::default();
        let Some(end) = compact(text, &mut found) else {
            return false;
        };
        let shown = String::from_utf8_lossy(text);
        assert_eq!(Some((found, end)), tolerant(text), "{shown}");
        true
    }

    #[test]
    fn compact_objects_are_passed() {
        for padding in 0..150 {
            let long = "x".repeat(padding);
            let text = format!(
                r#"{{"a":"{long}\"}}","b":[1,{{"{long}":"]"}}],"c":-1.5,"d":{{}},"e":null,"f":"","{long}":[]}} tail"#
            );
            assert!(check(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn anything_else_is_left() {
        for text in [
            "{}",
            "{ \"a\":1}",
            "{\"a\" :1}",
            "{\"a\": 1}",
            "{\"a\":1 }",
            "{\"a\":1, \"b\":2}",
            "{\"a\":1,}",
            "{\"a\":}",
            "{\"a\"}",
            "{\"a\":\"b\"\"c\"}",
            "{\"a\":[1}",
            "{\"a\":\"b",
            "{\"a\":1",
            "{\"\\u0041\":1}",
            "{\"a\":1]",
            "",
        ] {
            assert!(!check(text.as_bytes()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn both_scanners_agree(text in "\\{\"[ab]\":[\\[\\]{}\",:\\\\ntu0-9a.\\-e \n]{0,140}") {
            check(text.as_bytes());
        }

        #[test]
        fn both_scanners_agree_on_objects(
            words in proptest::collection::vec("[a-z\"\\\\{}\\[\\],:\n<é]{0,90}", 1..8),
            place in any::<prop::sample::Index>(), byte in any::<u8>(),
        ) {
            let object: serde_json::Map<String, serde_json::Value> = words
                .iter()
                .enumerate()
                .map(|(number, word)| (format!("k{number}"), serde_json::json!([word, {"a": word}])))
                .chain([("s".to_owned(), words[0].clone().into()), ("n".to_owned(), 12.into())])
                .collect();
            let mut text = serde_json::to_vec(&object).unwrap();
            prop_assert!(check(&text));
            let place = place.index(text.len());
            text[place] = byte;
            check(&text);
        }
    }
}
