//! What holds for all inputs.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::tests::{describe, items, items_of};
use super::*;

/// Yields reads of these sizes, over and over.
struct Pieces<'a> {
    rest: &'a [u8],
    sizes: std::iter::Cycle<std::vec::IntoIter<usize>>,
}

impl Read for Pieces<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let size = self.sizes.next().unwrap_or(1);
        let count = self.rest.len().min(out.len()).min(size);
        let (piece, rest) = self.rest.split_at(count);
        out[..count].copy_from_slice(piece);
        self.rest = rest;
        Ok(count)
    }
}

fn pieces(text: &[u8], sizes: Vec<usize>) -> Decoder<Pieces<'_>> {
    Decoder::new(
        Pieces {
            rest: text,
            sizes: sizes.into_iter().cycle(),
        },
        Arc::from("default"),
    )
}

/// JSON of any type.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[ -~ä\n\\\\\"]{0,12}".prop_map(Value::from),
        Just(json!("Event")),
        Just(json!("audit.k8s.io/v1")),
        Just(json!("{\"verb\":\"get\",\"user\":{}}")),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let members = vec((member(), inner.clone()), 0..4).prop_map(Value::from_iter);
        prop_oneof![vec(inner, 0..4).prop_map(Value::from), members]
    })
}

/// Names that make a container, or say what a record is.
const STRUCTURE: [&str; 7] = [
    "kind",
    "apiVersion",
    "items",
    "records",
    "logEvents",
    "events",
    "value",
];

/// Other names that mean something to us.
#[rustfmt::skip]
const FIELDS: [&str; 32] = [
    "verb", "user", "objectRef", "requestURI", "auditID", "category", "properties", "log", "log_s",
    "resourceId", "time", "message", "logGroup", "messageType", "protoPayload", "methodName",
    "resourceName", "serviceName", "status", "code", "response", "request", "operation", "labels",
    "resource", "timestamp", "split", "AuditId", "User", "authorizationInfo", "involved", "other",
];

fn member() -> impl Strategy<Value = String> {
    let names = [STRUCTURE.as_slice(), &FIELDS].concat();
    proptest::sample::select(names).prop_map(str::to_owned)
}

fn record() -> impl Strategy<Value = Value> {
    vec((member(), any_value()), 0..8).prop_map(Value::from_iter)
}

/// A stream as somebody may have left it: records on lines, pretty, in arrays, joined, cut, with
/// noise between.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => record().prop_map(|value| format!("{value}\n")),
        1 => record().prop_map(|value| value.to_string()),
        1 => record().prop_map(|value| format!("{value:#}\n")),
        1 => vec(record(), 0..3).prop_map(|values| format!("{}\n", Value::from(values))),
        1 => vec(record(), 0..3).prop_map(|values| format!("{:#}\n", Value::from(values))),
        1 => (record(), any::<prop::sample::Index>()).prop_map(|(value, index)| cut(&value.to_string(), index)),
        1 => "[\\[\\]{},:\"\\\\ \n\ra-z0-9]{0,20}",
        1 => Just("\u{feff}".to_owned()),
        1 => record().prop_map(|value| format!("2022-11-29T00:09:04.380Z {value}\n")),
    ];
    vec(piece, 0..8).prop_map(|pieces| pieces.concat().into_bytes())
}

fn cut(text: &str, index: prop::sample::Index) -> String {
    let text: String = text.chars().take(index.index(text.len())).collect();
    text + "\n"
}

/// Each item's bytes, where they are a part of the stream itself.
fn check_items(text: &[u8]) {
    let mut decoder = Decoder::new(text, Arc::from("default"));
    while let Some(item) = decoder.next().unwrap() {
        if let Item::Event(event) = item {
            assert!(std::str::from_utf8(event.bytes).is_ok());
            let parsed = detections::event::Event::parse(event.bytes, event.origin, Arc::default());
            assert!(
                parsed.is_ok(),
                "{:?} of {}",
                parsed.err(),
                String::from_utf8_lossy(event.bytes)
            );
        }
    }
}

/// The bytes of the stream that are in no frame; no byte is in two.
fn unframed(text: &[u8]) -> String {
    let mut framer = Framer::new(text);
    let mut seen_bytes = vec![false; text.len()];
    while let Some(frame) = framer.next_frame().unwrap() {
        let start = usize::try_from(frame.offset).unwrap();
        let length = framer.bytes(&frame).len();
        for seen in &mut seen_bytes[start..start + length] {
            assert!(!*seen, "a byte in two frames");
            *seen = true;
        }
    }
    let rest: Vec<u8> = text
        .iter()
        .zip(&seen_bytes)
        .filter(|(_, seen)| !**seen)
        .map(|(byte, _)| *byte)
        .collect();
    String::from_utf8_lossy(&rest).replace('\u{feff}', "")
}

