//! Faults of baseline documents.

shown! {
    "title: Reads\nname: reads\nlogsource: {product: kubernetes}\ndetection:\n  selection:\n    verb: get\n  condition: selection\n---\n";

    a_section_that_is_no_mapping: r#"
title: B
baseline: first_seen
----
error[bad_baseline]: `baseline` must be a mapping
  --> rules/mine.yml:10:1
   |
10 | baseline: first_seen
   | ^^^^^^^^
   |
   = help: it needs type, rules, learn, forget, mostly group-by, and what the type asks for
"#;

    an_unknown_type: r#"
title: B
baseline:
  type: first-seen
  rules: [reads]
  learn: 7d
  forget: 30d
----
error[bad_type]: there is no baseline type `first-seen`
  --> rules/mine.yml:11:9
   |
11 |   type: first-seen
   |         ^^^^^^^^^^
   |
   = help: did you mean `first_seen`?
"#;

    no_type: r#"
title: B
baseline:
  rules: [reads]
  learn: 7d
  forget: 30d
----
error[bad_type]: the baseline has no `type`
  --> rules/mine.yml:11:3
   |
11 |   rules: [reads]
   |   ^^^^^
   |
   = help: the types are first_seen, rare, spike
"#;

    all_that_is_missing: r#"
title: B
baseline:
  type: rare
----
error[no_rules]: the baseline does not say which rules feed it
  --> rules/mine.yml:11:3
   |
11 |   type: rare
   |   ^^^^
   |
   = help: add `rules: [name or id, …]`

error[bad_learn]: the baseline has no `learn`
  --> rules/mine.yml:11:3
   |
11 |   type: rare
   |   ^^^^
   |
   = help: write a whole number with s, m, h or d, such as `7d`; at most 90d

error[bad_forget]: the baseline has no `forget`
  --> rules/mine.yml:11:3
   |
11 |   type: rare
   |   ^^^^
   |
   = help: write a whole number with s, m, h or d, such as `30d`; at most 366d

error[no_field]: `rare` does not say of which field
  --> rules/mine.yml:11:3
   |
11 |   type: rare
   |   ^^^^
   |
   = help: add `of: [field, …]`; the values of several fields are one together

error[bad_below]: `rare` does not say what is rare
  --> rules/mine.yml:11:3
   |
11 |   type: rare
   |   ^^^^
   |
   = help: write a percentage, such as `below: 1%`
"#;

    all_that_a_spike_lacks: r#"
title: B
baseline:
  type: spike
  rules: [reads]
  learn: 7d
  forget: 30d
----
error[bad_timespan]: the baseline has no `timespan`
  --> rules/mine.yml:11:3
   |
11 |   type: spike
   |   ^^^^
   |
   = help: write a whole number with s, m, h or d, such as `10m`; at most 90d

error[bad_number]: `spike` does not say `at-least`
  --> rules/mine.yml:11:3
   |
11 |   type: spike
   |   ^^^^
   |
   = help: write `at-least: …`, from 1 to 100000

error[bad_number]: `spike` does not say `deviations`
  --> rules/mine.yml:11:3
   |
11 |   type: spike
   |   ^^^^
   |
   = help: write `deviations: …`, from 0.1 to 1000
"#;

    numbers_that_are_none: r#"
title: B
baseline:
  type: spike
  rules: [reads]
  learn: 7d
  forget: 30d
  timespan: 10
  at-least: 2.5
  deviations: 0
----
error[bad_timespan]: `10` is no timespan
  --> rules/mine.yml:15:13
   |
15 |   timespan: 10
   |             ^^
   |
   = help: write a whole number with s, m, h or d, such as `10m`; at most 90d

error[bad_number]: `2.5` is no number that fits here
  --> rules/mine.yml:16:13
   |
16 |   at-least: 2.5
   |             ^^^
   |
   = help: write `at-least: …`, from 1 to 100000

error[bad_number]: `0` is no number that fits here
  --> rules/mine.yml:17:15
   |
17 |   deviations: 0
   |               ^
   |
   = help: write `deviations: …`, from 0.1 to 1000
"#;

    a_timespan_that_is_never_learned: r#"
title: B
baseline:
  type: spike
  rules: [reads]
  learn: 1h
  forget: 30d
  timespan: 1d
  at-least: 5
  deviations: 6
----
error[bad_timespan]: nothing is usual before one timespan is over
  --> rules/mine.yml:15:3
   |
15 |   timespan: 1d
   |   ^^^^^^^^
   |
   = help: `timespan` must not be longer than `learn`
"#;

    a_key_of_another_type: r#"
title: B
baseline:
  type: spike
  rules: [reads]
  of: [verb]
  learn: 7d
  forget: 30d
  timespan: 10m
  at-least: 5
  deviations: 6
  below: 1%
----
error[unused_key]: `spike` has no use for `of`
  --> rules/mine.yml:13:3
   |
13 |   of: [verb]
   |   ^^
   |
   = help: it goes with first_seen and rare

error[unused_key]: `spike` has no use for `below`
  --> rules/mine.yml:19:3
   |
19 |   below: 1%
   |   ^^^^^
   |
   = help: it goes with rare
"#;

    an_unknown_key: r#"
title: B
baseline:
  type: first_seen
  rules: [reads]
  of: [verb]
  learn: 7d
  foget: 30d
  forget: 30d
----
error[unknown_key]: a baseline has no key `foget`
  --> rules/mine.yml:15:3
   |
15 |   foget: 30d
   |   ^^^^^
   |
   = help: did you mean `forget`?
"#;

    times_that_are_none: r#"
title: B
baseline:
  type: first_seen
  rules: [reads]
  of: [verb]
  learn: a week
  forget: 400d
----
error[bad_learn]: `a week` is no time to learn
  --> rules/mine.yml:14:10
   |
14 |   learn: a week
   |          ^^^^^^
   |
   = help: write a whole number with s, m, h or d, such as `7d`; at most 90d

error[bad_forget]: `400d` is no time to forget
  --> rules/mine.yml:15:11
   |
15 |   forget: 400d
   |           ^^^^
   |
   = help: write a whole number with s, m, h or d, such as `30d`; at most 366d
"#;

    what_is_forgotten_before_it_is_learned: r#"
title: B
baseline:
  type: first_seen
  rules: [reads]
  of: [verb]
  learn: 14d
  forget: 7d
----
error[bad_learn]: what is learned would be forgotten before it is used
  --> rules/mine.yml:14:3
   |
14 |   learn: 14d
   |   ^^^^^
   |
   = help: `learn` must not be longer than `forget`
"#;

    a_share_without_percent: r#"
title: B
baseline:
  type: rare
  rules: [reads]
  of: [verb]
  learn: 7d
  forget: 30d
  below: 0.01
----
error[bad_below]: `0.01` is no share
  --> rules/mine.yml:16:10
   |
16 |   below: 0.01
   |          ^^^^
   |
   = help: write a percentage, such as `below: 1%`
"#;

    a_field_that_is_misspelt: r#"
title: B
baseline:
  type: first_seen
  rules: [reads]
  group-by: [actor.canonical]
  of: [source.netwrok, verb]
  learn: 7d
  forget: 30d
----
error[unknown_field]: the view `source` has no field `netwrok`
  --> rules/mine.yml:14:8
   |
14 |   of: [source.netwrok, verb]
   |        ^^^^^^^^^^^^^^
   |
   = help: did you mean `source.network`?
"#;

    an_unknown_rule: r#"
title: B
baseline:
  type: first_seen
  rules: [raeds]
  of: [verb]
  learn: 7d
  forget: 30d
----
error[unknown_rule]: there is no rule `raeds`
  --> rules/mine.yml:12:11
   |
12 |   rules: [raeds]
   |           ^^^^^
   |
   = help: did you mean `reads`?
"#;

    a_baseline_that_feeds_itself: r#"
title: B
name: mine
baseline:
  type: first_seen
  rules: [mine]
  of: [verb]
  learn: 7d
  forget: 30d
----
error[correlation_cycle]: the correlation is fed by itself, or by one that is not usable
  --> rules/mine.yml:13:11
   |
13 |   rules: [mine]
   |           ^^^^
   |
   = help: a chain of correlations must begin with rules about single events
"#;

    a_twin_of_a_rule: r#"
title: B
name: reads
baseline:
  type: first_seen
  rules: [reads]
  of: [verb]
  learn: 7d
  forget: 30d
----
error[twin_rules]: another rule has the name `reads`
  --> rules/mine.yml:10:7
   |
10 | name: reads
   |       ^^^^^
   |
   = help: the other one is in rules/mine.yml, line 2; give this one its own
"#;
}

#[test]
fn a_baseline_is_a_correlation_to_all_others() {
    let text = "title: Reads\nname: reads\nlogsource: {product: kubernetes}\ndetection:\n  selection:\n    verb: get\n  \
                condition: selection\n---\ntitle: B\nname: news\nbaseline: {type: first_seen, rules: [reads], of: [verb], learn: 7d, \
                forget: 30d}\n---\ntitle: C\nname: many_news\ncorrelation: {type: event_count, rules: [news], timespan: 1h, condition: \
                {gte: 2}}\n---\ntitle: F\nfilter:\n  rules: [news]\n  selection:\n    verb: list\n  condition: not selection\n";
    let loaded = crate::load_one(text);
    assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
    let silent: Vec<_> = loaded
        .correlations
        .iter()
        .map(|found| (found.header.name.as_str(), found.silent))
        .collect();
    assert_eq!(silent, [("news", true), ("many_news", false)]);
    assert!(loaded.rules.iter().all(|rule| rule.silent));
    // The filter on the baseline has a copy of the rule that feeds it.
    assert_eq!(loaded.correlations[0].inputs[0].name(), "reads for news");
}
