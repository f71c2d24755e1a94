//! Faults below `detection`, conditions apart.

use super::HEAD;

shown! {
    HEAD;

    an_unknown_modifier_is_shown_with_the_nearest: r#"
  selection:
    userAgent|contians: curl
  condition: selection
----
error[unknown_modifier]: there is no modifier `contians`
 --> rules/mine.yml:5:15
  |
5 |     userAgent|contians: curl
  |               ^^^^^^^^
  |
  = help: did you mean `contains`?
"#;

    an_unknown_modifier_without_a_neighbour: r#"
  selection:
    userAgent|foo: curl
  condition: selection
----
error[unknown_modifier]: there is no modifier `foo`
 --> rules/mine.yml:5:15
  |
5 |     userAgent|foo: curl
  |               ^^^
  |
  = help: the modifiers are all, startswith, endswith, contains, exists, cased, neq, windash, re, i, m, s, ignorecase, multiline, dotall, base64, base64offset, utf16le, utf16be, utf16, wide, lt, lte, gt, gte, minute, hour, day, week, month, year, cidr, expand, fieldref
"#;

    modifiers_that_cannot_be_combined: r#"
  selection:
    userAgent|contains|re: curl
  condition: selection
----
error[conflicting_modifiers]: `contains` and `re` cannot be combined
 --> rules/mine.yml:5:24
  |
5 |     userAgent|contains|re: curl
  |                        ^^
  |
  = help: keep one of the two; to demand both, write two lines
"#;

    a_modifier_that_stands_twice: r#"
  selection:
    userAgent|contains|contains: curl
  condition: selection
----
error[conflicting_modifiers]: `contains` stands twice
 --> rules/mine.yml:5:24
  |
5 |     userAgent|contains|contains: curl
  |                        ^^^^^^^^
  |
  = help: remove one of the two
"#;

    a_modifier_without_meaning_beside_another: r#"
  selection:
    'userAgent|re|cased': curl
  condition: selection
----
error[stray_cased]: a regular expression is case-sensitive without `cased`
 --> rules/mine.yml:5:19
  |
5 |     'userAgent|re|cased': curl
  |                   ^^^^^
  |
  = help: remove it
"#;

    a_flag_without_its_expression: r#"
  selection:
    userAgent|contains|i: curl
  condition: selection
----
error[stray_flag]: `i` is a flag of `re`, which is not here
 --> rules/mine.yml:5:24
  |
5 |     userAgent|contains|i: curl
  |                        ^
  |
  = help: write `|re|i`
"#;

    look_around: r#"
  selection:
    userAgent|re: '^kube(?!ctl)'
  condition: selection
----
error[bad_regex]: look-around is not supported in regular expressions
 --> rules/mine.yml:5:19
  |
5 |     userAgent|re: '^kube(?!ctl)'
  |                   ^^^^^^^^^^^^^^
  |
  = help: it cannot be matched in linear time; write two selections and join them by `and` or `and not`
"#;

    an_expression_that_is_none: r#"
  selection:
    userAgent|re: 'kube(ctl'
  condition: selection
----
error[bad_regex]: not a regular expression: unclosed group
 --> rules/mine.yml:5:19
  |
5 |     userAgent|re: 'kube(ctl'
  |                   ^^^^^^^^^^
  |
  = help: the syntax is that of Rust's `regex`; between single quotes a backslash stands for itself
"#;

    an_expression_that_would_take_all_memory: r#"
  selection:
    userAgent|re: '(a{1000}){1000}'
  condition: selection
----
error[bad_regex]: the regular expression is too large
 --> rules/mine.yml:5:19
  |
5 |     userAgent|re: '(a{1000}){1000}'
  |                   ^^^^^^^^^^^^^^^^^
  |
  = help: lower the numbers in braces, or split it
"#;

    a_null_in_a_list: r#"
  selection:
    userAgent: [curl, null]
  condition: selection
----
error[null_in_list]: a null cannot stand among values or behind a modifier
 --> rules/mine.yml:5:23
  |
5 |     userAgent: [curl, null]
  |                       ^^^^
  |
  = help: for a field that is absent or null write `field: null` in a selection of its own, and join the two by `or` in the condition
"#;

    a_value_that_is_missing: r#"
  selection:
    userAgent|contains:
  condition: selection
----
error[null_in_list]: the value is missing
 --> rules/mine.yml:5:23
  |
5 |     userAgent|contains:
  |                       ^
  |
  = help: for a field that is absent or null write `field: null` in a selection of its own, and join the two by `or` in the condition
"#;

    a_field_twice: r#"
  selection:
    verb: get
    'verb': list
  condition: selection
----
error[duplicate_key]: the key `verb` stands twice in one mapping
 --> rules/mine.yml:6:5
  |
6 |     'verb': list
  |     ^^^^^^ first used in line 5
  |
  = help: rename one of the two, or join their values in one list
"#;

    a_field_that_a_view_does_not_have: r#"
  selection:
    actor.knd: human
  condition: selection
----
error[unknown_field]: the view `actor` has no field `knd`
 --> rules/mine.yml:5:5
  |
5 |     actor.knd: human
  |     ^^^^^^^^^
  |
  = help: did you mean `actor.kind`?
"#;

    a_field_that_is_like_none_of_the_view: r#"
  selection:
    outcome.x: human
  condition: selection
----
error[unknown_field]: the view `outcome` has no field `x`
 --> rules/mine.yml:5:5
  |
5 |     outcome.x: human
  |     ^^^^^^^^^
  |
  = help: the fields of this view are `outcome.result`, `outcome.denied_by`, `outcome.dry_run`
"#;

    a_field_that_no_event_has: r#"
  selection:
    usrAgent: curl
  condition: selection
----
warning[unknown_field]: an audit event has no field `usrAgent`
 --> rules/mine.yml:5:5
  |
5 |     usrAgent: curl
  |     ^^^^^^^^
  |
  = help: did you mean `userAgent`?
"#;

    a_field_that_is_like_none: r#"
  selection:
    hostPath: /
  condition: selection
----
warning[unknown_field]: an audit event has no field `hostPath`
 --> rules/mine.yml:5:5
  |
5 |     hostPath: /
  |     ^^^^^^^^
  |
  = help: the rule is kept, but this line sees nothing unless a forwarder adds the field; docs/fields.md lists the fields
"#;

    a_mapping_where_a_value_should_be: r#"
  selection:
    objectRef: {resource: pods}
  condition: selection
----
error[bad_value]: a field cannot be compared with a mapping
 --> rules/mine.yml:5:16
  |
5 |     objectRef: {resource: pods}
  |                ^^^^^^^^^^^^^^^^
  |
  = help: write the path with dots: `objectRef.resource: pods`; blocks need `[any]`, `[all]` or `[none]`
"#;

    an_array_selector_without_its_version: r#"
  selection:
    pod.containers[any]:
      name: a
  condition: selection
----
error[array_selector]: array selectors came with version 3 of Sigma
 --> rules/mine.yml:5:5
  |
5 |     pod.containers[any]:
  |     ^^^^^^^^^^^^^^^^^^^
  |
  = help: add a line `sigma-version: 3` to the rule
"#;

    an_unknown_list: r#"
  selection:
    user.username|expand: '%admin%'
  condition: selection
----
error[unknown_placeholder]: there is no list `admin`
 --> rules/mine.yml:5:27
  |
5 |     user.username|expand: '%admin%'
  |                           ^^^^^^^^^
  |
  = help: did you mean `%admins%`?
"#;

    a_list_that_is_like_none: r#"
  selection:
    user.username|expand: '%robots%'
  condition: selection
----
error[unknown_placeholder]: there is no list `robots`
 --> rules/mine.yml:5:27
  |
5 |     user.username|expand: '%robots%'
  |                           ^^^^^^^^^^
  |
  = help: give the list with `--lists FILE`, a YAML file with a line `robots: [value, …]`
"#;

    a_network_that_is_none: r#"
  selection:
    sourceIPs|cidr: 10.0.0.0/40
  condition: selection
----
error[bad_cidr]: `10.0.0.0/40` is no network
 --> rules/mine.yml:5:21
  |
5 |     sourceIPs|cidr: 10.0.0.0/40
  |                     ^^^^^^^^^^^
  |
  = help: write `10.0.0.0/8` or `2001:db8::/32`
"#;

    a_number_that_is_none: r#"
  selection:
    responseStatus.code|gte: many
  condition: selection
----
error[bad_number]: `many` is no number
 --> rules/mine.yml:5:30
  |
5 |     responseStatus.code|gte: many
  |                              ^^^^
  |
  = help: `lt`, `lte`, `gt` and `gte` compare numbers only
"#;

    a_wildcard_that_cannot_be_encoded: r#"
  selection:
    userAgent|base64: 'a*b'
  condition: selection
----
error[encoded_wildcard]: a wildcard cannot be encoded
 --> rules/mine.yml:5:23
  |
5 |     userAgent|base64: 'a*b'
  |                       ^^^^^
  |
  = help: write `\*` or `\?` for the character itself
"#;

    marks_count_characters_and_not_bytes: r#"
  selection:
    userAgent|contains: größe
    'größe|lk': ü
  condition: selection
----
warning[unknown_field]: an audit event has no field `größe`
 --> rules/mine.yml:6:6
  |
6 |     'größe|lk': ü
  |      ^^^^^
  |
  = help: the rule is kept, but this line sees nothing unless a forwarder adds the field; docs/fields.md lists the fields

error[unknown_modifier]: there is no modifier `lk`
 --> rules/mine.yml:6:12
  |
6 |     'größe|lk': ü
  |            ^^
  |
  = help: the modifiers are all, startswith, endswith, contains, exists, cased, neq, windash, re, i, m, s, ignorecase, multiline, dotall, base64, base64offset, utf16le, utf16be, utf16, wide, lt, lte, gt, gte, minute, hour, day, week, month, year, cidr, expand, fieldref
"#;

    several_faults_are_shown_at_once: r#"
  selection:
    verb|contians: get
    userAgent: [curl, null]
    actor.knd: human
  condition: selecton
----
error[unknown_modifier]: there is no modifier `contians`
 --> rules/mine.yml:5:10
  |
5 |     verb|contians: get
  |          ^^^^^^^^
  |
  = help: did you mean `contains`?

error[null_in_list]: a null cannot stand among values or behind a modifier
 --> rules/mine.yml:6:23
  |
6 |     userAgent: [curl, null]
  |                       ^^^^
  |
  = help: for a field that is absent or null write `field: null` in a selection of its own, and join the two by `or` in the condition

error[unknown_field]: the view `actor` has no field `knd`
 --> rules/mine.yml:7:5
  |
7 |     actor.knd: human
  |     ^^^^^^^^^
  |
  = help: did you mean `actor.kind`?

error[bad_condition]: there is no selection `selecton`
 --> rules/mine.yml:8:14
  |
8 |   condition: selecton
  |              ^^^^^^^^
  |
  = help: did you mean `selection`?
"#;
}
