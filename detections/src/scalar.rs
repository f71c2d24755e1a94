//! What both evaluators agree to call the text, the number and the time of a JSON scalar.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::json;
use crate::sigma::ast::TimePart;

/// The text that a scalar compares by: `403` equals `"403"`. `None` for null, objects and arrays.
pub(crate) fn text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Bool(true) => Some(Cow::Borrowed("true")),
        Value::Bool(false) => Some(Cow::Borrowed("false")),
        _ => None,
    }
}

/// A text without the difference between upper and lower case, letter by letter, as `re|i` has it.
///
/// Lower-casing the whole text would not do: it looks at neighbours (a final sigma) and changes lengths (`İ`), so that
/// a piece of a pattern would fold otherwise than the same letters inside a value.
pub(crate) fn fold(text: &str) -> String {
    if text.is_ascii() {
        text.to_ascii_lowercase()
    } else {
        text.chars().map(fold_letter).collect()
    }
}

fn fold_letter(letter: char) -> char {
    // The dotless i is a letter of its own, although its upper case is that of `i`.
    if letter == 'ı' {
        return letter;
    }
    let upper = only(letter.to_uppercase()).unwrap_or(letter);
    only(upper.to_lowercase()).unwrap_or(upper)
}

/// The letter of a mapping that yields just one.
fn only(mut letters: impl Iterator<Item = char>) -> Option<char> {
    let letter = letters.next()?;
    letters.next().is_none().then_some(letter)
}

/// The part of the timestamp that a string holds, in UTC.
pub(crate) fn time_part(text: &str, part: TimePart) -> Option<i64> {
    let time = civil(text)?;
    Some(match part {
        TimePart::Minute => time.minute().into(),
        TimePart::Hour => time.hour().into(),
        TimePart::Day => time.day().into(),
        TimePart::Week => time.date().iso_week_date().week().into(),
        TimePart::Month => time.month().into(),
        TimePart::Year => time.year().into(),
    })
}

/// Microseconds since 1970 UTC of an RFC 3339 timestamp; one without an offset is taken as UTC.
#[must_use]
pub fn micros(text: &str) -> Option<i64> {
    let utc = civil(text)?.to_zoned(TimeZone::UTC).ok()?;
    Some(utc.timestamp().as_microsecond())
}

/// The same of a JSON text, if it is a string. What API servers write is read without going through the calendar's library.
pub(crate) fn micros_of_json(text: &[u8]) -> Option<i64> {
    usual_micros(text).or_else(|| micros(&json::string(text)?))
}

/// `"2026-11-20T21:39:58.333744Z"`, and nothing else.
fn usual_micros(text: &[u8]) -> Option<i64> {
    let text: &[u8; 29] = text.try_into().ok()?;
    let marks = [
        (0, b'"'),
        (5, b'-'),
        (8, b'-'),
        (11, b'T'),
        (14, b':'),
        (17, b':'),
        (20, b'.'),
        (27, b'Z'),
        (28, b'"'),
    ];
    if marks.iter().any(|(at, mark)| text[*at] != *mark) {
        return None;
    }
    let number = |from: usize, to: usize| {
        text[from..to].iter().try_fold(0_i64, |number, byte| {
            byte.is_ascii_digit()
                .then(|| number * 10 + i64::from(byte - b'0'))
        })
    };
    let (year, month, day) = (number(1, 5)?, number(6, 8)?, number(9, 11)?);
    let (hour, minute, second) = (number(12, 14)?, number(15, 17)?, number(18, 20)?);
    // Days that not every month has, and leap seconds, are left to the library.
    let is_usual = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=28).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    let seconds = ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    is_usual.then_some(seconds * 1_000_000 + number(21, 27)?)
}

/// Days since 1970-01-01 of a date in the proleptic Gregorian calendar. Years are counted from March on, so that the leap
/// day comes last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468
}

fn civil(text: &str) -> Option<DateTime> {
    match text.parse::<Timestamp>() {
        Ok(time) => Some(time.to_zoned(TimeZone::UTC).datetime()),
        Err(_) => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use regex_automata::meta::Regex;
    use regex_automata::util::syntax;

    #[test]
    fn letters_fold_as_in_case_insensitive_expressions() {
        // Higher planes have letters that are younger than the expressions' tables.
        for letter in ('\0'..='\u{2fff}').filter(|letter| letter.is_alphabetic()) {
            let folded = fold(&letter.to_string());
            if folded.starts_with(letter) {
                continue;
            }
            let regex = Regex::builder()
                .syntax(syntax::Config::new().case_insensitive(true))
                .build(&folded);
            assert!(
                regex.is_ok_and(|regex| regex.is_match(letter.to_string().as_bytes())),
                "{letter} {folded}"
            );
        }
    }

    #[test]
    fn the_short_way_of_reading_times_agrees_with_the_long_one() {
        for year in [1970, 1972, 1999, 2000, 2026, 2100, 9999] {
            for month in 1..=13 {
                for day in 0..=32 {
                    let text = format!("{year}-{month:02}-{day:02}T23:59:07.000123Z");
                    let quoted = format!("\"{text}\"");
                    assert_eq!(micros_of_json(quoted.as_bytes()), micros(&text), "{text}");
                }
            }
        }
        for text in [
            "2026-11-20T24:00:00.000000Z",
            "2026-11-20T23:60:00.000000Z",
            "2026-11-20T23:00:60.000000Z",
            "2026-11-20t23:00:00.00000aZ",
        ] {
            assert_eq!(
                micros_of_json(format!("\"{text}\"").as_bytes()),
                micros(text),
                "{text}"
            );
        }
    }

    #[test]
    fn folding_is_done_once() {
        for letter in '\0'..=char::MAX {
            let folded = fold(&letter.to_string());
            assert_eq!(fold(&folded), folded, "{letter}");
        }
    }
}
