//! The rules that a value of one column leaves.
//!
//! A rule that is left by a situation mostly still needs some column to have a certain value: a user, a client, a status. That part
//! of it is its guard. Which guards let their rules pass depends on the value of the guard's columns alone, so it is found out
//! once per value; for nearly all values none do. Without this, a thousand rules would each cost their look at every event.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::plan::{Expression, Plan, Reads};
use crate::limits::PASSING_MAX;
use crate::truth::{Bounds, Truth};

/// The open rules of a situation, by their guards.
#[derive(Debug, Default)]
pub(super) struct Guards {
    pub(super) groups: Vec<Guard>,
    /// Rules without a guard, by their places among the open ones.
    pub(super) others: Vec<usize>,
}

/// Guards that read the same group of columns.
#[derive(Debug)]
pub(super) struct Guard {
    pub(super) group: usize,
    /// Places among the open rules, and what must not be false for them to pass.
    pub(super) members: Vec<(usize, Expression)>,
}

/// A situation, a group of columns, the number of its value, and the envelope.
pub(super) type Key = (usize, usize, usize, u8);

/// Which rules pass, by value.
#[derive(Debug, Default)]
pub(super) struct Passing {
    known: HashMap<Key, Box<[usize]>, RandomState>,
}

impl Guards {
    pub(super) fn new(open: &[(usize, Expression)], plan: &Plan) -> Self {
        let mut guards = Self::default();
        for (place, (_, expression)) in open.iter().enumerate() {
            let Some((group, guard)) = guard_of(expression, plan) else {
                guards.others.push(place);
                continue;
            };
            let known = guards.groups.iter_mut().find(|known| known.group == group);
            match known {
                Some(known) => known.members.push((place, guard)),
                None => guards.groups.push(Guard {
                    group,
                    members: vec![(place, guard)],
                }),
            }
        }
        guards
    }
}

impl Passing {
    pub(super) fn is_full(&self) -> bool {
        self.known.len() >= PASSING_MAX
    }

    pub(super) fn clear(&mut self) {
        self.known.clear();
    }

    /// The places of the rules that pass; `test` is asked if the value is new.
    pub(super) fn of(
        &mut self,
        key: Key,
        guard: &Guard,
        mut test: impl FnMut(usize) -> Bounds,
    ) -> &[usize] {
        self.known.entry(key).or_insert_with(|| {
            let passes =
                |member: &&(usize, Expression)| member.1.bounds(&mut test).most != Truth::False;
            let passing = guard.members.iter().filter(passes);
            passing.map(|(place, _)| *place).collect()
        })
    }
}

/// The part of a rule that one group of columns decides, and without which the rule is false.
fn guard_of(expression: &Expression, plan: &Plan) -> Option<(usize, Expression)> {
    if let Some(group) = only_group(expression, plan) {
        return Some((group, expression.clone()));
    }
    let Expression::And(parts) = expression else {
        return None;
    };
    // Parts stand in the order of their cost.
    let group = parts.iter().find_map(|part| only_group(part, plan))?;
    let of_group = parts
        .iter()
        .filter(|part| only_group(part, plan) == Some(group));
    Some((group, Expression::And(of_group.cloned().collect())))
}

/// The group that all tests of an expression read.
fn only_group(expression: &Expression, plan: &Plan) -> Option<usize> {
    match expression {
        Expression::Known(_) => None,
        Expression::Not(inner) => only_group(inner, plan),
        Expression::Test(test) => match plan.tests[*test].reads {
            Reads::Group { group, .. } => Some(group),
            _ => None,
        },
        Expression::And(parts) | Expression::Or(parts) => {
            let mut groups = parts.iter().map(|part| only_group(part, plan));
            let first = groups.next()??;
            groups.all(|group| group == Some(first)).then_some(first)
        }
    }
}
