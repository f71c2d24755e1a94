//! What drafts say of rules and of one another, when all files are read.

use std::collections::HashSet;

use crate::correlation::{COUNT_MAX, VALUES_MAX};
use crate::diagnostic::{Diagnostic, Sink, did_you_mean};
use crate::path::FieldPath;

use super::super::ast::{Bounds, Correlation, GroupField, Header, Input, Kind, Rule, ValueField};
use super::super::detection::check_vocabulary;
use super::{Conditions, Demand, Draft, Named};

/// All correlations of a run, resolved, with what they say of rules.
#[derive(Debug, Default)]
pub(in crate::sigma) struct Resolved {
    pub(in crate::sigma) correlations: Vec<Correlation>,
    pub(in crate::sigma) diagnostics: Vec<Diagnostic>,
    /// Files of correlations over rules of other products only.
    pub(in crate::sigma) foreign: Vec<String>,
}

/// Resolves what correlations say of rules and of one another; marks the rules that only feed them.
pub(in crate::sigma) fn resolve(
    drafts: &[Draft],
    rules: &mut [Rule],
    foreign: &HashSet<String>,
) -> Resolved {
    for rule in &mut *rules {
        rule.silent = is_silent(drafts, &rule.header);
    }
    let mut resolved = Resolved::default();
    let names: Vec<&Header> = drafts.iter().map(Draft::header).collect();
    let scope = Scope {
        rules,
        correlations: &names,
        foreign,
    };
    let mut found = Vec::new();
    for draft in drafts {
        let source = draft.header.source.clone();
        let is_foreign = |named: &Named| foreign.contains(&named.text);
        if draft.rules.iter().all(is_foreign) {
            resolved.foreign.push(source.name.to_string());
            continue;
        }
        let mut sink = Sink::new(source);
        let mut correlation = scope.resolve(draft, &mut sink);
        if let Some(correlation) = &mut correlation {
            correlation.silent = is_silent(drafts, &draft.header);
        }
        let is_sound = !sink.has_errors();
        resolved.diagnostics.extend(sink.finish());
        found.extend(correlation.filter(|_| is_sound).map(|found| (found, draft)));
    }
    in_order(found, &mut resolved);
    resolved
}

/// Silent if some correlation silences it and none wants it.
fn is_silent(drafts: &[Draft], header: &Header) -> bool {
    let mut says = drafts.iter().filter_map(|draft| draft.silences(header));
    says.next()
        .is_some_and(|first| first && says.all(|says| says))
}

/// Puts each correlation behind those that feed it; what feeds itself is refused.
fn in_order(mut left: Vec<(Correlation, &Draft)>, resolved: &mut Resolved) {
    let mut done = HashSet::new();
    loop {
        let before = left.len();
        let is_ready = |correlation: &Correlation, done: &HashSet<String>| {
            correlation.inputs.iter().all(|input| match input {
                Input::Rule(_) => true,
                Input::Correlation(name) => done.contains(name),
            })
        };
        let mut waiting = Vec::new();
        for (correlation, draft) in left {
            if is_ready(&correlation, &done) {
                done.insert(correlation.header.name.clone());
                resolved.correlations.push(correlation);
            } else {
                waiting.push((correlation, draft));
            }
        }
        left = waiting;
        if left.is_empty() || left.len() == before {
            break;
        }
    }
    for (correlation, draft) in left {
        let mut sink = Sink::new(correlation.header.source.clone());
        sink.error(
            "correlation_cycle",
            draft
                .rules
                .first()
                .map_or(draft.place.clone(), |rule| rule.place.clone()),
            "the correlation is fed by itself, or by one that is not usable",
        )
        .help("a chain of correlations must begin with rules about single events");
        resolved.diagnostics.extend(sink.finish());
    }
}

/// What names may stand for.
struct Scope<'a> {
    rules: &'a [Rule],
    correlations: &'a [&'a Header],
    foreign: &'a HashSet<String>,
}

