//! Whatever the input is: nothing panics, nothing is lost without a count, a broken record does not hide the next one, and
//! memory stays within its bound.

mod common;

use std::collections::BTreeSet;
use std::io::Read as _;
use std::sync::OnceLock;

use common::{path, replay, scenario, scenarios};
use pipeline::run::Report;
use pipeline::source::input::Input;
use pipeline::wire::{ocsf, text};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

/// Replays bytes and writes every alert in every form.
#[track_caller]
fn survive(input: &[u8]) -> Report {
    let report = replay(&[input]);
    let style = text::Style {
        verbose: true,
        ..text::Style::default()
    };
    for alert in &report.alerts {
        assert!(!ocsf::to_json(alert, 0).to_string().is_empty());
        assert!(!text::render(alert, &style).is_empty());
        assert!(!text::render_line(alert).contains('\n'));
    }
    report
}

/// The lines of some acts, those that raise something among them.
fn events() -> Vec<&'static [u8]> {
    const LINE_BYTES_MAX: usize = 12 * 1024;
    let lines = scenarios()
        .iter()
        .flat_map(|scenario| scenario.log.split(|byte| *byte == b'\n').rev().take(12));
    lines
        .filter(|line| !line.is_empty() && line.len() < LINE_BYTES_MAX)
        .collect()
}

/// One event for each rule that fires on the acts.
fn telling_events() -> Vec<&'static [u8]> {
    let mut rules = BTreeSet::new();
    let mut telling = Vec::new();
    for line in events() {
        let names: Vec<_> = replay(&[line])
            .alerts
            .iter()
            .map(|alert| alert.rule.name.clone())
            .collect();
        if names
            .into_iter()
            .filter(|name| rules.insert(name.clone()))
            .count()
            > 0
        {
            telling.push(line);
        }
    }
    assert!(rules.len() > 30, "{rules:?}");
    telling
}

/// A good event of its own, that raises one alert.
fn good_event() -> &'static [u8] {
    &scenario("binding_to_anonymous").log
}

/// Replays a broken line before a good one: the good one must still be found.
#[track_caller]
fn survive_before_good(broken: &[u8]) -> Report {
    let report = survive(&[broken, b"\n", good_event()].concat());
    let found = report
        .alerts
        .iter()
        .any(|alert| alert.object.name.as_deref() == Some("public"));
    assert!(
        found,
        "the next record is lost behind {}",
        String::from_utf8_lossy(broken)
    );
    report
}

fn event() -> impl Strategy<Value = Vec<u8>> {
    any::<Index>().prop_map(|index| index.get(&events()).to_vec())
}

/// The demo's files in the clouds' envelopes, unpacked.
fn clouds() -> &'static [Vec<u8>] {
    static CLOUDS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    CLOUDS.get_or_init(|| {
        let files = ["aks-eventhub", "eks-cloudwatch", "gke-audit"];
        files
            .map(|file| unpacked(&path(&format!("replay/demo/{file}.json.gz"))))
            .into()
    })
}

fn unpacked(file: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    Input::open(file).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(json!("2026-11-20T21:38:36.572369Z")),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        let members = vec((any::<String>(), inner.clone()), 0..4).prop_map(Value::from_iter);
        prop_oneof![vec(inner, 0..4).prop_map(Value::from), members]
    })
}

/// Where a value stands in a document.
type Place = Vec<Step>;

#[derive(Clone, Debug)]
enum Step {
    Key(String),
    At(usize),
}

/// Every place of a document; of arrays only the first two elements, for the others are alike.
fn places(value: &Value, here: &Place, found: &mut Vec<Place>) {
    found.push(here.clone());
    let below = |step: Step| here.iter().cloned().chain([step]).collect::<Place>();
    match value {
        Value::Object(members) => {
            members
                .iter()
                .for_each(|(key, value)| places(value, &below(Step::Key(key.clone())), found));
        }
        Value::Array(items) => {
            items
                .iter()
                .take(2)
                .enumerate()
                .for_each(|(at, item)| places(item, &below(Step::At(at)), found));
        }
        _ => {}
    }
}

fn all_places(value: &Value) -> Vec<Place> {
    let mut found = Vec::new();
    places(value, &Vec::new(), &mut found);
    // A document that is no object any more is no event.
    found.split_off(1)
}

fn put(document: &mut Value, place: &Place, value: Value) {
    let spot = place.iter().fold(document, |inner, step| match step {
        Step::Key(key) => &mut inner[key.as_str()],
        Step::At(at) => &mut inner[*at],
    });
    *spot = value;
}

