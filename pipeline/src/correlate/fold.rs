//! What controllers carried out is folded into what somebody asked for.

use std::collections::BTreeMap;

use crate::alert::ObjectRef;

use super::act::{Act, Key};

/// Joins the acts of controllers to those of owners; those whose owner's write was not seen stay by themselves. With each act
/// comes the number of requests that were folded into it.
pub(crate) fn fold(acts: impl IntoIterator<Item = (Key, Act)>) -> Asked {
    let (carried_out, mut asked) = split(acts);
    for (key, act) in carried_out {
        match owners_act(&asked, &key, &act) {
            Some(owner) => {
                if let Some((owner, follow_ups)) = asked.get_mut(&owner) {
                    *follow_ups += act.count;
                    owner.last_us = owner.last_us.max(act.last_us);
                }
            }
            None => drop(asked.insert(key, (act, 0))),
        }
    }
    asked
}

/// What controllers carried out, and what others asked for, each with its follow-ups so far.
fn split(acts: impl IntoIterator<Item = (Key, Act)>) -> (Vec<(Key, Act)>, Asked) {
    let mut carried_out = Vec::new();
    let mut asked = BTreeMap::new();
    for (key, act) in acts {
        if key.actor.is_none() {
            carried_out.push((key, act));
        } else {
            asked.insert(key, (act, 0));
        }
    }
    carried_out.sort_by(|a, b| a.0.cmp(&b.0));
    (carried_out, asked)
}

/// Acts by their keys, with the number of follow-ups.
pub(crate) type Asked = BTreeMap<Key, (Act, u64)>;

/// The owner's act that controllers carried out: the latest one before them, else the first.
fn owners_act(asked: &Asked, key: &Key, act: &Act) -> Option<Key> {
    if key.root == ObjectRef::default() {
        // An act that is the actor's whatever the objects has no owner.
        return None;
    }
    let mut owners: Vec<(Option<i64>, &Key)> = asked
        .iter()
        .filter(|(other, _)| {
            other.rule == key.rule && other.cluster == key.cluster && other.root == key.root
        })
        .filter(|(other, _)| other.actor.is_some() && other.outcome.starts_with("success"))
        .map(|(other, (act, _))| (act.first_us, other))
        .collect();
    owners.sort();
    let before = owners.iter().rev().find(|(first, _)| *first <= act.last_us);
    before
        .or_else(|| owners.first())
        .map(|(_, owner)| (*owner).clone())
}
