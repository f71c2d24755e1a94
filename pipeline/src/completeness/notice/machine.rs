//! The forms for machines: OCSF 1.8.0 Detection Finding, and ECS 9.
//!
//! As of every finding, `time` and the like are those of what happened, and the id stays the same while `metadata.uid` tells the
//! records of it apart. What has no place in the schema is under `unmapped.tidewatch`. There is no actor: nobody knows who.

use mitre::{ATTACK_VERSION, Technique, catalog};
use serde_json::{Value, json};

use super::about::{LINKS, about, facts, response, state};
use super::{Activity, Proof};
use crate::completeness::{Kind, Notice};
use crate::hex::hex;
use detections::sigma::ast::Level;

/// Our own name, as product and vendor.
const PRODUCT: &str = "Tidewatch";

/// Disable or Modify Tools, which was Impair Defenses before ATT&CK 19.
const TECHNIQUE: &str = "T1685";

/// The technique, as ATT&CK for Containers has it.
pub(super) fn technique() -> Option<&'static Technique> {
    catalog::technique(TECHNIQUE.parse().ok()?)
}

pub(super) fn ocsf(notice: &Notice) -> Value {
    let (activity_id, activity) = match notice.activity {
        Activity::Create => (1, "Create"),
        Activity::Update => (2, "Update"),
        Activity::Close(_) => (3, "Close"),
    };
    let is_over = matches!(notice.activity, Activity::Close(_));
    let (status_id, status) = if is_over { (4, "Resolved") } else { (1, "New") };
    let (confidence_id, confidence) = match notice.counts.proof {
        Proof::None if notice.kind == Kind::Silent => (2, "Medium"),
        _ => (3, "High"),
    };
    let (since_ms, until_ms) = (milliseconds(notice.since_us), milliseconds(notice.until_us));
    let level = notice.level();
    json!({
        "activity_id": activity_id, "activity_name": activity,
        "category_uid": 2, "category_name": "Findings",
        "class_uid": 2004, "class_name": "Detection Finding",
        "type_uid": 200_400 + activity_id, "type_name": format!("Detection Finding: {activity}"),
        "status_id": status_id, "status": status, "status_detail": state(notice),
        "severity_id": level.points() + 1, "severity": caption(level),
        "confidence_id": confidence_id, "confidence": confidence,
        "is_alert": true,
        "message": facts(notice),
        "count": notice.counts.events.max(1),
        "time": since_ms, "start_time": since_ms, "end_time": until_ms,
        "duration": (until_ms - since_ms).max(0),
        "metadata": metadata(notice),
        "finding_info": finding_info(notice),
        "resources": [{
            "name": notice.sender.origin,
            "type": "audit log sender",
            "role_id": 3, "role": "Affected",
            "tags": cluster(notice),
        }],
        "remediation": { "desc": response(notice).join("\n"), "references": LINKS },
        "risk_details": about(notice.kind).why,
        "unmapped": { "tidewatch": numbers(notice) },
    })
}

fn metadata(notice: &Notice) -> Value {
    let uid = hex(&notice.uid());
    let record = if notice.revision <= 1 {
        uid
    } else {
        format!("{uid}.{}", notice.revision)
    };
    json!({
        "version": "1.8.0",
        "product": { "name": PRODUCT, "vendor_name": PRODUCT, "version": env!("CARGO_PKG_VERSION") },
        "uid": record,
        "processed_time": milliseconds(notice.at_us),
        "log_name": "Kubernetes audit log",
        "tags": cluster(notice),
    })
}

