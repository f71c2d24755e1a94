//! Surprise: how unusual ten minutes of one actor are, in bits, by what it and its peers did before.
//!
//! ```text
//! EventRow ── Reader ──▶ Features ── Sessions ──▶ Session: one actor, one aligned bucket of ten minutes
//!          one a thread              merged          │  sorted by (bucket, actor), behind the watermark
//!                                                    ▼
//!                     ┌─── state before ──▶ judge ──▶ Judgement: bits, level, parts that explain themselves
//!                   Model                                │ level
//!                     └──── state after ◀── learn ◀──────┘
//! ```
//!
//! A [`Model`] knows one cluster, and so do the [`Sessions`] that it is fed with; who reads several keeps several.
//!
//! 1. Nothing is labelled and nothing is trained: a value is as surprising as its predictive probability is small, and that
//!    is counted from the actor's own sessions and, where these are few, from the habits of its team, its kind and everybody.
//! 2. Time is event time. All sessions of a bucket are judged by the state from before it, then all are learned. Neither the
//!    order of events within a bucket nor the split over threads changes a result.
//! 3. Every part of a judgement says what was known before, how often, since when, and what would make it ordinary.
//! 4. Memory is bounded everywhere ([`limits`]), and what is beyond a bound is counted.
//! 5. Surprise alone proves nothing: no level is above high, a new namespace alone is never even low, and what an actor does
//!    every day is never surprising, whatever it is. Rules are for what must never become ordinary.

pub mod limits;

mod actor;
mod features;
mod memo;
mod operation;
mod place;
mod small;

mod session;
mod shape;

mod circles;
mod counts;
mod explain;
mod known;
mod model;
mod pairs;
mod score;
mod volume;

pub use actor::{Actor, ActorId, Kind};
pub use circles::Circle;
pub use explain::{Part, PartKind};
pub use features::{Features, Reader, Reading, Stages, identity_of};
pub use known::{ActorKnown, ValueKnown};
pub use model::{Head, Model, Past, Settings, Size};
pub use operation::Did;
pub use score::{HIGH_BITS, Judgement, LOW_BITS, Level, MEDIUM_BITS};
pub use session::{Session, Sessions, Tally, bucket_of};
pub use shape::Shape;
pub use volume::Class;

#[cfg(test)]
mod tests;
