//! The rule set, compiled once, evaluated over batches.
//!
//! ```text
//! row ─▶ situation (verb, resource, stage…) ─▶ rules left ─▶ other columns ─▶ rules left ─▶ bodies ─▶ rules left ─▶ document
//!        remembered: which rules it leaves     verdicts are remembered        one walk:          the views and
//!                                              once per distinct value        hints              the slow truth
//! ```
//!
//! Each step knows a rule's truth only within bounds, and may only narrow them; a rule goes on to the next, dearer step
//! until its bounds meet. What the last step says is the truth, so every step before it may say "perhaps" at any time, and
//! none may be wrong. Nearly every event ends before the first step that costs more than looking up a number.

use crate::batch::{Column, EventBatch};
use crate::matcher::{Check, Scalar, Scope};
use crate::sigma::ast::Rule;
use crate::truth::{Bounds, Truth};

mod bodies;
mod columns;
mod dictionary;
mod guards;
mod hints;
mod memory;
mod plan;
mod screen;
mod situation;

use bodies::{Bodies, Screens};
use guards::Passing;
use memory::{RowValues, Values};
use plan::{Plan, Reads};
use situation::{Situation, Situations};

/// Compiled rules.
#[derive(Debug)]
pub struct RuleSet {
    rules: Vec<Rule>,
    plan: Plan,
}

/// A rule that matched an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Match {
    /// The event's row in the batch.
    pub row: usize,
    /// The rule's index in the set.
    pub rule: usize,
}

/// What a batch yields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evaluation {
    /// By row, then by rule.
    pub matches: Vec<Match>,
    /// Rows and rules where the verdict is unknown: the event cannot show what the rule needs.
    pub blind: Vec<Match>,
}

/// How far rows had to go, for whoever tunes rules or the engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effort {
    /// Rows in all.
    pub rows: u64,
    /// Rows whose situation left rules open.
    pub open: u64,
    /// Rows whose bodies were walked through.
    pub screened: u64,
    /// Rows that were parsed as documents.
    pub parsed: u64,
    /// How often remembered values became too many and were forgotten.
    pub resets: u64,
}

/// Judges batches one after the other and remembers what repeats. One per thread.
#[derive(Debug)]
pub struct Evaluator<'r> {
    plan: &'r Plan,
    values: Values,
    situations: Situations,
    passing: Passing,
    screens: Screens,
    known: RowValues,
    /// Rules whose bounds have not met for the row at hand.
    open: Vec<usize>,
    /// By test, its truth for the row at hand.
    truths: Vec<Option<Truth>>,
    effort: Effort,
}

impl RuleSet {
    /// Compiles rules. A rule that loaded cannot fail here.
    #[must_use]
    pub fn new(rules: Vec<Rule>) -> Self {
        let plan = Plan::new(&rules);
        Self { rules, plan }
    }

    /// The rules, in the order of [`Match::rule`].
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// An evaluator that has seen nothing yet.
    #[must_use]
    pub fn evaluator(&self) -> Evaluator<'_> {
        Evaluator::new(&self.plan)
    }

    /// Which rules match which events, of a batch that stands alone.
    #[must_use]
    pub fn evaluate(&self, batch: &EventBatch) -> Evaluation {
        self.evaluator().evaluate(batch)
    }
}

impl Evaluation {
    fn add(&mut self, row: usize, rule: usize, truth: Truth) {
        match truth {
            Truth::True => self.matches.push(Match { row, rule }),
            Truth::Unknown => self.blind.push(Match { row, rule }),
            Truth::False => {}
        }
    }
}

impl<'r> Evaluator<'r> {
    fn new(plan: &'r Plan) -> Self {
        Self {
            plan,
            values: Values::new(plan),
            situations: Situations::default(),
            passing: Passing::default(),
            screens: Screens::default(),
            known: RowValues::default(),
            open: Vec::new(),
            truths: Vec::new(),
            effort: Effort::default(),
        }
    }

