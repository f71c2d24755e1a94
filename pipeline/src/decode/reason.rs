//! Why a record gave no event: reasons that a person understands, with short names for counters.

use std::fmt;

/// Why bytes were refused. Refused bytes are always counted, and are handed to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RejectReason {
    /// Some bytes are not UTF-8.
    NotUtf8,
    /// An object whose framing is broken.
    MalformedJson {
        /// Where, in bytes from the start of the record.
        offset: u64,
    },
    /// Cut before anything that says what was asked for.
    CutTooEarly,
    /// No JSON object.
    NotAnObject,
    /// What follows a record that was cut by a raw line break, up to the next record.
    BehindCut,
    /// An object of kind Event, as `kubectl get events` shows them.
    CoreV1Event,
    /// An Azure activity log record: what was done to the cluster through Azure, not inside of it.
    AzureActivity,
    /// A Google Cloud audit record of another service.
    GkeOtherService,
    /// A Log Analytics answer with columns and rows apart.
    LogAnalyticsTable,
    /// JSON, but nothing that we know.
    NotAnAuditEvent,
    /// A known envelope with nothing in it.
    Empty,
    /// Records inside of records, deeper than [`super::limits::NESTING_MAX`].
    NestedTooDeep,
    /// Not what Firehose or Pub/Sub push, though it came to the address for that.
    NotAPush,
    /// Gzip that ends early or is broken: what was unpacked before was judged.
    BrokenGzip,
}

impl RejectReason {
    /// The name of the counter.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotUtf8 => "not_utf8",
            Self::MalformedJson { .. } => "malformed_json",
            Self::CutTooEarly => "cut_too_early",
            Self::NotAnObject => "not_an_object",
            Self::BehindCut => "behind_cut",
            Self::CoreV1Event => "core_v1_event",
            Self::AzureActivity => "azure_activity",
            Self::GkeOtherService => "gke_other_service",
            Self::LogAnalyticsTable => "log_analytics_table",
            Self::NotAnAuditEvent => "not_an_audit_event",
            Self::Empty => "empty",
            Self::NestedTooDeep => "nested_too_deep",
            Self::NotAPush => "not_a_push",
            Self::BrokenGzip => "broken_gzip",
        }
    }
}

impl fmt::Display for RejectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::NotUtf8 => "not valid UTF-8",
            Self::MalformedJson { offset } => {
                return write!(f, "malformed JSON at byte {offset} of the record");
            }
            Self::CutTooEarly => "cut off before its verb and URI",
            Self::NotAnObject => "not a JSON object",
            Self::BehindCut => "the rest of a record that a line break cut",
            Self::CoreV1Event => {
                "a Kubernetes Event object (kubectl get events), not an audit event"
            }
            Self::AzureActivity => "an Azure activity log record, not a Kubernetes audit record",
            Self::GkeOtherService => "a Google Cloud audit record of another service than k8s.io",
            Self::LogAnalyticsTable => {
                "a Log Analytics table with columns and rows apart; export with `az monitor log-analytics query -o json`"
            }
            Self::NotAnAuditEvent => "not an audit event in any envelope that is known",
            Self::Empty => "an envelope with no audit event in it",
            Self::NestedTooDeep => "records nested too deep in strings of records",
            Self::BrokenGzip => "gzip that is broken or ends early; what was before was judged",
            Self::NotAPush => "not what the service that it came from pushes",
        };
        f.write_str(text)
    }
}

/// Why a record was left out on purpose: its envelope says by name that it is something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IgnoredReason {
    /// Another category of AKS diagnostics, by its name.
    AksCategory(&'static str),
    /// Another stream of an EKS control plane, by its name.
    EksStream(&'static str),
    /// A `CloudWatch` control message, which only tests that a subscription works.
    CloudWatchControl,
    /// A list without elements.
    EmptyList,
}

impl IgnoredReason {
    /// The name of the counter.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AksCategory(name) | Self::EksStream(name) => name,
            Self::CloudWatchControl => "cloudwatch_control",
            Self::EmptyList => "empty_list",
        }
    }
}

impl fmt::Display for IgnoredReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AksCategory(name) => write!(f, "AKS diagnostics of category {name}"),
            Self::EksStream(name) => write!(f, "EKS log stream {name}"),
            Self::CloudWatchControl => f.write_str("CloudWatch control message"),
            Self::EmptyList => f.write_str("list without elements"),
        }
    }
}
