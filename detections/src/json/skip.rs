//! Finds the end of an object or array without looking into it.
//!
//! Most bytes of an audit log are bodies that no rule asks for, so this is the innermost loop of reading. Sixty-four bytes
//! at a time are turned into bit masks (quotes, backslashes, brackets); which bytes lie inside strings follows from the
//! quotes by a prefix sum of exclusive or, and brackets outside strings are counted. The technique is simdjson's (Langdale
//! and Lemire, *Parsing Gigabytes of JSON per Second*, 2019, section 3.1).
//!
//! A backslash escapes a quote or backslash behind it inside strings and outside alike: outside it is not JSON anyway, and both ways of
//! counting below must agree on every input.

const BLOCK: usize = 64;

/// The offset behind the bracket that closes the container which starts at `start`; `None` if the input ends before.
/// Mismatched kinds (`[}`) are left to whoever parses the slice.
pub(super) fn container_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut scan = Scan::default();
    let mut at = start;
    while let Some(block) = bytes
        .get(at..at + BLOCK)
        .and_then(|block| block.try_into().ok())
    {
        if let Some(found) = scan.block(block) {
            return Some(at + found);
        }
        at += BLOCK;
    }
    let tail = bytes.get(at..).unwrap_or_default();
    scan.bytes(tail).map(|found| at + found)
}

/// Where a scan stands between two blocks.
#[derive(Default)]
struct Scan {
    depth: usize,
    /// All ones inside a string, else zero.
    in_string: u64,
    /// One if the next byte is escaped.
    escaped: u64,
}

/// One bit per byte of a block, the first byte lowest.
struct Masks {
    quote: u64,
    backslash: u64,
    open: u64,
    close: u64,
}

impl Scan {
    /// Takes a whole block in; the offset behind the closing bracket if it is in it.
    #[inline]
    fn block(&mut self, block: &[u8; BLOCK]) -> Option<usize> {
        let masks = masks(block);
        let quote = masks.quote & !self.escaped_bits(masks.backslash);
        let inside = prefix_xor(quote) ^ self.in_string;
        self.in_string = if inside >> 63 == 1 { u64::MAX } else { 0 };
        let (open, close) = (masks.open & !inside, masks.close & !inside);
        // The depth cannot reach zero within a block that closes fewer brackets than are open.
        if self.depth > close.count_ones() as usize {
            self.depth = self.depth + open.count_ones() as usize - close.count_ones() as usize;
            return None;
        }
        self.walk(open, close)
    }

    /// Goes from bracket to bracket.
    fn walk(&mut self, open: u64, close: u64) -> Option<usize> {
        let mut brackets = open | close;
        while brackets != 0 {
            let bit = brackets.trailing_zeros();
            if open >> bit & 1 == 1 {
                self.depth += 1;
            } else {
                self.depth -= 1;
                if self.depth == 0 {
                    return Some(bit as usize + 1);
                }
            }
            brackets &= brackets - 1;
        }
        None
    }

    /// The bytes that a backslash escapes. A run of backslashes escapes every second one of its own, and what follows it
    /// if its length is odd.
    #[inline]
    fn escaped_bits(&mut self, backslash: u64) -> u64 {
        const EVEN: u64 = 0x5555_5555_5555_5555;
        if backslash == 0 {
            return std::mem::take(&mut self.escaped);
        }
        let backslash = backslash & !self.escaped;
        let follows = backslash << 1 | self.escaped;
        let odd_starts = backslash & !EVEN & !follows;
        let (even_runs, overflow) = odd_starts.overflowing_add(backslash);
        self.escaped = u64::from(overflow);
        (EVEN ^ (even_runs << 1)) & follows
    }

    /// The plain form, byte by byte: for what is left behind the last block, and as the definition.
    fn bytes(&mut self, bytes: &[u8]) -> Option<usize> {
        for (at, byte) in bytes.iter().enumerate() {
            let escaped = std::mem::take(&mut self.escaped) == 1;
            match byte {
                b'\\' | b'"' if escaped => {}
                b'\\' => self.escaped = 1,
                b'"' => self.in_string = !self.in_string,
                _ if self.in_string != 0 => {}
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        return Some(at + 1);
                    }
                }
                _ => {}
            }
        }
        None
    }
}

