//! What an event is to a correlation.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::hash::hash;

/// The values that tell a group apart, in the order of `group-by`; an event without a field has none.
pub type Values = Box<[Option<Box<str>>]>;

/// 128 bits that name a group: of the correlation's id, the cluster and the values.
pub type GroupId = [u8; 16];

/// One event's part in one correlation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feed {
    /// The correlation's index. It differs from run to run: what is stored names it by its id.
    pub correlation: usize,
    /// Which of its inputs.
    pub input: usize,
    /// The group's values.
    pub values: Values,
    /// What is counted or summed, as JSON text.
    pub value: Option<Box<str>>,
}

impl Feed {
    /// What is counted or summed.
    #[must_use]
    pub fn value(&self) -> Option<Value> {
        serde_json::from_str(self.value.as_deref()?).ok()
    }
}

/// Names a group.
pub(super) fn group_id(correlation: &str, cluster: &str, values: &Values) -> GroupId {
    let values = values.iter().flat_map(|value| match value {
        None => ["-", ""],
        Some(text) => ["+", text],
    });
    hash(["group", correlation, cluster].into_iter().chain(values))
}
