//! What an event shows of the object it writes, told without parsing its bodies.
//!
//! Most writes that rules ask about are ordinary: no body holds anything that a rule looks for. To say so without building
//! views one must know that the views would be there at all, since a rule about something that cannot be seen is unknown
//! and not false. This is the conservative answer; the views themselves are the truth, and the differential tests compare
//! the two.

use super::object::{self, Scope};
use super::pod;
use crate::event::Event;

/// A body, as far as a walk through it tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body<'a> {
    /// Not there, or null.
    Missing,
    /// A document.
    Readable(Kind<'a>),
    /// Perhaps no document.
    Unclear,
}

/// What a document says that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind<'a> {
    /// It has no such key.
    Missing,
    /// A plain string.
    Plain(&'a str),
    /// Only the document tells.
    Unclear,
}

/// What can be said of a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// It shows the object, so that what is not in the body is not there.
    Yes,
    /// There is no such view, and the event would have shown it.
    Absent,
    /// The event cannot show it.
    Hidden,
    /// The view itself must tell.
    Unclear,
}

/// What the columns that come before the bodies tell.
#[derive(Clone, Debug)]
pub(crate) struct Outline {
    scope: Option<Scope>,
    is_patch: bool,
    resource: Option<String>,
    may_have_pod: bool,
}

impl Outline {
    /// Takes from an event that has its verb and its resource, but no bodies.
    pub(crate) fn of(event: &Event) -> Self {
        let resource = event.text(&["objectRef", "resource"]);
        Self {
            // Without a resource, an object reference may be there all the same.
            scope: resource.map(|_| object::scope(event)),
            is_patch: event.text(&["verb"]) == Some("patch"),
            resource: resource.map(str::to_owned),
            may_have_pod: pod::may_have_pod(resource),
        }
    }

    /// Whether `object` and `change.object` are there, and by which body. `succeeded` is whether the result is success,
    /// `None` if it cannot be told.
    pub(crate) fn object(
        &self,
        succeeded: Option<bool>,
        request: Body<'_>,
        response: Body<'_>,
    ) -> Shown {
        match self.scope {
            Some(Scope::Write) => {}
            Some(Scope::Other) => return Shown::Absent,
            Some(Scope::Unknown) | None => return Shown::Unclear,
        }
        let resource = self.resource.as_deref().unwrap_or_default();
        match (request, response) {
            (Body::Missing, Body::Missing) => Shown::Hidden,
            (_, Body::Readable(Kind::Plain(kind)))
                if succeeded != Some(false) && object::names(resource, kind) =>
            {
                Shown::Yes
            }
            (Body::Readable(Kind::Plain(_)), _) if succeeded == Some(false) => Shown::Yes,
            _ => Shown::Unclear,
        }
    }

    /// What `object` is where a patch stands alone, because it failed or was answered by something else than its object; `None` if it
    /// does not. If it is a merge patch without a kind, `change.object` is what it says itself then, if it says anything.
    pub(crate) fn beside_patch(
        &self,
        succeeded: Option<bool>,
        response: Body<'_>,
    ) -> Option<Shown> {
        if !self.is_patch || self.scope != Some(Scope::Write) {
            return None;
        }
        match (succeeded?, response) {
            (true, Body::Readable(Kind::Plain(kind))) => {
                object::META_KINDS.contains(&kind).then_some(Shown::Hidden)
            }
            // What the patch says, if anything.
            (false, _) => Some(Shown::Unclear),
            _ => None,
        }
    }

    /// Whether `pod` and `change.pod` are there, if the object is as told.
    pub(crate) fn pod(&self, object: Shown) -> Shown {
        match object {
            Shown::Hidden if !self.may_have_pod => Shown::Absent,
            other => other,
        }
    }

    /// The body that the object is read from.
    pub(crate) fn is_read_from_request(succeeded: Option<bool>) -> bool {
        succeeded == Some(false)
    }
}
