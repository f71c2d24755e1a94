//! Who may do what: the rules and bindings that a request writes (`rbac`), the part it introduced
//! (`change.rbac`), and the grant that allowed the request itself (`rbac.allowed_by`).

use serde_json::{Map, Value};

use super::{Root, View, actor};
use crate::event::{Envelope, Event, Field};

const ROLES: [&str; 2] = ["roles", "clusterroles"];
const BINDINGS: [&str; 2] = ["rolebindings", "clusterrolebindings"];

/// Labels by which the controller adds a cluster role's rules to a built-in role.
const AGGREGATION: [(&str, &str); 3] = [
    ("rbac.authorization.k8s.io/aggregate-to-admin", "admin"),
    ("rbac.authorization.k8s.io/aggregate-to-edit", "edit"),
    ("rbac.authorization.k8s.io/aggregate-to-view", "view"),
];

pub(super) fn rbac(event: &Event) -> View {
    let object = event.view(Root::Object);
    let mut view = match (resource(event), &object.value) {
        (Some(_), Some(whole)) => View::known(grants(event, whole, whole)),
        (Some(_), None) if is_hidden(object) => hidden_grants(),
        _ => View::known(Map::new()),
    };
    match allowed_by(event) {
        Field::Present(allowed_by) => view.set("allowed_by", allowed_by),
        Field::Unavailable => view.blind.push("allowed_by"),
        Field::Absent => {}
    }
    view
}

pub(super) fn rbac_of_change(event: &Event) -> View {
    if resource(event).is_none() {
        return View::absent();
    }
    let change = event.view(Root::Change);
    let Some(touched) = change.get("object") else {
        return if is_hidden(change) {
            hidden_grants()
        } else {
            View::absent()
        };
    };
    let whole = event.view(Root::Object).value.as_ref().unwrap_or(touched);
    View::known(grants(event, touched, whole))
}

fn resource(event: &Event) -> Option<&str> {
    event
        .text(&["objectRef", "resource"])
        .filter(|resource| ROLES.contains(resource) || BINDINGS.contains(resource))
}

fn is_hidden(view: &View) -> bool {
    view.blind.iter().any(|key| matches!(*key, "" | "object"))
}

fn hidden_grants() -> View {
    View {
        value: Some(Value::Object(Map::new())),
        blind: vec!["rules", "aggregates_to", "role", "subjects"],
    }
}

/// The touched part of a role or binding. A subject added to a binding introduces the binding's
/// role to that subject, and a rule added to an aggregated role reaches that role's holders: the
/// other half comes from the whole.
fn grants(event: &Event, touched: &Value, whole: &Value) -> Map<String, Value> {
    let mut grants = Map::new();
    if let Some(rules) = objects(touched.get("rules")) {
        grants.insert(
            "rules".into(),
            rules.into_iter().cloned().map(Value::Object).collect(),
        );
    }
    let labels_of = if touched.get("rules").is_some() {
        whole
    } else {
        touched
    };
    let aggregates_to = aggregates_to(labels_of);
    if !aggregates_to.is_empty() {
        grants.insert("aggregates_to".into(), aggregates_to.into());
    }
    if let Some(subjects) = objects(touched.get("subjects")) {
        let namespace = event.text(&["objectRef", "namespace"]);
        grants.insert(
            "subjects".into(),
            subjects
                .into_iter()
                .map(|subject| with_canonical(subject, namespace))
                .collect(),
        );
    }
    let is_binding = touched.get("subjects").is_some() || touched.get("roleRef").is_some();
    if let Some(role) = whole.get("roleRef").filter(|_| is_binding) {
        let fields = ["kind", "name"]
            .into_iter()
            .filter_map(|key| Some((key.to_owned(), role.get(key)?.clone())));
        grants.insert("role".into(), Value::Object(fields.collect()));
    }
    grants
}

fn objects(value: Option<&Value>) -> Option<Vec<&Map<String, Value>>> {
    Some(
        value?
            .as_array()?
            .iter()
            .filter_map(Value::as_object)
            .collect(),
    )
}

fn aggregates_to(role: &Value) -> Vec<&'static str> {
    let labels = role
        .get("metadata")
        .and_then(|metadata| metadata.get("labels"));
    let is_set = |label| {
        labels
            .and_then(|labels| labels.get(label))
            .and_then(Value::as_str)
            == Some("true")
    };
    AGGREGATION
        .into_iter()
        .filter(|(label, _)| is_set(*label))
        .map(|(_, role)| role)
        .collect()
}

fn with_canonical(subject: &Map<String, Value>, own_namespace: Option<&str>) -> Value {
    let text = |key| subject.get(key).and_then(Value::as_str);
    let name = text("name").unwrap_or_default();
    let canonical = match (text("kind"), text("namespace").or(own_namespace)) {
        (Some("ServiceAccount"), Some(namespace)) => service_account(namespace, name),
        _ => name.to_owned(),
    };
    let mut subject = subject.clone();
    subject.insert("canonical".into(), canonical.into());
    Value::Object(subject)
}

