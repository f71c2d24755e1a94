//! How other processes ask the one that has the data directory: a socket in it, which only its owner can open.
//!
//! A request is one line of JSON, the answer lines of JSON; the last one is `{"end": …}`. Without a running process the store is
//! opened directly, for questions that change nothing.

use std::io::{self, BufRead as _, BufReader, BufWriter, Read as _, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

use crate::live::DataLock;
use crate::spool::disk::{Disk, Folder};
use crate::spool::{Appender, BodyMeta, SourceKind};
use crate::store::{DeadLetter, Filter, Record, Step, Store, StoreError};

/// The socket's name in the data directory.
const SOCKET: &str = "control.sock";

/// 1 MiB: the longest request.
const REQUEST_BYTES_MAX: u64 = 1 << 20;

/// How long a peer may be silent.
const PATIENCE: Duration = Duration::from_secs(30);

/// What can be asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Findings, newest first.
    Alerts(Filter),
    /// All dead letters, oldest first.
    DeadLetters,
    /// Sends dead letters again: these, or all.
    Redrive(Vec<u64>),
    /// Forgets dead letters: these, or all.
    Forget(Vec<u64>),
}

/// A line of an answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// A finding's last record.
    Alert(Box<Record>),
    /// A dead letter and its number.
    DeadLetter(u64, Box<DeadLetter>),
    /// All was said; how many were sent again or forgotten.
    End(u64),
    /// It failed.
    Error(String),
}

/// Why nothing can be asked.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// There is no data.
    #[error("{path} holds no data of tidewatch: give the data directory with --data-dir, or the configuration with --config", path = .0.display())]
    Nothing(PathBuf),
    /// The process that has the directory cannot be asked.
    #[error("cannot ask the process that has {path}: {source}", path = path.display())]
    Socket {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No process has the directory, and this needs one.
    #[error("this needs a running `tidewatch serve` on {path}", path = .0.display())]
    NotRunning(PathBuf),
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The answer is that it failed.
    #[error("{0}")]
    Refused(String),
}

/// Answers on the socket until the process ends.
#[derive(Debug)]
pub struct ControlServer {
    path: PathBuf,
}

/// What requests need.
#[derive(Clone, Debug)]
pub struct Served {
    /// The store.
    pub store: Arc<Store>,
    /// Where redriven bodies go.
    pub log: Appender,
    /// Runs appends.
    pub runtime: Handle,
}

impl ControlServer {
    /// Listens in a data directory.
    ///
    /// # Errors
    /// If the socket cannot be made.
    pub fn start(data_dir: &Path, served: Served) -> io::Result<Self> {
        let path = data_dir.join(SOCKET);
        // Whoever has the lock may remove what a process before left.
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        std::thread::Builder::new()
            .name("control".to_owned())
            .spawn(move || {
                for stream in listener.incoming().flatten() {
                    if let Err(error) = converse(&stream, &served) {
                        tracing::debug!(%error, "a conversation on the control socket ended early");
                    }
                }
            })?;
        Ok(Self { path })
    }
}

impl Drop for ControlServer {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.path));
    }
}

fn converse(stream: &UnixStream, served: &Served) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = String::new();
    BufReader::new(stream.take(REQUEST_BYTES_MAX)).read_line(&mut line)?;
    let mut out = BufWriter::new(stream);
    let mut say = |line: Line| write_line(&mut out, &line).is_ok();
    let last = match serde_json::from_str(&line) {
        Ok(request) => answer(&request, &served.store, Some(served), &mut say)
            .unwrap_or_else(|error| Line::Error(error.to_string())),
        Err(error) => Line::Error(format!("this is no request: {error}")),
    };
    say(last);
    out.flush()
}

fn write_line<T: Serialize>(out: &mut impl Write, line: &T) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}

/// Answers a request; returns the last line.
fn answer(
    request: &Request,
    store: &Store,
    served: Option<&Served>,
    say: &mut dyn FnMut(Line) -> bool,
) -> Result<Line, StoreError> {
    match request {
        Request::Alerts(filter) => {
            store.findings(filter, &mut |record| say(Line::Alert(Box::new(record))))?;
            Ok(Line::End(0))
        }
        Request::DeadLetters => {
            store.dead_letters(&mut |number, letter| {
                say(Line::DeadLetter(number, Box::new(letter)))
            })?;
            Ok(Line::End(0))
        }
        Request::Forget(numbers) => each(store, numbers, &mut |step, number, _| {
            step.exhume(number)?;
            Ok(true)
        }),
        Request::Redrive(numbers) => match served {
            None => Ok(Line::Error("not running".to_owned())),
            Some(served) => each(store, numbers, &mut |step, number, letter| {
                redrive(served, step, number, letter)
            }),
        },
    }
}

