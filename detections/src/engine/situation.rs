//! What rules come to where verb, resource, stage and so on are given: for nearly every event, nothing.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::columns::{SITUATION, small_event};
use super::memory::{RowValues, Values};
use super::plan::Plan;
use super::tree::Tree;
use crate::batch::EventRow;
use crate::limits::SITUATIONS_MAX;
use crate::matcher::Scope;
use crate::truth::Truth;
use crate::views::shown::Outline;

/// Verb, resource and so on, and the envelope.
type Key = [u32; SITUATION.len() + 1];

/// The situations seen so far.
#[derive(Debug, Default)]
pub(super) struct Situations {
    numbers: HashMap<Key, usize, RandomState>,
    kept: Vec<Situation>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Situation {
    /// Where the tree goes on.
    pub(super) root: u32,
    pub(super) outline: Outline,
}

impl Situations {
    pub(super) fn is_full(&self) -> bool {
        self.kept.len() >= SITUATIONS_MAX
    }

    pub(super) fn clear(&mut self) {
        self.numbers.clear();
        self.kept.clear();
    }

    /// The situation of a row; `None` if columns are too long, or not valid JSON.
    pub(super) fn find(
        &mut self,
        plan: &Plan,
        (values, tree): (&mut Values, &mut Tree),
        row: &EventRow<'_>,
        known: &mut RowValues,
    ) -> Option<&Situation> {
        let mut key: Key = [0; SITUATION.len() + 1];
        for (number, column) in key.iter_mut().zip(SITUATION) {
            *number = values.number(column, row, known)?;
        }
        key[SITUATION.len()] = row.envelope() as u32;
        let number = if let Some(number) = self.numbers.get(&key) {
            *number
        } else {
            self.kept.push(Situation::new(plan, tree, row)?);
            self.numbers.insert(key, self.kept.len() - 1);
            self.kept.len() - 1
        };
        self.kept.get(number)
    }
}

impl Situation {
    fn new(plan: &Plan, tree: &mut Tree, row: &EventRow<'_>) -> Option<Self> {
        let event = small_event(&SITUATION, row)?;
        let mut known: Vec<Option<Truth>> = vec![None; plan.tests.len()];
        for group in plan.groups.iter().filter(|group| group.is_situation()) {
            for test in &group.tests {
                known[*test] = Some(plan.tests[*test].leaf.evaluate(Scope::Event(&event)));
            }
        }
        Some(Self {
            root: tree.root(plan, &known),
            outline: Outline::of(&event),
        })
    }
}
