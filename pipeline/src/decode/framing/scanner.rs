//! Finds where a record ends, by strings and brackets alone, chunk by chunk, without recursion.

use memchr::{memchr, memchr3};

/// Where a value ends, as far as it has been seen. Feed it a growing window that always starts at
/// the same byte.
#[derive(Clone, Debug)]
pub(super) struct Scanner {
    /// How far the window has been scanned; behind the last byte of the value once it has stopped.
    pub(super) at: usize,
    /// A line break was passed.
    pub(super) broken_line: bool,
    depth: usize,
    in_string: bool,
    /// Every line break ends the record.
    lines: bool,
}

/// How a record ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// With its closing bracket or quote.
    Balanced,
    /// With a line break where none can be; the break itself is not part of the record.
    Cut,
}

impl Scanner {
    /// For a value that starts with a bracket or a quote.
    pub(super) fn new(lines: bool) -> Self {
        Self {
            at: 0,
            broken_line: false,
            depth: 0,
            in_string: false,
            lines,
        }
    }

    /// Scans on to the end of the window; `None` if the value goes on behind it.
    pub(super) fn run(&mut self, window: &[u8]) -> Option<Stop> {
        loop {
            let stop = if self.in_string {
                self.string(window)?
            } else {
                self.text(window)?
            };
            if stop.is_some() {
                return stop;
            }
        }
    }

    /// The first `count` bytes of the window are gone.
    pub(super) fn rebase(&mut self, count: usize) {
        self.at = self.at.saturating_sub(count);
    }

    /// Up to the end of a string. The outer `None` asks for a larger window, the inner one goes on
    /// outside of the string.
    #[expect(clippy::option_option, reason = "private, and `?` reads well on it")]
    fn string(&mut self, window: &[u8]) -> Option<Option<Stop>> {
        loop {
            let rest = window.get(self.at..).unwrap_or_default();
            let Some(found) = memchr3(b'"', b'\\', b'\n', rest) else {
                self.at = window.len();
                return None;
            };
            self.at += found;
            match rest.get(found..)? {
                [b'"', ..] => {
                    self.at += 1;
                    self.in_string = false;
                    return Some((self.depth == 0).then_some(Stop::Balanced));
                }
                [b'\\', b'\n', ..] => {
                    self.at += 1;
                    return Some(Some(Stop::Cut));
                }
                [b'\\', _, ..] => self.at += 2,
                [b'\n', ..] => return Some(Some(Stop::Cut)),
                // A backslash as the last byte: what it escapes is not here yet.
                _ => return None,
            }
        }
    }

    #[expect(clippy::option_option, reason = "private, and `?` reads well on it")]
    fn text(&mut self, window: &[u8]) -> Option<Option<Stop>> {
        let rest = window.get(self.at..).unwrap_or_default();
        for (index, byte) in rest.iter().enumerate() {
            match byte {
                b'"' => {
                    self.at += index + 1;
                    self.in_string = true;
                    return Some(None);
                }
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        self.at += index + 1;
                        return Some(Some(Stop::Balanced));
                    }
                }
                b'\n' => {
                    self.at += index;
                    return self.line_break(window);
                }
                _ => {}
            }
        }
        self.at = window.len();
        None
    }

    /// Printers that break lines indent what is inside of a record. An object in the first column
    /// is the next record.
    #[expect(clippy::option_option, reason = "private, and `?` reads well on it")]
    fn line_break(&mut self, window: &[u8]) -> Option<Option<Stop>> {
        if self.lines || *window.get(self.at + 1)? == b'{' {
            return Some(Some(Stop::Cut));
        }
        self.broken_line = true;
        self.at += 1;
        Some(None)
    }
}

/// Where bytes end that are no record. Like [`Scanner`], but never wrong to stop.
#[derive(Clone, Debug)]
pub(super) enum Extent {
    /// At the end of the line.
    Line,
    /// At the next byte that could separate or start a value.
    Scalar,
    /// At the end of a string, an array or an object.
    Value(Scanner),
    /// Before the next line that starts an object at this column or left of it, or closes a list
    /// left of it.
    Remains {
        /// Where the record started whose rest this is.
        column: u64,
        /// How far the window has been searched.
        at: usize,
        /// That place is inside of a line that starts no record.
        in_line: bool,
    },
}

