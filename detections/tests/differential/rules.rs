//! Random rules as text.

use proptest::prelude::*;
use proptest::sample::select;

/// Columns that repeat, columns that do not, bodies, views of all three, and a field that no event has.
const FIELDS: [&str; 50] = [
    "verb",
    "stage",
    "level",
    "userAgent",
    "requestURI",
    "user.username",
    "user.groups",
    "user.extra.k.x",
    "user",
    "impersonatedUser.username",
    "sourceIPs",
    "objectRef.resource",
    "objectRef.subresource",
    "objectRef.namespace",
    "objectRef.apiGroup",
    "objectRef.name",
    "objectRef.resource.x",
    "responseStatus.code",
    "responseStatus.message",
    "annotations.authorization.k8s.io/decision",
    "annotations.a.b",
    "requestObject.a",
    "requestObject.list",
    "requestObject.list.a",
    "requestObject.list.list",
    "responseObject.a",
    "stageTimestamp",
    "requestReceivedTimestamp",
    "actor.name",
    "actor.kind",
    "actor.groups",
    "actor.superuser",
    "effective.name",
    "effective.impersonated",
    "source.client",
    "source.kind",
    "source.network",
    "agent.family",
    "outcome.result",
    "outcome.denied_by",
    "outcome.dry_run",
    "event.envelope",
    "event.partial",
    "event.truncated",
    "object.a",
    "object.list.a",
    "change.object.a",
    "change.object.list.a",
    "change.object.kind",
    "nothing.here",
];

const ARRAYS: [&str; 6] = [
    "requestObject.list",
    "user.groups",
    "sourceIPs",
    "responseObject.list",
    "requestObject.a",
    "actor.groups",
];

/// Names within an element of an array.
const MEMBERS: [&str; 4] = ["a", "list", "b.c", "."];

const VALUES: [&str; 35] = [
    "get",
    "GET",
    "create",
    "a",
    "A",
    "b",
    "",
    "*",
    "?",
    "a*",
    "*a",
    "*a*",
    "a?",
    "?a*b",
    r"\*",
    r"a\\*",
    "İ",
    "i",
    "ß",
    "SS",
    "ſ",
    "s",
    "k",
    "Σ",
    "ς",
    "σα",
    "true",
    "false",
    "403",
    "200",
    "10.0.0.1",
    "10.0.0.0/16",
    "pods",
    "alice",
    "null",
];

const EXPRESSIONS: [&str; 9] = [
    "^a",
    "a$",
    "(?i)İ|k",
    ".",
    "^$",
    "[0-9]+",
    "get|create",
    "ß+",
    "a.b",
];

/// A rule named `NAME`.
pub(crate) fn rule() -> impl Strategy<Value = String> {
    detection().prop_map(|detection| {
        format!(
            "title: Random\nname: NAME\nsigma-version: 3\nlogsource: {{product: kubernetes, service: audit}}\n\
             detection:\n{detection}"
        )
    })
}

/// A filter for all rules.
pub(crate) fn filter() -> impl Strategy<Value = String> {
    detection().prop_map(|detection| {
        format!(
            "title: Random\nsigma-version: 3\nlogsource: {{product: kubernetes, service: audit}}\n\
             filter:\n  rules: any\n{detection}"
        )
    })
}

/// Three selections and a condition over them.
fn detection() -> impl Strategy<Value = String> {
    ([selection(), selection(), selection()], condition()).prop_map(|(selections, condition)| {
        let mut text = String::new();
        for (name, selection) in ["s_1", "s_2", "_s"].iter().zip(selections) {
            text += &format!("  {name}: {selection}\n");
        }
        text + &format!("  condition: {condition}\n")
    })
}

fn condition() -> impl Strategy<Value = String> {
    let leaf = select(vec![
        "s_1",
        "s_2",
        "_s",
        "1 of them",
        "all of them",
        "1 of s_*",
        "all of *s*",
    ]);
    leaf.prop_map(str::to_owned)
        .prop_recursive(3, 8, 2, |inner| {
            prop_oneof![
                inner.clone().prop_map(|inner| format!("not {inner}")),
                (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} and {b})")),
                (inner.clone(), inner).prop_map(|(a, b)| format!("({a} or {b})")),
            ]
        })
}

fn selection() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => mapping(line(select(&FIELDS[..]))),
        2 => prop::collection::vec(mapping(line(select(&FIELDS[..]))), 1..3).prop_map(|maps| format!("[{}]", maps.join(", "))),
        3 => mapping(array()),
        1 => values(4).prop_map(|words| format!("[{words}]")),
        1 => values(3).prop_map(|words| format!("{{'|all': [{words}]}}")),
    ]
}

