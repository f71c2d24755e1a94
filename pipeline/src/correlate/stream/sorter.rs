//! Puts the events of a replay in order, whatever the order of the files.
//!
//! What does not fit into memory lies in sorted runs in a file without a name, and is merged at the end.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io;
use std::sync::Arc;

use crate::spill::{self, Run};

use super::Event;

/// 32 MiB: events in memory before they are written down.
const HELD_BYTES_MAX: usize = 32 << 20;

/// Collects events.
#[derive(Debug, Default)]
pub(crate) struct Sorter {
    held: Vec<Event>,
    bytes: usize,
    runs: Vec<File>,
    /// Runs cannot be written: everything stays in memory.
    is_stuck: bool,
}

/// An event at the head of a run. Ordered as the stream is, then by run, so that the order is whole.
struct Head {
    event: Event,
    run: usize,
}

impl Sorter {
    /// Takes an event in.
    pub(crate) fn add(&mut self, event: Event) {
        self.bytes += event.witness.weight();
        self.held.push(event);
        if self.bytes >= HELD_BYTES_MAX && !self.is_stuck {
            self.write_run();
        }
    }

    /// Hands all events out, in order.
    ///
    /// # Errors
    /// If what was written down cannot be read again.
    pub(crate) fn finish(mut self, take: &mut dyn FnMut(Event)) -> io::Result<()> {
        sort(&mut self.held);
        if self.runs.is_empty() {
            self.held.into_iter().for_each(take);
            return Ok(());
        }
        let runs = self.runs.into_iter().map(Run::of);
        merge(runs.collect::<io::Result<_>>()?, self.held, take)
    }

    fn write_run(&mut self) {
        sort(&mut self.held);
        match spill::write(&self.held) {
            Ok(run) => {
                self.runs.push(run);
                self.held.clear();
                self.bytes = 0;
            }
            Err(error) => {
                tracing::warn!(%error, "cannot write events to the temporary folder; they are kept in memory");
                self.is_stuck = true;
            }
        }
    }
}

/// A request that goes on stands before its end, should both have one time.
fn key(event: &Event) -> (detections::correlation::Moment, bool, &Arc<str>) {
    (event.at, !event.goes_on, &event.cluster)
}

fn sort(events: &mut [Event]) {
    events.sort_by(|one, other| key(one).cmp(&key(other)));
}

fn merge(
    mut runs: Vec<Run<Event>>,
    held: Vec<Event>,
    take: &mut dyn FnMut(Event),
) -> io::Result<()> {
    let in_memory = runs.len();
    let mut held = held.into_iter();
    let mut heads = BinaryHeap::new();
    for (run, reader) in runs.iter_mut().enumerate() {
        let next = reader.next()?;
        heads.extend(next.map(|event| Reverse(Head { event, run })));
    }
    let first = held.next();
    heads.extend(first.map(|event| {
        Reverse(Head {
            event,
            run: in_memory,
        })
    }));
    while let Some(Reverse(Head { event, run })) = heads.pop() {
        take(event);
        let next = match runs.get_mut(run) {
            Some(run) => run.next()?,
            None => held.next(),
        };
        heads.extend(next.map(|event| Reverse(Head { event, run })));
    }
    Ok(())
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Head {}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let place = |head: &Self| head.run;
        key(&self.event)
            .cmp(&key(&other.event))
            .then_with(|| place(self).cmp(&place(other)))
    }
}
