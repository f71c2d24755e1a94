//! What a story needs to know of a finding.

mod links;

use detections::event::Event;
use detections::sigma::ast::Header;
use detections::views::Root;

use crate::correlate::story::{Fact, Grasp, Key};
use crate::correlate::{Finding, actor_key, object_of, severity, workloads_of};
use crate::wire::outcome_words;

use super::Enricher;

impl Enricher<'_> {
    /// A finding as a part of a story. `None` if it is none: it has no time, or its rule is gone.
    #[must_use]
    pub fn fact(&self, finding: &Finding) -> Option<Fact> {
        let exemplar = &finding.exemplar;
        let origin = exemplar.origin.clone();
        let event = Event::parse(&exemplar.raw, origin, self.settings.clone()).ok()?;
        let header = self.catalog.header(finding.rule)?;
        let at_us = event.time_us()?;
        let outcome = super::outcome(&event);
        let succeeded = outcome.result == "success" && !outcome.dry_run;
        let actor = event.view(Root::Actor);
        let name = actor.text("name").unwrap_or_default();
        let is_declared = self.automation.iter().any(|known| known == name);
        Some(Fact {
            uid: finding.uid,
            cluster: event.origin().cluster.to_string(),
            at_us,
            last_us: finding.last_us.unwrap_or(at_us).max(at_us),
            request: event.request_identity(),
            count: finding.count,
            points: severity::score(header, &event, self.automation)
                .level
                .points(),
            succeeded,
            outcome: outcome_words(&outcome),
            trusted: is_declared || severity::holds_everything(&event),
            actor: name.to_owned(),
            kind: actor.text("kind").unwrap_or_default().to_owned(),
            effective: super::identity::effective(&event).map(|effective| effective.name),
            client: super::owned(event.view(Root::Source).text("client")),
            did: self.deed(finding, &event)?,
            keys: keys(&event),
            begins: actor_key(&event).is_some() && actor.text("kind") != Some("control_plane"),
            links: if succeeded {
                links::of(&event, finding.count)
            } else {
                Vec::new()
            },
            ..of_rule(header)
        })
    }

    /// What was done; of a correlation, what completed it.
    fn deed(&self, finding: &Finding, event: &Event) -> Option<String> {
        Some(self.told(finding, event, &object_of(event))?.did)
    }
}

fn of_rule(header: &Header) -> Fact {
    Fact {
        rule: header.id.clone(),
        title: header.title.clone(),
        tactics: header.tactics.iter().map(ToString::to_string).collect(),
        techniques: header.techniques.iter().map(ToString::to_string).collect(),
        ..Fact::default()
    }
}

/// By what a story takes hold of an event.
fn keys(event: &Event) -> Vec<Key> {
    let actor = event.view(Root::Actor);
    let name = actor.text("name").unwrap_or_default();
    let mut keys = Vec::new();
    if let Some(account) = actor_key(event) {
        // Bindings name accounts as they authenticate, which is not always their stable name.
        if account != name && actor.text("kind") != Some("anonymous") {
            keys.push(Key::new(Grasp::Account, name));
        }
        keys.push(Key::new(Grasp::Account, account));
    }
    let (credential, pod) = (actor.text("credential"), actor.text("pod"));
    keys.extend(credential.map(|id| Key::new(Grasp::Credential, id)));
    if actor.text("kind") != Some("service_account") {
        return keys;
    }
    let namespace = actor.text("namespace").unwrap_or_default();
    let workloads = pod.into_iter().flat_map(workloads_of);
    keys.extend(workloads.map(|name| Key::new(Grasp::Pod, format!("{namespace}/{name}"))));
    if pod.is_none() {
        keys.push(Key::new(Grasp::Unbound, name));
        if credential.is_none() {
            keys.push(Key::new(Grasp::Unproven, name));
        }
    }
    keys
}
