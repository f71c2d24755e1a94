//! Tidewatch with its state in a Kafka of the test's own: any number of processes, and what is in the topics.

#![allow(dead_code, reason = "every test file uses a part of it")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::kafka::Broker;
use super::kafka::client::{Message, read_all};
use super::serving::Serving;

/// Partitions of the input.
const PARTITIONS: u32 = 4;

/// How long a topic may take to be read.
pub(crate) const READ_LIMIT: Duration = Duration::from_mins(1);

/// How long findings may take: after an outage a group comes together again in ten seconds and more.
const FOUND_LIMIT: Duration = Duration::from_secs(90);

/// A broker and a folder for configurations.
pub(crate) struct Installation {
    pub(crate) broker: Broker,
    folder: tempfile::TempDir,
}

impl Installation {
    pub(crate) fn new(broker: Broker) -> Self {
        Self {
            broker,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The configuration of a process, with more lines for `[kafka]` and behind it.
    pub(crate) fn config(&self, instance: &str, more: &str) -> String {
        format!(
            "state = \"kafka\"\n[kafka]\nbrokers = [\"{}\"]\ninstance = \"{instance}\"\n\
             topics.partitions = {PARTITIONS}\ntopics.shards = 4\n{more}\n",
            self.broker.plaintext()
        )
    }

    /// Starts a process, and waits until it has its partitions.
    pub(crate) fn start(&self, instance: &str, more: &str) -> Serving {
        self.start_with(instance, &self.config(instance, more))
    }

    pub(crate) fn start_with(&self, instance: &str, config: &str) -> Serving {
        Serving::configured(&self.folder.path().join(instance), config)
    }

    /// Everything on a topic that was committed.
    pub(crate) fn read(&self, topic: &str) -> Vec<Message> {
        let settings = [("bootstrap.servers", &*self.broker.plaintext())];
        read_all(&settings, topic, "read_committed", READ_LIMIT)
    }

    /// All alert records that a SIEM can read.
    pub(crate) fn alerts(&self) -> Vec<Alert> {
        self.read("tidewatch.alerts")
            .iter()
            .map(Alert::of)
            .collect()
    }

    /// Waits until there are findings of all these pods, and returns all records.
    pub(crate) fn wait_for_pods(&self, pods: &BTreeSet<String>) -> Vec<Alert> {
        let until = Instant::now() + FOUND_LIMIT;
        loop {
            let alerts = self.alerts();
            let found: BTreeSet<String> = alerts.iter().filter_map(Alert::pod).collect();
            if pods.is_subset(&found) {
                return alerts;
            }
            let missing: Vec<_> = pods.difference(&found).take(5).collect();
            assert!(
                Instant::now() < until,
                "in vain: findings of {missing:?} and others"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// An alert record on its topic.
#[derive(Clone, Debug)]
pub(crate) struct Alert {
    pub(crate) key: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) ocsf: Value,
}

impl Alert {
    pub(crate) fn of(message: &Message) -> Self {
        let text = |bytes: &Vec<u8>| String::from_utf8(bytes.clone()).unwrap();
        let headers = message.headers.iter();
        Self {
            key: message.key.as_ref().map(text).unwrap(),
            headers: headers
                .map(|(name, value)| (name.clone(), text(value)))
                .collect(),
            ocsf: serde_json::from_slice(message.payload.as_ref().unwrap()).unwrap(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The name of the privileged pod that it is about.
    pub(crate) fn pod(&self) -> Option<String> {
        if self.header("rule") != "privileged_container" {
            return None;
        }
        let name = self.ocsf["resources"][0]["name"].as_str()?;
        Some(name.rsplit('/').next()?.to_owned())
    }

    /// What is there once at most: a finding and its revision.
    pub(crate) fn identity(&self) -> (String, String) {
        (self.key.clone(), self.header("revision").to_owned())
    }
}

/// No alert record is there twice.
#[track_caller]
pub(crate) fn assert_once(alerts: &[Alert]) {
    let mut seen = BTreeSet::new();
    for alert in alerts {
        assert!(seen.insert(alert.identity()), "twice: {alert:?}");
    }
}

/// Each of these pods has one finding, which was created once.
#[track_caller]
pub(crate) fn assert_one_finding_each(alerts: &[Alert], pods: &BTreeSet<String>) {
    let mut keys: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut created: BTreeMap<String, usize> = BTreeMap::new();
    for alert in alerts {
        if let Some(pod) = alert.pod() {
            keys.entry(pod.clone())
                .or_default()
                .insert(alert.key.clone());
            *created.entry(pod).or_default() += usize::from(alert.header("activity") == "create");
        }
    }
    for pod in pods {
        assert_eq!(
            keys.get(pod).map_or(0, BTreeSet::len),
            1,
            "findings of {pod}"
        );
        assert_eq!(created.get(pod), Some(&1), "{pod} was created so often");
    }
    let invented: Vec<_> = keys.keys().filter(|pod| !pods.contains(*pod)).collect();
    assert!(invented.is_empty(), "invented: {invented:?}");
}
