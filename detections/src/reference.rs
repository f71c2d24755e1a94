//! The slow evaluator: one rule, one event, every step spelled out.
//!
//! It is the definition of what a rule means, in the plainest code we know: no columns, no pre-filter, no compiled
//! patterns. Property tests hold the engine against it. It also records what it saw on the way, which is how an alert
//! quotes its evidence and how `rules explain` works; being slow does not matter there, since few events match.

use std::ops::Range;

use serde_json::Value;

use crate::diagnostic::Source;
use crate::event::{Event, Field};
use crate::path::{FieldPath, Found};
use crate::scalar;
use crate::sigma::ast::{
    ArrayTest, Block, Condition, Detection, FieldRef, FieldTest, Keywords, Part, Pattern,
    Quantifier, Relation, Rule, Search, Test, ValueTest,
};
use crate::truth::Truth;

/// Values shown per step; a list of groups may have thousands.
const SHOWN_VALUES_MAX: usize = 8;

/// Why a rule matched an event, or did not.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// The verdict.
    pub truth: Truth,
    /// The rule's own selections, then those of filters.
    pub selections: Vec<SelectionTrace>,
}

/// One selection and its lines.
#[derive(Clone, Debug, PartialEq)]
pub struct SelectionTrace {
    /// The selection's name.
    pub name: String,
    /// Whether it held.
    pub truth: Truth,
    /// Its lines, as far as they are tests.
    pub steps: Vec<Step>,
}

/// One tested line.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Whether it held.
    pub truth: Truth,
    /// The line's number in its file, from 1.
    pub line: usize,
    /// The line as written.
    pub text: String,
    /// The field that was read; empty for keywords.
    pub field: String,
    /// What was found there.
    pub seen: Seen,
    /// For an array block: the elements that decided, with their own steps.
    pub elements: Vec<(usize, Vec<Self>)>,
}

/// What was found at a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// These values, at most eight.
    Values(Vec<Value>),
    /// Nothing.
    Absent,
    /// The event cannot show it.
    Unavailable,
}

/// Whether a rule matches an event.
#[must_use]
pub fn evaluate(rule: &Rule, event: &Event) -> Truth {
    explain(rule, event).truth
}

/// Whether a rule matches an event, and why.
#[must_use]
pub fn explain(rule: &Rule, event: &Event) -> Explanation {
    let mut selections = Vec::new();
    let detections = std::iter::once(&rule.detection).chain(&rule.filters);
    let truth = Truth::all(
        detections
            .map(|part| detection(part, Scope::Event(event), &mut selections))
            .collect::<Vec<_>>(),
    );
    Explanation { truth, selections }
}

/// Where a field name is looked up.
#[derive(Clone, Copy)]
enum Scope<'a> {
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

fn detection(detection: &Detection, scope: Scope<'_>, traces: &mut Vec<SelectionTrace>) -> Truth {
    let mut truths = Vec::new();
    for selection in &detection.selections {
        let mut steps = Vec::new();
        let truth = search(&selection.search, scope, &detection.source, &mut steps);
        traces.push(SelectionTrace {
            name: selection.name.clone(),
            truth,
            steps,
        });
        truths.push(truth);
    }
    condition(&detection.condition, &truths)
}

fn condition(expression: &Condition, selections: &[Truth]) -> Truth {
    match expression {
        Condition::Selection(index) => selections[*index],
        Condition::Not(inner) => !condition(inner, selections),
        Condition::And(parts) => Truth::all(parts.iter().map(|part| condition(part, selections))),
        Condition::Or(parts) => Truth::any(parts.iter().map(|part| condition(part, selections))),
    }
}

fn search(node: &Search, scope: Scope<'_>, source: &Source, steps: &mut Vec<Step>) -> Truth {
    match node {
        Search::All(parts) => Truth::all(
            parts
                .iter()
                .map(|part| search(part, scope, source, steps))
                .collect::<Vec<_>>(),
        ),
        Search::Any(parts) => Truth::any(
            parts
                .iter()
                .map(|part| search(part, scope, source, steps))
                .collect::<Vec<_>>(),
        ),
        Search::Field(test) => field(test, scope, source, steps),
        Search::Array(test) => array(test, scope, source, steps),
        Search::Keywords(words) => keywords(words, scope, source, steps),
    }
}

fn step(
    truth: Truth,
    source: &Source,
    span: &Range<usize>,
    field: Option<&FieldPath>,
    seen: Seen,
) -> Step {
    let (line, _) = source.position(span.start);
    let field = field.map_or_else(|| ".".to_owned(), ToString::to_string);
    Step {
        truth,
        line,
        text: source.line(span.start).to_owned(),
        field,
        seen,
        elements: Vec::new(),
    }
}

