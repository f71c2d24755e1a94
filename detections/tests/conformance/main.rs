//! What the rule language means, corner by corner: each test is named by its claim and runs both evaluators.
//!
//! A claim is a table of rows `detection => event => verdict`. A line with a detection or an event alone holds for the
//! rows that are indented below it. A detection is what stands under a rule's `detection` if it has a condition, else
//! the content of one selection; an event is of the level that shows everything unless it names its own. The verdict is
//! `yes`, `no`, `unknown`, or, without an event, `error` and the code of the fault.

#[path = "../common/mod.rs"]
mod common;

/// Tests from tables, with Sigma 2.
macro_rules! claims {
    ($($name:ident: $table:literal;)*) => {
        $(#[test]
        fn $name() {
            crate::table(2, $table);
        })*
    };
}

/// Tests from tables, with the array selectors of version 3.
macro_rules! array_claims {
    ($($name:ident: $table:literal;)*) => {
        $(#[test]
        fn $name() {
            crate::table(3, $table);
        })*
    };
}

mod arrays;
mod modifiers;
mod structure;
mod truth;
mod values;

use detections::diagnostic::Source;
use detections::event::Origin;
use detections::sigma::{Placeholders, load};

#[track_caller]
fn table(version: u32, rows: &str) {
    let (mut detection, mut event) = ("", "");
    for row in rows.lines().map(str::trim) {
        match row.split(" => ").collect::<Vec<_>>().as_slice() {
            [""] => {}
            [comment] if comment.starts_with("# ") => {}
            [one] if is_event(one) => event = one,
            [one] => detection = one,
            [one, verdict] if verdict.starts_with("error ") => {
                refused(version, one, verdict.trim_start_matches("error "));
            }
            [one, verdict] if is_event(one) => check(version, detection, one, verdict),
            [one, verdict] => check(version, one, event, verdict),
            [detection, event, verdict] => check(version, detection, event, verdict),
            _ => panic!("not a row: {row}"),
        }
    }
}

/// JSON quotes its keys by `"`, the detections of these tables do not.
fn is_event(text: &str) -> bool {
    text == "{}" || text.starts_with("{\"")
}

#[track_caller]
fn check(version: u32, detection: &str, event: &str, expected: &str) {
    check_from(&Origin::default(), version, detection, event, expected);
}

#[track_caller]
fn check_from(origin: &Origin, version: u32, detection: &str, event: &str, expected: &str) {
    let rules = common::load_all(&[common::rule_text(detection, version)]);
    let verdict = common::judge(rules, &common::complete(event), origin);
    assert_eq!(verdict.as_str(), expected, "{detection}\n{event}");
}

/// A faulty detection has this one fault, and makes no rule.
#[track_caller]
fn refused(version: u32, detection: &str, code: &str) {
    let text = common::rule_text(detection, version);
    let loaded = load(&[Source::new("test.yml", &text)], &Placeholders::new());
    let codes: Vec<_> = loaded.diagnostics.iter().map(|fault| fault.code).collect();
    assert_eq!(codes, [code], "{detection}");
    assert!(loaded.rules.is_empty());
}
