//! A record of the log, little-endian:
//!
//! ```text
//!  0  magic     4  "TWL1"
//!  4  length    4  bytes of the payload
//!  8  checksum  8  XXH3-64 of the bytes from 16 on and of the payload, seeded with the record's own position
//! 16  kind      1  1 chunk, 2 body, 3 tick
//! 17  zero      7
//! 24  synced    8  position up to which the log was synced when this was written
//! 32  payload
//! ```
//!
//! The payload of a *chunk* is a part of a body. That of a *body* is the length of its description (4 bytes), the description
//! as JSON ([`BodyMeta`]), and the last part of the body, which for most is all of it. That of a *tick* is a time in
//! microseconds (8 bytes): time passes in the log, and nowhere else.
//!
//! The checksum is seeded with the position, so that a record in the wrong place is none: old bytes of a disk never pass for new.

use std::hash::Hasher as _;
use std::io;

use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_64;

use super::limits::{CHUNK_BYTES, META_BYTES_MAX};

/// Bytes before the payload.
pub const HEADER_BYTES: usize = 32;

/// `TWL1`.
pub(crate) const MAGIC: [u8; 4] = *b"TWL1";

/// The largest payload of any record.
pub(crate) const PAYLOAD_BYTES_MAX: usize = CHUNK_BYTES + META_BYTES_MAX + 4;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Chunk = 1,
    Body = 2,
    Tick = 3,
}

/// The head of a record whose payload was not looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    pub(crate) length: usize,
    pub(crate) synced: u64,
    checksum: u64,
}

/// The way on which a body came in.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// The API server's audit webhook.
    #[default]
    Webhook,
    /// AWS Data Firehose, by its HTTP end point delivery.
    Firehose,
    /// Google Cloud Pub/Sub, by push.
    Pubsub,
    /// A file that is followed.
    File,
    /// A topic of Kafka that others write.
    Kafka,
}

impl SourceKind {
    /// As in metrics and messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Firehose => "firehose",
            Self::Pubsub => "pubsub",
            Self::File => "file",
            Self::Kafka => "kafka",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let all = [
            Self::Webhook,
            Self::Firehose,
            Self::Pubsub,
            Self::File,
            Self::Kafka,
        ];
        all.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// What is known of a body besides its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BodyMeta {
    /// The way on which it came.
    pub source: SourceKind,
    /// The cluster of events whose envelope names none.
    pub cluster: String,
    /// Which API server, stream or file it came from.
    pub origin: String,
    /// When it was whole, microseconds since 1970 UTC; never before the one of an earlier record.
    pub received_us: i64,
    /// Bytes of the body.
    pub bytes: u64,
    /// Where its chunks before the last are: position and length of the payload.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chunks: Vec<(u64, u32)>,
    /// Bytes beyond the limit of a body, which are not in the log.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: u64,
    /// For a followed file: what of the file this was, so that reading goes on behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Header {
    /// Reads a header. `None` if it is none.
    pub(crate) fn parse(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        if bytes[..4] != MAGIC || bytes[17..24] != [0; 7] {
            return None;
        }
        let kind = match bytes[16] {
            1 => Kind::Chunk,
            2 => Kind::Body,
            3 => Kind::Tick,
            _ => return None,
        };
        let length = u32::from_le_bytes(bytes[4..8].try_into().ok()?) as usize;
        (length <= PAYLOAD_BYTES_MAX).then_some(())?;
        Some(Self {
            kind,
            length,
            synced: u64::from_le_bytes(bytes[24..32].try_into().ok()?),
            checksum: u64::from_le_bytes(bytes[8..16].try_into().ok()?),
        })
    }

    /// Whether the payload belongs to this header at this place.
    pub(crate) fn fits(&self, position: u64, payload: &[&[u8]]) -> bool {
        self.checksum == checksum(position, self.kind, self.synced, payload)
    }

    /// Bytes of the whole record.
    pub(crate) fn record_bytes(&self) -> u64 {
        (HEADER_BYTES + self.length) as u64
    }
}

/// The header of a record with this payload, given in parts.
pub(crate) fn header(
    position: u64,
    kind: Kind,
    synced: u64,
    payload: &[&[u8]],
) -> [u8; HEADER_BYTES] {
    let length: usize = payload.iter().map(|part| part.len()).sum();
    debug_assert!(length <= PAYLOAD_BYTES_MAX, "the appender cuts bodies");
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    let mut bytes = [0; HEADER_BYTES];
    bytes[..4].copy_from_slice(&MAGIC);
    bytes[4..8].copy_from_slice(&length.to_le_bytes());
    bytes[8..16].copy_from_slice(&checksum(position, kind, synced, payload).to_le_bytes());
    bytes[16] = kind as u8;
    bytes[24..32].copy_from_slice(&synced.to_le_bytes());
    bytes
}

fn checksum(position: u64, kind: Kind, synced: u64, payload: &[&[u8]]) -> u64 {
    let mut hasher = XxHash3_64::with_seed(position);
    let mut tail = [0; 16];
    tail[0] = kind as u8;
    tail[8..].copy_from_slice(&synced.to_le_bytes());
    hasher.write(&tail);
    for part in payload {
        hasher.write(part);
    }
    hasher.finish()
}

/// The description of a body as it stands in its record: length, then JSON.
pub(crate) fn meta_bytes(meta: &BodyMeta) -> io::Result<Vec<u8>> {
    let json = serde_json::to_vec(meta)?;
    if json.len() > META_BYTES_MAX {
        return Err(io::Error::other("the description of a body is too long"));
    }
    let mut bytes = u32::try_from(json.len())
        .unwrap_or(u32::MAX)
        .to_le_bytes()
        .to_vec();
    bytes.extend(json);
    Ok(bytes)
}

/// The description in the payload of a body, and where the body's last part starts in it.
pub(crate) fn parse_meta(payload: &[u8]) -> Option<(BodyMeta, usize)> {
    let (length, rest) = payload.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length) as usize;
    let meta = serde_json::from_slice(rest.get(..length)?).ok()?;
    Some((meta, 4 + length))
}
