//! Contenders over the same bytes, in one process, in turn, round after round: whatever disturbs the machine disturbs all of
//! them. The median of the rounds is what counts; every round is printed.

use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use mimalloc::MiMalloc;
use pipeline::alert::Alert;

/// The program's own, for all contenders.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Fewer rounds have no median worth the name.
pub(crate) const ROUNDS_MIN: usize = 5;

/// What one pass over the corpus did.
pub(crate) struct Work {
    pub(crate) events: u64,
    pub(crate) alerts: Vec<Alert>,
}

impl Work {
    pub(crate) fn without_alerts(events: u64) -> Self {
        Self {
            events,
            alerts: Vec::new(),
        }
    }
}

/// One pass over the corpus.
pub(crate) type Pass<'a> = Box<dyn Fn() -> anyhow::Result<Work> + 'a>;

/// One way of doing the work.
struct Contender<'a> {
    name: &'static str,
    pass: Pass<'a>,
    seconds: Vec<f64>,
    /// What the first pass raised; all others must raise the same.
    alerts: Option<Vec<Alert>>,
}

/// Contenders and what they have done so far.
pub(crate) struct Race<'a> {
    contenders: Vec<Contender<'a>>,
    events: Option<u64>,
}

impl<'a> Race<'a> {
    pub(crate) fn new(passes: Vec<(&'static str, Pass<'a>)>) -> Self {
        let contender = |(name, pass)| Contender {
            name,
            pass,
            seconds: Vec::new(),
            alerts: None,
        };
        Self {
            contenders: passes.into_iter().map(contender).collect(),
            events: None,
        }
    }

    /// Lets every contender run once.
    pub(crate) fn round(&mut self) -> anyhow::Result<()> {
        for contender in &mut self.contenders {
            let started = Instant::now();
            let work = (contender.pass)().with_context(|| contender.name)?;
            contender.seconds.push(started.elapsed().as_secs_f64());
            let expected = *self.events.get_or_insert(work.events);
            ensure!(
                work.events == expected,
                "{} saw {} events, the others {expected}",
                contender.name,
                work.events
            );
            let first = contender.alerts.get_or_insert_with(|| work.alerts.clone());
            ensure!(
                *first == work.alerts,
                "{} raised other alerts than in its first round",
                contender.name
            );
        }
        Ok(())
    }

    /// The median of a contender, in seconds.
    pub(crate) fn median(&self, name: &str) -> f64 {
        let contender = self
            .contenders
            .iter()
            .find(|contender| contender.name == name);
        contender.map_or(f64::NAN, |contender| median(&contender.seconds))
    }

    /// Prints everything but ratios.
    pub(crate) fn report(&self, corpus: &str, bytes: usize) {
        let events = self.events.unwrap_or_default() as f64;
        let megabytes = bytes as f64 / 1e6;
        println!("machine  {}", machine());
        println!("commit   {}", commit());
        println!(
            "corpus   {corpus}: {events} events, {megabytes:.1} MB, {:.0} bytes an event",
            bytes as f64 / events
        );
        println!(
            "checked  equal event counts everywhere, equal alerts of a contender in every round\n"
        );
        println!(
            "{:<34} {:>8} {:>7} {:>10} {:>6}  rounds, seconds",
            "", "median s", "GB/s", "events/s", "alerts"
        );
        for contender in &self.contenders {
            let seconds = median(&contender.seconds);
            let rounds: Vec<String> = contender
                .seconds
                .iter()
                .map(|seconds| format!("{seconds:.4}"))
                .collect();
            let speed = bytes as f64 / seconds / 1e9;
            let rate = events / seconds;
            let alerts = contender.alerts.as_ref().map_or(0, Vec::len);
            println!(
                "{:<34} {seconds:>8.4} {speed:>7.3} {rate:>10.0} {alerts:>6}  {}",
                contender.name,
                rounds.join(" ")
            );
        }
        println!();
    }
}

/// Prints a ratio with what it is to be.
pub(crate) fn ratio(what: &str, value: f64, goal: &str) {
    println!("ratio    {what} = {value:.3}{goal}");
}

fn median(seconds: &[f64]) -> f64 {
    let mut sorted = seconds.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match (sorted.get(middle), sorted.get(middle.wrapping_sub(1))) {
        (Some(upper), Some(lower)) if sorted.len().is_multiple_of(2) => {
            f64::midpoint(*lower, *upper)
        }
        (Some(only), _) => *only,
        (None, _) => f64::NAN,
    }
}

/// The processor, as the kernel names it.
fn machine() -> String {
    let told = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = told
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "{}, {cores} cores",
        model.map_or(std::env::consts::ARCH, |(_, name)| name)
    )
}

/// The commit that was measured, marked if the tree held more than it.
fn commit() -> String {
    let told = Command::new("git")
        .args(["describe", "--always", "--dirty=, with changes"])
        .output();
    let text = told.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.ok()
        .filter(|text| !text.is_empty())
        .unwrap_or_else(|| "unknown".to_owned())
}
