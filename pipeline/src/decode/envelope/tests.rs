//! GKE entries, field by field; the other envelopes are tested through the decoder.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::decode::{Decoder, Item};

/// The event that an entry becomes, with its cluster and whether it is partial.
fn event(entry: &Value) -> (Value, String, bool) {
    let text = entry.to_string();
    let mut decoder = Decoder::new(text.as_bytes(), Arc::from("default"));
    match decoder.next().unwrap() {
        Some(Item::Event(event)) => {
            assert_eq!(event.origin.envelope.as_str(), "gke");
            (
                serde_json::from_slice(event.bytes).unwrap(),
                event.origin.cluster.to_string(),
                event.origin.partial,
            )
        }
        other => panic!("{other:?}"),
    }
}

fn rejected(entry: &Value) -> &'static str {
    let text = entry.to_string();
    match Decoder::new(text.as_bytes(), Arc::from("default"))
        .next()
        .unwrap()
    {
        Some(Item::Rejected(rejected)) => rejected.reason.as_str(),
        other => panic!("{other:?}"),
    }
}

fn entry() -> Value {
    json!({
        "insertId": "insert-1",
        "labels": {
            "authorization.k8s.io/decision": "allow",
            "authorization.k8s.io/reason": "RBAC: allowed by ClusterRoleBinding \"a\" of ClusterRole \"b\" to User \"c\""
        },
        "logName": "projects/p/logs/cloudaudit.googleapis.com%2Factivity",
        "operation": {"id": "operation-1", "first": true, "last": true, "producer": "k8s.io"},
        "protoPayload": {
            "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
            "authenticationInfo": {"principalEmail": "dev@example.com"},
            "authorizationInfo": [{"granted": true, "permission": "io.k8s.core.v1.pods.create"}],
            "methodName": "io.k8s.core.v1.pods.create",
            "request": {"@type": "core.k8s.io/v1.Pod", "kind": "Pod", "spec": {"hostPID": true}},
            "requestMetadata": {"callerIp": "10.1.2.3", "callerSuppliedUserAgent": "kubectl/v1.34"},
            "resourceName": "core/v1/namespaces/web/pods/fe",
            "response": {"kind": "Pod", "metadata": {"uid": "u"}},
            "serviceName": "k8s.io",
            "status": {"code": 0}
        },
        "receiveTimestamp": "2026-01-01T00:00:05Z",
        "resource": {"type": "k8s_cluster", "labels": {"cluster_name": "c1", "location": "europe-west1"}},
        "timestamp": "2026-01-01T00:00:01.5Z"
    })
}

#[test]
fn an_entry_becomes_a_native_event() {
    let (found, cluster, partial) = event(&entry());
    assert_eq!((cluster.as_str(), partial), ("c1", false));
    let expected = json!({
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "RequestResponse",
        "auditID": "operation-1",
        "stage": "ResponseComplete",
        "requestURI": "/api/v1/namespaces/web/pods",
        "verb": "create",
        "user": {"username": "dev@example.com"},
        "sourceIPs": ["10.1.2.3"],
        "userAgent": "kubectl/v1.34",
        "objectRef": {"resource": "pods", "namespace": "web", "name": "fe", "apiVersion": "v1"},
        "responseStatus": {"code": 201},
        "requestObject": entry()["protoPayload"]["request"],
        "responseObject": entry()["protoPayload"]["response"],
        "requestReceivedTimestamp": "2026-01-01T00:00:01.5Z",
        "stageTimestamp": "2026-01-01T00:00:01.5Z",
        "annotations": entry()["labels"],
    });
    assert_eq!(found, expected);
}

#[test]
fn codes_become_http_statuses() {
    let status = |verb: &str, status: Value| {
        let mut entry = entry();
        entry["protoPayload"]["methodName"] = json!(format!("io.k8s.core.v1.pods.{verb}"));
        entry["protoPayload"]["status"] = status;
        event(&entry).0["responseStatus"].clone()
    };
    assert_eq!(status("get", json!({})), json!({"code": 200}));
    assert_eq!(status("create", json!({})), json!({"code": 201}));
    assert_eq!(
        status("get", json!({"code": 7, "message": "no"})),
        json!({"message": "no", "code": 403})
    );
    for (grpc, http) in [
        (3, 400),
        (4, 504),
        (5, 404),
        (6, 409),
        (8, 429),
        (9, 400),
        (10, 409),
        (13, 500),
        (14, 503),
        (16, 401),
    ] {
        assert_eq!(
            status("get", json!({"code": grpc}))["code"],
            http,
            "gRPC {grpc}"
        );
    }
    assert_eq!(
        status("get", json!({"code": "x", "message": "no"})),
        json!({"message": "no"})
    );
    assert_eq!(
        status("get", Value::Null),
        json!({"code": 200}),
        "an answer without a status is a success"
    );
}

