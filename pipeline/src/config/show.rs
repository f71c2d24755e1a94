//! The configuration as it is in use.

use super::fields::{FIELDS, SECTIONS};
use super::values::{Value, Values, default_of};

/// All fields with their values, as TOML; those that have their default say so. Secrets are stars.
#[must_use]
pub fn show(values: &Values) -> String {
    let mut page = String::new();
    for (section, _) in SECTIONS {
        if section.contains(['*', '[']) {
            for table in tables(values, section) {
                let head = list_head(&table);
                page.push_str(&format!("\n{head}\n"));
                lines(&mut page, values, section, &table);
            }
            continue;
        }
        if !section.is_empty() {
            page.push_str(&format!("\n[{section}]\n"));
        }
        lines(&mut page, values, section, section);
    }
    page
}

/// The tables of a section with names of the user's own, or of a list.
fn tables(values: &Values, section: &str) -> Vec<String> {
    let parent = section.trim_end_matches(".*").trim_end_matches("[]");
    values.children(parent)
}

fn list_head(table: &str) -> String {
    match table.split_once('[') {
        Some((list, _)) => format!("[[{list}]]"),
        None => format!("[{table}]"),
    }
}

fn lines(page: &mut String, values: &Values, section: &str, table: &str) {
    for field in FIELDS {
        let (parent, name) = field.path.rsplit_once('.').unwrap_or(("", field.path));
        if parent != section {
            continue;
        }
        let path = if table.is_empty() {
            name.to_owned()
        } else {
            format!("{table}.{name}")
        };
        match (values.get(&path), default_of(field)) {
            (Some(value), _) => page.push_str(&format!("{name} = {}\n", text(value))),
            // What another type of sink would have says nothing here.
            (None, Some(_)) if section == "sinks.*" => {}
            (None, Some(_)) => page.push_str(&format!("{name} = {}  # default\n", field.default)),
            (None, None) => {}
        }
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("{text:?}"),
        Value::Flag(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Size(bytes) => {
            let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB"), (0, "B")];
            let whole = units.iter().find(|(bits, _)| bytes % (1_u64 << bits) == 0);
            let (bits, unit) = whole.unwrap_or(&(0, "B"));
            format!("\"{}{unit}\"", bytes >> bits)
        }
        Value::Duration(duration) => {
            let milliseconds = duration.as_millis();
            let units = [
                (86_400_000, "d"),
                (3_600_000, "h"),
                (60_000, "m"),
                (1000, "s"),
                (1, "ms"),
            ];
            let whole = units
                .iter()
                .find(|(unit, _)| milliseconds.is_multiple_of(*unit));
            let (unit, name) = whole.unwrap_or(&(1, "ms"));
            format!("\"{}{name}\"", milliseconds / unit)
        }
        Value::Address(address) => format!("\"{address}\""),
        Value::Texts(texts) => format!("{texts:?}"),
        Value::Secret(secret) => format!("\"{secret:?}\""),
        Value::Settings(settings) => {
            inline(settings.iter().map(|(name, text)| (name, text.clone())))
        }
        Value::Secrets(secrets) => inline(
            secrets
                .iter()
                .map(|(name, secret)| (name, format!("{secret:?}"))),
        ),
    }
}

fn inline<'a>(entries: impl Iterator<Item = (&'a String, String)>) -> String {
    let entries: Vec<String> = entries
        .map(|(name, value)| format!("{name:?} = {value:?}"))
        .collect();
    format!("{{ {} }}", entries.join(", "))
}
