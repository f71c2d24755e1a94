//! What others know, read when the page is: the store's totals, the log, sinks, latencies.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use tokio::sync::watch;

use crate::completeness::Scrapes;
use crate::kafka::{KafkaIntake, Lag};
use crate::live::{Live, Told};
use crate::spool::Appender;
use crate::store::Store;

use super::latency::{Latencies, Stage};
use super::senders;

const QUANTILES: [f64; 5] = [0.5, 0.9, 0.99, 0.999, 1.0];

/// Where bodies and state lie.
#[derive(Clone, Debug)]
pub enum Backing {
    /// In this process.
    Embedded {
        /// The log.
        log: Appender,
        /// The store.
        store: Arc<Store>,
        /// Looks at the counters of API servers.
        scrapes: Arc<Scrapes>,
    },
    /// In Kafka.
    Kafka {
        /// What writes bodies.
        intake: Arc<KafkaIntake>,
        /// How far evaluation is behind.
        lag: Arc<Lag>,
    },
}

pub(super) struct Snapshot {
    backing: Backing,
    told: watch::Receiver<Told>,
    latencies: Arc<Latencies>,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Snapshot")
    }
}

impl Snapshot {
    pub(super) fn new(backing: Backing, live: &Live, latencies: Arc<Latencies>) -> Self {
        let told = live.follow();
        Self {
            backing,
            told,
            latencies,
        }
    }

    fn events(&self, page: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let totals = self.told.borrow().progress.totals;
        let mut events = page.encode_descriptor(
            "events",
            "Records of all bodies: received = evaluated + repeated + ignored + rejected",
            None,
            MetricType::Counter,
        )?;
        for (outcome, count) in [
            ("received", totals.received),
            ("evaluated", totals.evaluated),
            ("repeated", totals.repeated),
            ("ignored", totals.ignored),
            ("rejected", totals.rejected),
        ] {
            counter(&mut events, &[("outcome", outcome)], count)?;
        }
        let mut bodies = page.encode_descriptor(
            "bodies_evaluated",
            "Bodies that were evaluated",
            None,
            MetricType::Counter,
        )?;
        counter(&mut bodies, &[], totals.bodies)?;
        let help = "Bytes of the log that could not be read any more";
        let unit = Some(&Unit::Bytes);
        let mut damaged = page.encode_descriptor("log_damaged", help, unit, MetricType::Counter)?;
        counter(&mut damaged, &[], totals.damaged_bytes)?;
        let help = "Dead letters that were removed to keep within their quota";
        let mut letters =
            page.encode_descriptor("dead_letters_removed", help, None, MetricType::Counter)?;
        counter(&mut letters, &[], self.told.borrow().letters_removed)
    }

    fn run(&self, page: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let told = self.told.borrow().clone();
        let mut rejected = page.encode_descriptor(
            "events_rejected",
            "Records that could not be read since the start, by reason",
            None,
            MetricType::Counter,
        )?;
        for (reason, count) in &told.account.rejected {
            counter(&mut rejected, &[("reason", reason)], *count)?;
        }
        let mut alerts = page.encode_descriptor(
            "alerts",
            "Alert records raised since the start, by rule and level",
            None,
            MetricType::Counter,
        )?;
        for ((rule, level), count) in told.alerts.iter() {
            counter(&mut alerts, &[("rule", rule), ("level", level)], *count)?;
        }
        let help = "Commits since the start, by result";
        let mut commits = page.encode_descriptor("commits", help, None, MetricType::Counter)?;
        counter(&mut commits, &[("result", "ok")], told.commits)?;
        counter(&mut commits, &[("result", "failed")], told.failed_commits)?;
        let unit = Some(&Unit::Seconds);
        let help = "Where time stands: of the log, and of the newest event";
        let mut time = page.encode_descriptor("watermark", help, unit, MetricType::Gauge)?;
        gauge(
            &mut time,
            &[("of", "log")],
            told.progress.now_us as f64 / 1e6,
        )?;
        let newest = told.account.last_us.unwrap_or(0) as f64 / 1e6;
        gauge(&mut time, &[("of", "events")], newest)
    }

    fn correlations(&self, page: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let now = self.told.borrow().correlations.clone();
        let help = "What correlations hold: groups, and events that wait for the watermark";
        let mut held = page.encode_descriptor("correlation_held", help, None, MetricType::Gauge)?;
        gauge(&mut held, &[("of", "groups")], now.groups as f64)?;
        gauge(&mut held, &[("of", "waiting")], now.waiting as f64)?;
        let help = "Events that no correlation could take since the rules were loaded, by reason";
        let mut missed =
            page.encode_descriptor("correlation_missed", help, None, MetricType::Counter)?;
        let counts = now.counts;
        for (reason, count) in [
            ("late", counts.late),
            ("ahead", counts.ahead),
            ("crowded", counts.crowded),
            ("unknown", counts.unknown),
        ] {
            counter(&mut missed, &[("reason", reason)], count)?;
        }
        let help = "Groups that were given up for want of room since the rules were loaded";
        let mut lost =
            page.encode_descriptor("correlation_given_up", help, None, MetricType::Counter)?;
        for (rule, count) in &now.lost {
            counter(&mut lost, &[("rule", rule)], *count)?;
        }
        Ok(())
    }

