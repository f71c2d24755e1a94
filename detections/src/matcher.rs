//! Tests compiled once, when rules are loaded, into the cheapest form that decides them.
//!
//! The plain meaning stands in `reference.rs`; here patterns become equality, prefix, suffix or substring searches where
//! they can, and text is folded to lower case once per value whatever the number of tests.

mod text;

use aho_corasick::AhoCorasick;
use serde_json::Value;

use crate::event::{Event, Field};
use crate::path::{FieldPath, Found};
use crate::scalar;
use crate::sigma::ast::{
    ArrayTest, Block, Condition, Detection, FieldRef, FieldTest, Keywords, Quantifier, Relation,
    Search, Test, ValueTest,
};
use crate::truth::Truth;

use text::folded;
pub(crate) use text::{Folded, Scalar, Text};

/// Fewer words are found faster one by one.
const WORDS_MIN: usize = 4;

/// A compiled leaf of a rule: one field, one array block, or keywords.
#[derive(Debug)]
pub(crate) enum Leaf {
    Field(Option<FieldPath>, Check),
    Array(Option<FieldPath>, Quantifier, Body),
    Keywords(bool, Vec<Text>),
}

/// A compiled expression over leaves, for array blocks. Rules themselves share leaves and use the engine's own.
#[derive(Debug)]
pub(crate) enum Body {
    Leaf(Box<Leaf>),
    Not(Box<Self>),
    And(Vec<Self>),
    Or(Vec<Self>),
}

#[derive(Debug)]
pub(crate) enum Check {
    Null,
    Exists(bool),
    Values {
        all: bool,
        negated: bool,
        values: Vec<ValueCheck>,
    },
}

#[derive(Debug)]
pub(crate) enum ValueCheck {
    Text(Text),
    /// Any of these words, with or without regard to case.
    Words(bool, Box<AhoCorasick>),
    Reference(FieldRef),
    OneOf(Vec<Self>),
    Other(ValueTest),
}

/// Where names are looked up.
#[derive(Clone, Copy)]
pub(crate) enum Scope<'a> {
    Event(&'a Event),
    Element(&'a Value),
}

impl<'a> Scope<'a> {
    fn resolve(self, field: Option<&FieldPath>) -> Field<Found<'a>> {
        match (self, field) {
            (Scope::Event(event), Some(path)) => event.resolve(path),
            (Scope::Event(_), None) => Field::Absent,
            (Scope::Element(value), None) => Field::Present(Found::one(value)),
            (Scope::Element(value), Some(path)) => {
                let found = path.find_from(value, 0);
                if found.exists() {
                    Field::Present(found)
                } else {
                    Field::Absent
                }
            }
        }
    }
}

impl Leaf {
    pub(crate) fn field(test: &FieldTest) -> Self {
        Self::Field(test.field.clone(), Check::new(&test.test))
    }

    pub(crate) fn array(test: &ArrayTest) -> Self {
        let body = match &test.block {
            Block::Basic(search) => Body::search(search),
            Block::Extended(detection) => Body::detection(detection),
        };
        Self::Array(test.field.clone(), test.quantifier, body)
    }

    pub(crate) fn keywords(words: &Keywords) -> Self {
        Self::Keywords(words.all, words.patterns.iter().map(Text::new).collect())
    }

    pub(crate) fn evaluate(&self, scope: Scope<'_>) -> Truth {
        match self {
            Self::Field(field, check) => match scope.resolve(field.as_ref()) {
                Field::Unavailable => Truth::Unknown,
                Field::Absent => check.evaluate(&Found::default(), scope),
                Field::Present(found) => check.evaluate(&found, scope),
            },
            Self::Array(field, quantifier, body) => match scope.resolve(field.as_ref()) {
                Field::Unavailable => Truth::Unknown,
                Field::Absent => quantify(*quantifier, body, &Found::default()),
                Field::Present(found) => quantify(*quantifier, body, &found),
            },
            Self::Keywords(all, words) => match scope {
                Scope::Event(event) => keywords(*all, words, event),
                Scope::Element(_) => Truth::False,
            },
        }
    }
}

fn quantify(quantifier: Quantifier, body: &Body, found: &Found<'_>) -> Truth {
    let mut empty = true;
    let mut most = Truth::False;
    let mut least = Truth::True;
    for value in found.values() {
        for member in members(value) {
            let truth = body.evaluate(Scope::Element(member));
            empty = false;
            most = most.max(truth);
            least = least.min(truth);
        }
    }
    match quantifier {
        Quantifier::Any => most,
        Quantifier::None => !most,
        Quantifier::All if empty => Truth::False,
        Quantifier::All | Quantifier::AllOrEmpty => least,
    }
}

