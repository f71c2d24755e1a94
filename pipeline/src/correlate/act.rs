//! Requests and acts: what makes two requests one act, and what is kept of it.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use detections::event::{Event, Origin};
use detections::views::Root;
use serde::{Deserialize, Serialize};

use crate::alert::ObjectRef;
use crate::limits::{DISTINCT_MAX, OTHER_OBJECTS_MAX};

use detections::hash::hash;

use super::identity::{Identity, Stage};
use super::owner;
use super::stored::{stored_bytes, stored_origin};
use super::stream::Joined;

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
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Exemplar {
    /// Its bytes, in the API server's own form.
    #[serde(with = "stored_bytes")]
    pub raw: Arc<[u8]>,
    /// What is known besides.
    #[serde(with = "stored_origin")]
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
    /// What makes several events one finding, if a correlation found it.
    pub joined: Option<Arc<Joined>>,
}

/// What makes two requests one act. Ids use the cluster and the rule's id, never the input or the rule's version.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Key {
    /// The rule's index. It differs from run to run, so it is not stored.
    #[serde(skip)]
    pub(crate) rule: usize,
    pub(crate) cluster: Arc<str>,
    /// `None` for the workload controllers: together they are one actor.
    pub(crate) actor: Option<String>,
    pub(crate) root: ObjectRef,
    pub(crate) outcome: String,
    pub(crate) window: Option<i64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Act {
    pub(crate) exemplar: Exemplar,
    /// The order that chooses the exemplar: the first request.
    pub(crate) order: (Option<i64>, Identity),
    pub(crate) count: u64,
    pub(crate) first_us: Option<i64>,
    pub(crate) last_us: Option<i64>,
    pub(crate) objects: BTreeSet<ObjectRef>,
    pub(crate) object_hashes: HashSet<[u8; 16]>,
}

/// A match of an early stage, waiting for the request's last.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Waiting {
    pub(crate) stage: Stage,
    pub(crate) key: Key,
    pub(crate) act: Act,
}

/// What joining needs to know of a rule.
#[derive(Clone, Debug)]
pub struct RuleTraits {
    /// The rule's id.
    pub id: String,
    /// An act of this rule is one of the actor, whatever the objects.
    pub per_actor: bool,
}

impl Key {
    /// The id of the finding: of the rule's id, never its index or version.
    pub(crate) fn uid(&self, rule: &str) -> [u8; 16] {
        let root = &self.root;
        let window = self.window.map(|window| window.to_string());
        hash([
            rule,
            &self.cluster,
            self.actor.as_deref().unwrap_or("workload controllers"),
            &root.group,
            &root.resource,
            root.namespace.as_deref().unwrap_or_default(),
            root.name.as_deref().unwrap_or_default(),
            &self.outcome,
            window.as_deref().unwrap_or_default(),
        ])
    }
}

impl Act {
    /// The act as a finding.
    pub(crate) fn into_finding(self, key: &Key, rule: &str, follow_ups: u64) -> Finding {
        let Act {
            exemplar,
            count,
            first_us,
            last_us,
            objects,
            object_hashes,
            ..
        } = self;
        let other_objects = objects.into_iter().take(OTHER_OBJECTS_MAX + 1).collect();
        Finding {
            rule: key.rule,
            uid: key.uid(rule),
            exemplar,
            root: key.root.clone(),
            count,
            follow_ups,
            first_us,
            last_us,
            other_objects,
            object_count: object_hashes.len() as u64,
            joined: None,
        }
    }

    /// Joins another act of the same key; returns the bytes that are no longer held.
    pub(crate) fn merge(&mut self, mut other: Self) -> usize {
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

/// Which act a hit belongs to, and the act as it would be with this hit alone.
pub(crate) fn act_of(
    hit: &Hit<'_>,
    identity: Identity,
    per_actor: bool,
    window_us: i64,
) -> (Key, Act) {
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
        root: if per_actor {
            ObjectRef::default()
        } else {
            owner::root_of(event, &object)
        },
        outcome: format!("{}{dry_run}", outcome.text("result").unwrap_or("unknown")),
        window: hit.time.map(|time| time.div_euclid(window_us)),
    };
    let exemplar = Exemplar {
        raw: hit.raw.into(),
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

/// The actor's stable name, or `None` for a workload controller acting for an owner.
pub(crate) fn actor_key(event: &Event) -> Option<String> {
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

fn object_hash(object: &ObjectRef) -> [u8; 16] {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let (namespace, name) = (text(&object.namespace), text(&object.name));
    hash([object.group.as_str(), &object.resource, &namespace, &name])
}
