//! A rule's page, which is also its test.
//!
//! The page stands beside the rule as Markdown. Sections say why the rule exists, what it needs, what it fires on, what it
//! must stay silent on, how it can be evaded, and what to do. Blocks fenced as `json fires` and `json silent` are audit
//! events; [`check`] runs the rule on each with both evaluators.

use std::sync::Arc;

use serde_json::Value;

use crate::batch::BatchBuilder;
use crate::engine::RuleSet;
use crate::event::{Event, Origin, Settings};
use crate::reference;
use crate::truth::Truth;

/// The sections that every page has, in this order.
pub const SECTIONS: [&str; 7] = [
    "Why",
    "Needs",
    "Fires",
    "Stays silent",
    "Near miss",
    "Known evasions",
    "Response",
];

/// A page, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The heading.
    pub title: String,
    /// Section headings in their order, with the text below each.
    pub sections: Vec<(String, String)>,
    /// The events.
    pub examples: Vec<Example>,
}

/// An event of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// Whether the rule must fire.
    pub fires: bool,
    /// The section that it stands in.
    pub section: String,
    /// The line of the page where the event begins, from 1.
    pub line: usize,
    /// The event.
    pub json: String,
}

/// What is wrong with a page, or with the rule in the light of its page.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PageFault {
    /// A heading is missing or out of order.
    #[error("the page has no section `{0}` in its place")]
    Section(&'static str),
    /// There is no event of one kind.
    #[error("the page has no block `json {0}` in the section `{1}`")]
    NoExample(&'static str, &'static str),
    /// An event is no JSON object.
    #[error("line {line}: the event is not valid JSON: {reason}")]
    Json {
        /// Line of the page.
        line: usize,
        /// The parser's word.
        reason: String,
    },
    /// The rule does the opposite of what the page says.
    #[error(
        "line {line}: the rule must {expected} on this event, but the {evaluator} says {verdict}"
    )]
    Verdict {
        /// Line of the page.
        line: usize,
        /// `fire` or `stay silent`.
        expected: &'static str,
        /// `engine` or `reference evaluator`.
        evaluator: &'static str,
        /// `yes`, `no`, `unknown`.
        verdict: &'static str,
    },
}

impl Page {
    /// Takes a page apart. Any text is a page; what is missing shows in [`check`].
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut page = Self::default();
        let mut block: Option<Example> = None;
        let mut fenced = false;
        for (number, line) in (1..).zip(text.lines()) {
            if let Some(info) = line.strip_prefix("```") {
                page.examples.extend(block.take());
                fenced = !fenced;
                block = fenced.then(|| page.example(info, number + 1)).flatten();
            } else if let Some(example) = &mut block {
                example.json.push_str(line);
                example.json.push('\n');
            } else if let (Some(heading), false) = (line.strip_prefix("## "), fenced) {
                page.sections
                    .push((heading.trim().to_owned(), String::new()));
                continue;
            } else if let (Some(title), false) = (line.strip_prefix("# "), fenced) {
                title.trim().clone_into(&mut page.title);
                continue;
            }
            if let Some((_, body)) = page.sections.last_mut() {
                body.push_str(line);
                body.push('\n');
            }
        }
        page
    }

    fn example(&self, info: &str, line: usize) -> Option<Example> {
        let mut words = info.split_whitespace();
        let fires = match (words.next(), words.next()) {
            (Some("json"), Some("fires")) => true,
            (Some("json"), Some("silent")) => false,
            _ => return None,
        };
        let section = self
            .sections
            .last()
            .map(|(heading, _)| heading.clone())
            .unwrap_or_default();
        Some(Example {
            fires,
            section,
            line,
            json: String::new(),
        })
    }

    /// The text below a heading.
    #[must_use]
    pub fn section(&self, heading: &str) -> Option<&str> {
        self.sections
            .iter()
            .find(|(name, _)| name == heading)
            .map(|(_, body)| body.as_str())
    }

    /// The first paragraph of *Why*, in one line.
    #[must_use]
    pub fn why(&self) -> Option<String> {
        let paragraph = self.section("Why")?.trim().split("\n\n").next()?;
        let line = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
        (!line.is_empty()).then_some(line)
    }

    /// The bullets of *Response*, each in one line.
    #[must_use]
    pub fn response(&self) -> Vec<String> {
        let mut bullets: Vec<String> = Vec::new();
        for line in self.section("Response").unwrap_or_default().lines() {
            if let Some(bullet) = line.strip_prefix("- ") {
                bullets.push(bullet.trim().to_owned());
            } else if let (Some(last), true) = (bullets.last_mut(), line.starts_with("  ")) {
                last.push(' ');
                last.push_str(line.trim());
            }
        }
        bullets
    }
}

