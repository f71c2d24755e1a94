//! Who authenticated (`actor`) and whom the request ran as (`effective`).
//!
//! A name alone proves nothing: a certificate or an identity provider may carry any name that its
//! issuer lets through. The privileged forms (`system:node:…`, `system:serviceaccount:…`,
//! `system:apiserver`) therefore count only together with the groups that their own authenticator
//! adds; a name without them is a look-alike: `external`, and `forged`. Where the source hides
//! groups (GKE) the form alone decides and `forged` is unavailable.

use serde_json::{Map, Value};

use super::{Root, View, strings};
use crate::event::{Envelope, Event, Field};

/// What sort of identity a name and its groups are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Nobody authenticated.
    Anonymous,
    /// A kubelet.
    Node,
    /// A service account.
    ServiceAccount,
    /// A component of Kubernetes itself, by its reserved name.
    ControlPlane,
    /// An identity that a cloud federates, a component we do not know, or a look-alike.
    External,
    /// Anybody else.
    Human,
}

impl Kind {
    /// The name that rules use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Node => "node",
            Self::ServiceAccount => "service_account",
            Self::ControlPlane => "control_plane",
            Self::External => "external",
            Self::Human => "human",
        }
    }
}

const ANONYMOUS: &str = "system:anonymous";
const UNAUTHENTICATED: &str = "system:unauthenticated";
const MASTERS: &str = "system:masters";
const NODE_PREFIX: &str = "system:node:";
const SERVICE_ACCOUNT_PREFIX: &str = "system:serviceaccount:";
/// The API server's own loopback client, which its authenticator always puts into `system:masters`.
const API_SERVER: &str = "system:apiserver";

/// The names that Kubernetes' source reserves for its components, and the cloud controller that
/// every cloud provider runs under the same name. `system:kube-apiserver` is not among them: no
/// component calls the API server under it. `aksService`, `eks:…` and GKE's add-ons are not either:
/// their power differs by provider, so a rule should name them.
const CONTROL_PLANE: [&str; 5] = [
    "system:kube-controller-manager",
    "system:kube-scheduler",
    API_SERVER,
    "system:kube-proxy",
    "system:cloud-controller-manager",
];

const CREDENTIAL_ID: &str = "authentication.kubernetes.io/credential-id";
const POD_NAME: &str = "authentication.kubernetes.io/pod-name";
const NODE_NAME: &str = "authentication.kubernetes.io/node-name";

/// What sort of identity this is. `groups` is `None` if the source hides them; `has_arn` tells that
/// the identity carries a cloud's own name (`user.extra.arn` or `canonicalArn`, as EKS adds them).
pub(crate) fn kind(
    name: Option<&str>,
    groups: Option<&[&str]>,
    envelope: Envelope,
    has_arn: bool,
) -> Kind {
    let Some(name) = name.filter(|name| !name.is_empty()) else {
        return Kind::Anonymous;
    };
    if name == ANONYMOUS || groups.is_some_and(|groups| groups.contains(&UNAUTHENTICATED)) {
        return Kind::Anonymous;
    }
    match privileged_form(name) {
        Some(form) if form.complete && form.proven(groups) != Some(false) => form.kind,
        Some(_) => Kind::External,
        None if CONTROL_PLANE.contains(&name) => Kind::ControlPlane,
        None if has_arn || name.starts_with("system:") || is_cloud_name(name, envelope) => {
            Kind::External
        }
        None => Kind::Human,
    }
}

/// Whether the name has a privileged form without the groups that its authenticator would have
/// added; `None` if the groups are hidden.
pub(crate) fn forged(name: Option<&str>, groups: Option<&[&str]>) -> Option<bool> {
    groups?;
    let Some(form) = name.and_then(privileged_form) else {
        return Some(false);
    };
    Some(!form.complete || form.proven(groups) == Some(false))
}

/// A name that only one authenticator gives out.
struct Form<'a> {
    kind: Kind,
    /// False if the prefix is right and the rest is not, as in a service account without a
    /// namespace.
    complete: bool,
    /// The namespace of a service account.
    namespace: &'a str,
}

impl Form<'_> {
    fn proven(&self, groups: Option<&[&str]>) -> Option<bool> {
        let groups = groups?;
        Some(match self.kind {
            Kind::Node => groups.contains(&"system:nodes"),
            Kind::ControlPlane => groups.contains(&MASTERS),
            _ => {
                let own = groups.iter().any(|group| {
                    group.strip_prefix("system:serviceaccounts:") == Some(self.namespace)
                });
                own && groups.contains(&"system:serviceaccounts")
            }
        })
    }
}

