//! The rules that the binary carries.

use crate::diagnostic::Source;

/// A rule file and its page, as embedded.
#[derive(Clone, Copy, Debug)]
pub struct Bundled {
    /// The path below `rules/`: `execution/pod_exec_or_attach.yml`.
    pub path: &'static str,
    /// The rule's text.
    pub rule: &'static str,
    /// The page's text.
    pub page: &'static str,
}

/// All of them, by path.
pub const RULES: &[Bundled] = include!(concat!(env!("OUT_DIR"), "/bundled.rs"));

impl Bundled {
    /// The rule as a source to load.
    #[must_use]
    pub fn source(&self) -> Source {
        Source::new(self.path, self.rule)
    }

    /// The name of the rule, which is the stem of its file.
    #[must_use]
    pub fn name(&self) -> &'static str {
        let file = self.path.rsplit('/').next().unwrap_or(self.path);
        file.strip_suffix(".yml").unwrap_or(file)
    }
}

/// The page of a bundled rule.
#[must_use]
pub fn page(name: &str) -> Option<&'static str> {
    RULES
        .iter()
        .find(|bundled| bundled.name() == name)
        .map(|bundled| bundled.page)
}
