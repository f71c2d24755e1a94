//! Every bound of decoding, each with its reason.

/// 32 MiB: the largest record that is kept whole. The API server accepts requests of 3 MiB, but a
/// response logged at `RequestResponse` (a list of all pods of a large cluster) reaches tens of
/// megabytes. Less would cut events that happen; more would let one record take the memory that a
/// whole run is bounded by (256 MiB with two of them in flight, each buffer being up to twice its
/// record).
pub const RECORD_BYTES_MAX: usize = 32 * 1024 * 1024;

/// 1 MiB: what is kept of a record beyond [`RECORD_BYTES_MAX`], and of bytes that are no record.
/// The API server writes the fields that say who did what before the bodies, so this much salvages
/// them; more would only copy a body's start.
pub const KEPT_BYTES_MAX: usize = 1024 * 1024;

/// 1 MiB: how far a record is read before we ask whether it is a container whose elements should be
/// streamed. Smaller containers are seen whole, with the members that stand behind the list; below
/// this, key order would decide about the cluster's name in ordinary `CloudWatch` records, which
/// reach this size.
pub const PROBE_BYTES: usize = 1024 * 1024;

/// 64 KiB: how far a record of a stream of lines is looked at before its line's end is known. Nearly all are smaller.
pub const COMPACT_BYTES: usize = 64 * 1024;

/// 2 MiB: the read buffer. At least [`PROBE_BYTES`] and one read must fit; larger ones fall out of
/// the processor's cache.
pub const BUFFER_BYTES: usize = 2 * 1024 * 1024;

/// 64 KiB: the least room for a read. With less left, the rest of the buffer is moved to its front.
pub const READ_BYTES_MIN: usize = 64 * 1024;

/// 256 KiB: the most that is read at once, so that what was read is still in the second-level cache when it is framed.
pub const READ_BYTES_MAX: usize = 256 * 1024;

/// Containers inside containers: an array of Event Hubs batches is two, stored posts are two. More
/// are hostile, and each level costs another scan of its bytes.
pub const LEVELS_MAX: usize = 4;

/// Lists in one container. One is usual; each further one costs a scan of what stands behind it.
pub const LISTS_MAX: u32 = 8;

/// Records as strings inside of records: a post stored as a message inside a subscription record
/// inside a queue's own.
pub const NESTING_MAX: usize = 3;

/// 4 KiB: the longest string of a container that is remembered for its elements (a log group's name
/// has at most 512).
pub const CONTEXT_BYTES_MAX: usize = 4 * 1024;

/// 128 bytes: the longest prefix before a record on a line (a timestamp, a stream name and a flag).
pub const PREFIX_BYTES_MAX: usize = 128;

/// 512 bytes: a list of audit events shows its list within this (kind, version, empty metadata),
/// and is then opened at once.
pub const EVENT_LIST_HEADER_BYTES: usize = 512;