#[test]
fn a_status_as_response_says_more_than_the_code() {
    let mut entry = entry();
    let status =
        json!({"kind": "Status", "status": "Failure", "reason": "AlreadyExists", "code": 409});
    entry["protoPayload"]["response"] = status.clone();
    entry["protoPayload"]["status"] = json!({"code": 10});
    let (found, _, _) = event(&entry);
    assert_eq!(
        (&found["responseStatus"], &found["responseObject"]),
        (&status, &status)
    );
    entry["protoPayload"]["response"] = json!({"status": "Failure"});
    entry["protoPayload"]["status"] = json!({});
    assert_eq!(
        event(&entry).0["responseStatus"],
        json!({"status": "Failure"}),
        "failed, nobody knows how"
    );
}

#[test]
fn without_status_and_answer_the_outcome_is_unknown_unless_it_was_refused() {
    let mut entry = entry();
    let payload = entry["protoPayload"].as_object_mut().unwrap();
    payload.remove("status");
    payload.remove("response");
    assert_eq!(event(&entry).0["responseStatus"], Value::Null);
    entry["protoPayload"]["authorizationInfo"][0]["granted"] = json!(false);
    entry.as_object_mut().unwrap().remove("labels");
    let (found, _, _) = event(&entry);
    assert_eq!(found["responseStatus"], json!({"code": 403}));
    assert_eq!(
        found["annotations"],
        json!({"authorization.k8s.io/decision": "forbid"})
    );
    assert_eq!(found["level"], "Request");
}

#[test]
fn operations_are_stages() {
    let mut entry = entry();
    entry["operation"] = json!({"id": "operation-1", "first": true});
    assert_eq!(event(&entry).0["stage"], "ResponseStarted");
    entry["operation"] = json!({"id": "operation-1", "last": true});
    assert_eq!(event(&entry).0["stage"], "ResponseComplete");
    entry["operation"] = json!({});
    let (found, _, _) = event(&entry);
    assert_eq!(
        (&found["stage"], &found["auditID"]),
        (&json!("ResponseComplete"), &json!("insert-1"))
    );
}

#[test]
fn times_come_from_where_they_are_told_best() {
    let mut entry = entry();
    entry["protoPayload"]["requestMetadata"]["requestAttributes"] =
        json!({"time": "2026-01-01T00:00:01.25Z"});
    let (found, _, _) = event(&entry);
    assert_eq!(found["requestReceivedTimestamp"], "2026-01-01T00:00:01.25Z");
    assert_eq!(found["stageTimestamp"], "2026-01-01T00:00:01.5Z");
    entry.as_object_mut().unwrap().remove("timestamp");
    assert_eq!(event(&entry).0["stageTimestamp"], "2026-01-01T00:00:05Z");
}

#[test]
fn dry_runs_and_split_entries() {
    let mut entry = entry();
    entry["labels"]["command.gke.io/dryRun"] = json!("All");
    entry["split"] = json!({"uid": "1", "index": 0, "totalSplits": 2});
    let (found, _, partial) = event(&entry);
    assert_eq!(
        found["requestURI"],
        "/api/v1/namespaces/web/pods?dryRun=All"
    );
    assert!(partial);
}

#[test]
fn other_services_are_refused() {
    let mut other = entry();
    other["protoPayload"]["serviceName"] = json!("container.googleapis.com");
    assert_eq!(rejected(&other), "gke_other_service");
    assert_eq!(
        rejected(&json!({"protoPayload": {"serviceName": "k8s.io"}})),
        "empty"
    );
    assert_eq!(rejected(&json!({"protoPayload": {}})), "not_an_audit_event");
    assert_eq!(
        rejected(&json!({"protoPayload": null})),
        "not_an_audit_event"
    );
    assert_eq!(
        rejected(&json!({"protoPayload": {"methodName": "compute.instances.list"}})),
        "gke_other_service"
    );
}

#[test]
fn a_cut_entry_is_salvaged_from_its_method_on() {
    let text = entry().to_string();
    for end in 1..text.len() {
        let mut decoder = Decoder::new(&text.as_bytes()[..end], Arc::from("default"));
        let item = decoder.next().unwrap().unwrap();
        match item {
            Item::Event(event) => {
                assert!(
                    event.origin.partial && text[..end].contains("io.k8s.core.v1.pods.create\"")
                );
                assert!(serde_json::from_slice::<Value>(event.bytes).is_ok());
            }
            Item::Rejected(rejected) => assert_eq!(
                rejected.reason.as_str(),
                "cut_too_early",
                "{}",
                &text[..end]
            ),
            Item::Ignored(reason) => panic!("{reason}"),
        }
    }
}
