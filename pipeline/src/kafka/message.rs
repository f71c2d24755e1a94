//! What messages look like. Headers say what a reader wants to know without opening the value.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use detections::event::Origin;
use rdkafka::message::{Header, Headers as _, Message, OwnedHeaders, OwnedMessage};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::SinkFormat;
use crate::decode::Rejected;
use crate::spool::SourceKind;
use crate::store::Record;

pub(super) const SOURCE: &str = "tidewatch-source";
pub(super) const CLUSTER: &str = "tidewatch-cluster";
pub(super) const ORIGIN: &str = "tidewatch-origin";
pub(super) const RECEIVED: &str = "tidewatch-received-us";
pub(super) const CHUNK: &str = "tidewatch-chunk";

/// Headers of dead letters, as Kafka Connect writes them, so that tools that know those can read ours.
pub(super) const ERRORS_TOPIC: &str = "__connect.errors.topic";
pub(super) const ERRORS_PARTITION: &str = "__connect.errors.partition";
pub(super) const ERRORS_OFFSET: &str = "__connect.errors.offset";
pub(super) const ERRORS_STAGE: &str = "__connect.errors.stage";
pub(super) const ERRORS_CLASS: &str = "__connect.errors.class.name";
pub(super) const ERRORS_REASON: &str = "__connect.errors.exception.class.name";
pub(super) const ERRORS_MESSAGE: &str = "__connect.errors.exception.message";

/// A message of the input, as far as its headers and its topic tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Envelope {
    pub(super) source: SourceKind,
    pub(super) cluster: Arc<str>,
    pub(super) origin: String,
    /// When it came in, microseconds since 1970 UTC.
    pub(super) received_us: i64,
    pub(super) chunk: Option<Chunk>,
}

/// A numbered part of something larger than a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    /// Of what.
    pub(super) of: String,
    pub(super) number: u32,
    pub(super) last: bool,
}

impl Chunk {
    pub(super) fn to_text(&self) -> String {
        let last = if self.last { "/last" } else { "" };
        format!("{}/{}{last}", self.of, self.number)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        let chunk = Self {
            of: parts.next()?.to_owned(),
            number: parts.next()?.parse().ok()?,
            last: parts.next().is_some_and(|part| part == "last"),
        };
        Some(chunk)
    }
}

impl Envelope {
    /// Of a message; `cluster` is that of its topic, if it is not ours.
    pub(super) fn of(message: &OwnedMessage, cluster: &Arc<str>) -> Self {
        let headers = all_headers(message);
        let header = |name: &str| find(&headers, name);
        let arrived_ms = message.timestamp().to_millis().unwrap_or(0);
        let source = header(SOURCE).and_then(|name| SourceKind::parse(&name));
        Self {
            source: source.unwrap_or(SourceKind::Kafka),
            cluster: header(CLUSTER).map_or_else(|| cluster.clone(), Arc::from),
            origin: header(ORIGIN).unwrap_or_else(|| message.topic().to_owned()),
            received_us: header(RECEIVED)
                .and_then(|text| text.parse().ok())
                .unwrap_or(arrived_ms.saturating_mul(1000)),
            chunk: header(CHUNK).and_then(|text| Chunk::parse(&text)),
        }
    }

    pub(super) fn headers(&self) -> OwnedHeaders {
        let headers = texts(&[
            (SOURCE, self.source.as_str()),
            (CLUSTER, &self.cluster),
            (ORIGIN, &self.origin),
            (RECEIVED, &self.received_us.to_string()),
        ]);
        match &self.chunk {
            None => headers,
            Some(chunk) => headers.insert(Header {
                key: CHUNK,
                value: Some(&chunk.to_text()),
            }),
        }
    }
}

/// The headers of a message. The library panics at a name that is no UTF-8; then they are as if they were not there.
pub(super) fn all_headers(message: &OwnedMessage) -> Vec<(String, Vec<u8>)> {
    let read = || {
        let headers = message
            .headers()
            .into_iter()
            .flat_map(|headers| headers.iter());
        headers
            .map(|header| {
                (
                    header.key.to_owned(),
                    header.value.unwrap_or_default().to_vec(),
                )
            })
            .collect()
    };
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_default()
}

pub(super) fn header(message: &OwnedMessage, name: &str) -> Option<String> {
    find(&all_headers(message), name)
}

fn find(headers: &[(String, Vec<u8>)], name: &str) -> Option<String> {
    let (_, value) = headers.iter().find(|(key, _)| key == name)?;
    Some(String::from_utf8_lossy(value).into_owned())
}

pub(super) fn texts(pairs: &[(&str, &str)]) -> OwnedHeaders {
    let headers = OwnedHeaders::new_with_capacity(pairs.len());
    pairs.iter().fold(headers, |headers, (key, value)| {
        headers.insert(Header {
            key,
            value: Some(*value),
        })
    })
}

/// An event that matched, on its way to a shard.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Matched {
    /// Ids of the rules of this shard.
    pub(super) rules: Vec<String>,
    #[serde(with = "crate::correlate::stored_bytes")]
    pub(super) raw: Arc<[u8]>,
    #[serde(with = "crate::correlate::stored_origin")]
    pub(super) origin: Origin,
    /// Where it came from.
    pub(super) input: String,
    pub(super) offset: u64,
    pub(super) time: Option<i64>,
    pub(super) received_us: i64,
}

/// Raised when the form of [`Matched`] changes.
const MATCHED_VERSION: u8 = 1;

