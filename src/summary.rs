//! The summary at the end of a replay.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use detections::sigma::ast::Level;
use pipeline::account::Account;
use pipeline::alert::Alert;
use pipeline::catalog::Catalog;
use pipeline::surprise::Standing;
use pipeline::wire::text::{safe, time};
use replay::replay::Replayed;

/// Rows shown of a ranking; the rest is counted.
const ROWS_MAX: usize = 8;

/// The whole summary, several lines.
pub(crate) fn render(
    replayed: &Replayed,
    catalog: &Catalog,
    skipped: usize,
    elapsed: Duration,
) -> String {
    let account = &replayed.report.account;
    let alerts = &replayed.report.alerts;
    let mut out = String::new();
    let _ = writeln!(out, "\nSummary");
    events(&mut out, account, replayed.bytes, elapsed);
    unread(&mut out, replayed, skipped, catalog);
    ranked(&mut out, "alerts", by_level(alerts), alerts.len());
    ranked(&mut out, "tactics", by(alerts, tactics), 0);
    ranked(
        &mut out,
        "rules",
        by(alerts, |alert| vec![alert.rule.name.clone()]),
        0,
    );
    ranked(
        &mut out,
        "actors",
        by(alerts, |alert| vec![safe(&alert.actor.name)]),
        0,
    );
    if let Some(standing) = &replayed.report.surprise {
        surprise(&mut out, standing);
    }
    blind(&mut out, account, catalog);
    stories(&mut out, &replayed.report.stories);
    out
}

fn line(out: &mut String, label: &str, text: &str) {
    let _ = writeln!(out, "  {label:<9} {text}");
}

fn events(out: &mut String, account: &Account, bytes: u64, elapsed: Duration) {
    let seconds = elapsed.as_secs_f64().max(0.001);
    let mut text = format!("{} judged", count(account.evaluated));
    for (number, word) in [
        (account.repeated, "repeated"),
        (account.out_of_range, "outside --from/--to"),
        (account.partial, "cut and salvaged"),
        (account.timeless, "without a time"),
    ] {
        if number > 0 {
            let _ = write!(text, ", {} {word}", count(number));
        }
    }
    line(out, "events", &text);
    if let (Some(first), Some(last)) = (account.first_us, account.last_us) {
        line(out, "span", &format!("{} to {}", time(first), time(last)));
    }
    if account.envelopes.keys().any(|name| *name != "raw") {
        let forms = account
            .envelopes
            .iter()
            .map(|(name, number)| format!("{name} {}", count(*number)));
        line(out, "forms", &forms.collect::<Vec<_>>().join(", "));
    }
    let megabytes = bytes as f64 / 1e6;
    let rate = u128::from(account.received) * 1000 / elapsed.as_millis().max(1);
    let rate = count(u64::try_from(rate).unwrap_or(u64::MAX));
    line(
        out,
        "speed",
        &format!("{megabytes:.1} MB read in {seconds:.2} s, {rate} events/s"),
    );
}

fn unread(out: &mut String, replayed: &Replayed, skipped: usize, catalog: &Catalog) {
    let account = &replayed.report.account;
    for (label, reasons) in [
        ("rejected", &account.rejected),
        ("ignored", &account.ignored),
    ] {
        if !reasons.is_empty() {
            let parts = reasons
                .iter()
                .map(|(reason, number)| format!("{reason} {}", count(*number)));
            line(out, label, &parts.collect::<Vec<_>>().join(", "));
        }
    }
    if skipped > 0 {
        line(
            out,
            "skipped",
            &format!("{skipped} beside the logs, no logs by their names"),
        );
    }
    for fault in &replayed.faults {
        line(out, "fault", &fault.to_string());
    }
    bounds(out, account, catalog);
}

/// Bounds that were reached: rare, and never silent.
fn bounds(out: &mut String, account: &Account, catalog: &Catalog) {
    let reached = [
        (
            account.oversized,
            "records were too large, and only their beginning was read",
        ),
        (
            account.released_early,
            "findings were closed early to keep memory bounded",
        ),
        (
            account.untracked,
            "matched requests were too many to tell their stages apart",
        ),
    ];
    for (number, words) in reached.into_iter().filter(|(number, _)| *number > 0) {
        line(out, "bound", &format!("{} {words}", count(number)));
    }
    for (rule, number) in &account.lost {
        let name = catalog
            .infos
            .get(*rule)
            .map_or("?", |info| info.name.as_str());
        let words = format!("{name} gave up {} times for want of room", count(*number));
        line(out, "bound", &words);
    }
    if let Some(fault) = &account.not_surprised {
        line(
            out,
            "fault",
            &format!("sessions could not be judged: {fault}"),
        );
    }
    if let Some(fault) = &account.not_correlated {
        line(
            out,
            "fault",
            &format!("correlations could not be judged: {fault}"),
        );
    }
}

