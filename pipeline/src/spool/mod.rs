//! The log of what came in: raw bodies, durable before anybody is told so.
//!
//! ```text
//!  many senders ─▶ Appender ─▶ one thread ─▶ segment files ─▶ Reader ─▶ one evaluator
//!                  chunks       writes, then one             bodies, in the order
//!                  of bodies    sync for all that wait       in which they ended
//! ```
//!
//! A body comes in over a network at its sender's speed and may have 64 MiB; so it is written in chunks of at most
//! [`limits::CHUNK_BYTES`], between the chunks of others. Its last record names the chunks before it, and makes it a body:
//! whoever reads the log meets bodies whole, or not at all.
//!
//! 1. [`BodyWriter::finish`] returns only after the body is on the disk: written *and* synced. One sync serves all who wait.
//! 2. Readers see what is synced, never more: what they evaluate cannot vanish in a crash.
//! 3. A fault of the disk fails those who wait for it, and nobody else. After a failed sync nothing of what was written since
//!    the last good one counts, whatever a retry might say: the kernel forgets which pages it could not write. The log goes on
//!    in a new segment, and tries again with each body.
//! 4. What a crash tore is cut off at start, and only that: a record tells up to where the log was synced when it was written,
//!    so damage before that place is no torn end but a fault of the disk. It is skipped, and told ([`Entry::Damaged`]).
//! 5. Positions are offsets into one endless stream of bytes; segments are named by the offset at which they start. What lies
//!    in a file behind the start of the next one does not count.
//!
//! The format of a record is in [`record`].

pub mod disk;
pub mod limits;
pub mod record;

mod appender;
mod log;
mod reader;
mod recover;
mod segments;
mod writer;

pub mod simulated;
#[cfg(test)]
mod tests;

pub use self::appender::{Appender, BodyWriter, Room};
pub use self::log::{AppendError, Log, LogOptions};
pub use self::reader::{BodyReader, Entry, Reader, StoredBody};
pub use self::record::{BodyMeta, SourceKind};
pub use self::recover::Recovered;
pub use self::segments::Position;
