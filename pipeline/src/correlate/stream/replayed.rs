//! What correlations find in history.

use std::io;

use detections::correlation::Correlations;

use crate::correlate::act::Finding;

use super::{Groups, Sorter, finding_of, uid_of};

/// Feeds all events in order. What was found, and the groups, for what they had to give up. Correlations stand behind `rules`
/// rules.
///
/// # Errors
/// If events that did not fit into memory cannot be read again.
pub(crate) fn replayed(
    plan: &Correlations,
    rules: usize,
    sorter: Sorter,
) -> io::Result<(Vec<Finding>, Groups)> {
    let (mut groups, mut ended) = (Groups::default(), Vec::new());
    sorter.finish(&mut |event| {
        groups.feed(plan, &event);
        ended.extend(groups.take_ended());
    })?;
    ended.extend(groups.finish(plan));
    let findings = ended.iter().filter_map(|ended| {
        let spec = plan.all().get(ended.correlation)?;
        let uid = uid_of(spec, &ended.cluster, &ended.values, &ended.episode);
        let rule = rules + ended.correlation;
        Some(finding_of(rule, uid, &ended.values, &ended.episode))
    });
    let findings = findings.collect();
    Ok((findings, groups))
}
