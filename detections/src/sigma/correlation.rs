//! Correlation documents: from their nodes to [`Correlation`]s whose every name is known.
//!
//! A document may name rules of other files, so it is read first and resolved when all files are there. Baselines are read
//! elsewhere ([`super::baseline`]) and resolved here with the others, since each may feed the other.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use crate::correlation::{COUNT_MAX, VALUES_MAX};
use crate::diagnostic::{Diagnostic, Sink, did_you_mean};
use crate::path::FieldPath;

use super::ast::{Bounds, Correlation, GroupField, Header, Input, Kind, Rule, ValueField};
use super::baseline::Baseline;
use super::detection::check_vocabulary;
use super::header;
use super::yaml::Node;

/// What the specification knows.
const TYPES: [&str; 7] = [
    "event_count",
    "value_count",
    "temporal",
    "temporal_ordered",
    "value_sum",
    "value_avg",
    "value_percentile",
];

/// The keys of the section, to tell a slip of the pen.
const KEYS: [&str; 7] = [
    "type",
    "rules",
    "aliases",
    "group-by",
    "timespan",
    "condition",
    "generate",
];

/// 90 days: beyond it a window is an archive's question, not a detection's.
pub(super) const TIMESPAN_US_MAX: i64 = 90 * 86_400_000_000;

/// A text and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) text: String,
    pub(super) place: Range<usize>,
}

/// By alias, the fields by rule.
pub(super) type Aliases = Vec<(Named, Vec<(Named, Named)>)>;

/// A document that has been read, with names that are not resolved yet.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) header: Header,
    pub(super) demand: Demand,
    pub(super) rules: Vec<Named>,
    pub(super) aliases: Aliases,
    pub(super) group_by: Vec<Named>,
    pub(super) timespan_us: i64,
    /// Rules of the same file raise findings of their own, too.
    pub(super) generate: bool,
    pub(super) place: Range<usize>,
    /// Where its name and its id stand.
    pub(super) places: [Range<usize>; 2],
}

/// What it looks for.
#[derive(Debug)]
pub(super) enum Demand {
    /// The type of a correlation and its condition.
    Correlation(Named, Conditions),
    /// A baseline.
    Baseline(Baseline),
}

/// The section `condition`, as read.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    bounds: Option<Bounds>,
    field: Option<Named>,
    percentile: Option<f64>,
    place: Range<usize>,
}

/// All correlations of a run, resolved, with what they say of rules.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    pub(super) correlations: Vec<Correlation>,
    pub(super) diagnostics: Vec<Diagnostic>,
    /// Files of correlations over rules of other products only.
    pub(super) foreign: Vec<String>,
}

impl Draft {
    /// Reads a document. Faults go to the sink.
    pub(super) fn read(node: &Node, sink: &mut Sink) -> Option<Self> {
        let header = header::header(node, sink);
        let (key, body) = node.entry("correlation")?;
        if body.mapping().is_none() {
            sink.error(
                "bad_correlation",
                key.span.clone(),
                "`correlation` must be a mapping",
            )
            .help("it needs type, rules, timespan, and mostly group-by and condition");
            return None;
        }
        check_keys(body, ("correlation", &KEYS), sink);
        // All are read before one that is missing ends it: every fault is told at once.
        let kind = kind(body, ("correlation", &TYPES), sink);
        let rules = required_rules(body, "correlation", sink);
        let aliases = aliases(body, sink);
        let timespan_us = timespan(body, "correlation", sink);
        let (condition, generate) = (Conditions::read(body, sink), generate(body, sink));
        Some(Self {
            demand: Demand::Correlation(kind?, condition),
            rules: rules?,
            aliases,
            group_by: names(body.get("group-by")),
            timespan_us: timespan_us?,
            generate,
            place: body.head(),
            places: places(node),
            header,
        })
    }

    pub(super) fn header(&self) -> &Header {
        &self.header
    }

    /// Whether the rule of this header is silenced by this correlation: it stands in the same file, and is not to be
    /// generated. Rules of other files stand on their own.
    fn silences(&self, rule: &Header) -> Option<bool> {
        let is_input = self.rules.iter().any(|input| rule.is_called(&input.text));
        (is_input && rule.source.name == self.header.source.name).then_some(!self.generate)
    }
}

