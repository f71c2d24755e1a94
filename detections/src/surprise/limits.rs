//! The bounds of what surprise keeps, each with its reason, and the units that it counts in.

/// Length of a session, microseconds. Shorter ones cut bursts in two, longer ones tell of them too late.
pub const WINDOW_US: i64 = 600 * 1_000_000;

/// A calendar day in UTC, microseconds.
pub const DAY_US: i64 = 86_400 * 1_000_000;

/// Sessions that are open at once, by default. A cluster has some thousand actors at a time; a session takes a kilobyte.
pub const SESSIONS_MAX: usize = 100_000;

/// Distinct values of one kind that a session keeps. Ordinary ones have a dozen. Operations of high impact stay longest, so
/// that a flood of harmless ones does not hide them.
pub const SESSION_VALUES_MAX: usize = 256;

/// Actors that a model knows, by default. Each takes 6 KiB at most and less than 1 KiB as a rule.
pub const ACTORS_MAX: usize = 100_000;

/// One in so many actors goes when there is no room for another one: looking for the longest silent one costs as much as
/// looking for a hundred.
pub(super) const ACTORS_EVICTED_SHARE: usize = 100;

/// Groups of an actor that are looked at. A directory may list hundreds; each would count all habits of the actor again.
pub(super) const GROUPS_MAX: usize = 32;

/// The longest name that is kept as it is; no name of Kubernetes is longer. Longer ones are cut, with a hash of the whole.
pub(super) const TEXT_BYTES_MAX: usize = 256;

/// Characters of the name of a client.
pub(super) const CLIENT_CHARS_MAX: usize = 48;

/// The longest response status that is remembered as a whole; of longer ones only the code.
pub(super) const STATUS_BYTES_SHORT: usize = 48;
