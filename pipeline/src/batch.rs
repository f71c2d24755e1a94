//! Events as Arrow batches, for whoever reads columns: when a batch is cut, which is at so many rows, so many bytes, or the end of an
//! input. Rules need none; they judge events where they were decoded ([`crate::judge`]).

use std::sync::Arc;

use detections::batch::{BatchBuilder, EventBatch};
use detections::event::{NotAnEvent, Settings};

use crate::decode::RawEvent;
use crate::limits::{BATCH_BYTES_MAX, BATCH_ROWS_MAX};

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

    /// Adds an event.
    ///
    /// # Errors
    /// If the bytes are no event after all.
    pub fn push(&mut self, event: &RawEvent<'_>) -> Result<(), NotAnEvent> {
        match event.columns {
            Some(columns) => {
                let origin = event.origin.clone();
                self.builder
                    .push_scanned(event.bytes, columns, origin, event.offset);
            }
            None => self
                .builder
                .push(event.bytes, &event.origin, event.offset)?,
        }
        Ok(())
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
}
