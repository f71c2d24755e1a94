//! What became of a request, told from the response's code and not from the authorizer's word: a
//! request that RBAC allowed may still be refused by admission, and one that impersonation refused
//! never reached the authorizer.

use serde_json::{Map, Value};

use super::{View, strings, uri};
use crate::event::{Event, Field};

const SUCCESS: &str = "success";
const DENIED: &str = "denied";
const FAILED: &str = "failed";
const UNKNOWN: &str = "unknown";

/// The result, and who denied. `decision` is the authorizer's annotation.
pub(crate) fn classify(
    code: Option<i64>,
    message: Option<&str>,
    decision: Option<&str>,
    stage: Option<&str>,
) -> (&'static str, Option<&'static str>) {
    match (stage, code) {
        (Some("Panic"), _) => (FAILED, None),
        (Some("RequestReceived"), _) | (_, None) => (UNKNOWN, None),
        // Codes below 100 are gRPC's, as GKE's entries carry them: 0 is OK, 7 permission denied, 16
        // unauthenticated.
        (_, Some(0 | 101 | 200..=399)) => (SUCCESS, None),
        (_, Some(401 | 16)) => (DENIED, Some("authentication")),
        (_, Some(403 | 7)) => (
            DENIED,
            Some(denied_by(message.unwrap_or_default(), decision)),
        ),
        _ => (FAILED, None),
    }
}

/// Impersonation is checked before the authorizer annotates anything. The message is trusted only
/// without a decision, because it quotes the requested name, which the client chose.
fn denied_by(message: &str, decision: Option<&str>) -> &'static str {
    match decision {
        Some("forbid") => "authorization",
        None if message.contains("cannot impersonate resource") => "impersonation",
        None if names_a_missing_permission(message) => "authorization",
        _ => "admission",
    }
}

/// `cannot list resource "pods"`, `cannot get path "/metrics"`.
fn names_a_missing_permission(message: &str) -> bool {
    message.split(" cannot ").skip(1).any(|rest| {
        let mut words = rest.split(' ').skip(1);
        matches!(words.next(), Some("resource" | "path"))
    })
}

/// Whether the request asked to change nothing: by its query, or by the options that a deletion has
/// as its body.
pub(crate) fn dry_run(request_uri: Option<&str>, delete_options: Option<&Value>) -> bool {
    let in_query = request_uri.is_some_and(|text| {
        uri::parameters(text).any(|(key, value)| key == "dryRun" && value == "All")
    });
    in_query
        || delete_options
            .and_then(|options| options.get("dryRun"))
            .is_some_and(|value| strings(value).contains(&"All"))
}

pub(super) fn outcome(event: &Event) -> View {
    let mut view = View::known(Map::new());
    set_result(event, &mut view);
    set_dry_run(event, &mut view);
    view
}

fn set_result(event: &Event, view: &mut View) {
    let stage = event.stage();
    let early = matches!(stage, Some("RequestReceived" | "Panic"));
    if event.top("responseStatus") == Field::Unavailable && !early {
        view.blind.extend(["result", "denied_by"]);
        return;
    }
    let code = code(event);
    let message = event.text(&["responseStatus", "message"]);
    let (result, denied_by) = classify(
        code,
        message,
        event.annotation("authorization.k8s.io/decision"),
        stage,
    );
    view.set("result", result);
    if let Some(denied_by) = denied_by {
        view.set("denied_by", denied_by);
    }
}

/// The response's code, also if a converter wrote it as text.
pub(super) fn code(event: &Event) -> Option<i64> {
    let Field::Present(status) = event.top("responseStatus") else {
        return None;
    };
    let code = status.get("code")?;
    code.as_i64().or_else(|| code.as_str()?.parse().ok())
}

fn set_dry_run(event: &Event, view: &mut View) {
    let deletes = matches!(event.text(&["verb"]), Some("delete" | "deletecollection"));
    let body = if deletes {
        event.top("requestObject")
    } else {
        Field::Absent
    };
    let options = if let Field::Present(options) = body {
        Some(options)
    } else {
        None
    };
    let found = dry_run(event.text(&["requestURI"]), options);
    let hidden = body == Field::Unavailable || event.top("requestURI") == Field::Unavailable;
    if hidden && !found {
        view.blind.push("dry_run");
    } else {
        view.set("dry_run", found);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::event;
    use super::*;
    use serde_json::json;

    #[test]
    fn codes() {
        let complete = Some("ResponseComplete");
        for code in [0, 101, 200, 201, 304] {
            assert_eq!(
                classify(Some(code), None, None, complete),
                ("success", None),
                "{code}"
            );
        }
        for code in [100, 404, 409, 422, 500, 5] {
            assert_eq!(
                classify(Some(code), None, Some("allow"), complete),
                ("failed", None),
                "{code}"
            );
        }
        assert_eq!(
            classify(Some(200), None, None, Some("RequestReceived")),
            ("unknown", None)
        );
        assert_eq!(classify(None, None, None, complete), ("unknown", None));
        assert_eq!(
            classify(Some(200), None, None, Some("Panic")),
            ("failed", None)
        );
    }

    #[track_caller]
    fn check(code: i64, message: &str, decision: Option<&str>, expected: &str) {
        assert_eq!(
            classify(Some(code), Some(message), decision, None),
            ("denied", Some(expected))
        );
    }

    #[test]
    fn who_denied() {
        check(401, "Unauthorized", None, "authentication");
        check(16, "", None, "authentication");
        check(
            403,
            r#"users "root" is forbidden: User "a" cannot impersonate resource "users""#,
            None,
            "impersonation",
        );
        check(
            403,
            r#"pods is forbidden: User "a" cannot list resource "pods""#,
            Some("forbid"),
            "authorization",
        );
        check(
            7,
            r#"pods is forbidden: User "a" cannot list resource "pods""#,
            None,
            "authorization",
        );
        check(
            403,
            r#"forbidden: User "a" cannot get path "/metrics""#,
            None,
            "authorization",
        );
        check(
            403,
            "is attempting to grant RBAC permissions not currently held",
            Some("allow"),
            "admission",
        );
        check(
            403,
            r#"pods "x" is forbidden: violates PodSecurity "restricted""#,
            Some("allow"),
            "admission",
        );
    }

    #[test]
    fn a_chosen_name_does_not_pass_for_impersonation() {
        let message = r#"pods "cannot impersonate resource" is forbidden: User "a" cannot get resource "pods""#;
        check(403, message, Some("forbid"), "authorization");
    }

    #[test]
    fn dry_runs() {
        assert!(dry_run(Some("/api/v1/pods?x=1&dry%52un=A%6Cl"), None));
        assert!(dry_run(None, Some(&json!({"dryRun": ["All"]}))));
        assert!(!dry_run(
            Some("/api/v1/pods?dryRun="),
            Some(&json!({"dryRun": 1}))
        ));
        let deletion = event(json!({"level": "Metadata", "verb": "delete", "requestURI": "/x"}));
        assert_eq!(outcome(&deletion).blind, ["dry_run"]);
    }

    #[test]
    fn a_cut_record_hides_the_result() {
        let early = event(json!({"stage": "RequestReceived", "verb": "get"}));
        assert_eq!(outcome(&early).text("result"), Some("unknown"));
        let text = event(json!({"responseStatus": {"code": "403"}}));
        assert_eq!(outcome(&text).text("result"), Some("denied"));
    }
}
