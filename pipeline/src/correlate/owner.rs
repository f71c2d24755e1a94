//! What a request acted on, and who owns it.
//!
//! The owner at the top of the chain is found from the object alone (`ownerReferences`, the pod-template hash, the name of a
//! cron job's job), not from events seen before: so it does not depend on the order of input, nor on how much was seen.

use detections::event::Event;
use detections::views::Root;
use serde_json::Value;

use crate::alert::ObjectRef;

/// Characters of Kubernetes' random suffixes (`k8s.io/apimachinery/pkg/util/rand`): no vowels, no 0, 1 or 3, so that no
/// words arise.
const RANDOM: &str = "bcdfghjklmnpqrstvwxz2456789";

/// The object that a request acted on.
#[must_use]
pub fn object_of(event: &Event) -> ObjectRef {
    let metadata = event.view(Root::Object).get("metadata");
    let told = |key: &str| metadata?.get(key)?.as_str().map(ToOwned::to_owned);
    let mut object = referenced(event);
    let exec = event.view(Root::Exec);
    // Behind the kubelet's endpoints stands a pod.
    if exec.text("via") == Some("kubelet") {
        "pods".clone_into(&mut object.resource);
        object.namespace = exec.text("namespace").map(ToOwned::to_owned);
        object.name = exec.text("pod").map(ToOwned::to_owned);
    } else {
        object.name = object.name.or_else(|| told("name"));
    }
    object.uid = object.uid.or_else(|| told("uid"));
    object
}

/// The same as far as the reference tells, which parses no body: for a line about one event of many.
#[must_use]
pub fn object_in_reference(event: &Event) -> ObjectRef {
    if event.view(Root::Exec).text("via") == Some("kubelet") {
        return object_of(event);
    }
    let mut object = referenced(event);
    // A new object may have its name from the API server.
    if object.name.is_none() && event.text(&["verb"]) == Some("create") {
        let told = |body| event.glance(body, &["metadata", "name"]);
        object.name = told("responseObject").or_else(|| told("requestObject"));
    }
    object
}

fn referenced(event: &Event) -> ObjectRef {
    let text = |key: &str| {
        event
            .text(&["objectRef", key])
            .filter(|text| !text.is_empty())
            .map(ToOwned::to_owned)
    };
    ObjectRef {
        resource: text("resource").unwrap_or_else(|| path_of(event)),
        subresource: text("subresource"),
        group: text("apiGroup").unwrap_or_default(),
        version: text("apiVersion"),
        namespace: text("namespace"),
        name: text("name"),
        uid: text("uid"),
    }
}

/// A request for no resource is named by its path.
fn path_of(event: &Event) -> String {
    let uri = event.text(&["requestURI"]).unwrap_or_default();
    uri.split('?').next().unwrap_or_default().to_owned()
}

/// The owner at the top of the chain of what a request acted on.
#[must_use]
pub fn root_of(event: &Event, object: &ObjectRef) -> ObjectRef {
    // Events are records, not things: their deletion is one act per namespace.
    if object.resource == "events" {
        return ObjectRef {
            name: None,
            uid: None,
            version: None,
            ..object.clone()
        };
    }
    if let Some(owner) = owner_reference(event) {
        return top_of(owner, event, object);
    }
    if object.resource == "pods"
        && let Some(name) = object.name.as_deref().and_then(deployment_of_pod)
    {
        return workload("deployments", "apps", name, object);
    }
    ObjectRef {
        subresource: None,
        version: None,
        uid: None,
        ..object.clone()
    }
}

/// A controller's owner reference: kind and name.
fn owner_reference(event: &Event) -> Option<(&str, &str)> {
    let owners = event
        .view(Root::Object)
        .get("metadata")?
        .get("ownerReferences")?
        .as_array()?;
    let is_controller = |owner: &&Value| {
        owner
            .get("controller")
            .and_then(Value::as_bool)
            .unwrap_or(false)
    };
    let owner = owners
        .iter()
        .find(is_controller)
        .or_else(|| owners.first())?;
    Some((owner.get("kind")?.as_str()?, owner.get("name")?.as_str()?))
}

