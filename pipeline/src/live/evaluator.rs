//! The thread that evaluates the log.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::completeness::Scrapes;
use crate::correlate::stream::Streams;
use crate::correlate::{Hit, Ledger};
use crate::decode::Item;
use crate::enrich::Enricher;
use crate::judge::Judge;
use crate::limits::{ACT_KEPT_US, COMMIT_BYTES_MAX};
use crate::merge::Merger;
use crate::source::tail::Checkpoint;
use crate::spool::{Appender, Entry, Log, Reader, StoredBody};
use crate::store::{Progress, Step, Store, StoreError, Totals};

use crate::telemetry::Stage;

use super::bodies::decode;
use super::correlating::{correlating, restored};
use super::held::{Held, HeldHit, left_out, letter, more_rejects};
use super::records::record;
use super::watching::{Watching, sender};
use super::{Live, LiveOptions, Told};

/// How long the log is looked at while nothing comes in, before anything else is.
const IDLE_WAIT: Duration = Duration::from_millis(50);

/// A position alone is worth a commit only so often.
const POSITION_EVERY: Duration = Duration::from_secs(1);

/// 64 MiB: as much of the log is evaluated at most before the position is committed.
const POSITION_BYTES: u64 = 64 << 20;

/// Time of the log between two looks for what is too old, microseconds.
const TIDY_US: i64 = 60_000_000;

/// How often a commit is tried before the process ends. The disk may be full for a moment; but redb refuses everything once a
/// write failed, and only a restart opens it again.
const COMMIT_TRIES: u32 = 5;

/// How often the disk is looked at while nothing comes in.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Records of one body that are kept as dead letters one by one.
const REJECTS_KEPT_MAX: u64 = 1000;

/// 1 GiB: how much of the log before the position is read at start, so that repeats of it are recognised. An API server repeats
/// within 248 s.
const REMEMBERED_BYTES: u64 = 1 << 30;

/// Only bodies of the last ten minutes before the position are remembered.
const REMEMBERED_US: i64 = 600_000_000;

/// Evaluates the log, from the position in the store on.
pub struct Evaluator {
    store: Arc<Store>,
    log: Arc<Log>,
    live: Arc<Live>,
    options: LiveOptions,
    clock: Clock,
    reader: Reader,
    appender: Appender,
    merger: Merger,
    /// As of the last commit.
    committed: Progress,
    /// Totals before this process.
    before: Totals,
    held: Held,
    told: Told,
    alerts: BTreeMap<(String, String), u64>,
    next_timer_us: Option<i64>,
    tidied_us: i64,
    /// Items of the next body that were evaluated before the last run ended.
    skip: u64,
    /// A commit was given up because the process is to end.
    gave_up: bool,
    /// Why the store cannot be used any more.
    broken: Option<String>,
    /// When the disk was last looked at for want of anything to do.
    looked: Instant,
    watching: Watching,
}

/// What a set of rules is evaluated with.
struct Work<'c> {
    judge: Judge<'c>,
    ledger: Ledger,
    streams: Streams,
    catalog: &'c Catalog,
}

enum Ended {
    Rules,
    Stop,
}

