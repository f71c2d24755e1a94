//! Drives the stages: items in, alerts out.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use detections::correlation::GroupId;
use detections::event::Settings;
use detections::surprise::Model;

use crate::account::Account;
use crate::alert::Alert;
use crate::catalog::Catalog;
use crate::correlate::story::{Fact, Story, folded};
use crate::correlate::stream::{Habits, Sorter, replayed};
use crate::correlate::{Acts, Finding, Hit};
use crate::decode::Item;
use crate::decode::framing::Skipped;
use crate::enrich::{Enricher, story_alert};
use crate::judge::{Judge, Judged};
use crate::learned::Learned;
use crate::merge::Merger;
use crate::surprise::{self, History};

/// What a run needs to know besides its rules.
#[derive(Clone, Debug)]
pub struct Options {
    /// What views need to know.
    pub settings: Arc<Settings>,
    /// Accounts that are declared automation.
    pub automation: Vec<String>,
    /// How long an act may go on, in microseconds.
    pub window_us: i64,
    /// How the detector of surprise is set; `None` if it is off.
    pub surprise: Option<surprise::Options>,
    /// What history taught before; a replay starts from it.
    pub learned: Option<Arc<Learned>>,
    /// Whether anybody wants what is known at the end.
    pub keeps_learned: bool,
    /// Events before this time are left out, microseconds since 1970 UTC.
    pub from_us: Option<i64>,
    /// Events at or after this time are left out.
    pub to_us: Option<i64>,
}

/// An hour: long enough to join a person's session, short enough that tomorrow's repeat is a new finding.
pub const WINDOW_US_DEFAULT: i64 = 3_600_000_000;

impl Default for Options {
    fn default() -> Self {
        Self {
            settings: Arc::default(),
            automation: Vec::new(),
            window_us: WINDOW_US_DEFAULT,
            surprise: Some(surprise::Options::default()),
            learned: None,
            keeps_learned: false,
            from_us: None,
            to_us: None,
        }
    }
}

/// A run over one or more inputs.
#[derive(Debug)]
pub struct Pipeline<'a> {
    catalog: &'a Catalog,
    options: Options,
    judge: Judge<'a>,
    merger: Merger,
    acts: Acts,
    /// What correlations will be fed, when all of it is there.
    sorter: Sorter,
    /// Sessions that will be judged, when all of them are there.
    history: History,
    input: Arc<str>,
}

/// What a run yields.
#[derive(Debug)]
pub struct Report {
    /// By first event time, then by id.
    pub alerts: Vec<Alert>,
    /// What belongs together of them, by the same order.
    pub stories: Vec<Alert>,
    /// The sum of what came in.
    pub account: Account,
    /// What is known now, if [`Options::keeps_learned`].
    pub learned: Option<Learned>,
    /// How far the detector of surprise came, if it is on.
    pub surprise: Option<surprise::Standing>,
}

impl<'a> Pipeline<'a> {
    /// A run that has seen nothing yet.
    #[must_use]
    pub fn new(catalog: &'a Catalog, options: Options) -> Self {
        let merger = Merger::default();
        Self {
            catalog,
            judge: Judge::new(catalog, &options, merger.fingerprints()),
            merger,
            acts: Acts::new(options.window_us, catalog.traits()),
            sorter: Sorter::default(),
            history: History::default(),
            input: Arc::from(""),
            options,
        }
    }

