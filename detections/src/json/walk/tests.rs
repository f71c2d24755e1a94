use super::*;
use proptest::prelude::*;
use serde_json::Value;

/// Writes down keys and scalars.
#[derive(Default)]
struct Notes {
    keys: Vec<String>,
    seen: Vec<(usize, String)>,
}

impl Visitor<'_> for Notes {
    type Key = usize;

    fn key(&mut self, key: Key<'_>, depth: usize) -> usize {
        self.keys
            .push(format!("{depth} {}", String::from_utf8_lossy(key.text)));
        self.keys.len()
    }

    fn scalar(&mut self, key: usize, text: &[u8], _: usize) {
        self.seen
            .push((key, String::from_utf8_lossy(text).into_owned()));
    }
}

fn accepts(text: &[u8]) -> bool {
    walk(text, &[], &mut Places::default(), &mut Notes::default())
}

#[test]
fn arrays_hand_their_key_on() {
    let text = br#"{"a" : [1, [true, {"b":"x\n"}], "y"], "c":{}, "d":null}"#;
    let mut notes = Notes::default();
    assert!(walk(text, &[], &mut Places::default(), &mut notes));
    assert_eq!(notes.keys, ["1 a", "4 b", "1 c", "1 d"]);
    let expected = [
        (1, "1"),
        (1, "true"),
        (2, "\"x\\n\""),
        (1, "\"y\""),
        (4, "null"),
    ];
    assert_eq!(
        notes.seen,
        expected.map(|(key, text)| (key, text.to_owned()))
    );
}

#[test]
fn what_is_no_document_is_refused() {
    for text in [
        "{",
        "\"\"0",
        "{}[]",
        "1 2",
        "{}}",
        "[1,]",
        "{\"a\":1,}",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1 2}",
        "[}",
        "{\"a\":01}",
        "{\"a\":-}",
        "{\"a\":1.}",
        "{\"a\":tru}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":\"\t\"}",
        "\\\"{}",
        "{\"a\":[\"b\":1]}",
        "{1:2}",
        "[1 \"a\"]",
        "[\"a\"1]",
        "",
        " ",
        "{\"a\":\"\\u12\"}",
    ] {
        assert!(!accepts(text.as_bytes()), "{text}");
    }
    for text in [
        "{}",
        " [ ] ",
        "[-1.5,0,\"\\u0041\\\"\\\\\"]",
        "{\"a\":{\"b\":[[],{}]}}",
    ] {
        assert!(accepts(text.as_bytes()), "{text}");
    }
}

#[test]
fn known_parts_are_passed() {
    let text = br#"{"a":{"x":"}"},"b":[{"y":1}, 2],"c":"z"}"#;
    let place = |part: &[u8]| {
        let start = memchr::memmem::find(text, part).unwrap();
        (start, start + part.len())
    };
    let walk = |parts: &[Part]| {
        let mut notes = Notes::default();
        walk(text, parts, &mut Places::default(), &mut notes).then_some(notes.keys)
    };
    let parts = [place(br#"{"x":"}"}"#), place(br#"{"y":1}"#)];
    assert_eq!(walk(&parts).unwrap(), ["1 a", "1 b", "1 c"]);
    assert_eq!(walk(&parts[1..]).unwrap().len(), 4);
    // What is no value is not passed.
    assert_eq!(walk(&[place(br#""a":{"x":"}"}"#)]), None);
    assert_eq!(walk(&[place(br#","b""#)]), None);
}

proptest! {
    /// The one promise: what is accepted is a document.
    #[test]
    fn what_is_accepted_is_a_document(text in "[\\[\\]{}\",:\\\\ntu0-9a.\\-e \n]{0,40}") {
        if accepts(text.as_bytes()) {
            prop_assert!(serde_json::from_str::<Value>(&text).is_ok(), "{}", text);
        }
    }

    #[test]
    fn ordinary_documents_are_accepted(depth in 0..90_usize, words in proptest::collection::vec("[a-z\"\\\\\n<é]{0,90}", 0..8)) {
        let mut value = serde_json::json!({"words": words, "n": [1, -2, 0.5, true, null]});
        for _ in 0..depth {
            value = serde_json::json!([value]);
        }
        prop_assert!(accepts(value.to_string().as_bytes()), "{}", value);
    }

    #[test]
    fn a_flipped_byte_is_not_hidden(place in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut text = br#"{"kind":"Pod","spec":{"containers":[{"name":"a\u003cb","n":10,"tty":false}],"x":[]}}"#.to_vec();
        let place = place.index(text.len());
        text[place] = byte;
        if std::str::from_utf8(&text).is_ok() && accepts(&text) {
            prop_assert!(serde_json::from_slice::<Value>(&text).is_ok(), "{}", String::from_utf8_lossy(&text));
        }
    }
}
