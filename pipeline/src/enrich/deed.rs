//! What was done, as one phrase.

use detections::event::Event;
use detections::views::Root;
use serde_json::Value;

use crate::alert::ObjectRef;
use crate::redact;

use super::strings;

/// The phrase: `created pods web/toolbox`, `ran "sh -c id" in web/fe [t]`, `tried to list secrets of all namespaces`.
pub(crate) fn phrase(event: &Event, object: &ObjectRef, objects: u64) -> String {
    let verb = event.text(&["verb"]).unwrap_or_default();
    let outcome = event.view(Root::Outcome);
    let tried =
        outcome.flag("dry_run") || matches!(outcome.text("result"), Some("denied" | "failed"));
    let deed = exec(event, object).unwrap_or_else(|| request(event, verb, object));
    let more = match objects.saturating_sub(1) {
        0 => String::new(),
        1 => ", and 1 other object".to_owned(),
        more => format!(", and {more} other objects"),
    };
    let deed = if tried { deed.infinitive } else { deed.past };
    format!("{deed}{more}")
}

struct Deed {
    past: String,
    infinitive: String,
}

impl Deed {
    fn new(past: &str, infinitive: &str, rest: &str) -> Self {
        Self {
            past: format!("{past} {rest}"),
            infinitive: format!("tried to {infinitive} {rest}"),
        }
    }
}

fn exec(event: &Event, object: &ObjectRef) -> Option<Deed> {
    let exec = event.view(Root::Exec);
    let kind = exec.text("kind")?;
    let namespace = object.namespace.as_deref().unwrap_or("?");
    let pod = object.name.as_deref().unwrap_or("?");
    let container = exec
        .text("container")
        .map(|name| format!(" [{name}]"))
        .unwrap_or_default();
    let via = if exec.text("via") == Some("kubelet") {
        " through the kubelet"
    } else {
        ""
    };
    let place = format!("{namespace}/{pod}{container}{via}");
    let line = redact::arguments(&strings(exec, "command")).join(" ");
    Some(match kind {
        "attach" => Deed::new("attached to", "attach to", &place),
        "portforward" => Deed::new("forwarded a port of", "forward a port of", &place),
        _ if line.is_empty() => Deed::new("ran a command in", "run a command in", &place),
        _ => Deed::new("ran", "run", &format!("`{line}` in {place}")),
    })
}

fn request(event: &Event, verb: &str, object: &ObjectRef) -> Deed {
    let rest = described(event, verb, object);
    match (verb, object.subresource.as_deref()) {
        ("create", Some("token")) => {
            Deed::new("requested a token for", "request a token for", &rest)
        }
        ("update" | "patch", Some("approval")) => decision(event, &rest),
        ("update" | "patch", Some("ephemeralcontainers")) => Deed::new(
            "added an ephemeral container to",
            "add an ephemeral container to",
            &rest,
        ),
        ("create", None) => Deed::new("created", "create", &rest),
        ("update" | "patch", None) => Deed::new("changed", "change", &rest),
        ("delete" | "deletecollection", None) => Deed::new("deleted", "delete", &rest),
        ("get", None) => Deed::new("read", "read", &rest),
        ("list", None) => Deed::new("listed", "list", &rest),
        ("watch", None) => Deed::new("watched", "watch", &rest),
        (verb, subresource) => {
            let part = subresource
                .map(|name| format!("{name} of "))
                .unwrap_or_default();
            Deed::new(
                &format!("sent {verb} on"),
                &format!("send {verb} on"),
                &format!("{part}{rest}"),
            )
        }
    }
}

/// An approval and a denial go by the same subresource.
fn decision(event: &Event, rest: &str) -> Deed {
    match event
        .view(Root::Csr)
        .get("approved")
        .and_then(Value::as_bool)
    {
        Some(true) => Deed::new("approved", "approve", rest),
        Some(false) => Deed::new("denied", "deny", rest),
        None => Deed::new("decided on", "decide on", rest),
    }
}

fn described(event: &Event, verb: &str, object: &ObjectRef) -> String {
    if matches!(verb, "list" | "watch" | "deletecollection") && object.name.is_none() {
        let count = event
            .view(Root::Deleted)
            .get("count")
            .and_then(Value::as_u64);
        let count = count.map(|count| format!("{count} ")).unwrap_or_default();
        return match &object.namespace {
            Some(namespace) => format!("{count}{} of {namespace}", object.resource),
            None if is_namespaced_list(object) => {
                format!("{count}{} of all namespaces", object.resource)
            }
            None => format!("{count}{}", object.resource),
        };
    }
    object.display_one()
}

/// Cluster-scoped kinds have no namespaces to list all of. An unknown kind is taken for cluster-scoped.
fn is_namespaced_list(object: &ObjectRef) -> bool {
    const NAMESPACED: [&str; 12] = [
        "configmaps",
        "cronjobs",
        "daemonsets",
        "deployments",
        "events",
        "jobs",
        "pods",
        "rolebindings",
        "roles",
        "secrets",
        "serviceaccounts",
        "services",
    ];
    NAMESPACED.contains(&object.resource.as_str())
}
