//! Words anywhere in an event, found by a walk through the whole of it instead of by a document.
//!
//! What the walk does not find is not there. What it finds counts only if its string is part of the document: of duplicate
//! keys the last wins, so for each word the way to it is remembered, and no key on that way may come again.

use super::bodies;
use super::plan::Plan;
use crate::batch::{Column, EventRow};
use crate::fields;
use crate::json;
use crate::json::walk::{Key, Places, Visitor, walk};
use crate::matcher::{Folded, Leaf, Text};
use crate::truth::{Bounds, Truth};
use crate::views::shown::Shown;

/// What looking for words needs besides the rules; kept from row to row.
#[derive(Debug, Default)]
pub(super) struct WordScreen {
    places: Places,
    lower: String,
}

impl WordScreen {
    /// The bounds of tests of words.
    pub(super) fn look<'p>(
        &mut self,
        plan: &'p Plan,
        tests: &'p [usize],
        row: &EventRow<'_>,
    ) -> impl Iterator<Item = (usize, Bounds)> + use<'p> {
        let words = |test: &usize| match &plan.tests[*test].leaf {
            Leaf::Keywords(all, words) => Some((*test, *all, words.as_slice())),
            _ => None,
        };
        // Only records that were cut may be no UTF-8, and they never come here; an empty text is no document.
        let text = std::str::from_utf8(row.raw).unwrap_or_default();
        let asked = || tests.iter().filter_map(words);
        let mut finder = Finder {
            words: asked()
                .flat_map(|(_, _, words)| words)
                .map(Word::new)
                .collect(),
            path: Vec::new(),
            deepest: 0,
            text,
            lower: lower(text, &mut self.lower),
        };
        let is_document =
            !fields::is_heavy(row.raw) && walk(text.as_bytes(), &[], &mut self.places, &mut finder);
        let missing = if is_document {
            missing(row)
        } else {
            Bounds::ANY
        };
        let mut found = finder.words.into_iter().map(move |word| match word.state {
            _ if !is_document => Bounds::ANY,
            State::Missing => missing,
            State::Found => Truth::True.into(),
            State::Doubtful => Bounds::ANY,
        });
        let bounds: Vec<_> = asked()
            .map(|(test, all, words)| (test, joined(all, found.by_ref().take(words.len()))))
            .collect();
        bounds.into_iter()
    }
}

/// The text in lower case, if that is as long.
fn lower<'a>(text: &str, lower: &'a mut String) -> Option<&'a str> {
    if !text.is_ascii() {
        return None;
    }
    lower.clear();
    lower.push_str(text);
    lower.make_ascii_lowercase();
    Some(lower)
}

fn joined(all: bool, words: impl Iterator<Item = Bounds>) -> Bounds {
    if all {
        words.fold(Truth::True.into(), Bounds::and)
    } else {
        words.fold(Bounds::FALSE, Bounds::or)
    }
}

/// What a word that is not found says, as `Event::is_whole` has it: it may stand in what the event cannot show.
fn missing(row: &EventRow<'_>) -> Bounds {
    let is_there = |column| !matches!(row.slice(column), None | Some(b"null"));
    let mut hidden = false;
    for (column, levels) in bodies::LEVELS {
        match bodies::missing(row, levels) {
            _ if is_there(column) => {}
            Shown::Absent => {}
            Shown::Hidden => hidden = true,
            Shown::Yes | Shown::Unclear => return Bounds::ANY,
        }
    }
    let needs_answer = is_there(Column::Annotations) && is_there(Column::ResponseStatus);
    match row.slice(Column::Stage) {
        Some(b"\"RequestReceived\"") => hidden |= !needs_answer,
        Some(stage) if !json::is_plain_string(stage) => return Bounds::ANY,
        _ => {}
    }
    if hidden {
        Truth::Unknown.into()
    } else {
        Bounds::FALSE
    }
}

/// A word that is looked for.
struct Word<'p, 'a> {
    text: &'p Text,
    state: State,
    /// The keys that lead to where it was found, as long as their objects are open.
    way: Vec<Step<'a>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Missing,
    Found,
    /// What it was found in may have been replaced.
    Doubtful,
}

/// A key, and how deep its object lies.
#[derive(Clone, Copy)]
struct Step<'a> {
    key: Key<'a>,
    depth: usize,
}

struct Finder<'p, 's, 'a> {
    words: Vec<Word<'p, 'a>>,
    /// The keys that lead to where the walk is; those deeper than it are over.
    path: Vec<Step<'a>>,
    /// No way to a word that was found is longer.
    deepest: usize,
    text: &'a str,
    /// The same in lower case, if that is as long.
    lower: Option<&'s str>,
}

impl<'p> Word<'p, '_> {
    fn new(text: &'p Text) -> Self {
        Self {
            text,
            state: State::Missing,
            way: Vec::new(),
        }
    }
}

impl<'a> Word<'_, 'a> {
    fn found(&mut self, path: &[Step<'a>]) {
        self.state = State::Found;
        self.way.clear();
        self.way.extend_from_slice(path);
    }

    /// A key came at this depth.
    fn passes(&mut self, next: Step<'a>) {
        let is_over = |step: &Step<'_>| {
            step.depth > next.depth || step.depth == next.depth && next.key.is_first
        };
        while self.way.pop_if(|step| is_over(step)).is_some() {}
        let Some(step) = self.way.last().filter(|step| step.depth == next.depth) else {
            return;
        };
        if step.key.text == next.key.text || step.key.is_escaped || next.key.is_escaped {
            self.state = State::Doubtful;
            self.way.clear();
        }
    }
}

