//! The rule set, compiled once, evaluated over batches.
//!
//! ```text
//! rules ─▶ leaves (distinct tests) ─┬─ cheap: read columns that repeat ─▶ judged once per distinct value, spread as bits
//!                                   └─ dear: read bodies, URIs, names ─▶ judged per row, only where a rule is alive
//! rule = expression over leaves, in Kleene's logic
//! ```
//!
//! For each rule the cheap leaves leave some rows *alive*: those where the rule is not already false whatever the dear
//! leaves say. Only these rows are parsed as documents. The pre-filter can only over-approximate, since a dear leaf counts
//! as unknown in it, and what it decides without dear leaves is exact.

use std::collections::HashMap;

use arrow_buffer::BooleanBuffer;

use crate::batch::{Column, EventBatch};
use crate::matcher::{self, Leaf, Scope};
use crate::sigma::ast::{Condition, Detection, FieldTest, Rule, Search, Test, ValueTest};
use crate::truth::Truth;

mod columns;

use columns::{Combinations, Dictionaries, Group, columns_of};

/// Compiled rules.
#[derive(Debug)]
pub struct RuleSet {
    rules: Vec<Rule>,
    expressions: Vec<Expression>,
    leaves: Vec<PlannedLeaf>,
    groups: Vec<Group>,
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

#[derive(Debug)]
struct PlannedLeaf {
    leaf: Leaf,
    /// The group of columns it reads; `None` if it is dear.
    group: Option<usize>,
}

#[derive(Debug)]
enum Expression {
    Leaf(usize),
    Not(Box<Self>),
    And(Vec<Self>),
    Or(Vec<Self>),
}

impl RuleSet {
    /// Compiles rules. A rule that loaded cannot fail here.
    #[must_use]
    pub fn new(rules: Vec<Rule>) -> Self {
        let mut planner = Planner::default();
        let expressions = rules.iter().map(|rule| planner.rule(rule)).collect();
        Self {
            rules,
            expressions,
            leaves: planner.leaves,
            groups: planner.groups,
        }
    }

    /// The rules, in the order of [`Match::rule`].
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Which rules match which events.
    #[must_use]
    pub fn evaluate(&self, batch: &EventBatch) -> Evaluation {
        let mut odd: Vec<bool> = (0..batch.rows()).map(|row| batch.is_odd(row)).collect();
        let bits = self.cheap_bits(batch, &mut odd);
        let mut alive: Vec<Vec<usize>> = vec![Vec::new(); batch.rows()];
        let mut evaluation = Evaluation::default();
        for (rule, expression) in self.expressions.iter().enumerate() {
            let verdict = expression.over_columns(&bits, batch.rows());
            let decided = expression.is_cheap(&self.leaves);
            for row in verdict.maybe.set_indices() {
                if !decided || odd[row] {
                    alive[row].push(rule);
                } else {
                    evaluation.add(
                        Match { row, rule },
                        if verdict.yes.value(row) {
                            Truth::True
                        } else {
                            Truth::Unknown
                        },
                    );
                }
            }
            for row in (0..batch.rows()).filter(|row| odd[*row] && !verdict.maybe.value(*row)) {
                alive[row].push(rule);
            }
        }
        self.judge_alive(batch, &alive, &odd, &bits, &mut evaluation);
        evaluation.matches.sort_unstable();
        evaluation.blind.sort_unstable();
        evaluation
    }

    fn judge_alive(
        &self,
        batch: &EventBatch,
        alive: &[Vec<usize>],
        odd: &[bool],
        bits: &[Option<Tri>],
        evaluation: &mut Evaluation,
    ) {
        let mut memo: Vec<Option<Truth>> = vec![None; self.leaves.len()];
        for (row, rules) in alive
            .iter()
            .enumerate()
            .filter(|(_, rules)| !rules.is_empty())
        {
            let Ok(event) = batch.event(row) else {
                continue;
            };
            memo.fill(None);
            let mut leaf = |index: usize| {
                if let (Some(known), false) = (&bits[index], odd[row]) {
                    return known.at(row);
                }
                *memo[index]
                    .get_or_insert_with(|| self.leaves[index].leaf.evaluate(Scope::Event(&event)))
            };
            for rule in rules {
                let truth = self.expressions[*rule].over_leaves(&mut leaf);
                evaluation.add(Match { row, rule: *rule }, truth);
            }
        }
    }

