//! Which parts of an object a request touched, and the object pruned to them.
//!
//! A tree of names is laid over the object. An element of an array that is touched at all is kept
//! as a whole, because a rule about a container or an RBAC rule needs the element's other fields to
//! judge it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// How many comparisons one pruning may spend on finding array elements. Objects that people write
/// need some hundreds; beyond it every further element counts as touched, so that a crafted body
/// costs neither minutes nor an alert.
const COMPARISONS_MAX: usize = 200_000;

/// Fields by which an element of an array is known to strategic merge, most telling first.
const MERGE_KEYS: [&str; 10] = [
    "name",
    "mountPath",
    "devicePath",
    "containerPort",
    "port",
    "uid",
    "ip",
    "type",
    "key",
    "topologyKey",
];

/// A part of an object.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Touched {
    all: bool,
    keys: BTreeMap<String, Touched>,
    elements: Vec<Element>,
}

/// A choice among the elements of an array.
#[derive(Debug, PartialEq)]
pub(super) enum Element {
    /// Every element that has at least these fields, else those with the same merge key.
    Like(Value),
    /// The element at this position.
    At(usize),
    /// The last element.
    Last,
    /// All elements; on an object, unlike [`Touched::everything`], nothing.
    Each,
}

impl Touched {
    /// The whole value.
    pub(super) fn everything() -> Self {
        Self {
            all: true,
            ..Self::default()
        }
    }

    /// Nothing is touched.
    pub(super) fn is_empty(&self) -> bool {
        !self.all && self.keys.is_empty() && self.elements.is_empty()
    }

    /// The part below a key, to be filled.
    pub(super) fn below(&mut self, key: &str) -> &mut Self {
        self.keys.entry(key.to_owned()).or_default()
    }

    /// Touches the whole value.
    pub(super) fn mark(&mut self) {
        self.all = true;
    }

    /// Touches what is below a key, unless that is nothing.
    pub(super) fn insert(&mut self, key: &str, part: Self) {
        if !part.is_empty() {
            self.keys.insert(key.to_owned(), part);
        }
    }

    /// Touches elements of an array.
    pub(super) fn push(&mut self, element: Element) {
        self.elements.push(element);
    }

    /// Forgets a path of keys.
    pub(super) fn forget(&mut self, path: &[&str]) {
        match path {
            [] => {}
            [key] => drop(self.keys.remove(*key)),
            [key, rest @ ..] => {
                if let Some(child) = self.keys.get_mut(*key) {
                    child.forget(rest);
                }
            }
        }
    }

    /// Adds what the `fieldsV1` of an entry of `managedFields` owns.
    pub(super) fn merge_fields_v1(&mut self, fields: &Value) {
        let Some(fields) = fields.as_object() else {
            return;
        };
        self.all |= fields.is_empty();
        for (key, below) in fields {
            match key.split_once(':') {
                Some(("f", name)) => self.below(name).merge_fields_v1(below),
                Some(("k" | "v", json)) => self
                    .elements
                    .extend(serde_json::from_str(json).map(Element::Like)),
                Some(("i", index)) => self.elements.extend(index.parse().map(Element::At)),
                // `.` says that the container itself is owned, not what is in it.
                _ => {}
            }
        }
    }

    /// The touched part of a value; `None` if nothing of it is touched.
    pub(super) fn prune(&self, value: &Value) -> Option<Value> {
        self.prune_within(value, &mut Budget(COMPARISONS_MAX))
    }

    fn prune_within(&self, value: &Value, budget: &mut Budget) -> Option<Value> {
        if self.all {
            return Some(value.clone());
        }
        match value {
            Value::Object(fields) => {
                let part = |(key, child): (&String, &Self)| {
                    Some((key.clone(), child.prune_within(fields.get(key)?, budget)?))
                };
                let kept: Map<_, _> = self.keys.iter().filter_map(part).collect();
                (!kept.is_empty()).then_some(Value::Object(kept))
            }
            Value::Array(elements) => {
                let mut kept = vec![false; elements.len()];
                for element in &self.elements {
                    element.choose(elements, &mut kept, budget);
                }
                let kept: Vec<_> = elements
                    .iter()
                    .zip(kept)
                    .filter(|(_, kept)| *kept)
                    .map(|(value, _)| value.clone())
                    .collect();
                (!kept.is_empty()).then_some(Value::Array(kept))
            }
            _ => None,
        }
    }
}

impl Element {
    fn choose(&self, elements: &[Value], kept: &mut [bool], budget: &mut Budget) {
        match self {
            _ if budget.is_spent() => kept.fill(true),
            Self::Each => kept.fill(true),
            Self::At(index) => kept
                .get_mut(*index)
                .into_iter()
                .for_each(|kept| *kept = true),
            Self::Last => kept.last_mut().into_iter().for_each(|kept| *kept = true),
            Self::Like(pattern) => choose_like(pattern, elements, kept, budget),
        }
    }
}