impl<'a> Visitor<'a> for Finder<'_, '_, 'a> {
    type Key = ();

    #[inline]
    fn key(&mut self, key: Key<'a>, depth: usize) {
        let step = Step { key, depth };
        if depth <= self.deepest {
            self.words.iter_mut().for_each(|word| word.passes(step));
            self.deepest = depth;
        }
        while self.path.pop_if(|step| step.depth >= depth).is_some() {}
        self.path.push(step);
    }

    /// Words stand in strings only.
    fn scalar(&mut self, (): (), _: &'a [u8], _: usize) {}

    #[inline]
    fn string(&mut self, (): (), text: &'a [u8], is_escaped: bool, depth: usize) {
        while self.path.pop_if(|step| step.depth > depth).is_some() {}
        if !is_escaped && let Some((text, lower)) = self.plain(text) {
            self.look(
                depth,
                &lower.map_or_else(
                    || Folded::new(text),
                    |lower| Folded::with_lower(text, lower),
                ),
            );
        } else if let Some(text) = json::string(text) {
            // What a walk accepts as a string can be read.
            self.look(depth, &Folded::new(&text));
        }
    }
}

impl<'a, 's> Finder<'_, 's, 'a> {
    /// A string without its quotes, and the same in lower case.
    fn plain(&self, quoted: &[u8]) -> Option<(&'a str, Option<&'s str>)> {
        let start = quoted.as_ptr().addr() - self.text.as_ptr().addr();
        let place = start + 1..start + quoted.len() - 1;
        let lower = self.lower.and_then(|lower| lower.get(place.clone()));
        Some((self.text.get(place)?, lower))
    }

    fn look(&mut self, depth: usize, text: &Folded<'_>) {
        for word in &mut self.words {
            if word.state != State::Found && word.text.matches(text) {
                word.found(&self.path);
                self.deepest = depth;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::batch::BatchBuilder;
    use crate::diagnostic::Source;
    use crate::event::Origin;
    use crate::matcher::Scope;
    use crate::sigma::{Placeholders, load};

    /// The bounds of a test of words in an event. The document's verdict must lie within them.
    #[track_caller]
    fn look(words: &str, event: &str) -> Bounds {
        let rule = format!(
            "title: Words\nname: words\nsigma-version: 3\nlogsource: {{product: kubernetes, service: audit}}\n\
             detection:\n  words: {words}\n  condition: words\n"
        );
        let loaded = load(&[Source::new("words.yml", &rule)], &Placeholders::new());
        assert!(!loaded.has_errors(), "{:?}", loaded.diagnostics);
        let plan = Plan::new(&loaded.rules);
        let test = plan.tests.len() - 1;
        let mut builder = BatchBuilder::new(Arc::default());
        builder
            .push(event.as_bytes(), &Origin::default(), 0)
            .unwrap();
        let batch = builder.finish();
        let row = batch.row(0);
        let tests = [test];
        let (_, bounds) = WordScreen::default()
            .look(&plan, &tests, &row)
            .next()
            .unwrap();
        let document = row.event().unwrap();
        let truth = plan.tests[test].leaf.evaluate(Scope::Event(&document));
        assert!(bounds.least <= truth && truth <= bounds.most, "{event}");
        bounds
    }

    #[track_caller]
    fn check(words: &str, event: &str, expected: Option<Truth>) {
        assert_eq!(look(words, event).known(), expected, "{words} in {event}");
    }

    #[test]
    fn words_are_found_in_strings_and_nowhere_else() {
        let event = r#"{"level":"RequestResponse","requestObject":{"a":[{"b":"so \u0045VIL!"}],"good":1},"responseObject":{}}"#;
        check("[evil]", event, Some(Truth::True));
        check("[good]", event, Some(Truth::False));
        check("[good, evil]", event, Some(Truth::True));
        check("{'|all': [evil, response]}", event, Some(Truth::True));
        check("{'|all': [good, evil]}", event, Some(Truth::False));
        check("{'|cased': evil}", event, Some(Truth::False));
    }

    #[test]
    fn what_cannot_be_seen_may_hold_the_word() {
        for event in [
            r#"{"level":"Metadata","verb":"get"}"#,
            r#"{"level":"Request","stage":"RequestReceived","requestObject":{},"responseObject":{}}"#,
            r#"{"level":"RequestResponse","requestObject":{},"responseObject":null,"stage":"RequestReceived"}"#,
        ] {
            check("[evil]", event, Some(Truth::Unknown));
        }
        let truncated =
            r#"{"level":"RequestResponse","annotations":{"audit.k8s.io/truncated":"true"}}"#;
        check("[evil]", truncated, None);
    }

    #[test]
    fn what_a_later_key_may_replace_is_left_to_the_document() {
        let event = |body: &str| {
            format!(r#"{{"level":"RequestResponse","requestObject":{body},"responseObject":{{}}}}"#)
        };
        for doubtful in [
            r#"{"a":"evil","a":1}"#,
            r#"{"a":{"b":[{"c":"evil"}]},"x":{},"a":1}"#,
            r#"{"a":{"b":"evil"},"\u0061":1}"#,
        ] {
            check("[evil]", &event(doubtful), None);
        }
        for certain in [
            r#"{"a":[{"b":"evil"},{"b":1}],"b":2}"#,
            r#"{"a":{"b":"evil"},"c":{"b":1}}"#,
            r#"{"a":[{"b":{"x":"evil"}},[{"x":1}]]}"#,
            r#"{"a":"evil","a":1,"b":"evil"}"#,
        ] {
            check("[evil]", &event(certain), Some(Truth::True));
        }
        check("[evil]", &event(r#"{"a":tru}"#), None);
    }
}
