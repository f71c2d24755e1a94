//! Modifiers that change a value before it is compared: dashes, UTF-16 and Base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The characters that Windows tools accept as the dash of an option (Sigma 2.1, `windash`).
const DASHES: [char; 5] = ['-', '/', '–', '—', '―'];

/// More dashes than this are replaced all alike instead of in every combination: 5⁴ values are enough for any rule.
const COMBINED_DASHES_MAX: usize = 4;

/// A change to a value. What it yields may not be text, so values are bytes from here on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transform {
    WinDash,
    Base64,
    Base64Offset,
    Utf16Le,
    Utf16Be,
    /// UTF-16 with a byte order mark, little-endian.
    Utf16,
}

/// Applies transforms in the order of the modifiers.
pub(crate) fn apply(value: &str, transforms: &[Transform]) -> Vec<Vec<u8>> {
    let start = vec![value.as_bytes().to_vec()];
    transforms.iter().fold(start, |values, transform| {
        values
            .iter()
            .flat_map(|value| transform.apply(value))
            .collect()
    })
}

impl Transform {
    fn apply(self, value: &[u8]) -> Vec<Vec<u8>> {
        match self {
            Self::WinDash => windash(&String::from_utf8_lossy(value))
                .into_iter()
                .map(String::into_bytes)
                .collect(),
            Self::Base64 => vec![STANDARD.encode(value).into_bytes()],
            Self::Base64Offset => base64_offsets(value),
            Self::Utf16Le => vec![utf16(value, u16::to_le_bytes, &[])],
            Self::Utf16Be => vec![utf16(value, u16::to_be_bytes, &[])],
            Self::Utf16 => vec![utf16(value, u16::to_le_bytes, &[0xff, 0xfe])],
        }
    }
}

fn utf16(value: &[u8], order: fn(u16) -> [u8; 2], mark: &[u8]) -> Vec<u8> {
    let units = String::from_utf8_lossy(value);
    mark.iter()
        .copied()
        .chain(units.encode_utf16().flat_map(order))
        .collect()
}

/// The three forms that a value takes inside a longer Base64 text, by its offset modulo three, without the characters at
/// the edges that depend on what stands around it.
fn base64_offsets(value: &[u8]) -> Vec<Vec<u8>> {
    const START: [usize; 3] = [0, 2, 3];
    const END: [usize; 3] = [0, 3, 2];
    (0..3)
        .map(|offset| {
            let padded: Vec<u8> = std::iter::repeat_n(b' ', offset)
                .chain(value.iter().copied())
                .collect();
            let encoded = STANDARD.encode(&padded).into_bytes();
            let end = encoded.len() - END[padded.len() % 3];
            encoded.get(START[offset]..end).unwrap_or_default().to_vec()
        })
        .collect()
}

/// A dash that starts a word (`-a`, ` /b`) in each of its forms.
fn windash(value: &str) -> Vec<String> {
    let characters: Vec<char> = value.chars().collect();
    let places: Vec<usize> = (0..characters.len())
        .filter(|at| is_option_dash(&characters, *at))
        .collect();
    if places.len() > COMBINED_DASHES_MAX {
        return DASHES
            .iter()
            .map(|dash| replace(&characters, &places, |_| *dash))
            .collect();
    }
    let combinations = DASHES.len().pow(u32::try_from(places.len()).unwrap_or(0));
    (0..combinations)
        .map(|number| {
            replace(&characters, &places, |place| {
                DASHES[number / DASHES.len().pow(place) % DASHES.len()]
            })
        })
        .collect()
}

fn is_option_dash(characters: &[char], at: usize) -> bool {
    let word = |c: Option<&char>| c.is_some_and(|c| c.is_alphanumeric() || *c == '_');
    DASHES.contains(&characters[at])
        && word(characters.get(at + 1))
        && !word(at.checked_sub(1).and_then(|before| characters.get(before)))
}

fn replace(characters: &[char], places: &[usize], dash: impl Fn(u32) -> char) -> String {
    let mut replaced = characters.to_vec();
    for (number, place) in (0..).zip(places) {
        replaced[*place] = dash(number);
    }
    replaced.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str, transforms: &[Transform]) -> Vec<String> {
        apply(value, transforms)
            .into_iter()
            .map(|bytes| String::from_utf8(bytes).unwrap())
            .collect()
    }

    #[test]
    fn base64offset_finds_the_value_wherever_it_starts() {
        let forms = text("http://", &[Transform::Base64Offset]);
        assert_eq!(forms, ["aHR0cDovL", "h0dHA6Ly", "odHRwOi8v"]);
        for before in ["", "x", "xy"] {
            let encoded = STANDARD.encode(format!("{before}http://host"));
            assert!(forms.iter().any(|form| encoded.contains(form)), "{encoded}");
        }
    }

    #[test]
    fn wide_then_base64() {
        assert_eq!(
            text("ping", &[Transform::Utf16Le, Transform::Base64]),
            ["cABpAG4AZwA="]
        );
        assert_eq!(apply("a", &[Transform::Utf16]), [vec![0xff, 0xfe, b'a', 0]]);
        assert_eq!(apply("a", &[Transform::Utf16Be]), [vec![0, b'a']]);
    }

    #[test]
    fn windash_replaces_option_dashes_only() {
        let forms = text("-f a-b", &[Transform::WinDash]);
        assert_eq!(forms, ["-f a-b", "/f a-b", "–f a-b", "—f a-b", "―f a-b"]);
        assert_eq!(text("-a -b", &[Transform::WinDash]).len(), 25);
    }
}
