//! What cloud services push over HTTPS: messages in base64 within a JSON object.
//!
//! * AWS Data Firehose, HTTP end point delivery: `{"requestId", "timestamp", "records": [{"data": "<base64>"}]}`. A record is
//!   what was put into the stream; a `CloudWatch` Logs subscription puts gzip.
//! * Google Cloud Pub/Sub, push: `{"message": {"data": "<base64>", "messageId", …}, "subscription"}`. A log sink's message is one
//!   `LogEntry`.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

/// The messages of a push, each as bytes, or as it came if it is no base64. `None` if it is no push.
pub(crate) type Pushed = Option<Vec<Result<Vec<u8>, String>>>;

#[derive(Deserialize)]
struct Firehose<'a> {
    #[serde(borrow)]
    records: Vec<Data<'a>>,
}

#[derive(Deserialize)]
struct Pubsub<'a> {
    #[serde(borrow)]
    message: Data<'a>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    data: Cow<'a, str>,
}

/// The records of a Firehose delivery.
pub(crate) fn firehose(body: &[u8]) -> Pushed {
    let delivery: Firehose<'_> = serde_json::from_slice(body).ok()?;
    Some(delivery.records.iter().map(Data::bytes).collect())
}

/// The message of a Pub/Sub push.
pub(crate) fn pubsub(body: &[u8]) -> Pushed {
    let push: Pubsub<'_> = serde_json::from_slice(body).ok()?;
    Some(vec![push.message.bytes()])
}

impl Data<'_> {
    fn bytes(&self) -> Result<Vec<u8>, String> {
        STANDARD
            .decode(self.data.as_bytes())
            .map_err(|_| self.data.clone().into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_out_of_their_wrappings() {
        let delivery =
            br#"{"requestId":"r","timestamp":1,"records":[{"data":"e30="},{"data":"?"}]}"#;
        let records = firehose(delivery).unwrap();
        assert_eq!(records, [Ok(b"{}".to_vec()), Err("?".to_owned())]);
        let push = br#"{"message":{"data":"e30=","messageId":"1"},"subscription":"s"}"#;
        assert_eq!(pubsub(push).unwrap(), [Ok(b"{}".to_vec())]);
        assert!(firehose(b"[]").is_none());
        assert!(pubsub(b"{\"message\":{}}").is_none());
    }
}