fn service_account(namespace: &str, name: &str) -> String {
    format!("system:serviceaccount:{namespace}:{name}")
}

/// The grant behind an allowed request. Nothing allowed a request that was forbidden, or that no
/// authorizer saw.
fn allowed_by(event: &Event) -> Field<Value> {
    if event.top("annotations") == Field::Unavailable {
        return Field::Unavailable;
    }
    if event.annotation("authorization.k8s.io/decision") != Some("allow") {
        return Field::Absent;
    }
    let reason = event
        .annotation("authorization.k8s.io/reason")
        .unwrap_or_default();
    if let Some(grant) = parse_reason(reason) {
        return Field::Present(Value::Object(grant));
    }
    let mut grant = Map::new();
    grant.insert("via".into(), via(event, reason).into());
    Field::Present(Value::Object(grant))
}

/// What allowed without naming a binding. Two authorizers allow in silence: that for
/// `system:masters`, and that for nodes.
fn via(event: &Event, reason: &str) -> &'static str {
    let effective = event.view(Root::Effective);
    let is_gke = event.origin().envelope == Envelope::Gke;
    if !reason.is_empty() {
        return if is_gke { "iam" } else { "other" };
    }
    if effective.text("kind") == Some(actor::Kind::Node.as_str()) && !effective.flag("superuser") {
        return "node";
    }
    if is_gke { "iam" } else { "superuser" }
}

/// Takes `RBAC: allowed by RoleBinding "b/ns" of ClusterRole "r" to ServiceAccount "sa/ns"` apart.
fn parse_reason(reason: &str) -> Option<Map<String, Value>> {
    // EKS puts its own words before the same sentence for what an access policy allows.
    let rest = reason.split_once("allowed by ").map(|(_, rest)| rest)?;
    let (via, rest) = rest
        .split_once(' ')
        .filter(|(via, _)| matches!(*via, "ClusterRoleBinding" | "RoleBinding"))?;
    let (binding, rest) = quoted(rest)?;
    let (role_kind, rest) = rest.strip_prefix(" of ")?.split_once(' ')?;
    let (role, rest) = quoted(rest)?;
    let (subject_kind, rest) = rest.strip_prefix(" to ")?.split_once(' ')?;
    let (subject, _) = quoted(rest)?;
    let (binding, namespace) = match binding.split_once('/') {
        Some((binding, namespace)) if via == "RoleBinding" => {
            (binding.to_owned(), Some(namespace.to_owned()))
        }
        _ => (binding, None),
    };
    let subject = match subject.split_once('/') {
        Some((name, namespace)) if subject_kind == "ServiceAccount" => {
            service_account(namespace, name)
        }
        _ => subject,
    };
    let mut grant = Map::new();
    grant.insert("via".into(), via.into());
    grant.insert("binding".into(), binding.into());
    grant.extend(namespace.map(|namespace| ("namespace".to_owned(), namespace.into())));
    grant.insert("role_kind".into(), role_kind.into());
    grant.insert("role".into(), role.into());
    grant.insert("subject_kind".into(), subject_kind.into());
    grant.insert("subject".into(), subject.into());
    Some(grant)
}

/// The string at the start of the text as Go quotes it, and what follows. Names may hold quotes
/// themselves.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut rest = text.strip_prefix('"')?.chars();
    let mut unquoted = String::new();
    loop {
        match rest.next()? {
            '"' => return Some((unquoted, rest.as_str())),
            '\\' => unquoted.push(unescape(&mut rest)?),
            other => unquoted.push(other),
        }
    }
}

fn unescape(rest: &mut std::str::Chars<'_>) -> Option<char> {
    let digits = match rest.next()? {
        'n' => return Some('\n'),
        't' => return Some('\t'),
        'r' => return Some('\r'),
        'x' => 2,
        'u' => 4,
        'U' => 8,
        other => return Some(other),
    };
    let hex: String = rest.take(digits).collect();
    char::from_u32(u32::from_str_radix(&hex, 16).ok()?)
}

#[cfg(test)]
mod tests {
    use super::super::testing::event;
    use super::*;
    use crate::event::Origin;
    use serde_json::json;
    use std::sync::Arc;

    fn allowed(reason: &str, user: &Value) -> Value {
        let annotations = json!({"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": reason});
        json!({"verb": "get", "user": user, "annotations": annotations})
    }

    #[track_caller]
    fn check(reason: &str, expected: &Value) {
        let view = rbac(&event(allowed(reason, &json!({"username": "a"}))));
        assert_eq!(view.get("allowed_by"), Some(expected));
    }

