//! `tidewatch replay`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, anyhow};
use detections::event::Settings;
use detections::sigma::ast::Level;
use detections::surprise::Reading;
use pipeline::alert::Alert;
use pipeline::learned::Learned;
use pipeline::run::Options;
use pipeline::surprise;
use pipeline::wire::{ocsf, text};
use replay::discover::{InputPath, Inputs, discover};
use replay::rejects::RejectsFile;
use replay::replay::{Replay, Replayed};

use crate::cli::{ColorChoice, Format, ReplayArgs};
use crate::exit::Exit;
use crate::progress::Display;
use crate::{output, summary};

use super::rules::load_or_show;

pub(crate) fn run(arguments: &ReplayArgs, color: ColorChoice) -> anyhow::Result<Exit> {
    let Some(rules) = load_or_show(&arguments.rules.sources())? else {
        return Ok(Exit::Rules);
    };
    let catalog = rules.into_catalog();
    let inputs = discover(&arguments.paths).map_err(|errors| anyhow!(join(&errors)))?;
    let started = Instant::now();
    let mut display = Display::new(total_bytes(&inputs), arguments.quiet);
    let replay = Replay {
        catalog: &catalog,
        options: options(arguments)?,
        cluster: arguments.cluster.as_str().into(),
        rejects: rejects(arguments)?,
        threads: arguments.threads.unwrap_or_else(cores),
    };
    let replayed = replay
        .run(&inputs.paths, &mut display)
        .context("cannot write the rejects file")?;
    display.finish();
    // Stories stand behind what they are made of: they are what is read first, at the end of a screen.
    let report = &replayed.report;
    let alerts: Vec<&Alert> = report.alerts.iter().chain(&report.stories).collect();
    write_alerts(&alerts, arguments, color).context("cannot write the alerts")?;
    if !arguments.quiet {
        let text = summary::render(&replayed, &catalog, inputs.skipped.len(), started.elapsed());
        anstream::eprint!("{text}");
    }
    Ok(exit(&replayed, arguments))
}

pub(super) fn join<E: std::fmt::Display>(errors: &[E]) -> String {
    errors
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n       ")
}

fn options(arguments: &ReplayArgs) -> anyhow::Result<Options> {
    Ok(Options {
        settings: settings(&arguments.trusted_proxy),
        automation: arguments.automation.clone(),
        window_us: arguments.window,
        surprise: surprise(arguments),
        learned: learned(arguments.baseline.as_deref())?,
        keeps_learned: false,
        from_us: arguments.from,
        to_us: arguments.to,
    })
}

/// How the detector of surprise is set, unless it is off.
fn surprise(arguments: &ReplayArgs) -> Option<surprise::Options> {
    (!arguments.no_surprise).then_some(surprise::Options {
        learning_us: arguments.learn,
        reading: reading(&arguments.automation, &arguments.component),
    })
}

/// What views need to know, with the proxies that the user trusts besides.
pub(super) fn settings(trusted_proxies: &[ipnet::IpNet]) -> Arc<Settings> {
    let mut settings = Settings::default();
    settings.trusted_proxies.extend(trusted_proxies);
    Arc::new(settings)
}

/// What the user says about accounts.
pub(super) fn reading(automation: &[String], components: &[String]) -> Reading {
    Reading {
        automation: automation.to_vec(),
        components: components.to_vec(),
        ..Reading::default()
    }
}

/// What history taught, if the user names a file of it.
pub(super) fn learned(file: Option<&Path>) -> anyhow::Result<Option<Arc<Learned>>> {
    Ok(file.map(Learned::read).transpose()?.map(Arc::new))
}

fn rejects(arguments: &ReplayArgs) -> anyhow::Result<Option<RejectsFile<BufWriter<File>>>> {
    let Some(path) = &arguments.rejects else {
        return Ok(None);
    };
    let file = File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
    Ok(Some(RejectsFile::new(BufWriter::new(file))))
}

/// One thread a core, as far as the system tells.
pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The bytes to read, if no input is a stream.
pub(super) fn total_bytes(inputs: &Inputs) -> Option<u64> {
    let size = |path: &InputPath| match path {
        InputPath::Stdin => None,
        InputPath::File(path) => path
            .metadata()
            .ok()
            .filter(std::fs::Metadata::is_file)
            .map(|file| file.len()),
    };
    inputs.paths.iter().map(size).sum()
}

fn write_alerts(
    alerts: &[&Alert],
    arguments: &ReplayArgs,
    color: ColorChoice,
) -> std::io::Result<()> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    let style = text::Style {
        colour: output::coloured(color),
        width: output::width(),
        date: !is_one_day(alerts),
        verbose: arguments.verbose,
    };
    let processed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis();
    let processed = i64::try_from(processed).unwrap_or(i64::MAX);
    let least = arguments.min_level.unwrap_or(Level::Informational);
    for alert in alerts.iter().filter(|alert| alert.severity.level >= least) {
        match arguments.format {
            Format::Text => writeln!(out, "{}\n", text::render(alert, &style))?,
            Format::Line => writeln!(out, "{}", text::render_line(alert))?,
            Format::Ocsf => writeln!(out, "{}", ocsf::to_line(alert, processed))?,
        }
    }
    out.flush()
}

/// Dates are left out where they would all be the same.
fn is_one_day(alerts: &[&Alert]) -> bool {
    const DAY_US: i64 = 86_400_000_000;
    let days = || {
        alerts
            .iter()
            .flat_map(|alert| [alert.first_us, alert.last_us])
            .map(|time| time.map(|time| time.div_euclid(DAY_US)))
    };
    days().min() == days().max()
}

fn exit(replayed: &Replayed, arguments: &ReplayArgs) -> Exit {
    let reached = |level: Level| {
        replayed
            .report
            .alerts
            .iter()
            .chain(&replayed.report.stories)
            .any(|alert| alert.severity.level >= level)
    };
    if arguments.fail_on.is_some_and(reached) {
        Exit::Alerts
    } else if replayed.faults.is_empty() {
        Exit::Success
    } else {
        Exit::Failure
    }
}
