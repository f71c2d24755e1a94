//! The form of the bundled rules: pairs complete, names and ids unique, folders true, tags known, pages short where an
//! alert quotes them.

use std::collections::BTreeSet;

use detections::bundled::{self, Bundled};
use detections::page::Page;
use detections::sigma::ast::Header;
use detections::sigma::{Loaded, Placeholders, load};

fn loaded() -> Loaded {
    let sources: Vec<_> = bundled::RULES.iter().map(Bundled::source).collect();
    load(&sources, &Placeholders::new())
}

/// Collects what is wrong with each rule, so that one run shows all.
#[track_caller]
fn check(judge: impl Fn(&Header, &Bundled) -> Option<String>) {
    let loaded = loaded();
    let find = |rule: &Header| {
        bundled::RULES
            .iter()
            .find(|bundled| rule.source.name.as_ref() == bundled.path)
    };
    let faults: Vec<String> = loaded
        .headers()
        .filter_map(|rule| {
            judge(rule, find(rule)?).map(|fault| format!("{}: {fault}", rule.source.name))
        })
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_pack_loads_without_a_word() {
    let loaded = loaded();
    let faults: Vec<String> = loaded
        .diagnostics
        .iter()
        .map(|diagnostic| diagnostic.render(false))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
    assert_eq!(
        loaded.headers().count(),
        bundled::RULES.len(),
        "one detection a file"
    );
}

#[test]
fn every_rule_has_a_page_with_its_title() {
    check(|rule, bundled| {
        let page = Page::parse(bundled.page);
        (page.title != rule.title).then(|| {
            format!(
                "the page is titled `{}`, the rule `{}`",
                page.title, rule.title
            )
        })
    });
}

#[test]
fn names_are_file_names_and_ids_are_uuids() {
    check(|rule, bundled| {
        let wrong = rule.name != bundled.name() || rule.id.len() != 36;
        wrong.then(|| format!("name {} id {}", rule.name, rule.id))
    });
    let loaded = loaded();
    let ids: BTreeSet<&str> = loaded.headers().map(|rule| rule.id.as_str()).collect();
    assert_eq!(ids.len(), bundled::RULES.len());
}

#[test]
fn folders_are_the_first_tactic() {
    check(|rule, bundled| {
        let folder = bundled.path.split('/').next().unwrap_or_default();
        let first = rule
            .tactics
            .first()
            .and_then(|id| mitre::catalog::tactic(*id))
            .map_or("none", |tactic| tactic.short_name);
        (folder != first).then(|| format!("the first tactic is {first}"))
    });
}

#[test]
fn techniques_belong_to_the_tactics_tagged() {
    check(|rule, _| {
        let belongs = |technique: &&mitre::Technique| {
            technique
                .tactics
                .iter()
                .any(|tactic| rule.tactics.contains(&tactic.id))
        };
        let known: Option<Vec<_>> = rule
            .techniques
            .iter()
            .map(|id| mitre::catalog::technique(*id))
            .collect();
        let Some(known) = known.filter(|known| !known.is_empty()) else {
            return Some(
                "a technique is not on the Containers platform, or there is none".to_owned(),
            );
        };
        let stray: Vec<_> = known
            .iter()
            .filter(|technique| !belongs(technique))
            .map(|technique| technique.id.to_string())
            .collect();
        (!stray.is_empty()).then(|| format!("{} belong to no tactic tagged", stray.join(", ")))
    });
}

#[test]
fn what_an_alert_quotes_is_short() {
    check(|_, bundled| {
        let page = Page::parse(bundled.page);
        let why = page.why().unwrap_or_default();
        let response = page.response();
        let long = response
            .iter()
            .take(3)
            .find(|bullet| bullet.chars().count() > 100);
        if why.is_empty() || why.chars().count() > 240 {
            return Some(format!(
                "the first paragraph of Why has {} characters",
                why.chars().count()
            ));
        }
        if response.len() < 2 {
            return Some("Response has fewer than two bullets".to_owned());
        }
        long.map(|bullet| format!("too long for an alert: {bullet}"))
    });
}

#[test]
fn every_rule_says_what_causes_false_alarms() {
    check(|rule, _| {
        (rule.false_positives.is_empty() || rule.references.is_empty())
            .then(|| "falsepositives or references are missing".to_owned())
    });
}