    #[test]
    fn bindings_are_read_from_the_reason() {
        check(
            r#"RBAC: allowed by RoleBinding "fe-admin/web" of ClusterRole "admin" to ServiceAccount "frontend/web""#,
            &json!({
                "via": "RoleBinding", "binding": "fe-admin", "namespace": "web", "role_kind": "ClusterRole", "role": "admin",
                "subject_kind": "ServiceAccount", "subject": "system:serviceaccount:web:frontend",
            }),
        );
        check(
            r#"RBAC: allowed by ClusterRoleBinding "m" of ClusterRole "cluster-admin" to User "DOM\\a/\"b\u00e9""#,
            &json!({
                "via": "ClusterRoleBinding", "binding": "m", "role_kind": "ClusterRole", "role": "cluster-admin",
                "subject_kind": "User", "subject": "DOM\\a/\"bé",
            }),
        );
        for broken in [
            "RBAC: allowed by RoleBinding \"x",
            "RBAC: allowed by RoleBinding \"x\" of Role \"y\" to User \"\\u00",
            "webhook says so",
        ] {
            check(broken, &json!({"via": "other"}));
        }
    }

    #[test]
    fn silence_is_masters_or_a_node() {
        check("", &json!({"via": "superuser"}));
        let node = json!({"username": "system:node:n", "groups": ["system:nodes"]});
        assert_eq!(
            rbac(&event(allowed("", &node))).get("allowed_by"),
            Some(&json!({"via": "node"}))
        );
        let fields = allowed(
            "access granted by IAM permissions.",
            &json!({"username": "a"}),
        )
        .as_object()
        .cloned()
        .unwrap();
        let origin = Origin {
            envelope: Envelope::Gke,
            ..Origin::default()
        };
        assert_eq!(
            rbac(&Event::from_fields(fields, origin, Arc::default())).get("allowed_by"),
            Some(&json!({"via": "iam"}))
        );
    }

    #[test]
    fn nothing_allowed_what_was_forbidden() {
        let forbidden = json!({"annotations": {"authorization.k8s.io/decision": "forbid", "authorization.k8s.io/reason": ""}});
        assert_eq!(rbac(&event(forbidden)).get("allowed_by"), None);
        assert_eq!(
            rbac(&event(json!({"stage": "RequestReceived"}))).blind,
            ["allowed_by"]
        );
    }

    fn write(verb: &str, resource: &str, request: &Value, response: &Value) -> Event {
        event(json!({
            "level": "RequestResponse", "verb": verb, "objectRef": {"resource": resource, "namespace": "web"},
            "responseStatus": {"code": 200}, "requestObject": request, "responseObject": response,
        }))
    }

    #[test]
    fn roles_and_what_they_feed() {
        let labels = json!({"rbac.authorization.k8s.io/aggregate-to-edit": "true", "rbac.authorization.k8s.io/aggregate-to-view": "false"});
        let role = json!({"kind": "ClusterRole", "metadata": {"labels": labels}, "rules": [{"verbs": ["*"]}, 7]});
        let view = rbac(&write("create", "clusterroles", &role, &role));
        assert_eq!(
            view.value,
            Some(json!({"rules": [{"verbs": ["*"]}], "aggregates_to": ["edit"]}))
        );
    }

    #[test]
    fn a_subject_is_introduced_together_with_the_role() {
        let subjects =
            json!([{"kind": "User", "name": "a"}, {"kind": "ServiceAccount", "name": "sa"}]);
        let binding = json!({"kind": "RoleBinding", "roleRef": {"apiGroup": "g", "kind": "ClusterRole", "name": "admin"}, "subjects": subjects});
        let added = json!([{"op": "add", "path": "/subjects/-", "value": {"kind": "ServiceAccount", "name": "sa"}}]);
        let event = write("patch", "rolebindings", &added, &binding);
        let expected = json!({
            "role": {"kind": "ClusterRole", "name": "admin"},
            "subjects": [{"kind": "ServiceAccount", "name": "sa", "canonical": "system:serviceaccount:web:sa"}],
        });
        assert_eq!(rbac_of_change(&event).value, Some(expected));
        assert_eq!(
            rbac(&event)
                .get("subjects")
                .and_then(Value::as_array)
                .map(Vec::len),
            Some(2)
        );
    }

    #[test]
    fn hidden_bodies_hide_grants_of_rbac_only() {
        let hidden = |resource: &str| {
            event(
                json!({"level": "Metadata", "verb": "create", "objectRef": {"resource": resource}}),
            )
        };
        assert!(rbac(&hidden("roles")).blind.contains(&"rules"));
        assert!(rbac_of_change(&hidden("roles")).blind.contains(&"subjects"));
        assert_eq!(rbac_of_change(&hidden("pods")), View::absent());
        assert!(rbac(&hidden("pods")).blind.is_empty());
    }
}
