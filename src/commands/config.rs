//! `tidewatch config`.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use detections::diagnostic::Severity;
use pipeline::config::{self, Config, KafkaConfig, StateKind, Values};
use pipeline::topology::check_world;

use crate::cli::live::{ConfigCommand, DataArgs};
use crate::exit::Exit;

pub(crate) fn run(command: &ConfigCommand) -> anyhow::Result<Exit> {
    let mut out = std::io::stdout().lock();
    match command {
        ConfigCommand::Check { file } => {
            let Some((_, config)) = load_or_show(Some(file))? else {
                return Ok(Exit::Config);
            };
            let faults = check_world(&config);
            for fault in &faults {
                anstream::eprintln!("{fault}\n");
            }
            if !faults.is_empty() {
                return Ok(Exit::Config);
            }
            writeln!(out, "{} is good", file.display())?;
        }
        ConfigCommand::Show { file } => {
            let Some((values, _)) = load_or_show(file.as_deref())? else {
                return Ok(Exit::Config);
            };
            write!(out, "{}", config::show(&values))?;
        }
        ConfigCommand::Schema => {
            writeln!(out, "{}", serde_json::to_string_pretty(&config::schema())?)?;
        }
    }
    Ok(Exit::Success)
}

/// Where an installation keeps what it knows.
pub(crate) enum Place {
    /// In a data directory.
    Folder(PathBuf),
    /// In Kafka.
    Kafka(Box<KafkaConfig>),
}

/// Where the data lies; `None` if the configuration has errors.
pub(crate) fn place(data: &DataArgs) -> anyhow::Result<Option<Place>> {
    if let Some(folder) = &data.data_dir {
        return Ok(Some(Place::Folder(folder.clone())));
    }
    let loaded = load_or_show(data.config.as_deref())?;
    Ok(
        loaded.map(|(_, config)| match (config.state, config.kafka) {
            (StateKind::Kafka, Some(kafka)) => Place::Kafka(Box::new(kafka)),
            _ => Place::Folder(config.data_dir),
        }),
    )
}

/// The configuration; `None` if it has errors, which have been shown. Warnings are shown, too.
pub(crate) fn load_or_show(path: Option<&Path>) -> anyhow::Result<Option<(Values, Config)>> {
    let loaded = config::load(path)?;
    let mut errors = 0;
    for fault in &loaded.diagnostics {
        errors += usize::from(fault.severity == Severity::Error);
        anstream::eprintln!("{}\n", fault.render(true));
    }
    if errors > 0 {
        anstream::eprintln!("{errors} errors in the configuration");
    }
    Ok(loaded.config)
}
