//! OCSF Detection Finding (class 2004) in schema 1.8.0.
//!
//! What has a place in the schema goes there; the rest is under `unmapped.tidewatch`. Nothing is
//! invented: what an audit log cannot know (a risk score, a verdict, a device) is left out.
//!
//! The same alert gives the same bytes, but for `metadata.processed_time`. That is why every other
//! time is event time:
//!
//! * `time` and `finding_info.created_time` are the first request's. The schema demands `time`;
//!   where no event told one it is 0, which no reader takes for a date and every run agrees on, and
//!   `unmapped.tidewatch.time_unknown` says so.
//! * `start_time`, `end_time` and the like are left out if unknown.
//!
//! Three choices that a reader may wonder about:
//!
//! * `raw_data_hash` is, as the schema says, the hash of `raw_data`, which is redacted and may be
//!   cut; the hash of the event as it was logged, by which it is found again, is
//!   `unmapped.tidewatch.event.sha256`.
//! * `action_id` and `disposition_id` (profile `security_control`) tell what the API server did
//!   with the request, because that is the control at work. `status_id` is the finding's own: new.
//! * `finding_info.attacks` has one entry per technique and tactic, since `tactics` is deprecated
//!   in favour of `tactic`.

mod evidence;
mod story;
mod unmapped;

pub(super) use evidence::grant;
pub(super) use story::told;

use std::fmt::Write as _;

use detections::event::Envelope;
use detections::sigma::ast::Level;
use mitre::{ATTACK_VERSION, TacticId, Technique, TechniqueId, catalog};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{confidence, outcome_words};
use crate::alert::{Alert, RuleInfo};
use crate::correlate::Said;
use crate::hex::hex;

/// The schema's version.
const SCHEMA_VERSION: &str = "1.8.0";

/// Our own name, as product and vendor.
const PRODUCT: &str = "Tidewatch";

/// The alert as one OCSF object. `processed_time_ms` is the time of writing.
#[must_use]
pub fn to_json(alert: &Alert, processed_time_ms: i64) -> Value {
    let finding = json!({
        "activity_id": 1, "activity_name": "Create",
        "category_uid": 2, "category_name": "Findings",
        "class_uid": 2004, "class_name": "Detection Finding",
        "type_uid": 200_401, "type_name": "Detection Finding: Create",
        "status_id": 1, "status": "New",
        "is_alert": true,
        "message": message(alert),
        "count": alert.count,
        "metadata": metadata(alert, processed_time_ms),
        "finding_info": finding_info(alert),
        "evidences": evidence::evidences(alert),
        "resources": evidence::resources(alert),
        "observables": evidence::observables(alert),
        "remediation": remediation(&alert.rule),
        "risk_details": alert.rule.why,
        "raw_data": alert.raw.text,
        "raw_data_size": alert.raw.size,
        "raw_data_hash": sha256(&alert.raw.text),
        "unmapped": { "tidewatch": unmapped::tidewatch(alert) },
    });
    let parts = [finding, times(alert), judgement(alert), control(alert)];
    let members = parts.into_iter().filter_map(|part| {
        if let Value::Object(members) = part {
            Some(members)
        } else {
            None
        }
    });
    let mut finding = Value::Object(members.flatten().collect());
    if let Some(told) = &alert.story {
        story::set(&mut finding, alert, told);
    }
    without_nothing(finding)
}

/// The alert as one line of JSON, without its end of line.
///
/// JSON leaves control characters above U+007F as they are; a terminal obeys some of them, so they
/// are escaped, as are the marks that reorder text.
#[must_use]
pub fn to_line(alert: &Alert, processed_time_ms: i64) -> String {
    line(&to_json(alert, processed_time_ms))
}

/// Turns the record of a new finding into a later one: `revision` counts them, and tells them apart.
pub fn revise(finding: &mut Value, said: Said, revision: u32) {
    if revision <= 1 && said == Said::Created {
        return;
    }
    let (id, name) = match said {
        Said::Created => (1, "Create"),
        Said::Updated => (2, "Update"),
        Said::Closed => (3, "Close"),
    };
    finding["activity_id"] = json!(id);
    finding["activity_name"] = json!(name);
    finding["type_uid"] = json!(200_400 + id);
    finding["type_name"] = json!(format!("Detection Finding: {name}"));
    let uid = finding["finding_info"]["uid"].as_str().unwrap_or_default();
    finding["metadata"]["uid"] = json!(format!("{uid}.{revision}"));
    finding["unmapped"]["tidewatch"]["revision"] = json!(revision);
    if said == Said::Closed {
        finding["status_id"] = json!(3);
        finding["status"] = json!("Suppressed");
        finding["status_detail"] = json!("part of another finding, as turned out later");
    }
}

