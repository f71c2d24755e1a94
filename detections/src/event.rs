//! One audit event as a document: what the reference evaluator reads, what views are computed from, what an alert quotes.
//!
//! Whatever envelope an event came in, it arrives here in the API server's own form (`audit.k8s.io/v1` Event). An event
//! knows three states of a field: present, absent, and *unavailable*, when the source, the audit level, the stage or a cut
//! keeps us from knowing. Only a record that is no JSON object at all is refused.

use std::sync::{Arc, OnceLock};

use ipnet::IpNet;
use serde_json::{Map, Value};

use crate::fields::Fields;
use crate::hash::hash;
use crate::json::Fault;
use crate::path::{FieldPath, Found};
use crate::scalar;
use crate::views::{self, Root, View};

/// The form in which a record arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Envelope {
    /// The API server's own: log file, webhook `EventList`, JSON array.
    #[default]
    Raw,
    /// Azure diagnostic records, Event Hubs or Log Analytics.
    Aks,
    /// `CloudWatch` records and export files.
    Eks,
    /// Google Cloud Audit `LogEntry`.
    Gke,
}

impl Envelope {
    /// The name that rules and summaries use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Aks => "aks",
            Self::Eks => "eks",
            Self::Gke => "gke",
        }
    }

    /// The form of a name that [`Envelope::as_str`] gave.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Raw, Self::Aks, Self::Eks, Self::Gke]
            .into_iter()
            .find(|envelope| envelope.as_str() == name)
    }
}

/// What is known of a record besides its bytes.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The cluster, from the URL, the envelope, or the command line.
    pub cluster: Arc<str>,
    /// The form in which the record arrived.
    pub envelope: Envelope,
    /// The record was cut in the middle; fields behind the cut are unavailable.
    pub partial: bool,
    /// The envelope's own time in microseconds since 1970 UTC, for events that lack theirs.
    pub time_us: Option<i64>,
}

/// What views need to know of the installation.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Networks whose addresses in `sourceIPs` are proxies that tell the truth about who stands behind them.
    pub trusted_proxies: Vec<IpNet>,
}

impl Default for Settings {
    /// Loopback is trusted: an API server that sees 127.0.0.1 is reached through its own host's proxy or tunnel.
    fn default() -> Self {
        let loopback = ["127.0.0.0/8", "::1/128"];
        Self {
            trusted_proxies: loopback.iter().filter_map(|net| net.parse().ok()).collect(),
        }
    }
}

/// The state of a field, with its value if it is there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Field<T> {
    /// The field is there.
    Present(T),
    /// The event does not have it, and would have shown it.
    Absent,
    /// This event cannot show it.
    Unavailable,
}

/// Why a record is no event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnEvent {
    /// The framing is broken.
    #[error(transparent)]
    Framing(#[from] Fault),
    /// Some bytes are not UTF-8.
    #[error("not valid UTF-8")]
    Utf8,
}

/// One audit event.
#[derive(Debug)]
pub struct Event {
    fields: Fields,
    origin: Origin,
    settings: Arc<Settings>,
    views: [OnceLock<View>; Root::COUNT],
}

impl Event {
    /// Reads an event from its bytes. A body that is not valid JSON (or nests deeper than 128) leaves the event whole
    /// and its own fields unavailable; of duplicate keys the last wins, as in the API server.
    ///
    /// # Errors
    /// If the bytes are not UTF-8 or are not a JSON object; a cut is an error unless `origin.partial` says it is known.
    pub fn parse(raw: &[u8], origin: Origin, settings: Arc<Settings>) -> Result<Self, NotAnEvent> {
        if std::str::from_utf8(raw).is_err() && !origin.partial {
            return Err(NotAnEvent::Utf8);
        }
        let fields = Fields::parse(raw, origin.partial)?;
        Ok(Self::new(fields, origin, settings))
    }

    /// An event from a document already parsed, as tests and tools have it.
    #[must_use]
    pub fn from_fields(
        fields: Map<String, Value>,
        origin: Origin,
        settings: Arc<Settings>,
    ) -> Self {
        Self::new(fields.into(), origin, settings)
    }

