//! What was found since the last commit.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use detections::correlation::Fed;

use crate::completeness::{Arrival, Sender};
use crate::correlate::stream::Witness;
use crate::decode::Rejected;
use crate::decode::limits::KEPT_BYTES_MAX;
use crate::hex::hex;
use crate::judge::{Judged, RowHits};
use crate::merge::Merger;
use crate::spool::{Position, StoredBody};
use crate::store::{DeadLetter, Progress};

use super::watching::note;

/// What a letter takes in memory besides its bytes.
const LETTER_BYTES: usize = 512;

/// What the next commit will hold.
#[derive(Default)]
pub(super) struct Held {
    pub(super) hits: Vec<HeldHit>,
    /// Events that feed correlations, with the time of the log when they came.
    pub(super) fed: Vec<(Fed<Witness>, i64)>,
    pub(super) letters: Vec<DeadLetter>,
    /// How far followed files were read, by path.
    pub(super) checkpoints: BTreeMap<String, String>,
    pub(super) bytes: usize,
    /// When the first of it came.
    pub(super) since: Option<Instant>,
    /// When the position first moved, and where to, and the time there.
    pub(super) moved: Option<Instant>,
    pub(super) position: Position,
    /// Items of the body there that are in this.
    pub(super) items: u64,
    pub(super) now_us: i64,
    pub(super) bodies: u64,
    pub(super) damaged_bytes: u64,
    /// When each body came in whose events matched, microseconds since 1970 UTC.
    pub(super) received_us: Vec<i64>,
    /// What came of each sender, in order.
    pub(super) arrivals: Vec<(Sender, Arrival)>,
}

pub(super) struct HeldHit {
    pub(super) hits: RowHits,
    pub(super) time: Option<i64>,
    pub(super) input: Arc<str>,
    pub(super) now_us: i64,
}

impl Held {
    pub(super) fn from(progress: &Progress) -> Self {
        Self {
            position: progress.position,
            items: progress.items,
            now_us: progress.now_us,
            ..Self::default()
        }
    }

    pub(super) fn absorb(
        &mut self,
        mut judged: Judged,
        merger: &mut Merger,
        input: &Arc<str>,
        sender: Option<&Sender>,
    ) {
        let repeated = merger.merge(&judged);
        if let Some(sender) = sender {
            let (events, oldest_us) = judged.fresh(&repeated);
            let arrival = Arrival {
                at_us: self.now_us,
                events,
                oldest_us,
            };
            note(&mut self.arrivals, sender, arrival);
        }
        // These wait for the watermark anyway, and for no commit of their own.
        for fed in judged.take_fed(&repeated, input) {
            self.bytes += fed.witness.weight();
            self.fed.push((fed, self.now_us));
        }
        for (hits, time) in judged.into_hits(&repeated) {
            self.since.get_or_insert_with(Instant::now);
            // A parsed event takes some times what it took as text.
            self.bytes += 8 * hits.raw.len();
            self.hits.push(HeldHit {
                hits,
                time,
                input: input.clone(),
                now_us: self.now_us,
            });
        }
    }

    pub(super) fn bury(&mut self, letter: DeadLetter) {
        self.since.get_or_insert_with(Instant::now);
        let bytes = letter.text.as_ref().or(letter.hex.as_ref());
        self.bytes += LETTER_BYTES + bytes.map_or(0, String::len);
        self.letters.push(letter);
    }
}

/// Tells that there were more records that could not be read than are kept one by one.
pub(super) fn more_rejects(count: u64, body: &StoredBody, origin: &str) -> DeadLetter {
    DeadLetter {
        stage: "input".to_owned(),
        reason: "more_rejects".to_owned(),
        explanation: format!(
            "{count} more records of this body could not be read; the log holds it for as long as it is kept"
        ),
        origin: origin.to_owned(),
        cluster: body.meta.cluster.clone(),
        position: body.position.0,
        at_us: body.meta.received_us,
        ..DeadLetter::default()
    }
}

/// Tells that a body was too large to be kept whole.
pub(super) fn left_out(body: &StoredBody, origin: &str) -> DeadLetter {
    let meta = &body.meta;
    DeadLetter {
        stage: "input".to_owned(),
        reason: "body_too_large".to_owned(),
        explanation: format!(
            "{} bytes of this body were beyond the limit and are not kept; the {} before were evaluated",
            meta.left_out, meta.bytes
        ),
        origin: origin.to_owned(),
        cluster: meta.cluster.clone(),
        position: body.position.0,
        offset: meta.bytes,
        at_us: meta.received_us,
        ..DeadLetter::default()
    }
}

pub(super) fn letter(rejected: &Rejected<'_>, body: &StoredBody, origin: &str) -> DeadLetter {
    let kept = &rejected.bytes[..rejected.bytes.len().min(KEPT_BYTES_MAX)];
    let (text, bytes) = match std::str::from_utf8(kept) {
        Ok(text) => (Some(text.to_owned()), None),
        Err(_) => (None, Some(hex(kept))),
    };
    DeadLetter {
        stage: "input".to_owned(),
        reason: rejected.reason.as_str().to_owned(),
        explanation: rejected.reason.to_string(),
        origin: origin.to_owned(),
        cluster: body.meta.cluster.clone(),
        position: body.position.0,
        offset: rejected.offset,
        at_us: body.meta.received_us,
        text,
        hex: bytes,
        ..DeadLetter::default()
    }
}
