//! The thread behind each sink.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use detections::sigma::ast::Level;

use crate::clock::Clock;
use crate::config::{SinkConfig, SinkKind};
use crate::store::{Cursor, DeadLetter, Outgoing, Store, StoreError};
use crate::telemetry::Telemetry;

use super::file::FileSink;
use super::http::{Form, HttpSink};
use super::kafka::KafkaSink;
use super::stdout::Stdout;
use super::{Deliver, Delivery, written};

/// How long an empty outbox is looked at again.
const IDLE: Duration = Duration::from_millis(50);

/// The first pause after a failure; it doubles up to the last.
const PAUSE_MIN: Duration = Duration::from_millis(200);

/// The longest pause between two tries.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// How long calls that are under way are waited for when the process ends.
const LEAVE: Duration = Duration::from_secs(2);

/// Letters that are buried in one step when a queue is too long.
const BURIED_MAX: usize = 1000;

/// All sinks of a process.
#[derive(Debug, Default)]
pub struct Sinks {
    threads: Vec<SinkThread>,
}

/// A sink at work.
#[derive(Debug)]
pub struct SinkThread {
    name: String,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// What every sink needs.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) store: Arc<Store>,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) clock: Clock,
    pub(super) letters_bytes_max: u64,
}

impl Sinks {
    /// Starts a thread for each sink. Places of sinks that are not configured any more are forgotten, so that they hold up nobody.
    ///
    /// # Errors
    /// If the store cannot be read, or no thread can be had.
    pub fn start(
        configs: &[SinkConfig],
        store: &Arc<Store>,
        telemetry: &Arc<Telemetry>,
        clock: &Clock,
        letters_bytes_max: u64,
    ) -> Result<Self, StoreError> {
        let names: Vec<String> = configs.iter().map(|config| config.name.clone()).collect();
        let step = store.begin()?;
        for gone in step.retain_cursors(&names)? {
            tracing::warn!(
                sink = gone,
                "this sink is not configured any more; what it had not delivered is given up"
            );
        }
        step.commit()?;
        let shared = Shared {
            store: store.clone(),
            telemetry: telemetry.clone(),
            clock: clock.clone(),
            letters_bytes_max,
        };
        let identity = store.identity()?;
        let mut threads = Vec::new();
        for config in configs {
            // The cursor is there before anything is raised.
            store.cursor(&config.name)?;
            let thread = SinkThread::start(config.clone(), shared.clone(), &identity);
            threads.push(thread.map_err(StoreError::Open)?);
        }
        Ok(Self { threads })
    }

    /// Waits until all that was raised is delivered or the time is over, then stops.
    pub fn stop(self, patience: Duration, store: &Store) {
        let until = Instant::now() + patience;
        while Instant::now() < until && !is_drained(store) {
            std::thread::sleep(IDLE);
        }
        for sink in &self.threads {
            sink.stop.store(true, Ordering::Release);
            sink.thread.thread().unpark();
        }
        let until = Instant::now() + LEAVE;
        for sink in self.threads {
            while !sink.thread.is_finished() && Instant::now() < until {
                std::thread::sleep(IDLE);
            }
            if !sink.thread.is_finished() {
                // Its receiver hangs. What it may have got will be posted again, with the same id and revision.
                tracing::warn!(sink = sink.name, "a call did not end in time, and is left");
            } else if sink.thread.join().is_err() {
                tracing::error!(sink = sink.name, "the sink's thread failed");
            }
        }
    }
}

fn is_drained(store: &Store) -> bool {
    store
        .outbox_state()
        .is_ok_and(|(next, cursors)| cursors.values().all(|cursor| cursor.next >= next))
}

impl SinkThread {
    fn start(config: SinkConfig, shared: Shared, store: &str) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let name = config.name.clone();
        let thread = {
            let stop = stop.clone();
            let deliver = deliverer(&config, store);
            std::thread::Builder::new()
                .name(format!("sink {name}"))
                .spawn(move || Driver::new(config, shared, deliver, stop).run())?
        };
        Ok(Self { name, stop, thread })
    }
}

fn deliverer(config: &SinkConfig, store: &str) -> Box<dyn Deliver> {
    let format = config.format;
    match &config.kind {
        SinkKind::Stdout => Box::new(Stdout { format }),
        SinkKind::File { path, rotate, keep } => {
            Box::new(FileSink::new(path, format, *rotate, *keep))
        }
        SinkKind::Webhook(receiver) => {
            Box::new(HttpSink::new(receiver.clone(), Form::Lines(format)))
        }
        SinkKind::Kafka { topic, kafka } => {
            Box::new(KafkaSink::new(&config.name, kafka, topic, format, store))
        }
        SinkKind::Splunk {
            receiver,
            index,
            sourcetype,
        } => {
            let form = Form::Splunk {
                format,
                index: index.clone(),
                sourcetype: sourcetype.clone(),
            };
            Box::new(HttpSink::new(receiver.clone(), form))
        }
    }
}

