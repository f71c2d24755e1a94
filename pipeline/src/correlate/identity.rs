//! Which request an event belongs to, and which stage of it.

use detections::event::Event;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The identity of a request: cluster, audit id, request time, verb, URI and authenticated user. The audit id alone is
/// chosen by the client; the stage is not part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Identity([u8; 16]);

impl Identity {
    /// The identity of the request that an event tells of.
    #[must_use]
    pub fn of(event: &Event) -> Self {
        let text = |path: &[&str]| event.text(path).unwrap_or_default();
        Self(hash([
            event.origin().cluster.as_ref(),
            text(&["auditID"]),
            text(&["requestReceivedTimestamp"]),
            text(&["verb"]),
            text(&["requestURI"]),
            text(&["user", "username"]),
        ]))
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

/// A hash of texts that does not confuse `["ab", "c"]` with `["a", "bc"]`: 128 bits, since an attacker chooses some of them.
pub(crate) fn hash<'a>(parts: impl IntoIterator<Item = &'a str>) -> [u8; 16] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let digest = hasher.finalize();
    let mut short = [0; 16];
    short.copy_from_slice(&digest[..16]);
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_apart() {
        assert_ne!(hash(["ab", "c"]), hash(["a", "bc"]));
    }
}