fn members(value: &Value) -> &[Value] {
    match value {
        Value::Array(elements) => elements,
        Value::Null => &[],
        other => std::slice::from_ref(other),
    }
}

impl Body {
    fn search(search: &Search) -> Self {
        match search {
            Search::All(parts) => Self::And(parts.iter().map(Self::search).collect()),
            Search::Any(parts) => Self::Or(parts.iter().map(Self::search).collect()),
            Search::Field(test) => Self::Leaf(Box::new(Leaf::field(test))),
            Search::Array(test) => Self::Leaf(Box::new(Leaf::array(test))),
            Search::Keywords(words) => Self::Leaf(Box::new(Leaf::keywords(words))),
        }
    }

    fn detection(detection: &Detection) -> Self {
        Self::condition(&detection.condition, detection)
    }

    fn condition(condition: &Condition, detection: &Detection) -> Self {
        let all = |parts: &[Condition]| {
            parts
                .iter()
                .map(|part| Self::condition(part, detection))
                .collect()
        };
        match condition {
            Condition::Selection(index) => Self::search(&detection.selections[*index].search),
            Condition::Not(inner) => Self::Not(Box::new(Self::condition(inner, detection))),
            Condition::And(parts) => Self::And(all(parts)),
            Condition::Or(parts) => Self::Or(all(parts)),
        }
    }

    fn evaluate(&self, scope: Scope<'_>) -> Truth {
        match self {
            Self::Leaf(leaf) => leaf.evaluate(scope),
            Self::Not(inner) => !inner.evaluate(scope),
            Self::And(parts) => least(parts.iter().map(|part| part.evaluate(scope))),
            Self::Or(parts) => most(parts.iter().map(|part| part.evaluate(scope))),
        }
    }
}

/// The minimum, without looking further once it is false.
pub(crate) fn least(truths: impl Iterator<Item = Truth>) -> Truth {
    let mut least = Truth::True;
    for truth in truths {
        least = least.min(truth);
        if least == Truth::False {
            break;
        }
    }
    least
}

/// The maximum, without looking further once it is true.
pub(crate) fn most(truths: impl Iterator<Item = Truth>) -> Truth {
    let mut most = Truth::False;
    for truth in truths {
        most = most.max(truth);
        if most == Truth::True {
            break;
        }
    }
    most
}

impl Check {
    pub(crate) fn new(test: &Test) -> Self {
        match test {
            Test::Null => Self::Null,
            Test::Exists(wanted) => Self::Exists(*wanted),
            Test::Values {
                all,
                negated,
                values,
            } => Self::Values {
                all: *all,
                negated: *negated,
                values: if *all {
                    values.iter().map(ValueCheck::new).collect()
                } else {
                    ValueCheck::any(values)
                },
            },
        }
    }

    /// The verdict on a field that has just this one value. A reference to another field is never true here.
    pub(crate) fn of_scalar(&self, scalar: &Scalar<'_>) -> Truth {
        match self {
            Self::Null => Truth::False,
            Self::Exists(wanted) => (*wanted).into(),
            Self::Values {
                all,
                negated,
                values,
            } => {
                let truths = values.iter().map(|check| check.evaluate(scalar, None));
                let truth = if *all { least(truths) } else { most(truths) };
                if *negated { !truth } else { truth }
            }
        }
    }

    /// The verdict on a field that is not there.
    pub(crate) fn of_absent(&self) -> Truth {
        match self {
            Self::Null => Truth::True,
            Self::Exists(wanted) => (!wanted).into(),
            Self::Values {
                all,
                negated,
                values,
            } => {
                let nothing = values.iter().map(|_| Truth::False);
                let truth = if *all { least(nothing) } else { most(nothing) };
                if *negated { !truth } else { truth }
            }
        }
    }

    fn evaluate(&self, found: &Found<'_>, scope: Scope<'_>) -> Truth {
        match self {
            Self::Null => (!found.exists() || found.has_null()).into(),
            Self::Exists(wanted) => (found.exists() == *wanted).into(),
            Self::Values {
                all,
                negated,
                values,
            } => {
                let scalars: Vec<_> = found.scalars().filter_map(Scalar::of).collect();
                let of_check = |check: &ValueCheck| {
                    most(
                        scalars
                            .iter()
                            .map(|scalar| check.evaluate(scalar, Some(scope))),
                    )
                };
                let truth = if *all {
                    least(values.iter().map(of_check))
                } else {
                    most(values.iter().map(of_check))
                };
                if *negated { !truth } else { truth }
            }
        }
    }
}

