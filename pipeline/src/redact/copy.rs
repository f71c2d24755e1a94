//! Redaction by structure: a copy of an event without its secrets.
//!
//! It copies instead of changing in place for two reasons. What makes a value secret often stands
//! behind it (`kind` after `data`), so the original must stay readable; and a copy can stop when it
//! is large enough, so that an alert of 32 KiB does not pay for a list of 60 MiB.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{hidden_by_name, is_marker, marker, names, patterns, uri};

/// Nesting beyond which a value is not followed. JSON readers stop at 128; this allows for
/// documents within strings.
const DEPTH_MAX: usize = 160;

/// What surrounds a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Judge by names and form.
    Plain,
    /// The body of a request for Secrets, whatever it says that it is: `data` and `stringData` are
    /// secret.
    Secret,
    /// Everything here is secret.
    Hidden,
    /// Who asked. The API server logs ids of credentials here, never credentials, and an analyst
    /// needs them.
    Identity,
}

/// Copies until a number of bytes is reached.
pub(super) struct Copier {
    left: usize,
    string_bytes_max: usize,
    cut: bool,
}

impl Copier {
    pub(super) fn unlimited() -> Self {
        Self {
            left: usize::MAX,
            string_bytes_max: usize::MAX,
            cut: false,
        }
    }

    /// Copies at least so much that the copy's JSON has `bytes` bytes, if the original has, and not
    /// much more.
    ///
    /// Single strings are read up to twice the size: enough for a secret that straddles the end to
    /// be recognised.
    pub(super) fn limited(bytes: usize) -> Self {
        Self {
            left: bytes,
            string_bytes_max: bytes.saturating_mul(2),
            cut: false,
        }
    }

    /// Whether something was left out.
    pub(super) fn is_cut(&self) -> bool {
        self.cut
    }

    /// A native audit event.
    pub(super) fn event(&mut self, event: &Value) -> Value {
        let Value::Object(members) = event else {
            return self.value(event, "", Place::Plain, 0);
        };
        let resource = members
            .get("objectRef")
            .and_then(|object| object.get("resource"));
        let body = if resource.and_then(Value::as_str) == Some("secrets") {
            Place::Secret
        } else {
            Place::Plain
        };
        self.members(members, 0, |key, _| match key {
            "requestObject" | "responseObject" => body,
            "user" | "impersonatedUser" => Place::Identity,
            _ => Place::Plain,
        })
    }

    fn value(&mut self, value: &Value, key: &str, place: Place, depth: usize) -> Value {
        if depth > DEPTH_MAX {
            self.cut = true;
            return Value::String(marker("too-deep", ""));
        }
        match value {
            Value::String(text) => self.string(text, key, place, depth),
            Value::Array(items) => self.array(items, key, place, depth),
            Value::Object(members) => self.object(members, place, depth),
            Value::Number(number) if is_hidden_number(key, place) => {
                self.charged(Value::String(marker("secret", &number.to_string())))
            }
            Value::Number(_) | Value::Bool(_) | Value::Null => self.charged(value.clone()),
        }
    }

    fn string(&mut self, text: &str, key: &str, place: Place, depth: usize) -> Value {
        let end = text.floor_char_boundary(self.string_bytes_max);
        let text = text
            .get(..end)
            .filter(|head| head.len() < text.len())
            .inspect(|_| self.cut = true)
            .unwrap_or(text);
        let redacted = match place {
            Place::Hidden if text.is_empty() || is_marker(text) => text.to_owned(),
            Place::Hidden => marker("secret", text),
            Place::Identity if key == "accessKeyId" => text.to_owned(),
            // A key with a slash is a label's or an annotation's: it names who reads it, not what
            // it holds.
            _ if !key.contains('/') => {
                hidden_by_name(key, text).unwrap_or_else(|| string(text, depth).into_owned())
            }
            _ => string(text, depth).into_owned(),
        };
        self.charged(Value::String(redacted))
    }

    fn array(&mut self, items: &[Value], key: &str, place: Place, depth: usize) -> Value {
        self.charge(2);
        let strings: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
        // `["--password", "…"]`: an argument is judged by its neighbours.
        let mut by_neighbours = strings.map(|strings| patterns::arguments(&strings).into_iter());
        let mut copy = Vec::new();
        for item in items {
            if self.is_full() {
                break;
            }
            let hidden = by_neighbours.as_mut().and_then(Iterator::next).flatten();
            copy.push(match hidden {
                Some(hidden) if place == Place::Plain => self.charged(Value::String(hidden)),
                _ => self.value(item, key, place, depth + 1),
            });
        }
        Value::Array(copy)
    }

