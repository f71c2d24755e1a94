//! What is known of a cluster: each actor's own past, and the habits of its peers.
//!
//! The caller hands over the sessions of finished buckets in order ([`Model::follow`]), or judges and learns by itself: first
//! all of a bucket, then all of it again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::actor::{ActorId, Kind};
use super::circles::{Circle, Circles, Tables, circles_of};
use super::counts::{At, Own, Table};
use super::limits::{ACTORS_EVICTED_SHARE, ACTORS_MAX, DAY_US};
use super::pairs;
use super::score::{Judgement, Level};
use super::session::Session;
use super::volume::{Class, Histograms};

/// What may differ between installations. It is stored with the model, because what was learned by one half-life cannot be read
/// by another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// For so long from the day of the first session on, nothing is judged. Microseconds.
    pub learning_us: i64,
    /// After so long a session weighs half. Microseconds.
    pub half_life_us: i64,
    /// A group with fewer known actors is no team: one person's habits are not what the team does.
    pub team_actors_min: u32,
    /// Actors that are known at once; beyond it the longest silent are forgotten.
    pub actors_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            learning_us: 18 * DAY_US,
            half_life_us: 30 * DAY_US,
            team_actors_min: 3,
            actors_max: ACTORS_MAX,
        }
    }
}

/// What is known of a cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Model {
    settings: Settings,
    /// The bucket of the first session: weights grow from here.
    start_us: Option<i64>,
    #[serde(with = "pairs")]
    actors: BTreeMap<ActorId, Past>,
    circles: Circles,
    /// All sessions of a kind, by how much they held.
    #[serde(with = "pairs")]
    volumes: BTreeMap<Kind, Histograms<u64>>,
    actors_forgotten: u64,
    #[serde(skip)]
    changed: Changed,
}

/// Actors that were learned of, or forgotten, since somebody asked. It is no part of what is known.
#[derive(Clone, Debug, Default)]
struct Changed(BTreeSet<ActorId>);

impl PartialEq for Changed {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// What a model knows besides its actors: with [`Past`]s a model can be stored and restored in parts. The circles are not stored: they
/// are the habits of their members, counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Head {
    settings: Settings,
    start_us: Option<i64>,
    #[serde(with = "pairs")]
    volumes: BTreeMap<Kind, Histograms<u64>>,
    actors_forgotten: u64,
}

/// What is known of one actor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Past {
    /// The buckets of the first and the last session.
    pub(super) first_us: i64,
    pub(super) last_us: i64,
    pub(super) sessions: u64,
    /// The groups as its habits were counted.
    groups: Box<[Arc<str>]>,
    pub(super) tables: Tables,
    pub(super) volumes: Histograms<f64>,
}

/// How much a model holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Known actors.
    pub actors: usize,
    /// Actors that were forgotten for want of room.
    pub actors_forgotten: u64,
    /// Values of all actors.
    pub values: usize,
    /// Values of the actor that has most.
    pub values_of_one_max: usize,
    /// Values of all circles of peers.
    pub values_of_peers: usize,
}

impl Past {
    pub(super) fn groups(&self) -> &[Arc<str>] {
        &self.groups
    }
}

impl Default for Model {
    fn default() -> Self {
        Self::new(Settings::default())
    }
}

