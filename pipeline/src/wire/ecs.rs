//! Elastic Common Schema 9: an alert of a detector outside of Kibana is `event.kind: alert`.
//!
//! Fields of ECS only, and one flattened object of ours, `tidewatch`. The event itself is a string (`event.original`), so that no
//! mapping ever explodes or conflicts.

use serde_json::{Value, json};

use super::outcome_words;
use crate::alert::{Alert, Identity};
use mitre::{ATTACK_VERSION, catalog};

/// The schema's version.
const ECS_VERSION: &str = "9.0.0";

/// The alert as one line of JSON. `processed_ms` is the time of writing.
#[must_use]
pub fn to_line(alert: &Alert, processed_ms: i64, revision: u32) -> String {
    super::ocsf::line(&to_json(alert, processed_ms, revision))
}

/// The alert as one ECS document. Its `_id` at the receiver should be `event.id`: an update replaces what came before.
#[must_use]
pub fn to_json(alert: &Alert, processed_ms: i64, revision: u32) -> Value {
    let rule = &*alert.rule;
    super::ocsf::without_nothing(json!({
        "@timestamp": time(alert.first_us.map_or(processed_ms, |time| time.div_euclid(1000))),
        "ecs": { "version": ECS_VERSION },
        "message": super::ocsf::message(alert),
        "event": {
            "kind": "alert",
            "category": ["intrusion_detection"],
            "type": ["info"],
            "id": alert.uid,
            "sequence": revision,
            "action": alert.request.verb,
            "outcome": outcome(alert),
            "reason": alert.did,
            "severity": (i64::from(alert.severity.level.points()) * 25).clamp(1, 99),
            "created": time(processed_ms),
            "start": alert.first_us.map(|at| time(at.div_euclid(1000))),
            "end": alert.last_us.map(|at| time(at.div_euclid(1000))),
            "module": "tidewatch",
            "dataset": "tidewatch.alert",
            "original": (!alert.raw.text.is_empty()).then_some(&alert.raw.text),
        },
        "log": { "level": alert.severity.level.as_str() },
        "rule": {
            "id": rule.id, "name": rule.title, "description": rule.description, "version": rule.version,
            "ruleset": "tidewatch", "reference": rule.references.first(), "author": rule.author.as_ref().map(|author| [author]),
        },
        "threat": threat(alert),
        "orchestrator": {
            "type": "kubernetes",
            "cluster": { "name": *alert.cluster },
            "namespace": alert.object.namespace,
            "resource": { "type": alert.object.resource, "name": alert.object.name, "id": alert.object.uid },
        },
        "user": user(alert),
        "source": { "ip": alert.source.client, "address": alert.source.client },
        "user_agent": { "original": alert.source.user_agent },
        "url": { "original": alert.request.uri },
        "related": related(alert),
        "labels": { "rule": rule.name },
        "tidewatch": {
            "count": alert.count,
            "follow_ups": alert.follow_ups,
            "outcome": outcome_words(&alert.outcome),
            "audit_id": alert.request.audit_id,
            "response": rule.response,
            "why": rule.why,
            "story": alert.story.as_ref().map(super::ocsf::told),
        },
    }))
}

fn time(milliseconds: i64) -> Option<String> {
    let time = jiff::Timestamp::from_millisecond(milliseconds).ok()?;
    Some(time.to_string())
}

fn outcome(alert: &Alert) -> &'static str {
    match alert.outcome.result.as_str() {
        "success" => "success",
        "denied" | "failed" => "failure",
        _ => "unknown",
    }
}

fn user(alert: &Alert) -> Value {
    let named = |identity: &Identity| json!({ "name": identity.name, "id": identity.uid });
    let mut user = named(&alert.actor);
    user["roles"] = json!(alert.actor.groups);
    user["effective"] = json!(alert.effective.as_ref().map(named));
    user
}

fn threat(alert: &Alert) -> Value {
    let tactics: Vec<_> = alert
        .rule
        .tactics
        .iter()
        .filter_map(|id| catalog::tactic(*id))
        .collect();
    let techniques: Vec<_> = alert
        .rule
        .techniques
        .iter()
        .filter_map(|id| catalog::technique(*id))
        .collect();
    json!({
        "framework": format!("MITRE ATT&CK {ATTACK_VERSION}"),
        "tactic": {
            "id": tactics.iter().map(|tactic| tactic.id.to_string()).collect::<Vec<_>>(),
            "name": tactics.iter().map(|tactic| tactic.name).collect::<Vec<_>>(),
        },
        "technique": {
            "id": techniques.iter().map(|technique| technique.id.to_string()).collect::<Vec<_>>(),
            "name": techniques.iter().map(|technique| technique.name).collect::<Vec<_>>(),
        },
    })
}

fn related(alert: &Alert) -> Value {
    let users = std::iter::once(&alert.actor).chain(&alert.effective);
    let addresses = alert.source.peer.iter().chain(&alert.source.client);
    let mut addresses: Vec<_> = addresses.collect();
    addresses.dedup();
    json!({
        "user": users.map(|user| &user.name).filter(|name| !name.is_empty()).collect::<Vec<_>>(),
        "ip": addresses,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::fixture;

    #[test]
    fn what_a_reader_of_ecs_asks_for_is_there() {
        let ecs = to_json(&fixture::exec(), 1_700_000_000_000, 2);
        assert_eq!(ecs["event"]["kind"], "alert");
        assert_eq!(ecs["event"]["sequence"], 2);
        for place in [
            "/rule/name",
            "/threat/technique/id/0",
            "/orchestrator/cluster/name",
            "/user/name",
            "/event/original",
        ] {
            assert!(ecs.pointer(place).is_some(), "{place} is missing: {ecs:#}");
        }
    }
}
