//! What is said about a surprising value: what was known before, how often, since when, and what would make it ordinary.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::correlation::Moment;

use super::circles::Circle;
use super::counts::{Known, Own, Table};
use super::score::{Candidate, FREE_BITS, Mass, Scorer};
use super::volume::{bin, most};

/// How many usual values are named.
const USUAL_MAX: usize = 3;

/// What a part is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PartKind {
    /// What was done.
    Operation,
    /// Where it was done.
    Namespace,
    /// By what client.
    Client,
    /// From which network.
    Network,
    /// That something was refused.
    Denied,
    /// How much of something.
    Volume,
}

impl PartKind {
    /// The name that alerts use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Operation => "operation",
            Self::Namespace => "namespace",
            Self::Client => "client",
            Self::Network => "network",
            Self::Denied => "denied",
            Self::Volume => "volume",
        }
    }
}

/// One reason for surprise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// What it is about.
    pub kind: PartKind,
    /// `list secrets`, `public 203.0.113.0/24`, `12 deletions`.
    pub value: Arc<str>,
    /// What counts: at most the cap of this kind, times the impact.
    pub bits: f64,
    /// The same without impact.
    pub bits_before_impact: f64,
    /// −log2 of the probability, before anything is free or capped.
    pub bits_raw: f64,
    /// How much the operation matters, 0 to 3.
    pub impact: u8,
    /// In how many sessions of the actor it was seen before; of a volume, whether there were as many.
    pub known_times: u64,
    /// When the first of them began, microseconds since 1970 UTC.
    pub known_since_us: Option<i64>,
    /// Actors of the narrowest circle that have the habit; of a volume, sessions of its kind with as many.
    pub peers: u64,
    /// Actors of that circle; of a volume, sessions of its kind with any.
    pub of_peers: u64,
    /// The narrowest circle that is known.
    pub circle: Circle,
    /// What was known before, in words.
    pub past: String,
    /// What would make it ordinary, in words.
    pub ordinary_when: String,
    /// How many events of the session showed it.
    pub count: u64,
    /// The first event that showed it; of a volume, the first of the session.
    pub witness: Moment,
}

impl Scorer<'_> {
    pub(super) fn explain(&self, candidate: &Candidate<'_>) -> Part {
        let Candidate { table, seen, .. } = *candidate;
        let own = self.past.map(|past| &past.tables[table as usize]);
        let known = own.and_then(|own| own.known(&seen.text));
        let (circle, peers, of_peers) = self.narrowest(table, &seen.text);
        Part {
            kind: kind_of(table),
            value: seen.text.clone(),
            bits: candidate.weighted_bits,
            bits_before_impact: candidate.bits,
            bits_raw: candidate.raw_bits,
            impact: seen.impact,
            known_times: known.map_or(0, |known| known.sessions.into()),
            known_since_us: known.map(|known| known.first_us),
            peers,
            of_peers,
            circle,
            past: self.past_of(table, &seen.text, own, known),
            ordinary_when: self.ordinary_when(own),
            count: seen.count,
            witness: seen.first,
        }
    }

    pub(super) fn explain_mass(&self, mass: &Mass) -> Part {
        let Mass { class, count, .. } = *mass;
        let what = class.as_str();
        let (peers, of_peers) = self.masses_of_kind(class, bin(count));
        let highest = self.past.map_or(0, |past| past.volumes.highest(class));
        let sessions = self.past.map_or(0, |past| past.sessions);
        let kind = self.session.actor.id.kind;
        let past = format!(
            "at most {} in any of {sessions} earlier sessions; as many in {peers} of {of_peers} sessions of {} with any",
            most(highest),
            kind.plural(),
        );
        let free = FREE_BITS.exp2();
        Part {
            kind: PartKind::Volume,
            value: format!("{count} {what}").into(),
            bits: mass.bits,
            bits_before_impact: mass.bits,
            bits_raw: mass.raw_bits,
            impact: 0,
            known_times: u64::from(highest >= bin(count)),
            known_since_us: None,
            peers,
            of_peers,
            circle: Circle::Kind(kind),
            past,
            ordinary_when: format!("once 1 in {free:.0} of its sessions is like this"),
            count,
            witness: self.session.first,
        }
    }

    /// The narrowest circle that is known, how many of it have the habit, and how many they are.
    fn narrowest(&self, table: Table, value: &str) -> (Circle, u64, u64) {
        let last = self.circles.last();
        last.map_or((Circle::All, 0, 0), |(circle, members)| {
            let peers = members.peers(table).actors_with(value);
            (circle.clone(), peers.into(), members.actors.into())
        })
    }

    /// `never in 102 sessions since 12 Oct (usually kubectl); a habit of 0 of 5 in team-platform, 0 of 29 people, 0 of 48 actors`.
    fn past_of(
        &self,
        table: Table,
        value: &str,
        own: Option<&Own>,
        known: Option<&Known>,
    ) -> String {
        let usual = own.map(|own| own.usual(USUAL_MAX)).unwrap_or_default();
        let usual = if usual.is_empty() {
            "nothing".to_owned()
        } else {
            usual.join(", ")
        };
        let circles = self.circles.iter().rev().map(|(circle, members)| {
            let peers = members.peers(table).actors_with(value);
            format!("{peers} of {} {}", members.actors, circle.describe())
        });
        let circles: Vec<String> = circles.collect();
        let habit = if circles.is_empty() {
            "nobody".to_owned()
        } else {
            circles.join(", ")
        };
        let own = self.own_past(own, known);
        format!("{own} (usually {usual}); a habit of {habit}")
    }

    fn own_past(&self, own: Option<&Own>, known: Option<&Known>) -> String {
        if let Some(known) = known {
            let last = day(known.last_us);
            if known.is_on_probation() {
                return format!("seen on {last} in a finding, and so not learned");
            }
            let sessions = own.map_or(0.0, |own| own.sessions(self.growth));
            let weight = known.weight / self.growth;
            let days = known.days;
            return format!(
                "on {days} days, {weight:.1} of {sessions:.0} weighted sessions, last {last}"
            );
        }
        match self.past {
            Some(past) => {
                let since = day(past.first_us);
                format!("never in {} sessions since {since}", past.sessions)
            }
            None => "the actor was never seen before".to_owned(),
        }
    }

    /// How many sessions with the value would make it as likely as what is free.
    fn ordinary_when(&self, own: Option<&Own>) -> String {
        let free = (-FREE_BITS).exp2();
        let (sessions, distinct) = own.map_or((0.0, 0.0), |own| {
            (own.sessions(self.growth), own.distinct())
        });
        let more = (free * (sessions + distinct) / (1.0 - free))
            .ceil()
            .max(1.0);
        let plural = if more > 1.0 { "s" } else { "" };
        format!("after about {more:.0} more session{plural}")
    }
}

pub(super) fn kind_of(table: Table) -> PartKind {
    match table {
        Table::Operation | Table::Verb => PartKind::Operation,
        Table::Namespace => PartKind::Namespace,
        Table::Client => PartKind::Client,
        Table::Network => PartKind::Network,
        Table::Outcome => PartKind::Denied,
    }
}

/// `12 Oct`, in UTC.
fn day(time_us: i64) -> String {
    Timestamp::from_microsecond(time_us).map_or_else(
        |_| "a day outside of the calendar".to_owned(),
        |time| time.strftime("%d %b").to_string(),
    )
}
