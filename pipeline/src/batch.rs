//! When a batch is cut: at so many rows, so many bytes, or the end of an input. How it is read is not decided here.

use std::sync::Arc;

use detections::batch::{BatchBuilder, EventBatch};
use detections::event::{NotAnEvent, Settings};

use crate::decode::RawEvent;
use crate::limits::{BATCH_BYTES_KEPT, BATCH_BYTES_MAX, BATCH_ROWS_MAX};

/// Collects events of one input and cuts batches.
#[derive(Debug)]
pub struct Batcher {
    builder: BatchBuilder,
}

impl Batcher {
    /// An empty batcher.
    #[must_use]
    pub fn new(settings: Arc<Settings>) -> Self {
        Self {
            builder: BatchBuilder::new(settings),
        }
    }

    /// Adds an event; its time tells the caller whether to keep it ([`Batcher::take_back`]).
    ///
    /// # Errors
    /// If the bytes are no event after all.
    pub fn push(&mut self, event: &RawEvent<'_>) -> Result<Option<i64>, NotAnEvent> {
        match &event.columns {
            Some(columns) => {
                let origin = event.origin.clone();
                self.builder
                    .push_scanned(event.bytes, columns, origin, event.offset);
            }
            None => self
                .builder
                .push(event.bytes, &event.origin, event.offset)?,
        }
        Ok(self.builder.last_time())
    }

    /// Drops the event that was pushed last.
    pub fn take_back(&mut self) {
        self.builder.pop();
    }

    /// Whether it is time to cut.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.builder.rows() >= BATCH_ROWS_MAX || self.builder.bytes() >= BATCH_BYTES_MAX
    }

    /// The batch, if it is full.
    pub fn cut_if_full(&mut self) -> Option<EventBatch> {
        if self.is_full() { self.cut() } else { None }
    }

    /// The batch, if there is anything in it.
    pub fn cut(&mut self) -> Option<EventBatch> {
        (self.builder.rows() > 0).then(|| self.builder.finish())
    }

    /// Takes the memory of a batch that is done with.
    pub fn reclaim(&mut self, batch: EventBatch) {
        self.builder.reclaim(batch, BATCH_BYTES_KEPT);
    }
}
