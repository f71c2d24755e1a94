//! Rule files: documents, their headers, filters, and what belongs to which.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use crate::diagnostic::{Diagnostic, Severity, Sink, Source};

use super::ast::{Detection, Rule};
use super::detection::{self, Context};
use super::header::{attack, check_keys, id, level, name, required_text, text, texts};
use super::yaml::{self, Node};

/// The lists that `%name%` stands for with the `expand` modifier.
pub type Placeholders = BTreeMap<String, Vec<String>>;

/// What a set of rule files holds.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Rules without errors, filters applied, in the order of the files.
    pub rules: Vec<Rule>,
    /// Everything that is wrong or doubtful.
    pub diagnostics: Vec<Diagnostic>,
    /// Rules for other products than Kubernetes, by file name.
    pub foreign: Vec<String>,
}

impl Loaded {
    /// Whether some rule could not be used.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.diagnostics
            .iter()
            .any(|diagnostic| diagnostic.severity == Severity::Error)
    }
}

/// A Sigma filter: a detection that the rules it names must satisfy besides their own.
struct Filter {
    title: String,
    /// Ids or names; `None` is every rule.
    rules: Option<Vec<String>>,
    /// Where they stand.
    place: Range<usize>,
    detection: Detection,
    source: Source,
}

/// Reads rule files. Every fault of every file is in the result; rules without errors are usable.
#[must_use]
pub fn load(sources: &[Source], lists: &Placeholders) -> Loaded {
    let mut loader = Loader {
        lists,
        loaded: Loaded::default(),
        places: Vec::new(),
        filters: Vec::new(),
    };
    for source in sources {
        let mut sink = Sink::new(source.clone());
        let mut documents = yaml::parse(&mut sink);
        // A separator behind the last document starts another one, which is nothing.
        documents.retain(|document| !document.is_null());
        if documents.is_empty() && !sink.has_errors() {
            sink.error("empty_file", 0..0, "the file holds no rule");
        }
        for document in &documents {
            loader.document(document, &mut sink);
        }
        loader.loaded.diagnostics.extend(sink.finish());
    }
    let Loader {
        mut loaded,
        places,
        filters,
        ..
    } = loader;
    refuse_twins(&mut loaded, &places);
    apply_filters(&mut loaded, filters);
    loaded
}

struct Loader<'a> {
    lists: &'a Placeholders,
    loaded: Loaded,
    /// Where the name and the id of each rule stand.
    places: Vec<[Range<usize>; 2]>,
    filters: Vec<Filter>,
}

impl Loader<'_> {
    fn document(&mut self, node: &Node, sink: &mut Sink) {
        if node.mapping().is_none() {
            let message = format!("a rule must be a mapping, not {}", node.describe());
            sink.error("not_a_rule", node.span.clone(), message)
                .help("a rule begins with a line `title: …`");
        } else if let Some(kind) = ["correlation", "baseline"]
            .into_iter()
            .find(|kind| node.get(kind).is_some())
        {
            let message = format!("{kind} documents are not supported yet");
            sink.error("unsupported_document", node.key_span(kind), message)
                .label("needs a memory of earlier events")
                .help("take this document out; rules about single events work");
        } else if node.get("action").is_some() {
            let message = "`action` documents were removed from Sigma";
            sink.error("unsupported_document", node.key_span("action"), message)
                .help("write each rule out");
        } else if is_foreign(node) {
            self.loaded.foreign.push(sink.source().name.to_string());
        } else if node.get("filter").is_some() {
            let filter = filter(node, self.lists, sink);
            self.filters
                .extend(filter.filter(|_| !sink.has_errors_within(&node.span)));
        } else if let Some(rule) =
            rule(node, self.lists, sink).filter(|_| !sink.has_errors_within(&node.span))
        {
            self.loaded.rules.push(rule);
            self.places.push(["name", "id"].map(|key| {
                node.get(key)
                    .map_or(node.head(), |value| value.span.clone())
            }));
        }
    }
}

/// A rule for another product can never match an audit event; it is no fault to have it in the folder.
fn is_foreign(node: &Node) -> bool {
    let product = node
        .get("logsource")
        .and_then(|logsource| logsource.get("product"))
        .and_then(Node::text);
    product.is_some_and(|product| product != "kubernetes")
}

fn rule(node: &Node, lists: &Placeholders, sink: &mut Sink) -> Option<Rule> {
    check_keys(node, sink);
    let title = required_text(node, "title", sink).unwrap_or_default();
    let logsource = node.get("logsource");
    if logsource.and_then(Node::mapping).is_none() {
        let message = if logsource.is_some() {
            "`logsource` must be a mapping"
        } else {
            "there is no `logsource`"
        };
        sink.error("no_logsource", node.key_span("logsource"), message)
            .help("write `logsource: {product: kubernetes, service: audit}`");
    }
    let name = name(node, sink);
    let (tactics, techniques) = attack(node, sink);
    let context = Context {
        lists,
        arrays: arrays_enabled(node, sink),
        in_element: false,
    };
    let Some((detection_key, detection)) = node.entry("detection") else {
        sink.error("no_detection", node.head(), "there is no `detection`")
            .help("add `detection` with a selection and a condition");
        return None;
    };
    Some(Rule {
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
        detection: detection::parse(detection, &detection_key.span, &context, sink)?,
        filters: Vec::new(),
        source: sink.source().clone(),
    })
}

