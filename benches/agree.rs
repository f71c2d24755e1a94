//! Judges a corpus with the engine and with the slow reference evaluator, and fails on the first rule and event where they
//! differ: `cargo bench --bench agree -- CORPUS [--every N]`.
//!
//! The property tests compare the two on events that nobody has seen; this compares them on events that happened. With
//! `--every N` the engine still judges all events, the reference only each Nth.

#![allow(clippy::print_stdout, reason = "the report is this program's product")]

mod corpus;

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use detections::batch::EventBatch;
use detections::engine::{Evaluator, RuleSet};
use detections::event::Settings;
use detections::reference;
use detections::sigma::ast::Rule;
use detections::truth::Truth;
use pipeline::batch::Batcher;
use pipeline::decode::{Decoder, Item};
use pipeline::rules::RuleSources;

fn main() -> anyhow::Result<()> {
    let Some(arguments) = corpus::arguments() else {
        return Ok(());
    };
    let (path, every) = parse(arguments)?;
    let rules = RuleSet::new(RuleSources::default().load()?.loaded.rules);
    let mut comparison = Comparison {
        rules: rules.rules(),
        evaluator: rules.evaluator(),
        every,
        seen: 0,
        compared: 0,
        matched: 0,
        blind: 0,
    };
    let bytes = corpus::read(&path)?;
    let mut batcher = Batcher::new(Arc::new(Settings::default()));
    let mut decoder = Decoder::new(bytes.as_slice(), "default".into());
    while let Some(item) = decoder.next()? {
        if let Item::Event(event) = item {
            batcher.push(&event)?;
            batcher
                .cut_if_full()
                .map_or(Ok(()), |batch| comparison.batch(&batch))?;
        }
    }
    batcher
        .cut()
        .map_or(Ok(()), |batch| comparison.batch(&batch))?;
    let Comparison {
        evaluator,
        seen,
        compared,
        matched,
        blind,
        ..
    } = comparison;
    ensure!(compared > 0, "{path} holds no event to compare");
    let number = rules.rules().len();
    println!(
        "{compared} of {seen} events, {number} rules: equal verdicts, {matched} matches, {blind} unknown"
    );
    let effort = evaluator.effort();
    println!(
        "of {} rows: {} needed more than their situation, {} their bodies, {} a document; memory was reset {} times",
        effort.rows, effort.open, effort.screened, effort.parsed, effort.resets
    );
    Ok(())
}

fn parse(arguments: Vec<String>) -> anyhow::Result<(String, usize)> {
    let (mut path, mut every) = (corpus::demo(), 1);
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        if argument == "--every" {
            every = arguments
                .next()
                .and_then(|number| number.parse().ok())
                .context("--every needs a number")?;
        } else {
            path = argument;
        }
    }
    ensure!(every > 0, "--every needs a number above 0");
    Ok((path, every))
}

struct Comparison<'r> {
    rules: &'r [Rule],
    /// One for all batches, as in a run: what it remembers must stay true.
    evaluator: Evaluator<'r>,
    every: usize,
    seen: usize,
    compared: usize,
    matched: usize,
    blind: usize,
}

impl Comparison<'_> {
    fn batch(&mut self, batch: &EventBatch) -> anyhow::Result<()> {
        let evaluation = self.evaluator.evaluate(batch);
        let places = |found: &[detections::engine::Match]| -> BTreeSet<(usize, usize)> {
            found.iter().map(|found| (found.row, found.rule)).collect()
        };
        let (matches, blind) = (places(&evaluation.matches), places(&evaluation.blind));
        for row in 0..batch.rows() {
            self.seen += 1;
            if self.seen.is_multiple_of(self.every) {
                self.row(batch, row, &matches, &blind)?;
            }
        }
        Ok(())
    }

    fn row(
        &mut self,
        batch: &EventBatch,
        row: usize,
        matches: &BTreeSet<(usize, usize)>,
        blind: &BTreeSet<(usize, usize)>,
    ) -> anyhow::Result<()> {
        let event = batch.row(row).event()?;
        for (number, rule) in self.rules.iter().enumerate() {
            let place = (row, number);
            let fast = match (matches.contains(&place), blind.contains(&place)) {
                (true, _) => Truth::True,
                (false, true) => Truth::Unknown,
                (false, false) => Truth::False,
            };
            let slow = reference::evaluate(rule, &event);
            ensure!(
                fast == slow,
                "{} on the event at byte {}: the engine says {}, the reference {}\n{}",
                rule.header.name,
                batch.offset(row),
                fast.as_str(),
                slow.as_str(),
                String::from_utf8_lossy(batch.row(row).raw)
            );
            self.matched += usize::from(slow == Truth::True);
            self.blind += usize::from(slow == Truth::Unknown);
        }
        self.compared += 1;
        Ok(())
    }
}
