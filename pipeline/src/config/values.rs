//! What was written, checked against the table of fields.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use detections::diagnostic::{Sink, did_you_mean};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fields::{FIELDS, Field, Kind, SECTIONS, find, fits};

/// Where a secret is.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// In this file; white space around it does not count.
    File(PathBuf),
    /// In this variable of the environment.
    Environment(String),
}

/// A value of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Flag(bool),
    Number(i64),
    Size(u64),
    Duration(Duration),
    Address(SocketAddr),
    Texts(Vec<String>),
    Secret(Secret),
    Settings(BTreeMap<String, String>),
    Secrets(BTreeMap<String, Secret>),
}

/// All values that were written, by path.
#[derive(Clone, Debug, Default)]
pub struct Values {
    written: BTreeMap<String, (Value, Range<usize>)>,
    /// Where each table stands.
    tables: BTreeMap<String, Range<usize>>,
    /// Fields whose values could not be used, and of which that was said.
    faulty: BTreeSet<String>,
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(formatter, "*** (file {})", path.display()),
            Self::Environment(name) => write!(formatter, "*** (environment {name})"),
        }
    }
}

impl Secret {
    /// Reads it.
    ///
    /// # Errors
    /// If it is not there, or empty; the text says where it should be.
    pub fn read(&self) -> Result<String, String> {
        let found = match self {
            Self::File(path) => std::fs::read_to_string(path).map_err(|error| {
                format!("cannot read the secret in {}: {error}", path.display())
            })?,
            Self::Environment(name) => std::env::var(name)
                .map_err(|_| format!("the secret's variable {name} is not in the environment"))?,
        };
        let secret = found.trim();
        if secret.is_empty() {
            return Err(format!("the secret is empty: {self:?}"));
        }
        Ok(secret.to_owned())
    }
}

impl Values {
    /// Reads a text; all that is wrong with it goes to the sink.
    pub(super) fn read(sink: &mut Sink) -> Self {
        let text = sink.source().text.clone();
        let (table, errors) = DeTable::parse_recoverable(&text);
        for error in errors {
            let span = error.span().unwrap_or(0..text.len());
            sink.error("toml", span, error.message().trim_end());
        }
        let mut values = Self::default();
        values.table("", table.get_ref(), sink);
        values
    }

    fn table(&mut self, path: &str, table: &DeTable<'_>, sink: &mut Sink) {
        for (key, value) in table {
            let path = join(path, key.get_ref());
            self.value(&path, key.span(), value, sink);
        }
    }

    fn value(
        &mut self,
        path: &str,
        key: Range<usize>,
        value: &Spanned<DeValue<'_>>,
        sink: &mut Sink,
    ) {
        if let Some(field) = find(path) {
            match parse(field, value.get_ref()) {
                Ok(parsed) => drop(self.written.insert(path.to_owned(), (parsed, value.span()))),
                Err(help) => {
                    self.faulty.insert(path.to_owned());
                    sink.error(
                        "wrong_value",
                        value.span(),
                        format!("`{path}` cannot be this"),
                    )
                    .help(format!(
                        "{help}, for example {} = {}",
                        last(path),
                        field.example
                    ));
                }
            }
            return;
        }
        match value.get_ref() {
            DeValue::Table(table) if is_section(path) => {
                self.tables.insert(path.to_owned(), key);
                self.table(path, table, sink);
            }
            DeValue::Array(list) if is_section(&format!("{path}[0]")) => {
                for (number, element) in list.iter().enumerate() {
                    let path = format!("{path}[{number}]");
                    if let DeValue::Table(table) = element.get_ref() {
                        self.tables.insert(path.clone(), element.span());
                        self.table(&path, table, sink);
                    } else {
                        sink.error(
                            "wrong_value",
                            element.span(),
                            format!("`{path}` must be a table"),
                        );
                    }
                }
            }
            _ => unknown(path, key, sink),
        }
    }

