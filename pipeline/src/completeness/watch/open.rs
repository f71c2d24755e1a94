//! A notice that goes on: what was said of it, and what is still to be said.

use serde::{Deserialize, Serialize};

use crate::completeness::{Activity, Counts, Ending, Kind, Notice, Sender};
use crate::limits::UPDATE_WAIT_US;

/// An hour: a loss that was not followed by another one for so long is over.
const QUIET_US: i64 = 3_600_000_000;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Open {
    pub(super) since_us: i64,
    pub(super) until_us: i64,
    pub(super) counts: Counts,
    /// When it last became worse.
    grew_us: i64,
    /// Records of it; 0 if nobody was told yet.
    revision: u32,
    told_us: i64,
    /// The number that was told.
    told_events: u64,
    has_news: bool,
    pub(super) ending: Option<Ending>,
}

impl Open {
    pub(super) fn new(since_us: i64, until_us: i64) -> Self {
        Self {
            since_us,
            until_us,
            grew_us: until_us,
            has_news: true,
            ..Self::default()
        }
    }

    /// It became worse.
    pub(super) fn grow(&mut self, at_us: i64) {
        self.until_us = self.until_us.max(at_us);
        self.grew_us = self.until_us;
        self.has_news = true;
    }

    /// The number is another one: told if it differs by more than `slack` from what was told.
    pub(super) fn set_events(&mut self, events: u64, slack: u64, at_us: i64) {
        self.counts.events = events;
        if self.revision == 0 || events > self.told_events.saturating_add(slack) {
            self.grow(at_us);
        } else if events.saturating_add(slack) < self.told_events {
            self.has_news = true;
        }
    }

    /// It is over. The quiet hour after a loss is no part of it.
    pub(super) fn end(&mut self, ending: Ending, at_us: i64) {
        if self.ending.is_some() {
            return;
        }
        self.ending = Some(ending);
        if ending != Ending::Quiet {
            self.until_us = self.until_us.max(at_us);
        }
    }

    /// When it is over, if nothing more happens: an hour after the last bad news, and after that was told.
    pub(super) fn quiet_us(&self) -> Option<i64> {
        let last_us = self.grew_us.max(self.told_us);
        (self.revision > 0 && !self.has_news).then(|| last_us.saturating_add(QUIET_US))
    }

    /// When there is something to say of it.
    pub(super) fn due_us(&self) -> Option<i64> {
        if self.ending.is_some() || (self.has_news && self.revision == 0) {
            return Some(self.until_us);
        }
        self.has_news
            .then(|| self.told_us.saturating_add(UPDATE_WAIT_US))
    }
}

/// What is to be said of a notice by now. One that is over is forgotten; if nobody was told of it, nobody needs to be.
pub(super) fn say(
    place: &mut Option<Open>,
    kind: Kind,
    sender: &Sender,
    now_us: i64,
) -> Option<Notice> {
    let open = place.as_mut()?;
    let activity = match open.ending {
        Some(_) if open.revision == 0 => {
            *place = None;
            return None;
        }
        Some(ending) => Activity::Close(ending),
        None if open.due_us().is_none_or(|due_us| due_us > now_us) => return None,
        None if open.revision == 0 => Activity::Create,
        None => Activity::Update,
    };
    open.revision += 1;
    open.told_us = now_us;
    open.told_events = open.counts.events;
    open.has_news = false;
    let notice = Notice {
        kind,
        sender: sender.clone(),
        since_us: open.since_us,
        until_us: open.until_us,
        counts: open.counts.clone(),
        activity,
        revision: open.revision,
        at_us: now_us,
    };
    if open.ending.is_some() {
        *place = None;
    }
    Some(notice)
}
