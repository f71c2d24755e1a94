//! The objects of a finding: who asked what of which object, from where, and what can be searched
//! for.

use serde_json::{Value, json};

use crate::alert::{Alert, AllowedBy, Identity, ObjectRef, Outcome, Source};

/// What a resource is in the act.
#[derive(Clone, Copy)]
enum Role {
    /// What the request named.
    Target,
    /// What owns it, and is affected by way of it.
    Affected,
}

/// The request with all that surrounds it: one entry, since an act is quoted by its first request.
pub(super) fn evidences(alert: &Alert) -> Vec<Value> {
    let request = &alert.request;
    vec![json!({
        "name": format!("{} {}", request.verb, alert.object.display()),
        "uid": request.audit_id,
        "actor": { "user": user(&alert.actor), "authorizations": authorizations(alert) },
        "user": alert.effective.as_ref().map(user),
        "api": api(alert),
        "http_request": http_request(alert),
        "http_response": http_response(&alert.outcome),
        "src_endpoint": src_endpoint(&alert.source),
        "resources": resources(alert),
        "data": { "matched": matched(alert), "facts": facts(alert) },
    })]
}

fn matched(alert: &Alert) -> Vec<Value> {
    let lines = alert.evidence.iter().map(|evidence| {
        json!({
            "selection": evidence.selection, "line": evidence.line, "text": evidence.text,
            "field": evidence.field, "values": evidence.values,
        })
    });
    lines.collect()
}

fn facts(alert: &Alert) -> Vec<Value> {
    alert
        .details
        .iter()
        .map(|detail| json!({ "label": detail.label, "value": detail.value }))
        .collect()
}

/// An account. Its type is OCSF's nearest; our finer kind is in `unmapped`.
fn user(identity: &Identity) -> Value {
    let (type_id, caption) = match identity.kind.as_str() {
        _ if identity.superuser => (2, "Admin"),
        "human" => (1, "User"),
        "node" | "control_plane" => (3, "System"),
        "service_account" => (4, "Service"),
        "" => (0, "Unknown"),
        other => (99, other),
    };
    let groups = identity
        .groups
        .iter()
        .flatten()
        .map(|group| json!({ "name": group }));
    let is_alias = !identity.canonical.is_empty() && identity.canonical != identity.name;
    json!({
        "name": identity.name,
        "uid": identity.uid,
        "uid_alt": is_alias.then_some(&identity.canonical),
        "type_id": type_id,
        "type": caption,
        "groups": groups.collect::<Vec<_>>(),
        "credential_uid": identity.credential,
    })
}

/// What allowed the request, and what denied it: admission denies what RBAC allowed.
pub(super) fn authorizations(alert: &Alert) -> Vec<Value> {
    let allowed = alert.allowed_by.as_ref().map(|allowed| {
        let name = allowed.binding.as_deref().unwrap_or(&allowed.via);
        json!({
            "decision": "allowed",
            "policy": {
                "name": name,
                "type": allowed.via,
                "desc": grant(allowed),
                "is_applied": true,
            },
        })
    });
    let denied = alert.outcome.denied_by.as_ref().map(|by| {
        json!({
            "decision": "denied",
            "policy": { "name": by, "type": by, "desc": alert.outcome.message },
        })
    });
    allowed.into_iter().chain(denied).collect()
}

/// The grant in words: `RoleBinding web/fe-admin → ClusterRole admin, for Group developers`.
pub(in crate::wire) fn grant(allowed: &AllowedBy) -> Option<String> {
    let binding = allowed.binding.as_deref()?;
    let namespace = allowed
        .namespace
        .as_ref()
        .map(|namespace| format!("{namespace}/"))
        .unwrap_or_default();
    let role = allowed.role.as_ref().map(|role| {
        let kind = allowed.role_kind.as_deref().unwrap_or("role");
        format!(" → {kind} {role}")
    });
    let subject = allowed.subject.as_ref().map(|subject| {
        let kind = allowed.subject_kind.as_deref().unwrap_or("subject");
        format!(", for {kind} {subject}")
    });
    Some(format!(
        "{} {namespace}{binding}{}{}",
        allowed.via,
        role.unwrap_or_default(),
        subject.unwrap_or_default()
    ))
}

fn api(alert: &Alert) -> Value {
    let (object, outcome) = (&alert.object, &alert.outcome);
    json!({
        "operation": if alert.request.verb.is_empty() { "unknown" } else { &alert.request.verb },
        "group": (!object.group.is_empty()).then(|| json!({ "name": object.group })),
        "version": object.version,
        "service": { "name": "kube-apiserver" },
        "request": alert.request.audit_id.as_ref().map(|id| {
            json!({ "uid": id, "flags": if outcome.dry_run { vec!["dryRun"] } else { Vec::new() } })
        }),
        "response": { "code": outcome.code, "message": outcome.message },
    })
}

fn http_request(alert: &Alert) -> Value {
    let uri = &alert.request.uri;
    let (path, query) = uri
        .split_once('?')
        .map_or((uri.as_str(), None), |(path, query)| (path, Some(query)));
    let url = (!path.is_empty()).then(|| json!({ "path": path, "query_string": query }));
    json!({
        "http_method": http_method(&alert.request.verb),
        "url": url,
        "user_agent": alert.source.user_agent,
        "x_forwarded_for": alert.source.claimed,
    })
}

