//! Lists for `%placeholders%`: what differs per organisation stays out of the rules.

use crate::diagnostic::{Sink, Source};

use super::document::Placeholders;
use super::yaml::{self, Node};

/// Reads a YAML mapping of names to values.
///
/// # Errors
/// All that is wrong with the file, one fault a line.
pub fn lists(source: &Source) -> Result<Placeholders, String> {
    let mut sink = Sink::new(source.clone());
    let documents = yaml::parse(&mut sink);
    let mut lists = Placeholders::new();
    for node in &documents {
        collect(node, &mut lists, &mut sink);
    }
    let faults: Vec<String> = sink
        .finish()
        .iter()
        .map(crate::diagnostic::Diagnostic::render_concise)
        .collect();
    if faults.is_empty() {
        Ok(lists)
    } else {
        Err(faults.join("\n"))
    }
}

fn collect(node: &Node, lists: &mut Placeholders, sink: &mut Sink) {
    let Some(entries) = node.mapping() else {
        sink.error(
            "bad_lists",
            node.span.clone(),
            "lists must be a mapping of names to values",
        )
        .help("write `trusted_registries: [registry.example.com]`");
        return;
    };
    for (name, values) in entries {
        let mut texts = Vec::new();
        for value in values.one_or_many() {
            match value.text() {
                Some(text) => texts.push(text.to_owned()),
                None => drop(sink.error(
                    "bad_lists",
                    value.span.clone(),
                    "a list holds single values only",
                )),
            }
        }
        lists.insert(name.text().unwrap_or_default().to_owned(), texts);
    }
}
