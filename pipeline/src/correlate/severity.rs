//! The rubric: level = clamp(impact + outcome + actor, 0 … 4). The alert shows the sum.

use detections::event::Event;
use detections::sigma::ast::{Header, Level};
use detections::views::Root;
use serde_json::Value;

use crate::alert::Severity;

/// Scores a finding. `automation` are names of accounts that the installation declares as its automation.
#[must_use]
pub fn score(rule: &Header, event: &Event, automation: &[String]) -> Severity {
    let mut severity = Severity {
        level: rule.level,
        impact: rule.level.points(),
        outcome: 0,
        actor: 0,
        reasons: Vec::new(),
    };
    score_outcome(event, &mut severity);
    score_actor(rule, event, automation, &mut severity);
    let sum = Level::of_points(severity.impact + severity.outcome + severity.actor);
    severity.level = bounded(sum, rule, event, &mut severity.reasons);
    severity
}

fn score_outcome(event: &Event, severity: &mut Severity) {
    let outcome = event.view(Root::Outcome);
    if let Some(result @ ("denied" | "failed")) = outcome.text("result") {
        severity.outcome = -1;
        severity.reasons.push(format!("outcome −1: {result}"));
    }
}

fn score_actor(rule: &Header, event: &Event, automation: &[String], severity: &mut Severity) {
    let actor = event.view(Root::Actor);
    let name = actor.text("name").unwrap_or_default();
    let (points, reason) = if actor.text("kind") == Some("anonymous") {
        (1, "anonymous")
    } else if is_stolen_token(event) {
        (
            1,
            "a workload's account used with kubectl from a public address",
        )
    } else if automation.iter().any(|known| known == name) {
        (-1, "declared automation")
    } else if rule.is_grant() && holds_everything(event) && !grants_to_anonymous(event) {
        (-1, "already holds the power it grants")
    } else {
        return;
    };
    severity.actor = points;
    let sign = if points > 0 { "+1" } else { "−1" };
    severity.reasons.push(format!("actor {sign}: {reason}"));
}

/// Pods do not run kubectl from the internet. Without a baseline this is all that tells a stolen token.
fn is_stolen_token(event: &Event) -> bool {
    let agent = event.text(&["userAgent"]).unwrap_or_default();
    event.view(Root::Actor).text("kind") == Some("service_account")
        && event.view(Root::Source).text("kind") == Some("public")
        && agent.starts_with("kubectl")
}

/// Whether the actor may do everything: nothing that it does gives it more power.
pub(crate) fn holds_everything(event: &Event) -> bool {
    let allowed = event.view(Root::Rbac).get("allowed_by");
    let text = |key: &str| {
        allowed
            .and_then(|allowed| allowed.get(key))
            .and_then(Value::as_str)
    };
    event.view(Root::Actor).flag("superuser")
        || (text("via") == Some("ClusterRoleBinding") && text("role") == Some("cluster-admin"))
}

fn grants_to_anonymous(event: &Event) -> bool {
    let subjects = event
        .view(Root::ChangeRbac)
        .get("subjects")
        .and_then(Value::as_array);
    let names = subjects
        .into_iter()
        .flatten()
        .filter_map(|subject| subject.get("name")?.as_str());
    let mut names =
        names.filter(|name| matches!(*name, "system:anonymous" | "system:unauthenticated"));
    names.next().is_some()
}

fn bounded(sum: Level, rule: &Header, event: &Event, reasons: &mut Vec<String>) -> Level {
    let outcome = event.view(Root::Outcome);
    if outcome.flag("dry_run") && sum > Level::Low {
        reasons.push("at most low: a dry run changes nothing".to_owned());
        return Level::Low;
    }
    if rule.is_forgery() {
        if sum < Level::High {
            reasons.push("at least high: a forged privileged identity".to_owned());
        }
        return sum.max(Level::High);
    }
    if matches!(outcome.text("result"), Some("denied" | "failed")) && sum > Level::Medium {
        reasons.push("at most medium: it did not succeed".to_owned());
        return Level::Medium;
    }
    sum
}
