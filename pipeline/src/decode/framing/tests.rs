use std::io::Cursor;

use super::*;
use crate::decode::limits::{KEPT_BYTES_MAX, RECORD_BYTES_MAX};

/// What frames say, one line each: kind, and the bytes (shortened); checks that they stand where
/// the frame says.
fn frames_of(mut framer: Framer<impl Read>, stream: &str) -> Vec<String> {
    let mut found = Vec::new();
    while let Some(frame) = framer.next_frame().unwrap() {
        let kind = match (frame.kind, frame.cut) {
            (FrameKind::Object, false) => "object",
            (FrameKind::Object, true) => "cut",
            (FrameKind::Junk, _) => "junk",
            (FrameKind::BehindCut, _) => "behind",
            (FrameKind::EmptyList, _) => "empty",
        };
        let bytes = framer.bytes(&frame);
        let place = &stream.as_bytes()[usize::try_from(frame.offset).unwrap()..];
        assert!(
            place.starts_with(bytes) || frame.kind == FrameKind::Junk,
            "at {}",
            frame.offset
        );
        found.push(format!(
            "{kind} {}",
            String::from_utf8_lossy(&bytes[..bytes.len().min(60)])
        ));
    }
    found
}

/// Yields one byte per read.
struct Trickle<'a>(&'a [u8]);

impl Read for Trickle<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.0.len().min(out.len()).min(1);
        out[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    assert_eq!(
        frames_of(Framer::new(text.as_bytes()), text),
        expected,
        "in one read"
    );
    assert_eq!(
        frames_of(Framer::new(Trickle(text.as_bytes())), text),
        expected,
        "byte by byte"
    );
}

#[test]
fn lines() {
    check(
        "{\"a\":1}\n{\"b\":2}\n",
        &["object {\"a\":1}", "object {\"b\":2}"],
    );
    check(
        "\u{feff}{\"a\":1}\r\n\r\n  \n{\"b\":2}\r\n",
        &["object {\"a\":1}", "object {\"b\":2}"],
    );
    check(
        "{\"a\":1}\n{\"b\":2}",
        &["object {\"a\":1}", "object {\"b\":2}"],
    );
    check("", &[]);
    check("\n \r\n\t", &[]);
}

#[test]
fn records_joined_without_line_breaks() {
    check(
        "{\"a\":1}{\"b\":2} {\"c\":3},{}\n{}{}\n",
        &[
            "object {\"a\":1}",
            "object {\"b\":2}",
            "object {\"c\":3}",
            "object {}",
            "object {}",
            "object {}",
        ],
    );
}

#[test]
fn pretty_printed_records() {
    check(
        "{\n  \"a\": [\n    {\n    }\n  ]\n}\n{\n  \"b\": 2\n}\n",
        &[
            "object {\n  \"a\": [\n    {\n    }\n  ]\n}",
            "object {\n  \"b\": 2\n}",
        ],
    );
    // A pretty-printed record behind lines.
    check(
        "{\"a\":1}\n{\n  \"b\": 2\n}\n",
        &["object {\"a\":1}", "object {\n  \"b\": 2\n}"],
    );
}

#[test]
fn arrays() {
    check(
        "[{\"a\":1},{\"b\":2}]\n[{\"c\":3}]",
        &["object {\"a\":1}", "object {\"b\":2}", "object {\"c\":3}"],
    );
    check(
        "[\n  {\n    \"a\": 1\n  },\n  {\"b\":2}\n]\n",
        &["object {\n    \"a\": 1\n  }", "object {\"b\":2}"],
    );
    check(
        "{\"a\":1}\n[\n{\"b\":2},\n{\"c\":3}\n]\n",
        &["object {\"a\":1}", "object {\"b\":2}", "object {\"c\":3}"],
    );
    check("[]\n[[{}],[]]", &["empty ", "junk [[{}],[]]"]);
    check(
        "[{\"a\":1},5,\"x,]\",[1,[2]],null]",
        &[
            "object {\"a\":1}",
            "junk 5",
            "junk \"x,]\"",
            "junk [1,[2]]",
            "junk null",
        ],
    );
}

