//! The pod that an object runs (`pod`), and the part of it that a request introduced
//! (`change.pod`).
//!
//! A pod's specification is the same wherever it lives: in a pod, in a workload's template, in a
//! cron job's template of a template. Rules should not care, nor in which of three lists a
//! container stands. Both views come from one function over two objects: the touched part, and the
//! whole in which the other half of a mount is looked up.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{Root, View};
use crate::event::Event;

/// The lists of containers, and what a container in them is.
const CONTAINERS: [(&str, &str); 3] = [
    ("containers", "main"),
    ("initContainers", "init"),
    ("ephemeralContainers", "ephemeral"),
];

/// Where a pod lives in its object: the keys down to what has `metadata` and `spec`.
type Place = &'static [&'static str];

const TEMPLATE: Place = &["spec", "template"];
const CRON_TEMPLATE: Place = &["spec", "jobTemplate", "spec", "template"];

const PLACES: [(&str, Place); 9] = [
    ("pods", &[]),
    ("deployments", TEMPLATE),
    ("daemonsets", TEMPLATE),
    ("statefulsets", TEMPLATE),
    ("replicasets", TEMPLATE),
    ("replicationcontrollers", TEMPLATE),
    ("jobs", TEMPLATE),
    ("cronjobs", CRON_TEMPLATE),
    ("podtemplates", &["template"]),
];

pub(super) fn pod(event: &Event) -> View {
    let object = event.view(Root::Object);
    let Some(whole) = &object.value else {
        return without_object(event, object);
    };
    place(event, whole)
        .and_then(|place| pod_at(place, whole, whole))
        .map_or_else(View::absent, View::known)
}

pub(super) fn pod_of_change(event: &Event) -> View {
    let change = event.view(Root::Change);
    let Some(touched) = change.get("object") else {
        return without_object(event, change);
    };
    let whole = event.view(Root::Object).value.as_ref().unwrap_or(touched);
    place(event, whole)
        .and_then(|place| pod_at(place, touched, whole))
        .map_or_else(View::absent, View::known)
}

/// Only a resource that has a pod can hide one.
fn without_object(event: &Event, view: &View) -> View {
    let is_hidden = view.blind.iter().any(|key| matches!(*key, "" | "object"));
    let resource = event.text(&["objectRef", "resource"]);
    if is_hidden && may_have_pod(resource) {
        View::unavailable()
    } else {
        View::absent()
    }
}

pub(super) fn may_have_pod(resource: Option<&str>) -> bool {
    resource.is_none_or(|resource| PLACES.iter().any(|(name, _)| *name == resource))
}

/// Where the pod lives: known for what Kubernetes itself runs, else told by the object's shape.
fn place(event: &Event, whole: &Value) -> Option<Place> {
    let resource = event.text(&["objectRef", "resource"]).unwrap_or_default();
    if let Some((_, place)) = PLACES.iter().find(|(name, _)| *name == resource) {
        return Some(place);
    }
    let has_containers = |place: &Place| {
        walk(whole, place)
            .and_then(|pod| pod.get("spec")?.get("containers"))
            .is_some_and(Value::is_array)
    };
    [TEMPLATE, CRON_TEMPLATE].into_iter().find(has_containers)
}

fn walk(object: &Value, place: Place) -> Option<&Value> {
    place.iter().try_fold(object, |value, key| value.get(key))
}

/// The view over the `touched` part of the pod; `None` if no part of it is there.
fn pod_at(place: Place, touched: &Value, whole: &Value) -> Option<Map<String, Value>> {
    let touched = walk(touched, place)?;
    let metadata = touched
        .get("metadata")
        .filter(|metadata| metadata.is_object());
    let spec = touched.get("spec").and_then(Value::as_object);
    if metadata.is_none() && spec.is_none() {
        return None;
    }
    let empty = Map::new();
    let spec = spec.unwrap_or(&empty);
    let whole_spec = walk(whole, place)
        .and_then(|pod| pod.get("spec"))
        .and_then(Value::as_object)
        .unwrap_or(spec);
    let mut pod: Map<_, _> = spec
        .iter()
        .filter(|(key, _)| !is_container_list(key))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    pod.insert("containers".into(), containers(spec).map(typed).collect());
    pod.insert("host_mounts".into(), host_mounts(spec, whole_spec).into());
    if let Some(metadata) = metadata {
        pod.insert("template".into(), metadata.clone());
    }
    Some(pod)
}

