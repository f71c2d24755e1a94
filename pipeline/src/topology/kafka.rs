//! State in Kafka: this process is one of any number, and keeps nothing.

use std::sync::Arc;

use crate::clock::Clock;
use crate::config::Config;
use crate::kafka::{Client, KafkaFault, KafkaIntake, Topics, Worker};
use crate::live::Live;
use crate::source::Intake;
use crate::telemetry::{Backing, Telemetry};

use super::{Behind, StartError, Started, evaluate, parts};

/// The parts that have to be stopped.
pub(super) struct Kafka {
    intake: Arc<KafkaIntake>,
}

pub(super) fn start(
    config: &Config,
    live: &Arc<Live>,
    clock: &Clock,
) -> Result<Started, StartError> {
    let kafka = config.kafka.clone();
    let kafka = kafka.ok_or_else(|| KafkaFault::new("there is no kafka.brokers".to_owned()))?;
    let client = Client::new(&kafka)?;
    let topics = Topics::new(&client)?;
    let facts = topics.prepare(&kafka)?;
    let facts_of = |topic: &String| facts.get(topic).copied();
    let input = facts_of(&kafka.topics.input)
        .ok_or_else(|| KafkaFault::new(format!("there is no topic {}", kafka.topics.input)))?;
    let intake = KafkaIntake::new(&client, &kafka.topics.input, input, clock.clone())?;
    let options = parts::live_options(config);
    let worker = Worker::new(client, kafka, &facts, options, live.clone(), clock.clone());
    let backing = Backing::Kafka {
        intake: intake.clone(),
        lag: worker.lag(),
    };
    let telemetry = Telemetry::new(backing, live);
    let evaluator = evaluate(move || worker.run())?;
    Ok(Started {
        intake: Intake::Kafka(intake.clone()),
        behind: Behind::Kafka(Kafka { intake }),
        evaluator,
        telemetry,
    })
}

impl Kafka {
    /// Waits for what brokers have not acknowledged yet.
    pub(super) fn stop_receiving(&self) {
        self.intake.close();
    }
}