/// A finding as one line.
#[must_use]
pub fn line(finding: &Value) -> String {
    let json = finding.to_string();
    let mut line = String::with_capacity(json.len());
    for character in json.chars() {
        if super::text::is_deceptive(character) {
            // Outside of ASCII these stand in strings only, where an escape means the same.
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _infallible = write!(line, "\\u{unit:04x}");
            }
        } else {
            line.push(character);
        }
    }
    line
}

/// Members of objects that say nothing (null, empty lists and objects) are left out, since the
/// schema knows no null. What stands in a list was put there on purpose.
pub(super) fn without_nothing(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members
                .into_iter()
                .map(|(key, value)| (key, without_nothing(value)));
            Value::Object(kept.filter(|(_, value)| !is_nothing(value)).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_nothing).collect()),
        scalar => scalar,
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

/// One sentence: who did what, with which outcome, from where, how often.
pub(super) fn message(alert: &Alert) -> String {
    let as_whom = alert
        .effective
        .as_ref()
        .map(|effective| format!(" as {}", effective.name))
        .unwrap_or_default();
    let origin = alert
        .source
        .client
        .as_ref()
        .map(|client| format!(", from {client}"))
        .unwrap_or_default();
    let times = if alert.count > 1 {
        format!(", {} times", alert.count)
    } else {
        String::new()
    };
    let outcome = outcome_words(&alert.outcome).to_lowercase();
    format!(
        "{}{as_whom} {}{origin}{times}: {outcome}.",
        alert.actor.name, alert.did
    )
}

fn milliseconds(microseconds: Option<i64>) -> Option<i64> {
    microseconds.map(|time| time.div_euclid(1000))
}

fn times(alert: &Alert) -> Value {
    let (first, last) = (milliseconds(alert.first_us), milliseconds(alert.last_us));
    let duration = first
        .zip(last)
        .map(|(first, last)| last.saturating_sub(first).max(0));
    json!({
        "time": first.unwrap_or(0),
        "start_time": first,
        "end_time": last,
        "duration": duration,
    })
}

fn caption(level: Level) -> &'static str {
    match level {
        Level::Informational => "Informational",
        Level::Low => "Low",
        Level::Medium => "Medium",
        Level::High => "High",
        Level::Critical => "Critical",
    }
}

/// Severity, impact, confidence. OCSF's impact starts at low, so impact 0 (inventory) is none.
fn judgement(alert: &Alert) -> Value {
    let confidence = confidence(alert);
    let impact = Level::ALL
        .into_iter()
        .find(|level| level.points() == alert.severity.impact);
    let impact = impact.filter(|level| *level > Level::Informational);
    json!({
        "severity_id": alert.severity.level.points() + 1,
        "severity": caption(alert.severity.level),
        "impact_id": impact.map(Level::points),
        "impact": impact.map(caption),
        "confidence_id": confidence.id,
        "confidence": confidence.caption,
    })
}

/// What the API server did with the request.
fn control(alert: &Alert) -> Value {
    let (action, disposition) = match alert.outcome.result.as_str() {
        "success" => ((1, "Allowed"), Some((1, "Allowed"))),
        "denied" => ((2, "Denied"), Some((2, "Blocked"))),
        "failed" => ((99, "Failed"), None),
        _ => ((0, "Unknown"), None),
    };
    json!({
        "action_id": action.0,
        "action": action.1,
        "disposition_id": disposition.map(|(id, _)| id),
        "disposition": disposition.map(|(_, caption)| caption),
        "authorizations": evidence::authorizations(alert),
        "cloud": cloud(alert).map(|provider| json!({ "provider": provider })),
        "status_code": alert.outcome.code.map(|code| code.to_string()),
        "status_detail": alert.outcome.message,
    })
}

/// The provider, where the envelope is its own. The API server's own form may come from anywhere.
fn cloud(alert: &Alert) -> Option<&'static str> {
    match alert.raw.envelope {
        Envelope::Raw => None,
        Envelope::Aks => Some("Azure"),
        Envelope::Eks => Some("AWS"),
        Envelope::Gke => Some("GCP"),
    }
}

