use jsonschema::Validator;

use super::*;
use crate::alert::{Outcome, RawEvent, Severity};
use crate::wire::fixture;

const SCHEMA: &str =
    include_str!("../../../tests/fixtures/ocsf-1.8.0-detection_finding.schema.json");

/// The schema names definitions `win/…` and refers to them without escaping the slash, which no
/// resolver follows.
fn validator() -> Validator {
    let schema = SCHEMA.replace("#/$defs/win/", "#/$defs/win~1");
    let schema: Value = serde_json::from_str(&schema).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

#[track_caller]
fn check(alert: &Alert) -> Value {
    let finding = to_json(alert, 1_800_000_000_000);
    let faults: Vec<String> = validator()
        .iter_errors(&finding)
        .map(|fault| format!("{}: {fault}", fault.instance_path()))
        .collect();
    assert!(faults.is_empty(), "{faults:#?}\n{finding:#}");
    finding
}

fn at<'a>(finding: &'a Value, pointer: &str) -> &'a Value {
    finding.pointer(pointer).unwrap_or(&Value::Null)
}

#[test]
fn an_exec_is_a_valid_finding() {
    let finding = check(&fixture::exec());
    assert_eq!(at(&finding, "/type_uid"), 200_401);
    assert_eq!(at(&finding, "/time"), 1_795_214_511_150_i64);
    assert_eq!(at(&finding, "/severity"), "Critical");
    assert_eq!(at(&finding, "/severity_id"), 5);
    assert_eq!(at(&finding, "/impact"), "High");
    assert_eq!(at(&finding, "/confidence"), "High");
    assert_eq!(
        at(&finding, "/finding_info/analytic/name"),
        "exec_host_escape"
    );
    assert_eq!(
        at(&finding, "/finding_info/analytic/uid"),
        "5b1f3a5e-7f0d-4a0e-9d52-0f5d8c1b7a11"
    );
    assert_eq!(
        at(&finding, "/evidences/0/src_endpoint/proxy_endpoint/ip"),
        "127.0.0.1"
    );
    assert_eq!(at(&finding, "/evidences/0/data/matched/0/line"), 14);
    assert_eq!(
        at(&finding, "/evidences/0/actor/authorizations/0/policy/desc"),
        "RoleBinding web/fe-admin → ClusterRole admin, for ServiceAccount frontend/web"
    );
    assert_eq!(
        at(&finding, "/message"),
        "system:serviceaccount:web:frontend ran `chroot /h sh` in web/fe-debug [t], from 198.51.100.23: succeeded."
    );
}

