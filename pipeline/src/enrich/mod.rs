//! From a finding to an alert: everything an analyst needs that the event itself can tell.
//!
//! Enrichers add context and never drop a finding. Each is a function from the event and its views to plain values.

mod deed;
mod details;
mod evidence;
mod fact;
mod identity;
mod joined;
mod story;
mod surprised;

use std::sync::Arc;

use detections::event::{Event, Settings};
use detections::views::{Root, View};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::alert::{
    Alert, AllowedBy, Detail, Evidence, ObjectRef, Outcome, RawEvent, Request, Source, Step,
};
use crate::catalog::Catalog;
use crate::correlate::stream::Whole;
use crate::correlate::{Finding, object_in_reference, object_of, severity};
use crate::hex::hex;
use crate::redact;

pub use self::story::story_alert;

/// Makes alerts of findings.
#[derive(Debug)]
pub struct Enricher<'a> {
    /// The rules.
    pub catalog: &'a Catalog,
    /// What views need to know.
    pub settings: Arc<Settings>,
    /// Accounts that the installation declares as its automation.
    pub automation: &'a [String],
}

impl Enricher<'_> {
    /// The alert of a finding. `None` only if the exemplar's bytes are no event, which the batch has ruled out.
    #[must_use]
    pub fn alert(&self, finding: Finding) -> Option<Alert> {
        let origin = finding.exemplar.origin.clone();
        let event = Event::parse(&finding.exemplar.raw, origin, self.settings.clone()).ok()?;
        let surprised = finding
            .joined
            .as_ref()
            .and_then(|joined| joined.surprised.clone());
        let info = self.catalog.infos.get(finding.rule)?.clone();
        let (info, severity) = if let Some(surprised) = &surprised {
            let info = surprised::info(&info, surprised);
            (info, surprised::severity(surprised))
        } else {
            let header = self.catalog.header(finding.rule)?;
            (info, severity::score(header, &event, self.automation))
        };
        let object = object_of(&event);
        let told = self.told(&finding, &event, &object)?;
        let others = finding
            .other_objects
            .iter()
            .filter(|other| **other != object)
            .cloned();
        Some(Alert {
            uid: hex(&finding.uid),
            severity,
            outcome: outcome(&event),
            cluster: event.origin().cluster.clone(),
            first_us: finding.first_us,
            last_us: finding.last_us,
            count: finding.count,
            follow_ups: finding.follow_ups,
            actor: identity::actor(&event),
            effective: identity::effective(&event),
            source: source(&event),
            allowed_by: allowed_by(&event),
            did: told.did,
            steps: told.steps,
            story: None,
            details: told.details,
            evidence: told.evidence,
            unseen: told.unseen,
            silence: match surprised {
                Some(_) => String::new(),
                None => identity::silence(&event, &info.name),
            },
            request: request(&event),
            raw: raw(&event, &finding),
            other_objects: others.collect(),
            object_count: finding.object_count,
            root: if finding.root.resource.is_empty() {
                object.clone()
            } else {
                finding.root
            },
            object,
            rule: info,
        })
    }
}

/// What happened, and why it is a finding.
struct Telling {
    did: String,
    steps: Vec<Step>,
    details: Vec<Detail>,
    evidence: Vec<Evidence>,
    unseen: Vec<String>,
}

impl Enricher<'_> {
    fn told(&self, finding: &Finding, event: &Event, object: &ObjectRef) -> Option<Telling> {
        let rules = self.catalog.set.rules();
        if let Some(rule) = rules.get(finding.rule) {
            let (evidence, unseen) = evidence::of(rule, event);
            return Some(Telling {
                did: deed::phrase(event, object, finding.object_count),
                steps: Vec::new(),
                details: details::of(event),
                evidence,
                unseen,
            });
        }
        let found = finding.joined.as_deref()?;
        if let Some(surprised) = &found.surprised {
            return Some(Telling {
                did: surprised::phrase(surprised),
                steps: joined::steps(found),
                details: Vec::new(),
                evidence: surprised::evidence(surprised),
                unseen: Vec::new(),
            });
        }
        let correlations = self.catalog.correlations.all();
        let correlation = correlations.get(finding.rule - rules.len())?;
        Some(Telling {
            did: joined::phrase(correlation, found, finding),
            steps: joined::steps(found),
            details: Vec::new(),
            evidence: joined::evidence(correlation, found, finding.count),
            unseen: Vec::new(),
        })
    }
}

/// An event in one line, as one of several.
pub(crate) fn brief(event: &Event) -> String {
    deed::phrase(event, &object_in_reference(event), 1)
}

pub(crate) fn owned(text: Option<&str>) -> Option<String> {
    text.filter(|text| !text.is_empty()).map(ToOwned::to_owned)
}

fn outcome(event: &Event) -> Outcome {
    let view = event.view(Root::Outcome);
    let status = |key: &str| {
        event
            .fields()
            .get("responseStatus")
            .and_then(|status| status.get(key))
    };
    Outcome {
        result: view.text("result").unwrap_or("unknown").to_owned(),
        denied_by: owned(view.text("denied_by")),
        dry_run: view.flag("dry_run"),
        code: status("code").and_then(Value::as_i64),
        message: status("message")
            .and_then(Value::as_str)
            .map(|text| redact::text(text).into_owned()),
    }
}

fn source(event: &Event) -> Source {
    let view = event.view(Root::Source);
    let claimed = view
        .get("claimed")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    Source {
        peer: owned(view.text("peer")),
        client: owned(view.text("client")),
        claimed: claimed
            .filter_map(|address| address.as_str().map(ToOwned::to_owned))
            .collect(),
        kind: owned(view.text("kind")),
        user_agent: owned(event.text(&["userAgent"])),
    }
}

fn allowed_by(event: &Event) -> Option<AllowedBy> {
    let allowed: &Value = event.view(Root::Rbac).get("allowed_by")?;
    let text = |key: &str| owned(allowed.get(key).and_then(Value::as_str));
    Some(AllowedBy {
        via: text("via")?,
        binding: text("binding"),
        namespace: text("namespace"),
        role_kind: text("role_kind"),
        role: text("role"),
        subject_kind: text("subject_kind"),
        subject: text("subject"),
    })
}

fn request(event: &Event) -> Request {
    let text = |key: &str| owned(event.text(&[key]));
    Request {
        verb: text("verb").unwrap_or_default(),
        uri: text("requestURI")
            .map(|uri| redact::text(&uri).into_owned())
            .unwrap_or_default(),
        audit_id: text("auditID"),
        stage: text("stage"),
        level: text("level"),
    }
}

fn raw(event: &Event, finding: &Finding) -> RawEvent {
    let exemplar = &finding.exemplar;
    let (text, cut) = redact::bounded_raw(&event.fields().to_document());
    let whole = finding.joined.as_ref().and_then(|joined| joined.whole);
    let Whole { size, sha256 } = whole.unwrap_or_else(|| Whole {
        size: exemplar.raw.len() as u64,
        sha256: Sha256::digest(&exemplar.raw).into(),
    });
    RawEvent {
        text,
        size,
        sha256: hex(&sha256),
        cut: cut || whole.is_some(),
        input: exemplar.input.clone(),
        offset: exemplar.offset,
        envelope: exemplar.origin.envelope,
        partial: exemplar.origin.partial,
    }
}

/// The strings of a list in a view.
pub(crate) fn strings<'a>(view: &'a View, key: &str) -> Vec<&'a str> {
    let list = view.get(key).and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}
