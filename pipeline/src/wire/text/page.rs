//! Words to lines: labels, wrapping, colour, and nothing that a terminal would obey.

use std::fmt::Write as _;

use anstyle::{Effects, Style as Paint};

use super::Style;

/// Where the text of a labelled line begins.
const INDENT: usize = 10;

/// The longest text under one label. Beyond it a reader needs the record, not the terminal.
const TEXT_CHARS_MAX: usize = 700;

/// Lines being written.
pub(super) struct Page<'s> {
    style: &'s Style,
    out: String,
    column: usize,
    blanks: usize,
    hanging: usize,
}

impl<'s> Page<'s> {
    pub(super) fn new(style: &'s Style) -> Self {
        Self {
            style,
            out: String::new(),
            column: 0,
            blanks: 0,
            hanging: INDENT,
        }
    }

    /// The first line: parts with a paint each, apart by two blanks and not broken within.
    pub(super) fn headline(&mut self, parts: &[(String, Paint)]) {
        self.start(0, INDENT);
        for (part, paint) in parts.iter().filter(|(part, _)| !part.is_empty()) {
            self.word(&safe(&shortened(part, TEXT_CHARS_MAX)), *paint);
            self.blanks = 2;
        }
    }

    /// A label and its text; nothing if the text is empty.
    pub(super) fn labelled(&mut self, label: &str, text: &str) {
        if text.is_empty() {
            return;
        }
        self.start(2, INDENT);
        self.text(label, Paint::new().effects(Effects::DIMMED));
        self.blanks = INDENT.saturating_sub(self.column);
        self.text(text, Paint::new());
    }

    /// A label and lines that keep their shape, for pasting.
    pub(super) fn verbatim(&mut self, label: &str, text: &str) {
        for (index, line) in text.lines().enumerate() {
            let label = if index == 0 { label } else { "" };
            let _infallible = write!(self.out, "\n  {label:<8}{}", safe(line));
        }
    }

    /// A line without a label, of parts that are not broken within: each is to be copied.
    pub(super) fn list(&mut self, parts: &[String]) {
        self.start(2, 2);
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                self.word("·", Paint::new());
                self.blanks = 1;
            }
            self.word(&safe(part), Paint::new());
            self.blanks = 1;
        }
    }

    pub(super) fn finish(self) -> String {
        self.out
    }

    /// Begins a line at `indent`, of which the following ones begin at `hanging`.
    fn start(&mut self, indent: usize, hanging: usize) {
        if !self.out.is_empty() {
            self.out.push('\n');
        }
        self.column = 0;
        self.blanks = indent;
        self.hanging = hanging;
    }

    fn text(&mut self, text: &str, paint: Paint) {
        let text = safe(&shortened(text, TEXT_CHARS_MAX));
        for (index, word) in text.split(' ').enumerate() {
            self.blanks += usize::from(index > 0);
            if !word.is_empty() {
                self.word(word, paint);
            }
        }
    }

    /// A word, on the next line if it does not fit. One that is too long for any line stays whole,
    /// to be copied. Characters are counted as one column each; wide scripts may run over, which a
    /// terminal survives.
    fn word(&mut self, word: &str, paint: Paint) {
        let length = word.chars().count();
        if self.column > self.hanging && self.column + self.blanks + length > self.style.width {
            self.out.push('\n');
            self.column = 0;
            self.blanks = self.hanging;
        }
        self.out.extend(std::iter::repeat_n(' ', self.blanks));
        if self.style.colour {
            let _infallible = write!(self.out, "{}{word}{}", paint.render(), paint.render_reset());
        } else {
            self.out.push_str(word);
        }
        self.column += self.blanks + length;
        self.blanks = 0;
    }
}

/// The text with every character escaped that a terminal would obey or a reader could not see.
#[must_use]
pub fn safe(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            _ if character.is_ascii_control() => {
                let _infallible = write!(safe, "\\x{:02x}", u32::from(character));
            }
            _ if is_deceptive(character) => safe.extend(character.escape_unicode()),
            _ => safe.push(character),
        }
    }
    safe
}

/// Whether a character moves the cursor, reorders what stands around it, or is invisible.
pub(crate) fn is_deceptive(character: char) -> bool {
    character.is_control()
        || matches!(character,
            // Soft hyphen, Arabic letter mark, zero-width ones and directional marks, line and
            // paragraph separators, embeddings and overrides, word joiner to isolates, byte order
            // mark, interlinear marks, tags.
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// At most `max` characters, with an ellipsis for the rest.
pub(super) fn shortened(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
