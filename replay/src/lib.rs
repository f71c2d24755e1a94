//! History: find its files, read them, feed them through the pipeline.
//!
//! A replay is another source and nothing else: from decoding to the alert it runs the code that live traffic runs. Time is
//! the events' own; the order of files does not matter, since nothing behind the source depends on it.

pub mod discover;
mod parallel;
mod pieces;
pub mod rejects;
pub mod replay;
