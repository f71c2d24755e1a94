//! The object that a request makes true (`object`), and what a deletion takes away (`deleted`).
//!
//! Most bodies in an audit log are not that: lists that somebody read, objects that a deletion
//! returns, status reports, bindings. Only a create, update or patch of the resource itself, or of
//! the few subresources that alter what runs or what is signed, makes an object true. The API
//! server's answer is preferred, because it is complete: names are generated, defaults filled in,
//! patches applied.

use serde_json::{Map, Value};

use super::{Root, View, patch};
use crate::event::{Event, Field};

/// Subresources through which the object itself is written.
const SUBRESOURCES: [&str; 3] = ["ephemeralcontainers", "resize", "approval"];

/// What an answer may be that is not the object asked for.
pub(super) const META_KINDS: [&str; 3] = ["Status", "Table", "PartialObjectMetadata"];

/// Whether an event writes an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// It does.
    Write,
    /// It does not.
    Other,
    /// The record was cut before it said.
    Unknown,
}

/// Whether an event creates, updates or patches an object.
pub(super) fn scope(event: &Event) -> Scope {
    scope_of(event, &["create", "update", "patch"], &SUBRESOURCES)
}

fn scope_of(event: &Event, verbs: &[&str], subresources: &[&str]) -> Scope {
    let verb = match event.top("verb") {
        Field::Present(verb) => verb.as_str().unwrap_or_default(),
        Field::Absent => return Scope::Other,
        Field::Unavailable => return Scope::Unknown,
    };
    if !verbs.contains(&verb) {
        return Scope::Other;
    }
    match event.top("objectRef") {
        Field::Present(_) => {}
        Field::Absent => return Scope::Other,
        Field::Unavailable => return Scope::Unknown,
    }
    let subresource = subresource(event);
    if subresource.is_empty() || subresources.contains(&subresource) {
        Scope::Write
    } else {
        Scope::Other
    }
}

/// The subresource, or an empty string.
pub(super) fn subresource(event: &Event) -> &str {
    event
        .text(&["objectRef", "subresource"])
        .unwrap_or_default()
}

/// Whether the request succeeded; `None` if the event does not show it.
pub(super) fn succeeded(event: &Event) -> Option<bool> {
    event
        .view(Root::Outcome)
        .text("result")
        .map(|result| result == "success")
}

/// The request's body.
pub(super) fn request(event: &Event) -> Option<&Value> {
    match event.top("requestObject") {
        Field::Present(body) => Some(body),
        _ => None,
    }
}

/// The response's body, if it is the object that was asked for.
pub(super) fn response(event: &Event) -> Option<&Value> {
    let Field::Present(body) = event.top("responseObject") else {
        return None;
    };
    fits(event, body).then_some(body)
}

fn fits(event: &Event, body: &Value) -> bool {
    let Some(kind) = body.get("kind").and_then(Value::as_str) else {
        return false;
    };
    if META_KINDS.contains(&kind) {
        return false;
    }
    if event
        .text(&["objectRef", "resource"])
        .is_some_and(|resource| names(resource, kind))
    {
        return true;
    }
    // Custom resources may choose any plural; what was sent, or their group, tells.
    let sent = request(event)
        .and_then(|body| body.get("kind"))
        .and_then(Value::as_str);
    let group = event
        .text(&["objectRef", "apiGroup"])
        .filter(|group| group.contains('.') && !group.ends_with(".k8s.io"));
    let own_group = body
        .get("apiVersion")
        .and_then(Value::as_str)
        .and_then(|version| version.split_once('/'));
    sent == Some(kind)
        || (group.is_some()
            && group == own_group.map(|(group, _)| group)
            && !kind.ends_with("List"))
}

/// Whether a kind is that of a resource, and no answer about it.
pub(super) fn names(resource: &str, kind: &str) -> bool {
    !META_KINDS.contains(&kind) && is_plural(resource, kind)
}

/// Whether a resource's name is the plural of a kind, by the rules that Kubernetes' own names
/// follow.
fn is_plural(resource: &str, kind: &str) -> bool {
    let behind = |singular: &str| -> Option<&str> {
        let (start, ending) = resource.split_at_checked(singular.len())?;
        let lower = singular.bytes().map(|byte| byte.to_ascii_lowercase());
        start.bytes().eq(lower).then_some(ending)
    };
    let Some(ending) = behind(kind) else {
        let stem = kind.strip_suffix(['y', 'Y']).and_then(behind);
        return stem == Some("ies");
    };
    matches!(ending, "s" | "es") || (ending.is_empty() && kind.ends_with(['s', 'S']))
}

