//! How far this process has read its partitions of the input, in the time when things came in.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::connection::Connection;
use super::feed::Reached;

/// Three seconds between two words. Correlations wait for five minutes anyway.
const SAY_EVERY_US: i64 = 3_000_000;

/// An end that comes no nearer for so long is made of what readers are not shown: the marks of transactions.
const UNSEEN_US: i64 = 30_000_000;

/// How often it is asked how many partitions the topics have.
const COUNT_EVERY: Duration = Duration::from_mins(1);

type Place = (String, i32);

/// The partitions that this process reads.
#[derive(Debug, Default)]
pub(super) struct Reach {
    places: BTreeMap<Place, Reading>,
    said_us: i64,
    topics: Vec<(String, i32)>,
    counted: Option<Instant>,
}

#[derive(Debug)]
struct Reading {
    next: i64,
    /// Everything that came in before was read.
    at_us: Option<i64>,
    /// Whether anything came since it was last spoken of.
    is_busy: bool,
    /// The end that it did not come to, and since when.
    short_of: Option<(i64, i64)>,
}

impl Reach {
    pub(super) fn assign(&mut self, topic: &str, partition: i32, next: i64) {
        let reading = Reading {
            next,
            at_us: None,
            is_busy: false,
            short_of: None,
        };
        self.places.insert((topic.to_owned(), partition), reading);
        // Others hold their time up for it.
        self.said_us = 0;
    }

    pub(super) fn revoke(&mut self, topic: &str, partition: i32) {
        self.places.remove(&(topic.to_owned(), partition));
    }

    /// Notes a message that came in at a time; the time of its partition then, which never goes back and is not to come.
    pub(super) fn note(
        &mut self,
        (topic, partition): (&str, i32),
        offset: i64,
        received_us: i64,
        now_us: i64,
    ) -> i64 {
        let place = (topic.to_owned(), partition);
        let Some(reading) = self.places.get_mut(&place) else {
            return received_us.min(now_us);
        };
        // Messages of others may have no time.
        let known_us = Some(received_us).filter(|received_us| *received_us > 0);
        let at_us = known_us.max(reading.at_us).unwrap_or(now_us).min(now_us);
        reading.next = offset + 1;
        reading.at_us = Some(at_us);
        reading.is_busy = true;
        reading.short_of = None;
        at_us
    }

    pub(super) fn pass(&mut self, (topic, partition): (&str, i32), offset: i64) {
        if let Some(reading) = self.places.get_mut(&(topic.to_owned(), partition)) {
            reading.next = offset + 1;
        }
    }

    /// Whether it is time to speak.
    pub(super) fn is_due(&self, now_us: i64) -> bool {
        let passed_us = now_us.abs_diff(self.said_us);
        !self.places.is_empty() && passed_us >= SAY_EVERY_US.unsigned_abs()
    }

    /// Where each partition is read on.
    pub(super) fn next(&self) -> impl Iterator<Item = (&Place, i64)> {
        let places = self.places.iter();
        places.map(|(place, reading)| (place, reading.next))
    }

    /// What is to be said now, by the clock of this process. Brokers that do not answer are left to the next time.
    pub(super) fn say(
        &mut self,
        connection: &Connection,
        inputs: &[String],
        now_us: i64,
    ) -> Reached {
        if self.counted.is_none_or(|at| at.elapsed() >= COUNT_EVERY) {
            self.counted = Some(Instant::now());
            let counted = |topic: &String| Some((topic.clone(), connection.partitions(topic)?));
            let topics: Vec<_> = inputs.iter().filter_map(counted).collect();
            if !topics.is_empty() {
                self.topics = topics;
            }
        }
        let mut answers = true;
        for ((topic, partition), reading) in &mut self.places {
            // Of one that is read the messages themselves tell the time.
            if !std::mem::take(&mut reading.is_busy) && answers {
                let end = connection.end(topic, *partition);
                answers = end.is_some();
                reading.see(end, now_us);
            }
        }
        self.said_us = now_us;
        let places = self.places.iter();
        Reached {
            said_us: now_us,
            sources: places
                .map(|((topic, partition), reading)| (topic.clone(), *partition, reading.at_us))
                .collect(),
            topics: self.topics.clone(),
        }
    }
}

impl Reading {
    /// Notes where it ends now.
    fn see(&mut self, end: Option<i64>, now_us: i64) {
        let Some(end) = end else { return };
        if self.next >= end {
            self.at_us = Some(now_us);
            self.short_of = None;
            return;
        }
        match self.short_of {
            Some((known, since_us)) if known == end => {
                if now_us - since_us >= UNSEEN_US {
                    self.at_us = Some(now_us);
                }
            }
            _ => self.short_of = Some((end, now_us)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    fn reading() -> Reach {
        let mut reach = Reach::default();
        reach.assign("in", 0, 5);
        reach
    }

    fn at(reach: &Reach) -> Option<i64> {
        reach.places.values().next().unwrap().at_us
    }

    #[test]
    fn a_partition_s_time_never_goes_back_and_is_not_to_come() {
        let mut reach = reading();
        assert_eq!(at(&reach), None);
        assert_eq!(reach.note(("in", 0), 5, 100, 1000), 100);
        // It was sent again from the dead letters.
        assert_eq!(reach.note(("in", 0), 6, 50, 1000), 100);
        // Its sender's clock is wrong.
        assert_eq!(reach.note(("in", 0), 7, 5000, 1000), 1000);
        assert_eq!(
            reach.next().collect::<Vec<_>>(),
            [(&("in".to_owned(), 0), 8)]
        );
    }

    #[test]
    fn what_is_read_to_its_end_is_at_the_present_also_if_the_end_cannot_be_seen() {
        let mut reach = reading();
        let reading = reach.places.values_mut().next().unwrap();
        reading.see(Some(5), 10 * SECOND);
        assert_eq!(reading.at_us, Some(10 * SECOND));
        reading.see(None, 20 * SECOND);
        assert_eq!(reading.at_us, Some(10 * SECOND), "nobody answered");
        reading.see(Some(7), 30 * SECOND);
        reading.see(Some(8), 50 * SECOND);
        reading.see(Some(8), 70 * SECOND);
        assert_eq!(reading.at_us, Some(10 * SECOND), "something may come yet");
        reading.see(Some(8), 80 * SECOND);
        assert_eq!(reading.at_us, Some(80 * SECOND));
    }

    #[test]
    fn who_has_got_a_partition_speaks_at_once_and_then_every_few_seconds() {
        let mut reach = Reach::default();
        assert!(!reach.is_due(100 * SECOND), "it has nothing to speak of");
        reach.assign("in", 0, 0);
        assert!(reach.is_due(100 * SECOND));
        reach.said_us = 100 * SECOND;
        assert!(!reach.is_due(102 * SECOND));
        assert!(reach.is_due(103 * SECOND));
        assert!(reach.is_due(90 * SECOND), "the clock was set back");
        reach.revoke("in", 0);
        assert!(!reach.is_due(200 * SECOND));
    }
}
