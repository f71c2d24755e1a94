//! What is read of events.

use serde_json::{Value, json};

use crate::batch::{BatchBuilder, EventBatch};
use crate::event::Origin;

use super::*;

/// A person lists pods. Keys of `changes` replace those of the event; below `objectRef` they are merged.
fn event(changes: &Value) -> Value {
    let mut event = json!({
        "level": "RequestResponse", "auditID": "a", "stage": "ResponseComplete", "verb": "list",
        "requestURI": "/api/v1/namespaces/web/pods?limit=5",
        "user": {"username": "alice", "groups": ["developers", "team-web", "system:authenticated"]},
        "sourceIPs": ["10.20.1.7", "127.0.0.1"], "userAgent": "kubectl/v1.34.4 (linux/amd64)",
        "objectRef": {"resource": "pods", "namespace": "web", "apiVersion": "v1"},
        "responseStatus": {"metadata": {}, "code": 200},
        "requestReceivedTimestamp": "2026-10-12T00:00:16.267482Z",
        "stageTimestamp": "2026-10-12T00:00:16.270402Z",
    });
    for (key, value) in changes.as_object().into_iter().flatten() {
        match (key.as_str(), value.as_object()) {
            ("objectRef", Some(fields)) => {
                for (key, value) in fields {
                    event["objectRef"][key] = value.clone();
                }
            }
            _ => event[key] = value.clone(),
        }
    }
    event
}

fn batch(events: &[Value]) -> EventBatch {
    let mut builder = BatchBuilder::new(Arc::default());
    for event in events {
        let raw = event.to_string();
        builder.push(raw.as_bytes(), &Origin::default(), 0).unwrap();
    }
    builder.finish()
}

/// Twice, so that what was remembered is the same.
fn read_by(reading: &Reading, changes: &Value) -> Option<Features> {
    let batch = batch(&[event(changes)]);
    let mut reader = Reader::new(reading.clone());
    let first = reader.features(&batch.row(0));
    let again = reader.features(&batch.row(0));
    assert_eq!(format!("{first:?}"), format!("{again:?}"));
    first
}

fn read(changes: &Value) -> Features {
    read_by(&Reading::default(), changes).unwrap()
}

#[track_caller]
fn check_operation(changes: &Value, text: &str, impact: u8) {
    let features = read(changes);
    let operation = features.operation.as_ref();
    let found = operation.map(|did| (did.text.to_string(), did.impact));
    assert_eq!(found, Some((text.to_owned(), impact)), "{changes}");
}

#[test]
fn an_event_is_who_did_what_where_from_where_and_by_what() {
    let features = read(&json!({}));
    assert_eq!(&*features.actor.id.name, "alice");
    assert_eq!(features.actor.id.kind, Kind::Human);
    let groups: Vec<&str> = features.actor.groups.iter().map(|group| &**group).collect();
    assert_eq!(groups, ["developers", "team-web"]);
    assert_eq!(features.operation, Some(did("list pods", 0)));
    assert_eq!(features.namespace.as_deref(), Some("web"));
    assert_eq!(&*features.client, "kubectl");
    assert_eq!(&*features.network, "private 10.20.0.0/16");
    assert_eq!(&*features.outcome, "ok");
    assert_eq!(features.classes, [false, false, false, true]);
    assert_eq!(features.time_us, 1_791_763_216_270_402);
}

#[test]
fn impacts() {
    let cases = [
        ("get pods", "web", 0),
        ("list secrets", "web", 2),
        ("get pods exec", "web", 2),
        ("get nodes proxy", "", 3),
        ("create serviceaccounts token", "web", 3),
        ("create configmaps", "web", 1),
        ("create configmaps", "kube-system", 2),
        ("create apps/deployments", "web", 2),
        ("patch apps/deployments scale", "web", 1),
        ("create services", "web", 2),
        ("delete namespaces", "web", 2),
        ("deletecollection events", "web", 2),
        ("create events", "kube-system", 0),
        ("patch pods status", "kube-system", 0),
        ("create rbac/clusterroles", "", 3),
        ("list rbac/clusterroles", "", 0),
        (
            "update certificates/certificatesigningrequests approval",
            "",
            3,
        ),
        ("create admission/mutatingwebhookconfigurations", "", 3),
        ("create authorization/selfsubjectaccessreviews", "", 1),
    ];
    for (text, namespace, impact) in cases {
        let mut words = text.split(' ');
        let verb = words.next().unwrap();
        let resource = words.next().unwrap();
        let (group, resource) = resource.split_once('/').unwrap_or(("", resource));
        let changes = json!({
            "verb": verb, "stage": "ResponseStarted",
            "objectRef": {
                "apiGroup": group, "resource": resource, "namespace": namespace,
                "subresource": words.next().unwrap_or_default(),
            },
        });
        check_operation(&changes, text, impact);
    }
}

