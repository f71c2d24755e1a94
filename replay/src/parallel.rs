//! Reads inputs on several cores, with the same result as on one.
//!
//! ```text
//! inputs ─▶ pieces ─▶ worker: decode, judge ─┐
//!                  ─▶ worker: decode, judge ─┴▶ verdicts in the order of the inputs ─▶ merge (this thread)
//! ```
//!
//! 1. A worker takes an input for itself as long as there are some that nobody has; so many compressed files are
//!    decompressed side by side. Later it helps with the inputs of others: reading is one after the other, the rest is not.
//! 2. Verdicts are merged in the order of the inputs and of the pieces in them, whoever was faster.
//! 3. Memory is bounded: a worker that is too far ahead waits until what comes before has been merged. The piece that is
//!    to be merged next never waits, so that somebody always can go on. What waits is verdicts, not pieces, so that "too
//!    far" is gigabytes. Only of a stream, which cannot be read again, are the pieces kept.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read, Write};

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use pipeline::decode::{Decoder, Item, RejectReason, Rejected};
use pipeline::judge::{Judge, Judged};
use pipeline::run::Pipeline;

use crate::discover::InputPath;
use crate::pieces::{PIECE_BYTES, Piece, Source, State};
use crate::replay::{Reading, Replay};

/// 32 MiB of verdicts may wait to be merged: those on some gigabytes of log.
const WAITING_BYTES_MAX: usize = 32 << 20;

/// So many pieces wait before they are merged, if more are coming.
const MERGED_TOGETHER: usize = 8;

/// Which piece: of which input, and which of it.
type Place = (usize, u64);

/// What the workers share.
struct Floor<'a> {
    paths: &'a [InputPath],
    inputs: Vec<Open>,
    /// The next input that nobody has.
    free: AtomicUsize,
    board: Mutex<Board>,
    changed: Condvar,
    /// Merging has failed: everybody goes home.
    is_over: AtomicBool,
}

/// An input, and who waits for its first piece.
#[derive(Default)]
struct Open {
    source: Mutex<Source>,
    probed: Condvar,
}

/// Finished pieces that wait for those before them.
#[derive(Default)]
struct Board {
    waiting: BTreeMap<Place, Done>,
    bytes: usize,
    /// What is merged next.
    next: Place,
    /// Memory of pieces that are merged.
    free: Vec<Vec<u8>>,
}

/// A piece that was judged. Its bytes are there only if they cannot be read again.
struct Done {
    piece: Piece,
    verdicts: Vec<Judged>,
    rejected: Vec<OwnedReject>,
    /// The next piece can be decoded by itself, or there is none. If not, the verdicts do not count.
    is_sound: bool,
    /// Bytes of memory, about.
    weight: usize,
}

/// A rejected record, for the file of them.
struct OwnedReject {
    reason: RejectReason,
    bytes: Vec<u8>,
    offset: u64,
}

