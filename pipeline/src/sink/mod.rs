//! Where alerts go. Each sink follows the outbox by itself, on a thread of its own, with a cursor of its own.
//!
//! ```text
//!  outbox ─▶ driver ─▶ Deliver::deliver ─┬─ delivered ─▶ cursor moves on
//!   (store)  batches,                    ├─ later ─────▶ tried again, ever more slowly, until it is too old
//!            by level                    └─ refused ───▶ dead letter, cursor moves on
//! ```
//!
//! 1. A record leaves the outbox only when every sink has passed it: it was delivered, or is among the dead letters.
//! 2. Sinks do not wait for each other. One that falls behind by more than its queue loses nothing: its oldest records become
//!    dead letters, which `tidewatch dlq redrive` sends again.
//! 3. What a receiver refuses for good (4xx, but for 408 and 429) is a dead letter at once: asking again would hold up the rest.
//!    401 and 403 are no such verdict on an alert, but on us: they are tried again until somebody has mended the token.
//! 4. A file holds each record exactly once, also after a crash: it is cut to the length in its cursor. What is posted may
//!    arrive twice, with the same id and revision.

mod driver;
mod file;
mod http;
mod kafka;
mod stdout;

pub use self::driver::{SinkThread, Sinks};

use std::time::Duration;

use crate::config::SinkFormat;
use crate::store::{Outgoing, Record};

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It is there.
    Delivered,
    /// Not now: the reason, and how long the receiver asks to wait, if it does.
    Later(String, Option<Duration>),
    /// Never, says the receiver.
    Refused(String),
    /// Nobody knows whether it is there: the sink has to resume, and to ask.
    Lost(String),
}

/// How far a receiver has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// The number of the record that it wants next.
    pub next: u64,
    /// The name of the one before.
    pub last: String,
}

/// A place where alerts go. The driver calls [`resume`](Deliver::resume) once, then [`deliver`](Deliver::deliver) with one batch
/// after the other, each in the order of the outbox; it calls again with the same batch until it is delivered or refused.
pub trait Deliver: Send {
    /// Goes on where the cursor says: a file is cut there.
    ///
    /// # Errors
    /// If it cannot be had now; it will be tried again.
    fn resume(&mut self, place: &str) -> Result<(), String>;
    /// Delivers records. Afterwards they must be safe: the cursor is moved.
    fn deliver(&mut self, records: &[Outgoing]) -> Delivery;
    /// What the cursor must hold to go on exactly.
    fn place(&self) -> String {
        String::new()
    }
    /// After [`resume`](Deliver::resume): how far the receiver itself says that it has come, if it keeps that. The cursor follows.
    fn reached(&self) -> Option<Reached> {
        None
    }
    /// Called when the cursor is safe: the moment to rotate. True if [`place`](Deliver::place) changed by it.
    fn committed(&mut self) -> bool {
        false
    }
    /// The most records in one call.
    fn batch(&self) -> usize;
}

/// A record in the form of a sink, without its end of line.
pub(crate) fn written(record: &Record, format: SinkFormat) -> &str {
    match format {
        SinkFormat::Ocsf => &record.ocsf,
        SinkFormat::Ecs => record.ecs.as_deref().unwrap_or(&record.ocsf),
        SinkFormat::Text => &record.text,
        SinkFormat::Line => &record.line,
    }
}

#[cfg(test)]
mod tests;
