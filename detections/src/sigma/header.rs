//! What stands above a rule's `detection`: title, id, level, tags.

use mitre::{TacticId, TagCheck, TechniqueId};

use crate::diagnostic::{Sink, did_you_mean};

use super::ast::{Header, Level};
use super::yaml::Node;

/// The keys of the specification and what people write instead.
const KEYS: [&str; 24] = [
    "title",
    "id",
    "name",
    "status",
    "description",
    "references",
    "author",
    "date",
    "modified",
    "tags",
    "taxonomy",
    "logsource",
    "detection",
    "correlation",
    "baseline",
    "fields",
    "falsepositives",
    "level",
    "license",
    "related",
    "scope",
    "sigma-version",
    "filter",
    "custom",
];

/// Reads what stands above a rule's own part.
pub(super) fn header(node: &Node, sink: &mut Sink) -> Header {
    check_keys(node, sink);
    let title = required_text(node, "title", sink).unwrap_or_default();
    let name = name(node, sink);
    let (tactics, techniques) = attack(node, sink);
    Header {
        id: id(node, &name, sink),
        name,
        title,
        status: text(node, "status"),
        description: text(node, "description").unwrap_or_default(),
        references: texts(node, "references"),
        author: text(node, "author"),
        date: text(node, "date"),
        modified: text(node, "modified"),
        tags: texts(node, "tags"),
        tactics,
        techniques,
        false_positives: texts(node, "falsepositives"),
        level: level(node, sink),
        source: sink.source().clone(),
    }
}

fn check_keys(node: &Node, sink: &mut Sink) {
    for (key, _) in node.mapping().unwrap_or_default() {
        let word = key.text().unwrap_or_default();
        // Own keys are allowed by the specification; only a slip of the pen is worth a word.
        if !KEYS.contains(&word)
            && let Some(near) = did_you_mean(word, KEYS)
        {
            sink.warning(
                "unknown_key",
                key.span.clone(),
                format!("a rule has no key `{word}`"),
            )
            .help(format!("did you mean `{near}`?"));
        }
    }
}

pub(super) fn required_text(node: &Node, key: &str, sink: &mut Sink) -> Option<String> {
    let found = text(node, key);
    match node.entry(key) {
        _ if found.is_some() => {}
        Some((name, _)) => {
            sink.error(
                "missing_key",
                name.span.clone(),
                format!("`{key}` must be a text"),
            );
        }
        None => {
            sink.error("missing_key", node.head(), format!("there is no `{key}`"))
                .help(format!("add a line `{key}: …`"));
        }
    }
    found
}

pub(super) fn text(node: &Node, key: &str) -> Option<String> {
    node.get(key)
        .and_then(Node::text)
        .map(|text| text.trim().to_owned())
}

fn texts(node: &Node, key: &str) -> Vec<String> {
    let nodes = node.get(key).map(Node::one_or_many).unwrap_or_default();
    nodes
        .iter()
        .filter_map(|node| node.text().map(ToOwned::to_owned))
        .collect()
}

/// The rule's `name`, else the stem of its file.
pub(super) fn name(node: &Node, sink: &Sink) -> String {
    text(node, "name").unwrap_or_else(|| {
        let file = sink
            .source()
            .name
            .rsplit(['/', '\\'])
            .next()
            .unwrap_or_default();
        file.trim_end_matches(".yml")
            .trim_end_matches(".yaml")
            .to_owned()
    })
}

fn id(node: &Node, name: &str, sink: &mut Sink) -> String {
    let Some(written) = node.get("id") else {
        return name.to_owned();
    };
    let id = written.text().unwrap_or_default().to_ascii_lowercase();
    if uuid::Uuid::parse_str(&id).is_err() {
        sink.error("bad_id", written.span.clone(), "`id` must be a UUID")
            .help("`uuidgen` makes one");
    }
    id
}

fn level(node: &Node, sink: &mut Sink) -> Level {
    let Some(written) = node.get("level") else {
        return Level::default();
    };
    let word = written.text().unwrap_or_default();
    Level::parse(word).unwrap_or_else(|| {
        let names = Level::ALL.map(Level::as_str);
        let help = match did_you_mean(word, names) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the levels are {}", names.join(", ")),
        };
        sink.error(
            "bad_level",
            written.span.clone(),
            format!("`{word}` is no level"),
        )
        .help(help);
        Level::default()
    })
}

fn attack(node: &Node, sink: &mut Sink) -> (Vec<TacticId>, Vec<TechniqueId>) {
    let (mut tactics, mut techniques) = (Vec::new(), Vec::new());
    for written in node.get("tags").map(Node::one_or_many).unwrap_or_default() {
        let tag = written.text().unwrap_or_default();
        let span = written.span.clone();
        match mitre::check_tag(tag) {
            TagCheck::Tactic(tactic) => tactics.push(tactic.id),
            TagCheck::Technique(technique) => techniques.push(technique.id),
            TagCheck::NotOnContainers(id) => techniques.push(id),
            TagCheck::NotAttack | TagCheck::ThreatMatrix(_) | TagCheck::GroupOrSoftware => {}
            TagCheck::RenamedTactic { former, tactic } => {
                let message = format!(
                    "the tactic `{}` was renamed in ATT&CK v19",
                    former.short_name
                );
                sink.warning("renamed_tactic", span, message)
                    .help(format!("write `attack.{}`", tactic.short_name));
                tactics.push(tactic.id);
            }
            TagCheck::Revoked { id, replacement } => {
                let message = format!("{id} was revoked in ATT&CK v{}", mitre::ATTACK_VERSION);
                sink.warning("revoked_technique", span, message)
                    .help(format!("write `{}`", replacement.as_tag()));
                techniques.push(replacement);
            }
            TagCheck::Unknown { suggestion } => {
                let help = suggestion.map_or_else(
                    || "see attack.mitre.org".to_owned(),
                    |near| format!("did you mean `{near}`?"),
                );
                sink.warning("unknown_tag", span, format!("`{tag}` is no ATT&CK tag"))
                    .help(help);
            }
        }
    }
    // A tag and the one that replaced it are the same technique, wherever they stand.
    let mut seen = Vec::new();
    techniques.retain(|id| {
        !seen.contains(id) && {
            seen.push(*id);
            true
        }
    });
    (tactics, techniques)
}
