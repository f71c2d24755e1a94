//! Rules compiled into expressions over distinct tests, and how each test is best decided.

use std::collections::HashMap;

use super::columns::{Reading, SITUATION, reading_of, text_column_of};
use super::hints::{self, Atoms, Hint, Place};
use crate::batch::Column;
use crate::matcher::{Check, Leaf};
use crate::path::FieldPath;
use crate::sigma::ast::{
    ArrayTest, Condition, Detection, FieldTest, Keywords, Part, Pattern, Relation, Rule, Search,
    Test, ValueTest,
};
use crate::truth::{Bounds, Truth};

/// All rules of a set.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) expressions: Vec<Expression>,
    pub(super) tests: Vec<Planned>,
    pub(super) groups: Vec<Group>,
    pub(super) atoms: Atoms,
}

/// A distinct test.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) leaf: Leaf,
    pub(super) reads: Reads,
}

/// What decides a test, cheapest first.
#[derive(Debug)]
pub(super) enum Reads {
    /// Columns that repeat; `slot` is its number among the tests of the group.
    Group { group: usize, slot: usize },
    /// One column that is a plain string nearly always.
    Text(Column, Check),
    /// A connection into a container, which the URI shows; the test is false where there is none.
    Connection,
    /// A body; what it must hold to matter.
    Body(Place, Hint),
    /// Words anywhere in the event.
    Words,
    /// The document.
    Document,
}

/// Tests of one field, which some columns decide.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) reading: Reading,
    /// The field; `None` if the tests are of several ones.
    pub(super) path: Option<FieldPath>,
    /// How the field is got at.
    pub(super) access: Access,
    /// The tests, by slot.
    pub(super) tests: Vec<usize>,
}

/// How to get at the field of a group without reading its columns as documents, where that is possible at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// By an event that has only these columns.
    Event,
    /// The column is the field.
    Column,
    /// The field is a member of the column.
    Member,
    /// What sort of identity a user is.
    ActorKind,
}

/// A rule over tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expression {
    Known(Truth),
    Test(usize),
    Not(Box<Self>),
    And(Vec<Self>),
    Or(Vec<Self>),
}

/// What is left of an expression when some tests are known.
pub(super) enum Reduced {
    Known(Truth),
    Open(Expression),
}

impl Plan {
    /// The test of success, which every plan has: what an object is depends on it.
    pub(super) const SUCCESS: usize = 0;

    pub(super) fn new(rules: &[Rule]) -> Self {
        let mut planner = Planner::default();
        planner.success();
        for rule in rules {
            let mut expression = planner.rule(rule);
            expression.sort(&planner.plan);
            planner.plan.expressions.push(expression);
        }
        planner.plan
    }

    /// How dear it is to decide a test: by the length of the texts that must be looked up, then by what must be read.
    fn cost(&self, reads: &Reads) -> u8 {
        match reads {
            Reads::Group { group, .. } => self.groups[*group].cost(),
            Reads::Text(..) | Reads::Connection => 20,
            Reads::Body(..) => 21,
            Reads::Words => 22,
            Reads::Document => 23,
        }
    }
}

/// How long the values of a column are, roughly; hardly any event has an impersonated user.
fn length_rank(column: Column) -> u8 {
    match column {
        _ if SITUATION.contains(&column) => 0,
        Column::ImpersonatedUser => 1,
        Column::Namespace | Column::SourceIps => 2,
        Column::ResponseStatus => 3,
        Column::UserAgent => 4,
        Column::Annotations => 6,
        _ => 5,
    }
}

impl Group {
    /// How dear it is to look its values up: by the length of their texts. What needs a view of them is dearer.
    pub(super) fn cost(&self) -> u8 {
        let ranks = self.reading.columns.iter();
        let rank = ranks.map(|column| length_rank(*column)).max();
        2 * rank.unwrap_or(0) + u8::from(self.access == Access::Event)
    }

    /// Whether the situation decides its tests.
    pub(super) fn is_situation(&self) -> bool {
        self.reading
            .columns
            .iter()
            .all(|column| SITUATION.contains(column))
    }
}

impl Expression {
    /// The truth as far as tests are known. Parts are looked at in order, and no further than needed.
    pub(super) fn bounds(&self, test: &mut impl FnMut(usize) -> Bounds) -> Bounds {
        match self {
            Self::Known(truth) => (*truth).into(),
            Self::Test(index) => test(*index),
            Self::Not(inner) => !inner.bounds(test),
            Self::And(parts) => {
                let mut all = Bounds::from(Truth::True);
                for part in parts {
                    all = all.and(part.bounds(test));
                    if all.most == Truth::False {
                        break;
                    }
                }
                all
            }
            Self::Or(parts) => {
                let mut any = Bounds::FALSE;
                for part in parts {
                    any = any.or(part.bounds(test));
                    if any.least == Truth::True {
                        break;
                    }
                }
                any
            }
        }
    }

