//! The names that a rule may use, to tell a slip of the pen from a field of somebody's own.
//!
//! `docs/fields.md` says what each is; a test holds the two together.

use crate::path::FieldPath;

/// The event's own top-level fields (`audit.k8s.io/v1` Event, with what older versions and forwarders add).
const EVENT_FIELDS: [&str; 22] = [
    "kind",
    "apiVersion",
    "auditID",
    "stage",
    "level",
    "verb",
    "requestURI",
    "user",
    "impersonatedUser",
    "sourceIPs",
    "userAgent",
    "objectRef",
    "responseStatus",
    "requestObject",
    "responseObject",
    "requestReceivedTimestamp",
    "stageTimestamp",
    "annotations",
    "authenticationMetadata",
    "metadata",
    "timestamp",
    "@timestamp",
];

/// Views whose fields are all known by name.
const CLOSED_VIEWS: [(&str, &[&str]); 9] = [
    (
        "event",
        &[
            "event.cluster",
            "event.envelope",
            "event.partial",
            "event.truncated",
        ],
    ),
    (
        "actor",
        &[
            "actor.name",
            "actor.kind",
            "actor.canonical",
            "actor.groups",
            "actor.superuser",
            "actor.namespace",
            "actor.forged",
            "actor.credential",
            "actor.pod",
            "actor.node",
        ],
    ),
    (
        "effective",
        &[
            "effective.name",
            "effective.kind",
            "effective.groups",
            "effective.superuser",
            "effective.namespace",
            "effective.impersonated",
        ],
    ),
    (
        "source",
        &[
            "source.peer",
            "source.client",
            "source.claimed",
            "source.kind",
            "source.network",
        ],
    ),
    ("agent", &["agent.family"]),
    (
        "outcome",
        &["outcome.result", "outcome.denied_by", "outcome.dry_run"],
    ),
    (
        "deleted",
        &["deleted.name", "deleted.namespace", "deleted.count"],
    ),
    (
        "exec",
        &[
            "exec.kind",
            "exec.via",
            "exec.command",
            "exec.line",
            "exec.container",
            "exec.stdin",
            "exec.tty",
            "exec.residual",
            "exec.namespace",
            "exec.pod",
        ],
    ),
    (
        "csr",
        &[
            "csr.signer",
            "csr.usages",
            "csr.subject.cn",
            "csr.subject.o",
            "csr.subject_text",
            "csr.approved",
            "csr.requestor",
        ],
    ),
];

/// Views that hold objects of the cluster, and the keys right below the root.
const OPEN_VIEWS: [(&str, &[&str]); 4] = [
    ("object", &[]),
    ("pod", &[]),
    (
        "change",
        &[
            "change.kind",
            "change.restated",
            "change.object",
            "change.pod",
            "change.rbac",
        ],
    ),
    (
        "rbac",
        &[
            "rbac.rules",
            "rbac.aggregates_to",
            "rbac.role",
            "rbac.subjects",
            "rbac.allowed_by",
        ],
    ),
];

/// What is known of a name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Check {
    Known,
    /// The root is a view, which has no such field.
    UnknownInView {
        known: &'static [&'static str],
    },
    /// No field of the event, no view.
    Unknown {
        known: Vec<&'static str>,
    },
}

/// Judges a field name.
pub(crate) fn check(path: &FieldPath) -> Check {
    let root = path.first();
    // Positions pick elements of a field, not another field.
    let keys: Vec<&str> = (0..).map_while(|index| path.key(index)).collect();
    let name = keys.join(".");
    if let Some((_, known)) = CLOSED_VIEWS.iter().find(|(name, _)| *name == root) {
        return if known.contains(&name.as_str()) {
            Check::Known
        } else {
            Check::UnknownInView { known }
        };
    }
    if let Some((_, known)) = OPEN_VIEWS.iter().find(|(name, _)| *name == root) {
        let listed = known.is_empty()
            || known
                .iter()
                .any(|name| path.key(1) == name.split('.').nth(1));
        return if listed {
            Check::Known
        } else {
            Check::UnknownInView { known }
        };
    }
    if EVENT_FIELDS.contains(&root) {
        return Check::Known;
    }
    let views = CLOSED_VIEWS
        .iter()
        .chain(&OPEN_VIEWS)
        .map(|(name, _)| *name);
    Check::Unknown {
        known: EVENT_FIELDS.into_iter().chain(views).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_field_is_documented() {
        let page = include_str!("../../docs/fields.md");
        for (_, fields) in CLOSED_VIEWS.iter().chain(&OPEN_VIEWS) {
            for field in *fields {
                let last = field.split_once('.').map_or(*field, |(_, rest)| rest);
                assert!(
                    page.contains(field) || page.contains(&format!("`.{last}`")),
                    "docs/fields.md lacks {field}"
                );
            }
        }
    }

    #[test]
    fn names_are_judged_by_their_root() {
        assert_eq!(check(&FieldPath::parse("objectRef.resource")), Check::Known);
        assert_eq!(
            check(&FieldPath::parse("pod.containers.image")),
            Check::Known
        );
        assert!(matches!(
            check(&FieldPath::parse("actor.knd")),
            Check::UnknownInView { .. }
        ));
        assert!(matches!(
            check(&FieldPath::parse("hostPath")),
            Check::Unknown { .. }
        ));
    }
}
