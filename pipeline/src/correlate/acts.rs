//! The store of acts: hits go in, in any order; findings come out, the same for any order.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use detections::event::{Event, Origin};
use detections::views::Root;

use crate::alert::ObjectRef;
use crate::limits::{DISTINCT_MAX, HELD_BYTES_MAX, OTHER_OBJECTS_MAX, REQUESTS_MAX};

use super::identity::{Identity, Stage, hash};
use super::owner;

/// Accounts of the controllers that carry out what a workload's owner asked for. Exact names, each with the group that
/// only its token has: a look-alike in another namespace is nobody's controller.
const CONTROLLERS: [&str; 7] = [
    "system:serviceaccount:kube-system:cronjob-controller",
    "system:serviceaccount:kube-system:daemon-set-controller",
    "system:serviceaccount:kube-system:deployment-controller",
    "system:serviceaccount:kube-system:job-controller",
    "system:serviceaccount:kube-system:replicaset-controller",
    "system:serviceaccount:kube-system:replication-controller",
    "system:serviceaccount:kube-system:statefulset-controller",
];

/// A rule that matched an event.
#[derive(Debug)]
pub struct Hit<'a> {
    /// The rule's index.
    pub rule: usize,
    /// The event.
    pub event: &'a Event,
    /// Its bytes, in the API server's own form.
    pub raw: &'a [u8],
    /// Event time in microseconds.
    pub time: Option<i64>,
    /// The input that it came from.
    pub input: &'a Arc<str>,
    /// Where in the input.
    pub offset: u64,
}

/// The event that stands for an act.
#[derive(Clone, Debug)]
pub struct Exemplar {
    /// Its bytes, in the API server's own form.
    pub raw: Vec<u8>,
    /// What is known besides.
    pub origin: Origin,
    /// The input that it came from.
    pub input: Arc<str>,
    /// Where in the input.
    pub offset: u64,
}

/// An act that raised a rule.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The rule's index.
    pub rule: usize,
    /// Deterministic id.
    pub uid: [u8; 16],
    /// The first request of the act.
    pub exemplar: Exemplar,
    /// The owner at the top.
    pub root: ObjectRef,
    /// Requests.
    pub count: u64,
    /// Requests by which controllers carried it out.
    pub follow_ups: u64,
    /// First and last event time.
    pub first_us: Option<i64>,
    /// Last event time.
    pub last_us: Option<i64>,
    /// Objects besides the exemplar's, at most [`OTHER_OBJECTS_MAX`], sorted.
    pub other_objects: Vec<ObjectRef>,
    /// Distinct objects.
    pub object_count: u64,
}

/// What makes two requests one act. Ids use the cluster and the rule's id, never the input or the rule's version.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Key {
    rule: usize,
    cluster: Arc<str>,
    /// `None` for the workload controllers: together they are one actor.
    actor: Option<String>,
    root: ObjectRef,
    outcome: String,
    window: Option<i64>,
}

#[derive(Clone, Debug)]
struct Act {
    exemplar: Exemplar,
    /// The order that chooses the exemplar: the first request.
    order: (Option<i64>, Identity),
    count: u64,
    first_us: Option<i64>,
    last_us: Option<i64>,
    objects: BTreeSet<ObjectRef>,
    object_hashes: HashSet<[u8; 16]>,
}

/// A match of an early stage, waiting for the request's last.
#[derive(Debug)]
struct Waiting {
    stage: Stage,
    key: Key,
    act: Act,
}