    /// A further judge for this run, to work beside the pipeline's own. What it says goes to [`Pipeline::merge`].
    #[must_use]
    pub fn judge(&self) -> Judge<'a> {
        Judge::new(self.catalog, &self.options, self.merger.fingerprints())
    }

    /// Names the input that the next items come from; ends the one before.
    pub fn begin_input(&mut self, name: &str) {
        self.end_input();
        self.input = name.into();
    }

    /// Takes one decoded item in.
    pub fn accept(&mut self, item: &Item<'_>) {
        if self.judge.accept(item) {
            let judged = self.judge.take();
            self.merge(judged);
        }
    }

    /// Ends the current input: what is left of it is judged under its name.
    pub fn end_input(&mut self) {
        let judged = self.judge.take();
        self.merge(judged);
    }

    /// Notes what the decoder of an input left out because it was too large.
    pub fn note_skipped(&mut self, skipped: Skipped) {
        self.judge.note_skipped(skipped);
    }

    /// Joins the verdicts on records of the current input, in the order of the input.
    pub fn merge(&mut self, mut judged: Judged) {
        let repeated = self.merger.merge(&judged);
        for hits in judged.hits.iter().filter(|hits| repeated.spares(hits.row)) {
            let time = judged.rows[hits.row].time;
            for rule in &hits.rules {
                self.acts.add(&Hit {
                    rule: *rule,
                    event: &hits.event,
                    raw: &hits.raw,
                    time,
                    input: &self.input,
                    offset: hits.offset,
                });
            }
        }
        for event in judged.take_fed(&repeated, &self.input) {
            self.sorter.add(event);
        }
        for entry in judged.gathered.into_counting(&repeated, &self.input) {
            self.history.add(entry);
        }
    }

    /// As if memory were full of sessions.
    #[cfg(test)]
    pub(crate) fn write_sessions_down(&mut self) {
        self.history.write_run();
    }

    /// Findings so far, before follow-ups are folded.
    #[must_use]
    pub fn findings(&self) -> usize {
        self.acts.len()
    }

    /// The counters so far.
    #[must_use]
    pub fn account(&self) -> &Account {
        self.merger.account()
    }

    /// Ends the run.
    #[must_use]
    pub fn finish(mut self) -> Report {
        self.end_input();
        let joined = correlated(self.catalog, &self.options, self.sorter);
        let surprised = surprised(&self.options, self.history);
        let account = self.merger.account_mut();
        account.released_early = self.acts.released_early();
        account.untracked = self.acts.untracked();
        let enricher = Enricher {
            catalog: self.catalog,
            settings: self.options.settings.clone(),
            automation: &self.options.automation,
        };
        let mut findings = self.acts.finish();
        let mut learned = Learned::default();
        match joined {
            Ok((joined, lost, groups)) => {
                findings.extend(joined);
                account.lost = lost;
                learned.groups = groups;
            }
            Err(error) => account.not_correlated = Some(error.to_string()),
        }
        let mut surprise = None;
        match surprised {
            Ok(Some(replayed)) => {
                let rule = self.catalog.surprise();
                findings.extend(replayed.days.findings(rule, &self.options.settings));
                surprise = Some(replayed.standing());
                learned.models = replayed.models;
            }
            Ok(None) => {}
            Err(error) => account.not_surprised = Some(error.to_string()),
        }
        findings.sort_by_key(|finding| (finding.first_us, finding.uid));
        let stories = stories(&enricher, &findings);
        let alerts = findings.into_iter();
        Report {
            alerts: alerts
                .filter_map(|finding| enricher.alert(finding))
                .collect(),
            stories,
            surprise,
            learned: self.options.keeps_learned.then_some(learned),
            account: self.merger.account().clone(),
        }
    }
}

/// What correlations found, what they gave up, and what baselines know now.
type Correlated = (
    Vec<Finding>,
    BTreeMap<usize, u64>,
    BTreeMap<GroupId, Vec<u8>>,
);

/// What sessions come to, if anybody asks.
fn surprised(options: &Options, history: History) -> io::Result<Option<surprise::Replayed>> {
    let surprise = options.surprise.as_ref();
    surprise
        .map(|surprise| history.follow(surprise, known(options, surprise.learning_us)))
        .transpose()
}

/// What is known of each cluster before the first event.
fn known(options: &Options, learning_us: i64) -> BTreeMap<Arc<str>, Model> {
    let learned = options.learned.as_ref();
    let mut models = learned
        .map(|learned| learned.models.clone())
        .unwrap_or_default();
    for model in models.values_mut() {
        model.set_learning(learning_us);
    }
    models
}

/// What belongs together of all findings of a run.
fn stories(enricher: &Enricher<'_>, findings: &[Finding]) -> Vec<Alert> {
    let facts = findings.iter().filter_map(|finding| enricher.fact(finding));
    let mut facts: Vec<Arc<Fact>> = facts.map(Arc::new).collect();
    facts.sort_by_key(|fact| fact.order());
    let mut stories = folded(&facts);
    stories.retain(Story::is_told);
    stories.sort_by_key(|story| (story.first_us(), story.uid()));
    stories.iter().map(story_alert).collect()
}

/// What correlations find in all events of a run, and how many groups were given up for want of room, by rule.
fn correlated(catalog: &Catalog, options: &Options, sorter: Sorter) -> io::Result<Correlated> {
    let (plan, rules) = (&catalog.correlations, catalog.set.rules().len());
    let habits = Habits {
        before: options.learned.as_ref().map(|learned| &learned.groups),
        are_kept: options.keeps_learned,
    };
    let found = replayed(plan, rules, sorter, habits)?;
    let lost = found.groups.lost().iter();
    let lost = lost.map(|(place, lost)| {
        (
            rules + place,
            lost.given_up + lost.refused + lost.untracked + lost.forgotten,
        )
    });
    let lost = lost.filter(|(_, count)| *count > 0).collect();
    Ok((found.findings, lost, found.habits))
}
