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
mod sonic;

use std::hint::black_box;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use pipeline::alert::Alert;
use pipeline::catalog::Catalog;
use pipeline::decode::Decoder;
use pipeline::rules::RuleSources;
use pipeline::run::{Options, Pipeline};

/// Fewer rounds have no median worth the name.
const ROUNDS_MIN: usize = 5;

fn main() -> anyhow::Result<()> {
    let Some(arguments) = corpus::arguments() else {
        println!("nothing is measured outside of `cargo bench --bench replay -- CORPUS`");
        return Ok(());
    };
    let arguments = Arguments::parse(arguments)?;
    let bytes = corpus::read(&arguments.corpus)?;
    let catalog = RuleSources::default().load()?.into_catalog();
    let mut contenders = contenders(&bytes, &catalog)?;
    // For a profiler, which should see one contender alone.
    contenders.retain(|(name, _)| arguments.only.as_ref().is_none_or(|only| name == only));
    let mut race = Race::new(contenders);
    for _ in 0..arguments.rounds {
        race.round()?;
    }
    race.report(&arguments.corpus, bytes.len(), catalog.infos.len());
    Ok(())
}

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

/// What one pass over the corpus did.
struct Work {
    events: u64,
    alerts: Vec<Alert>,
}

impl Work {
    fn without_alerts(events: u64) -> Self {
        Self {
            events,
            alerts: Vec::new(),
        }
    }
}

type Pass<'a> = Box<dyn Fn() -> anyhow::Result<Work> + 'a>;

/// The baseline stands first, what is compared with it second.
fn contenders<'a>(
    bytes: &'a [u8],
    catalog: &'a Catalog,
) -> anyhow::Result<Vec<(&'static str, Pass<'a>)>> {
    let text = std::str::from_utf8(bytes).context("the corpus is not UTF-8")?;
    Ok(vec![
        (
            "sonic-rs, ten fields",
            Box::new(move || Ok(Work::without_alerts(sonic::checked(bytes)?))),
        ),
        (
            "tidewatch, all rules",
            Box::new(move || replay(bytes, catalog)),
        ),
        ("tidewatch, decode only", Box::new(move || decode(bytes))),
        (
            "sonic-rs, UTF-8 taken for granted",
            Box::new(move || Ok(Work::without_alerts(sonic::unchecked(text)?))),
        ),
    ])
}

fn replay(bytes: &[u8], catalog: &Catalog) -> anyhow::Result<Work> {
    let mut pipeline = Pipeline::new(catalog, Options::default());
    pipeline.begin_input("corpus");
    let mut decoder = Decoder::new(bytes, "default".into());
    while let Some(item) = decoder.next()? {
        pipeline.accept(&item);
    }
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

fn decode(bytes: &[u8]) -> anyhow::Result<Work> {
    let mut events = 0;
    let mut decoder = Decoder::new(bytes, "default".into());
    while let Some(item) = decoder.next()? {
        black_box(item);
        events += 1;
    }
    Ok(Work::without_alerts(events))
}

struct Contender<'a> {
    name: &'static str,
    pass: Pass<'a>,
    seconds: Vec<f64>,
}

struct Race<'a> {
    contenders: Vec<Contender<'a>>,
    /// What the first pass that raised alerts raised; all others must equal it.
    alerts: Option<Vec<Alert>>,
    events: Option<u64>,
}

impl<'a> Race<'a> {
    fn new(passes: Vec<(&'static str, Pass<'a>)>) -> Self {
        let contender = |(name, pass)| Contender {
            name,
            pass,
            seconds: Vec::new(),
        };
        Self {
            contenders: passes.into_iter().map(contender).collect(),
            alerts: None,
            events: None,
        }
    }

    fn round(&mut self) -> anyhow::Result<()> {
        for contender in &mut self.contenders {
            let started = Instant::now();
            let work = (contender.pass)().with_context(|| contender.name)?;
            contender.seconds.push(started.elapsed().as_secs_f64());
            let expected = *self.events.get_or_insert(work.events);
            ensure!(
                work.events == expected,
                "{} saw {} events, the others {expected}",
                contender.name,
                work.events
            );
            if !work.alerts.is_empty() {
                let equal = *self.alerts.get_or_insert_with(|| work.alerts.clone()) == work.alerts;
                ensure!(
                    equal,
                    "{} raised other alerts than in the first round",
                    contender.name
                );
            }
        }
        Ok(())
    }

    fn report(&self, corpus: &str, bytes: usize, rules: usize) {
        let events = self.events.unwrap_or_default() as f64;
        let alerts = self.alerts.as_ref().map_or(0, Vec::len);
        let megabytes = bytes as f64 / 1e6;
        println!("machine  {}", machine());
        println!("commit   {}", commit());
        println!(
            "corpus   {corpus}: {events} events, {megabytes:.1} MB, {:.0} bytes an event",
            bytes as f64 / events
        );
        println!(
            "work     {rules} rules, {alerts} alerts, equal in every round; equal event counts everywhere\n"
        );
        println!(
            "{:<34} {:>8} {:>7} {:>10}  rounds, seconds",
            "", "median s", "GB/s", "events/s"
        );
        for contender in &self.contenders {
            let seconds = median(&contender.seconds);
            let rounds: Vec<String> = contender
                .seconds
                .iter()
                .map(|seconds| format!("{seconds:.4}"))
                .collect();
            let speed = bytes as f64 / seconds / 1e9;
            let rate = events / seconds;
            println!(
                "{:<34} {seconds:>8.4} {speed:>7.3} {rate:>10.0}  {}",
                contender.name,
                rounds.join(" ")
            );
        }
        println!();
        if let [baseline, rivals @ ..] = self.contenders.as_slice() {
            for rival in rivals {
                let ratio = median(&baseline.seconds) / median(&rival.seconds);
                println!("ratio    {} ÷ {} = {ratio:.3}", rival.name, baseline.name);
            }
        }
    }
}

fn median(seconds: &[f64]) -> f64 {
    let mut sorted = seconds.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match (sorted.get(middle), sorted.get(middle.wrapping_sub(1))) {
        (Some(upper), Some(lower)) if sorted.len().is_multiple_of(2) => {
            f64::midpoint(*lower, *upper)
        }
        (Some(only), _) => *only,
        (None, _) => f64::NAN,
    }
}

/// The processor, as the kernel names it.
fn machine() -> String {
    let told = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = told
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "{}, {cores} cores",
        model.map_or(std::env::consts::ARCH, |(_, name)| name)
    )
}

/// The commit that was measured, marked if the tree held more than it.
fn commit() -> String {
    let told = Command::new("git")
        .args(["describe", "--always", "--dirty=, with changes"])
        .output();
    let text = told.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.ok()
        .filter(|text| !text.is_empty())
        .unwrap_or_else(|| "unknown".to_owned())
}
