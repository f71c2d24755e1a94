//! What a record looks like from outside: one pass over its top level, the only one that the quiet
//! path makes.
//!
//! The pass checks the framing with the scanner that all later stages use, so they can trust it,
//! and notes which well-known members are there, so that the envelope step need not look for them.

use detections::batch::Columns;
use detections::json::compact::Members;
use detections::json::{self, Fault};

use super::super::envelope::text::cut_member;

/// Members that tell what a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Verb,
    User,
    ObjectRef,
    RequestUri,
    AuditId,
    Stage,
    /// `involvedObject` or `regarding`: an Event object of the cluster.
    Involved,
    ProtoPayload,
    Category,
    /// Azure's `operationName`.
    OperationName,
    /// `properties` or `log_s`: where Azure puts the log.
    AzureLog,
    /// A column of the resource-specific tables of Log Analytics that no other form has.
    AksColumn,
    /// `message`, `@message` or `log`: a record as text.
    Message,
    /// Log Analytics' answer with columns and rows apart.
    Tables,
    ResourceId,
    LogGroup,
    LogStream,
    MessageType,
}

/// Members whose array of objects is a list of records.
const LISTS: [&[u8]; 5] = [b"items", b"records", b"logEvents", b"events", b"value"];

impl Key {
    fn of(name: &[u8]) -> Option<Self> {
        let key = match name {
            b"verb" => Self::Verb,
            b"user" => Self::User,
            b"objectRef" => Self::ObjectRef,
            b"requestURI" => Self::RequestUri,
            b"auditID" => Self::AuditId,
            b"stage" => Self::Stage,
            b"involvedObject" | b"regarding" => Self::Involved,
            b"protoPayload" => Self::ProtoPayload,
            b"category" | b"Category" => Self::Category,
            b"operationName" | b"OperationName" => Self::OperationName,
            b"properties" | b"log_s" => Self::AzureLog,
            b"AuditId" | b"RequestUri" | b"ObjectRef" | b"Verb" => Self::AksColumn,
            b"message" | b"@message" | b"log" => Self::Message,
            b"tables" => Self::Tables,
            b"resourceId" | b"ResourceId" | b"_ResourceId" => Self::ResourceId,
            b"logGroup" => Self::LogGroup,
            b"logStream" => Self::LogStream,
            b"messageType" => Self::MessageType,
            _ => return None,
        };
        Some(key)
    }
}

/// A set of [`Key`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Keys(u32);

impl Keys {
    pub(crate) fn has(self, key: Key) -> bool {
        self.0 & (1 << key as u32) != 0
    }

    fn insert(&mut self, key: Key) {
        self.0 |= 1 << key as u32;
    }
}

/// What `kind` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    #[default]
    Absent,
    Event,
    EventList,
    Other,
}

/// What `apiVersion` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Api {
    #[default]
    Absent,
    Audit,
    /// Where the cluster's own Event objects live.
    Events,
    Other,
}

/// A place in the record: where a value starts and ends.
pub(crate) type Span = (usize, usize);

/// The outside of one record.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Shape {
    /// Behind the closing bracket, if there is no fault.
    pub(crate) end: usize,
    pub(crate) fault: Option<Fault>,
    /// Members that are whole.
    pub(crate) keys: Keys,
    /// The member that was cut, if it is known.
    pub(crate) cut: Keys,
    pub(crate) kind: Kind,
    pub(crate) api: Api,
    /// Where the list of records starts, if the record is a container.
    pub(crate) list: Option<usize>,
    pub(crate) resource_id: Option<Span>,
    pub(crate) log_group: Option<Span>,
    pub(crate) log_stream: Option<Span>,
    pub(crate) message_type: Option<Span>,
    /// Where the columns are, should the record be an event.
    pub(crate) columns: Columns,
}

impl Shape {
    /// Looks at the object that `record` starts with.
    pub(crate) fn of(record: &[u8]) -> Self {
        let mut shape = Self::default();
        if shape.look_compact(record) {
            shape
        } else {
            Self::of_any(record)
        }
    }

    /// Looks at the object in the quick way; false if that does not tell, and this is void.
    pub(crate) fn look_compact(&mut self, record: &[u8]) -> bool {
        *self = Self::default();
        let mut compact = Compact {
            shape: self,
            record,
        };
        let end = json::compact::compact(record, &mut compact);
        self.end = end.unwrap_or_default();
        end.is_some()
    }

    /// White space, faults, and whatever else there may be.
    fn of_any(record: &[u8]) -> Self {
        let mut shape = Self::default();
        let mut members = json::members(record);
        loop {
            match members.next() {
                Some(Ok((name, value))) => {
                    shape.note(name.as_bytes(), value, members.end());
                }
                Some(Err(fault)) => {
                    shape.fault = Some(fault);
                    shape.note_cut(record, fault);
                    break;
                }
                None => break,
            }
        }
        shape.end = members.end();
        shape
    }

    /// Whether the member is there, whole or cut.
    pub(crate) fn mentions(&self, key: Key) -> bool {
        self.keys.has(key) || self.cut.has(key)
    }

