//! What senders are owed: every acknowledged event. Senders behave like the API server: a body without an answer is sent again, byte
//! for byte.

#![allow(dead_code, reason = "every test file uses a part of it")]

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use super::serving::{Serving, event_list, privileged_pod};

/// Events in a body, at most.
const EVENTS_MAX: u64 = 20;

/// How many faults to play: this many, or what the long version asks for.
pub(crate) fn kills(short: usize) -> usize {
    let kills = std::env::var("TIDEWATCH_ORACLE_KILLS");
    kills.map_or(short, |kills| kills.parse().unwrap())
}

/// Numbers that look random, the same for the same seed.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// What was sent, and what was acknowledged.
#[derive(Default)]
pub(crate) struct Ledger {
    /// Names in bodies that have no answer yet; they are sent again.
    pub(crate) unanswered: Vec<Vec<String>>,
    pub(crate) acknowledged: BTreeSet<String>,
    pub(crate) sent: BTreeSet<String>,
}

/// A body that had no answer, or a new one.
pub(crate) fn body(ledger: &Mutex<Ledger>, next: &AtomicUsize, random: &mut Random) -> Vec<String> {
    let mut ledger = ledger.lock().unwrap();
    if random.below(3) == 0
        && let Some(again) = ledger.unanswered.pop()
    {
        return again;
    }
    let count = 1 + random.below(EVENTS_MAX);
    let names: Vec<String> = (0..count)
        .map(|_| format!("pod-{}", next.fetch_add(1, Ordering::Relaxed)))
        .collect();
    ledger.sent.extend(names.iter().cloned());
    names
}

pub(crate) fn send(serving: &Serving, ledger: &Mutex<Ledger>, names: Vec<String>) -> bool {
    let events: Vec<Value> = names.iter().map(|name| event(name)).collect();
    let answer = serving.post(&event_list(&events));
    let mut ledger = ledger.lock().unwrap();
    let acknowledged = answer.is_ok_and(|status| status == 200);
    if acknowledged {
        ledger.acknowledged.extend(names);
    } else {
        ledger.unanswered.push(names);
    }
    acknowledged
}

fn event(name: &str) -> Value {
    let mut event = privileged_pod(name);
    if !owes_alert(name) {
        event["verb"] = "get".into();
        event["level"] = "Metadata".into();
        for body in ["requestObject", "responseObject"] {
            event.as_object_mut().unwrap().remove(body);
        }
    }
    event
}

pub(crate) fn owes_alert(name: &str) -> bool {
    name.ends_with("00") || name.ends_with("50") || name == "fresh"
}
