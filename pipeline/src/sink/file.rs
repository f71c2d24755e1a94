//! Lines in a file. Exactly once: the cursor holds the file's length, and what a crash left behind it is cut off.
//!
//! The file is told by its inode, so that a rotation by somebody else is seen: then a new file is begun, and writing goes on at
//! its end. Our own rotation happens between two cursors, so that there is never a new file with records that no cursor knows.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::SinkFormat;
use crate::store::Outgoing;

use super::{Deliver, Delivery, written};

pub(super) struct FileSink {
    path: PathBuf,
    format: SinkFormat,
    rotate: u64,
    keep: usize,
    open: Option<File>,
    place: Place,
}

/// How far the file is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    inode: u64,
    length: u64,
}

impl FileSink {
    pub(super) fn new(path: &Path, format: SinkFormat, rotate: u64, keep: usize) -> Self {
        Self {
            path: path.to_owned(),
            format,
            rotate,
            keep,
            open: None,
            place: Place::default(),
        }
    }

    /// The file, opened where the cursor is.
    fn open(&mut self) -> io::Result<&mut File> {
        let inode = fs::metadata(&self.path).map(|found| found.ino()).ok();
        if inode.is_none() || inode != Some(self.place.inode) {
            self.open = None;
        }
        if self.open.is_none() {
            let file = self.opened()?;
            self.open = Some(file);
        }
        self.open
            .as_mut()
            .ok_or_else(|| io::Error::other("the file was just opened"))
    }

    fn opened(&mut self) -> io::Result<File> {
        if let Some(folder) = self
            .path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
        {
            fs::create_dir_all(folder)?;
        }
        let mut options = OpenOptions::new();
        // Alerts may quote what nobody else should read.
        options.write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(&self.path)?;
        let metadata = file.metadata()?;
        if metadata.ino() == self.place.inode && metadata.len() >= self.place.length {
            file.set_len(self.place.length)?;
        } else {
            self.place = Place {
                inode: metadata.ino(),
                length: metadata.len(),
            };
        }
        file.seek(SeekFrom::Start(self.place.length))?;
        if let Some(folder) = self
            .path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
        {
            File::open(folder)?.sync_all()?;
        }
        Ok(file)
    }

    fn append(&mut self, text: &str) -> io::Result<()> {
        let file = self.open()?;
        file.write_all(text.as_bytes())?;
        file.sync_data()?;
        self.place.length += text.len() as u64;
        Ok(())
    }

    /// `alerts.ndjson` becomes `alerts.ndjson.1`, and so on.
    fn rotate(&mut self) -> io::Result<()> {
        let numbered = |number: usize| {
            let mut name = self.path.clone().into_os_string();
            name.push(format!(".{number}"));
            PathBuf::from(name)
        };
        for number in (1..self.keep).rev() {
            if numbered(number).exists() {
                fs::rename(numbered(number), numbered(number + 1))?;
            }
        }
        fs::rename(&self.path, numbered(1))?;
        self.open = None;
        self.open().map(drop)
    }
}

impl Deliver for FileSink {
    fn resume(&mut self, place: &str) -> Result<(), String> {
        self.place = serde_json::from_str(place).unwrap_or_default();
        self.open = None;
        let path = self.path.display().to_string();
        self.open()
            .map(drop)
            .map_err(|error| format!("{path}: {error}"))
    }

    fn deliver(&mut self, records: &[Outgoing]) -> Delivery {
        let mut text = String::new();
        for outgoing in records {
            text.push_str(written(&outgoing.record, self.format));
            text.push('\n');
        }
        match self.append(&text) {
            Ok(()) => Delivery::Delivered,
            Err(error) => {
                // What was half written is cut off when it is opened again.
                self.open = None;
                Delivery::Later(format!("{}: {error}", self.path.display()), None)
            }
        }
    }

    fn place(&self) -> String {
        serde_json::to_string(&self.place).unwrap_or_default()
    }

    fn committed(&mut self) -> bool {
        if self.place.length < self.rotate {
            return false;
        }
        match self.rotate() {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(path = %self.path.display(), %error, "cannot rotate; writing goes on");
                false
            }
        }
    }

    fn batch(&self) -> usize {
        1000
    }
}
