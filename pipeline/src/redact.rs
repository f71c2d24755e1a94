//! Takes secrets out of what leaves the pipeline.
//!
//! An audit log at level `RequestResponse` holds the secrets of its cluster: bodies of Secrets,
//! issued tokens, passwords on command lines. An alert quotes the log, and travels further than the
//! log may. So everything quoted passes through here first; what is taken out leaves
//! `[redacted:<kind>/<size class>]` behind, which says what was there and nothing of it.
//!
//! Two readings complement one another. *By structure* ([`event`]): the API's own shapes tell what
//! is secret whatever it looks like (`data` of a Secret, the value of an environment variable named
//! `DB_PASSWORD`). *By form* ([`text`]): some secrets are recognised wherever they stand (a JWT, a
//! private key, `--password=…`).
//!
//! Guarantees:
//!
//! 1. Redacting twice is redacting once: a marker is never redacted again.
//! 2. The cost is linear in the size of the input; [`bounded_raw`] reads little more than it
//!    returns.
//! 3. When in doubt, a value goes and its name stays: the hash and the place in the input lead back
//!    to it.

mod copy;
mod names;
mod patterns;
mod uri;

use std::borrow::Cow;

use serde_json::Value;

use crate::limits::RAW_BYTES_MAX;
use copy::Copier;

/// How every marker starts.
const MARKER: &str = "[redacted:";

/// Classes of size: below 8, 32, 256 bytes, and above.
const CLASSES: [&str; 4] = ["short", "medium", "long", "huge"];

/// Takes the secrets out of a native audit event.
pub fn event(value: &mut Value) {
    *value = Copier::unlimited().event(value);
}

/// Takes the secrets out of a single string: a command, a message, a URI, a document in JSON.
#[must_use]
pub fn text(text: &str) -> Cow<'_, str> {
    copy::string(text, 0)
}

/// Takes the secrets out of a field's value: where `field` names a secret
/// (`object.data.db_password`), all of it goes.
#[must_use]
pub fn value_of<'a>(field: &str, value: &'a str) -> Cow<'a, str> {
    let last = field.rsplit('.').next().unwrap_or(field);
    hidden_by_name(last, value).map_or_else(|| text(value), Cow::Owned)
}

/// Takes the secrets out of a command, given as its arguments: `["mysql", "-p…"]`, `["login",
/// "--token", "…"]`.
#[must_use]
pub fn arguments(arguments: &[&str]) -> Vec<String> {
    let redacted = patterns::arguments(arguments).into_iter().zip(arguments);
    redacted
        .map(|(redacted, argument)| redacted.unwrap_or_else(|| text(argument).into_owned()))
        .collect()
}

/// The event as JSON without its secrets, at most [`RAW_BYTES_MAX`] bytes, and whether it was cut.
///
/// Only what was parsed can be redacted by structure: of a record that was cut by its source, pass
/// the members that were salvaged, never the text.
#[must_use]
pub fn bounded_raw(event: &Value) -> (String, bool) {
    let mut copier = Copier::limited(RAW_BYTES_MAX);
    let mut text = copier.event(event).to_string();
    let end = text.floor_char_boundary(RAW_BYTES_MAX);
    let cut = copier.is_cut() || end < text.len();
    text.truncate(end);
    (text, cut)
}

/// What stands in the place of a secret. The size is told as a class, because an exact length helps
/// guessing.
fn marker(kind: &str, secret: &str) -> String {
    let [short, medium, long, huge] = CLASSES;
    let class = match secret.len() {
        0..8 => short,
        8..32 => medium,
        32..256 => long,
        _ => huge,
    };
    format!("{MARKER}{kind}/{class}]")
}

/// The marker for a value whose name says that it is secret; `None` if the name does not, or the
/// value tells nothing.
fn hidden_by_name(name: &str, value: &str) -> Option<String> {
    let kind = names::secret_kind(name)?;
    (!tells_nothing(value)).then(|| marker(kind, value))
}

/// Whether a value under a secret's name is none: a switch, a reference to a variable, or redacted
/// already.
fn tells_nothing(value: &str) -> bool {
    matches!(value, "" | "true" | "false" | "null" | "none")
        || is_marker(value)
        || is_reference(value)
}

/// Whether this is a whole marker. What only starts like one may be a secret that somebody dressed
/// up.
fn is_marker(value: &str) -> bool {
    let inner = value
        .strip_prefix(MARKER)
        .and_then(|rest| rest.strip_suffix(']'));
    let Some((kind, class)) = inner.and_then(|inner| inner.split_once('/')) else {
        return false;
    };
    kind.bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte == b'-')
        && CLASSES.contains(&class)
}

/// `$(NAME)`, `${NAME}`, `$NAME`. A variable in small letters could as well be a password that
/// starts with a dollar.
fn is_reference(value: &str) -> bool {
    let Some(rest) = value.strip_prefix('$') else {
        return false;
    };
    let braced = rest
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'));
    let braced = braced.or_else(|| {
        rest.strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'))
    });
    let name = braced.unwrap_or(rest);
    let is_name = |byte: u8| byte == b'_' || byte.is_ascii_uppercase() || byte.is_ascii_digit();
    !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.bytes().all(is_name)
}

#[cfg(test)]
mod tests;
