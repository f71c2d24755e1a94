//! Where bodies become durable: the log of this process, or Kafka.

use std::sync::Arc;

use crate::kafka::{KafkaBody, KafkaIntake};
use crate::spool::{Appender, BodyMeta, BodyWriter, Room};

/// Takes bodies in. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Intake {
    /// The log.
    Log(Appender),
    /// A topic.
    Kafka(Arc<KafkaIntake>),
}

/// A body on its way.
pub(super) enum IntakeBody {
    Log(BodyWriter, Box<BodyMeta>),
    Kafka(Box<KafkaBody>),
}

impl Intake {
    /// Whether there is room. Asked before a body is read, so that senders are told early.
    #[must_use]
    pub fn room(&self) -> Room {
        match self {
            Self::Log(log) => log.room(),
            Self::Kafka(intake) => intake.room(),
        }
    }

    /// Begins a body of so many bytes, or of nobody knows how many. Waits until there is memory for its first part.
    pub(super) async fn begin(
        &self,
        length: Option<u64>,
        meta: BodyMeta,
    ) -> Result<IntakeBody, String> {
        match self {
            Self::Log(log) => {
                let writer = log.begin(length).await.map_err(|error| error.to_string())?;
                Ok(IntakeBody::Log(writer, Box::new(meta)))
            }
            Self::Kafka(intake) => Ok(IntakeBody::Kafka(Box::new(intake.begin(&meta)))),
        }
    }
}

impl IntakeBody {
    /// Bytes so far.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Log(writer, _) => writer.bytes(),
            Self::Kafka(body) => body.bytes(),
        }
    }

    /// Takes bytes in.
    pub(super) async fn push(&mut self, bytes: &[u8]) -> Result<(), String> {
        match self {
            Self::Log(writer, _) => writer.push(bytes).await.map_err(|error| error.to_string()),
            Self::Kafka(body) => body.push(bytes).await,
        }
    }

    /// Ends the body, and waits until it is durable. So many bytes of it were not taken in.
    pub(super) async fn finish(self, left_out: u64) -> Result<(), String> {
        match self {
            Self::Log(writer, meta) => {
                let meta = BodyMeta { left_out, ..*meta };
                let finished = writer.finish(meta).await;
                finished.map(drop).map_err(|error| error.to_string())
            }
            Self::Kafka(body) => body.finish(left_out).await,
        }
    }
}
