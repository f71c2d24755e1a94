//! The acts of a live stream: hits go in as they come, and what is to be said of findings comes out.
//!
//! Replay looks at all acts at the end. Live, each family of acts is looked at, by the same functions, whenever it changed or
//! a wait is over; what differs from what was said before is said now. So the last word on each finding is replay's:
//!
//! * a finding is *created* at once, unless it may turn out to be something else: what a controller carried out waits for its
//!   owner's write, and what was only received for an outcome;
//! * it is *updated* when more of it came, once a minute at most;
//! * it is *closed* if what it told of turned out to be part of another finding.
//!
//! Everything lies in a [`Memory`], which is stored in one step with the position in the log. Nothing here reads a clock: the
//! time is the log's.

use std::collections::{BTreeSet, HashMap};

use crate::limits::CACHED_BYTES_MAX;

use super::act::{Hit, Key, RuleTraits, Waiting, act_of};
pub use super::family::{Change, Said};
use super::family::{Entry, Family, Id, Pending};
use detections::hash::hash;

use super::identity::{Identity, Stage};

/// Where acts lie between commits.
pub trait Memory {
    /// Why it could not.
    type Error;
    /// The stored parts of a family.
    fn family(&mut self, family: &[u8; 16]) -> Result<Vec<Vec<u8>>, Self::Error>;
    /// Stores a part of a family, or forgets it.
    fn put(
        &mut self,
        family: &[u8; 16],
        part: &[u8; 16],
        content: Option<&[u8]>,
    ) -> Result<(), Self::Error>;
    /// What is known of a request for a rule.
    fn request(&mut self, request: &[u8; 16]) -> Result<Option<RequestSeen>, Self::Error>;
    /// Remembers a request for a rule.
    fn put_request(&mut self, request: &[u8; 16], seen: RequestSeen) -> Result<(), Self::Error>;
    /// Changes when a family is to be looked at.
    fn set_timer(
        &mut self,
        family: &[u8; 16],
        from_us: Option<i64>,
        to_us: Option<i64>,
    ) -> Result<(), Self::Error>;
    /// Families whose time has come, with their times; some of them if there are many.
    fn due(&mut self, now_us: i64) -> Result<Vec<(i64, [u8; 16])>, Self::Error>;
}

/// The last stage of a request that a rule has counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestSeen {
    /// 0 received, 1 started, 2 the last.
    pub stage: u8,
    /// Where it waits.
    pub family: [u8; 16],
    /// When it was seen, in the time of the log.
    pub at_us: i64,
}

/// The acts that are going on.
#[derive(Debug)]
pub struct Ledger {
    window_us: i64,
    rules: Vec<RuleTraits>,
    index: HashMap<String, usize>,
    families: HashMap<Id, Family>,
    touched: BTreeSet<Id>,
    cached_bytes_max: usize,
}

/// Parts of families as they are stored, with a version before them.
#[derive(serde::Serialize, serde::Deserialize)]
enum Part {
    Entry(Entry),
    Pending(Pending),
    /// When the family is to be looked at again.
    Timer(i64),
}

/// The place of the timer among the parts.
const TIMER: Id = [0xff; 16];

/// Raised when what is stored changes its form.
const PART_VERSION: u8 = 1;

impl Ledger {
    /// Acts of these rules, by index. `window_us` is how long an act may go on.
    #[must_use]
    pub fn new(window_us: i64, rules: Vec<RuleTraits>) -> Self {
        let ids = rules.iter().map(|rule| rule.id.clone());
        Self {
            window_us: window_us.max(1),
            index: ids.zip(0..).collect(),
            rules,
            families: HashMap::new(),
            touched: BTreeSet::new(),
            cached_bytes_max: CACHED_BYTES_MAX,
        }
    }

    /// Keeps at most so many bytes of acts at hand between steps.
    #[must_use]
    pub fn with_cache(mut self, bytes_max: usize) -> Self {
        self.cached_bytes_max = bytes_max;
        self
    }

    /// Takes a hit in.
    ///
    /// # Errors
    /// If the memory fails; then the step has to be done again from its beginning.
    pub fn add<M: Memory>(
        &mut self,
        hit: &Hit<'_>,
        now_us: i64,
        memory: &mut M,
    ) -> Result<(), M::Error> {
        let Some(traits) = self.rules.get(hit.rule) else {
            return Ok(());
        };
        let (rule, per_actor) = (traits.id.clone(), traits.per_actor);
        let identity = Identity::of(hit.event);
        let stage = Stage::of(hit.event);
        let request = identity.of_rule(&rule);
        let seen = memory.request(&request)?;
        if seen.is_some_and(|seen| seen.stage >= stage as u8) {
            return Ok(());
        }
        if let Some(seen) = seen {
            self.family(seen.family, memory)?.forget(identity, now_us);
        }
        let (key, act) = act_of(hit, identity, per_actor, self.window_us);
        let id = family_of(&rule, &key, per_actor);
        let seen = RequestSeen {
            stage: stage as u8,
            family: id,
            at_us: now_us,
        };
        memory.put_request(&request, seen)?;
        let family = self.family(id, memory)?;
        if stage == Stage::Final {
            family.join(&rule, key, act, now_us);
        } else {
            family.wait(&rule, identity, Waiting { stage, key, act }, now_us);
        }
        Ok(())
    }

