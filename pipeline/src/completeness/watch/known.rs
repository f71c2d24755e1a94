//! What is known of one sender.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::counted::{Counted, Look, Missing, Tally};
use super::heard::Heard;
use super::open::{Open, say};
use super::{Arrival, Options, Standing};
use crate::completeness::{Counters, Ending, Kind, Notice, Proof, Sender};

/// Looks that wait until the log has come as far. While a backlog of more than an hour is evaluated, the oldest are left out.
const WAITING_MAX: usize = 64;

/// A week: who was neither heard nor asked for so long is gone, as are the nodes of a control plane after an upgrade.
const GONE_US: i64 = 7 * 24 * 3_600_000_000;

/// What is the same for all senders.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) options: Options,
    pub(super) listening_us: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Known {
    heard: Heard,
    counted: Option<Counted>,
    silent: Option<Open>,
    missing: Option<Open>,
    dropped: Option<Open>,
    /// What was missing before the last restart, as far as it was told.
    carried: Tally,
    /// Looks that are to be taken in, in order.
    #[serde(skip)]
    waiting: VecDeque<(i64, Counters)>,
}

impl Known {
    pub(super) fn hear(&mut self, arrival: Arrival, frame: &Frame) {
        let at_us = arrival.at_us;
        self.catch_up(at_us, frame);
        self.heard
            .hear(at_us, frame.listening_us, self.silent.is_none());
        if let Some(silent) = &mut self.silent {
            silent.end(Ending::Returned, at_us);
        }
        if let Some(counted) = &mut self.counted {
            let took_us = arrival.oldest_us.map(|oldest_us| at_us - oldest_us);
            counted.arrive(arrival.events, took_us);
        }
    }

    pub(super) fn look(&mut self, counters: Counters, at_us: i64) {
        if self.waiting.len() >= WAITING_MAX {
            self.waiting.pop_front();
        }
        self.waiting.push_back((at_us, counters));
    }

    pub(super) fn tick(&mut self, sender: &Sender, now_us: i64, frame: &Frame) -> Vec<Notice> {
        self.catch_up(now_us, frame);
        let mut notices = Vec::new();
        // Who spoke again may be silent again by now: then the first silence is told to its end, and another one begins.
        if self
            .silent
            .as_ref()
            .is_some_and(|silent| silent.ending.is_some())
        {
            notices.extend(say(&mut self.silent, Kind::Silent, sender, now_us));
        }
        self.note_silence(now_us, frame);
        self.note_quiet(now_us);
        if self.is_gone(now_us, frame) {
            let opens = [&mut self.silent, &mut self.missing, &mut self.dropped];
            for open in opens.into_iter().flatten() {
                open.end(Ending::Forgotten, now_us);
            }
        }
        notices.extend(say(&mut self.silent, Kind::Silent, sender, now_us));
        notices.extend(say(&mut self.missing, Kind::Missing, sender, now_us));
        notices.extend(say(&mut self.dropped, Kind::Dropped, sender, now_us));
        notices
    }

    /// Whether it is not waited for any more.
    pub(super) fn is_gone(&self, now_us: i64, frame: &Frame) -> bool {
        let gone_us = self.gone_us(frame);
        gone_us.is_some_and(|gone_us| gone_us <= now_us)
    }

    /// When [`Known::tick`] next has something to do; later than its time once it was called.
    pub(super) fn due_us(&self, frame: &Frame) -> Option<i64> {
        let look = self.waiting.front().map(|(at_us, _)| *at_us);
        let silence = self.silence(frame).map(|(due_us, _)| due_us);
        let opens = [&self.silent, &self.missing, &self.dropped];
        let news = opens.into_iter().flatten().filter_map(Open::due_us);
        let losses = [&self.missing, &self.dropped];
        let quiet = losses.into_iter().flatten().filter_map(Open::quiet_us);
        let own = [look, silence, self.gone_us(frame)].into_iter().flatten();
        own.chain(news).chain(quiet).min()
    }

    pub(super) fn standing(&self) -> Standing {
        let heard = Standing {
            heard_us: self.heard.last_us,
            is_silent: self.silent.is_some(),
            ..Standing::default()
        };
        let Some(counted) = &self.counted else {
            return heard;
        };
        let (missing, surplus) = counted.balance();
        Standing {
            counted: true,
            emitted: counted.sums.emitted,
            arrived: counted.sums.arrived,
            dropped: counted.sums.dropped,
            missing,
            surplus,
            restarts: counted.restarts,
            ..heard
        }
    }

    /// Takes in the looks of until now. Looks and bodies come in the order of their times.
    fn catch_up(&mut self, now_us: i64, frame: &Frame) {
        while self
            .waiting
            .front()
            .is_some_and(|(at_us, _)| *at_us <= now_us)
        {
            let Some((at_us, counters)) = self.waiting.pop_front() else {
                return;
            };
            match &mut self.counted {
                None => self.counted = Some(Counted::first(counters, at_us)),
                // Of before a restart of ours, or out of order.
                Some(counted) if at_us <= counted.at_us => {}
                Some(counted) => {
                    let heard_us = self.heard.last_us;
                    let look = counted.look(counters, at_us, heard_us, &frame.options);
                    self.note_look(look, at_us);
                }
            }
        }
    }

