//! From a frame to a native audit event: what the record is, and what its envelope says about it.
//!
//! ```text
//!  frame ─▶ valid UTF-8? ─▶ judge by members ─┬─ the API server's own form ──▶ the frame is the event
//!                                             ├─ a record kept as text ──────▶ unescaped, framed and judged anew   aks, eks
//!                                             ├─ columns or a LogEntry ──────▶ written anew in the native form     aks, gke
//!                                             └─ anything else ──────────────▶ rejected or ignored, with the reason
//! ```
//!
//! Each record is judged by itself: a file may mix all forms. What the containers around it say is
//! only asked where the record is silent. A record that was cut is salvaged if what is left says at
//! least what was asked for.

mod aks;
mod document;
mod eks;
mod gke;
pub(crate) mod text;
mod time;

use std::sync::Arc;

use detections::event::Envelope;
use detections::json::Fault;

use super::framing::context::Context;
use super::framing::shape::{Api, Key, Kind, Shape};
use super::framing::{Frame, FrameKind};
use super::limits::BUFFER_BYTES;
use super::reason::{IgnoredReason, RejectReason};

/// What an envelope says about the event in it; what it does not say is taken from what is around
/// it.
#[derive(Clone, Debug, Default)]
pub(super) struct Wrapping {
    pub(super) envelope: Option<Envelope>,
    pub(super) cluster: Option<Arc<str>>,
    pub(super) time_us: Option<i64>,
    /// The envelope lost a part of the event.
    pub(super) partial: bool,
}

/// What a frame is.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Its first bytes, so many of them, are an event in the API server's own form.
    Native(usize, Wrapping),
    /// An event was written to the scratch.
    Written(Wrapping),
    /// Text was written to the scratch that may hold events.
    Wrapped(Wrapping),
    Rejected(RejectReason),
    Ignored(IgnoredReason),
}

/// A frame with all that is known about it.
#[derive(Clone, Copy)]
pub(super) struct Record<'a> {
    pub(super) frame: &'a Frame,
    pub(super) shape: &'a Shape,
    pub(super) bytes: &'a [u8],
    pub(super) context: &'a Context,
}

/// What judging needs besides the record.
#[derive(Debug, Default)]
pub(super) struct Workspace {
    /// Receives text and events that are not in the record as they are; empty before each record.
    pub(super) scratch: Vec<u8>,
    /// The last cluster name, so that a run of records of one cluster shares it.
    last_cluster: Arc<str>,
}

impl Workspace {
    /// Empties the scratch, and gives its memory back if a huge record made it large.
    pub(super) fn reset(&mut self) {
        self.scratch.clear();
        self.scratch.shrink_to(BUFFER_BYTES);
    }

    fn cluster(&mut self, name: &str) -> Option<Arc<str>> {
        if name.is_empty() {
            return None;
        }
        if *self.last_cluster != *name {
            self.last_cluster = Arc::from(name);
        }
        Some(Arc::clone(&self.last_cluster))
    }
}

/// Judges one frame.
pub(super) fn judge(record: Record<'_>, workspace: &mut Workspace) -> Verdict {
    match record.frame.kind {
        FrameKind::EmptyList => return Verdict::Ignored(IgnoredReason::EmptyList),
        FrameKind::BehindCut => return Verdict::Rejected(RejectReason::BehindCut),
        FrameKind::Junk => return Verdict::Rejected(junk(record.bytes)),
        FrameKind::Object => {}
    }
    let Some(valid) = valid_prefix(record) else {
        return Verdict::Rejected(RejectReason::NotUtf8);
    };
    let record = Record {
        bytes: record.bytes.get(..valid).unwrap_or_default(),
        ..record
    };
    if let Some(Fault::Syntax { at }) = record.shape.fault {
        return Verdict::Rejected(RejectReason::MalformedJson { offset: at as u64 });
    }
    judge_object(record, workspace)
}

/// The last character may be torn, since only the start of a large piece is kept.
fn junk(bytes: &[u8]) -> RejectReason {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_some() => RejectReason::NotUtf8,
        _ => RejectReason::NotAnObject,
    }
}

/// How much of the record is valid: all of it, but for a character that a cut went through.
fn valid_prefix(record: Record<'_>) -> Option<usize> {
    // Nearly all records are valid, and this finds that out several times as fast as the standard library.
    if simdutf8::basic::from_utf8(record.bytes).is_ok() {
        return Some(record.bytes.len());
    }
    match std::str::from_utf8(record.bytes) {
        Ok(_) => Some(record.bytes.len()),
        Err(error) if record.frame.cut && error.error_len().is_none() => Some(error.valid_up_to()),
        Err(_) => None,
    }
}

fn judge_object(record: Record<'_>, workspace: &mut Workspace) -> Verdict {
    let shape = record.shape;
    if is_native(shape, record.context) {
        return native(record, workspace);
    }
    let events_api = shape.kind == Kind::Event && shape.api == Api::Events;
    if events_api || (shape.mentions(Key::Involved) && !shape.mentions(Key::Verb)) {
        return Verdict::Rejected(RejectReason::CoreV1Event);
    }
    if shape.mentions(Key::ProtoPayload) {
        return gke::judge(record, workspace);
    }
    if aks::is_record(shape) {
        return aks::judge(record, workspace);
    }
    if shape.mentions(Key::Message) {
        return eks::judge(record, workspace);
    }
    Verdict::Rejected(match shape {
        _ if shape.mentions(Key::Tables) => RejectReason::LogAnalyticsTable,
        Shape {
            kind: Kind::EventList,
            ..
        } => RejectReason::Empty,
        Shape { fault: Some(_), .. } => RejectReason::CutTooEarly,
        _ => RejectReason::NotAnAuditEvent,
    })
}

/// An event says so, or is an element of an audit event list, or looks like one: people shorten
/// events by hand.
fn is_native(shape: &Shape, context: &Context) -> bool {
    if !matches!(shape.kind, Kind::Event | Kind::Absent) || shape.mentions(Key::Involved) {
        return false;
    }
    let has = |keys: &[Key]| keys.iter().any(|key| shape.keys.has(*key));
    let asked = has(&[Key::Verb]) && has(&[Key::User, Key::ObjectRef, Key::RequestUri]);
    let listed = context.kind == Kind::EventList && context.api == Api::Audit;
    match shape.api {
        Api::Audit => true,
        Api::Events => asked,
        _ if shape.kind == Kind::Event => has(&[Key::Verb, Key::RequestUri, Key::AuditId]),
        _ if listed => has(&[Key::Verb, Key::RequestUri, Key::AuditId, Key::Stage]),
        _ => asked,
    }
}

fn native(record: Record<'_>, workspace: &mut Workspace) -> Verdict {
    let shape = record.shape;
    let cut = record.frame.cut || shape.fault.is_some();
    if cut && !shape.keys.has(Key::Verb) && !shape.keys.has(Key::RequestUri) {
        return Verdict::Rejected(RejectReason::CutTooEarly);
    }
    let mut wrapping = Wrapping {
        partial: cut,
        ..Wrapping::default()
    };
    if let Some(prefix) = record.frame.prefix {
        wrapping.time_us = Some(prefix.time_us);
        wrapping.envelope = (!prefix.container).then_some(Envelope::Eks);
    }
    if !record.context.log_group.is_empty() {
        wrapping.envelope = Some(Envelope::Eks);
        wrapping.cluster = eks::cluster(&record.context.log_group, workspace);
    }
    Verdict::Native(record.bytes.len(), wrapping)
}

#[cfg(test)]
mod tests;
