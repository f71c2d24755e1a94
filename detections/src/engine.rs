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
use crate::views::shown::Outline;

mod bodies;
mod columns;
mod dictionary;
mod hints;
mod memory;
mod plan;
mod screen;
mod situation;
mod tree;

use bodies::{Bodies, Screens};
use memory::{RowValues, Values};
use plan::{Expression, Plan, Reads};
use situation::Situations;
use tree::{Next, Open, Rest, Tree};

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
    tree: Tree,
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
            tree: Tree::default(),
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
        if self.values.is_full() || self.situations.is_full() {
            self.forget();
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
        if self.tree.is_full() {
            self.forget();
        }
        let mut known = std::mem::take(&mut self.known);
        known.clear();
        let is_odd = batch.is_odd(row) || !self.by_columns(batch, row, &mut known, evaluation);
        if is_odd {
            let all = self.plan.expressions.iter().enumerate();
            by_document(self.plan, &mut self.truths, all, batch, row, evaluation);
            self.effort.parsed += 1;
        }
        self.known = known;
    }

    /// Between rows: nodes and numbers are meaningless afterwards.
    fn forget(&mut self) {
        self.values.clear();
        self.situations.clear();
        self.tree.clear();
        self.effort.resets += 1;
    }

    /// False if the columns cannot be relied on; else all is done.
    fn by_columns(
        &mut self,
        batch: &EventBatch,
        row: usize,
        known: &mut RowValues,
        evaluation: &mut Evaluation,
    ) -> bool {
        let plan = self.plan;
        let remembered = (&mut self.values, &mut self.tree);
        let found = self.situations.find(plan, remembered, batch, row, known);
        let Some(situation) = found else {
            return false;
        };
        let mut number = situation.root;
        self.effort.open += u64::from(!matches!(self.tree.node(number).next, Next::End));
        loop {
            let node = self.tree.node(number);
            for (rule, truth) in &node.decided {
                evaluation.add(row, *rule, *truth);
            }
            let rest = match &node.next {
                Next::End => return true,
                Next::Rest(rest) => Some(rest),
                Next::Group(group) => {
                    if let Some(class) = self.values.class(plan, *group, batch, row, known) {
                        let step = (*group, class);
                        let verdicts = self.values.verdicts(*group, class);
                        number = self.tree.step(plan, number, step, verdicts);
                        continue;
                    }
                    None
                }
            };
            let cells = Cells {
                plan,
                values: &mut self.values,
                known,
                batch,
                row,
            };
            self.open.clear();
            self.open.extend(0..node.open.len());
            if let Some(rest) = rest {
                let effort = &mut self.effort;
                cells.narrow(
                    (&mut self.open, &node.open),
                    (&situation.outline, rest),
                    &mut self.screens,
                    effort,
                    evaluation,
                );
            }
            if !self.open.is_empty() {
                let left = self.open.iter().map(|place| &node.open[*place]);
                let left = left.map(|open| (open.rule, &*open.expression));
                by_document(plan, &mut self.truths, left, batch, row, evaluation);
                self.effort.parsed += 1;
            }
            return true;
        }
    }
}

/// The truth of what is left of some rules, by the event as a document.
fn by_document<'p>(
    plan: &Plan,
    truths: &mut Vec<Option<Truth>>,
    rules: impl Iterator<Item = (usize, &'p Expression)>,
    batch: &EventBatch,
    row: usize,
    evaluation: &mut Evaluation,
) {
    let Ok(event) = batch.event(row) else {
        return;
    };
    truths.clear();
    truths.resize(plan.tests.len(), None);
    let truth = |test: usize| plan.tests[test].leaf.evaluate(Scope::Event(&event));
    for (rule, expression) in rules {
        let bounds = expression
            .bounds(&mut |test| (*truths[test].get_or_insert_with(|| truth(test))).into());
        evaluation.add(row, rule, bounds.most);
    }
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
    /// Decides rules by texts and by what a walk through the bodies finds; `places` are those of `open` that are left.
    fn narrow(
        mut self,
        (places, open): (&mut Vec<usize>, &[Open]),
        (outline, rest): (&Outline, &Rest),
        screens: &mut Screens,
        effort: &mut Effort,
        evaluation: &mut Evaluation,
    ) {
        let row = self.row;
        let mut retain = |places: &mut Vec<usize>, test: &mut dyn FnMut(usize) -> Bounds| {
            places.retain(|place| {
                let Open {
                    rule, expression, ..
                } = &open[*place];
                let truth = expression.bounds(&mut |number| test(number)).known();
                if let Some(truth) = truth {
                    evaluation.add(row, *rule, truth);
                }
                truth.is_none()
            });
        };
        if rest.texts {
            retain(places, &mut |test| self.bounds(test));
        }
        if !places.is_empty()
            && rest.bodies.any()
            && let Some(bodies) = self.bodies((outline, rest), screens)
        {
            effort.screened += 1;
            retain(places, &mut |test| self.bounds_with(test, bodies, screens));
        }
    }

    /// The truth of a test as far as texts tell.
    fn bounds(&mut self, test: usize) -> Bounds {
        match &self.plan.tests[test].reads {
            Reads::Text(column, check) => {
                if let Some((_, bounds)) = self.known.texts.iter().find(|known| known.0 == test) {
                    return *bounds;
                }
                let bounds = text_bounds(check, self.batch.slice(*column, self.row));
                self.known.texts.push((test, bounds));
                bounds
            }
            Reads::Connection if !connects(self.batch, self.row) => Bounds::FALSE,
            // The tree has asked for all groups before.
            Reads::Group { .. } | Reads::Connection | Reads::Body(..) | Reads::Document => {
                Bounds::ANY
            }
        }
    }

    fn bounds_with(&mut self, test: usize, bodies: Bodies, screens: &Screens) -> Bounds {
        match &self.plan.tests[test].reads {
            Reads::Body(place, hint) => bodies.bounds(*place, hint, screens),
            _ => self.bounds(test),
        }
    }

    /// Looks through the bodies; `None` if it cannot be said what they would be.
    fn bodies(&mut self, rest: (&Outline, &Rest), screens: &mut Screens) -> Option<Bodies> {
        let succeeded = match self.success()? {
            Truth::True => Some(true),
            Truth::False => Some(false),
            Truth::Unknown => None,
        };
        let (plan, batch, row) = (self.plan, self.batch, self.row);
        Some(Bodies::screen(plan, rest, succeeded, screens, batch, row))
    }

    /// Whether the request succeeded.
    fn success(&mut self) -> Option<Truth> {
        let Reads::Group { group, slot } = self.plan.tests[Plan::SUCCESS].reads else {
            return None;
        };
        let (batch, row) = (self.batch, self.row);
        let class = self
            .values
            .class(self.plan, group, batch, row, self.known)?;
        self.values.verdicts(group, class).get(slot).copied()
    }
}
