use jsonschema::Validator;
use serde_json::Value;

use super::*;

const SCHEMA: &str =
    include_str!("../../../tests/fixtures/ocsf-1.8.0-detection_finding.schema.json");

const SINCE_US: i64 = 1_795_214_511_150_000;

const HOUR_US: i64 = 3_600_000_000;

/// The schema names definitions `win/…` and refers to them without escaping the slash, which no resolver follows.
fn validator() -> Validator {
    let schema = SCHEMA.replace("#/$defs/win/", "#/$defs/win~1");
    jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap()
}

fn notice(kind: Kind, activity: Activity) -> Notice {
    Notice {
        kind,
        sender: Sender {
            cluster: "prod".to_owned(),
            origin: "master-1".to_owned(),
        },
        since_us: SINCE_US,
        until_us: SINCE_US + HOUR_US,
        counts: Counts {
            events: 600,
            emitted: 12_000,
            arrived: 11_393,
            lost: 7,
            plugins: BTreeMap::from([("buffered".to_owned(), 200), ("webhook".to_owned(), 400)]),
            rejected: 3,
            proof: Proof::Emitted,
        },
        activity,
        revision: 1,
        at_us: SINCE_US + HOUR_US,
    }
}

fn all() -> Vec<Notice> {
    let endings = [
        Ending::Returned,
        Ending::Arrived,
        Ending::Quiet,
        Ending::Forgotten,
    ];
    let mut activities = vec![Activity::Create, Activity::Update];
    activities.extend(endings.map(Activity::Close));
    let mut notices = Vec::new();
    for kind in Kind::ALL {
        for proof in [Proof::None, Proof::Emitted, Proof::Restarted] {
            for activity in &activities {
                let mut notice = notice(kind, *activity);
                notice.counts.proof = proof;
                notice.revision = if *activity == Activity::Create { 1 } else { 2 };
                notices.push(notice);
            }
        }
    }
    notices
}

fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        plain.push_str(before);
        rest = after.split_once('m').unwrap().1;
    }
    plain.push_str(rest);
    plain
}

#[test]
fn every_notice_is_a_valid_finding() {
    let validator = validator();
    for notice in all() {
        let record = notice.record(OutputForms::default());
        assert_eq!(record.ecs, None);
        let finding: Value = serde_json::from_str(&record.ocsf).unwrap();
        let faults: Vec<String> = validator
            .iter_errors(&finding)
            .map(|fault| format!("{}: {fault}", fault.instance_path()))
            .collect();
        assert!(faults.is_empty(), "{faults:#?}\n{finding:#}");
    }
}

#[test]
fn a_finding_says_what_is_lost_and_what_that_means() {
    let record = notice(Kind::Missing, Activity::Create).record(OutputForms { ecs: true });
    assert_eq!(
        (
            record.rule.as_str(),
            record.level.as_str(),
            record.activity.as_str()
        ),
        ("audit_events_missing", "high", "create")
    );
    let finding: Value = serde_json::from_str(&record.ocsf).unwrap();
    let at = |pointer: &str| finding.pointer(pointer).cloned().unwrap_or_default();
    assert_eq!(at("/finding_info/uid"), record.uid);
    assert_eq!(at("/metadata/uid"), record.uid);
    assert_eq!(at("/time"), SINCE_US / 1000);
    assert_eq!(at("/severity_id"), 4);
    assert_eq!(at("/finding_info/attacks/0/technique/uid"), "T1685");
    assert_eq!(at("/finding_info/attacks/0/tactic/uid"), "TA0112");
    assert_eq!(at("/unmapped/tidewatch/counts/missing"), 600);
    let ecs: Value = serde_json::from_str(record.ecs.as_ref().unwrap()).unwrap();
    assert_eq!(ecs["event"]["id"], record.uid);
    assert_eq!(ecs["threat"]["technique"]["id"][0], "T1685");
}

#[test]
fn a_later_record_has_the_same_finding_and_an_id_of_its_own() {
    let mut closed = notice(Kind::Silent, Activity::Close(Ending::Returned));
    closed.revision = 3;
    closed.until_us += HOUR_US;
    let record = closed.record(OutputForms::default());
    let created = notice(Kind::Silent, Activity::Create).record(OutputForms::default());
    assert_eq!(record.uid, created.uid);
    assert_eq!(record.uid.len(), 32);
    let finding: Value = serde_json::from_str(&record.ocsf).unwrap();
    assert_eq!(finding["metadata"]["uid"], format!("{}.3", record.uid));
    assert_eq!(finding["type_uid"], 200_403);
    assert_eq!(finding["status"], "Resolved");
}

