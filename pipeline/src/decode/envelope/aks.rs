//! Azure Kubernetes Service: diagnostic records.
//!
//! The same log reaches people in three forms. Event Hubs, storage and partner exports carry
//! `{"category":"kube-audit", "properties":{"log":"{…}"}}`; the old Log Analytics table has the
//! text in a column `log_s`; the resource-specific tables `AKSAudit` and `AKSAuditAdmin` have a
//! column per field. Azure cuts the text at 16 KiB, or the whole record at its own limit; both are
//! salvaged. The other categories of an AKS cluster are ignored by name.

use detections::event::Envelope;

use super::super::framing::context::Context;
use super::super::framing::shape::{Key, Shape};
use super::super::reason::{IgnoredReason, RejectReason};
use super::document::Document;
use super::text::{Raw, fields, fields_of, first, unescape};
use super::{Record, Verdict, Workspace, Wrapping, time};

const AUDIT: [&str; 2] = ["kube-audit", "kube-audit-admin"];

/// What else an AKS cluster logs.
const OTHER: [&str; 15] = [
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "cloud-controller-manager",
    "cluster-autoscaler",
    "guard",
    "csi-azuredisk-controller",
    "csi-azurefile-controller",
    "csi-snapshot-controller",
    "csi-blob-controller",
    "fleet-member-agent",
    "fleet-member-net-controller-manager",
    "fleet-mcs-controller-manager",
    "karpenter-events",
    "AllMetrics",
];

/// Categories of the activity log.
const ACTIVITY: [&str; 8] = [
    "Administrative",
    "Policy",
    "Security",
    "ServiceHealth",
    "ResourceHealth",
    "Alert",
    "Recommendation",
    "Autoscale",
];

/// What Log Analytics writes instead of a body that is too large for a column.
const SKIPPED_BODY: &[u8] = b"\"skipped-too-big-size-object\"";

/// Columns that are the event's own fields under another name.
const COLUMNS: [(&str, &str); 11] = [
    ("Level", "level"),
    ("AuditId", "auditID"),
    ("Stage", "stage"),
    ("RequestUri", "requestURI"),
    ("Verb", "verb"),
    ("User", "user"),
    ("ImpersonatedUser", "impersonatedUser"),
    ("SourceIps", "sourceIPs"),
    ("UserAgent", "userAgent"),
    ("ObjectRef", "objectRef"),
    ("ResponseStatus", "responseStatus"),
];

/// Whether the record is one of Azure's, of whatever service.
pub(super) fn is_record(shape: &Shape) -> bool {
    let diagnostic = shape.mentions(Key::AzureLog)
        && (shape.mentions(Key::OperationName) || shape.mentions(Key::ResourceId));
    shape.mentions(Key::Category)
        || shape.mentions(Key::AksColumn)
        || shape.mentions(Key::AzureLog)
        || diagnostic
}

pub(super) fn judge(record: Record<'_>, workspace: &mut Workspace) -> Verdict {
    let [category, category_column] = fields(record.bytes, &["category", "Category"]);
    let category = first(&[category, category_column])
        .and_then(Raw::text)
        .unwrap_or_default();
    let known = |names: &[&'static str]| {
        names
            .iter()
            .find(|name| name.eq_ignore_ascii_case(&category))
            .copied()
    };
    if let Some(name) = known(&OTHER) {
        return Verdict::Ignored(IgnoredReason::AksCategory(name));
    }
    if known(&ACTIVITY).is_some() {
        return Verdict::Rejected(RejectReason::AzureActivity);
    }
    // A row of a resource-specific table has no category, and a selection of columns may have lost
    // it.
    if !category.is_empty() && known(&AUDIT).is_none() {
        return Verdict::Rejected(RejectReason::NotAnAuditEvent);
    }
    if record.shape.keys.has(Key::AksColumn) && !record.shape.mentions(Key::AzureLog) {
        return columns(record, workspace);
    }
    log(record, workspace)
}

