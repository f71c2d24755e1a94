//! Decoded facts beside the deed: images, host paths, certificate subjects, grants.

use detections::event::Event;
use detections::views::Root;
use serde_json::Value;

use crate::alert::Detail;
use crate::redact;

use super::strings;

/// Facts listed per label; a chart may introduce dozens of containers.
const SHOWN_MAX: usize = 6;

/// What the views decoded.
pub(crate) fn of(event: &Event) -> Vec<Detail> {
    let mut details = Vec::new();
    pod(event, &mut details);
    rbac(event, &mut details);
    certificate(event, &mut details);
    exposure(event, &mut details);
    if event.view(Root::Exec).flag("residual") {
        push(
            "encoding",
            vec!["the command was percent-encoded twice".to_owned()],
            &mut details,
        );
    }
    details
}

fn push(label: &'static str, mut values: Vec<String>, details: &mut Vec<Detail>) {
    values.dedup();
    let more = values.len().saturating_sub(SHOWN_MAX);
    values.truncate(SHOWN_MAX);
    if values.is_empty() {
        return;
    }
    let more = if more > 0 {
        format!(", and {more} more")
    } else {
        String::new()
    };
    let value = redact::text(&values.join(", ")).into_owned() + &more;
    details.push(Detail { label, value });
}

fn list(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key)?.as_str()
}

fn pod(event: &Event, details: &mut Vec<Detail>) {
    let pod = event.view(Root::ChangePod);
    let containers = list(pod.get("containers")).filter_map(|container| {
        let image = text(container, "image")?;
        let name = text(container, "name").unwrap_or("?");
        let privileged = container
            .pointer("/securityContext/privileged")
            .and_then(Value::as_bool)
            == Some(true);
        let added: Vec<&str> = list(container.pointer("/securityContext/capabilities/add"))
            .filter_map(Value::as_str)
            .collect();
        let marks = [
            privileged.then(|| "privileged".to_owned()),
            (!added.is_empty()).then(|| format!("+{}", added.join(" +"))),
        ];
        let marks: Vec<String> = marks.into_iter().flatten().collect();
        let marks = if marks.is_empty() {
            String::new()
        } else {
            format!(" ({})", marks.join(", "))
        };
        Some(format!("{name}: {image}{marks}"))
    });
    push("containers", containers.collect(), details);
    let mounts = list(pod.get("host_mounts")).filter_map(|mount| {
        let read_only = mount.get("read_only").and_then(Value::as_bool) == Some(true);
        Some(format!(
            "{}{}",
            text(mount, "path")?,
            if read_only { " (read-only)" } else { "" }
        ))
    });
    push("host paths", mounts.collect(), details);
    let flags = ["hostNetwork", "hostPID", "hostIPC"]
        .into_iter()
        .filter(|flag| pod.flag(flag))
        .map(ToOwned::to_owned);
    push("host namespaces", flags.collect(), details);
}

fn rbac(event: &Event, details: &mut Vec<Detail>) {
    let rbac = event.view(Root::Rbac);
    let change = event.view(Root::ChangeRbac);
    let joined = |rule: &Value, key: &str| {
        let words: Vec<&str> = list(rule.get(key)).filter_map(Value::as_str).collect();
        words.join("/")
    };
    let rules = list(change.get("rules")).map(|rule| {
        let resources = [joined(rule, "resources"), joined(rule, "nonResourceURLs")].concat();
        format!("{} on {resources}", joined(rule, "verbs"))
    });
    push("rules", rules.collect(), details);
    if let Some(role) = rbac.get("role") {
        let role = format!(
            "{} {}",
            text(role, "kind").unwrap_or("role"),
            text(role, "name").unwrap_or("?")
        );
        push("grants", vec![role], details);
    }
    let subjects = list(change.get("subjects")).filter_map(|subject| {
        Some(format!(
            "{} {}",
            text(subject, "kind").unwrap_or("subject"),
            text(subject, "canonical").or(text(subject, "name"))?
        ))
    });
    push("to", subjects.collect(), details);
    push(
        "aggregates to",
        strings(change, "aggregates_to")
            .into_iter()
            .map(ToOwned::to_owned)
            .collect(),
        details,
    );
}

fn certificate(event: &Event, details: &mut Vec<Detail>) {
    let csr = event.view(Root::Csr);
    let of = |key: &str| {
        csr.text(key)
            .map(ToOwned::to_owned)
            .into_iter()
            .collect::<Vec<_>>()
    };
    push("subject", of("subject_text"), details);
    push("signer", of("signer"), details);
    push("requested by", of("requestor"), details);
}

fn exposure(event: &Event, details: &mut Vec<Detail>) {
    let change = event.view(Root::Change);
    if event.text(&["objectRef", "resource"]) != Some("services") {
        return;
    }
    let kind = change
        .get("object")
        .and_then(|object| object.pointer("/spec/type"))
        .and_then(Value::as_str);
    push(
        "service type",
        kind.map(ToOwned::to_owned).into_iter().collect(),
        details,
    );
}