fn privileged_form(name: &str) -> Option<Form<'_>> {
    if let Some(node) = name.strip_prefix(NODE_PREFIX) {
        return Some(Form {
            kind: Kind::Node,
            complete: !node.is_empty(),
            namespace: "",
        });
    }
    if name.starts_with(SERVICE_ACCOUNT_PREFIX) {
        let namespace = namespace_of(name);
        return Some(Form {
            kind: Kind::ServiceAccount,
            complete: namespace.is_some(),
            namespace: namespace.unwrap_or_default(),
        });
    }
    (name == API_SERVER).then_some(Form {
        kind: Kind::ControlPlane,
        complete: true,
        namespace: "",
    })
}

/// The namespace of a service account's name; `None` if it is none.
pub(crate) fn namespace_of(name: &str) -> Option<&str> {
    let (namespace, account) = name.strip_prefix(SERVICE_ACCOUNT_PREFIX)?.split_once(':')?;
    (!namespace.is_empty() && !account.is_empty() && !account.contains(':')).then_some(namespace)
}

/// Names that a cloud gives to machines of its own or to its service identities.
fn is_cloud_name(name: &str, envelope: Envelope) -> bool {
    match envelope {
        Envelope::Gke => name.ends_with(".gserviceaccount.com"),
        Envelope::Eks => name.starts_with("eks:"),
        Envelope::Aks => name == "aksService",
        Envelope::Raw => false,
    }
}

/// One of the event's two users, as far as the source shows it.
struct User<'a> {
    name: Option<&'a str>,
    groups: Option<Vec<&'a str>>,
    fields: Option<&'a Map<String, Value>>,
    envelope: Envelope,
}

impl<'a> User<'a> {
    fn read(value: Option<&'a Value>, envelope: Envelope) -> Self {
        let fields = value.and_then(Value::as_object);
        let field = |key: &str| fields.and_then(|fields| fields.get(key));
        let name = field("username")
            .and_then(Value::as_str)
            .filter(|name| !name.is_empty());
        let groups = match field("groups") {
            None if envelope == Envelope::Gke => None,
            groups => Some(groups.map(strings).unwrap_or_default()),
        };
        Self {
            name,
            groups,
            fields,
            envelope,
        }
    }

    /// The first value under this key of `extra`.
    fn extra(&self, key: &str) -> Option<&'a str> {
        let values = self.fields?.get("extra")?.get(key)?;
        strings(values).first().copied()
    }

    fn kind(&self) -> Kind {
        let has_arn = self
            .extra("arn")
            .or_else(|| self.extra("canonicalArn"))
            .is_some();
        kind(self.name, self.groups.as_deref(), self.envelope, has_arn)
    }

    fn canonical(&self) -> String {
        let name = self.name.unwrap_or(ANONYMOUS);
        if let Some(arn) = self.extra("canonicalArn") {
            return arn.to_owned();
        }
        if let Some(role) = self.extra("arn").and_then(role_of_session) {
            return role;
        }
        let own = if self.envelope == Envelope::Aks {
            self.extra("oid")
        } else {
            self.extra("arn")
        };
        own.unwrap_or(name).to_owned()
    }

    /// The fields that both views have.
    fn describe(&self) -> View {
        let mut view = View::known(Map::new());
        let kind = self.kind();
        view.set("name", self.name.unwrap_or(ANONYMOUS));
        view.set("kind", kind.as_str());
        match &self.groups {
            Some(groups) => {
                view.set("groups", groups.clone());
                view.set("superuser", groups.contains(&MASTERS));
            }
            None => view.blind.extend(["groups", "superuser"]),
        }
        if kind == Kind::ServiceAccount
            && let Some(namespace) = self.name.and_then(namespace_of)
        {
            view.set("namespace", namespace);
        }
        view
    }
}

/// The role behind `arn:aws:sts::<account>:assumed-role/<role>/<session>`: the session changes with
/// every login.
fn role_of_session(arn: &str) -> Option<String> {
    let (prefix, role) = arn.split_once(":assumed-role/")?;
    let role = role.rsplit_once('/').map_or(role, |(role, _)| role);
    Some(format!(
        "{}:role/{role}",
        prefix.replacen(":sts:", ":iam:", 1)
    ))
}