/// How far the detector of surprise came: silence is not always peace.
fn surprise(out: &mut String, standing: &Standing) {
    let text = match standing.learning_until_us {
        Some(until_us) => format!(
            "learning until {}: nothing is called unusual before; --learn sets how long, --baseline starts from what was learned",
            time(until_us)
        ),
        None => format!(
            "{} sessions of ten minutes judged, {} only learned",
            count(standing.judged),
            count(standing.learned)
        ),
    };
    line(out, "surprise", &text);
}

/// What belongs together, the worst first: with this a night's work begins.
fn stories(out: &mut String, stories: &[Alert]) {
    let mut worst: Vec<&Alert> = stories.iter().collect();
    worst.sort_by_key(|story| (Reverse(story.severity.level), story.first_us));
    for (number, story) in worst.iter().take(ROWS_MAX).enumerate() {
        let label = if number == 0 { "stories" } else { "" };
        let at = story.first_us.map(time).unwrap_or_default();
        let (level, title) = (story.severity.level.as_str(), safe(&story.rule.title));
        line(out, label, &format!("{level:<8}  {at}  {title}"));
    }
    if let Some(more) = worst.len().checked_sub(ROWS_MAX).filter(|more| *more > 0) {
        line(out, "", &format!("and {more} more"));
    }
}

fn by_level(alerts: &[Alert]) -> Vec<(String, usize)> {
    let number = |level: Level| {
        alerts
            .iter()
            .filter(|alert| alert.severity.level == level)
            .count()
    };
    Level::ALL
        .into_iter()
        .rev()
        .map(|level| (level.to_string(), number(level)))
        .filter(|(_, number)| *number > 0)
        .collect()
}

fn tactics(alert: &Alert) -> Vec<String> {
    let names = alert
        .rule
        .tactics
        .iter()
        .filter_map(|id| mitre::catalog::tactic(*id));
    names.map(|tactic| tactic.name.to_owned()).collect()
}

fn by(alerts: &[Alert], keys: impl Fn(&Alert) -> Vec<String>) -> Vec<(String, usize)> {
    let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
    for key in alerts.iter().flat_map(keys) {
        *numbers.entry(key).or_default() += 1;
    }
    let mut ranking: Vec<_> = numbers.into_iter().collect();
    ranking.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    ranking
}

fn ranked(out: &mut String, label: &str, rows: Vec<(String, usize)>, total: usize) {
    if label == "alerts" && rows.is_empty() {
        line(out, label, "none");
        return;
    }
    if rows.is_empty() {
        return;
    }
    let more = rows.len().saturating_sub(ROWS_MAX);
    let mut parts: Vec<String> = rows
        .into_iter()
        .take(ROWS_MAX)
        .map(|(name, number)| format!("{name} {number}"))
        .collect();
    if more > 0 {
        parts.push(format!("{more} more"));
    }
    let total = if total > 0 {
        format!("{}: ", count(total as u64))
    } else {
        String::new()
    };
    line(out, label, &format!("{total}{}", parts.join(", ")));
}

/// Where rules asked for what the log does not show: a silent rule may be a blind one.
fn blind(out: &mut String, account: &Account, catalog: &Catalog) {
    let mut numbers: BTreeMap<&str, u64> = BTreeMap::new();
    for ((rule, _), number) in &account.blind {
        if let Some(info) = catalog.infos.get(*rule) {
            *numbers.entry(info.name.as_str()).or_default() += number;
        }
    }
    if numbers.is_empty() {
        return;
    }
    let mut ranking: Vec<_> = numbers.into_iter().collect();
    ranking.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    let more = ranking.len().saturating_sub(ROWS_MAX);
    let mut parts: Vec<String> = ranking
        .iter()
        .take(ROWS_MAX)
        .map(|(name, number)| format!("{name} {}", count(*number)))
        .collect();
    if more > 0 {
        parts.push(format!("{more} more rules"));
    }
    line(
        out,
        "blind",
        &format!(
            "events without the body that a rule needs: {}",
            parts.join(", ")
        ),
    );
}

/// A number with thin groups: 217,600.
fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(217_600), "217,600");
    }
}
