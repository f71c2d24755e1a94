//! Arguments of learning, and of looking at what is known.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{RuleArgs, network, threads, time, window};

#[derive(Debug, Subcommand)]
pub(crate) enum BaselineCommand {
    /// Learn from history what is usual: for every account, and for every baseline of the rules.
    ///
    /// `tidewatch replay --baseline FILE` starts from what it writes. Do not replay the same time again with it: what is seen twice
    /// counts twice.
    Learn(Box<LearnArgs>),
    /// Show what is known: of whom, or all about one account.
    Show(ShowArgs),
}

#[derive(Debug, Args)]
pub(crate) struct LearnArgs {
    /// Files, folders, globs, or `-` for standard input, as for replay.
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<String>,
    /// Where to write what was learned.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Go on from what an earlier run has learned.
    #[arg(long, value_name = "FILE")]
    pub(crate) baseline: Option<PathBuf>,
    /// After so long what would be a finding is on probation: it counts only from the next day it is seen.
    #[arg(long, value_name = "TIME", default_value = "14d", value_parser = window)]
    pub(crate) learn: i64,
    /// Only events at or after this time.
    #[arg(long, value_name = "TIME", value_parser = time, allow_hyphen_values = true)]
    pub(crate) from: Option<i64>,
    /// Only events before this time.
    #[arg(long, value_name = "TIME", value_parser = time, allow_hyphen_values = true)]
    pub(crate) to: Option<i64>,
    /// The cluster of events whose envelope names none.
    #[arg(long, default_value = "default")]
    pub(crate) cluster: String,
    /// A proxy whose word on client addresses is trusted; repeatable.
    #[arg(long, value_name = "NET", value_parser = network)]
    pub(crate) trusted_proxy: Vec<ipnet::IpNet>,
    /// An account that is your own automation: a kind of its own; repeatable.
    #[arg(long, value_name = "NAME")]
    pub(crate) automation: Vec<String>,
    /// A component of the control plane that Kubernetes does not reserve the name of; repeatable.
    #[arg(long, value_name = "NAME")]
    pub(crate) component: Vec<String>,
    /// Threads that decode and judge.
    #[arg(long, value_name = "N", value_parser = threads)]
    pub(crate) threads: Option<usize>,
    /// No progress display and no summary.
    #[arg(long, short)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) rules: RuleArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// A file that `tidewatch baseline learn` wrote.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// All about the account of this name.
    #[arg(long, value_name = "NAME")]
    pub(crate) actor: Option<String>,
    /// Only this cluster.
    #[arg(long, value_name = "NAME")]
    pub(crate) cluster: Option<String>,
    /// For people, or for machines: a JSON object for each account.
    #[arg(long, value_enum, default_value_t = ShowFormat::Text)]
    pub(crate) format: ShowFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ShowFormat {
    Text,
    Json,
}