#[test]
fn a_pod_that_asks_for_the_node_is_of_the_highest_impact() {
    let create = |spec: &Value| {
        json!({
            "verb": "create", "responseStatus": {"code": 201},
            "requestObject": {"kind": "Pod", "metadata": {"name": "a"}, "spec": spec},
        })
    };
    let container =
        |context: Value| json!({"containers": [{"name": "a", "securityContext": context}]});
    let asking = [
        json!({"hostNetwork": true, "containers": []}),
        json!({"hostPID": true, "containers": []}),
        json!({"volumes": [{"name": "a", "hostPath": {"path": "/"}}], "containers": []}),
        container(json!({"privileged": true})),
        container(json!({"capabilities": {"add": ["NET_ADMIN"]}})),
    ];
    for spec in asking {
        check_operation(&create(&spec), "create pods", 3);
    }
    let modest = [
        json!({"hostNetwork": false, "containers": []}),
        container(json!({"privileged": false, "capabilities": {"drop": ["ALL"], "add": []}})),
    ];
    for spec in modest {
        check_operation(&create(&spec), "create pods", 2);
    }
}

#[test]
fn words_of_an_operation_hold_no_spaces() {
    let reference = json!({"resource": "pods exec"});
    let changes = json!({"verb": "get", "objectRef": reference});
    check_operation(&changes, "get pods\u{fffd}exec", 0);
}

#[test]
fn requests_without_a_resource_are_the_beginning_of_their_path() {
    let on_path = |uri: &str| {
        let changes = json!({"verb": "get", "requestURI": uri, "objectRef": null});
        let features = read(&changes);
        assert_eq!(features.namespace, None);
        features.operation.map(|did| did.text.to_string())
    };
    assert_eq!(on_path("/metrics?x=1").as_deref(), Some("get /metrics"));
    assert_eq!(
        on_path("/metrics/cadvisor").as_deref(),
        Some("get /metrics")
    );
    for discovery in [
        "/api",
        "/apis/apps/v1?timeout=32s",
        "/openapi/v3",
        "/version",
        "/livez/x",
    ] {
        assert_eq!(on_path(discovery), None, "{discovery}");
    }
}

#[test]
fn requests_on_the_whole_cluster_have_a_dash_for_a_namespace() {
    let features = read(&json!({"objectRef": {"namespace": ""}}));
    assert_eq!(features.namespace.as_deref(), Some("-"));
}

#[test]
fn what_the_control_plane_watches_is_one_operation() {
    let watch = |user: &str, groups: &[&str]| {
        let user = json!({"username": user, "groups": groups});
        let changes = json!({"verb": "watch", "stage": "ResponseStarted", "user": user});
        read(&changes).operation.map(|did| did.text.to_string())
    };
    let scheduler = watch("system:kube-scheduler", &["system:authenticated"]);
    assert_eq!(scheduler.as_deref(), Some("watch *"));
    assert_eq!(watch("alice", &[]).as_deref(), Some("watch pods"));
}

#[test]
fn declared_automation_is_a_kind_of_its_own() {
    let reading = Reading {
        automation: vec!["ci-deployer".to_owned(), "system:anonymous".to_owned()],
        components: vec!["system:kwok-controller".to_owned(), "mallory".to_owned()],
        ..Reading::default()
    };
    let kind = |name: &str| {
        let changes = json!({"user": {"username": name, "groups": ["ci"]}});
        read_by(&reading, &changes).unwrap().actor.id.kind
    };
    assert_eq!(kind("ci-deployer"), Kind::Automation);
    assert_eq!(kind("system:kwok-controller"), Kind::ControlPlane);
    assert_eq!(kind("system:other"), Kind::External);
    assert_eq!(kind("mallory"), Kind::Human);
    assert_eq!(kind("system:anonymous"), Kind::Anonymous);
}

#[test]
fn networks_are_coarse() {
    let network = |addresses: &[&str]| read(&json!({"sourceIPs": addresses})).network;
    let cases: [(&[&str], &str); 7] = [
        (&["203.0.113.66", "127.0.0.1"], "public 203.0.113.0/24"),
        (
            &["8.8.8.8", "10.244.3.3", "127.0.0.1"],
            "private 10.244.0.0/16",
        ),
        (&["127.0.0.1"], "loopback"),
        (&["2a02:1:2:3::4"], "public6 2a02:1:2::/48"),
        (&["fd00::1"], "private6"),
        (&["::ffff:10.1.2.3"], "private 10.1.0.0/16"),
        (&["no address"], "unknown"),
    ];
    for (addresses, expected) in cases {
        assert_eq!(&*network(addresses), expected, "{addresses:?}");
    }
}

#[test]
fn clients_are_families_and_never_versions() {
    let cases = [
        (json!("Helm/3.18.4"), "helm"),
        (json!("python-requests/2.32.3"), "python-requests"),
        (json!("curl"), "curl"),
        (json!(""), "(none)"),
        (json!("/1"), "(none)"),
        (json!(null), "(none)"),
    ];
    for (agent, expected) in cases {
        let features = read(&json!({"userAgent": agent}));
        assert_eq!(&*features.client, expected, "{agent}");
    }
}

