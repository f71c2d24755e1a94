//! The oracle: every acknowledged event is an obligation. The process is killed at random moments under load; afterwards each
//! acknowledged event was evaluated exactly once as far as committed alerts tell, no alert came twice, none was invented, and a
//! fresh event still flows.
//!
//! One event in fifty is the creation of a privileged pod of its own name, so that it owes exactly one finding of its own; the
//! others owe only to be counted. Senders behave like the API server: a body without an answer is sent again, byte for byte.
//!
//! `TIDEWATCH_ORACLE_KILLS=100 cargo test --release --test oracle` is the long version.

#[path = "common/obligations.rs"]
mod obligations;
#[path = "common/serving.rs"]
mod serving;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use obligations::{Ledger, Random, body, kills, owes_alert, send};
use serde_json::Value;
use serving::{Serving, findings, wait_until};

/// Kills in the version that runs with all other tests.
const KILLS: usize = 12;

/// Senders at a time.
const SENDERS: usize = 4;

#[test]
fn no_kill_loses_an_acknowledged_event_or_raises_one_twice() {
    let kills = kills(KILLS);
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let alerts = folder.path().join("alerts.ndjson");
    let config = format!(
        "[log]\nreserve = \"1MiB\"\n[sinks.file]\ntype = \"file\"\npath = {:?}\nrotate = \"2MiB\"\nkeep = 10000\n",
        alerts.to_str().unwrap()
    );
    let ledger = Mutex::new(Ledger::default());
    let next = AtomicUsize::new(0);
    let mut random = Random(u64::from(std::process::id()));
    for _ in 0..kills {
        let serving = Serving::configured(&data, &config);
        load(
            &serving,
            &ledger,
            &next,
            Duration::from_millis(random.below(700)),
        );
        serving.kill();
    }
    let serving = Serving::configured(&data, &config);
    settle(&serving, &ledger);
    judge(&data, &alerts, &ledger.into_inner().unwrap());
}

/// Sends from several threads for a while.
fn load(serving: &Serving, ledger: &Mutex<Ledger>, next: &AtomicUsize, time: Duration) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for sender in 0..SENDERS {
            let stop = &stop;
            scope.spawn(move || {
                let mut random = Random(sender as u64 + next.load(Ordering::Relaxed) as u64);
                while !stop.load(Ordering::Relaxed) {
                    let names = body(ledger, next, &mut random);
                    send(serving, ledger, names);
                }
            });
        }
        std::thread::sleep(time);
        // The process dies while they send: that is what this is about.
        serving.signal("-KILL");
        stop.store(true, Ordering::Relaxed);
    });
}

/// Sends what has no answer yet, and a fresh event; waits until all of it is evaluated and delivered.
fn settle(serving: &Serving, ledger: &Mutex<Ledger>) {
    let left = std::mem::take(&mut ledger.lock().unwrap().unanswered);
    for names in left {
        assert!(send(serving, ledger, names));
    }
    ledger.lock().unwrap().sent.insert("fresh".to_owned());
    assert!(send(serving, ledger, vec!["fresh".to_owned()]));
    let acknowledged = ledger.lock().unwrap().acknowledged.len() as f64;
    let evaluated = "tidewatch_events_total{outcome=\"evaluated\"}";
    // A hundred kills leave a backlog; as long as it shrinks, there is hope.
    let mut before = -1.0;
    while serving.metric(evaluated) < acknowledged {
        let now = serving.metric(evaluated);
        assert!(now > before, "{now} of {acknowledged}: {}", serving.said());
        before = now;
        std::thread::sleep(Duration::from_secs(5));
    }
    wait_until("all is delivered", || {
        serving.metric("tidewatch_alert_records{sink=\"file\",state=\"in_flight\"}") < 0.5
    });
    let totals =
        |outcome: &str| serving.metric(&format!("tidewatch_events_total{{outcome=\"{outcome}\"}}"));
    let sum = totals("evaluated") + totals("repeated") + totals("ignored") + totals("rejected");
    assert!((totals("received") - sum).abs() < 0.5);
    assert!(
        (totals("evaluated") - acknowledged).abs() < 0.5,
        "each event was evaluated once"
    );
}

fn judge(data: &Path, alerts: &Path, ledger: &Ledger) {
    assert!(ledger.acknowledged.len() > 500, "there was no load");
    assert_eq!(ledger.acknowledged, ledger.sent);
    let found = findings(data);
    let mut by_name: BTreeMap<String, &Value> = BTreeMap::new();
    for record in &found {
        let name = pod(record["ocsf"].as_str().unwrap());
        assert_eq!(record["revision"], 1, "{name} was told more than once");
        assert!(ledger.sent.contains(&name), "{name} was invented");
        assert!(
            by_name.insert(name.clone(), record).is_none(),
            "{name} has two findings"
        );
    }
    let acknowledged = ledger.acknowledged.iter();
    let owed: BTreeSet<String> = acknowledged
        .filter(|name| owes_alert(name))
        .cloned()
        .collect();
    for name in &owed {
        assert!(
            by_name.contains_key(name),
            "{name} was acknowledged and lost"
        );
    }
    let mut delivered = BTreeSet::new();
    for line in lines(alerts) {
        assert!(
            delivered.insert(pod(&line)),
            "{} was delivered twice",
            pod(&line)
        );
    }
    assert_eq!(delivered, owed);
}

fn pod(ocsf: &str) -> String {
    let ocsf: Value = serde_json::from_str(ocsf).unwrap();
    ocsf["resources"][0]["name"].as_str().unwrap().to_owned()
}

/// All lines of a file and of those that were rotated away from it.
fn lines(file: &Path) -> Vec<String> {
    let name = file.file_name().unwrap().to_str().unwrap();
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(file.parent().unwrap()).unwrap() {
        let path = entry.unwrap().path();
        if path
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with(name)
        {
            let text = std::fs::read_to_string(path).unwrap();
            lines.extend(text.lines().map(ToOwned::to_owned));
        }
    }
    lines
}
