//! The body of a patch: what it touches, and the document that it describes on its own.
//!
//! The audit event does not tell the content type. An array is a JSON Patch; an object is a merge
//! patch, a strategic merge patch or an applied configuration, and all three name what they set.
//! Directives (`$patch`, `$setElementOrder/…`, `$retainKeys`) and deletions (`null`) introduce
//! nothing.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::touched::{Element, Touched};

/// The API server takes no object that nests deeper, so a longer JSON Patch path leads nowhere.
const PATH_SEGMENTS_MAX: usize = 128;

/// Fields that a patch names to say which object it was made for, or that the API server overrules.
const PRECONDITIONS: [&str; 4] = ["resourceVersion", "uid", "generation", "managedFields"];

/// What a patch adds or alters.
pub(super) fn touched(patch: &Value) -> Touched {
    let mut touched = match patch {
        Value::Array(operations) => touched_by_operations(operations),
        Value::Object(fields) => touched_by_merge(fields),
        _ => Touched::default(),
    };
    for field in PRECONDITIONS {
        touched.forget(&["metadata", field]);
    }
    touched
}

/// The patch as a part of the object that it makes; `None` if it sets nothing.
pub(super) fn document(patch: &Value) -> Option<Value> {
    let mut document = match patch {
        Value::Array(operations) => document_of_operations(operations)?,
        Value::Object(fields) => Value::Object(merged(fields)),
        _ => return None,
    };
    if let Some(fields) = document.as_object_mut() {
        forget_preconditions(fields);
    }
    (document != Value::Object(Map::new())).then_some(document)
}

fn forget_preconditions(fields: &mut Map<String, Value>) {
    let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) else {
        return;
    };
    for field in PRECONDITIONS {
        metadata.remove(field);
    }
    if metadata.is_empty() {
        fields.remove("metadata");
    }
}

fn touched_by_merge(fields: &Map<String, Value>) -> Touched {
    let mut touched = Touched::default();
    for (key, value) in fields.iter().filter(|(key, _)| !key.starts_with('$')) {
        let part = match value {
            Value::Null => continue,
            Value::Object(fields) if fields.is_empty() => Touched::everything(),
            Value::Object(fields) if deletes(fields) => continue,
            Value::Object(fields) => touched_by_merge(fields),
            Value::Array(elements) => touched_by_elements(elements),
            _ => Touched::everything(),
        };
        touched.insert(key, part);
    }
    touched
}

fn touched_by_elements(elements: &[Value]) -> Touched {
    let mut touched = Touched::default();
    if elements.is_empty() {
        touched.mark();
    }
    for element in elements {
        if !element.as_object().is_some_and(deletes) {
            touched.push(Element::Like(without_directives(element)));
        }
    }
    touched
}

fn deletes(fields: &Map<String, Value>) -> bool {
    fields.get("$patch").and_then(Value::as_str) == Some("delete")
}

/// The fields without directives and deletions, and without what holds nothing else.
fn merged(fields: &Map<String, Value>) -> Map<String, Value> {
    let mut merged = Map::new();
    for (key, value) in fields.iter().filter(|(key, _)| !key.starts_with('$')) {
        if value.is_null() || value.as_object().is_some_and(deletes) {
            continue;
        }
        let kept = without_directives(value);
        let is_emptied = kept != *value && kept == Value::Object(Map::new());
        if !is_emptied {
            merged.insert(key.clone(), kept);
        }
    }
    merged
}

fn without_directives(value: &Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(merged(fields)),
        Value::Array(elements) => {
            let is_kept = |element: &&Value| {
                !element.as_object().is_some_and(|fields| {
                    deletes(fields) || fields.keys().all(|key| key == "$patch")
                })
            };
            elements
                .iter()
                .filter(is_kept)
                .map(without_directives)
                .collect()
        }
        scalar => scalar.clone(),
    }
}

/// One operation of a JSON Patch that leaves something in the object.
struct Operation<'a> {
    path: Vec<String>,
    /// Unknown if it is copied or moved from elsewhere.
    value: Option<&'a Value>,
}

/// Operations that add, replace, copy or move; `remove` and `test` leave nothing.
fn operations(operations: &[Value]) -> impl Iterator<Item = Operation<'_>> {
    operations.iter().filter_map(|operation| {
        let value = match operation.get("op")?.as_str()? {
            "add" | "replace" => operation.get("value"),
            "copy" | "move" => None,
            _ => return None,
        };
        Some(Operation {
            path: pointer(operation.get("path")?.as_str()?)?,
            value,
        })
    })
}

