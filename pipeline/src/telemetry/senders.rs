//! What API servers say they emitted, and what of it is here.

use std::fmt;

use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;

use crate::completeness::{Scrapes, Sender, Standing};

use super::snapshot::{counter, gauge};

pub(super) fn encode(
    page: &mut DescriptorEncoder<'_>,
    senders: &[(Sender, Standing)],
    scrapes: &Scrapes,
) -> fmt::Result {
    let help = "Events of a sender since its counters were first read, or since its restart";
    let mut events = page.encode_descriptor("sender_events", help, None, MetricType::Gauge)?;
    for (sender, standing) in senders.iter().filter(|(_, standing)| standing.counted) {
        for (of, count) in [
            ("emitted", standing.emitted),
            ("arrived", standing.arrived),
            ("dropped", standing.dropped),
            ("missing", standing.missing),
            ("surplus", standing.surplus),
        ] {
            let labels = [
                ("cluster", sender.cluster.as_str()),
                ("origin", &sender.origin),
                ("of", of),
            ];
            gauge(&mut events, &labels, count as f64)?;
        }
    }
    let help = "Whether a sender is called silent";
    let mut silent = page.encode_descriptor("sender_silent", help, None, MetricType::Gauge)?;
    for (sender, standing) in senders {
        let labels = [
            ("cluster", sender.cluster.as_str()),
            ("origin", &sender.origin),
        ];
        gauge(
            &mut silent,
            &labels,
            f64::from(u8::from(standing.is_silent)),
        )?;
    }
    let help = "Looks at the counters of API servers, by result";
    let mut looks = page.encode_descriptor("scrapes", help, None, MetricType::Counter)?;
    for (sender, state) in scrapes.states() {
        for (result, count) in [("ok", state.read), ("failed", state.failed)] {
            let labels = [
                ("cluster", sender.cluster.as_str()),
                ("origin", &sender.origin),
                ("result", result),
            ];
            counter(&mut looks, &labels, count)?;
        }
    }
    Ok(())
}
