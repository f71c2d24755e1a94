//! Whether all that was emitted arrives: what the evaluator tells the watch, and what the watch says.

use std::sync::Arc;

use crate::completeness::{Arrival, Options, Scrapes, Sender, Standing, Watch};
use crate::store::{Step, Store, StoreError};

use super::OutputForms;
use super::held::Held;

/// The origin of dead letters that were sent again: nobody who could fall silent.
const REDRIVEN: &str = "redriven";

/// The watch over senders, with the looks at their counters.
pub(super) struct Watching {
    watch: Watch,
    scrapes: Arc<Scrapes>,
}

impl Watching {
    /// Knows what was stored. Nobody could be heard before `now_us`.
    pub(super) fn restore(
        options: Options,
        now_us: i64,
        store: &Store,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            watch: Watch::restore(options, now_us, |name| store.note(name))?,
            scrapes: Arc::default(),
        })
    }

    pub(super) fn set_scrapes(&mut self, scrapes: Arc<Scrapes>) {
        self.scrapes = scrapes;
    }

    /// Takes looks in; when there is something to say next.
    pub(super) fn look(&mut self) -> Option<i64> {
        for scrape in self.scrapes.take() {
            self.watch
                .scraped(&scrape.sender, scrape.counters, scrape.at_us);
        }
        self.watch.due_us()
    }

    /// Says what is to be said by now, in this step; rule and level of each.
    pub(super) fn say(
        &mut self,
        held: &Held,
        step: &Step,
        forms: OutputForms,
        sinks: bool,
    ) -> Result<Vec<(String, String)>, StoreError> {
        self.look();
        for (sender, arrival) in &held.arrivals {
            self.watch.arrived(sender, *arrival);
        }
        let mut raised = Vec::new();
        for notice in self.watch.tick(held.now_us) {
            let record = notice.record(forms);
            step.raise(&notice.uid(), &record, sinks)?;
            raised.push((record.rule, record.level));
        }
        for (name, value) in self.watch.changed() {
            step.set_note(&name, &value)?;
        }
        Ok(raised)
    }

    /// The step was committed. How all stand, if anything about it changed.
    pub(super) fn keep(&mut self) -> Option<Vec<(Sender, Standing)>> {
        let is_other = self.watch.has_changed();
        self.watch.keep();
        let all = || {
            self.watch
                .standings()
                .map(|(sender, standing)| (sender.clone(), standing))
        };
        is_other.then(|| all().collect())
    }

    /// The step was not committed, and will be done again.
    pub(super) fn roll_back(&mut self) {
        self.watch.roll_back();
    }

    pub(super) fn due_us(&self) -> Option<i64> {
        self.watch.due_us()
    }
}

/// Whose body it is, if it is somebody who could fall silent.
pub(super) fn sender(cluster: &str, origin: &str) -> Option<Sender> {
    (origin != REDRIVEN).then(|| Sender {
        cluster: cluster.to_owned(),
        origin: origin.to_owned(),
    })
}

/// Adds to what came of a sender.
pub(super) fn note(arrivals: &mut Vec<(Sender, Arrival)>, sender: &Sender, arrival: Arrival) {
    match arrivals.last_mut() {
        Some((last, known)) if last == sender && known.at_us == arrival.at_us => {
            known.events += arrival.events;
            known.oldest_us = [known.oldest_us, arrival.oldest_us]
                .into_iter()
                .flatten()
                .min();
        }
        _ => arrivals.push((sender.clone(), arrival)),
    }
}