/// Locks; a thread that panicked has said so itself, and what it guarded is still whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<W: Write> Replay<'_, W> {
    /// Feeds all inputs through as many workers as threads were asked for.
    pub(crate) fn feed_in_parallel(
        &mut self,
        paths: &[InputPath],
        pipeline: &mut Pipeline<'_>,
        reading: &mut Reading<'_>,
    ) -> io::Result<()> {
        let floor = Floor {
            paths,
            inputs: paths.iter().map(|_| Open::default()).collect(),
            free: AtomicUsize::new(0),
            board: Mutex::default(),
            changed: Condvar::new(),
            is_over: AtomicBool::new(false),
        };
        let keep_rejects = self.rejects.is_some();
        std::thread::scope(|scope| {
            for _ in 0..self.threads {
                let worker = Worker {
                    floor: &floor,
                    judge: pipeline.judge(),
                    decoder: Decoder::of_pieces(Arc::clone(&self.cluster)),
                    own: None,
                    keep_rejects,
                };
                scope.spawn(move || worker.run());
            }
            let merged = self.merge_all(&floor, pipeline, reading);
            floor.go_home();
            merged
        })
    }

    fn merge_all(
        &mut self,
        floor: &Floor<'_>,
        pipeline: &mut Pipeline<'_>,
        reading: &mut Reading<'_>,
    ) -> io::Result<()> {
        for (input, path) in floor.paths.iter().enumerate() {
            let name = path.name();
            pipeline.begin_input(&name);
            self.merge_input(floor, input, &name, pipeline, reading)?;
            pipeline.end_input();
            let mut source = floor.source(input);
            reading.ended(name, source.fault.take(), source.consumed());
        }
        Ok(())
    }

    fn merge_input(
        &mut self,
        floor: &Floor<'_>,
        input: usize,
        name: &str,
        pipeline: &mut Pipeline<'_>,
        reading: &mut Reading<'_>,
    ) -> io::Result<()> {
        for number in 0.. {
            let done = floor.wait_for((input, number));
            if !done.is_sound {
                return self.decode_rest(floor, input, name, done.piece, pipeline);
            }
            if let Some(rejects) = &mut self.rejects {
                for reject in &done.rejected {
                    rejects.write(name, &reject.borrowed())?;
                }
            }
            for judged in done.verdicts {
                pipeline.merge(judged);
            }
            reading.show_all(pipeline, floor.consumed());
            if done.piece.is_last {
                break;
            }
            floor.recycle(done.piece.bytes);
        }
        Ok(())
    }

    /// Decodes an input from a piece on in one go, whatever was cut of it already.
    fn decode_rest(
        &mut self,
        floor: &Floor<'_>,
        input: usize,
        name: &str,
        first: Piece,
        pipeline: &mut Pipeline<'_>,
    ) -> io::Result<()> {
        floor.source(input).stop();
        floor.inputs[input].probed.notify_all();
        let (offset, lines) = (first.offset, first.lines);
        // Nothing is cut any more, so that this many pieces are there or on their way.
        let mut bytes = first.bytes;
        for number in first.number + 1..floor.source(input).pieces() {
            bytes.extend(floor.wait_for((input, number)).piece.bytes);
        }
        let rest = match &floor.paths[input] {
            InputPath::Stdin => floor.source(input).rest(),
            InputPath::File(path) => floor.source(input).reopened(path, offset),
        };
        let reader = Cursor::new(bytes).chain(rest);
        let cluster = Arc::clone(&self.cluster);
        let decoder = if lines {
            Decoder::resumed(reader, cluster, offset)
        } else {
            Decoder::new(reader, cluster)
        };
        if let Err(fault) = self.feed_decoder(decoder, name, pipeline, &mut |_| {})? {
            floor.source(input).fault = Some(fault);
        }
        Ok(())
    }
}

impl OwnedReject {
    fn new(rejected: &Rejected<'_>) -> Self {
        Self {
            reason: rejected.reason,
            bytes: rejected.bytes.to_vec(),
            offset: rejected.offset,
        }
    }

    fn borrowed(&self) -> Rejected<'_> {
        Rejected {
            reason: self.reason,
            bytes: &self.bytes,
            offset: self.offset,
        }
    }
}

