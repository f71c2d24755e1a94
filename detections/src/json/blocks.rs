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

#![expect(
    clippy::inline_always,
    reason = "the innermost loops, which lose a tenth and more if the compiler decides otherwise"
)]

use std::ops::ControlFlow;

#[cfg(target_arch = "x86_64")]
mod x86;

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
    work(bytes, Each(each))
}

/// Work over the blocks of some bytes, one after the other as it asks for them.
pub(super) trait Work {
    type Done;

    /// Must be inlined, so that it is compiled for what a form may use.
    fn run<F: Form>(self, blocks: Blocks<'_, F>) -> Self::Done;
}

/// How masks are made on some processor.
pub(super) trait Form {
    fn classes(&self, block: &[u8; BLOCK]) -> Classes;

    /// Each bit becomes the exclusive or of itself and all lower ones: ones from an opening quote up to its closing one.
    fn prefix_xor(&self, bits: u64) -> u64;
}

/// A form of two functions, which closures are: they are compiled for what the function around them may use.
struct Of<C, P>(C, P);

impl<C: Fn(&[u8; BLOCK]) -> Classes, P: Fn(u64) -> u64> Form for Of<C, P> {
    #[inline(always)]
    fn classes(&self, block: &[u8; BLOCK]) -> Classes {
        self.0(block)
    }

    #[inline(always)]
    fn prefix_xor(&self, bits: u64) -> u64 {
        self.1(bits)
    }
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
    work.run(Blocks::new(bytes, Of(classes, prefix_xor)))
}

/// The blocks of some bytes.
pub(super) struct Blocks<'a, F> {
    pub(super) bytes: &'a [u8],
    /// Where the next block starts.
    next: usize,
    state: State,
    form: F,
}

impl<'a, F: Form> Blocks<'a, F> {
    #[inline]
    fn new(bytes: &'a [u8], form: F) -> Self {
        Self {
            bytes,
            next: 0,
            state: State::default(),
            form,
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
            prefetch(block);
            return Some((start, self.state.resolve(block, &self.form)));
        }
        if rest.is_empty() {
            return None;
        }
        let mut last = [b' '; BLOCK];
        last[..rest.len()].copy_from_slice(rest);
        Some((start, self.state.resolve(&last, &self.form)))
    }
}

/// Hands blocks out until `each` breaks.
struct Each<E>(E);

impl<B, E: FnMut(usize, &Block) -> ControlFlow<B>> Work for Each<E> {
    type Done = Option<B>;

    #[inline(always)]
    fn run<F: Form>(mut self, mut blocks: Blocks<'_, F>) -> Option<B> {
        while let Some((start, block)) = blocks.next() {
            if let ControlFlow::Break(found) = self.0(start, &block) {
                return Some(found);
            }
        }
        None
    }
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
    #[inline(always)]
    fn resolve(&mut self, block: &[u8; BLOCK], form: &impl Form) -> Block {
        let classes = form.classes(block);
        let escaped = self.escaped_bits(classes.backslash);
        let quote = classes.quote & !escaped;
        let inside = form.prefix_xor(quote) ^ self.in_string;
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

#[inline]
fn prefix_xor(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}

/// How far ahead bytes are asked for: a page, which the processor does not look beyond by itself. A tenth of the time of a log that
/// comes from memory.
#[cfg(target_arch = "x86_64")]
const AHEAD: usize = 4 << 10;

/// Asks for the bytes that will be read soon: what lies behind a block is the rest of its record, and the next one.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
#[allow(unsafe_code, reason = "the one call below is proven")]
fn prefetch(block: &[u8; BLOCK]) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    let ahead = block.as_ptr().wrapping_add(AHEAD);
    // SAFETY: a prefetch is a hint that reads nothing and cannot fault, whatever the address (Intel's manual, PREFETCHh); it needs SSE,
    // which is part of the x86-64 baseline.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(ahead.cast()) };
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn prefetch(_: &[u8; BLOCK]) {}

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

    fn in_form(
        bytes: &[u8],
        each: &mut dyn FnMut(usize, &Block) -> ControlFlow<()>,
        classes: fn(&[u8; BLOCK]) -> Classes,
    ) -> Option<()> {
        Each(each).run(Blocks::new(bytes, Of(classes, prefix_xor)))
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
                prop_assert_eq!(&collected(&bytes, |bytes, each| x86::work_avx2(bytes, Each(each))), &expected);
            }
            prop_assert_eq!(&collected(&bytes, |bytes, each| in_form(bytes, each, classes)), &expected);
            prop_assert_eq!(&collected(&bytes, |bytes, each| in_form(bytes, each, portable_classes)), &expected);
        }
    }
}
