//! The bounds of this crate, each with its reason.

/// Bytes below which a field is always parsed: even the worst JSON of this size stays far below [`FIELD_WEIGHT_MAX`].
pub const FIELD_BYTES_FREE: usize = 256 << 10;

/// What one field may weigh in memory as a document, as estimated by [`crate::fields`]. An object of a cluster has at most
/// 1.5 MiB of JSON (etcd's limit) and weighs a few MiB; a list of the whole cluster, or a body made to exhaust memory, weighs
/// gigabytes, and views copy what they read. Above the bound the field is unavailable, and `event.truncated` says so.
pub const FIELD_WEIGHT_MAX: usize = 32 << 20;
