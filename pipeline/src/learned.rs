//! What history taught, as a file: models of surprise, and the groups of baselines.
//!
//! ```text
//! "tidewatch baseline\n"  version, 4 bytes  SHA-256 of what follows, 32 bytes  zstd of postcard
//! ```
//!
//! 1. A file is written whole or not at all: beside its place, synced, and then put there.
//! 2. What is read is what was written: a file that was cut or changed is refused, and so is one of another version.
//! 3. A group belongs to what its baseline means; one whose baseline is gone or means something else now is left out when it is used.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use detections::correlation::GroupId;
use detections::surprise::{ActorId, Head, Model, Past};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// How a file begins.
const MARK: &[u8] = b"tidewatch baseline\n";

/// Raised when the form of the content changes.
const VERSION: u32 = 1;

/// 1 GiB: a model of 100,000 actors takes a tenth of that.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// 4 GiB of content, so that a small file cannot fill all memory.
const CONTENT_BYTES_MAX: u64 = 4 << 30;

/// What history taught.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Learned {
    /// What is known of the accounts of each cluster.
    pub models: BTreeMap<Arc<str>, Model>,
    /// Groups of baselines as they are stored, by id.
    pub(crate) groups: BTreeMap<GroupId, Vec<u8>>,
}

/// The same as it is written.
#[derive(Serialize, Deserialize)]
struct Content {
    models: Vec<StoredModel>,
    groups: Vec<(GroupId, Vec<u8>)>,
}

/// A cluster, and what is known of it and of each of its accounts.
type StoredModel = (Arc<str>, Head, Vec<(ActorId, Past)>);

/// Why a file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum LearnedError {
    /// It could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It could not be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is something else.
    #[error("{path} is no baseline: `tidewatch baseline learn` writes one")]
    Other {
        /// The file.
        path: PathBuf,
    },
    /// Another version wrote it.
    #[error(
        "{path} has version {found} of the form, this program reads {VERSION}: learn it again from history"
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// The version it has.
        found: u32,
    },
    /// It was cut or changed.
    #[error(
        "{path} is damaged: it was cut or changed after it was written; learn it again, or copy it again"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
    },
}

impl Learned {
    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read, is something else, of another version, or not what was written.
    pub fn read(path: &Path) -> Result<Self, LearnedError> {
        let failed = |source| LearnedError::Read {
            path: path.to_owned(),
            source,
        };
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(failed)?;
        file.take(FILE_BYTES_MAX)
            .read_to_end(&mut bytes)
            .map_err(failed)?;
        Self::parse(&bytes, path)
    }

    fn parse(bytes: &[u8], path: &Path) -> Result<Self, LearnedError> {
        let path = path.to_owned();
        let Some(rest) = bytes.strip_prefix(MARK) else {
            return Err(LearnedError::Other { path });
        };
        let Some((version, rest)) = rest.split_first_chunk::<4>() else {
            return Err(LearnedError::Damaged { path });
        };
        let found = u32::from_le_bytes(*version);
        if found != VERSION {
            return Err(LearnedError::Version { path, found });
        }
        let content = rest
            .split_first_chunk::<32>()
            .filter(|(sum, packed)| *sum == &<[u8; 32]>::from(Sha256::digest(packed)))
            .and_then(|(_, packed)| unpack(packed));
        let content = content.ok_or(LearnedError::Damaged { path })?;
        let models = content.models.into_iter();
        Ok(Self {
            models: models
                .map(|(cluster, head, actors)| (cluster, Model::restore(head, actors)))
                .collect(),
            groups: content.groups.into_iter().collect(),
        })
    }

    /// Writes a file, or leaves what was there.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), LearnedError> {
        let failed = |source| LearnedError::Write {
            path: path.to_owned(),
            source,
        };
        let bytes = self.to_bytes().map_err(failed)?;
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
        file.write_all(&bytes).map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        file.persist(path).map_err(|error| failed(error.error))?;
        // The name must survive, too.
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(failed)
    }

    fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let models = self.models.iter().map(|(cluster, model)| {
            let actors = model.actors();
            let actors = actors.map(|(actor, past)| (actor.clone(), past.clone()));
            (cluster.clone(), model.head(), actors.collect())
        });
        let content = Content {
            models: models.collect(),
            groups: self.groups.clone().into_iter().collect(),
        };
        let content = postcard::to_allocvec(&content).map_err(io::Error::other)?;
        let packed = zstd::encode_all(&content[..], 3)?;
        let mut bytes = MARK.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(Sha256::digest(&packed));
        bytes.extend(packed);
        Ok(bytes)
    }

    /// How many groups of baselines it holds.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.groups.len()
    }
}

fn unpack(packed: &[u8]) -> Option<Content> {
    let mut content = Vec::new();
    let decoder = zstd::Decoder::new(packed).ok()?;
    decoder
        .take(CONTENT_BYTES_MAX)
        .read_to_end(&mut content)
        .ok()?;
    postcard::from_bytes(&content).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_whole_baseline_of_this_version_is_refused_with_its_reason() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("known.baseline");
        let model = Model::default();
        let learned = Learned {
            models: BTreeMap::from([(Arc::from("prod"), model)]),
            groups: BTreeMap::from([([7; 16], vec![1, 2, 3])]),
        };
        learned.write(&path).unwrap();
        assert_eq!(Learned::read(&path).unwrap(), learned);
        let whole = std::fs::read(&path).unwrap();
        let refused = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            Learned::read(&path).unwrap_err().to_string()
        };
        for length in MARK.len()..whole.len() {
            let said = refused(&whole[..length]);
            assert!(said.contains("is damaged"), "{length}: {said}");
        }
        let mut newer = whole.clone();
        newer[MARK.len()] = 9;
        assert!(refused(&newer).contains("has version 9 of the form, this program reads 1"));
        let mut changed = whole.clone();
        let last = changed.len() - 1;
        changed[last] ^= 1;
        assert!(refused(&changed).contains("is damaged"));
        assert!(refused(b"{}").contains("is no baseline"));
        // Nothing is left beside it.
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
