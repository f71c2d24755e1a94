//! Our files as redb's storage.

use std::io;
use std::sync::Arc;

use redb::StorageBackend;

use crate::spool::disk::DiskFile;

/// A file of the data directory.
#[derive(Debug)]
pub(super) struct Backend {
    file: Arc<dyn DiskFile>,
}

impl Backend {
    pub(super) fn new(file: Arc<dyn DiskFile>) -> Self {
        Self { file }
    }
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(out, offset)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write_all_at(data, offset)
    }
}
