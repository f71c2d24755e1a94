//! A file or standard input as plain bytes, whatever it was compressed with.
//!
//! History arrives as it was kept: plain, gzip (log rotation, S3 exports: often many members behind
//! each other) or zstd (our own corpora: often many frames). The first bytes decide which, never
//! the name: rotated files are called `audit.log.1.gz` and are plain, and exports are called
//! `000000` and are gzip.
//!
//! 1. Memory does not depend on the size of the file: one read buffer, and for zstd one window of
//!    at most [`WINDOW_LOG_MAX`].
//! 2. A fault in the middle of a compressed file is an error that names the file and the place;
//!    every byte that was decompressed before it has been handed out, so the caller keeps those and
//!    goes on with the next file.
//! 3. Progress is counted in bytes of the file itself, since only its compressed size is known
//!    beforehand.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;

/// 128 MiB. A zstd frame states how much memory its reader must hold, so a small hostile file could
/// ask for gigabytes. `zstd --ultra -22` and plain `--long` need exactly this much, and it is what
/// the zstd tool itself accepts unasked; less would refuse archives that people make, more would
/// let one file take the memory that the whole run is bounded by.
pub const WINDOW_LOG_MAX: u32 = 27;

/// Large enough that a system call per buffer costs nothing, small enough to stay in the cache.
const READ_BYTES: usize = 256 * 1024;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Frames that carry no data but may stand first; the low four bits of the first byte are free.
const ZSTD_SKIPPABLE_TAIL: [u8; 3] = [0x2a, 0x4d, 0x18];

/// How the bytes of an input are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not compressed.
    Plain,
    /// RFC 1952, one or more members.
    Gzip,
    /// RFC 8878, one or more frames.
    Zstd,
}

/// A fault while reading an input, wrapped into the [`io::Error`] that [`Read`] returns.
#[derive(Debug, thiserror::Error)]
#[error("{name}: {} at byte {offset} of the file: {source}", .compression.activity())]
pub struct InputError {
    /// The file, or `stdin`.
    pub name: String,
    /// How it was being read.
    pub compression: Compression,
    /// How many bytes of the file itself had been read; the fault lies at most one read buffer
    /// before.
    pub offset: u64,
    /// What the decoder or the system said.
    pub source: io::Error,
}

/// An opened input. Reading yields decompressed bytes.
pub struct Input {
    name: String,
    compression: Compression,
    total: Option<u64>,
    consumed: Arc<AtomicU64>,
    reader: Box<dyn Read + Send>,
}

impl Input {
    /// Opens a file.
    ///
    /// # Errors
    /// If the file cannot be opened or its first bytes cannot be read.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let open = || -> io::Result<(File, Option<u64>)> {
            let file = File::open(path)?;
            let metadata = file.metadata()?;
            if metadata.is_dir() {
                return Err(io::Error::from(io::ErrorKind::IsADirectory));
            }
            Ok((file, metadata.is_file().then_some(metadata.len())))
        };
        let (file, total) = open().map_err(|source| wrap(&name, Compression::Plain, 0, source))?;
        Self::over(name, file, total)
    }

    /// Standard input, with the same detection of compression.
    ///
    /// # Errors
    /// If the first bytes cannot be read.
    pub fn stdin() -> io::Result<Self> {
        Self::over("stdin".to_owned(), io::stdin(), None)
    }

    fn over(
        name: String,
        mut raw: impl Read + Send + 'static,
        total: Option<u64>,
    ) -> io::Result<Self> {
        let consumed = Arc::new(AtomicU64::new(0));
        let magic =
            read_magic(&mut raw).map_err(|source| wrap(&name, Compression::Plain, 0, source))?;
        let compression = detect(&magic);
        let counted = Counted {
            inner: Cursor::new(magic).chain(raw),
            consumed: Arc::clone(&consumed),
        };
        let reader: Box<dyn Read + Send> = match compression {
            Compression::Plain => Box::new(counted),
            Compression::Gzip => Box::new(MultiGzDecoder::new(BufReader::with_capacity(
                READ_BYTES, counted,
            ))),
            Compression::Zstd => {
                let buffered = BufReader::with_capacity(READ_BYTES, counted);
                let mut decoder = zstd::stream::read::Decoder::with_buffer(buffered)?;
                decoder.window_log_max(WINDOW_LOG_MAX)?;
                Box::new(decoder)
            }
        };
        Ok(Self {
            name,
            compression,
            total,
            consumed,
            reader,
        })
    }

    /// The path as it was given, or `stdin`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the first bytes said.
    #[must_use]
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// The size of the file itself, if it has one.
    #[must_use]
    pub fn total(&self) -> Option<u64> {
        self.total
    }

    /// How many bytes of the file itself have been read so far; shared, so that a progress bar can
    /// look at any time.
    #[must_use]
    pub fn consumed(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.consumed)
    }
}

