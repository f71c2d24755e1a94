//! Where bytes come from. Nothing here knows what the bytes mean.

pub mod http;
pub mod input;
pub mod tail;

mod ready;

pub use self::ready::Ready;
