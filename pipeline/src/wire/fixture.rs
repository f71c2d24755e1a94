//! Alerts made by hand, for the tests of this module.

use std::sync::Arc;

use detections::event::Envelope;
use detections::sigma::ast::Level;

use crate::alert::{
    Alert, AllowedBy, Detail, Evidence, Identity, ObjectRef, Outcome, RawEvent, Request, RuleInfo,
    Severity, Source,
};

#[expect(clippy::unnecessary_wraps, reason = "for fields that are optional")]
fn owned(text: &str) -> Option<String> {
    Some(text.to_owned())
}

pub(crate) fn object(resource: &str, namespace: &str, name: &str) -> ObjectRef {
    let object = ObjectRef {
        resource: resource.to_owned(),
        version: owned("v1"),
        ..ObjectRef::default()
    };
    ObjectRef {
        namespace: (!namespace.is_empty()).then(|| namespace.to_owned()),
        name: (!name.is_empty()).then(|| name.to_owned()),
        ..object
    }
}

fn rule() -> RuleInfo {
    RuleInfo {
        id: "5b1f3a5e-7f0d-4a0e-9d52-0f5d8c1b7a11".to_owned(),
        name: "exec_host_escape".to_owned(),
        title: "Exec into a pod that mounts the host".to_owned(),
        description: "A command was run in a pod that mounts a path of its node.".to_owned(),
        level: Level::High,
        tags: vec![
            "attack.execution".to_owned(),
            "attack.t1609".to_owned(),
            "attack.t1611".to_owned(),
        ],
        tactics: vec!["TA0002".parse().unwrap(), "TA0004".parse().unwrap()],
        techniques: vec!["T1609".parse().unwrap(), "T1611".parse().unwrap()],
        references: vec!["https://attack.mitre.org/techniques/T1611/".to_owned()],
        false_positives: vec!["node maintenance by the platform team".to_owned()],
        version: owned("2026-11-01"),
        author: owned("Tidewatch"),
        why: "Whoever runs commands here can write to the node, and with it reach every pod on it."
            .to_owned(),
        response: vec![
            "delete the binding".to_owned(),
            "recreate the account's tokens".to_owned(),
        ],
    }
}

fn actor() -> Identity {
    Identity {
        name: "system:serviceaccount:web:frontend".to_owned(),
        kind: "service_account".to_owned(),
        canonical: "system:serviceaccount:web:frontend".to_owned(),
        groups: Some(vec![
            "system:serviceaccounts".to_owned(),
            "system:authenticated".to_owned(),
        ]),
        uid: owned("0b4c2c1c-3c5e-4a39-8a90-1d7f1a3b2c4d"),
        credential: owned("JTI=5439a0c1-55aa-4b1e-8f6e-000000000000"),
        ..Identity::default()
    }
}

fn severity() -> Severity {
    let reasons =
        vec!["actor +1: a workload's account used with kubectl from a public address".to_owned()];
    Severity {
        level: Level::Critical,
        impact: 3,
        outcome: 0,
        actor: 1,
        reasons,
    }
}

fn allowed_by() -> AllowedBy {
    AllowedBy {
        via: "RoleBinding".to_owned(),
        binding: owned("fe-admin"),
        namespace: owned("web"),
        role_kind: owned("ClusterRole"),
        role: owned("admin"),
        subject_kind: owned("ServiceAccount"),
        subject: owned("frontend/web"),
    }
}

fn evidence() -> Evidence {
    Evidence {
        selection: "command".to_owned(),
        line: 14,
        text: "exec.line|contains: 'chroot '".to_owned(),
        field: "exec.line".to_owned(),
        values: vec!["chroot /h sh".to_owned()],
    }
}

fn raw() -> RawEvent {
    RawEvent {
        text: r#"{"auditID":"13853ef5","verb":"create"}"#.to_owned(),
        size: 1834,
        sha256: "ab".repeat(32),
        cut: false,
        input: "audit.ndjson.zst".into(),
        offset: 4711,
        envelope: Envelope::Raw,
        partial: false,
    }
}

