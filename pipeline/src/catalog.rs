//! The rules of a run: compiled, and as alerts quote them.

use std::sync::Arc;

use detections::correlation::Correlations;
use detections::engine::RuleSet;
use detections::page::Page;
use detections::sigma::Loaded;
use detections::sigma::ast::Header;

use crate::alert::RuleInfo;
use crate::correlate::RuleTraits;

/// Compiled rules with what alerts say of them. A finding's rule is an index into [`Catalog::infos`]: rules about single events
/// come first, by the same index as in the engine, and correlations behind them.
#[derive(Debug)]
pub struct Catalog {
    /// The engine's rules.
    pub set: RuleSet,
    /// What they feed.
    pub correlations: Correlations,
    /// All of them for people.
    pub infos: Vec<Arc<RuleInfo>>,
}

impl Catalog {
    /// Compiles rules; `page` finds the page of a rule, if it has one.
    pub fn new(loaded: Loaded, page: impl Fn(&Header) -> Option<Page>) -> Self {
        let Loaded {
            rules,
            correlations,
            ..
        } = loaded;
        let headers = rules.iter().map(|rule| &rule.header);
        let headers = headers.chain(correlations.iter().map(|found| &found.header));
        let infos = headers
            .map(|header| Arc::new(info(header, page(header))))
            .collect();
        Self {
            correlations: Correlations::new(correlations, &rules),
            set: RuleSet::new(rules),
            infos,
        }
    }

    /// The header of a finding's rule.
    #[must_use]
    pub fn header(&self, rule: usize) -> Option<&Header> {
        let rules = self.set.rules();
        let correlation = || self.correlations.all().get(rule.checked_sub(rules.len())?);
        rules.get(rule).map_or_else(
            || correlation().map(|found| &found.header),
            |rule| Some(&rule.header),
        )
    }

    /// Whether a rule about single events raises findings by itself.
    #[must_use]
    pub fn is_loud(&self, rule: usize) -> bool {
        self.set.rules().get(rule).is_some_and(|rule| !rule.silent)
    }

    /// How many rules raise findings.
    #[must_use]
    pub fn raising(&self) -> usize {
        let rules = self.set.rules().iter().filter(|rule| !rule.silent);
        let correlations = self.correlations.all().iter();
        rules.count() + correlations.filter(|found| !found.silent).count()
    }

    /// What joining needs to know of the rules about single events, by index.
    #[must_use]
    pub fn traits(&self) -> Vec<RuleTraits> {
        let traits = |rule: &detections::sigma::ast::Rule| RuleTraits {
            id: rule.header.id.clone(),
            per_actor: rule.header.is_per_actor(),
        };
        self.set.rules().iter().map(traits).collect()
    }
}

fn info(rule: &Header, page: Option<Page>) -> RuleInfo {
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