impl Model {
    /// A model that knows nothing.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            start_us: None,
            actors: BTreeMap::new(),
            circles: Circles::default(),
            volumes: BTreeMap::new(),
            actors_forgotten: 0,
            changed: Changed::default(),
        }
    }

    /// A model of what was stored in parts.
    #[must_use]
    pub fn restore(head: Head, actors: impl IntoIterator<Item = (ActorId, Past)>) -> Self {
        let actors: BTreeMap<ActorId, Past> = actors.into_iter().collect();
        let mut circles = Circles::default();
        for (actor, past) in &actors {
            for circle in circles_of(actor.kind, &past.groups) {
                circles.join(circle, &past.tables);
            }
        }
        Self {
            settings: head.settings,
            start_us: head.start_us,
            actors,
            circles,
            volumes: head.volumes,
            actors_forgotten: head.actors_forgotten,
            changed: Changed::default(),
        }
    }

    /// What it knows besides its actors.
    #[must_use]
    pub fn head(&self) -> Head {
        Head {
            settings: self.settings.clone(),
            start_us: self.start_us,
            volumes: self.volumes.clone(),
            actors_forgotten: self.actors_forgotten,
        }
    }

    /// What it knows of each actor.
    pub fn actors(&self) -> impl Iterator<Item = (&ActorId, &Past)> {
        self.actors.iter()
    }

    /// What it knows of an actor.
    #[must_use]
    pub fn actor(&self, actor: &ActorId) -> Option<&Past> {
        self.actors.get(actor)
    }

    /// The actors that were learned of, or forgotten, since the last time.
    pub fn take_changed(&mut self) -> BTreeSet<ActorId> {
        std::mem::take(&mut self.changed.0)
    }

    /// For so long nothing is judged, from now on: the rest of what is known stays as it is.
    pub fn set_learning(&mut self, learning_us: i64) {
        self.settings.learning_us = learning_us;
    }

    /// From when on it judges, microseconds since 1970 UTC; `None` if it has not learned anything.
    #[must_use]
    pub fn judges_from_us(&self) -> Option<i64> {
        let start_us = self.start_us?;
        let day_us = start_us.saturating_sub(start_us.rem_euclid(DAY_US));
        Some(day_us.saturating_add(self.settings.learning_us))
    }

    /// Judges sessions and learns them: those of a bucket by what was known before it, bucket after bucket. One judgement a
    /// session, and `None` while it is still learning. The sessions come as [`super::Sessions::take_before`] hands them out.
    pub fn follow(&mut self, sessions: &[Session]) -> Vec<Option<Judgement>> {
        let mut judgements = Vec::with_capacity(sessions.len());
        for bucket in sessions.chunk_by(|one, next| one.bucket_us == next.bucket_us) {
            let first = judgements.len();
            let is_learning = self.is_learning(bucket[0].bucket_us);
            let judge = |session| (!is_learning).then(|| self.judge(session));
            judgements.extend(bucket.iter().map(judge));
            for (session, judgement) in bucket.iter().zip(&judgements[first..]) {
                let reached = judgement
                    .as_ref()
                    .map_or(Level::Informational, |judgement| judgement.reached);
                self.learn(session, reached);
            }
        }
        judgements
    }

    /// Whether a bucket is too early to be judged.
    #[must_use]
    pub fn is_learning(&self, bucket_us: i64) -> bool {
        self.judges_from_us()
            .is_none_or(|from_us| bucket_us < from_us)
    }

    /// Learns a session that [reached](Judgement::reached) this level. What is new in a finding is on probation: a second act
    /// by the same route on the next day is reported again. A session that was not judged is informational.
    pub fn learn(&mut self, session: &Session, reached: Level) {
        self.start_us.get_or_insert(session.bucket_us);
        self.meet(session);
        self.changed.0.insert(session.actor.id.clone());
        let at = At {
            bucket_us: session.bucket_us,
            growth: self.growth(session.bucket_us),
            on_probation: reached >= Level::Medium,
        };
        let actor = &session.actor;
        let Some(past) = self.actors.get_mut(&actor.id) else {
            return;
        };
        past.sessions += 1;
        past.last_us = past.last_us.max(session.bucket_us);
        let volumes = self.volumes.entry(actor.id.kind).or_default();
        for class in Class::ALL {
            let count = session.count(class);
            if count > 0 {
                past.volumes.add(class, count, at.growth);
                volumes.add(class, count, 1);
            }
        }
        let circles = circles_of(actor.id.kind, &past.groups);
        let mut learn = |table: Table, value: &Arc<str>| {
            let learned = past.tables[table as usize].learn(table, value, at);
            if learned.is_new_habit {
                self.circles.add(&circles, table, value);
            }
            if let Some(forgotten) = learned.forgotten {
                self.circles.remove(&circles, table, &forgotten);
            }
        };
        for table in Table::SHOWN {
            for seen in session.values(table) {
                learn(table, &seen.text);
            }
        }
        for verb in session.verbs() {
            learn(Table::Verb, &Arc::from(verb));
        }
    }

    /// By what settings it learns.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// How much it holds.
    #[must_use]
    pub fn size(&self) -> Size {
        let values = |past: &Past| past.tables.iter().map(Own::len).sum::<usize>();
        let all = self.actors.values().map(values);
        Size {
            actors: self.actors.len(),
            actors_forgotten: self.actors_forgotten,
            values: all.clone().sum::<usize>(),
            values_of_one_max: all.max().unwrap_or(0),
            values_of_peers: self.circles.values(),
        }
    }

    pub(super) fn past(&self, actor: &ActorId) -> Option<&Past> {
        self.actors.get(actor)
    }

    pub(super) fn circles(&self) -> &Circles {
        &self.circles
    }

    pub(super) fn volumes(&self, kind: Kind) -> Option<&Histograms<u64>> {
        self.volumes.get(&kind)
    }

    /// What a session of this bucket weighs. The power is bounded, so that times from broken clocks, thousands of years ahead or
    /// behind, make no infinities that would stay; by a half-life of a month it lasts for forty years.
    pub(super) fn growth(&self, bucket_us: i64) -> f64 {
        const HALF_LIVES_MAX: f64 = 500.0;
        let age_us = bucket_us.saturating_sub(self.start_us.unwrap_or(bucket_us));
        let half_lives = age_us as f64 / self.settings.half_life_us as f64;
        half_lives.clamp(-HALF_LIVES_MAX, HALF_LIVES_MAX).exp2()
    }

    /// Makes sure that the actor is known, by the groups that it has now.
    fn meet(&mut self, session: &Session) {
        let actor = &session.actor;
        match self.actors.get_mut(&actor.id) {
            Some(past) if past.groups == actor.groups => {}
            Some(past) => {
                for circle in past.groups.iter().cloned().map(Circle::Group) {
                    self.circles.leave(&circle, &past.tables);
                }
                past.groups.clone_from(&actor.groups);
                for circle in past.groups.iter().cloned().map(Circle::Group) {
                    self.circles.join(circle, &past.tables);
                }
            }
            None => {
                self.make_room();
                let past = Past {
                    first_us: session.bucket_us,
                    last_us: session.bucket_us,
                    sessions: 0,
                    groups: actor.groups.clone(),
                    tables: Tables::default(),
                    volumes: Histograms::default(),
                };
                for circle in circles_of(actor.id.kind, &past.groups) {
                    self.circles.join(circle, &past.tables);
                }
                self.actors.insert(actor.id.clone(), past);
            }
        }
    }

    /// Forgets the longest silent actors if there is no room for another one.
    fn make_room(&mut self) {
        if self.actors.len() < self.settings.actors_max {
            return;
        }
        let actors = self.actors.iter();
        let mut silent: Vec<_> = actors
            .map(|(id, past)| (past.last_us, id.clone()))
            .collect();
        silent.sort_unstable();
        silent.truncate((silent.len() / ACTORS_EVICTED_SHARE).max(1));
        for (_, id) in silent {
            self.forget(&id);
        }
    }

    fn forget(&mut self, actor: &ActorId) {
        let Some(past) = self.actors.remove(actor) else {
            return;
        };
        for circle in circles_of(actor.kind, &past.groups) {
            self.circles.leave(&circle, &past.tables);
        }
        self.actors_forgotten += 1;
        self.changed.0.insert(actor.clone());
    }
}