    /// The bits of every cheap leaf; `None` for dear ones. Rows whose columns are not valid JSON become odd.
    fn cheap_bits(&self, batch: &EventBatch, odd: &mut [bool]) -> Vec<Option<Tri>> {
        let mut dictionaries = Dictionaries::new(batch);
        let groups: Vec<Combinations> = self
            .groups
            .iter()
            .map(|group| Combinations::new(group, batch, &mut dictionaries))
            .collect();
        for combinations in groups.iter().filter(|group| group.sound.contains(&false)) {
            let rows = odd.iter_mut().zip(&combinations.codes);
            rows.for_each(|(odd, code)| *odd |= !combinations.sound[*code as usize]);
        }
        let bits = self.leaves.iter().map(|planned| {
            let combinations = &groups[planned.group?];
            let truths: Vec<Truth> = combinations
                .events
                .iter()
                .map(|event| planned.leaf.evaluate(Scope::Event(event)))
                .collect();
            Some(Tri::spread(&truths, &combinations.codes))
        });
        bits.collect()
    }
}

impl Evaluation {
    fn add(&mut self, found: Match, truth: Truth) {
        match truth {
            Truth::True => self.matches.push(found),
            Truth::Unknown => self.blind.push(found),
            Truth::False => {}
        }
    }
}

/// Collects distinct leaves while rules are compiled.
#[derive(Default)]
struct Planner {
    leaves: Vec<PlannedLeaf>,
    groups: Vec<Group>,
    known: HashMap<String, usize>,
}

impl Planner {
    fn rule(&mut self, rule: &Rule) -> Expression {
        let parts = std::iter::once(&rule.detection).chain(&rule.filters);
        Expression::And(
            parts
                .map(|part| self.condition(&part.condition, part))
                .collect(),
        )
    }

    fn condition(&mut self, condition: &Condition, detection: &Detection) -> Expression {
        match condition {
            Condition::Selection(index) => self.search(&detection.selections[*index].search),
            Condition::Not(inner) => Expression::Not(Box::new(self.condition(inner, detection))),
            Condition::And(parts) => Expression::And(
                parts
                    .iter()
                    .map(|part| self.condition(part, detection))
                    .collect(),
            ),
            Condition::Or(parts) => Expression::Or(
                parts
                    .iter()
                    .map(|part| self.condition(part, detection))
                    .collect(),
            ),
        }
    }

    fn search(&mut self, search: &Search) -> Expression {
        match search {
            Search::All(parts) => {
                Expression::And(parts.iter().map(|part| self.search(part)).collect())
            }
            Search::Any(parts) => {
                Expression::Or(parts.iter().map(|part| self.search(part)).collect())
            }
            Search::Field(test) => {
                let columns = test
                    .field
                    .as_ref()
                    .filter(|_| !refers(test))
                    .and_then(columns_of);
                self.leaf(
                    format!("{:?} {:?}", test.field, test.test),
                    Leaf::field(test),
                    columns,
                )
            }
            Search::Array(test) => {
                let columns = test.field.as_ref().and_then(columns_of);
                self.leaf(format!("{test:?}"), Leaf::array(test), columns)
            }
            Search::Keywords(words) => self.leaf(format!("{words:?}"), Leaf::keywords(words), None),
        }
    }

