//! What leaves the pipeline: one finding with everything that an analyst needs to act on it.
//!
//! An alert holds plain values, already redacted and bounded. How it is written down is the business of [`crate::wire`].

use std::sync::Arc;

use detections::event::Envelope;
use detections::sigma::ast::Level;
use mitre::{TacticId, TechniqueId};
use serde::{Deserialize, Serialize};

/// One finding, enriched.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// Deterministic id: the same act gives the same id in every run, whatever the order of input. 32 hex digits.
    pub uid: String,
    /// What fired.
    pub rule: Arc<RuleInfo>,
    /// How bad it is, and the sum that says so.
    pub severity: Severity,
    /// What came of it.
    pub outcome: Outcome,
    /// The cluster.
    pub cluster: Arc<str>,
    /// Event time of the first request, microseconds since 1970 UTC; `None` if no event told.
    pub first_us: Option<i64>,
    /// Event time of the last request.
    pub last_us: Option<i64>,
    /// Requests that make up the act.
    pub count: u64,
    /// Requests by which controllers carried the act out; not in `count`.
    pub follow_ups: u64,
    /// Who authenticated.
    pub actor: Identity,
    /// Whom the actor impersonated.
    pub effective: Option<Identity>,
    /// Where the request came from.
    pub source: Source,
    /// What allowed it.
    pub allowed_by: Option<AllowedBy>,
    /// What the first request acted on.
    pub object: ObjectRef,
    /// The owner at the top of the chain; equal to `object` if nothing owns it.
    pub root: ObjectRef,
    /// Further objects of the same act, at most 20.
    pub other_objects: Vec<ObjectRef>,
    /// How many distinct objects there are in all.
    pub object_count: u64,
    /// What was done, as one phrase without the actor: `created pod web/toolbox`, `ran "sh -c id" in web/fe [t]`.
    pub did: String,
    /// What happened one after the other, if several events make up the act: the first ones and the last ones.
    pub steps: Vec<Step>,
    /// What happened in which order, by whom, if this is a story of several findings.
    pub story: Option<Told>,
    /// What the views decoded, label and value: host paths, command, certificate subject.
    pub details: Vec<Detail>,
    /// The rule's lines that matched, with the values they matched.
    pub evidence: Vec<Evidence>,
    /// Fields that the event could not show, though the rule asked for them.
    pub unseen: Vec<String>,
    /// What would silence it: a Sigma filter that excludes this actor from this rule, ready to paste.
    pub silence: String,
    /// The request as the API server saw it.
    pub request: Request,
    /// The event itself.
    pub raw: RawEvent,
}

/// A rule as an alert quotes it.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleInfo {
    /// UUID.
    pub id: String,
    /// Name.
    pub name: String,
    /// One line.
    pub title: String,
    /// What it finds.
    pub description: String,
    /// Impact.
    pub level: Level,
    /// All tags as written.
    pub tags: Vec<String>,
    /// Tactics, as tagged.
    pub tactics: Vec<TacticId>,
    /// Techniques, as tagged.
    pub techniques: Vec<TechniqueId>,
    /// Links.
    pub references: Vec<String>,
    /// Known causes of false alarm.
    pub false_positives: Vec<String>,
    /// When the rule was last changed, as written in it.
    pub version: Option<String>,
    /// Who wrote it.
    pub author: Option<String>,
    /// Why it matters: the first paragraph of the page's Why, else the description.
    pub why: String,
    /// What to do: the bullets of the page's Response; empty without a page.
    pub response: Vec<String>,
}

/// The sum behind a level.
#[derive(Clone, Debug, PartialEq)]
pub struct Severity {
    /// What comes out.
    pub level: Level,
    /// Points of the rule's own level, 0 to 4.
    pub impact: i8,
    /// Points for the outcome, 0 or −1.
    pub outcome: i8,
    /// Points for the actor, −1, 0 or +1.
    pub actor: i8,
    /// Why points were added, taken, capped, in words.
    pub reasons: Vec<String>,
}

/// What came of the request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// `success`, `denied`, `failed`, `unknown`.
    pub result: String,
    /// What denied it.
    pub denied_by: Option<String>,
    /// Only tried.
    pub dry_run: bool,
    /// HTTP status.
    pub code: Option<i64>,
    /// The API server's message.
    pub message: Option<String>,
}

/// An account.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Identity {
    /// As logged.
    pub name: String,
    /// `human`, `service_account`, `node`, `control_plane`, `external`, `anonymous`.
    pub kind: String,
    /// The stable name.
    pub canonical: String,
    /// Groups; `None` if the source does not tell.
    pub groups: Option<Vec<String>>,
    /// Member of `system:masters`.
    pub superuser: bool,
    /// The name has a privileged form without the group that goes with it.
    pub forged: bool,
    /// Uid, if logged.
    pub uid: Option<String>,
    /// Id of the credential.
    pub credential: Option<String>,
    /// The pod that the token is bound to.
    pub pod: Option<String>,
    /// The node that the token is bound to.
    pub node: Option<String>,
}

/// Where a request came from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Source {
    /// What the API server saw.
    pub peer: Option<String>,
    /// The client behind trusted proxies.
    pub client: Option<String>,
    /// What was merely claimed, leftmost first.
    pub claimed: Vec<String>,
    /// `loopback`, `private`, `link_local`, `public`.
    pub kind: Option<String>,
    /// The client program, as it calls itself.
    pub user_agent: Option<String>,
}