fn parse(line: &[u8]) -> Value {
    serde_json::from_slice(line).unwrap()
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 192,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn random_bytes(input in vec(any::<u8>(), 0..4_000)) {
        survive(&input);
    }

    #[test]
    fn flipped_bits(mut line in event(), flips in vec((any::<Index>(), 0_u32..8), 1..12)) {
        for (index, bit) in flips {
            *index.get_mut(&mut line) ^= 1 << bit;
        }
        let report = survive_before_good(&line);
        prop_assert!(report.account.received > 1);
    }

    #[test]
    fn flipped_bits_of_the_clouds_envelopes(
        file in any::<Index>(), start in any::<Index>(), flips in vec((any::<Index>(), 0_u32..8), 0..12)
    ) {
        let whole = file.get(clouds());
        let start = start.index(whole.len());
        let mut part = whole[start..whole.len().min(start + 50_000)].to_vec();
        for (index, bit) in flips {
            *index.get_mut(&mut part) ^= 1 << bit;
        }
        survive(&part);
    }

    #[test]
    fn cut_anywhere(line in event(), end in any::<Index>()) {
        let end = 1 + end.index(line.len());
        let report = survive_before_good(&line[..end]);
        prop_assert_eq!(report.account.received, 2);
    }

    #[test]
    fn two_events_joined_anywhere(first in event(), second in event(), end in any::<Index>(), start in any::<Index>()) {
        let joined = [&first[..end.index(first.len())], &second[start.index(second.len())..]].concat();
        survive(&joined);
    }

    #[test]
    fn bytes_that_are_no_utf8(mut line in event(), at in any::<Index>(), bytes in vec(0x80_u8..=0xff, 1..4)) {
        prop_assume!(std::str::from_utf8(&bytes).is_err());
        let at = at.index(line.len());
        line.splice(at..at, bytes);
        let report = survive_before_good(&line);
        prop_assert!(report.account.rejected_total() > 0, "{:?}", report.account);
    }

    #[test]
    fn any_value_in_any_field(line in event(), at in any::<Index>(), value in any_value()) {
        let mut document = parse(&line);
        let places = all_places(&document);
        put(&mut document, at.get(&places), value);
        let report = survive_before_good(document.to_string().as_bytes());
        prop_assert_eq!(report.account.received, 2);
    }
}

/// Each of these at every place of every event that raises something.
fn wrong_values() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(-1),
        json!(1e300),
        json!(""),
        json!("\u{0}\u{202e}x"),
        json!([]),
        json!([[null]]),
        json!({}),
        json!({"": {"": []}}),
    ]
}

#[test]
fn wrong_types_in_every_field() {
    let mut lines = 0;
    let mut input = String::new();
    for line in telling_events() {
        let document = parse(line);
        for place in all_places(&document) {
            // All of them at every place would take minutes; each place meets each value on another event.
            for value in wrong_values().into_iter().skip(lines % 5).step_by(5) {
                let mut wrong = document.clone();
                put(&mut wrong, &place, value);
                input.push_str(&wrong.to_string());
                input.push('\n');
                lines += 1;
            }
        }
    }
    assert!(lines > 5_000, "{lines}");
    let report = survive(input.as_bytes());
    assert_eq!(report.account.received, lines as u64);
    // A wrong type is the body's fault and rejects nothing, except where the record cannot be told to be an event.
    assert!(
        report
            .account
            .rejected
            .keys()
            .all(|reason| *reason == "not_an_audit_event" || *reason == "core_v1_event")
    );
}

#[test]
fn of_duplicate_keys_the_last_wins() {
    for line in telling_events() {
        let uids = |report: &Report| {
            report
                .alerts
                .iter()
                .map(|alert| alert.uid.clone())
                .collect::<Vec<_>>()
        };
        let expected = uids(&replay(&[line]));
        for key in parse(line).as_object().unwrap().keys() {
            for value in ["null", "\"x\"", "[{}]", "{\"kind\":7}", "{\"a\":1,\"a\":[}"] {
                let rest = std::str::from_utf8(&line[1..]).unwrap();
                let twice = format!("{{\"{key}\":{value},{rest}");
                let is_valid = serde_json::from_str::<Value>(&twice).is_ok();
                let report = survive(twice.as_bytes());
                assert!(
                    !is_valid || uids(&report) == expected,
                    "{key}: {value} before {rest}"
                );
            }
        }
    }
}

