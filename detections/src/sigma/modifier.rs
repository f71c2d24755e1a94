//! The chain of modifiers behind a field name: `field|base64offset|contains|all`.

use std::ops::Range;

use crate::diagnostic::{Sink, did_you_mean};

use super::ast::{Ordering, Relation, TimePart};
use super::encoding::Transform;

/// What a line compares, and how.
#[derive(Clone, Debug, PartialEq)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a modifier of the specification"
)]
pub(crate) struct Modifiers {
    pub(crate) operator: Operator,
    pub(crate) transforms: Vec<Transform>,
    pub(crate) all: bool,
    pub(crate) negated: bool,
    pub(crate) cased: bool,
    pub(crate) expand: bool,
}

impl Default for Modifiers {
    fn default() -> Self {
        Self {
            operator: Operator::Text(Relation::Equals),
            transforms: Vec::new(),
            all: false,
            negated: false,
            cased: false,
            expand: false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Operator {
    Text(Relation),
    FieldRef(Relation),
    Regex(RegexFlags),
    Cidr,
    Exists,
    Number(Ordering),
    Time(TimePart, Ordering),
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "they are the specification's three flags"
)]
pub(crate) struct RegexFlags {
    pub(crate) ignore_case: bool,
    pub(crate) multi_line: bool,
    pub(crate) dot_all: bool,
}

/// Every modifier of Sigma 2.1 with its long forms.
const NAMES: [&str; 34] = [
    "all",
    "startswith",
    "endswith",
    "contains",
    "exists",
    "cased",
    "neq",
    "windash",
    "re",
    "i",
    "m",
    "s",
    "ignorecase",
    "multiline",
    "dotall",
    "base64",
    "base64offset",
    "utf16le",
    "utf16be",
    "utf16",
    "wide",
    "lt",
    "lte",
    "gt",
    "gte",
    "minute",
    "hour",
    "day",
    "week",
    "month",
    "year",
    "cidr",
    "expand",
    "fieldref",
];

/// Reads the chain behind the field name of a key. Faults go to the sink; what is left is the best guess, so that more
/// faults can be found behind it.
pub(crate) fn parse(chain: &[&str], key: &Range<usize>, sink: &mut Sink) -> Modifiers {
    let mut builder = Builder::default();
    let mut from = sink.source().find("|", key).end.min(key.end);
    for text in chain {
        let span = sink.source().find(text, &(from..key.end));
        from = span.end.min(key.end);
        builder.accept(&Word { text, span }, sink);
    }
    builder.finish(sink)
}

/// Keywords are sought inside every string, so that little can be said about how.
pub(crate) fn check_keywords(modifiers: &Modifiers, key: &Range<usize>, sink: &mut Sink) {
    let contains = [Relation::Equals, Relation::Contains].map(Operator::Text);
    let plain = contains.contains(&modifiers.operator) && modifiers.transforms.is_empty();
    if !plain || modifiers.negated {
        let message = "keywords take only `all`, `contains`, `cased` and `expand`";
        sink.error("stray_modifier", key.clone(), message)
            .help("name the field to be compared");
    }
}

/// A modifier and its place.
#[derive(Clone, Debug)]
struct Word<'a> {
    text: &'a str,
    span: Range<usize>,
}

#[derive(Default)]
struct Builder<'a> {
    relation: Option<(Relation, Word<'a>)>,
    main: Option<(Operator, Word<'a>)>,
    ordering: Option<(Ordering, Word<'a>)>,
    transforms: Vec<(Transform, Word<'a>)>,
    flags: RegexFlags,
    flagged: Option<Word<'a>>,
    all: Option<Word<'a>>,
    negated: Option<Word<'a>>,
    cased: Option<Word<'a>>,
    expand: bool,
}

impl<'a> Builder<'a> {
    fn accept(&mut self, word: &Word<'a>, sink: &mut Sink) {
        match word.text {
            "all" => self.all = Some(word.clone()),
            "neq" => self.negated = Some(word.clone()),
            "cased" => self.cased = Some(word.clone()),
            "expand" => self.expand = true,
            "contains" => set(&mut self.relation, Relation::Contains, word, sink),
            "startswith" => set(&mut self.relation, Relation::StartsWith, word, sink),
            "endswith" => set(&mut self.relation, Relation::EndsWith, word, sink),
            "fieldref" => set(
                &mut self.main,
                Operator::FieldRef(Relation::Equals),
                word,
                sink,
            ),
            "re" => set(
                &mut self.main,
                Operator::Regex(RegexFlags::default()),
                word,
                sink,
            ),
            "cidr" => set(&mut self.main, Operator::Cidr, word, sink),
            "exists" => set(&mut self.main, Operator::Exists, word, sink),
            "i" | "ignorecase" | "m" | "multiline" | "s" | "dotall" => self.set_flag(word),
            _ => self.accept_other(word, sink),
        }
    }

    fn accept_other(&mut self, word: &Word<'a>, sink: &mut Sink) {
        if let Some(transform) = transform(word.text) {
            self.transforms.push((transform, word.clone()));
        } else if let Some(ordering) = ordering(word.text) {
            set(&mut self.ordering, ordering, word, sink);
        } else if let Some(part) = time_part(word.text) {
            set(
                &mut self.main,
                Operator::Time(part, Ordering::Equal),
                word,
                sink,
            );
        } else {
            let help =
                match did_you_mean(word.text, NAMES.into_iter().filter(|name| name.len() > 1)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("the modifiers are {}", NAMES.join(", ")),
                };
            let message = format!("there is no modifier `{}`", word.text);
            sink.error("unknown_modifier", word.span.clone(), message)
                .help(help);
        }
    }

    fn set_flag(&mut self, word: &Word<'a>) {
        match word.text {
            "i" | "ignorecase" => self.flags.ignore_case = true,
            "m" | "multiline" => self.flags.multi_line = true,
            _ => self.flags.dot_all = true,
        }
        self.flagged = Some(word.clone());
    }

    fn finish(self, sink: &mut Sink) -> Modifiers {
        let operator = self.operator(sink);
        self.check_company(operator, sink);
        Modifiers {
            operator,
            transforms: self
                .transforms
                .into_iter()
                .map(|(transform, _)| transform)
                .collect(),
            all: self.all.is_some(),
            negated: self.negated.is_some(),
            cased: self.cased.is_some(),
            expand: self.expand,
        }
    }

    fn operator(&self, sink: &mut Sink) -> Operator {
        let relation = self
            .relation
            .as_ref()
            .map_or(Relation::Equals, |(relation, _)| *relation);
        let ordering = self.ordering.as_ref().map(|(ordering, _)| *ordering);
        let main = self.main.as_ref().map(|(operator, _)| *operator);
        match (main, self.relation.is_some(), ordering) {
            (Some(Operator::FieldRef(_)), _, None) => Operator::FieldRef(relation),
            (Some(Operator::Time(part, _)), false, ordering) => {
                Operator::Time(part, ordering.unwrap_or(Ordering::Equal))
            }
            (Some(Operator::Regex(_)), false, None) => Operator::Regex(self.flags),
            (Some(operator), false, None) => operator,
            (None, false, Some(ordering)) => Operator::Number(ordering),
            (None, _, None) => Operator::Text(relation),
            _ => {
                self.refuse_combination(sink);
                Operator::Text(Relation::Equals)
            }
        }
    }

    fn refuse_combination(&self, sink: &mut Sink) {
        let words = [
            self.main.as_ref().map(|(_, word)| word),
            self.relation.as_ref().map(|(_, word)| word),
            self.ordering.as_ref().map(|(_, word)| word),
        ];
        let mut words: Vec<_> = words.into_iter().flatten().collect();
        words.sort_by_key(|word| word.span.start);
        if let [first, .., last] = words.as_slice() {
            conflict(first, last, sink);
        }
    }

    /// Modifiers that have no meaning beside the operator.
    fn check_company(&self, operator: Operator, sink: &mut Sink) {
        let textual = matches!(operator, Operator::Text(_));
        let regex = matches!(operator, Operator::Regex(_));
        if let (Some(flag), false) = (&self.flagged, regex) {
            let message = format!("`{}` is a flag of `re`, which is not here", flag.text);
            sink.error("stray_flag", flag.span.clone(), message)
                .help(format!("write `|re|{}`", flag.text));
        }
        if let (Some((_, word)), false) = (self.transforms.first(), textual) {
            let message = format!(
                "`{}` changes text, and this line does not compare text",
                word.text
            );
            sink.error("stray_encoding", word.span.clone(), message)
                .help("remove it");
        }
        if let (Some(cased), false) = (
            &self.cased,
            textual || matches!(operator, Operator::FieldRef(_)),
        ) {
            let message = if regex {
                "a regular expression is case-sensitive without `cased`"
            } else {
                "`cased` compares text, and this line does not"
            };
            sink.error("stray_cased", cased.span.clone(), message)
                .help("remove it");
        }
        if let (Some(word), Operator::Exists) =
            (self.all.as_ref().or(self.negated.as_ref()), operator)
        {
            let message = format!("`exists` takes no `{}`", word.text);
            sink.error("stray_modifier", word.span.clone(), message)
                .help("it takes one value: `exists: true` or `exists: false`");
        } else if let (Some(all), Some(_)) = (&self.all, &self.negated) {
            let message = "`neq` and `all` together can be read in two ways";
            sink.error("conflicting_modifiers", all.span.clone(), message)
                .help(
                    "`neq` alone means none of the values; or negate a selection in the condition",
                );
        }
    }
}

fn set<'a, T>(slot: &mut Option<(T, Word<'a>)>, value: T, word: &Word<'a>, sink: &mut Sink) {
    if let Some((_, first)) = slot.replace((value, word.clone())) {
        conflict(&first, word, sink);
    }
}

fn conflict(first: &Word<'_>, second: &Word<'_>, sink: &mut Sink) {
    let (message, help) = if first.text == second.text {
        (
            format!("`{}` stands twice", first.text),
            "remove one of the two",
        )
    } else {
        let message = format!("`{}` and `{}` cannot be combined", first.text, second.text);
        (
            message,
            "keep one of the two; to demand both, write two lines",
        )
    };
    sink.error("conflicting_modifiers", second.span.clone(), message)
        .help(help);
}

fn transform(word: &str) -> Option<Transform> {
    Some(match word {
        "windash" => Transform::WinDash,
        "base64" => Transform::Base64,
        "base64offset" => Transform::Base64Offset,
        "utf16le" | "wide" => Transform::Utf16Le,
        "utf16be" => Transform::Utf16Be,
        "utf16" => Transform::Utf16,
        _ => return None,
    })
}

fn ordering(word: &str) -> Option<Ordering> {
    Some(match word {
        "lt" => Ordering::Less,
        "lte" => Ordering::LessOrEqual,
        "gt" => Ordering::Greater,
        "gte" => Ordering::GreaterOrEqual,
        _ => return None,
    })
}

fn time_part(word: &str) -> Option<TimePart> {
    Some(match word {
        "minute" => TimePart::Minute,
        "hour" => TimePart::Hour,
        "day" => TimePart::Day,
        "week" => TimePart::Week,
        "month" => TimePart::Month,
        "year" => TimePart::Year,
        _ => return None,
    })
}
