//! What a correlation or a baseline document says: which rules' matches belong together, over how long, and what makes a
//! finding.

use std::fmt;

use crate::path::FieldPath;

use super::Header;

/// A rule about several events, after all names are resolved.
#[derive(Clone, Debug)]
pub struct Correlation {
    /// What every rule has.
    pub header: Header,
    /// What is looked at in a window.
    pub kind: Kind,
    /// What feeds it, in the order of the file.
    pub inputs: Vec<Input>,
    /// What tells groups apart; each group has windows of its own. The cluster always does, too.
    pub group_by: Vec<GroupField>,
    /// The length of a window, of a bucket of a [`Kind::Spike`], microseconds of event time; 0 where neither is asked for.
    pub timespan_us: i64,
    /// What must hold of the window. Of a baseline its kind says all.
    pub bounds: Bounds,
    /// It only feeds others, and raises nothing by itself.
    pub silent: bool,
}

/// What is looked at in a window.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// How many events there are.
    EventCount,
    /// How many distinct values a field has.
    ValueCount(ValueField),
    /// How many of the inputs occurred, in any order.
    Temporal,
    /// Whether the inputs occurred in their order.
    TemporalOrdered,
    /// The sum of a numeric field.
    ValueSum(ValueField),
    /// The mean of a numeric field.
    ValueAvg(ValueField),
    /// A percentile of a numeric field, 0 to 100.
    ValuePercentile(ValueField, f64),
    /// A baseline: whether a group shows a value that it has not shown for long.
    FirstSeen {
        /// The fields whose values together are one.
        of: Vec<ValueField>,
        /// For how long a group learns and remembers.
        memory: Memory,
    },
    /// A baseline: whether a group shows a value that it hardly ever shows.
    Rare {
        /// The fields whose values together are one.
        of: Vec<ValueField>,
        /// For how long a group learns, and after how long an event weighs half.
        memory: Memory,
        /// The share of the group's events below which a value is rare, 0 to 1.
        below: f64,
    },
    /// A baseline: whether a group does far more within a timespan than it used to.
    Spike {
        /// For how long a group learns and remembers.
        memory: Memory,
        /// The least number of events that is one.
        at_least: u64,
        /// By how many median deviations it must exceed the median.
        deviations: f64,
    },
}

/// For how long the groups of a baseline learn and remember, microseconds of event time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// A group is silent that long after its first event.
    pub learn_us: i64,
    /// What was not seen for longer is new again; a group that was silent for longer is forgotten.
    pub forget_us: i64,
}

impl Kind {
    /// The word for it: Sigma's, or our own for baselines.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::EventCount => "event_count",
            Self::ValueCount(_) => "value_count",
            Self::Temporal => "temporal",
            Self::TemporalOrdered => "temporal_ordered",
            Self::ValueSum(_) => "value_sum",
            Self::ValueAvg(_) => "value_avg",
            Self::ValuePercentile(..) => "value_percentile",
            Self::FirstSeen { .. } => "first_seen",
            Self::Rare { .. } => "rare",
            Self::Spike { .. } => "spike",
        }
    }

    /// The field that is looked at, if there is one.
    #[must_use]
    pub fn field(&self) -> Option<&ValueField> {
        match self {
            Self::ValueCount(field)
            | Self::ValueSum(field)
            | Self::ValueAvg(field)
            | Self::ValuePercentile(field, _) => Some(field),
            Self::EventCount
            | Self::Temporal
            | Self::TemporalOrdered
            | Self::FirstSeen { .. }
            | Self::Rare { .. }
            | Self::Spike { .. } => None,
        }
    }

    /// The fields whose values together are what a baseline knows; empty where it knows none.
    #[must_use]
    pub fn of(&self) -> &[ValueField] {
        match self {
            Self::FirstSeen { of, .. } | Self::Rare { of, .. } => of,
            _ => &[],
        }
    }

    /// The numbers of a kind besides fields and bounds, each with its name, in a form that stays the same.
    #[must_use]
    pub fn parameters(&self) -> Vec<String> {
        let mut parts = Vec::new();
        if let Some(memory) = self.memory() {
            parts.push(format!("learn {}", memory.learn_us));
            parts.push(format!("forget {}", memory.forget_us));
        }
        match self {
            Self::ValuePercentile(_, percent) => {
                parts.push(format!("percentile {:x}", percent.to_bits()));
            }
            Self::Rare { below, .. } => parts.push(format!("below {:x}", below.to_bits())),
            Self::Spike {
                at_least,
                deviations,
                ..
            } => {
                parts.push(format!("at-least {at_least}"));
                parts.push(format!("deviations {:x}", deviations.to_bits()));
            }
            _ => {}
        }
        parts
    }

    /// For how long a baseline learns and remembers; `None` if it is none.
    #[must_use]
    pub fn memory(&self) -> Option<Memory> {
        match self {
            Self::FirstSeen { memory, .. }
            | Self::Rare { memory, .. }
            | Self::Spike { memory, .. } => Some(*memory),
            _ => None,
        }
    }
}