    /// With state in Kafka: what waits, what is held, what was lost.
    fn kafka(page: &mut DescriptorEncoder<'_>, intake: &KafkaIntake, lag: &Lag) -> fmt::Result {
        let behind = lag.get();
        let help = "Messages that were not read yet, by topic and partition";
        let mut messages = page.encode_descriptor("kafka_lag", help, None, MetricType::Gauge)?;
        for ((topic, partition), count) in behind.messages.values().flatten() {
            let partition = partition.to_string();
            let labels = [("topic", topic.as_str()), ("partition", &partition)];
            gauge(&mut messages, &labels, *count as f64)?;
        }
        for (name, help, count) in [
            (
                "kafka_messages_lost",
                "Messages that were deleted before they were read",
                behind.lost,
            ),
            (
                "state_forgotten",
                "Acts and findings that were forgotten to keep within the bound of memory",
                behind.forgotten,
            ),
        ] {
            let mut metric = page.encode_descriptor(name, help, None, MetricType::Counter)?;
            counter(&mut metric, &[], count)?;
        }
        let help = "Times that evaluation was begun from what was committed, by half";
        let mut sessions =
            page.encode_descriptor("kafka_sessions", help, None, MetricType::Counter)?;
        for (half, count) in &behind.sessions {
            counter(&mut sessions, &[("half", half)], *count)?;
        }
        let help = "Shards whose state is in this process";
        let mut shards = page.encode_descriptor("shards", help, None, MetricType::Gauge)?;
        gauge(&mut shards, &[], behind.shards as f64)?;
        let unit = Some(&Unit::Bytes);
        let help = "Bytes in memory: state of shards, and bodies that wait for brokers";
        let mut bytes = page.encode_descriptor("kafka_memory", help, unit, MetricType::Gauge)?;
        gauge(&mut bytes, &[("of", "state")], behind.state_bytes as f64)?;
        gauge(
            &mut bytes,
            &[("of", "bodies")],
            intake.in_flight_bytes() as f64,
        )
    }

    fn log(page: &mut DescriptorEncoder<'_>, log: &Appender) -> fmt::Result {
        let unit = Some(&Unit::Bytes);
        let help = "Bytes of the log: not evaluated yet, kept in all, and in memory before they are written";
        let mut size = page.encode_descriptor("log", help, unit, MetricType::Gauge)?;
        gauge(
            &mut size,
            &[("state", "waiting")],
            log.waiting_bytes() as f64,
        )?;
        gauge(&mut size, &[("state", "kept")], log.kept_bytes() as f64)?;
        gauge(
            &mut size,
            &[("state", "in_memory")],
            log.in_flight_bytes() as f64,
        )?;
        let mut free = page.encode_descriptor(
            "disk_free",
            "Bytes left on the disk",
            unit,
            MetricType::Gauge,
        )?;
        gauge(&mut free, &[], log.free_bytes() as f64)?;
        let (syncs, faults) = log.syncs();
        let help = "Syncs of the log, and writes or syncs that failed";
        let mut count = page.encode_descriptor("log_syncs", help, None, MetricType::Counter)?;
        counter(&mut count, &[("result", "all")], syncs)?;
        counter(&mut count, &[("result", "failed")], faults)
    }

    fn sinks(&self, page: &mut DescriptorEncoder<'_>, store: &Store) -> fmt::Result {
        let Ok((next, cursors)) = store.outbox_state() else {
            return Ok(());
        };
        let raised = self.told.borrow().progress.totals.raised;
        let help = "Alert records: raised in all, and by sink delivered, dead and in flight";
        let mut records = page.encode_descriptor("alert_records", help, None, MetricType::Gauge)?;
        gauge(
            &mut records,
            &[("sink", "store"), ("state", "raised")],
            raised as f64,
        )?;
        for (sink, cursor) in &cursors {
            let waiting = next.saturating_sub(cursor.next);
            for (state, count) in [
                ("delivered", cursor.delivered),
                ("dead", cursor.dead),
                ("in_flight", waiting),
            ] {
                gauge(
                    &mut records,
                    &[("sink", sink), ("state", state)],
                    count as f64,
                )?;
            }
        }
        Ok(())
    }

    fn times(&self, page: &mut DescriptorEncoder<'_>) -> fmt::Result {
        if let Backing::Embedded { log, .. } = &self.backing {
            for took_us in log.take_sync_times() {
                self.latencies.record_us(Stage::Sync, took_us);
            }
        }
        let unit = Some(&Unit::Seconds);
        let help = "How long stages took during the last minute or two, by quantile";
        let mut times = page.encode_descriptor("stage_latency", help, unit, MetricType::Gauge)?;
        for stage in Stage::ALL {
            let Some(found) = self.latencies.quantiles(stage, &QUANTILES) else {
                continue;
            };
            for (quantile, seconds) in QUANTILES.iter().zip(found) {
                let quantile = quantile.to_string();
                gauge(
                    &mut times,
                    &[("stage", stage.as_str()), ("quantile", &quantile)],
                    seconds,
                )?;
            }
        }
        Ok(())
    }
}

impl Collector for Snapshot {
    fn encode(&self, mut page: DescriptorEncoder<'_>) -> fmt::Result {
        self.events(&mut page)?;
        self.run(&mut page)?;
        self.correlations(&mut page)?;
        match &self.backing {
            Backing::Embedded {
                log,
                store,
                scrapes,
            } => {
                Self::log(&mut page, log)?;
                self.sinks(&mut page, store)?;
                senders::encode(&mut page, &self.told.borrow().senders, scrapes)?;
            }
            Backing::Kafka { intake, lag } => Self::kafka(&mut page, intake, lag)?,
        }
        self.times(&mut page)
    }
}

pub(super) fn counter(
    metric: &mut MetricEncoder<'_>,
    labels: &[(&str, &str)],
    value: u64,
) -> fmt::Result {
    let one = metric.encode_family(&labels)?;
    ConstCounter::new(value).encode(one)
}

pub(super) fn gauge(
    metric: &mut MetricEncoder<'_>,
    labels: &[(&str, &str)],
    value: f64,
) -> fmt::Result {
    let one = metric.encode_family(&labels)?;
    ConstGauge::new(value).encode(one)
}
