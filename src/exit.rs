//! Exit codes and what each promises.

use std::process::ExitCode;

/// How a run ended. `tidewatch --help` documents the numbers; scripts rely on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0: everything was done. Alerts are no failure.
    Success = 0,
    /// 1: something could not be read or written; what could be was done.
    Failure = 1,
    /// 3: rules have errors, or a rule's test failed. (2 is the argument parser's.)
    Rules = 3,
    /// 4: the configuration has errors.
    Config = 4,
    /// 10: an alert at or above `--fail-on` was raised.
    Alerts = 10,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
