//! What both evaluators agree to call the text, the number and the time of a JSON scalar.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::Value;

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
    fn folding_is_done_once() {
        for letter in '\0'..=char::MAX {
            let folded = fold(&letter.to_string());
            assert_eq!(fold(&folded), folded, "{letter}");
        }
    }
}