impl Matched {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![MATCHED_VERSION];
        bytes.extend(postcard::to_allocvec(self).unwrap_or_default());
        bytes
    }

    /// `None` if another version wrote it.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        match bytes.split_first() {
            Some((&MATCHED_VERSION, content)) => postcard::from_bytes(content).ok(),
            _ => None,
        }
    }
}

/// What a receiver wants to filter by.
pub(crate) fn alert_headers(record: &Record, format: SinkFormat) -> OwnedHeaders {
    let schema = match format {
        SinkFormat::Ecs => "ecs-9",
        SinkFormat::Ocsf => "ocsf-1.8.0",
        SinkFormat::Text | SinkFormat::Line => "text",
    };
    let content = match format {
        SinkFormat::Ecs | SinkFormat::Ocsf => "application/json",
        SinkFormat::Text | SinkFormat::Line => "text/plain; charset=utf-8",
    };
    let event_us = record.first_us.unwrap_or(record.raised_us);
    texts(&[
        ("content-type", content),
        ("schema", schema),
        ("finding-uid", &record.uid),
        ("revision", &record.revision.to_string()),
        ("activity", &record.activity),
        ("rule", &record.rule),
        ("rule-id", &record.rule_id),
        ("severity", &record.level),
        ("cluster", &record.cluster),
        ("event-time", &rfc3339(event_us)),
    ])
}

/// An alert without its raw event, and if that is not enough, with nothing but what it is and of what.
pub(crate) fn shortened(alert: &str, bytes_max: usize) -> String {
    let mut alert: Value = serde_json::from_str(alert).unwrap_or_default();
    for field in ["/raw_data", "/event/original"] {
        if let Some(value) = alert.pointer_mut(field) {
            *value = "".into();
        }
    }
    let text = alert.to_string();
    if text.len() <= bytes_max {
        return text;
    }
    if let Value::Object(members) = &mut alert {
        // What the schemas require, and the words of the finding.
        let kept = [
            "activity_id",
            "category_uid",
            "class_uid",
            "finding_info",
            "metadata",
            "severity_id",
            "time",
            "type_uid",
            "@timestamp",
            "rule",
            "ecs",
        ];
        members.retain(|name, _| kept.contains(&name.as_str()));
    }
    alert.to_string()
}

fn rfc3339(microseconds: i64) -> String {
    jiff::Timestamp::from_microsecond(microseconds)
        .map_or_else(|_| String::new(), |time| time.to_string())
}

/// Why a message, or a part of one, is a dead letter.
pub(super) struct Burial<'a> {
    pub(super) topic: &'a str,
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) stage: &'a str,
    pub(super) reason: &'a str,
    pub(super) explanation: &'a str,
    pub(super) envelope: Option<&'a Envelope>,
    /// It is of no use but whole.
    pub(super) is_whole: bool,
}

impl<'a> Burial<'a> {
    pub(super) fn of(message: &'a OwnedMessage, reason: &'a str, explanation: &'a str) -> Self {
        Self {
            topic: message.topic(),
            partition: message.partition(),
            offset: message.offset(),
            stage: "VALUE_CONVERTER",
            reason,
            explanation,
            envelope: None,
            is_whole: false,
        }
    }

    pub(super) fn headers(&self) -> OwnedHeaders {
        let headers = texts(&[
            (ERRORS_TOPIC, self.topic),
            (ERRORS_PARTITION, &self.partition.to_string()),
            (ERRORS_OFFSET, &self.offset.to_string()),
            (ERRORS_STAGE, self.stage),
            (ERRORS_CLASS, "tidewatch"),
            (ERRORS_REASON, self.reason),
            (ERRORS_MESSAGE, self.explanation),
        ]);
        // So that it can be sent again as it came.
        let Some(envelope) = self.envelope else {
            return headers;
        };
        let whole = Envelope {
            chunk: None,
            ..envelope.clone()
        };
        let of_input = whole.headers();
        of_input
            .iter()
            .fold(headers, |headers, header| headers.insert(header))
    }
}

/// The text of why a record was rejected.
pub(super) fn reason(rejected: &Rejected<'_>) -> (&'static str, String) {
    (rejected.reason.as_str(), rejected.reason.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_read_as_they_are_written() {
        for last in [false, true] {
            let chunk = Chunk {
                of: "0123-4".to_owned(),
                number: 7,
                last,
            };
            assert_eq!(Chunk::parse(&chunk.to_text()), Some(chunk));
        }
        assert_eq!(Chunk::parse("nothing"), None);
        assert_eq!(Chunk::parse("a/b"), None);
    }

    #[test]
    fn an_alert_that_is_too_long_loses_its_raw_event_and_then_all_but_its_words() {
        let long = "x".repeat(5000);
        let alert = serde_json::json!({
            "class_uid": 2004, "severity_id": 4, "time": 1, "finding_info": { "uid": "u", "title": "t" },
            "raw_data": long, "observables": ["o"],
        });
        let without_raw = shortened(&alert.to_string(), 1000);
        let found: serde_json::Value = serde_json::from_str(&without_raw).unwrap();
        assert_eq!(found["raw_data"], "");
        assert_eq!(found["observables"][0], "o");
        let words: serde_json::Value =
            serde_json::from_str(&shortened(&alert.to_string(), 100)).unwrap();
        assert_eq!(words["finding_info"]["title"], "t");
        assert!(words.get("observables").is_none());
    }
}
