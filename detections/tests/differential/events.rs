//! Random events as text, and where they came from.

use detections::event::{Envelope, Origin};
use proptest::prelude::*;
use proptest::sample::select;

/// What any field may hold by mistake.
const ODD: [&str; 12] = [
    "null",
    "true",
    "1.5",
    "[]",
    "{}",
    "\"\"",
    "[null]",
    "{\"a\":\"a\"}",
    "[[\"a\"],{\"b\":{\"c\":1}}]",
    "tru",
    "\"\\ud800\"",
    "1e999",
];

const WORDS: [&str; 20] = [
    "\"a\"",
    "\"A\"",
    "\"ab\"",
    "\"xax\"",
    "\"get\"",
    "\"*\"",
    "\"a*\"",
    "\"\"",
    "\"İ\"",
    "\"ß\"",
    "\"ſ\"",
    "\"\\u212a\"",
    "\"ΟΔΟΣΑ\"",
    "\"ς\"",
    "403",
    "-2",
    "true",
    "null",
    "\"10.0.0.1\"",
    "\"a\\nb\"",
];

/// Keys, with values that fit them.
const MEMBERS: [(&str, &[&str]); 15] = [
    (
        "verb",
        &[
            "\"get\"",
            "\"create\"",
            "\"patch\"",
            "\"patch\"",
            "\"update\"",
            "\"GET\"",
            "\"a\"",
        ],
    ),
    (
        "stage",
        &["\"ResponseComplete\"", "\"RequestReceived\"", "\"Panic\""],
    ),
    (
        "userAgent",
        &["\"a\"", "\"kubectl/v1 -a\"", "\"İß\"", "\"get\""],
    ),
    ("requestURI", &["\"/api?dryRun=All\"", "\"/api/v1/pods\""]),
    (
        "user",
        &[
            "{\"username\":\"alice\",\"groups\":[\"a\",\"b\"]}",
            "{\"username\":\"system:node:a\",\"groups\":[\"system:nodes\"],\"extra\":{\"k.x\":[\"a\"]}}",
            "{\"username\":\"get\"}",
            "{\"username\":\"alice\",\"username\":\"a\"}",
            // What only a parser of documents refuses.
            "{\"username\":\"alice\",\"uid\":\"\\ud800\"}",
            "{\"username\":\"alice\",\"uid\":1e999}",
        ],
    ),
    (
        "impersonatedUser",
        &[
            "{\"username\":\"a\"}",
            "{\"username\":\"alice\",\"groups\":[\"system:masters\"]}",
        ],
    ),
    (
        "sourceIPs",
        &[
            "[\"10.0.0.1\"]",
            "[\"192.0.2.1\",\"127.0.0.1\"]",
            "[\"::ffff:10.0.0.1\"]",
        ],
    ),
    (
        "objectRef",
        &[
            "{\"resource\":\"pods\",\"namespace\":\"a\",\"name\":\"b\"}",
            "{\"resource\":\"a\",\"subresource\":\"get\",\"apiGroup\":\"b\"}",
            "{\"resource\":\"pods\",\"resource.x\":\"a\",\"resource\":\"b\"}",
            "[{\"resource\":\"pods\"}]",
        ],
    ),
    (
        "responseStatus",
        &[
            "{\"code\":200}",
            "{\"code\":403,\"message\":\"User cannot impersonate resource\"}",
            "{\"code\":\"403\"}",
            "{\"metadata\":{}}",
        ],
    ),
    (
        "annotations",
        &[
            "{\"authorization.k8s.io/decision\":\"allow\",\"a\":{\"b\":\"a\"}}",
            "{\"authorization.k8s.io/decision\":\"forbid\",\"a.b\":\"b\"}",
            "{\"audit.k8s.io/truncated\":\"true\"}",
        ],
    ),
    (
        "stageTimestamp",
        &[
            "\"2026-11-20T22:41:31.379046Z\"",
            "\"2026-01-01\"",
            "1700000000",
        ],
    ),
    (
        "requestReceivedTimestamp",
        &["\"2026-11-20T10:00:00Z\"", "null"],
    ),
    ("kind", &["\"Event\""]),
    ("metadata", &["{\"a\":[\"get\"]}"]),
    ("auditID", &["\"0\""]),
];