pub(super) fn object(event: &Event) -> View {
    match scope(event) {
        Scope::Other => return View::absent(),
        Scope::Unknown => return View::unavailable(),
        Scope::Write => {}
    }
    let succeeded = succeeded(event);
    let Some(fields) = document(event, succeeded) else {
        return View::unavailable();
    };
    let mut view = View::known(fields);
    match succeeded {
        Some(succeeded) => view.set("attempted", !succeeded),
        None => view.blind.push("attempted"),
    }
    view
}

fn document(event: &Event, succeeded: Option<bool>) -> Option<Map<String, Value>> {
    if succeeded != Some(false)
        && let Some(answer) = response(event)
    {
        return stripped(answer);
    }
    let sent = request(event)?;
    if sent.get("kind").is_some_and(Value::is_string) {
        return stripped(sent);
    }
    // A patch that succeeded is only a part of the object it made; one that failed is all there
    // ever was.
    if succeeded == Some(true) {
        return None;
    }
    stripped(&patch::document(sent)?)
}

/// The object without what its own bookkeeping repeats: who owns which field, and what was applied
/// last time.
pub(super) fn stripped(object: &Value) -> Option<Map<String, Value>> {
    let fields = object.as_object()?.iter();
    let copied = |(key, value): (&String, &Value)| {
        let value = match (key.as_str(), value) {
            ("metadata", Value::Object(metadata)) => stripped_metadata(metadata),
            _ => value.clone(),
        };
        (key.clone(), value)
    };
    Some(fields.map(copied).collect())
}

/// Copies what stays, rather than removing from a copy: `managedFields` are often half of an object.
fn stripped_metadata(metadata: &Map<String, Value>) -> Value {
    const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
    let kept = metadata.iter().filter(|(key, _)| *key != "managedFields");
    let copied = |(key, value): (&String, &Value)| {
        let value = match (key.as_str(), value) {
            ("annotations", Value::Object(annotations)) => {
                let kept = annotations.iter().filter(|(key, _)| *key != LAST_APPLIED);
                kept.map(|(key, value)| (key.clone(), value.clone()))
                    .collect()
            }
            _ => value.clone(),
        };
        (key.clone(), value)
    };
    kept.map(copied).collect()
}

pub(super) fn deleted(event: &Event) -> View {
    match scope_of(event, &["delete", "deletecollection"], &[]) {
        Scope::Other => return View::absent(),
        Scope::Unknown => return View::unavailable(),
        Scope::Write => {}
    }
    let mut view = View::known(Map::new());
    for key in ["name", "namespace"] {
        if let Some(value) = event.text(&["objectRef", key]) {
            view.set(key, value);
        }
    }
    match deleted_count(event) {
        Some(count) => view.set("count", count),
        None => view.blind.push("count"),
    }
    view
}

/// How many objects went; a collection answers with them.
fn deleted_count(event: &Event) -> Option<usize> {
    if !succeeded(event)? {
        return Some(0);
    }
    if event.text(&["verb"]) == Some("delete") {
        return Some(1);
    }
    let Field::Present(answer) = event.top("responseObject") else {
        return None;
    };
    answer.get("items")?.as_array().map(Vec::len)
}

#[cfg(test)]
mod tests {
    use super::super::testing::event;
    use super::*;
    use serde_json::json;

    fn write(verb: &str, resource: &str, code: u16, request: &Value, response: &Value) -> Value {
        json!({
            "level": "RequestResponse", "stage": "ResponseComplete", "verb": verb,
            "objectRef": {"resource": resource, "name": "x"},
            "responseStatus": {"code": code}, "requestObject": request, "responseObject": response,
        })
    }

    #[test]
    fn plurals() {
        let pairs = [
            ("pods", "Pod"),
            ("networkpolicies", "NetworkPolicy"),
            ("ingresses", "Ingress"),
            ("endpoints", "Endpoints"),
            ("storageclasses", "StorageClass"),
            ("gateways", "Gateway"),
            ("ipaddresses", "IPAddress"),
        ];
        for (resource, kind) in pairs {
            assert!(is_plural(resource, kind), "{resource} {kind}");
        }
        for (resource, kind) in [
            ("pods", "Status"),
            ("pods", "PodList"),
            ("pods", "Binding"),
            ("", "Pod"),
            ("policies", "y"),
        ] {
            assert!(!is_plural(resource, kind), "{resource} {kind}");
        }
    }

