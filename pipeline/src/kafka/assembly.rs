//! Puts the parts of large bodies together again, and knows from where on a partition has to be read once more.
//!
//! The offset of a partition stays at the first part of the oldest body that is not whole yet. What came after it may have been
//! evaluated: how far is said beside the offset, in the metadata that Kafka keeps with it, so that it is not evaluated twice.

use std::collections::BTreeMap;

use super::message::Chunk;

/// 10 minutes, by the clock of this process since it read the first part: a sender gives up after half a minute, so what is
/// incomplete for so long was never acknowledged. When something came in says nothing: evaluation may be behind.
const INCOMPLETE_US: i64 = 600_000_000;

/// One minute, if parts take much memory: twice as long as a sender waits.
const INCOMPLETE_MIN_US: i64 = 60_000_000;

/// 32 MiB: parts of one partition that take so much are much.
const HELD_BYTES_MUCH: usize = 32 << 20;

/// The parts of one partition.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    /// Messages before this one were evaluated before this process read them.
    done: i64,
    incomplete: BTreeMap<String, Incomplete>,
    bytes: usize,
}

#[derive(Debug)]
struct Incomplete {
    first: i64,
    /// When this process read it.
    since_us: i64,
    next: u32,
    bytes: Vec<u8>,
}

/// What became of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// A whole body.
    Whole(Vec<u8>),
    /// A part of one that is not whole yet.
    Held,
    /// It was evaluated before.
    Known,
    /// A part without those before it.
    Stray(Vec<u8>),
}

impl Assembly {
    /// Of a partition that is read from `offset` on, with what was said beside the offset.
    pub(super) fn resume(offset: i64, metadata: &str) -> Self {
        let done = metadata
            .strip_prefix("done=")
            .and_then(|text| text.parse().ok());
        Self {
            done: done.unwrap_or(offset),
            ..Self::default()
        }
    }

    /// Takes a message in.
    pub(super) fn take(
        &mut self,
        offset: i64,
        now_us: i64,
        chunk: Option<&Chunk>,
        payload: &[u8],
    ) -> Taken {
        let whole = match chunk {
            None => payload.to_vec(),
            Some(chunk) => match self.join(offset, now_us, chunk, payload) {
                Taken::Whole(bytes) => bytes,
                other => return other,
            },
        };
        if offset < self.done {
            return Taken::Known;
        }
        Taken::Whole(whole)
    }

    fn join(&mut self, offset: i64, now_us: i64, chunk: &Chunk, payload: &[u8]) -> Taken {
        if chunk.number == 0 && !self.incomplete.contains_key(&chunk.of) {
            let begun = Incomplete {
                first: offset,
                since_us: now_us,
                next: 0,
                bytes: Vec::new(),
            };
            self.incomplete.insert(chunk.of.clone(), begun);
        }
        let Some(body) = self.incomplete.get_mut(&chunk.of) else {
            return self.stray(offset, payload);
        };
        if chunk.number < body.next {
            // The same part once more: a producer that lost an answer.
            return Taken::Held;
        }
        if body.next != chunk.number {
            self.forget(&chunk.of);
            return self.stray(offset, payload);
        }
        body.next += 1;
        body.bytes.extend_from_slice(payload);
        self.bytes += payload.len();
        if !chunk.last {
            return Taken::Held;
        }
        Taken::Whole(self.forget(&chunk.of).unwrap_or_default())
    }

    fn stray(&self, offset: i64, payload: &[u8]) -> Taken {
        if offset < self.done {
            Taken::Known
        } else {
            Taken::Stray(payload.to_vec())
        }
    }

    fn forget(&mut self, of: &str) -> Option<Vec<u8>> {
        let gone = self.incomplete.remove(of)?;
        self.bytes -= gone.bytes.len();
        Some(gone.bytes)
    }

    /// What is given up: bodies whose rest never came.
    pub(super) fn expire(&mut self, now_us: i64) -> Vec<Vec<u8>> {
        let mut gone = Vec::new();
        loop {
            let oldest = self.incomplete.iter().min_by_key(|(_, body)| body.first);
            let Some((of, body)) = oldest else {
                return gone;
            };
            let patience_us = if self.bytes > HELD_BYTES_MUCH {
                INCOMPLETE_MIN_US
            } else {
                INCOMPLETE_US
            };
            if now_us - body.since_us < patience_us {
                return gone;
            }
            let of = of.clone();
            gone.extend(self.forget(&of));
        }
    }

