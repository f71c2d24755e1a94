//! What is learned from rounds that failed. Most faults pass, and the same messages go through the next time, however long that takes:
//! brokers that take nothing for hours say nothing of a message. Rounds only grow smaller. Some faults stay: a message that is
//! refused for what it is, or by which the program fails, becomes a dead letter as soon as it is alone. So nobody can stop evaluation
//! with a message of his making, and no outage makes a dead letter of an innocent one.

use rdkafka::message::{Message as _, OwnedMessage};

use super::client::KafkaFault;

/// Messages that one transaction evaluates at most.
const ROUND_MESSAGES: usize = 10_000;

/// How rounds go.
#[derive(Debug)]
pub(super) struct Care {
    /// Messages that the next round may hold.
    pub(super) messages_max: usize,
    /// What is being tried: how many messages, and the place of the first.
    trying: (usize, Option<Place>),
    /// A message that failed alone for a reason that stays, and why.
    poison: Option<(Place, String)>,
}

type Place = (String, i32, i64);

impl Default for Care {
    fn default() -> Self {
        Self {
            messages_max: ROUND_MESSAGES,
            trying: (0, None),
            poison: None,
        }
    }
}

impl Care {
    /// A round begins.
    pub(super) fn trying(&mut self, messages: &[OwnedMessage]) {
        self.trying = (messages.len(), messages.first().map(place));
    }

    /// The one message of a round, if it is not to be tried again, and why.
    pub(super) fn poisoned<'m>(
        &self,
        messages: &'m [OwnedMessage],
    ) -> Option<(&'m OwnedMessage, String)> {
        let [message] = messages else { return None };
        let (poison, why) = self.poison.as_ref()?;
        (*poison == place(message)).then(|| (message, why.clone()))
    }

    /// The round was committed.
    pub(super) fn succeeded(&mut self) {
        self.poison = None;
        self.messages_max = (self.messages_max * 2).min(ROUND_MESSAGES);
    }

    /// The round failed.
    pub(super) fn failed(&mut self, fault: &KafkaFault) {
        if fault.is_poison() {
            self.blame(fault.to_string());
        } else if self.trying.0 > 0 {
            self.messages_max = (self.trying.0 / 2).max(1);
        }
    }

    /// The round ended by a fault of ours.
    pub(super) fn panicked(&mut self) {
        self.blame("the evaluation of this message failed by a fault of the program".to_owned());
    }

    /// Nothing passes by itself here: messages go alone at once, until the one is found.
    fn blame(&mut self, why: String) {
        self.messages_max = 1;
        if let (1, Some(place)) = std::mem::take(&mut self.trying) {
            self.poison = Some((place, why));
        }
    }
}

fn place(message: &OwnedMessage) -> Place {
    (
        message.topic().to_owned(),
        message.partition(),
        message.offset(),
    )
}

#[cfg(test)]
mod tests {
    use rdkafka::message::Timestamp;

    use super::*;

    fn messages(offsets: std::ops::Range<i64>) -> Vec<OwnedMessage> {
        let message = |offset| {
            OwnedMessage::new(
                None,
                None,
                "t".to_owned(),
                Timestamp::NotAvailable,
                0,
                offset,
                None,
            )
        };
        offsets.map(message).collect()
    }

    #[test]
    fn faults_that_pass_make_rounds_smaller_and_success_makes_them_larger() {
        let mut care = Care::default();
        let fault = KafkaFault::new("away");
        for wanted in [50, 25, 12, 6, 3, 1, 1] {
            care.trying(&messages(
                0..i64::try_from(care.messages_max.min(100)).unwrap(),
            ));
            care.failed(&fault);
            assert_eq!(care.messages_max, wanted);
        }
        for _ in 0..1000 {
            care.trying(&messages(0..1));
            care.failed(&fault);
        }
        assert!(care.poisoned(&messages(0..1)).is_none(), "it may pass yet");
        care.succeeded();
        assert_eq!(care.messages_max, 2);
    }

    #[test]
    fn what_makes_us_fail_is_found_alone_and_left_out() {
        let mut care = Care::default();
        care.trying(&messages(5..9));
        care.panicked();
        assert_eq!(care.messages_max, 1);
        assert!(care.poisoned(&messages(5..6)).is_none());
        care.trying(&messages(5..6));
        care.panicked();
        assert!(care.poisoned(&messages(5..6)).is_some());
        assert!(care.poisoned(&messages(6..7)).is_none());
        care.succeeded();
        assert!(care.poisoned(&messages(5..6)).is_none());
    }
}
