//! What each line says.

use jiff::Timestamp;
use mitre::catalog;

use super::page::shortened;
use crate::alert::{Alert, Evidence, Identity, Outcome, RuleInfo, Source, Step};
use crate::wire::ocsf::grant;

/// Groups that follow from the kind of account and tell nothing more.
const TELLING_NOTHING: [&str; 5] = [
    "system:authenticated",
    "system:unauthenticated",
    "system:serviceaccounts",
    "system:nodes",
    "system:masters",
];

/// Groups named of one account.
const GROUPS_MAX: usize = 4;

/// The longest quotation of a value, a message, a client.
const QUOTED_CHARS_MAX: usize = 240;

/// The time of day in UTC, with its date if wanted. `None` for a time outside of the calendar.
pub(super) fn time(microseconds: i64, date: bool) -> Option<String> {
    let time = Timestamp::from_microsecond(microseconds).ok()?;
    let format = if date {
        "%Y-%m-%d %H:%M:%SZ"
    } else {
        "%H:%M:%SZ"
    };
    Some(time.strftime(format).to_string())
}

pub(super) fn when(alert: &Alert, date: bool) -> String {
    alert
        .first_us
        .and_then(|first| time(first, date))
        .unwrap_or_else(|| "time unknown".to_owned())
}

/// `×1`, `×4 until 22:46:07Z`; the end has a date if it is another day's.
pub(super) fn times(alert: &Alert, date: bool) -> String {
    let day = |time: i64| time.div_euclid(86_400_000_000);
    let until = alert.first_us.zip(alert.last_us).and_then(|(first, last)| {
        let is_later = last.div_euclid(1_000_000) > first.div_euclid(1_000_000);
        let end = time(last, date && day(first) != day(last)).filter(|_| is_later)?;
        Some(format!(" until {end}"))
    });
    format!("×{}{}", alert.count, until.unwrap_or_default())
}

/// The account, and in brackets what its name does not say.
pub(super) fn who(identity: &Identity) -> String {
    let mut about = Vec::new();
    if identity.forged {
        about.push("FORGED: the name lacks the group that goes with it".to_owned());
    }
    if identity.superuser {
        about.push("in system:masters, allowed everything".to_owned());
    }
    about.extend(kind(identity));
    if !identity.canonical.is_empty() && identity.canonical != identity.name {
        about.push(identity.canonical.clone());
    }
    about.extend(groups(identity));
    about.extend(credential(identity));
    about.extend(bound_to(identity));
    if about.is_empty() {
        identity.name.clone()
    } else {
        format!("{} ({})", identity.name, about.join(", "))
    }
}

/// The kind of account, if the name does not tell and it is not the usual one.
fn kind(identity: &Identity) -> Option<String> {
    match identity.kind.as_str() {
        "external" => Some("external account".to_owned()),
        "service_account" if !identity.name.starts_with("system:") => {
            Some("service account".to_owned())
        }
        "anonymous" => Some("nobody authenticated".to_owned()),
        _ => None,
    }
}

fn groups(identity: &Identity) -> Option<String> {
    let Some(groups) = &identity.groups else {
        return Some("groups not logged".to_owned());
    };
    let is_telling = |group: &&String| {
        !TELLING_NOTHING.contains(&group.as_str()) && !group.starts_with("system:serviceaccounts:")
    };
    let telling: Vec<&str> = groups
        .iter()
        .filter(is_telling)
        .map(String::as_str)
        .collect();
    let (shown, more) = telling.split_at(telling.len().min(GROUPS_MAX));
    let more = if more.is_empty() {
        String::new()
    } else {
        format!(" and {} more", more.len())
    };
    (!shown.is_empty()).then(|| format!("groups {}{more}", shown.join(" ")))
}

/// The beginning of a credential's id is enough to tell two apart by eye.
fn credential(identity: &Identity) -> Option<String> {
    let id = identity.credential.as_deref()?;
    let id = id.strip_prefix("JTI=").unwrap_or(id);
    Some(format!("credential {}", shortened(id, 8)))
}

fn bound_to(identity: &Identity) -> Option<String> {
    match (&identity.pod, &identity.node) {
        (Some(pod), Some(node)) => Some(format!("bound to pod {pod} on {node}")),
        (Some(pod), None) => Some(format!("bound to pod {pod}")),
        // Only where a credential is logged does the lack of a pod mean something.
        (None, _) if identity.kind == "service_account" && identity.credential.is_some() => {
            Some("not bound to a pod".to_owned())
        }
        _ => None,
    }
}

