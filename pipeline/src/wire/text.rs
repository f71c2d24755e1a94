//! The form for people: what happened, who, from where, why it was possible, how bad, how sure,
//! what to do.
//!
//! The reader is tired and has many of these before them. So the order never changes, a line that
//! would say nothing is left out, and what an attacker wrote is shown as text: control characters,
//! marks that reorder text and invisible ones are escaped in every word that is printed, since
//! every word goes through [`safe`].

mod page;
mod story;
mod words;

use anstyle::{AnsiColor, Color, Effects};
use detections::sigma::ast::Level;

use super::{confidence, outcome_words};
use crate::alert::{Alert, Evidence};
use page::Page;
pub(crate) use page::is_deceptive;
pub use page::safe;

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Colours and bold type. The caller knows whether a terminal reads it.
    pub colour: bool,
    /// Columns at which lines are wrapped.
    pub width: usize,
    /// Whether times show their date; history of a single day does without.
    pub date: bool,
    /// Also shows every matched line, what would silence the alert, known false alarms, and where
    /// the record is.
    pub verbose: bool,
}

impl Default for Style {
    fn default() -> Self {
        Self {
            colour: false,
            width: 100,
            date: true,
            verbose: false,
        }
    }
}

/// A moment with its date, to the second, in UTC; `time unknown` if it is beyond the calendar.
#[must_use]
pub fn time(microseconds: i64) -> String {
    words::time(microseconds, true).unwrap_or_else(|| "time unknown".to_owned())
}

/// Matched lines that are shown if nothing else tells what was found.
const MATCHED_MAX: usize = 4;

/// Actions that are shown; the rule's page has them all.
const ACTIONS_MAX: usize = 3;

/// The cluster of logs that do not name theirs: saying so would say nothing.
const UNNAMED_CLUSTER: &str = "default";

/// The alert for people, on several lines, without the last end of line.
#[must_use]
pub fn render(alert: &Alert, style: &Style) -> String {
    let mut page = Page::new(style);
    headline(alert, style, &mut page);
    if let Some(told) = &alert.story {
        story::body(alert, told, style, &mut page);
        page.list(&words::technique_names(&alert.rule));
        return page.finish();
    }
    page.labelled("who", &words::who(&alert.actor));
    page.labelled(
        "as",
        &alert.effective.as_ref().map(words::who).unwrap_or_default(),
    );
    page.labelled("from", &words::origin(&alert.source));
    page.labelled("did", &words::deed(alert));
    for (index, step) in alert.steps.iter().enumerate() {
        page.labelled(if index == 0 { "steps" } else { "" }, &words::step(step));
    }
    page.labelled("answer", &words::answer(&alert.outcome));
    page.labelled("power", &words::power(alert));
    page.labelled("score", &score(alert));
    page.labelled("facts", &words::facts(alert));
    matched(alert, style, &mut page);
    page.labelled("unseen", &unseen(alert));
    page.labelled("why", &alert.rule.why);
    for (index, action) in alert.rule.response.iter().take(ACTIONS_MAX).enumerate() {
        page.labelled(
            if index == 0 { "do" } else { "" },
            &format!("{}. {action}", index + 1),
        );
    }
    if style.verbose {
        details(alert, &mut page);
    }
    page.list(&words::techniques(&alert.rule));
    page.finish()
}

/// The alert on one line, in columns that are apart by two blanks.
#[must_use]
pub fn render_line(alert: &Alert) -> String {
    let time = alert
        .first_us
        .and_then(|time| words::time(time, true))
        .unwrap_or_else(|| "time unknown".to_owned());
    let origin = alert
        .source
        .client
        .as_ref()
        .map(|client| format!("  from {client}"))
        .unwrap_or_default();
    let cluster = cluster(alert, "  ");
    let line = format!(
        "{time}  {:<13}  {}  {}  ×{}  {}: {}{origin}{cluster}",
        alert.severity.level.as_str(),
        alert.rule.name,
        outcome_said(alert),
        alert.count,
        alert.actor.name,
        alert.did,
    );
    safe(&line)
}

