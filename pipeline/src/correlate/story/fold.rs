//! Facts, in order, become stories.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::fact::{Fact, Grasp, Key, Link, Way};
use crate::limits::{STORY_ACCOUNTS_MAX, STORY_PARTS_MAX, STORY_PARTS_OF_RULE_MAX};

use detections::hash::hash;

/// A day: who goes on after a night's pause is told of in one story, and what is later begins another.
pub const GAP_US: i64 = 24 * 3_600_000_000;

/// Findings that belong together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Story {
    /// In order.
    pub parts: Vec<Arc<Fact>>,
    /// Ids of findings that belong to it, and had no room.
    pub left_out: Vec<[u8; 16]>,
    /// How those came in who did not begin it, by the account's name.
    pub joined: BTreeMap<String, Joined>,
    /// Ids of stories that turned out to be parts of this one.
    pub absorbed: Vec<[u8; 16]>,
    /// When the last of it happened.
    last_at_us: i64,
    /// Keys that it was led to.
    led: BTreeMap<Key, Joined>,
}

/// How an account came into a story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// By what.
    pub way: Way,
    /// By whose deed.
    pub by: String,
    /// When.
    pub at_us: i64,
}

/// The stories of facts in order, each of one cluster; those not worth telling, too.
pub fn folded<'a>(facts: impl IntoIterator<Item = &'a Arc<Fact>>) -> Vec<Story> {
    let mut fold = Fold::default();
    for fact in facts {
        fold.take(fact);
    }
    fold.stories.into_iter().flatten().collect()
}

/// Stories by number; one that became part of another leaves its place empty.
#[derive(Default)]
struct Fold {
    stories: Vec<Option<Story>>,
    /// Which story has hold of what, by cluster and key.
    holders: HashMap<(String, Key), usize>,
    /// What those became that are part of another.
    became: HashMap<usize, usize>,
}

impl Fold {
    fn take(&mut self, fact: &Arc<Fact>) {
        let held = self.held(fact);
        let number = match held {
            Some((number, _)) => number,
            None if fact.begins => self.begin(),
            None => return,
        };
        let Some(story) = self.stories.get_mut(number).and_then(Option::as_mut) else {
            return;
        };
        story.add(fact, held.map(|(_, key)| key));
        // Who was met by one credential has not come in with everything else that the account does.
        if held.is_none_or(|(_, key)| !key.grasp.is_exact()) {
            let own = fact.keys.iter().filter(|key| key.grasp == Grasp::Account);
            for key in own {
                self.hold(fact, number, key);
            }
        }
        if fact.succeeded {
            self.follow(fact, number);
        }
    }

    /// The story that has hold of a fact, by the closest key.
    fn held<'f>(&self, fact: &'f Fact) -> Option<(usize, &'f Key)> {
        let mut keys: Vec<&Key> = fact.keys.iter().collect();
        keys.sort();
        keys.into_iter()
            .find_map(|key| Some((self.holder(fact, key)?, key)))
    }

    fn holder(&self, fact: &Fact, key: &Key) -> Option<usize> {
        let mut number = *self.holders.get(&(fact.cluster.clone(), key.clone()))?;
        while let Some(other) = self.became.get(&number) {
            number = *other;
        }
        let story = self.stories.get(number)?.as_ref()?;
        (fact.at_us - story.last_at_us <= GAP_US).then_some(number)
    }

    fn begin(&mut self) -> usize {
        self.stories.push(Some(Story::default()));
        self.stories.len() - 1
    }

    fn hold(&mut self, fact: &Fact, number: usize, key: &Key) {
        self.holders
            .insert((fact.cluster.clone(), key.clone()), number);
    }

    /// Goes where a deed leads: from now on, what the others do belongs here.
    fn follow(&mut self, fact: &Fact, mut number: usize) {
        for link in &fact.links {
            if fact.keys.contains(&link.key) {
                continue;
            }
            let other = self.holder(fact, &link.key);
            if link.key.grasp == Grasp::Account
                && let Some(other) = other.filter(|other| *other != number)
            {
                number = self.join(number, other);
            }
            let story = self.stories.get_mut(number).and_then(Option::as_mut);
            if story.is_some_and(|story| story.is_led(fact, link)) {
                self.hold(fact, number, &link.key);
            }
        }
    }

    /// Two stories turn out to be one: the one that began later becomes part of the other.
    fn join(&mut self, one: usize, other: usize) -> usize {
        let began = |number: usize| self.stories.get(number)?.as_ref()?.began();
        let (older, younger) = if began(one) <= began(other) {
            (one, other)
        } else {
            (other, one)
        };
        let Some(part) = self.stories.get_mut(younger).and_then(Option::take) else {
            return older;
        };
        self.became.insert(younger, older);
        if let Some(story) = self.stories.get_mut(older).and_then(Option::as_mut) {
            story.absorb(part);
        }
        older
    }
}

impl Story {
    /// The id: of its first finding. It does not depend on how the rest came.
    #[must_use]
    pub fn uid(&self) -> [u8; 16] {
        let first = self.parts.first();
        let (cluster, uid) = first.map_or(("", [0; 16]), |first| (&*first.cluster, first.uid));
        hash(["story", cluster, &crate::hex::hex(&uid)])
    }

    /// Event time of its first event.
    #[must_use]
    pub fn first_us(&self) -> i64 {
        self.parts.first().map_or(0, |first| first.at_us)
    }

    /// Event time of its last event.
    #[must_use]
    pub fn last_us(&self) -> i64 {
        let last = self.parts.iter().map(|part| part.last_us).max();
        last.unwrap_or(0).max(self.last_at_us)
    }

    fn began(&self) -> Option<(i64, [u8; 16])> {
        self.parts.first().map(|first| first.order())
    }

    fn add(&mut self, fact: &Arc<Fact>, by: Option<&Key>) {
        self.last_at_us = self.last_at_us.max(fact.at_us);
        if let Some(joined) = by.and_then(|key| self.led.get(key)).cloned() {
            self.joined.entry(fact.actor.clone()).or_insert(joined);
        }
        let of_rule = self.parts.iter().filter(|part| part.rule == fact.rule);
        if self.parts.len() >= STORY_PARTS_MAX || of_rule.count() >= STORY_PARTS_OF_RULE_MAX {
            self.left_out.push(fact.uid);
        } else {
            self.parts.push(fact.clone());
        }
    }

    /// Notes where a deed leads; false if there is no room for more.
    fn is_led(&mut self, fact: &Fact, link: &Link) -> bool {
        if self.led.len() >= STORY_ACCOUNTS_MAX && !self.led.contains_key(&link.key) {
            return false;
        }
        let joined = Joined {
            way: link.way,
            by: fact.actor.clone(),
            at_us: fact.at_us,
        };
        self.led.insert(link.key.clone(), joined);
        true
    }

    fn absorb(&mut self, mut part: Self) {
        self.absorbed.push(part.uid());
        self.absorbed.append(&mut part.absorbed);
        self.last_at_us = self.last_at_us.max(part.last_at_us);
        self.left_out.append(&mut part.left_out);
        self.parts.append(&mut part.parts);
        self.parts.sort_by_key(|part| part.order());
        let room = self.parts.len().min(STORY_PARTS_MAX);
        let beyond = self.parts.split_off(room);
        self.left_out.extend(beyond.iter().map(|part| part.uid));
        self.joined.append(&mut part.joined);
        self.led.append(&mut part.led);
    }
}
