//! Faults of whole documents and their headers.

shown! {
    "";

    a_missing_title: r#"
logsource: {product: kubernetes}
detection:
  selection:
    verb: get
  condition: selection
----
error[missing_key]: there is no `title`
 --> rules/mine.yml:1:1
  |
1 | logsource: {product: kubernetes}
  | ^^^^^^^^^
  |
  = help: add a line `title: …`
"#;

    a_title_that_is_no_text: r#"
title: [a, b]
logsource: {product: kubernetes}
detection:
  selection:
    verb: get
  condition: selection
----
error[missing_key]: `title` must be a text
 --> rules/mine.yml:1:1
  |
1 | title: [a, b]
  | ^^^^^
"#;

    a_missing_logsource: r#"
title: A rule
detection:
  selection:
    verb: get
  condition: selection
----
error[no_logsource]: there is no `logsource`
 --> rules/mine.yml:1:1
  |
1 | title: A rule
  | ^^^^^
  |
  = help: write `logsource: {product: kubernetes, service: audit}`
"#;

    a_logsource_that_is_no_mapping: r#"
title: A rule
logsource: kubernetes
detection:
  selection:
    verb: get
  condition: selection
----
error[no_logsource]: `logsource` must be a mapping
 --> rules/mine.yml:2:1
  |
2 | logsource: kubernetes
  | ^^^^^^^^^
  |
  = help: write `logsource: {product: kubernetes, service: audit}`
"#;

    a_missing_detection: r#"
title: A rule
logsource: {product: kubernetes}
----
error[no_detection]: there is no `detection`
 --> rules/mine.yml:1:1
  |
1 | title: A rule
  | ^^^^^
  |
  = help: add `detection` with a selection and a condition
"#;

    a_detection_that_is_no_mapping: r#"
title: A rule
logsource: {product: kubernetes}
detection: [a]
----
error[bad_detection]: `detection` must be a mapping of named selections and a condition
 --> rules/mine.yml:3:12
  |
3 | detection: [a]
  |            ^^^
"#;

    a_level_that_is_none: r#"
title: A rule
logsource: {product: kubernetes}
level: hgih
detection:
  selection:
    verb: get
  condition: selection
----
error[bad_level]: `hgih` is no level
 --> rules/mine.yml:3:8
  |
3 | level: hgih
  |        ^^^^
  |
  = help: did you mean `high`?
"#;

    an_id_that_is_none: r#"
title: A rule
logsource: {product: kubernetes}
id: 12
detection:
  selection:
    verb: get
  condition: selection
----
error[bad_id]: `id` must be a UUID
 --> rules/mine.yml:3:5
  |
3 | id: 12
  |     ^^
  |
  = help: `uuidgen` makes one
"#;

    a_version_of_the_future: r#"
title: A rule
logsource: {product: kubernetes}
sigma-version: 4
detection:
  selection:
    verb: get
  condition: selection
----
error[sigma_version]: version `4` of Sigma is not known
 --> rules/mine.yml:3:16
  |
3 | sigma-version: 4
  |                ^
  |
  = help: the newest known is 3
"#;

    a_slip_in_a_key: r#"
title: A rule
logsource: {product: kubernetes}
refrences: [x]
detection:
  selection:
    verb: get
  condition: selection
----
warning[unknown_key]: a rule has no key `refrences`
 --> rules/mine.yml:3:1
  |
3 | refrences: [x]
  | ^^^^^^^^^
  |
  = help: did you mean `references`?
"#;

    tags_that_are_out_of_date_or_wrong: r#"
title: A rule
logsource: {product: kubernetes}
tags: [attack.t1562.001, attack.defense-evasion, attack.t1609x]
detection:
  selection:
    verb: get
  condition: selection
----
warning[revoked_technique]: T1562.001 was revoked in ATT&CK v19.1
 --> rules/mine.yml:3:8
  |
3 | tags: [attack.t1562.001, attack.defense-evasion, attack.t1609x]
  |        ^^^^^^^^^^^^^^^^
  |
  = help: write `attack.t1685`

warning[renamed_tactic]: the tactic `defense-evasion` was renamed in ATT&CK v19
 --> rules/mine.yml:3:26
  |
3 | tags: [attack.t1562.001, attack.defense-evasion, attack.t1609x]
  |                          ^^^^^^^^^^^^^^^^^^^^^^
  |
  = help: write `attack.stealth`

warning[unknown_tag]: `attack.t1609x` is no ATT&CK tag
 --> rules/mine.yml:3:50
  |
3 | tags: [attack.t1562.001, attack.defense-evasion, attack.t1609x]
  |                                                  ^^^^^^^^^^^^^
  |
  = help: did you mean `attack.t1609`?
"#;

    an_action_is_refused: r#"
action: global
title: A rule
----
error[unsupported_document]: `action` documents were removed from Sigma
 --> rules/mine.yml:1:1
  |
1 | action: global
  | ^^^^^^
  |
  = help: write each rule out
"#;

    a_list_is_no_rule: r#"
- title: A rule
----
error[not_a_rule]: a rule must be a mapping, not a list
 --> rules/mine.yml:1:1
  |
1 | - title: A rule
  | ^^^^^^^^^^^^^^^
  |
  = help: a rule begins with a line `title: …`
"#;

    an_empty_file: r#"
# Nothing yet.
----
error[empty_file]: the file holds no rule
 --> rules/mine.yml:1:1
  |
1 | # Nothing yet.
  | ^
"#;

    a_value_that_must_be_quoted: r#"
title: Exec: into a pod
----
error[yaml_syntax]: not valid YAML: mapping values are not allowed in this context
 --> rules/mine.yml:1:12
  |
1 | title: Exec: into a pod
  |            ^
  |
  = help: a value that holds `: ` or ` #`, or starts with `*`, `&`, `%`, `@`, `[`, `{` or `!`, must be quoted
"#;

    a_tab: r#"
title: A rule
detection:
	selection: x
----
error[yaml_syntax]: not valid YAML: tabs disallowed within this context (block indentation)
 --> rules/mine.yml:3:2
  |
3 |     selection: x
  |     ^
  |
  = help: indent with spaces
"#;

    a_quote_that_is_not_closed: r#"
title: 'A rule
level: high
----
error[yaml_syntax]: not valid YAML: invalid indentation in quoted scalar
 --> rules/mine.yml:1:8
  |
1 | title: 'A rule
  |        ^
  |
  = help: close the quote or the bracket
"#;

    an_alias: r#"
title: *rule
----
error[yaml_syntax]: not valid YAML: while parsing node, found unknown anchor
 --> rules/mine.yml:1:8
  |
1 | title: *rule
  |        ^
  |
  = help: a value that holds `: ` or ` #`, or starts with `*`, `&`, `%`, `@`, `[`, `{` or `!`, must be quoted
"#;

    a_filter_for_nothing: r#"
title: A filter
logsource: {product: kubernetes}
filter:
  rules: [no_such_rule]
  selection:
    verb: get
  condition: selection
----
warning[unused_filter]: the filter `A filter` names no rule that is loaded
 --> rules/mine.yml:4:10
  |
4 |   rules: [no_such_rule]
  |          ^^^^^^^^^^^^^^
  |
  = help: `tidewatch rules list` prints names and ids
"#;

    a_filter_that_does_not_say_for_what: r#"
title: A filter
logsource: {product: kubernetes}
filter:
  selection:
    verb: get
  condition: selection
----
error[no_rules]: the filter does not say which rules it is for
 --> rules/mine.yml:3:1
  |
3 | filter:
  | ^^^^^^
  |
  = help: add `rules: [name or id, …]`, or `rules: any`
"#;

    two_rules_of_one_id: r#"
title: A rule
name: a
id: 8e7079c8-b0e9-40d4-951c-6db9d9a27185
logsource: {product: kubernetes}
detection:
  selection:
    verb: get
  condition: selection
---
title: A rule
name: b
id: 8E7079C8-b0e9-40d4-951c-6db9d9a27185
logsource: {product: kubernetes}
detection:
  selection:
    verb: get
  condition: selection
----
error[twin_rules]: another rule has the id `8e7079c8-b0e9-40d4-951c-6db9d9a27185`
  --> rules/mine.yml:12:5
   |
12 | id: 8E7079C8-b0e9-40d4-951c-6db9d9a27185
   |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
   |
   = help: the other one is in rules/mine.yml, line 3; give this one its own
"#;

    two_rules_of_one_name: r#"
title: A rule
name: a
logsource: {product: kubernetes}
detection:
  selection:
    verb: get
  condition: selection
---
title: A rule
name: a
logsource: {product: kubernetes}
detection:
  selection:
    verb: get
  condition: selection
----
error[twin_rules]: another rule has the name `a`
  --> rules/mine.yml:10:7
   |
10 | name: a
   |       ^
   |
   = help: the other one is in rules/mine.yml, line 2; give this one its own
"#;
}
