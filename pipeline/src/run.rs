//! Drives the stages: items in, alerts out.

use std::sync::Arc;

use detections::batch::EventBatch;
use detections::engine::Evaluator;
use detections::event::Settings;
use detections::sigma::ast::Rule;

use crate::account::Account;
use crate::alert::Alert;
use crate::batch::Batcher;
use crate::catalog::Catalog;
use crate::correlate::{Acts, Hit, RuleTraits};
use crate::decode::framing::Skipped;
use crate::decode::{Item, RawEvent};
use crate::enrich::Enricher;
use crate::repeats::Repeats;

/// What a run needs to know besides its rules.
#[derive(Clone, Debug)]
pub struct Options {
    /// What views need to know.
    pub settings: Arc<Settings>,
    /// Accounts that are declared automation.
    pub automation: Vec<String>,
    /// How long an act may go on, in microseconds.
    pub window_us: i64,
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
            from_us: None,
            to_us: None,
        }
    }
}

/// A run over one or more inputs.
#[derive(Debug)]
pub struct Pipeline<'a> {
    catalog: &'a Catalog,
    evaluator: Evaluator<'a>,
    options: Options,
    batcher: Batcher,
    repeats: Repeats,
    acts: Acts,
    account: Account,
    input: Arc<str>,
}

/// What a run yields.
#[derive(Debug)]
pub struct Report {
    /// By first event time, then by id.
    pub alerts: Vec<Alert>,
    /// The sum of what came in.
    pub account: Account,
}

impl<'a> Pipeline<'a> {
    /// A run that has seen nothing yet.
    #[must_use]
    pub fn new(catalog: &'a Catalog, options: Options) -> Self {
        let traits = |rule: &Rule| RuleTraits {
            id: rule.id.clone(),
            per_actor: rule.is_per_actor(),
        };
        let rules = catalog.set.rules().iter().map(traits).collect();
        Self {
            catalog,
            evaluator: catalog.set.evaluator(),
            batcher: Batcher::new(options.settings.clone()),
            repeats: Repeats::default(),
            acts: Acts::new(options.window_us, rules),
            account: Account::default(),
            input: Arc::from(""),
            options,
        }
    }

    /// Names the input that the next items come from; ends the one before.
    pub fn begin_input(&mut self, name: &str) {
        self.end_input();
        self.input = name.into();
    }

    /// Takes one decoded item in.
    pub fn accept(&mut self, item: &Item<'_>) {
        self.account.received += 1;
        match item {
            Item::Event(event) => self.accept_event(event),
            Item::Rejected(rejected) => {
                *self
                    .account
                    .rejected
                    .entry(rejected.reason.as_str())
                    .or_default() += 1;
            }
            Item::Ignored(reason) => *self.account.ignored.entry(reason.as_str()).or_default() += 1,
        }
    }

    fn accept_event(&mut self, event: &RawEvent<'_>) {
        if self.repeats.is_repeat(&event.origin.cluster, event.bytes) {
            self.account.repeated += 1;
            return;
        }
        let Ok(time) = self.batcher.push(event) else {
            *self.account.rejected.entry("malformed_json").or_default() += 1;
            return;
        };
        let early = self
            .options
            .from_us
            .zip(time)
            .is_some_and(|(from, time)| time < from);
        let late = self
            .options
            .to_us
            .zip(time)
            .is_some_and(|(to, time)| time >= to);
        if early || late {
            self.batcher.take_back();
            self.account.out_of_range += 1;
            return;
        }
        self.account
            .note_event(event.origin.envelope, event.origin.partial, time);
        if let Some(batch) = self.batcher.cut_if_full() {
            self.detect(&batch);
            self.batcher.reclaim(batch);
        }
    }

    /// Ends the current input: what is left of it is judged under its name.
    pub fn end_input(&mut self) {
        if let Some(batch) = self.batcher.cut() {
            self.detect(&batch);
        }
    }

    /// Notes what the decoder of an input left out because it was too large.
    pub fn note_skipped(&mut self, skipped: Skipped) {
        self.account.oversized += skipped.oversized;
        self.account.oversized_bytes += skipped.bytes;
    }

    /// Findings so far, before follow-ups are folded.
    #[must_use]
    pub fn findings(&self) -> usize {
        self.acts.len()
    }

    /// The counters so far.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.account
    }

    fn detect(&mut self, batch: &EventBatch) {
        let evaluation = self.evaluator.evaluate(batch);
        for blind in &evaluation.blind {
            let envelope = batch.envelope(blind.row).as_str();
            *self
                .account
                .blind
                .entry((blind.rule, envelope))
                .or_default() += 1;
        }
        for matches in evaluation.matches.chunk_by(|a, b| a.row == b.row) {
            let row = matches[0].row;
            let Ok(event) = batch.event(row) else {
                continue;
            };
            for found in matches {
                self.acts.add(&Hit {
                    rule: found.rule,
                    event: &event,
                    raw: batch.raw(row),
                    time: batch.time(row),
                    input: &self.input,
                    offset: batch.offset(row),
                });
            }
        }
    }

    /// Ends the run.
    #[must_use]
    pub fn finish(mut self) -> Report {
        self.end_input();
        self.account.released_early = self.acts.released_early();
        self.account.untracked = self.acts.untracked();
        let enricher = Enricher {
            catalog: self.catalog,
            settings: self.options.settings.clone(),
            automation: &self.options.automation,
        };
        let alerts = self
            .acts
            .finish()
            .into_iter()
            .filter_map(|finding| enricher.alert(finding))
            .collect();
        Report {
            alerts,
            account: self.account,
        }
    }
}