/// Array selectors came with version 3 of the specification; before it brackets are plain characters.
fn arrays_enabled(node: &Node, sink: &mut Sink) -> bool {
    let Some(written) = node.get("sigma-version") else {
        return false;
    };
    let major = written
        .text()
        .and_then(|text| text.split('.').next()?.parse::<u32>().ok());
    if major.is_none_or(|major| major > 3) {
        sink.error(
            "sigma_version",
            written.span.clone(),
            format!(
                "version `{}` of Sigma is not known",
                written.text().unwrap_or_default()
            ),
        )
        .help("the newest known is 3");
    }
    major.is_some_and(|major| major >= 3)
}

fn filter(node: &Node, lists: &Placeholders, sink: &mut Sink) -> Option<Filter> {
    let body = node.get("filter")?;
    let title = required_text(node, "title", sink).unwrap_or_default();
    let Some(rules) = body.get("rules") else {
        sink.error(
            "no_rules",
            node.key_span("filter"),
            "the filter does not say which rules it is for",
        )
        .help("add `rules: [name or id, …]`, or `rules: any`");
        return None;
    };
    let named: Vec<String> = rules
        .one_or_many()
        .iter()
        .filter_map(|rule| rule.text().map(ToOwned::to_owned))
        .collect();
    let any = named.iter().any(|name| name == "any");
    let context = Context {
        lists,
        arrays: arrays_enabled(node, sink),
        in_element: false,
    };
    let without_rules = without(body, "rules");
    let detection = detection::parse(&without_rules, &node.key_span("filter"), &context, sink)?;
    Some(Filter {
        title,
        rules: (!any).then_some(named),
        place: rules.span.clone(),
        detection,
        source: sink.source().clone(),
    })
}

/// `rules` stands beside the selections, but is none.
fn without(node: &Node, key: &str) -> Node {
    let entries = node
        .mapping()
        .unwrap_or_default()
        .iter()
        .filter(|(name, _)| name.text() != Some(key))
        .cloned()
        .collect();
    Node {
        span: node.span.clone(),
        kind: yaml::Kind::Mapping(entries),
    }
}

fn apply_filters(loaded: &mut Loaded, filters: Vec<Filter>) {
    for filter in filters {
        let mut used = false;
        let names = |rule: &Rule| {
            filter.rules.as_ref().is_none_or(|names| {
                names
                    .iter()
                    .any(|name| *name == rule.name || name.eq_ignore_ascii_case(&rule.id))
            })
        };
        for rule in loaded.rules.iter_mut().filter(|rule| names(rule)) {
            rule.filters.push(filter.detection.clone());
            used = true;
        }
        if !used {
            let mut sink = Sink::new(filter.source.clone());
            sink.warning(
                "unused_filter",
                filter.place.clone(),
                format!("the filter `{}` names no rule that is loaded", filter.title),
            )
            .help("`tidewatch rules list` prints names and ids");
            loaded.diagnostics.extend(sink.finish());
        }
    }
}

/// Two rules of one id or one name would make one another's findings. The later one is left out.
fn refuse_twins(loaded: &mut Loaded, places: &[[Range<usize>; 2]]) {
    let mut seen: HashMap<(&str, String), String> = HashMap::new();
    let mut twins = Vec::new();
    for (index, (rule, places)) in loaded.rules.iter().zip(places).enumerate() {
        // A rule without an id is known by its name, so the name comes first.
        let keys = [("name", rule.name.clone()), ("id", rule.id.clone())];
        let twin = keys
            .iter()
            .zip(places)
            .find_map(|(key, place)| Some((key, place, seen.get(key)?)));
        if let Some(((what, text), place, first)) = twin {
            let mut sink = Sink::new(rule.source.clone());
            sink.error(
                "twin_rules",
                place.clone(),
                format!("another rule has the {what} `{text}`"),
            )
            .help(format!(
                "the other one is in {first}; give this one its own"
            ));
            loaded.diagnostics.extend(sink.finish());
            twins.push(index);
            continue;
        }
        for (key, place) in keys.into_iter().zip(places) {
            let (line, _) = rule.source.position(place.start);
            seen.insert(key, format!("{}, line {line}", rule.source.name));
        }
    }
    for index in twins.into_iter().rev() {
        loaded.rules.remove(index);
    }
}
