//! The bounds of the log, each with its reason.

/// 1 MiB: a body is written in pieces of at most this. Most bodies of an API server (400 events) fit into one, and so are one
/// record; larger pieces would let few senders fill [`IN_FLIGHT_BYTES_MAX`].
pub const CHUNK_BYTES: usize = 1 << 20;

/// 64 MiB: the largest body. An API server posts up to 400 events, each with a request of up to 3 MiB and any answer; with its
/// own truncation on, 41 MB were measured in one post.
pub const BODY_BYTES_MAX: u64 = 64 << 20;

/// 48 MiB: bytes of bodies in memory, waiting to be written, over all senders. Beyond it senders wait, and then are told to come
/// again: more would only lengthen the queue before the disk.
pub const IN_FLIGHT_BYTES_MAX: usize = 48 << 20;

/// 64 MiB: a segment is closed when it has reached this. Smaller ones are more files to sync, larger ones longer scans at start
/// and coarser retention.
pub const SEGMENT_BYTES: u64 = 64 << 20;

/// Commands waiting for the writer. Each holds at most a chunk, whose bytes are bounded by [`IN_FLIGHT_BYTES_MAX`].
pub const COMMANDS_MAX: usize = 1024;

/// Bodies that one sync may serve. More would let the first of them wait while the last are written.
pub const GROUP_MAX: usize = 256;

/// 8 MiB: bytes that are written before one sync.
pub const GROUP_BYTES_MAX: usize = 8 << 20;

/// 64 KiB: the description of a body within its record. A body of 64 MiB names 64 chunks.
pub const META_BYTES_MAX: usize = 64 << 10;
