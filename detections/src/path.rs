//! Dotted field paths, and what they find in a document.
//!
//! A path fans out over arrays: `rules.verbs` is every verb of every rule. A key may itself contain dots
//! (`annotations.authorization.k8s.io/decision`), so at each object the longest literal key that the path continues with is
//! tried first. `[n]` picks one element, counted from the end if negative.

use std::fmt;
use std::str::Chars;

use serde_json::{Map, Value};

/// A dotted path, split once when the rule is loaded.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FieldPath {
    text: String,
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Segment {
    key: String,
    /// Positions behind the key, outermost first: `a[0][-1]`.
    positions: Vec<i64>,
    /// The literal keys with dots that this and the following segments may stand for, shortest first: two segments, three…
    dotted: Vec<String>,
}

/// What a path found: every value at its end, in document order. Arrays at the end are kept as they are; see
/// [`Found::scalars`] for their members.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found<'a> {
    values: Vec<&'a Value>,
}

impl FieldPath {
    /// A path as Sigma writes it; brackets are plain characters.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let segment = |key: &str| Segment {
            key: key.to_owned(),
            positions: Vec::new(),
            dotted: Vec::new(),
        };
        Self::new(text, text.split('.').map(segment).collect())
    }

    /// A path in which `[n]` picks a position and `\[`, `\]` are plain brackets (`sigma-version: 3`).
    ///
    /// # Errors
    /// The selector as written, if it is no whole number in brackets at the end of its key.
    pub fn parse_with_positions(text: &str) -> Result<Self, String> {
        let segments = text
            .split('.')
            .map(parse_segment)
            .collect::<Result<_, _>>()?;
        Ok(Self::new(text, segments))
    }

    fn new(text: &str, mut segments: Vec<Segment>) -> Self {
        for start in 0..segments.len() {
            let mut dotted = Vec::new();
            let mut key = segments[start].key.clone();
            // A key cannot go on behind a position.
            for next in start + 1..segments.len() {
                if !segments[next - 1].positions.is_empty() {
                    break;
                }
                key = format!("{key}.{}", segments[next].key);
                dotted.push(key.clone());
            }
            segments[start].dotted = dotted;
        }
        Self {
            text: text.to_owned(),
            segments,
        }
    }

    /// The path as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The first key.
    #[must_use]
    pub fn first(&self) -> &str {
        self.segments
            .first()
            .map_or("", |segment| segment.key.as_str())
    }

    /// The key number `index`, if there is one.
    #[must_use]
    pub fn key(&self, index: usize) -> Option<&str> {
        self.segments.get(index).map(|segment| segment.key.as_str())
    }

    /// Whether the path starts with these keys.
    #[must_use]
    pub fn starts_with(&self, keys: &[&str]) -> bool {
        self.segments.len() >= keys.len()
            && self
                .segments
                .iter()
                .zip(keys)
                .all(|(segment, key)| segment.key == *key)
    }

    /// The literal keys that a value at the end of the path may stand under, from the segment number `skip` on: the last
    /// one, or several as one key with dots.
    #[must_use]
    pub fn last_keys(&self, skip: usize) -> Vec<String> {
        let segments = self.segments.get(skip..).unwrap_or_default();
        let joined = |start: usize| {
            let keys: Vec<_> = segments[start..]
                .iter()
                .map(|segment| segment.key.as_str())
                .collect();
            keys.join(".")
        };
        (0..segments.len()).map(joined).collect()
    }

    /// Whether the path is these keys and nothing else.
    #[must_use]
    pub fn is(&self, keys: &[&str]) -> bool {
        self.segments.len() == keys.len() && self.starts_with(keys) && !self.has_positions()
    }

    /// Whether some segment picks a position.
    #[must_use]
    pub fn has_positions(&self) -> bool {
        self.segments
            .iter()
            .any(|segment| !segment.positions.is_empty())
    }

    /// Everything the path finds in an object.
    #[must_use]
    pub fn find<'a>(&self, fields: &'a Map<String, Value>) -> Found<'a> {
        self.find_by(|key| fields.get(key))
    }

    /// Everything the path finds below the values that `get` knows by key.
    #[must_use]
    pub fn find_by<'a>(&self, get: impl Fn(&str) -> Option<&'a Value>) -> Found<'a> {
        let mut values = Vec::new();
        find_in_object(get, &self.segments, &mut values);
        Found { values }
    }

    /// Everything the path finds in a value, from the segment number `skip` on.
    #[must_use]
    pub fn find_from<'a>(&self, value: &'a Value, skip: usize) -> Found<'a> {
        let mut values = Vec::new();
        find_in_value(
            value,
            self.segments.get(skip..).unwrap_or_default(),
            &mut values,
        );
        Found { values }
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn parse_segment(text: &str) -> Result<Segment, String> {
    let mut key = String::new();
    let mut positions = Vec::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' => key.extend(rest.next()),
            '[' => positions.push(parse_position(&mut rest)?),
            other if positions.is_empty() => key.push(other),
            _ => return Err(text.to_owned()),
        }
    }
    Ok(Segment {
        key,
        positions,
        dotted: Vec::new(),
    })
}

