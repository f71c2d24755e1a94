//! Correlations tried on a handful of events, by the slow and obvious way: what pages test, and what explains.

use std::collections::BTreeSet;

use crate::event::Event;
use crate::reference;
use crate::sigma::Loaded;
use crate::sigma::ast::Input;
use crate::truth::Truth;

use super::{Correlations, Fed, Moment, Reached, State, Values};

/// What came of some events.
#[derive(Clone, Debug, Default)]
pub struct Trial {
    steps: Vec<TrialStep>,
    fired: BTreeSet<String>,
}

/// An event that fed a correlation.
#[derive(Clone, Debug)]
pub struct TrialStep {
    /// The event's place among those given.
    pub event: usize,
    /// The correlation's name.
    pub correlation: String,
    /// Which of its inputs.
    pub input: usize,
    /// Its group.
    pub values: Values,
    /// What was reached with it.
    pub reached: Option<Reached>,
}

impl Trial {
    /// Tries rules and correlations on events, in the order of their times. Events without a time feed nothing.
    #[must_use]
    pub fn of(loaded: &Loaded, events: &[Event]) -> Self {
        let plan = Correlations::new(loaded.correlations.clone(), &loaded.rules);
        let mut order: Vec<(Moment, usize)> = Vec::new();
        for (place, event) in events.iter().enumerate() {
            let at = |time_us| Moment {
                time_us,
                identity: event.request_identity(),
            };
            order.extend(event.time_us().map(|time_us| (at(time_us), place)));
        }
        order.sort_unstable();
        let (mut trial, mut state) = (Self::default(), State::default());
        for (at, place) in order {
            let event = &events[place];
            if event.stage() == Some("RequestReceived") {
                continue;
            }
            let matches =
                |rule: &usize| reference::evaluate(&loaded.rules[*rule], event) == Truth::True;
            let matched: Vec<usize> = (0..loaded.rules.len()).filter(matches).collect();
            let fed = Fed {
                at,
                cluster: event.origin().cluster.clone(),
                goes_on: event.stage() == Some("ResponseStarted"),
                feeds: plan.feeds(&matched, event),
                brief: "".into(),
                witness: (),
            };
            trial.note(&plan, place, &fed, &mut state);
        }
        for ended in state.finish(&plan) {
            let name = &plan.all()[ended.correlation].header.name;
            trial.fired.insert(name.clone());
        }
        trial
    }

    fn note(&mut self, plan: &Correlations, event: usize, fed: &Fed<()>, state: &mut State<()>) {
        let reached = state.feed(plan, fed);
        for feed in &fed.feeds {
            let spec = &plan.all()[feed.correlation];
            // What waits for another correlation is fed only if that one found something.
            let place = (feed.correlation, feed.input);
            let is_fed = match &spec.inputs[feed.input] {
                Input::Rule(_) => true,
                Input::Correlation(_) => reached
                    .iter()
                    .any(|(inner, _)| plan.outer(*inner).contains(&place)),
            };
            if !is_fed {
                continue;
            }
            let correlation = spec.header.name.clone();
            let now = reached.iter().find(|(of, _)| *of == feed.correlation);
            if now.is_some() {
                self.fired.insert(correlation.clone());
            }
            self.steps.push(TrialStep {
                event,
                correlation,
                input: feed.input,
                values: feed.values.clone(),
                reached: now.map(|(_, reached)| *reached),
            });
        }
    }

    /// Whether a correlation found something.
    #[must_use]
    pub fn has_fired(&self, correlation: &str) -> bool {
        self.fired.contains(correlation)
    }

    /// The events that fed a correlation, in order.
    pub fn steps_of<'a>(&'a self, correlation: &'a str) -> impl Iterator<Item = &'a TrialStep> {
        let steps = self.steps.iter();
        steps.filter(move |step| step.correlation == correlation)
    }
}
