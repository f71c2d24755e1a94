//! What correlations need besides the events themselves: their order.
//!
//! Correlations consume one stream sorted by (event time, request identity). In replay everything is sorted before it is fed
//! (`Sorter`); live, what came waits for the watermark ([`Streams`]). So both feed the same [`State`] the same stream, and
//! findings are the same.

mod clock;
mod finding;
mod memory;
mod replayed;
mod sorter;
mod streams;
#[cfg(test)]
mod tests;
mod witness;

use detections::correlation::{Fed, State};

pub use self::finding::Joined;
pub(crate) use self::finding::{finding_of, uid_of};
pub use self::memory::{Kept, StreamMemory};
pub(crate) use self::memory::{decode, encode, event_bytes, event_of, sorted};
pub(crate) use self::replayed::{Habits, replayed};
pub(crate) use self::sorter::Sorter;
pub use self::streams::{StreamCounts, Streams};
pub use self::witness::{Whole, Witness};
pub(crate) use self::witness::{fed, members_of, slim};

/// An event on its way to its groups.
pub(crate) type Event = Fed<Witness>;

/// The groups of all correlations.
pub(crate) type Groups = State<Witness>;
