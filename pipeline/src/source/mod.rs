//! Where bytes come from. Nothing here knows what the bytes mean.

pub mod input;
