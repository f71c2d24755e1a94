//! A story as an alert: what it is called, who was in it, and what happened in which order.

use std::collections::BTreeMap;
use std::sync::Arc;

use detections::event::Envelope;
use detections::sigma::ast::Level;
use mitre::{TacticId, TechniqueId, catalog};

use crate::alert::{
    Account, Alert, Identity, ObjectRef, Outcome, Part, RawEvent, Request, RuleInfo, Severity,
    Source, Told,
};
use crate::correlate::story::{Fact, Joined, Story};
use crate::hex::hex;

use super::joined::duration;

/// The name and the id of all stories, like those of a rule.
const NAME: &str = "attack_story";
const ID: &str = "8f6f3c1d-2f0e-4c57-9d8e-6f1f6a0c7b52";

const DESCRIPTION: &str =
    "Findings of one actor, and of the accounts that they led to, along two or more tactics.";
const WHY: &str = "Each of these findings may have an innocent cause of its own. Together, one after the other and by the same hand, \
                   they are steps of one way.";
const RESPONSE: [&str; 4] = [
    "Read the steps from the first one on: it tells how it began",
    "Stop every account named here, not only the last; delete their tokens and the pods that hold them",
    "Undo what the steps have left behind: bindings, pods, secrets, webhooks",
    "Each step is a finding of its own, with its evidence and what to do about it",
];
const BENIGN: &str = "An administrator who sets up a cluster";

/// The alert of a story.
#[must_use]
pub fn story_alert(story: &Story) -> Alert {
    let hero = hero(story);
    let first = story.parts.first().map(|first| &**first);
    let cluster = first.map_or("", |first| first.cluster.as_str());
    let did = did(story);
    Alert {
        uid: hex(&story.uid()),
        rule: Arc::new(rule(story, &hero.actor)),
        severity: severity(story),
        outcome: Outcome {
            result: "success".to_owned(),
            ..Outcome::default()
        },
        cluster: cluster.into(),
        first_us: Some(story.first_us()),
        last_us: Some(story.last_us()),
        count: (story.parts.len() + story.left_out.len()) as u64,
        follow_ups: 0,
        actor: identity(hero),
        effective: None,
        source: Source {
            client: hero.client.clone(),
            ..Source::default()
        },
        allowed_by: None,
        object: ObjectRef::default(),
        root: ObjectRef::default(),
        other_objects: Vec::new(),
        object_count: 0,
        did,
        steps: Vec::new(),
        story: Some(Told {
            accounts: accounts(story),
            parts: story.parts.iter().map(|part| told(part)).collect(),
            left_out: story.left_out.len() as u64,
            absorbed: story.absorbed.iter().map(|uid| hex(uid)).collect(),
        }),
        details: Vec::new(),
        evidence: Vec::new(),
        unseen: Vec::new(),
        silence: String::new(),
        request: Request::default(),
        raw: RawEvent {
            envelope: Envelope::Raw,
            ..RawEvent::default()
        },
    }
}

/// Who stands for the story: who did most of it, and of those the first.
fn hero(story: &Story) -> &Fact {
    static NOBODY: std::sync::LazyLock<Fact> = std::sync::LazyLock::new(Fact::default);
    let mut parts: BTreeMap<&str, usize> = BTreeMap::new();
    for part in &story.parts {
        *parts.entry(&part.actor).or_default() += 1;
    }
    let most = parts.values().max().copied();
    let mut facts = story.parts.iter();
    facts
        .find(|part| parts.get(part.actor.as_str()).copied() == most)
        .map_or(&NOBODY, |part| part)
}

fn identity(fact: &Fact) -> Identity {
    Identity {
        name: fact.actor.clone(),
        kind: fact.kind.clone(),
        canonical: fact.actor.clone(),
        groups: Some(Vec::new()),
        ..Identity::default()
    }
}

/// `7 findings in 2 s: Discovery, Credential Access, Privilege Escalation, Execution`.
fn did(story: &Story) -> String {
    let count = story.parts.len() + story.left_out.len();
    let span = duration(story.last_us() - story.first_us());
    format!("{count} findings in {span}: {}", tactics(story).join(", "))
}

fn tactics(story: &Story) -> Vec<&'static str> {
    let known = |id: &str| catalog::tactic(id.parse().ok()?);
    let names = story.tactics().into_iter().filter_map(known);
    names.map(|tactic| tactic.name).collect()
}

