//! A rule's page, which is also its test.
//!
//! The page stands beside the rule as Markdown. Sections say why the rule exists, what it needs, what it fires on, what it
//! must stay silent on, how it can be evaded, and what to do. Blocks fenced as `json fires` and `json silent` are audit
//! events; [`check`] runs the rule on each with both evaluators. A correlation's block holds several events, one after the other.

use std::sync::Arc;

use serde_json::Value;

use crate::batch::BatchBuilder;
use crate::correlation::Trial;
use crate::engine::{Match, RuleSet};
use crate::event::{Event, Origin, Settings};
use crate::reference;
use crate::sigma::Loaded;
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

/// An event of a page, or several for a correlation.
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

/// Runs one detection on the events of its page and judges the page's form. `loaded` must hold exactly this detection: a rule, or
/// a correlation, last, behind all that feeds it.
#[must_use]
pub fn check(loaded: Loaded, page: &Page, settings: &Arc<Settings>) -> Vec<PageFault> {
    let mut faults = form(page);
    let correlation = loaded.correlations.last();
    let correlation = correlation.map(|found| found.header.name.clone());
    let copy = loaded.rules.clone();
    let subject = Subject {
        set: RuleSet::new(copy),
        loaded,
        correlation,
        settings,
    };
    for example in &page.examples {
        faults.extend(subject.judge(example).err());
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

/// A detection on its page.
struct Subject<'a> {
    loaded: Loaded,
    set: RuleSet,
    /// The name of the correlation, if it is one.
    correlation: Option<String>,
    settings: &'a Arc<Settings>,
}

impl Subject<'_> {
    fn judge(&self, example: &Example) -> Result<(), PageFault> {
        let events = self.events(example)?;
        let mut truth = Truth::False;
        for (json, event) in &events {
            for (number, rule) in self.loaded.rules.iter().enumerate() {
                let slow = reference::evaluate(rule, event);
                let fast = self.engine(number, json).unwrap_or(slow);
                if fast != slow {
                    return Err(fault(example, "engine", fast));
                }
                truth = slow;
            }
        }
        if let Some(name) = &self.correlation {
            let events: Vec<Event> = events.into_iter().map(|(_, event)| event).collect();
            truth = Truth::from(Trial::of(&self.loaded, &events).has_fired(name));
        }
        if (truth == Truth::True) == example.fires {
            return Ok(());
        }
        Err(fault(example, "reference evaluator", truth))
    }

    /// The events of a block, each with its text. A rule about single events is shown one at a time.
    fn events(&self, example: &Example) -> Result<Vec<(String, Event)>, PageFault> {
        let wrong = |reason: String| PageFault::Json {
            line: example.line,
            reason,
        };
        let mut events = Vec::new();
        // The page may spread an event over lines; the event itself is what JSON says it is.
        for document in serde_json::Deserializer::from_str(&example.json).into_iter::<Value>() {
            match document {
                Ok(Value::Object(fields)) => {
                    let json = Value::Object(fields.clone()).to_string();
                    let origin = Origin::default();
                    let event = Event::from_fields(fields, origin, self.settings.clone());
                    events.push((json, event));
                }
                Ok(_) => return Err(wrong("not an object".to_owned())),
                Err(fault) => return Err(wrong(fault.to_string())),
            }
        }
        if events.is_empty() || (events.len() > 1 && self.correlation.is_none()) {
            return Err(wrong(format!(
                "{} events, where one is meant",
                events.len()
            )));
        }
        Ok(events)
    }

    fn engine(&self, rule: usize, json: &str) -> Option<Truth> {
        let mut builder = BatchBuilder::new(self.settings.clone());
        builder.push(json.as_bytes(), &Origin::default(), 0).ok()?;
        let evaluation = self.set.evaluate(&builder.finish());
        let is_among = |found: &[Match]| found.iter().any(|found| found.rule == rule);
        Some(if is_among(&evaluation.matches) {
            Truth::True
        } else if is_among(&evaluation.blind) {
            Truth::Unknown
        } else {
            Truth::False
        })
    }
}

fn fault(example: &Example, evaluator: &'static str, truth: Truth) -> PageFault {
    PageFault::Verdict {
        line: example.line,
        expected: if example.fires { "fire" } else { "stay silent" },
        evaluator,
        verdict: truth.as_str(),
    }
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