fn is_container_list(key: &str) -> bool {
    CONTAINERS.iter().any(|(list, _)| *list == key)
}

/// Every container, with what it is.
fn containers(
    spec: &Map<String, Value>,
) -> impl Iterator<Item = (&Map<String, Value>, &'static str)> {
    CONTAINERS.into_iter().flat_map(move |(list, kind)| {
        let elements = spec
            .get(list)
            .and_then(Value::as_array)
            .map(Vec::as_slice)
            .unwrap_or_default();
        elements
            .iter()
            .filter_map(Value::as_object)
            .map(move |container| (container, kind))
    })
}

fn typed((container, kind): (&Map<String, Value>, &'static str)) -> Value {
    let mut container = container.clone();
    container.insert("type".into(), kind.into());
    Value::Object(container)
}

/// One entry per host path and container that mounts it, if the volume or the container was
/// touched.
fn host_mounts(touched: &Map<String, Value>, whole: &Map<String, Value>) -> Vec<Value> {
    let touched_volumes: BTreeSet<_> = volumes(touched).map(|(name, _)| name).collect();
    let touched_containers: BTreeSet<_> = containers(touched)
        .map(|(container, _)| text(container, "name"))
        .collect();
    let users = users_of_volumes(whole);
    let mut mounts = Vec::new();
    for (volume, path) in
        volumes(whole).filter_map(|(name, volume)| Some((name, host_path(volume)?)))
    {
        let users = users.get(volume).map(Vec::as_slice).unwrap_or_default();
        let is_touched = touched_volumes.contains(volume);
        if users.is_empty() && is_touched {
            mounts.push(mount(volume, &path, None));
        }
        for user in users
            .iter()
            .filter(|(container, _)| is_touched || touched_containers.contains(container))
        {
            mounts.push(mount(volume, &path, Some(*user)));
        }
    }
    mounts
}

fn volumes(spec: &Map<String, Value>) -> impl Iterator<Item = (&str, &Map<String, Value>)> {
    let elements = spec
        .get("volumes")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    elements
        .iter()
        .filter_map(Value::as_object)
        .map(|volume| (text(volume, "name"), volume))
}

fn host_path(volume: &Map<String, Value>) -> Option<String> {
    volume
        .get("hostPath")?
        .get("path")?
        .as_str()
        .map(normalised)
}

/// Which containers mount a volume, and whether read-only.
fn users_of_volumes(spec: &Map<String, Value>) -> BTreeMap<&str, Vec<(&str, bool)>> {
    let mut users: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (container, _) in containers(spec) {
        let mounts = container
            .get("volumeMounts")
            .and_then(Value::as_array)
            .map(Vec::as_slice)
            .unwrap_or_default();
        for mount in mounts.iter().filter_map(Value::as_object) {
            let read_only = mount
                .get("readOnly")
                .and_then(Value::as_bool)
                .unwrap_or(false);
            users
                .entry(text(mount, "name"))
                .or_default()
                .push((text(container, "name"), read_only));
        }
    }
    users
}

fn mount(volume: &str, path: &str, user: Option<(&str, bool)>) -> Value {
    let mut mount = Map::new();
    mount.insert("path".into(), path.into());
    mount.insert("volume".into(), volume.into());
    if let Some((container, read_only)) = user {
        mount.insert("container".into(), container.into());
        mount.insert("read_only".into(), read_only.into());
    }
    Value::Object(mount)
}

fn text<'a>(fields: &'a Map<String, Value>, key: &str) -> &'a str {
    fields.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// An absolute path without detours. `/var/run` is `/run` on every distribution that runs a
