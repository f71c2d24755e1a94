//! Faults of conditions.

use super::HEAD;

shown! {
    HEAD;

    an_unknown_selection: r#"
  selection:
    verb: get
  condition: selecton and not filter
----
error[bad_condition]: there is no selection `selecton`
 --> rules/mine.yml:6:14
  |
6 |   condition: selecton and not filter
  |              ^^^^^^^^
  |
  = help: did you mean `selection`?
"#;

    a_condition_that_ends_too_early: r#"
  selection:
    verb: get
  condition: selection and
----
error[bad_condition]: the condition ends too early
 --> rules/mine.yml:6:24
  |
6 |   condition: selection and
  |                        ^^^
  |
  = help: name a selection
"#;

    a_parenthesis_that_is_missing: r#"
  selection:
    verb: get
  condition: (selection
----
error[bad_condition]: a `)` is missing
 --> rules/mine.yml:6:15
  |
6 |   condition: (selection
  |               ^^^^^^^^^
  |
  = help: close every parenthesis
"#;

    two_selections_without_a_word_between: r#"
  selection:
    verb: get
  condition: selection selection
----
error[bad_condition]: `selection` is not expected here
 --> rules/mine.yml:6:24
  |
6 |   condition: selection selection
  |                        ^^^^^^^^^
  |
  = help: join parts by `and` or `or`
"#;

    a_condition_over_several_lines_is_marked_at_the_word: r#"
  selection:
    verb: get
  condition: >-
    selection
    and not fliter
----
error[bad_condition]: there is no selection `fliter`
 --> rules/mine.yml:8:13
  |
8 |     and not fliter
  |             ^^^^^^
  |
  = help: the only selection is `selection`
"#;

    an_aggregation: r#"
  selection:
    verb: get
  condition: selection | count() > 5
----
error[aggregation]: aggregations in conditions were removed from Sigma
 --> rules/mine.yml:6:24
  |
6 |   condition: selection | count() > 5
  |                        ^
  |
  = help: counting needs a correlation document, and these are not supported yet
"#;

    a_quantity_that_does_not_exist: r#"
  selection:
    verb: get
  condition: 3 of selection*
----
error[bad_condition]: `3 of` is not supported
 --> rules/mine.yml:6:14
  |
6 |   condition: 3 of selection*
  |              ^
  |
  = help: write `1 of` or `all of`
"#;

    a_pattern_without_selections: r#"
  selection:
    verb: get
  condition: 1 of sel_*
----
error[bad_condition]: no selection matches `sel_*`
 --> rules/mine.yml:6:19
  |
6 |   condition: 1 of sel_*
  |                   ^^^^^
  |
  = help: the only selection is `selection`
"#;

    a_missing_condition: r#"
  selection:
    verb: get
----
error[no_condition]: there is no `condition`
 --> rules/mine.yml:3:1
  |
3 | detection:
  | ^^^^^^^^^
  |
  = help: add `condition: selection`
"#;

    an_empty_selection: r#"
  selection: {}
  condition: selection
----
error[empty_selection]: the selection is empty
 --> rules/mine.yml:4:14
  |
4 |   selection: {}
  |              ^^
  |
  = help: an empty selection would match every event; remove it, or give it a field
"#;

    a_selection_that_is_not_used: r#"
  selection:
    verb: get
  other:
    verb: list
  condition: selection
----
warning[unused_selection]: the condition does not use the selection `other`
 --> rules/mine.yml:6:3
  |
6 |   other:
  |   ^^^^^
  |
  = help: use it in the condition, or remove it
"#;
}
