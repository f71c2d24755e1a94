//! How the cost grows: with rules, with distinct values, with cores, with what must be read.
//!
//! ```text
//! cargo bench --bench scale -- ../shared/corpus/mixed.ndjson.zst [--rounds N]
//! ```
//!
//! The corpus must be one file; the contenders that read files read it as it is, and as a plain copy in a temporary file.

#![allow(clippy::print_stdout, reason = "the report is this program's product")]

mod corpus;
mod generated;
mod race;

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use detections::batch::EventRow;
use detections::diagnostic::Source;
use detections::engine::Verdicts;
use detections::sigma::{Placeholders, load};
use pipeline::catalog::Catalog;
use pipeline::decode::Item;
use pipeline::rules::RuleSources;
use pipeline::run::{Options, Pipeline};
use pipeline::source::input::Input;
use race::{Pass, ROUNDS_MIN, Race, Work, ratio};
use replay::discover::InputPath;
use replay::replay::{Quiet, Replay};

/// Matches every event, and looks at every string of each.
const READS_ALL: &str = "title: Reads all\nname: reads_all\nlogsource: {product: kubernetes, service: audit}\n\
    detection:\n  nowhere:\n    - no such words\n  words:\n    - '*'\n  condition: nowhere or words\n";

fn main() -> anyhow::Result<()> {
    let Some(arguments) = corpus::arguments() else {
        println!("nothing is measured outside of `cargo bench --bench scale -- CORPUS`");
        return Ok(());
    };
    let (path, rounds, only) = parse(arguments)?;
    let bytes = corpus::read(&path)?;
    let plain = tempfile::NamedTempFile::new()?;
    std::fs::write(plain.path(), &bytes).context("cannot write a plain copy of the corpus")?;
    let many = RefCell::new(generated::many_values(&bytes, 1));
    let (length, bytes) = (bytes.len(), RefCell::new(bytes));
    let catalogs = Catalogs::load()?;
    let mut contenders = contenders(
        (&bytes, length),
        &many,
        &catalogs,
        Path::new(&path),
        plain.path(),
    );
    // For a profiler, which should see one contender alone.
    contenders.retain(|(name, _)| only.as_ref().is_none_or(|only| name == only));
    let mut race = Race::new(contenders);
    for _ in 0..rounds {
        race.round()?;
    }
    race.report(&path, length);
    print_ratios(&race);
    Ok(())
}

fn parse(arguments: Vec<String>) -> anyhow::Result<(String, usize, Option<String>)> {
    let (mut path, mut rounds, mut only) = (None, ROUNDS_MIN, None);
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        if argument == "--rounds" {
            let number = arguments.next().and_then(|number| number.parse().ok());
            rounds = number.context("--rounds needs a number")?;
        } else if argument == "--only" {
            only = arguments.next();
        } else {
            path = Some(argument);
        }
    }
    ensure!(
        rounds >= ROUNDS_MIN,
        "a median needs at least {ROUNDS_MIN} rounds"
    );
    Ok((path.context("name the corpus: one file")?, rounds, only))
}

/// The rule sets that are compared.
struct Catalogs {
    bundled: Catalog,
    ten: Catalog,
    thousand: Catalog,
    reads_all: Catalog,
}

impl Catalogs {
    fn load() -> anyhow::Result<Self> {
        let one = |text: &str| vec![("rule.yml".to_owned(), text.to_owned())];
        Ok(Self {
            bundled: RuleSources::default().load()?.into_catalog(),
            ten: compiled(&generated::rules(1_000)[..10])?,
            thousand: compiled(&generated::rules(1_000))?,
            reads_all: compiled(&one(READS_ALL))?,
        })
    }
}

fn compiled(rules: &[(String, String)]) -> anyhow::Result<Catalog> {
    let sources: Vec<_> = rules
        .iter()
        .map(|(name, text)| Source::new(name.as_str(), text.as_str()))
        .collect();
    let loaded = load(&sources, &Placeholders::new());
    ensure!(!loaded.has_errors(), "{:#?}", loaded.diagnostics);
    Ok(Catalog::new(loaded, |_| None))
}

