//! When an event happened, and which of those of the same microsecond it is.

use serde::{Deserialize, Serialize};

/// The place of an event in the order of the stream: by time, then by identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Moment {
    /// Event time, microseconds since 1970 UTC.
    pub time_us: i64,
    /// The request's identity. It orders events of one microsecond the same way in every run.
    pub identity: [u8; 16],
}

impl Moment {
    /// Before every event. An `Option` would cost each of a million windows eight bytes.
    pub(super) const BEFORE_ALL: Self = Self {
        time_us: i64::MIN,
        identity: [0; 16],
    };
}
