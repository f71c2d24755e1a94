//! Which request an event belongs to, and which stage of it.

use detections::event::Event;
use serde::{Deserialize, Serialize};

/// The identity of a request: cluster, audit id, request time, verb, URI and authenticated user. The audit id alone is
/// chosen by the client; the stage is not part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Identity(pub(crate) [u8; 16]);

impl Identity {
    /// The identity of the request that an event tells of.
    #[must_use]
    pub fn of(event: &Event) -> Self {
        Self(event.request_identity())
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Where a stage stands in the life of a request. An event without a stage is the only one of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Stage {
    Received,
    Started,
    Final,
}

impl Stage {
    pub(crate) fn of(event: &Event) -> Self {
        match event.stage() {
            Some("RequestReceived") => Self::Received,
            Some("ResponseStarted") => Self::Started,
            _ => Self::Final,
        }
    }
}
