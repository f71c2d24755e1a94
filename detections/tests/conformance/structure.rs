//! Structure: maps, lists, keywords, paths, conditions, filters.

use detections::event::Origin;

use crate::{check, common};

claims! {
    lines_of_a_map_must_all_hold: r#"
        {verb: get, stage: Panic}
            {"verb":"get","stage":"Panic"} => yes
            {"verb":"get","stage":"ResponseComplete"} => no
    "#;

    values_of_a_list_are_alternatives: r#"
        verb: [get, list]
            {"verb":"list"} => yes
            {"verb":"watch"} => no
    "#;

    maps_of_a_list_are_alternatives: r#"
        [{verb: get, stage: Panic}, {userAgent: curl}]
            {"verb":"get","stage":"Panic"} => yes
            {"userAgent":"curl"} => yes
            {"verb":"get"} => no
    "#;

    keywords_search_the_strings_of_the_raw_event: r#"
        - evil => {"requestObject":{"a":[{"b":"so EVIL!"}]}} => yes
        [evil, good] => {"userAgent":"goodness"} => yes
        - evil => {"evil":"x"} => no
        - '403' => {"responseStatus":{"code":403}} => no
        - e*l => {"userAgent":"an extra label"} => yes
        # `loopback` stands in a view only.
        - loopback => {"sourceIPs":["127.0.0.1"]} => no
        [evil, {verb: get}] => {"userAgent":"evil"} => yes
    "#;

    all_keywords_may_stand_in_different_strings: r#"
        '|all': [evil, good]
            {"verb":"evil","userAgent":"good"} => yes
            {"verb":"evil"} => no
        '|cased': Evil => {"verb":"evil"} => no
        '|expand': '%admins%' => {"verb":"for bob"} => yes
    "#;

    a_keyword_may_stand_in_what_the_event_cannot_show: r#"
        - evil
            {"level":"Metadata","verb":"get"} => unknown
            {"level":"Metadata","verb":"evil"} => yes
        {selection: {verb: get}, words: [evil], condition: selection and not words}
            {"level":"Metadata","verb":"get"} => unknown
            {"verb":"get"} => yes
    "#;

    a_dotted_path_fans_out_over_arrays: r#"
        {"requestObject":{"rules":[{"verbs":["get"]},{"verbs":["list","watch"]},{}]}}
            requestObject.rules.verbs: watch => yes
            requestObject.rules.verbs: create => no
            requestObject.rules.verbs|all: [get, watch] => yes
            requestObject.rules.verbs.x: get => no
    "#;

    siblings_do_not_bind_to_one_element: r#"
        {requestObject.rules.verbs: get, requestObject.rules.resources: secrets}
            {"requestObject":{"rules":[{"verbs":["get"],"resources":["pods"]},{"verbs":["list"],"resources":["secrets"]}]}} => yes
    "#;

    keys_that_contain_dots_are_found_by_the_longest_literal_key_first: r#"
        {"annotations":{"authorization.k8s.io/decision":"allow","authorization":{"k8s":{"io/decision":"forbid"}}}}
            annotations.authorization.k8s.io/decision: allow => yes
            annotations.authorization.k8s.io/decision: forbid => no
        annotations.authorization.k8s.io/decision: forbid
            {"annotations":{"authorization":{"k8s":{"io/decision":"forbid"}}}} => yes
    "#;

    a_dotted_key_at_the_top_is_a_key_too: r#"
        user.username: eve
            {"user.username":"eve"} => yes
            {"user.username":"eve","user":{"username":"bob"}} => yes
        objectRef.resource: pods => {"objectRef.resource":"pods"} => yes
        objectRef.resource.x: pods => {"objectRef":{"resource.x":"pods"}} => yes
    "#;

    a_path_through_a_scalar_finds_nothing: r#"
        verb.x: get => {"verb":"get"} => no
        user.username: x => {"user":"x"} => no
        {"user":{"username":"x"}}
            user: x => no
            user|exists: true => yes
    "#;

    field_names_are_case_sensitive: r#"
        verb: get => {"Verb":"get"} => no
    "#;

    the_last_of_duplicate_keys_wins: r#"
        verb: create
            {"verb":"get","verb":"create"} => yes
            {"verb":tru,"verb":"create"} => yes
            {"verb":"create","verb":tru} => unknown
        objectRef.name: a => {"objectRef":{"name":"a"},"objectRef":{"resource":"pods"}} => no
        objectRef.name: b => {"objectRef":{"name":"a","name":"b"}} => yes
    "#;

    a_list_of_conditions_means_any: r#"
        {a: {verb: get}, b: {verb: list}, condition: [a, b]}
            {"verb":"list"} => yes
            {"verb":"watch"} => no
    "#;

    what_would_match_everything_by_mistake_is_refused: r#"
        {a: {}, condition: a} => error empty_selection
        {a: [], condition: a} => error empty_selection
        {a: null, condition: a} => error bad_selection
        {a: {verb: get}, condition: []} => error no_condition
        {a: {verb: get}, condition: ''} => error bad_condition
    "#;

    brackets_are_plain_characters_before_version_3: r#"
        requestObject.a[0]: x
            {"requestObject":{"a[0]":"x"}} => yes
            {"requestObject":{"a":["x"]}} => no
    "#;
}

