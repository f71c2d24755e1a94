//! Kleene's three-valued logic: a field that cannot be seen makes a test neither true nor false.

use std::ops::Not;

/// The outcome of a test. The order is the one in which `and` is the minimum and `or` the maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Truth {
    /// It does not hold.
    False,
    /// The event cannot show it.
    Unknown,
    /// It holds.
    True,
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

impl Not for Truth {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Self::False => Self::True,
            Self::Unknown => Self::Unknown,
            Self::True => Self::False,
        }
    }
}

impl Truth {
    /// True if all are; true of nothing.
    pub fn all(truths: impl IntoIterator<Item = Self>) -> Self {
        truths.into_iter().min().unwrap_or(Self::True)
    }

    /// True if one is; false of nothing.
    pub fn any(truths: impl IntoIterator<Item = Self>) -> Self {
        truths.into_iter().max().unwrap_or(Self::False)
    }

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::False => "no",
            Self::Unknown => "unknown",
            Self::True => "yes",
        }
    }
}

/// What is known of a truth that has not been looked at yet: it lies between two, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) least: Truth,
    pub(crate) most: Truth,
}

impl Bounds {
    /// Nothing is known.
    pub(crate) const ANY: Self = Self {
        least: Truth::False,
        most: Truth::True,
    };

    pub(crate) const FALSE: Self = Self {
        least: Truth::False,
        most: Truth::False,
    };

    /// The truth, if only one is left.
    pub(crate) fn known(self) -> Option<Truth> {
        (self.least == self.most).then_some(self.least)
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            least: self.least.min(other.least),
            most: self.most.min(other.most),
        }
    }

    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            least: self.least.max(other.least),
            most: self.most.max(other.most),
        }
    }
}

impl From<Truth> for Bounds {
    fn from(truth: Truth) -> Self {
        Self {
            least: truth,
            most: truth,
        }
    }
}

impl Not for Bounds {
    type Output = Self;

    fn not(self) -> Self {
        Self {
            least: !self.most,
            most: !self.least,
        }
    }
}
