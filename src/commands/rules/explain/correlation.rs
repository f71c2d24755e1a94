//! What a correlation makes of some events: which fed it, how its windows filled, where it fired.

use std::io::Write;

use detections::correlation::{Trial, TrialStep};
use detections::event::Event;
use detections::sigma::Loaded;
use detections::sigma::ast::{Correlation, Input};
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

/// `value_count of objectRef.name by actor.canonical, within 600 s: at least 10`.
fn described(correlation: &Correlation) -> String {
    let kind = correlation.kind.as_str();
    let field = correlation.kind.field();
    let of = field.map_or_else(String::new, |field| format!(" of {}", field.name));
    let names = correlation.group_by.iter().map(|field| field.name.as_str());
    let names: Vec<_> = names.collect();
    let by = if names.is_empty() {
        String::new()
    } else {
        format!(" by {}", names.join(", "))
    };
    let seconds = correlation.timespan_us / 1_000_000;
    format!("{kind}{of}{by}, within {seconds} s: {}", correlation.bounds)
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
    let reached = reached.map_or_else(String::new, |now| format!("  → {} reached", now.value));
    let number = step.event + 1;
    writeln!(
        out,
        "  event {number:<4} {}  {input}{of}{reached}",
        safe(time)
    )
}