impl Scope<'_> {
    fn resolve(&self, draft: &Draft, sink: &mut Sink) -> Option<Correlation> {
        let inputs: Vec<Input> = draft
            .rules
            .iter()
            .filter_map(|named| self.input(named, sink))
            .collect();
        if inputs.len() < draft.rules.len() {
            return None;
        }
        let fields = Fields {
            draft,
            inputs: &inputs,
        };
        fields.check_aliases(sink);
        let (kind, bounds) = match &draft.demand {
            Demand::Correlation(kind, condition) => {
                let kind = fields.kind(kind, condition, sink)?;
                let bounds = bounds(draft, condition, &kind, sink)?;
                (kind, bounds)
            }
            Demand::Baseline(baseline) => {
                let of = baseline.of.iter();
                let of = of.map(|named| fields.value_field(named, sink));
                (baseline.kind(of.collect()), Bounds::default())
            }
        };
        let group_by = draft.group_by.iter().map(|named| {
            let paths = fields.paths(named, sink);
            GroupField {
                name: named.text.clone(),
                paths,
            }
        });
        let group_by = group_by.collect();
        Some(Correlation {
            header: draft.header.clone(),
            bounds,
            kind,
            group_by,
            timespan_us: draft.timespan_us,
            inputs,
            silent: false,
        })
    }

    fn input(&self, named: &Named, sink: &mut Sink) -> Option<Input> {
        let is_it = |header: &&Header| header.is_called(&named.text);
        let mut rules = self.rules.iter().map(|rule| &rule.header);
        if let Some(rule) = rules.find(is_it) {
            return Some(Input::Rule(rule.name.clone()));
        }
        if let Some(inner) = self.correlations.iter().copied().find(is_it) {
            return Some(Input::Correlation(inner.name.clone()));
        }
        if self.foreign.contains(&named.text) {
            sink.error(
                "foreign_rule",
                named.place.clone(),
                format!("`{}` is a rule for another product", named.text),
            )
            .help("a correlation can only look at Kubernetes audit events here");
            return None;
        }
        let names = self.rules.iter().map(|rule| rule.header.name.as_str());
        let names = names.chain(self.correlations.iter().map(|header| header.name.as_str()));
        let help = did_you_mean(&named.text, names).map_or_else(
            || "it must be the name or id of a rule that is loaded, without errors".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        sink.error(
            "unknown_rule",
            named.place.clone(),
            format!("there is no rule `{}`", named.text),
        )
        .help(help);
        None
    }
}

/// How a correlation's names of fields are read.
struct Fields<'a> {
    draft: &'a Draft,
    inputs: &'a [Input],
}

impl Fields<'_> {
    /// By input, the field that a name stands for.
    fn paths(&self, named: &Named, sink: &mut Sink) -> Vec<Option<FieldPath>> {
        let alias = self
            .draft
            .aliases
            .iter()
            .find(|(alias, _)| alias.text == named.text);
        let Some((_, fields)) = alias else {
            let path = path(named, sink);
            return vec![Some(path); self.inputs.len()];
        };
        let of = |(written, input): (&Named, &Input)| {
            let (_, field) = fields
                .iter()
                .find(|(rule, _)| rule.text == written.text || rule.text == input.name())?;
            Some(FieldPath::parse(&field.text))
        };
        self.draft.rules.iter().zip(self.inputs).map(of).collect()
    }

    fn check_aliases(&self, sink: &mut Sink) {
        for (_, fields) in &self.draft.aliases {
            for (rule, field) in fields {
                let is_input = |(written, input): (&Named, &Input)| {
                    rule.text == written.text || rule.text == input.name()
                };
                if !self.draft.rules.iter().zip(self.inputs).any(is_input) {
                    let names = self.inputs.iter().map(Input::name);
                    let help = did_you_mean(&rule.text, names).map_or_else(
                        || "aliases are by the names under `rules`".to_owned(),
                        |near| format!("did you mean `{near}`?"),
                    );
                    sink.error(
                        "unknown_rule",
                        rule.place.clone(),
                        format!("`{}` is not among the correlation's rules", rule.text),
                    )
                    .help(help);
                }
                path(field, sink);
            }
        }
    }

    fn value_field(&self, named: &Named, sink: &mut Sink) -> ValueField {
        ValueField {
            name: named.text.clone(),
            paths: self.paths(named, sink),
        }
    }

    fn kind(&self, kind: &Named, condition: &Conditions, sink: &mut Sink) -> Option<Kind> {
        let kind = kind.text.as_str();
        let needs_field = kind.starts_with("value_");
        let field = match (&condition.field, needs_field) {
            (None, true) => {
                sink.error(
                    "no_field",
                    condition.place.clone(),
                    format!("`{kind}` does not say which field"),
                )
                .help("add `field: …` to `condition`");
                return None;
            }
            (Some(field), false) => {
                sink.warning(
                    "unused_field",
                    field.place.clone(),
                    format!("`{kind}` looks at no field"),
                )
                .help("take `field` out, or count its values by `type: value_count`");
                None
            }
            (field, _) => field.as_ref(),
        };
        let field = field.map(|named| self.value_field(named, sink));
        Some(match (kind, field) {
            ("value_count", Some(field)) => Kind::ValueCount(field),
            ("value_sum", Some(field)) => Kind::ValueSum(field),
            ("value_avg", Some(field)) => Kind::ValueAvg(field),
            ("value_percentile", Some(field)) => {
                Kind::ValuePercentile(field, condition.percentile.unwrap_or(50.0))
            }
            ("temporal", _) => Kind::Temporal,
            ("temporal_ordered", _) => Kind::TemporalOrdered,
            _ => Kind::EventCount,
        })
    }
}