    /// The expression without the tests that are known.
    pub(super) fn reduce(&self, known: &mut impl FnMut(usize) -> Option<Truth>) -> Reduced {
        match self {
            Self::Known(truth) => Reduced::Known(*truth),
            Self::Test(index) => match known(*index) {
                Some(truth) => Reduced::Known(truth),
                None => Reduced::Open(self.clone()),
            },
            Self::Not(inner) => match inner.reduce(known) {
                Reduced::Known(truth) => Reduced::Known(!truth),
                Reduced::Open(inner) => Reduced::Open(Self::Not(Box::new(inner))),
            },
            Self::And(parts) => reduce_parts(parts, Truth::False, known),
            Self::Or(parts) => reduce_parts(parts, Truth::True, known),
        }
    }

    /// Every test in it.
    pub(super) fn tests(&self, each: &mut impl FnMut(usize)) {
        match self {
            Self::Known(_) => {}
            Self::Test(index) => each(*index),
            Self::Not(inner) => inner.tests(each),
            Self::And(parts) | Self::Or(parts) => {
                for part in parts {
                    part.tests(each);
                }
            }
        }
    }

    /// Puts cheap parts first. The order of parts changes no truth.
    fn sort(&mut self, plan: &Plan) {
        match self {
            Self::Known(_) | Self::Test(_) => {}
            Self::Not(inner) => inner.sort(plan),
            Self::And(parts) | Self::Or(parts) => {
                for part in &mut *parts {
                    part.sort(plan);
                }
                parts.sort_by_key(|part| part.cost(plan));
            }
        }
    }

    fn cost(&self, plan: &Plan) -> u8 {
        match self {
            Self::Known(_) => 0,
            Self::Test(index) => plan.cost(&plan.tests[*index].reads),
            Self::Not(inner) => inner.cost(plan),
            Self::And(parts) | Self::Or(parts) => {
                let costs = parts.iter().map(|part| part.cost(plan));
                costs.max().unwrap_or(0)
            }
        }
    }
}

/// `decisive` is the truth of a part that decides the whole: false of `and`, true of `or`.
fn reduce_parts(
    parts: &[Expression],
    decisive: Truth,
    known: &mut impl FnMut(usize) -> Option<Truth>,
) -> Reduced {
    let mut open = Vec::new();
    let mut unknown = false;
    for part in parts {
        match part.reduce(known) {
            Reduced::Known(truth) if truth == decisive => return Reduced::Known(truth),
            Reduced::Known(Truth::Unknown) => unknown = true,
            Reduced::Known(_) => {}
            // A part that is unknown bounds the whole, but says nothing of the others: it stays.
            Reduced::Open(part) => open.push(part),
        }
    }
    match (open.len(), unknown) {
        (0, true) => Reduced::Known(Truth::Unknown),
        (0, false) => Reduced::Known(!decisive),
        (1, false) => Reduced::Open(open.swap_remove(0)),
        _ => Reduced::Open(joined(open, unknown, decisive)),
    }
}

fn joined(mut open: Vec<Expression>, unknown: bool, decisive: Truth) -> Expression {
    if unknown {
        open.insert(0, Expression::Known(Truth::Unknown));
    }
    if decisive == Truth::False {
        Expression::And(open)
    } else {
        Expression::Or(open)
    }
}

/// Collects distinct tests while rules are compiled.
#[derive(Default)]
struct Planner {
    plan: Plan,
    known: HashMap<String, usize>,
}

impl Planner {
    /// The first test: [`Plan::SUCCESS`].
    fn success(&mut self) {
        self.result("success");
    }

    /// The test of one result.
    fn result(&mut self, result: &str) -> Expression {
        let word = vec![Part::Literal(result.to_owned())];
        let pattern = Pattern::new(word, Relation::Equals, true);
        let test = FieldTest {
            field: Some(FieldPath::parse("outcome.result")),
            test: Test::Values {
                all: false,
                negated: false,
                values: vec![ValueTest::Pattern(pattern)],
            },
            span: 0..0,
        };
        self.field_alone(&test)
    }

    fn rule(&mut self, rule: &Rule) -> Expression {
        let parts = std::iter::once(&rule.detection).chain(&rule.filters);
        Expression::And(
            parts
                .map(|part| self.condition(&part.condition, part))
                .collect(),
        )
    }

