//! The binary from outside: what it reads, what it prints and where, and how it ends.

mod common;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;

use common::{
    ANONYMOUS, Run, check_says, command, fired, path, replay_act, run, run_with, scenario,
    scenario_path, write,
};
use serde_json::Value;

/// Sixteen events, eight findings.
const STORY: &str = "attack_story.ndjson.zst";

#[test]
fn a_log_gives_the_same_findings_however_it_is_named_and_packed() {
    let folder = tempfile::tempdir().unwrap();
    let log = &scenario("attack_story").log;
    let plain = write(folder.path(), "audit.log.1", log);
    write(folder.path(), "notes.md", "no log");
    let glob = folder.path().join("audit.*").display().to_string();
    let packed = scenario_path(STORY);
    let expected = run(&["replay", &plain, "--format", "line"]);
    assert_eq!(
        (expected.code, expected.lines().len()),
        // Eight findings, and the story that joins them.
        (0, 9),
        "{}",
        expected.err
    );
    for name in [packed.as_str(), folder.path().to_str().unwrap(), &glob] {
        assert_eq!(
            run(&["replay", name, "--format", "line"]).out,
            expected.out,
            "{name}"
        );
    }
    for input in [log.clone(), fs::read(packed).unwrap()] {
        assert_eq!(
            run_with(&["replay", "-", "--format", "line"], &input).out,
            expected.out
        );
    }
}

#[test]
fn the_demo_is_found_with_its_clouds_and_from_gzip() {
    let run = run(&["replay", &path("replay/demo"), "--format", "line"]);
    assert_eq!(run.code, 0);
    check_says(
        &run.err,
        &["10,829 judged", "aks 86, eks 15, gke 14, raw 10,714"],
    );
    for cluster in ["shop-aks", "shop-eks", "shop-gke"] {
        check_says(&run.out, &[&format!("  in {cluster}\n")]);
    }
}

#[test]
fn formats() {
    let text = replay_act(STORY, &[]);
    check_says(
        &text.out,
        &[
            "CRITICAL  Privileged container  SUCCEEDED",
            "\n  who     system:serviceaccount:web:frontend",
        ],
    );
    check_says(
        &text.out,
        &[
            "\n  from    198.51.100.23",
            "\n  power   RoleBinding web/fe-admin",
            "\n  do      ",
            "T1611 ",
        ],
    );
    assert!(!text.out.contains("\n  silence "));
    check_says(
        &replay_act(STORY, &["--verbose"]).out,
        &["\n  silence ", "\n  record  "],
    );
    let line = replay_act(STORY, &["--format", "line"]);
    assert_eq!(line.lines().len(), 9);
    let ocsf = replay_act(STORY, &["--format", "ocsf"]);
    let findings: Vec<Value> = ocsf
        .lines()
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let names: Vec<_> = findings
        .iter()
        .map(|finding| {
            finding["finding_info"]["analytic"]["name"]
                .as_str()
                .unwrap()
        })
        .collect();
    assert_eq!(names, fired(&line));
}

#[test]
fn alerts_go_to_standard_output_and_all_else_to_standard_error() {
    let loud = replay_act(STORY, &[]);
    check_says(
        &loud.err,
        &[
            "Summary",
            "16 judged",
            "span",
            "8: critical 4, high 1, medium 3",
            "Privilege Escalation",
            "events/s",
        ],
    );
    assert!(!loud.out.contains("Summary"));
    assert!(
        !loud.err.contains('\u{1b}'),
        "no progress display where nobody looks"
    );
    let quiet = replay_act(STORY, &["--quiet"]);
    assert_eq!((quiet.out, quiet.err), (loud.out, String::new()));
    let nothing = replay_act("ok_deploy.ndjson.zst", &[]);
    assert_eq!((nothing.code, nothing.out.as_str()), (0, ""));
    check_says(&nothing.err, &["alerts    none"]);
}

