//! Judges months of events by surprise, and says what it found of the acts that were planted in them:
//! `cargo bench --bench surprise -- EVENTS LABELS [EVENTS LABELS …] [--shipped]`.
//!
//! The first 18 days are learned, the rest is judged. Labels are read only to print the tables; `month.py` made both files. Two
//! trivial baselines are measured over the same sessions.
//!
//! As it is called, it does what the prototype (`score.py`) did, so that the two print the same numbers: sessions end whenever
//! the bucket of the next line differs, both stages of a watch count, and a group of one actor is a team. With `--shipped` it
//! does what the product does.

#![allow(clippy::print_stdout, reason = "the report is this program's product")]

mod corpus;
mod planted;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use anyhow::ensure;
use detections::batch::{Column, EventBatch, EventRow};
use detections::event;
use detections::json;
use detections::surprise::limits::{DAY_US, WINDOW_US};
use detections::surprise::{
    ActorId, Features, Model, Reader, Reading, Session, Sessions, Settings, Stages, identity_of,
};
use pipeline::batch::Batcher;
use pipeline::decode::{Decoder, Item};

use planted::{Labels, Outcome, Scored};

fn main() -> anyhow::Result<()> {
    let Some(mut arguments) = corpus::arguments() else {
        return Ok(());
    };
    let before = arguments.len();
    arguments.retain(|argument| argument != "--shipped");
    let mode = if arguments.len() < before {
        Mode::Shipped
    } else {
        Mode::Prototype
    };
    ensure!(
        !arguments.is_empty() && arguments.len().is_multiple_of(2),
        "usage: cargo bench --bench surprise -- EVENTS LABELS [EVENTS LABELS ...] [--shipped]"
    );
    for month in arguments.chunks_exact(2) {
        println!("{} by {}", month[0], month[1]);
        evaluate(&month[0], &month[1], mode)?;
    }
    Ok(())
}

/// By whose rules sessions are made and judged.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Prototype,
    Shipped,
}

impl Mode {
    fn reading(self) -> Reading {
        let components = ["system:kwok-controller", "system:konnectivity-server"];
        Reading {
            components: components.map(str::to_owned).to_vec(),
            stages: match self {
                Self::Prototype => Stages::All,
                Self::Shipped => Stages::Started,
            },
            ..Reading::default()
        }
    }

    fn settings(self) -> Settings {
        let mut settings = Settings::default();
        if self == Self::Prototype {
            settings.team_actors_min = 1;
        }
        settings
    }
}

fn evaluate(events: &str, labels: &str, mode: Mode) -> anyhow::Result<()> {
    let labels = Labels::read(labels)?;
    let batches = cut(&corpus::read(events)?)?;
    let mut month = Month::new(&labels, mode);
    let mut reader = Reader::new(mode.reading());
    for row in rows(&batches) {
        if let Some(features) = reader.features(&row) {
            month.add(&row, &features);
        }
    }
    month.end();
    ensure!(
        !month.outcome.scored.is_empty(),
        "{events} holds nothing to judge"
    );
    month.outcome.report();
    println!("state: {:?}", month.model.size());
    time(&batches, mode);
    Ok(())
}

fn cut(bytes: &[u8]) -> anyhow::Result<Vec<EventBatch>> {
    let mut batcher = Batcher::new(Arc::new(event::Settings::default()));
    let mut decoder = Decoder::new(bytes, "default".into());
    let mut batches = Vec::new();
    while let Some(item) = decoder.next()? {
        if let Item::Event(event) = item {
            batcher.push(&event)?;
            batches.extend(batcher.cut_if_full());
        }
    }
    batches.extend(batcher.cut());
    Ok(batches)
}

fn rows(batches: &[EventBatch]) -> impl Iterator<Item = EventRow<'_>> {
    batches
        .iter()
        .flat_map(|batch| (0..batch.rows()).map(move |row| batch.row(row)))
}

/// What the hot path costs, once everything is known.
fn time(batches: &[EventBatch], mode: Mode) {
    let mut reader = Reader::new(mode.reading());
    let events = rows(batches)
        .filter_map(|row| reader.features(&row))
        .count();
    let per_event = |started: Instant| started.elapsed().as_secs_f64() * 1e9 / events as f64;
    let started = Instant::now();
    let seen = rows(batches)
        .filter_map(|row| reader.features(&row))
        .count();
    let read = per_event(started);
    let mut sessions = Sessions::default();
    let started = Instant::now();
    for row in rows(batches) {
        if let Some(features) = reader.features(&row) {
            sessions.add(&features, || identity_of(&row));
        }
    }
    let gathered = per_event(started);
    println!(
        "cost of {seen} events: {read:.0} ns to read one, {gathered:.0} ns with its session\n"
    );
}

