//! From a request's body to the log.

use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use tokio::time::{Instant, timeout, timeout_at};

use crate::source::intake::{Intake, IntakeBody};
use crate::spool::{BodyMeta, Room, SourceKind};

use super::limits::{DISCARDED_FACTOR, DRAINED_BYTES, DRAINED_TIME, HttpLimits};

/// What became of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ingested {
    /// It is durable, as far as it was within the limit.
    Durable {
        /// Bytes that are.
        bytes: u64,
        /// Bytes that were left out.
        left_out: u64,
    },
    /// Its sender should come again.
    Busy(Busy),
    /// It took too long.
    TooSlow,
    /// Its sender went away, or sent no valid HTTP.
    Broken,
    /// It went on far beyond the limit.
    Endless,
}

/// Why a sender has to come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Busy {
    /// Evaluation is too far behind.
    Behind,
    /// The disk is too full.
    DiskFull,
    /// All memory for bodies is taken.
    Memory,
    /// The log could not be written, or brokers have not acknowledged.
    Log,
    /// No broker can be reached.
    Brokers,
}

impl Busy {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Behind => "evaluation_behind",
            Self::DiskFull => "disk_full",
            Self::Memory => "memory",
            Self::Log => "log_failed",
            Self::Brokers => "brokers_down",
        }
    }
}

/// Whom a body is from.
#[derive(Clone, Debug)]
pub(super) struct Sender {
    pub(super) source: SourceKind,
    pub(super) cluster: String,
    pub(super) origin: String,
}

/// Reads the rest of a body that is not wanted, within bounds: a sender that is still writing would not hear the answer.
pub(super) async fn drain(mut body: Incoming) {
    let read = async {
        let mut left = DRAINED_BYTES;
        while let Some(Ok(frame)) = body.frame().await {
            let bytes = frame.data_ref().map_or(0, bytes::Bytes::len);
            match left.checked_sub(bytes) {
                Some(rest) => left = rest,
                None => break,
            }
        }
    };
    drop(timeout(DRAINED_TIME, read).await);
}

/// Streams a body into the log and waits until it is durable.
pub(super) async fn ingest(
    body: Incoming,
    sender: Sender,
    intake: &Intake,
    limits: &HttpLimits,
) -> Ingested {
    let busy = match intake.room() {
        Room::Free => None,
        Room::Behind => Some(Busy::Behind),
        Room::DiskFull => Some(Busy::DiskFull),
        Room::BrokersDown => Some(Busy::Brokers),
    };
    if let Some(busy) = busy {
        drain(body).await;
        return Ingested::Busy(busy);
    }
    let length = body.size_hint().exact();
    let meta = BodyMeta {
        source: sender.source,
        cluster: sender.cluster,
        origin: sender.origin,
        ..BodyMeta::default()
    };
    let begun = timeout(limits.patience, intake.begin(length, meta)).await;
    let Ok(Ok(writer)) = begun else {
        drain(body).await;
        return Ingested::Busy(Busy::Memory);
    };
    let until = Instant::now() + limits.body;
    match timeout_at(until, stream(body, writer, limits)).await {
        Err(_) => Ingested::TooSlow,
        Ok(Err(ended)) => ended,
        Ok(Ok((writer, left_out))) => store(writer, left_out, limits.body).await,
    }
}

/// Hands the body over piece by piece; what is beyond the limit is thrown away.
async fn stream(
    mut body: Incoming,
    mut writer: IntakeBody,
    limits: &HttpLimits,
) -> Result<(IntakeBody, u64), Ingested> {
    let mut left_out = 0;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return Err(Ingested::Broken);
        };
        let Ok(bytes) = frame.into_data() else {
            continue;
        };
        let room = limits.body_bytes_max - writer.bytes();
        let taken = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
        left_out += (bytes.len() - taken) as u64;
        if left_out > limits.body_bytes_max * DISCARDED_FACTOR {
            return Err(Ingested::Endless);
        }
        if writer.push(&bytes[..taken]).await.is_err() {
            return Err(Ingested::Busy(Busy::Log));
        }
    }
    Ok((writer, left_out))
}

async fn store(writer: IntakeBody, left_out: u64, patience: Duration) -> Ingested {
    let bytes = writer.bytes();
    match timeout(patience, writer.finish(left_out)).await {
        Ok(Ok(())) => Ingested::Durable { bytes, left_out },
        Ok(Err(error)) => {
            tracing::warn!(
                error,
                "a body could not be stored; its sender will come again"
            );
            Ingested::Busy(Busy::Log)
        }
        Err(_) => Ingested::Busy(Busy::Log),
    }
}
