//! The top-level fields of an event, each parsed when it is first asked for.
//!
//! Bodies are most of an event's bytes, and a rule or a view that reads one of them seldom reads the other. So an event
//! keeps its bytes and where each field lies, and a field becomes a document at most once.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::OnceLock;

use serde_json::{Map, Value};

use crate::json::{self, Fault};
use crate::limits::{FIELD_BYTES_FREE, FIELD_WEIGHT_MAX};

/// The fields of one event.
#[derive(Debug, Default)]
pub struct Fields {
    raw: Box<[u8]>,
    members: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    key: Box<str>,
    place: Range<usize>,
    /// `None` inside if the bytes are not valid JSON, nest deeper than 128, or are too heavy.
    value: OnceLock<Option<Value>>,
}

impl Fields {
    /// Finds the fields of an object. Of duplicate keys the last wins, as in the API server.
    ///
    /// # Errors
    /// If the framing is broken; with `partial`, what stands before the fault is kept instead.
    pub(crate) fn parse(raw: &[u8], partial: bool) -> Result<Self, Fault> {
        let mut members: Vec<Member> = Vec::with_capacity(20);
        for member in json::members(raw) {
            let (key, value) = match member {
                Ok(member) => member,
                Err(Fault::Cut { .. } | Fault::Syntax { .. }) if partial => break,
                Err(fault) => return Err(fault),
            };
            let start = value.as_ptr().addr() - raw.as_ptr().addr();
            let place = start..start + value.len();
            match members.iter_mut().find(|known| *known.key == *key) {
                Some(known) => known.place = place,
                None => members.push(Member {
                    key: key.into(),
                    place,
                    value: OnceLock::new(),
                }),
            }
        }
        Ok(Self {
            raw: raw.into(),
            members,
        })
    }

    /// The value of a field; `None` if the event lacks it or its bytes are not valid JSON.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.member(name)?.value(&self.raw)
    }

    /// A string inside a field. The field is not parsed for it: whoever wants no more of a body than a name pays for no more.
    #[must_use]
    pub fn glance(&self, name: &str, path: &[&str]) -> Option<String> {
        let member = self.member(name)?;
        if let Some(parsed) = member.value.get() {
            let found = path
                .iter()
                .try_fold(parsed.as_ref()?, |at, key| at.get(key));
            return found?.as_str().map(ToOwned::to_owned);
        }
        let mut text = self.raw.get(member.place.clone())?;
        for key in path {
            // Of duplicate keys the last wins.
            let members = json::members(text).filter_map(Result::ok);
            text = members.filter(|(known, _)| known == key).last()?.1;
        }
        json::string(text).map(Cow::into_owned)
    }

    /// Whether the field is there, and is not valid JSON.
    #[must_use]
    pub fn is_broken(&self, name: &str) -> bool {
        self.member(name)
            .is_some_and(|member| member.value(&self.raw).is_none())
    }

    /// Whether any field is not valid JSON. Parses all of them.
    #[must_use]
    pub fn any_broken(&self) -> bool {
        self.members
            .iter()
            .any(|member| member.value(&self.raw).is_none())
    }

    /// All values that are valid JSON, in the order of the event.
    pub fn values(&self) -> impl Iterator<Item = &Value> {
        self.members
            .iter()
            .filter_map(|member| member.value(&self.raw))
    }

    /// The event as one document, without what is not valid JSON.
    #[must_use]
    pub fn to_document(&self) -> Value {
        let valid =
            |member: &Member| Some((member.key.to_string(), member.value(&self.raw)?.clone()));
        Value::Object(self.members.iter().filter_map(valid).collect())
    }

    /// Whether any field is too heavy to be parsed.
    #[must_use]
    pub fn any_heavy(&self) -> bool {
        self.members
            .iter()
            .filter_map(|member| self.raw.get(member.place.clone()))
            .any(is_heavy)
    }

    fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| *member.key == *name)
    }
}

impl Member {
    fn value(&self, raw: &[u8]) -> Option<&Value> {
        let parse = || document(raw.get(self.place.clone())?);
        self.value.get_or_init(parse).as_ref()
    }
}

/// The document that a field's text is; `None` if it is not valid JSON, nests deeper than 128, or is too heavy. Whoever
/// reads fields of events reads them by this, so that all agree on what cannot be read.
pub(crate) fn document(text: &[u8]) -> Option<Value> {
    if is_heavy(text) {
        return None;
    }
    serde_json::from_slice(text).ok()
}

/// Whether [`document`] yields one, without building it.
pub(crate) fn is_document(text: &[u8]) -> bool {
    !is_heavy(text) && json::is_readable(text)
}

/// Estimates what a text weighs as a document: its bytes, a value a comma, and a tree node an object.
pub(crate) fn is_heavy(text: &[u8]) -> bool {
    const OBJECT_BYTES: usize = 640;
    let count = |byte: u8| memchr::memchr_iter(byte, text).count();
    text.len() > FIELD_BYTES_FREE
        && text.len() + OBJECT_BYTES * count(b'{') + size_of::<Value>() * count(b',')
            > FIELD_WEIGHT_MAX
}

impl From<Map<String, Value>> for Fields {
    /// Fields of a document that is parsed already, as tests and tools have it.
    fn from(fields: Map<String, Value>) -> Self {
        let member = |(key, value): (String, Value)| Member {
            key: key.into(),
            place: 0..0,
            value: OnceLock::from(Some(value)),
        };
        Self {
            raw: Box::default(),
            members: fields.into_iter().map(member).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(element: &str, count: usize) -> Fields {
        let list = vec![element; count].join(",");
        Fields::parse(format!("{{\"requestObject\":[{list}]}}").as_bytes(), false).unwrap()
    }

    #[test]
    fn a_body_made_to_exhaust_memory_is_not_parsed() {
        let heavy = body("{}", 400_000);
        assert!(heavy.any_heavy() && heavy.get("requestObject").is_none());
        assert!(heavy.is_broken("requestObject"));
    }

    #[test]
    fn a_glance_tells_what_the_document_does() {
        let raw = br#"{"o":{"metadata":{"name":"a\u0062","x":{"name":"no"}},"n":1,"metadata":{"name":"last"}}}"#;
        for (path, expected) in [
            (&["metadata", "name"][..], Some("last")),
            (&["n"], None),
            (&["metadata", "x", "name"], None),
        ] {
            let fields = Fields::parse(raw, false).unwrap();
            assert_eq!(fields.glance("o", path).as_deref(), expected);
            assert!(fields.get("o").is_some());
            assert_eq!(fields.glance("o", path).as_deref(), expected);
        }
    }

    #[test]
    fn a_large_object_of_a_cluster_is_parsed() {
        let large = body(&format!("\"{}\"", "x".repeat(1_000)), 1_500);
        assert!(!large.any_heavy() && large.get("requestObject").is_some());
    }
}
