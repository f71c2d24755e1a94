//! What was surprising, in words: each part with its bits, what was known before, and what would make it ordinary.

use std::sync::Arc;

use detections::sigma::ast::Level;
use detections::surprise::{self, HIGH_BITS, LOW_BITS, MEDIUM_BITS, Part, PartKind};

use crate::alert::{Evidence, RuleInfo, Severity};
use crate::redact;
use crate::surprise::Surprised;

/// The detector under a title that says of whom, and what.
pub(super) fn info(info: &RuleInfo, found: &Surprised) -> Arc<RuleInfo> {
    let what = found.judgement.parts.first();
    let what = what.map(|part| safe(&part.value)).unwrap_or_default();
    let (name, bits) = (&found.actor.name, found.judgement.bits);
    Arc::new(RuleInfo {
        title: format!("Unusual for {name}: {what} ({bits:.1} bits)"),
        level: level_of(found.judgement.level),
        ..info.clone()
    })
}

/// The level is that of the bits; nothing of the rubric is added to it.
pub(super) fn severity(found: &Surprised) -> Severity {
    let judgement = &found.judgement;
    let mut reasons = vec![format!(
        "{:.1} bits, {:.1} before impact; low from {LOW_BITS:.0}, medium from {MEDIUM_BITS:.0}, high from {HIGH_BITS:.0}",
        judgement.bits, judgement.bits_before_impact
    )];
    if judgement.level < judgement.reached {
        reasons.push(
            "at most low: known for less than a day or by fewer than eight sessions".to_owned(),
        );
    }
    let level = level_of(judgement.level);
    Severity {
        level,
        impact: level.points(),
        outcome: 0,
        actor: 0,
        reasons,
    }
}

/// The phrase: `18.0 bits of surprise in 3 requests: network public 203.0.113.0/24 +10.0, client python-requests +8.0`.
pub(super) fn phrase(found: &Surprised) -> String {
    let parts = found.judgement.parts.iter();
    let parts: Vec<String> = parts
        .map(|part| {
            let (kind, value, bits) = (part.kind.as_str(), safe(&part.value), part.bits);
            format!("{kind} {value} +{bits:.1}")
        })
        .collect();
    let requests = match found.events {
        1 => "1 request".to_owned(),
        events => format!("{events} requests within ten minutes"),
    };
    let sessions = match found.sessions {
        1 => String::new(),
        sessions => format!(", {sessions} such sessions on this day"),
    };
    let bits = found.judgement.bits;
    format!(
        "{bits:.1} bits of surprise in {requests}{sessions}: {}",
        parts.join(", ")
    )
}

/// A line for each part: its bits, what was known before, how often, since when, and what would make it ordinary.
pub(super) fn evidence(found: &Surprised) -> Vec<Evidence> {
    let parts = found.judgement.parts.iter();
    let evidence = parts.map(|part| Evidence {
        selection: "surprise".to_owned(),
        line: 1,
        text: format!(
            "{}: {}; ordinary {}",
            bits(part),
            redact::text(&part.past),
            part.ordinary_when
        ),
        field: part.kind.as_str().to_owned(),
        values: vec![safe(&part.value)],
    });
    evidence.collect()
}

/// `+10.6 bits (8.5 × 1.25, impact 1)`.
fn bits(part: &Part) -> String {
    let (bits, before, impact) = (part.bits, part.bits_before_impact, part.impact);
    if part.kind == PartKind::Operation && impact > 0 {
        let times = bits / before;
        return format!("+{bits:.1} bits ({before:.1} × {times:.2}, impact {impact})");
    }
    format!("+{bits:.1} bits")
}

fn level_of(level: surprise::Level) -> Level {
    match level {
        surprise::Level::Informational => Level::Informational,
        surprise::Level::Low => Level::Low,
        surprise::Level::Medium => Level::Medium,
        surprise::Level::High => Level::High,
    }
}

fn safe(value: &str) -> String {
    redact::text(value).into_owned()
}
