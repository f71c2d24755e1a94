//! Finds where a value ends, however it is cut into slices.

/// 1 Mi: deeper structures are loose. Go, and so every API server, reads and writes at most 10,000.
pub(super) const DEPTH_MAX: u32 = 1 << 20;

/// Where in a value a scan is. It only counts brackets: which kinds belong together is for the decoder.
#[derive(Clone, Copy, Default)]
pub(super) struct Scan {
    depth: u32,
    text: Text,
    /// Whether a bracket was opened.
    pub(super) opened: bool,
}

#[derive(Clone, Copy, Default)]
pub(super) enum Text {
    #[default]
    Outside,
    /// In a string.
    Inside,
    /// Behind a backslash in a string.
    Escaped,
}

/// Why a scan stopped.
pub(super) enum Scanned {
    /// The bytes are used up.
    More,
    /// What was open at its start is closed; so is a string that is all of the value.
    Closed,
    /// Beyond [`DEPTH_MAX`].
    TooDeep,
}

impl Scan {
    /// Within the brackets of an object, until they close.
    pub(super) fn inside() -> Self {
        Self {
            depth: 1,
            ..Self::default()
        }
    }

    /// Returns how many bytes belong to the value.
    pub(super) fn run(&mut self, bytes: &[u8]) -> (usize, Scanned) {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            at += match self.text {
                Text::Outside => outside_bytes(rest),
                Text::Inside => string_bytes(rest),
                Text::Escaped => 0,
            };
            let Some(&byte) = bytes.get(at) else { break };
            at += 1;
            if let Some(end) = self.turn(byte) {
                return (at, end);
            }
        }
        (bytes.len(), Scanned::More)
    }

    /// Takes a byte that means something where it stands.
    fn turn(&mut self, byte: u8) -> Option<Scanned> {
        match (self.text, byte) {
            (Text::Inside, b'\\') => self.text = Text::Escaped,
            (Text::Inside, _) => {
                self.text = Text::Outside;
                return (self.depth == 0).then_some(Scanned::Closed);
            }
            (Text::Escaped, _) | (Text::Outside, b'"') => self.text = Text::Inside,
            (Text::Outside, b'{' | b'[') => {
                self.opened = true;
                self.depth += 1;
                return (self.depth > DEPTH_MAX).then_some(Scanned::TooDeep);
            }
            (Text::Outside, _) => {
                self.depth = self.depth.saturating_sub(1);
                return (self.depth == 0).then_some(Scanned::Closed);
            }
        }
        None
    }
}

/// Bytes before the next quote or backslash. Eight at a time: most bytes of an event are in strings, and with this the whole cut
/// is a quarter faster than with [`plain_string_bytes`], which is its definition.
fn string_bytes(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    for (number, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let found = zero_bytes(word ^ (ONES * u64::from(b'"')))
            | zero_bytes(word ^ (ONES * u64::from(b'\\')));
        if found != 0 {
            return number * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    words.len() * 8 + plain_string_bytes(rest)
}

/// A word of ones.
const ONES: u64 = u64::MAX / 255;

/// The lowest bit that is set tells the first byte that is zero. Those above may be wrong.
fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & (ONES << 7)
}

fn plain_string_bytes(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .position(|byte| matches!(byte, b'"' | b'\\'))
        .unwrap_or(bytes.len())
}

/// Bytes before the next quote or bracket.
fn outside_bytes(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .position(|byte| *byte == b'"' || is_bracket(*byte))
        .unwrap_or(bytes.len())
}

pub(super) fn white_bytes(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .position(|byte| !is_white(*byte))
        .unwrap_or(bytes.len())
}

/// What JSON takes for white space.
pub(super) fn is_white(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

pub(super) fn is_bracket(byte: u8) -> bool {
    matches!(byte, b'{' | b'}' | b'[' | b']')
}

#[cfg(test)]
mod tests {
    use super::super::tests::Random;
    use super::*;

    #[test]
    fn strings_end_where_the_definition_says() {
        let mut random = Random(7);
        for _ in 0..20_000 {
            let length = random.below(40);
            let byte = |random: &mut Random| random.of(b"\"\\!#[]\xa2\xdc\x22x\x00\xff");
            let bytes: Vec<u8> = (0..length).map(|_| byte(&mut random)).collect();
            assert_eq!(string_bytes(&bytes), plain_string_bytes(&bytes));
        }
    }
}