fn http_response(outcome: &Outcome) -> Option<Value> {
    let code = outcome.code?;
    Some(json!({ "code": code, "message": outcome.message }))
}

/// The method that the API server makes this verb of; requests for no resource have the method as
/// verb.
fn http_method(verb: &str) -> Option<&'static str> {
    Some(match verb {
        "get" | "list" | "watch" => "GET",
        "create" | "post" => "POST",
        "update" | "put" => "PUT",
        "patch" => "PATCH",
        "delete" | "deletecollection" => "DELETE",
        "head" => "HEAD",
        "options" => "OPTIONS",
        _ => return None,
    })
}

/// The client, and the proxy through which the API server saw it.
fn src_endpoint(source: &Source) -> Option<Value> {
    let client = source.client.as_ref().or(source.peer.as_ref())?;
    let proxy = source.peer.as_ref().filter(|peer| *peer != client);
    let scope = match source.kind.as_deref() {
        Some("public") => Some((2, "External")),
        Some("private" | "loopback" | "link_local") => Some((1, "Internal")),
        _ => None,
    };
    Some(json!({
        "name": client,
        "ip": client,
        "network_scope_id": scope.map(|(id, _)| id),
        "network_scope": scope.map(|(_, caption)| caption),
        "proxy_endpoint": proxy.map(|peer| json!({ "name": peer, "ip": peer })),
    }))
}

/// The target, its owner, and further targets.
pub(super) fn resources(alert: &Alert) -> Vec<Value> {
    let mut resources = vec![resource(&alert.object, Role::Target, alert)];
    if alert.root != alert.object {
        resources.push(resource(&alert.root, Role::Affected, alert));
    }
    let others = alert
        .other_objects
        .iter()
        .filter(|other| **other != alert.object && **other != alert.root);
    resources.extend(others.map(|other| resource(other, Role::Target, alert)));
    resources
}

/// A resource. What has no name, a list, is called by its plural: the schema wants a name.
fn resource(object: &ObjectRef, role: Role, alert: &Alert) -> Value {
    let (role_id, caption) = match role {
        Role::Target => (1, "Target"),
        Role::Affected => (3, "Affected"),
    };
    let cluster = (!alert.cluster.is_empty())
        .then(|| json!([{ "name": "cluster", "value": *alert.cluster }]));
    let api_group = (!object.group.is_empty()).then_some(&object.group);
    json!({
        "name": object.name.as_deref().unwrap_or(&object.resource),
        "uid": object.uid,
        "namespace": object.namespace,
        "type": object.resource,
        "version": api_version(object),
        "role_id": role_id,
        "role": caption,
        "tags": cluster,
        "data": { "subresource": object.subresource, "api_group": api_group },
    })
}

/// As manifests write it: `v1`, `rbac.authorization.k8s.io/v1`.
fn api_version(object: &ObjectRef) -> Option<String> {
    let version = object.version.as_ref()?;
    Some(if object.group.is_empty() {
        version.clone()
    } else {
        format!("{}/{version}", object.group)
    })
}

/// What an analyst pivots on, each once, by the place where it stands.
pub(super) fn observables(alert: &Alert) -> Vec<Value> {
    let source = &alert.source;
    let user = "evidences[].actor.user";
    let mut observables: Vec<Value> = Vec::new();
    let mut add = |name: String, (type_id, caption): (u8, &str), value: Option<&str>| {
        let observable = value.filter(|value| !value.is_empty()).map(
            |value| json!({ "name": name, "type_id": type_id, "type": caption, "value": value }),
        );
        observables.extend(observable);
    };
    add(format!("{user}.name"), USER_NAME, Some(&alert.actor.name));
    add(
        format!("{user}.credential_uid"),
        CREDENTIAL,
        alert.actor.credential.as_deref(),
    );
    add(
        "evidences[].user.name".to_owned(),
        USER_NAME,
        alert.effective.as_ref().map(|user| user.name.as_str()),
    );
    add(
        "evidences[].src_endpoint.ip".to_owned(),
        IP_ADDRESS,
        source.client.as_deref(),
    );
    let proxy = source
        .peer
        .as_deref()
        .filter(|peer| source.client.as_deref() != Some(peer));
    add(
        "evidences[].src_endpoint.proxy_endpoint.ip".to_owned(),
        IP_ADDRESS,
        proxy,
    );
    for claimed in &source.claimed {
        add(
            "evidences[].http_request.x_forwarded_for".to_owned(),
            IP_ADDRESS,
            Some(claimed),
        );
    }
    add(
        "evidences[].http_request.user_agent".to_owned(),
        USER_AGENT,
        source.user_agent.as_deref(),
    );
    add(
        "resources[].uid".to_owned(),
        RESOURCE_UID,
        alert.object.uid.as_deref(),
    );
    for line in alert
        .evidence
        .iter()
        .filter(|evidence| evidence.field == "exec.line")
    {
        add(
            "evidences[].data.matched".to_owned(),
            COMMAND_LINE,
            line.values.first().map(String::as_str),
        );
    }
    observables.dedup();
    observables
}

const IP_ADDRESS: (u8, &str) = (2, "IP Address");
const USER_NAME: (u8, &str) = (4, "User Name");
const RESOURCE_UID: (u8, &str) = (10, "Resource UID");
const COMMAND_LINE: (u8, &str) = (13, "Command Line");
const USER_AGENT: (u8, &str) = (16, "HTTP User-Agent");
const CREDENTIAL: (u8, &str) = (19, "User Credential ID");