pub(super) struct Driver {
    config: SinkConfig,
    shared: Shared,
    deliver: Box<dyn Deliver>,
    stop: Arc<AtomicBool>,
    pause: Duration,
}

impl Driver {
    pub(super) fn new(
        config: SinkConfig,
        shared: Shared,
        deliver: Box<dyn Deliver>,
        stop: Arc<AtomicBool>,
    ) -> Self {
        Self {
            config,
            shared,
            deliver,
            stop,
            pause: PAUSE_MIN,
        }
    }

    pub(super) fn run(mut self) {
        let mut resumed = false;
        while !self.stop.load(Ordering::Acquire) {
            let worked = if resumed {
                self.work()
            } else {
                self.resume().map(|()| true)
            };
            match worked {
                Ok(did) => {
                    resumed = true;
                    if !did {
                        std::thread::park_timeout(IDLE);
                    }
                }
                Err(reason) => {
                    // What was written beyond the cursor is taken back.
                    resumed = false;
                    tracing::warn!(
                        sink = self.config.name,
                        reason,
                        "cannot deliver; will try again"
                    );
                    self.wait(None);
                }
            }
        }
    }

    fn resume(&mut self) -> Result<(), String> {
        let cursor = self.shared.store.cursor(&self.config.name).map_err(text)?;
        self.deliver.resume(&cursor.place)?;
        let place = self.deliver.place();
        // What was delivered when the process ended is known to the receiver, if it keeps such things.
        let next = self.reached(&cursor)?;
        if place == cursor.place && next == cursor.next {
            return Ok(());
        }
        let delivered = cursor.delivered + (next - cursor.next);
        // A file that is begun is known before anything is written to it.
        let resumed = Cursor {
            next,
            delivered,
            place,
            ..cursor
        };
        self.set_cursor(&resumed, &[])
    }

    /// Where to go on: where the receiver says, if what it says is of this outbox. A store that was taken from a backup numbers other
    /// records in the same way.
    fn reached(&self, cursor: &Cursor) -> Result<u64, String> {
        let Some(reached) = self
            .deliver
            .reached()
            .filter(|reached| reached.next > cursor.next)
        else {
            return Ok(cursor.next);
        };
        let last = self
            .shared
            .store
            .outgoing(reached.next - 1, 1)
            .map_err(text)?;
        let is_known = last
            .first()
            .is_some_and(|last| last.number == reached.next - 1 && last.name() == reached.last);
        if is_known {
            return Ok(reached.next);
        }
        tracing::error!(
            sink = self.config.name,
            "the receiver has other alerts than this store, which is older than it: what is in the store is sent, perhaps again"
        );
        Ok(cursor.next)
    }

    /// Delivers the next batch; false if there is none.
    fn work(&mut self) -> Result<bool, String> {
        let store = self.shared.store.clone();
        let cursor = store.cursor(&self.config.name).map_err(text)?;
        let (next, _) = store.outbox_state().map_err(text)?;
        if next.saturating_sub(cursor.next) > self.config.queue {
            let outgoing = store.outgoing(cursor.next, BURIED_MAX).map_err(text)?;
            let excess =
                usize::try_from(next - cursor.next - self.config.queue).unwrap_or(BURIED_MAX);
            let excess = &outgoing[..outgoing.len().min(excess)];
            return self.give_up(&cursor, excess, "queue_full").map(|()| true);
        }
        let outgoing = store
            .outgoing(cursor.next, self.deliver.batch())
            .map_err(text)?;
        if outgoing.is_empty() {
            return Ok(false);
        }
        let wanted: Vec<Outgoing> = outgoing
            .iter()
            .filter(|out| self.wants(out))
            .cloned()
            .collect();
        if wanted.is_empty() {
            return self.pass(&cursor, &outgoing, 0).map(|()| true);
        }
        let begun = Instant::now();
        match self.deliver.deliver(&wanted) {
            Delivery::Delivered => {
                self.pause = PAUSE_MIN;
                self.note("ok", begun);
                self.pass(&cursor, &outgoing, wanted.len())?;
            }
            Delivery::Later(reason, wait) => {
                self.note("retried", begun);
                self.later(&cursor, &wanted, &reason, wait)?;
            }
            Delivery::Refused(reason) => {
                self.note("refused", begun);
                self.refused(&cursor, &outgoing, &wanted, &reason)?;
            }
            Delivery::Lost(reason) => {
                self.note("retried", begun);
                self.outlived(&cursor, &wanted, &reason)?;
                return Err(reason);
            }
        }
        Ok(true)
    }

    fn wants(&self, outgoing: &Outgoing) -> bool {
        let record = &outgoing.record;
        let for_others = record
            .only
            .as_ref()
            .is_some_and(|only| *only != self.config.name);
        let level = Level::parse(&record.level);
        !for_others && level.is_none_or(|level| level >= self.config.min_level)
    }

    fn note(&self, result: &'static str, begun: Instant) {
        let name = &self.config.name;
        self.shared.telemetry.sent(name, result, begun.elapsed());
    }

