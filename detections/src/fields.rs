//! The top-level fields of an event, each parsed when it is first asked for.
//!
//! Bodies are most of an event's bytes, and a rule or a view that reads one of them seldom reads the other. So an event
//! keeps its bytes and where each field lies, and a field becomes a document at most once.

use std::ops::Range;
use std::sync::OnceLock;

use serde_json::{Map, Value};

use crate::json::{self, Fault};

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
    /// `None` inside if the bytes are not valid JSON, or nest deeper than 128.
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

    fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| *member.key == *name)
    }
}

impl Member {
    fn value(&self, raw: &[u8]) -> Option<&Value> {
        let parse = || serde_json::from_slice(raw.get(self.place.clone())?).ok();
        self.value.get_or_init(parse).as_ref()
    }
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
