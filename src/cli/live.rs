//! Arguments of serving, and of looking at what it found.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use detections::sigma::ast::Level;

use super::{level, time};

pub(crate) const SERVE_HELP: &str = "\
Signals:
  SIGTERM, SIGINT   stop: open requests end, what was found is committed and delivered for 5 s at most
  SIGHUP            read rules and certificates again now

Without a configuration it listens on 127.0.0.1:9443, keeps everything below ./tidewatch-data, and sends alerts nowhere:
look at them with `tidewatch alerts list`.";

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// The configuration; `tidewatch config schema` and docs/config.md describe it.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where log, state and findings lie, in place of what the configuration says.
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Where to listen, in place of what the configuration says; port 0 is any.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<std::net::SocketAddr>,
}

/// Which data directory is meant.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct DataArgs {
    /// The configuration that names the data directory.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The data directory itself.
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    pub(crate) data_dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AlertsCommand {
    /// List findings, newest last, one line each.
    List {
        #[command(flatten)]
        filter: FilterArgs,
        /// At most so many, the newest; 0 for all.
        #[arg(long, default_value_t = 50)]
        limit: usize,
        #[command(flatten)]
        data: DataArgs,
    },
    /// Show findings in full.
    Show {
        /// Ids, or how they begin.
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
        #[command(flatten)]
        data: DataArgs,
    },
    /// Write findings for machines, one a line: the last record of each.
    Export {
        #[command(flatten)]
        filter: FilterArgs,
        /// In which form.
        #[arg(long, value_enum, default_value_t = ExportFormat::Ocsf)]
        format: ExportFormat,
        #[command(flatten)]
        data: DataArgs,
    },
}

/// Which findings.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct FilterArgs {
    /// Only those of at least this level.
    #[arg(long, value_name = "LEVEL", value_parser = level)]
    pub(crate) min_level: Option<Level>,
    /// Only those of this rule, by name or id; repeatable.
    #[arg(long, value_name = "RULE")]
    pub(crate) rule: Vec<String>,
    /// Only those of this cluster; repeatable.
    #[arg(long, value_name = "NAME")]
    pub(crate) cluster: Vec<String>,
    /// Only those raised or updated at or after this time (RFC 3339, or a date in UTC).
    #[arg(long, value_name = "TIME", value_parser = time, allow_hyphen_values = true)]
    pub(crate) since: Option<i64>,
    /// Only those raised or updated before this time.
    #[arg(long, value_name = "TIME", value_parser = time, allow_hyphen_values = true)]
    pub(crate) until: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// OCSF 1.8.0 Detection Finding.
    Ocsf,
    /// Everything that is kept: id, revision, times, text and OCSF.
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DlqCommand {
    /// List what could not be processed or delivered, oldest first.
    List {
        /// With all that is known, one JSON object a line.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        data: DataArgs,
    },
    /// Show the bytes of one, as they came in.
    Show {
        /// Its number.
        number: u64,
        #[command(flatten)]
        data: DataArgs,
    },
    /// Send again what a sink gave up, and evaluate again what could not be read. With embedded state this needs a running `tidewatch serve`.
    Redrive {
        #[command(flatten)]
        chosen: Chosen,
        #[command(flatten)]
        data: DataArgs,
    },
    /// Remove for good.
    Remove {
        #[command(flatten)]
        chosen: Chosen,
        #[command(flatten)]
        data: DataArgs,
    },
}

/// Which dead letters.
#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Chosen {
    /// Their numbers.
    #[arg(value_name = "NUMBER")]
    pub(crate) numbers: Vec<u64>,
    /// All of them.
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Show everything that is wrong with a configuration, and with what it names: rules, certificates, secrets.
    Check {
        /// The file.
        file: PathBuf,
    },
    /// Show what is in use, defaults included; secrets are stars.
    Show {
        /// The file; the defaults if it is left out.
        file: Option<PathBuf>,
    },
    /// Print a JSON Schema for editors.
    Schema,
}

#[derive(Debug, Args)]
pub(crate) struct SetupArgs {
    /// Where to write; made if it is not there. Nothing in it is overwritten.
    #[arg(long, value_name = "DIR", default_value = "tidewatch-setup")]
    pub(crate) out: PathBuf,
    /// The name of the cluster, as alerts will call it.
    #[arg(long, default_value = "default")]
    pub(crate) cluster: String,
    /// The name of this API server: each has its own address, so that its silence is noticed.
    #[arg(long, default_value = "apiserver")]
    pub(crate) apiserver: String,
    /// Host name or address under which the API server reaches Tidewatch.
    #[arg(long, default_value = "127.0.0.1")]
    pub(crate) host: String,
    /// The port there.
    #[arg(long, default_value_t = 9443)]
    pub(crate) port: u16,
    /// Where the files will lie on the API server's machine; the output directory if left out.
    #[arg(long, value_name = "DIR")]
    pub(crate) installed: Option<PathBuf>,
}
