//! Google Kubernetes Engine: Cloud Audit Logs entries, written anew as the API server would have
//! logged them.
//!
//! An entry tells most of what an audit event tells, in other words: the method is group, version,
//! resource and verb in one name, the resource is a path, the status is a gRPC code. What has no
//! counterpart is left out, never guessed: groups are unknown, and the URI is the path that the
//! resource name implies, without the query that nobody logged.

mod target;

use std::borrow::Cow;

use detections::event::Envelope;

use self::target::Target;
use super::super::reason::RejectReason;
use super::document::Document;
use super::text::{Raw, fields, fields_of, first};
use super::{Record, Verdict, Workspace, Wrapping, time};

/// The parts of an entry that the event is made of.
struct Entry<'a> {
    target: Target<'a>,
    operation: Option<Raw<'a>>,
    insert_id: Option<Raw<'a>>,
    labels: Option<Raw<'a>>,
    times: [Option<Raw<'a>>; 3],
    authentication: Option<Raw<'a>>,
    authorization: Option<Raw<'a>>,
    metadata: Option<Raw<'a>>,
    request: Option<Raw<'a>>,
    response: Option<Raw<'a>>,
    status: Option<Raw<'a>>,
}

pub(super) fn judge(record: Record<'_>, workspace: &mut Workspace) -> Verdict {
    let [payload, resource, split] = fields(record.bytes, &["protoPayload", "resource", "split"]);
    let [service, method, name] =
        fields_of(payload, &["serviceName", "methodName", "resourceName"]);
    let cut = record.frame.cut || record.shape.fault.is_some();
    let service = service.and_then(Raw::text);
    let method = method.and_then(Raw::text);
    let name = name.and_then(Raw::text);
    let [resource_type, labels] = fields_of(resource, &["type", "labels"]);
    let of_cluster = resource_type
        .and_then(Raw::text)
        .is_some_and(|kind| kind == "k8s_cluster");
    let of_kubernetes = match service.as_deref() {
        Some(service) => service == "k8s.io",
        None => {
            of_cluster
                || method
                    .as_deref()
                    .is_some_and(|method| method.starts_with("io.k8s."))
        }
    };
    if !of_kubernetes {
        let unknown = service.is_none() && method.is_none();
        return Verdict::Rejected(match (unknown, cut) {
            (true, true) => RejectReason::CutTooEarly,
            (true, false) => RejectReason::NotAnAuditEvent,
            _ => RejectReason::GkeOtherService,
        });
    }
    if method.is_none() && name.is_none() {
        return Verdict::Rejected(if cut {
            RejectReason::CutTooEarly
        } else {
            RejectReason::Empty
        });
    }
    let target = Target::of(
        method.as_deref().unwrap_or_default(),
        name.as_deref().unwrap_or_default(),
    );
    let entry = entry(record, payload, target);
    entry.write(&mut workspace.scratch);
    let [cluster] = fields_of(labels, &["cluster_name"]);
    let cluster = cluster
        .and_then(Raw::text)
        .and_then(|name| workspace.cluster(&name));
    let time_us = time::micros(first(&entry.times));
    let partial = cut || split.is_some_and(Raw::is_object);
    Verdict::Written(Wrapping {
        envelope: Some(Envelope::Gke),
        cluster,
        time_us,
        partial,
    })
}

fn entry<'a>(record: Record<'a>, payload: Option<Raw<'a>>, target: Target<'a>) -> Entry<'a> {
    let names = [
        "operation",
        "insertId",
        "labels",
        "timestamp",
        "receiveTimestamp",
    ];
    let [operation, insert_id, labels, timestamp, received] = fields(record.bytes, &names);
    let names = [
        "authenticationInfo",
        "authorizationInfo",
        "requestMetadata",
        "request",
        "response",
        "status",
        "timestamp",
    ];
    let [
        authentication,
        authorization,
        metadata,
        request,
        response,
        status,
        inner_time,
    ] = fields_of(payload, &names);
    let times = [timestamp, inner_time, received];
    let bodies = [request, response].map(|body| body.filter(|body| body.whole().is_some()));
    let [request, response] = bodies;
    Entry {
        target,
        operation,
        insert_id,
        labels,
        times,
        authentication,
        authorization,
        metadata,
        request,
        response,
        status,
    }
}