/// The event is text (or an object) in the record.
fn log(record: Record<'_>, workspace: &mut Workspace) -> Verdict {
    let [properties, log_s] = fields(record.bytes, &["properties", "log_s"]);
    let [inner] = fields_of(properties.filter(|value| value.is_object()), &["log"]);
    // Some exporters write `properties` itself as text; it is framed anew and comes back with its
    // `log`.
    let as_text = properties.filter(|value| value.is_string());
    let Some(log) =
        first(&[inner, log_s, as_text]).filter(|log| log.is_string() || log.is_container())
    else {
        let cut = record.shape.fault.is_some();
        return Verdict::Rejected(if cut {
            RejectReason::CutTooEarly
        } else {
            RejectReason::Empty
        });
    };
    unescape(log, &mut workspace.scratch);
    Verdict::Wrapped(wrapping(record, workspace))
}

fn wrapping(record: Record<'_>, workspace: &mut Workspace) -> Wrapping {
    let names = [
        "resourceId",
        "ResourceId",
        "_ResourceId",
        "time",
        "TimeGenerated",
    ];
    let [id, id_column, id_hidden, time, time_column] = fields(record.bytes, &names);
    let id = first(&[id, id_column, id_hidden]).and_then(Raw::text);
    let cluster = id
        .and_then(|id| cluster(&id, workspace))
        .or_else(|| cluster_of(record.context, workspace));
    let time_us = time::micros(first(&[time, time_column]));
    Wrapping {
        envelope: Some(Envelope::Aks),
        cluster,
        time_us,
        partial: false,
    }
}

fn cluster_of(context: &Context, workspace: &mut Workspace) -> Option<std::sync::Arc<str>> {
    cluster(&context.resource_id, workspace)
}

/// The last part of the resource id, in lower case: Azure ids ignore case, and Event Hubs writes
/// them in upper case where Log Analytics has lower case. One cluster must have one name.
fn cluster(resource_id: &str, workspace: &mut Workspace) -> Option<std::sync::Arc<str>> {
    let name = resource_id
        .trim_end_matches('/')
        .rsplit('/')
        .next()
        .unwrap_or_default();
    workspace.cluster(&name.to_ascii_lowercase())
}

/// The event is spread over the columns of a row of `AKSAudit` or `AKSAuditAdmin`.
fn columns(record: Record<'_>, workspace: &mut Workspace) -> Verdict {
    let wrapping = wrapping(record, workspace);
    let values = fields(record.bytes, &COLUMNS.map(|(column, _)| column));
    let names = [
        "RequestObject",
        "ResponseObject",
        "RequestReceivedTime",
        "StageReceivedTime",
        "Annotations",
    ];
    let [request, response, received, stage_time, annotations] = fields(record.bytes, &names);
    let mut document = Document::open(&mut workspace.scratch);
    document.raw("kind", Some(b"\"Event\""));
    document.raw("apiVersion", Some(b"\"audit.k8s.io/v1\""));
    for ((_, name), value) in COLUMNS.iter().zip(values) {
        dynamic(&mut document, name, value);
    }
    let skipped = |body: Option<Raw<'_>>| body.is_some_and(|body| body.bytes == SKIPPED_BODY);
    let truncated = skipped(request) || skipped(response);
    dynamic(
        &mut document,
        "requestObject",
        request.filter(|_| !skipped(request)),
    );
    dynamic(
        &mut document,
        "responseObject",
        response.filter(|_| !skipped(response)),
    );
    document.raw(
        "requestReceivedTimestamp",
        time::rfc3339(received).as_deref(),
    );
    document.raw("stageTimestamp", time::rfc3339(stage_time).as_deref());
    let mut text = Vec::new();
    if let Some(raw) = annotations {
        unescape(raw, &mut text);
    }
    document.object("annotations", |inner| {
        if is_json(&text) {
            inner.members(text.trim_ascii());
        }
        // A body that is too large is lost as if the API server had truncated the event, and rules
        // know that by this.
        inner.text("audit.k8s.io/truncated", truncated.then_some("true"));
    });
    document.close();
    Verdict::Written(Wrapping {
        partial: record.frame.cut || record.shape.fault.is_some(),
        ..wrapping
    })
}

/// A dynamic column is an object, or text that holds one, depending on who exported it.
fn dynamic(document: &mut Document<'_>, name: &str, value: Option<Raw<'_>>) {
    let Some(value) = value else { return };
    if value.is_string() && !value.cut {
        let mut text = Vec::new();
        unescape(value, &mut text);
        if matches!(text.trim_ascii_start().first(), Some(b'{' | b'[')) && is_json(&text) {
            document.raw(name, Some(&text));
            return;
        }
    }
    document.raw(name, value.whole());
}

fn is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok()
}
