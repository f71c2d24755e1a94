//! `tidewatch alerts` and `tidewatch dlq`: what the serving process has found, and what it could not process.

use std::io::{BufWriter, Write as _};
use std::path::PathBuf;

use anyhow::anyhow;
use detections::sigma::ast::Level;
use pipeline::control::{Line, Request, ask, bytes};
use pipeline::store::{DeadLetter, Filter, Record};
use pipeline::wire::text;

use crate::cli::live::{AlertsCommand, Chosen, DataArgs, DlqCommand, ExportFormat, FilterArgs};
use crate::exit::Exit;

use super::config::load_or_show;

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

pub(crate) fn dlq(command: &DlqCommand) -> anyhow::Result<Exit> {
    match command {
        DlqCommand::List { json, data } => list_letters(*json, data),
        DlqCommand::Show { number, data } => show_letter(*number, data),
        DlqCommand::Redrive { chosen, data } => {
            change(&Request::Redrive(numbers(chosen)), data, "sent again")
        }
        DlqCommand::Remove { chosen, data } => {
            change(&Request::Forget(numbers(chosen)), data, "removed")
        }
    }
}

/// Where the data lies; `None` if the configuration has errors.
fn folder(data: &DataArgs) -> anyhow::Result<Option<PathBuf>> {
    if let Some(folder) = &data.data_dir {
        return Ok(Some(folder.clone()));
    }
    let loaded = load_or_show(data.config.as_deref())?;
    Ok(loaded.map(|(_, config)| config.data_dir))
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

fn letters(
    data: &DataArgs,
    take: &mut dyn FnMut(u64, DeadLetter) -> bool,
) -> anyhow::Result<Option<()>> {
    let Some(folder) = folder(data)? else {
        return Ok(None);
    };
    ask(&folder, &Request::DeadLetters, &mut |line| match line {
        Line::DeadLetter(number, letter) => take(number, *letter),
        _ => true,
    })?;
    Ok(Some(()))
}

fn list_letters(json: bool, data: &DataArgs) -> anyhow::Result<Exit> {
    let mut out = std::io::stdout().lock();
    let (mut count, mut failed) = (0, None);
    let asked = letters(data, &mut |number, letter| {
        count += 1;
        failed = writeln!(out, "{}", letter_line(number, &letter, json)).err();
        failed.is_none()
    })?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    if count == 0 && asked.is_some() {
        anstream::eprintln!("no dead letters");
    }
    Ok(asked.map_or(Exit::Config, |()| Exit::Success))
}

fn letter_line(number: u64, letter: &DeadLetter, json: bool) -> String {
    if json {
        let mut document = serde_json::to_value(letter).unwrap_or_default();
        document["number"] = number.into();
        return document.to_string();
    }
    let size = bytes(letter).map_or(0, |bytes| bytes.len());
    let explanation: String = letter
        .explanation
        .chars()
        .map(|character| {
            if character.is_control() {
                ' '
            } else {
                character
            }
        })
        .take(120)
        .collect();
    format!(
        "{number:>6}  {}  {}  {}  {explanation} ({size} bytes)",
        text::time(letter.at_us),
        letter.stage,
        letter.origin,
    )
}

fn show_letter(number: u64, data: &DataArgs) -> anyhow::Result<Exit> {
    let mut found = None;
    let asked = letters(data, &mut |this, letter| {
        if this == number {
            found = bytes(&letter);
        }
        this < number
    })?;
    if asked.is_none() {
        return Ok(Exit::Config);
    }
    let bytes = found.ok_or_else(|| anyhow!("there is no dead letter {number} with bytes"))?;
    std::io::stdout().write_all(&bytes)?;
    Ok(Exit::Success)
}

fn numbers(chosen: &Chosen) -> Vec<u64> {
    if chosen.all {
        Vec::new()
    } else {
        chosen.numbers.clone()
    }
}

fn change(request: &Request, data: &DataArgs, done: &str) -> anyhow::Result<Exit> {
    let Some(folder) = folder(data)? else {
        return Ok(Exit::Config);
    };
    let count = ask(&folder, request, &mut |_| true)?;
    writeln!(std::io::stdout(), "{count} {done}")?;
    Ok(Exit::Success)
}
