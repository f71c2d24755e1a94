//! Reading members of records that may have been cut, and strings that hold records.

use std::borrow::Cow;

use detections::json::{self, Fault};
use memchr::{memchr, memchr2};

/// The value of a member as it stands in the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Raw<'a> {
    pub(crate) bytes: &'a [u8],
    /// The record ended inside of the value.
    pub(crate) cut: bool,
}

impl<'a> Raw<'a> {
    pub(crate) fn is_string(self) -> bool {
        self.bytes.starts_with(b"\"")
    }

    pub(crate) fn is_object(self) -> bool {
        self.bytes.starts_with(b"{")
    }

    pub(crate) fn is_container(self) -> bool {
        matches!(self.bytes.first(), Some(b'{' | b'['))
    }

    /// The string that this is, if it is whole.
    pub(crate) fn text(self) -> Option<Cow<'a, str>> {
        if self.cut {
            None
        } else {
            json::string(self.bytes)
        }
    }

    /// The integer that this is, also as a string.
    pub(crate) fn integer(self) -> Option<i64> {
        let digits = self
            .bytes
            .strip_prefix(b"\"")
            .and_then(|rest| rest.strip_suffix(b"\""))
            .unwrap_or(self.bytes);
        if self.cut {
            None
        } else {
            std::str::from_utf8(digits).ok()?.parse().ok()
        }
    }

    /// The value, unless it was cut or is null.
    pub(crate) fn whole(self) -> Option<&'a [u8]> {
        (!self.cut && self.bytes != b"null").then_some(self.bytes)
    }
}

/// The members of these names; of duplicates the last. A member that was cut is found too.
pub(crate) fn fields<'a, const N: usize>(
    object: &'a [u8],
    names: &[&str; N],
) -> [Option<Raw<'a>>; N] {
    let mut found = [None; N];
    let mut put = |name: &str, raw: Raw<'a>| {
        let slot = names
            .iter()
            .position(|known| *known == name)
            .and_then(|index| found.get_mut(index));
        if let Some(slot) = slot {
            *slot = Some(raw);
        }
    };
    for member in json::members(object) {
        match member {
            Ok((name, bytes)) => put(&name, Raw { bytes, cut: false }),
            Err(Fault::Cut { at }) => {
                if let Some((name, start)) = cut_member(object, at) {
                    put(
                        &name,
                        Raw {
                            bytes: object.get(start..).unwrap_or_default(),
                            cut: true,
                        },
                    );
                }
            }
            Err(_) => break,
        }
    }
    found
}

/// The members of these names of a value, none if it is no object.
pub(crate) fn fields_of<'a, const N: usize>(
    value: Option<Raw<'a>>,
    names: &[&str; N],
) -> [Option<Raw<'a>>; N] {
    value.map_or([None; N], |value| fields(value.bytes, names))
}

/// The first of several values that is there and not null.
pub(crate) fn first<'a>(values: &[Option<Raw<'a>>]) -> Option<Raw<'a>> {
    values
        .iter()
        .flatten()
        .find(|raw| raw.bytes != b"null")
        .copied()
}

/// The name of the member at `at`, where a cut was reported, and where its value starts, if so much
/// is there.
pub(crate) fn cut_member(object: &[u8], at: usize) -> Option<(Cow<'_, str>, usize)> {
    let rest = object.get(at..)?;
    let mut end = 1;
    loop {
        end += memchr2(b'"', b'\\', rest.get(end..)?)?;
        if rest.get(end) == Some(&b'"') {
            break;
        }
        end += 2;
    }
    let name = json::string(rest.get(..=end)?)?;
    let behind = rest.get(end + 1..)?.trim_ascii_start();
    let value = behind.strip_prefix(b":")?.trim_ascii_start();
    (!value.is_empty()).then_some((name, object.len() - value.len()))
}

