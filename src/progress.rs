//! The progress display on standard error: bytes, events per second, findings, time left.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use replay::replay::{Progress, State};

/// A bar, or nothing where nobody would see it.
pub(crate) struct Display {
    bar: ProgressBar,
}

impl Display {
    /// Shows progress towards `total` bytes, if that is known; quiet when standard error is no terminal.
    pub(crate) fn new(total: Option<u64>, quiet: bool) -> Self {
        let hidden = quiet || !std::io::stderr().is_terminal();
        let target = if hidden {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr_with_hz(8)
        };
        let template = match total {
            Some(_) => "{bar:24} {bytes}/{total_bytes}  {msg}  {eta} left",
            None => "{spinner} {bytes}  {msg}",
        };
        let bar = ProgressBar::with_draw_target(total, target);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self { bar }
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Progress for Display {
    fn update(&mut self, state: &State) {
        let seconds = self.bar.elapsed().as_secs_f64().max(0.001);
        let rate = state.records as f64 / seconds;
        self.bar.set_position(state.bytes);
        self.bar
            .set_message(format!("{rate:.0} events/s  {} findings", state.findings));
    }
}
