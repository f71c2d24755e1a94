//! Values: wildcards and escapes, case, null and empty, numbers and booleans.

claims! {
    wildcards_are_active_in_plain_values: r#"
        {"verb":"create"}
            verb: 'cre*' => yes
            verb: 'c*t?' => yes
            verb: 'c?eate' => yes
            verb: 'create?' => no
            verb: '*eat*' => yes
            verb: 'eat' => no
            verb: 'c?e?t?' => yes
        verb: '??' => {"verb":"öß"} => yes
        verb: '*a*b*c'
            {"verb":"xaxbxbxc"} => yes
            {"verb":"xaxcxb"} => no
    "#;

    wildcards_are_active_within_contains_startswith_endswith: r#"
        userAgent|contains: 'a*c' => {"userAgent":"xxabbbcxx"} => yes
        userAgent|startswith: 'a?c' => {"userAgent":"abcdef"} => yes
        {"userAgent":"abcdeef"}
            userAgent|endswith: 'd*f' => yes
            userAgent|endswith: 'd*e' => no
        userAgent|contains: '*' => {"userAgent":""} => yes
    "#;

    wildcards_are_plain_in_re: r#"
        userAgent|re: '^a*$'
            {"userAgent":"aaa"} => yes
            {"userAgent":"abc"} => no
    "#;

    the_star_of_rbac_is_written_with_a_backslash: r#"
        requestObject.rules.verbs: '\*'
            {"requestObject":{"rules":[{"verbs":["*"]}]}} => yes
            {"requestObject":{"rules":[{"verbs":["get"]}]}} => no
        requestObject.rules.verbs: '*' => {"requestObject":{"rules":[{"verbs":["get"]}]}} => yes
    "#;

    comparison_is_without_case: r#"
        verb: GET => {"verb":"get"} => yes
        verb: get => {"verb":"GeT"} => yes
        verb|startswith: Ä => {"verb":"ärger"} => yes
        verb: ΟΔΟΣ => {"verb":"οδος"} => yes
        verb: οδός => {"verb":"ΟΔΌΣ"} => yes
    "#;

    a_letter_folds_alike_wherever_it_stands: r#"
        # The final form of sigma, as lower-casing a whole word would write it.
        {"verb":"ΟΔΟΣΑ"}
            verb|startswith: ΟΔΟΣ => yes
            verb|contains: ς => yes
        # Signs that are only another shape of an ASCII letter, the Kelvin sign and the long s.
        verb: kiss => {"verb":"KIſS"} => yes
    "#;

    letters_without_a_counterpart_of_one_letter_stay_as_they_are: r#"
        verb: İ => {"verb":"İ"} => yes
        verb: 'x?x' => {"verb":"xİx"} => yes
        verb|startswith: i => {"verb":"İ"} => no
        verb: ß => {"verb":"ẞ"} => yes
        verb: ss => {"verb":"ß"} => no
        verb: i => {"verb":"ı"} => no
    "#;

    cased_compares_with_case: r#"
        verb|cased: get
            {"verb":"get"} => yes
            {"verb":"Get"} => no
        verb|contains|cased: ET => {"verb":"get"} => no
        verb|cased|startswith: 'G?t' => {"verb":"Gotta"} => yes
    "#;

    null_matches_absent_or_null: r#"
        requestObject.a: null
            {"requestObject":{"a":null}} => yes
            {"requestObject":{}} => yes
        requestObject.a: => {"requestObject":{"b":1}} => yes
        requestObject.a: ~ => {"requestObject":{"a":""}} => no
        requestObject.a: null
            {"requestObject":{"a":[]}} => no
            {"requestObject":{"a":[1,null]}} => yes
        requestObject.a: 'null'
            {"requestObject":{"a":null}} => no
            {"requestObject":{"a":"NULL"}} => yes
        userAgent: null => {"verb":"get"} => yes
    "#;

    the_empty_string_matches_a_present_empty_string: r#"
        requestObject.a: ''
            {"requestObject":{"a":""}} => yes
            {"requestObject":{"a":null}} => no
            {"requestObject":{}} => no
            {"requestObject":{"a":" "}} => no
        requestObject.a: ['', x] => {"requestObject":{"a":["y",""]}} => yes
    "#;

    null_inside_a_list_is_a_fault: r#"
        verb: [get, null] => error null_in_list
        verb|contains: null => error null_in_list
        verb|neq: null => error null_in_list
        verb|all: [a, ~] => error null_in_list
    "#;

    exists_on_arrays_means_any_element: r#"
        {"requestObject":{"a":[{"b":1},{"c":null}]}}
            requestObject.a.c|exists: true => yes
            requestObject.a.d|exists: true => no
            requestObject.a.c|exists: false => no
    "#;

    an_absent_field_compares_false_and_its_negation_true: r#"
        {"verb":"get"}
            userAgent|contains: kube => no
            {selection: {verb: get}, filter: {userAgent|contains: kube}, condition: selection and not filter} => yes
        {selection: {verb: get}, filter: {userAgent|contains: kube}, condition: selection and not filter}
            {"verb":"get","userAgent":null} => yes
            {"verb":"get","userAgent":"kubectl"} => no
    "#;

    a_number_equals_its_text: r#"
        responseStatus.code: 403
            {"responseStatus":{"code":403}} => yes
            {"responseStatus":{"code":"403"}} => yes
        responseStatus.code: '403' => {"responseStatus":{"code":403}} => yes
        {"responseStatus":{"code":404}}
            responseStatus.code: '4*' => yes
            responseStatus.code|startswith: 4 => yes
        responseStatus.code|re: '^40[13]$' => {"responseStatus":{"code":403}} => yes
        responseStatus.code: 403 => {"responseStatus":{"code":4030}} => no
    "#;

    a_boolean_equals_its_word: r#"
        {"requestObject":{"a":true}}
            requestObject.a: true => yes
            requestObject.a: 'true' => yes
        requestObject.a: True => {"requestObject":{"a":"true"}} => yes
        requestObject.a: false => {"requestObject":{}} => no
        requestObject.a: true => {"requestObject":{"a":1}} => no
    "#;

    a_bare_star_matches_any_present_scalar: r#"
        requestObject.a: '*'
            {"requestObject":{"a":"x"}} => yes
            {"requestObject":{"a":""}} => yes
            {"requestObject":{"a":0}} => yes
            {"requestObject":{"a":false}} => yes
            {"requestObject":{"a":[1]}} => yes
            {"requestObject":{"a":null}} => no
            {"requestObject":{"a":{}}} => no
            {"requestObject":{"a":{"b":1}}} => no
            {"requestObject":{"a":[]}} => no
            {"requestObject":{"a":[null]}} => no
            {"requestObject":{}} => no
    "#;

    backslashes_by_the_table_of_the_specification: r#"
        userAgent: 'a\b' => {"userAgent":"a\\b"} => yes
        userAgent: 'a\\b' => {"userAgent":"a\\b"} => yes
        userAgent: 'a\\\b' => {"userAgent":"a\\\\b"} => yes
        userAgent: 'a\\\\b' => {"userAgent":"a\\\\b"} => yes
        userAgent: 'a\*b' => {"userAgent":"a*b"} => yes
        userAgent: 'a\*b' => {"userAgent":"axb"} => no
        userAgent: 'a\?b' => {"userAgent":"a?b"} => yes
        userAgent: 'a\\*b' => {"userAgent":"a\\xyzb"} => yes
        userAgent: 'a\\?b' => {"userAgent":"a\\xb"} => yes
        userAgent: 'a\\\*b' => {"userAgent":"a\\*b"} => yes
        userAgent: 'a\\\*b' => {"userAgent":"a\\xb"} => no
        userAgent: 'ends\' => {"userAgent":"ends\\"} => yes
    "#;

    plain_values_and_re_with_i_agree_on_case: r#"
        {"verb":"\u212a"}
            verb: k => yes
            verb|re|i: ^k$ => yes
        {"verb":"ſ"}
            verb: s => yes
            verb|re|i: ^s$ => yes
        {"verb":"ς"}
            verb: σ => yes
            verb|re|i: ^σ$ => yes
        {"verb":"İ"}
            verb: i => no
            verb|re|i: ^i$ => no
        {"verb":"ı"}
            verb: i => no
            verb|re|i: ^i$ => no
    "#;

    exists_means_that_the_key_is_there_even_with_null: r#"
        requestObject.a|exists: true
            {"requestObject":{"a":0}} => yes
            {"requestObject":{"a":""}} => yes
            {"requestObject":{"a":null}} => yes
            {"requestObject":{"a":[]}} => yes
            {"requestObject":{"a":{}}} => yes
            {"requestObject":{}} => no
        requestObject.a|exists: false
            {"requestObject":{"a":null}} => no
            {"requestObject":{"a":[]}} => no
            {"requestObject":{}} => yes
    "#;

    orders_compare_numbers_only: r#"
        {"requestObject":{"a":2.0}}
            requestObject.a|lt: 2 => no
            requestObject.a|lt: 2.5 => yes
            requestObject.a|lte: 2 => yes
            requestObject.a|lte: 1 => no
            requestObject.a|gt: 2 => no
            requestObject.a|gt: 1e0 => yes
            requestObject.a|gte: 2 => yes
            requestObject.a|gte: 3 => no
        requestObject.a|gte: 2 => {"requestObject":{"a":"3"}} => no
        requestObject.a|lt: 2
            {"requestObject":{"a":null}} => no
            {"requestObject":{"a":false}} => no
        requestObject.a|lt: -1.5 => {"requestObject":{"a":[0,-2]}} => yes
        requestObject.a|lt: many => error bad_number
        requestObject.a|lt: .nan => error bad_number
        requestObject.a|lt: inf => error bad_number
    "#;
}
