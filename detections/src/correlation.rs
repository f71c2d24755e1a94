//! Correlations and baselines: what one event cannot show.
//!
//! ```text
//! match of a rule ─ plan ─▶ feeds: correlation, input, group, value
//!                                     │  sorted by (event time, request identity), behind the watermark
//!                                     ▼
//!                  state: group ─▶ window ─▶ reached? ─▶ episode: one finding for as long as it goes on
//! ```
//!
//! Everything is in event time. What comes out depends on the sorted stream alone: not on the order of arrival, nor on how it was
//! cut into batches. [`naive`] is the same by brute force.

mod combined;
mod feed;
mod moment;
pub mod naive;
mod plan;
mod state;
mod trial;
mod window;

pub use feed::{Feed, GroupId, Values};
pub use moment::Moment;
pub use plan::{Correlations, meaning};
pub use state::{Ended, Episode, Fed, Group, Lost, SHARDS, State, Step, Told, shard_of};
pub use trial::{Trial, TrialStep};
pub use window::{COUNT_MAX, Habit, Reached, Sighting, Usual, VALUES_MAX, Window};
