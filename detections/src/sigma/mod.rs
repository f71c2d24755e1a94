//! Sigma 2.1: from the text of a rule file to rules whose every part is known to work.
//!
//! ```text
//! text ─ yaml ─▶ nodes with spans ─ document ─▶ header, logsource, tags
//!                                  ─ detection ─▶ selections ─ modifier, value ─▶ tests
//!                                  ─ condition ─▶ expression over selections
//!                                  ─ correlation, baseline ─▶ inputs, groups, windows; resolved when all files are read
//! ```
//!
//! Every fault of a file is reported at once. A rule that comes out of here cannot fail when it is evaluated.

pub mod ast;
mod baseline;
pub(crate) mod condition;
mod correlation;
pub(crate) mod detection;
pub mod document;
mod encoding;
mod header;
mod lists;
pub(crate) mod modifier;
mod value;
pub(crate) mod yaml;

pub use document::{Loaded, Placeholders, load};
pub use lists::lists;
