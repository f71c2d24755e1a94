//! What the schema has no place for.

use serde_json::{Value, json};

use crate::alert::{Alert, Identity, ObjectRef, Step};
use crate::wire::confidence;

/// The content of `unmapped.tidewatch`. Members that say nothing are dropped by the caller.
pub(super) fn tidewatch(alert: &Alert) -> Value {
    let confidence = confidence(alert);
    json!({
        "did": alert.did,
        "steps": steps(alert),
        "why": alert.rule.why,
        "silence": alert.silence,
        "false_positives": alert.rule.false_positives,
        "author": alert.rule.author,
        "unseen": alert.unseen,
        "doubts": confidence.doubts,
        "time_unknown": alert.first_us.is_none().then_some(true),
        "cluster": (!alert.cluster.is_empty()).then_some(&*alert.cluster),
        "severity": severity(alert),
        "outcome": outcome(alert),
        "allowed_by": allowed_by(alert),
        "actor": identity(&alert.actor),
        "effective": alert.effective.as_ref().map(identity),
        "source": source(alert),
        "object": object(&alert.object),
        "root": (alert.root != alert.object).then(|| object(&alert.root)),
        "object_count": alert.object_count,
        "follow_ups": (alert.follow_ups > 0).then_some(alert.follow_ups),
        "request": { "stage": alert.request.stage, "level": alert.request.level },
        "event": event(alert),
    })
}

/// What happened one after the other.
fn steps(alert: &Alert) -> Vec<Value> {
    let step = |step: &Step| {
        let time_ms = step.time_us.div_euclid(1000);
        json!({ "time": time_ms, "did": step.did, "count": step.count })
    };
    alert.steps.iter().map(step).collect()
}

fn severity(alert: &Alert) -> Value {
    let severity = &alert.severity;
    json!({
        "level": severity.level.as_str(),
        "impact": severity.impact,
        "outcome": severity.outcome,
        "actor": severity.actor,
        "reasons": severity.reasons,
    })
}

fn outcome(alert: &Alert) -> Value {
    let outcome = &alert.outcome;
    json!({
        "result": outcome.result, "denied_by": outcome.denied_by, "dry_run": outcome.dry_run,
        "code": outcome.code, "message": outcome.message,
    })
}

fn allowed_by(alert: &Alert) -> Option<Value> {
    let allowed = alert.allowed_by.as_ref()?;
    Some(json!({
        "via": allowed.via,
        "binding": allowed.binding,
        "namespace": allowed.namespace,
        "role_kind": allowed.role_kind,
        "role": allowed.role,
        "subject_kind": allowed.subject_kind,
        "subject": allowed.subject,
    }))
}

/// An empty list of groups and no list are different: the second source does not tell.
fn identity(identity: &Identity) -> Value {
    json!({
        "name": identity.name,
        "kind": identity.kind,
        "canonical": identity.canonical,
        "superuser": identity.superuser,
        "forged": identity.forged,
        "groups_unavailable": identity.groups.is_none().then_some(true),
        "pod": identity.pod,
        "node": identity.node,
    })
}

fn source(alert: &Alert) -> Value {
    let source = &alert.source;
    json!({
        "peer": source.peer,
        "client": source.client,
        "claimed": source.claimed,
        "kind": source.kind,
    })
}

fn object(object: &ObjectRef) -> Value {
    json!({
        "resource": object.resource,
        "subresource": object.subresource,
        "group": object.group,
        "version": object.version,
        "namespace": object.namespace,
        "name": object.name,
        "uid": object.uid,
    })
}

/// Where the first request's event is found again, and how to know it.
fn event(alert: &Alert) -> Value {
    let raw = &alert.raw;
    json!({
        "input": *raw.input,
        "offset": raw.offset,
        "envelope": raw.envelope.as_str(),
        "sha256": raw.sha256,
        "size": raw.size,
        "cut": raw.cut,
        "partial": raw.partial,
    })
}
