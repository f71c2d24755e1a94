//! `tidewatch rules explain`: a rule's page, or why it matches an event.

use std::io::{Cursor, Read, Write};
use std::sync::Arc;

use anyhow::bail;
use detections::bundled;
use detections::event::{Event, Settings};
use detections::reference::{self, Explanation, Seen, Step};
use detections::sigma::ast::{Header, Rule};
use detections::truth::Truth;
use pipeline::decode::{Decoder, Item};
use pipeline::rules::LoadedRules;
use pipeline::source::input::Input;
use pipeline::wire::text::safe;

use crate::exit::Exit;

use super::Found;

mod correlation;

pub(crate) fn run(rules: &LoadedRules, name: &str, event: Option<&str>) -> anyhow::Result<Exit> {
    let found = super::find(&rules.loaded, name)?;
    let mut out = std::io::stdout().lock();
    let Some(event) = event else {
        show_page(found.header(), &mut out)?;
        return Ok(Exit::Success);
    };
    let events = read_events(event)?;
    let rule = match found {
        Found::Rule(rule) => rule,
        Found::Correlation(correlation) => {
            let loaded = rules.loaded.only(&correlation.header.name);
            correlation::show(&loaded, &events, &mut out)?;
            return Ok(Exit::Success);
        }
    };
    for (number, event) in (1..).zip(&events) {
        if events.len() > 1 {
            let verb = event.text(&["verb"]).unwrap_or("?");
            let uri = event.text(&["requestURI"]).unwrap_or("?");
            writeln!(out, "event {number}: {} {}", safe(verb), safe(uri))?;
        }
        show(rule, &reference::explain(rule, event), &mut out)?;
    }
    Ok(Exit::Success)
}

fn show_page(rule: &Header, out: &mut impl Write) -> std::io::Result<()> {
    match bundled::page(&rule.name).filter(|page| !page.is_empty()) {
        Some(page) => writeln!(
            out,
            "{}\n\n## The rule\n```yaml\n{}```",
            page.trim_end(),
            rule.source.text
        ),
        None => writeln!(out, "{}", rule.source.text),
    }
}

fn read_events(argument: &str) -> anyhow::Result<Vec<Event>> {
    let input: Box<dyn Read> = if argument == "-" {
        Box::new(Input::stdin()?)
    } else if argument.trim_start().starts_with('{') {
        Box::new(Cursor::new(argument.to_owned()))
    } else {
        Box::new(Input::open(argument)?)
    };
    let mut decoder = Decoder::new(input, "default".into());
    let settings = Arc::new(Settings::default());
    let mut events = Vec::new();
    while let Some(item) = decoder.next()? {
        match item {
            Item::Event(raw) => events.push(Event::parse(
                raw.bytes,
                raw.origin.clone(),
                settings.clone(),
            )?),
            Item::Rejected(rejected) => bail!("{argument}: {}", rejected.reason),
            Item::Ignored(reason) => bail!("{argument}: {}", reason.as_str()),
        }
    }
    if events.is_empty() {
        bail!("{argument} holds no audit event");
    }
    Ok(events)
}

fn show(rule: &Rule, explanation: &Explanation, out: &mut impl Write) -> std::io::Result<()> {
    let verdict = match explanation.truth {
        Truth::True => "matches",
        Truth::False => "does not match",
        Truth::Unknown => "cannot tell: the event does not show what the rule asks for",
    };
    writeln!(
        out,
        "{} ({}): {verdict}",
        rule.header.title, rule.header.name
    )?;
    let filters = explanation.selections.len() - rule.detection.selections.len();
    for (index, selection) in explanation.selections.iter().enumerate() {
        let filter = if index >= explanation.selections.len() - filters {
            " (filter)"
        } else {
            ""
        };
        writeln!(
            out,
            "  {:<7} {}{filter}",
            selection.truth.as_str(),
            selection.name
        )?;
        selection
            .steps
            .iter()
            .try_for_each(|step| show_step(step, 4, out))?;
    }
    Ok(())
}

fn show_step(step: &Step, indent: usize, out: &mut impl Write) -> std::io::Result<()> {
    let seen = match &step.seen {
        Seen::Absent => "absent".to_owned(),
        Seen::Unavailable => "this event cannot show it".to_owned(),
        Seen::Values(values) => {
            let values = values.iter().map(|value| safe(&value.to_string()));
            values.collect::<Vec<_>>().join(", ")
        }
    };
    let blank = "";
    writeln!(
        out,
        "{blank:indent$}{:<7} line {}: {}",
        step.truth.as_str(),
        step.line,
        step.text
    )?;
    writeln!(out, "{blank:indent$}        seen: {seen}")?;
    for (index, steps) in &step.elements {
        writeln!(out, "{blank:indent$}        element {index}:")?;
        steps
            .iter()
            .try_for_each(|step| show_step(step, indent + 10, out))?;
    }
    Ok(())
}
