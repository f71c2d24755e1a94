mod random;

use super::list::CLOSE;
use super::scan::DEPTH_MAX;
use super::*;

const HEAD: &str = r#"{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":["#;

fn cut_slices<'a>(mut cutter: Cutter, slices: impl IntoIterator<Item = &'a [u8]>) -> Vec<Piece> {
    let mut pieces = Vec::new();
    // Nothing is in it yet.
    let limit = cutter.list.room();
    // Of the head there is a copy in each message, and one to copy from.
    let bound = limit + 3 * cutter.head_bytes_max;
    for slice in slices {
        cutter.push(slice, &mut pieces);
        let held = cutter.held_bytes();
        assert!(held <= bound, "{held} held");
    }
    cutter.finish(&mut pieces);
    check_sizes(&pieces, limit);
    pieces
}

#[track_caller]
fn check_sizes(pieces: &[Piece], limit: usize) {
    let mut open: Option<(u32, u32)> = None;
    let mut next_of = 0;
    for piece in pieces {
        match piece {
            Piece::Whole(bytes) => {
                assert_eq!(open, None, "a message between parts");
                assert!(bytes.len() <= limit);
            }
            Piece::Part {
                of,
                number,
                last,
                bytes,
            } => {
                assert_eq!((*of, *number), open.unwrap_or((next_of, 0)));
                assert!(!bytes.is_empty() && bytes.len() <= limit);
                assert!(*last || bytes.len() == limit);
                open = (!last).then_some((*of, number + 1));
                next_of = of + 1;
            }
        }
    }
    assert_eq!(open, None, "parts without a last one");
}

/// Cuts at once and byte by byte, which must be the same.
#[track_caller]
fn cut(body: &[u8], limit: usize) -> Vec<Piece> {
    let at_once = cut_slices(Cutter::new(limit), [body]);
    let by_bytes = cut_slices(Cutter::new(limit), body.chunks(1));
    assert!(at_once == by_bytes, "slices matter");
    at_once
}

/// Pieces as texts, parts of one thing joined.
fn texts(pieces: &[Piece]) -> Vec<String> {
    let mut texts: Vec<Vec<u8>> = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Whole(bytes)
            | Piece::Part {
                number: 0, bytes, ..
            } => texts.push(bytes.clone()),
            Piece::Part { bytes, .. } => texts.last_mut().unwrap().extend(bytes),
        }
    }
    let text = |bytes| String::from_utf8(bytes).unwrap();
    texts.into_iter().map(text).collect()
}

#[track_caller]
fn check(body: &str, limit: usize, expected: &[&str]) {
    assert_eq!(texts(&cut(body.as_bytes(), limit)), expected);
}

/// A JSON string of this many bytes.
fn text_item(bytes: usize) -> String {
    format!("\"{}\"", "x".repeat(bytes - 2))
}

/// xorshift64*.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(high).unwrap() % bound
    }

    pub(super) fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