pub(super) fn actor(event: &Event) -> View {
    let envelope = event.origin().envelope;
    let user = match event.top("user") {
        Field::Unavailable => return View::unavailable(),
        Field::Present(user) => User::read(Some(user), envelope),
        Field::Absent => User::read(None, envelope),
    };
    let mut view = user.describe();
    view.set("canonical", user.canonical());
    match forged(user.name, user.groups.as_deref()) {
        Some(forged) => view.set("forged", forged),
        None => view.blind.push("forged"),
    }
    let hides_extra = envelope == Envelope::Gke
        && user
            .fields
            .is_none_or(|fields| !fields.contains_key("extra"));
    for (key, extra) in [
        ("credential", CREDENTIAL_ID),
        ("pod", POD_NAME),
        ("node", NODE_NAME),
    ] {
        match user.extra(extra) {
            Some(value) => view.set(key, value),
            None if hides_extra => view.blind.push(key),
            None => {}
        }
    }
    view
}

pub(super) fn effective(event: &Event) -> View {
    let impersonated = match event.top("impersonatedUser") {
        Field::Unavailable if !is_cut_later(event) => return View::unavailable(),
        Field::Present(user) => user,
        _ => return as_actor(event.view(Root::Actor)),
    };
    let mut view = User::read(Some(impersonated), event.origin().envelope).describe();
    view.set("impersonated", true);
    view
}

/// Whether a record was cut only behind the place where an impersonated user would have stood: the
/// addresses come later, in the API server's order as well as in the alphabet's.
fn is_cut_later(event: &Event) -> bool {
    event.origin().partial && matches!(event.top("sourceIPs"), Field::Present(_))
}

/// The actor's own fields, as far as `effective` has them.
fn as_actor(actor: &View) -> View {
    if actor.value.is_none() {
        return View {
            value: None,
            blind: actor.blind.clone(),
        };
    }
    let mut view = View::known(Map::new());
    for key in ["name", "kind", "groups", "superuser", "namespace"] {
        if let Some(value) = actor.get(key) {
            view.set(key, value.clone());
        }
    }
    view.set("impersonated", false);
    view.blind = actor
        .blind
        .iter()
        .copied()
        .filter(|key| matches!(*key, "groups" | "superuser"))
        .collect();
    view
}

#[cfg(test)]
mod tests {
    use super::super::testing::event;
    use super::*;
    use crate::event::Origin;
    use serde_json::json;
    use std::sync::Arc;

    #[track_caller]
    fn check(name: &str, groups: &[&str], expected: Kind, is_forged: bool) {
        assert_eq!(
            kind(Some(name), Some(groups), Envelope::Raw, false),
            expected,
            "{name}"
        );
        assert_eq!(forged(Some(name), Some(groups)), Some(is_forged), "{name}");
    }

    #[test]
    fn names_count_only_with_their_groups() {
        let own = ["system:serviceaccounts", "system:serviceaccounts:web"];
        check(
            "system:serviceaccount:web:frontend",
            &own,
            Kind::ServiceAccount,
            false,
        );
        check(
            "system:serviceaccount:kube-system:frontend",
            &own,
            Kind::External,
            true,
        );
        check(
            "system:serviceaccount:web:frontend",
            &["system:serviceaccounts"],
            Kind::External,
            true,
        );
        check("system:serviceaccount:web:a:b", &own, Kind::External, true);
        check("system:serviceaccount:web", &own, Kind::External, true);
        check("system:node:n1", &["system:nodes"], Kind::Node, false);
        check(
            "system:node:n1",
            &["system:authenticated"],
            Kind::External,
            true,
        );
        check("system:node:", &["system:nodes"], Kind::External, true);
        check(
            "system:apiserver",
            &["system:masters"],
            Kind::ControlPlane,
            false,
        );
        check(
            "system:apiserver",
            &["system:authenticated"],
            Kind::External,
            true,
        );
    }

    #[test]
    fn other_names() {
        check("system:kube-scheduler", &[], Kind::ControlPlane, false);
        check("system:kube-apiserver", &[], Kind::External, false);
        check(
            "system:bootstrap:07401b",
            &["system:bootstrappers"],
            Kind::External,
            false,
        );
        check("alice@example.com", &[], Kind::Human, false);
        check("bob", &["system:unauthenticated"], Kind::Anonymous, false);
        check("system:anonymous", &[], Kind::Anonymous, false);
        check("", &[], Kind::Anonymous, false);
        assert_eq!(
            kind(Some("dev"), Some(&[]), Envelope::Eks, true),
            Kind::External
        );
        assert_eq!(
            kind(Some("eks:node-manager"), Some(&[]), Envelope::Eks, false),
            Kind::External
        );
    }

