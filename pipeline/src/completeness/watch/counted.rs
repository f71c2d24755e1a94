//! What an API server emitted, against what arrived of it.
//!
//! Both only ever grow. At a look at the counters the *deficit* is what was emitted since a base, without what arrived and what the
//! API server says it lost since then: that is what is under way, and what is missing. What is under way comes and goes, what is missing
//! stays. So the least deficit within a time in which everything arrives is what is missing by then, but for what is under way
//! at any time, of which [`Pace`] knows: a batch, and as much as was emitted in the time that events take which do arrive. A loss is
//! never hidden by what comes after it; one that is less than that is seen as soon as less is under way.
//!
//! At the base something was under way, too, and repeats count as arrived; both make the deficit negative. So it is measured from
//! the lowest that it ever was.

mod pace;
mod run;

use serde::{Deserialize, Serialize};

use self::pace::Pace;
use self::run::Run;
use super::Options;
use crate::completeness::Counters;

/// Times of the start that are less apart, in milliseconds, are the same: some kernels tell them with the correction of their clock. A
/// process that was started again so soon has lower counters.
const START_SLACK_MS: u64 = 5_000;

/// Clocks of hosts differ by this at most, in milliseconds, when it is asked whether a process was started since the last look.
const CLOCK_SLACK_MS: i64 = 60_000;

/// Sums since the base.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Sums {
    pub(super) emitted: u64,
    pub(super) arrived: u64,
    pub(super) dropped: u64,
}

/// Emitted since the last body came, as far as looks can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Unanswered {
    /// The look that first told of it.
    pub(super) since_us: i64,
    pub(super) events: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Counted {
    /// The last look, and what it found.
    pub(super) at_us: i64,
    last: Counters,
    pub(super) sums: Sums,
    /// The lowest deficit since the base.
    lowest: i64,
    /// The last look after which nothing was missing.
    good_us: i64,
    good: Sums,
    pace: Pace,
    run: Option<Run>,
    pub(super) unanswered: Option<Unanswered>,
    /// The last restart, if nothing arrived since.
    pub(super) restarted_us: Option<i64>,
    pub(super) restarts: u64,
}

/// What is missing, and what was emitted and arrived in that time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Tally {
    pub(super) events: u64,
    pub(super) emitted: u64,
    pub(super) arrived: u64,
    pub(super) lost: u64,
}

/// What a look says of events that are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// Nothing yet.
    Unclear,
    /// None are.
    None,
    /// Some are, since this time. Differences up to `slack` say nothing.
    Some {
        since_us: i64,
        tally: Tally,
        slack: u64,
    },
}

/// What a look has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Look {
    /// The time of the look before.
    pub(super) since_us: i64,
    /// What was lost since then, by plugin, and requests that were refused.
    pub(super) lost: Counters,
    pub(super) restarted: bool,
    pub(super) missing: Missing,
}

impl Counted {
    /// The first look: the base.
    pub(super) fn first(counters: Counters, at_us: i64) -> Self {
        let mut counted = Self {
            at_us,
            last: counters,
            good_us: at_us,
            ..Self::default()
        };
        counted.pace.begin(at_us);
        counted
    }

    /// Events arrived, and took so long at most.
    pub(super) fn arrive(&mut self, events: u64, took_us: Option<i64>) {
        self.sums.arrived = self.sums.arrived.saturating_add(events);
        self.pace.took(took_us.unwrap_or_default());
        self.unanswered = None;
        self.restarted_us = None;
    }

    /// A further look. `heard_us` is when a body last came.
    pub(super) fn look(
        &mut self,
        counters: Counters,
        at_us: i64,
        heard_us: Option<i64>,
        options: &Options,
    ) -> Look {
        let since_us = self.at_us;
        let restarted = self.is_restart(&counters);
        let is_new = restarted && self.is_newer(&counters);
        let lost = self.lost(&counters, restarted, is_new);
        let events = counters.events.unwrap_or_default();
        let emitted = events.saturating_sub(self.last.events.unwrap_or_default());
        self.last = counters;
        self.at_us = at_us;
        let missing = if restarted {
            self.begin_anew(at_us);
            self.restarted_us = is_new.then_some(at_us);
            Missing::Unclear
        } else {
            if emitted > 0 && heard_us.is_none_or(|heard_us| heard_us <= since_us) {
                let none_yet = Unanswered {
                    since_us: at_us,
                    events: 0,
                };
                let unanswered = self.unanswered.get_or_insert(none_yet);
                unanswered.events = unanswered.events.saturating_add(emitted);
            }
            let dropped = lost.errors.values().sum();
            self.judge(emitted, dropped, options)
        };
        Look {
            since_us,
            lost,
            restarted,
            missing,
        }
    }

