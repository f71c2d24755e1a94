//! `tidewatch rules`: check, list, explain, test, coverage.

mod explain;

use std::io::Write as _;
use std::sync::Arc;

use anyhow::{anyhow, bail};
use detections::diagnostic::{Diagnostic, Severity, did_you_mean};
use detections::event::Settings;
use detections::page;
use detections::sigma::Loaded;
use detections::sigma::ast::{Correlation, Header, Rule};
use pipeline::rules::{LoadedRules, RuleSources};
use serde_json::json;

use crate::cli::{ColorChoice, CoverageFormat, RulesCommand};
use crate::exit::Exit;
use crate::output;

pub(crate) fn run(command: &RulesCommand, color: ColorChoice) -> anyhow::Result<Exit> {
    match command {
        RulesCommand::Check {
            paths,
            lists,
            concise,
            strict,
        } => {
            let sources = RuleSources {
                without_bundled: !paths.is_empty(),
                paths: paths.clone(),
                lists: lists.clone(),
                ..RuleSources::default()
            };
            check(&sources.load()?, *concise, *strict, color)
        }
        RulesCommand::List { rules, json } => {
            with_rules(&rules.sources(), |rules| list(&rules, *json))
        }
        RulesCommand::Explain { rule, event, rules } => with_rules(&rules.sources(), |loaded| {
            explain::run(&loaded, rule, event.as_deref())
        }),
        RulesCommand::Test { names, rules } => {
            with_rules(&rules.sources(), |rules| test(&rules, names))
        }
        RulesCommand::Coverage { rules, format } => {
            with_rules(&rules.sources(), |rules| coverage(&rules, *format))
        }
    }
}

/// Loads rules, or shows on standard error what is wrong with them.
pub(crate) fn load_or_show(sources: &RuleSources) -> anyhow::Result<Option<LoadedRules>> {
    let rules = sources.load()?;
    let errors = rules
        .loaded
        .diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.severity == Severity::Error);
    let mut failed = 0;
    for error in errors {
        anstream::eprintln!("{}\n", error.render(true));
        failed += 1;
    }
    if failed > 0 {
        anstream::eprintln!("{failed} errors in rules; `tidewatch rules check` shows warnings too");
        return Ok(None);
    }
    Ok(Some(rules))
}

fn with_rules(
    sources: &RuleSources,
    run: impl FnOnce(LoadedRules) -> anyhow::Result<Exit>,
) -> anyhow::Result<Exit> {
    match load_or_show(sources)? {
        Some(rules) => run(rules),
        None => Ok(Exit::Rules),
    }
}

fn check(
    rules: &LoadedRules,
    concise: bool,
    strict: bool,
    color: ColorChoice,
) -> anyhow::Result<Exit> {
    let mut out = std::io::stdout().lock();
    let diagnostics = &rules.loaded.diagnostics;
    for diagnostic in diagnostics {
        if concise {
            writeln!(out, "{}", diagnostic.render_concise())?;
        } else {
            writeln!(out, "{}\n", diagnostic.render(output::coloured(color)))?;
        }
    }
    let number = |severity: Severity| {
        diagnostics
            .iter()
            .filter(|found: &&Diagnostic| found.severity == severity)
            .count()
    };
    let (errors, warnings) = (number(Severity::Error), number(Severity::Warning));
    let foreign = match rules.loaded.foreign.len() {
        0 => String::new(),
        other => format!(", {other} for other products left out"),
    };
    writeln!(
        out,
        "{} rules, {errors} errors, {warnings} warnings{foreign}",
        rules.loaded.headers().count()
    )?;
    Ok(if errors > 0 || (strict && warnings > 0) {
        Exit::Rules
    } else {
        Exit::Success
    })
}