    /// Moves the cursor behind records.
    fn pass(
        &mut self,
        cursor: &Cursor,
        passed: &[Outgoing],
        delivered: usize,
    ) -> Result<(), String> {
        let Some(last) = passed.last() else {
            return Ok(());
        };
        let moved = Cursor {
            next: last.number + 1,
            delivered: cursor.delivered + delivered as u64,
            place: self.deliver.place(),
            ..cursor.clone()
        };
        self.set_cursor(&moved, &[])?;
        if self.deliver.committed() {
            let place = self.deliver.place();
            self.set_cursor(&Cursor { place, ..moved }, &[])?;
        }
        Ok(())
    }

    /// Gives the first record up if it is too old; true if so.
    fn outlived(
        &mut self,
        cursor: &Cursor,
        wanted: &[Outgoing],
        reason: &str,
    ) -> Result<bool, String> {
        let Some(first) = wanted.first() else {
            return Ok(false);
        };
        let age_us = self.shared.clock.now_us() - first.record.raised_us;
        let is_old = u128::try_from(age_us).unwrap_or(0) >= self.config.give_up_after.as_micros();
        if is_old {
            self.give_up(cursor, std::slice::from_ref(first), reason)?;
        }
        Ok(is_old)
    }

    /// Waits, unless a record is so old that it is given up.
    fn later(
        &mut self,
        cursor: &Cursor,
        wanted: &[Outgoing],
        reason: &str,
        wait: Option<Duration>,
    ) -> Result<(), String> {
        if self.outlived(cursor, wanted, reason)? {
            return Ok(());
        }
        tracing::warn!(
            sink = self.config.name,
            reason,
            "cannot deliver; will try again"
        );
        self.wait(wait);
        Ok(())
    }

    /// A batch that was refused is sent record by record, so that only the one that is meant is given up.
    fn refused(
        &mut self,
        cursor: &Cursor,
        outgoing: &[Outgoing],
        wanted: &[Outgoing],
        reason: &str,
    ) -> Result<(), String> {
        let [one] = wanted else {
            let Some(first) = wanted.first() else {
                return Ok(());
            };
            let begun = Instant::now();
            return match self.deliver.deliver(std::slice::from_ref(first)) {
                Delivery::Delivered => {
                    self.note("ok", begun);
                    self.pass(cursor, &up_to(outgoing, first.number), 1)
                }
                Delivery::Later(reason, wait) => self.later(cursor, wanted, &reason, wait),
                Delivery::Lost(reason) => Err(reason),
                Delivery::Refused(reason) => {
                    self.note("refused", begun);
                    self.give_up(cursor, &up_to(outgoing, first.number), &reason)
                }
            };
        };
        self.give_up(cursor, &up_to(outgoing, one.number), reason)
    }

    /// Puts records among the dead letters and goes on behind them.
    fn give_up(
        &mut self,
        cursor: &Cursor,
        given_up: &[Outgoing],
        reason: &str,
    ) -> Result<(), String> {
        let Some(last) = given_up.last() else {
            return Ok(());
        };
        let wanted = given_up.iter().filter(|out| self.wants(out));
        let letters: Vec<_> = wanted.map(|out| self.letter(out, reason)).collect();
        tracing::error!(
            sink = self.config.name,
            reason,
            letters = letters.len(),
            "alerts became dead letters"
        );
        let moved = Cursor {
            next: last.number + 1,
            dead: cursor.dead + letters.len() as u64,
            place: self.deliver.place(),
            ..cursor.clone()
        };
        self.set_cursor(&moved, &letters)
    }

    fn letter(&self, outgoing: &Outgoing, reason: &str) -> DeadLetter {
        let record = &outgoing.record;
        DeadLetter {
            stage: format!("sink {}", self.config.name),
            reason: "not_delivered".to_owned(),
            explanation: reason.to_owned(),
            origin: record.rule.clone(),
            uid: record.uid.clone(),
            cluster: record.cluster.clone(),
            position: outgoing.number,
            at_us: self.shared.clock.now_us(),
            text: Some(written(record, self.config.format).to_owned()),
            ..DeadLetter::default()
        }
    }

    fn set_cursor(&self, cursor: &Cursor, letters: &[DeadLetter]) -> Result<(), String> {
        let commit = || -> Result<(), StoreError> {
            let step = self.shared.store.begin()?;
            step.set_cursor(&self.config.name, cursor)?;
            for letter in letters {
                step.bury(letter, self.shared.letters_bytes_max)?;
            }
            step.commit()
        };
        commit().map_err(text)
    }

    fn wait(&mut self, asked: Option<Duration>) {
        std::thread::park_timeout(asked.unwrap_or(self.pause).max(PAUSE_MIN));
        self.pause = (self.pause * 2).min(PAUSE_MAX);
    }
}

fn up_to(outgoing: &[Outgoing], number: u64) -> Vec<Outgoing> {
    let upto = outgoing.iter().take_while(|out| out.number <= number);
    upto.cloned().collect()
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "it is a function for `map_err`"
)]
fn text(error: StoreError) -> String {
    error.to_string()
}