fn finding_info(notice: &Notice) -> Value {
    let known = about(notice.kind);
    let (since_ms, until_ms) = (milliseconds(notice.since_us), milliseconds(notice.until_us));
    let tactics = technique().into_iter().flat_map(|known| &known.tactics);
    let attacks = technique().into_iter().flat_map(|known| {
        known.tactics.iter().map(|tactic| {
            json!({
                "version": ATTACK_VERSION,
                "technique": { "uid": known.id.to_string(), "name": known.name, "src_url": known.url },
                "tactic": { "uid": tactic.id.to_string(), "name": tactic.name, "src_url": tactic.url },
            })
        })
    });
    json!({
        "uid": hex(&notice.uid()),
        "title": known.title,
        "desc": known.description,
        "analytic": {
            "uid": notice.kind.rule_id(), "name": notice.kind.rule(), "desc": known.title,
            "version": env!("CARGO_PKG_VERSION"), "type_id": 1, "type": "Rule", "category": "Completeness",
        },
        "attacks": attacks.collect::<Vec<_>>(),
        "types": tactics.map(|tactic| tactic.name).collect::<Vec<_>>(),
        "data_sources": ["Kubernetes audit log", "API server metrics"],
        "created_time": since_ms,
        "first_seen_time": since_ms,
        "last_seen_time": until_ms,
    })
}

/// What there is to count, and nothing else.
fn numbers(notice: &Notice) -> Value {
    let counts = &notice.counts;
    let mut numbers = json!({
        "revision": notice.revision,
        "state": state(notice).to_lowercase(),
        "sender": { "cluster": notice.sender.cluster, "name": notice.sender.origin },
    });
    let own = match notice.kind {
        Kind::Silent => json!({ "emitted": counts.events, "proof": counts.proof }),
        Kind::Missing => json!({
            "missing": counts.events, "emitted": counts.emitted, "arrived": counts.arrived,
        }),
        Kind::Dropped => json!({
            "dropped": counts.events, "plugins": counts.plugins, "requests_rejected": counts.rejected,
        }),
    };
    numbers["counts"] = own;
    numbers
}

fn cluster(notice: &Notice) -> Value {
    json!([{ "name": "cluster", "value": notice.sender.cluster }])
}

fn caption(level: Level) -> &'static str {
    match level {
        Level::Medium => "Medium",
        _ => "High",
    }
}

fn milliseconds(microseconds: i64) -> i64 {
    microseconds.div_euclid(1000)
}

pub(super) fn ecs(notice: &Notice) -> Value {
    let known = about(notice.kind);
    let level = notice.level();
    let technique = technique();
    let tactics = || technique.into_iter().flat_map(|known| &known.tactics);
    json!({
        "@timestamp": moment(notice.since_us),
        "ecs": { "version": "9.0.0" },
        "message": facts(notice),
        "event": {
            "kind": "alert",
            "category": ["intrusion_detection"],
            "type": ["info"],
            "id": hex(&notice.uid()),
            "sequence": notice.revision,
            "action": notice.kind.rule(),
            "outcome": "unknown",
            "reason": known.title,
            "severity": i64::from(level.points()) * 25,
            "created": moment(notice.at_us),
            "start": moment(notice.since_us),
            "end": moment(notice.until_us),
            "module": "tidewatch",
            "dataset": "tidewatch.alert",
        },
        "log": { "level": level.as_str() },
        "rule": {
            "id": notice.kind.rule_id(), "name": known.title, "description": known.description,
            "version": env!("CARGO_PKG_VERSION"), "ruleset": "tidewatch", "reference": LINKS[0],
        },
        "threat": {
            "framework": format!("MITRE ATT&CK {ATTACK_VERSION}"),
            "tactic": {
                "id": tactics().map(|tactic| tactic.id.to_string()).collect::<Vec<_>>(),
                "name": tactics().map(|tactic| tactic.name).collect::<Vec<_>>(),
            },
            "technique": {
                "id": technique.iter().map(|known| known.id.to_string()).collect::<Vec<_>>(),
                "name": technique.iter().map(|known| known.name).collect::<Vec<_>>(),
            },
        },
        "orchestrator": {
            "type": "kubernetes",
            "cluster": { "name": notice.sender.cluster },
        },
        "observer": { "name": notice.sender.origin },
        "labels": { "rule": notice.kind.rule() },
        "tidewatch": { "count": notice.counts.events, "why": known.why, "response": response(notice), "notice": numbers(notice) },
    })
}

fn moment(microseconds: i64) -> Option<String> {
    let time = jiff::Timestamp::from_microsecond(microseconds).ok()?;
    Some(time.to_string())
}
