use detections::sigma::{Placeholders, load};
use detections::surprise::limits::DAY_US;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::alert::Alert;
use crate::catalog::{Catalog, SURPRISE_ID};
use crate::decode::Decoder;
use crate::run::{Options as RunOptions, Pipeline, Report};

/// 2026-11-01.
const START_US: i64 = 1_793_491_200_000_000;

const SECOND: i64 = 1_000_000;

fn catalog() -> Catalog {
    Catalog::new(load(&[], &Placeholders::new()), |_| None)
}

/// A request of somebody.
#[derive(Clone, Debug)]
struct Request {
    at_us: i64,
    who: &'static str,
    what: (&'static str, &'static str),
    client: &'static str,
    from: &'static str,
}

fn usual(at_us: i64, who: &'static str) -> Request {
    Request {
        at_us,
        who,
        what: ("list", "pods"),
        client: "kubectl/v1.34.0",
        from: "10.20.0.5",
    }
}

impl Request {
    fn line(&self, number: usize) -> Vec<u8> {
        let time = jiff::Timestamp::from_microsecond(START_US + self.at_us).unwrap();
        let time = time.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string();
        let (verb, resource) = self.what;
        let group = if resource.starts_with("cluster") {
            "rbac.authorization.k8s.io"
        } else {
            ""
        };
        let event = json!({
            "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Metadata",
            "auditID": format!("{number:08x}-0000-4000-8000-000000000000"),
            "stage": "ResponseComplete", "verb": verb,
            "requestURI": format!("/api/v1/namespaces/web/{resource}"),
            "user": {"username": self.who, "groups": ["team-web", "system:authenticated"]},
            "sourceIPs": [self.from], "userAgent": self.client,
            "objectRef": {"resource": resource, "namespace": "web", "apiGroup": group, "apiVersion": "v1"},
            "responseStatus": {"code": 200},
            "requestReceivedTimestamp": time, "stageTimestamp": time,
        });
        let mut line = serde_json::to_vec(&event).unwrap();
        line.push(b'\n');
        line
    }
}

/// Four people who do the same every hour of four days; on the last day one of them does more.
fn month() -> Vec<Vec<u8>> {
    let mut requests = Vec::new();
    for hour in 0..96 {
        for (place, who) in ["ada", "bob", "cleo", "dan"].into_iter().enumerate() {
            let at_us = hour * 3_600 * SECOND + i64::try_from(place).unwrap() * SECOND;
            requests.push(usual(at_us, who));
            requests.push(usual(at_us + 7 * SECOND, who));
        }
    }
    let night = 3 * DAY_US + 2 * 3_600 * SECOND + 60 * SECOND;
    for second in 0..3 {
        requests.push(Request {
            client: "python-requests/2",
            from: "203.0.113.7",
            ..usual(night + second * SECOND, "bob")
        });
    }
    requests.push(Request {
        what: ("create", "clusterrolebindings"),
        ..usual(night + 3_600 * SECOND, "cleo")
    });
    let lines = requests.iter().enumerate();
    lines
        .map(|(number, request)| request.line(number))
        .collect()
}

fn options(learning_us: i64) -> RunOptions {
    RunOptions {
        surprise: Some(Options {
            learning_us,
            ..Options::default()
        }),
        ..RunOptions::default()
    }
}

fn replay(lines: &[Vec<u8>], options: RunOptions) -> Report {
    let catalog = catalog();
    let mut pipeline = Pipeline::new(&catalog, options);
    pipeline.begin_input("log");
    let bytes = lines.concat();
    let mut decoder = Decoder::new(&bytes[..], "default".into());
    while let Some(item) = decoder.next().unwrap() {
        pipeline.accept(&item);
    }
    pipeline.finish()
}

/// Without the place in the input, which depends on the order.
fn comparable(alerts: Vec<Alert>) -> Vec<Alert> {
    let plain = |mut alert: Alert| {
        alert.raw.offset = 0;
        alert
    };
    alerts.into_iter().map(plain).collect()
}

#[test]
fn what_an_account_never_did_is_found_and_says_what_was_known() {
    let report = replay(&month(), options(2 * DAY_US));
    let titles: Vec<_> = report
        .alerts
        .iter()
        .map(|alert| &*alert.rule.title)
        .collect();
    let [bob, cleo] = report.alerts.as_slice() else {
        panic!("{titles:?}");
    };
    assert_eq!(
        bob.did,
        "18.0 bits of surprise in 5 requests within ten minutes: network public 203.0.113.0/24 +10.0, client python-requests +8.0"
    );
    assert_eq!((bob.count, bob.severity.level.as_str()), (3, "medium"));
    assert!(
        bob.steps[0].did.contains("listed pods of web (audit id "),
        "{:?}",
        bob.steps
    );
    let texts: Vec<_> = bob.evidence.iter().map(|line| &*line.text).collect();
    for said in [
        "never in 74 sessions since 01 Nov",
        "usually private 10.20.0.0/16",
        "0 of 4 in team-web",
        "ordinary after about 5 more sessions",
    ] {
        assert!(texts[0].contains(said), "{said} in {texts:?}");
    }
    assert!(
        cleo.rule.title.starts_with(
            "Unusual for cleo: create rbac.authorization.k8s.io/clusterrolebindings ("
        )
    );
    assert_eq!(
        (&*cleo.rule.id, cleo.rule.techniques.len()),
        (SURPRISE_ID, 0)
    );
    let standing = report.surprise.unwrap();
    assert_eq!((standing.judged, standing.learning_until_us), (192, None));
}