fn field(line: &FieldTest, scope: Scope<'_>, source: &Source, steps: &mut Vec<Step>) -> Truth {
    let found = scope.resolve(line.field.as_ref());
    let truth = match &found {
        Field::Unavailable => Truth::Unknown,
        Field::Absent => test(&line.test, &Found::default(), scope),
        Field::Present(found) => test(&line.test, found, scope),
    };
    steps.push(step(
        truth,
        source,
        &line.span,
        line.field.as_ref(),
        seen(&found),
    ));
    truth
}

fn seen(found: &Field<Found<'_>>) -> Seen {
    match found {
        Field::Present(found) => {
            let scalars: Vec<Value> = found.scalars().take(SHOWN_VALUES_MAX).cloned().collect();
            Seen::Values(if scalars.is_empty() {
                found.values().iter().take(1).map(|v| summary(v)).collect()
            } else {
                scalars
            })
        }
        Field::Absent => Seen::Absent,
        Field::Unavailable => Seen::Unavailable,
    }
}

/// A container is shown by its kind: its content may be megabytes.
fn summary(value: &Value) -> Value {
    match value {
        Value::Object(fields) => Value::String(format!("{{object of {}}}", fields.len())),
        Value::Array(elements) => Value::String(format!("[list of {}]", elements.len())),
        scalar => scalar.clone(),
    }
}

fn test(test: &Test, found: &Found<'_>, scope: Scope<'_>) -> Truth {
    match test {
        Test::Null => (!found.exists() || found.has_null()).into(),
        Test::Exists(wanted) => (found.exists() == *wanted).into(),
        Test::Values {
            all,
            negated,
            values,
        } => {
            let of_value = |value: &ValueTest| {
                Truth::any(found.scalars().map(|scalar| matches(value, scalar, scope)))
            };
            let truths: Vec<Truth> = values.iter().map(of_value).collect();
            let truth = if *all {
                Truth::all(truths)
            } else {
                Truth::any(truths)
            };
            if *negated { !truth } else { truth }
        }
    }
}

fn matches(test: &ValueTest, scalar: &Value, scope: Scope<'_>) -> Truth {
    let Some(text) = scalar::text(scalar) else {
        return Truth::False;
    };
    match test {
        ValueTest::Pattern(pattern) => pattern_matches(pattern, &text).into(),
        ValueTest::Regex(regex) => regex.regex.is_match(text.as_bytes()).into(),
        ValueTest::Cidr(network) => {
            let address = text
                .parse()
                .map(|address: std::net::IpAddr| address.to_canonical());
            address
                .is_ok_and(|address| network.contains(&address))
                .into()
        }
        ValueTest::Number(ordering, bound) => scalar
            .as_f64()
            .is_some_and(|number| ordering.holds(number, *bound))
            .into(),
        ValueTest::Time(part, ordering, bound) => scalar::time_part(&text, *part)
            .is_some_and(|found| ordering.holds(found, *bound))
            .into(),
        ValueTest::OneOf(forms) => {
            Truth::any(forms.iter().map(|form| matches(form, scalar, scope)))
        }
        ValueTest::FieldRef(reference) => field_ref(reference, &text, scope),
    }
}

fn field_ref(reference: &FieldRef, text: &str, scope: Scope<'_>) -> Truth {
    let fold = |text: &str| {
        if reference.cased {
            text.to_owned()
        } else {
            scalar::fold(text)
        }
    };
    match scope.resolve(Some(&reference.field)) {
        Field::Unavailable => Truth::Unknown,
        Field::Absent => Truth::False,
        Field::Present(found) => {
            Truth::any(found.scalars().filter_map(scalar::text).map(|other| {
                let (text, other) = (fold(text), fold(&other));
                match reference.relation {
                    Relation::Equals => text == other,
                    Relation::Contains => text.contains(&other),
                    Relation::StartsWith => text.starts_with(&other),
                    Relation::EndsWith => text.ends_with(&other),
                }
                .into()
            }))
        }
    }
}

/// Matches by a table: row by row over the pattern's pieces, which prefixes of the text are covered so far.
fn pattern_matches(pattern: &Pattern, text: &str) -> bool {
    let text: Vec<char> = if pattern.cased {
        text.chars().collect()
    } else {
        scalar::fold(text).chars().collect()
    };
    let mut covered = vec![false; text.len() + 1];
    covered[0] = true;
    for part in &pattern.parts {
        let mut next = vec![false; text.len() + 1];
        for start in (0..=text.len()).filter(|start| covered[*start]) {
            match part {
                Part::Many => next[start..].fill(true),
                Part::One if start < text.len() => next[start + 1] = true,
                Part::One => {}
                Part::Literal(literal) => {
                    let literal: Vec<char> = literal.chars().collect();
                    if text[start..].starts_with(&literal) {
                        next[start + literal.len()] = true;
                    }
                }
            }
        }
        covered = next;
    }
    covered[text.len()]
}

