//! The table of fields as JSON Schema for editors, and as a page for people.

use serde_json::{Map, Value, json};

use super::fields::{FIELDS, Field, Kind, SECTIONS};

/// A JSON Schema (2020-12) of the file.
#[must_use]
pub fn schema() -> Value {
    let mut root = object("The configuration of tidewatch serve.");
    for field in FIELDS {
        let mut at = &mut root;
        let (parents, name) = match field.path.rsplit_once('.') {
            Some((parents, name)) => (parents, name),
            None => ("", field.path),
        };
        let mut path = String::new();
        for part in parents.split('.').filter(|part| !part.is_empty()) {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(part);
            at = child(at, part, &path);
        }
        at["properties"][name] = of_field(field);
    }
    root["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    root
}

fn object(description: &str) -> Value {
    json!({ "type": "object", "description": description, "properties": {}, "additionalProperties": false })
}

/// The schema of a table within another; makes it if it is not there.
fn child<'a>(at: &'a mut Value, part: &str, path: &str) -> &'a mut Value {
    let doc = SECTIONS.iter().find(|(section, _)| *section == path);
    let doc = doc.map_or("", |(_, doc)| doc);
    if part == "*" {
        if !at["additionalProperties"].is_object() {
            at["additionalProperties"] = object(doc);
        }
        return &mut at["additionalProperties"];
    }
    let name = part.trim_end_matches("[]");
    let is_list = name != part;
    if at["properties"].get(name).is_none() {
        at["properties"][name] = if is_list {
            json!({ "type": "array", "items": object(doc) })
        } else {
            object(doc)
        };
    }
    let found = &mut at["properties"][name];
    if is_list { &mut found["items"] } else { found }
}

fn of_field(field: &Field) -> Value {
    let mut schema = match field.kind {
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Number(low, high) => json!({ "type": "integer", "minimum": low, "maximum": high }),
        Kind::Size => json!({ "type": "string", "pattern": "^[0-9]+(B|KiB|MiB|GiB|TiB)?$" }),
        Kind::Duration => json!({ "type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)$" }),
        Kind::Texts => json!({ "type": "array", "items": { "type": "string" } }),
        Kind::Choice(choices) => json!({ "enum": choices }),
        Kind::Secret => secret(),
        Kind::Settings => json!({
            "type": "object",
            "additionalProperties": { "type": ["string", "integer", "boolean", "object"] },
        }),
        Kind::Secrets => json!({ "type": "object", "additionalProperties": { "type": "object" } }),
        Kind::Text | Kind::Address => json!({ "type": "string" }),
    };
    schema["description"] = json!(field.doc);
    if let Some(default) = toml_to_json(field.default) {
        schema["default"] = default;
    }
    if let Some(example) = toml_to_json(field.example) {
        schema["examples"] = json!([example]);
    }
    schema
}

fn secret() -> Value {
    json!({
        "type": "object",
        "properties": { "file": { "type": "string" }, "env": { "type": "string" } },
        "additionalProperties": false, "minProperties": 1, "maxProperties": 1,
    })
}

fn toml_to_json(text: &str) -> Option<Value> {
    let table: Map<String, Value> = toml::from_str(&format!("value = {text}")).ok()?;
    table.get("value").cloned()
}

/// `docs/config.md`.
#[must_use]
pub fn markdown() -> String {
    let mut page = String::from(
        "# Configuration\n\n\
         `tidewatch serve --config FILE` reads one TOML file; without one everything has its default. `tidewatch config check FILE` \
         shows every fault at once, `config show` what is in use, `config schema` a JSON Schema for editors. Unknown fields are \
         refused. Secrets do not stand in the file: a field that holds one says where it is, `{ file = \"…\" }` or \
         `{ env = \"…\" }`.\n\n\
         Sizes are written with `KiB`, `MiB`, `GiB` or `TiB`, durations with `ms`, `s`, `m`, `h` or `d`.\n\n\
         This page is written by a test from the table that the program checks against (`pipeline/src/config/fields.rs`).\n",
    );
    for (section, doc) in SECTIONS {
        let title = match section.strip_suffix("[]") {
            Some(list) => format!("[[{list}]]"),
            None if section.is_empty() => "Top".to_owned(),
            None => format!("[{}]", section.replace('*', "NAME")),
        };
        page.push_str(&format!("\n## {title}\n\n{doc}\n\n| field | default | example | what it is for |\n|---|---|---|---|\n"));
        let of_section = |field: &&Field| {
            let parent = field.path.rsplit_once('.').map_or("", |(parent, _)| parent);
            parent == *section
        };
        for field in FIELDS.iter().filter(of_section) {
            let name = field.path.rsplit('.').next().unwrap_or(field.path);
            let default = if field.default.is_empty() {
                String::new()
            } else {
                format!("`{}`", field.default)
            };
            page.push_str(&format!(
                "| `{name}` | {default} | `{}` | {} |\n",
                field.example, field.doc
            ));
        }
    }
    page
}
