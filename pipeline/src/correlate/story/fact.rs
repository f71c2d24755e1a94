//! What a story needs to know of a finding.

use serde::{Deserialize, Serialize};

/// A finding, as a part of a story.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// The finding's id.
    pub uid: [u8; 16],
    /// The cluster.
    pub cluster: String,
    /// When its first event happened; of a correlation, the event that first completed a window. Microseconds since 1970 UTC.
    pub at_us: i64,
    /// Event time of the last request.
    pub last_us: i64,
    /// The request of that first event: findings of one request are one step.
    pub request: [u8; 16],
    /// Requests.
    pub count: u64,
    /// The rule's id.
    pub rule: String,
    /// The rule's title.
    pub title: String,
    /// Tactics and techniques, as tagged, by their ids.
    pub tactics: Vec<String>,
    /// Techniques, as tagged.
    pub techniques: Vec<String>,
    /// Points of its level, 0 to 4.
    pub points: i8,
    /// It came to something: neither denied, nor failed, nor a dry run.
    pub succeeded: bool,
    /// The outcome in words.
    pub outcome: String,
    /// The actor may do everything anyway, or is declared automation.
    pub trusted: bool,
    /// Who authenticated: the name.
    pub actor: String,
    /// The kind of account.
    pub kind: String,
    /// Whom the actor impersonated.
    pub effective: Option<String>,
    /// The address that it came from.
    pub client: Option<String>,
    /// What was done, redacted.
    pub did: String,
    /// By what a story takes hold of it; the account first.
    pub keys: Vec<Key>,
    /// Whether it begins a story if none has hold of it. What controllers carry out does not: others asked for it.
    pub begins: bool,
    /// What leads on from it.
    pub links: Vec<Link>,
}

/// By what a finding belongs to a story.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key {
    /// How closely it names whoever acts.
    pub grasp: Grasp,
    /// Their name.
    pub name: String,
}

/// How closely a key names whoever acts: the closest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Grasp {
    /// One credential, by its id.
    Credential,
    /// Credentials bound to one pod, or to pods of one workload.
    Pod,
    /// Credentials of a service account that are bound to no pod.
    Unbound,
    /// A service account where the log shows neither credential nor pod.
    Unproven,
    /// An account, whatever it uses.
    Account,
}

impl Grasp {
    /// Whether it names the very credential that the link is about, and not everything that an account does.
    #[must_use]
    pub fn is_exact(self) -> bool {
        self != Self::Account
    }
}

/// Something that leads on from a finding to findings of others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Whose later findings belong to the story.
    pub key: Key,
    /// What was done for it.
    pub way: Way,
}

/// How a story came to an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Way {
    /// A token was requested.
    Token,
    /// A secret was made that holds a token for ever.
    Secret,
    /// A pod was made that runs under it.
    Pod,
    /// A pod was entered that holds its token.
    Exec,
    /// A role was bound to it.
    Bound,
    /// It was made.
    Made,
    /// A certificate in its name was approved.
    Certificate,
}

impl Way {
    /// As a clause after an account: `its token requested`.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Token => "whose token was requested",
            Self::Secret => "for whom a secret with a lasting token was made",
            Self::Pod => "from a pod that was made",
            Self::Exec => "from a pod that was entered",
            Self::Bound => "to whom a role was bound",
            Self::Made => "who was made",
            Self::Certificate => "for whom a certificate was approved",
        }
    }
}

impl Fact {
    /// The order in which stories are told.
    #[must_use]
    pub fn order(&self) -> (i64, [u8; 16]) {
        (self.at_us, self.uid)
    }
}

impl Key {
    /// A key by these.
    pub fn new(grasp: Grasp, name: impl Into<String>) -> Self {
        Self {
            grasp,
            name: name.into(),
        }
    }
}