#[test]
fn without_history_enough_nothing_is_said_and_the_report_says_why() {
    let report = replay(&month(), options(14 * DAY_US));
    assert!(report.alerts.is_empty());
    let standing = report.surprise.unwrap();
    assert_eq!(standing.judged, 0);
    assert_eq!(standing.learning_until_us, Some(START_US + 14 * DAY_US));
    let off = RunOptions {
        surprise: None,
        ..RunOptions::default()
    };
    assert_eq!(replay(&month(), off).surprise, None);
}

#[test]
fn a_finding_is_a_day_and_what_was_most_surprising() {
    let mut lines = month();
    for (number, hours) in [(9_001, 4), (9_002, 9)] {
        let at_us = 3 * DAY_US + hours * 3_600 * SECOND;
        let again = Request {
            client: "python-requests/2",
            from: "203.0.113.7",
            ..usual(at_us, "bob")
        };
        lines.push(again.line(number));
    }
    let report = replay(&lines, options(2 * DAY_US));
    let of_bob: Vec<_> = report
        .alerts
        .iter()
        .filter(|alert| alert.actor.name == "bob")
        .collect();
    let [bob] = of_bob.as_slice() else {
        panic!("{}", of_bob.len());
    };
    assert_eq!(bob.count, 5);
    assert_eq!(
        bob.first_us,
        Some(START_US + 3 * DAY_US + 2 * 3_600 * SECOND + 60 * SECOND)
    );
    // Nine hours, and the second request of the session there.
    assert_eq!(
        bob.last_us,
        Some(START_US + 3 * DAY_US + 9 * 3_600 * SECOND + 8 * SECOND)
    );
    assert!(
        bob.did.contains("3 such sessions on this day"),
        "{}",
        bob.did
    );
}

#[test]
fn sessions_that_were_written_down_are_joined_again() {
    let catalog = catalog();
    let whole = replay(&month(), options(2 * DAY_US));
    let lines = month();
    let mut pipeline = Pipeline::new(&catalog, options(2 * DAY_US));
    pipeline.begin_input("log");
    // Every other line first, so that each session lies in several runs.
    for start in 0..3 {
        let part: Vec<u8> = lines
            .iter()
            .skip(start)
            .step_by(3)
            .flatten()
            .copied()
            .collect();
        let mut decoder = Decoder::new(&part[..], "default".into());
        while let Some(item) = decoder.next().unwrap() {
            pipeline.accept(&item);
        }
        pipeline.end_input();
        pipeline.write_sessions_down();
    }
    assert_eq!(
        comparable(pipeline.finish().alerts),
        comparable(whole.alerts)
    );
}

#[test]
fn a_replay_that_starts_from_what_was_learned_finds_what_one_over_all_does() {
    let lines = month();
    // Eight requests an hour: the last day begins here.
    let (before, after) = lines.split_at(3 * 24 * 8);
    let learning = RunOptions {
        keeps_learned: true,
        ..options(2 * DAY_US)
    };
    let learned = replay(before, learning).learned.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("known.baseline");
    learned.write(&path).unwrap();
    let read = crate::learned::Learned::read(&path).unwrap();
    assert_eq!(read, learned);
    let from_it = RunOptions {
        learned: Some(std::sync::Arc::new(read)),
        ..options(2 * DAY_US)
    };
    let of_last_day = |report: Report| -> Vec<Alert> {
        let is_of_it = |alert: &Alert| alert.first_us >= Some(START_US + 3 * DAY_US);
        comparable(report.alerts)
            .into_iter()
            .filter(is_of_it)
            .collect()
    };
    let found = of_last_day(replay(after, from_it));
    assert_eq!(found, of_last_day(replay(&lines, options(2 * DAY_US))));
    assert_eq!(found.len(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// In any order, in any split over judges, with any events repeated.
    #[test]
    fn order_threads_and_repeats_change_nothing(
        order in Just((0..month().len()).collect::<Vec<_>>()).prop_shuffle(),
        repeats in prop::collection::vec((0..month().len(), 0..month().len()), 0..60),
        parts in 1..5_usize,
    ) {
        let lines = month();
        let mut shuffled: Vec<Vec<u8>> = order.into_iter().map(|place| lines[place].clone()).collect();
        for (which, place) in repeats {
            shuffled.insert(place, lines[which].clone());
        }
        let expected = replay(&lines, options(2 * DAY_US));
        let catalog = catalog();
        let mut pipeline = Pipeline::new(&catalog, options(2 * DAY_US));
        let mut judges: Vec<_> = (0..parts).map(|_| pipeline.judge()).collect();
        pipeline.begin_input("log");
        for (number, piece) in shuffled.chunks(50).enumerate() {
            let judge = &mut judges[number % parts];
            let bytes = piece.concat();
            let mut decoder = Decoder::new(&bytes[..], "default".into());
            while let Some(item) = decoder.next().unwrap() {
                judge.accept(&item);
            }
            pipeline.merge(judge.take());
        }
        prop_assert_eq!(comparable(pipeline.finish().alerts), comparable(expected.alerts));
    }
}