    /// What is to be said by now, in the order of ids; everything is in the memory afterwards.
    ///
    /// # Errors
    /// If the memory fails.
    pub fn settle<M: Memory>(
        &mut self,
        now_us: i64,
        memory: &mut M,
    ) -> Result<Vec<Change>, M::Error> {
        for (due_us, id) in memory.due(now_us)? {
            if self.family(id, memory)?.timer_us != Some(due_us) {
                memory.set_timer(&id, Some(due_us), None)?;
            }
        }
        let mut changes = Vec::new();
        for id in std::mem::take(&mut self.touched) {
            let window_us = self.window_us;
            let Some(family) = self.families.get_mut(&id) else {
                continue;
            };
            let (said, due_us) = family.settle(now_us, window_us);
            changes.extend(said);
            store(&id, family, due_us, memory)?;
            if family.entries.is_empty() {
                self.families.remove(&id);
            }
        }
        let held: usize = self.families.values().map(Family::weight).sum();
        if held > self.cached_bytes_max {
            self.families.clear();
        }
        Ok(changes)
    }

    /// Forgets what was taken in since the last [`Ledger::settle`]: it could not be stored, and will be taken in again.
    pub fn roll_back(&mut self) {
        self.families.clear();
        self.touched.clear();
    }

    fn family<M: Memory>(&mut self, id: Id, memory: &mut M) -> Result<&mut Family, M::Error> {
        self.touched.insert(id);
        match self.families.entry(id) {
            std::collections::hash_map::Entry::Occupied(known) => Ok(known.into_mut()),
            std::collections::hash_map::Entry::Vacant(place) => {
                let parts = memory.family(&id)?;
                Ok(place.insert(load(&parts, &self.index)))
            }
        }
    }
}

impl Identity {
    fn of_rule(self, rule: &str) -> Id {
        hash([rule, &crate::hex::hex(self.bytes())])
    }
}

/// Acts that are judged together: those on one object; for rules whose acts are the actor's, those of one actor.
fn family_of(rule: &str, key: &Key, per_actor: bool) -> Id {
    let root = &key.root;
    let actor = if per_actor {
        key.actor.as_deref().unwrap_or("workload controllers")
    } else {
        ""
    };
    hash([
        rule,
        &key.cluster,
        &root.group,
        &root.resource,
        root.namespace.as_deref().unwrap_or_default(),
        root.name.as_deref().unwrap_or_default(),
        actor,
    ])
}

fn load(parts: &[Vec<u8>], index: &HashMap<String, usize>) -> Family {
    let mut family = Family::default();
    // A rule that is gone keeps what was said; nothing more is added to it.
    let rule_of = |rule: &str| index.get(rule).copied().unwrap_or(usize::MAX);
    for part in parts {
        let parsed = match part.split_first() {
            Some((&PART_VERSION, content)) => postcard::from_bytes(content).ok(),
            _ => None,
        };
        match parsed {
            Some(Part::Entry(mut entry)) => {
                entry.key.rule = rule_of(&entry.rule);
                family.entries.insert(entry.key.uid(&entry.rule), entry);
            }
            Some(Part::Pending(mut pending)) => {
                pending.waiting.key.rule = rule_of(&pending.rule);
                family.pending.insert(pending.identity, pending);
            }
            Some(Part::Timer(due_us)) => family.timer_us = Some(due_us),
            None => tracing::error!("a stored act cannot be read, and is forgotten"),
        }
    }
    family.restore_time();
    family
}

/// Writes back what changed.
fn store<M: Memory>(
    id: &Id,
    family: &mut Family,
    due_us: Option<i64>,
    memory: &mut M,
) -> Result<(), M::Error> {
    let mut entries = std::mem::take(&mut family.changed);
    entries.sort_unstable();
    entries.dedup();
    for uid in entries {
        let entry = family.entries.get(&uid).cloned();
        memory.put(
            id,
            &uid,
            entry.map(|entry| bytes(&Part::Entry(entry))).as_deref(),
        )?;
    }
    let mut pending = std::mem::take(&mut family.changed_pending);
    pending.sort_unstable();
    pending.dedup();
    for identity in pending {
        let content = family.pending.get(&identity).cloned();
        let content = content.map(|pending| bytes(&Part::Pending(pending)));
        memory.put(id, &identity.of_rule("pending"), content.as_deref())?;
    }
    if family.timer_us != due_us {
        memory.set_timer(id, family.timer_us, due_us)?;
        let timer = due_us.map(|due_us| bytes(&Part::Timer(due_us)));
        memory.put(id, &TIMER, timer.as_deref())?;
        family.timer_us = due_us;
    }
    Ok(())
}

fn bytes(part: &Part) -> Vec<u8> {
    let content = postcard::to_allocvec(part).unwrap_or_default();
    let mut bytes = Vec::with_capacity(content.len() + 1);
    bytes.push(PART_VERSION);
    bytes.extend(content);
    bytes
}
