//! What the configuration says of senders and their counters.

use std::path::PathBuf;
use std::time::Duration;

use crate::completeness::{Backend, Options, Target};

use super::resolve::{Resolver, micros};
use super::resolved::{Config, StateKind};

/// The least time that a look counts for.
const FRESH_MIN: Duration = Duration::from_mins(5);

/// The API server collects for 30 s and tries for up to 248 s: with less, what is late is taken for missing.
const RETRIES: Duration = Duration::from_secs(280);

impl Resolver<'_> {
    pub(super) fn completeness(&self) -> Options {
        let intervals = self.values.children("apiservers");
        let intervals = intervals
            .iter()
            .map(|path| self.duration(&format!("{path}.interval")));
        let longest = intervals.max().unwrap_or_default();
        let silent_after = self.duration("completeness.silent_after");
        Options {
            silent_after_us: self
                .flag("completeness.silence")
                .then(|| micros(silent_after)),
            grace_us: micros(self.duration("completeness.grace")),
            tolerance: u64::try_from(self.number("completeness.tolerance")).unwrap_or(0),
            fresh_us: micros(FRESH_MIN.max(longest * 3)),
        }
    }

    pub(super) fn apiservers(&mut self) -> Vec<Target> {
        let mut targets: Vec<Target> = Vec::new();
        for path in self.values.children("apiservers") {
            let Some(target) = self.target(&path) else {
                continue;
            };
            if let Some(fault) = target.fault() {
                let span = self.values.span(&format!("{path}.url"));
                self.sink
                    .error("wrong_value", span, fault)
                    .help("write https://10.0.0.1:6443/metrics");
            }
            if targets
                .iter()
                .any(|known| known.sender() == target.sender())
            {
                let span = self.values.span(&format!("{path}.name"));
                let message = format!("{}/{} is asked twice", target.cluster, target.origin);
                self.sink
                    .error("twice", span, message)
                    .help("each API server has a name of its own, and an address of its own");
            }
            targets.push(target);
        }
        targets
    }

    fn target(&mut self, path: &str) -> Option<Target> {
        let of = |name: &str| format!("{path}.{name}");
        let (name, url) = (self.optional(&of("name")), self.optional(&of("url")));
        for (field, value) in [("name", &name), ("url", &url)] {
            if value.is_none() {
                let why = "an API server is asked at an address, for what comes under a name";
                self.missing(&of(field), why);
            }
        }
        Some(Target {
            cluster: self.text(&of("cluster")),
            origin: name?,
            backend: match self.text(&of("backend")).as_str() {
                "log" => Backend::Log,
                _ => Backend::Webhook,
            },
            url: url?,
            token: self.secret(&of("token")),
            authority: self.optional(&of("authority")).map(PathBuf::from),
            interval: self.duration(&of("interval")),
        })
    }

    pub(super) fn check_completeness(&mut self, config: &Config) {
        if self.duration("completeness.grace") < RETRIES {
            let span = self.values.span("completeness.grace");
            self.sink
                .warning(
                    "short_grace",
                    span,
                    "events that are only late will be told as missing",
                )
                .help("write at least 5m: an API server tries for up to 248 s");
        }
        if config.state == StateKind::Kafka && !config.apiservers.is_empty() {
            let span = self.values.span("apiservers[0].name");
            let message =
                "with state in Kafka arrivals are spread over processes, and are not compared";
            self.sink
                .error("kafka", span, message)
                .help("let a process with embedded state compare them, or leave it out");
        }
    }
}
