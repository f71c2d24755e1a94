//! What is counted, with typed names, and the page that Prometheus reads.
//!
//! Two sums must hold at any time, and can be checked from the page:
//!
//! * `tidewatch_events_total`: received = evaluated + repeated + ignored + rejected; what is in flight is still in the log, as
//!   `tidewatch_log_bytes{state="waiting"}`;
//! * `tidewatch_alert_records`: for each sink, raised since it began = delivered + dead + in flight.
//!
//! Counts of records are the store's: they move with the position, so that neither a crash nor a restart makes them lie.

mod latency;
mod senders;
mod snapshot;

use std::collections::HashSet;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::live::Live;
use crate::spool::SourceKind;

pub use self::latency::{Latencies, Stage};
pub use self::snapshot::Backing;
use self::snapshot::Snapshot;

/// Everything that is counted in this process.
#[derive(Debug)]
pub struct Telemetry {
    registry: Registry,
    bodies: Family<SenderLabels, Counter>,
    body_bytes: Family<SenderLabels, Counter>,
    left_out: Family<SenderLabels, Counter>,
    last_body: Family<SenderLabels, Gauge<i64, AtomicI64>>,
    refused: Family<ReasonLabels, Counter>,
    connections: Gauge,
    sends: Family<SendLabels, Counter>,
    reloads: Family<ReloadLabels, Counter>,
    latencies: Arc<Latencies>,
    /// Clusters and API servers that have labels of their own.
    known: Mutex<HashSet<(String, String)>>,
}

/// Senders that are counted by name.
const SENDERS_MAX: usize = 1000;

/// Who sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SenderLabels {
    source: &'static str,
    cluster: String,
    origin: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SendLabels {
    sink: String,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReloadLabels {
    what: &'static str,
    result: &'static str,
}

/// Why a sender was not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// No credential, or one for another cluster.
    Unauthorized,
    /// Too many requests of one client.
    Rate,
    /// Overload, by what is overloaded.
    Busy(&'static str),
    /// Too slow with handshake, head or body.
    Slow,
    /// The request ended early.
    Broken,
    /// A body that did not end.
    Endless,
    /// Too many connections.
    Connections,
    /// A TLS handshake that failed.
    Tls,
}

impl Refused {
    fn as_str(self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::Rate => "rate",
            Self::Busy(what) => what,
            Self::Slow => "slow",
            Self::Broken => "broken",
            Self::Endless => "endless",
            Self::Connections => "connections",
            Self::Tls => "tls",
        }
    }
}

impl Telemetry {
    /// Counts from zero; what the store and the run know is read when the page is.
    #[must_use]
    pub fn new(backing: Backing, live: &Live) -> Arc<Self> {
        let latencies = live.latencies();
        let mut counted = Self {
            registry: Registry::with_prefix("tidewatch"),
            bodies: Family::default(),
            body_bytes: Family::default(),
            left_out: Family::default(),
            last_body: Family::default(),
            refused: Family::default(),
            connections: Gauge::default(),
            sends: Family::default(),
            reloads: Family::default(),
            latencies: latencies.clone(),
            known: Mutex::default(),
        };
        counted.register();
        let snapshot = Snapshot::new(backing, live, latencies);
        counted.registry.register_collector(Box::new(snapshot));
        Arc::new(counted)
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "bodies",
            "Bodies that were acknowledged, by source, cluster and API server",
            self.bodies.clone(),
        );
        registry.register_with_unit(
            "body",
            "Bytes of them",
            Unit::Bytes,
            self.body_bytes.clone(),
        );
        registry.register_with_unit(
            "body_left_out",
            "Bytes of bodies beyond the limit, which were not kept",
            Unit::Bytes,
            self.left_out.clone(),
        );
        registry.register_with_unit(
            "last_body_timestamp",
            "When a sender was last heard of",
            Unit::Seconds,
            self.last_body.clone(),
        );
        registry.register(
            "requests_refused",
            "Requests and connections that were not served, by reason",
            self.refused.clone(),
        );
        registry.register("connections", "Open connections", self.connections.clone());
        registry.register(
            "sink_sends",
            "Attempts to deliver, by sink and result",
            self.sends.clone(),
        );
        registry.register(
            "reloads",
            "Reloads of rules and certificates, by result",
            self.reloads.clone(),
        );
    }

    /// A body is durable.
    pub fn received(
        &self,
        source: SourceKind,
        cluster: &str,
        origin: &str,
        bytes: u64,
        left_out: u64,
        took: Duration,
    ) {
        let sender = self.sender(source, cluster, origin);
        self.bodies.get_or_create(&sender).inc();
        self.body_bytes.get_or_create(&sender).inc_by(bytes);
        if left_out > 0 {
            tracing::warn!(
                cluster,
                origin,
                left_out,
                "a body was beyond the limit; its rest was not kept"
            );
            self.left_out.get_or_create(&sender).inc_by(left_out);
        }
        let now_s = crate::clock::Clock::wall().now_us() / 1_000_000;
        self.last_body.get_or_create(&sender).set(now_s);
        self.latencies.record(Stage::Acknowledge, took);
    }

    /// The labels of a sender. Their names come in addresses: beyond a number, new ones count together.
    fn sender(&self, source: SourceKind, cluster: &str, origin: &str) -> SenderLabels {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let name = (cluster.to_owned(), origin.to_owned());
        let named =
            known.contains(&name) || (known.len() < SENDERS_MAX && known.insert(name.clone()));
        let (cluster, origin) = if named {
            name
        } else {
            ("other".to_owned(), "other".to_owned())
        };
        SenderLabels {
            source: source.as_str(),
            cluster,
            origin,
        }
    }

    /// A sender was not served.
    pub fn refused(&self, why: Refused) {
        let reason = why.as_str();
        self.refused.get_or_create(&ReasonLabels { reason }).inc();
    }

    /// So many connections are open.
    pub fn connections(&self, open: usize) {
        self.connections
            .set(i64::try_from(open).unwrap_or(i64::MAX));
    }

    /// A sink was called: `ok`, `retried`, `refused`.
    pub fn sent(&self, sink: &str, result: &'static str, took: Duration) {
        let labels = SendLabels {
            sink: sink.to_owned(),
            result,
        };
        self.sends.get_or_create(&labels).inc();
        self.latencies.record(Stage::Deliver, took);
    }

    /// Rules or certificates were read again.
    pub fn reloaded(&self, what: &'static str, ok: bool) {
        let result = if ok { "ok" } else { "refused" };
        self.reloads
            .get_or_create(&ReloadLabels { what, result })
            .inc();
    }

    /// The page, in the `OpenMetrics` text format.
    #[must_use]
    pub fn page(&self) -> String {
        let mut page = String::new();
        // Writing into a string does not fail.
        let _written = encode(&mut page, &self.registry);
        page
    }
}
