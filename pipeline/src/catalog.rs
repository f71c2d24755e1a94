//! The rules of a run: compiled, and as alerts quote them.

use std::sync::Arc;

use detections::correlation::Correlations;
use detections::engine::RuleSet;
use detections::page::Page;
use detections::sigma::Loaded;
use detections::sigma::ast::{Header, Level};

use crate::alert::RuleInfo;
use crate::correlate::RuleTraits;

/// The id of the detector of surprise, which has no rule file: `docs/surprise.md` is its page.
pub const SURPRISE_ID: &str = "5b1f2d0e-6c1c-4b57-9a3e-2f8f7a1d4c90";

/// Its name.
pub const SURPRISE_NAME: &str = "unusual_for_account";

/// Compiled rules with what alerts say of them. A finding's rule is an index into [`Catalog::infos`]: rules about single events
/// come first, by the same index as in the engine, and correlations behind them.
#[derive(Debug)]
pub struct Catalog {
    /// The engine's rules.
    pub set: RuleSet,
    /// What they feed.
    pub correlations: Correlations,
    /// All of them for people, and behind them the detector of surprise.
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
        let infos = headers.map(|header| info(header, page(header)));
        let infos = infos.chain([surprise()]).map(Arc::new).collect();
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

    /// The index of the detector of surprise.
    #[must_use]
    pub fn surprise(&self) -> usize {
        self.set.rules().len() + self.correlations.all().len()
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

/// What alerts say of the detector of surprise. It is mapped to no technique: that something is unusual says nothing of what it is for.
fn surprise() -> RuleInfo {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    RuleInfo {
        id: SURPRISE_ID.to_owned(),
        name: SURPRISE_NAME.to_owned(),
        title: "Unusual for this account".to_owned(),
        description: "Ten minutes of an account that its own past and its peers' make improbable, in bits.".to_owned(),
        level: Level::Medium,
        tags: Vec::new(),
        tactics: Vec::new(),
        techniques: Vec::new(),
        references: Vec::new(),
        false_positives: texts(&[
            "a person who takes over other work, or travels",
            "the first use of a new tool or a new part of the cluster",
        ]),
        version: None,
        author: None,
        why: "Stolen credentials and insiders use what is allowed. What gives them away is that this account never did it, not from there, \
              not with this client. Surprise alone proves nothing: the parts below say what was known before."
            .to_owned(),
        response: texts(&[
            "Ask the account's owner whether it was them; show the operation, the client and the network.",
            "If not: revoke the credential, and look at everything it did since then.",
            "If so: nothing needs to be done; what recurs becomes ordinary by itself.",
        ]),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