#[test]
fn a_least_level_hides_alerts_but_the_summary_counts_them() {
    let run = replay_act(STORY, &["--format", "line", "--min-level", "critical"]);
    let mut found = fired(&run);
    found.sort_unstable();
    assert_eq!(
        found,
        [
            "attack_story",
            "exec_host_escape",
            "privileged_container",
            "sensitive_hostpath",
            "several_tactics_by_one_actor"
        ]
    );
    check_says(&run.err, &["8: critical 4, high 1, medium 3"]);
}

#[test]
fn colour_only_if_wanted() {
    for (option, coloured) in [("auto", false), ("never", false), ("always", true)] {
        let run = replay_act(ANONYMOUS, &["--color", option]);
        assert_eq!(run.out.contains('\u{1b}'), coloured, "{option}");
    }
    // What is asked for on the command line counts more than the environment.
    let act = scenario_path(ANONYMOUS);
    let always = command(&["replay", &act, "--color", "always"])
        .env("NO_COLOR", "1")
        .spawn()
        .unwrap();
    assert!(Run::of(always).out.contains('\u{1b}'));
    let auto = command(&["replay", &act])
        .env("NO_COLOR", "1")
        .spawn()
        .unwrap();
    assert!(!Run::of(auto).out.contains('\u{1b}'));
}

#[test]
fn exit_codes() {
    let folder = tempfile::tempdir().unwrap();
    let broken = write(folder.path(), "broken.yml", "title: No rule\n");
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
        (
            &[
                "replay",
                &act,
                "--fail-on",
                "low",
                "--min-level",
                "critical",
                "--quiet",
            ],
            10,
        ),
    ];
    for (arguments, code) in cases {
        let run = run(arguments);
        assert_eq!(run.code, code, "{arguments:?}: {}", run.err);
        let says_why = arguments.is_empty() || run.err.contains("error");
        assert_eq!(
            says_why,
            (1..=3).contains(&code),
            "{arguments:?}: {}",
            run.err
        );
    }
    assert_eq!(
        replay_act("exec_into_pod.ndjson.zst", &["--fail-on", "medium"]).code,
        0
    );
    check_says(
        &run(&["--help"]).out,
        &["Exit codes:", "  10  an alert at or above --fail-on"],
    );
    check_says(
        &run(&["replay", "--help"]).out,
        &["Examples:", "Event Hubs", "--exclusions"],
    );
}

#[test]
fn all_that_is_missing_is_named_at_once() {
    let run = run(&[
        "replay",
        "/nowhere/a.log",
        &scenario_path(ANONYMOUS),
        "/nowhere/*.gz",
    ]);
    assert_eq!((run.code, run.out.as_str()), (1, ""));
    check_says(
        &run.err,
        &[
            "/nowhere/a.log: no such file",
            "/nowhere/*.gz: no such file",
        ],
    );
}

#[test]
fn what_stands_before_a_fault_of_a_file_is_judged_and_other_files_too() {
    let folder = tempfile::tempdir().unwrap();
    let packed = fs::read(path("replay/demo/gke-audit.json.gz")).unwrap();
    let cut = write(folder.path(), "a.gz", &packed[..packed.len() - 20]);
    let run = run(&[
        "replay",
        &cut,
        &scenario_path(ANONYMOUS),
        "--format",
        "line",
    ]);
    assert_eq!(run.code, 1);
    check_says(&run.err, &["fault     ", "a.gz: gzip decompression failed"]);
    check_says(&run.out, &["in shop-gke", "listed pods of all namespaces"]);
}

#[test]
fn a_stretch_of_time() {
    let split = "2026-11-20T22:41:50Z";
    // Two findings and the story are of what goes over the split; half of it is a story, too.
    let apart = [
        "--format",
        "line",
        "--disable",
        "self_review_then_exec",
        "--disable",
        "several_tactics_by_one_actor",
    ];
    let findings = |run: &Run| -> String {
        let is_finding = |line: &&str| !line.contains("  STORY  ");
        let lines = run.out.split_inclusive('\n');
        lines.filter(is_finding).collect()
    };
    let whole = replay_act(STORY, &apart);
    let before = replay_act(STORY, &[&apart[..], &["--to", split]].concat());
    let after = replay_act(STORY, &[&apart[..], &["--from", split]].concat());
    assert_eq!((before.lines().len(), after.lines().len()), (5, 2));
    assert_eq!(findings(&before) + &findings(&after), findings(&whole));
    check_says(&before.err, &["outside --from/--to"]);
    let day = replay_act(
        STORY,
        &[&apart[..], &["--from", "2026-11-20", "--to", "2026-11-21"]].concat(),
    );
    assert_eq!(day.out, whole.out);
    assert_eq!(replay_act(STORY, &["--from", "2026-11-21"]).out, "");
}