fn array(line: &ArrayTest, scope: Scope<'_>, source: &Source, steps: &mut Vec<Step>) -> Truth {
    let found = scope.resolve(line.field.as_ref());
    let members: Vec<&Value> = match &found {
        Field::Unavailable => {
            steps.push(step(
                Truth::Unknown,
                source,
                &line.span,
                line.field.as_ref(),
                Seen::Unavailable,
            ));
            return Truth::Unknown;
        }
        Field::Absent => Vec::new(),
        Field::Present(found) => members(found),
    };
    let mut judged = Vec::new();
    for member in &members {
        let mut inner = Vec::new();
        let truth = match &line.block {
            Block::Basic(basic) => search(basic, Scope::Element(member), source, &mut inner),
            Block::Extended(extended) => {
                let mut traces = Vec::new();
                let truth = detection(extended, Scope::Element(member), &mut traces);
                inner.extend(traces.into_iter().flat_map(|trace| trace.steps));
                truth
            }
        };
        judged.push((truth, inner));
    }
    let truth = quantify(
        line.quantifier,
        judged.iter().map(|(truth, _)| *truth),
        members.is_empty(),
    );
    let mut step = step(truth, source, &line.span, line.field.as_ref(), seen(&found));
    step.elements = deciding(line.quantifier, judged);
    steps.push(step);
    truth
}

/// The members of an array; a value that is no array is its own only member, a null is none.
fn members<'a>(found: &Found<'a>) -> Vec<&'a Value> {
    let of = |value: &'a Value| match value {
        Value::Array(elements) => elements.iter().collect(),
        Value::Null => Vec::new(),
        other => vec![other],
    };
    found.values().iter().flat_map(|value| of(value)).collect()
}

fn quantify(quantifier: Quantifier, truths: impl Iterator<Item = Truth>, empty: bool) -> Truth {
    match quantifier {
        Quantifier::Any => Truth::any(truths),
        Quantifier::All if empty => Truth::False,
        Quantifier::All | Quantifier::AllOrEmpty => Truth::all(truths),
        Quantifier::None => !Truth::any(truths),
    }
}

/// The elements worth showing: those that match, or, where all should have, those that do not.
fn deciding(quantifier: Quantifier, judged: Vec<(Truth, Vec<Step>)>) -> Vec<(usize, Vec<Step>)> {
    let failing = matches!(quantifier, Quantifier::All | Quantifier::AllOrEmpty);
    let wanted = |truth: Truth| (truth == Truth::True) != failing;
    let any = judged.iter().any(|(truth, _)| wanted(*truth));
    let shown = judged
        .into_iter()
        .enumerate()
        .filter(|(_, (truth, _))| !any || wanted(*truth));
    shown
        .take(SHOWN_VALUES_MAX)
        .map(|(index, (_, steps))| (index, steps))
        .collect()
}

fn keywords(words: &Keywords, scope: Scope<'_>, source: &Source, steps: &mut Vec<Step>) -> Truth {
    let Scope::Event(event) = scope else {
        return Truth::False;
    };
    let mut strings = Vec::new();
    event
        .fields()
        .values()
        .for_each(|value| push_strings(value, &mut strings));
    let found = |pattern: &Pattern| strings.iter().any(|text| pattern_matches(pattern, text));
    let holds = if words.all {
        words.patterns.iter().all(found)
    } else {
        words.patterns.iter().any(found)
    };
    let hits = strings.iter().filter(|text| {
        words
            .patterns
            .iter()
            .any(|pattern| pattern_matches(pattern, text))
    });
    let seen = Seen::Values(
        hits.take(SHOWN_VALUES_MAX)
            .map(|text| Value::String((*text).to_owned()))
            .collect(),
    );
    // Words that are not found may still stand in what the event cannot show.
    let truth = match (holds, event.is_whole()) {
        (true, _) => Truth::True,
        (false, true) => Truth::False,
        (false, false) => Truth::Unknown,
    };
    steps.push(Step {
        field: String::new(),
        ..step(truth, source, &words.span, None, seen)
    });
    truth
}

fn push_strings<'a>(value: &'a Value, strings: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => strings.push(text),
        Value::Array(elements) => elements
            .iter()
            .for_each(|element| push_strings(element, strings)),
        Value::Object(fields) => fields
            .values()
            .for_each(|value| push_strings(value, strings)),
        _ => {}
    }
}
