//! The state of a shard: acts that are going on, requests that counted, findings that were told. It lies in memory, and every change
//! of it is a message of the state topic: a key with its newest value, or with none if it is gone.
//!
//! Keys are a letter and 16 or 32 bytes: `f` a part of a family of acts, `r` a request, `t` the time when a family is to be looked
//! at again, `a` the last record of a finding, `n` the time of the shard. Those of correlations are theirs (`stream`).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::convert::Infallible;

use crate::correlate::{Memory, RequestSeen};
use crate::store::{Record, pack, unpack};

use super::stream::is_part;

type Id = [u8; 16];

/// Families that are handed out at once.
const DUE_MAX: usize = 1000;

/// Keys that one look for what is too old removes.
const FORGOTTEN_MAX: usize = 10_000;

/// Ten minutes: clocks of processes differ by less, or something is wrong with them.
const AHEAD_US: i64 = 600_000_000;

/// What an entry takes in memory besides its value, about.
const ENTRY_BYTES: usize = 128;

/// The value of a change is this much at most; beyond, it is none of ours.
const VALUE_BYTES_MAX: usize = 64 << 20;

/// A shard's state.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Compressed, by family and part.
    families: BTreeMap<Id, BTreeMap<Id, Vec<u8>>>,
    requests: HashMap<Id, RequestSeen>,
    request_times: BTreeSet<(i64, Id)>,
    timers: HashMap<Id, i64>,
    timer_times: BTreeSet<(i64, Id)>,
    findings: HashMap<Id, (i64, Vec<u8>)>,
    finding_times: BTreeSet<(i64, Id)>,
    /// What correlations remember, compressed: from it they are restored, also with other rules.
    parts: BTreeMap<Vec<u8>, Vec<u8>>,
    parts_bytes: usize,
    now_us: i64,
    bytes: usize,
    /// What changed since the last time, the newest of each key.
    changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl State {
    /// Applies a message of the state topic. False if it is none.
    pub(super) fn apply(&mut self, key: &[u8], value: Option<&[u8]>) -> bool {
        match (key.first(), key.get(1..)) {
            (Some(b'f'), Some(rest)) => match (id(rest, 0), id(rest, 16)) {
                (Some(family), Some(part)) => self.apply_part(family, part, value),
                _ => return false,
            },
            (Some(b'r'), Some(rest)) => {
                let Some(request) = id(rest, 0) else {
                    return false;
                };
                self.apply_request(request, value.and_then(parse_request));
            }
            (Some(b't'), Some(rest)) => {
                let Some(family) = id(rest, 0) else {
                    return false;
                };
                self.apply_timer(family, value.and_then(parse_time));
            }
            (Some(b'a'), Some(rest)) => {
                let Some(uid) = id(rest, 0) else { return false };
                self.apply_finding(uid, value);
            }
            (Some(b'n'), _) => {
                let Some(now_us) = value.and_then(parse_time) else {
                    return false;
                };
                self.now_us = now_us;
            }
            _ if is_part(key) => self.apply_of_stream(key, value),
            _ => return false,
        }
        true
    }

    fn apply_of_stream(&mut self, key: &[u8], value: Option<&[u8]>) {
        let weigh = |value: &[u8]| key.len() + value.len() + ENTRY_BYTES;
        let before = match value {
            Some(value) => {
                self.parts_bytes += weigh(value);
                self.parts.insert(key.to_vec(), value.to_vec())
            }
            None => self.parts.remove(key),
        };
        if let Some(before) = before {
            self.parts_bytes -= weigh(&before);
        }
    }

    fn apply_part(&mut self, family: Id, part: Id, value: Option<&[u8]>) {
        let parts = self.families.entry(family).or_default();
        let before = match value {
            Some(value) => {
                self.bytes += value.len() + ENTRY_BYTES;
                parts.insert(part, value.to_vec())
            }
            None => parts.remove(&part),
        };
        if let Some(before) = before {
            self.bytes -= before.len() + ENTRY_BYTES;
        }
        if parts.is_empty() {
            self.families.remove(&family);
        }
    }

    fn apply_request(&mut self, request: Id, seen: Option<RequestSeen>) {
        let before = match seen {
            Some(seen) => {
                self.request_times.insert((seen.at_us, request));
                self.bytes += ENTRY_BYTES;
                self.requests.insert(request, seen)
            }
            None => self.requests.remove(&request),
        };
        if let Some(before) = before {
            self.bytes -= ENTRY_BYTES;
            if seen.is_none_or(|seen| seen.at_us != before.at_us) {
                self.request_times.remove(&(before.at_us, request));
            }
        }
    }

    fn apply_timer(&mut self, family: Id, due_us: Option<i64>) {
        let before = match due_us {
            Some(due_us) => self.timers.insert(family, due_us),
            None => self.timers.remove(&family),
        };
        if let Some(before) = before {
            self.timer_times.remove(&(before, family));
        }
        if let Some(due_us) = due_us {
            self.timer_times.insert((due_us, family));
        }
    }

    fn apply_finding(&mut self, uid: Id, value: Option<&[u8]>) {
        let parsed = value.and_then(|value| {
            let (time, packed) = value.split_at_checked(8)?;
            Some((parse_time(time)?, packed.to_vec()))
        });
        let before = match parsed {
            Some((raised_us, packed)) => {
                self.bytes += packed.len() + ENTRY_BYTES;
                self.finding_times.insert((raised_us, uid));
                let before = self.findings.insert(uid, (raised_us, packed));
                before.map(|before| (before, raised_us))
            }
            None => self.findings.remove(&uid).map(|before| (before, i64::MIN)),
        };
        if let Some(((raised_us, packed), now_us)) = before {
            self.bytes -= packed.len() + ENTRY_BYTES;
            if raised_us != now_us {
                self.finding_times.remove(&(raised_us, uid));
            }
        }
    }

    fn set(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.apply(&key, value.as_deref());
        self.changes.insert(key, value);
    }

    /// What changed since the last time.
    pub(super) fn take_changes(&mut self) -> BTreeMap<Vec<u8>, Option<Vec<u8>>> {
        std::mem::take(&mut self.changes)
    }

    /// The time of the shard: it never goes back.
    pub(super) fn now_us(&self) -> i64 {
        self.now_us
    }

    /// Moves the time. One that is far ahead was written by a clock that was wrong, and would stand still for as long.
    pub(super) fn advance(&mut self, now_us: i64) {
        if self.now_us - now_us > AHEAD_US {
            tracing::error!(
                ahead_us = self.now_us - now_us,
                "a shard's time was ahead of the clock, and is set back"
            );
            self.set(b"n".to_vec(), Some(now_us.to_le_bytes().to_vec()));
        }
        if now_us > self.now_us {
            self.set(b"n".to_vec(), Some(now_us.to_le_bytes().to_vec()));
        }
    }

    /// When the next family is to be looked at.
    pub(super) fn next_timer(&self) -> Option<i64> {
        self.timer_times.first().map(|(due_us, _)| *due_us)
    }

    /// What correlations remember.
    pub(super) fn parts(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let parts = self.parts.iter();
        parts
            .map(|(key, content)| (key.clone(), unpress(content)))
            .collect()
    }

    /// Keeps or forgets a part of what correlations remember.
    pub(super) fn put_part(&mut self, key: Vec<u8>, content: Option<&[u8]>) {
        self.set(key, content.map(press));
    }

    /// Bytes of what correlations remember, which have bounds of their own, about.
    pub(super) fn parts_bytes(&self) -> usize {
        self.parts_bytes
    }

    /// Bytes of acts and findings in memory, about.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The last record of a finding.
    pub(super) fn finding(&self, uid: &Id) -> Option<Record> {
        let (_, packed) = self.findings.get(uid)?;
        unpack(packed).ok()
    }

    /// Keeps the last record of a finding.
    pub(super) fn keep(&mut self, uid: &Id, record: &Record) {
        let Ok(packed) = pack(record) else { return };
        let mut value = record.raised_us.to_le_bytes().to_vec();
        value.extend(packed);
        self.set(key(b'a', &[uid]), Some(value));
    }

    /// Forgets requests and findings that were seen before a time. True if there may be more of them.
    pub(super) fn forget(&mut self, before_us: i64) -> bool {
        let old = |times: &BTreeSet<(i64, Id)>| -> Vec<Id> {
            let old = times.range(..(before_us, [0; 16])).take(FORGOTTEN_MAX);
            old.map(|(_, id)| *id).collect()
        };
        let (requests, findings) = (old(&self.request_times), old(&self.finding_times));
        let more = requests.len().max(findings.len()) == FORGOTTEN_MAX;
        for request in requests {
            self.set(key(b'r', &[&request]), None);
        }
        for uid in findings {
            self.set(key(b'a', &[&uid]), None);
        }
        more
    }

    /// Forgets the quietest acts and the oldest findings until no more than so many bytes are held; how many there were.
    pub(super) fn shrink(&mut self, bytes_max: usize) -> u64 {
        let mut gone = 0;
        while self.bytes > bytes_max {
            if let Some((_, uid)) = self.finding_times.first().copied() {
                self.set(key(b'a', &[&uid]), None);
            } else if let Some((_, family)) = self.timer_times.first().copied() {
                let parts = self
                    .families
                    .get(&family)
                    .map(|parts| parts.keys().copied().collect());
                let parts: Vec<Id> = parts.unwrap_or_default();
                for part in parts {
                    self.set(key(b'f', &[&family, &part]), None);
                }
                self.set(key(b't', &[&family]), None);
            } else if let Some((_, request)) = self.request_times.first().copied() {
                self.set(key(b'r', &[&request]), None);
            } else {
                return gone;
            }
            gone += 1;
        }
        gone
    }
}