#[test]
fn a_list_that_fits_stays_as_it_is() {
    let body = format!(r#"{HEAD}{{"a":"]}}\"","b":[1,{{}}]}},{{"c":"\\"}}]}}"#);
    check(&body, 1024, &[&body]);
    let with_tail = format!(r#"{HEAD}{{"a":1}}],"metadata":{{"b":[{{}}]}} , "kind":"x"}}"#);
    check(&with_tail, 1024, &[&with_tail]);
}

#[test]
fn an_empty_list_stays() {
    let body = format!("{HEAD}]}}");
    check(&body, 1024, &[&body]);
    let with_tail = format!(r#"{HEAD}],"a":1}}"#);
    check(&with_tail, 1024, &[&with_tail]);
}

#[test]
fn an_empty_body_is_an_empty_message() {
    assert_eq!(cut(b"", 1024), [Piece::Whole(Vec::new())]);
    let raw = cut_slices(Cutter::raw(1024), [[].as_slice()]);
    assert_eq!(raw, [Piece::Whole(Vec::new())]);
    check(" \n", 1024, &[" \n"]);
}

#[test]
fn the_head_is_what_stands_before_the_items() {
    let body = "\n { \"items\" : {\"items\":[1]}, \"k\\\"\":[\"EventList\"] ,\"kind\" :\"EventList\",\"items\" : [ 1 , 2 ] } ";
    let message = "{ \"items\" : {\"items\":[1]}, \"k\\\"\":[\"EventList\"] ,\"kind\" :\"EventList\",\"items\" : [1,2]}";
    check(body, 1024, &[message]);
}

#[test]
fn messages_are_as_full_as_they_can_be() {
    let room = 1024 - HEAD.len() - CLOSE.len();
    for (second, messages) in [(room - 101, 1), (room - 100, 2)] {
        let items = [text_item(100), text_item(second)];
        let body = format!("{HEAD}{} ,\n{}\t]\n}}", items[0], items[1]);
        let pieces = texts(&cut(body.as_bytes(), 1024));
        assert_eq!(pieces.len(), messages);
        let joined = pieces.join("").replace(&format!("]}}{HEAD}"), ",");
        assert_eq!(joined, format!("{HEAD}{},{}]}}", items[0], items[1]));
    }
}

#[test]
fn an_item_larger_than_a_message_goes_in_parts() {
    let large = format!(r#"{{"a":"{}"}}"#, "x\\\"".repeat(1000));
    let body = format!("{HEAD}{{}},{large},[1]]}}");
    let before = format!("{HEAD}{{}}]}}");
    let after = format!("{HEAD}[1]]}}");
    check(&body, 1024, &[&before, &large, &after]);
    let pieces = cut(body.as_bytes(), 1024);
    let part = |piece: &Piece| match piece {
        Piece::Whole(_) => None,
        Piece::Part {
            of, number, last, ..
        } => Some((*of, *number, *last)),
    };
    let parts: Vec<_> = pieces.iter().filter_map(part).collect();
    assert_eq!(parts, [(0, 0, false), (0, 1, false), (0, 2, true)]);
}

#[test]
fn larger_items_are_numbered() {
    let large = text_item(1500);
    let body = format!("{HEAD}{large},{large}]}}");
    check(&body, 1024, &[&large, &large]);
    let pieces = cut(body.as_bytes(), 1024);
    assert!(matches!(
        pieces[2],
        Piece::Part {
            of: 1,
            number: 0,
            ..
        }
    ));
}

#[test]
fn an_item_that_fits_only_without_the_head_is_whole() {
    for bytes in [1024 - HEAD.len() - 1, 1024] {
        let item = text_item(bytes);
        let body = format!("{HEAD}1,{item},2]}}");
        let expected = [format!("{HEAD}1]}}"), item, format!("{HEAD}2]}}")];
        check(&body, 1024, &expected.each_ref().map(String::as_str));
        assert_eq!(cut(body.as_bytes(), 1024).len(), 3);
    }
}

#[test]
fn parts_go_out_while_the_item_comes_in() {
    let mut cutter = Cutter::new(1024);
    let mut pieces = Vec::new();
    cutter.push(HEAD.as_bytes(), &mut pieces);
    cutter.push(b"\"", &mut pieces);
    for _ in 0..1000 {
        cutter.push(&[b'x'; 100], &mut pieces);
    }
    assert_eq!(pieces.len(), 97);
    cutter.finish(&mut pieces);
    check_sizes(&pieces, 1024);
}

#[test]
fn what_is_no_list_of_events_is_unchanged() {
    let long_head = format!(
        r#"{{"a":"{}","kind":"EventList","items":[1]}}"#,
        "x".repeat(230)
    );
    for body in [
        r#"{"kind":"Event","items":[1, 2]}"#,
        r#"{"items":[1, 2],"kind":"EventList"}"#,
        r#"{"kind":"EventList","items":null} {"kind":"EventList","items":[1, 2]}"#,
        r#"{"a":"EventList\"","items":[1, 2]}"#,
        r#"{"a":{"kind":"EventList"},"items":[1, 2]}"#,
        r#"{"kind":"EventList","items" "a":[1, 2]}"#,
        r#"{"kind":"EventList","items":"a"[1, 2]}"#,
        r#"{"kind":"EventList"]"items":[1, 2]}"#,
        r#"{"kind":"EventList","it"#,
        " [1, 2]",
        "\u{1f}\u{0}{\"",
        "{\"a\":1}\n{\"b\":2}\n",
        &long_head,
    ] {
        check(body, 1024, &[body]);
        let long = format!("{body}{}", " ".repeat(5000));
        check(&long, 1024, &[&long]);
    }
}

#[test]
fn heads_have_a_limit() {
    let body = |name: usize| {
        let name = "x".repeat(name);
        format!(r#"{{"a":"{name}","kind":"EventList","items":[1, 2]}}"#)
    };
    let head_bytes = body(0).find('[').unwrap() + 1;
    for (limit, head_bytes_max) in [(1024, 256), (16384, 4096), (1 << 20, 4096)] {
        let longest = body(head_bytes_max - head_bytes);
        check(&longest, limit, &[&longest.replace(", 2", ",2")]);
        let longer = body(head_bytes_max - head_bytes + 1);
        check(&longer, limit, &[&longer]);
    }
}

#[test]
fn raw_is_never_looked_into() {
    let body = format!("{HEAD}1, 2]}}").repeat(40);
    let slices = body.as_bytes().chunks(7);
    let pieces = cut_slices(Cutter::raw(1024), slices);
    assert_eq!(pieces.len(), body.len().div_ceil(1024));
    assert_eq!(texts(&pieces), [body]);
}

#[test]
fn parts_of_raw_bodies_are_full_but_the_last() {
    for (bytes, parts) in [(1023, 1), (1024, 1), (1025, 2), (2048, 2), (2049, 3)] {
        let body = "x".repeat(bytes);
        check(&body, 1024, &[&body]);
        assert_eq!(cut(body.as_bytes(), 1024).len(), parts);
    }
}

#[test]
fn members_behind_several_messages_are_kept_if_they_may_hold_events() {
    let item = text_item(900);
    let message = format!("{HEAD}{item}]}}");
    let body = |tail: &str| format!("{HEAD}{item},{item} ] {tail}}}");
    let messages = [message.as_str(), message.as_str()];
    check(&body(""), 1024, &messages);
    check(&body(r#", "kind":"a{[" "#), 1024, &messages);
    let kept = r#"{"kind":"x","items":[{"a":1}] }"#;
    let tail = kept.replacen('{', ",", 1);
    let tail = tail.strip_suffix('}').unwrap();
    check(&body(tail), 1024, &[messages.as_slice(), &[kept]].concat());
}

#[test]
fn members_that_do_not_fit_behind_their_list_are_a_piece() {
    for bytes in [1000, 3000] {
        let tail = format!(r#""items":[{}]}}"#, text_item(bytes));
        let body = format!("{HEAD}1],{tail}");
        check(&body, 1024, &[&format!("{HEAD}1]}}"), &format!("{{{tail}")]);
        let empty = format!("{HEAD}],{tail}");
        check(&empty, 1024, &[&format!("{HEAD}]}}"), &format!("{{{tail}")]);
    }
}

#[test]
fn members_are_left_out_or_kept_by_what_they_may_hold_not_by_where_they_fit() {
    let message = format!("{HEAD}1]}}");
    let tail = |bytes: usize| format!(r#""a":{}}}"#, text_item(bytes));
    let fits = 1024 - message.len() - tail(2).len() + 2;
    let fitting = format!("{HEAD}1],{}", tail(fits));
    assert_eq!(fitting.len(), 1024);
    check(&fitting, 1024, &[&fitting]);
    let longer = format!("{HEAD}1],{}", tail(fits + 1));
    check(&longer, 1024, &[&message]);
    // It is larger than a message, and its first part went before its end was known.
    let parts = format!("{HEAD}1],{}", tail(3000));
    check(&parts, 1024, &[&message, &format!("{{{}", tail(3000))]);
}

#[test]
fn lists_may_follow_each_other() {
    let body = format!("{HEAD}1]}}\n {HEAD}]}}{HEAD}2]}} {{\"a\":1}} {HEAD}3]}}");
    let rest = format!("{{\"a\":1}} {HEAD}3]}}");
    let lists = [
        format!("{HEAD}1]}}"),
        format!("{HEAD}]}}"),
        format!("{HEAD}2]}}"),
        rest,
    ];
    check(&body, 1024, &lists.each_ref().map(String::as_str));
}

#[test]
fn an_unfinished_item_is_a_piece_behind_those_that_were_whole() {
    let whole = format!("{HEAD}{{\"a\":1}}]}}");
    for unfinished in [r#"{"b"#, r#"{"b\"#, r#"{"b":[{}"#, "\"b", "tru"] {
        let body = format!("{HEAD}{{\"a\":1}},{unfinished}");
        check(&body, 1024, &[&whole, unfinished]);
        let body = format!("{HEAD}{unfinished}");
        check(&body, 1024, &[unfinished]);
    }
    let long = text_item(3000);
    let body = format!("{HEAD}{{\"a\":1}},{}", &long[..2999]);
    check(&body, 1024, &[&whole, &long[..2999]]);
}

#[test]
fn a_body_may_end_between_items() {
    let message = format!("{HEAD}1,2]}}");
    for end in ["", " ", ", ", "]", "] "] {
        check(&format!("{HEAD}1, 2 {end}"), 1024, &[&message]);
    }
    check(&format!("{HEAD} "), 1024, &[HEAD]);
    check(&format!("{HEAD}]"), 1024, &[&format!("{HEAD}]}}")]);
    check(
        &format!("{HEAD}1],\"a\":"),
        1024,
        &[&format!("{HEAD}1]}}"), "{\"a\":"],
    );
    let long = text_item(3000);
    check(&format!("{HEAD}{long}, "), 1024, &[&long]);
    check(&format!("{HEAD}{long}] "), 1024, &[&long]);
    check(&format!("{HEAD}{long}],"), 1024, &[&long, "{"]);
}

#[test]
fn what_stops_being_a_list_is_raw_from_there() {
    let message = format!("{HEAD}{{\"a\":1}}]}}");
    for rest in ["{\"b\":2}, 3]}", "\"b\", 3]}", "}, 3]}", "4, 3]}"] {
        check(
            &format!("{HEAD}{{\"a\":1}} {rest}"),
            1024,
            &[&message, rest],
        );
    }
    for rest in [", 3]}", "]}", "}, 3]", "tr{}, 3]}", "1\"a\" , 3]}", "1} "] {
        check(
            &format!("{HEAD}{{\"a\":1}} , {rest}"),
            1024,
            &[&message, rest],
        );
    }
    for rest in ["], 3]}", "[1, 2] "] {
        check(
            &format!("{HEAD}{{\"a\":1}}] {rest}"),
            1024,
            &[&message, rest],
        );
    }
    let tail = format!("{HEAD}{{\"a\":1}}], 3] , {HEAD}4, 5]}}");
    check(&tail, 1024, &[&message, &format!("{{ 3] , {HEAD}4, 5]}}")]);
    let unchanged = format!("{HEAD}}}, {HEAD}4, 5]}}");
    check(&unchanged, 1024, &[&unchanged]);
}

#[test]
fn a_list_that_breaks_behind_a_larger_item_ends_its_parts() {
    let long = text_item(3000);
    check(&format!("{HEAD}{long}x, 1"), 1024, &[&long, "x, 1"]);
    let bare = "1".repeat(3000);
    check(
        &format!("{HEAD}{bare}{{, 1"),
        1024,
        &[&format!("{bare}{{, 1")],
    );
}

#[test]
fn what_is_too_deep_is_raw() {
    let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let texts = |item: &str| {
        let body = format!("{HEAD}1,{item}, 2 ]}}");
        texts(&cut_slices(Cutter::new(1 << 22), [body.as_bytes()]))
    };
    let deepest = deep(DEPTH_MAX as usize);
    assert!(texts(&deepest) == [format!("{HEAD}1,{deepest},2]}}")]);
    let deeper = deep(DEPTH_MAX as usize + 1);
    assert!(texts(&deeper) == [format!("{HEAD}1]}}"), format!("{deeper}, 2 ]}}")]);
}

#[test]
fn a_limit_has_a_least_value() {
    let body = "x".repeat(1024);
    assert_eq!(cut(body.as_bytes(), 0).len(), 1);
}