/// The segments of a JSON pointer.
fn pointer(path: &str) -> Option<Vec<String>> {
    let segments: Vec<_> = path
        .split('/')
        .skip(1)
        .map(|segment| segment.replace("~1", "/").replace("~0", "~"))
        .collect();
    (segments.len() <= PATH_SEGMENTS_MAX).then_some(segments)
}

fn touched_by_operations(patch: &[Value]) -> Touched {
    let shifts = shifts_elements(patch);
    let mut touched = Touched::default();
    for operation in operations(patch) {
        let mut part = &mut touched;
        for (at, segment) in operation.path.iter().enumerate() {
            let value = operation.value.filter(|_| at + 1 == operation.path.len());
            choose_element(part, segment, value, shifts);
            part = part.below(segment);
        }
        part.mark();
    }
    touched
}

/// In case that the segment is a position, chooses the element there.
fn choose_element(part: &mut Touched, segment: &str, value: Option<&Value>, shifts: bool) {
    let position = match segment {
        "-" => Element::Last,
        digits => match digits.parse() {
            Ok(_) if shifts => Element::Each,
            Ok(index) => Element::At(index),
            Err(_) => return,
        },
    };
    match value {
        // The last element is some other one if several are appended.
        Some(value) if segment == "-" => part.push(Element::Like(value.clone())),
        Some(value) => {
            part.push(Element::Like(value.clone()));
            part.push(position);
        }
        None => part.push(position),
    }
}

/// Whether a position in one operation may mean another element once the others are done. A path
/// cannot tell then, and all elements count: else `replace /containers/1/image` followed by `remove
/// /containers/0` would hide an image.
fn shifts_elements(patch: &[Value]) -> bool {
    let effective = patch
        .iter()
        .filter(|operation| operation.get("op").and_then(Value::as_str) != Some("test"))
        .count();
    effective > 1 && patch.iter().any(is_structural)
}

fn is_structural(operation: &Value) -> bool {
    let text = |key| operation.get(key).and_then(Value::as_str);
    let at_position = |path: Option<&str>| {
        path.and_then(|path| path.rsplit('/').next())
            .is_some_and(|last| last.parse::<usize>().is_ok())
    };
    match text("op") {
        Some("add" | "remove" | "copy") => at_position(text("path")),
        Some("move") => at_position(text("path")) || at_position(text("from")),
        _ => false,
    }
}

fn document_of_operations(patch: &[Value]) -> Option<Value> {
    let mut draft = Draft::default();
    for operation in operations(patch) {
        if let Some(value) = operation.value {
            draft.put(&operation.path, value);
        }
    }
    draft.finish()
}

/// An object in the making, of which positions in arrays may be known and what stands between them
/// not.
#[derive(Default)]
struct Draft {
    value: Option<Value>,
    keys: BTreeMap<String, Draft>,
    items: BTreeMap<usize, Draft>,
}

impl Draft {
    fn put(&mut self, path: &[String], value: &Value) {
        let Some((segment, rest)) = path.split_first() else {
            *self = Self {
                value: Some(value.clone()),
                ..Self::default()
            };
            return;
        };
        self.open();
        let child = match segment.parse() {
            Ok(index) => self.item(index, rest.is_empty()),
            Err(_) if segment == "-" => self.item(usize::MAX, true),
            Err(_) => self.keys.entry(segment.clone()).or_default(),
        };
        child.put(rest, value);
    }

    /// The item at a position; a new one behind all others if that is taken and a new one is
    /// wanted.
    fn item(&mut self, index: usize, new: bool) -> &mut Self {
        let next = self
            .items
            .last_key_value()
            .map_or(0, |(last, _)| last.saturating_add(1));
        let taken = index == usize::MAX || (new && self.items.contains_key(&index));
        self.items
            .entry(if taken { next } else { index })
            .or_default()
    }

    /// Takes a value apart that an earlier operation put here as a whole.
    fn open(&mut self) {
        let part = |value| Self {
            value: Some(value),
            ..Self::default()
        };
        match self.value.take() {
            Some(Value::Object(fields)) => self
                .keys
                .extend(fields.into_iter().map(|(key, value)| (key, part(value)))),
            Some(Value::Array(elements)) => self
                .items
                .extend(elements.into_iter().map(part).enumerate()),
            _ => {}
        }
    }

