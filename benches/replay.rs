//! What detecting costs, measured against a rival that does less: `sonic-rs` deserialising ten envelope fields of the
//! same lines into a borrowed struct.
//!
//! ```text
//! cargo bench --bench replay -- ../shared/corpus/mixed.ndjson.zst
//! ```
//!
//! All contenders run in one process over the same bytes in memory, on one thread, in turn, round after round: whatever
//! disturbs the machine disturbs all of them. The median of the rounds is what counts; every round is printed.
//!
//! 1. Every contender must see the same number of events in every round, and the pipeline must raise equal alerts in
//!    every round, or the run fails: a contender that skips work is not fast.
//! 2. Line splitting and the check for UTF-8 are inside what is measured, for all but the contender that says otherwise.

#![allow(clippy::print_stdout, reason = "the report is this program's product")]

mod corpus;
mod race;
mod sonic;

use std::cell::RefCell;
use std::hint::black_box;

use anyhow::{Context as _, ensure};
use pipeline::catalog::Catalog;
use pipeline::rules::RuleSources;
use pipeline::run::{Options, Pipeline};
use race::{Pass, ROUNDS_MIN, Race, Work, ratio};

fn main() -> anyhow::Result<()> {
    let Some(arguments) = corpus::arguments() else {
        println!("nothing is measured outside of `cargo bench --bench replay -- CORPUS`");
        return Ok(());
    };
    let arguments = Arguments::parse(arguments)?;
    let bytes = corpus::read(&arguments.corpus)?;
    // A copy of its own, because the pipeline takes its bytes over while it decodes them.
    let text = String::from_utf8(bytes.clone()).context("the corpus is not UTF-8")?;
    let bytes = RefCell::new(bytes);
    let catalog = RuleSources::default().load()?.into_catalog();
    let mut contenders = contenders(&text, &bytes, &catalog);
    // For a profiler, which should see one contender alone.
    contenders.retain(|(name, _)| arguments.only.as_ref().is_none_or(|only| name == only));
    let mut race = Race::new(contenders);
    for _ in 0..arguments.rounds {
        race.round()?;
    }
    race.report(&arguments.corpus, bytes.borrow().len());
    let baseline = race.median(BASELINE);
    let against = |name: &str, goal: &str| {
        ratio(
            &format!("{name} ÷ {BASELINE}"),
            baseline / race.median(name),
            goal,
        );
    };
    against(PIPELINE, " (goal 1.3)");
    against(DECODER, "");
    Ok(())
}

const BASELINE: &str = "sonic-rs, ten fields";
const PIPELINE: &str = "tidewatch, all rules";
const DECODER: &str = "tidewatch, decode only";
const UNCHECKED: &str = "sonic-rs, UTF-8 taken for granted";

struct Arguments {
    corpus: String,
    rounds: usize,
    only: Option<String>,
}

impl Arguments {
    fn parse(arguments: Vec<String>) -> anyhow::Result<Self> {
        let mut parsed = Self {
            corpus: corpus::demo(),
            rounds: ROUNDS_MIN,
            only: None,
        };
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            if argument == "--rounds" {
                let rounds = arguments.next().context("--rounds needs a number")?;
                parsed.rounds = rounds.parse().context("--rounds needs a number")?;
            } else if argument == "--only" {
                parsed.only = arguments.next();
            } else {
                parsed.corpus = argument;
            }
        }
        ensure!(
            parsed.rounds >= ROUNDS_MIN,
            "a median needs at least {ROUNDS_MIN} rounds"
        );
        Ok(parsed)
    }
}

/// The baseline stands first, what is compared with it second.
fn contenders<'a>(
    text: &'a str,
    bytes: &'a RefCell<Vec<u8>>,
    catalog: &'a Catalog,
) -> Vec<(&'static str, Pass<'a>)> {
    vec![
        (
            BASELINE,
            Box::new(move || Ok(Work::without_alerts(sonic::checked(text.as_bytes())?))),
        ),
        (PIPELINE, Box::new(move || replay(bytes, catalog))),
        (DECODER, Box::new(move || decode(bytes))),
        (
            UNCHECKED,
            Box::new(move || Ok(Work::without_alerts(sonic::unchecked(text)?))),
        ),
        (
            "sonic-rs, get_many of five fields",
            Box::new(move || Ok(Work::without_alerts(sonic::some(text.as_bytes(), 5)?))),
        ),
        (
            "sonic-rs, get_many of six fields",
            Box::new(move || Ok(Work::without_alerts(sonic::some(text.as_bytes(), 6)?))),
        ),
        (
            "line ends alone",
            Box::new(move || Ok(Work::without_alerts(sonic::line_ends(text.as_bytes())))),
        ),
    ]
}

fn replay(bytes: &RefCell<Vec<u8>>, catalog: &Catalog) -> anyhow::Result<Work> {
    let mut pipeline = Pipeline::new(catalog, Options::default());
    pipeline.begin_input("corpus");
    corpus::decode(bytes, |item| {
        pipeline.accept(&item);
        Ok(())
    })?;
    let report = pipeline.finish();
    ensure!(
        report.account.balances(),
        "records are unaccounted for: {:?}",
        report.account
    );
    Ok(Work {
        events: report.account.received,
        alerts: report.alerts,
    })
}

fn decode(bytes: &RefCell<Vec<u8>>) -> anyhow::Result<Work> {
    let mut events = 0;
    corpus::decode(bytes, |item| {
        black_box(item);
        events += 1;
        Ok(())
    })?;
    Ok(Work::without_alerts(events))
}