impl Read for Input {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.reader.read(out).map_err(|source| {
            if source.kind() == io::ErrorKind::Interrupted {
                return source;
            }
            wrap(
                &self.name,
                self.compression,
                self.consumed.load(Ordering::Relaxed),
                source,
            )
        })
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input")
            .field("name", &self.name)
            .field("compression", &self.compression)
            .finish_non_exhaustive()
    }
}

impl Compression {
    fn activity(self) -> &'static str {
        match self {
            Self::Plain => "reading failed",
            Self::Gzip => "gzip decompression failed",
            Self::Zstd => "zstd decompression failed",
        }
    }
}

struct Counted<R> {
    inner: R,
    consumed: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(out)?;
        self.consumed.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// The first four bytes, fewer only if the input ends before.
fn read_magic(raw: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut magic = Vec::with_capacity(ZSTD_MAGIC.len());
    raw.take(ZSTD_MAGIC.len() as u64).read_to_end(&mut magic)?;
    Ok(magic)
}

fn detect(magic: &[u8]) -> Compression {
    let skippable = matches!(magic, [0x50..=0x5f, tail @ ..] if *tail == ZSTD_SKIPPABLE_TAIL);
    if magic.starts_with(&GZIP_MAGIC) {
        Compression::Gzip
    } else if magic == ZSTD_MAGIC || skippable {
        Compression::Zstd
    } else {
        Compression::Plain
    }
}

fn wrap(name: &str, compression: Compression, offset: u64, source: io::Error) -> io::Error {
    let kind = source.kind();
    io::Error::new(
        kind,
        InputError {
            name: name.to_owned(),
            compression,
            offset,
            source,
        },
    )
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::Builder::new().suffix(".txt").tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn read(bytes: &[u8]) -> (Compression, Vec<u8>, io::Result<usize>, u64) {
        let file = file(bytes);
        let mut input = Input::open(file.path()).unwrap();
        assert_eq!(input.total(), Some(bytes.len() as u64));
        let mut out = Vec::new();
        let result = input.read_to_end(&mut out);
        (
            input.compression(),
            out,
            result,
            input.consumed().load(Ordering::Relaxed),
        )
    }

    #[test]
    fn plain_bytes_pass_through() {
        for text in [b"".as_slice(), b"{", b"{\"a\":1}\n"] {
            let (compression, out, result, consumed) = read(text);
            assert_eq!((compression, out.as_slice()), (Compression::Plain, text));
            assert_eq!(result.unwrap() as u64, consumed);
        }
    }

    #[test]
    fn all_gzip_members_are_read() {
        let bytes = [gzip(b"one\n"), gzip(b"two\n")].concat();
        let (compression, out, result, consumed) = read(&bytes);
        assert_eq!(
            (compression, out.as_slice()),
            (Compression::Gzip, b"one\ntwo\n".as_slice())
        );
        assert!(result.is_ok());
        assert_eq!(consumed, bytes.len() as u64);
    }

    #[test]
    fn all_zstd_frames_are_read_also_behind_a_skippable_one() {
        let frame = |text: &[u8]| zstd::encode_all(text, 1).unwrap();
        let skippable = [0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9];
        let bytes = [skippable.to_vec(), frame(b"one\n"), frame(b"two\n")].concat();
        let (compression, out, result, _) = read(&bytes);
        assert_eq!(
            (compression, out.as_slice()),
            (Compression::Zstd, b"one\ntwo\n".as_slice())
        );
        assert!(result.is_ok());
    }

    #[test]
    fn a_cut_file_yields_what_stands_before_and_then_names_itself() {
        let text: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
        for bytes in [gzip(&text), zstd::encode_all(text.as_slice(), 1).unwrap()] {
            let (_, out, result, _) = read(&bytes[..bytes.len() - 20]);
            assert!(!out.is_empty() && text.starts_with(&out));
            let error = result.unwrap_err();
            assert!(
                error.to_string().contains("decompression failed at byte"),
                "{error}"
            );
            assert!(error.to_string().contains(".txt: "), "{error}");
        }
    }

    #[test]
    fn a_frame_that_asks_for_a_huge_window_is_refused() {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(28).unwrap();
        encoder.long_distance_matching(true).unwrap();
        encoder.write_all(b"small").unwrap();
        let (_, out, result, _) = read(&encoder.finish().unwrap());
        assert!(out.is_empty());
        assert!(result.is_err());
    }

    #[test]
    fn a_directory_or_a_missing_file_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let error = Input::open(directory.path()).unwrap_err();
        assert!(
            error
                .to_string()
                .contains(&directory.path().display().to_string())
        );
        assert_eq!(
            Input::open(directory.path().join("none"))
                .unwrap_err()
                .kind(),
            io::ErrorKind::NotFound
        );
    }
}
