//! Sixty-four bytes of JSON at a time as bit masks: quotes, brackets, what lies inside strings.
//!
//! Most bytes of an audit log are bodies that no rule asks for, so this is the innermost loop of reading. Which bytes lie
//! inside strings follows from the quotes by a prefix sum of exclusive or. The technique is simdjson's (Langdale and
//! Lemire, *Parsing Gigabytes of JSON per Second*, 2019, section 3.1).
//!
//! A backslash escapes a quote or backslash behind it inside strings and outside alike: outside it is not JSON anyway, and
//! all ways of counting must agree on every input.
//!
//! The program is compiled for any x86-64; AVX-512 or AVX2 is used where the processor has it, decided once a call. Elsewhere a plain
//! form stands in, which is also what the others are tested against.

use std::ops::ControlFlow;

pub(super) const BLOCK: usize = 64;

/// One bit per byte of a block, the first byte lowest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Block {
    /// Quotes that open or close a string.
    pub(super) quote: u64,
    /// Bytes of strings: from the opening quote on, up to before the closing one.
    pub(super) inside: u64,
    /// Bytes that a backslash escapes.
    pub(super) escaped: u64,
    /// `{` and `[` outside of strings.
    pub(super) open: u64,
    /// `}` and `]` outside of strings.
    pub(super) close: u64,
    /// `,` and `:` outside of strings.
    pub(super) separator: u64,
    /// Bytes below 0x20 inside of strings.
    pub(super) control: u64,
}

/// What a byte is, whatever stands around it.
#[derive(Clone, Copy, Default)]
pub(super) struct Classes {
    quote: u64,
    backslash: u64,
    open: u64,
    close: u64,
    separator: u64,
    control: u64,
}

/// Hands the blocks of `bytes` to `each`, with the offset of their first byte, until it breaks. The last block is filled up
/// with spaces.
#[inline]
pub(super) fn for_each<B>(
    bytes: &[u8],
    each: impl FnMut(usize, &Block) -> ControlFlow<B>,
) -> Option<B> {
    #[cfg(target_arch = "x86_64")]
    if bytes.len() >= BLOCK {
        if x86::has_avx512() {
            return x86::for_each_avx512(bytes, each);
        }
        if x86::has_avx2() {
            return x86::for_each_avx2(bytes, each);
        }
    }
    run(bytes, classes, each)
}

/// Work over the blocks of some bytes, one after the other as it asks for them.
pub(super) trait Work {
    type Done;

    /// Must be inlined, so that it is compiled for what a form may use.
    fn run<F: Fn(&[u8; BLOCK]) -> Classes>(self, blocks: Blocks<'_, F>) -> Self::Done;
}

/// Does some work in the best form that the processor has.
#[inline]
pub(super) fn work<W: Work>(bytes: &[u8], work: W) -> W::Done {
    #[cfg(target_arch = "x86_64")]
    {
        if x86::has_avx512() {
            return x86::work_avx512(bytes, work);
        }
        if x86::has_avx2() {
            return x86::work_avx2(bytes, work);
        }
    }
    work.run(Blocks::new(bytes, classes))
}

/// The blocks of some bytes.
pub(super) struct Blocks<'a, F> {
    pub(super) bytes: &'a [u8],
    /// Where the next block starts.
    next: usize,
    state: State,
    classes: F,
}

impl<'a, F: Fn(&[u8; BLOCK]) -> Classes> Blocks<'a, F> {
    #[inline]
    fn new(bytes: &'a [u8], classes: F) -> Self {
        Self {
            bytes,
            next: 0,
            state: State::default(),
            classes,
        }
    }

    /// The next block and where it starts; the last one is filled up with spaces.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "compiled anew for each form")]
    pub(super) fn next(&mut self) -> Option<(usize, Block)> {
        let start = self.next;
        let rest = self.bytes.get(start..)?;
        self.next += BLOCK;
        if let Some(block) = rest.first_chunk::<BLOCK>() {
            return Some((start, self.state.resolve(&(self.classes)(block))));
        }
        if rest.is_empty() {
            return None;
        }
        let mut last = [b' '; BLOCK];
        last[..rest.len()].copy_from_slice(rest);
        Some((start, self.state.resolve(&(self.classes)(&last))))
    }
}

/// The common part of all forms; inlined into each, so that it is compiled for what that form may use.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled anew for each form")]
fn run<B>(
    bytes: &[u8],
    classes: impl Fn(&[u8; BLOCK]) -> Classes,
    mut each: impl FnMut(usize, &Block) -> ControlFlow<B>,
) -> Option<B> {
    let mut state = State::default();
    let (blocks, tail) = bytes.as_chunks::<BLOCK>();
    for (number, block) in blocks.iter().enumerate() {
        if let ControlFlow::Break(found) = each(number * BLOCK, &state.resolve(&classes(block))) {
            return Some(found);
        }
    }
    if tail.is_empty() {
        return None;
    }
    let mut last = [b' '; BLOCK];
    last[..tail.len()].copy_from_slice(tail);
    let start = bytes.len() - tail.len();
    each(start, &state.resolve(&classes(&last))).break_value()
}

