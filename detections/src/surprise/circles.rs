//! The circles of peers around an actor: its groups, its kind, everybody.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::actor::Kind;
use super::counts::{Own, Peers, Table};
use super::pairs;

/// Actors that are looked at together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Circle {
    /// The members of a group.
    Group(Arc<str>),
    /// All actors of one kind.
    Kind(Kind),
    /// All actors of the cluster.
    All,
}

impl Circle {
    /// What stands behind `of 29` in an explanation.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Group(name) => format!("in {name}"),
            Self::Kind(kind) => kind.plural().to_owned(),
            Self::All => "actors".to_owned(),
        }
    }
}

/// All circles that an actor of this kind with these groups belongs to. Its habits count in all of them, because which group is
/// the narrowest may change with every new colleague.
pub(super) fn circles_of(kind: Kind, groups: &[Arc<str>]) -> Vec<Circle> {
    let groups = groups.iter().cloned().map(Circle::Group);
    [Circle::All, Circle::Kind(kind)]
        .into_iter()
        .chain(groups)
        .collect()
}

/// What is known of a circle.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Members {
    /// Known actors, whether they have habits or not.
    pub(super) actors: u32,
    peers: [Peers; Table::COUNT],
}

impl Members {
    pub(super) fn peers(&self, table: Table) -> &Peers {
        &self.peers[table as usize]
    }
}

/// The tables of one actor.
pub(super) type Tables = [Own; Table::COUNT];

/// All circles of a cluster that have members.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Circles {
    #[serde(with = "pairs")]
    circles: BTreeMap<Circle, Members>,
}

impl Circles {
    pub(super) fn get(&self, circle: &Circle) -> Option<&Members> {
        self.circles.get(circle)
    }

    /// The team of an actor: the narrowest of its groups with so many known actors. The order of groups means nothing; of
    /// groups of one size the last is taken, since general ones tend to be listed first.
    pub(super) fn team(&self, groups: &[Arc<str>], actors_min: u32) -> Option<(Circle, &Members)> {
        let known = groups.iter().rev().filter_map(|name| {
            let circle = Circle::Group(name.clone());
            let members = self.circles.get(&circle)?;
            (members.actors >= actors_min).then_some((circle, members))
        });
        known.min_by_key(|(_, members)| members.actors)
    }

    /// An actor comes, with what habits it has.
    pub(super) fn join(&mut self, circle: Circle, tables: &Tables) {
        let members = self.circles.entry(circle).or_default();
        members.actors += 1;
        for (peers, own) in members.peers.iter_mut().zip(tables) {
            for habit in own.habits() {
                peers.add(habit);
            }
        }
    }

    /// An actor goes, with its habits. The last one takes the circle along.
    pub(super) fn leave(&mut self, circle: &Circle, tables: &Tables) {
        let Some(members) = self.circles.get_mut(circle) else {
            return;
        };
        members.actors -= 1;
        for (peers, own) in members.peers.iter_mut().zip(tables) {
            for habit in own.habits() {
                peers.remove(habit);
            }
        }
        if members.actors == 0 {
            self.circles.remove(circle);
        }
    }

    /// An actor of these circles has a new habit.
    pub(super) fn add(&mut self, circles: &[Circle], table: Table, habit: &Arc<str>) {
        for circle in circles {
            if let Some(members) = self.circles.get_mut(circle) {
                members.peers[table as usize].add(habit);
            }
        }
    }

    /// An actor of these circles has lost a habit.
    pub(super) fn remove(&mut self, circles: &[Circle], table: Table, habit: &str) {
        for circle in circles {
            if let Some(members) = self.circles.get_mut(circle) {
                members.peers[table as usize].remove(habit);
            }
        }
    }

    /// Distinct values over all circles and tables.
    pub(super) fn values(&self) -> usize {
        let peers = self.circles.values().flat_map(|members| &members.peers);
        peers.map(Peers::len).sum()
    }
}