    /// Whether the name is a known one.
    #[inline]
    fn note(&mut self, name: &[u8], value: &[u8], end: usize) -> bool {
        match name {
            b"kind" => self.kind = kind(value),
            b"apiVersion" => self.api = api(value),
            _ => {}
        }
        let start = end.saturating_sub(value.len());
        let is_column = self.columns.note(name, value, start);
        let key = Key::of(name);
        if let Some(key) = key {
            self.keys.insert(key);
            self.note_span(key, value, (start, end));
        } else if self.list.is_none() && self.may_hold_records(name, value) {
            self.list = Some(start);
        }
        is_column || key.is_some()
    }

    fn note_span(&mut self, key: Key, value: &[u8], span: Span) {
        let slot = match key {
            Key::ResourceId => &mut self.resource_id,
            Key::LogGroup => &mut self.log_group,
            Key::LogStream => &mut self.log_stream,
            Key::MessageType => &mut self.message_type,
            _ => return,
        };
        *slot = value.starts_with(b"\"").then_some(span);
    }

    fn note_cut(&mut self, record: &[u8], fault: Fault) {
        let Fault::Cut { at } = fault else { return };
        let Some((name, start)) = cut_member(record, at) else {
            return;
        };
        if let Some(key) = Key::of(name.as_bytes()) {
            self.cut.insert(key);
        } else if self.list.is_none()
            && self.may_hold_records(name.as_bytes(), record.get(start..).unwrap_or_default())
        {
            self.list = Some(start);
        }
    }

    /// An event is no container, whatever else a forwarder put beside its fields.
    fn may_hold_records(&self, name: &[u8], value: &[u8]) -> bool {
        if !LISTS.contains(&name) || self.keys.has(Key::Verb) || self.kind == Kind::Event {
            return false;
        }
        value.split_first().is_some_and(|(first, rest)| {
            *first == b'[' && matches!(rest.trim_ascii_start().first(), None | Some(b'{' | b']'))
        })
    }
}

/// A record being looked at in the quick way.
struct Compact<'s, 'a> {
    shape: &'s mut Shape,
    record: &'a [u8],
}

impl Members for Compact<'_, '_> {
    #[inline]
    fn member(&mut self, key: &[u8], start: usize, end: usize) -> bool {
        let value = self.record.get(start..end).unwrap_or_default();
        self.shape.note(key, value, end)
    }
}

fn kind(value: &[u8]) -> Kind {
    match value {
        b"\"Event\"" => Kind::Event,
        b"\"EventList\"" => Kind::EventList,
        b"null" | b"\"\"" => Kind::Absent,
        _ => Kind::Other,
    }
}

fn api(value: &[u8]) -> Api {
    match value {
        b"\"v1\"" => Api::Events,
        b"null" | b"\"\"" => Api::Absent,
        _ if value.starts_with(b"\"audit.k8s.io/") => Api::Audit,
        _ if value.starts_with(b"\"events.k8s.io/") => Api::Events,
        _ => Api::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn list(text: &str) -> Option<&str> {
        Shape::of(text.as_bytes()).list.map(|at| &text[at..])
    }

    #[test]
    fn a_list_is_an_array_of_objects_under_a_known_name() {
        assert_eq!(
            list(r#"{"kind":"EventList","items":[{}],"x":1}"#),
            Some(r#"[{}],"x":1}"#)
        );
        assert_eq!(list(r#"{"records" : [ {"a":"#), Some(r#"[ {"a":"#));
        assert_eq!(list(r#"{"records":["#), Some("["));
        assert_eq!(list(r#"{"items":[]}"#), Some("[]}"));
        assert_eq!(list(r#"{"items":["a"]}"#), None);
        assert_eq!(list(r#"{"items":{"a":[{}]}}"#), None);
        assert_eq!(list(r#"{"verb":"get","items":[{}]}"#), None);
    }

    #[test]
    fn scalars_are_found_on_both_sides_of_the_list() {
        let text = br#"{"logEvents":[{}],"logGroup":"g","messageType":7}"#;
        let shape = Shape::of(text);
        assert_eq!(
            shape.log_group.map(|(start, end)| &text[start..end]),
            Some(b"\"g\"".as_slice())
        );
        assert!(shape.keys.has(Key::MessageType));
        assert_eq!(shape.message_type, None);
    }

    #[test]
    fn a_literal_with_brackets_in_it_is_a_fault() {
        for text in [r#"{"a":n{}}"#, r#"{"a":1[2]}"#, r#"{"a":tru"e"}"#] {
            let fault = Shape::of(text.as_bytes()).fault;
            assert!(
                matches!(fault, Some(Fault::Syntax { .. })),
                "{text}: {fault:?}"
            );
        }
    }

    #[test]
    fn a_cut_member_is_known_by_name() {
        let shape = Shape::of(br#"{"verb":"get","properties":{"log":"{"#);
        assert!(shape.keys.has(Key::Verb) && shape.cut.has(Key::AzureLog));
        assert_eq!(shape.fault, Some(Fault::Cut { at: 14 }));
        assert!(!Shape::of(br#"{"ve"#).mentions(Key::Verb));
    }
}
