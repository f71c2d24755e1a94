//! What is found at start, and where the log ends.

use std::io;
use std::sync::Arc;

use super::disk::Disk;
use super::record::{Kind, parse_meta};
use super::segments::{Position, Segment, Segments, next_record, read_record};

/// What recovery found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Where the log ends, and new records begin.
    pub end: Position,
    /// Where its oldest record begins.
    pub start: Position,
    /// Bytes of records that were being written when the last run ended: nobody was told that they are durable.
    pub torn_bytes: u64,
    /// The newest time in the last file, microseconds since 1970 UTC; 0 without any.
    pub last_us: i64,
}

/// Opens what is there. `evaluated` is a position that was synced for sure: it comes out of the store.
pub(crate) fn recover(
    disk: &Arc<dyn Disk>,
    evaluated: Position,
) -> io::Result<(Segments, Recovered)> {
    let segments = Segments::new(disk.clone());
    let mut named: Vec<(u64, i64, String)> = disk
        .names()?
        .into_iter()
        .filter_map(|name| Segments::parse_name(&name).map(|(base, at)| (base, at, name)))
        .collect();
    named.sort();
    let mut newest_us = i64::MIN;
    for (base, created_us, name) in named {
        // Later files lie further back in the log: one that does not is left over from a sync that failed.
        if created_us < newest_us {
            disk.remove(&name)?;
            continue;
        }
        newest_us = created_us;
        let file = disk.open(&name)?;
        // Of two files that start at one position the later one came after a failed sync of the other.
        segments.insert(
            base,
            Segment {
                file,
                name,
                created_us,
            },
        );
    }
    let mut recovered = Recovered {
        end: evaluated,
        start: evaluated,
        ..Recovered::default()
    };
    if let Some((base, segment)) = segments.list().pop() {
        let end = scan(&segment, base, evaluated.0, &mut recovered)?;
        cut(&segment, base, end)?;
        recovered.end = Position(end.max(evaluated.0));
        recovered.start = Position(segments.first().min(recovered.end.0));
    }
    segments.show(recovered.end.0);
    Ok((segments, recovered))
}

/// Where the last file's records end. Damage before a place that is known to have been synced does not end them.
fn scan(
    segment: &Segment,
    base: u64,
    evaluated: u64,
    recovered: &mut Recovered,
) -> io::Result<u64> {
    let file_end = base + segment.file.len()?;
    let mut synced = evaluated;
    let mut at = base;
    let mut end = base;
    let mut payload = Vec::new();
    while at < file_end {
        if let Some(header) = read_record(&*segment.file, base, at, file_end, &mut payload)? {
            synced = synced.max(header.synced);
            // A record behind a gap counts only if the gap was synced once.
            if end == at || end < synced {
                at += header.record_bytes();
                end = at;
                note_time(header.kind, &payload, recovered);
                continue;
            }
        }
        match next_record(&*segment.file, base, at + 1, file_end)? {
            Some(next) => at = next,
            None => break,
        }
    }
    recovered.torn_bytes = file_end.saturating_sub(end);
    Ok(end)
}

fn note_time(kind: Kind, payload: &[u8], recovered: &mut Recovered) {
    let time = match kind {
        Kind::Chunk => None,
        Kind::Tick => payload.first_chunk().map(|time| i64::from_le_bytes(*time)),
        Kind::Body => parse_meta(payload).map(|(meta, _)| meta.received_us),
    };
    recovered.last_us = recovered.last_us.max(time.unwrap_or(0));
}

/// Cuts off what does not count, so that no later crash can make it look like more than it was.
fn cut(segment: &Segment, base: u64, end: u64) -> io::Result<()> {
    if segment.file.len()? > end - base {
        segment.file.set_len(end - base)?;
    }
    // What is read now must be there after the next crash, too.
    segment.file.sync()
}
