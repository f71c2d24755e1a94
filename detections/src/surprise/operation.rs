//! What was done, without names of objects, and how much it matters.
//!
//! The impact is a prior table and not learned. It says how severe an operation is, not how likely: bits say how unusual it is
//! for this actor, and the impact how much that matters. What an actor does every day stays at about no bits, whatever it is.

use std::sync::Arc;

use crate::event::Event;
use crate::views::{Root, View};

use super::memo::Texts;
use super::volume::Class;

/// Another's power, or a node.
pub(super) const IMPACT_MAX: u8 = 3;

/// Paths by which clients find out what there is. They belong to no task.
const DISCOVERY: [&str; 7] = [
    "/api", "/apis", "/openapi", "/version", "/healthz", "/livez", "/readyz",
];

const WORKLOADS: [&str; 8] = [
    "pods",
    "deployments",
    "daemonsets",
    "statefulsets",
    "replicasets",
    "jobs",
    "cronjobs",
    "replicationcontrollers",
];

const PERMISSIONS: [&str; 4] = [
    "roles",
    "clusterroles",
    "rolebindings",
    "clusterrolebindings",
];

const ADMISSION: [&str; 4] = [
    "mutatingwebhookconfigurations",
    "validatingwebhookconfigurations",
    "validatingadmissionpolicies",
    "mutatingadmissionpolicies",
];

/// An operation of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Did {
    /// `patch apps/deployments scale`, `get /metrics`.
    pub text: Arc<str>,
    /// The impact that follows from the text alone: by it, values are chosen where not all can be kept.
    pub rank: u8,
    /// The impact of this event, 0 to 3.
    pub impact: u8,
}

impl Did {
    /// Acting as another identity, granted or refused: an operation besides the one that was asked for.
    pub(super) fn impersonation(texts: &mut Texts) -> Self {
        Self {
            text: texts.intern("impersonate users"),
            rank: IMPACT_MAX,
            impact: IMPACT_MAX,
        }
    }

    /// What a component of the control plane watches. Informers follow whatever exists, so that no resource is news.
    pub(super) fn watch_of_component(texts: &mut Texts) -> Self {
        Self {
            text: texts.intern("watch *"),
            rank: 0,
            impact: 0,
        }
    }
}

/// What the verb and the resource, or the path, come to.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    /// `None` for discovery.
    text: Option<Arc<str>>,
    weight: Weight,
    /// What a session counts, by [`Class`]; that it was denied is not known here.
    pub(super) classes: [bool; Class::COUNT],
    /// The request may bring a pod that asks for the node.
    pub(super) brings_pod: bool,
    pub(super) is_watch: bool,
    /// Only these have a namespace, or the whole cluster in its place.
    pub(super) is_on_resource: bool,
}

/// How much an operation matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weight {
    /// The same wherever it happens.
    Always(u8),
    /// A plain change: more in the namespace of the cluster's own workloads.
    Change,
}

impl Weight {
    fn impact(self, in_system: bool) -> u8 {
        match self {
            Self::Always(impact) => impact,
            Self::Change => 1 + u8::from(in_system),
        }
    }
}

impl Operation {
    /// The operation of a whole event.
    pub(super) fn of_event(event: &Event, texts: &mut Texts) -> Self {
        let text = |path: &[&str]| event.text(path).unwrap_or_default();
        let (verb, resource) = (text(&["verb"]), text(&["objectRef", "resource"]));
        if resource.is_empty() {
            return Self::on_path(verb, path_of(text(&["requestURI"])), texts);
        }
        let group = text(&["objectRef", "apiGroup"]);
        let subresource = text(&["objectRef", "subresource"]);
        Self::on_resource(verb, group, resource, subresource, texts)
    }

    pub(super) fn on_resource(
        verb: &str,
        group: &str,
        resource: &str,
        subresource: &str,
        texts: &mut Texts,
    ) -> Self {
        let mut text = format!("{} ", word(verb));
        if !group.is_empty() {
            text.push_str(&word(group));
            text.push('/');
        }
        text.push_str(&word(resource));
        if !subresource.is_empty() {
            text.push(' ');
            text.push_str(&word(subresource));
        }
        let mut classes = [false; Class::COUNT];
        classes[Class::SecretsRead as usize] = resource == "secrets" && is_read(verb);
        classes[Class::Deletions as usize] = is_deletion(verb);
        classes[Class::Requests as usize] = true;
        Self {
            text: Some(texts.intern(&text)),
            weight: weight_of(verb, resource, subresource),
            classes,
            brings_pod: matches!(verb, "create" | "update" | "patch")
                && WORKLOADS.contains(&resource)
                && matches!(subresource, "" | "ephemeralcontainers"),
            is_watch: verb == "watch",
            is_on_resource: true,
        }
    }

