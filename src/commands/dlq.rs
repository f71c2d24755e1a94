//! `tidewatch dlq`: what could not be processed or delivered.

use std::io::Write as _;

use anyhow::anyhow;
use pipeline::control::{Line, Request, ask, bytes};
use pipeline::kafka::dlq::{Letter, Letters};
use pipeline::store::DeadLetter;
use pipeline::wire::text;

use crate::cli::live::{Chosen, DataArgs, DlqCommand};
use crate::exit::Exit;

use super::config::{Place, place};

pub(crate) fn run(command: &DlqCommand) -> anyhow::Result<Exit> {
    match command {
        DlqCommand::List { json, data } => list_letters(*json, data),
        DlqCommand::Show { number, data } => show_letter(*number, data),
        DlqCommand::Redrive { chosen, data } => redrive(chosen, data),
        DlqCommand::Remove { chosen, data } => remove(chosen, data),
    }
}

fn letters(
    data: &DataArgs,
    take: &mut dyn FnMut(u64, DeadLetter) -> bool,
) -> anyhow::Result<Option<()>> {
    let folder = match place(data)? {
        None => return Ok(None),
        Some(Place::Folder(folder)) => folder,
        Some(Place::Kafka(kafka)) => {
            let letters = Letters::open(&kafka)?;
            letters.each(&mut |number, letter| take(number, of_topic(letter)))?;
            return Ok(Some(()));
        }
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

fn redrive(chosen: &Chosen, data: &DataArgs) -> anyhow::Result<Exit> {
    let count = match place(data)? {
        None => return Ok(Exit::Config),
        Some(Place::Folder(folder)) => {
            ask(&folder, &Request::Redrive(numbers(chosen)), &mut |_| true)?
        }
        Some(Place::Kafka(kafka)) => Letters::open(&kafka)?.redrive(&numbers(chosen))?,
    };
    writeln!(std::io::stdout(), "{count} sent again")?;
    Ok(Exit::Success)
}

fn remove(chosen: &Chosen, data: &DataArgs) -> anyhow::Result<Exit> {
    let count = match place(data)? {
        None => return Ok(Exit::Config),
        Some(Place::Folder(folder)) => {
            ask(&folder, &Request::Forget(numbers(chosen)), &mut |_| true)?
        }
        Some(Place::Kafka(kafka)) if chosen.all => Letters::open(&kafka)?.pass_all()?,
        Some(Place::Kafka(_)) => {
            return Err(anyhow!(
                "a topic gives up nothing in its middle: --all passes over all that is there now"
            ));
        }
    };
    writeln!(std::io::stdout(), "{count} removed")?;
    Ok(Exit::Success)
}

/// A topic's letter in the form of all others.
fn of_topic(letter: &Letter) -> DeadLetter {
    let (text, hex) = match std::str::from_utf8(letter.bytes()) {
        Ok(text) => (Some(text.to_owned()), None),
        Err(_) => (None, Some(pipeline::hex::hex(letter.bytes()))),
    };
    DeadLetter {
        stage: letter.stage(),
        reason: letter.reason(),
        explanation: letter.explanation(),
        origin: letter.origin(),
        at_us: letter.at_us(),
        text,
        hex,
        ..DeadLetter::default()
    }
}