    fn condition(&mut self, condition: &Condition, detection: &Detection) -> Expression {
        let mut all = |parts: &[Condition]| {
            parts
                .iter()
                .map(|part| self.condition(part, detection))
                .collect()
        };
        match condition {
            Condition::And(parts) => Expression::And(all(parts)),
            Condition::Or(parts) => Expression::Or(all(parts)),
            Condition::Not(inner) => Expression::Not(Box::new(self.condition(inner, detection))),
            Condition::Selection(index) => self.search(&detection.selections[*index].search),
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
            Search::Field(test) => self.field(test),
            Search::Array(test) => self.array(test),
            Search::Keywords(words) => self.keywords(words),
        }
    }

    fn field(&mut self, test: &FieldTest) -> Expression {
        let path = test.field.as_ref();
        let is_of_denied = path.is_some_and(|path| path.starts_with(&["outcome", "denied_by"]));
        if is_of_denied && hints::needs_value(&test.test) {
            // Only what was denied has the field, and where the one is unknown, so is the other. The code is the cheaper one.
            return Expression::And(vec![self.result("denied"), self.field_alone(test)]);
        }
        self.field_alone(test)
    }

    fn field_alone(&mut self, test: &FieldTest) -> Expression {
        let name = format!("{:?} {:?}", test.field, test.test);
        if let Some(known) = self.known.get(&name) {
            return Expression::Test(*known);
        }
        // A reference to another field reads what its own field does not tell.
        let path = test.field.as_ref().filter(|_| !refers(test));
        let reads = if let Some(reading) = path.and_then(reading_of) {
            self.group(reading, test.field.as_ref(), true)
        } else if path.is_some_and(|path| path.first() == "exec") && hints::needs_value(&test.test)
        {
            Reads::Connection
        } else if let Some(column) = path.and_then(text_column_of) {
            Reads::Text(column, Check::new(&test.test))
        } else {
            self.plan
                .atoms
                .of_field(test)
                .map_or(Reads::Document, |(place, hint)| Reads::Body(place, hint))
        };
        self.test(name, Leaf::field(test), reads)
    }

    fn array(&mut self, test: &ArrayTest) -> Expression {
        let name = format!("{test:?}");
        if let Some(known) = self.known.get(&name) {
            return Expression::Test(*known);
        }
        let reads = if let Some(reading) = test.field.as_ref().and_then(reading_of) {
            self.group(reading, test.field.as_ref(), false)
        } else {
            self.plan
                .atoms
                .of_array(test)
                .map_or(Reads::Document, |(place, hint)| Reads::Body(place, hint))
        };
        self.test(name, Leaf::array(test), reads)
    }

    fn keywords(&mut self, words: &Keywords) -> Expression {
        let name = format!("{words:?}");
        if let Some(known) = self.known.get(&name) {
            return Expression::Test(*known);
        }
        self.test(name, Leaf::keywords(words), Reads::Words)
    }

    fn test(&mut self, name: String, leaf: Leaf, reads: Reads) -> Expression {
        let index = self.plan.tests.len();
        self.plan.tests.push(Planned { leaf, reads });
        self.known.insert(name, index);
        Expression::Test(index)
    }

    /// A place among the tests of a group, for the test that comes next; `is_scalar` if it judges its field as a scalar.
    fn group(&mut self, reading: Reading, field: Option<&FieldPath>, is_scalar: bool) -> Reads {
        let groups = &mut self.plan.groups;
        // Too many fields share a group by their columns.
        let path = field.filter(|_| groups.len() < FIELDS_MAX);
        let same = |group: &Group| group.reading == reading && group.path.as_ref() == path;
        let group = groups.iter().position(same).unwrap_or_else(|| {
            groups.push(Group {
                access: path.map_or(Access::Event, |path| Access::of(path, reading)),
                reading,
                path: path.cloned(),
                tests: Vec::new(),
            });
            groups.len() - 1
        });
        if !is_scalar {
            groups[group].access = Access::Event;
        }
        let slot = groups[group].tests.len();
        groups[group].tests.push(self.plan.tests.len());
        Reads::Group { group, slot }
    }
}

/// Groups of one field each; those of columns come beyond.
const FIELDS_MAX: usize = 40;

impl Access {
    fn of(path: &FieldPath, reading: Reading) -> Self {
        let [column] = reading.columns else {
            return Self::Event;
        };
        match (column.path(), path.key(1)) {
            (own, _) if path.is(own) => Self::Column,
            ([own], Some(member)) if path.is(&[own, member]) => Self::Member,
            _ if path.is(&["actor", "kind"]) => Self::ActorKind,
            _ => Self::Event,
        }
    }
}

fn refers(test: &FieldTest) -> bool {
    matches!(&test.test, Test::Values { values, .. } if values.iter().any(hints::refers))
}
