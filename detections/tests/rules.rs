//! Runs every bundled rule on the events of its page: `cargo test -p detections --test rules`.
//!
//! `RULE=exec_host_escape cargo test -p detections --test rules` runs one.

use std::sync::Arc;

use detections::bundled;
use detections::event::Settings;
use detections::page::{self, Page};
use detections::sigma::{Placeholders, load};

#[test]
fn every_rule_does_what_its_page_says() {
    let only = std::env::var("RULE").ok();
    let settings = Arc::new(Settings::default());
    let mut faults = Vec::new();
    for bundled in bundled::RULES
        .iter()
        .filter(|rule| only.as_deref().is_none_or(|name| name == rule.name()))
    {
        let loaded = load(&[bundled.source()], &Placeholders::new());
        faults.extend(
            loaded
                .diagnostics
                .iter()
                .map(|diagnostic| diagnostic.render(false)),
        );
        let page = Page::parse(bundled.page);
        let found = page::check(loaded, &page, &settings);
        faults.extend(
            found
                .into_iter()
                .map(|fault| format!("{}: {fault}", bundled.path.replace(".yml", ".md"))),
        );
    }
    assert!(
        faults.is_empty(),
        "{} faults:\n{}",
        faults.len(),
        faults.join("\n")
    );
}
