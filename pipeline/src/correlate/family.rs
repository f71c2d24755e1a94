//! The acts of one rule on one root object: what follow-ups are folded within, and so what is judged together.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_64;

use crate::limits::{ACT_KEPT_US, OUTCOME_WAIT_US, OWNER_WAIT_US, UPDATE_WAIT_US};

use super::act::{Act, Finding, Key, Waiting};
use super::fold::fold;
use super::identity::{Identity, Stage};

/// What an act takes in memory besides its event, about.
const ACT_BYTES: usize = 1024;

/// 128 bits that name something.
pub(crate) type Id = [u8; 16];

/// An act as the ledger keeps it. By its finding's id.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// The rule's id; its index is in the key while a run lasts.
    pub(crate) rule: String,
    pub(crate) key: Key,
    /// The requests whose last stage was seen.
    pub(crate) settled: Option<Act>,
    /// When it began, in the time of the log.
    pub(crate) since_us: i64,
    /// What was said of it.
    pub(crate) told: Option<Told>,
}

/// What the world was told of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) revision: u32,
    digest: u64,
    at_us: i64,
    closed: bool,
}

/// A request whose last stage was not seen yet.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Pending {
    pub(crate) identity: Identity,
    pub(crate) rule: String,
    pub(crate) waiting: Waiting,
    pub(crate) since_us: i64,
}

/// What to say of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// It is new.
    Created,
    /// It goes on: the count, the times, or the first request changed.
    Updated,
    /// It is part of another one, as turned out later.
    Closed,
}

/// What changed: the finding as it is now, none if it is closed.
#[derive(Debug)]
pub struct Change {
    /// The finding's id.
    pub uid: Id,
    /// What to say.
    pub said: Said,
    /// 1 for the first time, and one more with each.
    pub revision: u32,
    /// The finding.
    pub finding: Option<Finding>,
}

/// The acts of a family, and which of them are to be written back.
#[derive(Debug, Default)]
pub(crate) struct Family {
    pub(crate) entries: BTreeMap<Id, Entry>,
    pub(crate) pending: BTreeMap<Identity, Pending>,
    /// Ids of entries, and identities of pending requests, that changed since they were stored.
    pub(crate) changed: Vec<Id>,
    pub(crate) changed_pending: Vec<Identity>,
    /// When to look at it again, in the time of the log, as stored.
    pub(crate) timer_us: Option<i64>,
    /// When it last changed.
    touched_us: i64,
}

impl Family {
    /// Takes in a request whose last stage was seen.
    pub(crate) fn join(&mut self, rule: &str, key: Key, act: Act, now_us: i64) {
        let uid = self.entry(rule, key, now_us);
        if let Some(entry) = self.entries.get_mut(&uid) {
            match &mut entry.settled {
                None => entry.settled = Some(act),
                Some(settled) => {
                    settled.merge(act);
                }
            }
        }
    }

    /// Takes in a request that goes on.
    pub(crate) fn wait(&mut self, rule: &str, identity: Identity, waiting: Waiting, now_us: i64) {
        self.entry(rule, waiting.key.clone(), now_us);
        self.changed_pending.push(identity);
        self.pending.insert(
            identity,
            Pending {
                identity,
                rule: rule.to_owned(),
                waiting,
                since_us: now_us,
            },
        );
    }

    /// Forgets the earlier stage of a request.
    pub(crate) fn forget(&mut self, identity: Identity, now_us: i64) {
        if self.pending.remove(&identity).is_some() {
            self.changed_pending.push(identity);
            self.touched_us = self.touched_us.max(now_us);
        }
    }

    fn entry(&mut self, rule: &str, key: Key, now_us: i64) -> Id {
        let uid = key.uid(rule);
        self.touched_us = self.touched_us.max(now_us);
        self.changed.push(uid);
        self.entries.entry(uid).or_insert_with(|| Entry {
            rule: rule.to_owned(),
            key,
            settled: None,
            since_us: now_us,
            told: None,
        });
        uid
    }

    /// Finds out when it last changed, from what was stored.
    pub(crate) fn restore_time(&mut self) {
        let told = self.entries.values().map(|entry| {
            let told = entry.told.map_or(i64::MIN, |told| told.at_us);
            entry.since_us.max(told)
        });
        let waiting = self.pending.values().map(|pending| pending.since_us);
        self.touched_us = told.chain(waiting).max().unwrap_or(0);
    }

