//! ATT&CK for Containers as plain values: what a rule's tags mean, and how much of the matrix a set
//! of rules covers.
//!
//! The tables under `data/` are compiled in and parsed once. Nothing here reads a file or a clock,
//! and nothing fails at run time: a lookup answers `None`, and a tag that is wrong gets a verdict
//! that says how and what was probably meant.
//!
//! Two things about ATT&CK shape this crate. Version 19 renamed a tactic in place (TA0005 was
//! Defense Evasion and is Stealth) and revoked techniques, while public rules and older consumers
//! still use the old names; so the table is pinned to one version, [`ATTACK_VERSION`], and knows the
//! former names. And the Containers platform is 48 of some 700 techniques: a tag outside of it is
//! not an error, only outside of what this crate can name.
//!
//! ```
//! use mitre::{TagCheck, check_tag};
//!
//! let TagCheck::Technique(technique) = check_tag("attack.t1078.001") else {
//!     panic!("T1078.001 is on the Containers platform");
//! };
//! assert_eq!(technique.display_name, "Valid Accounts: Default Accounts");
//! assert_eq!(technique.tactics[0].name, "Initial Access");
//! assert_eq!(technique.url, "https://attack.mitre.org/techniques/T1078/001/");
//!
//! // A rule written for ATT&CK v18 is understood, and told the name of today.
//! let TagCheck::RenamedTactic { tactic, .. } = check_tag("attack.defense_evasion") else {
//!     panic!("v18 called TA0005 Defense Evasion");
//! };
//! assert_eq!(tactic.short_name, "stealth");
//! ```
//!
//! ATT&CK is a trademark of The MITRE Corporation; Microsoft's matrix is licensed CC BY 4.0. The
//! notices stand in the first lines of the data files.

// The promise of the second paragraph; `clippy.toml` lists what would break it.
#![warn(clippy::disallowed_methods)]

// In reading order, which the blank lines keep.
mod tsv;

pub mod id;

pub mod catalog;

pub mod tag;

pub mod matrix;

pub mod navigator;

pub mod coverage;

pub use catalog::{Tactic, TacticMatch, Technique};
pub use id::{ParseIdError, TacticId, TechniqueId};
pub use matrix::MatrixEntry;
pub use navigator::TechniqueCoverage;
pub use tag::{TagCheck, check_tag};

/// The release of ATT&CK that every name, tactic and verdict of this crate refers to.
pub const ATTACK_VERSION: &str = "19.1";
