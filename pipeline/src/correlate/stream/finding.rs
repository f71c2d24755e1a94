//! From an episode to a finding.

use std::sync::Arc;

use detections::correlation::{Episode, Step, Usual, Values};
use detections::sigma::ast::Correlation;

use crate::alert::ObjectRef;
use crate::correlate::act::Finding;
use crate::correlate::hash;
use crate::hex::hex;
use crate::surprise::Surprised;

use super::{Whole, Witness};

/// What makes several events one finding.
#[derive(Clone, Debug, PartialEq)]
pub struct Joined {
    /// What tells the group apart, in the order of `group-by`.
    pub values: Values,
    /// The highest number that was compared with the condition.
    pub value: f64,
    /// Whether that number is exact.
    pub exact: bool,
    /// What happened, some of it.
    pub steps: Vec<Step>,
    /// Values that were counted, or were not usual, some of them.
    pub counted: Vec<Box<str>>,
    /// What a baseline knew when it first found something.
    pub usual: Option<Box<Usual>>,
    /// What was surprising, if that is what found it.
    pub surprised: Option<Box<Surprised>>,
    /// The whole event, if only a part of it is kept.
    pub whole: Option<Whole>,
}

/// The id of an episode's finding: of the rule's id, never its index or version.
pub(crate) fn uid_of(
    spec: &Correlation,
    cluster: &str,
    values: &Values,
    episode: &Episode<Witness>,
) -> [u8; 16] {
    let time = episode.began.time_us.to_string();
    let identity = hex(&episode.began.identity);
    let mut parts = vec!["episode", &spec.header.id, cluster, &time, &identity];
    for value in values {
        parts.extend(value.as_deref().map_or(["-", ""], |text| ["+", text]));
    }
    hash(parts)
}

/// The finding of an episode. `rule` is its index among all rules.
pub(crate) fn finding_of(
    rule: usize,
    uid: [u8; 16],
    values: &Values,
    episode: &Episode<Witness>,
) -> Finding {
    Finding {
        rule,
        uid,
        exemplar: episode.witness.exemplar.clone(),
        root: ObjectRef::default(),
        count: episode.events,
        follow_ups: 0,
        first_us: Some(episode.first_us),
        last_us: Some(episode.last_us),
        other_objects: Vec::new(),
        object_count: 1,
        joined: Some(Arc::new(Joined {
            values: values.clone(),
            value: episode.value,
            exact: episode.exact,
            steps: episode.steps.clone(),
            counted: episode.values.clone(),
            usual: episode.usual.clone(),
            surprised: None,
            whole: episode.witness.whole,
        })),
    }
}