#[test]
fn the_cluster_is_in_the_alert_and_in_its_id() {
    let uid = |run: &Run| {
        serde_json::from_str::<Value>(&run.out).unwrap()["finding_info"]["uid"].to_string()
    };
    let [one, again, other] = ["prod", "prod", "test"]
        .map(|name| replay_act(ANONYMOUS, &["--format", "ocsf", "--cluster", name]));
    assert_eq!(uid(&one), uid(&again));
    assert_ne!(uid(&one), uid(&other));
    check_says(
        &replay_act(ANONYMOUS, &["--cluster", "prod"]).out,
        &["in prod"],
    );
}

#[test]
fn declared_automation_lowers_the_level() {
    let options = ["--format", "line", "--automation", "mallory@example.com"];
    for (options, level) in [(&options[..2], "  high  "), (&options, "  medium  ")] {
        check_says(
            &replay_act("privileged_pod.ndjson.zst", options).out,
            &[level],
        );
    }
}

#[test]
fn trusted_proxies_lead_to_the_client() {
    let log = String::from_utf8(scenario("anonymous_lists_pods").log.clone()).unwrap();
    let log = log.replace(r#"["203.0.113.71","#, r#"["198.51.100.9","10.9.9.9","#);
    let options = [
        "replay",
        "-",
        "--format",
        "line",
        "--trusted-proxy",
        "10.0.0.0/8",
    ];
    for (options, client) in [
        (&options[..4], "from 10.9.9.9"),
        (&options, "from 198.51.100.9"),
    ] {
        check_says(&run_with(options, log.as_bytes()).out, &[client]);
    }
}

#[test]
fn what_is_refused_is_kept_with_place_and_reason() {
    let folder = tempfile::tempdir().unwrap();
    let rejects = folder.path().join("rejects.ndjson").display().to_string();
    let mut log =
        b"I1120 not JSON\n{\"kind\":\"Event\",\"apiVersion\":\"v1\",\"involvedObject\":{}}\n"
            .to_vec();
    log.extend(&scenario("anonymous_lists_pods").log);
    log.extend(b"{\"verb\":\"\xff\xfe\"}\n");
    let input = write(folder.path(), "mixed.log", &log);
    let run = run(&["replay", &input, "--rejects", &rejects, "--format", "line"]);
    assert_eq!(
        (run.code, run.lines().len()),
        (0, 1),
        "the good record counts: {}",
        run.err
    );
    check_says(
        &run.err,
        &["rejected  core_v1_event 1, not_an_object 1, not_utf8 1"],
    );
    let records = fs::read_to_string(rejects).unwrap();
    let records: Vec<Value> = records
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let reasons: Vec<_> = records
        .iter()
        .map(|record| record["reason"].as_str().unwrap())
        .collect();
    assert_eq!(reasons, ["not_an_object", "core_v1_event", "not_utf8"]);
    assert_eq!(
        (&records[0]["text"], &records[0]["offset"]),
        (&"I1120 not JSON".into(), &0.into())
    );
    assert_eq!(
        (&records[1]["input"], &records[1]["offset"]),
        (&input.as_str().into(), &15.into())
    );
    assert!(records[2]["hex"].as_str().unwrap().contains("fffe"));
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
        child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut err)
            .unwrap();
        assert_eq!(
            (child.wait().unwrap().code(), err.as_str()),
            (Some(0), ""),
            "{arguments:?}"
        );
    }
}