/// What one block tells the next.
#[derive(Default)]
struct State {
    /// All ones inside a string, else zero.
    in_string: u64,
    /// One if the next byte is escaped.
    escaped: u64,
}

impl State {
    #[inline]
    fn resolve(&mut self, classes: &Classes) -> Block {
        let escaped = self.escaped_bits(classes.backslash);
        let quote = classes.quote & !escaped;
        let inside = prefix_xor(quote) ^ self.in_string;
        self.in_string = 0_u64.wrapping_sub(inside >> 63);
        Block {
            quote,
            inside,
            escaped,
            open: classes.open & !inside,
            close: classes.close & !inside,
            separator: classes.separator & !inside,
            control: classes.control & inside,
        }
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
fn classes(block: &[u8; BLOCK]) -> Classes {
    // SAFETY: `classes_sse2` needs SSE2 and nothing else, and SSE2 is part of the x86-64 baseline.
    unsafe { x86::classes_sse2(block) }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn classes(block: &[u8; BLOCK]) -> Classes {
    portable_classes(block)
}

#[cfg(any(test, not(target_arch = "x86_64")))]
fn portable_classes(block: &[u8; BLOCK]) -> Classes {
    let bits = |test: fn(u8) -> bool| {
        block
            .iter()
            .rev()
            .fold(0, |bits, byte| bits << 1 | u64::from(test(*byte)))
    };
    Classes {
        quote: bits(|byte| byte == b'"'),
        backslash: bits(|byte| byte == b'\\'),
        open: bits(|byte| matches!(byte, b'{' | b'[')),
        close: bits(|byte| matches!(byte, b'}' | b']')),
        separator: bits(|byte| matches!(byte, b',' | b':')),
        control: bits(|byte| byte < 0x20),
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m128i, __m256i, _mm_cmpeq_epi8, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128,
        _mm_set_epi64x, _mm_set1_epi8, _mm256_cmpeq_epi8, _mm256_min_epu8, _mm256_movemask_epi8,
        _mm256_or_si256, _mm256_set_epi64x, _mm256_set1_epi8, _mm512_cmpeq_epi8_mask,
        _mm512_cmplt_epu8_mask, _mm512_or_si512, _mm512_set_epi64, _mm512_set1_epi8,
    };
    use std::ops::ControlFlow;

    use super::{BLOCK, Block, Blocks, Classes, Work, run};

    /// Whether the processor has what `avx2` is compiled for; asked once, then remembered.
    #[inline]
    pub(super) fn has_avx2() -> bool {
        std::arch::is_x86_feature_detected!("avx2")
            && std::arch::is_x86_feature_detected!("bmi1")
            && std::arch::is_x86_feature_detected!("popcnt")
    }

    /// # Panics
    /// If the processor lacks AVX2: whoever calls has asked.
    #[inline]
    #[allow(unsafe_code, reason = "the one call below is proven")]
    pub(super) fn for_each_avx2<B>(
        bytes: &[u8],
        each: impl FnMut(usize, &Block) -> ControlFlow<B>,
    ) -> Option<B> {
        assert!(has_avx2(), "the processor was not asked for AVX2");
        // SAFETY: `avx2` needs exactly the features that the line above has found.
        unsafe { avx2(bytes, each) }
    }

    /// As [`has_avx2`], for `avx512`.
    #[inline]
    pub(super) fn has_avx512() -> bool {
        std::arch::is_x86_feature_detected!("avx512f")
            && std::arch::is_x86_feature_detected!("avx512bw")
            && std::arch::is_x86_feature_detected!("bmi1")
            && std::arch::is_x86_feature_detected!("popcnt")
    }

    /// # Panics
    /// If the processor lacks AVX-512: whoever calls has asked.
    #[inline]
    #[allow(unsafe_code, reason = "the one call below is proven")]
    pub(super) fn for_each_avx512<B>(
        bytes: &[u8],
        each: impl FnMut(usize, &Block) -> ControlFlow<B>,
    ) -> Option<B> {
        assert!(has_avx512(), "the processor was not asked for AVX-512");
        // SAFETY: `avx512` needs exactly the features that the line above has found.
        unsafe { avx512(bytes, each) }
    }

    #[target_feature(enable = "avx512f,avx512bw,bmi1,popcnt")]
    fn avx512<B>(bytes: &[u8], each: impl FnMut(usize, &Block) -> ControlFlow<B>) -> Option<B> {
        run(bytes, |block| classes_avx512(block), each)
    }

    /// # Panics
    /// If the processor lacks AVX-512: whoever calls has asked.
    #[inline]
    #[allow(unsafe_code, reason = "the one call below is proven")]
    pub(super) fn work_avx512<W: Work>(bytes: &[u8], work: W) -> W::Done {
        assert!(has_avx512(), "the processor was not asked for AVX-512");
        // SAFETY: `in_avx512` needs exactly the features that the line above has found.
        unsafe { in_avx512(bytes, work) }
    }

    #[target_feature(enable = "avx512f,avx512bw,bmi1,popcnt")]
    fn in_avx512<W: Work>(bytes: &[u8], work: W) -> W::Done {
        work.run(Blocks::new(bytes, |block| classes_avx512(block)))
    }

    /// # Panics
    /// If the processor lacks AVX2: whoever calls has asked.
    #[inline]
    #[allow(unsafe_code, reason = "the one call below is proven")]
    pub(super) fn work_avx2<W: Work>(bytes: &[u8], work: W) -> W::Done {
        assert!(has_avx2(), "the processor was not asked for AVX2");
        // SAFETY: `in_avx2` needs exactly the features that the line above has found.
        unsafe { in_avx2(bytes, work) }
    }

    #[target_feature(enable = "avx2,bmi1,popcnt")]
    fn in_avx2<W: Work>(bytes: &[u8], work: W) -> W::Done {
        work.run(Blocks::new(bytes, |block| classes_avx2(block)))
    }

    /// One comparison gives the mask of a whole block.
    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    fn classes_avx512(block: &[u8; BLOCK]) -> Classes {
        let (words, _) = block.as_chunks::<8>();
        let word = |number: usize| i64::from_le_bytes(words[number]);
        let block = _mm512_set_epi64(
            word(7),
            word(6),
            word(5),
            word(4),
            word(3),
            word(2),
            word(1),
            word(0),
        );
        let folded = _mm512_or_si512(block, _mm512_set1_epi8(0x20));
        let equal =
            |lanes, byte: u8| _mm512_cmpeq_epi8_mask(lanes, _mm512_set1_epi8(byte.cast_signed()));
        Classes {
            quote: equal(block, b'"'),
            backslash: equal(block, b'\\'),
            open: equal(folded, b'{'),
            close: equal(folded, b'}'),
            separator: equal(block, b',') | equal(block, b':'),
            control: _mm512_cmplt_epu8_mask(block, _mm512_set1_epi8(0x20)),
        }
    }

    #[target_feature(enable = "avx2,bmi1,popcnt")]
    fn avx2<B>(bytes: &[u8], each: impl FnMut(usize, &Block) -> ControlFlow<B>) -> Option<B> {
        run(bytes, |block| classes_avx2(block), each)
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn classes_avx2(block: &[u8; BLOCK]) -> Classes {
        let mut classes = Classes::default();
        for (number, lane) in block.as_chunks::<32>().0.iter().enumerate() {
            let shift = number * 32;
            let lane = load256(lane);
            // `[` and `{`, `]` and `}` differ in this one bit, and no other byte becomes one of them by it.
            let folded = _mm256_or_si256(lane, _mm256_set1_epi8(0x20));
            let separator = _mm256_or_si256(
                _mm256_cmpeq_epi8(lane, splat256(b',')),
                _mm256_cmpeq_epi8(lane, splat256(b':')),
            );
            let control = _mm256_cmpeq_epi8(_mm256_min_epu8(lane, splat256(0x1f)), lane);
            classes.quote |= mask256(_mm256_cmpeq_epi8(lane, splat256(b'"'))) << shift;
            classes.backslash |= mask256(_mm256_cmpeq_epi8(lane, splat256(b'\\'))) << shift;
            classes.open |= mask256(_mm256_cmpeq_epi8(folded, splat256(b'{'))) << shift;
            classes.close |= mask256(_mm256_cmpeq_epi8(folded, splat256(b'}'))) << shift;
            classes.separator |= mask256(separator) << shift;
            classes.control |= mask256(control) << shift;
        }
        classes
    }

    #[target_feature(enable = "sse2")]
    #[inline]
    pub(super) fn classes_sse2(block: &[u8; BLOCK]) -> Classes {
        let mut classes = Classes::default();
        for (number, lane) in block.as_chunks::<16>().0.iter().enumerate() {
            let shift = number * 16;
            let lane = load128(lane);
            let folded = _mm_or_si128(lane, _mm_set1_epi8(0x20));
            let separator = _mm_or_si128(
                _mm_cmpeq_epi8(lane, splat128(b',')),
                _mm_cmpeq_epi8(lane, splat128(b':')),
            );
            let control = _mm_cmpeq_epi8(_mm_min_epu8(lane, splat128(0x1f)), lane);
            classes.quote |= mask128(_mm_cmpeq_epi8(lane, splat128(b'"'))) << shift;
            classes.backslash |= mask128(_mm_cmpeq_epi8(lane, splat128(b'\\'))) << shift;
            classes.open |= mask128(_mm_cmpeq_epi8(folded, splat128(b'{'))) << shift;
            classes.close |= mask128(_mm_cmpeq_epi8(folded, splat128(b'}'))) << shift;
            classes.separator |= mask128(separator) << shift;
            classes.control |= mask128(control) << shift;
        }
        classes
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn load256(lane: &[u8; 32]) -> __m256i {
        let (words, _) = lane.as_chunks::<8>();
        let [a, b, c, d] = [0, 1, 2, 3].map(|word| i64::from_le_bytes(words[word]));
        _mm256_set_epi64x(d, c, b, a)
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn splat256(byte: u8) -> __m256i {
        _mm256_set1_epi8(byte.cast_signed())
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn mask256(equal: __m256i) -> u64 {
        _mm256_movemask_epi8(equal).cast_unsigned().into()
    }

    #[target_feature(enable = "sse2")]
    #[inline]
    fn load128(lane: &[u8; 16]) -> __m128i {
        let (words, _) = lane.as_chunks::<8>();
        let [a, b] = [0, 1].map(|word| i64::from_le_bytes(words[word]));
        _mm_set_epi64x(b, a)
    }

    #[target_feature(enable = "sse2")]
    #[inline]
    fn splat128(byte: u8) -> __m128i {
        _mm_set1_epi8(byte.cast_signed())
    }

    #[target_feature(enable = "sse2")]
    #[inline]
    fn mask128(equal: __m128i) -> u64 {
        // One bit for each of sixteen lanes: the upper half is zero.
        _mm_movemask_epi8(equal).cast_unsigned().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, byte by byte.
    fn plain(bytes: &[u8]) -> Vec<Block> {
        let mut blocks = vec![Block::default(); bytes.len().div_ceil(BLOCK)];
        let (mut in_string, mut escaped) = (false, false);
        for (at, byte) in bytes.iter().enumerate() {
            let (block, bit) = (&mut blocks[at / BLOCK], 1_u64 << (at % BLOCK));
            let set = |mask: &mut u64, when: bool| *mask |= if when { bit } else { 0 };
            let is_quote = *byte == b'"' && !escaped;
            in_string ^= is_quote;
            set(&mut block.quote, is_quote);
            set(&mut block.inside, in_string);
            set(&mut block.escaped, escaped);
            set(&mut block.open, !in_string && matches!(byte, b'{' | b'['));
            set(&mut block.close, !in_string && matches!(byte, b'}' | b']'));
            set(
                &mut block.separator,
                !in_string && matches!(byte, b',' | b':'),
            );
            set(&mut block.control, in_string && *byte < 0x20);
            escaped = *byte == b'\\' && !escaped;
        }
        blocks
    }

    fn collected(
        bytes: &[u8],
        form: impl FnOnce(&[u8], &mut dyn FnMut(usize, &Block) -> ControlFlow<()>) -> Option<()>,
    ) -> Vec<Block> {
        let mut blocks = Vec::new();
        form(bytes, &mut |_, block| {
            blocks.push(*block);
            ControlFlow::Continue(())
        });
        // Behind the end there is nothing, although a string may seem to go on.
        let rest = bytes.len() % BLOCK;
        if let (Some(last), 1..) = (blocks.last_mut(), rest) {
            let kept = (1_u64 << rest) - 1;
            for mask in [
                &mut last.quote,
                &mut last.inside,
                &mut last.escaped,
                &mut last.open,
                &mut last.close,
                &mut last.separator,
                &mut last.control,
            ] {
                *mask &= kept;
            }
        }
        blocks
    }

    proptest! {
        #[test]
        fn all_forms_agree_with_the_definition(bytes in proptest::collection::vec(prop_oneof![
            Just(b'"'), Just(b'\\'), Just(b'{'), Just(b'}'), Just(b'['), Just(b']'), Just(b','), Just(b':'), Just(b'\n'),
            any::<u8>(),
        ], 0..400)) {
            let expected = plain(&bytes);
            prop_assert_eq!(&collected(&bytes, |bytes, each| for_each(bytes, each)), &expected);
            #[cfg(target_arch = "x86_64")]
            if x86::has_avx2() {
                prop_assert_eq!(&collected(&bytes, |bytes, each| x86::for_each_avx2(bytes, each)), &expected);
            }
            prop_assert_eq!(&collected(&bytes, |bytes, each| run(bytes, classes, each)), &expected);
            prop_assert_eq!(&collected(&bytes, |bytes, each| run(bytes, portable_classes, each)), &expected);
        }
    }
}
