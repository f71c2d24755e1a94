//! The events of one correlation that belong together: their window, and what is told of them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::sigma::ast::{Correlation, Kind};

use super::super::feed::{Feed, Values};
use super::super::window::Window;
use super::{Episode, Fed, Step};

/// Steps that a group remembers to tell of: enough to see what it is about.
const RECENT_MAX: usize = 5;

/// The events of one correlation that belong together.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Group<W> {
    /// The correlation's index, which differs from run to run.
    #[serde(skip)]
    pub correlation: usize,
    /// The cluster.
    pub cluster: Arc<str>,
    /// What tells it apart.
    pub values: Values,
    pub(super) window: Window,
    pub(super) recent: Vec<Step>,
    /// The last event, where only the end of a window decides.
    pub(super) last: Option<Box<Fed<W>>>,
    /// What was found, as long as it may go on.
    pub episode: Option<Box<Episode<W>>>,
    /// When it is looked at next; so it stands among the timers.
    pub(super) due_us: i64,
    /// When it was last fed; so it stands in its shard's [`Room`](super::room::Room). Before that, the least time.
    #[serde(skip)]
    pub(super) fed_us: i64,
}

/// An episode that is over, and where it belongs.
#[derive(Clone, Debug)]
pub struct Ended<W> {
    /// The correlation's index.
    pub correlation: usize,
    /// The cluster.
    pub cluster: Arc<str>,
    /// What tells the group apart.
    pub values: Values,
    /// The episode.
    pub episode: Episode<W>,
}

impl<W: Clone> Group<W> {
    /// Without events; the first one is on its way.
    pub(super) fn new(spec: &Correlation, feed: &Feed, first: &Fed<W>) -> Self {
        Self {
            correlation: feed.correlation,
            cluster: first.cluster.clone(),
            values: feed.values.clone(),
            window: Window::new(spec),
            recent: Vec::new(),
            last: None,
            episode: None,
            due_us: i64::MAX,
            fed_us: i64::MIN,
        }
    }

    /// Remembers an event to tell of.
    pub(super) fn note(&mut self, spec: &Correlation, input: usize, fed: &Fed<W>) {
        self.fed_us = fed.at.time_us;
        let step = Step {
            time_us: fed.at.time_us,
            input,
            text: fed.brief.clone(),
        };
        match spec.kind {
            // The newest of each input: many of one must not hide the others.
            Kind::Temporal | Kind::TemporalOrdered => {
                self.recent.retain(|known| known.input != input);
            }
            // An event is judged by itself, and what came before is told by the baseline.
            Kind::FirstSeen { .. } | Kind::Rare { .. } => self.recent.clear(),
            _ if self.recent.len() >= RECENT_MAX => drop(self.recent.remove(0)),
            _ => {}
        }
        if self.recent.is_empty() {
            // Most groups never have a second one.
            self.recent.reserve_exact(1);
        }
        self.recent.push(step);
        if spec.bounds.wait_for_end() {
            self.last = Some(Box::new(fed.clone()));
        }
    }
}

impl<W> Group<W> {
    /// An episode of it that is over.
    pub(super) fn ended(&self, episode: Episode<W>) -> Ended<W> {
        Ended {
            correlation: self.correlation,
            cluster: self.cluster.clone(),
            values: self.values.clone(),
            episode,
        }
    }

    /// What happened since a time, as far as it is remembered.
    pub(super) fn steps(&self, spec: &Correlation, since_us: i64) -> Vec<Step> {
        let is_ended = spec.bounds.wait_for_end();
        let steps = self.recent.iter();
        steps
            .filter(|step| is_ended || step.time_us >= since_us)
            .cloned()
            .collect()
    }

    /// When all of it is over, if nothing more comes.
    pub(super) fn expires_us(&self, spec: &Correlation) -> i64 {
        let window_us = self.window.expires_us(spec);
        let episode = self.episode.as_ref();
        episode.map_or(window_us, |episode| episode.expires_us(spec).max(window_us))
    }
}