    /// The offset to commit when all before `next` is evaluated, and what to say beside it.
    pub(super) fn commit(&self, next: i64) -> (i64, String) {
        let done = next.max(self.done);
        let first = self.incomplete.values().map(|body| body.first).min();
        // While what was evaluated before is read once more, there may be parts in it that were not read again yet.
        let from = first.map_or(next, |first| first.min(next));
        if from < done {
            (from, format!("done={done}"))
        } else {
            (from, String::new())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(of: &str, number: u32, last: bool) -> Chunk {
        Chunk {
            of: of.to_owned(),
            number,
            last,
        }
    }

    #[test]
    fn parts_between_other_messages_become_a_whole() {
        let mut assembly = Assembly::resume(10, "");
        assert_eq!(
            assembly.take(10, 0, Some(&chunk("a", 0, false)), b"on"),
            Taken::Held
        );
        assert_eq!(
            assembly.take(11, 0, None, b"other"),
            Taken::Whole(b"other".to_vec())
        );
        assert_eq!(assembly.commit(12), (10, "done=12".to_owned()));
        let whole = assembly.take(12, 0, Some(&chunk("a", 1, true)), b"ce");
        assert_eq!(whole, Taken::Whole(b"once".to_vec()));
        assert_eq!(assembly.commit(13), (13, String::new()));
    }

    #[test]
    fn what_was_evaluated_is_not_again_when_parts_are_read_again() {
        let mut assembly = Assembly::resume(10, "done=13");
        // Whole before the process died.
        assert_eq!(
            assembly.take(10, 0, Some(&chunk("a", 0, false)), b"x"),
            Taken::Held
        );
        assert_eq!(
            assembly.take(11, 0, Some(&chunk("b", 0, false)), b"y"),
            Taken::Held
        );
        assert_eq!(
            assembly.take(12, 0, Some(&chunk("a", 1, true)), b"x"),
            Taken::Known
        );
        assert_eq!(assembly.commit(13), (11, "done=13".to_owned()));
        // Whole only now.
        let whole = assembly.take(13, 0, Some(&chunk("b", 1, true)), b"z");
        assert_eq!(whole, Taken::Whole(b"yz".to_vec()));
        assert_eq!(assembly.commit(14), (14, String::new()));
    }

    #[test]
    fn a_body_whose_rest_never_comes_is_given_up_and_holds_up_nothing() {
        let mut assembly = Assembly::resume(0, "");
        assembly.take(0, 1000, Some(&chunk("a", 0, false)), b"half");
        assert!(assembly.expire(1000 + INCOMPLETE_US - 1).is_empty());
        assert_eq!(assembly.expire(1000 + INCOMPLETE_US), [b"half".to_vec()]);
        assert_eq!(assembly.commit(1), (1, String::new()));
        let stray = assembly.take(1, 0, Some(&chunk("a", 1, true)), b"rest");
        assert_eq!(stray, Taken::Stray(b"rest".to_vec()));
    }

    #[test]
    fn the_offset_stays_while_what_was_evaluated_is_read_again() {
        let mut assembly = Assembly::resume(10, "done=20");
        assembly.take(10, 0, Some(&chunk("a", 0, false)), b"a");
        assert_eq!(assembly.expire(INCOMPLETE_US).len(), 1);
        // The first part of another body may lie between here and there.
        assert_eq!(assembly.commit(11), (11, "done=20".to_owned()));
    }

    #[test]
    fn a_part_that_comes_twice_changes_nothing() {
        let mut assembly = Assembly::resume(0, "");
        for offset in 0..2 {
            assembly.take(offset, 0, Some(&chunk("a", 0, false)), b"x");
        }
        assembly.take(2, 0, Some(&chunk("a", 1, false)), b"y");
        assert_eq!(
            assembly.take(3, 0, Some(&chunk("a", 1, false)), b"y"),
            Taken::Held
        );
        let whole = assembly.take(4, 0, Some(&chunk("a", 2, true)), b"z");
        assert_eq!(whole, Taken::Whole(b"xyz".to_vec()));
    }

    #[test]
    fn a_gap_in_the_numbers_is_told() {
        let mut assembly = Assembly::resume(0, "");
        assembly.take(0, 0, Some(&chunk("a", 0, false)), b"0");
        let stray = assembly.take(1, 0, Some(&chunk("a", 2, true)), b"2");
        assert_eq!(stray, Taken::Stray(b"2".to_vec()));
        assert_eq!(assembly.commit(2), (2, String::new()));
    }
}
