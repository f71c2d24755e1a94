//! Secrets in the query of a request: `?token=…`, and the arguments of an exec, one parameter each.

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use super::{hidden_by_name, patterns};

/// What would end or change a parameter. Brackets and colons stay, so that a marker is read at a
/// glance.
const PARAMETER: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'&')
    .add(b'+')
    .add(b'<')
    .add(b'>');

/// The URI without its secrets; `None` if it has none, or no query.
pub(super) fn replace(uri: &str) -> Option<String> {
    let (path, query) = uri.split_once('?')?;
    let pieces: Vec<Piece<'_>> = query.split('&').map(Piece::new).collect();
    let arguments: Vec<&str> = pieces
        .iter()
        .filter(|piece| piece.is_argument())
        .map(|piece| piece.value.as_str())
        .collect();
    let mut by_place = patterns::arguments(&arguments).into_iter();
    let mut changed = false;
    let mut out = Vec::with_capacity(pieces.len());
    for piece in &pieces {
        let hidden = if piece.is_argument() {
            by_place.next().flatten()
        } else {
            hidden_by_name(piece.name, &piece.value)
        };
        let hidden = hidden.or_else(|| patterns::replace(&piece.value));
        changed |= hidden.is_some();
        out.push(hidden.map_or_else(|| piece.text.to_owned(), |value| piece.with(&value)));
    }
    changed.then(|| format!("{path}?{}", out.join("&")))
}

/// A parameter of a query.
struct Piece<'a> {
    text: &'a str,
    name: &'a str,
    value: String,
}

impl<'a> Piece<'a> {
    fn new(text: &'a str) -> Self {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        let value = percent_decode_str(&value.replace('+', " "))
            .decode_utf8_lossy()
            .into_owned();
        Self { text, name, value }
    }

    fn is_argument(&self) -> bool {
        matches!(self.name, "command" | "cmd")
    }

    fn with(&self, value: &str) -> String {
        format!("{}={}", self.name, utf8_percent_encode(value, PARAMETER))
    }
}
