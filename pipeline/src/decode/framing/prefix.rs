//! What may stand before a record on its line: a timestamp, as `CloudWatch` exports and container
//! runtimes write it.

use jiff::Timestamp;

/// A timestamp has at least a date, and at most nanoseconds and an offset.
const TIME_LENGTHS: std::ops::RangeInclusive<usize> = 10..=40;

/// The timestamp before a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Prefix {
    /// Microseconds since 1970 UTC.
    pub(crate) time_us: i64,
    /// A container runtime's own log, by its stream name; else an export of `CloudWatch`.
    pub(crate) container: bool,
}

/// The prefix of a line and its length, if an object or array follows it directly.
pub(super) fn parse(line: &[u8]) -> Option<(Prefix, usize)> {
    let space = line
        .iter()
        .position(|byte| *byte == b' ')
        .filter(|space| TIME_LENGTHS.contains(space))?;
    let time: Timestamp = std::str::from_utf8(line.get(..space)?).ok()?.parse().ok()?;
    let rest = line.get(space..)?.trim_ascii_start();
    let stream = [
        b"stdout F ".as_slice(),
        b"stderr F ",
        b"stdout P ",
        b"stderr P ",
    ];
    let tagged = stream.iter().find_map(|tag| rest.strip_prefix(*tag));
    let record = tagged.unwrap_or(rest);
    if !matches!(record.first(), Some(b'{' | b'[')) {
        return None;
    }
    Some((
        Prefix {
            time_us: time.as_microsecond(),
            container: tagged.is_some(),
        },
        line.len() - record.len(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_before_a_record() {
        let time_us = 1_669_680_544_380_000;
        assert_eq!(
            parse(b"2022-11-29T00:09:04.380Z {}"),
            Some((
                Prefix {
                    time_us,
                    container: false
                },
                25
            ))
        );
        assert_eq!(
            parse(b"2022-11-29T00:09:04.380000000Z stdout F {}"),
            Some((
                Prefix {
                    time_us,
                    container: true
                },
                40
            ))
        );
    }

    #[test]
    fn other_lines_have_none() {
        for line in [
            "",
            "x {}",
            "2022-11-29T00:09:04.380Z",
            "2022-11-29T00:09:04.380Z I1129 x",
            "2022 {}",
        ] {
            assert_eq!(parse(line.as_bytes()), None, "{line}");
        }
    }
}
