//! The parts of a replay one by one, over the events that lie in the repository: `cargo bench --bench parts`.
//!
//! For finding out which part became slower, not for comparing with others: `replay.rs` does that.

mod corpus;

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkGroup, Criterion, Throughput, measurement::WallTime};
use detections::batch::EventBatch;
use detections::engine::RuleSet;
use detections::event::Settings;
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
    for number in [1, 10, usize::MAX] {
        let mut rules = RuleSources::default().load()?.loaded.rules;
        rules.truncate(number);
        evaluate(
            &mut group(&mut criterion, "evaluate", &bytes),
            &batches,
            &RuleSet::new(rules),
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

fn evaluate(group: &mut BenchmarkGroup<'_, WallTime>, batches: &[EventBatch], rules: &RuleSet) {
    group.bench_function(format!("{} rules", rules.rules().len()), |bencher| {
        bencher.iter(|| {
            for batch in batches {
                black_box(rules.evaluate(batch));
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