fn headline(alert: &Alert, style: &Style, page: &mut Page<'_>) {
    let bold = anstyle::Style::new().effects(Effects::BOLD);
    let outcome = match alert.outcome.result.as_str() {
        "denied" | "failed" => anstyle::Style::new(),
        _ => bold,
    };
    let plain = anstyle::Style::new();
    page.headline(&[
        (
            alert.severity.level.as_str().to_uppercase(),
            colour(alert.severity.level),
        ),
        (alert.rule.title.clone(), bold),
        (outcome_said(alert), outcome),
        (words::when(alert, style.date), plain),
        (words::times(alert, style.date), plain),
        (cluster(alert, ""), plain),
    ]);
}

/// What came of it; of a story that it is one.
fn outcome_said(alert: &Alert) -> String {
    if alert.story.is_some() {
        return "STORY".to_owned();
    }
    outcome_words(&alert.outcome)
}

fn colour(level: Level) -> anstyle::Style {
    let foreground = |colour| anstyle::Style::new().fg_color(Some(Color::Ansi(colour)));
    match level {
        Level::Critical => {
            let white = foreground(AnsiColor::BrightWhite).effects(Effects::BOLD);
            white.bg_color(Some(Color::Ansi(AnsiColor::Red)))
        }
        Level::High => foreground(AnsiColor::Red).effects(Effects::BOLD),
        Level::Medium => foreground(AnsiColor::Yellow).effects(Effects::BOLD),
        Level::Low => foreground(AnsiColor::Cyan),
        Level::Informational => anstyle::Style::new().effects(Effects::DIMMED),
    }
}

fn score(alert: &Alert) -> String {
    let severity = &alert.severity;
    let signed = |points: i8| points.to_string().replace('-', "−");
    let reasons = if severity.reasons.is_empty() {
        String::new()
    } else {
        format!(" ({})", severity.reasons.join("; "))
    };
    let sure = confidence(alert).caption.to_lowercase();
    format!(
        "impact {} + outcome {} + actor {} → {}{reasons} · confidence {sure}",
        signed(severity.impact),
        signed(severity.outcome),
        signed(severity.actor),
        severity.level.as_str(),
    )
}

/// The rule's matched lines, where no decoded facts say it better, and always if asked for.
fn matched(alert: &Alert, style: &Style, page: &mut Page<'_>) {
    // The deed tells the verb and the object already.
    let is_told =
        |evidence: &&Evidence| evidence.field == "verb" || evidence.field.starts_with("objectRef.");
    let telling = || alert.evidence.iter().filter(|evidence| !is_told(evidence));
    let shown: Vec<&Evidence> = match (style.verbose, alert.details.is_empty()) {
        (true, _) => alert.evidence.iter().collect(),
        (false, true) => telling().take(MATCHED_MAX).collect(),
        (false, false) => Vec::new(),
    };
    // What several events must come to is not told by the field.
    let with_rule = style.verbose || !alert.steps.is_empty();
    for evidence in shown {
        page.labelled("matched", &words::matched(evidence, with_rule));
    }
}

/// ` in prod`, with `before` in front; empty where the log names no cluster.
fn cluster(alert: &Alert, before: &str) -> String {
    if alert.cluster.is_empty() || *alert.cluster == *UNNAMED_CLUSTER {
        return String::new();
    }
    format!("{before}in {}", alert.cluster)
}

fn unseen(alert: &Alert) -> String {
    let mut parts = Vec::new();
    if !alert.unseen.is_empty() {
        parts.push(format!(
            "{}: unavailable in this event",
            alert.unseen.join(", ")
        ));
    }
    if alert.raw.partial {
        parts.push("the record was cut by its source".to_owned());
    }
    parts.join("; ")
}

fn details(alert: &Alert, page: &mut Page<'_>) {
    page.labelled("benign", &alert.rule.false_positives.join("; "));
    page.verbatim("silence", &alert.silence);
    page.labelled("links", &alert.rule.references.join(" "));
    page.labelled(
        "record",
        &format!(
            "{} at byte {}, finding {}",
            alert.raw.input, alert.raw.offset, alert.uid
        ),
    );
}

#[cfg(test)]
mod tests;
