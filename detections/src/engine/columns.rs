//! Columns that repeat: which fields they decide, and the small event that has only these.

use serde_json::{Map, Value};

use crate::batch::{Column, EventRow};
use crate::event::{Event, Origin};
use crate::fields;
use crate::json;
use crate::path::FieldPath;

/// The columns by which most rules can be ruled out, with few distinct values each. What the rules come to for a
/// combination of them is remembered as a whole.
pub(super) const SITUATION: [Column; 6] = [
    Column::Verb,
    Column::Resource,
    Column::Subresource,
    Column::ApiGroup,
    Column::Stage,
    Column::Level,
];

/// What some tests read together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) columns: &'static [Column],
    /// Of the response's status only the code: the messages of failed requests hardly repeat.
    pub(super) code_only: bool,
}

/// The columns that decide a field, if they repeat enough to be remembered: whatever [`Event::resolve`] reads for this
/// path, and nothing else.
pub(super) fn reading_of(path: &FieldPath) -> Option<Reading> {
    let code_only = path.is(&["responseStatus", "code"]) || path.is(&["outcome", "result"]);
    Some(Reading {
        columns: columns_of(path)?,
        code_only,
    })
}

fn columns_of(path: &FieldPath) -> Option<&'static [Column]> {
    if path.has_positions() {
        return None;
    }
    // A column holds one field of the reference, not what a path below it may find as a key with dots.
    if path.first() == "objectRef" && path.key(2).is_some() {
        return None;
    }
    Some(match (path.first(), path.key(1)) {
        ("verb", _) => &[Column::Verb],
        ("stage", _) => &[Column::Stage],
        ("level", _) => &[Column::Level],
        ("userAgent" | "agent", _) => &[Column::UserAgent],
        ("sourceIPs" | "source", _) => &[Column::SourceIps],
        ("user" | "actor", _) => &[Column::User],
        ("impersonatedUser", _) => &[Column::ImpersonatedUser],
        ("effective", _) => &[Column::User, Column::ImpersonatedUser],
        ("objectRef", Some("resource")) => &[Column::Resource],
        ("objectRef", Some("subresource")) => &[Column::Subresource],
        ("objectRef", Some("namespace")) => &[Column::Namespace],
        ("objectRef", Some("apiGroup")) => &[Column::ApiGroup],
        ("responseStatus", _) | ("outcome", Some("result")) => {
            &[Column::ResponseStatus, Column::Stage]
        }
        ("annotations", _) => &[Column::Annotations, Column::Stage],
        ("outcome", Some("denied_by")) => {
            &[Column::ResponseStatus, Column::Stage, Column::Annotations]
        }
        // Records that were cut are odd and never judged by columns.
        ("event", Some("envelope" | "partial")) => &[],
        ("event", Some("truncated")) => &[Column::Annotations],
        _ => return None,
    })
}

/// The column that is a field as a whole, and whose value differs from row to row.
pub(super) fn text_column_of(path: &FieldPath) -> Option<Column> {
    match (path.first(), path.key(1), path.key(2)) {
        _ if path.has_positions() => None,
        ("objectRef", Some("name"), None) => Some(Column::Name),
        ("requestURI", None, None) => Some(Column::RequestUri),
        ("requestReceivedTimestamp", None, None) => Some(Column::RequestReceivedTimestamp),
        ("stageTimestamp", None, None) => Some(Column::StageTimestamp),
        _ => None,
    }
}

/// The event at a row, reduced to some columns; `None` if one of them is not valid JSON, so that the small event would lie.
pub(super) fn small_event(columns: &[Column], row: &EventRow<'_>) -> Option<Event> {
    let mut small = Map::new();
    for column in columns {
        let Some(slice) = row.slice(*column) else {
            continue;
        };
        let value = fields::document(slice)?;
        match column.path() {
            [outer, inner] => {
                let outer = small
                    .entry(*outer)
                    .or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(outer) = outer {
                    outer.insert((*inner).to_owned(), value);
                }
            }
            path => drop(small.insert(path.join("."), value)),
        }
    }
    let origin = Origin {
        envelope: row.envelope(),
        ..Origin::default()
    };
    Some(Event::from_fields(small, origin, row.settings.clone()))
}

/// A status that is so short is a value of its own.
const STATUS_BYTES_SHORT: usize = 48;

/// What stands for a status where only its code matters: the code, or the whole text if it is short or unusual. `None` if it is
/// not valid JSON.
pub(super) fn code_of(status: &[u8]) -> Option<&[u8]> {
    if status.len() <= STATUS_BYTES_SHORT {
        return Some(status);
    }
    let (mut code, mut is_plain): (Option<&[u8]>, _) = (None, true);
    for member in json::members(status) {
        // What is no object is unusual.
        let Ok((key, value)) = member else {
            return Some(status);
        };
        let is_number = is_whole_number(value);
        is_plain &= is_number || json::string(value).is_some() || is_flat(value);
        // Of duplicate keys the last wins.
        match &*key {
            "code" if is_number => code = Some(value),
            "code" => return Some(status),
            // A path finds `responseStatus.code` as one key, too.
            key if key.contains('.') => return Some(status),
            _ => {}
        }
    }
    // Without a code the text is empty, as no value is.
    (is_plain || fields::is_document(status)).then(|| code.unwrap_or_default())
}

/// Whether this is an object of strings and whole numbers, such as the details of a status.
fn is_flat(value: &[u8]) -> bool {
    let is_plain = |value: &[u8]| is_whole_number(value) || json::string(value).is_some();
    json::members(value).all(|member| member.is_ok_and(|(_, value)| is_plain(value)))
}

fn is_whole_number(value: &[u8]) -> bool {
    let has_no_zeros_before = value.len() == 1 || value.first() != Some(&b'0');
    value.len() < 10 && has_no_zeros_before && value.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_its_code() {
        let status = |code: &str| {
            format!(
                r#"{{"metadata":{{}},"status":"Failure","message":"no \"x\" here","code":{code}}}"#
            )
        };
        for (code, expected) in [("404", Some("404")), (r#"500,"code":404"#, Some("404"))] {
            let text = status(code);
            let found = code_of(text.as_bytes());
            assert_eq!(found, expected.map(str::as_bytes), "{code}");
        }
        for code in [
            "\"404\"",
            "null",
            "404.0",
            "[404]",
            "0404",
            "tru",
            "404,\"a.b\":1",
        ] {
            let text = status(code);
            assert_eq!(code_of(text.as_bytes()), Some(text.as_bytes()), "{code}");
        }
        let without = r#"{"metadata":{},"status":"Failure","message":"something without a code"}"#;
        assert_eq!(code_of(without.as_bytes()), Some(b"".as_slice()));
        let broken = r#"{"metadata":{},"status":tru,"message":"something that is no JSON at all"}"#;
        assert_eq!(code_of(broken.as_bytes()), None);
    }
}
