//! Who did it, and how to make a rule leave them alone.

use detections::event::Event;
use detections::views::{Root, View};
use serde_json::Value;

use crate::alert::Identity;

use super::owned;

/// Who authenticated.
pub(crate) fn actor(event: &Event) -> Identity {
    Identity {
        uid: owned(event.text(&["user", "uid"])),
        ..of_view(event.view(Root::Actor))
    }
}

/// Whom the actor impersonated, if anybody.
pub(crate) fn effective(event: &Event) -> Option<Identity> {
    let view = event.view(Root::Effective);
    view.flag("impersonated").then(|| of_view(view))
}

fn of_view(view: &View) -> Identity {
    let text = |key: &str| owned(view.text(key));
    let name = text("name").unwrap_or_default();
    let groups = view.get("groups").and_then(Value::as_array);
    Identity {
        kind: text("kind").unwrap_or_default(),
        canonical: text("canonical").unwrap_or_else(|| name.clone()),
        groups: groups.map(|groups| {
            groups
                .iter()
                .filter_map(|group| group.as_str().map(ToOwned::to_owned))
                .collect()
        }),
        superuser: view.flag("superuser"),
        forged: view.flag("forged"),
        uid: None,
        credential: text("credential"),
        pod: text("pod"),
        node: text("node"),
        name,
    }
}

/// A Sigma filter that makes one rule silent for one actor, and in the namespace at hand, if there is one.
pub(crate) fn silence(event: &Event, rule: &str) -> String {
    let actor = event.view(Root::Actor).text("name").unwrap_or_default();
    let namespace = event
        .text(&["objectRef", "namespace"])
        .filter(|namespace| !namespace.is_empty());
    let quote = |text: &str| {
        format!(
            "'{}'",
            text.replace('\'', "''")
                .replace('\\', "\\\\")
                .replace('*', "\\*")
                .replace('?', "\\?")
        )
    };
    let scope = namespace
        .map(|namespace| format!("\n    objectRef.namespace: {}", quote(namespace)))
        .unwrap_or_default();
    format!(
        "title: Expected, because …\nlogsource: {{product: kubernetes, service: audit}}\nfilter:\n  rules: [{rule}]\n  expected:\n    \
         actor.name: {}{scope}\n  condition: not expected\n",
        quote(actor)
    )
}
