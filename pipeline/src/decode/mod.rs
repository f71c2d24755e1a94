//! Bytes to native audit events.
//!
//! ```text
//!  Read ─▶ framing ─▶ frames ─▶ envelope ─┬─▶ Event     native JSON, its origin and its place in the stream
//!             ▲                           ├─▶ Rejected  the bytes, with the reason
//!             └── records kept as text ◀──┴─▶ Ignored   other logs that their envelope names
//! ```
//!
//! History comes as it was kept: the API server's own lines, batches that it posted, arrays, the
//! diagnostic records of three clouds, cut at sizes that nobody chose, joined by tools that know
//! nothing of JSON. [`framing`] finds records in it; the envelope step finds out what each record
//! is, and takes the audit event out. Bodies are not parsed here.
//!
//! 1. Memory is bounded, whatever the input (see [`limits`]); on the quiet path nothing is
//!    allocated or copied per record.
//! 2. Nothing is lost: every byte of input that is not white space, a separator, or a container's
//!    own member, or the timestamp before a record, is in exactly one event, ignored record or
//!    reject, or is counted by [`Decoder::skipped`].
//! 3. Nothing stops the run: the only error is that of the reader, and it comes after all that was
//!    read before it.
//! 4. An event's bytes are valid UTF-8 and a JSON object whose top level is well-formed; if its
//!    origin says that it is partial, its end may be missing.
//! 5. The items depend on the bytes alone, never on how they were split into reads.

mod envelope;
pub mod framing;
pub mod limits;
pub(crate) mod push;
mod reason;

use std::io::{self, Read};
use std::sync::Arc;

use detections::batch::Columns;
use detections::event::{Envelope, Origin};

use self::envelope::{Record, Verdict, Workspace, Wrapping};
use self::framing::shape::Shape;
use self::framing::{Frame, Framer, Skipped};
use self::limits::NESTING_MAX;
pub use self::reason::{IgnoredReason, RejectReason};

/// What became of a record.
#[derive(Debug)]
pub enum Item<'a> {
    /// An audit event.
    Event(RawEvent<'a>),
    /// Bytes that are no audit event and should have been.
    Rejected(Rejected<'a>),
    /// A record that is known to be something else.
    Ignored(IgnoredReason),
}

/// An audit event in the API server's own form.
#[derive(Debug)]
pub struct RawEvent<'a> {
    /// The event as JSON; its bodies are not checked.
    pub bytes: &'a [u8],
    /// Where its columns are, if that was found out on the way.
    pub columns: Option<&'a Columns>,
    /// What is known besides the bytes.
    pub origin: Origin,
    /// Where the record starts in the (decompressed) stream; for an event inside of a text, where
    /// its record does.
    pub offset: u64,
}

/// What was refused.
#[derive(Debug)]
pub struct Rejected<'a> {
    /// Why.
    pub reason: RejectReason,
    /// The bytes as they were judged, at most [`limits::KEPT_BYTES_MAX`] if they are no record.
    pub bytes: &'a [u8],
    /// Where they start in the stream, as in [`RawEvent::offset`].
    pub offset: u64,
}

/// Yields the events of a stream in order.
#[derive(Debug)]
pub struct Decoder<R> {
    framer: Framer<R>,
    /// Texts being framed, each inside of the one before; those behind `open` wait to be used
    /// again.
    texts: Vec<Text>,
    open: usize,
    workspace: Workspace,
    /// What is known of a record whose envelope says nothing.
    plain: Origin,
}

/// A text that was inside of a record.
#[derive(Debug)]
struct Text {
    framer: Framer<io::Empty>,
    origin: Origin,
    /// Where its record starts in the stream.
    offset: u64,
    /// It has held something so far.
    yielded: bool,
}

/// A verdict with the place of its bytes, without borrowing them.
struct Judged {
    verdict: Verdict,
    frame: Frame,
    /// How many texts were open: which framer the frame is of.
    depth: usize,
}

