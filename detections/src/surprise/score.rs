//! How surprising a session is.
//!
//! ```text
//! p_actor(v) = (c(v) + T · p_team(v)) / (n + T)     c: the actor's own sessions with v; the rest: counts of actors with the habit
//! p_team(v)  = (a(v) + A · p_kind(v)) / (m + A)     left out where no group has members enough
//! p_kind(v)  = (a(v) + A · p_all(v))  / (m + A)
//! p_all(v)   = (a(v) + A · base)      / (m + A)     base of an operation: p_actor(verb) / 64
//!
//! raw(v)  = −log2 p_actor(v)
//! bits(v) = min(raw(v) − FREE, CAP)                 what is left, if anything is; of an operation times 1 + IMPACT · impact
//! part    = the greatest bits(v) of the session     session = the sum of its parts
//! ```
//!
//! The caps are chosen so that no part alone is a finding of medium level, except an operation of impact 2 or more. A new client
//! from a new network is one: that is what a stolen credential looks like.

use serde::{Deserialize, Serialize};

use super::actor::Kind;
use super::circles::{Circle, Members};
use super::counts::Table;
use super::explain::Part;
use super::features::{EVERYWHERE, OK};
use super::limits::DAY_US;
use super::model::{Model, Past};
use super::place::PRIVATE;
use super::session::{Seen, Session, verb_of};
use super::volume::{Class, bin};

/// What is this likely, or likelier, is everyday: 1 in 16.
pub(super) const FREE_BITS: f64 = 4.0;

/// What one step of impact adds, as a share of the bits of an operation.
const IMPACT: f64 = 0.25;

/// The most that a volume adds.
const VOLUME_CAP_BITS: f64 = 8.0;

/// The most that a private network adds for one who moves about, if no workload has it as a habit.
const MOVED_CAP_BITS: f64 = 4.0;

/// From so many bits on a session is of low level: one full minor part.
pub const LOW_BITS: f64 = 8.0;

/// From so many bits on a session is of medium level: more than any part alone without impact.
pub const MEDIUM_BITS: f64 = 17.0;

/// From so many bits on a session is of high level: a full operation of the highest impact, and something else.
pub const HIGH_BITS: f64 = 24.0;

/// For so long after its first session an actor is a newcomer.
const NEWCOMER_US: i64 = DAY_US;

/// With fewer sessions an actor is a newcomer.
const NEWCOMER_SESSIONS: u64 = 8;

/// How much a session asks to be looked at. Never critical: surprise alone proves no takeover.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Level {
    /// Nothing to look at.
    Informational,
    /// Worth a line.
    Low,
    /// A finding.
    Medium,
    /// A finding, and an urgent one.
    High,
}

impl Level {
    /// The name that alerts use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Informational => "informational",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }

    fn of(bits: f64) -> Self {
        if bits >= HIGH_BITS {
            Self::High
        } else if bits >= MEDIUM_BITS {
            Self::Medium
        } else if bits >= LOW_BITS {
            Self::Low
        } else {
            Self::Informational
        }
    }
}

/// How surprising a session is, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// The sum of the parts, with impact.
    pub bits: f64,
    /// The same without impact.
    pub bits_before_impact: f64,
    /// What the bits come to; at most low for a newcomer.
    pub level: Level,
    /// What the bits come to, whoever it is. [`Model::learn`] asks for it.
    pub reached: Level,
    /// The actor is known for less than a day, or by fewer than eight sessions. It has no past to differ from, so that rules
    /// must speak for it.
    pub is_newcomer: bool,
    /// Sessions of the actor before this one.
    pub sessions: u64,
    /// When the first of them began, microseconds since 1970 UTC.
    pub since_us: Option<i64>,
    /// What is surprising, most surprising first. The first part names the finding: actor, day, and this value.
    pub parts: Vec<Part>,
}

/// A value that is surprising.
pub(super) struct Candidate<'a> {
    pub(super) table: Table,
    pub(super) seen: &'a Seen,
    pub(super) raw_bits: f64,
    /// Beyond what is free, and at most the cap.
    pub(super) bits: f64,
    /// With impact.
    pub(super) weighted_bits: f64,
}