/// What must hold; for sequences all of their rules, unless something else is said.
fn bounds(draft: &Draft, condition: &Conditions, kind: &Kind, sink: &mut Sink) -> Option<Bounds> {
    let place = condition.place.clone();
    let inputs = draft.rules.len();
    let is_temporal = matches!(kind, Kind::Temporal | Kind::TemporalOrdered);
    if is_temporal && inputs < 2 {
        sink.error(
            "one_rule",
            draft.place.clone(),
            format!("`{}` needs two rules or more", kind.as_str()),
        )
        .help("one rule's events are counted by `type: event_count`");
        return None;
    }
    let Some(bounds) = condition.bounds else {
        if is_temporal {
            #[expect(clippy::cast_precision_loss, reason = "a file names some rules")]
            return Some(Bounds::at_least(inputs as f64));
        }
        sink.error(
            "no_condition",
            place,
            format!("`{}` does not say how many", kind.as_str()),
        )
        .help("add `condition: {gte: …}`");
        return None;
    };
    let most = match kind {
        Kind::EventCount => COUNT_MAX,
        Kind::ValueCount(_) => VALUES_MAX,
        Kind::Temporal | Kind::TemporalOrdered => inputs,
        _ => return Some(bounds),
    };
    let numbers = [
        bounds.lower.map(|(number, _)| number),
        bounds.upper.map(|(number, _)| number),
    ];
    #[expect(clippy::cast_precision_loss, reason = "the bounds are far below 2^53")]
    let most = most as f64;
    if !(1..=2).any(|count| bounds.hold(f64::from(count)))
        && bounds.upper.is_some_and(|(upper, _)| upper <= 1.0)
    {
        sink.error(
            "bad_condition",
            place.clone(),
            "this never holds: a group begins with its first event",
        )
        .help("what does not happen is found by other means, such as silent senders");
        return None;
    }
    for number in numbers.into_iter().flatten() {
        if number < 0.0 || number > most {
            sink.error(
                "bad_condition",
                place.clone(),
                format!("{number} is out of range for `{}`", kind.as_str()),
            )
            .help(format!("a whole number from 0 to {most}"));
            return None;
        }
    }
    // As many as may be kept, and no more, can be counted.
    let strictly_most = |(number, strictly): (f64, bool)| strictly && number >= most;
    if !matches!(kind, Kind::ValueCount(_)) && bounds.lower.is_some_and(strictly_most) {
        sink.error(
            "bad_condition",
            place,
            format!("more than {most} never holds for `{}`", kind.as_str()),
        )
        .help(format!("`gte: {most}` is the most that can be asked for"));
        return None;
    }
    Some(bounds)
}

fn path(named: &Named, sink: &mut Sink) -> FieldPath {
    let path = FieldPath::parse(&named.text);
    check_vocabulary(&path, &named.place, sink);
    path
}
