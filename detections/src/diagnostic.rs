//! Faults and doubts about rules, shown to the person who wrote them: all at once, each with file, line, reason and help.

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

/// A rule file's text and the name to show for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The path as the user knows it.
    pub name: Arc<str>,
    /// The whole text.
    pub text: Arc<str>,
}

impl Source {
    /// Names a text.
    #[must_use]
    pub fn new(name: &str, text: &str) -> Self {
        Self {
            name: name.into(),
            text: text.into(),
        }
    }

    /// Line and column, both from 1, of a byte offset.
    #[must_use]
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let before = self.text.get(..offset).unwrap_or(&self.text);
        let line = before.matches('\n').count() + 1;
        let column = before
            .rsplit('\n')
            .next()
            .unwrap_or_default()
            .chars()
            .count()
            + 1;
        (line, column)
    }

    /// The words of a span: its first line, without white space around it, at boundaries of characters.
    fn mark(&self, span: Range<usize>) -> Range<usize> {
        let start = self.text.floor_char_boundary(span.start);
        let end = self.text.floor_char_boundary(span.end).max(start);
        let text = self.text.get(start..end).unwrap_or_default();
        let words = text.trim_start();
        let start = start + text.len() - words.len();
        start..start + words.lines().next().unwrap_or_default().trim_end().len()
    }

    /// Where a word stands within a span; the whole span if the text does not have it as such, because it was quoted
    /// or folded.
    #[must_use]
    pub fn find(&self, word: &str, span: &Range<usize>) -> Range<usize> {
        let found = self.text.get(span.clone()).and_then(|text| text.find(word));
        found
            .filter(|_| !word.is_empty())
            .map_or(span.clone(), |at| {
                let start = span.start + at;
                start..start + word.len()
            })
    }

    /// The line that holds a byte offset, without white space around it.
    #[must_use]
    pub fn line(&self, offset: usize) -> &str {
        let start = self
            .text
            .get(..offset)
            .and_then(|before| before.rfind('\n'))
            .map_or(0, |at| at + 1);
        self.text
            .get(start..)
            .and_then(|rest| rest.lines().next())
            .unwrap_or_default()
            .trim()
    }
}

/// How bad a diagnostic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The rule works, but probably not as meant.
    Warning,
    /// The rule cannot be used.
    Error,
}

/// One fault of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// A stable word for it, for tools: `unknown_modifier`.
    pub code: &'static str,
    /// The one line to show if only one can be.
    pub message: String,
    /// The bytes of the source that it is about.
    pub span: Range<usize>,
    /// What is wrong with exactly these bytes.
    pub label: String,
    /// What to do.
    pub help: Option<String>,
    /// The text that `span` points into.
    pub source: Source,
}

impl Diagnostic {
    /// The full form: message, place, the line itself, help.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let annotation = AnnotationKind::Primary
            .span(self.clamped_span())
            .label(self.label.as_str());
        let snippet = Snippet::source(self.source.text.as_ref())
            .path(self.source.name.as_ref())
            .annotation(annotation);
        let mut group = level
            .primary_title(self.message.as_str())
            .id(self.code)
            .element(snippet);
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        let renderer = if colour {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        renderer.render(&[group])
    }

    /// One line: `file:line:column: error[code]: message (help)`.
    #[must_use]
    pub fn render_concise(&self) -> String {
        let (line, column) = self.source.position(self.span.start);
        let severity = if self.severity == Severity::Error {
            "error"
        } else {
            "warning"
        };
        let mut text = format!(
            "{}:{line}:{column}: {severity}[{}]: {}",
            self.source.name, self.code, self.message
        );
        if let Some(help) = &self.help {
            let _ = write!(text, " ({help})");
        }
        text
    }

    fn clamped_span(&self) -> Range<usize> {
        let length = self.source.text.len();
        let start = self.span.start.min(length);
        start..self.span.end.clamp(start, length)
    }
}

/// Collects the diagnostics of one source.
#[derive(Debug)]
pub struct Sink {
    source: Source,
    diagnostics: Vec<Diagnostic>,
}

impl Sink {
    /// An empty collection.
    #[must_use]
    pub fn new(source: Source) -> Self {
        Self {
            source,
            diagnostics: Vec::new(),
        }
    }

    /// The source that spans point into.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Adds an error.
    pub fn error(
        &mut self,
        code: &'static str,
        span: Range<usize>,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        self.push(Severity::Error, code, span, message.into())
    }

    /// Adds a warning.
    pub fn warning(
        &mut self,
        code: &'static str,
        span: Range<usize>,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        self.push(Severity::Warning, code, span, message.into())
    }

    /// Whether an error was added.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.diagnostics
            .iter()
            .any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// Whether an error was added about a part of the text: errors in one document of a file must not spoil another.
    #[must_use]
    pub fn has_errors_within(&self, part: &Range<usize>) -> bool {
        self.diagnostics.iter().any(|diagnostic| {
            let start = diagnostic.span.start;
            diagnostic.severity == Severity::Error && part.start <= start && start <= part.end
        })
    }

    /// All of it, in the order of the text.
    #[must_use]
    pub fn finish(mut self) -> Vec<Diagnostic> {
        self.diagnostics
            .sort_by_key(|diagnostic| diagnostic.span.start);
        self.diagnostics
    }

    fn push(
        &mut self,
        severity: Severity,
        code: &'static str,
        span: Range<usize>,
        message: String,
    ) -> &mut Diagnostic {
        let source = self.source.clone();
        let span = source.mark(span);
        self.diagnostics.push(Diagnostic {
            severity,
            code,
            message,
            span,
            label: String::new(),
            help: None,
            source,
        });
        let last = self.diagnostics.len() - 1;
        &mut self.diagnostics[last]
    }
}

impl Diagnostic {
    /// Says what is wrong with the marked bytes.
    pub fn label(&mut self, label: impl Into<String>) -> &mut Self {
        self.label = label.into();
        self
    }

    /// Says what to do.
    pub fn help(&mut self, help: impl Into<String>) -> &mut Self {
        self.help = Some(help.into());
        self
    }
}

/// The candidate nearest to a word that is not among them, if any is near enough to be a slip of the pen.
#[must_use]
pub fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let lower = word.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| {
            (
                strsim::jaro_winkler(&lower, &candidate.to_lowercase()),
                candidate,
            )
        })
        .filter(|(score, _)| *score > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}
