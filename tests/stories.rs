//! Stories through the whole pipeline with the bundled rules: what belongs together is told as one, and nothing else is.

mod common;

use std::fs;

use common::{check_says, path, replay, replay_act, scenario};
use detections::sigma::ast::Level;
use pipeline::alert::Alert;
use pipeline::run::Report;
use pipeline::wire::{ocsf, text};
use serde_json::{Value, json};

/// The events of an act, each changed.
fn act(name: &str, change: impl Fn(&mut Value)) -> Vec<u8> {
    let log = String::from_utf8(scenario(name).log.clone()).unwrap();
    let events = log.lines().map(|line| {
        let mut event: Value = serde_json::from_str(line).unwrap();
        change(&mut event);
        format!("{event}\n")
    });
    events.collect::<String>().into_bytes()
}

/// At this minute of the hour, under another account if there is one.
fn by(event: &mut Value, minute: &str, account: Option<(&str, Value)>) {
    for time in ["stageTimestamp", "requestReceivedTimestamp"] {
        let at = event[time].as_str().unwrap();
        event[time] = json!(format!("{}T21:{minute}:{}", &at[..10], &at[17..]));
    }
    let Some((name, extra)) = account else {
        return;
    };
    let namespace = name.split(':').nth(2).unwrap();
    event["user"] = json!({
        "username": name,
        "groups": ["system:serviceaccounts", format!("system:serviceaccounts:{namespace}"), "system:authenticated"],
        "extra": extra,
    });
    event["sourceIPs"] = json!(["198.51.100.7"]);
}

const CREDENTIAL: &str = "authentication.kubernetes.io/credential-id";
const POD: &str = "authentication.kubernetes.io/pod-name";

#[track_caller]
fn only(report: &Report) -> &Alert {
    let titles: Vec<&str> = report
        .stories
        .iter()
        .map(|story| &*story.rule.title)
        .collect();
    assert_eq!(report.stories.len(), 1, "{titles:?}");
    &report.stories[0]
}

fn names(story: &Alert) -> Vec<&str> {
    let told = story.story.as_ref().unwrap();
    told.accounts.iter().map(|account| &*account.name).collect()
}

#[test]
fn a_stolen_token_is_one_story_with_all_its_findings() {
    let report = replay(&[&scenario("attack_story").log]);
    let story = only(&report);
    assert_eq!(story.count, report.alerts.len() as u64);
    assert_eq!(story.severity.level, Level::Critical);
    let page = text::render(story, &text::Style::default());
    check_says(
        &page,
        &[
            "from “Workload asks what it may do” to “Exec command reaches for the node” in 2 s",
            "Discovery → Credential Access → Privilege Escalation → Execution",
            "Privileged container + Sensitive host path mounted: created pod",
            "ran `chroot /h sh`",
        ],
    );
}

#[test]
fn the_summary_tells_stories_last() {
    let run = replay_act("attack_story.ndjson.zst", &["--format", "line"]);
    let last = run.err.lines().last().unwrap();
    check_says(
        last,
        &["stories", "critical", "“Workload asks what it may do”"],
    );
    assert!(run.lines().last().unwrap().contains("attack_story"));
}

#[test]
fn deeds_under_another_name_are_the_actors() {
    let impersonated = act("impersonate_masters", |event| by(event, "39", None));
    let listed = act("secrets_enumeration", |event| by(event, "45", None));
    let report = replay(&[&impersonated, &listed]);
    let story = only(&report);
    assert_eq!(names(story), ["mallory@example.com"]);
    let told = story.story.as_ref().unwrap();
    assert_eq!(told.accounts[0].acted_as, ["ghost"]);
}

/// A token was issued, and one is used, from elsewhere.
fn token_used(credential: &str) -> Report {
    let account = "system:serviceaccount:kube-system:clusterrole-aggregation-controller";
    let extra = json!({ CREDENTIAL: [credential] });
    let requested = act("sa_token_request", |event| by(event, "39", None));
    let bound = act("cluster_admin_binding", |event| {
        by(event, "45", Some((account, extra.clone())));
    });
    replay(&[&requested, &bound])
}

