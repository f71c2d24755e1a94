//! Everything in this process: log, store, sinks, followed files.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::clock::Clock;
use crate::completeness::Scrapers;
use crate::config::Config;
use crate::control::{ControlServer, Served};
use crate::live::{DataLock, Evaluator, Live};
use crate::sink::Sinks;
use crate::source::Intake;
use crate::source::tail::{Checkpoint, Tail, TailOptions};
use crate::spool::disk::{Disk, Folder};
use crate::spool::{Entry, Log, Position};
use crate::store::Store;
use crate::telemetry::{Backing, Telemetry};

use super::{Behind, StartError, Started, evaluate, parts};

/// How long sinks may go on when the process ends.
const DRAIN: Duration = Duration::from_secs(5);

/// The parts that have to be stopped.
pub(super) struct Embedded {
    store: Arc<Store>,
    log: Arc<Log>,
    sinks: Sinks,
    tails: Vec<Tail>,
    scrapers: Option<Scrapers>,
    _control: ControlServer,
    _lock: DataLock,
}

pub(super) fn start(
    config: &Config,
    live: &Arc<Live>,
    clock: &Clock,
    runtime: &Runtime,
) -> Result<Started, StartError> {
    let path = config.data_dir.display().to_string();
    let folder = |source| StartError::Folder {
        path: path.clone(),
        source,
    };
    let lock = DataLock::take(&config.data_dir).map_err(folder)?;
    let lock = lock.ok_or_else(|| StartError::Locked(path.clone()))?;
    let disk = |name: &str| -> Result<Arc<dyn Disk>, StartError> {
        let opened = Folder::open(&config.data_dir.join(name)).map_err(folder)?;
        Ok(Arc::new(opened))
    };
    let store = Arc::new(Store::open(&disk("store")?)?);
    let position = store.progress()?.position;
    let log = open_log(config, &disk("log")?, position, clock).map_err(folder)?;
    let evaluator = Evaluator::new(
        store.clone(),
        log.clone(),
        live.clone(),
        parts::live_options(config),
        clock.clone(),
    )?;
    let scrapers = Scrapers::start(config.apiservers.clone(), clock).map_err(StartError::System)?;
    let scrapes = scrapers.scrapes();
    let evaluator = evaluator.with_scrapes(scrapes.clone());
    let backing = Backing::Embedded {
        log: log.appender(),
        store: store.clone(),
        scrapes,
    };
    let telemetry = Telemetry::new(backing, live);
    let letters = config.dead_letters_quota;
    let sinks = Sinks::start(&config.sinks, &store, &telemetry, clock, letters)?;
    let evaluator = evaluate(move || evaluator.run())?;
    let served = Served {
        store: store.clone(),
        log: log.appender(),
        runtime: runtime.handle().clone(),
    };
    let control = ControlServer::start(&config.data_dir, served).map_err(folder)?;
    let tails = tails(config, &store, &log, &telemetry, runtime, position)?;
    Ok(Started {
        intake: Intake::Log(log.appender()),
        behind: Behind::Embedded(Box::new(Embedded {
            store,
            log,
            sinks,
            tails,
            scrapers: Some(scrapers),
            _control: control,
            _lock: lock,
        })),
        evaluator,
        telemetry,
    })
}

impl Embedded {
    /// Follows no file and asks no API server any more.
    pub(super) fn stop_receiving(mut self) -> Self {
        for tail in std::mem::take(&mut self.tails) {
            tail.stop();
        }
        if let Some(scrapers) = self.scrapers.take() {
            scrapers.stop();
        }
        self
    }

    /// After evaluation has ended: sinks go on for a while, and the log is closed.
    pub(super) fn stop(self) {
        self.sinks.stop(DRAIN, &self.store);
        self.log.close();
    }
}

fn open_log(
    config: &Config,
    disk: &Arc<dyn Disk>,
    position: Position,
    clock: &Clock,
) -> io::Result<Arc<Log>> {
    let (log, recovered) = Log::open(disk, config.log, position, clock.clone())?;
    if recovered.torn_bytes > 0 {
        let bytes = recovered.torn_bytes;
        tracing::info!(
            bytes,
            "cut off what was being written when the last run ended"
        );
    }
    Ok(Arc::new(log))
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
