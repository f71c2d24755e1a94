//! What the evaluator and its correlations have to do with the store, and with whoever watches.

use crate::catalog::Catalog;
use crate::correlate::stream::Streams;
use crate::store::{Store, StoreError};

use super::Correlating;

/// What correlations remembered as of the last commit, as far as these rules know of it.
pub(super) fn restored(store: &Store, catalog: &Catalog) -> Result<Streams, StoreError> {
    let stored = store.correlations()?;
    let (streams, left_out) = Streams::restore(&catalog.correlations, stored);
    if !left_out.is_empty() {
        let parts = left_out.len();
        tracing::info!(
            parts,
            "forgetting what correlations remembered that are gone or changed"
        );
        store.forget_correlations(&left_out)?;
    }
    Ok(streams)
}

/// What correlations hold, for whoever watches.
pub(crate) fn correlating(streams: &Streams, catalog: &Catalog) -> Correlating {
    let (groups, waiting) = streams.held();
    let rules = catalog.correlations.all();
    let lost = streams.lost().iter().filter_map(|(place, lost)| {
        let name = rules.get(*place)?.header.name.clone();
        let groups = lost.given_up + lost.refused;
        Some((name, groups + lost.untracked + lost.forgotten))
    });
    Correlating {
        groups,
        waiting,
        counts: streams.counts(),
        lost: lost.collect(),
    }
}