    pub(super) fn get(&self, path: &str) -> Option<&Value> {
        self.written.get(path).map(|(value, _)| value)
    }

    /// Whether a field was written, though wrongly.
    pub(super) fn is_faulty(&self, path: &str) -> bool {
        self.faulty.contains(path)
    }

    /// Where a value, or else its table, stands.
    pub(super) fn span(&self, path: &str) -> Range<usize> {
        let value = self.written.get(path).map(|(_, span)| span.clone());
        let table = || {
            let parent = path.rsplit_once('.').map_or("", |(parent, _)| parent);
            self.tables
                .get(parent)
                .or_else(|| self.tables.get(path))
                .cloned()
        };
        value.or_else(table).unwrap_or(0..0)
    }

    /// The names or elements below a path: `sinks` has those of the user, `http.tokens` has `http.tokens[0]`.
    pub(super) fn children(&self, path: &str) -> Vec<String> {
        let of = |table: &&String| {
            let rest = table.strip_prefix(path);
            rest.is_some_and(|rest| rest.starts_with(['.', '[']) && !rest[1..].contains(['.', '[']))
        };
        self.tables.keys().filter(of).cloned().collect()
    }
}

/// The default of a field, if it has one.
pub(super) fn default_of(field: &Field) -> Option<Value> {
    if field.default.is_empty() {
        return None;
    }
    let value = DeValue::parse(field.default).ok()?;
    parse(field, value.get_ref()).ok()
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

/// Whether a path is a table that fields stand in, or that holds such tables.
fn is_section(path: &str) -> bool {
    let depth = path.split('.').count();
    SECTIONS.iter().any(|(section, _)| {
        let above: Vec<&str> = section.split('.').take(depth).collect();
        above.len() == depth && fits(&above.join("."), path)
    })
}

fn unknown(path: &str, key: Range<usize>, sink: &mut Sink) {
    let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
    let mut siblings: Vec<&str> = Vec::new();
    for pattern in FIELDS.iter().map(|field| field.path) {
        let parts: Vec<&str> = pattern.split('.').collect();
        for depth in 0..parts.len() {
            if fits(&parts[..depth].join("."), parent) || (depth == 0 && parent.is_empty()) {
                siblings.push(parts[depth].trim_end_matches("[]"));
            }
        }
    }
    siblings.retain(|sibling| *sibling != "*");
    siblings.sort_unstable();
    siblings.dedup();
    let near = did_you_mean(name, siblings.iter().copied());
    let help = near.map_or_else(
        || format!("there is {}", siblings.join(", ")),
        |near| format!("did you mean `{near}`?"),
    );
    sink.error("unknown_field", key, format!("there is no field `{path}`"))
        .help(help);
}

/// A value of the right kind, or what the right kind is.
fn parse(field: &Field, value: &DeValue<'_>) -> Result<Value, String> {
    match (field.kind, value) {
        (Kind::Text, DeValue::String(text)) if !text.is_empty() => {
            Ok(Value::Text(text.to_string()))
        }
        (Kind::Text, _) => Err("write a text in quotes".to_owned()),
        (Kind::Flag, DeValue::Boolean(flag)) => Ok(Value::Flag(*flag)),
        (Kind::Flag, _) => Err("write true or false".to_owned()),
        (Kind::Number(low, high), value) => number(value)
            .filter(|number| (low..=high).contains(number))
            .map(Value::Number)
            .ok_or_else(|| format!("write a whole number from {low} to {high}")),
        (Kind::Size, value) => text(value)
            .and_then(size)
            .map(Value::Size)
            .ok_or_else(|| "write a number of bytes with KiB, MiB, GiB or TiB".to_owned()),
        (Kind::Duration, value) => text(value)
            .and_then(duration)
            .map(Value::Duration)
            .ok_or_else(|| "write a whole number with ms, s, m, h or d".to_owned()),
        (Kind::Address, value) => text(value)
            .and_then(|text| text.parse().ok())
            .map(Value::Address)
            .ok_or_else(|| "write an IP address and a port".to_owned()),
        (Kind::Texts, value) => texts(value)
            .map(Value::Texts)
            .ok_or_else(|| "write a list of texts".to_owned()),
        (Kind::Choice(choices), value) => {
            let chosen = text(value).filter(|text| choices.contains(text));
            chosen
                .map(|text| Value::Text(text.to_owned()))
                .ok_or_else(|| format!("write one of {}", choices.join(", ")))
        }
        (Kind::Settings, DeValue::Table(table)) => leaves(table, &setting)
            .map(Value::Settings)
            .ok_or_else(|| "write names with texts, numbers, true or false".to_owned()),
        (Kind::Settings, _) => Err("write a table of names and values".to_owned()),
        (Kind::Secrets, DeValue::Table(table)) => leaves(table, &|value| match value {
            DeValue::Table(table) => secret_place(table),
            _ => None,
        })
        .map(Value::Secrets)
        .ok_or_else(secret_help),
        (Kind::Secret, DeValue::Table(table)) => secret(table).ok_or_else(secret_help),
        (Kind::Secret | Kind::Secrets, _) => Err(secret_help()),
    }
}

fn secret_help() -> String {
    "secrets do not stand in this file: say where it is, by file or env".to_owned()
}

/// Names with their values; a name with dots may also be written as tables in tables.
fn leaves<T>(
    table: &DeTable<'_>,
    leaf: &dyn Fn(&DeValue<'_>) -> Option<T>,
) -> Option<BTreeMap<String, T>> {
    let mut found = BTreeMap::new();
    for (key, value) in table {
        let name = key.get_ref().as_ref();
        match (leaf(value.get_ref()), value.get_ref()) {
            (Some(value), _) => drop(found.insert(name.to_owned(), value)),
            (None, DeValue::Table(inner)) => {
                let inner = leaves(inner, leaf)?;
                found.extend(
                    inner
                        .into_iter()
                        .map(|(rest, value)| (join(name, &rest), value)),
                );
            }
            (None, _) => return None,
        }
    }
    Some(found)
}

fn setting(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Boolean(flag) => Some(flag.to_string()),
        value => number(value).map(|number| number.to_string()),
    }
}

fn secret(table: &DeTable<'_>) -> Option<Value> {
    secret_place(table).map(Value::Secret)
}

fn secret_place(table: &DeTable<'_>) -> Option<Secret> {
    let mut entries = table.iter();
    let (key, value) = entries.next()?;
    let place = text(value.get_ref()).filter(|place| !place.is_empty())?;
    if entries.next().is_some() {
        return None;
    }
    match key.get_ref().as_ref() {
        "file" => Some(Secret::File(place.into())),
        "env" => Some(Secret::Environment(place.to_owned())),
        _ => None,
    }
}

fn text<'a>(value: &'a DeValue<'_>) -> Option<&'a str> {
    match value {
        DeValue::String(text) => Some(text),
        _ => None,
    }
}

fn texts(value: &DeValue<'_>) -> Option<Vec<String>> {
    let DeValue::Array(list) = value else {
        return None;
    };
    list.iter()
        .map(|element| text(element.get_ref()).map(ToOwned::to_owned))
        .collect()
}

fn number(value: &DeValue<'_>) -> Option<i64> {
    match value {
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok(),
        _ => None,
    }
}

fn size(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "B" | "" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1_u64 << 40,
        _ => return None,
    };
    digits
        .trim()
        .parse::<u64>()
        .ok()?
        .checked_mul(unit)
        .filter(|bytes| *bytes > 0)
}

fn duration(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let unit_ms = match &text[digits.len()..] {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000_u64,
        _ => return None,
    };
    let milliseconds = digits.trim().parse::<u64>().ok()?.checked_mul(unit_ms)?;
    // A century: beyond it times of the log would run over.
    (1..=3_155_760_000_000)
        .contains(&milliseconds)
        .then(|| Duration::from_millis(milliseconds))
}