    /// Which rules match which events.
    #[must_use]
    pub fn evaluate(&mut self, batch: &EventBatch) -> Evaluation {
        if self.values.is_full() || self.situations.is_full() || self.passing.is_full() {
            self.values.clear();
            self.situations.clear();
            self.passing.clear();
            self.effort.resets += 1;
        }
        self.screens.trim();
        let mut evaluation = Evaluation::default();
        for row in 0..batch.rows() {
            self.row(batch, row, &mut evaluation);
        }
        evaluation.matches.sort_unstable();
        evaluation.blind.sort_unstable();
        self.effort.rows += batch.rows() as u64;
        evaluation
    }

    /// How far rows had to go so far.
    #[must_use]
    pub fn effort(&self) -> Effort {
        self.effort
    }

    fn row(&mut self, batch: &EventBatch, row: usize, evaluation: &mut Evaluation) {
        let mut known = std::mem::take(&mut self.known);
        known.clear();
        let is_odd = batch.is_odd(row) || !self.by_situation(batch, row, &mut known, evaluation);
        if is_odd {
            self.open.clear();
            self.open.extend(0..self.plan.expressions.len());
        }
        if !self.open.is_empty() {
            let known = (!is_odd).then_some(&mut known);
            self.by_document(batch, row, known, evaluation);
        }
        self.known = known;
    }

    /// Goes as far as possible without a document, and leaves in `open` the rules that need one. False if not even the
    /// columns can be relied on.
    fn by_situation(
        &mut self,
        batch: &EventBatch,
        row: usize,
        known: &mut RowValues,
        evaluation: &mut Evaluation,
    ) -> bool {
        let (plan, values) = (self.plan, &mut self.values);
        let found = self.situations.find(plan, values, batch, row, known);
        let Some((number, situation)) = found else {
            return false;
        };
        for (rule, truth) in &situation.decided {
            evaluation.add(row, *rule, *truth);
        }
        self.open.clear();
        if situation.open.is_empty() {
            return true;
        }
        self.effort.open += 1;
        let mut cells = Cells {
            plan,
            values,
            known,
            batch,
            row,
        };
        self.open.extend(&situation.guards.others);
        for guard in &situation.guards.groups {
            let Some(value) = cells.group_number(guard.group) else {
                self.open
                    .extend(guard.members.iter().map(|(place, _)| place));
                continue;
            };
            let key = (number, guard.group, value, batch.envelope(row) as u8);
            let passing = self.passing.of(key, guard, |test| cells.bounds(test));
            self.open.extend(passing);
        }
        narrow(&mut self.open, situation, evaluation, row, |test| {
            cells.bounds(test)
        });
        if !self.open.is_empty() && situation.bodies.any() {
            let screens = &mut self.screens;
            if let Some(bodies) = cells.bodies(situation, screens) {
                self.effort.screened += 1;
                narrow(&mut self.open, situation, evaluation, row, |test| {
                    cells.bounds_with(test, bodies, screens)
                });
            }
        }
        for number in &mut self.open {
            *number = situation.open[*number].0;
        }
        true
    }

    /// The truth of what is left, by the event as a document.
    fn by_document(
        &mut self,
        batch: &EventBatch,
        row: usize,
        mut known: Option<&mut RowValues>,
        evaluation: &mut Evaluation,
    ) {
        let Ok(event) = batch.event(row) else {
            return;
        };
        self.effort.parsed += 1;
        let (plan, values, truths) = (self.plan, &mut self.values, &mut self.truths);
        truths.clear();
        truths.resize(plan.tests.len(), None);
        let mut truth = |test: usize| {
            let by_columns = known.as_deref_mut().and_then(|known| {
                let mut cells = Cells {
                    plan,
                    values,
                    known,
                    batch,
                    row,
                };
                cells.bounds(test).known()
            });
            by_columns.unwrap_or_else(|| plan.tests[test].leaf.evaluate(Scope::Event(&event)))
        };
        for rule in &self.open {
            let expression = &plan.expressions[*rule];
            let bounds = expression
                .bounds(&mut |test| (*truths[test].get_or_insert_with(|| truth(test))).into());
            evaluation.add(row, *rule, bounds.most);
        }
    }
}

