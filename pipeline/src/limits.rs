//! The bounds of this crate, each with its reason. Reaching one is counted, never silent.

/// Events that are judged before their verdicts are merged: enough to make the cost of merging vanish.
pub const JUDGED_ROWS_MAX: usize = 1024;

/// Bytes of events that matched before verdicts are merged, because these are kept.
pub const JUDGED_BYTES_MAX: usize = 512 << 10;

/// Events per batch: as many as small events need to make the cost of a batch vanish.
pub const BATCH_ROWS_MAX: usize = 1024;

/// Bytes of raw events per batch.
pub const BATCH_BYTES_MAX: usize = 512 << 10;

/// Events whose byte-equal repeats are recognised, newest last. An API server repeats a whole batch of 400 within minutes;
/// a million events are minutes at the highest rate and cost 32 MiB.
pub const REPEATS_WINDOW: usize = 1 << 20;

/// The raw event that an alert carries, in bytes. A SIEM cuts or refuses fields beyond 32 KiB; the hash and the place in
/// the input lead to the rest.
pub const RAW_BYTES_MAX: usize = 32 << 10;

/// Bytes of events held for findings that are not released yet. Beyond it the oldest findings are released early, which
/// may split an act that goes on; it is counted.
pub const HELD_BYTES_MAX: usize = 48 << 20;

/// Objects that an alert names besides the first. A mass deletion has thousands; their number is kept.
pub const OTHER_OBJECTS_MAX: usize = 20;

/// Distinct objects that one finding counts; beyond it their number stays as it is. 100,000 hashes cost about 2 MiB.
pub const DISTINCT_MAX: usize = 100_000;

/// Matched requests whose stages are told apart, over a whole run. A million cost about 50 MiB.
pub const REQUESTS_MAX: usize = 1_000_000;

/// Characters of one value that an alert quotes: enough for a long command line.
pub const VALUE_CHARS_MAX: usize = 500;
