//! What is kept of an event that feeds correlations.

use std::sync::Arc;

use detections::correlation::{Correlations, Fed, Moment};
use detections::event::Event;
use detections::json;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::correlate::act::Exemplar;
use crate::correlate::identity::{Identity, Stage};

/// The longest event that is kept whole, in bytes. What a burst is about stands in its envelope; bodies of some KiB each would
/// fill memory while they wait.
const WHOLE_BYTES_MAX: usize = 4 << 10;

/// The longest member that is kept of an event that is not kept whole, in bytes: a person's groups may be some KiB.
const MEMBER_BYTES_MAX: usize = 64 << 10;

/// What an event takes besides its bytes, about.
const EVENT_BYTES: usize = 1024;

/// The longest line that tells of an event, in bytes.
const BRIEF_BYTES_MAX: usize = 160;

/// The event that completed a window.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Witness {
    /// The event; without its bodies if it is large.
    pub exemplar: Exemplar,
    /// The whole event, if this is not all of it.
    pub whole: Option<Whole>,
}

impl Witness {
    /// Bytes of memory that it takes, with the event that it is part of, about.
    pub(crate) fn weight(&self) -> usize {
        EVENT_BYTES + self.exemplar.raw.len()
    }
}

/// What is known of an event of which only a part is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whole {
    /// Bytes.
    pub size: u64,
    /// Of all bytes.
    pub sha256: [u8; 32],
}

impl Whole {
    /// What an event is as a whole.
    pub(crate) fn of(raw: &[u8]) -> Self {
        Self {
            size: raw.len() as u64,
            sha256: Sha256::digest(raw).into(),
        }
    }
}

/// What an event that matched some rules is to correlations, its input left open; `None` if it is nothing to them, or cannot be
/// put in order: it was only received, or has no time.
pub(crate) fn fed(
    plan: &Correlations,
    rules: &[usize],
    event: &Event,
    (raw, time_us, offset): (&[u8], Option<i64>, u64),
    brief: impl FnOnce(&Event) -> String,
) -> Option<Fed<Witness>> {
    if !rules.iter().any(|rule| plan.is_fed_by(*rule)) {
        return None;
    }
    let stage = Stage::of(event);
    if stage == Stage::Received {
        return None;
    }
    let at = Moment {
        time_us: time_us?,
        identity: Identity::of(event).0,
    };
    let origin = event.origin().clone();
    let (kept, whole) = slim(raw);
    let brief = brief(event);
    Some(Fed {
        at,
        cluster: origin.cluster.clone(),
        goes_on: stage == Stage::Started,
        feeds: plan.feeds(rules, event),
        brief: brief[..brief.floor_char_boundary(BRIEF_BYTES_MAX)].into(),
        witness: Witness {
            exemplar: Exemplar {
                raw: kept,
                origin,
                input: Arc::default(),
                offset,
            },
            whole,
        },
    })
}

/// A large event without its bodies, and whatever else in it is long, with what the whole was.
pub(crate) fn slim(raw: &[u8]) -> (Arc<[u8]>, Option<Whole>) {
    if raw.len() <= WHOLE_BYTES_MAX {
        return (raw.into(), None);
    }
    let kept = members_of(raw, |_, key, value| {
        !matches!(key, "requestObject" | "responseObject") && value.len() <= MEMBER_BYTES_MAX
    });
    (kept, Some(Whole::of(raw)))
}

/// The members of an event that `keeps` says yes to, as an object: it is asked with the bytes so far, the key and the value.
pub(crate) fn members_of(raw: &[u8], keeps: impl Fn(usize, &str, &[u8]) -> bool) -> Arc<[u8]> {
    let mut kept = vec![b'{'];
    for (key, value) in json::members(raw).flatten() {
        if !keeps(kept.len(), &key, value) {
            continue;
        }
        if kept.len() > 1 {
            kept.push(b',');
        }
        kept.extend(serde_json::to_vec(&*key).unwrap_or_default());
        kept.push(b':');
        kept.extend(value);
    }
    kept.push(b'}');
    kept.into()
}
