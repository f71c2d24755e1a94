//! Argument types. The help text is the manual.

pub(crate) mod baseline;
pub(crate) mod live;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use detections::sigma::ast::Level;
use pipeline::rules::RuleSources;

const EXIT_CODES: &str = "\
Exit codes:
  0   done; alerts are no failure
  1   something could not be read or written; what could be was done
  2   the arguments are wrong
  3   rules have errors, or a rule's test failed
  4   the configuration has errors
  10  an alert at or above --fail-on was raised";

/// Kubernetes audit-log detection: audit logs in, explained and ATT&CK-mapped alerts out.
#[derive(Debug, Parser)]
#[command(version, about, after_help = EXIT_CODES, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Colour in what is printed for people.
    #[arg(long, global = true, value_enum, default_value_t = ColorChoice::Auto)]
    pub(crate) color: ColorChoice,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the rules over history: files, folders, globs, or standard input.
    ///
    /// Reads plain, gzip and zstd files (told by content, not by name) with audit events in any of these forms, also mixed:
    /// the API server's own log and webhook bodies (one event a line, `EventList`, JSON arrays), AKS diagnostic records
    /// (Event Hubs, Log Analytics), EKS CloudWatch records and export files, GKE Cloud Audit log entries.
    #[command(after_long_help = REPLAY_EXAMPLES)]
    Replay(ReplayArgs),
    /// Receive audit logs and raise alerts: the API server's audit webhook, Firehose, Pub/Sub, followed files.
    #[command(after_long_help = live::SERVE_HELP)]
    Serve(live::ServeArgs),
    /// Look at what `serve` found.
    #[command(subcommand)]
    Alerts(live::AlertsCommand),
    /// Look at what could not be processed or delivered, and send it again.
    #[command(subcommand)]
    Dlq(live::DlqCommand),
    /// Check and show the configuration of `serve`.
    #[command(subcommand)]
    Config(live::ConfigCommand),
    /// Write an audit policy, the webhook's kubeconfig, API server flags, and certificates for a trial.
    Setup(live::SetupArgs),
    /// Learn from history what is usual, and look at what is known.
    #[command(subcommand)]
    Baseline(baseline::BaselineCommand),
    /// Check, list, explain and test rules.
    #[command(subcommand)]
    Rules(RulesCommand),
    /// Print a completion script for a shell.
    ///
    /// For bash: `tidewatch completions bash > /etc/bash_completion.d/tidewatch`.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

const REPLAY_EXAMPLES: &str = "\
Examples:
  tidewatch replay /var/log/kubernetes/audit/
  tidewatch replay 'exports/2026-11-*.json.gz' --cluster prod-eu --min-level medium
  kubectl logs … | tidewatch replay - --format ocsf > alerts.ndjson
  tidewatch replay logs/ --from 2026-11-20T22:00:00Z --to 2026-11-20T23:00:00Z
  tidewatch replay logs/ --rules my-rules/ --exclusions exclusions.yml --fail-on high";

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// Files, folders, globs, or `-` for standard input.
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<String>,
    /// How alerts are written to standard output.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// Print only alerts of at least this level; the summary counts all.
    #[arg(long, value_name = "LEVEL", value_parser = level)]
    pub(crate) min_level: Option<Level>,
    /// Exit with 10 if an alert of at least this level was raised.
    #[arg(long, value_name = "LEVEL", value_parser = level)]
    pub(crate) fail_on: Option<Level>,
    /// Only events at or after this time (event time; RFC 3339, or a date in UTC).
    #[arg(long, value_name = "TIME", value_parser = time, allow_hyphen_values = true)]
    pub(crate) from: Option<i64>,
    /// Only events before this time.
    #[arg(long, value_name = "TIME", value_parser = time, allow_hyphen_values = true)]
    pub(crate) to: Option<i64>,
    /// The cluster of events whose envelope names none. Alert ids depend on it.
    #[arg(long, default_value = "default")]
    pub(crate) cluster: String,
    /// How long one act may go on before it becomes a new finding: `30m`, `1h`, `1d`.
    #[arg(long, default_value = "1h", value_parser = window)]
    pub(crate) window: i64,
    /// A proxy whose word on client addresses is trusted, as address or network; repeatable. Loopback always is.
    #[arg(long, value_name = "NET", value_parser = network)]
    pub(crate) trusted_proxy: Vec<ipnet::IpNet>,
    /// An account that is your own automation (CI, GitOps): its findings are one level lower; repeatable.
    #[arg(long, value_name = "NAME")]
    pub(crate) automation: Vec<String>,
    /// Do not look for what is unusual for an account as a whole (docs/surprise.md).
    #[arg(long)]
    pub(crate) no_surprise: bool,
    /// How long an account's habits are learned before anything is called unusual: `7d`, `14d`.
    #[arg(long, value_name = "TIME", default_value = "14d", value_parser = window)]
    pub(crate) learn: i64,
    /// Start from what history taught: a file that `tidewatch baseline learn` wrote.
    #[arg(long, value_name = "FILE")]
    pub(crate) baseline: Option<PathBuf>,
    /// A component of the control plane that Kubernetes does not reserve the name of: `system:kwok-controller`; repeatable.
    #[arg(long, value_name = "NAME")]
    pub(crate) component: Vec<String>,
    /// Threads that decode and judge; as many as there are cores unless told. The findings are the same.
    #[arg(long, value_name = "N", value_parser = threads)]
    pub(crate) threads: Option<usize>,
    /// Write what could not be read to this file, with place and reason (NDJSON).
    #[arg(long, value_name = "FILE")]
    pub(crate) rejects: Option<PathBuf>,
    /// In text: also every matched line, what would silence the alert, known false alarms, and where the record is.
    #[arg(long, short)]
    pub(crate) verbose: bool,
    /// No progress display and no summary.
    #[arg(long, short)]
    pub(crate) quiet: bool,
    // Last, since its heading would cover what follows.
    #[command(flatten)]
    pub(crate) rules: RuleArgs,
}

