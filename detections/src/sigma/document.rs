//! Rule files: documents, their headers, filters, and what belongs to which.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use crate::diagnostic::{Diagnostic, Severity, Sink, Source};

use super::ast::{Correlation, Detection, Header, Input, Rule};
use super::baseline;
use super::correlation::{self, Draft};
use super::detection::{self, Context};
use super::header::{self, required_text};
use super::yaml::{self, Node};

/// The lists that `%name%` stands for with the `expand` modifier.
pub type Placeholders = BTreeMap<String, Vec<String>>;

/// What a set of rule files holds.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Rules without errors, filters applied, in the order of the files.
    pub rules: Vec<Rule>,
    /// Correlations and baselines without errors, each behind those that feed it.
    pub correlations: Vec<Correlation>,
    /// Everything that is wrong or doubtful.
    pub diagnostics: Vec<Diagnostic>,
    /// Rules for other products than Kubernetes, by file name.
    pub foreign: Vec<String>,
}

impl Loaded {
    /// The headers of all rules that raise findings: rules about one event first, correlations behind them.
    pub fn headers(&self) -> impl Iterator<Item = &Header> {
        let rules = self.rules.iter().filter(|rule| !rule.silent);
        let correlations = self.correlations.iter().filter(|found| !found.silent);
        rules
            .map(|rule| &rule.header)
            .chain(correlations.map(|found| &found.header))
    }

    /// One detection by itself: a rule, or a correlation with all that feeds it.
    #[must_use]
    pub fn only(&self, name: &str) -> Self {
        let mut wanted = HashSet::from([name.to_owned()]);
        // What feeds a correlation stands before it.
        for correlation in self.correlations.iter().rev() {
            if wanted.contains(&correlation.header.name) {
                wanted.extend(
                    correlation
                        .inputs
                        .iter()
                        .map(|input| input.name().to_owned()),
                );
            }
        }
        let is_wanted = |header: &&Header| wanted.contains(&header.name);
        let rules = self.rules.iter().filter(|rule| is_wanted(&&rule.header));
        let correlations = self.correlations.iter();
        Self {
            rules: rules.cloned().collect(),
            correlations: correlations
                .filter(|found| is_wanted(&&found.header))
                .cloned()
                .collect(),
            ..Self::default()
        }
    }

    /// Leaves out the rules that match; what they feed still gets their matches. False if there are none.
    pub fn disable(&mut self, matches: impl Fn(&Header) -> bool) -> bool {
        let mut any = false;
        for rule in &mut self.rules {
            any |= !rule.silent && matches(&rule.header);
            rule.silent |= matches(&rule.header);
        }
        for correlation in &mut self.correlations {
            any |= !correlation.silent && matches(&correlation.header);
            correlation.silent |= matches(&correlation.header);
        }
        // From the outside in, since what feeds nothing any more is of no use.
        let mut wanted: HashSet<String> = HashSet::new();
        let mut kept = Vec::new();
        while let Some(correlation) = self.correlations.pop() {
            if !correlation.silent || wanted.contains(&correlation.header.name) {
                wanted.extend(
                    correlation
                        .inputs
                        .iter()
                        .map(|input| input.name().to_owned()),
                );
                kept.push(correlation);
            }
        }
        kept.reverse();
        self.correlations = kept;
        self.rules
            .retain(|rule| !rule.silent || wanted.contains(&rule.header.name));
        any
    }

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
        drafts: Vec::new(),
        foreign: HashSet::new(),
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
        mut drafts,
        foreign,
        ..
    } = loader;
    refuse_twins(&mut loaded, &places, &mut drafts);
    let resolved = correlation::resolve(&drafts, &mut loaded.rules, &foreign);
    loaded.correlations = resolved.correlations;
    loaded.diagnostics.extend(resolved.diagnostics);
    loaded.foreign.extend(resolved.foreign);
    apply_filters(&mut loaded, &filters);
    loaded
}

struct Loader<'a> {
    lists: &'a Placeholders,
    loaded: Loaded,
    /// Where the name and the id of each rule stand.
    places: Vec<[Range<usize>; 2]>,
    filters: Vec<Filter>,
    drafts: Vec<Draft>,
    /// Names and ids of rules for other products.
    foreign: HashSet<String>,
}

