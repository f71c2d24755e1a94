//! What a correlation or a baseline makes of some events: which fed it, how its windows filled, where it fired.

use std::io::Write;

use detections::correlation::{Reached, Trial, TrialStep};
use detections::event::Event;
use detections::sigma::Loaded;
use detections::sigma::ast::{Correlation, Input, Kind};
use pipeline::wire::text::safe;

pub(super) fn show(loaded: &Loaded, events: &[Event], out: &mut impl Write) -> std::io::Result<()> {
    let trial = Trial::of(loaded, events);
    for correlation in &loaded.correlations {
        show_one(correlation, &trial, events, out)?;
    }
    Ok(())
}

fn show_one(
    correlation: &Correlation,
    trial: &Trial,
    events: &[Event],
    out: &mut impl Write,
) -> std::io::Result<()> {
    let header = &correlation.header;
    let verdict = if trial.has_fired(&header.name) {
        "fires"
    } else {
        "does not fire"
    };
    writeln!(out, "{} ({}): {verdict}", header.title, header.name)?;
    writeln!(out, "  {}", described(correlation))?;
    let mut fed = 0;
    for step in trial.steps_of(&header.name) {
        show_step(correlation, step, &events[step.event], out)?;
        fed += 1;
    }
    if fed == 0 {
        writeln!(out, "  none of the {} events feeds it", events.len())?;
    }
    Ok(())
}

/// `value_count of objectRef.name by actor.canonical, within 600 s: at least 10`, `first_seen of source.network by
/// actor.canonical, learn 7 d, forget 30 d`.
fn described(correlation: &Correlation) -> String {
    let kind = correlation.kind.as_str();
    let fields = correlation.kind.field().into_iter();
    let fields = fields.chain(correlation.kind.of());
    let fields: Vec<_> = fields.map(|field| field.name.as_str()).collect();
    let of = if fields.is_empty() {
        String::new()
    } else {
        format!(" of {}", fields.join(" · "))
    };
    let names = correlation.group_by.iter().map(|field| field.name.as_str());
    let names: Vec<_> = names.collect();
    let by = if names.is_empty() {
        String::new()
    } else {
        format!(" by {}", names.join(", "))
    };
    let seconds = correlation.timespan_us / 1_000_000;
    let Some(memory) = correlation.kind.memory() else {
        return format!("{kind}{of}{by}, within {seconds} s: {}", correlation.bounds);
    };
    let what = match &correlation.kind {
        Kind::Rare { below, .. } => format!(", below {} %", below * 100.0),
        Kind::Spike {
            at_least,
            deviations,
            ..
        } => format!(", within {seconds} s: at least {at_least}, {deviations} deviations"),
        _ => String::new(),
    };
    let (learn, forget) = (length(memory.learn_us), length(memory.forget_us));
    format!("{kind}{of}{by}{what}, learn {learn}, forget {forget}")
}

/// `7 d`, `90 s`: in the largest unit of which there is a whole number.
fn length(us: i64) -> String {
    let seconds = us / 1_000_000;
    let units = [(86_400, "d"), (3_600, "h"), (60, "min")];
    let whole = units.into_iter().find(|(unit, _)| seconds % unit == 0);
    let (unit, word) = whole.unwrap_or((1, "s"));
    format!("{} {word}", seconds / unit)
}

fn told(correlation: &Correlation, reached: &Reached) -> String {
    let value = reached.value;
    match correlation.kind {
        Kind::FirstSeen { .. } => format!("  → {value} new"),
        Kind::Rare { .. } => format!("  → {:.3} % before", value * 100.0),
        Kind::Spike { .. } => format!("  → {value} in the timespan"),
        _ => format!("  → {value} reached"),
    }
}

fn show_step(
    correlation: &Correlation,
    step: &TrialStep,
    event: &Event,
    out: &mut impl Write,
) -> std::io::Result<()> {
    let values = step.values.iter().map(|value| value.as_deref());
    let values: Vec<_> = values.map(|value| safe(value.unwrap_or("none"))).collect();
    let of = if values.is_empty() {
        String::new()
    } else {
        format!("  for {}", values.join(", "))
    };
    let input = correlation.inputs.get(step.input).map_or("?", Input::name);
    let time = event.text(&["stageTimestamp"]).unwrap_or("no time");
    let reached = step.reached.as_ref();
    let reached = reached.map_or_else(String::new, |now| told(correlation, now));
    let number = step.event + 1;
    writeln!(
        out,
        "  event {number:<4} {}  {input}{of}{reached}",
        safe(time)
    )
}
