//! The one thread that writes: everything that waits, then one sync, then everybody is told.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use crate::clock::Clock;

use super::disk::DiskFile;
use super::limits::{GROUP_BYTES_MAX, GROUP_MAX};
use super::log::{AppendError, Gauges, LogOptions};
use super::record::{BodyMeta, HEADER_BYTES, Kind, header, meta_bytes};
use super::recover::Recovered;
use super::segments::{Position, Segment, Segments};

pub(crate) enum Command {
    /// A part of a body that goes on.
    Chunk {
        body: u64,
        bytes: Bytes,
        /// The memory that the bytes take, given back when they are written.
        room: Option<OwnedSemaphorePermit>,
        done: oneshot::Sender<Result<Place, AppendError>>,
    },
    /// The last part.
    Finish {
        body: u64,
        meta: Box<BodyMeta>,
        chunks: Vec<Place>,
        last: Bytes,
        room: Option<OwnedSemaphorePermit>,
        done: oneshot::Sender<Result<Position, AppendError>>,
    },
    /// Looks at the disk, removes what nobody needs.
    Look,
    /// Writes down that time has passed.
    Tick,
    /// Ends the log: whoever comes later is told that it is closed.
    Close,
}

/// Where a chunk was written, and in which epoch: each failed sync begins a new one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    at: u64,
    length: u32,
    epoch: u64,
}

struct Active {
    base: u64,
    file: Arc<dyn DiskFile>,
}

pub(super) struct Writer {
    segments: Arc<Segments>,
    gauges: Arc<Gauges>,
    options: LogOptions,
    clock: Clock,
    /// `None` before the first record, and after a fault: the next record begins a file.
    active: Option<Active>,
    /// Where the next record goes.
    end: u64,
    synced: u64,
    epoch: u64,
    /// What was written since the last good sync may be lost, whatever later syncs say: a sync failed, or a file that was not
    /// synced cannot be written to any more.
    poisoned: bool,
    last_us: i64,
    /// Bodies whose senders went away.
    abandoned: Arc<Mutex<Vec<u64>>>,
    /// The same, as far as they were told, with how often they will be looked for.
    leaving: Vec<(u64, u32)>,
    /// First chunks of bodies that are not whole yet.
    open_bodies: BTreeMap<u64, u64>,
    /// First chunks of bodies by the ends of these, until they are evaluated.
    unevaluated: BTreeMap<u64, u64>,
    looked_at_disk: Option<Instant>,
}

/// Who waits for the next sync.
type Waiting = Vec<(u64, oneshot::Sender<Result<Position, AppendError>>)>;

impl Writer {
    /// Goes on where recovery ended.
    pub(super) fn new(
        segments: Arc<Segments>,
        gauges: Arc<Gauges>,
        options: LogOptions,
        clock: Clock,
        recovered: &Recovered,
        abandoned: Arc<Mutex<Vec<u64>>>,
    ) -> Self {
        let mut writer = Self {
            segments,
            gauges,
            options,
            clock,
            active: None,
            end: recovered.end.0,
            synced: recovered.end.0,
            epoch: 0,
            last_us: recovered.last_us,
            poisoned: false,
            abandoned,
            leaving: Vec::new(),
            open_bodies: BTreeMap::new(),
            // Chunks of bodies that end behind the position may lie anywhere before it: which ones, only a reader finds out.
            unevaluated: BTreeMap::from([(recovered.end.0, 0)]),
            looked_at_disk: None,
        };
        writer.look_at_disk();
        writer
    }

    pub(super) fn run(&mut self, mut inbox: mpsc::Receiver<Command>) {
        let mut open = true;
        while open && let Some(command) = inbox.blocking_recv() {
            let begun = self.end;
            let mut waiting = Waiting::new();
            open &= self.obey(command, &mut waiting);
            while open
                && waiting.len() < GROUP_MAX
                && self.end - begun.min(self.end) < GROUP_BYTES_MAX as u64
            {
                let Ok(command) = inbox.try_recv() else {
                    break;
                };
                open &= self.obey(command, &mut waiting);
            }
            self.settle(waiting);
            self.tidy();
        }
    }