/// Keeps of the numbers in `open` those whose rules are not decided by `test`.
fn narrow(
    open: &mut Vec<usize>,
    situation: &Situation,
    evaluation: &mut Evaluation,
    row: usize,
    mut test: impl FnMut(usize) -> Bounds,
) {
    open.retain(|number| {
        let (rule, expression) = &situation.open[*number];
        let truth = expression.bounds(&mut test).known();
        if let Some(truth) = truth {
            evaluation.add(row, *rule, truth);
        }
        truth.is_none()
    });
}

/// Whether the view `exec` may be there: false only if the URI is plain and names no kind of connection.
fn connects(batch: &EventBatch, row: usize) -> bool {
    let may_name = |text: &[u8]| {
        let kinds: [&[u8]; 4] = [b"exec", b"attach", b"portforward", b"run"];
        let names = |kind: &&[u8]| {
            text.windows(kind.len())
                .any(|part| part.eq_ignore_ascii_case(kind))
        };
        memchr::memchr2(b'%', b'\\', text).is_some() || kinds.iter().any(names)
    };
    let uri = batch.slice(Column::RequestUri, row);
    let subresource = batch.slice(Column::Subresource, row);
    !uri.is_some_and(|text| text.starts_with(b"\"") && !may_name(text))
        || subresource.is_some_and(may_name)
}

fn text_bounds(check: &Check, text: Option<&[u8]>) -> Bounds {
    match text {
        None => check.of_absent().into(),
        Some(text) if text.starts_with(b"\"") => {
            Scalar::of_json(text).map_or(Bounds::ANY, |text| check.of_scalar(&text).into())
        }
        Some(_) => Bounds::ANY,
    }
}

/// The columns of one row, as tests ask for them.
struct Cells<'a> {
    plan: &'a Plan,
    values: &'a mut Values,
    known: &'a mut RowValues,
    batch: &'a EventBatch,
    row: usize,
}

impl Cells<'_> {
    fn group_number(&mut self, group: usize) -> Option<usize> {
        self.values
            .group_number(self.plan, group, self.batch, self.row, self.known)
    }

    /// The truth of a test as far as columns tell.
    fn bounds(&mut self, test: usize) -> Bounds {
        match &self.plan.tests[test].reads {
            Reads::Group { group, slot } => {
                self.values
                    .test(self.plan, (*group, *slot), self.batch, self.row, self.known)
            }
            Reads::Text(column, check) => {
                if let Some((_, bounds)) = self.known.texts.iter().find(|known| known.0 == test) {
                    return *bounds;
                }
                let bounds = text_bounds(check, self.batch.slice(*column, self.row));
                self.known.texts.push((test, bounds));
                bounds
            }
            Reads::Connection if !connects(self.batch, self.row) => Bounds::FALSE,
            Reads::Connection | Reads::Body(..) | Reads::Document => Bounds::ANY,
        }
    }

    fn bounds_with(&mut self, test: usize, bodies: Bodies, screens: &Screens) -> Bounds {
        match &self.plan.tests[test].reads {
            Reads::Body(place, hint) => bodies.bounds(*place, hint, screens),
            _ => self.bounds(test),
        }
    }

    /// Looks through the bodies; `None` if it cannot be said what they would be.
    fn bodies(&mut self, situation: &Situation, screens: &mut Screens) -> Option<Bodies> {
        let succeeded = match self.bounds(Plan::SUCCESS).known()? {
            Truth::True => Some(true),
            Truth::False => Some(false),
            Truth::Unknown => None,
        };
        let (plan, batch, row) = (self.plan, self.batch, self.row);
        Some(Bodies::screen(
            plan, situation, succeeded, screens, batch, row,
        ))
    }
}