#[test]
fn containers_are_opened() {
    check(
        r#"{"kind":"EventList","metadata":{},"items":[{"a":1},{"b":2}],"x":[{"y":"]}"}]}{"c":3}"#,
        &["object {\"a\":1}", "object {\"b\":2}", "object {\"c\":3}"],
    );
    check(
        "{\n  \"items\": [\n    {\n      \"a\": 1\n    }\n  ]\n}\n",
        &["object {\n      \"a\": 1\n    }"],
    );
    check(
        "{\"items\":[\n{\"a\":1},\n{\"b\":2}\n]}\n",
        &["object {\"a\":1}", "object {\"b\":2}"],
    );
    check(
        r#"[{"records":[{"a":1}]},{"records":[{"b":2}]}]"#,
        &["object {\"a\":1}", "object {\"b\":2}"],
    );
    check(
        r#"{"records":[{"a":1}],"items":[{"b":2}]}"#,
        &["object {\"a\":1}", "object {\"b\":2}"],
    );
    check(r#"{"items":[]}"#, &["empty "]);
    check(r#"{"items":null}"#, &["object {\"items\":null}"]);
}

#[test]
fn the_context_of_a_container_is_known_on_both_sides_of_its_list() {
    let text = r#"{"logGroup":"g","logEvents":[{"a":1}],"logStream":"s"}"#;
    let mut framer = Framer::new(text.as_bytes());
    framer.next_frame().unwrap().unwrap();
    assert_eq!(
        (
            framer.context().log_group.as_str(),
            framer.context().log_stream.as_str()
        ),
        ("g", "s")
    );
    assert!(framer.next_frame().unwrap().is_none());
    assert_eq!(framer.context().log_group, "");
}

#[test]
fn a_cut_record_costs_only_itself() {
    let whole = "{\"a\":1}\n";
    // In a string, between members, in a nested value.
    for cut in ["{\"verb\":\"cre", "{\"a\":1,", "{\"a\":[{\"b\":1},"] {
        let cut_frame = format!("cut {cut}");
        check(
            &format!("{whole}{cut}\n{whole}"),
            &["object {\"a\":1}", &cut_frame, "object {\"a\":1}"],
        );
        // As the first record, before anybody knows that this is a file of lines.
        check(
            &format!("{cut}\n{whole}{cut}\n{whole}"),
            &[
                &cut_frame,
                "object {\"a\":1}",
                &cut_frame,
                "object {\"a\":1}",
            ],
        );
        check(&format!("{whole}{cut}"), &["object {\"a\":1}", &cut_frame]);
    }
}

#[test]
fn a_cut_container_ends_with_its_line() {
    check(
        "{\"a\":1}\n{\"items\":[{\"b\":2},{\"c\n{\"d\":4}\n",
        &[
            "object {\"a\":1}",
            "object {\"b\":2}",
            "cut {\"c",
            "object {\"d\":4}",
        ],
    );
    check(
        "{\"items\":[{\"b\":2},{\"c\n{\"items\":[{\"d\":4}]}\n{\"e\":5}\n",
        &[
            "object {\"b\":2}",
            "cut {\"c",
            "object {\"d\":4}",
            "object {\"e\":5}",
        ],
    );
}

#[test]
fn behind_a_line_break_in_a_string_the_next_record_is_found_by_its_indent() {
    check(
        "[\n  {\n    \"a\": \"x\ny\",\n    \"b\": [\n      {}\n    ]\n  },\n  {\"c\":3}\n]",
        &[
            "cut {\n    \"a\": \"x",
            "behind \ny\",\n    \"b\": [\n      {}\n    ]\n  },\n",
            "object {\"c\":3}",
        ],
    );
}

#[test]
fn what_is_no_record_is_junk() {
    check(
        "hello\n{\"a\":1}\n]\n\"x\"\n5\n",
        &[
            "junk hello",
            "object {\"a\":1}",
            "junk ]",
            "junk \"x\"",
            "junk 5",
        ],
    );
    check(
        "[2024-01-01] [x] {\"a\":1}\n",
        &["junk [2024-01-01] [x] {\"a\":1}"],
    );
    check(
        "{\"a\" 1}\n{\"b\":2}",
        &["object {\"a\" 1}", "object {\"b\":2}"],
    );
}

#[test]
fn a_form_feed_is_no_white_space_in_json() {
    check("\u{c}", &["junk \u{c}"]);
}

#[test]
fn timestamps_before_records() {
    let text = "2022-11-29T00:09:04.380Z {\"a\":1}\n2022-11-29T00:09:05.380Z I1129 x\n2022-11-29T00:09:06Z {\"b";
    check(
        text,
        &[
            "object {\"a\":1}",
            "junk 2022-11-29T00:09:05.380Z I1129 x",
            "cut {\"b",
        ],
    );
    let mut framer = Framer::new(text.as_bytes());
    let frame = framer.next_frame().unwrap().unwrap();
    assert_eq!(
        frame.prefix.map(|prefix| prefix.time_us),
        Some(1_669_680_544_380_000)
    );
}

#[test]
fn a_container_larger_than_the_buffer_is_streamed() {
    let element = format!("{{\"pad\":\"{}\"}}", "x".repeat(500_000));
    let text = format!(
        "{{\"logGroup\":\"g\",\"logEvents\":[{}],\"b\":1}}\n{{\"c\":3}}\n",
        vec![element; 40].join(",")
    );
    let mut framer = Framer::new(text.as_bytes());
    for _ in 0..40 {
        let frame = framer.next_frame().unwrap().unwrap();
        assert_eq!((framer.bytes(&frame).len(), frame.cut), (500_010, false));
        assert_eq!(framer.context().log_group, "g");
    }
    assert_eq!(frames_of(framer, &text), ["object {\"c\":3}"]);
}

#[test]
fn records_up_to_the_limit_are_whole_and_larger_ones_are_cut() {
    for (length, cut) in [(RECORD_BYTES_MAX, false), (RECORD_BYTES_MAX + 1, true)] {
        for lines in [false, true] {
            let first = if lines { "{\"a\":1}\n" } else { "" };
            let start = "{\"verb\":\"get\",\"pad\":\"";
            let text = format!(
                "{first}{start}{}\"}}{{\"b\":2}}\n{{\"c\":3}}",
                "x".repeat(length - start.len() - 2)
            );
            let mut framer = Framer::new(Cursor::new(&text));
            if lines {
                framer.next_frame().unwrap();
            }
            let frame = framer.next_frame().unwrap().unwrap();
            assert_eq!(frame.cut, cut);
            let kept = if cut { KEPT_BYTES_MAX } else { length };
            assert_eq!(framer.bytes(&frame).len(), kept);
            let rest: Vec<String> = frames_of_ref(&mut framer);
            assert_eq!(rest, ["{\"b\":2}", "{\"c\":3}"]);
            let skipped = Skipped {
                oversized: u64::from(cut),
                bytes: (length - kept) as u64,
            };
            assert_eq!(framer.skipped(), skipped);
        }
    }
}

fn frames_of_ref(framer: &mut Framer<impl Read>) -> Vec<String> {
    let mut found = Vec::new();
    while let Some(frame) = framer.next_frame().unwrap() {
        found.push(String::from_utf8(framer.bytes(&frame).to_vec()).unwrap());
    }
    found
}

#[test]
fn huge_lines_of_anything_are_bounded_and_linear() {
    let mebibytes_64 = 64 << 20;
    for (unit, first) in [
        ("x", "junk"),
        ("[", "junk"),
        ("{\"a\":[", "cut"),
        ("{\"items\":[", "cut"),
        ("\\", "junk"),
        (" ", ""),
        ("\"", "junk"),
        ("{\"a\":\"x\\\"", "cut"),
        ("[ ", "junk"),
    ] {
        let text = unit.repeat(mebibytes_64 / unit.len());
        let mut framer = Framer::new(text.as_bytes());
        let mut kept = 0;
        let mut kinds = Vec::new();
        while let Some(frame) = framer.next_frame().unwrap() {
            kept += framer.bytes(&frame).len();
            kinds.push(if frame.kind == FrameKind::Object {
                "cut"
            } else {
                "junk"
            });
        }
        assert_eq!(kinds.first().copied().unwrap_or_default(), first, "{unit}");
        assert!(kept <= 4 * KEPT_BYTES_MAX, "{unit}");
        let skipped = usize::try_from(framer.skipped().bytes).unwrap();
        assert!(
            first.is_empty() || kept + skipped > mebibytes_64 - 64,
            "{unit}: {kept} and {skipped}"
        );
    }
}

#[test]
fn many_small_records_on_one_line_are_linear() {
    for unit in ["{}", "{\"items\":[]}", "[{}]", "{\"a\" 1}"] {
        let count = (4 << 20) / unit.len();
        let mut framer = Framer::new(Cursor::new(unit.repeat(count)));
        let mut found = 0;
        while framer.next_frame().unwrap().is_some() {
            found += 1;
        }
        assert_eq!(found, count, "{unit}");
    }
    let many_lists = format!(
        "{{{}\"x\":1}}{{\"b\":2}}",
        "\"items\":[{}],".repeat(100_000)
    );
    let frames = frames_of(Framer::new(many_lists.as_bytes()), &many_lists);
    assert_eq!(
        frames
            .iter()
            .filter(|frame| frame.starts_with("object"))
            .count(),
        9,
        "eight elements and the record behind"
    );
    assert!(
        frames.iter().any(|frame| frame.starts_with("junk")),
        "the lists that were not opened"
    );
}

#[test]
fn a_failed_read_comes_after_all_that_was_read() {
    struct Failing<'a>(&'a [u8]);
    impl Read for Failing<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            match self.0.read(out)? {
                0 => Err(io::Error::other("broken")),
                read => Ok(read),
            }
        }
    }
    let mut framer = Framer::new(Failing(b"{\"a\":1}\n{\"b\":2}\n{\"c\""));
    for (cut, text) in [(false, "{\"a\":1}"), (false, "{\"b\":2}"), (true, "{\"c\"")] {
        let frame = framer.next_frame().unwrap().unwrap();
        assert_eq!((frame.cut, framer.bytes(&frame)), (cut, text.as_bytes()));
    }
    assert_eq!(framer.next_frame().unwrap_err().to_string(), "broken");
    assert!(framer.next_frame().unwrap().is_none());
}
