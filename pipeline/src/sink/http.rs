//! Posts: any receiver of JSON lines, and Splunk's event collector.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::config::{Receiver, SinkFormat};
use crate::pem::certificates;
use crate::store::{Outgoing, Record};

use super::{Deliver, Delivery, written};

pub(super) struct HttpSink {
    receiver: Receiver,
    form: Form,
    agent: Option<Agent>,
    /// The head that shows who we are.
    authorization: Option<String>,
}

/// What is posted.
#[derive(Clone, Debug)]
pub(super) enum Form {
    /// One JSON object a line.
    Lines(SinkFormat),
    /// Events of the collector.
    Splunk {
        format: SinkFormat,
        index: Option<String>,
        sourcetype: String,
    },
}

/// The longest that we wait because a receiver asks for it.
const WAIT_MAX: Duration = Duration::from_mins(5);

/// Characters of a refusal that are kept.
const REASON_CHARS_MAX: usize = 300;

impl HttpSink {
    pub(super) fn new(receiver: Receiver, form: Form) -> Self {
        Self {
            receiver,
            form,
            agent: None,
            authorization: None,
        }
    }

    fn post(&self, agent: &Agent, body: &str) -> Result<(u16, String, Option<Duration>), String> {
        let (url, kind) = match &self.form {
            Form::Lines(_) => (self.receiver.url.clone(), "application/x-ndjson"),
            Form::Splunk { .. } => (
                format!(
                    "{}/services/collector/event",
                    self.receiver.url.trim_end_matches('/')
                ),
                "application/json",
            ),
        };
        let mut request = agent.post(&url).content_type(kind);
        if let Some(value) = &self.authorization {
            request = request.header("authorization", value);
        }
        let mut answer = request.send(body).map_err(|error| error.to_string())?;
        let wait = answer
            .headers()
            .get("retry-after")
            .and_then(|value| value.to_str().ok()?.trim().parse().ok())
            .map(|seconds| Duration::from_secs(seconds).min(WAIT_MAX));
        let text = answer
            .body_mut()
            .with_config()
            .limit(64 << 10)
            .read_to_string();
        let text = text
            .unwrap_or_default()
            .chars()
            .take(REASON_CHARS_MAX)
            .collect();
        Ok((answer.status().as_u16(), text, wait))
    }

    fn body(&self, records: &[Outgoing]) -> String {
        let mut body = String::new();
        for outgoing in records {
            let record = &outgoing.record;
            match &self.form {
                Form::Lines(format) => body.push_str(written(record, *format)),
                Form::Splunk {
                    format,
                    index,
                    sourcetype,
                } => {
                    body.push_str(
                        &splunk(record, *format, index.as_deref(), sourcetype).to_string(),
                    );
                }
            }
            body.push('\n');
        }
        body
    }
}

impl Deliver for HttpSink {
    fn resume(&mut self, _: &str) -> Result<(), String> {
        if let Some(token) = &self.receiver.token {
            let scheme = match self.form {
                Form::Lines(_) => "Bearer",
                Form::Splunk { .. } => "Splunk",
            };
            self.authorization = Some(format!("{scheme} {}", token.read()?));
        }
        self.agent = Some(agent(&self.receiver)?);
        Ok(())
    }

    fn deliver(&mut self, records: &[Outgoing]) -> Delivery {
        let Some(agent) = &self.agent else {
            return Delivery::Later("not ready".to_owned(), None);
        };
        match self.post(agent, &self.body(records)) {
            Err(reason) => Delivery::Later(reason, None),
            Ok((status, text, wait)) => {
                let reason = format!("{status} {text}");
                match status {
                    200..300 => Delivery::Delivered,
                    401 | 403 => {
                        // The token may have been replaced: it is read again before the next try.
                        let _unread = self.resume("");
                        Delivery::Later(reason, wait)
                    }
                    408 | 425 | 429 | 500.. => Delivery::Later(reason, wait),
                    _ => Delivery::Refused(reason),
                }
            }
        }
    }

    fn batch(&self) -> usize {
        self.receiver.batch.max(1)
    }
}

/// Time, source and fields that Splunk indexes; the alert is the event.
fn splunk(record: &Record, format: SinkFormat, index: Option<&str>, sourcetype: &str) -> Value {
    let text = written(record, format);
    let event = serde_json::from_str(text).unwrap_or_else(|_| json!(text));
    let mut wrapped = json!({
        "source": "tidewatch",
        "sourcetype": sourcetype,
        "event": event,
        "fields": {
            "app": "tidewatch", "signature": record.rule, "signature_id": record.rule_id,
            "severity": record.level, "cluster": record.cluster, "finding_uid": record.uid,
            "revision": record.revision.to_string(), "tag": "alert",
        },
    });
    let time_us = record.first_us.unwrap_or(record.raised_us);
    wrapped["time"] = json!(time_us as f64 / 1e6);
    if let Some(index) = index {
        wrapped["index"] = json!(index);
    }
    wrapped
}

fn agent(receiver: &Receiver) -> Result<Agent, String> {
    let roots = match &receiver.authority {
        None => RootCerts::WebPki,
        Some(path) => RootCerts::from(authorities(path)?),
    };
    let config = Agent::config_builder()
        .timeout_global(Some(receiver.timeout))
        .http_status_as_error(false)
        .max_redirects(0)
        .user_agent(concat!("tidewatch/", env!("CARGO_PKG_VERSION")))
        .tls_config(TlsConfig::builder().root_certs(roots).build())
        .build();
    Ok(config.into())
}

fn authorities(path: &Path) -> Result<Vec<Certificate<'static>>, String> {
    let pem = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let found = certificates(&pem);
    if found.is_empty() {
        return Err(format!("{} holds no certificate (PEM)", path.display()));
    }
    Ok(found)
}