    fn new(fields: Fields, origin: Origin, settings: Arc<Settings>) -> Self {
        let views = [const { OnceLock::new() }; Root::COUNT];
        Self {
            fields,
            origin,
            settings,
            views,
        }
    }

    /// The fields, in the API server's own form.
    #[must_use]
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// Where the event came from.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The installation's settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The identity of the request that the event tells of: cluster, audit id, request time, verb, URI and authenticated user.
    /// The audit id alone is chosen by the client; the stage is not part of it.
    #[must_use]
    pub fn request_identity(&self) -> [u8; 16] {
        let text = |path: &[&str]| self.text(path).unwrap_or_default();
        hash([
            self.origin.cluster.as_ref(),
            text(&["auditID"]),
            text(&["requestReceivedTimestamp"]),
            text(&["verb"]),
            text(&["requestURI"]),
            text(&["user", "username"]),
        ])
    }

    /// The event time in microseconds since 1970 UTC, if the event or its envelope has one.
    #[must_use]
    pub fn time_us(&self) -> Option<i64> {
        let time = |name: &str| scalar::micros(self.text(&[name])?);
        time("stageTimestamp")
            .or_else(|| time("requestReceivedTimestamp"))
            .or(self.origin.time_us)
    }

    /// The view with this root, computed at most once.
    pub fn view(&self, root: Root) -> &View {
        self.views[root as usize].get_or_init(|| views::compute(root, self))
    }

    /// A top-level field of the event, for views.
    #[must_use]
    pub fn top(&self, name: &str) -> Field<&Value> {
        match self.fields.get(name) {
            Some(Value::Null) | None => self.missing(name),
            Some(value) => Field::Present(value),
        }
    }

    /// The string at a path of plain keys, for views; `None` if absent, unavailable, or no string.
    #[must_use]
    pub fn text(&self, path: &[&str]) -> Option<&str> {
        let (first, rest) = path.split_first()?;
        rest.iter()
            .try_fold(self.fields.get(first)?, |value, key| value.get(key))?
            .as_str()
    }

    /// A string inside a top-level field, which is not parsed for it; `None` if absent, unavailable, or no string.
    #[must_use]
    pub fn glance(&self, name: &str, path: &[&str]) -> Option<String> {
        self.fields.glance(name, path)
    }

