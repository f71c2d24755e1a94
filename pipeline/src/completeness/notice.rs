//! What is said of a sender, and how: as the record that sinks get, like that of any finding.
//!
//! There is no event behind it, and so no rule of the language; but it has a name and an id like one, by which it can be looked for
//! and routed. Names of senders come in addresses: they are escaped where people read them, and stand in a command only if they are plain.

mod about;
mod machine;
mod page;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use detections::sigma::ast::Level;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Sender;
use crate::hex::hex;
use crate::live::OutputForms;
use crate::store::Record;
use crate::wire::ocsf;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Nothing comes from a sender that used to speak.
    Silent,
    /// More was emitted than has arrived.
    Missing,
    /// The API server says that it lost events.
    Dropped,
}

/// What is known of why a sender is silent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// Nothing: its counters cannot be read.
    #[default]
    None,
    /// It emitted events that did not arrive.
    Emitted,
    /// It was restarted, and has emitted nothing since.
    Restarted,
}

/// Why a notice is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// It speaks again.
    Returned,
    /// What was missing has arrived, late.
    Arrived,
    /// Nothing more was lost for an hour. What was lost stays so.
    Quiet,
    /// Nobody has heard of the sender for a week.
    Forgotten,
}

/// What a notice is to those who know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// It is new.
    Create,
    /// Its numbers are others.
    Update,
    /// It is over.
    Close(Ending),
}

/// The numbers of a notice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Events that are missing or were dropped; of a silent sender those that it emitted meanwhile, as far as that is known.
    pub events: u64,
    /// Missing: events that were emitted since then.
    pub emitted: u64,
    /// Missing: events that arrived since then.
    pub arrived: u64,
    /// Missing: events that the API server says it lost since then; they are not among the missing.
    pub lost: u64,
    /// Dropped: events, by the API server's plugin that lost them.
    pub plugins: BTreeMap<String, u64>,
    /// Dropped: users' requests that were refused because they could not be audited.
    pub rejected: u64,
    /// Silent: what is known of why.
    pub proof: Proof,
}

/// Something to say of a sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What happened.
    pub kind: Kind,
    /// To whose events.
    pub sender: Sender,
    /// When it began: the last moment at which all was well, microseconds since 1970 UTC. With kind and sender it is the notice's identity.
    pub since_us: i64,
    /// The last moment that it tells of.
    pub until_us: i64,
    /// The numbers.
    pub counts: Counts,
    /// Whether it is new, changed or over.
    pub activity: Activity,
    /// 1 for the first record of it, one more with each.
    pub revision: u32,
    /// The time of the log.
    pub at_us: i64,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Silent, Self::Missing, Self::Dropped];

    /// The name, like that of a rule.
    #[must_use]
    pub fn rule(self) -> &'static str {
        match self {
            Self::Silent => "audit_source_silent",
            Self::Missing => "audit_events_missing",
            Self::Dropped => "audit_events_dropped",
        }
    }

    /// The id, like that of a rule.
    #[must_use]
    pub fn rule_id(self) -> &'static str {
        match self {
            Self::Silent => "b13c6eee-07f4-400f-9e12-75993d69c4c0",
            Self::Missing => "69f9fb13-045c-4ca0-9828-b2c705ce661c",
            Self::Dropped => "3c7239ee-caed-4705-89f4-92ff0a6005cc",
        }
    }
}

impl Activity {
    /// As in records: `create`, `update`, `close`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Close(_) => "close",
        }
    }
}

impl Notice {
    /// The finding's id: the same whenever the same is found.
    #[must_use]
    pub fn uid(&self) -> [u8; 16] {
        let mut hasher = Sha256::new();
        for part in [self.kind.rule(), &self.sender.cluster, &self.sender.origin] {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        hasher.update(self.since_us.to_le_bytes());
        let digest = hasher.finalize();
        let mut short = [0; 16];
        short.copy_from_slice(&digest[..16]);
        short
    }

    /// How bad it is. Silence alone may be a cluster that was switched off; everything else is proven.
    #[must_use]
    pub fn level(&self) -> Level {
        match (self.kind, self.counts.proof) {
            (Kind::Silent, Proof::None) => Level::Medium,
            _ => Level::High,
        }
    }

    /// The record that is kept and sent.
    #[must_use]
    pub fn record(&self, forms: OutputForms) -> Record {
        Record {
            uid: hex(&self.uid()),
            revision: self.revision,
            activity: self.activity.as_str().to_owned(),
            rule: self.kind.rule().to_owned(),
            rule_id: self.kind.rule_id().to_owned(),
            level: self.level().as_str().to_owned(),
            cluster: self.sender.cluster.clone(),
            first_us: Some(self.since_us),
            last_us: Some(self.until_us),
            raised_us: self.at_us,
            line: page::line(self),
            text: page::text(self),
            ocsf: ocsf::line(&machine::ocsf(self)),
            only: None,
            ecs: forms.ecs.then(|| ocsf::line(&machine::ecs(self))),
        }
    }
}
