//! What does not fit into memory, in a file without a name: things of one type, one after the other, each behind its length.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Bytes of a run that are read at once.
const BUFFER_BYTES: usize = 64 << 10;

/// Writes things down in their order.
///
/// # Errors
/// If the temporary folder takes no more.
pub(crate) fn write<T: Serialize>(things: &[T]) -> io::Result<File> {
    let mut writer = BufWriter::new(tempfile::tempfile()?);
    for thing in things {
        let bytes = postcard::to_allocvec(thing).map_err(io::Error::other)?;
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        writer.write_all(&length.to_le_bytes())?;
        writer.write_all(&bytes)?;
    }
    writer.into_inner().map_err(io::IntoInnerError::into_error)
}

/// What was written down, as it is read again.
pub(crate) struct Run<T> {
    reader: BufReader<File>,
    buffer: Vec<u8>,
    of: PhantomData<T>,
}

impl<T: DeserializeOwned> Run<T> {
    /// From the beginning.
    pub(crate) fn of(mut file: File) -> io::Result<Self> {
        file.seek(SeekFrom::Start(0))?;
        Ok(Self {
            reader: BufReader::with_capacity(BUFFER_BYTES, file),
            buffer: Vec::new(),
            of: PhantomData,
        })
    }

    /// The next thing; `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<T>> {
        let mut length = [0; 4];
        match self.reader.read_exact(&mut length) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        self.buffer.resize(u32::from_le_bytes(length) as usize, 0);
        self.reader.read_exact(&mut self.buffer)?;
        postcard::from_bytes(&self.buffer)
            .map(Some)
            .map_err(io::Error::other)
    }
}
