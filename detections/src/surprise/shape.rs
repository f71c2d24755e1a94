//! What tells features apart besides their times, cheaply: by where their texts lie.

use std::sync::Arc;

use super::features::Features;
use super::operation::Did;
use super::session::bucket_of;

/// Equal for features of one reader that say the same, and of one bucket. The other way round it may fail, where a reader has
/// forgotten a text and read it anew. It holds for as long as one of the features is kept: then no other text lies there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    bucket_us: i64,
    texts: [usize; 7],
    impacts: [u8; 2],
    classes: u8,
}

impl Features {
    /// What tells these features apart.
    #[must_use]
    pub fn shape(&self) -> Shape {
        let text_of = |did: &Option<Did>| did.as_ref().map_or(0, |did| place(&did.text));
        let impact_of = |did: &Option<Did>| did.as_ref().map_or(0, |did| did.impact);
        let classes = self.classes.iter().enumerate();
        Shape {
            bucket_us: bucket_of(self.time_us),
            texts: [
                Arc::as_ptr(&self.actor).addr(),
                text_of(&self.operation),
                text_of(&self.impersonation),
                self.namespace.as_ref().map_or(0, place),
                place(&self.client),
                place(&self.network),
                place(&self.outcome),
            ],
            impacts: [impact_of(&self.operation), impact_of(&self.impersonation)],
            classes: classes.fold(0, |bits, (place, is_of)| bits | u8::from(*is_of) << place),
        }
    }
}

fn place(text: &Arc<str>) -> usize {
    Arc::as_ptr(text).addr()
}