/// Appends the text that a string stands for, up to a cut. What is no string is appended as it is.
///
/// Unlike a JSON parser it never fails: an escape that means nothing is kept as it is written, and
/// half of a surrogate pair becomes U+FFFD, as in Go. The text is framed again afterwards, and is
/// judged there.
pub(crate) fn unescape(raw: Raw<'_>, out: &mut Vec<u8>) {
    let Some(inner) = raw.bytes.strip_prefix(b"\"") else {
        out.extend_from_slice(raw.bytes);
        return;
    };
    let mut rest = if raw.cut {
        inner
    } else {
        inner.strip_suffix(b"\"").unwrap_or(inner)
    };
    while let Some(found) = memchr(b'\\', rest) {
        let (plain, escape) = rest.split_at(found);
        out.extend_from_slice(plain);
        let taken = unescape_one(escape, out);
        rest = escape.get(taken..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

/// Appends what one escape stands for, and returns its length; an escape that was cut ends the
/// text.
fn unescape_one(escape: &[u8], out: &mut Vec<u8>) -> usize {
    let Some(kind) = escape.get(1) else {
        return escape.len();
    };
    let byte = match kind {
        b'n' => b'\n',
        b't' => b'\t',
        b'r' => b'\r',
        b'b' => 0x08,
        b'f' => 0x0c,
        b'"' | b'\\' | b'/' => *kind,
        b'u' => return unescape_unicode(escape, out),
        _ => {
            out.push(b'\\');
            return 1;
        }
    };
    out.push(byte);
    2
}

fn unescape_unicode(escape: &[u8], out: &mut Vec<u8>) -> usize {
    let unit = |at: usize| -> Option<u32> {
        let digits = escape.get(at..at + 6)?.strip_prefix(b"\\u")?;
        let all_hex = digits.iter().all(u8::is_ascii_hexdigit);
        all_hex.then_some(())?;
        u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    if escape.len() < 6 {
        return escape.len();
    }
    let Some(high) = unit(0) else {
        out.push(b'\\');
        return 1;
    };
    let low =
        unit(6).filter(|low| (0xd800..0xdc00).contains(&high) && (0xdc00..0xe000).contains(low));
    let (code, length) = match low {
        Some(low) => (0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00), 12),
        None => (high, 6),
    };
    let text = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    out.extend_from_slice(text.encode_utf8(&mut [0; 4]).as_bytes());
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(raw: &str, cut: bool) -> String {
        let mut out = Vec::new();
        unescape(
            Raw {
                bytes: raw.as_bytes(),
                cut,
            },
            &mut out,
        );
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn escapes_as_a_parser_reads_them() {
        for raw in [
            r#""""#,
            r#""a\"b\\c\/\n\t\r\b\f""#,
            r#""\u00e4\u0026 \ud83d\ude00""#,
            r#""ä""#,
        ] {
            assert_eq!(
                plain(raw, false),
                serde_json::from_str::<String>(raw).unwrap(),
                "{raw}"
            );
        }
    }

    #[test]
    fn a_cut_text_is_kept_up_to_the_cut() {
        let whole = r#""a\"\u00e4\ud83d\ude00"#;
        for end in 1..=whole.len() {
            let text = plain(&whole[..end], true);
            assert!(
                "a\"ä😀".starts_with(text.trim_end_matches('\u{fffd}')),
                "{text}"
            );
        }
    }

    #[test]
    fn broken_escapes_are_kept() {
        assert_eq!(plain(r#""\x\u12g4\ud800x""#, false), "\\x\\u12g4\u{fffd}x");
    }

    #[test]
    fn fields_are_found_up_to_a_cut() {
        let [a, b, c] = fields(br#"{"a":1,"b":{"x":"y"#, &["a", "b", "c"]);
        assert_eq!(
            a,
            Some(Raw {
                bytes: b"1",
                cut: false
            })
        );
        assert_eq!(
            b,
            Some(Raw {
                bytes: br#"{"x":"y"#,
                cut: true
            })
        );
        assert_eq!(c, None);
        assert_eq!(
            fields(br#"{"a":1,"a":2}"#, &["a"])[0].and_then(Raw::integer),
            Some(2)
        );
        for end in 0..18 {
            fields(&br#"{"a":1,"b":{"x":"y"#[..end], &["a", "b"]);
        }
    }
}
