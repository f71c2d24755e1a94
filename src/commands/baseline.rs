//! `tidewatch baseline`.

use std::fs::File;
use std::io::{BufWriter, Write};

use anyhow::{Context as _, anyhow};
use detections::surprise::{ActorKnown, Model, PartKind, ValueKnown};
use pipeline::learned::Learned;
use pipeline::run::Options;
use pipeline::surprise;
use pipeline::wire::text::{safe, time};
use replay::discover::discover;
use replay::replay::Replay;
use serde_json::json;

use crate::cli::baseline::{BaselineCommand, LearnArgs, ShowArgs, ShowFormat};
use crate::exit::Exit;
use crate::progress::Display;

use super::replay::{cores, join, learned, reading, settings, total_bytes};
use super::rules::load_or_show;

pub(crate) fn run(command: &BaselineCommand) -> anyhow::Result<Exit> {
    match command {
        BaselineCommand::Learn(arguments) => learn(arguments),
        BaselineCommand::Show(arguments) => show(arguments),
    }
}

fn learn(arguments: &LearnArgs) -> anyhow::Result<Exit> {
    let Some(rules) = load_or_show(&arguments.rules.sources())? else {
        return Ok(Exit::Rules);
    };
    let catalog = rules.into_catalog();
    let inputs = discover(&arguments.paths).map_err(|errors| anyhow!(join(&errors)))?;
    let mut display = Display::new(total_bytes(&inputs), arguments.quiet);
    let replay = Replay::<BufWriter<File>> {
        catalog: &catalog,
        options: options(arguments)?,
        cluster: arguments.cluster.as_str().into(),
        rejects: None,
        threads: arguments.threads.unwrap_or_else(cores),
    };
    let replayed = replay.run(&inputs.paths, &mut display)?;
    display.finish();
    for fault in &replayed.faults {
        anstream::eprintln!("fault: {fault}");
    }
    let account = &replayed.report.account;
    let lost = account.not_correlated.iter().chain(&account.not_surprised);
    if let Some(fault) = lost.into_iter().next() {
        return Err(anyhow!(
            "nothing is written, since not all could be learned: {fault}"
        ));
    }
    let learned = replayed.report.learned.unwrap_or_default();
    learned.write(&arguments.out)?;
    if !arguments.quiet {
        let actors: usize = learned
            .models
            .values()
            .map(|model| model.size().actors)
            .sum();
        anstream::eprintln!(
            "learned from {} events: {actors} accounts, {} groups of baselines → {}",
            account.evaluated,
            learned.groups(),
            arguments.out.display()
        );
    }
    Ok(if replayed.faults.is_empty() {
        Exit::Success
    } else {
        Exit::Failure
    })
}

fn options(arguments: &LearnArgs) -> anyhow::Result<Options> {
    Ok(Options {
        settings: settings(&arguments.trusted_proxy),
        automation: arguments.automation.clone(),
        surprise: Some(surprise::Options {
            learning_us: arguments.learn,
            reading: reading(&arguments.automation, &arguments.component),
        }),
        learned: learned(arguments.baseline.as_deref())?,
        keeps_learned: true,
        from_us: arguments.from,
        to_us: arguments.to,
        ..Options::default()
    })
}

fn show(arguments: &ShowArgs) -> anyhow::Result<Exit> {
    let learned = Learned::read(&arguments.file)?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut shown = 0;
    for (cluster, model) in &learned.models {
        if arguments
            .cluster
            .as_deref()
            .is_some_and(|name| name != &**cluster)
        {
            continue;
        }
        shown += show_cluster(arguments, cluster, model, &mut out).context("cannot write")?;
    }
    if arguments.actor.is_none() && arguments.format == ShowFormat::Text {
        writeln!(out, "baselines: {} groups", learned.groups())?;
    }
    out.flush()?;
    if let (Some(actor), 0) = (&arguments.actor, shown) {
        return Err(anyhow!(
            "{} knows nothing of {actor}; without --actor it lists whom it knows",
            arguments.file.display()
        ));
    }
    Ok(Exit::Success)
}

/// How many accounts were shown.
fn show_cluster(
    arguments: &ShowArgs,
    cluster: &str,
    model: &Model,
    out: &mut impl Write,
) -> std::io::Result<usize> {
    let is_asked = |name: &str| arguments.actor.as_deref().is_none_or(|actor| actor == name);
    let asked = model.actors().map(|(actor, _)| actor);
    let asked: Vec<_> = asked.filter(|actor| is_asked(&actor.name)).collect();
    if arguments.format == ShowFormat::Text && arguments.actor.is_none() {
        writeln!(out, "cluster {}: {} accounts", safe(cluster), asked.len())?;
    }
    for actor in &asked {
        let Some(known) = model.known(actor) else {
            continue;
        };
        match (arguments.format, &arguments.actor) {
            (ShowFormat::Json, _) => {
                writeln!(out, "{}", json!({"cluster": cluster, "known": known}))?;
            }
            (ShowFormat::Text, None) => writeln!(out, "  {}", line(&known))?,
            (ShowFormat::Text, Some(_)) => write_all(cluster, &known, out)?,
        }
    }
    Ok(asked.len())
}

/// An account in one line.
fn line(known: &ActorKnown) -> String {
    format!(
        "{}  {} sessions, {} values, {} to {}",
        safe(&known.actor.name),
        known.sessions,
        known.values.len(),
        time(known.first_us),
        time(known.last_us)
    )
}

/// All that is known of an account.
fn write_all(cluster: &str, known: &ActorKnown, out: &mut impl Write) -> std::io::Result<()> {
    writeln!(
        out,
        "{} (one of the {}) in {}: {} sessions of ten minutes, {} to {}",
        safe(&known.actor.name),
        known.actor.kind.plural(),
        safe(cluster),
        known.sessions,
        time(known.first_us),
        time(known.last_us)
    )?;
    if !known.groups.is_empty() {
        let groups: Vec<String> = known.groups.iter().map(|group| safe(group)).collect();
        writeln!(out, "  groups: {}", groups.join(", "))?;
    }
    let mut kind: Option<PartKind> = None;
    for value in &known.values {
        if kind.replace(value.kind) != Some(value.kind) {
            writeln!(out, "  {}", value.kind.as_str())?;
        }
        writeln!(out, "    {}", value_line(value))?;
    }
    Ok(())
}

fn value_line(value: &ValueKnown) -> String {
    let standing = if value.on_probation {
        ", on probation: seen in a finding only"
    } else if value.days >= 2 {
        ", a habit"
    } else {
        ""
    };
    format!(
        "{}: {} sessions on {} days, {} to {}{standing}",
        safe(&value.value),
        value.sessions,
        value.days,
        time(value.first_us),
        time(value.last_us)
    )
}
