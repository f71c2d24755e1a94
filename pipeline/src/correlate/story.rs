//! Findings of one actor along the tactics, as one story.
//!
//! In go findings, each as a [`Fact`]: who, when, what, along which tactics, and what leads on from it to other accounts. Out come
//! [`Story`]s, each with a stable id, a timeline and a level that grows. Nothing here reads a clock or does I/O.
//!
//! ```text
//! findings ─▶ facts ─ in order of (time, id) ─▶ fold ─▶ stories ─▶ worth telling? ─▶ told
//!                                               links
//! ```
//!
//! 1. Which stories there are is a function of the set of facts ([`folded`]), and of nothing else: not of files,
//!    nor of the order in which they came.
//! 2. Only what never changes of a finding decides where it belongs: its first event. Counts and last times are told as they are now.
//! 3. A link leads on in time only: it says whose *later* findings belong to the story.

mod fact;
mod fold;
mod worth;

pub use fact::{Fact, Grasp, Key, Link, Way};
pub use fold::{GAP_US, Joined, Story, folded};
