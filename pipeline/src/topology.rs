//! Which parts a serving process has, in which order they start, and in which they stop.
//!
//! ```text
//!  lock ─▶ store ─▶ log ─▶ evaluator ─▶ sinks ─▶ control ─▶ files, HTTP        start: nobody is let in before all behind is there
//!  HTTP, files ─▶ evaluator ─▶ sinks ─▶ log ─▶ lock                            stop: nobody is let in any more, then what is
//!                                                                              in is carried on, at most for a while
//! ```
//!
//! What is not evaluated when the process ends lies in the log, and is evaluated when it starts again; what is not delivered
//! lies in the outbox.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use detections::diagnostic::{Diagnostic, Severity};
use detections::event::Settings;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::config::{Config, SinkConfig, SinkFormat};
use crate::control::{ControlServer, Served};
use crate::live::{DataLock, Evaluator, Live, LiveOptions, OutputForms};
use crate::reload::Reloader;
use crate::rules::RulesError;
use crate::run::Options;
use crate::sink::Sinks;
use crate::source::Ready;
use crate::source::http::auth::pubsub::Verifier;
use crate::source::http::auth::{Access, CertificateName, Scope, Token};
use crate::source::http::tls::{TlsError, TlsFiles, TlsSource};
use crate::source::http::{HttpOptions, HttpServer, ListenError};
use crate::source::tail::{Checkpoint, Tail, TailOptions};
use crate::spool::disk::{Disk, Folder};
use crate::spool::{Entry, Log, Position};
use crate::store::{Store, StoreError};
use crate::telemetry::Telemetry;

/// How long sinks may go on when the process ends.
const DRAIN: Duration = Duration::from_secs(5);

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
    /// A thread or the runtime cannot be had.
    #[error("cannot start: {0}")]
    System(io::Error),
}

/// A serving process, at work.
pub struct Instance {
    config: Config,
    store: Arc<Store>,
    log: Arc<Log>,
    live: Arc<Live>,
    address: SocketAddr,
    evaluator: JoinHandle<io::Result<()>>,
    sinks: Sinks,
    tails: Vec<Tail>,
    http: tokio::task::JoinHandle<()>,
    stop_http: watch::Sender<bool>,
    reloader: Reloader,
    runtime: Runtime,
    _control: ControlServer,
    _lock: DataLock,
}