/// Without containers, all but white space, commas and the brackets of arrays is in a frame.
fn check_nothing_lost(text: &[u8]) {
    let lost = unframed(text);
    assert!(
        lost.chars().all(|letter| " \t\r\n,[]".contains(letter)),
        "lost: {lost}"
    );
}

proptest! {
    #[test]
    fn random_bytes_never_panic(text in vec(any::<u8>(), 0..2_000)) {
        check_items(&text);
        check_nothing_lost(&text);
    }

    #[test]
    fn random_json_like_bytes_never_panic(text in "[\\[\\]{},:\"\\\\ \n\rutrnkind0-9\u{e4}-]{0,300}") {
        check_items(text.as_bytes());
        check_nothing_lost(text.as_bytes());
    }

    #[test]
    fn items_do_not_depend_on_reads(text in stream(), sizes in vec(1_usize..40, 1..8)) {
        check_items(&text);
        prop_assert_eq!(items_of(pieces(&text, sizes)), items(&text));
    }

    #[test]
    fn every_element_of_a_list_is_framed(values in vec(record(), 1..6), pretty in any::<bool>()) {
        let marked: Vec<Value> = values.into_iter().map(|value| json!({"marker": value})).collect();
        let list = json!({"records": marked, "logGroup": "g"});
        let text = if pretty { format!("{list:#}") } else { list.to_string() };
        prop_assert!(!unframed(text.as_bytes()).contains("marker"));
        prop_assert_eq!(items(text.as_bytes()).len(), marked.len());
    }

    #[test]
    fn a_cut_at_any_byte_keeps_the_records_before_it(values in vec(record(), 1..4), position in any::<prop::sample::Index>()) {
        let lines: Vec<String> = values.iter().map(|value| format!("{value}\n")).collect();
        let text = lines.concat();
        let end = position.index(text.len() + 1);
        let cut = &text.as_bytes()[..end];
        check_items(cut);
        let mut whole = 0;
        let mut before = String::new();
        for line in &lines {
            if whole + line.len() <= end {
                before.push_str(line);
            }
            whole += line.len();
        }
        let expected = items(before.as_bytes());
        let found = items(cut);
        prop_assert!(found.len() >= expected.len());
        prop_assert_eq!(&found[..expected.len()], &expected[..]);
    }

    #[test]
    fn wrong_types_in_any_field_reject_nothing(name in proptest::sample::select(FIELDS.to_vec()), value in any_value()) {
        let mut event = json!({"kind": "Event", "apiVersion": "audit.k8s.io/v1", "verb": "get"});
        event[name] = value;
        let text = event.to_string();
        let found = items(text.as_bytes());
        prop_assert_eq!(found, vec![(0, format!("raw default {text}"))]);
    }
}

#[test]
fn truncation_at_every_byte_of_a_file() {
    let first = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"1","verb":"get","requestURI":"/ä\"}","x":[1]}"#;
    let second = r#"{"category":"kube-audit","properties":{"log":"{\"verb\":\"get\",\"user\":{\"a\":\"\\u00e4\"}}"}}"#;
    let text = format!("{first}\n{second}\n{first}\n");
    let whole = items(text.as_bytes());
    assert_eq!(whole.len(), 3);
    for end in 0..text.len() {
        let found = items(&text.as_bytes()[..end]);
        let lines = memchr::memchr_iter(b'\n', &text.as_bytes()[..end]).count();
        assert_eq!(found[..lines], whole[..lines], "cut at {end}");
        assert!(found.len() <= lines + 1, "cut at {end}");
    }
}

#[test]
fn a_record_of_a_million_brackets() {
    for inner in [
        "[".repeat(1 << 20),
        format!("{}{}", "[".repeat(1 << 20), "]".repeat(1 << 20)),
    ] {
        let text = format!(
            "{{\"verb\":\"get\",\"user\":{{}},\"requestObject\":{inner}}}\n{{\"verb\":\"get\",\"user\":1}}\n"
        );
        let mut decoder = Decoder::new(text.as_bytes(), Arc::from("default"));
        assert!(
            describe(&decoder.next().unwrap().unwrap())
                .1
                .starts_with("raw default")
        );
        assert!(
            describe(&decoder.next().unwrap().unwrap())
                .1
                .ends_with("{\"verb\":\"get\",\"user\":1}")
        );
        assert!(decoder.next().unwrap().is_none());
    }
}