impl Evaluator {
    /// Reads from where the store says on.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn new(
        store: Arc<Store>,
        log: Arc<Log>,
        live: Arc<Live>,
        options: LiveOptions,
        clock: Clock,
    ) -> Result<Self, StoreError> {
        let committed = store.progress()?;
        let held = Held::from(&committed);
        Ok(Self {
            reader: log.reader(committed.position),
            appender: log.appender(),
            before: committed.totals,
            told: Told {
                progress: committed,
                ..Told::default()
            },
            merger: Merger::default(),
            alerts: BTreeMap::new(),
            // Looked up with the first commit.
            next_timer_us: Some(i64::MIN),
            tidied_us: committed.now_us,
            skip: committed.items,
            gave_up: false,
            broken: None,
            looked: Instant::now(),
            watching: Watching::restore(options.completeness, clock.now_us(), &store)?,
            committed,
            held,
            store,
            log,
            live,
            options,
            clock,
        })
    }

    /// Takes looks at the counters of API servers into account.
    #[must_use]
    pub fn with_scrapes(mut self, scrapes: Arc<Scrapes>) -> Self {
        self.watching.set_scrapes(scrapes);
        self
    }

    /// Evaluates until told to stop. What is held then is committed.
    ///
    /// # Errors
    /// If the log cannot be read: continuing would lose what it holds.
    pub fn run(mut self) -> io::Result<()> {
        let ended = self.run_all();
        self.told.ended = true;
        self.told.fault = ended.as_ref().err().map(ToString::to_string);
        self.live.told.send_replace(self.told.clone());
        ended
    }

    fn run_all(&mut self) -> io::Result<()> {
        // Counters go on where they were, and not from zero.
        self.live.told.send_replace(self.told.clone());
        if let Err(error) = self.remember() {
            tracing::warn!(%error, "cannot read what was evaluated shortly before; repeats of it are not told by their bytes");
        }
        loop {
            let catalog = self.live.rules();
            match self.session(&catalog)? {
                Ended::Stop => return Ok(()),
                Ended::Rules => tracing::info!("evaluating with the new rules"),
            }
        }
    }

    /// Evaluates with one set of rules.
    fn session(&mut self, catalog: &Arc<Catalog>) -> io::Result<Ended> {
        let options = &self.options.pipeline;
        let mut work = Work {
            judge: Judge::new(catalog, options, self.merger.fingerprints()),
            ledger: Ledger::new(options.window_us, catalog.traits()),
            streams: restored(&self.store, catalog).map_err(io::Error::other)?,
            catalog,
        };
        // What was restored may have more to tell.
        self.next_timer_us = earlier(self.next_timer_us, work.streams.due_us());
        loop {
            if self.live.is_stopping() {
                self.commit(&mut work);
                return Ok(Ended::Stop);
            }
            self.check_store()?;
            if !Arc::ptr_eq(&self.live.rules(), catalog) {
                self.commit(&mut work);
                self.check_store()?;
                // What these rules found must not be stored with others.
                let ended = if self.gave_up {
                    Ended::Stop
                } else {
                    Ended::Rules
                };
                return Ok(ended);
            }
            let drained = match self.reader.next_entry()? {
                Some(entry) => {
                    self.take(entry, &mut work);
                    false
                }
                None => true,
            };
            if self.gave_up {
                return Ok(Ended::Stop);
            }
            if self.is_due(drained) {
                self.commit(&mut work);
            } else if drained {
                self.idle();
            }
        }
    }

    fn take(&mut self, entry: Entry, work: &mut Work<'_>) {
        match entry {
            Entry::Body(body) => self.evaluate(&body, work),
            Entry::Tick(now_us) => self.held.now_us = self.held.now_us.max(now_us),
            Entry::Damaged { from, to } => {
                tracing::error!(%from, %to, "the log is damaged: what it held there is lost");
                self.held.damaged_bytes += to.0 - from.0;
                // What was partly evaluated was in it.
                self.skip = 0;
            }
        }
        if !self.gave_up {
            self.held.position = self.reader.position();
            self.held.items = 0;
            self.held.moved.get_or_insert_with(Instant::now);
        }
    }

    /// Evaluates a body. If much is found in it, it is committed in parts, each with the number of items that are done.
    fn evaluate(&mut self, body: &StoredBody, work: &mut Work<'_>) {
        let meta = &body.meta;
        self.held.now_us = self.held.now_us.max(meta.received_us);
        let origin = format!("{} {}/{}", meta.source.as_str(), meta.cluster, meta.origin);
        let input: Arc<str> = format!("{origin} at {}", body.position).into();
        let sender = sender(&meta.cluster, &meta.origin);
        let hits_before = self.held.hits.len();
        let skip = std::mem::take(&mut self.skip);
        let (mut items, mut rejects) = (0, 0);
        let ended = decode(body, &mut |item| {
            items += 1;
            if items <= skip || self.gave_up {
                if let Item::Event(event) = item {
                    self.merger.remember(&event.origin.cluster, event.bytes);
                }
                return;
            }
            let is_full = work.judge.accept(item);
            if let Item::Rejected(rejected) = item {
                rejects += 1;
                if rejects <= REJECTS_KEPT_MAX {
                    self.held.bury(letter(rejected, body, &origin));
                }
            }
            if is_full || self.held.bytes >= COMMIT_BYTES_MAX {
                let judged = work.judge.take();
                self.held
                    .absorb(judged, &mut self.merger, &input, sender.as_ref());
                self.held.items = items;
                if self.is_due(false) {
                    self.commit(work);
                }
            }
        });
        match ended {
            Ok(skipped) => work.judge.note_skipped(skipped),
            Err(error) => {
                tracing::error!(position = %body.position, %error, "a body cannot be read to its end");
                self.held.damaged_bytes += meta.bytes;
            }
        }
        let held = &mut self.held;
        if rejects > REJECTS_KEPT_MAX {
            held.bury(more_rejects(rejects - REJECTS_KEPT_MAX, body, &origin));
        }
        let judged = work.judge.take();
        held.absorb(judged, &mut self.merger, &input, sender.as_ref());
        held.bodies += 1;
        if held.hits.len() > hits_before {
            held.received_us.push(meta.received_us);
        }
        if let Some(checkpoint) = Checkpoint::parse(meta.checkpoint.as_deref()) {
            held.checkpoints
                .insert(checkpoint.note(), checkpoint.to_text());
        }
        if meta.left_out > 0 {
            held.bury(left_out(body, &origin));
        }
    }

    /// Whether to commit now.
    fn is_due(&self, drained: bool) -> bool {
        let held = &self.held;
        if held.bytes >= COMMIT_BYTES_MAX {
            return true;
        }
        let timer = self.next_timer_us.is_some_and(|due| due <= held.now_us);
        let found = held.since.or(held.moved.filter(|_| timer));
        if let Some(since) = found {
            return drained || since.elapsed() >= self.options.commit_every;
        }
        let moved = held
            .moved
            .is_some_and(|moved| moved.elapsed() >= POSITION_EVERY);
        (timer && drained) || moved || held.position.0 - self.committed.position.0 >= POSITION_BYTES
    }

    /// Waits for more. If something waits for a time to pass, the log is told that it did.
    fn idle(&mut self) {
        let now_us = self.clock.now_us();
        self.next_timer_us = earlier(self.next_timer_us, self.watching.look());
        if self
            .next_timer_us
            .is_some_and(|due| due <= now_us && due > self.held.now_us)
        {
            self.appender.tick();
        }
        if self.looked.elapsed() >= LOOK_EVERY {
            self.looked = Instant::now();
            self.appender.look();
        }
        self.reader.wait(IDLE_WAIT);
    }

    /// Commits what is held; tries again until that succeeds, or the process is to end.
    fn commit(&mut self, work: &mut Work<'_>) {
        let mut pause = Duration::from_millis(100);
        let mut tries = 0;
        loop {
            match self.try_commit(work) {
                Ok(()) => break,
                Err(error) => {
                    work.ledger.roll_back();
                    self.watching.roll_back();
                    match restored(&self.store, work.catalog) {
                        Ok(streams) => work.streams = streams,
                        Err(error) => self.broken = Some(error.to_string()),
                    }
                    tracing::error!(%error, "cannot commit; will try again");
                    self.told.failed_commits += 1;
                    self.told.fault = Some(error.to_string());
                    self.live.told.send_replace(self.told.clone());
                }
            }
            tries += 1;
            if tries >= COMMIT_TRIES {
                self.broken = self.told.fault.clone();
            }
            if self.live.is_stopping() || self.broken.is_some() {
                // It is in the log, and will be evaluated again.
                self.gave_up = true;
                return;
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_secs(5));
        }
        self.log.release(self.committed.position);
        self.live.told.send_replace(self.told.clone());
    }

    /// A store that failed once stays failed until it is opened again: the process has to end, and be started again.
    fn check_store(&self) -> io::Result<()> {
        match &self.broken {
            None => Ok(()),
            Some(fault) => Err(io::Error::other(format!(
                "the store cannot be written any more: {fault}"
            ))),
        }
    }

    fn try_commit(&mut self, work: &mut Work<'_>) -> Result<(), StoreError> {
        let mut step = self.store.begin()?;
        let now_us = self.held.now_us;
        for held in &self.held.hits {
            take_in(held, &mut work.ledger, &mut step)?;
        }
        for (event, came_us) in &self.held.fed {
            work.streams.add(event.clone(), *came_us);
        }
        let enricher = Enricher {
            catalog: work.catalog,
            settings: self.options.pipeline.settings.clone(),
            automation: &self.options.pipeline.automation,
        };
        let mut raised = Vec::new();
        let mut changes = work.ledger.settle(now_us, &mut step)?;
        let (plan, rules) = (&work.catalog.correlations, work.catalog.set.rules().len());
        changes.extend(work.streams.settle(plan, rules, now_us, &mut step)?);
        for change in changes {
            let uid = change.uid;
            let previous = step.finding(&uid)?;
            let forms = self.options.forms;
            if let Some(record) = record(change, previous.as_ref(), &enricher, now_us, forms) {
                step.raise(&uid, &record, self.options.sinks)?;
                raised.push((record.rule, record.level));
            }
        }
        let (forms, sinks) = (self.options.forms, self.options.sinks);
        raised.extend(self.watching.say(&self.held, &step, forms, sinks)?);
        let mut removed = 0;
        for letter in &self.held.letters {
            removed += step.bury(letter, self.options.dead_letters_bytes_max)?;
        }
        for (note, checkpoint) in &self.held.checkpoints {
            step.set_note(note, checkpoint)?;
        }
        let mut more_to_tidy = false;
        let tidy = now_us - self.tidied_us >= TIDY_US;
        if tidy {
            let before_us = now_us - self.options.pipeline.window_us - ACT_KEPT_US;
            more_to_tidy |= step.forget_requests(before_us)?;
            let since_us = now_us - self.options.keep_findings_us;
            more_to_tidy |= step.retain_findings(since_us, self.options.findings_bytes_max)?;
            step.trim_outbox()?;
        }
        let progress = self.progress(raised.len() as u64);
        step.set_progress(&progress)?;
        // What is due already has been looked at; there may be more of it than one step takes.
        let next_timer_us = earlier(step.next_timer()?, self.watching.due_us());
        let next_timer_us = earlier(next_timer_us, work.streams.due_us());
        step.commit()?;
        if tidy && !more_to_tidy {
            self.tidied_us = now_us;
        }
        self.next_timer_us = next_timer_us;
        self.note_commit(progress, raised, removed);
        self.told.correlations = Arc::new(correlating(&work.streams, work.catalog));
        Ok(())
    }

    fn progress(&self, raised: u64) -> Progress {
        let (before, account) = (&self.before, self.merger.account());
        Progress {
            position: self.held.position,
            items: self.held.items,
            now_us: self.held.now_us,
            totals: Totals {
                bodies: self.committed.totals.bodies + self.held.bodies,
                received: before.received + account.received,
                evaluated: before.evaluated + account.evaluated,
                repeated: before.repeated + account.repeated,
                ignored: before.ignored + account.ignored_total(),
                rejected: before.rejected + account.rejected_total(),
                raised: self.committed.totals.raised + raised,
                damaged_bytes: self.committed.totals.damaged_bytes + self.held.damaged_bytes,
            },
        }
    }

    fn note_commit(&mut self, progress: Progress, raised: Vec<(String, String)>, removed: u64) {
        for of in raised {
            *self.alerts.entry(of).or_default() += 1;
        }
        let now_us = self.clock.now_us();
        for received_us in &self.held.received_us {
            let waited_us = u64::try_from(now_us - received_us).unwrap_or(0);
            self.live.latencies.record_us(Stage::Evaluate, waited_us);
        }
        self.committed = progress;
        self.held = Held::from(&progress);
        let told = &mut self.told;
        if let Some(senders) = self.watching.keep() {
            told.senders = Arc::new(senders);
        }
        told.progress = progress;
        told.account = Arc::new(self.merger.account().clone());
        told.alerts = Arc::new(self.alerts.clone());
        told.commits += 1;
        told.letters_removed += removed;
        told.fault = None;
    }

    /// Reads what came shortly before the position once more, so that repeats of it are told.
    fn remember(&mut self) -> io::Result<()> {
        let until = self.committed.position;
        let oldest_us = self.committed.now_us - REMEMBERED_US;
        let mut reader = self.log.reader(self.log.recent(until, REMEMBERED_BYTES));
        while reader.position() < until {
            let Some(entry) = reader.next_entry()? else {
                break;
            };
            let Entry::Body(body) = entry else {
                continue;
            };
            if body.meta.received_us < oldest_us {
                continue;
            }
            let merger = &mut self.merger;
            let _partly = decode(&body, &mut |item| {
                if let Item::Event(event) = item {
                    merger.remember(&event.origin.cluster, event.bytes);
                }
            });
        }
        Ok(())
    }
}

/// Takes the matches of one event in.
fn take_in(held: &HeldHit, ledger: &mut Ledger, step: &mut Step) -> Result<(), StoreError> {
    for rule in &held.hits.rules {
        let hit = Hit {
            rule: *rule,
            event: &held.hits.event,
            raw: &held.hits.raw,
            time: held.time,
            input: &held.input,
            offset: held.hits.offset,
        };
        ledger.add(&hit, held.now_us, step)?;
    }
    Ok(())
}

fn earlier(one_us: Option<i64>, other_us: Option<i64>) -> Option<i64> {
    [one_us, other_us].into_iter().flatten().min()
}
