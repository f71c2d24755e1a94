//! What was found of an account on a day.
//!
//! A finding is an account, a calendar day (UTC), and what was most surprising. Further sessions of the day that are surprising by
//! the same are the same finding; the one with most bits, of equals the first, speaks for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use detections::correlation::{Moment, Step, Values};
use detections::event::{Event, Settings};
use detections::hash::hash;
use detections::surprise::limits::DAY_US;
use detections::surprise::{ActorId, Judgement, Level, PartKind};
use serde::{Deserialize, Serialize};

use crate::alert::ObjectRef;
use crate::catalog::SURPRISE_ID;
use crate::correlate::Finding;
use crate::correlate::stream::{Joined, Witness};
use crate::enrich::brief;

use super::Kept;

/// Events of the session that an alert quotes, besides the one that stands for it.
const QUOTED_MAX: usize = 4;

/// What makes sessions one finding.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct FindingKey {
    pub(crate) cluster: Arc<str>,
    pub(crate) actor: ActorId,
    /// When the day began.
    pub(crate) day_us: i64,
    pub(crate) kind: PartKind,
    pub(crate) value: Arc<str>,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Surprised {
    /// Who it is.
    pub actor: ActorId,
    /// Of the session that speaks for it.
    pub judgement: Judgement,
    /// Events of that session.
    pub events: u64,
    /// When that session began.
    pub bucket_us: i64,
    /// Sessions of the day that were surprising by the same.
    pub sessions: u64,
}

/// A day of an account, and what is quoted of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Day {
    surprised: Surprised,
    /// Events that showed what was most surprising.
    count: u64,
    first_us: i64,
    last_us: i64,
    /// Of the session that speaks for it, the event behind each part; the first part's first.
    quoted: Vec<(Moment, Witness)>,
}

/// All findings.
#[derive(Debug, Default)]
pub(crate) struct Days(BTreeMap<FindingKey, Day>);

impl Days {
    /// Adds a session, if there is something to say of it. Its finding, then.
    pub(crate) fn add(
        &mut self,
        cluster: &Arc<str>,
        kept: &Kept,
        judgement: Judgement,
    ) -> Option<FindingKey> {
        let part = judgement.parts.first()?;
        if judgement.level < Level::Low {
            return None;
        }
        let session = &kept.session;
        let key = FindingKey {
            cluster: cluster.clone(),
            actor: session.actor.id.clone(),
            day_us: session.bucket_us - session.bucket_us.rem_euclid(DAY_US),
            kind: part.kind,
            value: part.value.clone(),
        };
        let day = Day::of(kept, judgement);
        match self.0.get_mut(&key) {
            Some(known) => known.join(day),
            None => drop(self.0.insert(key.clone(), day)),
        }
        Some(key)
    }

    /// All of them as findings of the rule with this index.
    pub(crate) fn findings(
        &self,
        rule: usize,
        settings: &Arc<Settings>,
    ) -> impl Iterator<Item = Finding> {
        let days = self.0.iter();
        days.filter_map(move |(key, day)| day.finding(key, rule, settings))
    }
}

impl FindingKey {
    pub(crate) fn uid(&self) -> [u8; 16] {
        let kind = format!("{:?}", self.actor.kind);
        let day = self.day_us.to_string();
        hash([
            "surprise",
            SURPRISE_ID,
            &self.cluster,
            &kind,
            &self.actor.name,
            &day,
            self.kind.as_str(),
            &self.value,
        ])
    }
}

impl Day {
    fn of(kept: &Kept, judgement: Judgement) -> Self {
        let session = &kept.session;
        let mut quoted: Vec<(Moment, Witness)> = Vec::new();
        for part in &judgement.parts {
            let is_quoted = quoted.iter().any(|(moment, _)| *moment == part.witness);
            if quoted.len() <= QUOTED_MAX
                && !is_quoted
                && let Some(witness) = kept.witnesses.get(&part.witness)
            {
                quoted.push((part.witness, witness.clone()));
            }
        }
        let leading = judgement.parts.first();
        Self {
            count: leading.map_or(session.events, |part| part.count),
            first_us: leading.map_or(session.first.time_us, |part| part.witness.time_us),
            last_us: session.last_us,
            quoted,
            surprised: Surprised {
                actor: session.actor.id.clone(),
                events: session.events,
                bucket_us: session.bucket_us,
                sessions: 1,
                judgement,
            },
        }
    }

    fn join(&mut self, other: Self) {
        self.count += other.count;
        self.first_us = self.first_us.min(other.first_us);
        self.last_us = self.last_us.max(other.last_us);
        let sessions = self.surprised.sessions + other.surprised.sessions;
        if other.surprised.judgement.bits > self.surprised.judgement.bits {
            self.surprised = other.surprised;
            self.quoted = other.quoted;
        }
        self.surprised.sessions = sessions;
    }

    /// `None` only if no event was kept for it.
    pub(crate) fn finding(
        &self,
        key: &FindingKey,
        rule: usize,
        settings: &Arc<Settings>,
    ) -> Option<Finding> {
        let (_, leading) = self.quoted.first()?;
        let mut steps: Vec<Step> = self
            .quoted
            .iter()
            .filter_map(|(moment, witness)| step_of(*moment, witness, settings))
            .collect();
        steps.sort_by_key(|step| step.time_us);
        Some(Finding {
            rule,
            uid: key.uid(),
            exemplar: leading.exemplar.clone(),
            root: ObjectRef::default(),
            count: self.count,
            follow_ups: 0,
            first_us: Some(self.first_us),
            last_us: Some(self.last_us),
            other_objects: Vec::new(),
            object_count: 1,
            joined: Some(Arc::new(Joined {
                values: Values::default(),
                value: self.surprised.judgement.bits,
                exact: true,
                steps,
                counted: Vec::new(),
                usual: None,
                surprised: Some(Box::new(self.surprised.clone())),
                whole: leading.whole,
            })),
        })
    }
}

/// An event in one line, with what it is found by.
fn step_of(moment: Moment, witness: &Witness, settings: &Arc<Settings>) -> Option<Step> {
    let exemplar = &witness.exemplar;
    let event = Event::parse(&exemplar.raw, exemplar.origin.clone(), settings.clone()).ok()?;
    let id = event.text(&["auditID"]).unwrap_or_default();
    Some(Step {
        time_us: moment.time_us,
        input: 0,
        text: format!("{} (audit id {id})", brief(&event)).into(),
    })
}
