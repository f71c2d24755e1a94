//! The rule set, compiled once; events are judged one by one where they lie.
//!
//! ```text
//! row ─▶ situation (verb, resource, stage…) ─▶ other columns ────────▶ texts, words, bodies ─▶ document
//!        remembered: which rules it leaves     a tree of classes of    regexes, walks and      the views and
//!                                              values, grown as needed hints                   the slow truth
//! ```
//!
//! Each step knows a rule's truth only within bounds, and may only narrow them; a rule goes on to the next, dearer step
//! until its bounds meet. What the last step says is the truth, so every step before it may say "perhaps" at any time, and
//! none may be wrong. Nearly every event ends before the first step that costs more than looking up a number.

use crate::batch::{EventBatch, EventRow};
use crate::matcher::Scope;
use crate::sigma::ast::Rule;
use crate::truth::Truth;

mod bodies;
mod columns;
mod dictionary;
mod hints;
mod keys;
mod memory;
mod plan;
mod rest;
mod screen;
mod situation;
mod tree;
mod words;

use bodies::Screens;
use memory::{RowValues, Values};
use plan::{Expression, Plan};
use rest::Look;
use situation::Situations;
use tree::{Next, Tree};
use words::WordScreen;

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

/// What an event yields, by indices of rules in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdicts {
    /// Rules that match.
    pub matched: Vec<usize>,
    /// Rules whose verdict is unknown: the event cannot show what they need.
    pub blind: Vec<usize>,
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

/// Rows after which it is looked whether too much is remembered.
const ROWS_BETWEEN_CHECKS: u64 = 512;

/// Judges events one after the other and remembers what repeats. One per thread.
#[derive(Debug)]
pub struct Evaluator<'r> {
    plan: &'r Plan,
    values: Values,
    situations: Situations,
    tree: Tree,
    screens: Screens,
    words: WordScreen,
    known: RowValues,
    /// Rules whose bounds have not met for the row at hand, by their places in their node.
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

impl Verdicts {
    fn add(&mut self, rule: usize, truth: Truth) {
        match truth {
            Truth::True => self.matched.push(rule),
            Truth::Unknown => self.blind.push(rule),
            Truth::False => {}
        }
    }

    fn clear(&mut self) {
        self.matched.clear();
        self.blind.clear();
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
            words: WordScreen::default(),
            known: RowValues::default(),
            open: Vec::new(),
            truths: Vec::new(),
            effort: Effort::default(),
        }
    }

    /// Which rules match which events of a batch.
    #[must_use]
    pub fn evaluate(&mut self, batch: &EventBatch) -> Evaluation {
        let (mut evaluation, mut verdicts) = (Evaluation::default(), Verdicts::default());
        for row in 0..batch.rows() {
            self.judge(&batch.row(row), &mut verdicts);
            let of_row = |rule: &usize| Match { row, rule: *rule };
            evaluation
                .matches
                .extend(verdicts.matched.iter().map(of_row));
            evaluation.blind.extend(verdicts.blind.iter().map(of_row));
        }
        evaluation
    }

    /// Which rules match an event; what `verdicts` held is gone.
    pub fn judge(&mut self, row: &EventRow<'_>, verdicts: &mut Verdicts) {
        verdicts.clear();
        self.forget_if_full();
        self.effort.rows += 1;
        self.known.clear();
        if row.is_odd() || !self.by_columns(row, verdicts) {
            let all = self.plan.expressions.iter().enumerate();
            by_document(self.plan, &mut self.truths, all, row, verdicts);
            self.effort.parsed += 1;
        }
        verdicts.matched.sort_unstable();
        verdicts.blind.sort_unstable();
    }

    /// How far rows had to go so far.
    #[must_use]
    pub fn effort(&self) -> Effort {
        self.effort
    }

    /// Forgets what has become too much. Between rows, since numbers and nodes are meaningless afterwards. One row adds little
    /// to values, and much to a tree at worst.
    fn forget_if_full(&mut self) {
        let is_time = self.effort.rows.is_multiple_of(ROWS_BETWEEN_CHECKS);
        if is_time {
            self.screens.trim();
            self.effort.resets += u64::from(self.values.trim(self.plan));
        }
        if self.tree.is_full() || is_time && (self.values.is_full() || self.situations.is_full()) {
            self.values.clear();
            self.situations.clear();
            self.tree.clear();
            self.effort.resets += 1;
        }
    }

    /// False if the columns cannot be relied on; else all is done.
    fn by_columns(&mut self, row: &EventRow<'_>, verdicts: &mut Verdicts) -> bool {
        let (plan, known) = (self.plan, &mut self.known);
        let remembered = (&mut self.values, &mut self.tree);
        let Some(situation) = self.situations.find(plan, remembered, row, known) else {
            return false;
        };
        let root = self.tree.node(situation.root);
        self.effort.open += u64::from(!matches!(root.next, Next::End));
        let mut number = situation.root;
        let node = loop {
            let node = self.tree.node(number);
            for (rule, truth) in &node.decided {
                verdicts.add(*rule, *truth);
            }
            let Next::Group(group) = node.next else {
                break node;
            };
            let Some(class) = self.values.class(plan, group, row, known) else {
                break node;
            };
            let says = self.values.verdicts(group, class);
            number = self.tree.step(plan, number, (group, class), says);
        };
        if node.open.is_empty() {
            return true;
        }
        self.open.clear();
        self.open.extend(0..node.open.len());
        if let Next::Rest(rest) = &node.next {
            let mut look = Look {
                plan,
                row,
                open: &node.open,
                texts: &mut known.texts,
                connects: &mut known.connects,
            };
            look.at_texts(rest, &mut self.open, verdicts);
            look.at_words(rest, &mut self.words, &mut self.open, verdicts);
            if !self.open.is_empty() && rest.bodies.any() {
                let values = &mut self.values;
                let success = values.verdict(plan, Plan::SUCCESS, row, known);
                let outlined = (&situation.outline, &**rest);
                let mut look = Look {
                    plan,
                    row,
                    open: &node.open,
                    texts: &mut known.texts,
                    connects: &mut known.connects,
                };
                let walked = look.at_bodies(
                    outlined,
                    success,
                    &mut self.screens,
                    &mut self.open,
                    verdicts,
                );
                self.effort.screened += u64::from(walked);
            }
        }
        if !self.open.is_empty() {
            let left = self.open.iter().map(|place| &node.open[*place]);
            let left = left.map(|open| (open.rule, &*open.expression));
            by_document(plan, &mut self.truths, left, row, verdicts);
            self.effort.parsed += 1;
        }
        true
    }
}

/// The truth of what is left of some rules, by the event as a document.
fn by_document<'p>(
    plan: &Plan,
    truths: &mut Vec<Option<Truth>>,
    rules: impl Iterator<Item = (usize, &'p Expression)>,
    row: &EventRow<'_>,
    verdicts: &mut Verdicts,
) {
    let Ok(event) = row.event() else {
        return;
    };
    truths.clear();
    truths.resize(plan.tests.len(), None);
    let truth = |test: usize| plan.tests[test].leaf.evaluate(Scope::Event(&event));
    for (rule, expression) in rules {
        let bounds = expression
            .bounds(&mut |test| (*truths[test].get_or_insert_with(|| truth(test))).into());
        verdicts.add(rule, bounds.most);
    }
}
