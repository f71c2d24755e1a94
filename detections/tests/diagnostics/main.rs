//! What a person sees whose rule is faulty: the whole text, for each mistake that people make.
//!
//! A case is what was written, a line of dashes, and what is shown. When a text changes, read it as somebody who is tired
//! and did not write this program.

/// Tests from cases. The first argument is what stands in the file before what was written.
macro_rules! shown {
    ($before:expr; $($name:ident: $case:literal;)*) => {
        $(#[test]
        fn $name() {
            crate::check($before, $case);
        })*
    };
}

mod baseline;
mod condition;
mod correlation;
mod detection;
mod document;

use detections::diagnostic::{Diagnostic, Source};
use detections::sigma::{Loaded, Placeholders, load};

/// A rule up to the content of its `detection`.
const HEAD: &str = "title: A rule\nlogsource: {product: kubernetes, service: audit}\ndetection:\n";

const BODY: &str = "  selection:\n    verb: get\n  condition: selection\n";

#[track_caller]
fn check(before: &str, case: &str) {
    let (written, expected) = case.split_once("----\n").unwrap();
    let text = format!("{before}{}", written.strip_prefix('\n').unwrap_or(written));
    let shown: Vec<String> = load_one(&text)
        .diagnostics
        .iter()
        .map(|fault| fault.render(false))
        .collect();
    assert_eq!(shown.join("\n\n").trim_end(), expected.trim_end());
}

fn load_one(text: &str) -> Loaded {
    let lists = Placeholders::from([("admins".to_owned(), vec!["alice".to_owned()])]);
    load(&[Source::new("rules/mine.yml", text)], &lists)
}

#[test]
fn the_concise_form_is_one_line() {
    let loaded = load_one(&format!(
        "{HEAD}{}",
        BODY.replace("verb", "userAgent|contians")
    ));
    let lines: Vec<String> = loaded
        .diagnostics
        .iter()
        .map(Diagnostic::render_concise)
        .collect();
    assert_eq!(
        lines,
        [
            "rules/mine.yml:5:15: error[unknown_modifier]: there is no modifier `contians` (did you mean `contains`?)"
        ]
    );
}

#[test]
fn an_error_in_one_document_does_not_spoil_another() {
    let faulty = BODY.replace("verb: get", "verb: get\n    verb: list");
    let loaded = load_one(&format!("{HEAD}{faulty}---\nname: good\n{HEAD}{BODY}---\n"));
    let codes: Vec<_> = loaded.diagnostics.iter().map(|fault| fault.code).collect();
    assert_eq!(codes, ["duplicate_key"]);
    let names: Vec<_> = loaded
        .rules
        .iter()
        .map(|rule| rule.header.name.as_str())
        .collect();
    assert_eq!(names, ["good"]);
}

#[test]
fn a_faulty_filter_is_not_applied() {
    let filter = "title: F\nfilter:\n  rules: any\n  s:\n    verb|is: get\n  condition: not s\n";
    let loaded = load_one(&format!("{HEAD}{BODY}---\n{filter}"));
    assert!(loaded.has_errors());
    assert!(loaded.rules.iter().all(|rule| rule.filters.is_empty()));
}

#[test]
fn a_rule_for_another_product_is_no_fault() {
    let loaded = load_one(&format!("{HEAD}{BODY}").replace("kubernetes", "windows"));
    assert!(loaded.diagnostics.is_empty() && loaded.rules.is_empty());
    assert_eq!(loaded.foreign, ["rules/mine.yml"]);
}

#[test]
fn a_twin_is_shown_with_the_place_of_the_first() {
    let text = format!("{HEAD}{BODY}");
    let sources = ["one/mine.yml", "two/mine.yml"].map(|name| Source::new(name, &text));
    let loaded = load(&sources, &Placeholders::new());
    let lines: Vec<String> = loaded
        .diagnostics
        .iter()
        .map(Diagnostic::render_concise)
        .collect();
    assert_eq!(
        lines,
        [
            "two/mine.yml:1:1: error[twin_rules]: another rule has the name `mine` (the other one is in one/mine.yml, line 1; \
          give this one its own)"
        ]
    );
    assert_eq!(loaded.rules.len(), 1);
}