/// Which rules to use.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Rules")]
pub(crate) struct RuleArgs {
    /// More rules: a file or a folder of Sigma rules; repeatable.
    #[arg(long, value_name = "PATH")]
    pub(crate) rules: Vec<PathBuf>,
    /// Use only the rules given by --rules.
    #[arg(long, requires = "rules")]
    pub(crate) no_bundled: bool,
    /// Leave out a rule by name or id, or all rules with a tag; repeatable.
    #[arg(long, value_name = "RULE")]
    pub(crate) disable: Vec<String>,
    /// A file of Sigma filters that say what is expected; repeatable.
    #[arg(long, value_name = "FILE")]
    pub(crate) exclusions: Vec<PathBuf>,
    /// A YAML file of lists for %placeholders% in rules; repeatable.
    #[arg(long, value_name = "FILE")]
    pub(crate) lists: Vec<PathBuf>,
}

impl RuleArgs {
    pub(crate) fn sources(&self) -> RuleSources {
        RuleSources {
            without_bundled: self.no_bundled,
            paths: self.rules.clone(),
            disabled: self.disable.clone(),
            exclusions: self.exclusions.clone(),
            lists: self.lists.clone(),
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum RulesCommand {
    /// Read rules and show everything that is wrong with them.
    Check {
        /// Rule files or folders; the bundled rules if none are given.
        #[arg(value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// YAML files of lists for %placeholders%.
        #[arg(long, value_name = "FILE")]
        lists: Vec<PathBuf>,
        /// One line per fault.
        #[arg(long)]
        concise: bool,
        /// Warnings are failures too.
        #[arg(long)]
        strict: bool,
    },
    /// List rules with level, tactic and title.
    List {
        #[command(flatten)]
        rules: RuleArgs,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show a rule's page, or why it matches an event or does not.
    ///
    /// The event is a file with an audit event (for a correlation: several) in any envelope, `-` for standard input, or the audit event itself. Without
    /// one the rule's page is printed.
    Explain {
        /// The rule, by name or id.
        rule: String,
        /// A file with the event, `-`, or the event as JSON.
        event: Option<String>,
        #[command(flatten)]
        rules: RuleArgs,
    },
    /// Run rules on the events of their pages.
    Test {
        /// Names of rules; all if none are given.
        names: Vec<String>,
        #[command(flatten)]
        rules: RuleArgs,
    },
    /// Show which ATT&CK techniques the rules cover.
    Coverage {
        #[command(flatten)]
        rules: RuleArgs,
        /// As a table, or as an ATT&CK Navigator 4.5 layer.
        #[arg(long, value_enum, default_value_t = CoverageFormat::Table)]
        format: CoverageFormat,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people: everything needed to act.
    Text,
    /// For people: one line an alert.
    Line,
    /// For machines: OCSF 1.8.0 Detection Finding, one a line.
    Ocsf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CoverageFormat {
    Table,
    Navigator,
}

fn level(text: &str) -> Result<Level, String> {
    Level::parse(text).ok_or_else(|| {
        format!(
            "the levels are {}",
            Level::ALL.map(Level::as_str).join(", ")
        )
    })
}

/// Microseconds since 1970 UTC.
fn time(text: &str) -> Result<i64, String> {
    let day = format!("{text}T00:00:00Z");
    let found = detections::scalar::micros(text).or_else(|| detections::scalar::micros(&day));
    found.ok_or_else(|| "write 2026-11-20T22:41:51Z, or 2026-11-20".to_owned())
}

/// More threads than any machine has cores would only wait.
fn threads(text: &str) -> Result<usize, String> {
    let number = text.parse().ok();
    number
        .filter(|number| (1..=1024).contains(number))
        .ok_or_else(|| "write a number from 1 to 1024".to_owned())
}

/// Microseconds.
fn window(text: &str) -> Result<i64, String> {
    let help = || "write a whole number with s, m, h or d: 30m".to_owned();
    let unit = text.chars().last().ok_or_else(help)?;
    let number: i64 = text.trim_end_matches(unit).parse().map_err(|_| help())?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(help()),
    };
    number
        .checked_mul(seconds * 1_000_000)
        .filter(|window| *window > 0)
        .ok_or_else(help)
}

fn network(text: &str) -> Result<ipnet::IpNet, String> {
    let address = || text.parse::<std::net::IpAddr>().map(ipnet::IpNet::from);
    text.parse()
        .or_else(|_| address())
        .map_err(|_| "write 10.0.0.0/8 or 10.0.0.1".to_owned())
}