/// Runs one rule on the events of its page and judges the page's form. `rules` must hold exactly this rule.
#[must_use]
pub fn check(rules: &RuleSet, page: &Page, settings: &Arc<Settings>) -> Vec<PageFault> {
    let mut faults = form(page);
    for example in &page.examples {
        faults.extend(verdict(rules, example, settings));
    }
    faults
}

fn form(page: &Page) -> Vec<PageFault> {
    let mut faults = Vec::new();
    let mut headings = page.sections.iter().map(|(heading, _)| heading.as_str());
    for section in SECTIONS {
        if headings.clone().any(|heading| heading == section) {
            headings.find(|heading| *heading == section);
        } else {
            faults.push(PageFault::Section(section));
        }
    }
    for (fires, word, section) in [
        (true, "fires", "Fires"),
        (false, "silent", "Stays silent"),
        (false, "silent", "Near miss"),
    ] {
        if !page
            .examples
            .iter()
            .any(|example| example.fires == fires && example.section == section)
        {
            faults.push(PageFault::NoExample(word, section));
        }
    }
    faults
}

fn verdict(rules: &RuleSet, example: &Example, settings: &Arc<Settings>) -> Option<PageFault> {
    let line = example.line;
    // The page may spread an event over lines; the event itself is what JSON says it is.
    let fields = match serde_json::from_str::<Value>(&example.json) {
        Ok(Value::Object(fields)) => fields,
        Ok(_) => {
            return Some(PageFault::Json {
                line,
                reason: "not an object".to_owned(),
            });
        }
        Err(fault) => {
            return Some(PageFault::Json {
                line,
                reason: fault.to_string(),
            });
        }
    };
    let expected = if example.fires { "fire" } else { "stay silent" };
    let fault = |evaluator, truth: Truth| {
        let wrong = (truth == Truth::True) != example.fires;
        wrong.then_some(PageFault::Verdict {
            line,
            expected,
            evaluator,
            verdict: truth.as_str(),
        })
    };
    let slow = reference::evaluate(
        rules.rules().first()?,
        &Event::from_fields(fields, Origin::default(), settings.clone()),
    );
    fault("reference evaluator", slow)
        .or_else(|| fault("engine", engine(rules, example, settings)?))
}

fn engine(rules: &RuleSet, example: &Example, settings: &Arc<Settings>) -> Option<Truth> {
    let mut builder = BatchBuilder::new(settings.clone());
    builder
        .push(example.json.as_bytes(), &Origin::default(), 0)
        .ok()?;
    let evaluation = rules.evaluate(&builder.finish());
    Some(
        match (evaluation.matches.is_empty(), evaluation.blind.is_empty()) {
            (false, _) => Truth::True,
            (true, false) => Truth::Unknown,
            (true, true) => Truth::False,
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# A rule\n\n## Why\nIt matters\na lot.\n\nMore.\n\n## Fires\nOn this:\n```json fires\n{\"verb\":\n\"create\"}\n```\n\n## Response\n- Do this\n  now\n- Then that\n";

    #[test]
    fn a_page_is_taken_apart() {
        let page = Page::parse(PAGE);
        assert_eq!(page.title, "A rule");
        assert_eq!(page.why().as_deref(), Some("It matters a lot."));
        assert_eq!(page.response(), ["Do this now", "Then that"]);
        assert_eq!(page.examples.len(), 1);
        assert_eq!(page.examples[0].line, 12);
        assert!(form(&page).contains(&PageFault::Section("Needs")));
    }
}
