//! What ever new keys cost the state of correlations: memory of a million groups, and ten million keys against a slow attack.
//!
//! ```text
//! cargo bench --bench keys -- [--keys N]
//! ```
//!
//! Each part runs in a process of its own, so that what one leaves to the allocator is not counted as the other's.

#![allow(clippy::print_stdout, reason = "the report is this program's product")]

use std::collections::HashMap;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use detections::correlation::{Correlations, Fed, Feed, Moment, State};
use detections::diagnostic::Source;
use detections::sigma::{Placeholders, load};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const MIB: f64 = 1024.0 * 1024.0;
const SECOND_US: i64 = 1_000_000;

/// Groups whose memory is measured: the goal is 512 MiB for them.
const GROUPS: u64 = 1_000_000;

/// Keys of the flood, unless told.
const KEYS: u64 = 10_000_000;

/// Flood events between two steps of the slow attack.
const BETWEEN: u64 = 1_000_000;

/// One of each kind that a rule of the pack is of; each may hold a quarter of all groups.
const RULES: &str = "
title: Fed
name: fed
logsource: {product: kubernetes}
detection: {selection: {verb: get}, condition: selection}
---
title: Count
name: count
correlation: {type: event_count, rules: [fed], group-by: [actor.canonical], timespan: 1d, condition: {gte: 8}}
---
title: Values
name: values
correlation: {type: value_count, rules: [fed], group-by: [actor.canonical], timespan: 1d, condition: {field: objectRef.name, gte: 10}}
---
title: Ordered
name: ordered
correlation: {type: temporal_ordered, rules: [fed, fed], group-by: [actor.canonical], timespan: 1d}
---
title: News
name: news
baseline: {type: first_seen, rules: [fed], group-by: [actor.canonical], of: [source.network], learn: 14d, forget: 90d}
---
title: Outburst
name: outburst
baseline: {type: spike, rules: [fed], group-by: [actor.canonical], timespan: 10m, at-least: 5, deviations: 6, learn: 7d, forget: 30d}
";

fn main() -> anyhow::Result<()> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("nothing is measured outside of `cargo bench --bench keys`");
        return Ok(());
    }
    arguments.retain(|argument| argument != "--bench");
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => parts(KEYS),
        ["--keys", keys] => parts(keys.parse().context("--keys wants a number")?),
        ["memory", events] => memory(events.parse()?),
        ["flood", keys] => flood(keys.parse()?),
        _ => bail!("usage: cargo bench --bench keys -- [--keys N]"),
    }
}

fn parts(keys: u64) -> anyhow::Result<()> {
    let keys = keys.to_string();
    for part in [["memory", "1"], ["memory", "3"], ["flood", &keys]] {
        let mut program = Command::new(std::env::current_exe()?);
        let status = program.args(part).arg("--bench").status()?;
        ensure!(status.success(), "{} failed", part[0]);
    }
    Ok(())
}

/// A million groups with some events each.
fn memory(events: u64) -> anyhow::Result<()> {
    let (plan, mut state) = (plan()?, State::default());
    let before = resident_bytes()?;
    let kinds = plan.all().len() as u64;
    for number in 0..GROUPS * events {
        let (key, round) = (number % GROUPS, number / GROUPS);
        let correlation = usize::try_from(key % kinds)?;
        state.feed(&plan, &fed(correlation, key, round, number));
        // As a commit does, so that what is to be stored does not pile up.
        if number % 4096 == 0 {
            state.take_dirty();
        }
    }
    state.take_dirty();
    let bytes = resident_bytes()? - before;
    println!(
        "{:>9} groups of {events} events each: {:.0} MiB, {:.0} bytes a group",
        state.len(),
        bytes / MIB,
        bytes / to_f64(state.len() as u64),
    );
    Ok(())
}

/// Ever new keys of one rule, and one that comes back now and then.
fn flood(keys: u64) -> anyhow::Result<()> {
    let (plan, mut state) = (plan()?, State::default());
    let before = resident_bytes()?;
    let (count, slow) = (0, u64::MAX);
    let (started, mut found_at, mut most) = (Instant::now(), None, 0.0_f64);
    for number in 0..keys {
        state.feed(&plan, &fed(count, number, 0, number));
        // The first two come close together: from then on the group stands.
        if number == 1 || number % BETWEEN == 0 {
            let reached = state.feed(&plan, &fed(count, slow, number, number));
            if !reached.is_empty() && found_at.is_none() {
                found_at = Some(number);
            }
        }
        if number % 4096 == 0 {
            state.take_dirty();
            most = most.max(resident_bytes()? - before);
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    let lost = state.lost().get(&count).copied().unwrap_or_default();
    let others: HashMap<_, _> = state
        .lost()
        .iter()
        .filter(|(at, _)| **at != count)
        .collect();
    println!(
        "{keys} keys of one rule: {:.2} s, {:.0} ns a key, at most {:.0} MiB, {} groups held",
        seconds,
        seconds * 1e9 / to_f64(keys),
        most / MIB,
        state.len(),
    );
    println!(
        "  given up {}, refused {}; the slow attack was found after {} keys",
        lost.given_up,
        lost.refused,
        found_at.map_or("no".to_owned(), |at| at.to_string()),
    );
    ensure!(others.is_empty(), "the flood cost other rules their groups");
    ensure!(
        found_at.is_some() || keys < 8 * BETWEEN,
        "the slow attack was pushed out"
    );
    Ok(())
}

fn plan() -> anyhow::Result<Correlations> {
    let loaded = load(&[Source::new("keys.yml", RULES)], &Placeholders::new());
    ensure!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
    Ok(Correlations::new(loaded.correlations, &loaded.rules))
}

/// An event of one key, as the pack's rules see it.
fn fed(correlation: usize, key: u64, round: u64, number: u64) -> Fed<Arc<[u8]>> {
    let mut identity = [0; 16];
    identity[..8].copy_from_slice(&number.to_be_bytes());
    identity[8..].copy_from_slice(&key.to_be_bytes());
    let actor = format!("system:serviceaccount:tenant-{}:worker-{key:x}", key % 977);
    Fed {
        at: Moment {
            time_us: 1_700_000_000 * SECOND_US + i64::try_from(number).unwrap_or(i64::MAX) * 1000,
            identity,
        },
        cluster: "production-eu".into(),
        goes_on: false,
        feeds: vec![Feed {
            correlation,
            input: 0,
            values: [Some(actor.into())].into(),
            value: Some(format!("\"198.51.100.{}\"", round % 250).into()),
        }],
        brief: "read secrets payments/database-credentials-of-the-web-shop".into(),
        witness: [0; 600].into(),
    }
}

/// Memory of this process that is in use, in bytes, by the second number of `/proc/self/statm` (pages of 4 KiB on x86-64).
fn resident_bytes() -> anyhow::Result<f64> {
    let text = std::fs::read_to_string("/proc/self/statm").context("this runs on Linux only")?;
    let pages = text.split(' ').nth(1).context("no second number")?;
    Ok(pages.parse::<f64>()? * 4096.0)
}

#[allow(clippy::cast_precision_loss, reason = "counts of a report")]
fn to_f64(number: u64) -> f64 {
    number as f64
}
