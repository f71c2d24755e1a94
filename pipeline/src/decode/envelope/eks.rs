//! Elastic Kubernetes Service, by way of `CloudWatch`; and any record that is kept as text in a
//! record.
//!
//! `CloudWatch` keeps each event as the text of a message. A subscription delivers batches of them
//! with the log group beside (Firehose joins such batches without line breaks); `filter-log-events`
//! and Logs Insights give single messages with their stream. Exports to S3 write the text itself
//! behind a timestamp, which framing takes off. Forwarders that know nothing of audit logs keep
//! them under `message` or `log` too: those are read the same way, without the envelope's name.

use std::sync::Arc;

use detections::event::Envelope;

use super::super::reason::{IgnoredReason, RejectReason};
use super::text::{Raw, fields, first, unescape};
use super::{Record, Verdict, Workspace, Wrapping, time};

/// The stream of audit events, and the others of a control plane. Longer names first where one
/// starts like another.
const AUDIT_STREAM: &str = "kube-apiserver-audit";
const OTHER_STREAMS: [&str; 5] = [
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "cloud-controller-manager",
    "authenticator",
];

/// What `CloudWatch` and forwarders append to a message that was too long.
const TRUNCATED: &[u8] = b"[Truncated...]";

pub(super) fn judge(record: Record<'_>, workspace: &mut Workspace) -> Verdict {
    if record.context.message_type == "CONTROL_MESSAGE" {
        return Verdict::Ignored(IgnoredReason::CloudWatchControl);
    }
    let names = [
        "message",
        "@message",
        "log",
        "logStreamName",
        "logStream",
        "@logStream",
    ];
    let [message, insights, log, stream_name, stream, insights_stream] =
        fields(record.bytes, &names);
    let stream = first(&[stream_name, stream, insights_stream]).and_then(Raw::text);
    let stream = stream.as_deref().unwrap_or(&record.context.log_stream);
    if let Some(name) = other_stream(stream) {
        return Verdict::Ignored(IgnoredReason::EksStream(name));
    }
    let Some(text) =
        first(&[message, insights, log]).filter(|raw| raw.is_string() || raw.is_container())
    else {
        return Verdict::Rejected(RejectReason::NotAnAuditEvent);
    };
    unescape(text, &mut workspace.scratch);
    let whole = workspace.scratch.trim_ascii_end();
    if let Some(before) = whole.strip_suffix(TRUNCATED) {
        let length = before.len();
        workspace.scratch.truncate(length);
    }
    Verdict::Wrapped(wrapping(record, stream, workspace))
}

fn other_stream(stream: &str) -> Option<&'static str> {
    if stream.starts_with(AUDIT_STREAM) {
        return None;
    }
    OTHER_STREAMS
        .into_iter()
        .find(|name| stream.starts_with(name))
}

fn wrapping(record: Record<'_>, stream: &str, workspace: &mut Workspace) -> Wrapping {
    let names = [
        "logGroup",
        "logGroupName",
        "@log",
        "timestamp",
        "@timestamp",
        "time",
        "ingestionTime",
        "id",
        "@message",
    ];
    let [
        group,
        group_name,
        insights_group,
        timestamp,
        insights_time,
        time,
        ingested,
        id,
        insights,
    ] = fields(record.bytes, &names);
    let group = first(&[group, group_name, insights_group]).and_then(Raw::text);
    let group = group.as_deref().unwrap_or(&record.context.log_group);
    let cloudwatch =
        !group.is_empty() || !stream.is_empty() || ingested.is_some() || insights.is_some();
    let subscription = id.is_some() && timestamp.is_some_and(|time| time.integer().is_some());
    Wrapping {
        envelope: (cloudwatch || subscription).then_some(Envelope::Eks),
        cluster: cluster(group, workspace),
        time_us: time::micros(first(&[timestamp, insights_time, time])),
        partial: false,
    }
}

/// The cluster of `/aws/eks/<name>/cluster`; Logs Insights writes the account and a colon before
/// it.
pub(super) fn cluster(log_group: &str, workspace: &mut Workspace) -> Option<Arc<str>> {
    let (_, rest) = log_group.split_once("/aws/eks/")?;
    workspace.cluster(rest.split('/').next().unwrap_or_default())
}
