//! Runs history through the pipeline.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use pipeline::catalog::Catalog;
use pipeline::decode::{Decoder, Item};
use pipeline::run::{Options, Pipeline, Report};
use pipeline::source::input::Input;

use crate::discover::InputPath;
use crate::rejects::RejectsFile;

/// Events between two looks at the progress display.
const PROGRESS_EVERY: u64 = 4096;

/// Told how far a replay is.
pub trait Progress {
    /// Called every few thousand events and at the end of each input.
    fn update(&mut self, state: &State);
}

/// How far a replay is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Bytes read of the inputs as they lie on disk, compressed or not.
    pub bytes: u64,
    /// Records decoded.
    pub records: u64,
    /// Findings so far.
    pub findings: u64,
}

/// Shows nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quiet;

impl Progress for Quiet {
    fn update(&mut self, _: &State) {}
}

/// An input that could not be read to its end. What stood before the fault was judged.
#[derive(Debug, thiserror::Error)]
#[error("{input}: {source}")]
pub struct InputFault {
    /// The input's name.
    pub input: String,
    /// Why.
    pub source: io::Error,
}

/// What a replay yields.
#[derive(Debug)]
pub struct Replayed {
    /// Alerts and counters.
    pub report: Report,
    /// Inputs that could not be read to their end.
    pub faults: Vec<InputFault>,
    /// Bytes read, as on disk.
    pub bytes: u64,
}

/// A replay over some inputs.
pub struct Replay<'a, W> {
    /// The rules.
    pub catalog: &'a Catalog,
    /// How to run them.
    pub options: Options,
    /// The cluster of events whose envelope names none.
    pub cluster: Arc<str>,
    /// Where rejected records go, if anywhere.
    pub rejects: Option<RejectsFile<W>>,
    /// How many threads decode and judge; with one, everything happens on the caller's.
    pub threads: usize,
}

impl<W: Write> Replay<'_, W> {
    /// Reads all inputs. A broken input never stops the run.
    ///
    /// # Errors
    /// Only if the rejects file cannot be written: then what is rejected would be lost.
    pub fn run(
        mut self,
        inputs: &[InputPath],
        progress: &mut dyn Progress,
    ) -> io::Result<Replayed> {
        let mut pipeline = Pipeline::new(self.catalog, self.options.clone());
        let mut reading = Reading {
            progress,
            bytes_before: 0,
            faults: Vec::new(),
        };
        if self.threads > 1 {
            self.feed_in_parallel(inputs, &mut pipeline, &mut reading)?;
        } else {
            for path in inputs {
                self.feed(path, &mut pipeline, &mut reading)?;
            }
        }
        if let Some(rejects) = &mut self.rejects {
            rejects.flush()?;
        }
        let report = pipeline.finish();
        Ok(Replayed {
            report,
            faults: reading.faults,
            bytes: reading.bytes_before,
        })
    }

    fn feed(
        &mut self,
        path: &InputPath,
        pipeline: &mut Pipeline<'_>,
        reading: &mut Reading<'_>,
    ) -> io::Result<()> {
        let name = path.name();
        pipeline.begin_input(&name);
        let opened = match path {
            InputPath::Stdin => Input::stdin(),
            InputPath::File(path) => Input::open(path),
        };
        let input = match opened {
            Ok(input) => input,
            Err(fault) => {
                reading.ended(name, Some(fault), 0);
                return Ok(());
            }
        };
        let consumed = input.consumed();
        let decoder = Decoder::new(input, self.cluster.clone());
        let mut show = |pipeline: &Pipeline<'_>| {
            reading.show(pipeline, consumed.load(Ordering::Relaxed));
        };
        let fault = self
            .feed_decoder(decoder, &name, pipeline, &mut show)?
            .err();
        pipeline.end_input();
        show(pipeline);
        reading.ended(name, fault, consumed.load(Ordering::Relaxed));
        Ok(())
    }

    /// Takes in all that a decoder yields; the inner error is the reader's.
    pub(crate) fn feed_decoder<R: Read>(
        &mut self,
        mut decoder: Decoder<R>,
        name: &str,
        pipeline: &mut Pipeline<'_>,
        show: &mut dyn FnMut(&Pipeline<'_>),
    ) -> io::Result<io::Result<()>> {
        let mut records = 0_u64;
        let ended = loop {
            match decoder.next() {
                Ok(Some(item)) => {
                    if let (Item::Rejected(rejected), Some(rejects)) = (&item, &mut self.rejects) {
                        rejects.write(name, rejected)?;
                    }
                    pipeline.accept(&item);
                }
                Ok(None) => break Ok(()),
                Err(fault) => break Err(fault),
            }
            records += 1;
            if records.is_multiple_of(PROGRESS_EVERY) {
                show(pipeline);
            }
        };
        pipeline.note_skipped(decoder.skipped());
        Ok(ended)
    }
}

/// What a replay keeps over its inputs.
pub(crate) struct Reading<'p> {
    progress: &'p mut dyn Progress,
    /// Bytes of the inputs that are done.
    bytes_before: u64,
    faults: Vec<InputFault>,
}

impl Reading<'_> {
    fn show(&mut self, pipeline: &Pipeline<'_>, bytes: u64) {
        self.show_all(pipeline, self.bytes_before + bytes);
    }

    /// `bytes` are those of all inputs so far.
    pub(crate) fn show_all(&mut self, pipeline: &Pipeline<'_>, bytes: u64) {
        self.progress.update(&State {
            bytes,
            records: pipeline.account().received,
            findings: pipeline.findings() as u64,
        });
    }

    /// Notes the end of an input, and why it ended early.
    pub(crate) fn ended(&mut self, input: String, fault: Option<io::Error>, bytes: u64) {
        self.bytes_before += bytes;
        let fault = fault.map(|source| InputFault { input, source });
        self.faults.extend(fault);
    }
}
