//! Rules in, findings out. Pure: no async, no clock, no files, no network; time comes from the event.
//!
//! ```text
//! rule text ── sigma ──▶ Rule ── engine ──▶ RuleSet ──┐
//!                                                     ├─▶ Verdicts: which rules match the event, which cannot see it
//! event bytes ── columns ──▶ EventRow ────────────────┘
//!                  └─ event, views ──▶ what an event means ── reference ──▶ why a rule matched
//!
//! matches, in order of time ── correlation ──▶ windows by group ──▶ what several events show together
//! ```

#![warn(clippy::disallowed_methods)]

pub mod event;
pub mod fields;
pub mod path;
pub mod views;
pub mod vocabulary;

pub mod diagnostic;
pub mod sigma;

pub mod reference;
pub mod truth;

pub mod batch;
pub mod bundled;
mod columns;
pub mod correlation;
pub mod engine;
pub mod limits;
mod matcher;
pub mod page;

pub mod hash;
pub mod json;
pub mod scalar;
pub mod surprise;
