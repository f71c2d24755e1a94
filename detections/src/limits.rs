//! The bounds of this crate, each with its reason.

/// Bytes below which a field is always parsed: even the worst JSON of this size stays far below [`FIELD_WEIGHT_MAX`].
pub const FIELD_BYTES_FREE: usize = 256 << 10;

/// What one field may weigh in memory as a document, as estimated by [`crate::fields`]. An object of a cluster has at most
/// 1.5 MiB of JSON (etcd's limit) and weighs a few MiB; a list of the whole cluster, or a body made to exhaust memory, weighs
/// gigabytes, and views copy what they read. Above the bound the field is unavailable, and `event.truncated` says so.
pub const FIELD_WEIGHT_MAX: usize = 32 << 20;

/// The longest text of a column that the engine remembers. Longer ones (messages of failed requests, foreign annotations)
/// hardly repeat; they are judged each time.
pub const VALUE_BYTES_MAX: usize = 4 << 10;

/// Distinct texts of one column that are remembered over batches. A cluster has some thousand users, clients and
/// addresses; beyond the bound everything remembered is forgotten, which costs judging it anew and nothing else.
pub const DICTIONARY_VALUES_MAX: usize = 64 << 10;

/// Bytes of such texts per column, for the same reason.
pub const DICTIONARY_BYTES_MAX: usize = 4 << 20;

/// Bytes of scalars of bodies that are remembered with what they mean to rules, over all keys.
pub const MEMO_BYTES_MAX: usize = 8 << 20;

/// The longest part of a body that is remembered: the fields and templates of nearly all objects.
pub const PART_BYTES_MAX: usize = 16 << 10;

/// Bytes of parts of bodies that are remembered.
pub const PARTS_BYTES_MAX: usize = 4 << 20;

/// Bytes of verdicts that tell the classes of values apart: one for each test of a group. Values fall into some dozens of
/// classes; only a log made to that end has many.
pub const CLASSES_BYTES_MAX: usize = 16 << 20;

/// Parts of rules that are remembered by situation and by classes of values, some fifty bytes each. A thousand rules over a
/// busy cluster take a tenth of it.
pub const TREE_PARTS_MAX: usize = 512 << 10;

/// Distinct combinations of verb, resource and what else stands in every event for which the rules that are left are
/// remembered.
pub const SITUATIONS_MAX: usize = 4 << 10;