/// Does something with these letters, or with all, each in a step of its own: the log is written to in between.
fn each(
    store: &Store,
    numbers: &[u64],
    act: &mut dyn FnMut(&Step, u64, &DeadLetter) -> Result<bool, StoreError>,
) -> Result<Line, StoreError> {
    let mut chosen = numbers.to_vec();
    if chosen.is_empty() {
        store.dead_letters(&mut |number, _| {
            chosen.push(number);
            true
        })?;
    }
    let mut done = 0;
    for number in chosen {
        let step = store.begin()?;
        let Some(letter) = step.dead_letter(number)? else {
            return Ok(Line::Error(format!("there is no dead letter {number}")));
        };
        done += u64::from(act(&step, number, &letter)?);
        step.commit()?;
    }
    Ok(Line::End(done))
}

/// Sends a letter the way that it came: bytes into the log, an alert to its sink.
fn redrive(
    served: &Served,
    step: &Step,
    number: u64,
    letter: &DeadLetter,
) -> Result<bool, StoreError> {
    if let Some(sink) = letter.stage.strip_prefix("sink ") {
        let text = letter.text.clone().unwrap_or_default();
        let known = parse_uid(&letter.uid)
            .map(|uid| step.finding(&uid))
            .transpose()?;
        let record = known.flatten().unwrap_or_else(|| Record {
            uid: letter.uid.clone(),
            rule: letter.origin.clone(),
            cluster: letter.cluster.clone(),
            raised_us: letter.at_us,
            line: text.clone(),
            text: text.clone(),
            ocsf: text,
            ..Record::default()
        });
        step.send_again(&Record {
            only: Some(sink.to_owned()),
            ..record
        })?;
        step.exhume(number)?;
        return Ok(true);
    }
    let Some(bytes) = bytes(letter).filter(|bytes| !bytes.is_empty()) else {
        return Ok(false);
    };
    let meta = BodyMeta {
        source: SourceKind::Webhook,
        cluster: letter.cluster.clone(),
        origin: "redriven".to_owned(),
        ..BodyMeta::default()
    };
    let appended = served.runtime.block_on(served.log.append(&bytes, meta));
    appended.map_err(|error| StoreError::Open(io::Error::other(error)))?;
    step.exhume(number)?;
    Ok(true)
}

/// The bytes that a letter keeps.
#[must_use]
pub fn bytes(letter: &DeadLetter) -> Option<Vec<u8>> {
    if let Some(text) = &letter.text {
        return Some(text.clone().into_bytes());
    }
    unhex(letter.hex.as_deref()?)
}

fn parse_uid(text: &str) -> Option<[u8; 16]> {
    unhex(text)?.try_into().ok()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

/// Asks the process that has a data directory, or else the store in it.
///
/// # Errors
/// If neither can be asked, or the answer is that it failed.
pub fn ask(
    data_dir: &Path,
    request: &Request,
    take: &mut dyn FnMut(Line) -> bool,
) -> Result<u64, ControlError> {
    if !data_dir.is_dir() {
        return Err(ControlError::Nothing(data_dir.to_owned()));
    }
    let socket = |source| ControlError::Socket {
        path: data_dir.to_owned(),
        source,
    };
    let Some(_lock) = DataLock::take(data_dir).map_err(socket)? else {
        return ask_process(data_dir, request, take);
    };
    if matches!(request, Request::Redrive(_)) {
        return Err(ControlError::NotRunning(data_dir.to_owned()));
    }
    let folder = data_dir.join("store");
    if !folder.is_dir() {
        return Err(ControlError::Nothing(data_dir.to_owned()));
    }
    let disk: Arc<dyn Disk> = Arc::new(Folder::open(&folder).map_err(socket)?);
    let store = Store::open(&disk)?;
    last_line(answer(request, &store, None, take)?)
}

fn ask_process(
    data_dir: &Path,
    request: &Request,
    take: &mut dyn FnMut(Line) -> bool,
) -> Result<u64, ControlError> {
    let socket = |source| ControlError::Socket {
        path: data_dir.to_owned(),
        source,
    };
    let mut stream = UnixStream::connect(data_dir.join(SOCKET)).map_err(socket)?;
    write_line(&mut stream, request).map_err(socket)?;
    for line in BufReader::new(&stream).lines() {
        let line: Line = serde_json::from_str(&line.map_err(socket)?)
            .map_err(|error| socket(io::Error::other(error)))?;
        if matches!(line, Line::End(_) | Line::Error(_)) {
            return last_line(line);
        }
        if !take(line) {
            return Ok(0);
        }
    }
    Err(socket(io::ErrorKind::UnexpectedEof.into()))
}

fn last_line(line: Line) -> Result<u64, ControlError> {
    match line {
        Line::End(done) => Ok(done),
        Line::Error(text) => Err(ControlError::Refused(text)),
        Line::Alert(_) | Line::DeadLetter(..) => Ok(0),
    }
}
