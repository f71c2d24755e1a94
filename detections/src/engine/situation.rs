//! What rules come to where verb, resource, stage and so on are given: for nearly every event, nothing.

use super::columns::{SITUATION, small_event};
use super::dictionary::Dictionary;
use super::memory::{RowValues, Values};
use super::plan::Plan;
use super::tree::Tree;
use crate::batch::{Column, EventRow};
use crate::limits::SITUATIONS_MAX;
use crate::matcher::Scope;
use crate::truth::Truth;
use crate::views::shown::Outline;

/// The texts of the columns one behind the other take no more; longer ones are nothing that an API server writes.
const KEY_BYTES_MAX: usize = 512;

/// The situations seen so far.
#[derive(Debug, Default)]
pub(super) struct Situations {
    /// Verb, resource and so on, and the envelope, as one text: one look instead of seven.
    keys: Dictionary,
    /// By the number of the key; `None` inside if only documents tell.
    kept: Vec<Option<Situation>>,
    key: Vec<u8>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Situation {
    /// Where the tree goes on.
    pub(super) root: u32,
    pub(super) outline: Outline,
    /// The number of its stage, which other columns are read together with.
    stage: Option<u32>,
}

impl Situations {
    pub(super) fn is_full(&self) -> bool {
        self.kept.len() >= SITUATIONS_MAX
    }

    pub(super) fn clear(&mut self) {
        self.keys.clear();
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
        self.key.clear();
        for column in SITUATION {
            let text = row.slice(column).unwrap_or_default();
            if text.len() > KEY_BYTES_MAX / SITUATION.len() {
                return None;
            }
            // Where a text ends its length tells, whatever is in it.
            self.key.push(u8::try_from(text.len()).ok()?);
            self.key.extend_from_slice(text);
        }
        self.key.push(row.envelope() as u8);
        // Numbers start at one.
        let number = self.keys.number(&self.key)? as usize - 1;
        if number == self.kept.len() {
            let stage = values.number(Column::Stage, row, known);
            self.kept.push(Situation::new(plan, tree, row, stage));
        }
        let situation = self.kept.get(number)?.as_ref()?;
        known.set(Column::Stage, situation.stage);
        Some(situation)
    }
}

impl Situation {
    fn new(plan: &Plan, tree: &mut Tree, row: &EventRow<'_>, stage: Option<u32>) -> Option<Self> {
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
            stage,
        })
    }
}
