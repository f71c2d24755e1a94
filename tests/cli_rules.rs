//! Rules from outside: which are used, what is wrong with them, and what the binary tells about them.

mod common;

use std::fs;

use common::{
    ANONYMOUS, check_says, fired, replay_act, run, run_with, scenario, scenario_path, write,
};
use serde_json::Value;

const PODS_LISTED: &str = "\
title: Pods listed
name: pods_listed
logsource: {product: kubernetes, service: audit}
detection:
  selection: {verb: list, objectRef.resource: pods}
  condition: selection
level: low
";

const BROKEN: &str = "\
title: Broken
name: broken
logsource: {product: kubernetes, service: audit}
detection:
  selection:
    verb|contians: list
    objectRef.resource: [pods, null]
  condition: selection and slection2
level: hihg
";

/// What is wrong with [`BROKEN`]: line, column, reason, help.
const FAULTS: [(&str, &str, &str); 4] = [
    (
        "6:10",
        "there is no modifier `contians`",
        "did you mean `contains`?",
    ),
    (
        "7:32",
        "a null cannot stand among values",
        "write `field: null` in a selection of its own",
    ),
    (
        "8:28",
        "there is no selection `slection2`",
        "did you mean `selection`?",
    ),
    ("9:8", "`hihg` is no level", "did you mean `high`?"),
];

const EXCLUSION: &str = "\
title: Expected, the status page lists pods
logsource: {product: kubernetes, service: audit}
filter:
  rules: [anonymous_request_allowed]
  expected: {actor.name: 'system:anonymous'}
  condition: not expected
";

#[test]
fn rules_are_left_out_by_name_id_and_tag() {
    for name in [
        "anonymous_request_allowed",
        "attack.initial-access",
        &id_of("anonymous_request_allowed"),
    ] {
        let run = replay_act(ANONYMOUS, &["--disable", name]);
        assert_eq!((run.code, run.out.as_str()), (0, ""), "{name}");
    }
    let run = replay_act(ANONYMOUS, &["--disable", "anonymous_request_alowed"]);
    check_says(&run.err, &["did you mean `anonymous_request_allowed`?"]);
}

