//! A request URI, decoded the way the API server decodes it: once, and no more than once.
//!
//! What looks encoded after that is meant literally, or was encoded twice to slip past a reader;
//! [`has_escape`] tells.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// The query's parameters in order, decoded; a `+` is a space.
pub(super) fn parameters(uri: &str) -> impl Iterator<Item = (String, String)> + '_ {
    let query = uri.split_once('?').map_or("", |(_, query)| query);
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode_parameter(key), decode_parameter(value))
        })
}

/// The first parameter of this name.
pub(super) fn parameter(uri: &str, name: &str) -> Option<String> {
    parameters(uri)
        .find(|(key, _)| key == name)
        .map(|(_, value)| value)
}

/// The segments of the path. It is decoded before it is split, because an encoded slash still
/// separates for whoever serves the request; empty and `.` segments say nothing.
pub(super) fn segments(uri: &str) -> Vec<String> {
    let path = uri.split_once('?').map_or(uri, |(path, _)| path);
    let path = percent_decode_str(path).decode_utf8_lossy();
    path.split('/')
        .filter(|segment| !matches!(*segment, "" | "."))
        .map(str::to_owned)
        .collect()
}

/// Whether a percent escape is left in decoded text.
pub(super) fn has_escape(text: &str) -> bool {
    text.as_bytes().windows(3).any(
        |bytes| matches!(bytes, [b'%', a, b] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit()),
    )
}

fn decode_parameter(text: &str) -> String {
    let spaced: Cow<'_, str> = if text.contains('+') {
        text.replace('+', " ").into()
    } else {
        text.into()
    };
    percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_once() {
        let uri = "/a?command=sh&command=a+b%2Bc&x=%2525&flag&=y&&";
        let found: Vec<_> = parameters(uri).collect();
        let expected = [
            ("command", "sh"),
            ("command", "a b+c"),
            ("x", "%25"),
            ("flag", ""),
            ("", "y"),
        ];
        assert_eq!(
            found,
            expected.map(|(key, value)| (key.to_owned(), value.to_owned()))
        );
        assert_eq!(parameter("/a", "x"), None);
    }

    #[test]
    fn encoded_slashes_separate() {
        assert_eq!(
            segments("/api/v1//nodes/n/proxy/./run%2Fweb%2fx?cmd=/y"),
            ["api", "v1", "nodes", "n", "proxy", "run", "web", "x"]
        );
    }

    #[test]
    fn escapes_left_over_are_seen() {
        assert!(has_escape("cat %2Fetc"));
        assert!(!has_escape("100% of %zz"));
    }
}