/// Each bit becomes the exclusive or of itself and all lower ones: ones from an opening quote up to its closing one.
#[inline]
fn prefix_xor(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[allow(unsafe_code, reason = "the one call below is proven")]
fn masks(block: &[u8; BLOCK]) -> Masks {
    // SAFETY: `sse2::masks` needs SSE2 and nothing else, and SSE2 is part of the x86-64 baseline.
    unsafe { sse2::masks(block) }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn masks(block: &[u8; BLOCK]) -> Masks {
    portable_masks(block)
}

#[cfg(any(test, not(target_arch = "x86_64")))]
fn portable_masks(block: &[u8; BLOCK]) -> Masks {
    let bits = |test: fn(u8) -> bool| {
        block
            .iter()
            .rev()
            .fold(0, |bits, byte| bits << 1 | u64::from(test(*byte)))
    };
    Masks {
        quote: bits(|byte| byte == b'"'),
        backslash: bits(|byte| byte == b'\\'),
        open: bits(|byte| matches!(byte, b'{' | b'[')),
        close: bits(|byte| matches!(byte, b'}' | b']')),
    }
}

#[cfg(target_arch = "x86_64")]
mod sse2 {
    use std::arch::x86_64::{
        __m128i, _mm_cmpeq_epi8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x, _mm_set1_epi8,
    };

    use super::{BLOCK, Masks};

    #[target_feature(enable = "sse2")]
    #[inline]
    pub(super) fn masks(block: &[u8; BLOCK]) -> Masks {
        let mut masks = Masks {
            quote: 0,
            backslash: 0,
            open: 0,
            close: 0,
        };
        for (number, lane) in block.as_chunks::<16>().0.iter().enumerate() {
            let shift = number * 16;
            let lane = load(lane);
            // `[` and `{`, `]` and `}` differ in this one bit, and no other byte becomes one of them by it.
            let folded = _mm_or_si128(lane, _mm_set1_epi8(0x20));
            masks.quote |= equal(lane, b'"') << shift;
            masks.backslash |= equal(lane, b'\\') << shift;
            masks.open |= equal(folded, b'{') << shift;
            masks.close |= equal(folded, b'}') << shift;
        }
        masks
    }

    #[target_feature(enable = "sse2")]
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "each half is taken by itself"
    )]
    fn load(lane: &[u8; 16]) -> __m128i {
        let value = i128::from_le_bytes(*lane);
        _mm_set_epi64x((value >> 64) as i64, value as i64)
    }

    #[target_feature(enable = "sse2")]
    #[inline]
    fn equal(lane: __m128i, byte: u8) -> u64 {
        let mask = _mm_movemask_epi8(_mm_cmpeq_epi8(lane, _mm_set1_epi8(byte.cast_signed())));
        // One bit for each of sixteen lanes: the upper half is zero.
        mask.cast_unsigned().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plain(bytes: &[u8]) -> Option<usize> {
        Scan::default().bytes(bytes)
    }

    #[test]
    fn ends_are_found_across_blocks() {
        for padding in 0..200 {
            let text = format!(
                "{{\"a\":\"{}\\\"}}\",\"b\":[1,{{}}]}} tail",
                "x".repeat(padding)
            );
            assert_eq!(
                container_end(text.as_bytes(), 0),
                Some(text.len() - 5),
                "{padding}"
            );
        }
        assert_eq!(container_end(b"x[[]]", 1), Some(5));
        assert_eq!(container_end(b"[[]", 0), None);
    }

    proptest! {
        #[test]
        fn blocks_and_bytes_agree(body in proptest::collection::vec(
            prop_oneof![Just(b'"'), Just(b'\\'), Just(b'{'), Just(b'}'), Just(b'['), Just(b']'), any::<u8>()], 0..400,
        )) {
            let bytes: Vec<u8> = std::iter::once(b'{').chain(body).collect();
            prop_assert_eq!(container_end(&bytes, 0), plain(&bytes));
        }

        #[test]
        fn both_ways_of_masking_agree(block in any::<[u8; 32]>(), more in any::<[u8; 32]>()) {
            let mut whole = [0; BLOCK];
            whole[..32].copy_from_slice(&block);
            whole[32..].copy_from_slice(&more);
            let (fast, slow) = (masks(&whole), portable_masks(&whole));
            prop_assert_eq!(
                (fast.quote, fast.backslash, fast.open, fast.close),
                (slow.quote, slow.backslash, slow.open, slow.close)
            );
        }
    }
}