    /// `path` is the [`path_of`] the request; `None` is discovery.
    pub(super) fn on_path(verb: &str, path: Option<&str>, texts: &mut Texts) -> Self {
        let text = path.map(|path| texts.intern(&format!("{} {}", word(verb), word(path))));
        let mut classes = [false; Class::COUNT];
        classes[Class::Deletions as usize] = is_deletion(verb);
        classes[Class::Requests as usize] = true;
        Self {
            text,
            weight: Weight::Always(0),
            classes,
            brings_pod: false,
            is_watch: verb == "watch",
            is_on_resource: false,
        }
    }

    /// What the actor did; `None` for discovery.
    pub(super) fn did(&self, in_system: bool, asks_for_node: bool) -> Option<Did> {
        let impact = if asks_for_node {
            IMPACT_MAX
        } else {
            self.weight.impact(in_system)
        };
        Some(Did {
            text: self.text.clone()?,
            rank: self.weight.impact(false),
            impact,
        })
    }
}

/// The beginning of a path that names an operation; `None` for discovery.
pub(super) fn path_of(uri: &str) -> Option<&str> {
    let path = uri.split_once('?').map_or(uri, |(path, _)| path);
    if DISCOVERY.iter().any(|prefix| path.starts_with(prefix)) {
        return None;
    }
    let end = path.match_indices('/').nth(1);
    Some(end.map_or(path, |(end, _)| &path[..end]))
}

/// A word of an operation. Spaces separate words, so that `pods exec` as the name of a resource, which anybody may ask for in
/// vain every day, is not the same as the subresource.
fn word(text: &str) -> String {
    let is_kept = |letter: char| !letter.is_whitespace() && !letter.is_control();
    text.chars()
        .map(|letter| if is_kept(letter) { letter } else { '\u{fffd}' })
        .collect()
}

fn is_read(verb: &str) -> bool {
    matches!(verb, "get" | "list" | "watch")
}

fn is_deletion(verb: &str) -> bool {
    matches!(verb, "delete" | "deletecollection")
}

/// 3 a node or another's power, 2 runs code, reads secrets or exposes, 1 changes things, 0 the rest.
fn weight_of(verb: &str, resource: &str, subresource: &str) -> Weight {
    let is_read = is_read(verb);
    let takes_power = match (resource, subresource) {
        ("nodes", "proxy") | ("serviceaccounts", "token") => true,
        ("certificatesigningrequests", _) => !is_read,
        _ => !is_read && (PERMISSIONS.contains(&resource) || ADMISSION.contains(&resource)),
    };
    if verb == "impersonate" || takes_power {
        return Weight::Always(IMPACT_MAX);
    }
    let enters = matches!(
        subresource,
        "exec" | "attach" | "portforward" | "ephemeralcontainers"
    );
    let runs_or_exposes = match verb {
        "create" => resource == "services" || WORKLOADS.contains(&resource),
        "delete" => resource == "namespaces",
        _ => verb == "deletecollection",
    };
    if enters || resource == "secrets" || runs_or_exposes {
        return Weight::Always(2);
    }
    if matches!(
        resource,
        "selfsubjectrulesreviews" | "selfsubjectaccessreviews"
    ) {
        return Weight::Always(1);
    }
    if is_read || matches!(resource, "events" | "leases") || subresource == "status" {
        return Weight::Always(0);
    }
    Weight::Change
}

/// Whether the pod that a request brings, or the part of it that it changes (view `change.pod`), asks for the node: its
/// namespaces, its files, or privileges on it.
pub(super) fn asks_for_node(event: &Event) -> bool {
    let pod = event.view(Root::ChangePod);
    let shares = ["hostNetwork", "hostPID", "hostIPC"];
    shares.iter().any(|key| pod.flag(key))
        || elements(pod, "volumes").any(|volume| volume.get("hostPath").is_some())
        || elements(pod, "containers")
            .any(|container| container.get("securityContext").is_some_and(is_privileged))
}

fn elements<'a>(pod: &'a View, key: &str) -> impl Iterator<Item = &'a serde_json::Value> {
    let list = pod.get(key).and_then(serde_json::Value::as_array);
    list.into_iter().flatten()
}

fn is_privileged(context: &serde_json::Value) -> bool {
    let added = context
        .get("capabilities")
        .and_then(|capabilities| capabilities.get("add")?.as_array());
    context.get("privileged") == Some(&true.into()) || added.is_some_and(|added| !added.is_empty())
}
