//! What is learned from rounds that failed. Most faults pass, and the same messages go through the next time. Some stay: then rounds
//! grow smaller until one message is alone, and if it is refused for what it is, it becomes a dead letter. So nobody can stop
//! evaluation with a message of his making.

use rdkafka::message::{Message as _, OwnedMessage};

use super::client::KafkaFault;

/// Messages that one transaction evaluates at most.
const ROUND_MESSAGES: usize = 10_000;

/// How often a message may fail alone for reasons that pass before it is taken for the reason.
const TRIES: u32 = 20;

/// How rounds go.
#[derive(Debug)]
pub(super) struct Care {
    /// Messages that the next round may hold.
    pub(super) messages_max: usize,
    /// What is being tried: how many messages, and the place of the first.
    trying: (usize, Option<Place>),
    /// A message that failed alone, how often, and why at last.
    suspect: Option<(Place, u32, String)>,
}

type Place = (String, i32, i64);

impl Default for Care {
    fn default() -> Self {
        Self {
            messages_max: ROUND_MESSAGES,
            trying: (0, None),
            suspect: None,
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
        let (suspect, tries, why) = self.suspect.as_ref()?;
        (*tries >= TRIES && *suspect == place(message)).then(|| (message, why.clone()))
    }

    /// The round was committed.
    pub(super) fn succeeded(&mut self) {
        self.suspect = None;
        self.messages_max = (self.messages_max * 2).min(ROUND_MESSAGES);
    }

    /// The round failed.
    pub(super) fn failed(&mut self, fault: &KafkaFault) {
        // Nothing passes by itself here: the message is found at once.
        self.blame(fault.is_poison(), fault.to_string());
    }

    /// The round ended by a fault of ours.
    pub(super) fn panicked(&mut self) {
        self.blame(
            true,
            "the evaluation of this message failed by a fault of the program".to_owned(),
        );
    }

    fn blame(&mut self, is_final: bool, why: String) {
        let (count, first) = std::mem::take(&mut self.trying);
        let Some(first) = first else { return };
        self.messages_max = if is_final { 1 } else { (count / 2).max(1) };
        if count > 1 {
            return;
        }
        let before = match self.suspect.take() {
            Some((place, tries, _)) if place == first => tries,
            _ => 0,
        };
        let tries = if is_final { TRIES } else { before + 1 };
        self.suspect = Some((first, tries, why));
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
