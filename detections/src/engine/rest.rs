//! What is left of rules when columns that repeat have had their say: texts of the row itself, and its bodies.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind};

use super::Verdicts;
use super::bodies::{Bodies, Screens};
use super::plan::{Plan, Reads};
use super::tree::{Open, Rest};
use super::words::WordScreen;
use crate::batch::{Column, EventRow};
use crate::matcher::{Check, Scalar};
use crate::truth::{Bounds, Truth};
use crate::views::shown::Outline;

/// A look at one row.
pub(super) struct Look<'a> {
    pub(super) plan: &'a Plan,
    pub(super) row: &'a EventRow<'a>,
    /// The rules that were open at first.
    pub(super) open: &'a [Open],
    /// Tests of texts and words that have been judged.
    pub(super) texts: &'a mut Vec<(usize, Bounds)>,
    /// Whether it may be a connection into a container, once somebody has asked.
    pub(super) connects: &'a mut Option<bool>,
}

impl Look<'_> {
    /// Decides rules by texts; `places` are those of the rules that are left.
    pub(super) fn at_texts(
        &mut self,
        rest: &Rest,
        places: &mut Vec<usize>,
        verdicts: &mut Verdicts,
    ) {
        if rest.texts {
            self.narrow(places, verdicts, Self::text);
        }
    }

    /// Decides rules by which words are in the event.
    pub(super) fn at_words(
        &mut self,
        rest: &Rest,
        screen: &mut WordScreen,
        places: &mut Vec<usize>,
        verdicts: &mut Verdicts,
    ) {
        if !rest.words.is_empty() && !places.is_empty() {
            self.texts
                .extend(screen.look(self.plan, &rest.words, self.row));
            self.narrow(places, verdicts, Self::text);
        }
    }

    /// Decides rules by what a walk through the bodies finds. `success` is the truth of that test. False if the bodies tell
    /// nothing.
    pub(super) fn at_bodies(
        &mut self,
        (outline, rest): (&Outline, &Rest),
        success: Option<Truth>,
        screens: &mut Screens,
        places: &mut Vec<usize>,
        verdicts: &mut Verdicts,
    ) -> bool {
        let succeeded = match success {
            None => return false,
            Some(Truth::True) => Some(true),
            Some(Truth::False) => Some(false),
            Some(Truth::Unknown) => None,
        };
        let bodies = Bodies::screen(self.plan, (outline, rest), succeeded, screens, self.row);
        self.narrow(places, verdicts, |look, test| {
            match &look.plan.tests[test].reads {
                Reads::Body(place, hint) => bodies.bounds(*place, hint, screens),
                _ => look.text(test),
            }
        });
        true
    }

    /// Keeps the places whose rules `test` does not decide.
    fn narrow(
        &mut self,
        places: &mut Vec<usize>,
        verdicts: &mut Verdicts,
        test: impl Fn(&mut Self, usize) -> Bounds,
    ) {
        places.retain(|place| {
            let Open {
                rule, expression, ..
            } = &self.open[*place];
            let truth = expression.bounds(&mut |number| test(self, number)).known();
            if let Some(truth) = truth {
                verdicts.add(*rule, truth);
            }
            truth.is_none()
        });
    }

    fn may_connect(&mut self) -> bool {
        let row = self.row;
        *self.connects.get_or_insert_with(|| connects(row))
    }

    /// The truth of a test as far as texts tell.
    fn text(&mut self, test: usize) -> Bounds {
        let known = || self.texts.iter().find(|known| known.0 == test);
        match &self.plan.tests[test].reads {
            Reads::Text(column, check) => {
                if let Some((_, bounds)) = known() {
                    return *bounds;
                }
                let bounds = text_bounds(check, self.row.slice(*column));
                self.texts.push((test, bounds));
                bounds
            }
            Reads::Words => known().map_or(Bounds::ANY, |(_, bounds)| *bounds),
            Reads::Connection if !self.may_connect() => Bounds::FALSE,
            // The tree has asked for all groups before.
            Reads::Group { .. } | Reads::Connection | Reads::Body(..) | Reads::Document => {
                Bounds::ANY
            }
        }
    }
}

/// The kinds of connections, in whatever case, and what may hide one: an escape of the URI, or of JSON.
static CONNECTIONS: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .kind(Some(AhoCorasickKind::DFA))
        .build(["exec", "attach", "portforward", "run", "%", "\\"])
        .ok()
});

/// Whether the view `exec` may be there: false only if the URI is plain and names no kind of connection.
fn connects(row: &EventRow<'_>) -> bool {
    let may_name = |text: &[u8]| {
        CONNECTIONS
            .as_ref()
            .is_none_or(|kinds| kinds.is_match(text))
    };
    let uri = row.slice(Column::RequestUri);
    let subresource = row.slice(Column::Subresource);
    !uri.is_some_and(|text| text.starts_with(b"\"") && !may_name(text))
        || subresource.is_some_and(may_name)
}

fn text_bounds(check: &Check, text: Option<&[u8]>) -> Bounds {
    match text {
        None => check.of_absent().into(),
        Some(text) if text.starts_with(b"\"") => {
            Scalar::of_json(text).map_or(Bounds::ANY, |text| check.of_scalar(&text).into())
        }
        Some(_) => Bounds::ANY,
    }
}
