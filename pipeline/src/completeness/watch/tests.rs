mod losses;
mod restarts;
mod silence;
mod stored;

use std::convert::Infallible;

use super::*;
use crate::completeness::{Activity, Ending, Kind, Proof};

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

/// Some Monday.
const START: i64 = 1_795_214_400 * SECOND;

fn sender() -> Sender {
    Sender {
        cluster: "prod".to_owned(),
        origin: "master-1".to_owned(),
    }
}

fn arrival(events: u64, at_us: i64, took_us: i64) -> Arrival {
    Arrival {
        at_us,
        events,
        oldest_us: Some(at_us - took_us),
    }
}

/// A watch over one API server that is told of things minute by minute, and is stored and read again at every step.
struct Scene {
    watch: Watch,
    now_us: i64,
    /// The API server's counters.
    counters: Counters,
    told: Vec<String>,
}

impl Scene {
    fn new() -> Self {
        Self::with(Options::default())
    }

    fn with(options: Options) -> Self {
        Self {
            watch: Watch::new(options, START),
            now_us: START,
            counters: Counters {
                events: Some(1_000_000),
                started_ms: Some(START / 1000 - 86_400_000),
                ..Counters::default()
            },
            told: Vec::new(),
        }
    }

    /// A minute in which so many are emitted and so many arrive, and a look at its end.
    fn minute(&mut self, emitted: u64, arrived: u64) {
        self.late_minute(emitted, arrived, 20 * SECOND);
    }

    /// The same, with events that took so long.
    fn late_minute(&mut self, emitted: u64, arrived: u64, took_us: i64) {
        self.emit(emitted);
        self.arrive(arrived, took_us);
        self.now_us += MINUTE;
        self.watch
            .scraped(&sender(), self.counters.clone(), self.now_us);
        self.tick();
    }

    fn minutes(&mut self, count: usize, emitted: u64, arrived: u64) {
        for _ in 0..count {
            self.minute(emitted, arrived);
        }
    }

    /// A minute in which so many arrive, and nobody looks at counters.
    fn unseen(&mut self, arrived: u64) {
        self.arrive(arrived, SECOND);
        self.now_us += MINUTE;
        self.tick();
    }

    fn unseen_minutes(&mut self, count: usize, arrived: u64) {
        for _ in 0..count {
            self.unseen(arrived);
        }
    }

    fn arrive(&mut self, events: u64, took_us: i64) {
        if events > 0 {
            let arrival = arrival(events, self.now_us + 30 * SECOND, took_us);
            self.watch.arrived(&sender(), arrival);
        }
    }

    fn emit(&mut self, events: u64) {
        *self.counters.events.as_mut().unwrap() += events;
    }

    fn lose(&mut self, plugin: &str, events: u64) {
        *self.counters.errors.entry(plugin.to_owned()).or_default() += events;
    }

    /// The API server is another process.
    fn restart(&mut self) {
        self.counters = Counters {
            events: Some(0),
            started_ms: Some((self.now_us + 20 * SECOND) / 1000),
            ..Counters::default()
        };
    }

    #[track_caller]
    fn tick(&mut self) {
        for notice in self.watch.tick(self.now_us) {
            let minute = (notice.at_us - START) / MINUTE;
            let about = match notice.kind {
                Kind::Silent => format!("silent ({:?})", notice.counts.proof),
                Kind::Missing => format!("missing {}", notice.counts.events),
                Kind::Dropped => format!("dropped {}", notice.counts.events),
            };
            let activity = match notice.activity {
                Activity::Close(ending) => format!("{ending:?}"),
                other => format!("{other:?}"),
            };
            let revision = notice.revision;
            self.told
                .push(format!("{minute}: {about} {activity} #{revision}"));
        }
        let due = self.watch.due_us();
        assert!(
            due.is_none_or(|due| due > self.now_us),
            "it stays due, and would be called without end"
        );
    }

    /// What was told since the last time.
    fn told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.told)
    }

    fn standing(&self) -> Standing {
        self.watch.standings().next().unwrap().1
    }
}

fn stored(watch: &mut Watch) -> BTreeMap<String, String> {
    // As if all of it had changed.
    watch.before = watch
        .senders
        .keys()
        .map(|key| (key.clone(), None))
        .collect();
    let stored = watch.changed().into_iter().collect();
    watch.keep();
    stored
}

fn restored(stored: &BTreeMap<String, String>, listening_us: i64) -> Watch {
    let note = |name: &str| Ok::<_, Infallible>(stored.get(name).cloned());
    let Ok(watch) = Watch::restore(Options::default(), listening_us, note);
    watch
}
