//! Which parts a serving process has, in which order they start, and in which they stop.
//!
//! ```text
//!  lock ─▶ store ─▶ log ─▶ evaluator ─▶ sinks ─▶ control ─▶ files, HTTP        start: nobody is let in before all behind is there
//!  HTTP, files ─▶ evaluator ─▶ sinks ─▶ log ─▶ lock                            stop: nobody is let in any more, then what is
//!                                                                              in is carried on, at most for a while
//! ```
//!
//! What is not evaluated when the process ends lies in the log, and is evaluated when it starts again; what is not delivered
//! lies in the outbox. With state in Kafka, topics take the places of log, store, sinks and lock (`kafka`); the order is the same.

mod embedded;
mod kafka;
mod parts;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use detections::diagnostic::{Diagnostic, Severity};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::config::{Config, StateKind};
use crate::kafka::KafkaFault;
use crate::live::Live;
use crate::reload::Reloader;
use crate::rules::RulesError;
use crate::source::http::tls::TlsError;
use crate::source::http::{HttpOptions, HttpServer, ListenError};
use crate::source::{Intake, Ready};
use crate::store::StoreError;
use crate::telemetry::Telemetry;

pub use self::parts::check_world;

/// Why serving cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another process has the data directory.
    #[error("another process works in {0}: stop it, or use another data_dir")]
    Locked(String),
    /// The data directory cannot be used.
    #[error("cannot use {path}: {source}")]
    Folder {
        /// The directory.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The address cannot be had.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A secret cannot be read.
    #[error("{0}")]
    Secret(String),
    /// Rules cannot be read.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// Rules have errors.
    #[error("the rules have errors")]
    RuleFaults(Vec<Diagnostic>),
    /// Kafka cannot be used.
    #[error(transparent)]
    Kafka(#[from] KafkaFault),
    /// A thread or the runtime cannot be had.
    #[error("cannot start: {0}")]
    System(io::Error),
}

/// A serving process, at work.
pub struct Instance {
    config: Config,
    live: Arc<Live>,
    address: SocketAddr,
    evaluator: JoinHandle<io::Result<()>>,
    behind: Behind,
    http: tokio::task::JoinHandle<()>,
    stop_http: watch::Sender<bool>,
    reloader: Reloader,
    runtime: Runtime,
}

/// What lies behind the listener.
enum Behind {
    Embedded(Box<embedded::Embedded>),
    Kafka(kafka::Kafka),
}

/// What was started behind the listener, and what the rest needs of it.
struct Started {
    behind: Behind,
    evaluator: JoinHandle<io::Result<()>>,
    intake: Intake,
    telemetry: Arc<Telemetry>,
}

impl Instance {
    /// Starts everything.
    ///
    /// # Errors
    /// If any part cannot be had; nothing runs then.
    pub fn start(config: Config) -> Result<Self, StartError> {
        let clock = Clock::wall();
        let loaded = config.rules.load()?;
        let faults = &loaded.loaded.diagnostics;
        if faults.iter().any(|fault| fault.severity == Severity::Error) {
            return Err(StartError::RuleFaults(loaded.loaded.diagnostics));
        }
        let tls = parts::tls_source(&config)?;
        let access = parts::access(&config, &clock)?;
        let live = Live::new(loaded.into_catalog());
        let runtime = runtime().map_err(StartError::System)?;
        let started = match config.state {
            StateKind::Embedded => embedded::start(&config, &live, &clock, &runtime)?,
            StateKind::Kafka => kafka::start(&config, &live, &clock)?,
        };
        let Started {
            behind,
            evaluator,
            intake,
            telemetry,
        } = started;
        let options = HttpOptions {
            listen: config.listen,
            tls,
            access,
            limits: config.limits,
            ready: Arc::new(Ready::new(intake.clone(), &live)),
            telemetry: telemetry.clone(),
        };
        let server = {
            let _within = runtime.enter();
            HttpServer::bind(options, intake)?
        };
        let address = server.address().map_err(StartError::System)?;
        let (tls, verifier) = (server.tls(), server.verifier());
        let reloader = Reloader::start(&config, live.clone(), tls, verifier, telemetry)
            .map_err(StartError::System)?;
        let (stop_http, stopped) = watch::channel(false);
        let http = runtime.spawn(server.run(stopped));
        Ok(Self {
            config,
            live,
            address,
            evaluator,
            behind,
            http,
            stop_http,
            reloader,
            runtime,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What it evaluates with, and how far it is.
    #[must_use]
    pub fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// Reads rules and certificates again now.
    pub fn reload(&self) {
        self.reloader.now();
    }

    /// Whether evaluation has ended by itself: nothing more will come of what is received.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.evaluator.is_finished()
    }

    /// Stops everything, in order.
    ///
    /// # Errors
    /// If evaluation had failed.
    pub fn stop(self) -> io::Result<()> {
        self.stop_http.send_replace(true);
        drop(self.runtime.block_on(self.http));
        let behind = self.behind.stop_receiving();
        self.reloader.stop();
        self.live.stop();
        let evaluated = self.evaluator.join();
        behind.stop();
        self.runtime.shutdown_timeout(Duration::from_secs(1));
        evaluated.unwrap_or_else(|_| Err(io::Error::other("the evaluator's thread failed")))
    }
}

impl Behind {
    fn stop_receiving(self) -> Self {
        match self {
            Self::Embedded(embedded) => Self::Embedded(Box::new(embedded.stop_receiving())),
            Self::Kafka(kafka) => {
                kafka.stop_receiving();
                Self::Kafka(kafka)
            }
        }
    }

    /// After evaluation has ended.
    fn stop(self) {
        if let Self::Embedded(embedded) = self {
            embedded.stop();
        }
    }
}

/// Two threads are enough: they move bytes, and wait.
fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("http")
        .enable_all()
        .build()
}

fn evaluate(
    run: impl FnOnce() -> io::Result<()> + Send + 'static,
) -> Result<JoinHandle<io::Result<()>>, StartError> {
    let thread = std::thread::Builder::new().name("evaluator".to_owned());
    thread.spawn(run).map_err(StartError::System)
}