    /// An annotation of the audit event.
    #[must_use]
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.text(&["annotations", name])
    }

    /// Resolves any field that a rule may name: a view by its root, else the event's own.
    #[must_use]
    pub fn resolve<'a>(&'a self, path: &FieldPath) -> Field<Found<'a>> {
        if let Some(root) = Root::of(path) {
            return self.view(root).resolve(path);
        }
        let found = path.find_by(|key| self.fields.get(key));
        if found.exists() {
            return Field::Present(found);
        }
        if path.starts_with(&["user", "groups"]) && self.origin.envelope == Envelope::Gke {
            return Field::Unavailable;
        }
        // A body written as null was logged as little as one that was left out.
        match self.fields.get(path.first()) {
            None | Some(Value::Null) if self.missing(path.first()) == Field::Unavailable => {
                Field::Unavailable
            }
            _ => Field::Absent,
        }
    }

    /// Whether a top-level field that is not there could have been.
    fn missing(&self, name: &str) -> Field<&Value> {
        let hidden = match name {
            "requestObject" => {
                self.hides_bodies() || !self.level_shows(&["Request", "RequestResponse"])
            }
            "responseObject" => self.hides_bodies() || !self.level_shows(&["RequestResponse"]),
            "annotations" | "responseStatus" => self.stage() == Some("RequestReceived"),
            _ => false,
        };
        if hidden || self.origin.partial || self.fields.is_broken(name) {
            return Field::Unavailable;
        }
        Field::Absent
    }

    /// Whether the event shows all of itself, so that a word that is not found in it is not there.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let hidden = [
            "requestObject",
            "responseObject",
            "annotations",
            "responseStatus",
        ]
        .iter()
        .any(|name| self.top(name) == Field::Unavailable);
        !hidden && !self.origin.partial && !self.fields.any_broken()
    }

    /// The stage, if the event tells.
    #[must_use]
    pub fn stage(&self) -> Option<&str> {
        self.text(&["stage"])
    }

    /// A body is missing because the event was too large: the API server dropped it, or it is beyond our own bound.
    #[must_use]
    pub fn truncated(&self) -> bool {
        self.is_truncated_by_source() || self.fields.any_heavy()
    }

    fn is_truncated_by_source(&self) -> bool {
        self.annotation("audit.k8s.io/truncated")
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    fn hides_bodies(&self) -> bool {
        self.is_truncated_by_source() || self.stage() == Some("RequestReceived")
    }

    /// Without a level we cannot tell an absent body from one that was not logged.
    fn level_shows(&self, levels: &[&str]) -> bool {
        self.text(&["level"])
            .is_some_and(|level| levels.contains(&level))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(text: &str, partial: bool) -> Event {
        let origin = Origin {
            partial,
            ..Origin::default()
        };
        Event::parse(text.as_bytes(), origin, Arc::default()).unwrap()
    }

    #[track_caller]
    fn state(event: &Event, path: &str) -> &'static str {
        match event.resolve(&FieldPath::parse(path)) {
            Field::Present(_) => "present",
            Field::Absent => "absent",
            Field::Unavailable => "unavailable",
        }
    }

    #[test]
    fn the_level_decides_whether_a_missing_body_is_absent() {
        let metadata = event(r#"{"level":"Metadata","verb":"create"}"#, false);
        assert_eq!(state(&metadata, "requestObject.spec"), "unavailable");
        assert_eq!(state(&metadata, "objectRef.name"), "absent");
        let request = event(r#"{"level":"Request","requestObject":{"spec":{}}}"#, false);
        assert_eq!(state(&request, "requestObject.spec"), "present");
        assert_eq!(state(&request, "requestObject.kind"), "absent");
        assert_eq!(state(&request, "responseObject.kind"), "unavailable");
        let null = event(r#"{"level":"Metadata","requestObject":null}"#, false);
        assert_eq!(state(&null, "requestObject.kind"), "unavailable");
    }

    #[test]
    fn truncated_events_hide_their_bodies() {
        let truncated = event(
            r#"{"level":"RequestResponse","annotations":{"audit.k8s.io/truncated":"true"}}"#,
            false,
        );
        assert_eq!(state(&truncated, "requestObject.spec"), "unavailable");
        assert_eq!(
            state(&truncated, "annotations.audit.k8s.io/truncated"),
            "present"
        );
    }

    #[test]
    fn a_broken_body_costs_only_itself() {
        let broken = event(
            r#"{"level":"RequestResponse","verb":"create","requestObject":{"a":tru},"responseObject":{}}"#,
            false,
        );
        assert_eq!(state(&broken, "requestObject.a"), "unavailable");
        assert_eq!(state(&broken, "responseObject.a"), "absent");
        assert_eq!(state(&broken, "verb"), "present");
    }

    #[test]
    fn what_stands_behind_a_cut_is_unavailable() {
        let cut = event(r#"{"verb":"create","requestObject":{"a":"#, true);
        assert_eq!(state(&cut, "verb"), "present");
        assert_eq!(state(&cut, "annotations.x"), "unavailable");
        assert_eq!(state(&cut, "userAgent"), "unavailable");
    }

    #[test]
    fn the_last_of_duplicate_keys_wins() {
        let twice = event(r#"{"verb":"get","verb":"create"}"#, false);
        assert_eq!(twice.text(&["verb"]), Some("create"));
        let first_broken = event(r#"{"verb":tru,"verb":"create"}"#, false);
        assert_eq!(first_broken.text(&["verb"]), Some("create"));
        let last_broken = event(r#"{"verb":"create","verb":tru}"#, false);
        assert_eq!(state(&last_broken, "verb"), "unavailable");
    }
}