    #[test]
    fn hidden_groups_leave_the_form() {
        let on_gke = |name| kind(Some(name), None, Envelope::Gke, false);
        assert_eq!(
            on_gke("system:serviceaccount:web:frontend"),
            Kind::ServiceAccount
        );
        assert_eq!(on_gke("system:node:gke-1"), Kind::Node);
        assert_eq!(on_gke("ci@project.iam.gserviceaccount.com"), Kind::External);
        assert_eq!(on_gke("alice@example.com"), Kind::Human);
        let origin = Origin {
            envelope: Envelope::Gke,
            ..Origin::default()
        };
        let fields = json!({"user": {"username": "alice@example.com"}})
            .as_object()
            .cloned()
            .unwrap();
        let view = actor(&Event::from_fields(fields, origin, Arc::default()));
        assert_eq!(
            view.blind,
            ["groups", "superuser", "forged", "credential", "pod", "node"]
        );
    }

    #[test]
    fn no_user_at_all_is_anonymous() {
        for user in [json!({}), json!(null), json!("x"), json!([1])] {
            let view = actor(&event(
                json!({"user": user, "responseStatus": {"code": 401}}),
            ));
            assert_eq!(
                (view.text("name"), view.text("kind")),
                (Some("system:anonymous"), Some("anonymous"))
            );
        }
    }

    #[test]
    fn the_canonical_name_leaves_the_session_out() {
        let arn = "arn:aws:sts::1:assumed-role/dev/alice-1700";
        let user =
            json!({"username": "alice", "extra": {"arn": [arn], "sessionName": ["alice-1700"]}});
        let view = actor(&event(json!({"user": user})));
        assert_eq!(view.text("canonical"), Some("arn:aws:iam::1:role/dev"));
        assert_eq!(view.text("kind"), Some("external"));
    }

    #[test]
    fn what_a_token_is_bound_to() {
        let extra = json!({CREDENTIAL_ID: ["JTI=1"], POD_NAME: ["p-1"], NODE_NAME: ["n-1"]});
        let groups = ["system:serviceaccounts", "system:serviceaccounts:web"];
        let user =
            json!({"username": "system:serviceaccount:web:x", "groups": groups, "extra": extra});
        let view = actor(&event(json!({"user": user})));
        assert_eq!(view.text("credential"), Some("JTI=1"));
        assert_eq!(
            (view.text("pod"), view.text("node"), view.text("namespace")),
            (Some("p-1"), Some("n-1"), Some("web"))
        );
    }

    #[test]
    fn the_effective_user_is_the_impersonated_one() {
        let document = json!({
            "user": {"username": "mallory", "groups": ["contractors"]},
            "impersonatedUser": {"username": "root", "groups": ["system:masters"]},
        });
        let event = event(document);
        assert!(!actor(&event).flag("superuser"));
        let view = effective(&event);
        assert!(view.flag("superuser") && view.flag("impersonated"));
        assert_eq!(view.text("name"), Some("root"));
    }

    #[test]
    fn a_cut_hides_an_impersonation_only_before_the_addresses() {
        let parse = |text: &str| {
            let origin = Origin {
                partial: true,
                ..Origin::default()
            };
            Event::parse(text.as_bytes(), origin, Arc::default()).unwrap()
        };
        let early = effective(&parse(r#"{"user":{"username":"a"},"impers"#));
        assert_eq!(early, View::unavailable());
        let late = parse(r#"{"user":{"username":"a"},"sourceIPs":["10.0.0.1"],"requestObj"#);
        assert_eq!(effective(&late).text("name"), Some("a"));
        assert_eq!(actor(&late).text("kind"), Some("human"));
    }

    #[test]
    fn without_impersonation_the_effective_user_is_the_actor() {
        let view = effective(&event(
            json!({"user": {"username": "mallory", "groups": ["a"]}}),
        ));
        assert_eq!(
            (view.text("name"), view.flag("impersonated")),
            (Some("mallory"), false)
        );
        assert_eq!(view.get("groups"), Some(&json!(["a"])));
    }
}
