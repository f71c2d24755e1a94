//! How an alert is written down: [`ocsf`] and [`ecs`] for machines, [`text`] for people.
//!
//! All read the same [`Alert`] and add nothing to it but words. What they must agree on, how sure
//! a finding is and what its outcome is called, stands here.

pub mod ecs;
pub mod ocsf;
pub mod text;

use crate::alert::{Alert, Outcome};
use crate::catalog::SURPRISE_ID;

/// How sure a finding is.
///
/// A rule either matches or does not, so doubt comes from what could not be read: fields that were
/// unavailable, a record that was cut, an outcome that was not logged. None of these: high; one:
/// medium; more: low.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Confidence {
    /// `High`, `Medium`, `Low`.
    pub(crate) caption: &'static str,
    /// OCSF's number: 3, 2, 1.
    pub(crate) id: u8,
    /// What lowers it.
    pub(crate) doubts: Vec<&'static str>,
}

pub(crate) fn confidence(alert: &Alert) -> Confidence {
    let doubts = [
        (
            !alert.unseen.is_empty(),
            "fields that the rule asks for were unavailable",
        ),
        (alert.raw.partial, "the record was cut by its source"),
        (
            alert.outcome.result == "unknown",
            "the outcome was not logged",
        ),
        (
            alert.rule.id == SURPRISE_ID,
            "that something is unusual proves nothing by itself",
        ),
    ];
    let doubts: Vec<_> = doubts
        .into_iter()
        .filter(|(holds, _)| *holds)
        .map(|(_, doubt)| doubt)
        .collect();
    let (caption, id) = match doubts.len() {
        0 => ("High", 3),
        1 => ("Medium", 2),
        _ => ("Low", 1),
    };
    Confidence {
        caption,
        id,
        doubts,
    }
}

/// The outcome in words that read alike in a headline and in a sentence: `SUCCEEDED`, `DENIED by
/// admission`, `FAILED 500`.
pub(crate) fn outcome_words(outcome: &Outcome) -> String {
    let words = match (outcome.result.as_str(), &outcome.denied_by, outcome.code) {
        ("success", ..) if outcome.dry_run => return "DRY RUN".to_owned(),
        ("success", ..) => "SUCCEEDED".to_owned(),
        ("denied", Some(by), _) => format!("DENIED by {by}"),
        ("denied", None, Some(code)) => format!("DENIED {code}"),
        ("denied", None, None) => "DENIED".to_owned(),
        ("failed", _, Some(code)) => format!("FAILED {code}"),
        ("failed", _, None) => "FAILED".to_owned(),
        _ => "OUTCOME UNKNOWN".to_owned(),
    };
    if outcome.dry_run {
        format!("{words}, DRY RUN")
    } else {
        words
    }
}

#[cfg(test)]
pub(crate) mod fixture;
