//! The binary from outside: what it reads, what it prints and where, and how it ends.

mod common;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;

use common::{Run, command, path, run, run_with, scenario, scenario_path, write};
use serde_json::Value;

/// Sixteen events, five findings.
const STORY: &str = "attack_story.ndjson.zst";
/// One event, one finding.
const ANONYMOUS: &str = "anonymous_lists_pods.ndjson.zst";

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
    ("6:10", "there is no modifier `contians`", "did you mean `contains`?"),
    ("7:32", "a null cannot stand among values", "put `field: null` into a selection of its own"),
    ("8:28", "there is no selection `slection2`", "did you mean `selection`?"),
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

/// Replays one of the acts.
fn replay(act: &str, options: &[&str]) -> Run {
    let act = scenario_path(act);
    run(&[&["replay", &act], options].concat())
}

/// The names of the rules that fired, as one line an alert tells them.
fn fired(run: &Run) -> Vec<&str> {
    run.lines().iter().map(|line| line.split("  ").filter(|part| !part.is_empty()).nth(2).unwrap().trim()).collect()
}

#[track_caller]
fn check_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
}

#[test]
fn a_log_gives_the_same_findings_however_it_is_named_and_packed() {
    let folder = tempfile::tempdir().unwrap();
    let log = &scenario("attack_story").log;
    let plain = write(folder.path(), "audit.log.1", log);
    write(folder.path(), "notes.md", "no log");
    let glob = folder.path().join("audit.*").display().to_string();
    let packed = scenario_path(STORY);
    let expected = run(&["replay", &plain, "--format", "line"]);
    assert_eq!((expected.code, expected.lines().len()), (0, 5), "{}", expected.err);
    for name in [packed.as_str(), folder.path().to_str().unwrap(), &glob] {
        assert_eq!(run(&["replay", name, "--format", "line"]).out, expected.out, "{name}");
    }
    for input in [log.clone(), fs::read(packed).unwrap()] {
        assert_eq!(run_with(&["replay", "-", "--format", "line"], &input).out, expected.out);
    }
}

#[test]
fn the_demo_is_found_with_its_clouds_and_from_gzip() {
    let run = run(&["replay", &path("replay/demo"), "--format", "line"]);
    assert_eq!(run.code, 0);
    check_says(&run.err, &["10,829 judged", "aks 86, eks 15, gke 14, raw 10,714"]);
    for cluster in ["shop-aks", "shop-eks", "shop-gke"] {
        check_says(&run.out, &[&format!("  in {cluster}\n")]);
    }
}

