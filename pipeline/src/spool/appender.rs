//! What senders hold: bodies in, positions out.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::BytesMut;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::limits::CHUNK_BYTES;
use super::log::{AppendError, Gauges, LogOptions};
use super::record::BodyMeta;
use super::segments::Position;
use super::writer::{Command, Place};

/// Writes bodies. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Appender {
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) budget: Arc<Semaphore>,
    pub(crate) gauges: Arc<Gauges>,
    pub(crate) next_body: Arc<AtomicU64>,
    /// Bodies whose senders went away.
    pub(crate) abandoned: Arc<Mutex<Vec<u64>>>,
    pub(crate) options: LogOptions,
}

/// Whether the log takes bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// It does.
    Free,
    /// As much as its quota allows is waiting to be evaluated.
    Behind,
    /// The disk is too full.
    DiskFull,
    /// It is Kafka, and no broker can be reached.
    BrokersDown,
}

impl Appender {
    /// Whether there is room. Asked before a body is read, so that senders are told early.
    #[must_use]
    pub fn room(&self) -> Room {
        if self.waiting_bytes() >= self.options.quota_bytes / 2 {
            return Room::Behind;
        }
        if self.gauges.free.load(Ordering::Relaxed) < self.options.reserve_bytes {
            return Room::DiskFull;
        }
        Room::Free
    }

    /// Bytes in the log that are not evaluated yet.
    #[must_use]
    pub fn waiting_bytes(&self) -> u64 {
        let end = self.gauges.end.load(Ordering::Relaxed);
        end.saturating_sub(self.gauges.evaluated.load(Ordering::Relaxed))
    }

    /// Bytes of the log on the disk.
    #[must_use]
    pub fn kept_bytes(&self) -> u64 {
        let end = self.gauges.end.load(Ordering::Relaxed);
        end.saturating_sub(self.gauges.start.load(Ordering::Relaxed))
    }

    /// Bytes that the disk has left.
    #[must_use]
    pub fn free_bytes(&self) -> u64 {
        self.gauges.free.load(Ordering::Relaxed)
    }

    /// Bytes of bodies that are in memory.
    #[must_use]
    pub fn in_flight_bytes(&self) -> usize {
        super::limits::IN_FLIGHT_BYTES_MAX - self.budget.available_permits()
    }

    /// Syncs so far, and writes or syncs that failed.
    #[must_use]
    pub fn syncs(&self) -> (u64, u64) {
        let syncs = self.gauges.syncs.load(Ordering::Relaxed);
        (syncs, self.gauges.faults.load(Ordering::Relaxed))
    }

    /// How long syncs took since this was last asked, microseconds.
    #[must_use]
    pub fn take_sync_times(&self) -> Vec<u64> {
        let times = self.gauges.sync_times.lock();
        std::mem::take(&mut *times.unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Begins a body of so many bytes, or of nobody knows how many. Waits until there is memory for its first part.
    ///
    /// All of a part's memory is taken at once: senders that held a little and waited for more could wait for each other.
    ///
    /// # Errors
    /// If the log is closed.
    pub async fn begin(&self, length: Option<u64>) -> Result<BodyWriter, AppendError> {
        let first = length.and_then(|length| usize::try_from(length).ok());
        let room = self.reserve(first.unwrap_or(CHUNK_BYTES)).await?;
        Ok(BodyWriter {
            appender: self.clone(),
            body: self.next_body.fetch_add(1, Ordering::Relaxed),
            room: Some(room),
            chunks: Vec::new(),
            part: BytesMut::new(),
            bytes: 0,
            sent: false,
        })
    }

    /// Writes a whole body.
    ///
    /// # Errors
    /// As [`BodyWriter::finish`].
    pub async fn append(&self, bytes: &[u8], meta: BodyMeta) -> Result<Position, AppendError> {
        let mut body = self.begin(Some(bytes.len() as u64)).await?;
        body.push(bytes).await?;
        body.finish(meta).await
    }

    /// Has the disk looked at, and what nobody needs removed, though nothing is written.
    pub fn look(&self) {
        let _sent = self.commands.try_send(Command::Look);
    }

    /// Writes down that time has passed. Left out if the writer is busy: then bodies tell the time.
    pub fn tick(&self) {
        let _sent = self.commands.try_send(Command::Tick);
    }

    async fn reserve(&self, bytes: usize) -> Result<OwnedSemaphorePermit, AppendError> {
        let permits = u32::try_from(bytes.clamp(1, CHUNK_BYTES)).unwrap_or(u32::MAX);
        let permit = self.budget.clone().acquire_many_owned(permits).await;
        permit.map_err(|_| AppendError::Closed)
    }

    async fn send<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, AppendError>>) -> Command,
    ) -> Result<T, AppendError> {
        let (done, answer) = oneshot::channel();
        let sent = self.commands.send(command(done)).await;
        sent.map_err(|_| AppendError::Closed)?;
        answer.await.unwrap_or(Err(AppendError::Closed))
    }
}

/// A body on its way into the log. If it is dropped before it is finished, it never was.
#[derive(Debug)]
pub struct BodyWriter {
    appender: Appender,
    body: u64,
    room: Option<OwnedSemaphorePermit>,
    chunks: Vec<Place>,
    part: BytesMut,
    bytes: u64,
    /// A chunk may be in the log, which the writer remembers until the body is finished or given up.
    sent: bool,
}

impl BodyWriter {
    /// Bytes so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes bytes in; writes a chunk when enough have come together.
    ///
    /// # Errors
    /// If the log cannot be written.
    pub async fn push(&mut self, mut bytes: &[u8]) -> Result<(), AppendError> {
        while !bytes.is_empty() {
            if self.part.len() == CHUNK_BYTES {
                self.write_chunk().await?;
            }
            if self.room.is_none() {
                self.room = Some(self.appender.reserve(CHUNK_BYTES).await?);
            }
            let length = bytes.len().min(CHUNK_BYTES - self.part.len());
            self.part.extend_from_slice(&bytes[..length]);
            self.bytes += length as u64;
            bytes = &bytes[length..];
        }
        Ok(())
    }

    /// Ends the body and waits until it is durable. `meta` says what is known of it; the log fills in time, size and places.
    ///
    /// # Errors
    /// If the log cannot be written or synced: then the body is not in it.
    pub async fn finish(mut self, mut meta: BodyMeta) -> Result<Position, AppendError> {
        meta.bytes = self.bytes;
        let last = self.part.split().freeze();
        let (body, chunks) = (self.body, std::mem::take(&mut self.chunks));
        let room = self.room.take();
        // Whatever becomes of this call, the writer forgets the body when it has the command; if it never gets it, it is told.
        self.appender
            .send(|done| Command::Finish {
                body,
                meta: Box::new(meta),
                chunks,
                last,
                room,
                done,
            })
            .await
    }

    async fn write_chunk(&mut self) -> Result<(), AppendError> {
        let (body, bytes) = (self.body, self.part.split().freeze());
        // Others may have the memory while the sender of this body takes its time.
        let room = self.room.take();
        self.sent = true;
        let command = |done| Command::Chunk {
            body,
            bytes,
            room,
            done,
        };
        let place = self.appender.send(command).await?;
        self.chunks.push(place);
        Ok(())
    }
}

impl Drop for BodyWriter {
    /// Also after [`BodyWriter::finish`], and when a call of it was cancelled: forgetting twice does no harm.
    fn drop(&mut self) {
        if self.sent {
            let mut abandoned = self
                .appender
                .abandoned
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            abandoned.push(self.body);
        }
    }
}
