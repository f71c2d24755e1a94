//! What correlations find in history.

use std::collections::BTreeMap;
use std::io;

use detections::correlation::{Correlations, GroupId};

use crate::correlate::act::Finding;

use super::memory::{group_bytes, group_of};
use super::{Groups, Sorter, finding_of, uid_of};

/// What baselines knew before, and whether anybody wants what they know afterwards.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Habits<'a> {
    /// Groups as they are stored, by id.
    pub(crate) before: Option<&'a BTreeMap<GroupId, Vec<u8>>>,
    pub(crate) are_kept: bool,
}

/// What a replay found, and the groups, for what they had to give up.
pub(crate) struct Found {
    pub(crate) findings: Vec<Finding>,
    pub(crate) groups: Groups,
    /// What baselines know now, if anybody wants it.
    pub(crate) habits: BTreeMap<GroupId, Vec<u8>>,
}

/// Feeds all events in order. Correlations stand behind `rules` rules.
///
/// # Errors
/// If events that did not fit into memory cannot be read again.
pub(crate) fn replayed(
    plan: &Correlations,
    rules: usize,
    sorter: Sorter,
    habits: Habits<'_>,
) -> io::Result<Found> {
    let (mut groups, mut ended) = (Groups::default(), Vec::new());
    for (id, stored) in habits.before.into_iter().flatten() {
        if let Some(group) = group_of(plan, stored) {
            groups.restore(*id, group);
        }
    }
    sorter.finish(&mut |event| {
        groups.feed(plan, &event);
        ended.extend(groups.take_ended());
    })?;
    let known = if habits.are_kept {
        known(plan, &mut groups, habits.before)
    } else {
        BTreeMap::new()
    };
    ended.extend(groups.finish(plan));
    let findings = ended.iter().filter_map(|ended| {
        let spec = plan.all().get(ended.correlation)?;
        let uid = uid_of(spec, &ended.cluster, &ended.values, &ended.episode);
        let rule = rules + ended.correlation;
        Some(finding_of(rule, uid, &ended.values, &ended.episode))
    });
    let findings = findings.collect();
    Ok(Found {
        findings,
        groups,
        habits: known,
    })
}

/// What baselines know now: the groups from before, and those that changed, without what was found of them.
fn known(
    plan: &Correlations,
    groups: &mut Groups,
    before: Option<&BTreeMap<GroupId, Vec<u8>>>,
) -> BTreeMap<GroupId, Vec<u8>> {
    let mut known = before.cloned().unwrap_or_default();
    for id in groups.take_dirty() {
        known.remove(&id);
        let Some(group) = groups.group(&id) else {
            continue;
        };
        let spec = plan.all().get(group.correlation);
        if spec.is_some_and(|spec| spec.kind.memory().is_some()) {
            let mut group = group.clone();
            group.episode = None;
            known.extend(group_bytes(plan, &group).map(|bytes| (id, bytes)));
        }
    }
    known
}
