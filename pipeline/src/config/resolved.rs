//! What the program uses.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use detections::sigma::ast::Level;
use ipnet::IpNet;

use crate::completeness::{self, Target};
use crate::rules::RuleSources;
use crate::source::http::HttpLimits;
use crate::spool::LogOptions;

use super::values::Secret;

/// What the program uses.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where everything lies.
    pub data_dir: PathBuf,
    /// Where bodies, state and alerts lie.
    pub state: StateKind,
    /// Kafka, if there are brokers.
    pub kafka: Option<KafkaConfig>,
    /// How the log is kept.
    pub log: LogOptions,
    /// How long findings are kept.
    pub findings_keep: Duration,
    /// Bytes of findings.
    pub findings_quota: u64,
    /// Bytes of dead letters.
    pub dead_letters_quota: u64,
    /// Which rules are used.
    pub rules: RuleSources,
    /// How long one act may go on.
    pub window: Duration,
    /// Proxies whose word is trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// Accounts that are declared automation.
    pub automation: Vec<String>,
    /// The longest that something found waits for its commit.
    pub commit_interval: Duration,
    /// Where to listen.
    pub listen: SocketAddr,
    /// Certificates.
    pub tls: Option<Tls>,
    /// Tokens of senders.
    pub tokens: Vec<TokenConfig>,
    /// Names of client certificates, and the clusters that each may speak for; all if empty.
    pub clients: Vec<(String, Vec<String>)>,
    /// Pub/Sub's pushes.
    pub pubsub: Option<Pubsub>,
    /// Bounds of the listener.
    pub limits: HttpLimits,
    /// When something is said of senders.
    pub completeness: completeness::Options,
    /// API servers whose counters are read.
    pub apiservers: Vec<Target>,
    /// Files that are followed.
    pub files: Vec<FileSource>,
    /// Where alerts go.
    pub sinks: Vec<SinkConfig>,
    /// What is said on standard error.
    pub log_level: String,
    /// How it is said.
    pub log_format: LogFormat,
}

/// Where bodies, state and alerts lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateKind {
    /// In the data directory of one process.
    Embedded,
    /// In Kafka, for any number of processes.
    Kafka,
}

/// How Kafka is reached, and what is in it.
#[derive(Clone, Debug)]
pub struct KafkaConfig {
    /// Brokers to ask for all others.
    pub brokers: Vec<String>,
    /// The consumer group.
    pub group: String,
    /// The name of this process in its group.
    pub instance: String,
    /// Settings of librdkafka.
    pub settings: BTreeMap<String, String>,
    /// Settings of it that are secrets.
    pub secrets: BTreeMap<String, Secret>,
    /// How alerts are written.
    pub format: SinkFormat,
    /// The topics.
    pub topics: KafkaTopics,
    /// Topics of others that are read.
    pub sources: Vec<KafkaSource>,
}

/// The topics of an installation.
#[derive(Clone, Debug)]
pub struct KafkaTopics {
    /// What the listener receives.
    pub input: String,
    /// Events that matched.
    pub matches: String,
    /// Changes of state.
    pub state: String,
    /// Alerts.
    pub alerts: String,
    /// Partitions of input and alerts, if they are made.
    pub partitions: i32,
    /// Partitions of matches and state, if they are made.
    pub shards: i32,
    /// Copies of each partition, if they are made.
    pub replication: i32,
}

/// Topics that are read.
#[derive(Clone, Debug)]
pub struct KafkaSource {
    /// The topics.
    pub topics: Vec<String>,
    /// The cluster of events whose envelope names none.
    pub cluster: String,
}

/// The files of TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The server's certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Authorities of client certificates.
    pub client_authority: Option<PathBuf>,
}

/// A token of a sender.
#[derive(Clone, Debug)]
pub struct TokenConfig {
    /// Where it is.
    pub secret: Secret,
    /// Clusters that it may speak for; all if empty.
    pub clusters: Vec<String>,
}

/// Pub/Sub's pushes.
#[derive(Clone, Debug)]
pub struct Pubsub {
    /// The audience of tokens.
    pub audience: String,
    /// The service account.
    pub service_account: String,
    /// Address or file of the keys.
    pub keys: String,
}

/// A file that is followed.
#[derive(Clone, Debug)]
pub struct FileSource {
    /// The file.
    pub path: PathBuf,
    /// The cluster of its events.
    pub cluster: String,
    /// Which API server it is of.
    pub name: String,
}

/// How the process writes of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// How alerts are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkFormat {
    /// OCSF 1.8.0 Detection Finding.
    Ocsf,
    /// ECS 9.
    Ecs,
    /// For people, everything.
    Text,
    /// For people, one line.
    Line,
}

/// Where alerts go.
#[derive(Clone, Debug)]
pub struct SinkConfig {
    /// The user's name for it.
    pub name: String,
    /// How they are written.
    pub format: SinkFormat,
    /// Only those of at least this level.
    pub min_level: Level,
    /// How long delivery is tried.
    pub give_up_after: Duration,
    /// How many may wait.
    pub queue: u64,
    /// What it is.
    pub kind: SinkKind,
}

/// What a sink is.
#[derive(Clone, Debug)]
pub enum SinkKind {
    /// Lines in a file, which is rotated.
    File {
        /// Where.
        path: PathBuf,
        /// Its size when a new one is begun.
        rotate: u64,
        /// How many old ones are kept.
        keep: usize,
    },
    /// Standard output.
    Stdout,
    /// Posts to an address.
    Webhook(Receiver),
    /// Splunk's HTTP event collector.
    Splunk {
        /// Where, and how.
        receiver: Receiver,
        /// The index.
        index: Option<String>,
        /// The source type.
        sourcetype: String,
    },
    /// A topic of Kafka.
    Kafka {
        /// The topic.
        topic: String,
        /// How Kafka is reached.
        kafka: Box<KafkaConfig>,
    },
}

/// Who is posted to.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// The address.
    pub url: String,
    /// What is shown.
    pub token: Option<Secret>,
    /// Authorities of its certificate.
    pub authority: Option<PathBuf>,
    /// Alerts in one call.
    pub batch: usize,
    /// How long a call may take.
    pub timeout: Duration,
}

impl SinkConfig {
    /// The secret that it shows, if it shows one.
    #[must_use]
    pub fn secret(&self) -> Option<&Secret> {
        match &self.kind {
            SinkKind::File { .. } | SinkKind::Stdout | SinkKind::Kafka { .. } => None,
            SinkKind::Webhook(receiver) | SinkKind::Splunk { receiver, .. } => {
                receiver.token.as_ref()
            }
        }
    }
}

impl Config {
    /// Whether senders have to show who they are.
    pub(super) fn asks(&self) -> bool {
        let authority = self
            .tls
            .as_ref()
            .and_then(|tls| tls.client_authority.as_ref());
        !self.tokens.is_empty() || authority.is_some() || self.pubsub.is_some()
    }
}

/// Why an address may not be listened on, if it may not: nothing listens beyond loopback without authentication.
#[must_use]
pub fn faults_of_listening(config: &Config) -> Option<String> {
    let is_open = !config.listen.ip().is_loopback() && !config.asks();
    is_open.then(|| {
        format!(
            "{} is reachable by others, and nobody is asked who they are",
            config.listen
        )
    })
}
