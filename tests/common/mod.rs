//! What the end-to-end tests share: the recorded acts, the bundled rules, a replay in memory, and the binary from outside.

#![allow(dead_code, reason = "every test file uses a part of it")]

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::{fs, thread};

use detections::sigma::ast::Level;
use pipeline::alert::Alert;
use pipeline::catalog::Catalog;
use pipeline::decode::Decoder;
use pipeline::rules::RuleSources;
use pipeline::run::{Options, Pipeline, Report};
use serde_json::Value;

/// A recorded act and what is known of it.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    /// Keys of detections that must find it; not all are rules of ours.
    pub(crate) expected: BTreeSet<String>,
    /// Keys of detections that may fire too.
    pub(crate) also_true: BTreeSet<String>,
    /// Who authenticated.
    pub(crate) actor: String,
    /// `success`, `denied`, `failed`, `dry run`.
    pub(crate) outcome: String,
    /// What may be raised where nothing is expected.
    pub(crate) level_max: Level,
    /// The log, one event a line.
    pub(crate) log: Vec<u8>,
}

/// All of them, by name.
pub(crate) fn scenarios() -> &'static [Scenario] {
    static SCENARIOS: OnceLock<Vec<Scenario>> = OnceLock::new();
    SCENARIOS.get_or_init(|| {
        let index = fs::read(scenario_path("index.json")).unwrap();
        let index: Vec<Value> = serde_json::from_slice(&index).unwrap();
        index.iter().map(read_scenario).collect()
    })
}

pub(crate) fn scenario(name: &str) -> &'static Scenario {
    scenarios()
        .iter()
        .find(|scenario| scenario.name == name)
        .unwrap()
}

fn read_scenario(entry: &Value) -> Scenario {
    let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
    let keys = |key: &str| {
        let keys = entry[key].as_array().into_iter().flatten();
        keys.map(|key| key.as_str().unwrap().to_owned()).collect()
    };
    let file = text("file");
    let packed = fs::read(scenario_path(&format!("{file}.zst"))).unwrap();
    let log = zstd::decode_all(packed.as_slice()).unwrap();
    let lines = log.split_inclusive(|byte| *byte == b'\n').count();
    assert_eq!(Some(lines as u64), entry["events"].as_u64(), "{file}");
    Scenario {
        name: file.trim_end_matches(".ndjson").to_owned(),
        expected: keys("expected"),
        also_true: keys("also_true"),
        actor: text("actor"),
        outcome: text("outcome"),
        level_max: Level::parse(&text("max_level")).unwrap_or(Level::Low),
        log,
    }
}

/// A file of the recorded acts: `attack_story.ndjson.zst`.
pub(crate) fn scenario_path(file: &str) -> String {
    path(&format!("tests/fixtures/scenarios/{file}"))
}

/// A place in the repository.
pub(crate) fn path(below: &str) -> String {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join(below)
        .display()
        .to_string()
}

/// The bundled rules.
pub(crate) fn catalog() -> &'static Catalog {
    static CATALOG: OnceLock<Catalog> = OnceLock::new();
    CATALOG.get_or_init(|| RuleSources::default().load().unwrap().into_catalog())
}

/// Replays inputs in the order given. Whatever they hold, the books balance.
#[track_caller]
pub(crate) fn replay(inputs: &[&[u8]]) -> Report {
    let mut pipeline = Pipeline::new(catalog(), Options::default());
    for (number, input) in inputs.iter().enumerate() {
        pipeline.begin_input(&format!("input {number}"));
        let mut decoder = Decoder::new(*input, Arc::from("default"));
        while let Some(item) = decoder.next().unwrap() {
            pipeline.accept(&item);
        }
    }
    let report = pipeline.finish();
    assert!(report.account.balances(), "{:#?}", report.account);
    report
}

/// The outcome in the words of the scenarios' index.
pub(crate) fn outcome(alert: &Alert) -> &str {
    if alert.outcome.dry_run {
        "dry run"
    } else {
        &alert.outcome.result
    }
}

/// The binary, with the environment of a plain shell.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidewatch"));
    for name in [
        "NO_COLOR",
        "CLICOLOR",
        "CLICOLOR_FORCE",
        "COLUMNS",
        "RUST_BACKTRACE",
    ] {
        command.env_remove(name);
    }
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// How a run of the binary ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Run {
    pub(crate) fn of(child: Child) -> Self {
        let output = child.wait_with_output().unwrap();
        Self {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The lines of standard output.
    pub(crate) fn lines(&self) -> Vec<&str> {
        self.out.lines().collect()
    }
}

/// Runs the binary without input.
pub(crate) fn run(arguments: &[&str]) -> Run {
    Run::of(command(arguments).spawn().unwrap())
}

/// Runs the binary with these bytes as standard input.
pub(crate) fn run_with(arguments: &[&str], input: &[u8]) -> Run {
    let mut child = command(arguments).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input));
        Run::of(child)
    })
}

/// Writes a file into a folder and gives its path.
pub(crate) fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> String {
    let path = folder.join(name);
    fs::write(&path, content).unwrap();
    path.display().to_string()
}

/// One event, one finding.
pub(crate) const ANONYMOUS: &str = "anonymous_lists_pods.ndjson.zst";

/// Replays one of the acts.
pub(crate) fn replay_act(act: &str, options: &[&str]) -> Run {
    let act = scenario_path(act);
    run(&[&["replay", &act], options].concat())
}

/// The names of the rules that fired, as one line an alert tells them.
pub(crate) fn fired(run: &Run) -> Vec<&str> {
    run.lines()
        .iter()
        .map(|line| {
            line.split("  ")
                .filter(|part| !part.is_empty())
                .nth(2)
                .unwrap()
                .trim()
        })
        .collect()
}

#[track_caller]
pub(crate) fn check_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
}