impl Memory for State {
    type Error = Infallible;

    fn family(&mut self, family: &Id) -> Result<Vec<Vec<u8>>, Infallible> {
        let parts = self.families.get(family).into_iter().flatten();
        Ok(parts.map(|(_, part)| unpress(part)).collect())
    }

    fn put(&mut self, family: &Id, part: &Id, content: Option<&[u8]>) -> Result<(), Infallible> {
        self.set(key(b'f', &[family, part]), content.map(press));
        Ok(())
    }

    fn request(&mut self, request: &Id) -> Result<Option<RequestSeen>, Infallible> {
        Ok(self.requests.get(request).copied())
    }

    fn put_request(&mut self, request: &Id, seen: RequestSeen) -> Result<(), Infallible> {
        let mut value = vec![seen.stage];
        value.extend(seen.family);
        value.extend(seen.at_us.to_le_bytes());
        self.set(key(b'r', &[request]), Some(value));
        Ok(())
    }

    fn set_timer(
        &mut self,
        family: &Id,
        _: Option<i64>,
        to_us: Option<i64>,
    ) -> Result<(), Infallible> {
        let value = to_us.map(|to_us| to_us.to_le_bytes().to_vec());
        self.set(key(b't', &[family]), value);
        Ok(())
    }

    fn due(&mut self, now_us: i64) -> Result<Vec<(i64, Id)>, Infallible> {
        let due = self.timer_times.range(..=(now_us, [0xff; 16]));
        Ok(due.take(DUE_MAX).copied().collect())
    }
}

