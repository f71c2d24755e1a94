//! `tidewatch serve`.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use pipeline::config::{self, Config, LogFormat, StateKind};
use pipeline::topology::{Instance, StartError};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::cli::live::ServeArgs;
use crate::exit::Exit;

use super::config::load_or_show;

/// How often it is looked whether evaluation still runs.
const LOOK_EVERY: Duration = Duration::from_millis(500);

pub(crate) fn run(arguments: &ServeArgs) -> anyhow::Result<Exit> {
    let Some((_, mut config)) = load_or_show(arguments.config.as_deref())? else {
        return Ok(Exit::Config);
    };
    if let Some(data_dir) = &arguments.data_dir {
        config.data_dir.clone_from(data_dir);
    }
    if let Some(listen) = arguments.listen {
        config.listen = listen;
        if let Some(fault) = config::faults_of_listening(&config) {
            return Err(anyhow!(fault));
        }
    }
    start_logging(&config)?;
    raise_file_limit();
    // Signals that come while it starts are not lost.
    let signals = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut told = signals.block_on(async { Signals::listen() })?;
    let instance = match Instance::start(config) {
        Ok(instance) => instance,
        Err(StartError::RuleFaults(faults)) => {
            for fault in faults {
                anstream::eprintln!("{}\n", fault.render(true));
            }
            return Ok(Exit::Rules);
        }
        Err(error) => return Err(error.into()),
    };
    greet(&instance, arguments.config.is_none())?;
    let failed = signals.block_on(told.until_told(&instance));
    tracing::info!("stopping");
    instance.stop().context("evaluation failed")?;
    if failed {
        return Err(anyhow!("evaluation ended by itself"));
    }
    tracing::info!("stopped");
    Ok(Exit::Success)
}

/// The signals that are obeyed.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for a signal to stop; true if evaluation ended before.
    async fn until_told(&mut self, instance: &Instance) -> bool {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return false,
                _ = self.interrupt.recv() => return false,
                _ = self.hangup.recv() => instance.reload(),
                () = tokio::time::sleep(LOOK_EVERY) => {
                    if instance.has_failed() {
                        return true;
                    }
                }
            }
        }
    }
}

fn start_logging(config: &Config) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&config.log_level)
        .with_context(|| format!("logging.level = {:?}", config.log_level))?;
    let logging = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match config.log_format {
        LogFormat::Json => logging.json().init(),
        LogFormat::Text => logging
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .init(),
    }
    Ok(())
}

/// Each connection is a file; what the system allows at most is asked for.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
}

/// Says where it listens; and without a configuration, what to do next.
fn greet(instance: &Instance, explain: bool) -> anyhow::Result<()> {
    let config = instance.config();
    let scheme = if config.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let base = format!("{scheme}://{}", instance.address());
    let catalog = instance.live().rules();
    let rules = catalog.raising();
    match &config.kafka {
        Some(kafka) if config.state == StateKind::Kafka => {
            let (group, instance) = (&kafka.group, &kafka.instance);
            let alerts = &kafka.topics.alerts;
            tracing::info!(%base, rules, group, instance, alerts, "serving, with state in Kafka");
        }
        _ => tracing::info!(%base, rules, data = %config.data_dir.display(), "serving"),
    }
    if explain {
        let mut err = anstream::stderr().lock();
        write!(err, "{}", guide(&base, &config.data_dir))?;
    }
    Ok(())
}

fn guide(base: &str, data_dir: &Path) -> String {
    format!(
        "
Audit events go to {base}/v1/audit/<cluster>/<apiserver>.

The API server's --audit-webhook-config-file=webhook.yaml, to paste:

  apiVersion: v1
  kind: Config
  clusters:
  - name: tidewatch
    cluster:
      server: {base}/v1/audit/default/apiserver
  users:
  - name: apiserver
  contexts:
  - name: tidewatch
    context: {{cluster: tidewatch, user: apiserver}}
  current-context: tidewatch

Its other flags: --audit-policy-file=… --audit-webhook-batch-max-wait=1s (the default is to wait for 30 s).
`tidewatch setup` writes all of it, with an audit policy and certificates.

Try it without a cluster:
  curl --data-binary @events.ndjson {base}/v1/audit/default/apiserver
  tidewatch alerts list --data-dir {data}
",
        data = data_dir.display()
    )
}