impl Decoder<io::Empty> {
    /// Decodes pieces of a stream, each handed over by [`load`](Self::load).
    #[must_use]
    pub fn of_pieces(default_cluster: Arc<str>) -> Self {
        Self::new(io::empty(), default_cluster)
    }

    /// Takes a piece that starts at `offset` of its stream, and at the start of a line, and hands back the piece before.
    /// `lines` if it is known that the stream has one record a line; the first piece shows it.
    pub fn load(&mut self, piece: &mut Vec<u8>, offset: u64, lines: bool) {
        self.open = 0;
        self.framer.load(piece, offset, lines);
    }

    /// Whether the piece ended as it must if the next one is to be decoded by itself: between two lines.
    #[must_use]
    pub fn is_between_lines(&self) -> bool {
        self.open == 0 && self.framer.is_between_lines()
    }

    /// What was left out of the piece because it was too large.
    pub fn take_skipped(&mut self) -> Skipped {
        let mut skipped = self.framer.take_skipped();
        for text in &mut self.texts {
            let inner = text.framer.take_skipped();
            skipped.oversized += inner.oversized;
            skipped.bytes += inner.bytes;
        }
        skipped
    }
}

impl<R: Read> Decoder<R> {
    /// Decodes what is left of a stream from `offset` on, behind pieces that [ended between lines](Decoder::is_between_lines).
    pub fn resumed(reader: R, default_cluster: Arc<str>, offset: u64) -> Self {
        let mut decoder = Self::new(reader, default_cluster);
        decoder.framer.resume(offset);
        decoder
    }

    /// Decodes what the reader yields. Events whose envelope names no cluster are of
    /// `default_cluster`.
    pub fn new(reader: R, default_cluster: Arc<str>) -> Self {
        let plain = Origin {
            cluster: default_cluster,
            envelope: Envelope::Raw,
            partial: false,
            time_us: None,
        };
        Self {
            framer: Framer::new(reader),
            texts: Vec::new(),
            open: 0,
            workspace: Workspace::default(),
            plain,
        }
    }

