//! What the language's tests share: rules from snippets, events from text, both evaluators on both.

#![allow(dead_code, reason = "every test file uses a part of it")]

use std::sync::Arc;

use detections::batch::{BatchBuilder, EventBatch};
use detections::diagnostic::Source;
use detections::engine::{Evaluation, RuleSet};
use detections::event::Origin;
use detections::reference;
use detections::sigma::ast::Rule;
use detections::sigma::{Placeholders, load};
use detections::truth::Truth;

/// A whole rule around the content of its `detection`. A snippet without a condition is the content of one selection.
pub(crate) fn rule_text(detection: &str, version: u32) -> String {
    let indent = |text: &str, by: &str| -> String {
        text.lines().map(|line| format!("{by}{line}\n")).collect()
    };
    let detection = if is_whole(detection) {
        indent(detection, "  ")
    } else {
        format!(
            "  selection:\n{}  condition: selection\n",
            indent(detection, "    ")
        )
    };
    format!(
        "title: Test\nname: test\nsigma-version: {version}\nlogsource: {{product: kubernetes, service: audit}}\n\
         detection:\n{detection}"
    )
}

/// Whether a flow mapping has a condition at its own level: nothing but its end follows.
fn is_whole(detection: &str) -> bool {
    detection
        .rsplit_once("condition: ")
        .is_some_and(|(_, rest)| rest.matches('}').count() == 1)
}

/// Lists for `expand`.
pub(crate) fn lists() -> Placeholders {
    let list = |entries: &[&str]| entries.iter().map(|entry| (*entry).to_owned()).collect();
    Placeholders::from([
        ("admins".to_owned(), list(&["alice", "bob"])),
        ("nobody".to_owned(), list(&[])),
    ])
}

/// Loads rule files that must be without errors.
#[track_caller]
pub(crate) fn load_all(texts: &[String]) -> Vec<Rule> {
    let sources: Vec<Source> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| Source::new(&format!("rule_{index}.yml"), text))
        .collect();
    let loaded = load(&sources, &lists());
    if loaded.has_errors() {
        let faults: String = loaded
            .diagnostics
            .iter()
            .map(|fault| fault.render(false) + "\n\n")
            .collect();
        panic!("{faults}");
    }
    loaded.rules
}

/// The verdicts of an evaluation for every row and rule.
pub(crate) fn verdicts(evaluation: &Evaluation, rows: usize, rules: usize) -> Vec<Vec<Truth>> {
    let mut verdicts = vec![vec![Truth::False; rules]; rows];
    for (found, truth) in [
        (&evaluation.matches, Truth::True),
        (&evaluation.blind, Truth::Unknown),
    ] {
        for hit in found {
            verdicts[hit.row][hit.rule] = truth;
        }
    }
    verdicts
}

/// A batch of events that must all be accepted.
#[track_caller]
pub(crate) fn batch(events: &[(&str, Origin)]) -> EventBatch {
    let mut builder = BatchBuilder::new(Arc::default());
    for (event, origin) in events {
        builder.push(event.as_bytes(), origin, 0).unwrap();
    }
    builder.finish()
}

/// The verdict on an event, which both evaluators must share.
#[track_caller]
pub(crate) fn judge(rules: Vec<Rule>, event: &str, origin: &Origin) -> Truth {
    let rules = RuleSet::new(rules);
    let batch = batch(&[(event, origin.clone())]);
    let fast = verdicts(&rules.evaluate(&batch), 1, rules.rules().len())[0][0];
    let slow = reference::evaluate(&rules.rules()[0], &batch.row(0).event().unwrap());
    assert_eq!(
        fast, slow,
        "the engine and the reference evaluator disagree on {event}"
    );
    fast
}

/// An event of the level that shows everything, unless the text says otherwise.
pub(crate) fn complete(event: &str) -> String {
    if event.contains("\"level\"") {
        return event.to_owned();
    }
    let rest = event.trim_start().strip_prefix('{').unwrap_or_default();
    let comma = if rest.trim() == "}" { "" } else { "," };
    format!("{{\"level\":\"RequestResponse\"{comma}{rest}")
}
