//! Colours and widths.

use std::io::IsTerminal as _;

use anstyle::{AnsiColor, Style};

use crate::cli::ColorChoice;

/// `error:` on standard error.
pub(crate) const ERROR: Style = AnsiColor::Red.on_default().bold();

/// Whether to colour what goes to standard output.
pub(crate) fn coloured(choice: ColorChoice) -> bool {
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => {
            std::io::stdout().is_terminal()
                && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        }
    }
}

/// Columns to wrap at: the terminal's, if it tells and is neither tiny nor a wall.
pub(crate) fn width() -> usize {
    let told = std::env::var("COLUMNS")
        .ok()
        .and_then(|columns| columns.parse().ok());
    let told = told.or_else(|| terminal_size::terminal_size().map(|(columns, _)| columns.0.into()));
    told.unwrap_or(100).clamp(60, 140)
}

/// Makes `anstream` follow the user's choice for standard error as well.
pub(crate) fn apply(choice: ColorChoice) {
    match choice {
        ColorChoice::Always => anstream::ColorChoice::Always,
        ColorChoice::Never => anstream::ColorChoice::Never,
        ColorChoice::Auto => anstream::ColorChoice::Auto,
    }
    .write_global();
}