    /// False if the log is to be closed.
    fn obey(&mut self, command: Command, waiting: &mut Waiting) -> bool {
        match command {
            Command::Close => return false,
            Command::Chunk {
                body,
                bytes,
                room,
                done,
            } => {
                let written = self.write(Kind::Chunk, &[&bytes]).map(|at| {
                    self.open_bodies.entry(body).or_insert(at);
                    Place {
                        at,
                        length: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
                        epoch: self.epoch,
                    }
                });
                drop((bytes, room));
                drop(done.send(written));
            }
            Command::Finish {
                body,
                mut meta,
                chunks,
                last,
                room: _room,
                done,
            } => match self.finish(body, &mut meta, &chunks, &last) {
                Ok(at) => waiting.push((at, done)),
                Err(error) => drop(done.send(Err(error))),
            },
            // Everything is looked at after each command.
            Command::Look => {}
            Command::Tick => {
                let now = self.now_us();
                // A tick that cannot be written is as good as a pause.
                let _written = self.write(Kind::Tick, &[&now.to_le_bytes()]);
            }
        }
        true
    }

    fn finish(
        &mut self,
        body: u64,
        meta: &mut BodyMeta,
        chunks: &[Place],
        last: &Bytes,
    ) -> Result<u64, AppendError> {
        let first = self.open_bodies.remove(&body);
        if chunks.iter().any(|chunk| chunk.epoch != self.epoch) {
            return Err(AppendError::Lost);
        }
        meta.received_us = self.now_us();
        meta.chunks = chunks
            .iter()
            .map(|chunk| (chunk.at, chunk.length))
            .collect();
        let description = meta_bytes(meta).map_err(disk_error)?;
        let at = self.write(Kind::Body, &[&description, last])?;
        if let Some(first) = first {
            self.unevaluated.insert(self.end, first);
        }
        Ok(at)
    }

    /// Writes a record and returns its position.
    fn write(&mut self, kind: Kind, payload: &[&[u8]]) -> Result<u64, AppendError> {
        let length: usize = payload.iter().map(|part| part.len()).sum();
        let written = self.try_write(kind, payload);
        if written.is_err() {
            self.gauges.faults.fetch_add(1, Ordering::Relaxed);
            // What was half written must not stay in the way of the next record. If it cannot be cut off, the next record
            // begins a new file, and this one ends where that begins.
            let active = self.active.take();
            let cut = |active: &Active| active.file.set_len(self.end - active.base).is_ok();
            self.active = active.filter(cut);
            self.poisoned |= self.active.is_none() && self.end > self.synced;
        }
        written.map_err(disk_error)?;
        let at = self.end;
        self.end += (HEADER_BYTES + length) as u64;
        Ok(at)
    }

    fn try_write(&mut self, kind: Kind, payload: &[&[u8]]) -> io::Result<()> {
        if self.poisoned {
            return Err(io::Error::other("a sync of the log failed"));
        }
        self.make_room()?;
        let Some(active) = &self.active else {
            return Err(io::Error::other("the log has no file to write to"));
        };
        let head = header(self.end, kind, self.synced, payload);
        let mut offset = self.end - active.base;
        for part in std::iter::once(head.as_slice()).chain(payload.iter().copied()) {
            active.file.write_all_at(part, offset)?;
            offset += part.len() as u64;
        }
        Ok(())
    }

    /// Begins a new file if there is none, or if this one is full.
    fn make_room(&mut self) -> io::Result<()> {
        if let Some(active) = &self.active {
            if self.end - active.base < self.options.segment_bytes {
                return Ok(());
            }
            if let Err(error) = active.file.sync() {
                self.poisoned = true;
                return Err(error);
            }
            // Who waits is told with the next sync; but what was synced here stays, whatever becomes of that.
            self.synced = self.end;
        }
        // Later files have later times, also if the clock went back.
        self.last_us += 1;
        let created_us = self.now_us();
        let name = Segments::name(self.end, created_us);
        let disk = &self.segments.disk;
        let file = disk.create(&name)?;
        if let Err(error) = disk.sync_names() {
            let _removed = disk.remove(&name);
            return Err(error);
        }
        let replaced = self
            .segments
            .list()
            .into_iter()
            .find(|(base, _)| *base == self.end);
        let segment = Segment {
            file: file.clone(),
            name,
            created_us,
        };
        self.segments.insert(self.end, segment);
        self.active = Some(Active {
            base: self.end,
            file,
        });
        if let Some((_, replaced)) = replaced {
            // It held nothing that counts; if it stays, the later name wins.
            let _removed = disk.remove(&replaced.name);
        }
        Ok(())
    }

