//! Standard output, for whoever collects the output of containers.

use std::io::Write as _;

use crate::config::SinkFormat;
use crate::store::Outgoing;

use super::{Deliver, Delivery, written};

pub(super) struct Stdout {
    pub(super) format: SinkFormat,
}

impl Deliver for Stdout {
    fn resume(&mut self, _: &str) -> Result<(), String> {
        Ok(())
    }

    fn deliver(&mut self, records: &[Outgoing]) -> Delivery {
        let mut out = std::io::stdout().lock();
        for outgoing in records {
            if let Err(error) = writeln!(out, "{}", written(&outgoing.record, self.format)) {
                return Delivery::Later(error.to_string(), None);
            }
        }
        match out.flush() {
            Ok(()) => Delivery::Delivered,
            Err(error) => Delivery::Later(error.to_string(), None),
        }
    }

    fn batch(&self) -> usize {
        100
    }
}
