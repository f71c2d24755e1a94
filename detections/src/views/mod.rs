//! Views: what an event means, computed once per event and only if a rule, an alert or a question reads them.
//!
//! Each root is one file with one function from an [`Event`] to a [`View`]. `docs/fields.md` lists what rules may name;
//! `semantics` fixes the exact meanings. Views read the event's own fields and other views, never anything outside.

mod actor;
mod agent;
mod change;
mod csr;
mod exec;
mod object;
mod outcome;
mod patch;
mod pod;
mod rbac;
pub(crate) mod shown;
mod source;
mod touched;
mod uri;
pub(crate) mod user_text;

use serde_json::{Map, Value};

use crate::event::{Event, Field};
use crate::path::{FieldPath, Found};

pub use actor::Kind as ActorKind;

/// The first key of a view's path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(
    missing_docs,
    reason = "each is the view of the same name in docs/fields.md"
)]
pub enum Root {
    Event,
    Actor,
    Effective,
    Source,
    Agent,
    Outcome,
    Object,
    Deleted,
    /// `change.kind`, `change.restated`, `change.object.*`.
    Change,
    /// `change.pod.*`.
    ChangePod,
    /// `change.rbac.*`.
    ChangeRbac,
    Pod,
    Exec,
    Rbac,
    Csr,
}

impl Root {
    /// How many roots there are.
    pub const COUNT: usize = 15;

    const NAMES: [(&'static str, Self); 13] = [
        ("event", Self::Event),
        ("actor", Self::Actor),
        ("effective", Self::Effective),
        ("source", Self::Source),
        ("agent", Self::Agent),
        ("outcome", Self::Outcome),
        ("object", Self::Object),
        ("deleted", Self::Deleted),
        ("change", Self::Change),
        ("pod", Self::Pod),
        ("exec", Self::Exec),
        ("rbac", Self::Rbac),
        ("csr", Self::Csr),
    ];

    /// The root that a path names, if it names a view at all.
    #[must_use]
    pub fn of(path: &FieldPath) -> Option<Self> {
        let (_, root) = Self::NAMES.iter().find(|(name, _)| *name == path.first())?;
        Some(match (root, path.key(1)) {
            (Self::Change, Some("pod")) => Self::ChangePod,
            (Self::Change, Some("rbac")) => Self::ChangeRbac,
            (root, _) => *root,
        })
    }

    /// How many keys of a path name the root itself.
    fn depth(self) -> usize {
        if matches!(self, Self::ChangePod | Self::ChangeRbac) {
            2
        } else {
            1
        }
    }
}

/// A computed view.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct View {
    /// The document below the root; absent if the event has no such thing.
    pub value: Option<Value>,
    /// What this event cannot show: `""` for the whole view, else a key right below the root.
    pub blind: Vec<&'static str>,
}

impl View {
    /// The event has no such thing.
    #[must_use]
    pub fn absent() -> Self {
        Self::default()
    }

    /// The event cannot tell.
    #[must_use]
    pub fn unavailable() -> Self {
        Self {
            value: None,
            blind: vec![""],
        }
    }

    /// A view whose every key is known.
    #[must_use]
    pub fn known(fields: Map<String, Value>) -> Self {
        Self {
            value: Some(Value::Object(fields)),
            blind: Vec::new(),
        }
    }

    /// The value at a plain key, for other views and for alerts.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.value.as_ref()?.get(key)
    }

    /// The string at a plain key.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_str()
    }

    /// The boolean at a plain key; false if absent.
    #[must_use]
    pub fn flag(&self, key: &str) -> bool {
        self.get(key).and_then(Value::as_bool).unwrap_or(false)
    }

    /// Sets a plain key.
    fn set(&mut self, key: &str, value: impl Into<Value>) {
        if let Value::Object(fields) = self.value.get_or_insert_with(|| Value::Object(Map::new())) {
            fields.insert(key.to_owned(), value.into());
        }
    }

    pub(crate) fn resolve<'a>(&'a self, path: &FieldPath) -> Field<Found<'a>> {
        let depth = Root::of(path).map_or(1, Root::depth);
        if let Some(value) = &self.value {
            let found = path.find_from(value, depth);
            if found.exists() {
                return Field::Present(found);
            }
        }
        let blind = self
            .blind
            .iter()
            .any(|key| key.is_empty() || path.key(depth) == Some(*key));
        if blind {
            Field::Unavailable
        } else {
            Field::Absent
        }
    }
}

