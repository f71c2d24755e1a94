//! What an API server says that it did with audit events, read from its page of metrics.
//!
//! The page is text, a sample a line, in the form of Prometheus or of `OpenMetrics`, and has some megabytes, of which a few
//! lines matter. It is read as it comes, and never kept. A series that is not there is no fault: an API server that lost nothing shows no
//! `plugin`. A page on which nothing of all this stands is none of an API server.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read as _};

use serde::{Deserialize, Serialize};

const EVENTS: &str = "apiserver_audit_event_total";
const ERRORS: &str = "apiserver_audit_error_total";
const REJECTED: &str = "apiserver_audit_requests_rejected_total";
const STARTED: &str = "process_start_time_seconds";

/// 32 MiB: what is behind it on a page is not read. Series stand in the order of their names, and ours come early.
const PAGE_BYTES_MAX: u64 = 32 << 20;

/// 64 KiB: a longer line is none of ours.
const LINE_BYTES_MAX: u64 = 64 << 10;

/// Plugins that are told apart. Kubernetes has five.
const PLUGINS_MAX: usize = 32;

/// Characters of a plugin's name, and of a page that is none, that are kept.
const NAME_CHARS_MAX: usize = 64;

/// 2^53: up to here every whole number has a float of its own.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// The counters of one process, as of one look at them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counters {
    /// Events that were handed to the backends.
    pub events: Option<u64>,
    /// Events that were lost, by the plugin that lost them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub errors: BTreeMap<String, u64>,
    /// Requests that were refused because they could not be audited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected: Option<u64>,
    /// When the process was started, milliseconds since 1970 UTC.
    pub started_ms: Option<i64>,
}

/// Why there are no counters.
#[derive(Debug, thiserror::Error)]
pub enum CountersError {
    /// The page broke off.
    #[error("the page of metrics broke off: {0}")]
    Read(#[from] io::Error),
    /// Something else was answered.
    #[error("this is no page of an API server's metrics; it begins with `{beginning}`")]
    NotMetrics {
        /// Its beginning, without anything that a terminal would obey.
        beginning: String,
    },
}

impl Counters {
    /// Reads a page.
    ///
    /// # Errors
    /// If it breaks off, or shows nothing of what an API server's shows.
    pub fn read(page: impl BufRead) -> Result<Self, CountersError> {
        let mut page = page.take(PAGE_BYTES_MAX);
        let (mut counters, mut found) = (Self::default(), false);
        let mut beginning = String::new();
        let mut line = Vec::new();
        loop {
            line.clear();
            let bytes = (&mut page)
                .take(LINE_BYTES_MAX)
                .read_until(b'\n', &mut line)?;
            if bytes == 0 {
                break;
            }
            let has_end = line.ends_with(b"\n");
            if !has_end && bytes as u64 == LINE_BYTES_MAX {
                page.skip_until(b'\n')?;
                continue;
            }
            if !has_end && page.limit() == 0 {
                // Cut by our own bound: half a number is a wrong one.
                break;
            }
            let Ok(text) = std::str::from_utf8(&line) else {
                continue;
            };
            if beginning.is_empty() {
                beginning = printable(text);
            }
            found |= counters.take_line(text);
        }
        if found {
            Ok(counters)
        } else {
            Err(CountersError::NotMetrics { beginning })
        }
    }

    /// Takes a line in. True if it was one of ours.
    fn take_line(&mut self, line: &str) -> bool {
        let end = line.find(['{', ' ', '\t']).unwrap_or(line.len());
        let (name, rest) = line.split_at(end);
        if !matches!(name, EVENTS | ERRORS | REJECTED | STARTED) {
            return false;
        }
        let Some((plugin, rest)) = labels(rest) else {
            return false;
        };
        let value = rest.split_ascii_whitespace().next();
        let Some(value) = value.and_then(|value| value.parse::<f64>().ok()) else {
            return false;
        };
        if name == STARTED {
            self.started_ms = whole(value * 1000.0).and_then(|ms| i64::try_from(ms).ok());
            return self.started_ms.is_some();
        }
        let Some(count) = whole(value) else {
            return false;
        };
        match name {
            EVENTS => add(self.events.get_or_insert(0), count),
            REJECTED => add(self.rejected.get_or_insert(0), count),
            _ => {
                let plugin = printable(&plugin.unwrap_or_default());
                if self.errors.len() < PLUGINS_MAX || self.errors.contains_key(&plugin) {
                    add(self.errors.entry(plugin).or_default(), count);
                }
            }
        }
        true
    }
}

fn add(sum: &mut u64, count: u64) {
    *sum = sum.saturating_add(count);
}

/// A sample's value as a count. The page writes large ones as floats: `1.2345678e+07`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it was just looked at: a whole number between 0 and 2^53"
)]
fn whole(value: f64) -> Option<u64> {
    (0.0..EXACT_MAX)
        .contains(&value)
        .then(|| value.round() as u64)
}

/// The value of the label `plugin`, and what stands behind all labels. `None` if they do not end.
fn labels(text: &str) -> Option<(Option<String>, &str)> {
    let Some(mut rest) = text.strip_prefix('{') else {
        return Some((None, text));
    };
    let mut plugin = None;
    loop {
        rest = rest.trim_start_matches([',', ' ', '\t']);
        if let Some(behind) = rest.strip_prefix('}') {
            return Some((plugin, behind));
        }
        let (key, behind) = rest.split_once('=')?;
        let (value, behind) = quoted(behind.trim_start().strip_prefix('"')?)?;
        if key.trim() == "plugin" {
            plugin = Some(value);
        }
        rest = behind;
    }
}

/// A text up to its closing quote, with escapes resolved, and what stands behind it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[index + 1..])),
            '\\' => match characters.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            _ => value.push(character),
        }
    }
    None
}

/// The beginning of a text, as printable ASCII.
fn printable(text: &str) -> String {
    let is_printable = |character: &char| character.is_ascii_graphic() || *character == ' ';
    let text = text.trim().chars().filter(is_printable);
    text.take(NAME_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests;
