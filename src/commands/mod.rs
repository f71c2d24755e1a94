//! One function per command.

mod alerts;
mod baseline;
mod config;
mod dlq;
mod replay;
mod rules;
mod serve;
mod setup;

use std::io::Write as _;

use clap::CommandFactory as _;

use crate::cli::{Cli, Command};
use crate::exit::Exit;
use crate::output;

/// Runs the command.
pub(crate) fn run(cli: Cli) -> anyhow::Result<Exit> {
    output::apply(cli.color);
    match cli.command {
        Command::Replay(arguments) => replay::run(&arguments, cli.color),
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Alerts(command) => alerts::alerts(&command),
        Command::Dlq(command) => dlq::run(&command),
        Command::Config(command) => config::run(&command),
        Command::Setup(arguments) => setup::run(&arguments),
        Command::Baseline(command) => baseline::run(&command),
        Command::Rules(command) => rules::run(&command, cli.color),
        Command::Completions { shell } => {
            // Written in one piece: the generator itself panics if its reader has gone.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "tidewatch", &mut script);
            std::io::stdout().write_all(&script)?;
            Ok(Exit::Success)
        }
    }
}
