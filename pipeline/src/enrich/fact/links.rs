//! What leads on from a deed to what others do later.
//!
//! A link should be as exact as the log allows: the id of the token that was issued rather than its account, the pod that was made
//! rather than everything that runs under its account. Only where a deed concerns an account as a whole is the link one to it. Nothing
//! leads to the control plane, to nodes, to groups, or to whatever else everybody or every cluster has.

use detections::event::Event;
use detections::views::Root;
use serde_json::Value;

use crate::correlate::object_of;
use crate::correlate::story::{Grasp, Key, Link, Way};

/// The API server notes on the request for a token which one it issued (Kubernetes 1.30 and later).
const ISSUED: &str = "authentication.kubernetes.io/issued-credential-id";

/// On a secret: whose token it holds.
const SECRET_OF: &str = "kubernetes.io/service-account.name";

/// The links of a successful event; it stands for `count` requests.
pub(super) fn of(event: &Event, count: u64) -> Vec<Link> {
    let text = |key: &str| event.text(&["objectRef", key]).unwrap_or_default();
    let verb = event.text(&["verb"]).unwrap_or_default();
    let (resource, subresource) = (text("resource"), text("subresource"));
    let is_write = matches!(verb, "create" | "update" | "patch");
    match (resource, subresource) {
        _ if event.view(Root::Exec).text("kind").is_some() => entered(event),
        ("pods", "ephemeralcontainers") if is_write => entered(event),
        ("serviceaccounts", "token") if verb == "create" => token(event, count),
        ("serviceaccounts", "") if verb == "create" => made(event),
        ("rolebindings" | "clusterrolebindings", "") if is_write => bound(event),
        ("secrets", "") if is_write => secret(event),
        ("certificatesigningrequests", "approval") if is_write => certificate(event),
        (_, "") if is_write => pod(event),
        _ => Vec::new(),
    }
}

fn link(way: Way, grasp: Grasp, name: impl Into<String>) -> Link {
    Link {
        key: Key::new(grasp, name),
        way,
    }
}

fn service_account(namespace: &str, name: &str) -> String {
    format!("system:serviceaccount:{namespace}:{name}")
}

/// Controllers of the control plane use tokens without a pod, all the time.
fn is_apart(namespace: &str) -> bool {
    namespace != "kube-system"
}

/// An account that a link may lead to as a whole: people, and service accounts outside of the control plane.
fn is_linkable(account: &str) -> bool {
    match account.strip_prefix("system:serviceaccount:") {
        Some(rest) => rest
            .split_once(':')
            .is_some_and(|(namespace, name)| is_apart(namespace) && !name.is_empty()),
        None => !account.is_empty() && !account.starts_with("system:"),
    }
}

fn token(event: &Event, count: u64) -> Vec<Link> {
    let object = object_of(event);
    let issued = event.annotation(ISSUED);
    let mut links: Vec<Link> = issued
        .map(|id| link(Way::Token, Grasp::Credential, id))
        .into_iter()
        .collect();
    // Of several requests only the first is at hand, and older API servers do not tell.
    if let (Some(namespace), Some(name)) = (&object.namespace, &object.name)
        && (issued.is_none() || count > 1)
        && is_apart(namespace)
    {
        let account = service_account(namespace, name);
        links.push(link(Way::Token, Grasp::Unbound, account));
    }
    links
}

fn made(event: &Event) -> Vec<Link> {
    let object = object_of(event);
    let (Some(namespace), Some(name)) = (&object.namespace, &object.name) else {
        return Vec::new();
    };
    let account = service_account(namespace, name);
    let account = Some(account).filter(|account| is_linkable(account));
    account
        .map(|account| link(Way::Made, Grasp::Account, account))
        .into_iter()
        .collect()
}

/// Subjects that the request introduced; groups are nobody's own.
fn bound(event: &Event) -> Vec<Link> {
    let subjects = event.view(Root::ChangeRbac).get("subjects");
    let subjects = subjects.and_then(Value::as_array).into_iter().flatten();
    let text = |subject: &Value, key: &str| Some(subject.get(key)?.as_str()?.to_owned());
    let accounts = subjects.filter(|subject| {
        matches!(
            text(subject, "kind").as_deref(),
            Some("User" | "ServiceAccount")
        )
    });
    accounts
        .filter_map(|subject| text(subject, "canonical"))
        .filter(|account| is_linkable(account))
        .map(|account| link(Way::Bound, Grasp::Account, account))
        .collect()
}

fn secret(event: &Event) -> Vec<Link> {
    let object = object_of(event);
    let annotations = event
        .view(Root::Object)
        .get("metadata")
        .and_then(|metadata| metadata.get("annotations"));
    let account = annotations.and_then(|annotations| annotations.get(SECRET_OF)?.as_str());
    let (Some(namespace), Some(name)) = (object.namespace, account) else {
        return Vec::new();
    };
    if !is_apart(&namespace) {
        return Vec::new();
    }
    let account = service_account(&namespace, name);
    vec![link(Way::Secret, Grasp::Unbound, account)]
}

fn certificate(event: &Event) -> Vec<Link> {
    let csr = event.view(Root::Csr);
    let is_approved = csr.get("approved").and_then(Value::as_bool) == Some(true);
    let subject = csr.get("subject").filter(|_| is_approved);
    let name = subject.and_then(|subject| subject.get("cn")?.as_str());
    name.filter(|name| is_linkable(name))
        .map(|name| link(Way::Certificate, Grasp::Account, name))
        .into_iter()
        .collect()
}

/// Whoever is in a pod has its token.
fn entered(event: &Event) -> Vec<Link> {
    if event.view(Root::Exec).text("kind") == Some("portforward") {
        return Vec::new();
    }
    let object = object_of(event);
    let (Some(namespace), Some(name)) = (&object.namespace, &object.name) else {
        return Vec::new();
    };
    let pod = format!("{namespace}/{name}");
    vec![link(Way::Exec, Grasp::Pod, pod)]
}

fn pod(event: &Event) -> Vec<Link> {
    let pod = event.view(Root::Pod);
    let object = object_of(event);
    let (Some(_), Some(namespace), Some(name)) = (&pod.value, &object.namespace, &object.name)
    else {
        return Vec::new();
    };
    let mut links = vec![link(Way::Pod, Grasp::Pod, format!("{namespace}/{name}"))];
    if is_apart(namespace) {
        let account = pod.text("serviceAccountName").unwrap_or("default");
        let account = service_account(namespace, account);
        links.push(link(Way::Pod, Grasp::Unproven, account));
    }
    links
}
