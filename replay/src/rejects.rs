//! The rejects file: what could not be read, with its place and reason, so that nothing is lost.

use std::io::{self, Write};

use pipeline::decode::Rejected;
use pipeline::hex::hex;
use serde_json::json;

/// Writes rejected records as NDJSON: `input`, `offset`, `reason`, and the bytes as `text`, or as `hex` if they are not
/// UTF-8.
#[derive(Debug)]
pub struct RejectsFile<W> {
    writer: W,
}

impl<W: Write> RejectsFile<W> {
    /// Writes to this writer.
    pub fn new(writer: W) -> Self {
        Self { writer }
    }

    /// Writes one record.
    ///
    /// # Errors
    /// If the writer fails.
    pub fn write(&mut self, input: &str, rejected: &Rejected<'_>) -> io::Result<()> {
        let (key, bytes) = match std::str::from_utf8(rejected.bytes) {
            Ok(text) => ("text", text.to_owned()),
            Err(_) => ("hex", hex(rejected.bytes)),
        };
        let line = json!({
            "input": input,
            "offset": rejected.offset,
            "reason": rejected.reason.as_str(),
            "explanation": rejected.reason.to_string(),
            key: bytes,
        });
        writeln!(self.writer, "{line}")
    }

    /// Makes sure that everything is written.
    ///
    /// # Errors
    /// If the writer fails.
    pub fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}