/// A month that is being read.
struct Month<'l> {
    mode: Mode,
    model: Model,
    open: Sessions,
    /// The acts of the sessions that are open.
    acts: HashMap<(i64, ActorId), BTreeSet<usize>>,
    /// Of the last event.
    bucket_us: Option<i64>,
    /// What the two trivial rules have seen.
    seen: [HashSet<String>; 2],
    outcome: Outcome<'l>,
}

impl<'l> Month<'l> {
    fn new(labels: &'l Labels, mode: Mode) -> Self {
        Self {
            mode,
            model: Model::new(mode.settings()),
            open: Sessions::with_limit(usize::MAX),
            acts: HashMap::new(),
            bucket_us: None,
            seen: [HashSet::new(), HashSet::new()],
            outcome: Outcome {
                labels,
                start_us: 0,
                scored: Vec::new(),
                naive: BTreeMap::new(),
                benign: 0,
            },
        }
    }

    fn add(&mut self, row: &EventRow<'_>, features: &Features) {
        let time_us = features.time_us;
        let bucket_us = time_us - time_us.rem_euclid(WINDOW_US);
        if self.bucket_us.is_none() {
            self.outcome.start_us = time_us - time_us.rem_euclid(DAY_US);
        }
        let is_next = self.bucket_us.replace(bucket_us) != Some(bucket_us);
        if is_next && self.mode == Mode::Prototype {
            self.end();
        }
        self.open.add(features, || identity_of(row));
        let acts_of = &self.outcome.labels.acts_of;
        let act = acts_of.get(&text(row, Column::AuditId)).copied();
        if let Some(act) = act {
            let key = (bucket_us, features.actor.id.clone());
            self.acts.entry(key).or_default().insert(act);
        }
        let is_new = self.is_new(row, features);
        if time_us < self.outcome.start_us + self.model.settings().learning_us {
            return;
        }
        self.outcome.benign += u64::from(act.is_none());
        let key = (features.actor.id.clone(), bucket_us);
        let naive = self.outcome.naive.entry(key).or_default();
        naive.acts.extend(act);
        for (count, is_new) in naive.first_seen.iter_mut().zip(is_new) {
            *count += u32::from(is_new);
        }
    }

    /// Whether the trivial rules see something for the first time: the operation of an actor, and the same with the rest.
    fn is_new(&mut self, row: &EventRow<'_>, features: &Features) -> [bool; 2] {
        let mut what = text(row, Column::Resource);
        if what.is_empty() {
            let uri = text(row, Column::RequestUri);
            uri.split('?')
                .next()
                .unwrap_or_default()
                .clone_into(&mut what);
        }
        let (verb, subresource) = (text(row, Column::Verb), text(row, Column::Subresource));
        let actor = &features.actor.id;
        let operation = format!("{actor:?} {verb:?} {what:?} {subresource:?}");
        let (client, network) = (&features.client, &features.network);
        let namespace = &features.namespace;
        let everything = format!("{operation} {namespace:?} {client:?} {network:?}");
        let [operations, all] = &mut self.seen;
        [operations.insert(operation), all.insert(everything)]
    }

    /// Judges and learns what is open.
    fn end(&mut self) {
        let sessions = self.open.take_before(i64::MAX);
        let judgements = self.model.follow(&sessions);
        for (session, judgement) in sessions.into_iter().zip(judgements) {
            let Session {
                bucket_us, actor, ..
            } = session;
            let actor = actor.id.clone();
            let acts = self.acts.remove(&(bucket_us, actor.clone()));
            let scored = judgement.map(|judgement| Scored {
                bucket_us,
                actor,
                judgement,
                acts: acts.unwrap_or_default(),
            });
            self.outcome.scored.extend(scored);
        }
    }
}

/// The text of a column; empty if it has none.
fn text(row: &EventRow<'_>, column: Column) -> String {
    let text = row.slice(column).and_then(json::string);
    text.unwrap_or_default().into_owned()
}