/// Selections that hold as the letters of the event's user agent say.
#[track_caller]
fn conditions(rows: &[(&str, &str, &str)]) {
    for (condition, letters, expected) in rows {
        let selection = |name, letter| format!("{name}: {{userAgent|contains: {letter}}}, ");
        let selections = [
            ("sel_a", "a"),
            ("sel_b", "b"),
            ("filter", "f"),
            ("_hidden", "h"),
        ];
        let selections: String = selections
            .map(|(name, letter)| selection(name, letter))
            .concat();
        let event = format!(r#"{{"userAgent":"{letters}"}}"#);
        check(
            2,
            &format!("{{{selections}condition: {condition}}}"),
            &event,
            expected,
        );
    }
}

#[test]
fn not_binds_tighter_than_and_tighter_than_or() {
    conditions(&[
        ("sel_a or sel_b and filter", "a", "yes"),
        ("(sel_a or sel_b) and filter", "a", "no"),
        ("not sel_a and sel_b", "", "no"),
        ("not (sel_a and sel_b)", "a", "yes"),
        ("not not sel_a", "a", "yes"),
        ("sel_a AND NOT filter", "a", "yes"),
    ]);
}

#[test]
fn one_of_and_all_of_take_patterns() {
    conditions(&[
        ("1 of sel_*", "b", "yes"),
        ("1 of sel_*", "f", "no"),
        ("any of sel_*", "b", "yes"),
        ("all of sel_*", "ab", "yes"),
        ("all of sel_*", "a", "no"),
        ("1 of *_b", "b", "yes"),
        ("1 of s*_*a", "a", "yes"),
        ("all of sel_* and not 1 of filter*", "ab", "yes"),
        ("all of sel_* and not 1 of filter*", "abf", "no"),
    ]);
}

#[test]
fn them_are_the_selections_without_an_underscore_in_front() {
    conditions(&[
        ("1 of them", "h", "no"),
        ("1 of them", "f", "yes"),
        ("all of them", "abf", "yes"),
        ("all of them", "ab", "no"),
    ]);
}

/// The verdict of a rule that looks for `verb: get`, with a filter.
#[track_caller]
fn filtered(product: &str, filter: &str, event: &str, expected: &str) {
    let filter = format!("title: Ours\nlogsource: {{product: {product}}}\nfilter: {filter}");
    let rules = common::load_all(&[common::rule_text("verb: get", 2), filter]);
    let verdict = common::judge(rules, &common::complete(event), &Origin::default());
    assert_eq!(verdict.as_str(), expected, "{event}");
}

#[test]
fn a_filter_is_joined_to_the_condition_by_and() {
    let filter = "{rules: [test], robots: {user.username: robot}, condition: not robots}";
    let check = |event, expected| filtered("kubernetes", filter, event, expected);
    check(r#"{"verb":"get","user":{"username":"bob"}}"#, "yes");
    check(r#"{"verb":"get","user":{"username":"robot"}}"#, "no");
    check(r#"{"verb":"list","user":{"username":"bob"}}"#, "no");
    let filter = "{rules: any, here: {requestObject.a: x}, condition: not here}";
    let check = |event, expected| filtered("kubernetes", filter, event, expected);
    check(r#"{"verb":"get"}"#, "yes");
    check(r#"{"level":"Metadata","verb":"get"}"#, "unknown");
}

#[test]
fn a_filter_for_another_product_or_another_rule_changes_nothing() {
    let event = r#"{"verb":"get"}"#;
    filtered(
        "windows",
        "{rules: any, s: {Image: x}, condition: s}",
        event,
        "yes",
    );
    filtered(
        "kubernetes",
        "{rules: [other], s: {verb: x}, condition: s}",
        event,
        "yes",
    );
    filtered(
        "kubernetes",
        "{rules: [test], s: {verb: x}, condition: s}",
        event,
        "no",
    );
}
