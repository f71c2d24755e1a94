//! Modifiers: relations, encodings, expressions, networks, references, lists, times.

claims! {
    contains_startswith_endswith: r#"
        {"userAgent":"kubectl/1"}
            userAgent|contains: ctl => yes
            userAgent|startswith: ctl => no
            userAgent|startswith: kube => yes
            userAgent|endswith: /1 => yes
            userAgent|endswith: ctl => no
        userAgent|endswith: aab => {"userAgent":"aaab"} => yes
    "#;

    all_values_may_be_matched_by_different_members: r#"
        {"requestObject":{"args":["--user=root","--quiet"]}}
            requestObject.args|contains|all: [root, quiet] => yes
            requestObject.args|contains|all: [root, loud] => no
            requestObject.args|contains: [root, loud] => yes
            requestObject.args|all: ['--quiet', '--user=root'] => yes
            requestObject.args|re|all: ['^--', 't$'] => yes
            requestObject.missing|contains|all: [a, b] => no
    "#;

    the_forms_of_an_encoded_value_are_alternatives_under_all: r#"
        {"userAgent":"x -a /b"}
            userAgent|windash|contains|all: [' -a', ' -b'] => yes
            userAgent|windash|contains|all: [' -a', ' -c'] => no
        # `xhttp://y` and `zzftp://y` in Base64.
        {"requestObject":{"a":["eGh0dHA6Ly95","enpmdHA6Ly95"]}}
            requestObject.a|base64offset|contains|all: ['http://', 'ftp://'] => yes
            requestObject.a|base64offset|contains|all: ['http://', 'ssh://'] => no
    "#;

    neq_means_that_no_member_equals: r#"
        verb|neq: get
            {"verb":"list"} => yes
            {"verb":"GET"} => no
        verb|neq: [get, list]
            {"verb":"list"} => no
            {"verb":"watch"} => yes
        user.groups|neq: admins
            {"user":{"groups":["users","admins"]}} => no
            {"user":{"groups":["users"]}} => yes
        responseStatus.code|neq: 200 => {"responseStatus":{"code":403}} => yes
        {"verb":"get"}
            verb|neq|contains: e => no
            verb|neq|cased: GET => yes
    "#;

    neq_is_true_of_an_absent_field: r#"
        userAgent|neq: curl
            {"verb":"get"} => yes
            {"userAgent":null} => yes
        requestObject.a|neq: x
            {"requestObject":{"a":[]}} => yes
            {"level":"Metadata"} => unknown
    "#;

    re_is_unanchored_and_case_sensitive: r#"
        {"userAgent":"kubectl/1.30"}
            userAgent|re: 'ctl/\d' => yes
            userAgent|re: '^ctl' => no
        userAgent|re: KUBE => {"userAgent":"kubectl"} => no
        userAgent|re: '.*' => {"verb":"get"} => no
    "#;

    re_takes_the_flags_i_m_s: r#"
        {"userAgent":"one\nTwo\nthree"}
            userAgent|re|i: two => yes
            userAgent|re: '^Two$' => no
            userAgent|re|m: '^Two$' => yes
            userAgent|re: 'one.Two' => no
            userAgent|re|s: 'one.Two' => yes
            userAgent|re|i|m|s: '^two.t' => yes
            userAgent|re|ignorecase|multiline|dotall: '^two.t' => yes
    "#;

    look_around_is_refused: r#"
        userAgent|re: '(?<!kube)ctl' => error bad_regex
        userAgent|re: 'a(?=b)' => error bad_regex
        userAgent|re: '(a)\1' => error bad_regex
        userAgent|re: '((((a{100}){100}){100}){100})' => error bad_regex
    "#;

    cidr_matches_any_member: r#"
        {"sourceIPs":["203.0.113.7","10.1.2.3"]}
            sourceIPs|cidr: 10.0.0.0/8 => yes
            sourceIPs|cidr: 10.1.2.99/24 => yes
            sourceIPs|cidr: 192.0.2.0/24 => no
            sourceIPs|cidr: [192.0.2.0/24, 203.0.113.7] => yes
            sourceIPs|cidr|neq: 10.0.0.0/8 => no
        sourceIPs|cidr: 0.0.0.0/0 => {"sourceIPs":["localhost",""]} => no
    "#;

    cidr_knows_ipv6_and_what_is_mapped: r#"
        sourceIPs|cidr: '2001:db8::/32'
            {"sourceIPs":["2001:DB8:1::1"]} => yes
            {"sourceIPs":["2001:db9::1"]} => no
        sourceIPs|cidr: 10.0.0.0/8 => {"sourceIPs":["::ffff:10.1.2.3"]} => yes
        sourceIPs|cidr: '::ffff:10.0.0.0/104'
            {"sourceIPs":["10.1.2.3"]} => yes
            {"sourceIPs":["::ffff:11.1.2.3"]} => no
        sourceIPs|cidr: '::/0' => {"sourceIPs":["10.1.2.3"]} => no
        sourceIPs|cidr: 10.0.0.0/33 => error bad_cidr
        sourceIPs|cidr: 10.* => error bad_cidr
    "#;

    base64_compares_the_encoded_value: r#"
        userAgent|base64: ping => {"userAgent":"cGluZw=="} => yes
        userAgent|base64|contains: abc => {"userAgent":"xx YWJj yy"} => yes
        userAgent|base64: 'a\*b' => {"userAgent":"YSpi"} => yes
        userAgent|base64: 'a*b' => error encoded_wildcard
    "#;

    utf16_and_wide_encode_before_base64: r#"
        {"userAgent":"cABpAG4AZwA="}
            userAgent|wide|base64: ping => yes
            userAgent|utf16le|base64: ping => yes
        userAgent|utf16be|base64: ping => {"userAgent":"AHAAaQBuAGc="} => yes
        userAgent|utf16|base64: ping => {"userAgent":"//5wAGkAbgBnAA=="} => yes
        userAgent|wide|base64offset|contains: ping => {"userAgent":"LXAAaQBuAGcA"} => yes
        userAgent|wide|contains: hi => {"userAgent":"h\u0000i\u0000"} => yes
    "#;

    fieldref_compares_any_with_any: r#"
        requestObject.a|fieldref: requestObject.b
            {"requestObject":{"a":"X","b":"x"}} => yes
            {"requestObject":{"a":[1,2],"b":[2,3]}} => yes
            {"requestObject":{"a":[1,2],"b":[3,4]}} => no
            {"requestObject":{"a":403,"b":"403"}} => yes
        user.username|fieldref: impersonatedUser.username => {"user":{"username":"a"},"impersonatedUser":{"username":"a"}} => yes
    "#;

    fieldref_to_an_absent_field_is_false: r#"
        {"verb":"get"}
            verb|fieldref: userAgent => no
            userAgent|fieldref: verb => no
            userAgent|fieldref: requestURI => no
        userAgent|fieldref: requestURI => {"userAgent":null,"requestURI":null} => no
        verb|fieldref|neq: userAgent => {"verb":"get"} => yes
        {"level":"Metadata","verb":"get"}
            verb|fieldref: requestObject.verb => unknown
            verb|fieldref|neq: requestObject.verb => unknown
    "#;

    fieldref_takes_relations_and_cased: r#"
        {"userAgent":"Get/1","verb":"get","stage":"/1"}
            userAgent|fieldref|startswith: verb => yes
            userAgent|fieldref|startswith|cased: verb => no
            userAgent|fieldref|endswith: stage => yes
            userAgent|contains|fieldref: verb => yes
            userAgent|endswith|fieldref: verb => no
            userAgent|fieldref|neq: verb => yes
    "#;

    fieldref_does_not_read_wildcards_in_the_other_field: r#"
        userAgent|fieldref: verb => {"userAgent":"anything","verb":"*"} => no
    "#;

    expand_puts_the_entries_of_a_list_in_place: r#"
        user.username|expand: '%admins%'
            {"user":{"username":"Bob"}} => yes
            {"user":{"username":"carol"}} => no
        user.username|expand|contains: 'x-%admins%-y' => {"user":{"username":"_x-alice-y_"}} => yes
        user.username: '%admins%'
            {"user":{"username":"bob"}} => no
            {"user":{"username":"%admins%"}} => yes
        user.username|expand: '\%admins%' => {"user":{"username":"%admins%"}} => yes
        user.username|expand: '%strangers%' => error unknown_placeholder
    "#;

    an_empty_list_matches_nothing: r#"
        {"user":{"username":"bob"}}
            user.username|expand: '%nobody%' => no
            user.username|expand|all: '%nobody%' => no
            user.username|expand|neq: '%nobody%' => yes
        verb: [] => error empty_list
    "#;

    modifiers_without_a_common_meaning_are_refused: r#"
        verb|contains|startswith: a => error conflicting_modifiers
        verb|re|contains: a => error conflicting_modifiers
        verb|lt|gt: 1 => error conflicting_modifiers
        verb|cidr|lt: 1 => error conflicting_modifiers
        verb|neq|all: [a, b] => error conflicting_modifiers
        verb|contains|i: a => error stray_flag
        verb|re|base64: a => error stray_encoding
        verb|re|cased: a => error stray_cased
        verb|exists|all: true => error stray_modifier
        verb|exists: maybe => error bad_exists
        verb|is: a => error unknown_modifier
        '|re': a => error stray_modifier
    "#;

    windash_takes_every_dash_and_keeps_wildcards: r#"
        userAgent|windash|contains: ' -f'
            {"userAgent":"rm -f x"} => yes
            {"userAgent":"rm /f x"} => yes
            {"userAgent":"rm –f x"} => yes
            {"userAgent":"rm —f x"} => yes
            {"userAgent":"rm ―f x"} => yes
            {"userAgent":"rm +f x"} => no
        userAgent|windash|contains: ' ―f' => {"userAgent":"rm -f x"} => yes
        userAgent|windash: 'rm -f*y' => {"userAgent":"rm /f x y"} => yes
        # A dash within a word is no option's.
        userAgent|contains|windash: 'a-b' => {"userAgent":"a/b"} => no
    "#;

    base64offset_finds_the_value_at_any_offset: r#"
        userAgent|base64offset|contains: 'http://'
            {"userAgent":"aHR0cDovL3g="} => yes
            {"userAgent":"LWh0dHA6Ly94"} => yes
            {"userAgent":"LS1odHRwOi8veA=="} => yes
            {"userAgent":"http://"} => no
        # One letter at the middle offset leaves no character certain, and must not match everything.
        userAgent|base64offset|contains: a => {"userAgent":"!"} => no
        userAgent|base64offset|contains: '' => error short_value
    "#;

    parts_of_a_time_are_numbers_in_utc: r#"
        # Saturday 2022-01-01 23:30 in UTC, which is in the last ISO week of the year before.
        {"stageTimestamp":"2022-01-02T00:30:15.123456+01:00"}
            stageTimestamp|minute: 30 => yes
            stageTimestamp|minute: 31 => no
            stageTimestamp|minute|gte: 30 => yes
            stageTimestamp|minute|gt: 30 => no
            stageTimestamp|minute|lt: 31 => yes
            stageTimestamp|minute|lte: 29 => no
            stageTimestamp|minute|neq: 30 => no
            stageTimestamp|hour: 23 => yes
            stageTimestamp|hour: 24 => no
            stageTimestamp|hour|gte: 23 => yes
            stageTimestamp|hour|gt: 23 => no
            stageTimestamp|hour|lt: 24 => yes
            stageTimestamp|hour|lte: 22 => no
            stageTimestamp|hour|neq: 23 => no
            stageTimestamp|day: 1 => yes
            stageTimestamp|day: 2 => no
            stageTimestamp|day|gte: 1 => yes
            stageTimestamp|day|gt: 1 => no
            stageTimestamp|day|lt: 2 => yes
            stageTimestamp|day|lte: 0 => no
            stageTimestamp|day|neq: 1 => no
            stageTimestamp|week: 52 => yes
            stageTimestamp|week: 53 => no
            stageTimestamp|week|gte: 52 => yes
            stageTimestamp|week|gt: 52 => no
            stageTimestamp|week|lt: 53 => yes
            stageTimestamp|week|lte: 51 => no
            stageTimestamp|week|neq: 52 => no
            stageTimestamp|month: 1 => yes
            stageTimestamp|month: 2 => no
            stageTimestamp|month|gte: 1 => yes
            stageTimestamp|month|gt: 1 => no
            stageTimestamp|month|lt: 2 => yes
            stageTimestamp|month|lte: 0 => no
            stageTimestamp|month|neq: 1 => no
            stageTimestamp|year: 2022 => yes
            stageTimestamp|year: 2023 => no
            stageTimestamp|year|gte: 2022 => yes
            stageTimestamp|year|gt: 2022 => no
            stageTimestamp|year|lt: 2023 => yes
            stageTimestamp|year|lte: 2021 => no
            stageTimestamp|year|neq: 2022 => no
            stageTimestamp|hour: [22, 23] => yes
            stageTimestamp|gte|hour: 23 => yes
        stageTimestamp|hour|gte: 0
            {"stageTimestamp":"yesterday"} => no
            {"stageTimestamp":1700000000} => no
            {"stageTimestamp":null} => no
        stageTimestamp|hour: noon => error bad_number
    "#;
}
