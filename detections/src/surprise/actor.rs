//! Who a session is of: the view `actor`, and what the installation declares about its own accounts.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::event::Event;
use crate::views::{Root, View};

use super::features::Reading;
use super::limits::GROUPS_MAX;
use super::memo::Texts;

/// What sort of identity an actor is: `actor.kind`, and declared automation as a kind of its own, so that what a deployment
/// account does every day does not become ordinary for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// Nobody authenticated.
    Anonymous,
    /// A kubelet.
    Node,
    /// A service account.
    ServiceAccount,
    /// A component of Kubernetes itself, or one that the installation declares as such.
    ControlPlane,
    /// An identity that a cloud federates, a component that is not known, or a look-alike.
    External,
    /// An account that the installation declares as its automation.
    Automation,
    /// Anybody else.
    Human,
}

impl Kind {
    /// Several of them, as an explanation names them.
    #[must_use]
    pub fn plural(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous actors",
            Self::Node => "nodes",
            Self::ServiceAccount => "service accounts",
            Self::ControlPlane => "components of the control plane",
            Self::External => "external identities",
            Self::Automation => "declared automations",
            Self::Human => "people",
        }
    }

    /// Whether groups tell with whom such an actor works. Components, nodes and nobody have none that do.
    pub(super) fn has_team(self) -> bool {
        matches!(
            self,
            Self::ServiceAccount | Self::External | Self::Automation | Self::Human
        )
    }

    /// Whether such an actor moves about inside the house: to another floor, into a VPN. Workloads do not. Clouds federate
    /// people, so that external identities may be some.
    pub(super) fn moves(self) -> bool {
        matches!(self, Self::External | Self::Human)
    }

    /// The kind of a name that [`crate::views::ActorKind::as_str`] gave.
    fn of_view(name: &str) -> Self {
        match name {
            "anonymous" => Self::Anonymous,
            "node" => Self::Node,
            "service_account" => Self::ServiceAccount,
            "control_plane" => Self::ControlPlane,
            "human" => Self::Human,
            _ => Self::External,
        }
    }
}

/// What tells actors apart. The kind belongs to it: a look-alike does not inherit the habits of the account whose name it took.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ActorId {
    /// `actor.canonical`: who authenticated, not whom they impersonate.
    pub name: Arc<str>,
    /// What sort of identity it is.
    pub kind: Kind,
}

/// An actor as an event shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// Who it is.
    pub id: ActorId,
    /// Groups that may be its team, as they were listed; those that everybody is in are left out.
    pub groups: Box<[Arc<str>]>,
}

/// Groups that say how somebody authenticated or what they may do, and not with whom they work.
const GROUPS_OF_ALL: [&str; 4] = [
    "",
    "system:authenticated",
    "system:masters",
    "system:serviceaccounts",
];

impl Actor {
    /// The actor of an event; `None` if the event was cut before it.
    pub(super) fn read(event: &Event, reading: &Reading, texts: &mut Texts) -> Option<Self> {
        let view = event.view(Root::Actor);
        let name = view.text("canonical")?;
        let kind = kind_of(view, reading)?;
        let groups = if kind.has_team() {
            groups_of(view, texts)
        } else {
            Box::default()
        };
        let name = texts.intern(name);
        Some(Self {
            id: ActorId { name, kind },
            groups,
        })
    }
}

fn kind_of(view: &View, reading: &Reading) -> Option<Kind> {
    let kind = Kind::of_view(view.text("kind")?);
    if view.flag("forged") {
        return Some(kind);
    }
    let is_among = |names: &[String]| {
        names
            .iter()
            .any(|name| [view.text("canonical"), view.text("name")].contains(&Some(name.as_str())))
    };
    Some(match kind {
        Kind::External if is_among(&reading.components) => Kind::ControlPlane,
        Kind::External | Kind::Human | Kind::ServiceAccount if is_among(&reading.automation) => {
            Kind::Automation
        }
        kind => kind,
    })
}

fn groups_of(view: &View, texts: &mut Texts) -> Box<[Arc<str>]> {
    let listed = view.get("groups").and_then(Value::as_array);
    let names = listed.into_iter().flatten().filter_map(Value::as_str);
    let mut groups: Vec<Arc<str>> = Vec::new();
    for name in names.filter(|name| !GROUPS_OF_ALL.contains(name)) {
        if groups.len() < GROUPS_MAX && !groups.iter().any(|known| **known == *name) {
            groups.push(texts.intern(name));
        }
    }
    groups.into()
}
