//! Array matching: quantifiers, positions, nesting.

array_claims! {
    any_binds_lines_to_one_element: r#"
        {"requestObject":{"c":[{"name":"a","image":"nginx","args":["-x","-y"]},{"name":"b","image":"redis","args":[]}]}}
            {'requestObject.c[any]': {name: a, image: nginx}} => yes
            {'requestObject.c[any]': {name: a, image: redis}} => no
            {'requestObject.c[any]': [{name: x}, {image: redis}]} => yes
    "#;

    none_demands_that_no_element_matches: r#"
        {"requestObject":{"c":[{"name":"a","image":"nginx","args":["-x","-y"]},{"name":"b","image":"redis","args":[]}]}}
            {'requestObject.c[none]': {image: nginx}} => no
            {'requestObject.c[none]': {image: nginx, name: b}} => yes
    "#;

    positions_pick_one_element_from_either_end: r#"
        {"requestObject":{"c":[{"name":"a","image":"nginx","args":["-x","-y"]},{"name":"b","image":"redis","args":[]}]}}
            requestObject.c[0].name: a => yes
            requestObject.c[1].name: a => no
            requestObject.c[-1].name: b => yes
            requestObject.c[-2].args[-1]: '-y' => yes
            requestObject.c[2].name: b => no
            requestObject.c[-3].name|exists: true => no
            requestObject.c.args[0]: '-x' => yes
            requestObject.c[0].name[0]: a => no
        requestObject.m[1][0]: 3 => {"requestObject":{"m":[[1,2],[3,4]]}} => yes
        sourceIPs[0]: 10.0.0.1 => {"sourceIPs":["10.0.0.1","10.0.0.2"]} => yes
        actor.groups[0]: a => {"user":{"username":"x","groups":["a","b"]}} => yes
    "#;

    blocks_nest: r#"
        {"requestObject":{"c":[{"name":"a","image":"nginx","args":["-x","-y"]},{"name":"b","image":"redis","args":[]}]}}
            {'requestObject.c[any]': {name: a, 'args[any]': -y}} => yes
            {'requestObject.c[any]': {name: b, 'args[any]': -y}} => no
            {'requestObject.c[any]': {name: b, 'args[all_or_empty]': -y}} => yes
            {'requestObject.c[any]': {'args[0]': -x}} => yes
        {"requestObject":{"m":[[1,2],[3,4]]}}
            {'requestObject.m[any]': {'.[all]': {.|gte: 3}}} => yes
            {'requestObject.m[all]': {'.[all]': {.|gte: 3}}} => no
            {'requestObject.m[any]': {'[all]|gte': 3}} => yes
    "#;

    a_quantifier_may_stand_within_a_path: r#"
        {"requestObject":{"c":[{"name":"a","image":"nginx","args":["-x","-y"]},{"name":"b","image":"redis","args":[]}]}}
            requestObject.c[any].image: redis => yes
            requestObject.c[all].image: redis => no
            requestObject.c[all].image|contains: i => yes
            requestObject.c[none].args[any]: '-z' => yes
            requestObject.c[any].args[0]: '-x' => yes
    "#;

    extended_blocks_have_a_condition_of_their_own: r#"
        {"requestObject":{"c":[{"name":"a","image":"nginx","args":["-x","-y"]},{"name":"b","image":"redis","args":[]}]}}
            {'requestObject.c[any]': {named: {name: a}, official: {image: redis}, condition: named and not official}} => yes
            {'requestObject.c[all]': {named: {name: a}, official: {image: redis}, condition: 1 of them}} => yes
            {'requestObject.c[any]': {named: {name: b}, official: {image: redis}, condition: named and not official}} => no
    "#;

    a_value_under_a_quantifier_is_compared_with_the_members: r#"
        {"user":{"groups":["system:nodes","system:authenticated"]}}
            user.groups[all]|startswith: 'system:' => yes
            user.groups[all]: system:nodes => no
            user.groups[any]: system:nodes => yes
            user.groups[none]|endswith: [masters, admins] => yes
            user.groups[any]|contains|all: [system, nodes] => yes
            user.groups[any]|contains|all: [authenticated, nodes] => no
            {'user.groups[any]': {.|contains: nodes}} => yes
            {'user.groups[any]': {s: {.: 'system:nodes'}, condition: s}} => yes
    "#;

    a_scalar_or_an_object_is_its_own_only_member: r#"
        {"requestObject":{"a":"x"}}
            requestObject.a[any]: x => yes
            requestObject.a[all]: x => yes
            requestObject.a[none]: x => no
        {'requestObject.a[any]': {b: 1}} => {"requestObject":{"a":{"b":1}}} => yes
    "#;

    elements_that_are_no_objects_match_no_line: r#"
        {'requestObject.a[any]': {b: 1}} => {"requestObject":{"a":[1,null,"b",[{"c":1}]]}} => no
        {'requestObject.a[any]': {b: null}} => {"requestObject":{"a":[null]}} => yes
        {"requestObject":{"a":[1,null]}}
            requestObject.a[any]: null => yes
            requestObject.a[all]: null => no
        requestObject.a[any]|exists: true => {"requestObject":{"a":[]}} => no
    "#;

    all_demands_every_element_and_at_least_one: r#"
        {"requestObject":{"c":[{"name":"a","image":"nginx","args":["-x","-y"]},{"name":"b","image":"redis","args":[]}]}}
            {'requestObject.c[all]': {image|contains: i}} => yes
            {'requestObject.c[all]': {image: nginx}} => no
            {'requestObject.c[all_or_empty]': {image|contains: i}} => yes
            {'requestObject.c[all_or_empty]': {image: nginx}} => no
    "#;

    an_empty_array_satisfies_none_and_all_or_empty_only: r#"
        {'requestObject.c[all]': {image: nginx}}
            {"requestObject":{"c":[]}} => no
            {"requestObject":{"c":null}} => no
            {"requestObject":{}} => no
        {'requestObject.c[any]': {image: nginx}}
            {"requestObject":{"c":[]}} => no
            {"requestObject":{}} => no
        {'requestObject.c[all_or_empty]': {image: nginx}}
            {"requestObject":{"c":[]}} => yes
            {"requestObject":{"c":null}} => yes
            {"requestObject":{}} => yes
        {'requestObject.c[none]': {image: nginx}}
            {"requestObject":{"c":[]}} => yes
            {"requestObject":{"c":null}} => yes
            {"requestObject":{}} => yes
    "#;

    fieldref_in_a_block_names_a_field_of_the_same_element: r#"
        {"requestObject":{"c":[{"a":"x","b":"y"},{"a":"y","b":"x"}]}}
            {'requestObject.c[any]': {a|fieldref: b}} => no
            requestObject.c.a|fieldref: requestObject.c.b => yes
            requestObject.c.a|fieldref: requestObject.c[1].b => yes
            requestObject.c[0].a|fieldref: requestObject.c[0].b => no
    "#;

    an_unavailable_array_is_unknown_under_every_quantifier: r#"
        {"level":"Metadata"}
            {'requestObject.c[any]': {name: a}} => unknown
            {'requestObject.c[all]': {name: a}} => unknown
            {'requestObject.c[all_or_empty]': {name: a}} => unknown
            {'requestObject.c[none]': {name: a}} => unknown
    "#;

    escaped_brackets_are_plain: r#"
        requestObject.a\[0\]: x => {"requestObject":{"a[0]":"x"}} => yes
    "#;

    faults_of_array_selectors: r#"
        {'requestObject.c[some]': {name: a}} => error bad_array_selector
        requestObject.c[0: a => error bad_array_selector
        requestObject.c[0]x: a => error bad_array_selector
        {'requestObject.c[any]|contains': {name: a}} => error stray_modifier
        {'requestObject.c[any]|contains': [{name: a}]} => error stray_modifier
        {'requestObject.c[any]': [[word], {name: a}]} => error keyword_in_block
        requestObject.c[any]: {} => error empty_selection
    "#;
}
