//! A thread for each API server that asks it for its counters, every minute or so.
//!
//! What was read waits in [`Scrapes`] until the evaluator takes it; so does how the asking goes, for telemetry. That an API server
//! does not answer is no finding: it may be down, and then it also sends nothing, which is one.
//!
//! The token and the authorities are read again with each look, since both are replaced while we run.

mod fetch;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::clock::Clock;
use crate::config::Secret;

pub use self::fetch::ScrapeError;
use self::fetch::fetch;
use super::{Counters, Sender};

/// Looks that wait to be taken. At one a minute of each of a thousand API servers this is four minutes; beyond, the oldest are
/// forgotten, since counters only go up and the next look tells as much.
const WAITING_MAX: usize = 4096;

/// The shortest time between two looks.
const INTERVAL_MIN: Duration = Duration::from_secs(1);

/// How long a look that is under way is waited for when the process ends.
const LEAVE: Duration = Duration::from_secs(1);

/// How often it is looked whether it has ended.
const LEAVE_STEP: Duration = Duration::from_millis(10);

/// Which of the API server's backends leads here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// The webhook.
    #[default]
    Webhook,
    /// The log file.
    Log,
}

/// An API server to ask.
#[derive(Clone, Debug)]
pub struct Target {
    /// The cluster, as in the address that it sends to.
    pub cluster: String,
    /// The API server, as in the address that it sends to; for a followed file its name.
    pub origin: String,
    /// Which backend leads here: what the other one loses is not missed here.
    pub backend: Backend,
    /// Its page: `https://10.0.0.1:6443/metrics`.
    pub url: String,
    /// A token of an account that may `get` the path `/metrics`.
    pub token: Option<Secret>,
    /// Authorities of its certificate, PEM, in place of the public ones.
    pub authority: Option<PathBuf>,
    /// The time between two looks.
    pub interval: Duration,
}

/// What one look has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scrape {
    /// Whose counters these are.
    pub sender: Sender,
    /// The counters.
    pub counters: Counters,
    /// When they were read, microseconds since 1970 UTC.
    pub at_us: i64,
}

/// How the asking goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScrapeState {
    /// Looks that succeeded.
    pub read: u64,
    /// Looks that failed.
    pub failed: u64,
    /// When the last one succeeded, microseconds since 1970 UTC.
    pub read_us: Option<i64>,
    /// Why the last one failed, if it did.
    pub fault: Option<String>,
}

/// What the threads have found, shared with those who use it.
#[derive(Debug, Default)]
pub struct Scrapes {
    shared: Mutex<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: VecDeque<Scrape>,
    states: BTreeMap<Sender, ScrapeState>,
}

/// The threads that ask.
#[derive(Debug)]
pub struct Scrapers {
    scrapes: Arc<Scrapes>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Target {
    /// Who sends what these counters count.
    #[must_use]
    pub fn sender(&self) -> Sender {
        Sender {
            cluster: self.cluster.clone(),
            origin: self.origin.clone(),
        }
    }

    /// What is wrong with the address, if anything is; nothing is asked for that. A token does not travel in the clear.
    #[must_use]
    pub fn fault(&self) -> Option<&'static str> {
        if self.url.starts_with("https://") {
            return None;
        }
        let Some(rest) = self.url.strip_prefix("http://") else {
            return Some("it is no address: write https://…/metrics");
        };
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let is_near = ["127.0.0.1", "localhost", "[::1]"].iter().any(|near| {
            let port = host.strip_prefix(near);
            port.is_some_and(|port| port.is_empty() || is_port(port))
        });
        (self.token.is_some() && !is_near)
            .then_some("its token would travel in the clear: write https://…")
    }
}

fn is_port(text: &str) -> bool {
    text.strip_prefix(':')
        .is_some_and(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()))
}

impl Scrapes {
    /// What was found since the last time, oldest first.
    #[must_use]
    pub fn take(&self) -> Vec<Scrape> {
        self.lock().waiting.drain(..).collect()
    }

    /// How the asking goes, by API server.
    #[must_use]
    pub fn states(&self) -> BTreeMap<Sender, ScrapeState> {
        self.lock().states.clone()
    }

    fn note(&self, sender: &Sender, found: Result<Counters, ScrapeError>, at_us: i64) {
        let mut shared = self.lock();
        let state = shared.states.entry(sender.clone()).or_default();
        match found {
            Ok(counters) => {
                if state.fault.take().is_some() {
                    tracing::info!(
                        cluster = sender.cluster,
                        origin = sender.origin,
                        "the API server's counters can be read again"
                    );
                }
                state.read += 1;
                state.read_us = Some(at_us);
                if shared.waiting.len() >= WAITING_MAX {
                    shared.waiting.pop_front();
                }
                let sender = sender.clone();
                shared.waiting.push_back(Scrape {
                    sender,
                    counters,
                    at_us,
                });
            }
            Err(error) => {
                let fault = error.to_string();
                if state.fault.as_ref() != Some(&fault) {
                    tracing::warn!(cluster = sender.cluster, origin = sender.origin, %error, "cannot read the API server's counters");
                }
                state.failed += 1;
                state.fault = Some(fault);
            }
        }
    }

    /// Nothing is left half done where this lock is held, so what a thread that failed left behind is whole.
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Scrapers {
    /// Starts a thread for each API server.
    ///
    /// # Errors
    /// If no thread can be had.
    pub fn start(targets: Vec<Target>, clock: &Clock) -> io::Result<Self> {
        let mut scrapers = Self {
            scrapes: Arc::default(),
            stop: Arc::default(),
            threads: Vec::new(),
        };
        for target in targets {
            let (scrapes, stop) = (scrapers.scrapes.clone(), scrapers.stop.clone());
            let clock = clock.clone();
            let name = format!("scrape {}", target.origin.replace('\0', ""));
            let thread = std::thread::Builder::new()
                .name(name)
                .spawn(move || run(&target, &scrapes, &clock, &stop));
            match thread {
                Ok(thread) => scrapers.threads.push(thread),
                Err(error) => {
                    scrapers.stop();
                    return Err(error);
                }
            }
        }
        Ok(scrapers)
    }

    /// What they find.
    #[must_use]
    pub fn scrapes(&self) -> Arc<Scrapes> {
        self.scrapes.clone()
    }

    /// Stops them. One that waits for an answer is left after a moment: it finds nothing more that anybody asks for.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Release);
        for thread in &self.threads {
            thread.thread().unpark();
        }
        let until = Instant::now() + LEAVE;
        for thread in self.threads {
            while !thread.is_finished() && Instant::now() < until {
                std::thread::sleep(LEAVE_STEP);
            }
            if thread.is_finished() && thread.join().is_err() {
                tracing::error!("a thread that reads counters failed");
            }
        }
    }
}

fn run(target: &Target, scrapes: &Scrapes, clock: &Clock, stop: &AtomicBool) {
    let sender = target.sender();
    let interval = target.interval.max(INTERVAL_MIN);
    while !stop.load(Ordering::Acquire) {
        let next = Instant::now() + interval;
        let found = fetch(target);
        // The time after the answer: what arrived until now may have been counted.
        scrapes.note(&sender, found, clock.now_us());
        while !stop.load(Ordering::Acquire) {
            let left = next.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            std::thread::park_timeout(left);
        }
    }
}