fn top_of((kind, name): (&str, &str), event: &Event, object: &ObjectRef) -> ObjectRef {
    match kind {
        "ReplicaSet" => match deployment_of_replica_set(name, event) {
            Some(deployment) => workload("deployments", "apps", deployment, object),
            None => workload("replicasets", "apps", name, object),
        },
        "Job" => match cron_job_of_job(name) {
            Some(cron_job) => workload("cronjobs", "batch", cron_job, object),
            None => workload("jobs", "batch", name, object),
        },
        "CronJob" => workload("cronjobs", "batch", name, object),
        "Deployment" | "DaemonSet" | "StatefulSet" => {
            workload(&format!("{}s", kind.to_lowercase()), "apps", name, object)
        }
        "ReplicationController" => workload("replicationcontrollers", "", name, object),
        // A mirror pod's node, a custom resource's object: the owner is named by its kind.
        other => workload(&format!("{}s", other.to_lowercase()), "", name, object),
    }
}

fn workload(resource: &str, group: &str, name: &str, object: &ObjectRef) -> ObjectRef {
    ObjectRef {
        resource: resource.to_owned(),
        subresource: None,
        group: group.to_owned(),
        version: None,
        namespace: object.namespace.clone(),
        name: Some(name.to_owned()),
        uid: None,
    }
}

/// The pod-template hash stands as a label on whatever a Deployment's replica set made, and ends the replica set's name.
fn deployment_of_replica_set<'a>(name: &'a str, event: &Event) -> Option<&'a str> {
    let labels = event.view(Root::Object).get("metadata")?.get("labels")?;
    let hash = labels.get("pod-template-hash")?.as_str()?;
    name.strip_suffix(hash)?.strip_suffix('-')
}

/// `app-5f747f55d9-8dxbt` is a pod of the Deployment `app`, as far as its name tells.
fn deployment_of_pod(name: &str) -> Option<&str> {
    let (rest, suffix) = name.rsplit_once('-')?;
    let (deployment, hash) = rest.rsplit_once('-')?;
    let random = |text: &str| text.chars().all(|c| RANDOM.contains(c));
    (suffix.len() == 5 && random(suffix) && (8..=10).contains(&hash.len()) && random(hash))
        .then_some(deployment)
}

/// A pod's name, and the names of what it may be a pod of, as far as its name tells.
pub(crate) fn workloads_of(pod: &str) -> Vec<&str> {
    let mut names = vec![pod];
    if let Some((owner, suffix)) = pod.rsplit_once('-') {
        let is_random = suffix.len() == 5 && suffix.chars().all(|c| RANDOM.contains(c));
        let is_number = !suffix.is_empty() && suffix.bytes().all(|byte| byte.is_ascii_digit());
        if is_random || is_number {
            names.push(owner);
            names.extend(cron_job_of_job(owner).filter(|_| is_random));
        }
    }
    names.extend(deployment_of_pod(pod));
    names
}

/// A cron job names its jobs after the minute they were due: eight digits and more.
fn cron_job_of_job(name: &str) -> Option<&str> {
    let (cron_job, minutes) = name.rsplit_once('-')?;
    (minutes.len() >= 8 && minutes.bytes().all(|byte| byte.is_ascii_digit())).then_some(cron_job)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_owners_only_when_they_have_the_form() {
        assert_eq!(deployment_of_pod("app-00-5f747f55d9-8dxbt"), Some("app-00"));
        assert_eq!(deployment_of_pod("fe-debug"), None);
        assert_eq!(deployment_of_pod("my-great-tools"), None);
        let deployment = ["app-5f747f55d9-8dxbt", "app-5f747f55d9", "app"];
        assert_eq!(workloads_of("app-5f747f55d9-8dxbt"), deployment);
        assert_eq!(workloads_of("fe-debug"), ["fe-debug"]);
        assert_eq!(workloads_of("db-0"), ["db-0", "db"]);
        assert_eq!(cron_job_of_job("report-29333160"), Some("report"));
        assert_eq!(cron_job_of_job("report-2026"), None);
    }
}
