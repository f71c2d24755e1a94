//! What is a number, and how numbers are kept.
//!
//! They are kept as whole millionths. Sums of floating point numbers depend on the order and drift as numbers leave; sums of
//! whole numbers do neither, so that a window that has seen a million events says what one says that was started anew, and
//! `0.1 + 0.2` is `0.3`. What audit logs hold (counts, bytes, seconds, codes) has no more than six decimals.

use serde_json::Value;

/// Millionths in one.
pub(super) const SCALE: i128 = 1_000_000;

/// The greatest magnitude, in millionths: 10^18, a hundred times what a condition can name. Greater numbers count as this one.
/// A hundred million million of them still fit into a sum.
const LARGEST: i128 = 1_000_000_000_000_000_000 * SCALE;

/// The number that a JSON number is, or a string that is the text of one; `None` for all else. Infinity is no number.
pub(in crate::correlation) fn millionths(value: &Value) -> Option<i128> {
    match value {
        Value::Number(number) => match number.as_i128() {
            Some(whole) => Some(of_whole(whole)),
            None => of_float(number.as_f64()?),
        },
        Value::String(text) => match text.parse() {
            Ok(whole) => Some(of_whole(whole)),
            Err(_) => of_float(text.parse().ok()?),
        },
        _ => None,
    }
}

fn of_whole(whole: i128) -> i128 {
    whole.saturating_mul(SCALE).clamp(-LARGEST, LARGEST)
}

fn of_float(number: f64) -> Option<i128> {
    if !number.is_finite() {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "what is too great saturates, and is clamped"
    )]
    let rounded = (number * SCALE as f64).round() as i128;
    Some(rounded.clamp(-LARGEST, LARGEST))
}

/// The number that so many millionths are. A whole one is exact up to 2^53.
pub(in crate::correlation) fn units(millionths: i128) -> f64 {
    if millionths % SCALE == 0 {
        (millionths / SCALE) as f64
    } else {
        millionths as f64 / SCALE as f64
    }
}

/// Which number of a sorted list is the percentile, from 1: the nearest rank, the least that so many percent do not exceed.
pub(in crate::correlation) fn rank(percentile: f64, count: u64) -> u64 {
    // Multiplied first: 7 percent of 100 must not become 7.000000000000001 and then 8.
    let share = (percentile * count as f64 / 100.0).ceil();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to the ranks that there are"
    )]
    let rank = share as u64;
    rank.clamp(1, count.max(1))
}