#[test]
fn formats() {
    let text = replay(STORY, &[]);
    check_says(&text.out, &["CRITICAL  Privileged container  SUCCEEDED", "\n  who     system:serviceaccount:web:frontend"]);
    check_says(&text.out, &["\n  from    198.51.100.23", "\n  power   RoleBinding web/fe-admin", "\n  do      ", "T1611 "]);
    assert!(!text.out.contains("\n  silence "));
    check_says(&replay(STORY, &["--verbose"]).out, &["\n  silence ", "\n  record  "]);
    let line = replay(STORY, &["--format", "line"]);
    assert_eq!(line.lines().len(), 5);
    let ocsf = replay(STORY, &["--format", "ocsf"]);
    let findings: Vec<Value> = ocsf.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<_> = findings.iter().map(|finding| finding["finding_info"]["analytic"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, fired(&line));
}

#[test]
fn alerts_go_to_standard_output_and_all_else_to_standard_error() {
    let loud = replay(STORY, &[]);
    check_says(&loud.err, &["Summary", "16 judged", "span", "5: critical 3, medium 2", "Privilege Escalation", "events/s"]);
    assert!(!loud.out.contains("Summary"));
    assert!(!loud.err.contains('\u{1b}'), "no progress display where nobody looks");
    let quiet = replay(STORY, &["--quiet"]);
    assert_eq!((quiet.out, quiet.err), (loud.out, String::new()));
    let nothing = replay("ok_deploy.ndjson.zst", &[]);
    assert_eq!((nothing.code, nothing.out.as_str()), (0, ""));
    check_says(&nothing.err, &["alerts    none"]);
}

#[test]
fn a_least_level_hides_alerts_but_the_summary_counts_them() {
    let run = replay(STORY, &["--format", "line", "--min-level", "critical"]);
    let mut found = fired(&run);
    found.sort_unstable();
    assert_eq!(found, ["exec_host_escape", "privileged_container", "sensitive_hostpath"]);
    check_says(&run.err, &["5: critical 3, medium 2"]);
}

#[test]
fn colour_only_if_wanted() {
    for (option, coloured) in [("auto", false), ("never", false), ("always", true)] {
        let run = replay(ANONYMOUS, &["--color", option]);
        assert_eq!(run.out.contains('\u{1b}'), coloured, "{option}");
    }
    // What is asked for on the command line counts more than the environment.
    let act = scenario_path(ANONYMOUS);
    let always = command(&["replay", &act, "--color", "always"]).env("NO_COLOR", "1").spawn().unwrap();
    assert!(Run::of(always).out.contains('\u{1b}'));
    let auto = command(&["replay", &act]).env("NO_COLOR", "1").spawn().unwrap();
    assert!(!Run::of(auto).out.contains('\u{1b}'));
}

#[test]
fn exit_codes() {
    let folder = tempfile::tempdir().unwrap();
    let broken = write(folder.path(), "broken.yml", BROKEN);
    let act = scenario_path(ANONYMOUS);
    let cases: [(&[&str], i32); 12] = [
        (&["--help"], 0),
        (&["--version"], 0),
        (&["replay", &act], 0),
        (&["replay", "/nowhere"], 1),
        (&["replay", &act, "--rejects", "/nowhere/rejects"], 1),
        (&["replay", &act, "--disable", "nothing_of_that_name"], 1),
        (&[], 2),
        (&["replay"], 2),
        (&["replay", &act, "--window", "1 week"], 2),
        (&["replay", &act, "--rules", &broken], 3),
        (&["replay", &act, "--fail-on", "critical"], 10),
        (&["replay", &act, "--fail-on", "low", "--min-level", "critical", "--quiet"], 10),
    ];
    for (arguments, code) in cases {
        let run = run(arguments);
        assert_eq!(run.code, code, "{arguments:?}: {}", run.err);
        let says_why = arguments.is_empty() || run.err.contains("error");
        assert_eq!(says_why, (1..=3).contains(&code), "{arguments:?}: {}", run.err);
    }
    assert_eq!(replay("exec_into_pod.ndjson.zst", &["--fail-on", "medium"]).code, 0);
    check_says(&run(&["--help"]).out, &["Exit codes:", "  10  an alert at or above --fail-on"]);
    check_says(&run(&["replay", "--help"]).out, &["Examples:", "Event Hubs", "--exclusions"]);
}

#[test]
fn all_that_is_missing_is_named_at_once() {
    let run = run(&["replay", "/nowhere/a.log", &scenario_path(ANONYMOUS), "/nowhere/*.gz"]);
    assert_eq!((run.code, run.out.as_str()), (1, ""));
    check_says(&run.err, &["/nowhere/a.log: no such file", "/nowhere/*.gz: no such file"]);
}

#[test]
fn what_stands_before_a_fault_of_a_file_is_judged_and_other_files_too() {
    let folder = tempfile::tempdir().unwrap();
    let packed = fs::read(path("replay/demo/gke-audit.json.gz")).unwrap();
    let cut = write(folder.path(), "a.gz", &packed[..packed.len() - 20]);
    let run = run(&["replay", &cut, &scenario_path(ANONYMOUS), "--format", "line"]);
    assert_eq!(run.code, 1);
    check_says(&run.err, &["fault     ", "a.gz: gzip decompression failed"]);
    check_says(&run.out, &["in shop-gke", "listed pods of all namespaces"]);
}

#[test]
fn a_stretch_of_time() {
    let split = "2026-11-20T22:41:50Z";
    let whole = replay(STORY, &["--format", "line"]);
    let before = replay(STORY, &["--format", "line", "--to", split]);
    let after = replay(STORY, &["--format", "line", "--from", split]);
    assert_eq!((before.lines().len(), after.lines().len()), (3, 2));
    assert_eq!(before.out.clone() + &after.out, whole.out);
    check_says(&before.err, &["outside --from/--to"]);
    let day = replay(STORY, &["--format", "line", "--from", "2026-11-20", "--to", "2026-11-21"]);
    assert_eq!(day.out, whole.out);
    assert_eq!(replay(STORY, &["--from", "2026-11-21"]).out, "");
}

#[test]
fn the_cluster_is_in_the_alert_and_in_its_id() {
    let uid = |run: &Run| serde_json::from_str::<Value>(&run.out).unwrap()["finding_info"]["uid"].to_string();
    let [one, again, other] = ["prod", "prod", "test"].map(|name| replay(ANONYMOUS, &["--format", "ocsf", "--cluster", name]));
    assert_eq!(uid(&one), uid(&again));
    assert_ne!(uid(&one), uid(&other));
    check_says(&replay(ANONYMOUS, &["--cluster", "prod"]).out, &["in prod"]);
}

#[test]
fn declared_automation_and_trusted_proxies() {
    let level = |run: &Run| run.lines()[0].split("  ").nth(1).unwrap().trim().to_owned();
    let plain = replay("privileged_pod.ndjson.zst", &["--format", "line"]);
    let declared = replay("privileged_pod.ndjson.zst", &["--format", "line", "--automation", "mallory@example.com"]);
    assert_eq!((level(&plain).as_str(), level(&declared).as_str()), ("high", "medium"));
    let trusted = replay("privileged_pod.ndjson.zst", &["--trusted-proxy", "203.0.113.0/24"]);
    check_says(&plain.out, &["from 203.0.113.66"]);
    assert_eq!(trusted.code, 0);
}

#[test]
fn what_is_refused_is_kept_with_place_and_reason() {
    let folder = tempfile::tempdir().unwrap();
    let rejects = folder.path().join("rejects.ndjson").display().to_string();
    let mut log = b"I1120 not JSON\n{\"kind\":\"Event\",\"apiVersion\":\"v1\",\"involvedObject\":{}}\n".to_vec();
    log.extend(&scenario("anonymous_lists_pods").log);
    log.extend(b"{\"verb\":\"\xff\xfe\"}\n");
    let input = write(folder.path(), "mixed.log", &log);
    let run = run(&["replay", &input, "--rejects", &rejects, "--format", "line"]);
    assert_eq!((run.code, run.lines().len()), (0, 1), "the good record counts: {}", run.err);
    check_says(&run.err, &["rejected  core_v1_event 1, not_an_object 1, not_utf8 1"]);
    let records = fs::read_to_string(rejects).unwrap();
    let records: Vec<Value> = records.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let reasons: Vec<_> = records.iter().map(|record| record["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["not_an_object", "core_v1_event", "not_utf8"]);
    assert_eq!((&records[0]["text"], &records[0]["offset"]), (&"I1120 not JSON".into(), &0.into()));
    assert_eq!((&records[1]["input"], &records[1]["offset"]), (&input.as_str().into(), &15.into()));
    assert!(records[2]["hex"].as_str().unwrap().contains("fffe"));
}

#[test]
fn rules_are_left_out_by_name_id_and_tag() {
    for name in ["anonymous_request_allowed", "attack.initial-access", &id_of("anonymous_request_allowed")] {
        let run = replay(ANONYMOUS, &["--disable", name]);
        assert_eq!((run.code, run.out.as_str()), (0, ""), "{name}");
    }
    let run = replay(ANONYMOUS, &["--disable", "anonymous_request_alowed"]);
    check_says(&run.err, &["did you mean `anonymous_request_allowed`?"]);
}

fn id_of(rule: &str) -> String {
    let list: Vec<Value> = serde_json::from_str(&run(&["rules", "list", "--json"]).out).unwrap();
    list.iter().find(|found| found["name"] == rule).unwrap()["id"].as_str().unwrap().to_owned()
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
        (&["--rules", &own], &["pods_listed", "anonymous_request_allowed"]),
        (&["--rules", &rules], &["pods_listed", "anonymous_request_allowed"]),
        (&["--rules", &rules, "--no-bundled"], &["pods_listed"]),
        (&["--exclusions", &exclusions], &[]),
        (&["--rules", &rules, "--exclusions", &exclusions], &["pods_listed"]),
    ];
    for (options, expected) in cases {
        let run = replay(ANONYMOUS, &[options, &["--format", "line"]].concat());
        let mut found = fired(&run);
        found.sort_by_key(|name| expected.iter().position(|other| other == name));
        assert_eq!(found, expected, "{options:?}: {}", run.err);
    }
}

/// What the terminal offers to paste must do what it says.
#[test]
fn the_filter_that_an_alert_offers_silences_it() {
    let folder = tempfile::tempdir().unwrap();
    let text = replay("privileged_pod.ndjson.zst", &["--verbose"]).out;
    let offered = text.lines().skip_while(|line| !line.starts_with("  silence "));
    let end = |line: &&str| !line.starts_with("  links") && !line.starts_with("  record");
    let filter: String = offered.take_while(end).map(|line| format!("{}\n", &line[10..])).collect();
    let exclusions = write(folder.path(), "exclusions.yml", filter);
    let run = replay("privileged_pod.ndjson.zst", &["--exclusions", &exclusions]);
    assert_eq!((run.code, run.out.as_str()), (0, ""), "{}", run.err);
}

#[test]
fn lists_fill_placeholders() {
    let folder = tempfile::tempdir().unwrap();
    let rule = PODS_LISTED.replace("verb: list", "userAgent|expand: '%allowed_clients%'");
    let rule = write(folder.path(), "clients.yml", rule);
    let lists = write(folder.path(), "lists.yaml", "allowed_clients: ['*']\n");
    let options = ["--rules", &rule, "--no-bundled", "--format", "line"];
    let run = replay(ANONYMOUS, &[&options, &["--lists", &lists][..]].concat());
    assert_eq!((run.code, fired(&run)), (0, vec!["pods_listed"]), "{}", run.err);
    let run = replay(ANONYMOUS, &options);
    assert_eq!(run.code, 3);
    check_says(&run.err, &["allowed_clients"]);
}

#[test]
fn faults_of_rules_are_shown_all_at_once_with_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let broken = write(folder.path(), "broken.yml", BROKEN);
    let check = run(&["rules", "check", &broken]);
    let replay = replay(ANONYMOUS, &["--rules", &broken]);
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
    check_says(&one.out, &["ok      privileged_container", "1 rules passed, 0 failed"]);
    let unknown = run(&["rules", "test", "priviledged_container"]);
    assert_eq!(unknown.code, 1);
    check_says(&unknown.err, &["did you mean `privileged_container`?"]);
}

#[test]
fn a_page_that_contradicts_its_rule_fails_the_test() {
    let folder = tempfile::tempdir().unwrap();
    let bundled = detections::bundled::RULES.iter().find(|rule| rule.name() == "privileged_container").unwrap();
    write(folder.path(), "privileged_container.md", bundled.page);
    for (value, code) in [("true", 0), ("maybe", 3)] {
        let rule = bundled.rule.replace("securityContext.privileged: true", &format!("securityContext.privileged: {value}"));
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
        for key in ["id", "name", "title", "level", "status", "description", "tags"] {
            assert!(rule.get(key).is_some_and(|value| !value.is_null()), "{key} of {rule}");
        }
        check_says(&list.out, &[rule["name"].as_str().unwrap(), rule["title"].as_str().unwrap()]);
    }
    check_says(&list.out, &[&format!("\n{} rules; ", json.len())]);
}

#[test]
fn a_rule_is_explained_by_its_page_and_against_events() {
    let explain = |arguments: &[&str]| run(&[&["rules", "explain"], arguments].concat());
    let page = explain(&["privileged_container"]);
    check_says(&page.out, &["# Privileged container", "## Why", "## Response", "## The rule", "title: Privileged container"]);
    let act = scenario_path(ANONYMOUS);
    let why = explain(&["anonymous_request_allowed", &act]);
    check_says(&why.out, &["(anonymous_request_allowed): matches", "yes     line ", "seen: "]);
    let why_not = explain(&["privileged_container", &act]);
    check_says(&why_not.out, &["(privileged_container): does not match", "no      line ", "seen: \"list\"", "seen: absent"]);
    let event = String::from_utf8(scenario("anonymous_lists_pods").log.clone()).unwrap();
    assert_eq!(explain(&["privileged_container", &event]).out, why_not.out);
    assert_eq!(run_with(&["rules", "explain", "privileged_container", "-"], event.as_bytes()).out, why_not.out);
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
    check_says(&table.out, &["Privilege Escalation (TA0004)", "T1611", "Escape to Host", "privileged_container"]);
    let layer: Value = serde_json::from_str(&run(&["rules", "coverage", "--format", "navigator"]).out).unwrap();
    assert_eq!(layer["versions"]["layer"], "4.5");
    assert_eq!(layer["domain"], "enterprise-attack");
    let techniques = layer["techniques"].as_array().unwrap();
    let escape = techniques.iter().find(|technique| technique["techniqueID"] == "T1611").unwrap();
    assert!(escape["score"].as_u64().unwrap() >= 5);
    assert!(escape["comment"].as_str().unwrap().contains("privileged_container"));
}

#[test]
fn completions_for_every_shell() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let run = run(&["completions", shell]);
        assert_eq!(run.code, 0, "{shell}");
        check_says(&run.out, &["tidewatch", "replay", "fail-on"]);
    }
}

/// `tidewatch … | head -1`: more is written than a pipe holds, and the reader goes after the first line.
#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let demo = path("replay/demo");
    let cases: [&[&str]; 3] = [
        &["replay", &demo, "--format", "ocsf", "--quiet"],
        &["replay", &demo, "--verbose", "--quiet"],
        &["completions", "bash"],
    ];
    for arguments in cases {
        let mut child = command(arguments).stderr(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::with_capacity(64, child.stdout.take().unwrap());
        out.read_line(&mut String::new()).unwrap();
        drop(out);
        let mut err = String::new();
        child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(0), ""), "{arguments:?}");
    }
}
