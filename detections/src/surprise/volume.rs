//! How much of something sessions held, by powers of two.
//!
//! A mean and its deviation say nothing here: nearly all sessions hold none, so that both are 0. How often there were at least
//! as many is a probability like any other, and adds up with the rest.

use std::iter::Sum;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// What is counted in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Class {
    /// Requests that were refused.
    Denied,
    /// Reads of secrets.
    SecretsRead,
    /// Deletions.
    Deletions,
    /// All requests.
    Requests,
}

impl Class {
    /// How many classes there are.
    pub const COUNT: usize = 4;

    /// All of them.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Denied,
        Self::SecretsRead,
        Self::Deletions,
        Self::Requests,
    ];

    /// What there were so many of, as an explanation says it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::SecretsRead => "secrets read",
            Self::Deletions => "deletions",
            Self::Requests => "requests",
        }
    }

    /// Fewer than so many in a session are never much.
    pub(super) fn least(self) -> u64 {
        match self {
            Self::Denied | Self::SecretsRead => 5,
            Self::Deletions => 10,
            Self::Requests => 50,
        }
    }
}

/// Bins: none, 1, 2 to 3, 4 to 7, … and from 2048 on.
pub(super) const BINS: usize = 13;

/// The bin of a count.
pub(super) fn bin(count: u64) -> usize {
    let bits = (u64::BITS - count.leading_zeros()) as usize;
    bits.min(BINS - 1)
}

/// The greatest count of a bin; the last one has no end, and is told by its beginning.
pub(super) fn most(bin: usize) -> u64 {
    (1 << bin) - 1
}

/// Sessions by class and bin: of an actor with weights that are forgotten, of a kind as plain numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Histograms<N>([[N; BINS]; Class::COUNT]);

impl<N: Copy + AddAssign + Sum + PartialOrd + Default> Histograms<N> {
    pub(super) fn add(&mut self, class: Class, count: u64, by: N) {
        self.0[class as usize][bin(count)] += by;
    }

    /// Sessions that held at least as many as the bin says.
    pub(super) fn at_least(&self, class: Class, bin: usize) -> N {
        self.0[class as usize].iter().skip(bin).copied().sum()
    }

    /// Sessions that held any.
    pub(super) fn all(&self, class: Class) -> N {
        self.at_least(class, 0)
    }

    /// The highest bin that any session was in; 0 if none was.
    pub(super) fn highest(&self, class: Class) -> usize {
        let is_used = |sessions: &N| *sessions > N::default();
        self.0[class as usize]
            .iter()
            .rposition(is_used)
            .unwrap_or(0)
    }
}
