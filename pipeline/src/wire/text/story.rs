//! A story for people: who, along which way, step by step.

use crate::alert::{Account, Alert, Part, Told};
use detections::sigma::ast::Level;
use mitre::catalog;

use super::page::{Page, shortened};
use super::words::time;
use super::{ACTIONS_MAX, Style};

/// Steps that are shown of a long story: the first ones and the last ones.
const FIRST_SHOWN: usize = 8;
const LAST_SHOWN: usize = 8;

/// The longest line that tells of a step.
const STEP_CHARS_MAX: usize = 200;

/// Findings of one request, one line.
struct Line<'a> {
    part: &'a Part,
    level: Level,
    titles: Vec<&'a str>,
}

/// What stands below the headline.
pub(super) fn body(alert: &Alert, story: &Told, style: &Style, page: &mut Page<'_>) {
    for (index, account) in story.accounts.iter().enumerate() {
        page.labelled(if index == 0 { "who" } else { "" }, &who(account));
    }
    page.labelled("way", &way(alert));
    let is_long = alert
        .first_us
        .zip(alert.last_us)
        .is_some_and(|(first, last)| first.div_euclid(DAY_US) != last.div_euclid(DAY_US));
    let lines = lines(story);
    let hidden = lines.len().saturating_sub(FIRST_SHOWN + LAST_SHOWN);
    for (index, line) in lines.iter().enumerate() {
        let label = if index == 0 { "steps" } else { "" };
        if hidden > 0 && index == FIRST_SHOWN && !style.verbose {
            page.labelled(label, &format!("… {hidden} more, in the record"));
        }
        if style.verbose || index < FIRST_SHOWN || index >= FIRST_SHOWN + hidden {
            page.labelled(label, &step(line, story.accounts.len() > 1, is_long));
        }
    }
    if story.left_out > 0 {
        page.labelled("", &format!("and {} findings more", story.left_out));
    }
    page.labelled("score", &score(alert));
    page.labelled("why", &alert.rule.why);
    for (index, action) in alert.rule.response.iter().take(ACTIONS_MAX).enumerate() {
        let label = if index == 0 { "do" } else { "" };
        page.labelled(label, &format!("{}. {action}", index + 1));
    }
    page.labelled("record", &format!("story {}", alert.uid));
}

const DAY_US: i64 = 86_400_000_000;

/// `system:serviceaccount:web:fe from 10.1.2.3, whose token was requested by mallory@example.com at 12:01:33Z`.
fn who(account: &Account) -> String {
    let mut text = account.name.clone();
    if !account.clients.is_empty() && account.kind != "anonymous" {
        text.push_str(&format!(" from {}", account.clients.join(", ")));
    } else if !account.clients.is_empty() {
        text.push_str(&format!(
            " (nobody authenticated) from {}",
            account.clients.join(", ")
        ));
    }
    if !account.acted_as.is_empty() {
        text.push_str(&format!(", as {}", account.acted_as.join(", ")));
    }
    if let Some((way, by, at_us)) = &account.joined {
        let at = time(*at_us, false).unwrap_or_default();
        text.push_str(&format!(", {way} by {by} at {at}"));
    }
    text
}

/// The tactics, in the order in which they were reached.
fn way(alert: &Alert) -> String {
    let tactics = alert.rule.tactics.iter();
    let names = tactics.filter_map(|id| catalog::tactic(*id));
    let names: Vec<&str> = names.map(|tactic| tactic.name).collect();
    names.join(" → ")
}

fn lines(story: &Told) -> Vec<Line<'_>> {
    let mut lines: Vec<Line<'_>> = Vec::new();
    for part in &story.parts {
        let same = lines
            .iter_mut()
            .find(|line| line.part.request == part.request && line.part.actor == part.actor);
        match same {
            Some(line) => {
                line.level = line.level.max(part.level);
                line.titles.push(&part.title);
                // A correlation tells what was before, too, which has lines of its own.
                if part.did.len() < line.part.did.len() {
                    line.part = part;
                }
            }
            None => lines.push(Line {
                part,
                level: part.level,
                titles: vec![&part.title],
            }),
        }
    }
    lines
}

/// `22:41:49Z  critical  Privileged container + Sensitive host path mounted: created pod web/fe-debug`.
fn step(line: &Line<'_>, with_actor: bool, with_date: bool) -> String {
    let part = line.part;
    let at = time(part.time_us, with_date).unwrap_or_default();
    let actor = if with_actor {
        format!("{} ", part.actor)
    } else {
        String::new()
    };
    let outcome = if part.succeeded {
        String::new()
    } else {
        format!("  {}", part.outcome)
    };
    let times = if part.count > 1 {
        format!("  ×{}", part.count)
    } else {
        String::new()
    };
    let did = shortened(&part.did, STEP_CHARS_MAX);
    let titles = line.titles.join(" + ");
    format!(
        "{at}  {:<8}  {titles}: {actor}{did}{outcome}{times}",
        line.level.as_str()
    )
}

fn score(alert: &Alert) -> String {
    let severity = &alert.severity;
    format!(
        "{}: {}",
        severity.level.as_str(),
        severity.reasons.join("; ")
    )
}