    /// The next item; `None` at the end of the stream.
    ///
    /// # Errors
    /// If reading failed: once, after everything that was read before.
    #[expect(
        clippy::should_implement_trait,
        reason = "an item borrows from the decoder, which an iterator cannot express"
    )]
    pub fn next(&mut self) -> io::Result<Option<Item<'_>>> {
        loop {
            let Some(judged) = self.judge_next()? else {
                return Ok(None);
            };
            match judged.verdict {
                Verdict::Wrapped(wrapping) if judged.depth < NESTING_MAX => {
                    let offset = self.offset(judged.depth, &judged.frame);
                    self.open_text(wrapping, judged.depth, offset);
                }
                verdict => return Ok(Some(self.item(verdict, &judged.frame, judged.depth))),
            }
        }
    }

    /// What was left out so far because it was too large.
    #[must_use]
    pub fn skipped(&self) -> Skipped {
        let mut skipped = self.framer.skipped();
        for text in &self.texts {
            skipped.oversized += text.framer.skipped().oversized;
            skipped.bytes += text.framer.skipped().bytes;
        }
        skipped
    }

    fn judge_next(&mut self) -> io::Result<Option<Judged>> {
        self.workspace.reset();
        while let Some(depth) = self.open.checked_sub(1) {
            let Some(text) = self.texts.get_mut(depth) else {
                break;
            };
            if let Some(frame) = text.framer.next_frame()? {
                text.yielded = true;
                let verdict = judge(&text.framer, &frame, &mut self.workspace);
                return Ok(Some(Judged {
                    verdict,
                    frame,
                    depth: self.open,
                }));
            }
            self.open = depth;
            if !text.yielded {
                let verdict = Verdict::Rejected(RejectReason::Empty);
                return Ok(Some(Judged {
                    verdict,
                    frame: Frame::none(),
                    depth: depth + 1,
                }));
            }
        }
        let Some(frame) = self.framer.next_frame()? else {
            return Ok(None);
        };
        let verdict = judge(&self.framer, &frame, &mut self.workspace);
        Ok(Some(Judged {
            verdict,
            frame,
            depth: 0,
        }))
    }

    /// Frames the text in the scratch before what comes behind its record.
    fn open_text(&mut self, wrapping: Wrapping, depth: usize, offset: u64) {
        let origin = self.origin(wrapping, depth);
        if depth == self.texts.len() {
            let framer = Framer::new(io::empty());
            self.texts.push(Text {
                framer,
                origin: Origin::default(),
                offset: 0,
                yielded: false,
            });
        }
        if let Some(text) = self.texts.get_mut(depth) {
            // Records in strings are printed on one line, with rare exceptions that the layout survives.
            text.framer.load(&mut self.workspace.scratch, 0, true);
            (text.origin, text.offset, text.yielded) = (origin, offset, false);
            self.open = depth + 1;
        }
    }

    fn item(&self, verdict: Verdict, frame: &Frame, depth: usize) -> Item<'_> {
        let offset = self.offset(depth, frame);
        match verdict {
            Verdict::Native(length, wrapping) => {
                let bytes = self.bytes(depth, &frame.truncated(length));
                let origin = self.origin(wrapping, depth);
                // The columns of an event that was cut reach as far as the fault, if at all.
                let columns = (!origin.partial).then(|| &self.shape(depth).columns);
                Item::Event(RawEvent {
                    bytes,
                    columns,
                    origin,
                    offset,
                })
            }
            Verdict::Written(wrapping) => {
                let bytes = &self.workspace.scratch;
                Item::Event(RawEvent {
                    bytes,
                    columns: None,
                    origin: self.origin(wrapping, depth),
                    offset,
                })
            }
            Verdict::Wrapped(_) => self.rejected(RejectReason::NestedTooDeep, frame, depth),
            Verdict::Rejected(reason) => self.rejected(reason, frame, depth),
            Verdict::Ignored(reason) => Item::Ignored(reason),
        }
    }

    fn rejected(&self, reason: RejectReason, frame: &Frame, depth: usize) -> Item<'_> {
        Item::Rejected(Rejected {
            reason,
            bytes: self.bytes(depth, frame),
            offset: self.offset(depth, frame),
        })
    }

    /// What the envelope says, and what is around the record where it is silent.
    fn origin(&self, wrapping: Wrapping, depth: usize) -> Origin {
        let around = self.text(depth).map_or(&self.plain, |text| &text.origin);
        Origin {
            cluster: wrapping
                .cluster
                .unwrap_or_else(|| Arc::clone(&around.cluster)),
            envelope: wrapping.envelope.unwrap_or(around.envelope),
            partial: wrapping.partial || around.partial,
            time_us: wrapping.time_us.or(around.time_us),
        }
    }

    fn text(&self, depth: usize) -> Option<&Text> {
        self.texts.get(depth.checked_sub(1)?)
    }

    fn shape(&self, depth: usize) -> &Shape {
        self.text(depth)
            .map_or_else(|| self.framer.shape(), |text| text.framer.shape())
    }

    fn bytes(&self, depth: usize, frame: &Frame) -> &[u8] {
        self.text(depth)
            .map_or_else(|| self.framer.bytes(frame), |text| text.framer.bytes(frame))
    }

    fn offset(&self, depth: usize, frame: &Frame) -> u64 {
        self.text(depth).map_or(frame.offset, |text| text.offset)
    }
}

fn judge<R>(framer: &Framer<R>, frame: &Frame, workspace: &mut Workspace) -> Verdict {
    envelope::judge(
        Record {
            frame,
            shape: framer.shape(),
            bytes: framer.bytes(frame),
            context: framer.context(),
        },
        workspace,
    )
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