/// A service account that breaks out by way of an exec.
pub(crate) fn exec() -> Alert {
    let pod = ObjectRef {
        subresource: owned("exec"),
        ..object("pods", "web", "fe-debug")
    };
    Alert {
        uid: "00112233445566778899aabbccddeeff".to_owned(),
        rule: Arc::new(rule()),
        severity: severity(),
        outcome: Outcome {
            result: "success".to_owned(),
            denied_by: None,
            dry_run: false,
            code: Some(101),
            message: None,
        },
        cluster: "prod".into(),
        first_us: Some(1_795_214_511_150_042),
        last_us: Some(1_795_214_511_150_042),
        count: 1,
        follow_ups: 0,
        actor: actor(),
        effective: None,
        source: Source {
            peer: owned("127.0.0.1"),
            client: owned("198.51.100.23"),
            claimed: Vec::new(),
            kind: owned("public"),
            user_agent: owned("kubectl/v1.34.4 (linux/amd64) kubernetes/1d3f2ab"),
        },
        allowed_by: Some(allowed_by()),
        root: pod.clone(),
        object: pod,
        other_objects: Vec::new(),
        object_count: 1,
        did: "ran `chroot /h sh` in web/fe-debug [t]".to_owned(),
        details: vec![Detail {
            label: "host paths",
            value: "/etc/kubernetes".to_owned(),
        }],
        evidence: vec![evidence()],
        story: None,
        steps: Vec::new(),
        unseen: Vec::new(),
        silence: "title: Expected, because …\nfilter:\n  rules: [exec_host_escape]\n".to_owned(),
        request: Request {
            verb: "create".to_owned(),
            uri: "/api/v1/namespaces/web/pods/fe-debug/exec?command=chroot&command=%2Fh&command=sh"
                .to_owned(),
            audit_id: owned("13853ef5-8bae-4bc2-986c-5fbdaa4000e4"),
            stage: owned("ResponseStarted"),
            level: owned("Metadata"),
        },
        raw: raw(),
    }
}

/// Somebody who impersonates a superuser, denied by admission, several times.
pub(crate) fn impersonated() -> Alert {
    let alice = Identity {
        name: "alice@example.com".to_owned(),
        kind: "human".to_owned(),
        canonical: "alice@example.com".to_owned(),
        groups: Some(vec![
            "developers".to_owned(),
            "system:authenticated".to_owned(),
        ]),
        ..Identity::default()
    };
    let root = Identity {
        name: "root".to_owned(),
        kind: "human".to_owned(),
        canonical: "root".to_owned(),
        groups: Some(vec!["system:masters".to_owned()]),
        superuser: true,
        ..Identity::default()
    };
    Alert {
        severity: Severity {
            level: Level::Medium,
            impact: 3,
            outcome: -1,
            actor: 0,
            reasons: Vec::new(),
        },
        outcome: Outcome {
            result: "denied".to_owned(),
            denied_by: owned("admission"),
            dry_run: false,
            code: Some(403),
            message: owned("admission webhook \"policy\" denied the request"),
        },
        actor: alice,
        effective: Some(root),
        source: Source {
            peer: owned("203.0.113.66"),
            client: owned("203.0.113.66"),
            claimed: vec!["10.0.0.1".to_owned()],
            kind: owned("public"),
            user_agent: None,
        },
        last_us: Some(1_795_214_767_150_042),
        count: 4,
        ..exec()
    }
}

/// Nobody, of whom nothing is known, not even when.
pub(crate) fn anonymous_without_time() -> Alert {
    let secrets = object("secrets", "", "");
    Alert {
        first_us: None,
        last_us: None,
        cluster: "".into(),
        actor: Identity {
            name: "system:anonymous".to_owned(),
            kind: "anonymous".to_owned(),
            canonical: "system:anonymous".to_owned(),
            groups: Some(vec!["system:unauthenticated".to_owned()]),
            ..Identity::default()
        },
        source: Source::default(),
        allowed_by: None,
        outcome: Outcome {
            result: "unknown".to_owned(),
            denied_by: None,
            dry_run: false,
            code: None,
            message: None,
        },
        did: "listed secrets".to_owned(),
        details: Vec::new(),
        unseen: vec!["responseObject".to_owned()],
        request: Request::default(),
        root: secrets.clone(),
        object: secrets,
        ..exec()
    }
}

/// A record from GKE, which tells no groups; it deleted many objects of one owner.
pub(crate) fn gke_with_many_objects() -> Alert {
    let others = (1..20)
        .map(|number| object("pods", "web", &format!("api-{number}")))
        .collect();
    Alert {
        actor: Identity {
            name: "bob@example.com".to_owned(),
            kind: "human".to_owned(),
            canonical: "bob@example.com".to_owned(),
            groups: None,
            ..Identity::default()
        },
        allowed_by: Some(AllowedBy {
            via: "iam".to_owned(),
            ..AllowedBy::default()
        }),
        object: object("pods", "web", "api-0"),
        root: ObjectRef {
            group: "apps".to_owned(),
            ..object("deployments", "web", "api")
        },
        other_objects: others,
        object_count: 204,
        count: 204,
        follow_ups: 7,
        did: "deleted pods web/api-0, and 203 other objects".to_owned(),
        raw: RawEvent {
            envelope: Envelope::Gke,
            cut: true,
            partial: true,
            ..raw()
        },
        ..exec()
    }
}