#[test]
fn the_very_token_that_was_requested_leads_to_its_account() {
    let report = token_used("JTI=1ad593f6-d740-4f68-9832-7e0157242b86");
    let story = only(&report);
    assert_eq!(
        story.severity.level,
        report
            .alerts
            .iter()
            .map(|alert| alert.severity.level)
            .max()
            .unwrap()
    );
    assert_eq!(names(story).len(), 2);
    let joined = story.story.as_ref().unwrap().accounts[1]
        .joined
        .clone()
        .unwrap();
    assert_eq!(
        (&*joined.0, &*joined.1),
        ("whose token was requested", "mallory@example.com")
    );
    let other = token_used("JTI=00000000-0000-0000-0000-000000000000");
    assert!(other.stories.is_empty(), "another token of the account");
}

/// A privileged pod was made, and a token bound to a pod of this name grants.
fn pod_grants(pod: &str) -> Report {
    let extra = json!({ CREDENTIAL: ["JTI=1"], POD: [pod] });
    let account = "system:serviceaccount:web:default";
    let made = act("privileged_pod", |event| by(event, "38", None));
    let bound = act("cluster_admin_binding", |event| {
        by(event, "52", Some((account, extra.clone())));
    });
    replay(&[&made, &bound])
}

#[test]
fn a_pod_that_was_made_leads_to_what_its_account_does_from_there() {
    let story = pod_grants("toolbox");
    let story = only(&story);
    assert_eq!(
        names(story),
        ["mallory@example.com", "system:serviceaccount:web:default"]
    );
    let page = text::render(story, &text::Style::default());
    check_says(
        &page,
        &[
            "from a pod that was made by",
            "from “Privileged container” to “Cluster admin rights granted”",
        ],
    );
    assert!(pod_grants("another").stories.is_empty());
}

#[test]
fn stories_do_not_depend_on_the_order_of_input() {
    let requested = act("sa_token_request", |event| by(event, "39", None));
    let attack = scenario("attack_story").log.clone();
    let pod = act("privileged_pod", |event| by(event, "38", None));
    let bound = act("cluster_admin_binding", |event| by(event, "52", None));
    let lines = |inputs: &[&[u8]]| -> Vec<String> {
        let stories = replay(inputs).stories;
        assert!(stories.len() > 1);
        stories
            .iter()
            .map(|story| format!("{} {}", story.uid, text::render_line(story)))
            .collect()
    };
    let one = lines(&[&requested, &attack, &pod, &bound]);
    let other = lines(&[&bound, &pod, &attack, &requested]);
    assert_eq!(one, other);
}

#[test]
fn what_is_ordinary_is_no_story() {
    for name in [
        "ok_platform_addons",
        "ok_dry_run",
        "ok_deploy",
        "denied_burst",
        "node_debug_pod",
        "host_namespaces",
    ] {
        let stories = replay(&[&scenario(name).log]).stories;
        assert!(stories.is_empty(), "{name}: {}", stories[0].rule.title);
    }
}

#[test]
fn a_story_is_a_valid_finding_that_names_its_parts() {
    let report = pod_grants("toolbox");
    let finding = ocsf::to_json(only(&report), 1_800_000_000_000);
    let schema = path("pipeline/tests/fixtures/ocsf-1.8.0-detection_finding.schema.json");
    let schema = fs::read_to_string(schema)
        .unwrap()
        .replace("#/$defs/win/", "#/$defs/win~1");
    let validator = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
    let faults: Vec<String> = validator
        .iter_errors(&finding)
        .map(|fault| format!("{}: {fault}", fault.instance_path()))
        .collect();
    assert!(faults.is_empty(), "{faults:#?}");
    let parts = finding["finding_info"]["related_events"]
        .as_array()
        .unwrap();
    let uids: Vec<&str> = parts
        .iter()
        .map(|part| part["uid"].as_str().unwrap())
        .collect();
    assert!(
        report
            .alerts
            .iter()
            .all(|alert| uids.contains(&alert.uid.as_str()))
    );
}
