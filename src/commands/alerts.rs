//! `tidewatch alerts`: what the serving process has found.

use std::io::{BufWriter, Write as _};
use std::path::PathBuf;

use anyhow::anyhow;
use detections::sigma::ast::Level;
use pipeline::control::{Line, Request, ask};
use pipeline::store::{Filter, Record};
use pipeline::wire::text;

use crate::cli::live::{AlertsCommand, DataArgs, ExportFormat, FilterArgs};
use crate::exit::Exit;

use super::config::{Place, place};

pub(crate) fn alerts(command: &AlertsCommand) -> anyhow::Result<Exit> {
    match command {
        AlertsCommand::List {
            filter,
            limit,
            data,
        } => list(filter, *limit, data),
        AlertsCommand::Show { ids, data } => show(ids, data),
        AlertsCommand::Export {
            filter,
            format,
            data,
        } => export(filter, *format, data),
    }
}

/// Where the data lies; `None` if the configuration has errors.
fn folder(data: &DataArgs) -> anyhow::Result<Option<PathBuf>> {
    match place(data)? {
        None => Ok(None),
        Some(Place::Folder(folder)) => Ok(Some(folder)),
        Some(Place::Kafka(kafka)) => Err(anyhow!(
            "with state in Kafka alerts are in its topic {}: read them from there",
            kafka.topics.alerts
        )),
    }
}

fn filter(arguments: &FilterArgs) -> Filter {
    let least = arguments.min_level.unwrap_or(Level::Informational);
    let levels = Level::ALL.into_iter().filter(|level| *level >= least);
    Filter {
        since_us: arguments.since,
        until_us: arguments.until,
        levels: levels.map(|level| level.as_str().to_owned()).collect(),
        rules: arguments.rule.clone(),
        clusters: arguments.cluster.clone(),
        ..Filter::default()
    }
}

/// Hands records to a function, newest first.
fn records(
    data: &DataArgs,
    filter: Filter,
    take: &mut dyn FnMut(Record) -> bool,
) -> anyhow::Result<Option<()>> {
    let Some(folder) = folder(data)? else {
        return Ok(None);
    };
    ask(&folder, &Request::Alerts(filter), &mut |line| match line {
        Line::Alert(record) => take(*record),
        _ => true,
    })?;
    Ok(Some(()))
}

/// All of them, newest first; `None` if the configuration has errors.
fn collected(data: &DataArgs, filter: Filter) -> anyhow::Result<Option<Vec<Record>>> {
    let mut found = Vec::new();
    let asked = records(data, filter, &mut |record| {
        found.push(record);
        true
    })?;
    Ok(asked.map(|()| found))
}

fn list(arguments: &FilterArgs, limit: usize, data: &DataArgs) -> anyhow::Result<Exit> {
    let filter = Filter {
        limit: (limit > 0).then_some(limit),
        ..filter(arguments)
    };
    let Some(found) = collected(data, filter)? else {
        return Ok(Exit::Config);
    };
    let mut out = anstream::AutoStream::auto(std::io::stdout()).lock();
    for record in found.iter().rev() {
        let short = record.uid.get(..8).unwrap_or(&record.uid);
        writeln!(out, "{short}  {}", record.line)?;
    }
    if found.is_empty() {
        anstream::eprintln!("no alerts");
    } else if found.len() == limit {
        anstream::eprintln!("the newest {limit}; --limit 0 shows all");
    }
    Ok(Exit::Success)
}

fn show(ids: &[String], data: &DataArgs) -> anyhow::Result<Exit> {
    let mut out = anstream::AutoStream::auto(std::io::stdout()).lock();
    for id in ids {
        let filter = Filter {
            uid: Some(id.to_ascii_lowercase()),
            ..Filter::default()
        };
        let Some(found) = collected(data, filter)? else {
            return Ok(Exit::Config);
        };
        if found.is_empty() {
            return Err(anyhow!("there is no finding whose id begins with {id}"));
        }
        for record in &found {
            writeln!(out, "{}", record.text)?;
            let raised = text::time(record.raised_us);
            writeln!(
                out,
                "  id {}, record {} ({}), raised {raised}\n",
                record.uid, record.revision, record.activity
            )?;
        }
    }
    Ok(Exit::Success)
}

fn export(arguments: &FilterArgs, format: ExportFormat, data: &DataArgs) -> anyhow::Result<Exit> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut failed = None;
    let asked = records(data, filter(arguments), &mut |record| {
        let line = match format {
            ExportFormat::Ocsf => record.ocsf,
            ExportFormat::Json => serde_json::to_string(&record).unwrap_or_default(),
        };
        failed = writeln!(out, "{line}").err();
        failed.is_none()
    })?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    out.flush()?;
    Ok(asked.map_or(Exit::Config, |()| Exit::Success))
}