fn choose_like(pattern: &Value, elements: &[Value], kept: &mut [bool], budget: &mut Budget) {
    // An element without fields is part of every other one.
    if pattern
        .as_object()
        .is_some_and(|fields| fields.values().all(Value::is_null))
    {
        return;
    }
    let mut found = false;
    for (element, kept) in elements.iter().zip(&mut *kept) {
        if is_part(pattern, element, budget) {
            *kept = true;
            found = true;
        }
    }
    // Admission or defaulting may have rewritten a field; the merge key stays.
    let Some(key) = MERGE_KEYS
        .into_iter()
        .find(|key| pattern.get(key).is_some())
        .filter(|_| !found)
    else {
        return;
    };
    for (element, kept) in elements.iter().zip(kept) {
        *kept |= !budget.spend() || element.get(key) == pattern.get(key);
    }
}

/// Whether everything that a merge patch's `pattern` says is true of `value`.
fn is_part(pattern: &Value, value: &Value, budget: &mut Budget) -> bool {
    if !budget.spend() {
        return true;
    }
    match (pattern, value) {
        (Value::Object(pattern), Value::Object(value)) => pattern.iter().all(|(key, part)| {
            part.is_null()
                || key.starts_with('$')
                || value
                    .get(key)
                    .is_some_and(|value| is_part(part, value, budget))
        }),
        (Value::Array(pattern), Value::Array(value)) => pattern
            .iter()
            .all(|part| value.iter().any(|value| is_part(part, value, budget))),
        _ => pattern == value,
    }
}

/// How many comparisons are left.
struct Budget(usize);

impl Budget {
    fn is_spent(&self) -> bool {
        self.0 == 0
    }

    fn spend(&mut self) -> bool {
        self.0 = self.0.saturating_sub(1);
        !self.is_spent()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(fields: &Value, expected: Option<&Value>) {
        let object = json!({
            "metadata": {"labels": {"a": "1", "b": "2"}, "finalizers": ["x", "y"]},
            "spec": {
                "replicas": 1,
                "containers": [{"name": "a", "image": "i", "ports": [{"containerPort": 80}]}, {"name": "b", "args": ["z"]}],
            },
        });
        let mut touched = Touched::default();
        touched.merge_fields_v1(fields);
        assert_eq!(touched.prune(&object).as_ref(), expected);
    }

    #[test]
    fn managed_fields_choose_keys_and_elements() {
        check(
            &json!({"f:metadata": {"f:labels": {".": {}, "f:b": {}}}}),
            Some(&json!({"metadata": {"labels": {"b": "2"}}})),
        );
        let container =
            json!({"f:spec": {"f:containers": {"k:{\"name\":\"b\"}": {".": {}, "f:args": {}}}}});
        check(
            &container,
            Some(&json!({"spec": {"containers": [{"name": "b", "args": ["z"]}]}})),
        );
        check(
            &json!({"f:metadata": {"f:finalizers": {"v:\"y\"": {}}}}),
            Some(&json!({"metadata": {"finalizers": ["y"]}})),
        );
        check(
            &json!({"f:metadata": {"f:finalizers": {"i:0": {}}}}),
            Some(&json!({"metadata": {"finalizers": ["x"]}})),
        );
        check(
            &json!({"f:spec": {"f:replicas": {}}}),
            Some(&json!({"spec": {"replicas": 1}})),
        );
    }

    #[test]
    fn what_is_not_there_is_not_kept() {
        check(&json!({"f:status": {"f:phase": {}}}), None);
        check(
            &json!({"f:spec": {"f:containers": {"k:{\"name\":\"c\"}": {}, "k:nonsense": {}, "i:9": {}}}}),
            None,
        );
        for wrong in [
            json!(null),
            json!([1]),
            json!("f:spec"),
            json!({"f:spec": 3}),
        ] {
            check(&wrong, None);
        }
    }

    #[test]
    fn elements_are_found_by_all_they_say_else_by_their_merge_key() {
        let subjects = json!([{"kind": "User", "name": "x", "apiGroup": "g"}, {"kind": "Group", "name": "x", "apiGroup": "g"}]);
        let mut touched = Touched::default();
        touched.push(Element::Like(json!({"kind": "Group", "name": "x"})));
        assert_eq!(touched.prune(&subjects), Some(json!([subjects[1]])));
        let mut touched = Touched::default();
        touched.push(Element::Like(json!({"name": "x", "cpu": "1000m"})));
        assert_eq!(
            touched.prune(&json!([{"name": "x", "cpu": "1"}])),
            Some(json!([{"name": "x", "cpu": "1"}]))
        );
        let mut touched = Touched::default();
        touched.push(Element::Like(json!({})));
        assert_eq!(touched.prune(&subjects), None);
    }

    #[test]
    fn a_crafted_body_is_kept_whole_instead_of_costing_minutes() {
        let many: Vec<_> = (0..20_000).map(Value::from).collect();
        let mut touched = Touched::default();
        (20_000..40_000).for_each(|number| touched.push(Element::Like(number.into())));
        assert_eq!(
            touched.prune(&Value::from(many.clone())),
            Some(Value::from(many))
        );
    }
}