/// `mallory@example.com and 1 other: from “Secrets listed” to “Cluster admin bound” in 12 min`.
fn title(story: &Story, hero: &str) -> String {
    let others = accounts(story).len().saturating_sub(1);
    let others = match others {
        0 => String::new(),
        1 => " and 1 other".to_owned(),
        more => format!(" and {more} others"),
    };
    let span = duration(story.last_us() - story.first_us());
    let (from, to) = ends(story);
    format!("{hero}{others}: from “{from}” to “{to}” in {span}")
}

/// The first step, and the worst that came of it, the latest of those; if that is the first, the last one.
fn ends(story: &Story) -> (&str, &str) {
    let from = story.parts.first().map_or("", |part| part.title.as_str());
    let others = || story.parts.iter().filter(|part| part.title != from);
    let worst = others()
        .filter(|part| part.succeeded)
        .max_by_key(|part| (part.points, part.order()));
    let to = worst.or_else(|| others().next_back());
    (from, to.map_or("", |part| part.title.as_str()))
}

fn rule(story: &Story, hero: &str) -> RuleInfo {
    let tactics = story.tactics().into_iter();
    let tactics: Vec<TacticId> = tactics.filter_map(|id| id.parse().ok()).collect();
    let mut techniques: Vec<TechniqueId> = Vec::new();
    for id in story.parts.iter().flat_map(|part| &part.techniques) {
        if let Ok(id) = id.parse()
            && !techniques.contains(&id)
        {
            techniques.push(id);
        }
    }
    RuleInfo {
        id: ID.to_owned(),
        name: NAME.to_owned(),
        title: title(story, hero),
        description: DESCRIPTION.to_owned(),
        level: story.worst(),
        tags: Vec::new(),
        tactics,
        techniques,
        references: Vec::new(),
        false_positives: vec![BENIGN.to_owned()],
        version: None,
        author: Some("Tidewatch".to_owned()),
        why: WHY.to_owned(),
        response: RESPONSE.map(ToOwned::to_owned).to_vec(),
    }
}

fn severity(story: &Story) -> Severity {
    let mut reasons = vec!["the worst of its findings".to_owned()];
    if story.is_raised() {
        reasons.push("+1: three steps or more succeeded, along three tactics or more".to_owned());
    }
    Severity {
        level: story.level(),
        impact: story.worst().points(),
        outcome: 0,
        actor: 0,
        reasons,
    }
}

/// Everybody in it, in the order in which they came.
fn accounts(story: &Story) -> Vec<Account> {
    let mut accounts: Vec<Account> = Vec::new();
    for part in &story.parts {
        if let Some(known) = accounts.iter_mut().find(|known| known.name == part.actor) {
            note(&mut known.clients, part.client.as_ref());
            note(&mut known.acted_as, part.effective.as_ref());
            continue;
        }
        let mut account = Account {
            name: part.actor.clone(),
            kind: part.kind.clone(),
            clients: Vec::new(),
            acted_as: Vec::new(),
            joined: story.joined.get(&part.actor).map(came_in),
        };
        note(&mut account.clients, part.client.as_ref());
        note(&mut account.acted_as, part.effective.as_ref());
        accounts.push(account);
    }
    accounts
}

/// Names of one account that are told.
const NAMES_MAX: usize = 8;

fn note(names: &mut Vec<String>, name: Option<&String>) {
    if let Some(name) = name
        && !names.contains(name)
        && names.len() < NAMES_MAX
    {
        names.push(name.clone());
    }
}

fn came_in(joined: &Joined) -> (String, String, i64) {
    (
        joined.way.words().to_owned(),
        joined.by.clone(),
        joined.at_us,
    )
}

fn told(part: &Fact) -> Part {
    Part {
        uid: hex(&part.uid),
        time_us: part.at_us,
        request: hex(&part.request),
        level: Level::of_points(part.points),
        tactics: part
            .tactics
            .iter()
            .filter_map(|id| id.parse().ok())
            .collect(),
        title: part.title.clone(),
        actor: part.actor.clone(),
        did: part.did.clone(),
        outcome: part.outcome.clone(),
        succeeded: part.succeeded,
        count: part.count,
    }
}
