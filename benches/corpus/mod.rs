//! The events that the benchmarks run over, in memory, as plain bytes.

use std::cell::RefCell;
use std::io::Read as _;

use anyhow::{Context as _, anyhow};
use pipeline::decode::{Decoder, Item};
use pipeline::source::input::Input;
use replay::discover::{InputPath, discover};

/// Reads a file, a folder or a glob, decompressed, one input behind the other. Relative paths start at the root of the
/// repository, where Cargo runs the benches of this package.
pub(crate) fn read(argument: &str) -> anyhow::Result<Vec<u8>> {
    let inputs = discover(&[argument.to_owned()])
        .map_err(|errors| anyhow!(errors.iter().map(ToString::to_string).collect::<String>()))?;
    let mut bytes = Vec::new();
    for path in &inputs.paths {
        let mut input = match path {
            InputPath::Stdin => Input::stdin(),
            InputPath::File(path) => Input::open(path),
        }
        .with_context(|| format!("cannot open {}", path.name()))?;
        input
            .read_to_end(&mut bytes)
            .with_context(|| format!("cannot read {}", path.name()))?;
        if bytes.last().is_some_and(|last| *last != b'\n') {
            bytes.push(b'\n');
        }
    }
    Ok(bytes)
}

/// The plain events that lie in the repository, so that every bench runs on a fresh clone.
#[allow(dead_code, reason = "not every program has a default")]
pub(crate) fn demo() -> String {
    "replay/demo/*.ndjson.zst".to_owned()
}

/// The arguments behind `--` on the command line of `cargo bench`; `None` if it was not `cargo bench` that started this
/// program: `cargo test --benches` does too, and must not wait for a measurement.
pub(crate) fn arguments() -> Option<Vec<String>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_bench = arguments.iter().any(|argument| argument == "--bench");
    is_bench.then(|| {
        arguments
            .into_iter()
            .filter(|argument| argument != "--bench")
            .collect()
    })
}

/// Decodes bytes where they lie, as the program does with the pieces that it has read, and hands out every item.
#[allow(dead_code, reason = "not every program decodes")]
pub(crate) fn decode(
    bytes: &RefCell<Vec<u8>>,
    mut each: impl FnMut(Item<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut decoder = Decoder::of_pieces("default".into());
    let mut bytes = bytes.borrow_mut();
    decoder.load(&mut bytes, 0, false);
    while let Some(item) = decoder.next()? {
        each(item)?;
    }
    // Hands the bytes back.
    decoder.load(&mut bytes, 0, false);
    Ok(())
}