/// What allowed a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AllowedBy {
    /// `ClusterRoleBinding`, `RoleBinding`, `superuser`, `iam`, `node`, `other`.
    pub via: String,
    /// The binding.
    pub binding: Option<String>,
    /// Its namespace.
    pub namespace: Option<String>,
    /// `ClusterRole` or `Role`.
    pub role_kind: Option<String>,
    /// The role.
    pub role: Option<String>,
    /// `User`, `Group`, `ServiceAccount`.
    pub subject_kind: Option<String>,
    /// The subject that the binding names.
    pub subject: Option<String>,
}

/// An object of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ObjectRef {
    /// Plural resource: `pods`.
    pub resource: String,
    /// `exec`, `approval`…
    pub subresource: Option<String>,
    /// API group; empty is the core group.
    pub group: String,
    /// API version.
    pub version: Option<String>,
    /// Namespace; `None` at cluster scope.
    pub namespace: Option<String>,
    /// Name, also where only the response tells (`generateName`).
    pub name: Option<String>,
    /// Uid, if logged.
    pub uid: Option<String>,
}

impl ObjectRef {
    /// `pods web/toolbox`, `clusterroles admin`, or the bare resource.
    #[must_use]
    pub fn display(&self) -> String {
        self.display_as(&self.resource)
    }

    /// The same with the resource in the singular, if one object is named: `pod web/toolbox`.
    #[must_use]
    pub fn display_one(&self) -> String {
        if self.name.is_some() {
            self.display_as(&singular(&self.resource))
        } else {
            self.display()
        }
    }

    fn display_as(&self, resource: &str) -> String {
        match (&self.namespace, &self.name) {
            (Some(namespace), Some(name)) => format!("{resource} {namespace}/{name}"),
            (Some(namespace), None) => format!("{resource} in {namespace}"),
            (None, Some(name)) => format!("{resource} {name}"),
            (None, None) => resource.to_owned(),
        }
    }
}

/// Kubernetes' plurals are English ones: policies, ingresses, pods. What is no plural stays.
fn singular(resource: &str) -> String {
    if let Some(stem) = resource.strip_suffix("ies") {
        return format!("{stem}y");
    }
    let stem = resource
        .strip_suffix("sses")
        .map(|stem| format!("{stem}ss"));
    stem.or_else(|| resource.strip_suffix('s').map(ToOwned::to_owned))
        .unwrap_or_else(|| resource.to_owned())
}

/// One of several events.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Event time, microseconds since 1970 UTC.
    pub time_us: i64,
    /// What was done, redacted.
    pub did: String,
    /// So many times in a row.
    pub count: u64,
}

/// A story: findings that belong together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    /// Everybody in it, in the order in which they came.
    pub accounts: Vec<Account>,
    /// Its findings, in order.
    pub parts: Vec<Part>,
    /// Further findings, for which there was no room.
    pub left_out: u64,
    /// Ids of stories that turned out to be parts of this one.
    pub absorbed: Vec<String>,
}

/// Somebody in a story.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Account {
    /// As logged.
    pub name: String,
    /// The kind of account.
    pub kind: String,
    /// Addresses that it came from.
    pub clients: Vec<String>,
    /// Whom it impersonated.
    pub acted_as: Vec<String>,
    /// How it came in, if it did not begin: what was done, by whom, when.
    pub joined: Option<(String, String, i64)>,
}

/// A finding as a part of a story.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// The finding's id.
    pub uid: String,
    /// Event time, microseconds since 1970 UTC.
    pub time_us: i64,
    /// The request, 32 hex digits: several findings may be of one.
    pub request: String,
    /// Its level.
    pub level: Level,
    /// Tactics, as tagged.
    pub tactics: Vec<TacticId>,
    /// The rule's title.
    pub title: String,
    /// Who did it.
    pub actor: String,
    /// What was done, redacted.
    pub did: String,
    /// What came of it, in words.
    pub outcome: String,
    /// Whether it came to something.
    pub succeeded: bool,
    /// Requests.
    pub count: u64,
}

/// A decoded fact.
#[derive(Clone, Debug, PartialEq)]
pub struct Detail {
    /// `command`, `host path`, `subject`…
    pub label: &'static str,
    /// Redacted and bounded.
    pub value: String,
}

/// A line of the rule and what it matched.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// The selection that the line belongs to.
    pub selection: String,
    /// The line's number in the rule file.
    pub line: usize,
    /// The line as written.
    pub text: String,
    /// The field that was read.
    pub field: String,
    /// What was there, redacted and bounded.
    pub values: Vec<String>,
}

/// The request as the API server saw it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// Kubernetes verb.
    pub verb: String,
    /// Path and query.
    pub uri: String,
    /// Audit id; chosen by the client, never an identity alone.
    pub audit_id: Option<String>,
    /// Stage.
    pub stage: Option<String>,
    /// Audit level.
    pub level: Option<String>,
}

/// The event as a string.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RawEvent {
    /// Redacted JSON, at most [`crate::limits::RAW_BYTES_MAX`] bytes.
    pub text: String,
    /// Size before redaction and cutting, in bytes.
    pub size: u64,
    /// SHA-256 of the event as it was logged, hex.
    pub sha256: String,
    /// The text was cut.
    pub cut: bool,
    /// The input that it came from.
    pub input: Arc<str>,
    /// Offset in the (decompressed) input, in bytes.
    pub offset: u64,
    /// The form in which it arrived.
    pub envelope: Envelope,
    /// The record itself was cut by its source.
    pub partial: bool,
}
