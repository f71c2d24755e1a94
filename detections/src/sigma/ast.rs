//! What a rule says, after all names are resolved and all values are read. Both evaluators start from here.

use std::fmt;
use std::ops::Range;

use ipnet::IpNet;
use mitre::{TacticId, TechniqueId};
use regex_automata::meta::Regex;

use crate::diagnostic::Source;
use crate::path::FieldPath;

mod correlation;

pub use correlation::{Bounds, Correlation, GroupField, Input, Kind, Memory, ValueField};

/// A rule's own level: in Tidewatch's rubric the *impact* of what it finds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// 0: inventory.
    Informational,
    /// 1: reconnaissance, a plain exec.
    Low,
    /// 2: running code, secrets of a namespace, exposure.
    #[default]
    Medium,
    /// 3: a node, secrets of the cluster, another's credential.
    High,
    /// 4: takeover of the cluster or mass loss.
    Critical,
}

impl Level {
    /// All levels, lowest first.
    pub const ALL: [Self; 5] = [
        Self::Informational,
        Self::Low,
        Self::Medium,
        Self::High,
        Self::Critical,
    ];

    /// Sigma's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Informational => "informational",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// Reads Sigma's word, without case.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|level| level.as_str().eq_ignore_ascii_case(word))
    }

    /// 0 to 4.
    #[must_use]
    pub fn points(self) -> i8 {
        self as i8
    }

    /// The level of a score, clamped to 0 … 4.
    #[must_use]
    pub fn of_points(points: i8) -> Self {
        Self::ALL[usize::try_from(points.clamp(0, 4)).unwrap_or_default()]
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What every rule has, whatever it looks at: what it is called, and what it means.
#[derive(Clone, Debug)]
pub struct Header {
    /// The rule's UUID.
    pub id: String,
    /// Its name for people and tools; the file name in our own pack.
    pub name: String,
    /// One line: what happened.
    pub title: String,
    /// `stable`, `test`, `experimental`…
    pub status: Option<String>,
    /// What it finds, in a few sentences.
    pub description: String,
    /// Where to read more.
    pub references: Vec<String>,
    /// Who wrote it.
    pub author: Option<String>,
    /// When it was written.
    pub date: Option<String>,
    /// When it was last changed.
    pub modified: Option<String>,
    /// All tags as written.
    pub tags: Vec<String>,
    /// ATT&CK tactics among the tags.
    pub tactics: Vec<TacticId>,
    /// ATT&CK techniques among the tags, revoked ones replaced.
    pub techniques: Vec<TechniqueId>,
    /// Known causes of false alarm.
    pub false_positives: Vec<String>,
    /// The impact of what it finds.
    pub level: Level,
    /// The file it came from.
    pub source: Source,
}

/// A detection rule that can be evaluated.
#[derive(Clone, Debug)]
pub struct Rule {
    /// What every rule has. Spans of [`Rule::detection`] point into its source.
    pub header: Header,
    /// What it looks for.
    pub detection: Detection,
    /// Filters that apply to it, joined to its condition by *and*.
    pub filters: Vec<Detection>,
    /// It only feeds correlations, and raises nothing by itself.
    pub silent: bool,
}

impl Header {
    /// Whether the rule finds power being granted.
    #[must_use]
    pub fn is_grant(&self) -> bool {
        self.has_tag(GRANTS_TAG)
    }

    /// Whether the rule finds a privileged identity being forged.
    #[must_use]
    pub fn is_forgery(&self) -> bool {
        self.has_tag(FORGERY_TAG)
    }

    /// Whether an act of this rule is one of the actor, not of an object.
    #[must_use]
    pub fn is_per_actor(&self) -> bool {
        self.has_tag(PER_ACTOR_TAG)
    }

    /// Whether the rule goes by this name, or this id.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        self.name == name || self.id.eq_ignore_ascii_case(name)
    }

    fn has_tag(&self, tag: &str) -> bool {
        self.tags.iter().any(|own| own == tag)
    }
}

/// Marks rules that find power being granted: an actor that already holds the power lowers the severity.
const GRANTS_TAG: &str = "tidewatch.grants";

/// Marks rules that find a privileged identity being forged: such a finding is at least high, also if it was refused.
const FORGERY_TAG: &str = "tidewatch.forgery";

/// Marks rules about what an actor does, whatever the objects: all of it within a window is one act.
const PER_ACTOR_TAG: &str = "tidewatch.per-actor";

/// Named selections and the condition over them.
#[derive(Clone, Debug)]
pub struct Detection {
    /// In the order of the file.
    pub selections: Vec<Selection>,
    /// The expression over them.
    pub condition: Condition,
    /// The text that spans point into.
    pub source: Source,
}

/// A named selection.
#[derive(Clone, Debug)]
pub struct Selection {
    /// Its key under `detection`.
    pub name: String,
    /// What it demands.
    pub search: Search,
}

