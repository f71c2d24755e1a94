//! What is unusual for an account, from outside: replay, and what is learned and shown of it.

mod common;

use std::fs;

use common::{run, write};
use serde_json::{Value, json};

/// Four people who list pods every hour of four days. On the last one `bob` does so at night, from elsewhere, with something else.
fn log() -> Vec<u8> {
    let mut lines = Vec::new();
    for hour in 0..96 {
        for (second, who) in ["ada", "bob", "cleo", "dan"].into_iter().enumerate() {
            let time = time(hour, second);
            lines.push(event(
                lines.len(),
                who,
                &time,
                "kubectl/v1.34.0",
                "10.20.0.5",
            ));
        }
    }
    let night = time(74, 30);
    lines.push(event(
        lines.len(),
        "bob",
        &night,
        "python-requests/2",
        "203.0.113.7",
    ));
    lines.concat().into_bytes()
}

fn time(hour: usize, second: usize) -> String {
    format!(
        "2026-11-{:02}T{:02}:00:{second:02}.000000Z",
        1 + hour / 24,
        hour % 24
    )
}

fn event(number: usize, who: &str, time: &str, client: &str, from: &str) -> String {
    let event = json!({
        "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Metadata",
        "auditID": format!("{number:08x}-0000-4000-8000-000000000000"), "stage": "ResponseComplete",
        "verb": "list", "requestURI": "/api/v1/namespaces/web/pods",
        "user": {"username": who, "groups": ["team-web", "system:authenticated"]},
        "sourceIPs": [from], "userAgent": client,
        "objectRef": {"resource": "pods", "namespace": "web", "apiVersion": "v1"},
        "responseStatus": {"code": 200}, "requestReceivedTimestamp": time, "stageTimestamp": time,
    });
    format!("{event}\n")
}

#[test]
fn an_account_elsewhere_with_something_else_is_an_alert_that_explains_itself() {
    let folder = tempfile::tempdir().unwrap();
    let log = write(folder.path(), "audit.log", log());
    let found = run(&["replay", &log, "--learn", "2d"]);
    for said in [
        "MEDIUM  Unusual for bob: public 203.0.113.0/24 (18.0 bits)",
        "audit id 00000180-0000-4000-8000-000000000000",
        "usually kubectl",
        "unusual_for_account 1",
    ] {
        let all = format!("{}{}", found.out, found.err);
        let plain = all.split_whitespace().collect::<Vec<_>>().join(" ");
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(plain.contains(&said), "{said} in {all}");
    }
    let silent = run(&["replay", &log]);
    assert_eq!(silent.out, "");
    assert!(
        silent.err.contains("learning until 2026-11-15 00:00:00Z"),
        "{}",
        silent.err
    );
    let off = run(&["replay", &log, "--learn", "2d", "--no-surprise"]);
    assert_eq!(
        (off.out.as_str(), off.err.contains("surprise")),
        ("", false)
    );
}

#[test]
fn what_history_taught_is_written_shown_and_started_from() {
    let folder = tempfile::tempdir().unwrap();
    let lines = log();
    let cut = lines
        .split_inclusive(|byte| *byte == b'\n')
        .take(3 * 96)
        .map(<[u8]>::len)
        .sum::<usize>();
    let before = write(folder.path(), "before.log", &lines[..cut]);
    let after = write(folder.path(), "after.log", &lines[cut..]);
    let file = folder.path().join("known.baseline").display().to_string();
    let learned = run(&["baseline", "learn", &before, "--out", &file]);
    assert!(
        learned.err.contains("learned from 288 events: 4 accounts"),
        "{}",
        learned.err
    );
    let found = run(&[
        "replay",
        &after,
        "--learn",
        "2d",
        "--baseline",
        &file,
        "--format",
        "line",
    ]);
    assert_eq!(found.lines().len(), 1, "{}", found.out);
    let all = run(&["baseline", "show", &file]);
    assert!(
        all.out.contains("cluster default: 4 accounts"),
        "{}",
        all.out
    );
    let bob = run(&["baseline", "show", &file, "--actor", "bob"]);
    for said in [
        "bob (one of the people) in default: 72 sessions of ten minutes, 2026-11-01 00:00:00Z to 2026-11-03 23:00:00Z",
        "groups: team-web",
        "list pods: 72 sessions on 3 days, 2026-11-01 00:00:00Z to 2026-11-03 23:00:00Z, a habit",
    ] {
        assert!(bob.out.contains(said), "{said} in {}", bob.out);
    }
    let json = run(&[
        "baseline", "show", &file, "--actor", "bob", "--format", "json",
    ]);
    let known: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(known["known"]["values"][0]["value"], "list pods");
    let nobody = run(&["baseline", "show", &file, "--actor", "eve"]);
    assert_eq!(nobody.code, 1);
    assert!(
        nobody.err.contains("knows nothing of eve"),
        "{}",
        nobody.err
    );
}

#[test]
fn a_file_that_is_no_whole_baseline_is_refused_by_name_and_reason() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("known.baseline");
    let name = file.display().to_string();
    let log = write(folder.path(), "audit.log", log());
    assert_eq!(
        run(&["baseline", "learn", &log, "--out", &name, "--quiet"]).code,
        0
    );
    let whole = fs::read(&file).unwrap();
    fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    for command in [
        vec!["baseline", "show", &name],
        vec!["replay", &log, "--baseline", &name],
    ] {
        let refused = run(&command);
        assert_eq!(refused.code, 1);
        assert!(
            refused.err.contains("known.baseline is damaged"),
            "{}",
            refused.err
        );
    }
    let other = run(&["baseline", "show", &log]);
    assert!(other.err.contains("is no baseline"), "{}", other.err);
    let missing = run(&["replay", &log, "--baseline", "nowhere"]);
    assert!(
        missing.err.contains("cannot read nowhere"),
        "{}",
        missing.err
    );
}
