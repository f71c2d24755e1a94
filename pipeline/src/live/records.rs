//! From a change of a finding to the record that is kept and sent.

use serde_json::Value;

use crate::alert::Alert;
use crate::correlate::{Change, Said};
use crate::enrich::Enricher;
use crate::store::Record;
use crate::wire::{ocsf, text};

/// What is written down of each alert, besides text and OCSF.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutputForms {
    /// Elastic Common Schema.
    pub ecs: bool,
}

/// How alerts are written for people; whoever prints them takes the colours out if nobody sees them.
const STYLE: text::Style = text::Style {
    colour: true,
    width: 120,
    date: true,
    verbose: true,
};

/// The record of a change. `previous` is the finding's last record, `now_us` the time of the log. `None` if there is nothing to
/// say: a finding was closed that nobody knows any more.
pub(crate) fn record(
    change: Change,
    previous: Option<&Record>,
    enricher: &Enricher<'_>,
    now_us: i64,
    forms: OutputForms,
) -> Option<Record> {
    let revision = change
        .revision
        .max(previous.map_or(0, |previous| previous.revision) + 1);
    // An act that was forgotten and goes on is not new to those who were told.
    let said = if change.said == Said::Created && previous.is_some() {
        Said::Updated
    } else {
        change.said
    };
    let Some(finding) = change.finding else {
        return previous.map(|previous| closed(previous, revision, now_us));
    };
    let alert = enricher.alert(finding)?;
    Some(from_alert(&alert, said, revision, now_us, forms))
}

fn from_alert(alert: &Alert, said: Said, revision: u32, now_us: i64, forms: OutputForms) -> Record {
    let processed_ms = now_us.div_euclid(1000);
    let mut json = ocsf::to_json(alert, processed_ms);
    ocsf::revise(&mut json, said, revision);
    Record {
        uid: alert.uid.clone(),
        revision,
        activity: activity(said).to_owned(),
        rule: alert.rule.name.clone(),
        rule_id: alert.rule.id.clone(),
        level: alert.severity.level.as_str().to_owned(),
        cluster: alert.cluster.as_ref().to_owned(),
        first_us: alert.first_us,
        last_us: alert.last_us,
        raised_us: now_us,
        line: text::render_line(alert),
        text: text::render(alert, &STYLE),
        ocsf: ocsf::line(&json),
        only: None,
        ecs: forms
            .ecs
            .then(|| crate::wire::ecs::to_line(alert, processed_ms, revision)),
    }
}

/// The last record once more, saying that it is over.
fn closed(previous: &Record, revision: u32, now_us: i64) -> Record {
    let mut json: Value = serde_json::from_str(&previous.ocsf).unwrap_or_default();
    ocsf::revise(&mut json, Said::Closed, revision);
    Record {
        revision,
        activity: activity(Said::Closed).to_owned(),
        raised_us: now_us,
        line: format!("{}  (closed: part of another finding)", previous.line),
        text: format!(
            "{}\n  closed  part of another finding, as turned out later",
            previous.text
        ),
        ocsf: ocsf::line(&json),
        ecs: previous.ecs.as_deref().map(|ecs| closed_ecs(ecs, revision)),
        ..previous.clone()
    }
}

/// The same in ECS, which has no word for what becomes of an alert: the sequence counts, and the reason says it.
fn closed_ecs(previous: &str, revision: u32) -> String {
    let mut json: Value = serde_json::from_str(previous).unwrap_or_default();
    json["event"]["sequence"] = revision.into();
    json["event"]["reason"] = "closed: part of another finding, as turned out later".into();
    ocsf::line(&json)
}

fn activity(said: Said) -> &'static str {
    match said {
        Said::Created => "create",
        Said::Updated => "update",
        Said::Closed => "close",
    }
}
