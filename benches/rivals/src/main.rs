//! Tidewatch against `rsigma` on the same Sigma rules, and against `jq` on a few of them, over the same events.
//!
//! ```text
//! cargo run --release --manifest-path benches/rivals/Cargo.toml -- CORPUS [--events N] [--rounds N]
//! ```
//!
//! All run over the same events, one after the other, on one thread, round after round; the median counts. The run fails if
//! two of them find different numbers of matches for a rule.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use detections::batch::EventRow;
use detections::diagnostic::Source;
use detections::engine::{RuleSet, Verdicts};
use detections::event::Settings;
use detections::sigma::{Placeholders, load};
use pipeline::decode::{Decoder, Item};
use pipeline::source::input::Input;
use rsigma_eval::Engine;
use rsigma_eval::event::JsonEvent;
use rsigma_parser::parse_sigma_yaml;

/// The rules of this folder, and those that prove elsewhere that public rules load as they are.
const FOLDERS: [&str; 2] = ["rules", "../../detections/tests/fixtures/sigmahq_shape"];

/// What some of the rules say, for `jq`; it counts each by its title.
const JQ_FILTER: &str = r#"
def is($list): . as $value | any($list[]; . == $value);
if (.verb | is(["list", "watch"])) and .objectRef.resource == "pods" and (.user.username | startswith("system:") | not)
then "Pods Listed By People" else empty end,
if (.requestURI | test("^/api/v1/nodes/[^/]+/proxy/")) then "Kubelet Reached Through The API Server" else empty end,
if .verb == "get" and .responseStatus.code == 404 and (.userAgent // "" | ascii_downcase | test("kubectl|curl|go-http-client"))
then "Requests For What Is Not There" else empty end
"#;

/// Matches by the rule's title.
type Counts = BTreeMap<String, u64>;

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse()?;
    let events = read(&arguments)?;
    let rules = rules()?;
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), &events)?;
    let events = RefCell::new(events);
    let tidewatch = tidewatch_rules(&rules)?;
    let rsigma = rsigma_rules(&rules)?;
    let mut rivals: [(&str, Pass<'_>); 3] = [
        (
            "tidewatch",
            Box::new(|| run_tidewatch(&mut events.borrow_mut(), &tidewatch)),
        ),
        (
            "rsigma 0.23.0",
            Box::new(|| run_rsigma(&events.borrow(), &rsigma)),
        ),
        ("jq, three of the rules", Box::new(|| run_jq(file.path()))),
    ];
    let mut seconds = [const { Vec::new() }; 3];
    let mut counts = [const { Counts::new() }; 3];
    for _ in 0..arguments.rounds {
        for (rival, (_, pass)) in rivals.iter_mut().enumerate() {
            let started = Instant::now();
            counts[rival] = pass()?;
            seconds[rival].push(started.elapsed().as_secs_f64());
        }
        compare(&counts)?;
    }
    let names = rivals.map(|(name, _)| name);
    report(&events.borrow(), rules.len(), names, &seconds, &counts);
    Ok(())
}

type Pass<'a> = Box<dyn FnMut() -> anyhow::Result<Counts> + 'a>;

struct Arguments {
    corpus: String,
    events: usize,
    rounds: usize,
}

impl Arguments {
    fn parse() -> anyhow::Result<Self> {
        let mut parsed = Self {
            corpus: String::new(),
            events: usize::MAX,
            rounds: 5,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut number = || arguments.next().and_then(|number| number.parse().ok());
            match argument.as_str() {
                "--events" => parsed.events = number().context("--events needs a number")?,
                "--rounds" => parsed.rounds = number().context("--rounds needs a number")?,
                _ => parsed.corpus = argument,
            }
        }
        ensure!(
            !parsed.corpus.is_empty(),
            "name a corpus: a file, packed or not"
        );
        ensure!(parsed.rounds >= 5, "a median needs at least 5 rounds");
        Ok(parsed)
    }
}

/// The first events of the corpus, one a line.
fn read(arguments: &Arguments) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    Input::open(&arguments.corpus)?.read_to_end(&mut bytes)?;
    let last = memchr::memchr_iter(b'\n', &bytes).nth(arguments.events.saturating_sub(1));
    bytes.truncate(last.map_or(bytes.len(), |end| end + 1));
    Ok(bytes)
}

/// The texts of all rules.
fn rules() -> anyhow::Result<Vec<(String, String)>> {
    let mut rules = Vec::new();
    for folder in FOLDERS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "yml") {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                rules.push((name.into_owned(), std::fs::read_to_string(&path)?));
            }
        }
    }
    rules.sort();
    Ok(rules)
}