fn id_of(rule: &str) -> String {
    let list: Vec<Value> = serde_json::from_str(&run(&["rules", "list", "--json"]).out).unwrap();
    list.iter().find(|found| found["name"] == rule).unwrap()["id"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn rules_are_added_and_exclusions_silence() {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules");
    fs::create_dir(&rules).unwrap();
    let own = write(&rules, "pods_listed.yml", PODS_LISTED);
    let exclusions = write(folder.path(), "exclusions.yml", EXCLUSION);
    let rules = rules.display().to_string();
    let cases: [(&[&str], &[&str]); 5] = [
        (
            &["--rules", &own],
            &["pods_listed", "anonymous_request_allowed"],
        ),
        (
            &["--rules", &rules],
            &["pods_listed", "anonymous_request_allowed"],
        ),
        (&["--rules", &rules, "--no-bundled"], &["pods_listed"]),
        (&["--exclusions", &exclusions], &[]),
        (
            &["--rules", &rules, "--exclusions", &exclusions],
            &["pods_listed"],
        ),
    ];
    for (options, expected) in cases {
        let run = replay_act(ANONYMOUS, &[options, &["--format", "line"]].concat());
        let mut found = fired(&run);
        found.sort_by_key(|name| expected.iter().position(|other| other == name));
        assert_eq!(found, expected, "{options:?}: {}", run.err);
    }
}

/// What the terminal offers to paste must do what it says.
#[test]
fn the_filter_that_an_alert_offers_silences_it() {
    let folder = tempfile::tempdir().unwrap();
    let text = replay_act("privileged_pod.ndjson.zst", &["--verbose"]).out;
    let offered = text
        .lines()
        .skip_while(|line| !line.starts_with("  silence "));
    let end = |line: &&str| !line.starts_with("  links") && !line.starts_with("  record");
    let filter: Vec<&str> = offered.take_while(end).map(|line| &line[10..]).collect();
    let exclusions = write(folder.path(), "exclusions.yml", filter.join("\n"));
    let run = replay_act("privileged_pod.ndjson.zst", &["--exclusions", &exclusions]);
    assert_eq!((run.code, run.out.as_str()), (0, ""), "{}", run.err);
}

#[test]
fn lists_fill_placeholders() {
    let folder = tempfile::tempdir().unwrap();
    let rule = PODS_LISTED.replace("verb: list", "userAgent|expand: '%allowed_clients%'");
    let rule = write(folder.path(), "clients.yml", rule);
    let lists = write(folder.path(), "lists.yaml", "allowed_clients: ['*']\n");
    let options = ["--rules", &rule, "--no-bundled", "--format", "line"];
    let run = replay_act(ANONYMOUS, &[&options, &["--lists", &lists][..]].concat());
    assert_eq!(
        (run.code, fired(&run)),
        (0, vec!["pods_listed"]),
        "{}",
        run.err
    );
    let run = replay_act(ANONYMOUS, &options);
    assert_eq!(run.code, 3);
    check_says(&run.err, &["allowed_clients"]);
}

#[test]
fn faults_of_rules_are_shown_all_at_once_with_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let broken = write(folder.path(), "broken.yml", BROKEN);
    let check = run(&["rules", "check", &broken]);
    let replay = replay_act(ANONYMOUS, &["--rules", &broken]);
    assert_eq!((check.code, replay.code, replay.out.as_str()), (3, 3, ""));
    for shown in [&check.out, &replay.err] {
        for (place, reason, help) in FAULTS {
            check_says(shown, &[&format!("broken.yml:{place}"), reason, help]);
        }
        check_says(shown, &["verb|contians: list", "4 errors"]);
    }
    let concise = run(&["rules", "check", "--concise", &broken]);
    assert_eq!((concise.code, concise.lines().len()), (3, 5));
}

#[test]
fn the_bundled_rules_pass_check_and_test() {
    let check = run(&["rules", "check", "--strict"]);
    assert_eq!(check.code, 0);
    check_says(&check.out, &[" rules, 0 errors, 0 warnings"]);
    let one = run(&["rules", "test", "privileged_container"]);
    assert_eq!((one.code, one.lines().len()), (0, 2));
    check_says(
        &one.out,
        &["ok      privileged_container", "1 rules passed, 0 failed"],
    );
    let unknown = run(&["rules", "test", "priviledged_container"]);
    assert_eq!(unknown.code, 1);
    check_says(&unknown.err, &["did you mean `privileged_container`?"]);
}

#[test]
fn a_page_that_contradicts_its_rule_fails_the_test() {
    let folder = tempfile::tempdir().unwrap();
    let bundled = detections::bundled::RULES
        .iter()
        .find(|rule| rule.name() == "privileged_container")
        .unwrap();
    write(folder.path(), "privileged_container.md", bundled.page);
    for (value, code) in [("true", 0), ("maybe", 3)] {
        let rule = bundled.rule.replace(
            "securityContext.privileged: true",
            &format!("securityContext.privileged: {value}"),
        );
        let rule = write(folder.path(), "privileged_container.yml", rule);
        let run = run(&["rules", "test", "--rules", &rule, "--no-bundled"]);
        assert_eq!(run.code, code, "{}{}", run.out, run.err);
        assert_eq!(run.out.contains("FAILED  privileged_container"), code == 3);
    }
}

#[test]
fn rules_are_listed() {
    let list = run(&["rules", "list"]);
    let json: Vec<Value> = serde_json::from_str(&run(&["rules", "list", "--json"]).out).unwrap();
    assert!(json.len() > 30);
    for rule in &json {
        for key in [
            "id",
            "name",
            "title",
            "level",
            "status",
            "description",
            "tags",
        ] {
            assert!(
                rule.get(key).is_some_and(|value| !value.is_null()),
                "{key} of {rule}"
            );
        }
        check_says(
            &list.out,
            &[
                rule["name"].as_str().unwrap(),
                rule["title"].as_str().unwrap(),
            ],
        );
    }
    check_says(&list.out, &[&format!("\n{} rules; ", json.len())]);
}

#[test]
fn a_rule_is_explained_by_its_page_and_against_events() {
    let explain = |arguments: &[&str]| run(&[&["rules", "explain"], arguments].concat());
    let page = explain(&["privileged_container"]);
    check_says(
        &page.out,
        &[
            "# Privileged container",
            "## Why",
            "## Response",
            "## The rule",
            "title: Privileged container",
        ],
    );
    let act = scenario_path(ANONYMOUS);
    let why = explain(&["anonymous_request_allowed", &act]);
    check_says(
        &why.out,
        &[
            "(anonymous_request_allowed): matches",
            "yes     line ",
            "seen: ",
        ],
    );
    let why_not = explain(&["privileged_container", &act]);
    check_says(
        &why_not.out,
        &[
            "(privileged_container): does not match",
            "no      line ",
            "seen: \"list\"",
            "seen: absent",
        ],
    );
    let event = String::from_utf8(scenario("anonymous_lists_pods").log.clone()).unwrap();
    assert_eq!(explain(&["privileged_container", &event]).out, why_not.out);
    assert_eq!(
        run_with(
            &["rules", "explain", "privileged_container", "-"],
            event.as_bytes()
        )
        .out,
        why_not.out
    );
    let unknown = explain(&["priviledged_container"]);
    assert_eq!(unknown.code, 1);
    check_says(&unknown.err, &["did you mean `privileged_container`?"]);
    let no_event = explain(&["privileged_container", "{\"a\": 1}"]);
    assert_eq!(no_event.code, 1);
    check_says(&no_event.err, &["not an audit event"]);
}

#[test]
fn coverage_as_a_table_and_as_a_layer() {
    let table = run(&["rules", "coverage"]);
    check_says(
        &table.out,
        &[
            "Privilege Escalation (TA0004)",
            "T1611",
            "Escape to Host",
            "privileged_container",
        ],
    );
    let layer: Value =
        serde_json::from_str(&run(&["rules", "coverage", "--format", "navigator"]).out).unwrap();
    assert_eq!(layer["versions"]["layer"], "4.5");
    assert_eq!(layer["domain"], "enterprise-attack");
    let techniques = layer["techniques"].as_array().unwrap();
    let escape = techniques
        .iter()
        .find(|technique| technique["techniqueID"] == "T1611")
        .unwrap();
    assert!(escape["score"].as_u64().unwrap() >= 5);
    assert!(
        escape["comment"]
            .as_str()
            .unwrap()
            .contains("privileged_container")
    );
}