impl Extent {
    /// The rest of a record that started at this column.
    pub(super) fn remains(column: u64) -> Self {
        Self::Remains {
            column,
            at: 0,
            in_line: false,
        }
    }

    /// The end, if the window has it.
    pub(super) fn end(&mut self, window: &[u8]) -> Option<usize> {
        match self {
            Self::Line => memchr(b'\n', window),
            Self::Scalar => {
                let separator =
                    |byte: &u8| matches!(byte, b',' | b'{' | b'}' | b'[' | b']' | b'"' | b'\n');
                // The first byte is what brought us here, separator or not.
                Some(1 + window.get(1..)?.iter().position(separator)?)
            }
            Self::Value(scanner) => scanner.run(window).map(|_| scanner.at),
            Self::Remains {
                column,
                at,
                in_line,
            } => next_record(window, *column, at, in_line),
        }
    }

    /// The first `count` bytes of the window are gone.
    pub(super) fn rebase(&mut self, count: usize) {
        match self {
            Self::Line | Self::Scalar => {}
            Self::Value(scanner) => scanner.rebase(count),
            Self::Remains { at, .. } => *at = at.saturating_sub(count),
        }
    }
}

fn next_record(window: &[u8], column: u64, at: &mut usize, in_line: &mut bool) -> Option<usize> {
    loop {
        let line = window.get(*at..)?;
        if *in_line {
            let found = memchr(b'\n', line);
            *at += found.map_or(line.len(), |found| found + 1);
            *in_line = found.is_none();
            found?;
            continue;
        }
        let indent = line
            .iter()
            .position(|byte| !matches!(byte, b' ' | b'\t' | b'\r'))?;
        let starts = match line.get(indent)? {
            b'{' => indent as u64 <= column,
            b']' => (indent as u64) < column,
            _ => false,
        };
        if starts {
            return Some(*at);
        }
        *in_line = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, lines: bool, expected: Option<(Stop, usize)>) {
        let mut whole = Scanner::new(lines);
        assert_eq!(
            whole.run(text.as_bytes()).map(|stop| (stop, whole.at)),
            expected,
            "in one piece"
        );
        let mut pieces = Scanner::new(lines);
        let found = (0..=text.len()).find_map(|end| pieces.run(&text.as_bytes()[..end]));
        assert_eq!(
            found.map(|stop| (stop, pieces.at)),
            expected,
            "byte by byte"
        );
    }

    #[test]
    fn stops_behind_the_closing_bracket() {
        check(
            r#"{"a":[1,{"b":"}\"]"}]} tail"#,
            false,
            Some((Stop::Balanced, 22)),
        );
        check("{}{}", false, Some((Stop::Balanced, 2)));
        check(r#""a\\" x"#, false, Some((Stop::Balanced, 5)));
        check("{\n  \"a\": 1\n}\n", false, Some((Stop::Balanced, 12)));
    }

    #[test]
    fn a_line_break_cuts_where_none_can_be() {
        check("{\"a\":\"x\ny\"}", false, Some((Stop::Cut, 7)));
        check("{\"a\":\"x\\\ny\"}", false, Some((Stop::Cut, 8)));
        check("{\"a\":[\n{\"b\"", false, Some((Stop::Cut, 6)));
        check("{\"a\":\n 1}", true, Some((Stop::Cut, 5)));
    }

    #[test]
    fn asks_for_more() {
        check(r#"{"a":"x\"#, false, None);
        check("{\"a\":1\n", false, None);
        check(&"[".repeat(100_000), false, None);
    }

    #[test]
    fn remains_end_at_the_next_record_of_the_same_indent() {
        let text = b"\nrest\",\n    {\n      1 },\n  {\"a\":1}";
        assert_eq!(Extent::remains(2).end(text), Some(25));
        assert_eq!(Extent::remains(1).end(text), None);
        assert_eq!(Extent::remains(2).end(b"\n x\n ]\n"), Some(4));
    }
}
