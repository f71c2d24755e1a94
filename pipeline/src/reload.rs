//! Reads rules, certificates and keys again when they change, without a gap: what cannot be used is refused, and what was in
//! use stays.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use detections::diagnostic::Severity;
use sha2::{Digest, Sha256};

use crate::config::Config;
use crate::live::Live;
use crate::rules::RuleSources;
use crate::source::http::auth::pubsub::Verifier;
use crate::source::http::tls::TlsSource;
use crate::telemetry::Telemetry;

/// How often files are looked at. Reading some hundred rule files takes a millisecond.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How often Google's keys are asked for; they change every day or two.
const KEYS_EVERY: Duration = Duration::from_hours(1);

/// How soon after that failed.
const KEYS_AGAIN: Duration = Duration::from_secs(30);

/// 1 MiB: the largest answer with keys.
const KEYS_BYTES_MAX: u64 = 1 << 20;

/// The thread that looks.
#[derive(Debug)]
pub(crate) struct Reloader {
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

struct Watched {
    rules: RuleSources,
    rules_seen: [u8; 32],
    live: Arc<Live>,
    tls: Option<Arc<TlsSource>>,
    keys: Option<(Arc<Verifier>, String)>,
    keys_due: Instant,
    telemetry: Arc<Telemetry>,
}

impl Reloader {
    pub(crate) fn start(
        config: &Config,
        live: Arc<Live>,
        tls: Option<Arc<TlsSource>>,
        verifier: Option<Arc<Verifier>>,
        telemetry: Arc<Telemetry>,
    ) -> io::Result<Self> {
        let keys = config.pubsub.as_ref().map(|pubsub| pubsub.keys.clone());
        let mut watched = Watched {
            rules_seen: fingerprint(&config.rules),
            rules: config.rules.clone(),
            live,
            tls,
            keys: verifier.zip(keys),
            keys_due: Instant::now(),
            telemetry,
        };
        let (stop, asked) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicBool::new(false)),
        );
        let thread = {
            let (stop, asked) = (stop.clone(), asked.clone());
            std::thread::Builder::new()
                .name("reload".to_owned())
                .spawn(move || {
                    while !stop.load(Ordering::Acquire) {
                        watched.look(asked.swap(false, Ordering::AcqRel));
                        std::thread::park_timeout(LOOK_EVERY);
                    }
                })?
        };
        Ok(Self {
            stop,
            asked,
            thread,
        })
    }

    /// Reads everything now, changed or not.
    pub(crate) fn now(&self) {
        self.asked.store(true, Ordering::Release);
        self.thread.thread().unpark();
    }

    pub(crate) fn stop(self) {
        self.stop.store(true, Ordering::Release);
        self.thread.thread().unpark();
        drop(self.thread.join());
    }
}

impl Watched {
    fn look(&mut self, asked: bool) {
        let seen = fingerprint(&self.rules);
        if asked || seen != self.rules_seen {
            self.rules_seen = seen;
            let replaced = self.replace_rules();
            self.telemetry.reloaded("rules", replaced);
        }
        if let Some(tls) = &self.tls {
            match tls.reload() {
                Ok(false) => {}
                Ok(true) => {
                    tracing::info!("new connections use the new certificate");
                    self.telemetry.reloaded("certificate", true);
                }
                Err(error) => {
                    tracing::error!(%error, "the certificate stays as it was");
                    self.telemetry.reloaded("certificate", false);
                }
            }
        }
        if asked || Instant::now() >= self.keys_due {
            self.read_keys();
        }
    }

    /// Compiles the rules as they are now; if they have errors, those in use stay.
    fn replace_rules(&self) -> bool {
        let loaded = match self.rules.load() {
            Ok(loaded) => loaded,
            Err(error) => {
                tracing::error!(%error, "the rules stay as they were");
                return false;
            }
        };
        let mut refused = false;
        for fault in &loaded.loaded.diagnostics {
            if fault.severity == Severity::Error {
                refused = true;
                tracing::error!("{}; the rules stay as they were", fault.render_concise());
            }
        }
        if !refused {
            let rules = loaded.loaded.rules.len();
            self.live.replace_rules(loaded.into_catalog());
            tracing::info!(rules, "the rules were read again");
        }
        !refused
    }

    fn read_keys(&mut self) {
        let Some((verifier, place)) = &self.keys else {
            return;
        };
        let read = keys(place).and_then(|json| verifier.set_keys(&json));
        self.telemetry.reloaded("keys", read.is_ok());
        let pause = match read {
            Ok(()) => KEYS_EVERY,
            Err(reason) => {
                tracing::error!(
                    place,
                    reason,
                    "cannot read the keys of Pub/Sub's tokens; those in use stay"
                );
                KEYS_AGAIN
            }
        };
        self.keys_due = Instant::now() + pause;
    }
}

fn keys(place: &str) -> Result<Vec<u8>, String> {
    if !place.starts_with("https://") && !place.starts_with("http://") {
        return std::fs::read(place).map_err(|error| error.to_string());
    }
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(10)))
        .build()
        .into();
    let mut answer = agent.get(place).call().map_err(|error| error.to_string())?;
    let body = answer.body_mut().with_config().limit(KEYS_BYTES_MAX);
    body.read_to_vec().map_err(|error| error.to_string())
}

/// Changes with the names and contents of all rule files.
fn fingerprint(rules: &RuleSources) -> [u8; 32] {
    let mut hasher = Sha256::new();
    let paths = rules
        .paths
        .iter()
        .chain(&rules.exclusions)
        .chain(&rules.lists);
    for path in paths {
        add(path, &mut hasher);
    }
    hasher.finalize().into()
}

fn add(path: &Path, hasher: &mut Sha256) {
    hasher.update(path.as_os_str().as_encoded_bytes());
    if path.is_dir() {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        let mut inside: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        inside.sort();
        for path in inside {
            add(&path, hasher);
        }
    } else {
        hasher.update(std::fs::read(path).unwrap_or_default());
    }
}