/// The number behind an opening bracket.
fn parse_position(rest: &mut Chars<'_>) -> Result<i64, String> {
    let text = rest.as_str();
    let (inner, tail) = text.split_once(']').ok_or_else(|| format!("[{text}"))?;
    *rest = tail.chars();
    inner.parse().map_err(|_| format!("[{inner}]"))
}

fn find_in_value<'a>(value: &'a Value, segments: &[Segment], out: &mut Vec<&'a Value>) {
    if segments.is_empty() {
        out.push(value);
        return;
    }
    match value {
        Value::Object(fields) => find_in_object(|key| fields.get(key), segments, out),
        Value::Array(elements) => elements
            .iter()
            .for_each(|element| find_in_value(element, segments, out)),
        _ => {}
    }
}

fn find_in_object<'a>(
    get: impl Fn(&str) -> Option<&'a Value>,
    segments: &[Segment],
    out: &mut Vec<&'a Value>,
) {
    let Some((head, tail)) = segments.split_first() else {
        return;
    };
    for (index, key) in head.dotted.iter().enumerate().rev() {
        if let Some(value) = get(key) {
            // The key number `index` spans one segment more than the head.
            let last = &segments[index + 1];
            return find_at_positions(value, &last.positions, &segments[index + 2..], out);
        }
    }
    if let Some(value) = get(&head.key) {
        find_at_positions(value, &head.positions, tail, out);
    }
}

fn find_at_positions<'a>(
    value: &'a Value,
    positions: &[i64],
    tail: &[Segment],
    out: &mut Vec<&'a Value>,
) {
    let mut value = value;
    for position in positions {
        let Some(element) = value
            .as_array()
            .and_then(|elements| at_position(elements, *position))
        else {
            return;
        };
        value = element;
    }
    find_in_value(value, tail, out);
}

fn at_position(elements: &[Value], position: i64) -> Option<&Value> {
    let index = usize::try_from(position.unsigned_abs()).ok()?;
    if position < 0 {
        elements
            .len()
            .checked_sub(index)
            .and_then(|index| elements.get(index))
    } else {
        elements.get(index)
    }
}

impl<'a> Found<'a> {
    /// Wraps one value.
    #[must_use]
    pub fn one(value: &'a Value) -> Self {
        Self {
            values: vec![value],
        }
    }

    /// Whether the path led somewhere, be it to a null.
    #[must_use]
    pub fn exists(&self) -> bool {
        !self.values.is_empty()
    }

    /// The values as found.
    #[must_use]
    pub fn values(&self) -> &[&'a Value] {
        &self.values
    }

    /// The scalars among the values, members of arrays included, nulls left out.
    pub fn scalars(&self) -> impl Iterator<Item = &'a Value> {
        let mut leaves = Vec::new();
        for value in &self.values {
            push_scalars(value, &mut leaves);
        }
        leaves.into_iter()
    }

    /// Whether a null stands at the end of the path, also as a member of an array.
    #[must_use]
    pub fn has_null(&self) -> bool {
        self.values.iter().any(|value| holds_null(value))
    }
}

fn holds_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(elements) => elements.iter().any(holds_null),
        _ => false,
    }
}

fn push_scalars<'a>(value: &'a Value, leaves: &mut Vec<&'a Value>) {
    match value {
        Value::Null | Value::Object(_) => {}
        Value::Array(elements) => elements
            .iter()
            .for_each(|element| push_scalars(element, leaves)),
        scalar => leaves.push(scalar),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(path: &str, expected: &[Value]) {
        let document = json!({
            "annotations": {"authorization.k8s.io/decision": "allow", "a.b": {"c": 1}, "a": {"b.c": 2}},
            "rules": [{"verbs": ["get", "list"]}, {"verbs": ["create"]}, {}],
            "nested": [[{"x": 1}], [{"x": 2}]],
            "null": null,
        });
        let path = FieldPath::parse_with_positions(path).unwrap();
        let found: Vec<_> = path
            .find(document.as_object().unwrap())
            .scalars()
            .cloned()
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn keys_with_dots_are_found_longest_first() {
        check(
            "annotations.authorization.k8s.io/decision",
            &[json!("allow")],
        );
        check("annotations.a.b.c", &[json!(1)]);
    }

    #[test]
    fn arrays_fan_out() {
        check(
            "rules.verbs",
            &[json!("get"), json!("list"), json!("create")],
        );
        check("nested.x", &[json!(1), json!(2)]);
    }

    #[test]
    fn positions_pick_one_element() {
        check("rules[0].verbs[-1]", &[json!("list")]);
        check("rules[-2].verbs", &[json!("create")]);
        check("rules[7].verbs", &[]);
        assert_eq!(
            FieldPath::parse_with_positions("a[x]"),
            Err("[x]".to_owned())
        );
    }
}