    /// What is to be said now, and when to look again. `None` if there is nothing left to remember.
    pub(crate) fn settle(&mut self, now_us: i64, window_us: i64) -> (Vec<Change>, Option<i64>) {
        let (findings, mut due_us) = self.findings(now_us);
        let mut changes = self.close(&findings, now_us);
        for (uid, finding) in findings {
            let Some(entry) = self.entries.get_mut(&uid) else {
                continue;
            };
            let digest = digest(&finding);
            if let Some(told) = entry.told {
                if told.digest == digest && !told.closed {
                    continue;
                }
                if now_us < told.at_us + UPDATE_WAIT_US {
                    note_earlier(&mut due_us, told.at_us + UPDATE_WAIT_US);
                    continue;
                }
            }
            let said = entry.told.map_or(Said::Created, |_| Said::Updated);
            changes.push(entry.tell(uid, said, digest, now_us, Some(finding)));
            self.changed.push(uid);
        }
        self.forget_quiet(now_us - window_us - ACT_KEPT_US);
        let forgotten_us = self.touched_us + window_us + ACT_KEPT_US;
        if due_us.is_none() && now_us >= forgotten_us {
            self.changed.extend(self.entries.keys());
            self.changed_pending.extend(self.pending.keys());
            self.entries.clear();
            self.pending.clear();
            return (changes, None);
        }
        (changes, due_us.or(Some(forgotten_us)))
    }

    /// Forgets acts of a family that goes on, if they have not changed since a time and nothing waits for them.
    fn forget_quiet(&mut self, before_us: i64) {
        let pending: BTreeSet<Key> = self
            .pending
            .values()
            .map(|pending| pending.waiting.key.clone())
            .collect();
        let changed = &mut self.changed;
        self.entries.retain(|uid, entry| {
            let last_us = entry.told.map_or(entry.since_us, |told| told.at_us);
            let is_quiet = last_us < before_us && !pending.contains(&entry.key);
            if is_quiet {
                changed.push(*uid);
            }
            !is_quiet
        });
    }

    /// Bytes of events that are held.
    pub(crate) fn weight(&self) -> usize {
        let settled = self
            .entries
            .values()
            .filter_map(|entry| entry.settled.as_ref());
        let waiting = self.pending.values().map(|pending| &pending.waiting.act);
        let bytes = |act: &Act| act.exemplar.raw.len() + ACT_BYTES;
        settled.chain(waiting).map(bytes).sum()
    }

    /// Findings as they are now, by id; those that wait for something are left out, with the time when that is over.
    fn findings(&self, now_us: i64) -> (BTreeMap<Id, Finding>, Option<i64>) {
        let mut acts: BTreeMap<Key, Act> = BTreeMap::new();
        let mut due_us = None;
        for entry in self.entries.values() {
            if let Some(act) = &entry.settled {
                acts.insert(entry.key.clone(), act.clone());
            }
        }
        for pending in self.pending.values() {
            let until = pending.since_us + OUTCOME_WAIT_US;
            if pending.waiting.stage == Stage::Received && now_us < until {
                note_earlier(&mut due_us, until);
                continue;
            }
            let Waiting { key, act, .. } = pending.waiting.clone();
            match acts.get_mut(&key) {
                None => drop(acts.insert(key, act)),
                Some(known) => {
                    known.merge(act);
                }
            }
        }
        let mut findings = BTreeMap::new();
        for (key, (act, follow_ups)) in fold(acts) {
            let Some((uid, entry)) = self.entry_of(&key) else {
                continue;
            };
            let until = entry.since_us + OWNER_WAIT_US;
            if key.actor.is_none() && now_us < until && entry.told.is_none() {
                note_earlier(&mut due_us, until);
                continue;
            }
            findings.insert(uid, act.into_finding(&key, &entry.rule, follow_ups));
        }
        (findings, due_us)
    }

    fn entry_of(&self, key: &Key) -> Option<(Id, &Entry)> {
        let rule = &self.entries.values().next()?.rule;
        let uid = key.uid(rule);
        self.entries.get(&uid).map(|entry| (uid, entry))
    }

    /// Findings that were told, and are none any more: a later stage showed another outcome, or an owner turned up.
    fn close(&mut self, findings: &BTreeMap<Id, Finding>, now_us: i64) -> Vec<Change> {
        let mut changes = Vec::new();
        for (uid, entry) in &mut self.entries {
            let is_open = entry.told.is_some_and(|told| !told.closed);
            if is_open && !findings.contains_key(uid) {
                changes.push(entry.tell(*uid, Said::Closed, 0, now_us, None));
                self.changed.push(*uid);
            }
        }
        changes
    }
}

impl Entry {
    fn tell(
        &mut self,
        uid: Id,
        said: Said,
        digest: u64,
        now_us: i64,
        finding: Option<Finding>,
    ) -> Change {
        let revision = self.told.map_or(1, |told| told.revision + 1);
        self.told = Some(Told {
            revision,
            digest,
            at_us: now_us,
            closed: said == Said::Closed,
        });
        Change {
            uid,
            said,
            revision,
            finding,
        }
    }
}

fn note_earlier(due_us: &mut Option<i64>, other_us: i64) {
    *due_us = Some(due_us.map_or(other_us, |due_us| due_us.min(other_us)));
}

/// Changes with all that an alert says of a finding beyond its first event.
fn digest(finding: &Finding) -> u64 {
    let content = (
        finding.count,
        finding.follow_ups,
        finding.first_us,
        finding.last_us,
        finding.object_count,
        &finding.other_objects,
        &finding.exemplar.raw[..],
    );
    let bytes = postcard::to_allocvec(&content).unwrap_or_default();
    XxHash3_64::oneshot(&bytes)
}
