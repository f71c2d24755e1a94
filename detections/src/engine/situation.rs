//! What rules come to where verb, resource, stage and so on are given: for nearly every event, nothing.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::columns::{SITUATION, small_event};
use super::guards::Guards;
use super::hints::{Place, Wanted};
use super::memory::{RowValues, Values};
use super::plan::{Expression, Plan, Reads, Reduced};
use crate::batch::EventBatch;
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
    /// Rules that match, or that the event cannot show.
    pub(super) decided: Vec<(usize, Truth)>,
    /// Rules that need more, with what is left of them.
    pub(super) open: Vec<(usize, Expression)>,
    /// What they ask of single columns.
    pub(super) guards: Guards,
    /// Which bodies the open rules read.
    pub(super) bodies: Needed,
    /// What the open rules look for in them.
    pub(super) wanted: Wanted,
    pub(super) outline: Outline,
}

/// What of the bodies some rules read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Needed {
    /// The object, in either body.
    pub(super) object: bool,
    pub(super) request: bool,
    pub(super) response: bool,
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
        values: &mut Values,
        batch: &EventBatch,
        row: usize,
        known: &mut RowValues,
    ) -> Option<(usize, &Situation)> {
        let mut key: Key = [0; SITUATION.len() + 1];
        for (number, column) in key.iter_mut().zip(SITUATION) {
            *number = values.number(column, batch, row, known)?;
        }
        key[SITUATION.len()] = batch.envelope(row) as u32;
        let number = if let Some(number) = self.numbers.get(&key) {
            *number
        } else {
            self.kept.push(Situation::new(plan, batch, row)?);
            self.numbers.insert(key, self.kept.len() - 1);
            self.kept.len() - 1
        };
        Some((number, self.kept.get(number)?))
    }
}

impl Situation {
    fn new(plan: &Plan, batch: &EventBatch, row: usize) -> Option<Self> {
        let event = small_event(&SITUATION, batch, row)?;
        let mut situation = Self {
            decided: Vec::new(),
            open: Vec::new(),
            guards: Guards::default(),
            bodies: Needed::default(),
            wanted: Wanted::default(),
            outline: Outline::of(&event),
        };
        let mut known: Vec<Option<Truth>> = vec![None; plan.tests.len()];
        for group in plan.groups.iter().filter(|group| group.is_situation()) {
            for test in &group.tests {
                known[*test] = Some(plan.tests[*test].leaf.evaluate(Scope::Event(&event)));
            }
        }
        for (rule, expression) in plan.expressions.iter().enumerate() {
            match expression.reduce(&mut |test| known[test]) {
                Reduced::Known(Truth::False) => {}
                Reduced::Known(truth) => situation.decided.push((rule, truth)),
                Reduced::Open(expression) => {
                    situation.note(&expression, plan);
                    situation.open.push((rule, expression));
                }
            }
        }
        situation.guards = Guards::new(&situation.open, plan);
        Some(situation)
    }

    /// Notes which bodies an open rule reads, and what it looks for.
    fn note(&mut self, expression: &Expression, plan: &Plan) {
        match expression {
            Expression::Known(_) => {}
            Expression::Not(inner) => self.note(inner, plan),
            Expression::And(parts) | Expression::Or(parts) => {
                for part in parts {
                    self.note(part, plan);
                }
            }
            Expression::Test(test) => {
                if let Reads::Body(place, hint) = &plan.tests[*test].reads {
                    self.wanted.add(hint, &plan.atoms);
                    match place {
                        Place::Object | Place::Pod => self.bodies.object = true,
                        Place::Request => self.bodies.request = true,
                        Place::Response => self.bodies.response = true,
                    }
                }
            }
        }
    }
}

impl Needed {
    pub(super) fn any(self) -> bool {
        self.object || self.request || self.response
    }
}
