//! Where bytes come from. Nothing here knows what the bytes mean.

pub mod http;
pub mod input;
pub mod tail;

mod intake;
mod ready;

pub use self::intake::Intake;
pub use self::ready::Ready;