impl ValueCheck {
    /// Values of which one must match: many words to be contained are looked for in one pass.
    fn any(values: &[ValueTest]) -> Vec<Self> {
        let mut checks: Vec<_> = values.iter().map(Self::new).collect();
        for cased in [true, false] {
            let words: Vec<_> = checks
                .iter()
                .filter_map(|check| check.contained(cased))
                .map(<[u8]>::to_vec)
                .collect();
            if words.len() < WORDS_MIN {
                continue;
            }
            // Only too many words are refused: then they stay as they are.
            if let Ok(words) = AhoCorasick::new(words) {
                checks.retain(|check| check.contained(cased).is_none());
                checks.push(Self::Words(cased, Box::new(words)));
            }
        }
        checks
    }

    /// The word, if this looks for one anywhere in the text.
    fn contained(&self, of_case: bool) -> Option<&[u8]> {
        match self {
            Self::Text(text) => text.contained(of_case),
            _ => None,
        }
    }

    fn new(test: &ValueTest) -> Self {
        match test {
            ValueTest::Pattern(pattern) => Self::Text(Text::new(pattern)),
            ValueTest::FieldRef(reference) => Self::Reference(reference.clone()),
            ValueTest::OneOf(forms) => Self::OneOf(forms.iter().map(Self::new).collect()),
            other => Self::Other(other.clone()),
        }
    }

    fn evaluate(&self, scalar: &Scalar<'_>, scope: Option<Scope<'_>>) -> Truth {
        match self {
            Self::Text(pattern) => pattern.matches(&scalar.text).into(),
            Self::Words(cased, words) => {
                let text = if *cased {
                    &scalar.text.text
                } else {
                    scalar.text.lower()
                };
                words.is_match(text).into()
            }
            Self::Reference(reference) => {
                scope.map_or(Truth::False, |scope| refers(reference, &scalar.text, scope))
            }
            Self::OneOf(forms) => most(forms.iter().map(|form| form.evaluate(scalar, scope))),
            Self::Other(test) => other(test, scalar.number, &scalar.text.text).into(),
        }
    }
}

fn other(test: &ValueTest, number: Option<f64>, text: &str) -> bool {
    match test {
        ValueTest::Regex(regex) => regex.regex.is_match(text.as_bytes()),
        ValueTest::Cidr(network) => text
            .parse()
            .is_ok_and(|address: std::net::IpAddr| network.contains(&address.to_canonical())),
        ValueTest::Number(ordering, bound) => {
            number.is_some_and(|number| ordering.holds(number, *bound))
        }
        ValueTest::Time(part, ordering, bound) => {
            scalar::time_part(text, *part).is_some_and(|found| ordering.holds(found, *bound))
        }
        // Compiled into forms of their own.
        ValueTest::Pattern(_) | ValueTest::FieldRef(_) | ValueTest::OneOf(_) => false,
    }
}

fn refers(reference: &FieldRef, text: &Folded<'_>, scope: Scope<'_>) -> Truth {
    let found = match scope.resolve(Some(&reference.field)) {
        Field::Unavailable => return Truth::Unknown,
        Field::Absent => return Truth::False,
        Field::Present(found) => found,
    };
    let holds = |other: Folded<'_>| {
        let (text, other) = if reference.cased {
            (&*text.text, &*other.text)
        } else {
            (text.lower(), other.lower())
        };
        match reference.relation {
            Relation::Equals => text == other,
            Relation::Contains => text.contains(other),
            Relation::StartsWith => text.starts_with(other),
            Relation::EndsWith => text.ends_with(other),
        }
    };
    found.scalars().filter_map(folded).any(holds).into()
}

/// Words that are not found may still stand in what the event cannot show.
fn keywords(all: bool, words: &[Text], event: &Event) -> Truth {
    let mut found = vec![false; words.len()];
    event
        .fields()
        .values()
        .for_each(|value| mark_words(value, words, &mut found));
    let holds = if all {
        !found.contains(&false)
    } else {
        found.contains(&true)
    };
    if holds {
        Truth::True
    } else if event.is_whole() {
        Truth::False
    } else {
        Truth::Unknown
    }
}

fn mark_words(value: &Value, words: &[Text], found: &mut [bool]) {
    match value {
        Value::String(text) => {
            let text = Folded::new(text);
            words
                .iter()
                .zip(found)
                .for_each(|(word, found)| *found |= word.matches(&text));
        }
        Value::Array(elements) => elements
            .iter()
            .for_each(|element| mark_words(element, words, found)),
        Value::Object(fields) => fields
            .values()
            .for_each(|value| mark_words(value, words, found)),
        _ => {}
    }
}