/// `203.0.113.66 (public) behind trusted proxy 127.0.0.1, with kubectl/v1.34.4`.
pub(super) fn origin(source: &Source) -> String {
    let mut parts = Vec::new();
    if let Some(client) = source.client.as_ref().or(source.peer.as_ref()) {
        let kind = source
            .kind
            .as_ref()
            .map(|kind| format!(" ({})", kind.replace('_', "-")))
            .unwrap_or_default();
        let proxy = source.peer.as_ref().filter(|peer| *peer != client);
        let proxy = proxy
            .map(|peer| format!(" behind trusted proxy {peer}"))
            .unwrap_or_default();
        parts.push(format!("{client}{kind}{proxy}"));
    }
    if !source.claimed.is_empty() {
        parts.push(format!(
            "on behalf of {}, as claimed",
            source.claimed.join(", ")
        ));
    }
    parts.extend(
        source
            .user_agent
            .as_ref()
            .map(|agent| format!("with {}", shortened(agent, 60))),
    );
    parts.join(", ")
}

/// The deed, the owner by way of which it matters, and what controllers did about it.
pub(super) fn deed(alert: &Alert) -> String {
    let (object, root) = (&alert.object, &alert.root);
    let is_itself = (&root.resource, &root.namespace, &root.name)
        == (&object.resource, &object.namespace, &object.name);
    let owner = if is_itself || root.name.is_none() {
        String::new()
    } else {
        format!("; owned by {}", root.display_one())
    };
    let follow_ups = match alert.follow_ups {
        0 => String::new(),
        1 => "; a controller carried it out in 1 request".to_owned(),
        more => format!("; controllers carried it out in {more} requests"),
    };
    format!("{}{owner}{follow_ups}", alert.did)
}

/// The API server's words where it refused.
pub(super) fn answer(outcome: &Outcome) -> String {
    let message = outcome
        .message
        .as_deref()
        .filter(|_| outcome.result != "success")
        .unwrap_or_default();
    shortened(message, QUOTED_CHARS_MAX)
}

/// What allowed it. A superuser is named as such already.
pub(super) fn power(alert: &Alert) -> String {
    let Some(allowed) = &alert.allowed_by else {
        return String::new();
    };
    let via = match allowed.via.as_str() {
        "superuser" => "system:masters: no role is asked",
        "iam" => "the cloud's IAM",
        "node" => "the node authorizer",
        _ => "",
    };
    grant(allowed).unwrap_or_else(|| via.to_owned())
}

/// Decoded facts that the deed does not tell already.
pub(super) fn facts(alert: &Alert) -> String {
    let new = alert
        .details
        .iter()
        .filter(|detail| !alert.did.contains(&detail.value));
    let facts: Vec<_> = new
        .map(|detail| {
            format!(
                "{} {}",
                detail.label,
                shortened(&detail.value, QUOTED_CHARS_MAX)
            )
        })
        .collect();
    facts.join(" · ")
}

/// `22:41:51Z  ran sh in web/fe`, with how often.
pub(super) fn step(step: &Step) -> String {
    let time = time(step.time_us, false).unwrap_or_default();
    let did = shortened(&step.did, QUOTED_CHARS_MAX);
    let times = if step.count > 1 {
        format!("  ×{}", step.count)
    } else {
        String::new()
    };
    format!("{time}  {did}{times}")
}

pub(super) fn matched(evidence: &Evidence, with_rule: bool) -> String {
    let values = shortened(&evidence.values.join(", "), QUOTED_CHARS_MAX);
    let rule = if with_rule {
        format!(", by `{}`", evidence.text.trim())
    } else {
        String::new()
    };
    format!("{} = {values}{rule}", evidence.field)
}

/// `T1609 Container Administration Command`, and so on; last where to read more.
pub(super) fn techniques(rule: &RuleInfo) -> Vec<String> {
    let mut names = technique_names(rule);
    names.push(format!("tidewatch rules explain {}", rule.name));
    names
}

/// The techniques alone.
pub(super) fn technique_names(rule: &RuleInfo) -> Vec<String> {
    let names = rule.techniques.iter().map(|id| {
        let id = catalog::current(*id);
        let name = catalog::technique(id).map(|technique| format!(" {}", technique.display_name));
        format!("{id}{}", name.unwrap_or_default())
    });
    names.collect()
}