fn tidewatch_rules(rules: &[(String, String)]) -> anyhow::Result<RuleSet> {
    let sources: Vec<_> = rules
        .iter()
        .map(|(name, text)| Source::new(name.as_str(), text.as_str()))
        .collect();
    let loaded = load(&sources, &Placeholders::new());
    ensure!(!loaded.has_errors(), "{:#?}", loaded.diagnostics);
    Ok(RuleSet::new(loaded.rules))
}

fn rsigma_rules(rules: &[(String, String)]) -> anyhow::Result<Engine> {
    let mut engine = Engine::new();
    for (name, text) in rules {
        let collection = parse_sigma_yaml(text).with_context(|| name.clone())?;
        engine
            .add_collection(&collection)
            .with_context(|| name.clone())?;
    }
    ensure!(engine.rule_count() == rules.len(), "rsigma left rules out");
    Ok(engine)
}

/// Decodes the events where they lie, as the program does with the pieces that it has read.
fn run_tidewatch(events: &mut Vec<u8>, rules: &RuleSet) -> anyhow::Result<Counts> {
    let mut matches = vec![0; rules.rules().len()];
    let settings = Settings::default().into();
    let (mut evaluator, mut verdicts) = (rules.evaluator(), Verdicts::default());
    let mut decoder = Decoder::of_pieces("default".into());
    decoder.load(events, 0, false);
    while let Some(item) = decoder.next()? {
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
        for rule in &verdicts.matched {
            matches[*rule] += 1;
        }
    }
    // Hands the bytes back.
    decoder.load(events, 0, false);
    let titles = rules.rules().iter().map(|rule| rule.header.title.clone());
    Ok(titles
        .zip(matches)
        .filter(|(_, matches)| *matches > 0)
        .collect())
}

/// Reads events with `serde_json`, as its own documentation does.
fn run_rsigma(events: &[u8], engine: &Engine) -> anyhow::Result<Counts> {
    let mut counts = Counts::new();
    for line in events
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        let event: serde_json::Value = serde_json::from_slice(line)?;
        for found in engine.evaluate(&JsonEvent::borrow(&event)) {
            *counts.entry(found.header.rule_title).or_default() += 1;
        }
    }
    Ok(counts)
}

fn run_jq(events: &Path) -> anyhow::Result<Counts> {
    let output = Command::new("jq")
        .args(["-r", JQ_FILTER])
        .arg(events)
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run jq: apt-get install jq")?;
    ensure!(output.status.success(), "jq failed");
    let mut counts = Counts::new();
    for title in String::from_utf8(output.stdout)?.lines() {
        *counts.entry(title.to_owned()).or_default() += 1;
    }
    Ok(counts)
}

fn compare([tidewatch, rsigma, jq]: &[Counts; 3]) -> anyhow::Result<()> {
    ensure!(
        tidewatch == rsigma,
        "tidewatch found {tidewatch:#?}, rsigma {rsigma:#?}"
    );
    for (title, count) in jq {
        let ours = tidewatch.get(title).copied().unwrap_or_default();
        ensure!(
            ours == *count,
            "{title}: tidewatch found {ours}, jq {count}"
        );
    }
    ensure!(
        jq.len() == 3,
        "jq found {jq:?}, and should find all three of its rules"
    );
    Ok(())
}

fn report(
    events: &[u8],
    rules: usize,
    names: [&str; 3],
    seconds: &[Vec<f64>; 3],
    counts: &[Counts; 3],
) {
    let number = memchr::memchr_iter(b'\n', events).count();
    let mut out = std::io::stdout().lock();
    let mut line = |text: String| {
        let _closed = writeln!(out, "{text}");
    };
    line(format!(
        "{number} events, {:.1} MB, {rules} rules; matches, equal everywhere: {:?}",
        events.len() as f64 / 1e6,
        counts[0]
    ));
    for (name, seconds) in names.iter().zip(seconds) {
        let rounds: Vec<_> = seconds
            .iter()
            .map(|seconds| format!("{seconds:.3}"))
            .collect();
        let rate = number as f64 / median(seconds);
        line(format!(
            "{name:<24} {:>9.3} s {rate:>9.0} events/s  rounds {}",
            median(seconds),
            rounds.join(" ")
        ));
    }
    for rival in [1, 2] {
        let ratio = median(&seconds[rival]) / median(&seconds[0]);
        line(format!(
            "ratio    tidewatch ÷ {} = {ratio:.1}",
            names[rival]
        ));
    }
}

fn median(seconds: &[f64]) -> f64 {
    let mut sorted = seconds.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
