//! The store of acts of a replay: hits go in, in any order; findings come out at the end, the same for any order.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::limits::{HELD_BYTES_MAX, REQUESTS_MAX};

use super::act::{Act, Finding, Hit, Key, RuleTraits, Waiting, act_of};
use super::fold::fold;
use super::identity::{Identity, Stage};

/// Collects hits and joins them to acts.
#[derive(Debug)]
pub struct Acts {
    window_us: i64,
    rules: Vec<RuleTraits>,
    open: HashMap<Key, Act>,
    finals: HashSet<(usize, Identity)>,
    waiting: BTreeMap<(usize, Identity), Waiting>,
    held_bytes: usize,
    released: Vec<Finding>,
    released_early: u64,
    untracked: u64,
}

impl Acts {
    /// An empty store. `window_us` is how long an act may go on, in microseconds; `rules` are by rule index.
    #[must_use]
    pub fn new(window_us: i64, rules: Vec<RuleTraits>) -> Self {
        Self {
            window_us: window_us.max(1),
            rules,
            open: HashMap::new(),
            finals: HashSet::new(),
            waiting: BTreeMap::new(),
            held_bytes: 0,
            released: Vec::new(),
            released_early: 0,
            untracked: 0,
        }
    }

    /// Findings released before the end because too many bytes were held.
    #[must_use]
    pub fn released_early(&self) -> u64 {
        self.released_early
    }

    /// Matched requests beyond the number whose stages are told apart: a later stage of theirs may count again.
    #[must_use]
    pub fn untracked(&self) -> u64 {
        self.untracked
    }

    /// Findings so far, for a progress display; follow-ups are not folded yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.len() + self.waiting.len() + self.released.len()
    }

    /// Whether nothing was found yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes a hit in.
    pub fn add(&mut self, hit: &Hit<'_>) {
        let identity = Identity::of(hit.event);
        let request = (hit.rule, identity);
        if self.finals.contains(&request) {
            return;
        }
        let stage = Stage::of(hit.event);
        let (key, act) = act_of(hit, identity, self.is_per_actor(hit.rule), self.window_us);
        if stage == Stage::Final {
            self.forget_waiting(request);
            if self.finals.len() < REQUESTS_MAX {
                self.finals.insert(request);
            } else {
                self.untracked += 1;
            }
            self.join(key, act);
        } else if self
            .waiting
            .get(&request)
            .is_none_or(|waiting| waiting.stage < stage)
        {
            self.forget_waiting(request);
            self.held_bytes += act.exemplar.raw.len();
            self.waiting.insert(request, Waiting { stage, key, act });
        }
        self.relieve();
    }

    fn is_per_actor(&self, rule: usize) -> bool {
        self.rules.get(rule).is_some_and(|rule| rule.per_actor)
    }

    fn forget_waiting(&mut self, request: (usize, Identity)) {
        if let Some(waiting) = self.waiting.remove(&request) {
            self.held_bytes -= waiting.act.exemplar.raw.len();
        }
    }

    fn join(&mut self, key: Key, new: Act) {
        self.held_bytes += new.exemplar.raw.len();
        match self.open.get_mut(&key) {
            None => drop(self.open.insert(key, new)),
            Some(act) => self.held_bytes -= act.merge(new),
        }
    }

    /// Keeps the bytes held within their bound by releasing the acts that ended first.
    fn relieve(&mut self) {
        while self.held_bytes > HELD_BYTES_MAX && !self.open.is_empty() {
            let mut by_end: Vec<(Option<i64>, Key)> = self
                .open
                .iter()
                .map(|(key, act)| (act.last_us, key.clone()))
                .collect();
            by_end.sort();
            by_end.truncate(by_end.len().div_ceil(4));
            for (_, key) in by_end {
                if let Some(act) = self.open.remove(&key) {
                    self.held_bytes -= act.exemplar.raw.len();
                    let finding = self.finding(&key, act, 0);
                    self.released.push(finding);
                    self.released_early += 1;
                }
            }
        }
    }

    /// All findings, follow-ups folded, by first event time, then by id.
    #[must_use]
    pub fn finish(mut self) -> Vec<Finding> {
        for waiting in std::mem::take(&mut self.waiting).into_values() {
            self.join(waiting.key, waiting.act);
        }
        let mut findings = std::mem::take(&mut self.released);
        for (key, (act, follow_ups)) in fold(std::mem::take(&mut self.open)) {
            findings.push(self.finding(&key, act, follow_ups));
        }
        findings.sort_by_key(|finding| (finding.first_us, finding.uid));
        findings
    }

    fn finding(&self, key: &Key, act: Act, follow_ups: u64) -> Finding {
        let rule = self.rules.get(key.rule);
        act.into_finding(key, rule.map_or("", |rule| rule.id.as_str()), follow_ups)
    }
}