fn list(rules: &LoadedRules, as_json: bool) -> anyhow::Result<Exit> {
    let mut out = std::io::stdout().lock();
    let rules: Vec<&Header> = rules.loaded.headers().collect();
    if as_json {
        let documents: Vec<_> = rules.iter().copied().map(as_document).collect();
        writeln!(out, "{}", serde_json::to_string_pretty(&documents)?)?;
        return Ok(Exit::Success);
    }
    let width = rules
        .iter()
        .map(|rule| rule.name.len())
        .max()
        .unwrap_or_default();
    for rule in &rules {
        let tactic = rule
            .tactics
            .first()
            .and_then(|id| mitre::catalog::tactic(*id))
            .map_or("", |tactic| tactic.name);
        writeln!(
            out,
            "{:<width$}  {:<13}  {tactic:<20}  {}",
            rule.name,
            rule.level.as_str(),
            rule.title
        )?;
    }
    writeln!(
        out,
        "\n{} rules; `tidewatch rules explain NAME` shows a rule's page",
        rules.len()
    )?;
    Ok(Exit::Success)
}

fn as_document(rule: &Header) -> serde_json::Value {
    json!({
        "id": rule.id,
        "name": rule.name,
        "title": rule.title,
        "level": rule.level.as_str(),
        "status": rule.status,
        "description": rule.description,
        "tags": rule.tags,
        "file": rule.source.name.as_ref(),
    })
}

/// What a name stands for.
enum Found<'a> {
    Rule(&'a Rule),
    Correlation(&'a Correlation),
}

impl Found<'_> {
    fn header(&self) -> &Header {
        match self {
            Self::Rule(rule) => &rule.header,
            Self::Correlation(correlation) => &correlation.header,
        }
    }
}

/// Finds a rule by name or id.
fn find<'a>(loaded: &'a Loaded, name: &str) -> anyhow::Result<Found<'a>> {
    let mut rules = loaded.rules.iter();
    if let Some(rule) = rules.find(|rule| rule.header.is_called(name)) {
        return Ok(Found::Rule(rule));
    }
    let mut correlations = loaded.correlations.iter();
    if let Some(found) = correlations.find(|found| found.header.is_called(name)) {
        return Ok(Found::Correlation(found));
    }
    match did_you_mean(name, loaded.headers().map(|header| header.name.as_str())) {
        Some(near) => bail!("there is no rule `{name}`; did you mean `{near}`?"),
        None => Err(anyhow!(
            "there is no rule `{name}`; `tidewatch rules list` prints them"
        )),
    }
}

fn test(rules: &LoadedRules, names: &[String]) -> anyhow::Result<Exit> {
    let LoadedRules { loaded, pages } = rules;
    for name in names {
        find(loaded, name)?;
    }
    let mut out = std::io::stdout().lock();
    let settings = Arc::new(Settings::default());
    let (mut passed, mut failed, mut without) = (0, 0, 0);
    for header in loaded.headers() {
        let wanted = names.is_empty() || names.iter().any(|name| header.is_called(name));
        let name = &header.name;
        let Some(page) = pages.get(name).filter(|_| wanted) else {
            without += usize::from(wanted);
            continue;
        };
        let faults = page::check(loaded.only(name), page, &settings);
        if faults.is_empty() {
            passed += 1;
            writeln!(out, "ok      {name} ({} examples)", page.examples.len())?;
        } else {
            failed += 1;
            writeln!(out, "FAILED  {name}")?;
            faults
                .iter()
                .try_for_each(|fault| writeln!(out, "        {fault}"))?;
        }
    }
    let without = if without > 0 {
        format!(", {without} without a page")
    } else {
        String::new()
    };
    writeln!(out, "{passed} rules passed, {failed} failed{without}")?;
    Ok(if failed > 0 {
        Exit::Rules
    } else {
        Exit::Success
    })
}

fn coverage(rules: &LoadedRules, format: CoverageFormat) -> anyhow::Result<Exit> {
    let covered = || {
        rules
            .loaded
            .headers()
            .map(|header| (header.name.as_str(), header.techniques.as_slice()))
    };
    let mut out = std::io::stdout().lock();
    match format {
        CoverageFormat::Table => write!(out, "{}", mitre::coverage::table(covered()))?,
        CoverageFormat::Navigator => {
            let scores = mitre::navigator::scores(covered());
            let layer = mitre::navigator::layer(
                "Tidewatch",
                "Techniques that the loaded rules cover.",
                &scores,
            );
            writeln!(out, "{}", serde_json::to_string_pretty(&layer)?)?;
        }
    }
    Ok(Exit::Success)
}