/// A volume that is surprising.
pub(super) struct Mass {
    pub(super) class: Class,
    pub(super) count: u64,
    pub(super) raw_bits: f64,
    pub(super) bits: f64,
}

/// A session before what is known.
pub(super) struct Scorer<'a> {
    pub(super) model: &'a Model,
    pub(super) session: &'a Session,
    pub(super) past: Option<&'a Past>,
    /// From everybody to the team.
    pub(super) circles: Vec<(Circle, &'a Members)>,
    pub(super) growth: f64,
}

impl Model {
    /// Judges a session by what is known now. The session's own bucket must not have been learned yet.
    #[must_use]
    pub fn judge(&self, session: &Session) -> Judgement {
        let scorer = Scorer::new(self, session);
        let mut parts = scorer.parts();
        // In the order of the parts, so that the sum is the same wherever it is made. The sum of nothing is a negative zero.
        let sum_of = |bits: fn(&Part) -> f64| parts.iter().map(bits).sum::<f64>() + 0.0;
        let bits = sum_of(|part| part.bits);
        let bits_before_impact = sum_of(|part| part.bits_before_impact);
        parts.sort_by(|one, other| other.bits.total_cmp(&one.bits));
        let is_newcomer = scorer.is_newcomer();
        let reached = Level::of(bits);
        Judgement {
            bits,
            bits_before_impact,
            level: if is_newcomer {
                reached.min(Level::Low)
            } else {
                reached
            },
            reached,
            is_newcomer,
            sessions: scorer.past.map_or(0, |past| past.sessions),
            since_us: scorer.past.map(|past| past.first_us),
            parts,
        }
    }
}

impl<'a> Scorer<'a> {
    fn new(model: &'a Model, session: &'a Session) -> Self {
        let actor = &session.actor;
        let known = |circle: Circle| {
            let members = model.circles().get(&circle)?;
            Some((circle, members))
        };
        let team_actors_min = model.settings().team_actors_min;
        let team = model.circles().team(&actor.groups, team_actors_min);
        let wide = [Circle::All, Circle::Kind(actor.id.kind)];
        Self {
            model,
            session,
            past: model.past(&actor.id),
            circles: wide.into_iter().filter_map(known).chain(team).collect(),
            growth: model.growth(session.bucket_us),
        }
    }

    fn is_newcomer(&self) -> bool {
        self.past.is_none_or(|past| {
            let age_us = self.session.bucket_us.saturating_sub(past.first_us);
            age_us < NEWCOMER_US || past.sessions < NEWCOMER_SESSIONS
        })
    }

    fn parts(&self) -> Vec<Part> {
        let operation = self.most_surprising(Table::Operation, None);
        // A new operation on the whole cluster is one novelty and not two.
        let implied = operation.as_ref().map(|_| EVERYWHERE);
        let candidates = [
            operation,
            self.most_surprising(Table::Namespace, implied),
            self.most_surprising(Table::Client, None),
            self.most_surprising(Table::Network, None),
            self.most_surprising(Table::Outcome, Some(OK)),
        ];
        let candidates = candidates.iter().flatten();
        let mut parts: Vec<Part> = candidates
            .map(|candidate| self.explain(candidate))
            .collect();
        let mass = self.greatest_mass();
        parts.extend(mass.map(|mass| self.explain_mass(&mass)));
        parts
    }