/// What feeds a correlation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Matches of the rule with this name. With a filter on the correlation, a private copy of it.
    Rule(String),
    /// Findings of the correlation with this name.
    Correlation(String),
}

impl Input {
    /// The name of the rule or correlation.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Rule(name) | Self::Correlation(name) => name,
        }
    }
}

/// A field that tells groups apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupField {
    /// As written: a field, or an alias.
    pub name: String,
    /// By input, the field of its events. An input that an alias does not name has none.
    pub paths: Vec<Option<FieldPath>>,
}

/// A field whose values are counted or summed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueField {
    /// As written: a field, or an alias.
    pub name: String,
    /// By input, the field of its events.
    pub paths: Vec<Option<FieldPath>>,
}

/// What a number must be: one comparison, or two as a range.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bounds {
    /// At least, or more than if `.1`.
    pub lower: Option<(f64, bool)>,
    /// At most, or less than if `.1`.
    pub upper: Option<(f64, bool)>,
    /// Not this.
    pub except: Option<f64>,
}

impl Bounds {
    /// At least a number.
    #[must_use]
    pub fn at_least(number: f64) -> Self {
        Self {
            lower: Some((number, false)),
            ..Self::default()
        }
    }

    /// Whether a number is within.
    #[must_use]
    pub fn hold(&self, number: f64) -> bool {
        let above = self
            .lower
            .is_none_or(|(bound, strictly)| number > bound || (!strictly && number >= bound));
        let below = self
            .upper
            .is_none_or(|(bound, strictly)| number < bound || (!strictly && number <= bound));
        #[expect(clippy::float_cmp, reason = "a rule names an exact number")]
        let excepted = self.except.is_some_and(|except| except == number);
        above && below && !excepted
    }

    /// Whether more events can undo what holds: then only the window's end decides.
    #[must_use]
    pub fn wait_for_end(&self) -> bool {
        self.upper.is_some() || self.except.is_some()
    }

    /// The least whole number that satisfies the lower bound, as far as there is one.
    #[must_use]
    pub fn least_count(&self) -> u64 {
        let (bound, strictly) = self.lower.unwrap_or((0.0, false));
        let least = if strictly {
            bound.floor() + 1.0
        } else {
            bound.ceil()
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "conditions are checked to be below 2^53 when they are read"
        )]
        let least = least.max(0.0) as u64;
        least
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if let (Some((low, false)), Some((high, false))) = (self.lower, self.upper)
            && low.to_bits() == high.to_bits()
        {
            parts.push(format!("exactly {low}"));
        } else {
            let lower = |(bound, strictly)| {
                if strictly {
                    format!("more than {bound}")
                } else {
                    format!("at least {bound}")
                }
            };
            let upper = |(bound, strictly)| {
                if strictly {
                    format!("less than {bound}")
                } else {
                    format!("at most {bound}")
                }
            };
            parts.extend(self.lower.map(lower));
            parts.extend(self.upper.map(upper));
        }
        parts.extend(self.except.map(|number| format!("not {number}")));
        f.write_str(&parts.join(" and "))
    }
}
