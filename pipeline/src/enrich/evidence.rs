//! Why the rule matched: its own lines with the values they matched, and what it could not see.

use detections::event::Event;
use detections::reference::{self, Explanation, Seen, SelectionTrace, Step};
use detections::sigma::ast::{Condition, Rule};
use detections::truth::Truth;
use serde_json::Value;

use crate::alert::Evidence;
use crate::limits::VALUE_CHARS_MAX;
use crate::redact;

/// The matched lines, and the fields that were asked for in vain.
pub(crate) fn of(rule: &Rule, event: &Event) -> (Vec<Evidence>, Vec<String>) {
    let explanation = reference::explain(rule, event);
    let asserted = asserted_selections(&rule.detection.condition, rule.detection.selections.len());
    let own = explanation
        .selections
        .iter()
        .zip(&asserted)
        .filter(|(trace, asserted)| **asserted && trace.truth == Truth::True);
    let evidence = own
        .flat_map(|(trace, _)| trace.steps.iter().flat_map(|step| of_step(trace, step)))
        .collect();
    (evidence, unseen(&explanation))
}

/// Which selections stand in the condition without a `not` before them: only these are reasons to fire.
fn asserted_selections(condition: &Condition, count: usize) -> Vec<bool> {
    let mut asserted = vec![false; count];
    mark(condition, true, &mut asserted);
    asserted
}

fn mark(condition: &Condition, positive: bool, asserted: &mut [bool]) {
    match condition {
        Condition::Selection(index) => asserted[*index] |= positive,
        Condition::Not(inner) => mark(inner, !positive, asserted),
        Condition::And(parts) | Condition::Or(parts) => {
            for part in parts {
                mark(part, positive, asserted);
            }
        }
    }
}

fn of_step(trace: &SelectionTrace, step: &Step) -> Vec<Evidence> {
    if step.truth != Truth::True {
        return Vec::new();
    }
    if !step.elements.is_empty() {
        let inner = step
            .elements
            .iter()
            .flat_map(|(index, steps)| steps.iter().map(move |inner| (index, inner)));
        return inner
            .flat_map(|(index, inner)| {
                of_step(trace, inner)
                    .into_iter()
                    .map(move |evidence| (*index, evidence))
            })
            .map(|(index, evidence)| Evidence {
                field: format!("{}[{index}].{}", array_name(step), evidence.field),
                ..evidence
            })
            .collect();
    }
    let Seen::Values(values) = &step.seen else {
        return Vec::new();
    };
    vec![Evidence {
        selection: trace.name.clone(),
        line: step.line,
        text: step.text.clone(),
        field: step.field.clone(),
        values: values
            .iter()
            .map(|value| shown(&step.field, value))
            .collect(),
    }]
}

fn array_name(step: &Step) -> &str {
    step.field.as_str()
}

fn shown(field: &str, value: &Value) -> String {
    let text = value
        .as_str()
        .map_or_else(|| value.to_string(), ToOwned::to_owned);
    let redacted = redact::value_of(field, &text);
    match redacted.char_indices().nth(VALUE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &redacted[..end]),
        None => redacted.into_owned(),
    }
}

fn unseen(explanation: &Explanation) -> Vec<String> {
    let mut fields: Vec<String> = explanation
        .selections
        .iter()
        .flat_map(|trace| &trace.steps)
        .filter(|step| step.seen == Seen::Unavailable)
        .map(|step| step.field.clone())
        .collect();
    fields.sort();
    fields.dedup();
    fields
}