    fn leaf(&mut self, key: String, leaf: Leaf, columns: Option<&'static [Column]>) -> Expression {
        if let Some(index) = self.known.get(&key) {
            return Expression::Leaf(*index);
        }
        let group = columns.map(|columns| {
            let known = self
                .groups
                .iter()
                .position(|group| group.columns == columns);
            known.unwrap_or_else(|| {
                self.groups.push(Group { columns });
                self.groups.len() - 1
            })
        });
        self.leaves.push(PlannedLeaf { leaf, group });
        self.known.insert(key, self.leaves.len() - 1);
        Expression::Leaf(self.leaves.len() - 1)
    }
}

/// A reference to another field reads columns that its own field does not tell.
fn refers(test: &FieldTest) -> bool {
    matches!(&test.test, Test::Values { values, .. } if values.iter().any(|value| matches!(value, ValueTest::FieldRef(_))))
}

/// A three-valued bit per row: where it is true, and where it is true or unknown.
#[derive(Clone, Debug)]
struct Tri {
    yes: BooleanBuffer,
    maybe: BooleanBuffer,
}

impl Tri {
    fn spread(truths: &[Truth], codes: &[u32]) -> Self {
        let at = |row: usize| truths[codes[row] as usize];
        Self {
            yes: BooleanBuffer::collect_bool(codes.len(), |row| at(row) == Truth::True),
            maybe: BooleanBuffer::collect_bool(codes.len(), |row| at(row) != Truth::False),
        }
    }

    fn constant(truth: Truth, rows: usize) -> Self {
        let of = |set: bool| {
            if set {
                BooleanBuffer::new_set(rows)
            } else {
                BooleanBuffer::new_unset(rows)
            }
        };
        Self {
            yes: of(truth == Truth::True),
            maybe: of(truth != Truth::False),
        }
    }

    fn at(&self, row: usize) -> Truth {
        if self.yes.value(row) {
            Truth::True
        } else if self.maybe.value(row) {
            Truth::Unknown
        } else {
            Truth::False
        }
    }
}

impl Expression {
    /// The verdict for every row as far as columns tell; a dear leaf is unknown.
    fn over_columns(&self, bits: &[Option<Tri>], rows: usize) -> Tri {
        match self {
            Self::Leaf(index) => bits[*index]
                .clone()
                .unwrap_or_else(|| Tri::constant(Truth::Unknown, rows)),
            Self::Not(inner) => {
                let inner = inner.over_columns(bits, rows);
                Tri {
                    yes: !&inner.maybe,
                    maybe: !&inner.yes,
                }
            }
            Self::And(parts) => parts
                .iter()
                .fold(Tri::constant(Truth::True, rows), |all, part| {
                    let part = part.over_columns(bits, rows);
                    Tri {
                        yes: &all.yes & &part.yes,
                        maybe: &all.maybe & &part.maybe,
                    }
                }),
            Self::Or(parts) => parts
                .iter()
                .fold(Tri::constant(Truth::False, rows), |any, part| {
                    let part = part.over_columns(bits, rows);
                    Tri {
                        yes: &any.yes | &part.yes,
                        maybe: &any.maybe | &part.maybe,
                    }
                }),
        }
    }

    /// The verdict for one row.
    fn over_leaves(&self, leaf: &mut impl FnMut(usize) -> Truth) -> Truth {
        match self {
            Self::Leaf(index) => leaf(*index),
            Self::Not(inner) => !inner.over_leaves(leaf),
            Self::And(parts) => matcher::least(parts.iter().map(|part| part.over_leaves(leaf))),
            Self::Or(parts) => matcher::most(parts.iter().map(|part| part.over_leaves(leaf))),
        }
    }

    fn is_cheap(&self, leaves: &[PlannedLeaf]) -> bool {
        match self {
            Self::Leaf(index) => leaves[*index].group.is_some(),
            Self::Not(inner) => inner.is_cheap(leaves),
            Self::And(parts) | Self::Or(parts) => parts.iter().all(|part| part.is_cheap(leaves)),
        }
    }
}