/// Events shrink to a fifth; without it a day of acts would fill the memory.
fn press(content: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(content, 1).unwrap_or_default()
}

fn unpress(part: &[u8]) -> Vec<u8> {
    let size = zstd::bulk::Decompressor::upper_bound(part).unwrap_or(VALUE_BYTES_MAX);
    zstd::bulk::decompress(part, size.min(VALUE_BYTES_MAX)).unwrap_or_default()
}

fn key(kind: u8, ids: &[&Id]) -> Vec<u8> {
    let mut key = vec![kind];
    for id in ids {
        key.extend_from_slice(*id);
    }
    key
}

fn id(bytes: &[u8], from: usize) -> Option<Id> {
    bytes.get(from..from + 16)?.try_into().ok()
}

fn parse_time(bytes: &[u8]) -> Option<i64> {
    Some(i64::from_le_bytes(bytes.try_into().ok()?))
}

fn parse_request(bytes: &[u8]) -> Option<RequestSeen> {
    Some(RequestSeen {
        stage: *bytes.first()?,
        family: id(bytes, 1)?,
        at_us: parse_time(bytes.get(17..)?)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(at_us: i64) -> RequestSeen {
        RequestSeen {
            stage: 2,
            family: [3; 16],
            at_us,
        }
    }

    /// A state that was restored from all changes of another is that other.
    #[test]
    fn changes_restore_the_state() {
        let mut state = State::default();
        let mut log: BTreeMap<Vec<u8>, Option<Vec<u8>>> = BTreeMap::new();
        for round in 0..20_u8 {
            let family = [round % 5; 16];
            let content = [round; 300];
            state
                .put(&family, &[round % 3; 16], Some(&content))
                .unwrap();
            state
                .set_timer(&family, None, Some(i64::from(round) * 10))
                .unwrap();
            state
                .put_request(&[round % 7; 16], seen(i64::from(round)))
                .unwrap();
            let record = Record {
                uid: round.to_string(),
                raised_us: i64::from(round),
                ..Record::default()
            };
            state.keep(&[round % 4; 16], &record);
            if round % 6 == 5 {
                state.put(&family, &[round % 3; 16], None).unwrap();
                state.set_timer(&family, None, None).unwrap();
            }
            state.advance(i64::from(round));
            log.extend(state.take_changes());
        }
        state.forget(10);
        log.extend(state.take_changes());
        let mut restored = State::default();
        for (key, value) in &log {
            assert!(restored.apply(key, value.as_deref()));
        }
        assert_eq!(
            format!("{:?}", restored.timer_times),
            format!("{:?}", state.timer_times)
        );
        assert_eq!(restored.families, state.families);
        assert_eq!(restored.requests, state.requests);
        assert_eq!(restored.request_times, state.request_times);
        assert_eq!(restored.finding_times, state.finding_times);
        assert_eq!(restored.findings, state.findings);
        assert_eq!(
            (restored.bytes, restored.now_us),
            (state.bytes, state.now_us)
        );
        assert!(state.request_times.iter().all(|(at_us, _)| *at_us >= 10));
    }

    #[test]
    fn a_state_shrinks_to_its_bound_and_says_what_it_forgot() {
        let mut state = State::default();
        for family in 0..50_u8 {
            let content: Vec<u8> = (0..2000_u32)
                .flat_map(|number| (number * number).to_le_bytes())
                .collect();
            state.put(&[family; 16], &[0; 16], Some(&content)).unwrap();
            state
                .set_timer(&[family; 16], None, Some(i64::from(family)))
                .unwrap();
            state.put_request(&[family; 16], seen(1)).unwrap();
        }
        let before = state.bytes();
        let gone = state.shrink(before / 2);
        assert!(gone > 0 && state.bytes() <= before / 2);
        assert!(
            state
                .families
                .keys()
                .next()
                .is_some_and(|first| first[0] > 0),
            "the quietest go first"
        );
        state.shrink(0);
        assert_eq!(state.bytes(), 0);
    }

    #[test]
    fn foreign_messages_are_told() {
        let mut state = State::default();
        assert!(!state.apply(b"x", None));
        assert!(!state.apply(b"f123", Some(b"x")));
        assert!(!state.apply(b"", None));
    }
}
