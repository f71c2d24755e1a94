//! The parts of a replay one by one, over the events that lie in the repository: `cargo bench --bench parts`.
//!
//! For finding out which part became slower, not for comparing with others: `replay.rs` does that.

mod corpus;
mod generated;

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkGroup, Criterion, Throughput, measurement::WallTime};
use detections::batch::EventBatch;
use detections::diagnostic::Source;
use detections::engine::RuleSet;
use detections::event::Settings;
use detections::sigma::{Placeholders, load};
use pipeline::batch::Batcher;
use pipeline::decode::{Decoder, Item};
use pipeline::rules::RuleSources;

fn main() -> anyhow::Result<()> {
    if corpus::arguments().is_none() {
        return Ok(());
    }
    let bytes = corpus::read(&corpus::demo())?;
    let mut criterion = Criterion::default().sample_size(20).configure_from_args();
    decode(&mut group(&mut criterion, "decode", &bytes), &bytes);
    batch(
        &mut group(&mut criterion, "decode and batch", &bytes),
        &bytes,
    );
    let batches = cut(&bytes);
    let bundled = RuleSet::new(RuleSources::default().load()?.loaded.rules);
    evaluate(
        &mut group(&mut criterion, "bundled rules", &bytes),
        &batches,
        &bundled,
    );
    let texts = generated::rules(1_000);
    for number in [10, 100, 1_000] {
        let sources: Vec<_> = texts[..number]
            .iter()
            .map(|(name, text)| Source::new(name.as_str(), text.as_str()))
            .collect();
        let rules = RuleSet::new(load(&sources, &Placeholders::new()).rules);
        load_and_compile(
            &mut group(&mut criterion, "load and compile", &bytes),
            &sources,
        );
        evaluate(
            &mut group(&mut criterion, "generated rules", &bytes),
            &batches,
            &rules,
        );
    }
    criterion.final_summary();
    Ok(())
}

/// All groups state their speed in bytes of the same events, so that they can be subtracted from each other.
fn group<'c>(
    criterion: &'c mut Criterion,
    name: &str,
    bytes: &[u8],
) -> BenchmarkGroup<'c, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group
}

fn decode(group: &mut BenchmarkGroup<'_, WallTime>, bytes: &[u8]) {
    group.bench_function("demo", |bencher| {
        bencher.iter(|| each_item(bytes, |item| drop(black_box(item))));
    });
}

fn batch(group: &mut BenchmarkGroup<'_, WallTime>, bytes: &[u8]) {
    group.bench_function("demo", |bencher| bencher.iter(|| cut(bytes)));
}

fn load_and_compile(group: &mut BenchmarkGroup<'_, WallTime>, sources: &[Source]) {
    group.throughput(Throughput::Elements(sources.len() as u64));
    group.bench_function(format!("{} rules", sources.len()), |bencher| {
        bencher.iter(|| RuleSet::new(load(sources, &Placeholders::new()).rules));
    });
}

/// With all that is remembered, as in the middle of a run.
fn evaluate(group: &mut BenchmarkGroup<'_, WallTime>, batches: &[EventBatch], rules: &RuleSet) {
    group.bench_function(format!("{} rules", rules.rules().len()), |bencher| {
        let mut evaluator = rules.evaluator();
        bencher.iter(|| {
            for batch in batches {
                black_box(evaluator.evaluate(batch));
            }
        });
    });
}

/// The events as the pipeline batches them.
fn cut(bytes: &[u8]) -> Vec<EventBatch> {
    let mut batcher = Batcher::new(Arc::new(Settings::default()));
    let mut done = Vec::new();
    each_item(bytes, |item| {
        if let Item::Event(event) = item
            && batcher.push(&event).is_ok()
        {
            done.extend(batcher.cut_if_full());
        }
    });
    done.extend(batcher.cut());
    done
}

fn each_item(bytes: &[u8], mut take: impl FnMut(Item<'_>)) {
    let mut decoder = Decoder::new(bytes, "default".into());
    // A slice cannot fail to be read.
    while let Ok(Some(item)) = decoder.next() {
        take(item);
    }
}
