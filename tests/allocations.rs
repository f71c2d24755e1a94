//! A quiet event allocates nothing: not when it is decoded, not when it is judged. What is allocated is allocated per batch,
//! and for what has never been seen before.

mod common;

use std::fs;
use std::sync::Arc;

use allocation_counter::measure;
use common::{catalog, path};
use detections::batch::BatchBuilder;
use detections::event::Origin;
use pipeline::decode::Decoder;
use pipeline::run::{Options, Pipeline};

/// Ordinary traffic of the demo, as lines.
fn lines() -> Vec<u8> {
    let packed = fs::read(path("replay/demo/ordinary.ndjson.zst")).unwrap();
    zstd::decode_all(packed.as_slice()).unwrap()
}

/// Those of them that feed no correlation and for which no rule needs a document, which is nearly all. Nor those whose text has an
/// escape that a rule about that text has to undo, such as `&` in a URI.
fn quiet_lines() -> Vec<u8> {
    let log = lines();
    let mut evaluator = catalog().set.evaluator();
    let mut quiet = Vec::new();
    let (mut all, mut kept) = (0, 0);
    for line in log.split_inclusive(|byte| *byte == b'\n') {
        let mut builder = BatchBuilder::new(Arc::default());
        builder.push(line, &Origin::default(), 0).unwrap();
        let parsed = evaluator.effort().parsed;
        let evaluation = evaluator.evaluate(&builder.finish());
        all += 1;
        let has_escape = line.windows(2).any(|pair| pair == br"\u");
        if evaluator.effort().parsed == parsed && evaluation.matches.is_empty() && !has_escape {
            quiet.extend_from_slice(line);
            kept += 1;
        }
    }
    assert!(kept * 100 > all * 90, "{kept} of {all} events are quiet");
    quiet
}

/// The same events under other ids, so that they are no repeats.
fn renamed(log: &[u8], name: &str) -> Vec<u8> {
    let text = String::from_utf8_lossy(log);
    text.replace("\"auditID\":\"", &format!("\"auditID\":\"{name}"))
        .into_bytes()
}

fn decode(log: &[u8]) -> u64 {
    let mut events = 0;
    let mut decoder = Decoder::new(log, "default".into());
    while decoder.next().unwrap().is_some() {
        events += 1;
    }
    events
}

fn feed(pipeline: &mut Pipeline<'_>, log: &[u8]) {
    let mut decoder = Decoder::new(log, "default".into());
    while let Some(item) = decoder.next().unwrap() {
        pipeline.accept(&item);
    }
    pipeline.end_input();
}

#[test]
fn decoding_allocates_per_stream() {
    let once = lines();
    let twice = once.repeat(2);
    let short = measure(|| assert!(decode(&once) > 5_000));
    let long = measure(|| assert!(decode(&twice) > 10_000));
    assert_eq!(long.count_total, short.count_total);
}

#[test]
fn judging_allocates_per_batch() {
    let log = quiet_lines();
    let events = decode(&log);
    // Sessions keep one event for whatever an account first shows within ten minutes: in a log as short as this that is every tenth.
    let options = Options {
        surprise: None,
        ..Options::default()
    };
    let mut pipeline = Pipeline::new(catalog(), options);
    feed(&mut pipeline, &log);
    let again = renamed(&log, "again-");
    let found = pipeline.findings();
    let info = measure(|| feed(&mut pipeline, &again));
    assert_eq!(pipeline.account().evaluated, 2 * events);
    assert_eq!(
        pipeline.findings(),
        found,
        "the demo's ordinary traffic is quiet"
    );
    // A batch is some hundred events and costs a handful of allocations.
    let per_event = info.count_total as f64 / events as f64;
    assert!(
        per_event < 0.05,
        "{per_event} allocations an event, {info:?}"
    );
}