/// An expression over selections, by their index. `1 of` and `all of` are already spelled out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// A selection.
    Selection(usize),
    /// Negation.
    Not(Box<Self>),
    /// Conjunction; true if empty.
    And(Vec<Self>),
    /// Disjunction; false if empty.
    Or(Vec<Self>),
}

/// What a selection demands.
#[derive(Clone, Debug)]
pub enum Search {
    /// All of them: the lines of a mapping.
    All(Vec<Self>),
    /// Any of them: the items of a list.
    Any(Vec<Self>),
    /// One line: a field and its test.
    Field(FieldTest),
    /// One array block.
    Array(ArrayTest),
    /// Words anywhere in the event.
    Keywords(Keywords),
}

/// A field and what it must be.
#[derive(Clone, Debug)]
pub struct FieldTest {
    /// The field; `None` is the element itself, in an array block.
    pub field: Option<FieldPath>,
    /// What it must be.
    pub test: Test,
    /// The line in the rule.
    pub span: Range<usize>,
}

/// A block over the elements of an array (`sigma-version: 3`).
#[derive(Clone, Debug)]
pub struct ArrayTest {
    /// The array; `None` is the element itself, for arrays of arrays.
    pub field: Option<FieldPath>,
    /// How many elements must match.
    pub quantifier: Quantifier,
    /// What an element must be.
    pub block: Block,
    /// The line in the rule.
    pub span: Range<usize>,
}

/// How many elements of an array must match a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Quantifier {
    /// At least one.
    Any,
    /// Every one, and there is one.
    All,
    /// Every one, also if there is none.
    AllOrEmpty,
    /// Not one.
    None,
}

/// The body of an array block.
#[derive(Clone, Debug)]
pub enum Block {
    /// Lines that must all hold for one element.
    Basic(Box<Search>),
    /// Named selections with their own condition, over one element.
    Extended(Box<Detection>),
}

/// Words anywhere in the string values of the raw event.
#[derive(Clone, Debug)]
pub struct Keywords {
    /// Any of them, or all.
    pub all: bool,
    /// Each is sought inside every string.
    pub patterns: Vec<Pattern>,
    /// The place in the rule.
    pub span: Range<usize>,
}

/// What a field must be.
#[derive(Clone, Debug)]
pub enum Test {
    /// Absent or null.
    Null,
    /// The key is there (or is not).
    Exists(bool),
    /// Some or all values match.
    Values {
        /// Every value must be matched by some member of the field, instead of any.
        all: bool,
        /// No member may match any value.
        negated: bool,
        /// What to compare with.
        values: Vec<ValueTest>,
    },
}

/// One comparison.
#[derive(Clone, Debug)]
pub enum ValueTest {
    /// A string, perhaps with wildcards; numbers and booleans compare by their text.
    Pattern(Pattern),
    /// A regular expression, unanchored.
    Regex(RegexTest),
    /// An address in a network.
    Cidr(IpNet),
    /// A number against a bound.
    Number(Ordering, f64),
    /// Any of these: the forms that one value takes when it is encoded.
    OneOf(Vec<Self>),
    /// Another field of the same event or element.
    FieldRef(FieldRef),
    /// A part of a timestamp, in UTC.
    Time(TimePart, Ordering, i64),
}

/// A regular expression with its text, which is what makes two of them equal.
#[derive(Clone)]
pub struct RegexTest {
    /// As written, flags in front.
    pub text: String,
    /// Compiled.
    pub regex: Regex,
}

impl fmt::Debug for RegexTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A comparison with another field.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FieldRef {
    /// The other field.
    pub field: FieldPath,
    /// How the two must relate.
    pub relation: Relation,
    /// Upper and lower case differ.
    pub cased: bool,
}

/// How a value must relate to a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Relation {
    /// The same.
    Equals,
    /// Contains it.
    Contains,
    /// Starts with it.
    StartsWith,
    /// Ends with it.
    EndsWith,
}

/// How numbers must compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ordering {
    /// `=`
    Equal,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Ordering {
    /// Whether `left` stands in this order to `right`.
    #[must_use]
    pub fn holds<T: PartialOrd + Copy>(self, left: T, right: T) -> bool {
        match self {
            Self::Equal => left == right,
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
        }
    }
}

/// A part of a timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "named as in the specification")]
pub enum TimePart {
    Minute,
    Hour,
    Day,
    /// ISO week of the year.
    Week,
    Month,
    Year,
}

/// A string with wildcards.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pattern {
    /// Pieces in order. Without `cased` literals are in lower case already.
    pub parts: Vec<Part>,
    /// Upper and lower case differ.
    pub cased: bool,
}

/// A piece of a [`Pattern`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// These characters.
    Literal(String),
    /// `?`: exactly one character.
    One,
    /// `*`: any number of characters.
    Many,
}
