//! The baseline: ten envelope fields of each line into a borrowed struct, everything else skipped.

use std::borrow::Cow;
use std::hint::black_box;
use std::ops::Range;

use anyhow::Context as _;
use serde::Deserialize;

/// What a program would read that only wanted to know who did what.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code, reason = "filling the fields is the work that is measured")]
struct Envelope<'a> {
    #[serde(borrow, rename = "auditID")]
    audit_id: Text<'a>,
    #[serde(borrow)]
    stage: Text<'a>,
    #[serde(borrow)]
    verb: Text<'a>,
    #[serde(borrow, rename = "requestURI")]
    request_uri: Text<'a>,
    #[serde(borrow)]
    user: User<'a>,
    #[serde(borrow, default, rename = "sourceIPs")]
    source_ips: Vec<Text<'a>>,
    #[serde(borrow)]
    user_agent: Option<Text<'a>>,
    #[serde(borrow)]
    object_ref: Option<ObjectRef<'a>>,
    response_status: Option<ResponseStatus>,
    #[serde(borrow)]
    stage_timestamp: Text<'a>,
}

/// Serde borrows a `Cow` only where a field is one, not inside of `Option` or `Vec`; this makes every one borrow.
#[derive(Deserialize)]
#[allow(dead_code, reason = "filling the fields is the work that is measured")]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
#[allow(dead_code, reason = "filling the fields is the work that is measured")]
struct User<'a> {
    #[serde(borrow)]
    username: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "filling the fields is the work that is measured")]
struct ObjectRef<'a> {
    #[serde(borrow)]
    resource: Option<Text<'a>>,
    #[serde(borrow)]
    namespace: Option<Text<'a>>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "filling the fields is the work that is measured")]
struct ResponseStatus {
    code: Option<u16>,
}

/// Reads every line, checking that it is UTF-8, as a program must that reads a file; returns the number of events.
pub(crate) fn checked(corpus: &[u8]) -> anyhow::Result<u64> {
    let mut events = 0;
    for line in lines(corpus) {
        let event: Envelope<'_> =
            sonic_rs::from_slice(&corpus[line.clone()]).with_context(|| place(&line))?;
        black_box(event);
        events += 1;
    }
    Ok(events)
}

/// The same without the check: the corpus is already known to be UTF-8.
pub(crate) fn unchecked(corpus: &str) -> anyhow::Result<u64> {
    let mut events = 0;
    for line in lines(corpus.as_bytes()) {
        let event: Envelope<'_> =
            sonic_rs::from_str(&corpus[line.clone()]).with_context(|| place(&line))?;
        black_box(event);
        events += 1;
    }
    Ok(events)
}

/// Fields that stand before the bodies, and one behind them: to reach it the bodies must be skipped.
const FIELDS: [&[&str]; 6] = [
    &["stage"],
    &["requestURI"],
    &["verb"],
    &["user", "username"],
    &["objectRef", "resource"],
    &["stageTimestamp"],
];

/// Looks for the first fields of [`FIELDS`] in every line, as text; with five of them, nothing behind is looked at.
pub(crate) fn some(corpus: &[u8], fields: usize) -> anyhow::Result<u64> {
    let mut tree = sonic_rs::PointerTree::new();
    for path in &FIELDS[..fields] {
        tree.add_path(path.iter());
    }
    let mut events = 0;
    for line in lines(corpus) {
        black_box(sonic_rs::get_many(&corpus[line.clone()], &tree).with_context(|| place(&line))?);
        events += 1;
    }
    Ok(events)
}

/// Looks for line ends alone.
pub(crate) fn line_ends(corpus: &[u8]) -> u64 {
    lines(corpus).map(black_box).count() as u64
}

/// The lines that are not empty. Every corpus ends with an end of line.
fn lines(corpus: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    let lines = memchr::memchr_iter(b'\n', corpus)
        .map(move |end| std::mem::replace(&mut start, end + 1)..end);
    lines.filter(|line| !line.is_empty())
}

fn place(line: &Range<usize>) -> String {
    format!("the line at byte {} is no plain audit event", line.start)
}