#[test]
fn only_401_and_403_are_denied() {
    let long =
        r#"pods "x" is forbidden: User "alice" cannot list resource "pods" in the namespace "web""#;
    for message in ["", long] {
        for (code, expected) in [
            (200, false),
            (401, true),
            (403, true),
            (404, false),
            (409, false),
        ] {
            let features = read(&json!({"responseStatus": {"message": message, "code": code}}));
            assert_eq!(
                &*features.outcome,
                if expected { "denied" } else { "ok" },
                "{code}"
            );
            assert_eq!(features.classes[Class::Denied as usize], expected, "{code}");
        }
    }
    let panicked = read(&json!({"stage": "Panic", "responseStatus": {"code": 403}}));
    assert_eq!(&*panicked.outcome, "ok");
}

#[test]
fn acting_as_another_is_an_operation_whether_it_was_granted_or_refused() {
    let impersonation = |changes: &Value| read(changes).impersonation.map(|did| did.impact);
    assert_eq!(impersonation(&json!({})), None);
    assert_eq!(impersonation(&json!({"impersonatedUser": null})), None);
    let granted = json!({"impersonatedUser": {"username": "root"}});
    assert_eq!(impersonation(&granted), Some(3));
    let message = r#"users "root" is forbidden: User "alice" cannot impersonate resource "users""#;
    let status = json!({"message": message, "code": 403});
    let refused = json!({"responseStatus": status});
    assert_eq!(impersonation(&refused), Some(3));
    // The message quotes what the client chose; the authorizer was never asked about an impersonation that was refused.
    let decision = json!({"authorization.k8s.io/decision": "forbid"});
    let quoted = json!({"responseStatus": status, "annotations": decision});
    assert_eq!(impersonation(&quoted), None);
}

#[test]
fn what_a_session_counts() {
    let classes = |verb: &str, resource: &str| {
        read(&json!({"verb": verb, "objectRef": {"resource": resource}})).classes
    };
    assert_eq!(classes("list", "secrets"), [false, true, false, true]);
    assert_eq!(classes("delete", "secrets"), [false, false, true, true]);
    assert_eq!(
        classes("deletecollection", "pods"),
        [false, false, true, true]
    );
}

#[test]
fn requests_count_once() {
    let counts = |stages: Stages, stage: &str, verb: &str, subresource: &str| {
        let reading = Reading {
            stages,
            ..Reading::default()
        };
        let reference = json!({"subresource": subresource});
        let changes = json!({"stage": stage, "verb": verb, "objectRef": reference});
        read_by(&reading, &changes).is_some()
    };
    let started = Stages::Started;
    for (verb, subresource) in [
        ("watch", ""),
        ("create", "exec"),
        ("get", "log"),
        ("get", "proxy"),
    ] {
        assert!(counts(started, "ResponseStarted", verb, subresource));
        assert!(!counts(started, "ResponseComplete", verb, subresource));
        assert!(counts(Stages::All, "ResponseComplete", verb, subresource));
        assert!(!counts(Stages::All, "RequestReceived", verb, subresource));
    }
    assert!(counts(started, "ResponseComplete", "list", ""));
    assert!(!counts(started, "RequestReceived", "list", ""));
    // A failed authentication is logged as started, and never as complete.
    assert!(counts(started, "ResponseStarted", "list", ""));
}

#[test]
fn an_odd_event_says_the_same_as_a_usual_one() {
    let cases = [
        json!({}),
        json!({"verb": "get", "requestURI": "/metrics", "objectRef": null}),
        json!({"impersonatedUser": {"username": "root"}, "responseStatus": {"code": 403}}),
        json!({"objectRef": {"resource": "secrets", "namespace": ""}, "userAgent": "curl/8"}),
    ];
    for changes in cases {
        // A key with a dot may be a field of the path that it looks like.
        let mut odd = event(&changes);
        odd["a.b"] = json!(1);
        let batch = batch(&[event(&changes), odd]);
        assert!(batch.row(1).is_odd());
        let mut reader = Reader::new(Reading::default());
        let [usual, odd] = [0, 1].map(|row| reader.features(&batch.row(row)));
        assert_eq!(format!("{usual:?}"), format!("{odd:?}"));
    }
}

#[test]
fn a_record_that_was_cut_before_its_user_says_nothing() {
    let origin = Origin {
        partial: true,
        ..Origin::default()
    };
    let mut builder = BatchBuilder::new(Arc::default());
    let cut = br#"{"verb":"list","stageTimestamp":"2026-10-12T00:00:16.270402Z","user":{"user"#;
    builder.push(cut, &origin, 0).unwrap();
    let batch = builder.finish();
    assert!(
        Reader::new(Reading::default())
            .features(&batch.row(0))
            .is_none()
    );
}

#[test]
fn the_identity_is_the_one_that_findings_have() {
    let batch = batch(&[event(&json!({"requestObject": {"a": 1}}))]);
    let row = batch.row(0);
    assert_eq!(identity_of(&row), row.event().unwrap().request_identity());
}
