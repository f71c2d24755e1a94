//! Times as the envelopes write them.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::text::Raw;

/// Seconds of the year 2286: a number beyond is milliseconds, and so on.
const SECONDS_MAX: u64 = 10_000_000_000;
const MILLIS_MAX: u64 = SECONDS_MAX * 1_000;
const MICROS_MAX: u64 = MILLIS_MAX * 1_000;

/// Microseconds since 1970 of a timestamp: RFC 3339, the same without an offset (which is UTC), or
/// a number of seconds, milli-, micro- or nanoseconds.
pub(super) fn micros(raw: Option<Raw<'_>>) -> Option<i64> {
    let raw = raw?;
    if let Some(number) = raw.integer() {
        return from_number(number);
    }
    let text = raw.text()?;
    let text = text.trim();
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time.as_microsecond());
    }
    let civil: DateTime = text.parse().ok()?;
    Some(TimeZone::UTC.to_timestamp(civil).ok()?.as_microsecond())
}

fn from_number(number: i64) -> Option<i64> {
    match number.unsigned_abs() {
        0..SECONDS_MAX => number.checked_mul(1_000_000),
        SECONDS_MAX..MILLIS_MAX => number.checked_mul(1_000),
        MILLIS_MAX..MICROS_MAX => Some(number),
        _ => Some(number / 1_000),
    }
}

/// A timestamp as the API server writes it, as JSON: what is RFC 3339 already stays as it is.
pub(super) fn rfc3339(raw: Option<Raw<'_>>) -> Option<Cow<'_, [u8]>> {
    let raw = raw?;
    let bytes = raw.whole()?;
    let rfc3339 = raw.text().is_some_and(|text| {
        text.as_bytes().get(10) == Some(&b'T') && text.parse::<Timestamp>().is_ok()
    });
    if rfc3339 {
        return Some(Cow::Borrowed(bytes));
    }
    let time = Timestamp::from_microsecond(micros(Some(raw))?).ok()?;
    Some(Cow::Owned(format!("\"{time:.6}\"").into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Raw<'_> {
        Raw {
            bytes: text.as_bytes(),
            cut: false,
        }
    }

    #[test]
    fn all_forms_of_one_instant() {
        let instant = Some(1_669_680_544_380_000);
        for text in [
            r#""2022-11-29T00:09:04.380Z""#,
            r#""2022-11-29T01:09:04.3800000+01:00""#,
            r#""2022-11-29 00:09:04.380""#,
            r#""2022-11-29 00:09:04.380000000""#,
            "1669680544380",
            "1669680544380000",
            "1669680544380000000",
            r#""1669680544380""#,
        ] {
            assert_eq!(micros(Some(raw(text))), instant, "{text}");
        }
        assert_eq!(micros(Some(raw("1669680544"))), Some(1_669_680_544_000_000));
        for text in [
            "null",
            "{}",
            r#""soon""#,
            "1e9",
            r#""2022-13-45T00:00:00Z""#,
        ] {
            assert_eq!(micros(Some(raw(text))), None, "{text}");
        }
    }

    #[test]
    fn times_without_an_offset_are_written_anew() {
        let written = |text| {
            rfc3339(Some(raw(text))).map(|time| String::from_utf8(time.into_owned()).unwrap())
        };
        assert_eq!(
            written(r#""2024-01-01T01:00:00Z""#).as_deref(),
            Some(r#""2024-01-01T01:00:00Z""#)
        );
        assert_eq!(
            written(r#""2024-02-13 12:45:06.073905000""#).as_deref(),
            Some(r#""2024-02-13T12:45:06.073905Z""#)
        );
        assert_eq!(written("null"), None);
    }
}
