//! Alerts as a SIEM gets them: every one valid against the schema, none with a secret of the log in it.

mod common;

use std::collections::BTreeSet;
use std::fs;

use common::{catalog, path, replay, scenario, scenarios};
use jsonschema::Validator;
use pipeline::alert::Alert;
use pipeline::wire::{ocsf, text};
use replay::discover::discover;
use replay::replay::{Quiet, Replay, Replayed};
use serde_json::{Value, json};

const PROCESSED_MS: i64 = 1_800_000_000_000;

fn validator() -> Validator {
    let schema = path("pipeline/tests/fixtures/ocsf-1.8.0-detection_finding.schema.json");
    // The schema names definitions `win/…` and refers to them without escaping the slash, which no resolver follows.
    let schema = fs::read_to_string(schema)
        .unwrap()
        .replace("#/$defs/win/", "#/$defs/win~1");
    jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap()
}

#[track_caller]
fn check_valid(alerts: &[Alert]) {
    let validator = validator();
    let mut faults = Vec::new();
    for alert in alerts {
        let finding = ocsf::to_json(alert, PROCESSED_MS);
        let place = |path: &dyn std::fmt::Display| {
            format!("{} of {}: {path}", alert.rule.name, alert.raw.input)
        };
        faults.extend(
            validator
                .iter_errors(&finding)
                .map(|fault| format!("{}: {fault}", place(fault.instance_path()))),
        );
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

fn demo() -> Replayed {
    let inputs = discover(&[path("replay/demo")]).unwrap();
    let replay = Replay::<Vec<u8>> {
        catalog: catalog(),
        options: pipeline::run::Options::default(),
        cluster: "default".into(),
        rejects: None,
        threads: 1,
    };
    replay.run(&inputs.paths, &mut Quiet).unwrap()
}

#[test]
fn every_alert_of_the_acts_is_valid() {
    let alerts: Vec<Alert> = scenarios()
        .iter()
        .flat_map(|scenario| replay(&[&scenario.log]).alerts)
        .collect();
    assert!(alerts.len() > 50);
    check_valid(&alerts);
}

#[test]
fn every_alert_of_the_demo_is_valid_and_every_cloud_has_some() {
    let replayed = demo();
    assert!(replayed.faults.is_empty());
    let account = &replayed.report.account;
    assert!(account.balances());
    assert_eq!(
        (
            account.rejected_total(),
            account.ignored_total(),
            account.partial
        ),
        (0, 0, 0)
    );
    let clusters: BTreeSet<&str> = replayed
        .report
        .alerts
        .iter()
        .map(|alert| &*alert.cluster)
        .collect();
    assert_eq!(
        clusters.into_iter().collect::<Vec<_>>(),
        ["default", "shop-aks", "shop-eks", "shop-gke"]
    );
    check_valid(&replayed.report.alerts);
}

#[test]
fn a_finding_names_its_rule_and_is_known_by_its_uid() {
    for alert in replay(&[&scenario("privileged_pod").log]).alerts {
        let finding = ocsf::to_json(&alert, PROCESSED_MS);
        let at = |pointer: &str| finding.pointer(pointer).and_then(Value::as_str);
        assert_eq!(at("/finding_info/uid"), Some(alert.uid.as_str()));
        assert_eq!(at("/finding_info/title"), Some("Privileged container"));
        assert_eq!(
            at("/finding_info/analytic/name"),
            Some("privileged_container")
        );
        assert_eq!(
            at("/finding_info/analytic/uid"),
            Some("ed185d7c-e5da-414a-a5c2-7efd4cd1de4c")
        );
        assert_eq!(
            finding["time"].as_i64(),
            alert.first_us.map(|time| time / 1000)
        );
        assert_eq!(finding["metadata"]["processed_time"], PROCESSED_MS);
    }
}

/// An event of an act with some of its fields replaced.
fn altered(act: &str, number: usize, changes: &[(&str, Value)]) -> String {
    let log = String::from_utf8(scenario(act).log.clone()).unwrap();
    let mut event: Value = serde_json::from_str(log.lines().nth(number).unwrap()).unwrap();
    for (pointer, value) in changes {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        event.pointer_mut(parent).unwrap()[key] = value.clone();
    }
    event.to_string()
}

/// All that anybody could read of an alert.
fn everything_said(alert: &Alert) -> String {
    let style = text::Style {
        verbose: true,
        width: 100_000,
        ..text::Style::default()
    };
    let finding = ocsf::to_json(alert, PROCESSED_MS);
    format!(
        "{finding}\n{}\n{}",
        text::render(alert, &style),
        text::render_line(alert)
    )
}

#[track_caller]
fn check_secret(rule: &str, log: &str, secrets: &[&str]) {
    let alerts = replay(&[log.as_bytes()]).alerts;
    assert!(
        alerts.iter().any(|alert| alert.rule.name == rule),
        "{rule} did not fire"
    );
    for alert in &alerts {
        let said = everything_said(alert);
        let told: Vec<_> = secrets
            .iter()
            .filter(|secret| said.contains(**secret))
            .collect();
        assert!(
            told.is_empty(),
            "{} tells {told:?}: {said}",
            alert.rule.name
        );
    }
}

#[test]
fn secrets_of_a_config_map() {
    let log = String::from_utf8(scenario("configmap_credentials").log.clone()).unwrap();
    assert!(log.contains("hunter2"));
    check_secret(
        "configmap_with_credentials",
        &log,
        &["hunter2", "AKIAIOSFODNN7EXAMPLE"],
    );
}

#[test]
fn secrets_of_a_pod() {
    let applied = json!({"spec": {"containers": [{"env": [{"name": "DB_PASSWORD", "value": "planted-applied"}]}]}});
    let env = json!([{"name": "DB_PASSWORD", "value": "planted-env"}, {"name": "DSN", "value": "pg://u:planted-dsn@db/x"}]);
    let log = altered(
        "privileged_pod",
        6,
        &[
            (
                "/requestObject/metadata/annotations",
                json!({"kubectl.kubernetes.io/last-applied-configuration": applied.to_string()}),
            ),
            ("/requestObject/spec/containers/0/env", env.clone()),
            ("/responseObject/spec/containers/0/env", env),
            (
                "/requestObject/spec/containers/0/args",
                json!([
                    "--token=planted-argument",
                    "-H",
                    "Authorization: Bearer planted-bearer"
                ]),
            ),
        ],
    );
    check_secret("privileged_container", &log, &["planted"]);
}

#[test]
fn secrets_of_a_command() {
    let uri = "/api/v1/namespaces/web/pods/fe/exec?command=mysql&command=--password%3Dplanted-flag&command=-e&command=select+1\
        &container=fe&stdout=true";
    let log = altered("exec_into_pod", 5, &[("/requestURI", json!(uri))]);
    check_secret("pod_exec_or_attach", &log, &["planted"]);
}

#[test]
fn secrets_of_secrets_and_tokens() {
    let secret = json!({
        "kind": "Secret", "apiVersion": "v1", "type": "kubernetes.io/service-account-token",
        "metadata": {"name": "fe-token", "namespace": "web", "annotations": {"kubernetes.io/service-account.name": "fe"}},
        "data": {"token": "cGxhbnRlZA=="}, "stringData": {"anything": "planted-string"},
    });
    let changes = [("/level", json!("Request")), ("/requestObject", secret)];
    check_secret(
        "long_lived_token_secret",
        &altered("long_lived_sa_secret", 6, &changes),
        &["planted", "cGxhbnRlZA"],
    );
    let response = json!({
        "kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1",
        "spec": {"audiences": ["x"]}, "status": {"token": "planted.token.value"},
    });
    let changes = [
        ("/level", json!("RequestResponse")),
        ("/responseObject", response),
    ];
    check_secret(
        "serviceaccount_token_requested",
        &altered("sa_token_request", 0, &changes),
        &["planted"],
    );
}