    #[test]
    fn the_answer_is_preferred_and_stripped() {
        let metadata = json!({
            "name": "x", "managedFields": [{}],
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "a": "b"},
        });
        let answer = json!({"kind": "Pod", "metadata": metadata, "spec": {"nodeName": "n"}});
        let view = object(&event(write(
            "create",
            "pods",
            201,
            &json!({"kind": "Pod", "spec": {}}),
            &answer,
        )));
        let expected = json!({
            "kind": "Pod", "metadata": {"name": "x", "annotations": {"a": "b"}}, "spec": {"nodeName": "n"}, "attempted": false,
        });
        assert_eq!(view.value, Some(expected));
    }

    #[test]
    fn what_was_sent_stands_in() {
        let pod = json!({"kind": "Pod", "spec": {"a": 1}});
        let refused = object(&event(write(
            "create",
            "pods",
            403,
            &pod,
            &json!({"kind": "Status"}),
        )));
        assert!(refused.flag("attempted") && refused.get("spec").is_some());
        let answered_by_status = object(&event(write(
            "create",
            "pods",
            201,
            &pod,
            &json!({"kind": "Status"}),
        )));
        assert!(!answered_by_status.flag("attempted") && answered_by_status.get("spec").is_some());
        let patch = json!({"spec": {"a": null, "b": 2}});
        let failed = object(&event(write(
            "patch",
            "pods",
            409,
            &patch,
            &json!({"kind": "Status"}),
        )));
        assert_eq!(
            failed.value,
            Some(json!({"spec": {"b": 2}, "attempted": true}))
        );
        let partial = json!({"kind": "PartialObjectMetadata"});
        assert_eq!(
            object(&event(write("patch", "pods", 200, &patch, &partial))),
            View::unavailable()
        );
        assert_eq!(
            object(&event(write(
                "create",
                "pods",
                403,
                &json!(null),
                &json!(null)
            ))),
            View::unavailable()
        );
    }

    #[test]
    fn reads_and_other_subresources_have_no_object() {
        let pods = json!({"kind": "PodList", "items": []});
        assert_eq!(
            object(&event(write("list", "pods", 200, &json!(null), &pods))),
            View::absent()
        );
        for (subresource, expected) in [
            ("status", false),
            ("binding", false),
            ("eviction", false),
            ("ephemeralcontainers", true),
        ] {
            let mut document = write("update", "pods", 200, &json!(null), &json!({"kind": "Pod"}));
            document["objectRef"]["subresource"] = subresource.into();
            assert_eq!(
                object(&event(document)).value.is_some(),
                expected,
                "{subresource}"
            );
        }
    }

    #[test]
    fn custom_resources_with_a_plural_of_their_own() {
        let answer = json!({"kind": "Index", "apiVersion": "example.com/v1"});
        let mut document = write("patch", "indices", 200, &json!({"spec": {}}), &answer);
        assert_eq!(object(&event(document.clone())), View::unavailable());
        document["objectRef"]["apiGroup"] = "example.com".into();
        assert_eq!(object(&event(document)).text("kind"), Some("Index"));
    }

    #[test]
    fn deletions_count_what_went() {
        let items = json!({"kind": "EventList", "items": [{}, {}, {}]});
        let collection = deleted(&event(write(
            "deletecollection",
            "events",
            200,
            &json!(null),
            &items,
        )));
        assert_eq!(collection.get("count"), Some(&json!(3)));
        let one = deleted(&event(write(
            "delete",
            "pods",
            200,
            &json!(null),
            &json!({"kind": "Status"}),
        )));
        assert_eq!(
            (one.text("name"), one.get("count")),
            (Some("x"), Some(&json!(1)))
        );
        let mut hidden = write(
            "deletecollection",
            "events",
            200,
            &json!(null),
            &json!(null),
        );
        hidden["level"] = "Metadata".into();
        assert_eq!(deleted(&event(hidden)).blind, ["count"]);
        assert_eq!(
            deleted(&event(write(
                "create",
                "pods",
                200,
                &json!(null),
                &json!(null)
            ))),
            View::absent()
        );
    }
}