    fn object(&mut self, members: &Map<String, Value>, place: Place, depth: usize) -> Value {
        let secret =
            place == Place::Secret || is_kind(members, "Secret") || is_kind(members, "SecretList");
        let named_value = hides_value(members, secret);
        self.members(members, depth, |key, value| match key {
            _ if matches!(place, Place::Hidden | Place::Identity) => place,
            "data" | "stringData" if secret => Place::Hidden,
            // Items of a list have no kind of their own; rows of a table hold theirs in `object`.
            "items" | "rows" | "object" if secret => Place::Secret,
            "value" if named_value => Place::Hidden,
            "value" if secret && is_whole_document(members) => Place::Secret,
            _ if is_list_of_secrets(key, value) => Place::Hidden,
            _ => Place::Plain,
        })
    }

    fn members(
        &mut self,
        members: &Map<String, Value>,
        depth: usize,
        place: impl Fn(&str, &Value) -> Place,
    ) -> Value {
        self.charge(2);
        let mut copy = Map::new();
        for (key, value) in members {
            if self.is_full() {
                break;
            }
            self.charge(key.len() + 3);
            let redacted = match value {
                Value::String(text) if key == "requestURI" => self.request_uri(text, depth),
                _ => self.value(value, key, place(key, value), depth + 1),
            };
            copy.insert(key.clone(), redacted);
        }
        Value::Object(copy)
    }

    fn request_uri(&mut self, text: &str, depth: usize) -> Value {
        let redacted = uri::replace(text).unwrap_or_else(|| string(text, depth).into_owned());
        self.charged(Value::String(redacted))
    }

    /// Takes off what a value will at least take in JSON.
    fn charged(&mut self, value: Value) -> Value {
        self.charge(value.as_str().map_or(1, |text| text.len() + 2));
        value
    }

    fn charge(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(bytes);
    }

    fn is_full(&mut self) -> bool {
        let full = self.left == 0;
        self.cut |= full;
        full
    }
}

/// A single string: a document in JSON by its structure, a URI by its query, everything else by
/// form.
pub(super) fn string(text: &str, depth: usize) -> Cow<'_, str> {
    let redacted = match text.trim_start().as_bytes().first() {
        Some(b'{' | b'[') if depth < DEPTH_MAX => document(text, depth),
        Some(b'/') if text.contains('?') => uri::replace(text),
        _ => patterns::replace(text),
    };
    redacted.map_or(Cow::Borrowed(text), Cow::Owned)
}

/// A document within a string: `last-applied-configuration`, a configuration file, a quoted object.
fn document(text: &str, depth: usize) -> Option<String> {
    let Ok(value) = serde_json::from_str::<Value>(text) else {
        // A manifest of a Secret that does not parse hides its values from us, not from a reader.
        let is_manifest = text.contains("\"Secret\"");
        return if is_manifest {
            Some(marker("manifest", text))
        } else {
            patterns::replace(text)
        };
    };
    let copy = Copier::unlimited().value(&value, "", Place::Plain, depth + 1);
    (copy != value).then(|| copy.to_string())
}

fn is_kind(members: &Map<String, Value>, kind: &str) -> bool {
    members.get("kind").and_then(Value::as_str) == Some(kind)
}

/// `passwords: ["…"]`. A list of objects under such a name is one of references: `imagePullSecrets`.
fn is_list_of_secrets(key: &str, value: &Value) -> bool {
    let is_strings = value
        .as_array()
        .is_some_and(|items| items.iter().all(Value::is_string));
    is_strings && !key.contains('/') && names::secret_kind(key).is_some()
}

/// A password may be a number, if somebody forgot the quotes.
fn is_hidden_number(key: &str, place: Place) -> bool {
    place == Place::Hidden || names::secret_kind(key) == Some("password")
}

/// Whether the member `value` is secret by its neighbours: an environment variable, a header or a
/// parameter with a secret's name; a JSON Patch whose path leads to a secret.
fn hides_value(members: &Map<String, Value>, secret: bool) -> bool {
    let text = |key: &str| members.get(key).and_then(Value::as_str);
    if let Some(path) = text("path").filter(|_| members.contains_key("op")) {
        let is_data = path.starts_with("/data") || path.starts_with("/stringData");
        let last = path.rsplit('/').next().unwrap_or_default();
        return (secret && is_data) || names::secret_kind(last).is_some();
    }
    let value = text("value").unwrap_or_default();
    text("name").is_some_and(|name| hidden_by_name(name, value).is_some())
}

/// A JSON Patch that replaces the whole object.
fn is_whole_document(members: &Map<String, Value>) -> bool {
    members.contains_key("op")
        && members
            .get("path")
            .and_then(Value::as_str)
            .is_some_and(|path| path.len() <= 1)
}
