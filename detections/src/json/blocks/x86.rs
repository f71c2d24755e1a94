//! The forms that processors with x86-64 have.

use std::arch::x86_64::{
    __m128i, __m256i, __m512i, _mm_clmulepi64_si128, _mm_cmpeq_epi8, _mm_cvtsi64_si128,
    _mm_cvtsi128_si64, _mm_loadu_si128, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128,
    _mm_set1_epi8, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_min_epu8, _mm256_movemask_epi8,
    _mm256_or_si256, _mm256_set1_epi8, _mm512_cmpeq_epi8_mask, _mm512_cmplt_epu8_mask,
    _mm512_loadu_si512, _mm512_or_si512, _mm512_set1_epi8,
};

use super::{BLOCK, Blocks, Classes, Of, Work};

/// Whether the processor has what `in_avx2` is compiled for; asked once, then remembered.
#[inline]
pub(super) fn has_avx2() -> bool {
    std::arch::is_x86_feature_detected!("avx2")
        && std::arch::is_x86_feature_detected!("bmi1")
        && std::arch::is_x86_feature_detected!("popcnt")
        && std::arch::is_x86_feature_detected!("pclmulqdq")
}

/// As [`has_avx2`], for `in_avx512`.
#[inline]
pub(super) fn has_avx512() -> bool {
    std::arch::is_x86_feature_detected!("avx512f")
        && std::arch::is_x86_feature_detected!("avx512bw")
        && std::arch::is_x86_feature_detected!("bmi1")
        && std::arch::is_x86_feature_detected!("popcnt")
        && std::arch::is_x86_feature_detected!("pclmulqdq")
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

#[target_feature(enable = "avx512f,avx512bw,bmi1,popcnt,pclmulqdq")]
fn in_avx512<W: Work>(bytes: &[u8], work: W) -> W::Done {
    let form = Of(
        |block: &[u8; BLOCK]| classes_avx512(block),
        |bits| prefix_xor(bits),
    );
    work.run(Blocks::new(bytes, form))
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

#[target_feature(enable = "avx2,bmi1,popcnt,pclmulqdq")]
fn in_avx2<W: Work>(bytes: &[u8], work: W) -> W::Done {
    let form = Of(
        |block: &[u8; BLOCK]| classes_avx2(block),
        |bits| prefix_xor(bits),
    );
    work.run(Blocks::new(bytes, form))
}

/// A product without carries by all ones.
#[target_feature(enable = "pclmulqdq")]
#[inline]
fn prefix_xor(bits: u64) -> u64 {
    let product = _mm_clmulepi64_si128(_mm_cvtsi64_si128(bits.cast_signed()), _mm_set1_epi8(-1), 0);
    _mm_cvtsi128_si64(product).cast_unsigned()
}

/// One comparison gives the mask of a whole block.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn classes_avx512(block: &[u8; BLOCK]) -> Classes {
    let block = load512(block);
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

#[target_feature(enable = "avx512f")]
#[inline]
#[allow(
    unsafe_code,
    reason = "the one call below is proven; put together from words it takes four loads"
)]
fn load512(block: &[u8; BLOCK]) -> __m512i {
    // SAFETY: the reference is to 64 bytes that may be read, and this load needs no alignment.
    unsafe { _mm512_loadu_si512(block.as_ptr().cast()) }
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
#[allow(unsafe_code, reason = "the one call below is proven")]
fn load256(lane: &[u8; 32]) -> __m256i {
    // SAFETY: the reference is to 32 bytes that may be read, and this load needs no alignment.
    unsafe { _mm256_loadu_si256(lane.as_ptr().cast()) }
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
#[allow(unsafe_code, reason = "the one call below is proven")]
fn load128(lane: &[u8; 16]) -> __m128i {
    // SAFETY: the reference is to 16 bytes that may be read, and this load needs no alignment.
    unsafe { _mm_loadu_si128(lane.as_ptr().cast()) }
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
