//! Runs history through the pipeline.

use std::io::{self, Write};
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
        for path in inputs {
            let name = path.name();
            pipeline.begin_input(&name);
            let opened = match path {
                InputPath::Stdin => Input::stdin(),
                InputPath::File(path) => Input::open(path),
            };
            match opened {
                Ok(input) => self.feed(input, &name, &mut pipeline, &mut reading)?,
                Err(source) => reading.faults.push(InputFault {
                    input: name,
                    source,
                }),
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
        input: Input,
        name: &str,
        pipeline: &mut Pipeline<'_>,
        reading: &mut Reading<'_>,
    ) -> io::Result<()> {
        let consumed = input.consumed();
        let mut decoder = Decoder::new(input, self.cluster.clone());
        let mut shown = 0;
        loop {
            match decoder.next() {
                Ok(Some(item)) => {
                    if let (Item::Rejected(rejected), Some(rejects)) = (&item, &mut self.rejects) {
                        rejects.write(name, rejected)?;
                    }
                    pipeline.accept(&item);
                }
                Ok(None) => break,
                Err(source) => {
                    reading.faults.push(InputFault {
                        input: name.to_owned(),
                        source,
                    });
                    break;
                }
            }
            let records = pipeline.account().received;
            if records - shown >= PROGRESS_EVERY {
                shown = records;
                reading.show(pipeline, consumed.load(Ordering::Relaxed));
            }
        }
        pipeline.note_skipped(decoder.skipped());
        pipeline.end_input();
        reading.show(pipeline, consumed.load(Ordering::Relaxed));
        reading.bytes_before += consumed.load(Ordering::Relaxed);
        Ok(())
    }
}

/// What a replay keeps over its inputs.
struct Reading<'p> {
    progress: &'p mut dyn Progress,
    /// Bytes of the inputs that are done.
    bytes_before: u64,
    faults: Vec<InputFault>,
}

impl Reading<'_> {
    fn show(&mut self, pipeline: &Pipeline<'_>, bytes: u64) {
        self.progress.update(&State {
            bytes: self.bytes_before + bytes,
            records: pipeline.account().received,
            findings: pipeline.findings() as u64,
        });
    }
}
