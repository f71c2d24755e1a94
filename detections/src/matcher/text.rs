//! Patterns compiled to equality, prefix, suffix or substring searches where they can, and the texts that they are compared
//! with, folded to lower case at most once.

use std::borrow::Cow;
use std::cell::OnceCell;

use memchr::memmem;
use serde_json::Value;

use crate::json;
use crate::scalar;
use crate::sigma::ast::{Part, Pattern};

/// A compiled pattern; `cased` as in the pattern.
#[derive(Debug)]
pub(crate) struct Text {
    cased: bool,
    shape: Shape,
}

#[derive(Debug)]
enum Shape {
    Anything,
    Equals(String),
    StartsWith(String),
    EndsWith(String),
    Contains(Box<memmem::Finder<'static>>),
    Pieces(Vec<Part>),
}

/// A scalar's text, folded at most once.
pub(crate) struct Folded<'a> {
    pub(super) text: Cow<'a, str>,
    /// `None` inside if the text is in lower case already.
    lower: OnceCell<Option<Cow<'a, str>>>,
}

/// A scalar as tests see it.
pub(crate) struct Scalar<'a> {
    pub(super) number: Option<f64>,
    pub(super) text: Folded<'a>,
}

impl<'a> Scalar<'a> {
    /// `None` for null, objects and arrays.
    pub(super) fn of(value: &'a Value) -> Option<Self> {
        Some(Self {
            number: value.as_f64(),
            text: folded(value)?,
        })
    }

    /// A string.
    pub(crate) fn of_text(text: &'a str) -> Self {
        Self {
            number: None,
            text: Folded::new(text),
        }
    }

    /// The scalar that a JSON text is; `None` also if it is none, or not valid.
    pub(crate) fn of_json(text: &'a [u8]) -> Option<Self> {
        let (number, text) = if text.starts_with(b"\"") {
            (None, json::string(text)?)
        } else {
            let value: Value = serde_json::from_slice(text).ok()?;
            let text = scalar::text(&value)?.into_owned();
            (value.as_f64(), Cow::Owned(text))
        };
        let lower = OnceCell::new();
        Some(Self {
            number,
            text: Folded { text, lower },
        })
    }
}

impl<'a> Folded<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self {
            text: Cow::Borrowed(text),
            lower: OnceCell::new(),
        }
    }

    /// A text whose lower case is known.
    pub(crate) fn with_lower(text: &'a str, lower: &'a str) -> Self {
        Self {
            text: Cow::Borrowed(text),
            lower: OnceCell::from(Some(Cow::Borrowed(lower))),
        }
    }

    pub(super) fn lower(&self) -> &str {
        let fold = || {
            let is_upper = |byte: u8| !byte.is_ascii() || byte.is_ascii_uppercase();
            let folds = self.text.bytes().any(is_upper);
            folds.then(|| scalar::fold(&self.text).into())
        };
        self.lower
            .get_or_init(fold)
            .as_deref()
            .unwrap_or(&self.text)
    }
}

pub(super) fn folded(value: &Value) -> Option<Folded<'_>> {
    scalar::text(value).map(|text| Folded {
        text,
        lower: OnceCell::new(),
    })
}

impl Text {
    /// The word, if this looks for one anywhere in the text.
    pub(super) fn contained(&self, of_case: bool) -> Option<&[u8]> {
        match &self.shape {
            Shape::Contains(finder) if self.cased == of_case => Some(finder.needle()),
            _ => None,
        }
    }

    pub(crate) fn new(pattern: &Pattern) -> Self {
        let shape = match pattern.parts.as_slice() {
            [] => Shape::Equals(String::new()),
            [Part::Many] => Shape::Anything,
            [Part::Literal(text)] => Shape::Equals(text.clone()),
            [Part::Literal(text), Part::Many] => Shape::StartsWith(text.clone()),
            [Part::Many, Part::Literal(text)] => Shape::EndsWith(text.clone()),
            [Part::Many, Part::Literal(text), Part::Many] => {
                Shape::Contains(Box::new(memmem::Finder::new(text.as_bytes()).into_owned()))
            }
            parts => Shape::Pieces(parts.to_vec()),
        };
        Self {
            cased: pattern.cased,
            shape,
        }
    }

    pub(crate) fn matches(&self, text: &Folded<'_>) -> bool {
        let text = if self.cased { &text.text } else { text.lower() };
        match &self.shape {
            Shape::Anything => true,
            Shape::Equals(wanted) => text == wanted,
            Shape::StartsWith(wanted) => text.starts_with(wanted.as_str()),
            Shape::EndsWith(wanted) => text.ends_with(wanted.as_str()),
            Shape::Contains(finder) => finder.find(text.as_bytes()).is_some(),
            Shape::Pieces(parts) => glob(parts, text),
        }
    }
}

/// Matches by going back to the last `*` only: later stars make earlier choices irrelevant, so this is quadratic at worst.
fn glob(parts: &[Part], text: &str) -> bool {
    let (mut part, mut rest) = (0, text);
    let mut retry: Option<(usize, &str)> = None;
    loop {
        let step = match parts.get(part) {
            Some(Part::Many) => {
                retry = Some((part + 1, rest));
                Some(rest)
            }
            Some(Part::One) => next_char(rest),
            Some(Part::Literal(literal)) => rest.strip_prefix(literal.as_str()),
            None if rest.is_empty() => return true,
            None => None,
        };
        if let Some(left) = step {
            (part, rest) = (part + 1, left);
            continue;
        }
        let Some((after, left)) = retry.and_then(|(after, left)| Some((after, next_char(left)?)))
        else {
            return false;
        };
        (part, rest, retry) = (after, left, Some((after, left)));
    }
}

fn next_char(text: &str) -> Option<&str> {
    let mut rest = text.chars();
    rest.next().map(|_| rest.as_str())
}
