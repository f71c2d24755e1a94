//! What is known of an actor, for people to read.

use std::sync::Arc;

use serde::Serialize;

use super::actor::ActorId;
use super::counts::Table;
use super::explain::{PartKind, kind_of};
use super::model::{Model, Past};

/// What is known of an actor.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ActorKnown {
    /// Who it is.
    pub actor: ActorId,
    /// Its groups, as they were last seen.
    pub groups: Vec<Arc<str>>,
    /// The buckets of its first and last session, microseconds since 1970 UTC.
    pub first_us: i64,
    /// When the last session began.
    pub last_us: i64,
    /// How many sessions there were.
    pub sessions: u64,
    /// What it did, where, by what, from where; the most usual first.
    pub values: Vec<ValueKnown>,
}

/// A value that an actor has shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ValueKnown {
    /// What it is.
    pub kind: PartKind,
    /// `list secrets`, `public 203.0.113.0/24`.
    pub value: Arc<str>,
    /// Sessions that held it.
    pub sessions: u64,
    /// Calendar days (UTC) that held it: from the second on it is a habit.
    pub days: u32,
    /// The first and the last session with it, microseconds since 1970 UTC.
    pub first_us: i64,
    /// When the last session with it began.
    pub last_us: i64,
    /// It was seen in a finding only, and does not count yet.
    pub on_probation: bool,
}

impl Model {
    /// All that is known of an actor.
    #[must_use]
    pub fn known(&self, actor: &ActorId) -> Option<ActorKnown> {
        let past = self.actor(actor)?;
        Some(ActorKnown {
            actor: actor.clone(),
            groups: past.groups().to_vec(),
            first_us: past.first_us,
            last_us: past.last_us,
            sessions: past.sessions,
            values: values_of(past),
        })
    }
}

fn values_of(past: &Past) -> Vec<ValueKnown> {
    let mut all = Vec::new();
    for table in Table::SHOWN {
        let known = past.tables[table as usize].all();
        let mut values: Vec<ValueKnown> = known
            .map(|(value, known)| ValueKnown {
                kind: kind_of(table),
                value: value.clone(),
                sessions: known.sessions.into(),
                days: known.days,
                first_us: known.first_us,
                last_us: known.last_us,
                on_probation: known.is_on_probation(),
            })
            .collect();
        values.sort_by_key(|known| std::cmp::Reverse(known.sessions));
        all.extend(values);
    }
    all
}