fn metadata(alert: &Alert, processed_time_ms: i64) -> Value {
    let mut profiles = vec!["security_control"];
    profiles.extend(cloud(alert).map(|_| "cloud"));
    let cluster = (!alert.cluster.is_empty())
        .then(|| json!([{ "name": "cluster", "value": *alert.cluster }]));
    json!({
        "version": SCHEMA_VERSION,
        "product": {
            "name": PRODUCT,
            "vendor_name": PRODUCT,
            "version": env!("CARGO_PKG_VERSION"),
        },
        "uid": alert.uid,
        "profiles": profiles,
        "processed_time": processed_time_ms,
        "log_name": "Kubernetes audit log",
        "log_level": alert.request.level,
        "original_event_uid": alert.request.audit_id,
        "original_time": alert.first_us.and_then(timestamp),
        "is_truncated": alert.raw.cut || alert.raw.partial,
        "untruncated_size": alert.raw.cut.then_some(alert.raw.size),
        "labels": alert.rule.tags,
        "tags": cluster,
    })
}

fn timestamp(microseconds: i64) -> Option<String> {
    jiff::Timestamp::from_microsecond(microseconds)
        .ok()
        .map(|time| time.to_string())
}

fn finding_info(alert: &Alert) -> Value {
    let rule = &*alert.rule;
    let (first, last) = (milliseconds(alert.first_us), milliseconds(alert.last_us));
    let tactics = rule
        .tactics
        .iter()
        .filter_map(|id| catalog::tactic(*id))
        .map(|tactic| tactic.name);
    json!({
        "uid": alert.uid,
        "title": rule.title,
        "desc": rule.description,
        "analytic": {
            "uid": rule.id, "name": rule.name, "desc": rule.title, "version": rule.version,
            "type_id": 1, "type": "Rule", "category": "Sigma",
        },
        "attacks": attacks(rule),
        "types": tactics.collect::<Vec<_>>(),
        "data_sources": [format!("Kubernetes audit log ({})", alert.raw.envelope.as_str())],
        "created_time": first,
        "first_seen_time": first,
        "last_seen_time": last,
    })
}

fn remediation(rule: &RuleInfo) -> Option<Value> {
    let desc = rule.response.join("\n");
    (!desc.is_empty()).then(|| json!({ "desc": desc, "references": rule.references }))
}

/// One entry per technique and tagged tactic that it serves; techniques without one and tactics
/// without technique stand alone.
fn attacks(rule: &RuleInfo) -> Vec<Value> {
    let mut attacks = Vec::new();
    let mut served: Vec<TacticId> = Vec::new();
    for id in &rule.techniques {
        let id = catalog::current(*id);
        let known = catalog::technique(id);
        let tactics: Vec<TacticId> = rule
            .tactics
            .iter()
            .copied()
            .filter(|tactic| serves(known, *tactic))
            .collect();
        if tactics.is_empty() {
            attacks.push(attack(Some(id), None));
        }
        attacks.extend(tactics.iter().map(|tactic| attack(Some(id), Some(*tactic))));
        served.extend(tactics);
    }
    let alone = rule
        .tactics
        .iter()
        .filter(|tactic| !served.contains(tactic));
    attacks.extend(alone.map(|tactic| attack(None, Some(*tactic))));
    attacks
}

fn serves(technique: Option<&'static Technique>, tactic: TacticId) -> bool {
    technique.is_some_and(|technique| technique.tactics.iter().any(|served| served.id == tactic))
}

fn attack(technique: Option<TechniqueId>, tactic: Option<TacticId>) -> Value {
    let mut attack = Map::new();
    attack.insert("version".to_owned(), ATTACK_VERSION.into());
    if let Some(tactic) = tactic {
        let known = catalog::tactic(tactic);
        let named = json!({
            "uid": tactic.to_string(),
            "name": known.map(|tactic| tactic.name),
            "src_url": known.map(|tactic| tactic.url.as_str()),
        });
        attack.insert("tactic".to_owned(), named);
    }
    if let Some(id) = technique {
        attack.insert(
            "technique".to_owned(),
            named_technique(id.parent().unwrap_or(id)),
        );
        if id.is_subtechnique() {
            attack.insert("sub_technique".to_owned(), named_technique(id));
        }
    }
    Value::Object(attack)
}

/// A technique that is not on the Containers platform is named by its id alone.
fn named_technique(id: TechniqueId) -> Value {
    let known = catalog::technique(id);
    json!({
        "uid": id.to_string(),
        "name": known.map(|technique| technique.name),
        "src_url": known.map(|technique| technique.url.as_str()),
    })
}

fn sha256(text: &str) -> Option<Value> {
    let digest = Sha256::digest(text.as_bytes());
    (!text.is_empty())
        .then(|| json!({ "algorithm": "SHA-256", "algorithm_id": 3, "value": hex(&digest) }))
}

#[cfg(test)]
mod tests;