#[test]
fn nesting_of_ten_thousand() {
    const DEPTH: usize = 10_000;
    let pairs = [("[", "]"), ("{\"a\":", "}"), ("[{\"spec\":", "}]")];
    for (open, close) in pairs {
        let closed = format!("{}0{}", open.repeat(DEPTH), close.repeat(DEPTH));
        survive_before_good(closed.as_bytes());
        let event = String::from_utf8(scenario("privileged_pod").log.clone()).unwrap();
        let event: Value = serde_json::from_str(event.lines().nth(6).unwrap()).unwrap();
        for key in event.as_object().unwrap().keys() {
            let mut deep = event.clone();
            deep[key] = json!("DEEP");
            let deep = deep.to_string().replace("\"DEEP\"", &closed);
            survive_before_good(deep.as_bytes());
        }
        survive(open.repeat(DEPTH).as_bytes());
    }
}

/// One line of 64 MiB, made while it is written: no test holds it.
#[cfg(target_os = "linux")]
mod large {
    use std::io::{BufWriter, Write};
    use std::process::{Child, Stdio};
    use std::{fs, io, thread};

    use super::common::{Run, command, scenario};

    const LINE_BYTES: usize = 64 << 20;
    const MEMORY_KIB_MAX: u64 = 256 << 10;

    /// Runs a replay of standard input; also gives the most memory that it ever used, in KiB.
    fn measured(input: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send) -> (Run, u64) {
        let arguments = ["replay", "-", "--format", "line"];
        let mut child = command(&arguments).stdin(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let status = format!("/proc/{}/status", child.id());
        thread::scope(|scope| {
            scope.spawn(move || input(&mut BufWriter::with_capacity(1 << 20, stdin)).unwrap());
            let peak = scope.spawn(move || peak_kib(&status));
            let run = finish(child);
            (run, peak.join().unwrap())
        })
    }

    fn finish(child: Child) -> Run {
        let run = Run::of(child);
        assert_eq!(run.code, 0, "{}", run.err);
        run
    }

    /// Looks again and again until the process has gone; the kernel keeps the peak, so no peak is missed in between.
    fn peak_kib(status: &str) -> u64 {
        let mut peak = 0;
        loop {
            let text = fs::read_to_string(status).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let Some(found) =
                line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok())
            else {
                return peak;
            };
            peak = found;
            thread::sleep(std::time::Duration::from_millis(1));
        }
    }

    fn privileged_pod() -> String {
        let log = String::from_utf8(scenario("privileged_pod").log.clone()).unwrap();
        log.lines().nth(6).unwrap().to_owned()
    }

    #[test]
    fn a_list_of_many_events_on_one_line() {
        let ordinary = String::from_utf8(scenario("ok_user_lists_own_ns").log.clone()).unwrap();
        let ordinary = ordinary.lines().next().unwrap().to_owned();
        let (before, after) = ordinary.split_once("\"auditID\":\"").unwrap();
        let events = LINE_BYTES / ordinary.len();
        let (run, peak) = measured(|out| {
            write!(
                out,
                "{{\"kind\":\"EventList\",\"apiVersion\":\"audit.k8s.io/v1\",\"items\":["
            )?;
            for number in 0..events {
                write!(out, "{before}\"auditID\":\"{number:08x}{},", &after[8..])?;
            }
            writeln!(out, "{}]}}", privileged_pod())
        });
        let judged: String = run
            .err
            .lines()
            .find(|line| line.contains(" judged"))
            .unwrap()
            .chars()
            .filter(char::is_ascii_digit)
            .collect();
        assert_eq!(judged, (events + 1).to_string(), "{}", run.err);
        assert!(
            run.out.contains("privileged_container"),
            "the last event of the list is not found"
        );
        assert!(peak > 0 && peak <= MEMORY_KIB_MAX, "{peak} KiB");
    }

    #[test]
    fn one_event_with_a_body_of_that_size() {
        let event = privileged_pod();
        let (before, after) = event.split_once("\"annotations\":{").unwrap();
        let good = scenario("binding_to_anonymous").log.clone();
        let (run, peak) = measured(|out| {
            write!(out, "{before}\"annotations\":{{\"padding\":\"")?;
            let padding = vec![b'x'; 1 << 20];
            (0..LINE_BYTES >> 20).try_for_each(|_| out.write_all(&padding))?;
            writeln!(out, "\",{after}")?;
            out.write_all(&good)
        });
        assert!(
            run.err.contains("2 judged, 1 cut and salvaged"),
            "{}",
            run.err
        );
        assert!(
            run.err.contains("bound     1 records were too large"),
            "the bound was reached in silence: {}",
            run.err
        );
        assert!(
            run.out.contains("mallory@example.com: created"),
            "what stands before the cut is not used: {}",
            run.out
        );
        assert!(
            run.out.contains("clusterrolebinding public"),
            "the next record is lost: {}",
            run.out
        );
        assert!(peak > 0 && peak <= MEMORY_KIB_MAX, "{peak} KiB");
    }
}