/// Resolves what correlations say of rules and of one another; marks the rules that only feed them.
pub(super) fn resolve(drafts: &[Draft], rules: &mut [Rule], foreign: &HashSet<String>) -> Resolved {
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

/// `what` is the kind of the document, with its words, here and below.
pub(super) fn check_keys(body: &Node, (what, keys): (&str, &[&'static str]), sink: &mut Sink) {
    for (key, _) in body.mapping().unwrap_or_default() {
        let word = key.text().unwrap_or_default();
        if !keys.contains(&word) {
            let help = did_you_mean(word, keys.iter().copied()).map_or_else(
                || format!("the keys are {}", keys.join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            sink.error(
                "unknown_key",
                key.span.clone(),
                format!("a {what} has no key `{word}`"),
            )
            .help(help);
        }
    }
}

pub(super) fn kind(
    body: &Node,
    (what, types): (&str, &[&'static str]),
    sink: &mut Sink,
) -> Option<Named> {
    let written = body.get("type");
    let word = written.and_then(Node::text).unwrap_or_default();
    if types.contains(&word) {
        return written.map(named);
    }
    let help = did_you_mean(word, types.iter().copied()).map_or_else(
        || format!("the types are {}", types.join(", ")),
        |near| format!("did you mean `{near}`?"),
    );
    let message = if written.is_some() {
        format!("there is no {what} type `{word}`")
    } else {
        format!("the {what} has no `type`")
    };
    let place = written.map_or_else(|| body.head(), |written| written.span.clone());
    sink.error("bad_type", place, message).help(help);
    None
}

/// Where the name and the id of a document stand.
pub(super) fn places(node: &Node) -> [Range<usize>; 2] {
    ["name", "id"].map(|key| {
        node.get(key)
            .map_or(node.head(), |value| value.span.clone())
    })
}

fn named(node: &Node) -> Named {
    Named {
        text: node.text().unwrap_or_default().trim().to_owned(),
        place: node.span.clone(),
    }
}

pub(super) fn names(node: Option<&Node>) -> Vec<Named> {
    let nodes = node.filter(|node| !node.is_null()).map(Node::one_or_many);
    nodes.unwrap_or_default().iter().map(named).collect()
}

pub(super) fn required_rules(body: &Node, what: &str, sink: &mut Sink) -> Option<Vec<Named>> {
    let found = names(body.get("rules"));
    let is_text = |named: &Named| !named.text.is_empty();
    if !found.is_empty() && found.iter().all(is_text) {
        return Some(found);
    }
    sink.error(
        "no_rules",
        body.key_span("rules"),
        format!("the {what} does not say which rules feed it"),
    )
    .help("add `rules: [name or id, …]`");
    None
}

pub(super) fn aliases(body: &Node, sink: &mut Sink) -> Aliases {
    let Some(written) = body.get("aliases").filter(|node| !node.is_null()) else {
        return Vec::new();
    };
    let mut aliases = Vec::new();
    for (alias, fields) in written.mapping().unwrap_or_default() {
        let fields = fields.mapping().unwrap_or_default();
        let fields: Vec<_> = fields
            .iter()
            .map(|(rule, field)| (named(rule), named(field)))
            .collect();
        aliases.push((named(alias), fields));
    }
    if aliases.is_empty() || aliases.iter().any(|(_, fields)| fields.is_empty()) {
        sink.error(
            "bad_aliases",
            written.span.clone(),
            "`aliases` must be fields by rule, by alias",
        )
        .help("write `aliases: {alias: {rule: field}}`");
    }
    aliases
}

/// A length of time: a whole number with `s`, `m`, `h` or `d`.
pub(super) fn timespan(body: &Node, what: &str, sink: &mut Sink) -> Option<i64> {
    let written = body.get("timespan");
    let text = written.and_then(Node::text).unwrap_or_default();
    let found = duration_us(text).filter(|us| (1..=TIMESPAN_US_MAX).contains(us));
    if found.is_none() {
        let place = written.map_or_else(|| body.head(), |written| written.span.clone());
        let message = if written.is_some() {
            format!("`{text}` is no timespan")
        } else {
            format!("the {what} has no `timespan`")
        };
        sink.error("bad_timespan", place, message)
            .help("write a whole number with s, m, h or d, such as `10m`; at most 90d");
    }
    found
}

/// Microseconds of `10m`, `1h`…
pub(super) fn duration_us(text: &str) -> Option<i64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return None,
    };
    let is_whole = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let number: i64 = is_whole.then(|| number.parse().ok())??;
    number.checked_mul(seconds)?.checked_mul(1_000_000)
}

pub(super) fn generate(body: &Node, sink: &mut Sink) -> bool {
    let Some(written) = body.get("generate") else {
        return false;
    };
    written.bool().unwrap_or_else(|| {
        sink.error(
            "bad_generate",
            written.span.clone(),
            "`generate` must be true or false",
        );
        false
    })
}

fn path(named: &Named, sink: &mut Sink) -> FieldPath {
    let path = FieldPath::parse(&named.text);
    check_vocabulary(&path, &named.place, sink);
    path
}

impl Conditions {
    fn read(body: &Node, sink: &mut Sink) -> Self {
        let Some((key, written)) = body.entry("condition") else {
            return Self {
                place: body.head(),
                ..Self::default()
            };
        };
        let mut found = Self {
            place: key.span.clone(),
            ..Self::default()
        };
        let Some(entries) = written.mapping() else {
            sink.error(
                "bad_condition",
                written.span.clone(),
                "`condition` must be a mapping of comparisons",
            )
            .help("write `condition: {gte: 10}`");
            return found;
        };
        let mut comparisons = HashMap::new();
        for (key, value) in entries {
            let word = key.text().unwrap_or_default();
            match word {
                "field" => found.field = value.text().map(|_| named(value)),
                "percentile" => found.percentile = number(value, 0.0..=100.0, sink),
                "gt" | "gte" | "lt" | "lte" | "eq" | "neq" => {
                    let number = number(value, f64::MIN..=f64::MAX, sink);
                    comparisons.extend(number.map(|number| (word, number)));
                }
                _ => {
                    sink.error(
                        "bad_condition",
                        key.span.clone(),
                        format!("`{word}` is no comparison"),
                    )
                    .help("the comparisons are gt, gte, lt, lte, eq, neq; `field` and `percentile` go with value_…");
                }
            }
        }
        found.bounds = joined(&comparisons, &found.place, sink);
        found
    }
}

fn number(node: &Node, range: std::ops::RangeInclusive<f64>, sink: &mut Sink) -> Option<f64> {
    let number = node.text().and_then(|text| text.parse::<f64>().ok());
    let found = number.filter(|number| number.is_finite() && range.contains(number));
    if found.is_none() {
        sink.error(
            "bad_condition",
            node.span.clone(),
            format!(
                "`{}` is no number that fits here",
                node.text().unwrap_or_default()
            ),
        );
    }
    found
}

/// One comparison, or a lower and an upper bound.
fn joined(
    comparisons: &HashMap<&str, f64>,
    place: &Range<usize>,
    sink: &mut Sink,
) -> Option<Bounds> {
    let get = |word: &str| comparisons.get(word).copied();
    let bound = |or_equal: &str, strictly: &str| {
        let or_equal = get(or_equal).map(|number| (number, false));
        (or_equal, get(strictly).map(|number| (number, true)))
    };
    let exactly = get("eq").map(|number| (number, false));
    let (gte, gt) = bound("gte", "gt");
    let (lte, lt) = bound("lte", "lt");
    let lowers: Vec<_> = [gte, gt, exactly].into_iter().flatten().collect();
    let uppers: Vec<_> = [lte, lt, exactly].into_iter().flatten().collect();
    let is_empty_range = matches!(
        (lowers.first(), uppers.first()),
        (Some((low, open)), Some((high, closed))) if low > high || (low >= high && (*open || *closed))
    );
    if lowers.len() > 1 || uppers.len() > 1 || is_empty_range {
        sink.error(
            "bad_condition",
            place.clone(),
            "no number can satisfy this, or one comparison says more than another",
        )
        .help("one comparison, or a lower (gt, gte) and a higher upper bound (lt, lte)");
        return None;
    }
    let bounds = Bounds {
        lower: lowers.first().copied(),
        upper: uppers.first().copied(),
        except: get("neq"),
    };
    (bounds != Bounds::default()).then_some(bounds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read() {
        assert_eq!(duration_us("10m"), Some(600_000_000));
        assert_eq!(duration_us("1d"), Some(86_400_000_000));
        for wrong in ["", "m", "10", "1.5h", "-1h", "10 m", "1M", "９s"] {
            assert_eq!(duration_us(wrong), None, "{wrong}");
        }
    }
}