/// kubelet.
fn normalised(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
        if parts == ["var", "run"] {
            parts.remove(0);
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::super::testing::event;
    use super::*;
    use serde_json::json;

    #[test]
    fn host_paths_without_detours() {
        let paths = [
            ("/", "/"),
            ("//etc/./kubernetes/", "/etc/kubernetes"),
            ("/data/../etc", "/etc"),
            ("/../..", "/"),
            ("/var/run/docker.sock", "/run/docker.sock"),
            ("/var//./run/", "/run"),
            ("/var/lib/../run/x", "/run/x"),
            ("/var/running", "/var/running"),
            ("etc", "/etc"),
            ("/x/var/run", "/x/var/run"),
        ];
        for (path, expected) in paths {
            assert_eq!(normalised(path), expected, "{path}");
        }
    }

    fn spec() -> Value {
        json!({
            "hostNetwork": true,
            "containers": [
                {"name": "a", "volumeMounts": [{"name": "root", "mountPath": "/h", "readOnly": true}, {"name": "tmp"}]},
                {"name": "b"},
            ],
            "initContainers": [{"name": "i", "volumeMounts": [{"name": "root", "mountPath": "/h"}]}],
            "volumes": [{"name": "root", "hostPath": {"path": "/etc//"}}, {"name": "tmp", "emptyDir": {}}, {"name": "idle", "hostPath": {"path": "/run"}}],
        })
    }

    fn write(verb: &str, resource: &str, code: u16, request: &Value, response: &Value) -> Event {
        event(json!({
            "level": "RequestResponse", "verb": verb, "objectRef": {"resource": resource}, "responseStatus": {"code": code},
            "requestObject": request, "responseObject": response,
        }))
    }

    #[test]
    fn a_pod_is_found_wherever_it_lives() {
        let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": spec()});
        let objects = [
            (
                "pods",
                json!({"kind": "Pod", "metadata": {"labels": {"a": "b"}}, "spec": spec()}),
            ),
            (
                "deployments",
                json!({"kind": "Deployment", "spec": {"template": template}}),
            ),
            (
                "cronjobs",
                json!({"kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": template}}}}),
            ),
            (
                "podtemplates",
                json!({"kind": "PodTemplate", "template": template}),
            ),
            (
                "rollouts",
                json!({"kind": "Rollout", "spec": {"template": template}}),
            ),
        ];
        for (resource, object) in objects {
            let view = pod(&write("create", resource, 201, &object, &object));
            let names: Vec<_> = view
                .get("containers")
                .unwrap()
                .as_array()
                .unwrap()
                .iter()
                .map(|c| (c["name"].clone(), c["type"].clone()))
                .collect();
            assert_eq!(
                json!(names),
                json!([["a", "main"], ["b", "main"], ["i", "init"]]),
                "{resource}"
            );
            assert_eq!(view.get("template").unwrap()["labels"], json!({"a": "b"}));
            assert!(view.flag("hostNetwork"));
        }
        assert_eq!(
            pod(&write(
                "create",
                "services",
                201,
                &json!({"kind": "Service", "spec": {}}),
                &json!(null)
            )),
            View::absent()
        );
    }

    #[test]
    fn one_mount_per_volume_and_container() {
        let object = json!({"kind": "Pod", "spec": spec()});
        let view = pod(&write("create", "pods", 201, &object, &object));
        let expected = json!([
            {"path": "/etc", "volume": "root", "container": "a", "read_only": true},
            {"path": "/etc", "volume": "root", "container": "i", "read_only": false},
            {"path": "/run", "volume": "idle"},
        ]);
        assert_eq!(view.get("host_mounts"), Some(&expected));
    }

    #[test]
    fn a_change_shows_the_other_half_of_a_touched_mount() {
        let object = json!({"kind": "Pod", "spec": spec()});
        let patched = |patch: Value| pod_of_change(&write("patch", "pods", 200, &patch, &object));
        let container = patched(json!({"spec": {"initContainers": [{"name": "i", "image": "x"}]}}));
        assert_eq!(
            container.get("host_mounts"),
            Some(
                &json!([{"path": "/etc", "volume": "root", "container": "i", "read_only": false}])
            )
        );
        assert_eq!(container.get("hostNetwork"), None);
        let volume = patched(
            json!({"spec": {"volumes": [{"name": "root", "hostPath": {"path": "/etc//"}}]}}),
        );
        assert_eq!(
            volume.get("host_mounts").unwrap().as_array().unwrap().len(),
            2
        );
        assert_eq!(volume.get("containers"), Some(&json!([])));
        assert_eq!(patched(json!({"status": {"phase": "x"}})), View::absent());
        assert!(
            patched(json!({"metadata": {"labels": null}}))
                .value
                .is_none()
        );
    }

    #[test]
    fn only_resources_with_a_pod_can_hide_one() {
        let hidden = |resource: &str| {
            event(
                json!({"level": "Metadata", "verb": "create", "objectRef": {"resource": resource}}),
            )
        };
        assert_eq!(pod(&hidden("deployments")), View::unavailable());
        assert_eq!(pod_of_change(&hidden("deployments")), View::unavailable());
        assert_eq!(pod(&hidden("secrets")), View::absent());
    }
}
