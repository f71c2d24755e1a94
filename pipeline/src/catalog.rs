//! The rules of a run: compiled, and as alerts quote them.

use std::sync::Arc;

use detections::engine::RuleSet;
use detections::page::Page;
use detections::sigma::ast::Rule;

use crate::alert::RuleInfo;
use crate::correlate::RuleTraits;

/// Compiled rules with what alerts say of them, by the same index.
#[derive(Debug)]
pub struct Catalog {
    /// The engine's rules.
    pub set: RuleSet,
    /// The same rules for people.
    pub infos: Vec<Arc<RuleInfo>>,
}

impl Catalog {
    /// Compiles rules; `page` finds the page of a rule, if it has one.
    pub fn new(rules: Vec<Rule>, page: impl Fn(&Rule) -> Option<Page>) -> Self {
        let infos = rules
            .iter()
            .map(|rule| Arc::new(info(rule, page(rule))))
            .collect();
        Self {
            set: RuleSet::new(rules),
            infos,
        }
    }

    /// What joining needs to know of the rules, by index.
    #[must_use]
    pub fn traits(&self) -> Vec<RuleTraits> {
        let traits = |rule: &Rule| RuleTraits {
            id: rule.id.clone(),
            per_actor: rule.is_per_actor(),
        };
        self.set.rules().iter().map(traits).collect()
    }
}

fn info(rule: &Rule, page: Option<Page>) -> RuleInfo {
    let why = page
        .as_ref()
        .and_then(Page::why)
        .unwrap_or_else(|| one_line(&rule.description));
    RuleInfo {
        id: rule.id.clone(),
        name: rule.name.clone(),
        title: rule.title.clone(),
        description: one_line(&rule.description),
        level: rule.level,
        tags: rule.tags.clone(),
        tactics: rule.tactics.clone(),
        techniques: rule.techniques.clone(),
        references: rule.references.clone(),
        false_positives: rule.false_positives.clone(),
        version: rule.modified.clone().or_else(|| rule.date.clone()),
        author: rule.author.clone(),
        why,
        response: page.map(|page| page.response()).unwrap_or_default(),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