/// What a body may say that it is.
const KINDS: [&str; 7] = [
    "\"Pod\"",
    "\"Pod\"",
    "\"PartialObjectMetadata\"",
    "\"Status\"",
    "\"P\\u006fd\"",
    "null",
    "{\"kind\":\"Pod\"}",
];

/// Literal keys that a path finds before the fields they look like.
const LITERAL: [(&str, &[&str]); 3] = [
    ("user.username", &["\"alice\"", "\"a\""]),
    ("objectRef.resource", &["\"pods\""]),
    ("annotations.a", &["{\"b\":\"a\"}"]),
];

/// An event's text and its origin. A cut record is marked so.
pub(crate) fn event() -> impl Strategy<Value = (String, Origin)> {
    (
        members(),
        envelope(),
        prop::option::weighted(0.1, any::<prop::sample::Index>()),
    )
        .prop_map(|(members, envelope, cut)| {
            let mut text = format!("{{{}}}", members.join(","));
            if let Some(cut) = cut {
                let places: Vec<usize> = text.char_indices().map(|(at, _)| at).skip(1).collect();
                text.truncate(*cut.get(&places));
            }
            (
                text,
                Origin {
                    envelope,
                    partial: cut.is_some(),
                    ..Origin::default()
                },
            )
        })
}

fn members() -> impl Strategy<Value = Vec<String>> {
    let fitting = select(&MEMBERS[..]).prop_flat_map(|(key, values)| member(key, select(values)));
    let odd = select(&MEMBERS[..]).prop_flat_map(|(key, _)| member(key, select(&ODD[..])));
    let body = (select(vec!["requestObject", "responseObject"]), body())
        .prop_map(|(key, body)| format!("\"{key}\":{body}"));
    let literal = select(&LITERAL[..]).prop_flat_map(|(key, values)| member(key, select(values)));
    // What sends a row to its document is rare: the columns are to be tried.
    let any = prop_oneof![40 => fitting, 1 => odd, 1 => literal, 14 => body];
    (level(), prop::collection::vec(any, 2..14)).prop_map(|(level, mut members)| {
        members.insert(0, level);
        members
    })
}

fn member(
    key: &'static str,
    value: impl Strategy<Value = &'static str>,
) -> impl Strategy<Value = String> {
    value.prop_map(move |value| format!("\"{key}\":{value}"))
}

fn level() -> impl Strategy<Value = String> {
    let levels = select(vec![
        "\"RequestResponse\"",
        "\"RequestResponse\"",
        "\"Request\"",
        "\"Metadata\"",
        "\"None\"",
        "null",
    ]);
    member("level", levels)
}

/// A body with the names that rules look for; seldom one that is no JSON.
fn body() -> impl Strategy<Value = String> {
    let word = || select(&WORDS[..]).prop_map(str::to_owned);
    let value = prop_oneof![3 => word(), 1 => select(&ODD[..]).prop_map(str::to_owned)]
        .prop_recursive(3, 10, 4, |inner| {
            let object = prop::collection::vec(
                (select(vec!["a", "list", "b", "c", "b.c"]), inner.clone()),
                0..4,
            );
            prop_oneof![
                prop::collection::vec(inner, 0..4)
                    .prop_map(|values| format!("[{}]", values.join(","))),
                object.prop_map(|fields| object_text(&fields)),
            ]
        });
    let fields = prop::collection::vec((select(vec!["a", "list"]), value), 0..4);
    let kind = prop::option::of(select(&KINDS[..]));
    let object = (fields, kind).prop_map(|(mut fields, kind)| {
        fields.extend(kind.map(|kind| ("kind", kind.to_owned())));
        object_text(&fields)
    });
    prop_oneof![20 => object, 2 => word().prop_map(|word| format!("[{{\"op\":\"add\",\"path\":\"/a\",\"value\":{word}}}]")), 1 => Just("{\"a\":".to_owned() + "tru}"), 1 => Just("null".to_owned())]
}

fn object_text(fields: &[(&str, String)]) -> String {
    let fields: Vec<String> = fields
        .iter()
        .map(|(key, value)| format!("\"{key}\":{value}"))
        .collect();
    format!("{{{}}}", fields.join(","))
}

fn envelope() -> impl Strategy<Value = Envelope> {
    prop_oneof![4 => Just(Envelope::Raw), 1 => Just(Envelope::Aks), 1 => Just(Envelope::Eks), 1 => Just(Envelope::Gke)]
}
