//! Making topics, and what they are made of.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::metadata::MetadataPartition;

use super::client::{PATIENCE, REQUEST_LIMIT, Settings, Witness, client, patiently};
use super::settings::STATE_PARTITIONS;

/// A topic to create: its name, its partitions, its configuration.
pub(crate) type Topic<'a> = (&'a str, u32, &'a [(&'a str, &'a str)]);

/// Where Kafka keeps the state of groups and of transactions. It creates them when the first client asks, turns that client
/// away meanwhile, and librdkafka then takes three seconds to join a group. With the configuration that Kafka gives them.
pub(super) const STATE_TOPICS: [Topic; 2] = [
    (
        "__consumer_offsets",
        STATE_PARTITIONS,
        &[
            ("cleanup.policy", "compact"),
            ("compression.type", "producer"),
            ("segment.bytes", "104857600"),
        ],
    ),
    (
        "__transaction_state",
        STATE_PARTITIONS,
        &[
            ("cleanup.policy", "compact"),
            ("compression.type", "uncompressed"),
            ("min.insync.replicas", "1"),
            ("segment.bytes", "104857600"),
            ("unclean.leader.election.enable", "false"),
        ],
    ),
];

/// Creates topics and returns when all of their partitions have a leader.
#[track_caller]
pub(crate) fn create_topics(settings: Settings, topics: &[Topic]) {
    let admin: AdminClient<Witness> = client(settings, &[]);
    let new: Vec<NewTopic> = topics
        .iter()
        .map(|&(name, partitions, configs)| {
            let partitions = i32::try_from(partitions).unwrap();
            let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
            configs
                .iter()
                .fold(topic, |topic, (key, value)| topic.set(key, value))
        })
        .collect();
    let options = AdminOptions::new()
        .request_timeout(Some(PATIENCE))
        .operation_timeout(Some(PATIENCE));
    let results = match wait_for(admin.create_topics(&new, &options)) {
        Ok(results) => results,
        Err(error) => panic!("no topics: {error}{}", admin.inner().context()),
    };
    for result in results {
        if let Err((name, code)) = result {
            panic!("no topic {name}: {code}");
        }
    }
    let consumer: BaseConsumer<Witness> = client(settings, &[]);
    for (name, ..) in topics {
        partitions(&consumer, name);
    }
}

/// The partitions of a topic, when all have a leader.
#[track_caller]
pub(super) fn partitions(consumer: &BaseConsumer<Witness>, topic: &str) -> Vec<i32> {
    patiently(consumer, topic, || {
        let metadata = consumer.fetch_metadata(Some(topic), REQUEST_LIMIT)?;
        let found = &metadata.topics()[0];
        let broken = found.partitions().iter().find_map(MetadataPartition::error);
        if let Some(error) = found.error().or(broken) {
            return Err(KafkaError::MetadataFetch(error.into()));
        }
        Ok(found
            .partitions()
            .iter()
            .map(MetadataPartition::id)
            .collect())
    })
}

/// Runs a future to its end on this thread, also inside a runtime, whose own way of doing it refuses to.
fn wait_for<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        thread::park();
    }
}
