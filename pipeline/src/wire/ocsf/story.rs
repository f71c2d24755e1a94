//! What is different of a story: it has no event of its own, but findings.

use mitre::catalog;
use serde_json::{Value, json};

use super::{caption, milliseconds};
use crate::alert::{Account, Alert, Part, Told};

/// Puts what is told of a story in the place of what is told of an event.
pub(super) fn set(finding: &mut Value, alert: &Alert, story: &Told) {
    finding["message"] = json!(format!("{}. {}.", alert.rule.title, alert.did));
    let parts = story.parts.iter();
    finding["finding_info"]["related_events"] = parts.clone().map(related).collect();
    finding["finding_info"]["related_events_count"] = json!(alert.count);
    finding["finding_info"]["analytic"]["category"] = json!("Story");
    finding["evidences"] = parts.map(evidence).collect();
    finding["unmapped"]["tidewatch"]["story"] = told(story);
    let own = [
        "object",
        "root",
        "object_count",
        "request",
        "event",
        "outcome",
        "source",
        "silence",
    ];
    for member in own {
        finding["unmapped"]["tidewatch"][member] = Value::Null;
    }
    let of_one_event = [
        "raw_data",
        "raw_data_size",
        "raw_data_hash",
        "resources",
        "action_id",
        "action",
        "disposition_id",
        "disposition",
        "authorizations",
    ];
    for member in of_one_event {
        finding[member] = Value::Null;
    }
    finding["observables"] = story.accounts.iter().flat_map(observables).collect();
    finding["metadata"]["profiles"] = Value::Null;
}

/// A part as a finding that is known by its id.
fn related(part: &Part) -> Value {
    json!({
        "uid": part.uid,
        "type": "Detection Finding",
        "title": part.title,
        "desc": format!("{}: {}", part.actor, part.did),
        "first_seen_time": milliseconds(Some(part.time_us)),
        "count": part.count,
        "severity_id": part.level.points() + 1,
        "severity": caption(part.level),
    })
}

fn evidence(part: &Part) -> Value {
    let tactics = part.tactics.iter().filter_map(|id| catalog::tactic(*id));
    json!({
        "name": part.title,
        "uid": part.uid,
        "actor": { "user": { "name": part.actor } },
        "data": {
            "time": milliseconds(Some(part.time_us)),
            "tactics": tactics.map(|tactic| tactic.name).collect::<Vec<_>>(),
            "did": part.did,
            "outcome": part.outcome,
        },
    })
}

fn observables(account: &Account) -> Vec<Value> {
    let name = ("evidences[].actor.user.name", 4, "User Name", &account.name);
    let clients = account.clients.iter();
    let clients = clients.map(|client| ("evidences[].src_endpoint.ip", 2, "IP Address", client));
    std::iter::once(name)
        .chain(clients)
        .map(|(name, id, kind, value)| json!({ "name": name, "type_id": id, "type": kind, "value": value }))
        .collect()
}

/// Who was in it, and how each came in.
pub(in crate::wire) fn told(story: &Told) -> Value {
    let accounts = story.accounts.iter().map(|account| {
        let joined = account.joined.as_ref().map(
            |(way, by, at_us)| json!({ "way": way, "by": by, "time": milliseconds(Some(*at_us)) }),
        );
        json!({
            "name": account.name,
            "kind": account.kind,
            "clients": account.clients,
            "acted_as": account.acted_as,
            "joined": joined,
        })
    });
    json!({
        "accounts": accounts.collect::<Vec<_>>(),
        "parts": story.parts.iter().map(|part| &part.uid).collect::<Vec<_>>(),
        "left_out": (story.left_out > 0).then_some(story.left_out),
        "absorbed": story.absorbed,
    })
}