    /// The most surprising value of a table, if any is; of equally surprising ones the first by text.
    fn most_surprising(&self, table: Table, left_out: Option<&str>) -> Option<Candidate<'a>> {
        let values = self.session.values(table).iter();
        let mut most: Option<Candidate<'a>> = None;
        for seen in values.filter(|seen| Some(&*seen.text) != left_out) {
            let candidate = self.candidate(table, seen);
            let is_more = most.as_ref().is_none_or(|most| candidate.exceeds(most));
            if candidate.bits > 0.0 && is_more {
                most = Some(candidate);
            }
        }
        most
    }

    fn candidate(&self, table: Table, seen: &'a Seen) -> Candidate<'a> {
        let raw_bits = self.raw_bits(table, &seen.text);
        let bits = (raw_bits - FREE_BITS).min(self.cap_bits(table, &seen.text));
        let weight = if table == Table::Operation {
            1.0 + IMPACT * f64::from(seen.impact)
        } else {
            1.0
        };
        Candidate {
            table,
            seen,
            raw_bits,
            bits,
            weighted_bits: bits * weight,
        }
    }

    fn raw_bits(&self, table: Table, value: &str) -> f64 {
        let mut base = table.base();
        if table == Table::Operation {
            base *= self.probability(Table::Verb, verb_of(value), Table::Verb.base());
        }
        -self.probability(table, value, base).log2()
    }

    /// Interpolated from the widest circle down to the actor itself.
    fn probability(&self, table: Table, value: &str, base: f64) -> f64 {
        let among_peers = self.circles.iter().fold(base, |wider, (_, members)| {
            members.peers(table).probability(value, wider)
        });
        self.past.map_or(among_peers, |past| {
            past.tables[table as usize].probability(value, among_peers, self.growth)
        })
    }

    fn cap_bits(&self, table: Table, value: &str) -> f64 {
        match table {
            Table::Operation | Table::Verb => 12.0,
            Table::Network if self.may_have_moved(value) => MOVED_CAP_BITS,
            Table::Network => 10.0,
            Table::Client => 8.0,
            Table::Namespace | Table::Outcome => 4.0,
        }
    }

    /// People change floors and VPNs. A network of workloads is another matter.
    fn may_have_moved(&self, network: &str) -> bool {
        let workloads = Circle::Kind(Kind::ServiceAccount);
        let with_habit = self.model.circles().get(&workloads).map_or(0, |members| {
            members.peers(Table::Network).actors_with(network)
        });
        self.session.actor.id.kind.moves() && network.starts_with(PRIVATE) && with_habit == 0
    }

    /// The class whose volume is most surprising, if any is.
    fn greatest_mass(&self) -> Option<Mass> {
        let mut greatest: Option<Mass> = None;
        for class in Class::ALL {
            let count = self.session.count(class);
            if count < class.least() {
                continue;
            }
            let raw_bits = -self.probability_of_mass(class, count).log2();
            let bits = (raw_bits - FREE_BITS).min(VOLUME_CAP_BITS);
            let is_more = greatest.as_ref().is_none_or(|mass| bits > mass.bits);
            if bits > 0.0 && is_more {
                greatest = Some(Mass {
                    class,
                    count,
                    raw_bits,
                    bits,
                });
            }
        }
        greatest
    }

    /// How likely a session holds at least as many: every session of the actor was an opportunity. The peers count as one more
    /// session, and among them those that held any.
    fn probability_of_mass(&self, class: Class, count: u64) -> f64 {
        let bin = bin(count);
        let (more, all) = self.masses_of_kind(class, bin);
        let of_peers = (more as f64 + 0.5) / (all as f64 + 1.0);
        let (own, sessions) = self.past.map_or((0.0, 0.0), |past| {
            let own = past.volumes.at_least(class, bin);
            let sessions = past.volumes.all(Class::Requests);
            (own / self.growth, sessions / self.growth)
        });
        ((own + of_peers) / (sessions + 1.0)).min(1.0)
    }

    /// Sessions of the actor's kind that held at least as many, and those that held any.
    pub(super) fn masses_of_kind(&self, class: Class, bin: usize) -> (u64, u64) {
        let volumes = self.model.volumes(self.session.actor.id.kind);
        volumes.map_or((0, 0), |volumes| {
            (volumes.at_least(class, bin), volumes.all(class))
        })
    }
}

impl Candidate<'_> {
    fn exceeds(&self, other: &Self) -> bool {
        let order = |one: &Self| (one.weighted_bits, one.bits, one.raw_bits);
        order(self) > order(other)
    }
}