#[test]
fn techniques_stand_with_the_tactics_they_serve() {
    let finding = check(&fixture::exec());
    let attacks = at(&finding, "/finding_info/attacks").as_array().unwrap();
    let pairs: Vec<_> = attacks
        .iter()
        .map(|attack| {
            (
                at(attack, "/technique/uid").as_str().unwrap(),
                at(attack, "/tactic/uid").as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(pairs, [("T1609", "TA0002"), ("T1611", "TA0004")]);
    assert_eq!(
        at(&attacks[0], "/technique/name"),
        "Container Administration Command"
    );
    assert_eq!(at(&attacks[0], "/version"), "19.1");
}

#[test]
fn subtechniques_bring_their_parent_and_unpaired_tags_stand_alone() {
    let mut alert = fixture::exec();
    let mut rule = (*alert.rule).clone();
    rule.techniques = vec!["T1078.001".parse().unwrap(), "T9999".parse().unwrap()];
    rule.tactics = vec!["TA0003".parse().unwrap(), "TA0040".parse().unwrap()];
    alert.rule = rule.into();
    let finding = check(&alert);
    assert_eq!(
        at(&finding, "/finding_info/attacks/0/technique/uid"),
        "T1078"
    );
    assert_eq!(
        at(&finding, "/finding_info/attacks/0/sub_technique/uid"),
        "T1078.001"
    );
    assert_eq!(
        at(&finding, "/finding_info/attacks/1/technique"),
        &json!({ "uid": "T9999" })
    );
    assert_eq!(
        at(&finding, "/finding_info/attacks/2/tactic/name"),
        "Impact"
    );
    assert_eq!(at(&finding, "/finding_info/attacks/3"), &Value::Null);
}

#[test]
fn an_impersonation_names_both_accounts_and_who_refused() {
    let finding = check(&fixture::impersonated());
    assert_eq!(
        at(&finding, "/evidences/0/actor/user/name"),
        "alice@example.com"
    );
    assert_eq!(at(&finding, "/evidences/0/user/name"), "root");
    assert_eq!(at(&finding, "/evidences/0/user/type"), "Admin");
    assert_eq!(at(&finding, "/action"), "Denied");
    assert_eq!(at(&finding, "/disposition"), "Blocked");
    assert_eq!(at(&finding, "/authorizations/1/policy/name"), "admission");
    assert_eq!(
        at(&finding, "/evidences/0/http_request/x_forwarded_for/0"),
        "10.0.0.1"
    );
    assert_eq!(at(&finding, "/duration"), 256_000);
    let message = at(&finding, "/message").as_str().unwrap();
    assert!(
        message.ends_with(", from 203.0.113.66, 4 times: denied by admission."),
        "{message}"
    );
}

#[test]
fn what_is_unknown_is_left_out_and_an_unknown_time_is_said() {
    let finding = check(&fixture::anonymous_without_time());
    assert_eq!(at(&finding, "/time"), 0);
    assert_eq!(at(&finding, "/unmapped/tidewatch/time_unknown"), true);
    assert_eq!(at(&finding, "/start_time"), &Value::Null);
    assert_eq!(at(&finding, "/evidences/0/src_endpoint"), &Value::Null);
    assert_eq!(at(&finding, "/confidence"), "Low");
    assert_eq!(at(&finding, "/resources/0/name"), "secrets");
    assert_eq!(at(&finding, "/action"), "Unknown");
}

#[test]
fn many_objects_of_a_cut_gke_record() {
    let finding = check(&fixture::gke_with_many_objects());
    assert_eq!(at(&finding, "/resources").as_array().unwrap().len(), 21);
    assert_eq!(at(&finding, "/resources/1/role"), "Affected");
    assert_eq!(at(&finding, "/resources/1/version"), "apps/v1");
    assert_eq!(at(&finding, "/unmapped/tidewatch/object_count"), 204);
    assert_eq!(
        at(&finding, "/unmapped/tidewatch/actor/groups_unavailable"),
        true
    );
    assert_eq!(at(&finding, "/cloud/provider"), "GCP");
    assert_eq!(at(&finding, "/metadata/is_truncated"), true);
    assert_eq!(at(&finding, "/metadata/untruncated_size"), 1834);
}

#[test]
fn every_level_outcome_and_empty_rule_is_valid() {
    for level in Level::ALL {
        for (result, code) in [
            ("success", Some(200)),
            ("denied", None),
            ("failed", Some(500)),
            ("unknown", None),
        ] {
            let mut alert = fixture::exec();
            alert.severity = Severity {
                level,
                impact: level.points(),
                ..alert.severity
            };
            alert.outcome = Outcome {
                result: result.to_owned(),
                code,
                dry_run: true,
                ..alert.outcome
            };
            let rule = RuleInfo {
                response: Vec::new(),
                techniques: Vec::new(),
                tactics: Vec::new(),
                ..(*alert.rule).clone()
            };
            alert.rule = rule.into();
            alert.raw = RawEvent::default();
            check(&alert);
        }
    }
}

#[test]
fn the_hash_is_of_what_is_shown_and_the_original_is_kept_apart() {
    let finding = check(&fixture::exec());
    let shown = sha256(at(&finding, "/raw_data").as_str().unwrap()).unwrap();
    assert_eq!(at(&finding, "/raw_data_hash"), &shown);
    assert_eq!(
        at(&finding, "/unmapped/tidewatch/event/sha256"),
        &Value::String("ab".repeat(32))
    );
}

#[test]
fn the_same_alert_gives_the_same_bytes_but_for_the_time_of_writing() {
    let alert = fixture::gke_with_many_objects();
    assert_eq!(to_line(&alert, 1), to_line(&alert, 1));
    let (mut early, mut late) = (to_json(&alert, 1), to_json(&alert, 2));
    assert_ne!(early, late);
    for finding in [&mut early, &mut late] {
        finding
            .pointer_mut("/metadata")
            .unwrap()
            .as_object_mut()
            .unwrap()
            .remove("processed_time");
    }
    assert_eq!(early, late);
}

#[test]
fn a_line_holds_nothing_that_a_terminal_obeys_and_reads_back_as_written() {
    let mut alert = fixture::exec();
    alert.did = "ran `\u{1b}[2J\u{9b}2J\u{202e}\u{e0041}\n` in web/x".to_owned();
    let line = to_line(&alert, 1);
    assert!(!line.chars().any(crate::wire::text::is_deceptive));
    assert_eq!(
        serde_json::from_str::<Value>(&line).unwrap(),
        to_json(&alert, 1)
    );
}
