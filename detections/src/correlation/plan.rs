//! Which rules feed which correlations, and what is read of their events.

use std::collections::HashMap;

use serde_json::Value;

use crate::event::{Event, Field};
use crate::hash::hash;
use crate::path::FieldPath;
use crate::sigma::ast::{Correlation, Input, Rule};

use super::combined::combined;
use super::feed::{Feed, GroupId, group_id};

/// The longest value of a group that is kept, in bytes. A longer one is cut, and its hash keeps it apart.
const VALUE_BYTES_MAX: usize = 256;

/// Members of a list that count. An event with more of them, say a pod of a hundred images, counts with the first ones.
pub(super) const MEMBERS_MAX: usize = 64;

/// A correlation, and which of its inputs, by index.
type Place = (usize, usize);

/// The correlations of a rule set.
#[derive(Debug, Default)]
pub struct Correlations {
    all: Vec<Correlation>,
    /// By rule, what it feeds.
    by_rule: HashMap<usize, Vec<Place>>,
    /// By correlation, what it feeds.
    by_correlation: Vec<Vec<Place>>,
}

impl Correlations {
    /// Correlations as they were loaded, each behind those that feed it, over rules by index.
    #[must_use]
    pub fn new(all: Vec<Correlation>, rules: &[Rule]) -> Self {
        let mut by_rule: HashMap<usize, Vec<Place>> = HashMap::new();
        let mut by_correlation = vec![Vec::new(); all.len()];
        let rule_of = |name: &str| rules.iter().position(|rule| rule.header.name == name);
        let correlation_of = |name: &str| all.iter().position(|other| other.header.name == name);
        for (place, correlation) in all.iter().enumerate() {
            for (number, input) in correlation.inputs.iter().enumerate() {
                match input {
                    Input::Rule(name) => {
                        if let Some(rule) = rule_of(name) {
                            by_rule.entry(rule).or_default().push((place, number));
                        }
                    }
                    Input::Correlation(name) => {
                        if let Some(inner) = correlation_of(name) {
                            by_correlation[inner].push((place, number));
                        }
                    }
                }
            }
        }
        Self {
            all,
            by_rule,
            by_correlation,
        }
    }

    /// The correlations, each behind those that feed it.
    #[must_use]
    pub fn all(&self) -> &[Correlation] {
        &self.all
    }

    /// Whether a rule feeds any.
    #[must_use]
    pub fn is_fed_by(&self, rule: usize) -> bool {
        self.by_rule.contains_key(&rule)
    }

    /// The inputs that the findings of a correlation are.
    #[must_use]
    pub fn outer(&self, correlation: usize) -> &[Place] {
        self.by_correlation
            .get(correlation)
            .map_or(&[], Vec::as_slice)
    }

    /// What an event that matched some rules is to correlations, in the order of correlations and inputs; also to those that
    /// are fed by these, in case they find something.
    #[must_use]
    pub fn feeds(&self, rules: &[usize], event: &Event) -> Vec<Feed> {
        let inputs = rules.iter().filter_map(|rule| self.by_rule.get(rule));
        let mut places: Vec<Place> = inputs.flatten().copied().collect();
        // Outer correlations stand behind inner ones, so that one pass finds chains of any length.
        for inner in 0..self.all.len() {
            if places.iter().any(|(correlation, _)| *correlation == inner) {
                places.extend(self.outer(inner));
            }
        }
        places.sort_unstable();
        places.dedup();
        let feed = |(correlation, input)| self.feed(correlation, input, event);
        places.into_iter().map(feed).collect()
    }

    fn feed(&self, correlation: usize, input: usize, event: &Event) -> Feed {
        let spec = &self.all[correlation];
        let read = |paths: &[Option<FieldPath>]| value(event, paths.get(input)?.as_ref()?);
        let of_group = spec.group_by.iter().map(|field| read(&field.paths));
        let value = match spec.kind.of() {
            [] => spec.kind.field().and_then(|field| read(&field.paths)),
            of => combined(of.iter().map(|field| read(&field.paths))),
        };
        Feed {
            correlation,
            input,
            values: of_group.map(|found| Some(bounded(text(&found?)))).collect(),
            value: value.map(|value| short(&value)),
        }
    }

    /// The group that a feed belongs to.
    #[must_use]
    pub fn group_id(&self, feed: &Feed, cluster: &str) -> GroupId {
        let correlation = self.all.get(feed.correlation);
        let id = correlation.map_or("", |correlation| correlation.header.id.as_str());
        group_id(id, cluster, &feed.values)
    }
}

/// What a correlation's windows mean: with another meaning what was stored is worthless.
#[must_use]
pub fn meaning(correlation: &Correlation) -> [u8; 16] {
    let Correlation {
        header,
        kind,
        bounds,
        ..
    } = correlation;
    // With a filter the inputs are copies under names of their own; what they feed means the same.
    let own = format!(" for {}", header.name);
    let mut parts = vec![header.id.clone(), kind.as_str().to_owned()];
    for input in &correlation.inputs {
        let name = input.name();
        parts.push(name.strip_suffix(&own).unwrap_or(name).to_owned());
    }
    let groups = correlation.group_by.iter().map(|field| &field.paths);
    let fields = kind.field().into_iter().chain(kind.of());
    for paths in groups.chain(fields.map(|field| &field.paths)) {
        parts.push("field".to_owned());
        let texts = paths
            .iter()
            .map(|path| path.as_ref().map_or("", FieldPath::as_str));
        parts.extend(texts.map(ToOwned::to_owned));
    }
    parts.push(format!("timespan {}", correlation.timespan_us));
    let bound = |bound: Option<(f64, bool)>| match bound {
        Some((number, strictly)) => format!("{:x} {strictly}", number.to_bits()),
        None => "none".to_owned(),
    };
    parts.extend([bound(bounds.lower), bound(bounds.upper)]);
    parts.push(bound(bounds.except.map(|number| (number, false))));
    parts.extend(kind.parameters());
    hash(parts.iter().map(String::as_str))
}

/// What a field holds: a single value as it is, several as a list.
fn value(event: &Event, path: &FieldPath) -> Option<Value> {
    let Field::Present(found) = event.resolve(path) else {
        return None;
    };
    let mut values: Vec<&Value> = found.scalars().collect();
    match values.len() {
        0 => None,
        1 => values.pop().filter(|value| !value.is_null()).cloned(),
        _ => Some(Value::Array(values.into_iter().cloned().collect())),
    }
}

/// A value as JSON. Each member of a list is a value of its own; what is long is cut, and its hash keeps it apart.
fn short(value: &Value) -> Box<str> {
    let one = |value: &Value| match value {
        Value::String(long) if long.len() > VALUE_BYTES_MAX => {
            Value::String(bounded(long.clone()).into())
        }
        other => other.clone(),
    };
    let short = match value {
        Value::Array(members) => members.iter().take(MEMBERS_MAX).map(one).collect(),
        single => one(single),
    };
    short.to_string().into()
}

/// Strings without quotes, anything else as JSON.
fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), ToOwned::to_owned)
}

pub(super) fn bounded(text: String) -> Box<str> {
    if text.len() <= VALUE_BYTES_MAX {
        return text.into();
    }
    let end = text.floor_char_boundary(VALUE_BYTES_MAX);
    let digest = hash([text.as_str()]).map(|byte| format!("{byte:02x}"));
    format!("{}… ({})", &text[..end], digest.concat()).into()
}