impl Loader<'_> {
    fn document(&mut self, node: &Node, sink: &mut Sink) {
        if node.mapping().is_none() {
            let message = format!("a rule must be a mapping, not {}", node.describe());
            sink.error("not_a_rule", node.span.clone(), message)
                .help("a rule begins with a line `title: …`");
        } else if node.get("correlation").is_some() {
            let draft = Draft::read(node, sink);
            self.drafts
                .extend(draft.filter(|_| !sink.has_errors_within(&node.span)));
        } else if node.get("baseline").is_some() {
            let draft = baseline::read(node, sink);
            self.drafts
                .extend(draft.filter(|_| !sink.has_errors_within(&node.span)));
        } else if node.get("action").is_some() {
            let message = "`action` documents were removed from Sigma";
            sink.error("unsupported_document", node.key_span("action"), message)
                .help("write each rule out");
        } else if is_foreign(node) {
            self.loaded.foreign.push(sink.source().name.to_string());
            self.foreign.insert(header::name(node, sink));
            self.foreign.extend(header::text(node, "id"));
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
    let header = header::header(node, sink);
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
        header,
        detection: detection::parse(detection, &detection_key.span, &context, sink)?,
        filters: Vec::new(),
        silent: false,
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

fn apply_filters(loaded: &mut Loaded, filters: &[Filter]) {
    let mut used = vec![false; filters.len()];
    for (filter, used) in filters.iter().zip(&mut used) {
        for rule in &mut loaded.rules {
            if filter.names(&rule.header) {
                rule.filters.push(filter.detection.clone());
                *used = true;
            }
        }
    }
    // Afterwards, so that the copies of rules have all that the rules have.
    for (filter, used) in filters.iter().zip(&mut used) {
        // A filter for any rule has reached what feeds correlations already.
        for index in 0..loaded.correlations.len() {
            if filter.rules.is_some() && filter.names(&loaded.correlations[index].header) {
                filter_correlation(loaded, index, filter);
                *used = true;
            }
        }
    }
    for (filter, _) in filters.iter().zip(used).filter(|(_, used)| !used) {
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

impl Filter {
    fn names(&self, header: &Header) -> bool {
        let named = |names: &Vec<String>| names.iter().any(|name| header.is_called(name));
        self.rules.as_ref().is_none_or(named)
    }
}

/// Lets a filter apply to the rules that feed a correlation, for this correlation alone: it gets copies of its own.
fn filter_correlation(loaded: &mut Loaded, index: usize, filter: &Filter) {
    let correlation = &mut loaded.correlations[index];
    let of = format!(" for {}", correlation.header.name);
    for input in &mut correlation.inputs {
        let Input::Rule(name) = input else {
            let mut sink = Sink::new(filter.source.clone());
            sink.warning(
                "filter_on_chain",
                filter.place.clone(),
                format!("the filter does not reach what feeds `{}`", input.name()),
            )
            .help("name that correlation in the filter, too");
            loaded.diagnostics.extend(sink.finish());
            continue;
        };
        let own_name = if name.ends_with(&of) {
            name.clone()
        } else {
            format!("{name}{of}")
        };
        let own = loaded
            .rules
            .iter()
            .position(|rule| rule.header.name == own_name);
        if let Some(own) = own {
            loaded.rules[own].filters.push(filter.detection.clone());
        } else if let Some(rule) = loaded.rules.iter().find(|rule| rule.header.name == *name) {
            let mut own = rule.clone();
            own.header.id = format!("{}{of}", own.header.id);
            own.header.name.clone_from(&own_name);
            own.silent = true;
            own.filters.push(filter.detection.clone());
            loaded.rules.push(own);
        }
        *input = Input::Rule(own_name);
    }
}

/// Two rules of one id or one name would make one another's findings. The later one is left out.
fn refuse_twins(loaded: &mut Loaded, places: &[[Range<usize>; 2]], drafts: &mut Vec<Draft>) {
    let mut twins = Twins::default();
    let mut places = places.iter();
    loaded.rules.retain(|rule| {
        let places = places.next();
        places.is_none_or(|places| !twins.is_twin(&rule.header, places))
    });
    drafts.retain(|draft| !twins.is_twin(draft.header(), &draft.places));
    loaded.diagnostics.extend(twins.diagnostics);
}

/// The names and ids so far, with where they stand.
#[derive(Default)]
struct Twins {
    seen: HashMap<(&'static str, String), String>,
    diagnostics: Vec<Diagnostic>,
}

impl Twins {
    fn is_twin(&mut self, header: &Header, places: &[Range<usize>; 2]) -> bool {
        // A rule without an id is known by its name, so the name comes first.
        let keys = [("name", header.name.clone()), ("id", header.id.clone())];
        let mut known = keys.iter().zip(places);
        let twin = known.find_map(|(key, place)| Some((key, place, self.seen.get(key)?)));
        if let Some(((what, text), place, first)) = twin {
            let mut sink = Sink::new(header.source.clone());
            sink.error(
                "twin_rules",
                place.clone(),
                format!("another rule has the {what} `{text}`"),
            )
            .help(format!(
                "the other one is in {first}; give this one its own"
            ));
            self.diagnostics.extend(sink.finish());
            return true;
        }
        for (key, place) in keys.into_iter().zip(places) {
            let (line, _) = header.source.position(place.start);
            let place = format!("{}, line {line}", header.source.name);
            self.seen.insert(key, place);
        }
        false
    }
}