    fn note_look(&mut self, look: Look, at_us: i64) {
        let events = look.lost.errors.values().sum::<u64>();
        let rejected = look.lost.rejected.unwrap_or_default();
        if events > 0 || rejected > 0 {
            let dropped = self
                .dropped
                .get_or_insert_with(|| Open::new(look.since_us, at_us));
            let counts = &mut dropped.counts;
            counts.events = counts.events.saturating_add(events);
            counts.rejected = counts.rejected.saturating_add(rejected);
            for (plugin, more) in look.lost.errors {
                let count = counts.plugins.entry(plugin).or_default();
                *count = count.saturating_add(more);
            }
            dropped.grow(at_us);
        }
        if look.restarted {
            let told = self.missing.as_ref().filter(|open| open.ending.is_none());
            self.carried = told.map(tally_of).unwrap_or_default();
        }
        self.note_missing(look.missing, at_us);
    }

    fn note_missing(&mut self, missing: Missing, at_us: i64) {
        let carried = self.carried;
        match missing {
            Missing::Unclear => {}
            Missing::None => {
                let Some(open) = &mut self.missing else {
                    return;
                };
                if carried.events == 0 {
                    open.end(Ending::Arrived, at_us);
                } else {
                    open.counts.events = carried.events;
                }
            }
            Missing::Some {
                since_us,
                tally,
                slack,
            } => {
                let open = self
                    .missing
                    .get_or_insert_with(|| Open::new(since_us, at_us));
                if open.ending.is_some() {
                    // It is over, and that is still to be said; the next look begins another one.
                    return;
                }
                open.counts.emitted = carried.emitted.saturating_add(tally.emitted);
                open.counts.arrived = carried.arrived.saturating_add(tally.arrived);
                open.counts.lost = carried.lost.saturating_add(tally.lost);
                open.set_events(carried.events.saturating_add(tally.events), slack, at_us);
            }
        }
    }

    fn note_silence(&mut self, now_us: i64, frame: &Frame) {
        let due = self.silence(frame).filter(|(due_us, _)| *due_us <= now_us);
        let Some(((_, proof), since_us)) = due.zip(self.heard.last_us) else {
            return;
        };
        let mut open = Open::new(since_us, now_us);
        let unanswered = self.counted.as_ref().and_then(|counted| counted.unanswered);
        open.counts.events = unanswered.map_or(0, |unanswered| unanswered.events);
        open.counts.proof = proof;
        self.silent = Some(open);
    }

    /// When a sender that stays as it is becomes silent, and how sure that is.
    fn silence(&self, frame: &Frame) -> Option<(i64, Proof)> {
        let silent_after_us = frame.options.silent_after_us?;
        if self.silent.is_some() {
            return None;
        }
        let since_us = self.heard.last_us?.max(frame.listening_us);
        let counted = self.counted.as_ref();
        let proven = counted
            .and_then(|counted| counted.unanswered)
            .map(|unanswered| {
                let answered_us = unanswered.since_us.saturating_add(frame.options.grace_us);
                let due_us = since_us.saturating_add(silent_after_us).max(answered_us);
                (due_us, Proof::Emitted)
            });
        let patience_us = self.heard.patience_us(silent_after_us);
        let unproven = patience_us.map(|patience_us| {
            let due_us = since_us.saturating_add(patience_us);
            match counted {
                None => (due_us, Proof::None),
                Some(counted) if counted.restarted_us.is_some() => (due_us, Proof::Restarted),
                // Its counters stand still: it is only quiet, for as long as they are looked at.
                Some(counted) => {
                    let stale_us = counted.at_us.saturating_add(frame.options.fresh_us);
                    (due_us.max(stale_us), Proof::None)
                }
            }
        });
        [proven, unproven]
            .into_iter()
            .flatten()
            .min_by_key(|(due_us, _)| *due_us)
    }

    /// Losses that did not go on are over.
    fn note_quiet(&mut self, now_us: i64) {
        let is_quiet = |open: &&mut Open| {
            let quiet_us = open.quiet_us().filter(|_| open.ending.is_none());
            quiet_us.is_some_and(|quiet_us| quiet_us <= now_us)
        };
        if let Some(open) = self.missing.as_mut().filter(is_quiet) {
            open.end(Ending::Quiet, now_us);
            if let Some(counted) = &mut self.counted {
                counted.forgive();
            }
        }
        if let Some(open) = self.dropped.as_mut().filter(is_quiet) {
            open.end(Ending::Quiet, now_us);
        }
        if self
            .missing
            .as_ref()
            .is_none_or(|open| open.ending.is_some())
        {
            self.carried = Tally::default();
        }
    }

    fn gone_us(&self, frame: &Frame) -> Option<i64> {
        if !self.waiting.is_empty() {
            return None;
        }
        let looked_us = self.counted.as_ref().map(|counted| counted.at_us);
        let last_us = self.heard.last_us.max(looked_us)?;
        Some(last_us.max(frame.listening_us).saturating_add(GONE_US))
    }
}

fn tally_of(open: &Open) -> Tally {
    Tally {
        events: open.counts.events,
        emitted: open.counts.emitted,
        arrived: open.counts.arrived,
        lost: open.counts.lost,
    }
}
