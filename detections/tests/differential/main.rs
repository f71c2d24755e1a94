//! The engine against the reference evaluator: random rules, several at once, on batches of random events.
//!
//! Vocabularies are small so that rules and events meet, and hold what two implementations are likely to judge apart:
//! letters that change their length with their case, wildcards at the edges, wrong types, nulls, duplicate keys, keys
//! with dots, broken and truncated bodies, cut records, and every envelope.

#[path = "../common/mod.rs"]
mod common;

mod events;
mod rules;

use detections::engine::RuleSet;
use detections::event::Origin;
use detections::reference;
use proptest::prelude::*;
use proptest::strategy::ValueTree;

/// A case takes a millisecond, and faults hide in rare meetings: a dozen times the usual number of cases.
fn config() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig {
        cases: usual.cases.saturating_mul(12),
        failure_persistence: None,
        ..usual
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_engine_agrees_with_the_reference(
        texts in prop::collection::vec(rules::rule(), 1..5),
        filter in prop::option::of(rules::filter()),
        batch in prop::collection::vec(events::event(), 1..12),
    ) {
        let named = texts.iter().enumerate().map(|(index, text)| text.replace("NAME", &format!("rule_{index}")));
        let rules = RuleSet::new(common::load_all(&named.chain(filter).collect::<Vec<_>>()));
        let events: Vec<(&str, Origin)> = batch.iter().map(|(text, origin)| (text.as_str(), origin.clone())).collect();
        let batch = common::batch(&events);
        // What is remembered of one batch must stay true of the next.
        let mut evaluator = rules.evaluator();
        let (first, second) = (evaluator.evaluate(&batch), evaluator.evaluate(&batch));
        prop_assert_eq!(&first, &second);
        let fast = common::verdicts(&second, events.len(), texts.len());
        for (row, (text, _)) in events.iter().enumerate() {
            let event = batch.row(row).event().unwrap();
            for (index, rule) in rules.rules().iter().enumerate() {
                let slow = reference::evaluate(rule, &event);
                prop_assert_eq!(fast[row][index], slow, "{}\n{}\n{:?}", rule.header.source.text, text, event.origin());
            }
        }
    }
}

/// Random inputs prove something only if all verdicts occur.
#[test]
fn rules_and_events_meet() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut counts = [0; 3];
    let strategy = (rules::rule(), prop::collection::vec(events::event(), 8));
    for _ in 0..200 {
        let (rule, batch) = strategy.new_tree(&mut runner).unwrap().current();
        let rules = RuleSet::new(common::load_all(&[rule]));
        let events: Vec<(&str, Origin)> = batch
            .iter()
            .map(|(text, origin)| (text.as_str(), origin.clone()))
            .collect();
        let batch = common::batch(&events);
        for verdict in common::verdicts(&rules.evaluate(&batch), events.len(), 1).concat() {
            counts[verdict as usize] += 1;
        }
    }
    assert!(
        counts.iter().all(|count| *count > 150),
        "no, unknown, yes: {counts:?}"
    );
}