fn contenders<'a>(
    (bytes, length): (&'a RefCell<Vec<u8>>, usize),
    many: &'a RefCell<Vec<u8>>,
    catalogs: &'a Catalogs,
    packed: &'a Path,
    plain: &'a Path,
) -> Vec<(&'static str, Pass<'a>)> {
    vec![
        (
            "bundled rules, from memory",
            Box::new(move || from_memory(bytes, &catalogs.bundled)),
        ),
        (
            "judging, many values",
            Box::new(move || judge(many, &catalogs.bundled)),
        ),
        (
            "10 rules",
            Box::new(move || from_memory(bytes, &catalogs.ten)),
        ),
        (
            "1,000 rules",
            Box::new(move || from_memory(bytes, &catalogs.thousand)),
        ),
        (
            "judging, bundled rules",
            Box::new(move || judge(bytes, &catalogs.bundled)),
        ),
        (
            "judging, all match and are read",
            Box::new(move || judge(bytes, &catalogs.reads_all)),
        ),
        (
            "plain file, one thread",
            Box::new(move || from_file(plain, 1, &catalogs.bundled)),
        ),
        (
            "plain file, two threads",
            Box::new(move || from_file(plain, 2, &catalogs.bundled)),
        ),
        (
            "corpus as it is, decompressed only",
            Box::new(move || decompress(packed, length)),
        ),
        (
            "corpus as it is, two threads",
            Box::new(move || from_file(packed, 2, &catalogs.bundled)),
        ),
    ]
}

fn print_ratios(race: &Race<'_>) {
    let over = |slow: &str, fast: &str| race.median(slow) / race.median(fast);
    let memory = "bundled rules, from memory";
    ratio(
        "1,000 rules ÷ 10 rules, time",
        over("1,000 rules", "10 rules"),
        " (goal at most 1.5)",
    );
    ratio(
        "many values ÷ corpus, speed",
        over("judging, bundled rules", "judging, many values"),
        " (goal at least 0.7)",
    );
    ratio(
        "two threads ÷ one, speed",
        over("plain file, one thread", "plain file, two threads"),
        " (goal at least 1.9)",
    );
    let alone = race.median("corpus as it is, decompressed only");
    let bound = alone.max(f64::midpoint(alone, race.median(memory)));
    ratio(
        "compressed file on two threads ÷ its bound, time",
        race.median("corpus as it is, two threads") / bound,
        " (goal at most 1.15)",
    );
    ratio(
        "all match and are read ÷ quiet, speed",
        over("judging, bundled rules", "judging, all match and are read"),
        " (goal at least 0.3)",
    );
}

fn from_memory(bytes: &RefCell<Vec<u8>>, catalog: &Catalog) -> anyhow::Result<Work> {
    let mut pipeline = Pipeline::new(catalog, Options::default());
    pipeline.begin_input("corpus");
    corpus::decode(bytes, |item| {
        pipeline.accept(&item);
        Ok(())
    })?;
    let report = pipeline.finish();
    ensure!(report.account.balances(), "{:?}", report.account);
    Ok(Work {
        events: report.account.received,
        alerts: report.alerts,
    })
}

/// Without joining and enriching: which rules match which events, and no more.
fn judge(bytes: &RefCell<Vec<u8>>, catalog: &Catalog) -> anyhow::Result<Work> {
    let settings = Options::default().settings;
    let mut evaluator = catalog.set.evaluator();
    let mut verdicts = Verdicts::default();
    let (mut events, mut matches) = (0, 0);
    corpus::decode(bytes, |item| {
        let Item::Event(event) = item else {
            bail!("the corpus holds what is no event");
        };
        let row = EventRow {
            raw: event.bytes,
            columns: event.columns.context("the corpus holds no plain events")?,
            origin: &event.origin,
            settings: &settings,
        };
        evaluator.judge(&row, &mut verdicts);
        events += 1;
        matches += verdicts.matched.len() as u64;
        Ok(())
    })?;
    let is_greedy = catalog.infos.len() == 1;
    ensure!(
        !is_greedy || matches == events,
        "{matches} of {events} events match"
    );
    Ok(Work::without_alerts(events))
}

fn from_file(path: &Path, threads: usize, catalog: &Catalog) -> anyhow::Result<Work> {
    let replay = Replay::<Vec<u8>> {
        catalog,
        options: Options::default(),
        cluster: "default".into(),
        rejects: None,
        threads,
    };
    let replayed = replay.run(&[InputPath::File(PathBuf::from(path))], &mut Quiet)?;
    ensure!(replayed.faults.is_empty(), "{:?}", replayed.faults);
    Ok(Work {
        events: replayed.report.account.received,
        alerts: replayed.report.alerts,
    })
}

/// Counts lines, which are events in this corpus.
fn decompress(path: &Path, expected: usize) -> anyhow::Result<Work> {
    let mut input = Input::open(path)?;
    let (mut events, mut bytes) = (0, 0);
    let mut piece = vec![0; 1 << 20];
    loop {
        let read = std::io::Read::read(&mut input, &mut piece)?;
        if read == 0 {
            break;
        }
        bytes += read;
        events += memchr::memchr_iter(b'\n', &piece[..read]).count() as u64;
    }
    ensure!(bytes == expected, "{bytes} bytes instead of {expected}");
    Ok(Work::without_alerts(events))
}