    /// Syncs, and tells everybody who waits.
    fn settle(&mut self, waiting: Waiting) {
        if self.end == self.synced && waiting.is_empty() && !self.poisoned {
            return self.segments.show(self.synced);
        }
        let synced = if self.poisoned {
            Err(io::Error::other("a sync of the log failed"))
        } else {
            self.sync()
        };
        match synced {
            Ok(()) => {
                for (at, done) in waiting {
                    drop(done.send(Ok(Position(at))));
                }
            }
            Err(error) => {
                let error = disk_error(error);
                self.lose();
                for (_, done) in waiting {
                    drop(done.send(Err(error.clone())));
                }
            }
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        let Some(active) = &self.active else {
            return Err(io::Error::other("the log has no file to sync"));
        };
        let begun = Instant::now();
        let synced = active.file.sync();
        let took = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.gauges.note_sync(took);
        synced?;
        self.synced = self.end;
        self.gauges.end.store(self.end, Ordering::Relaxed);
        self.segments.show(self.synced);
        Ok(())
    }

    /// Forgets all that was written since the last good sync, with the files that were begun since.
    fn lose(&mut self) {
        self.gauges.faults.fetch_add(1, Ordering::Relaxed);
        self.active = None;
        self.poisoned = false;
        for (base, segment) in self.segments.list() {
            if base > self.synced {
                let _removed = self.segments.disk.remove(&segment.name);
                self.segments.remove(base);
            }
        }
        self.epoch += 1;
        self.end = self.synced;
        self.open_bodies.clear();
        self.unevaluated.retain(|end, _| *end <= self.synced);
    }

    /// Removes files that nobody needs, and looks at the disk, once a second at most.
    fn tidy(&mut self) {
        let due = |looked: Instant| looked.elapsed() >= Duration::from_secs(1);
        if !self.looked_at_disk.is_none_or(due) {
            return;
        }
        self.look_at_disk();
        self.forget_abandoned();
        let evaluated = self.gauges.evaluated.load(Ordering::Relaxed);
        self.unevaluated = self.unevaluated.split_off(&(evaluated + 1));
        let firsts = self.unevaluated.values().chain(self.open_bodies.values());
        let needed = firsts.copied().fold(evaluated, u64::min);
        let files = self.segments.list();
        for pair in files.windows(2) {
            let [(base, segment), (next, following)] = pair else {
                continue;
            };
            let is_old = self.last_us - following.created_us > self.options.keep_us;
            let is_too_much = self.end - base > self.options.quota_bytes / 2;
            let free = self.gauges.free.load(Ordering::Relaxed);
            let is_pressed = free < self.options.reserve_bytes;
            if *next > needed || !(is_old || is_too_much || is_pressed) {
                break;
            }
            if self.segments.disk.remove(&segment.name).is_err() {
                break;
            }
            self.segments.remove(*base);
        }
        self.gauges
            .start
            .store(self.segments.first(), Ordering::Relaxed);
    }

    /// Senders that went away hold nothing any more. Their last chunk may still be on its way to us, so they are looked for
    /// again for a while.
    fn forget_abandoned(&mut self) {
        const ROUNDS: u32 = 600;
        let abandoned = self.abandoned.lock();
        let abandoned = std::mem::take(&mut *abandoned.unwrap_or_else(PoisonError::into_inner));
        self.leaving
            .extend(abandoned.into_iter().map(|body| (body, ROUNDS)));
        self.leaving.retain_mut(|(body, rounds)| {
            *rounds -= 1;
            self.open_bodies.remove(body).is_none() && *rounds > 0
        });
    }

    fn look_at_disk(&mut self) {
        self.looked_at_disk = Some(Instant::now());
        let free = self.segments.disk.free_bytes().unwrap_or(u64::MAX);
        self.gauges.free.store(free, Ordering::Relaxed);
    }

    /// The wall clock, but never backwards: time in the log only passes.
    fn now_us(&mut self) -> i64 {
        let now = self.clock.now_us();
        self.last_us = self.last_us.max(now);
        self.last_us
    }
}

fn disk_error(error: io::Error) -> AppendError {
    AppendError::Disk(Arc::new(error))
}