impl Instance {
    /// Starts everything.
    ///
    /// # Errors
    /// If any part cannot be had; nothing runs then.
    pub fn start(config: Config) -> Result<Self, StartError> {
        let path = config.data_dir.display().to_string();
        let folder = |source| StartError::Folder {
            path: path.clone(),
            source,
        };
        let clock = Clock::wall();
        let loaded = config.rules.load()?;
        if loaded
            .loaded
            .diagnostics
            .iter()
            .any(|fault| fault.severity == Severity::Error)
        {
            return Err(StartError::RuleFaults(loaded.loaded.diagnostics));
        }
        let tls = tls_source(&config)?;
        let access = access(&config, &clock)?;
        let lock = DataLock::take(&config.data_dir).map_err(folder)?;
        let lock = lock.ok_or_else(|| StartError::Locked(path.clone()))?;
        let disk = |name: &str| -> Result<Arc<dyn Disk>, StartError> {
            Ok(Arc::new(
                Folder::open(&config.data_dir.join(name)).map_err(folder)?,
            ))
        };
        let store = Arc::new(Store::open(&disk("store")?)?);
        let position = store.progress()?.position;
        let (log, recovered) =
            Log::open(&disk("log")?, config.log, position, clock.clone()).map_err(folder)?;
        if recovered.torn_bytes > 0 {
            let bytes = recovered.torn_bytes;
            tracing::info!(
                bytes,
                "cut off what was being written when the last run ended"
            );
        }
        let log = Arc::new(log);
        let live = Live::new(loaded.into_catalog());
        let evaluator = Evaluator::new(
            store.clone(),
            log.clone(),
            live.clone(),
            live_options(&config),
            clock.clone(),
        )?;
        let telemetry = Telemetry::new(log.appender(), &live, store.clone());
        let letters = config.dead_letters_quota;
        let sinks = Sinks::start(&config.sinks, &store, &telemetry, &clock, letters)?;
        let evaluator = std::thread::Builder::new()
            .name("evaluator".to_owned())
            .spawn(move || evaluator.run())
            .map_err(StartError::System)?;
        let runtime = runtime().map_err(StartError::System)?;
        let served = Served {
            store: store.clone(),
            log: log.appender(),
            runtime: runtime.handle().clone(),
        };
        let control = ControlServer::start(&config.data_dir, served).map_err(folder)?;
        let tails = tails(&config, &store, &log, &telemetry, &runtime, position)?;
        let options = HttpOptions {
            listen: config.listen,
            tls,
            access,
            limits: config.limits,
            ready: Arc::new(Ready::new(log.appender(), &live)),
            telemetry: telemetry.clone(),
        };
        let server = {
            let _within = runtime.enter();
            HttpServer::bind(options, log.appender())?
        };
        let address = server.address().map_err(StartError::System)?;
        let reloader = Reloader::start(
            &config,
            live.clone(),
            server.tls(),
            server.verifier(),
            telemetry,
        )
        .map_err(StartError::System)?;
        let (stop_http, stopped) = watch::channel(false);
        let http = runtime.spawn(server.run(stopped));
        Ok(Self {
            config,
            store,
            log,
            live,
            address,
            evaluator,
            sinks,
            tails,
            http,
            stop_http,
            reloader,
            runtime,
            _control: control,
            _lock: lock,
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
        for tail in self.tails {
            tail.stop();
        }
        self.reloader.stop();
        self.live.stop();
        let evaluated = self.evaluator.join();
        self.sinks.stop(DRAIN, &self.store);
        self.log.close();
        self.runtime.shutdown_timeout(Duration::from_secs(1));
        evaluated.unwrap_or_else(|_| Err(io::Error::other("the evaluator's thread failed")))
    }
}

/// What is wrong with that which a configuration names: rules, certificates, secrets. Nothing is started.
#[must_use]
pub fn check_world(config: &Config) -> Vec<String> {
    let mut faults = Vec::new();
    match config.rules.load() {
        Err(error) => faults.push(error.to_string()),
        Ok(loaded) => {
            let errors = loaded.loaded.diagnostics.into_iter();
            let errors = errors.filter(|fault| fault.severity == Severity::Error);
            faults.extend(errors.map(|fault| fault.render_concise()));
        }
    }
    faults.extend(tls_source(config).err().map(|error| error.to_string()));
    let tokens = config.tokens.iter().map(|token| &token.secret);
    let sinks = config.sinks.iter().filter_map(SinkConfig::secret);
    for secret in tokens.chain(sinks) {
        faults.extend(secret.read().err());
    }
    faults
}

/// Two threads are enough: they move bytes, and wait.
fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("http")
        .enable_all()
        .build()
}

fn live_options(config: &Config) -> LiveOptions {
    let mut settings = Settings::default();
    settings.trusted_proxies.extend(&config.trusted_proxies);
    let micros = |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    LiveOptions {
        pipeline: Options {
            settings: Arc::new(settings),
            automation: config.automation.clone(),
            window_us: micros(config.window),
            ..Options::default()
        },
        commit_every: config.commit_interval,
        keep_findings_us: micros(config.findings_keep),
        findings_bytes_max: config.findings_quota,
        dead_letters_bytes_max: config.dead_letters_quota,
        sinks: !config.sinks.is_empty(),
        forms: OutputForms {
            ecs: config
                .sinks
                .iter()
                .any(|sink| sink.format == SinkFormat::Ecs),
        },
    }
}

fn tls_source(config: &Config) -> Result<Option<TlsSource>, StartError> {
    let Some(tls) = &config.tls else {
        return Ok(None);
    };
    let files = TlsFiles {
        certificate: tls.certificate.clone(),
        key: tls.key.clone(),
        client_authority: tls.client_authority.clone(),
    };
    Ok(Some(TlsSource::load(files)?))
}

fn access(config: &Config, clock: &Clock) -> Result<Access, StartError> {
    let scope = |clusters: &[String]| {
        if clusters.is_empty() {
            Scope::All
        } else {
            Scope::Clusters(clusters.iter().cloned().collect())
        }
    };
    let mut tokens = Vec::new();
    for token in &config.tokens {
        let secret = token.secret.read().map_err(StartError::Secret)?;
        tokens.push(Token::new(&secret, scope(&token.clusters)));
    }
    let names = config
        .clients
        .iter()
        .map(|(name, clusters)| CertificateName {
            name: name.clone(),
            scope: scope(clusters),
        });
    let verifier = config
        .pubsub
        .as_ref()
        .map(|pubsub| Verifier::new(&pubsub.audience, &pubsub.service_account, clock.clone()));
    let authority = config
        .tls
        .as_ref()
        .and_then(|tls| tls.client_authority.as_ref());
    Ok(Access {
        tokens,
        certificates: authority.is_some(),
        names: names.collect(),
        pubsub: verifier.map(Arc::new),
        open: config.listen.ip().is_loopback(),
    })
}

fn tails(
    config: &Config,
    store: &Store,
    log: &Log,
    telemetry: &Arc<Telemetry>,
    runtime: &Runtime,
    position: Position,
) -> Result<Vec<Tail>, StartError> {
    let mut tails = Vec::new();
    for file in &config.files {
        let path = file.path.display().to_string();
        let options = TailOptions {
            checkpoint: checkpoint(&path, store, log, position)?,
            path: file.path.clone(),
            cluster: file.cluster.clone(),
            name: file.name.clone(),
        };
        let (log, telemetry) = (log.appender(), telemetry.clone());
        let tail = Tail::start(options, log, telemetry, runtime.handle().clone());
        tails.push(tail.map_err(StartError::System)?);
    }
    Ok(tails)
}

/// How far a file was read: as evaluated, or further, as far as the log holds it.
fn checkpoint(
    path: &str,
    store: &Store,
    log: &Log,
    position: Position,
) -> Result<Option<Checkpoint>, StartError> {
    let wanted = Checkpoint {
        path: path.to_owned(),
        ..Checkpoint::default()
    };
    let stored = store.note(&wanted.note())?;
    let mut last = Checkpoint::parse(stored.as_deref());
    let mut reader = log.reader(position);
    while let Some(entry) = reader.next_entry().map_err(StartError::System)? {
        if let Entry::Body(body) = entry
            && let Some(found) = Checkpoint::parse(body.meta.checkpoint.as_deref())
            && found.path == path
        {
            last = Some(found);
        }
    }
    Ok(last)
}