/// Lines with different keys: the same key twice would be a fault.
fn mapping(line: impl Strategy<Value = (String, String)>) -> impl Strategy<Value = String> {
    prop::collection::btree_map(Just(()).prop_flat_map(|()| any::<u8>()), line, 1..3).prop_map(
        |lines| {
            let lines: std::collections::BTreeMap<String, String> = lines.into_values().collect();
            let lines: Vec<String> = lines
                .iter()
                .map(|(key, value)| format!("'{key}': {value}"))
                .collect();
            format!("{{{}}}", lines.join(", "))
        },
    )
}

fn line(field: impl Strategy<Value = &'static str>) -> impl Strategy<Value = (String, String)> {
    (field, test()).prop_map(|(field, (modifiers, value))| (format!("{field}{modifiers}"), value))
}

/// Modifiers and a value that fits them.
fn test() -> impl Strategy<Value = (String, String)> {
    prop_oneof![
        10 => (textual(), values(4)).prop_map(|(modifiers, values)| (modifiers, format!("[{values}]"))),
        1 => (Just(String::new()), Just("null".to_owned())),
        1 => any::<bool>().prop_map(|wanted| ("|exists".to_owned(), wanted.to_string())),
        1 => (flags(), select(&EXPRESSIONS[..])).prop_map(|(flags, regex)| (format!("|re{flags}"), format!("'{regex}'"))),
        1 => select(vec!["10.0.0.0/8", "::/0", "::ffff:10.0.0.0/104", "192.0.2.1"])
            .prop_map(|network| ("|cidr".to_owned(), format!("'{network}'"))),
        1 => (select(vec!["lt", "lte", "gt", "gte"]), select(vec!["0", "200", "403", "-1.5"]))
            .prop_map(|(order, bound)| (format!("|{order}"), bound.to_owned())),
        1 => (select(vec!["hour", "day|gte", "minute|lt", "week", "month|lte", "year|gt"]), 0..24_i32)
            .prop_map(|(part, bound)| (format!("|{part}"), bound.to_string())),
        2 => (relation(), negation(), select(&FIELDS[..]))
            .prop_map(|(relation, negation, other)| (format!("|fieldref{relation}{negation}"), other.to_owned())),
    ]
}

fn textual() -> impl Strategy<Value = String> {
    let transform = prop_oneof![8 => Just(""), 1 => Just("|windash")];
    let scope = prop_oneof![4 => Just(""), 1 => Just("|all"), 1 => Just("|neq")];
    (transform, relation(), scope, select(vec!["", "", "|cased"])).prop_map(
        |(transform, relation, scope, cased)| format!("{transform}{relation}{scope}{cased}"),
    )
}

fn relation() -> impl Strategy<Value = &'static str> {
    select(vec!["", "", "|contains", "|startswith", "|endswith"])
}

fn negation() -> impl Strategy<Value = &'static str> {
    select(vec!["", "|neq"])
}

fn flags() -> impl Strategy<Value = &'static str> {
    select(vec!["", "|i", "|m", "|s", "|neq"])
}

fn values(most: usize) -> impl Strategy<Value = String> {
    let quoted = select(&VALUES[..]).prop_map(|value| format!("'{value}'"));
    prop::collection::vec(quoted, 1..most).prop_map(|values| values.join(", "))
}

/// A block over an array's elements: lines, alternatives, nested blocks, or a condition of its own.
fn array() -> impl Strategy<Value = (String, String)> {
    let lines = || mapping(line(select(&MEMBERS[..])));
    let block = lines().prop_recursive(2, 4, 2, move |inner| {
        let extended = (lines(), inner.clone(), condition()).prop_map(|(lines, inner, condition)| {
            format!("{{s_1: {lines}, s_2: {{'list[any]': {inner}}}, _s: {{'.': a}}, condition: {condition}}}")
        });
        prop_oneof![
            lines(),
            (quantifier(), inner).prop_map(|(quantifier, inner)| format!("{{'list{quantifier}': {inner}}}")),
            prop::collection::vec(lines(), 1..3).prop_map(|maps| format!("[{}]", maps.join(", "))),
            extended,
        ]
    });
    let block =
        (quantifier(), block).prop_map(|(quantifier, block)| (quantifier.to_owned(), block));
    let scalar = (quantifier(), test())
        .prop_map(|(quantifier, (modifiers, value))| (format!("{quantifier}{modifiers}"), value));
    let position = (
        select(vec!["[0]", "[-1]", "[1]", "[0].a", "[-2].list"]),
        test(),
    )
        .prop_map(|(position, (modifiers, value))| (format!("{position}{modifiers}"), value));
    let body = prop_oneof![3 => block, 1 => scalar, 1 => position];
    (select(&ARRAYS[..]), body).prop_map(|(array, (selector, body))| {
        // A view's own field has nothing below its elements.
        let array = if selector.contains("].") {
            ARRAYS[0]
        } else {
            array
        };
        (format!("{array}{selector}"), body)
    })
}

fn quantifier() -> impl Strategy<Value = &'static str> {
    select(vec!["[any]", "[all]", "[all_or_empty]", "[none]"])
}
