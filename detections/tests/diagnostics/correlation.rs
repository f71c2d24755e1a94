//! Faults of correlation documents.

shown! {
    "title: Reads\nname: reads\nlogsource: {product: kubernetes}\ndetection:\n  selection:\n    verb: get\n  condition: selection\n---\n";

    a_section_that_is_no_mapping: r#"
title: C
correlation: many
----
error[bad_correlation]: `correlation` must be a mapping
  --> rules/mine.yml:10:1
   |
10 | correlation: many
   | ^^^^^^^^^^^
   |
   = help: it needs type, rules, timespan, and mostly group-by and condition
"#;

    an_unknown_type: r#"
title: C
correlation:
  type: event_cuont
  rules: [a]
  timespan: 5m
----
error[bad_type]: there is no correlation type `event_cuont`
  --> rules/mine.yml:11:9
   |
11 |   type: event_cuont
   |         ^^^^^^^^^^^
   |
   = help: did you mean `event_count`?
"#;

    no_type: r#"
title: C
correlation:
  rules: [a]
  timespan: 5m
----
error[bad_type]: the correlation has no `type`
  --> rules/mine.yml:11:3
   |
11 |   rules: [a]
   |   ^^^^^
   |
   = help: the types are event_count, value_count, temporal, temporal_ordered, value_sum, value_avg, value_percentile
"#;

    no_rules: r#"
title: C
correlation:
  type: event_count
  timespan: 5m
  condition: {gte: 5}
----
error[no_rules]: the correlation does not say which rules feed it
  --> rules/mine.yml:11:3
   |
11 |   type: event_count
   |   ^^^^
   |
   = help: add `rules: [name or id, …]`
"#;

    an_unknown_rule: r#"
title: C
correlation:
  type: event_count
  rules: [readss]
  timespan: 5m
  condition: {gte: 5}
----
error[unknown_rule]: there is no rule `readss`
  --> rules/mine.yml:12:11
   |
12 |   rules: [readss]
   |           ^^^^^^
   |
   = help: did you mean `reads`?
"#;

    a_timespan_without_a_unit: r#"
title: C
correlation:
  type: event_count
  rules: [reads]
  timespan: 300
  condition: {gte: 5}
----
error[bad_timespan]: `300` is no timespan
  --> rules/mine.yml:13:13
   |
13 |   timespan: 300
   |             ^^^
   |
   = help: write a whole number with s, m, h or d, such as `10m`; at most 90d
"#;

    no_timespan: r#"
title: C
correlation:
  type: event_count
  rules: [reads]
  condition: {gte: 5}
----
error[bad_timespan]: the correlation has no `timespan`
  --> rules/mine.yml:11:3
   |
11 |   type: event_count
   |   ^^^^
   |
   = help: write a whole number with s, m, h or d, such as `10m`; at most 90d
"#;

    an_unknown_key: r#"
title: C
correlation:
  type: event_count
  rules: [reads]
  groupby: [actor.name]
  timespan: 5m
  condition: {gte: 5}
----
error[unknown_key]: a correlation has no key `groupby`
  --> rules/mine.yml:13:3
   |
13 |   groupby: [actor.name]
   |   ^^^^^^^
   |
   = help: did you mean `group-by`?
"#;

    no_condition: r#"
title: C
correlation:
  type: event_count
  rules: [reads]
  timespan: 5m
----
error[no_condition]: `event_count` does not say how many
  --> rules/mine.yml:11:3
   |
11 |   type: event_count
   |   ^^^^
   |
   = help: add `condition: {gte: …}`
"#;

    an_unknown_comparison: r#"
title: C
correlation:
  type: event_count
  rules: [reads]
  timespan: 5m
  condition: {atleast: 5}
----
error[bad_condition]: `atleast` is no comparison
  --> rules/mine.yml:14:15
   |
14 |   condition: {atleast: 5}
   |               ^^^^^^^
   |
   = help: the comparisons are gt, gte, lt, lte, eq, neq; `field` and `percentile` go with value_…
"#;

    a_condition_that_nothing_satisfies: r#"
title: C
correlation:
  type: event_count
  rules: [reads]
  timespan: 5m
  condition: {gte: 5, lt: 5}
----
error[bad_condition]: no number can satisfy this, or one comparison says more than another
  --> rules/mine.yml:14:3
   |
14 |   condition: {gte: 5, lt: 5}
   |   ^^^^^^^^^
   |
   = help: one comparison, or a lower (gt, gte) and a higher upper bound (lt, lte)
"#;

    a_count_beyond_all_bounds: r#"
title: C
correlation:
  type: value_count
  rules: [reads]
  timespan: 5m
  condition: {gte: 1000000, field: verb}
----
error[bad_condition]: 1000000 is out of range for `value_count`
  --> rules/mine.yml:14:3
   |
14 |   condition: {gte: 1000000, field: verb}
   |   ^^^^^^^^^
   |
   = help: a whole number from 0 to 10000
"#;

    a_count_that_is_no_number: r#"
title: C
correlation:
  type: event_count
  rules: [reads]
  timespan: 5m
  condition: {gte: five}
----
error[bad_condition]: `five` is no number that fits here
  --> rules/mine.yml:14:20
   |
14 |   condition: {gte: five}
   |                    ^^^^
"#;

    values_of_no_field: r#"
title: C
correlation:
  type: value_count
  rules: [reads]
  timespan: 5m
  condition: {gte: 5}
----
error[no_field]: `value_count` does not say which field
  --> rules/mine.yml:14:3
   |
14 |   condition: {gte: 5}
   |   ^^^^^^^^^
   |
   = help: add `field: …` to `condition`
"#;

    a_field_for_nothing: r#"
title: C
correlation:
  type: event_count
  rules: [reads]
  timespan: 5m
  condition: {gte: 5, field: verb}
----
warning[unused_field]: `event_count` looks at no field
  --> rules/mine.yml:14:30
   |
14 |   condition: {gte: 5, field: verb}
   |                              ^^^^
   |
   = help: take `field` out, or count its values by `type: value_count`
"#;

    a_sequence_of_one_rule: r#"
title: C
correlation:
  type: temporal_ordered
  rules: [reads]
  timespan: 5m
----
error[one_rule]: `temporal_ordered` needs two rules or more
  --> rules/mine.yml:11:3
   |
11 |   type: temporal_ordered
   |   ^^^^
   |
   = help: one rule's events are counted by `type: event_count`
"#;

    an_alias_of_a_stranger: r#"
title: C
correlation:
  type: event_count
  rules: [reads]
  aliases: {who: {raeds: actor.name}}
  group-by: [who]
  timespan: 5m
  condition: {gte: 5}
----
error[unknown_rule]: `raeds` is not among the correlation's rules
  --> rules/mine.yml:13:19
   |
13 |   aliases: {who: {raeds: actor.name}}
   |                   ^^^^^
   |
   = help: did you mean `reads`?
"#;

    a_group_by_a_field_that_is_misspelt: r#"
title: C
correlation:
  type: event_count
  rules: [reads]
  group-by: [actor.nmae]
  timespan: 5m
  condition: {gte: 5}
----
error[unknown_field]: the view `actor` has no field `nmae`
  --> rules/mine.yml:13:14
   |
13 |   group-by: [actor.nmae]
   |              ^^^^^^^^^^
   |
   = help: did you mean `actor.name`?
"#;

    a_correlation_that_feeds_itself: r#"
title: C
name: mine
correlation:
  type: event_count
  rules: [mine]
  timespan: 5m
  condition: {gte: 5}
----
error[correlation_cycle]: the correlation is fed by itself, or by one that is not usable
  --> rules/mine.yml:13:11
   |
13 |   rules: [mine]
   |           ^^^^
   |
   = help: a chain of correlations must begin with rules about single events
"#;

    generate_that_is_no_boolean: r#"
title: C
correlation:
  type: event_count
  rules: [reads]
  generate: maybe
  timespan: 5m
  condition: {gte: 5}
----
error[bad_generate]: `generate` must be true or false
  --> rules/mine.yml:13:13
   |
13 |   generate: maybe
   |             ^^^^^
"#;
}