    /// What is missing was told, and will not be told again.
    pub(super) fn forgive(&mut self) {
        let settled = self.run.take().and_then(|run| run.settled);
        self.lowest = self.lowest.saturating_add(settled.unwrap_or_default());
        self.good_us = self.at_us;
        self.good = self.sums;
    }

    /// Events that are neither here nor said to be lost, and events that came without having been emitted.
    pub(super) fn balance(&self) -> (u64, u64) {
        let over = self.deficit().saturating_sub(self.lowest);
        (unsigned(over), unsigned(self.lowest.saturating_neg()))
    }

    fn is_restart(&self, now: &Counters) -> bool {
        let last = &self.last;
        let other_start = last
            .started_ms
            .zip(now.started_ms)
            .is_some_and(|(before, after)| before.abs_diff(after) > START_SLACK_MS);
        let fell = |before: Option<u64>, after: Option<u64>| {
            before
                .zip(after)
                .is_some_and(|(before, after)| after < before)
        };
        let error_fell = |(plugin, before): (&String, &u64)| {
            now.errors.get(plugin).is_some_and(|after| after < before)
        };
        other_start
            || fell(last.events, now.events)
            || fell(last.rejected, now.rejected)
            || last.errors.iter().any(error_fell)
    }

    /// Whether another process was started since the last look. One that is older was only not asked before: several take turns
    /// behind one address.
    fn is_newer(&self, now: &Counters) -> bool {
        let is_newer = |started_ms| started_ms + CLOCK_SLACK_MS >= self.at_us / 1000;
        now.started_ms.is_none_or(is_newer)
    }

    /// What was lost since the last look: all that the counters of a new process say, and nothing of one that takes turns.
    fn lost(&self, now: &Counters, restarted: bool, is_new: bool) -> Counters {
        if restarted && !is_new {
            return Counters::default();
        }
        let nothing = Counters::default();
        let last = if restarted { &nothing } else { &self.last };
        let more = |(plugin, count): (&String, &u64)| {
            let before = last.errors.get(plugin).copied().unwrap_or_default();
            let more = count.saturating_sub(before);
            (more > 0).then(|| (plugin.clone(), more))
        };
        let rejected = now.rejected.unwrap_or_default();
        let before = last.rejected.unwrap_or_default();
        Counters {
            errors: now.errors.iter().filter_map(more).collect(),
            rejected: Some(rejected.saturating_sub(before)),
            ..Counters::default()
        }
    }

    /// Another process counts from zero; what was under way when the last one ended is not told from what it lost.
    fn begin_anew(&mut self, at_us: i64) {
        self.sums = Sums::default();
        self.lowest = 0;
        self.good = Sums::default();
        self.good_us = at_us;
        self.pace.begin(at_us);
        self.run = None;
        self.unanswered = None;
        self.restarts = self.restarts.saturating_add(1);
    }

    fn judge(&mut self, emitted: u64, dropped: u64, options: &Options) -> Missing {
        let at_us = self.at_us;
        self.sums.emitted = self.sums.emitted.saturating_add(emitted);
        self.sums.dropped = self.sums.dropped.saturating_add(dropped);
        self.lowest = self.lowest.min(self.deficit());
        let over = self.deficit().saturating_sub(self.lowest);
        let grace_us = options.grace_us;
        let under_way = self.pace.look(at_us, self.sums.emitted, grace_us);
        let slack = options.tolerance.saturating_add(under_way);
        if over <= signed(slack) {
            self.run = None;
            self.good_us = at_us;
            self.good = self.sums;
            return Missing::None;
        }
        if dropped > 0 {
            // Retries are under way, and each of them ends as arrived or as dropped: their number says nothing yet.
            self.run = None;
            return Missing::Unclear;
        }
        let run = self.run.get_or_insert_with(|| Run::new(over, at_us));
        run.take(over, at_us, grace_us, signed(slack));
        let Some(settled) = run.settled else {
            return Missing::Unclear;
        };
        Missing::Some {
            since_us: self.good_us,
            tally: Tally {
                events: unsigned(settled),
                emitted: self.sums.emitted.saturating_sub(self.good.emitted),
                arrived: self.sums.arrived.saturating_sub(self.good.arrived),
                lost: self.sums.dropped.saturating_sub(self.good.dropped),
            },
            slack,
        }
    }

    fn deficit(&self) -> i64 {
        let sums = &self.sums;
        signed(sums.emitted)
            .saturating_sub(signed(sums.arrived))
            .saturating_sub(signed(sums.dropped))
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or_default()
}
