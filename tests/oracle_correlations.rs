//! The oracle for correlations: the process is killed at random moments while bursts are under way; afterwards each burst that was
//! complete was found exactly once with all of its events, and none that was not.
//!
//! `TIDEWATCH_ORACLE_KILLS=100 cargo test --release --test oracle_correlations` is the long version.

#[path = "common/bursts.rs"]
mod bursts;
#[path = "common/obligations.rs"]
mod obligations;
#[path = "common/serving.rs"]
mod serving;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bursts::{Bursts, RULES};
use obligations::kills;
use serde_json::Value;
use serving::{Serving, findings, wait_until};

/// Kills in the version that runs with all other tests.
const KILLS: usize = 12;

#[test]
fn no_kill_makes_a_threshold_missed_or_reached_twice() {
    let kills = kills(KILLS);
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let rules = folder.path().join("rules.yml");
    std::fs::write(&rules, RULES).unwrap();
    let config = format!(
        "[log]\nreserve = \"1MiB\"\n[rules]\nbundled = false\npaths = [{:?}]\n",
        rules.to_str().unwrap()
    );
    let mut bursts = Bursts::new(kills);
    for life in 0..kills {
        let serving = Serving::configured(&data, &config);
        let deadline = Duration::from_millis(bursts.random.below(400));
        let post = |body: &[u8]| serving.post(body).is_ok_and(|status| status == 200);
        bursts.send(life, post, || {
            std::thread::sleep(deadline);
            serving.signal("-KILL");
        });
        serving.kill();
    }
    let serving = Serving::configured(&data, &config);
    finish(&mut bursts, &serving, kills);
    drop(serving);
    assert_eq!(found(&data), bursts.owed());
}

/// Sends the rest, and waits until all is judged.
fn finish(bursts: &mut Bursts, serving: &Serving, lives: usize) {
    for body in bursts.rest(lives) {
        assert_eq!(serving.post(&body).unwrap(), 200);
    }
    wait_until("all is evaluated", || {
        serving.count("tidewatch_events_total{outcome=\"evaluated\"}") >= bursts.events()
    });
    // The last one alone waits for the watermark.
    wait_until("all is in order", || {
        serving.count("tidewatch_correlation_held{of=\"waiting\"}") <= 1
    });
    for reason in ["late", "ahead", "crowded"] {
        let name = format!("tidewatch_correlation_missed_total{{reason=\"{reason}\"}}");
        assert_eq!(serving.count(&name), 0, "{reason}");
    }
}

/// By name, how many events were found.
fn found(data: &Path) -> BTreeMap<String, u64> {
    let mut found: BTreeMap<String, u64> = BTreeMap::new();
    for record in findings(data) {
        let ocsf: Value = serde_json::from_str(record["ocsf"].as_str().unwrap()).unwrap();
        let name = ocsf["unmapped"]["tidewatch"]["object"]["name"]
            .as_str()
            .unwrap();
        let count = ocsf["count"].as_u64().unwrap();
        let twice = found.insert(name.to_owned(), count);
        assert!(twice.is_none(), "{name} was found twice");
    }
    found
}
