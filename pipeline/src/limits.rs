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

/// Distinct objects that one finding counts; beyond it their number stays as it is. 10,000 hashes cost 160 KiB, which are written
/// again with each commit while an act of so many objects goes on.
pub const DISTINCT_MAX: usize = 10_000;

/// Matched requests whose stages are told apart, over a whole run. A million cost about 50 MiB.
pub const REQUESTS_MAX: usize = 1_000_000;

/// Characters of one value that an alert quotes: enough for a long command line.
pub const VALUE_CHARS_MAX: usize = 500;

/// How long a live match of what was only received waits for the request's outcome, microseconds. The API server answers within a
/// minute, or the request is a long one, and then says so when it starts.
pub const OUTCOME_WAIT_US: i64 = 60_000_000;

/// How long what a controller carried out waits for its owner's write, microseconds. That write came before; only batches of
/// several API servers arrive out of order, by the second that they are collected for.
pub const OWNER_WAIT_US: i64 = 10_000_000;

/// The least time between two updates of one finding, microseconds: a deletion in a loop is one alert and one update a minute.
pub const UPDATE_WAIT_US: i64 = 60_000_000;

/// How long an act is remembered after its last request, besides its window, microseconds. A request that comes even later begins
/// its count anew, under the same id.
pub const ACT_KEPT_US: i64 = 24 * 3_600_000_000;

/// 32 MiB: acts in memory; beyond it those of quiet families are read again when needed.
pub const CACHED_BYTES_MAX: usize = 32 << 20;

/// Bytes of memory that matches may hold before they are committed, live. A body of 64 MiB may match in every event.
pub const COMMIT_BYTES_MAX: usize = 16 << 20;

/// 256 MiB: events that wait until they can be put in order for correlations, live. Five minutes at some five hundred matches a
/// second; what is beyond it is judged by rules about single events only, and counted.
pub const WAITING_BYTES_MAX: usize = 256 << 20;

/// Findings that one story tells of. More are counted: nobody reads a timeline of hundreds.
pub const STORY_PARTS_MAX: usize = 256;

/// Findings of one rule that one story tells of, so that a flood of one kind leaves room for what comes behind it.
pub const STORY_PARTS_OF_RULE_MAX: usize = 24;

/// Links that one story follows. Who binds roles to dozens of accounts sets up a cluster; what all of these do is no one story.
pub const STORY_ACCOUNTS_MAX: usize = 32;
