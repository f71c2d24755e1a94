//! Rules in, findings out. Pure: no async, no clock, no files, no network; time comes from the event.
//!
//! ```text
//! rule text ── sigma ──▶ Rule ── engine ──▶ RuleSet ─┐
//!                                                    ├─▶ Evaluation: which rules match which rows, where rules are blind
//! event bytes ── batch ──▶ EventBatch ───────────────┘
//!                  └─ event, views ──▶ what an event means ── reference ──▶ why a rule matched
//! ```

pub mod event;
pub mod fields;
pub mod path;
pub mod views;
pub mod vocabulary;

pub mod diagnostic;
pub mod sigma;

pub mod truth;
pub mod reference;

pub mod batch;
pub mod engine;
pub mod bundled;
pub mod page;
mod matcher;

pub mod json;
pub mod scalar;
