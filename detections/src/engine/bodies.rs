//! What the bodies of one row tell without being parsed.

use std::sync::LazyLock;

use memchr::memmem;

use super::hints::{Hint, Memo, Place};
use super::plan::Plan;
use super::screen::{KnownParts, Screen};
use super::tree::Rest;
use crate::batch::{Column, EventRow};
use crate::truth::{Bounds, Truth};
use crate::views::shown::{Body, Kind, Outline, Shown};

/// The bodies of a row, screened as far as its open rules need it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bodies {
    object: Shown,
    changed: Shown,
    pod: Shown,
    changed_pod: Shown,
    request: Shown,
    response: Shown,
    /// The object, or what is known of its change, is read from the request, for want of an answer.
    object_is_request: bool,
}

/// What two walks found.
#[derive(Debug, Default)]
pub(super) struct Screens {
    request: Screen,
    response: Screen,
    memo: Memo,
    parts: KnownParts,
}

impl Screens {
    /// Between rows: forgets what has become too much.
    pub(super) fn trim(&mut self) {
        self.memo.trim();
    }
}

impl Bodies {
    pub(super) fn screen(
        plan: &Plan,
        (outline, rest): (&Outline, &Rest),
        succeeded: Option<bool>,
        screens: &mut Screens,
        row: &EventRow<'_>,
    ) -> Self {
        let needed = rest.bodies;
        let mut object_is_request = Outline::is_read_from_request(succeeded);
        let Screens {
            request: sent,
            response: answer,
            memo,
            parts,
        } = screens;
        let mut look = |screen: &mut Screen, column, wanted| match row.slice(column) {
            None | Some(b"null") => Body::Missing,
            Some(text) if wanted => screen.body(&plan.atoms, &rest.wanted, (memo, parts), text),
            Some(_) => Body::Unclear,
        };
        let answer = look(
            answer,
            Column::ResponseObject,
            needed.response || (needed.object && !object_is_request),
        );
        let beside_patch = outline.beside_patch(succeeded, answer);
        object_is_request |= beside_patch.is_some();
        let sent = look(
            sent,
            Column::RequestObject,
            needed.request || (needed.object && object_is_request),
        );
        let is_merge = row
            .slice(Column::RequestObject)
            .is_some_and(|text| text.starts_with(b"{"));
        let (object, changed) = match beside_patch {
            Some(object) if is_merge && sent == Body::Readable(Kind::Missing) => {
                (object, Shown::Yes)
            }
            _ => {
                let object = outline.object(succeeded, sent, answer);
                (object, object)
            }
        };
        Self {
            object,
            changed,
            pod: outline.pod(object),
            changed_pod: outline.pod(changed),
            request: shown(sent, row, LEVELS[0].1),
            response: shown(answer, row, LEVELS[1].1),
            object_is_request,
        }
    }

    /// The truth of a test of a body.
    pub(super) fn bounds(self, place: Place, hint: &Hint, screens: &Screens) -> Bounds {
        let (shown, from_request) = match place {
            Place::Object => (self.object, self.object_is_request),
            Place::Pod => (self.pod, self.object_is_request),
            Place::ChangedObject => (self.changed, self.object_is_request),
            Place::ChangedPod => (self.changed_pod, self.object_is_request),
            Place::Request => (self.request, true),
            Place::Response => (self.response, false),
        };
        let screen = if from_request {
            &screens.request
        } else {
            &screens.response
        };
        match shown {
            Shown::Hidden => Truth::Unknown.into(),
            Shown::Unclear => Bounds::ANY,
            Shown::Yes if hint.may_hold(&screen.found) => Bounds::ANY,
            Shown::Absent if *hint == Hint::Always => Bounds::ANY,
            Shown::Yes | Shown::Absent => Bounds::FALSE,
        }
    }
}

/// What the annotation of an event that lost its bodies is called, or what its name may be escaped by.
static TRUNCATED: LazyLock<[memmem::Finder<'static>; 2]> =
    LazyLock::new(|| [&b"truncated"[..], b"\\u"].map(memmem::Finder::new));

/// The bodies, and the audit levels that log them.
pub(super) const LEVELS: [(Column, &[&[u8]]); 2] = [
    (
        Column::RequestObject,
        &[b"\"Request\"", b"\"RequestResponse\""],
    ),
    (Column::ResponseObject, &[b"\"RequestResponse\""]),
];

/// What is known of a body's own fields. `levels` are the audit levels that log it.
fn shown(body: Body<'_>, row: &EventRow<'_>, levels: &[&[u8]]) -> Shown {
    match body {
        Body::Readable(_) => Shown::Yes,
        Body::Unclear => Shown::Unclear,
        Body::Missing => missing(row, levels),
    }
}

/// Whether a body that is not there could have been.
pub(super) fn missing(row: &EventRow<'_>, levels: &[&[u8]]) -> Shown {
    let text = |column| row.slice(column).unwrap_or_default();
    let (level, stage) = (text(Column::Level), text(Column::Stage));
    let annotations = text(Column::Annotations);
    let is_escaped = |text: &[u8]| memchr::memchr(b'\\', text).is_some();
    if is_escaped(level) || is_escaped(stage) {
        return Shown::Unclear;
    }
    if stage == b"\"RequestReceived\"" || !levels.contains(&level) {
        return Shown::Hidden;
    }
    let may_be_truncated = TRUNCATED
        .iter()
        .any(|word| word.find(annotations).is_some());
    if may_be_truncated {
        return Shown::Unclear;
    }
    Shown::Absent
}