    fn finish(self) -> Option<Value> {
        if self.value.is_some() {
            return self.value;
        }
        if !self.keys.is_empty() {
            let fields: Map<_, _> = self
                .keys
                .into_iter()
                .filter_map(|(key, draft)| Some((key, draft.finish()?)))
                .collect();
            return Some(Value::Object(fields));
        }
        let items: Vec<_> = self.items.into_values().filter_map(Self::finish).collect();
        (!items.is_empty()).then_some(Value::Array(items))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object() -> Value {
        json!({
            "metadata": {"labels": {"a/b": "1", "c": "2"}, "resourceVersion": "7"},
            "spec": {
                "paused": false,
                "containers": [{"name": "a", "image": "i"}, {"name": "b", "image": "evil", "tty": true}],
                "volumes": [{"name": "v"}],
            },
        })
    }

    #[track_caller]
    fn check(patch: &Value, expected: Option<&Value>) {
        assert_eq!(touched(patch).prune(&object()).as_ref(), expected);
    }

    #[test]
    fn merge_patches_name_what_they_set() {
        let patch = json!({
            "metadata": {"resourceVersion": "7", "labels": {"c": "2", "gone": null}},
            "spec": {
                "$setElementOrder/containers": [{"name": "a"}, {"name": "b"}],
                "containers": [{"name": "b", "image": "evil"}, {"$patch": "delete", "name": "a"}],
                "volumes": [{"$patch": "replace"}],
                "paused": null,
            },
        });
        let container = json!({"name": "b", "image": "evil", "tty": true});
        check(
            &patch,
            Some(&json!({"metadata": {"labels": {"c": "2"}}, "spec": {"containers": [container]}})),
        );
        check(&json!({"spec": {"paused": null}}), None);
        check(&json!({"metadata": {"resourceVersion": "7"}}), None);
    }

    #[test]
    fn json_patches_choose_by_path() {
        check(
            &json!([{"op": "replace", "path": "/metadata/labels/a~1b", "value": "1"}]),
            Some(&json!({"metadata": {"labels": {"a/b": "1"}}})),
        );
        let second = json!({"name": "b", "image": "evil", "tty": true});
        check(
            &json!([{"op": "replace", "path": "/spec/containers/1/image", "value": "evil"}]),
            Some(&json!({"spec": {"containers": [second]}})),
        );
        check(
            &json!([{"op": "add", "path": "/spec/containers/-", "value": {"name": "b"}}]),
            Some(&json!({"spec": {"containers": [second]}})),
        );
        check(
            &json!([{"op": "remove", "path": "/spec/containers/1"}, {"op": "test", "path": "/spec", "value": 1}]),
            None,
        );
        check(
            &json!([{"op": "copy", "from": "/x", "path": "/spec/volumes/-"}]),
            Some(&json!({"spec": {"volumes": [{"name": "v"}]}})),
        );
        check(
            &json!([{"op": "replace", "path": "", "value": {}}]),
            Some(&object()),
        );
    }

    #[test]
    fn positions_that_shift_touch_every_element() {
        let hidden = json!([
            {"op": "replace", "path": "/spec/containers/2/image", "value": "evil"},
            {"op": "remove", "path": "/spec/containers/0"},
        ]);
        check(
            &hidden,
            Some(&json!({"spec": {"containers": object()["spec"]["containers"]}})),
        );
    }

    #[test]
    fn a_patch_alone_makes_a_document() {
        let merge = json!({"spec": {"$retainKeys": ["a"], "a": null, "b": [{"name": "x", "y": null}, {"$patch": "replace"}]}});
        assert_eq!(
            document(&merge),
            Some(json!({"spec": {"b": [{"name": "x"}]}}))
        );
        let operations = json!([
            {"op": "add", "path": "/spec/list", "value": [{"name": "x"}]},
            {"op": "add", "path": "/spec/list/-", "value": {"name": "y"}},
            {"op": "replace", "path": "/spec/list/0/image", "value": "i"},
            {"op": "add", "path": "/spec/list/0", "value": {"name": "z"}},
            {"op": "replace", "path": "/other/7/a", "value": 1},
            {"op": "remove", "path": "/gone"},
        ]);
        let list = json!([{"name": "x", "image": "i"}, {"name": "y"}, {"name": "z"}]);
        assert_eq!(
            document(&operations),
            Some(json!({"other": [{"a": 1}], "spec": {"list": list}}))
        );
        let finalizer =
            json!({"metadata": {"resourceVersion": "5", "finalizers": null}, "spec": {"a": null}});
        assert_eq!(document(&finalizer), None);
        assert_eq!(
            document(&json!({"emptyDir": {}})),
            Some(json!({"emptyDir": {}}))
        );
        assert_eq!(document(&json!([])), None);
    }

    #[test]
    fn nonsense_touches_nothing() {
        let deep = "/a".repeat(100_000);
        let patches = [
            json!(null),
            json!("x"),
            json!([1, {"op": 3}, {"op": "add"}, {"op": "add", "path": 1}, {"op": "add", "path": deep, "value": 1}]),
        ];
        for patch in patches {
            assert!(touched(&patch).is_empty());
            assert_eq!(document(&patch), None);
        }
    }
}
