//! Identifiers of ATT&CK, checked once where they enter and trusted afterwards.
//!
//! An id that parses is well formed; whether ATT&CK knows it is the question of
//! [`catalog`](crate::catalog). Parsing ignores case and accepts the form of a Sigma tag
//! (`attack.t1609`); printing always gives the official form (`T1609`).

use std::error::Error;
use std::fmt;
use std::str::FromStr;

/// The namespace of ATT&CK among the tags of a Sigma rule, without its dot.
const NAMESPACE: &str = "attack";

/// A technique (`T1609`) or sub-technique (`T1078.001`).
///
/// Ordered as ATT&CK lists them: by number, a technique before its sub-techniques.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TechniqueId {
    number: u16,
    sub: Option<u16>,
}

/// A tactic (`TA0002`).
///
/// Ordered by number, which is not the order of the matrix: that is
/// [`Tactic::position`](crate::Tactic::position).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TacticId(u16);

/// A text that is not an id, and what would be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseIdError {
    text: String,
    expected: &'static str,
}

impl TechniqueId {
    /// Whether this names a sub-technique.
    #[must_use]
    pub fn is_subtechnique(self) -> bool {
        self.sub.is_some()
    }

    /// The technique that this sub-technique belongs to; `None` for a technique.
    #[must_use]
    pub fn parent(self) -> Option<Self> {
        self.sub.map(|_| Self {
            number: self.number,
            sub: None,
        })
    }

    /// The form in which a Sigma rule names it: `attack.t1078.001`.
    #[must_use]
    pub fn as_tag(self) -> String {
        format!("{NAMESPACE}.{self}").to_ascii_lowercase()
    }

    /// The page of this technique; a sub-technique's is below its parent's.
    pub(crate) fn url(self) -> String {
        let path = self.to_string().replace('.', "/");
        format!("https://attack.mitre.org/techniques/{path}/")
    }
}

impl TacticId {
    /// The page of this tactic.
    pub(crate) fn url(self) -> String {
        format!("https://attack.mitre.org/tactics/{self}/")
    }
}

impl FromStr for TechniqueId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_technique(text).ok_or_else(|| ParseIdError {
            text: text.to_owned(),
            expected: "a technique id such as T1609 or T1078.001",
        })
    }
}

impl FromStr for TacticId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_tactic(text).ok_or_else(|| ParseIdError {
            text: text.to_owned(),
            expected: "a tactic id such as TA0002",
        })
    }
}

impl fmt::Display for TechniqueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.sub {
            Some(sub) => format!("T{:04}.{sub:03}", self.number),
            None => format!("T{:04}", self.number),
        };
        // `pad` rather than `write!`, so that a width aligns a column of ids.
        f.pad(&text)
    }
}

impl fmt::Display for TacticId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("TA{:04}", self.0))
    }
}

impl fmt::Display for ParseIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not {}", self.text, self.expected)
    }
}

impl Error for ParseIdError {}

/// What follows `attack.` in a tag of that namespace; `None` for a tag of another one.
pub(crate) fn strip_namespace(tag: &str) -> Option<&str> {
    let (namespace, rest) = tag.split_once('.')?;
    namespace.eq_ignore_ascii_case(NAMESPACE).then_some(rest)
}

fn parse_technique(text: &str) -> Option<TechniqueId> {
    let bare = strip_namespace(text).unwrap_or(text);
    let (number, sub) = match bare.split_once('.') {
        Some((number, sub)) => (number, Some(digits(sub, 3)?)),
        None => (bare, None),
    };
    let number = number.strip_prefix(['T', 't'])?;
    Some(TechniqueId {
        number: digits(number, 4)?,
        sub,
    })
}

fn parse_tactic(text: &str) -> Option<TacticId> {
    let bare = strip_namespace(text).unwrap_or(text);
    let number = bare.strip_prefix(['T', 't'])?.strip_prefix(['A', 'a'])?;
    digits(number, 4).map(TacticId)
}

/// A number of exactly `count` digits. `u16::from_str` alone would also take a sign and any length.
pub(crate) fn digits(text: &str, count: usize) -> Option<u16> {
    let all_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    (text.len() == count && all_digits).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_technique(text: &str, expected: Option<&str>) {
        let printed = text.parse::<TechniqueId>().ok().map(|id| id.to_string());
        assert_eq!(printed.as_deref(), expected, "{text}");
    }

    #[track_caller]
    fn check_tactic(text: &str, expected: Option<&str>) {
        let printed = text.parse::<TacticId>().ok().map(|id| id.to_string());
        assert_eq!(printed.as_deref(), expected, "{text}");
    }

    #[test]
    fn techniques_are_read_in_any_case_and_as_tags() {
        check_technique("T1609", Some("T1609"));
        check_technique("t1078.001", Some("T1078.001"));
        check_technique("attack.t1609", Some("T1609"));
        check_technique("ATTACK.T1078.001", Some("T1078.001"));
        check_technique("T0001", Some("T0001"));
    }

    #[test]
    fn what_is_no_technique_is_refused() {
        let wrong = [
            "",
            "T",
            "1609",
            "T160",
            "T16090",
            "T1078.1",
            "T1078.0011",
            "T1078.",
            "T1078.001.2",
            "T+160",
            " T1609",
            "T1609 ",
            "TA0002",
            "car.t1609",
            "attack.",
            "attack.attack.t1609",
            "T16é9",
        ];
        for text in wrong {
            check_technique(text, None);
        }
    }

    #[test]
    fn tactics_are_read_in_any_case_and_as_tags() {
        check_tactic("TA0002", Some("TA0002"));
        check_tactic("attack.ta0112", Some("TA0112"));
        check_tactic("Ta0002", Some("TA0002"));
        for text in ["TA002", "TA00002", "T1609", "A0002", "", "TA-002"] {
            check_tactic(text, None);
        }
    }

    #[test]
    fn the_error_names_the_text_and_what_was_expected() {
        let error = "T16"
            .parse::<TechniqueId>()
            .expect_err("two digits are too few");
        assert_eq!(
            error.to_string(),
            "`T16` is not a technique id such as T1609 or T1078.001"
        );
    }

    #[test]
    fn a_technique_sorts_before_its_subtechniques() {
        let mut ids = ["T1078.003", "T1098", "T1078", "T1078.001"]
            .map(|id| id.parse::<TechniqueId>().expect("well formed"));
        ids.sort_unstable();
        assert_eq!(
            ids.map(|id| id.to_string()),
            ["T1078", "T1078.001", "T1078.003", "T1098"]
        );
    }

    #[test]
    fn parent_and_tag_follow_from_the_id() {
        let id: TechniqueId = "T1078.001".parse().expect("well formed");
        assert_eq!(
            id.parent().map(|parent| parent.to_string()).as_deref(),
            Some("T1078")
        );
        assert_eq!(id.parent().and_then(TechniqueId::parent), None);
        assert_eq!(id.as_tag(), "attack.t1078.001");
        assert_eq!(format!("{id:<11}|"), "T1078.001  |");
    }
}