#[test]
fn what_differs_has_another_id() {
    let one = notice(Kind::Silent, Activity::Create);
    let mut others = vec![notice(Kind::Missing, Activity::Create); 3];
    others[1].since_us += 1;
    others[2].sender = Sender {
        cluster: "prodm".to_owned(),
        origin: "aster-1".to_owned(),
    };
    let mut ids: Vec<_> = others.iter().map(Notice::uid).collect();
    ids.push(one.uid());
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 4);
}

#[test]
fn people_read_what_happened_why_it_matters_and_what_to_do() {
    for notice in all() {
        let record = notice.record(OutputForms::default());
        let text = plain(&record.text);
        for label in [
            "\n  from    prod/master-1",
            "\n  facts   ",
            "\n  why     ",
            "\n  do      1. ",
            "\n          3. ",
            "\n  silence ",
            "\n  record  finding ",
        ] {
            assert!(text.contains(label), "{label:?} is not in\n{text}");
        }
        assert!(text.contains("T1685 Disable or Modify Tools"));
        assert!(!record.line.contains('\n'));
    }
    let line = notice(Kind::Dropped, Activity::Create)
        .record(OutputForms::default())
        .line;
    assert_eq!(
        line,
        "2026-11-20 22:41:51Z  high           audit_events_dropped  DROPPED  ×600  prod/master-1: The API server lost 600 events \
         between 2026-11-20 22:41:51Z and 2026-11-20 23:41:51Z: 200 did not fit into the buffer (buffered); 400 given up after the \
         last try (webhook); 3 requests of users refused, because they could not be audited."
    );
}

#[test]
fn what_is_missing_is_reckoned_up() {
    let mut missing = notice(Kind::Missing, Activity::Create);
    assert!(
        missing
            .record(OutputForms::default())
            .line
            .ends_with(": At least 600 events are missing: since 2026-11-20 22:41:51Z the API server emitted 12000, 11393 arrived, and it says that it lost 7.")
    );
    missing.counts.lost = 0;
    missing.counts.events = 1;
    missing.activity = Activity::Close(Ending::Arrived);
    let line = missing.record(OutputForms::default()).line;
    assert!(line.contains("At least 1 event is missing"), "{line}");
    assert!(
        line.ends_with("and it does not say that it lost any. Now all of them have arrived."),
        "{line}"
    );
}

#[test]
fn silence_is_worse_if_it_is_proven() {
    let mut silent = notice(Kind::Silent, Activity::Create);
    let facts = |notice: &Notice| notice.record(OutputForms::default()).line;
    assert_eq!(silent.level(), Level::High);
    assert!(facts(&silent).contains(
        "Nothing came for 1 h, since 2026-11-20 22:41:51Z. It emitted 600 events meanwhile"
    ));
    silent.counts.proof = Proof::Restarted;
    assert!(facts(&silent).contains("may be switched off"));
    silent.counts.proof = Proof::None;
    assert_eq!(silent.level(), Level::Medium);
    assert!(facts(&silent).contains("not known whether"));
}

#[test]
fn names_that_a_sender_chose_are_escaped_and_stand_in_no_command() {
    let mut silent = notice(Kind::Silent, Activity::Create);
    silent.sender = Sender {
        cluster: "a\u{1b}[2J\u{202e}".to_owned(),
        origin: "$(reboot)\n".repeat(100),
    };
    let record = silent.record(OutputForms { ecs: true });
    for shown in [&record.line, &plain(&record.text)] {
        assert!(!shown.contains(['\u{1b}', '\u{202e}']), "{shown}");
        assert!(!shown.contains("kube-apiserver-$"), "{shown}");
    }
    assert!(record.text.contains("kube-apiserver-NODE"));
    assert!(record.text.lines().all(|line| line.chars().count() < 2000));
}

#[test]
fn spans_are_told_in_two_units_at_most() {
    for (seconds, expected) in [
        (-5, "0 s"),
        (45, "45 s"),
        (119, "119 s"),
        (1320, "22 min"),
        (3600, "1 h"),
        (11_100, "3 h 5 min"),
        (176_400, "2 d 1 h"),
    ] {
        assert_eq!(about::duration(seconds * 1_000_000), expected);
    }
}
