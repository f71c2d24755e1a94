//! Bytes to alerts. The modules stand in the order in which data flows:
//!
//! ```text
//! source ─▶ decode ─▶ judge (detections) ─▶ repeats ─▶ correlate ─▶ enrich ─▶ alert ─▶ wire
//! bytes     events    matches               dropped    findings     evidence            OCSF, text
//! ```
//!
//! [`run::Pipeline`] drives them; [`batch`] makes Arrow of events for whoever reads columns. Everything is push: a source hands over items one at a time, and nothing here reads a
//! file, a clock or a socket but `source`.

pub mod alert;
pub mod batch;
pub mod correlate;
pub mod decode;
pub mod enrich;
pub mod kafka;
pub mod redact;
pub mod repeats;
pub mod sink;
pub mod source;
pub mod spool;
pub mod store;
pub mod wire;

pub mod account;
pub mod catalog;
pub mod clock;
pub mod completeness;
pub mod config;
pub mod control;
pub mod hex;
pub mod judge;
pub mod learned;
pub mod limits;
pub mod live;
pub mod merge;
mod pem;
mod reload;
pub mod rules;
pub mod run;
mod spill;
pub mod surprise;
pub mod telemetry;
pub mod topology;