impl Entry<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        let mut document = Document::open(out);
        document.raw("kind", Some(b"\"Event\""));
        document.raw("apiVersion", Some(b"\"audit.k8s.io/v1\""));
        document.text("level", Some(self.level()));
        self.write_operation(&mut document);
        let dry_run = fields_of(self.labels, &["command.gke.io/dryRun"])[0].and_then(Raw::text);
        document.text("requestURI", self.target.uri(dry_run.as_deref()).as_deref());
        document.text("verb", self.target.verb);
        self.write_who(&mut document);
        if self.target.resource.is_some() {
            document.object("objectRef", |inner| self.target.write(inner));
        }
        self.write_status(&mut document);
        document.raw("requestObject", self.request.and_then(Raw::whole));
        document.raw("responseObject", self.response.and_then(Raw::whole));
        self.write_times(&mut document);
        document.object("annotations", |inner| self.write_annotations(inner));
        document.close();
    }

    fn level(&self) -> &'static str {
        match (self.request, self.response) {
            (_, Some(_)) => "RequestResponse",
            (Some(_), None) => "Request",
            (None, None) => "Metadata",
        }
    }

    /// Entries of an operation share its id; only a long one (exec, watch) has more than one entry.
    fn write_operation(&self, document: &mut Document<'_>) {
        let [id, first_entry, last_entry] = fields_of(self.operation, &["id", "first", "last"]);
        document.raw("auditID", first(&[id, self.insert_id]).and_then(Raw::whole));
        let is_true = |raw: Option<Raw<'_>>| raw.is_some_and(|raw| raw.bytes == b"true");
        let started = is_true(first_entry) && !is_true(last_entry);
        document.text(
            "stage",
            Some(if started {
                "ResponseStarted"
            } else {
                "ResponseComplete"
            }),
        );
    }

    fn write_who(&self, document: &mut Document<'_>) {
        let [email, subject] =
            fields_of(self.authentication, &["principalEmail", "principalSubject"]);
        let (email, subject) = (email.and_then(Raw::whole), subject.and_then(Raw::whole));
        if let Some(user) = email.or(subject) {
            document.object("user", |inner| {
                inner.raw("username", Some(user));
                if subject.is_some() {
                    inner.object("extra", |extra| {
                        extra.list_of_one("principalSubject", subject);
                    });
                }
            });
        }
        // The second spelling is that of SIEMs which normalise the names of the entry.
        let names = ["callerIp", "callerIP", "callerSuppliedUserAgent"];
        let [address, address_spelled, agent] = fields_of(self.metadata, &names);
        document.list_of_one(
            "sourceIPs",
            first(&[address, address_spelled]).and_then(Raw::whole),
        );
        document.raw("userAgent", agent.and_then(Raw::whole));
    }

    /// The response itself if it is a Status, which says more than the entry's own status.
    fn write_status(&self, document: &mut Document<'_>) {
        let [kind, outcome, code] = fields_of(self.response, &["kind", "status", "code"]);
        let failed = outcome
            .and_then(Raw::text)
            .is_some_and(|text| text == "Failure");
        let is_status = failed
            || kind
                .and_then(Raw::text)
                .is_some_and(|kind| kind == "Status");
        if is_status && code.and_then(Raw::integer).is_some() {
            document.raw("responseStatus", self.response.and_then(Raw::whole));
            return;
        }
        let code = self
            .code()
            .map(|code| self.target.http_status(code))
            .filter(|code| !failed || *code >= 400);
        let [message] = fields_of(self.status, &["message"]);
        let message = message.and_then(Raw::whole);
        if code.is_none() && message.is_none() && !failed {
            return;
        }
        document.object("responseStatus", |inner| {
            inner.text("status", failed.then_some("Failure"));
            inner.raw("message", message);
            if let Some(code) = code {
                inner.number("code", code);
            }
        });
    }

    /// The gRPC code; without a status, a refusal or an answer tells it, and otherwise nobody does.
    fn code(&self) -> Option<i64> {
        if let Some(status) = self.status.filter(|status| status.is_object()) {
            let [code] = fields(status.bytes, &["code"]);
            return code.map_or(Some(0), Raw::integer);
        }
        if self.granted() == Some(false) {
            return Some(7);
        }
        self.response.map(|_| 0)
    }

    fn granted(&self) -> Option<bool> {
        let mut granted = None;
        for check in detections::json::elements(self.authorization?.bytes) {
            match fields(check.ok()?, &["granted"])[0].map(|raw| raw.bytes) {
                Some(b"false") => return Some(false),
                Some(b"true") => granted = Some(true),
                _ => {}
            }
        }
        granted
    }

    fn write_times(&self, document: &mut Document<'_>) {
        let [attributes] = fields_of(self.metadata, &["requestAttributes"]);
        let [requested] = fields_of(attributes, &["time"]);
        let logged = time::rfc3339(first(&self.times));
        let received = time::rfc3339(requested).or_else(|| logged.clone());
        document.raw("requestReceivedTimestamp", received.as_deref());
        document.raw("stageTimestamp", logged.as_deref());
    }

    /// GKE keeps the event's annotations as labels; IAM's answer stands in the authorization if
    /// they have none.
    fn write_annotations(&self, document: &mut Document<'_>) {
        const DECISION: &str = "authorization.k8s.io/decision";
        let labels = self
            .labels
            .and_then(Raw::whole)
            .filter(|labels| labels.starts_with(b"{"));
        if let Some(labels) = labels {
            document.members(labels);
        }
        let [decided] = labels.map_or([None], |labels| fields(labels, &[DECISION]));
        if decided.is_none() {
            let decision = self
                .granted()
                .map(|granted| if granted { "allow" } else { "forbid" });
            document.text(DECISION, decision);
        }
    }
}

/// A piece of a method or resource name.
type Part<'a> = Cow<'a, str>;