/// Computes one view of an event.
pub(crate) fn compute(root: Root, event: &Event) -> View {
    match root {
        Root::Event => describe(event),
        Root::Actor => actor::actor(event),
        Root::Effective => actor::effective(event),
        Root::Source => source::source(event),
        Root::Agent => agent::agent(event),
        Root::Outcome => outcome::outcome(event),
        Root::Object => object::object(event),
        Root::Deleted => object::deleted(event),
        Root::Change => change::change(event),
        Root::ChangePod => pod::pod_of_change(event),
        Root::ChangeRbac => rbac::rbac_of_change(event),
        Root::Pod => pod::pod(event),
        Root::Exec => exec::exec(event),
        Root::Rbac => rbac::rbac(event),
        Root::Csr => csr::csr(event),
    }
}

/// The record itself: where it came from and how whole it is.
fn describe(event: &Event) -> View {
    let origin = event.origin();
    let mut fields = Map::new();
    fields.insert("cluster".into(), origin.cluster.as_ref().into());
    fields.insert("envelope".into(), origin.envelope.as_str().into());
    fields.insert("partial".into(), origin.partial.into());
    fields.insert("truncated".into(), event.truncated().into());
    View::known(fields)
}

/// The strings in a value: itself, or a list's members.
fn strings(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(elements) => elements.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod testing {
    use super::*;
    use crate::event::Origin;

    /// An event of an unknown cluster, as the API server writes it.
    pub(super) fn event(document: Value) -> Event {
        let Value::Object(fields) = document else {
            return event(Value::Object(Map::new()));
        };
        Event::from_fields(fields, Origin::default(), std::sync::Arc::default())
    }
}

#[cfg(test)]
mod tests {
    use super::testing::event;
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const ROOTS: [Root; Root::COUNT] = [
        Root::Event,
        Root::Actor,
        Root::Effective,
        Root::Source,
        Root::Agent,
        Root::Outcome,
        Root::Object,
        Root::Deleted,
        Root::Change,
        Root::ChangePod,
        Root::ChangeRbac,
        Root::Pod,
        Root::Exec,
        Root::Rbac,
        Root::Csr,
    ];

    /// Something that is hardly ever what a view expects.
    fn odd_value() -> impl Strategy<Value = Value> {
        let words = [
            "Pod",
            "CertificateSigningRequest",
            "/a/0/-",
            "add",
            "all",
            "-----BEGIN",
            "%zz",
            "",
            "2026-11-20T21:39:58Z",
        ];
        let scalar = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            prop::sample::select(words.to_vec()).prop_map(Value::from),
        ];
        let keys = [
            "kind",
            "metadata",
            "spec",
            "template",
            "containers",
            "volumes",
            "hostPath",
            "path",
            "op",
            "value",
            "name",
            "labels",
            "managedFields",
            "fieldsV1",
            "f:spec",
            "k:{",
            "$patch",
            "rules",
            "subjects",
            "roleRef",
            "request",
            "items",
        ];
        scalar.prop_recursive(6, 40, 5, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(
                    prop::sample::select(keys.to_vec()).prop_map(str::to_owned),
                    inner,
                    0..5
                )
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    fn document(
        verb: &str,
        resource: &str,
        field: &str,
        odd: Value,
        request: &Value,
        response: &Value,
    ) -> Value {
        let mut document = json!({
            "level": "RequestResponse", "stage": "ResponseComplete", "verb": verb, "requestURI": "/api?fieldManager=a",
            "objectRef": {"resource": resource}, "responseStatus": {"code": 200}, "userAgent": "a/b",
            "requestObject": request, "responseObject": response,
        });
        document[field] = odd;
        document
    }

    proptest! {
        #[test]
        fn no_view_panics_whatever_it_meets(
            verb in prop::sample::select(vec!["create", "update", "patch", "delete", "deletecollection", "get"]),
            resource in prop::sample::select(vec!["pods", "cronjobs", "clusterroles", "rolebindings", "certificatesigningrequests", "x"]),
            field in prop::sample::select(vec![
                "user", "impersonatedUser", "sourceIPs", "objectRef", "responseStatus", "annotations", "requestURI", "verb", "userAgent",
                "extra",
            ]),
            odd in odd_value(), request in odd_value(), response in odd_value(),
        ) {
            let event = event(document(verb, resource, field, odd, &request, &response));
            for root in ROOTS {
                let _ = event.view(root);
            }
        }
    }

    #[test]
    fn every_root_has_its_own_place() {
        for (place, root) in ROOTS.into_iter().enumerate() {
            assert_eq!(root as usize, place);
        }
    }
}