impl Floor<'_> {
    fn source(&self, input: usize) -> MutexGuard<'_, Source> {
        lock(&self.inputs[input].source)
    }

    /// Bytes read of all inputs as they lie on disk.
    fn consumed(&self) -> u64 {
        self.inputs
            .iter()
            .map(|input| lock(&input.source).consumed())
            .sum()
    }

    /// Waits until a piece is there, and takes it off the board.
    fn wait_for(&self, place: Place) -> Done {
        let mut board = lock(&self.board);
        board.next = place;
        self.changed.notify_all();
        loop {
            if let Some(done) = board.waiting.remove(&place) {
                board.bytes -= done.weight;
                return done;
            }
            board = self
                .changed
                .wait(board)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn recycle(&self, bytes: Vec<u8>) {
        // A long line must not keep its memory for ever; that of pieces which can be read again has gone before.
        if (1..=4 * PIECE_BYTES).contains(&bytes.capacity()) {
            lock(&self.board).free.push(bytes);
        }
    }

    fn hand_in(&self, place: Place, done: Done) {
        // Whoever merges is not woken for each piece: that would cost more than merging it.
        let is_end = done.piece.is_last || !done.piece.lines || !done.is_sound;
        let mut board = lock(&self.board);
        while board.next != place
            && board.bytes + done.weight > WAITING_BYTES_MAX
            && !self.is_over.load(Ordering::Acquire)
        {
            self.changed.notify_all();
            board = self
                .changed
                .wait(board)
                .unwrap_or_else(PoisonError::into_inner);
        }
        board.bytes += done.weight;
        board.waiting.insert(place, done);
        let is_due = is_end || board.waiting.len() >= MERGED_TOGETHER;
        drop(board);
        if is_due {
            self.changed.notify_all();
        }
    }

    fn go_home(&self) {
        self.is_over.store(true, Ordering::Release);
        for input in &self.inputs {
            lock(&input.source).stop();
            input.probed.notify_all();
        }
        drop(lock(&self.board));
        self.changed.notify_all();
    }
}

/// One of the threads that judge.
struct Worker<'f, 'r> {
    floor: &'f Floor<'f>,
    judge: Judge<'r>,
    decoder: Decoder<io::Empty>,
    /// The input that it has taken for itself.
    own: Option<usize>,
    keep_rejects: bool,
}

impl Worker<'_, '_> {
    fn run(mut self) {
        while let Some((input, piece)) = self.next_piece() {
            let (number, is_probe) = (piece.number, !piece.lines);
            let keep = self.floor.paths[input] == InputPath::Stdin;
            let done = self.judge(piece, keep);
            if is_probe || !done.is_sound {
                let mut source = self.floor.source(input);
                source.probed(done.is_sound);
                if !done.is_sound {
                    source.stop();
                }
                drop(source);
                self.floor.inputs[input].probed.notify_all();
            }
            self.floor.hand_in((input, number), done);
        }
        self.floor.changed.notify_all();
    }

    /// Of its own input, else of one that nobody has, else of any other.
    fn next_piece(&mut self) -> Option<(usize, Piece)> {
        if let Some(own) = self.own {
            if let Some(piece) = self.cut(own) {
                return Some((own, piece));
            }
            self.own = None;
        }
        let free = self.floor.free.fetch_add(1, Ordering::Relaxed);
        if let Some(path) = self.floor.paths.get(free) {
            self.own = Some(free);
            let mut source = self.floor.source(free);
            if source.state() == State::Closed && !self.floor.is_over.load(Ordering::Acquire) {
                source.open(path);
                return Some((free, source.cut(self.memory())));
            }
        }
        (0..self.floor.paths.len()).find_map(|input| Some((input, self.cut(input)?)))
    }

    /// The next piece of an input that is open, if there is one.
    fn cut(&self, input: usize) -> Option<Piece> {
        let mut source = self.floor.source(input);
        loop {
            match source.state() {
                State::Lines => return Some(source.cut(self.memory())),
                State::Done => return None,
                State::Closed | State::Probed => {
                    source = self.floor.inputs[input]
                        .probed
                        .wait(source)
                        .unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    fn memory(&self) -> Vec<u8> {
        lock(&self.floor.board).free.pop().unwrap_or_default()
    }

    fn judge(&mut self, mut piece: Piece, keep: bool) -> Done {
        let (mut verdicts, mut rejected) = (Vec::new(), Vec::new());
        self.decoder
            .load(&mut piece.bytes, piece.offset, piece.lines);
        // Bytes in memory cannot fail to be read.
        while let Ok(Some(item)) = self.decoder.next() {
            if let (Item::Rejected(reject), true) = (&item, self.keep_rejects) {
                rejected.push(OwnedReject::new(reject));
            }
            if self.judge.accept(&item) {
                verdicts.push(self.judge.take());
            }
        }
        self.judge.note_skipped(self.decoder.take_skipped());
        verdicts.push(self.judge.take());
        let is_sound = piece.is_last || (piece.is_cut && self.decoder.is_between_lines());
        self.decoder.load(&mut piece.bytes, 0, true);
        if !keep {
            self.floor.recycle(std::mem::take(&mut piece.bytes));
        }
        let weight = piece.bytes.len()
            + verdicts.iter().map(Judged::weight).sum::<usize>()
            + rejected
                .iter()
                .map(|reject| reject.bytes.len())
                .sum::<usize>();
        Done {
            piece,
            verdicts,
            rejected,
            is_sound,
            weight,
        }
    }
}
