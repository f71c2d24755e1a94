//! One TOML file, in three stages.
//!
//! ```text
//!  text ─▶ Written ───────▶ Values ─────────────▶ Config
//!          TOML with places  every field known,    what the program uses: nothing optional
//!                            every value parsed    that must exist, fields fit each other
//! ```
//!
//! [`fields`] is the one table of all fields: their kinds, defaults, examples and descriptions. Checking, `config schema` and
//! `docs/config.md` come from it. Every fault of a file is reported at once, with its place and what to do; a field that is not
//! known is refused, with the nearest one that is. Nothing here touches the world: whether files and addresses can be had is the
//! business of who uses them.

pub mod fields;

mod completeness;
mod kafka;
mod resolve;
mod resolved;
mod schema;
mod show;
mod values;

use std::path::{Path, PathBuf};

use detections::diagnostic::{Diagnostic, Sink, Source};

pub use self::resolved::{
    Config, FileSource, KafkaConfig, KafkaSource, KafkaTopics, LogFormat, Pubsub, Receiver,
    SinkConfig, SinkFormat, SinkKind, StateKind, Tls, TokenConfig, faults_of_listening,
};
pub use self::schema::{markdown, schema};
pub use self::show::show;
pub use self::values::{Secret, Values};

/// A configuration beyond this is none.
const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// Why a configuration could not be had at all. Faults in it are diagnostics.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is far too large.
    #[error("{path} is {size} bytes: a configuration has a few thousand", path = path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        size: u64,
    },
}

/// A configuration with what is wrong with it.
#[derive(Debug)]
pub struct Loaded {
    /// What was written, and what it comes to. `None` if there are errors.
    pub config: Option<(Values, Config)>,
    /// All faults, in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads and checks a file; without one, the defaults.
///
/// # Errors
/// If the file cannot be read.
pub fn load(path: Option<&Path>) -> Result<Loaded, ConfigError> {
    let Some(path) = path else {
        return Ok(parse("(defaults)", ""));
    };
    let failed = |source| ConfigError::Read {
        path: path.to_owned(),
        source,
    };
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > CONFIG_BYTES_MAX {
        return Err(ConfigError::TooLarge {
            path: path.to_owned(),
            size,
        });
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    Ok(parse(&path.display().to_string(), &text))
}

/// Checks a text.
#[must_use]
pub fn parse(name: &str, text: &str) -> Loaded {
    let mut sink = Sink::new(Source::new(name, text));
    let values = Values::read(&mut sink);
    let config = resolve::resolve(&values, &mut sink);
    let failed = sink.has_errors();
    Loaded {
        config: (!failed).then_some((values, config)),
        diagnostics: sink.finish(),
    }
}

#[cfg(test)]
mod tests;
