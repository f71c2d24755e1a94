//! A disk in memory that can lose power: what was not synced is gone, or half there, as chance has it. For tests.
//!
//! A crash keeps of each file the content as of its last sync. Of what was written since, each sector of 512 bytes is kept or
//! not by itself. The length is one that it had since then: any that an appending write passed through, but only the ends of
//! [`DiskFile::set_len`], which is one change of the file's metadata. Names that came or went since the last sync of names are there or not. That is
//! what POSIX allows and disks do; killing a process shows none of it, since the page cache survives.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::disk::{Disk, DiskFile};

const SECTOR: usize = 512;

/// Numbers that are random enough, and the same for the same seed (`SplitMix64`).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Begins with a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn next_number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below a bound.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next_number() % bound.max(1) as u64).unwrap_or(0)
    }

    /// One of two, evenly.
    pub fn toss(&mut self) -> bool {
        self.next_number().is_multiple_of(2)
    }
}

/// A folder in memory.
#[derive(Clone, Debug, Default)]
pub struct SimulatedDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// Names as programs see them.
    names: BTreeMap<String, Arc<SimulatedFile>>,
    /// Names as they would be after a crash.
    durable: BTreeMap<String, Arc<SimulatedFile>>,
    faults: Faults,
}

/// What goes wrong until told otherwise.
#[expect(clippy::struct_excessive_bools, reason = "each goes wrong by itself")]
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// Writes fail: the disk is full.
    pub full: bool,
    /// Syncs fail, and forget what was not synced, as kernels do.
    pub sync: bool,
    /// Only the next sync fails: a kernel tells a lost page once.
    pub sync_once: bool,
    /// Files cannot be cut.
    pub cut: bool,
}

impl Faults {
    fn sync_fails(&mut self) -> bool {
        let once = std::mem::take(&mut self.sync_once);
        self.sync || once
    }
}

#[derive(Debug)]
struct SimulatedFile {
    disk: SimulatedDisk,
    content: Mutex<Content>,
}

#[derive(Debug, Default)]
struct Content {
    bytes: Vec<u8>,
    durable: Vec<u8>,
    /// Ranges of lengths since the last sync, ends included.
    lengths: Vec<(usize, usize)>,
    /// A sync failed: the kernel takes the pages for clean now, and later syncs say that all is well.
    forgotten: bool,
}

impl SimulatedDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes things go wrong, or right again.
    pub fn set_faults(&self, faults: Faults) {
        self.state().faults = faults;
    }

    /// The disk as it could be found after losing power now.
    #[must_use]
    pub fn crashed(&self, random: &mut Random) -> Self {
        let state = self.state();
        let after = Self::new();
        let mut names = state.durable.clone();
        for (name, file) in &state.names {
            if !names.contains_key(name) && random.toss() {
                names.insert(name.clone(), file.clone());
            }
        }
        names.retain(|name, _| state.names.contains_key(name) || random.toss());
        let crashed: BTreeMap<_, _> = names
            .into_iter()
            .map(|(name, file)| (name, Arc::new(file.crashed(&after, random))))
            .collect();
        after.state().names.clone_from(&crashed);
        after.state().durable = crashed;
        after
    }

    /// Changes a byte of a file, as a failing disk does.
    pub fn rot(&self, name: &str, offset: usize) {
        if let Some(file) = self.state().names.get(name) {
            let mut content = file.content();
            let content = &mut *content;
            for bytes in [&mut content.bytes, &mut content.durable] {
                if let Some(byte) = bytes.get_mut(offset) {
                    *byte ^= 0x55;
                }
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SimulatedFile {
    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn crashed(&self, disk: &SimulatedDisk, random: &mut Random) -> Self {
        let content = self.content();
        let (now, durable) = (&content.bytes, &content.durable);
        let lengths = std::iter::once((durable.len(), durable.len()));
        let lengths: Vec<_> = lengths.chain(content.lengths.iter().copied()).collect();
        let (low, high) = lengths[random.below(lengths.len())];
        let length = low + random.below(high - low + 1);
        let mut bytes = vec![0; length];
        for (sector, kept) in bytes.chunks_mut(SECTOR).enumerate() {
            let from = if random.toss() { now } else { durable };
            let start = sector * SECTOR;
            let end = (start + kept.len()).min(from.len());
            if let Some(source) = from.get(start..end) {
                kept[..source.len()].copy_from_slice(source);
            }
        }
        Self {
            disk: disk.clone(),
            content: Mutex::new(Content {
                durable: bytes.clone(),
                bytes,
                lengths: Vec::new(),
                forgotten: false,
            }),
        }
    }
}

impl Disk for SimulatedDisk {
    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.state().names.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state();
        if state.faults.full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if state.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let file = Arc::new(SimulatedFile {
            disk: self.clone(),
            content: Mutex::default(),
        });
        state.names.insert(name.to_owned(), file.clone());
        Ok(file)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let state = self.state();
        match state.names.get(name) {
            Some(file) => Ok(file.clone()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let removed = self.state().names.remove(name);
        removed
            .map(drop)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut state = self.state();
        if state.faults.sync_fails() {
            return Err(io::Error::other("simulated fault"));
        }
        state.durable = state.names.clone();
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(if self.state().faults.full { 0 } else { 1 << 40 })
    }
}

impl DiskFile for SimulatedFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.content().bytes.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let content = self.content();
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let Some(rest) = content.bytes.get(start..) else {
            return Ok(0);
        };
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let full = self.disk.state().faults.full;
        let mut content = self.content();
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        // A full disk takes a part before it says so.
        let taken = if full { bytes.len() / 2 } else { bytes.len() };
        let end = start + taken;
        let length = content.bytes.len();
        if length < end {
            content.lengths.push((length, end));
            content.bytes.resize(end, 0);
        }
        content.bytes[start..end].copy_from_slice(&bytes[..taken]);
        if full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        if self.disk.state().faults.cut {
            return Err(io::Error::other("simulated fault"));
        }
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let mut content = self.content();
        content.lengths.push((length, length));
        content.bytes.resize(length, 0);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let fails = self.disk.state().faults.sync_fails();
        let mut content = self.content();
        if fails {
            content.forgotten = true;
            return Err(io::Error::other("simulated fault"));
        }
        if !content.forgotten {
            let Content { bytes, durable, .. } = &mut *content;
            durable.clone_from(bytes);
            content.lengths.clear();
        }
        Ok(())
    }
}
