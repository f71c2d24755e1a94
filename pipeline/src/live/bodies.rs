//! A stored body as decoded items, whatever it was wrapped in on its way.

use std::io::{self, BufReader, Cursor, Read};
use std::sync::Arc;

use flate2::bufread::MultiGzDecoder;

use crate::decode::framing::Skipped;
use crate::decode::push::{self, Pushed};
use crate::decode::{Decoder, Item, RejectReason, Rejected};
use crate::spool::{SourceKind, StoredBody};

/// 2 MiB: bodies up to this are decoded in one piece.
const PIECE_BYTES: u64 = 2 << 20;

/// 1 GiB: what one body may unpack to. Logs shrink to a tenth; a body that grows more was made for us.
const UNPACKED_BYTES_MAX: u64 = 1 << 30;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Hands out all items of a body. The error is the log's: a part of the body cannot be read any more.
pub(super) fn decode(body: &StoredBody, take: &mut dyn FnMut(&Item<'_>)) -> io::Result<Skipped> {
    let cluster: Arc<str> = body.meta.cluster.as_str().into();
    match body.meta.source {
        SourceKind::Webhook | SourceKind::File | SourceKind::Kafka => {
            decode_stream(body.open(), body.meta.bytes, &cluster, take)
        }
        SourceKind::Firehose => decode_pushed(body, &cluster, push::firehose, take),
        SourceKind::Pubsub => decode_pushed(body, &cluster, push::pubsub, take),
    }
}

/// The same of bytes that came on this way. Nothing can fail: what is wrong with them is an item.
pub(crate) fn decode_bytes(
    source: SourceKind,
    cluster: &Arc<str>,
    bytes: &[u8],
    take: &mut dyn FnMut(&Item<'_>),
) -> Skipped {
    let decoded = match source {
        SourceKind::Webhook | SourceKind::File | SourceKind::Kafka => {
            decode_stream(bytes, bytes.len() as u64, cluster, take)
        }
        SourceKind::Firehose => Ok(decode_messages(bytes, cluster, push::firehose, take)),
        SourceKind::Pubsub => Ok(decode_messages(bytes, cluster, push::pubsub, take)),
    };
    decoded.unwrap_or_default()
}

fn decode_stream(
    mut reader: impl Read,
    bytes: u64,
    cluster: &Arc<str>,
    take: &mut dyn FnMut(&Item<'_>),
) -> io::Result<Skipped> {
    let mut magic = Vec::with_capacity(GZIP_MAGIC.len());
    (&mut reader).take(2).read_to_end(&mut magic)?;
    let is_gzip = magic == GZIP_MAGIC;
    let mut whole = Cursor::new(magic).chain(reader);
    if is_gzip {
        let unpacked = MultiGzDecoder::new(BufReader::new(whole));
        let unpacked = unpacked.take(UNPACKED_BYTES_MAX);
        let ended = decode_all(Decoder::new(unpacked, cluster.clone()), take);
        // The log's own faults are not gzip's.
        return match ended {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                take(&rejected(RejectReason::BrokenGzip, &[]));
                Ok(Skipped::default())
            }
            ended => ended,
        };
    }
    if bytes > PIECE_BYTES {
        return decode_all(Decoder::new(whole, cluster.clone()), take);
    }
    let mut piece = Vec::with_capacity(usize::try_from(bytes).unwrap_or(0));
    whole.read_to_end(&mut piece)?;
    let mut decoder = Decoder::of_pieces(cluster.clone());
    decoder.load(&mut piece, 0, false);
    decode_all(decoder, take)
}

fn decode_all<R: Read>(
    mut decoder: Decoder<R>,
    take: &mut dyn FnMut(&Item<'_>),
) -> io::Result<Skipped> {
    let mut items = 0_u64;
    while let Some(item) = decoder.next()? {
        items += 1;
        take(&item);
    }
    if items == 0 {
        take(&rejected(RejectReason::Empty, &[]));
    }
    Ok(decoder.skipped())
}

/// Unwraps what a cloud service pushed; each message in it is a stream of its own.
fn decode_pushed(
    body: &StoredBody,
    cluster: &Arc<str>,
    unwrap: fn(&[u8]) -> Pushed,
    take: &mut dyn FnMut(&Item<'_>),
) -> io::Result<Skipped> {
    let mut bytes = Vec::new();
    body.open().read_to_end(&mut bytes)?;
    Ok(decode_messages(&bytes, cluster, unwrap, take))
}

fn decode_messages(
    bytes: &[u8],
    cluster: &Arc<str>,
    unwrap: fn(&[u8]) -> Pushed,
    take: &mut dyn FnMut(&Item<'_>),
) -> Skipped {
    let Some(messages) = unwrap(bytes) else {
        let kept = &bytes[..bytes.len().min(crate::decode::limits::KEPT_BYTES_MAX)];
        take(&rejected(RejectReason::NotAPush, kept));
        return Skipped::default();
    };
    let mut skipped = Skipped::default();
    for message in messages {
        match message {
            Ok(bytes) => match decode_stream(&bytes[..], bytes.len() as u64, cluster, take) {
                Ok(more) => {
                    skipped.oversized += more.oversized;
                    skipped.bytes += more.bytes;
                }
                // What was pushed says that it is compressed, and is not.
                Err(_) => take(&rejected(RejectReason::NotAPush, &bytes)),
            },
            Err(text) => take(&rejected(RejectReason::NotAPush, text.as_bytes())),
        }
    }
    skipped
}

fn rejected(reason: RejectReason, bytes: &[u8]) -> Item<'_> {
    Item::Rejected(Rejected {
        reason,
        bytes,
        offset: 0,
    })
}