/// What joining needs to know of a rule.
#[derive(Clone, Debug)]
pub struct RuleTraits {
    /// The rule's id.
    pub id: String,
    /// An act of this rule is one of the actor, whatever the objects.
    pub per_actor: bool,
}

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
        let (key, act) = self.act_of(hit, identity);
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

    fn act_of(&self, hit: &Hit<'_>, identity: Identity) -> (Key, Act) {
        let event = hit.event;
        let object = owner::object_of(event);
        let outcome = event.view(Root::Outcome);
        let dry_run = if outcome.flag("dry_run") {
            " dry run"
        } else {
            ""
        };
        let key = Key {
            rule: hit.rule,
            cluster: event.origin().cluster.clone(),
            actor: actor_key(event),
            root: if self.is_per_actor(hit.rule) {
                ObjectRef::default()
            } else {
                owner::root_of(event, &object)
            },
            outcome: format!("{}{dry_run}", outcome.text("result").unwrap_or("unknown")),
            window: hit.time.map(|time| time.div_euclid(self.window_us)),
        };
        let exemplar = Exemplar {
            raw: hit.raw.to_vec(),
            origin: event.origin().clone(),
            input: hit.input.clone(),
            offset: hit.offset,
        };
        let act = Act {
            exemplar,
            order: (hit.time, identity),
            count: 1,
            first_us: hit.time,
            last_us: hit.time,
            object_hashes: HashSet::from([object_hash(&object)]),
            objects: BTreeSet::from([object]),
        };
        (key, act)
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
        let acts = std::mem::take(&mut self.open);
        let (carried_out, mut asked) = split(acts);
        for (key, act) in carried_out {
            match owners_act(&asked, &key, &act) {
                Some(owner) => {
                    if let Some((owner, follow_ups)) = asked.get_mut(&owner) {
                        *follow_ups += act.count;
                        owner.last_us = owner.last_us.max(act.last_us);
                    }
                }
                None => drop(asked.insert(key, (act, 0))),
            }
        }
        let mut findings = std::mem::take(&mut self.released);
        findings.extend(
            asked
                .into_iter()
                .map(|(key, (act, follow_ups))| self.finding(&key, act, follow_ups)),
        );
        findings.sort_by_key(|finding| (finding.first_us, finding.uid));
        findings
    }

    fn finding(&self, key: &Key, act: Act, follow_ups: u64) -> Finding {
        let Act {
            exemplar,
            count,
            first_us,
            last_us,
            objects,
            object_hashes,
            ..
        } = act;
        let other_objects = objects.into_iter().take(OTHER_OBJECTS_MAX + 1).collect();
        Finding {
            rule: key.rule,
            uid: self.uid(key),
            exemplar,
            root: key.root.clone(),
            count,
            follow_ups,
            first_us,
            last_us,
            other_objects,
            object_count: object_hashes.len() as u64,
        }
    }

    fn uid(&self, key: &Key) -> [u8; 16] {
        let rule = self.rules.get(key.rule).map_or("", |rule| rule.id.as_str());
        let root = &key.root;
        let window = key.window.map(|window| window.to_string());
        hash([
            rule,
            &key.cluster,
            key.actor.as_deref().unwrap_or("workload controllers"),
            &root.group,
            &root.resource,
            root.namespace.as_deref().unwrap_or_default(),
            root.name.as_deref().unwrap_or_default(),
            &key.outcome,
            window.as_deref().unwrap_or_default(),
        ])
    }
}

/// The actor's stable name, or `None` for a workload controller acting for an owner.
fn actor_key(event: &Event) -> Option<String> {
    let actor = event.view(Root::Actor);
    let name = actor.text("name").unwrap_or_default();
    let kind = actor.text("kind");
    let is_controller =
        CONTROLLERS.contains(&name) && kind == Some("service_account") && !actor.flag("forged");
    if is_controller {
        return None;
    }
    // Failed authentication has no name; then the address is all that tells two clients apart.
    if kind == Some("anonymous") {
        let client = event
            .view(Root::Source)
            .text("client")
            .unwrap_or_default()
            .to_owned();
        return Some(format!("{name} from {client}"));
    }
    Some(actor.text("canonical").unwrap_or(name).to_owned())
}

/// What controllers carried out, and what others asked for, each with its follow-ups so far.
fn split(acts: HashMap<Key, Act>) -> (Vec<(Key, Act)>, Asked) {
    let mut carried_out = Vec::new();
    let mut asked = BTreeMap::new();
    for (key, act) in acts {
        if key.actor.is_none() {
            carried_out.push((key, act));
        } else {
            asked.insert(key, (act, 0));
        }
    }
    carried_out.sort_by(|a, b| a.0.cmp(&b.0));
    (carried_out, asked)
}

/// Acts by their keys, with the number of follow-ups.
type Asked = BTreeMap<Key, (Act, u64)>;

/// The owner's act that controllers carried out: the latest one before them, else the first.
fn owners_act(asked: &Asked, key: &Key, act: &Act) -> Option<Key> {
    let mut owners: Vec<(Option<i64>, &Key)> = asked
        .iter()
        .filter(|(other, _)| {
            other.rule == key.rule && other.cluster == key.cluster && other.root == key.root
        })
        .filter(|(other, _)| other.actor.is_some() && other.outcome.starts_with("success"))
        .map(|(other, (act, _))| (act.first_us, other))
        .collect();
    owners.sort();
    let before = owners.iter().rev().find(|(first, _)| *first <= act.last_us);
    before
        .or_else(|| owners.first())
        .map(|(_, owner)| (*owner).clone())
}

fn object_hash(object: &ObjectRef) -> [u8; 16] {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let (namespace, name) = (text(&object.namespace), text(&object.name));
    hash([object.group.as_str(), &object.resource, &namespace, &name])
}

impl Act {
    /// Joins another act of the same key; returns the bytes that are no longer held.
    fn merge(&mut self, mut other: Self) -> usize {
        self.note_objects(&other);
        self.count += other.count;
        self.first_us = [self.first_us, other.first_us].into_iter().flatten().min();
        self.last_us = self.last_us.max(other.last_us);
        if other.order < self.order {
            std::mem::swap(&mut self.order, &mut other.order);
            std::mem::swap(&mut self.exemplar, &mut other.exemplar);
        }
        other.exemplar.raw.len()
    }

    fn note_objects(&mut self, other: &Self) {
        let room = DISTINCT_MAX.saturating_sub(self.object_hashes.len());
        self.object_hashes
            .extend(other.object_hashes.iter().take(room));
        self.objects.extend(other.objects.iter().cloned());
        // The smallest by order are kept, so that which ones does not depend on arrival.
        while self.objects.len() > OTHER_OBJECTS_MAX + 1 {
            self.objects.pop_last();
        }
    }
}
