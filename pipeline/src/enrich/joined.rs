//! What a correlation or a baseline found, in words.

mod baseline;

use detections::sigma::ast::{Correlation, Kind};

use crate::alert::{Evidence, Step};
use crate::correlate::Finding;
use crate::correlate::stream::Joined;
use crate::redact;

/// Steps that are named in one line.
const STEPS_SHOWN: usize = 4;

/// Values that are named in one line.
const VALUES_SHOWN: usize = 6;

/// The phrase: `5 different kinds of resources in 12 s, by 14 requests: configmaps, nodes, pods, …`.
pub(super) fn phrase(correlation: &Correlation, found: &Joined, finding: &Finding) -> String {
    let span = match (finding.first_us, finding.last_us) {
        (Some(first_us), Some(last_us)) => format!(" in {}", duration(last_us - first_us)),
        _ => String::new(),
    };
    let count = finding.count;
    let about = if found.exact { "" } else { "about " };
    let value = number(found.value);
    match &correlation.kind {
        Kind::EventCount => {
            let steps = steps(found);
            match steps.as_slice() {
                [only] if only.count == count => format!("{count} times{span}: {}", only.did),
                _ => format!("{count} requests{span}"),
            }
        }
        Kind::ValueCount(field) => {
            let (what, values) = (plural(&field.name), shown(&field.name, &found.counted));
            let is_longer = matches!(
                (finding.first_us, finding.last_us),
                (Some(first_us), Some(last_us)) if last_us - first_us > correlation.timespan_us
            );
            let within = duration(correlation.timespan_us);
            if is_longer {
                format!(
                    "{about}{value} different {what} within {within}, {count} requests{span}: {values}"
                )
            } else {
                format!("{about}{value} different {what}{span}, by {count} requests: {values}")
            }
        }
        Kind::Temporal | Kind::TemporalOrdered => {
            let steps = steps(found);
            let last = steps.len().saturating_sub(STEPS_SHOWN);
            let shown: Vec<_> = steps[last..].iter().map(|step| step.did.as_str()).collect();
            format!("{}{span}", shown.join(", then "))
        }
        Kind::ValueSum(field) => {
            format!(
                "{about}{value} of {} in sum{span}, by {count} requests",
                field.name
            )
        }
        Kind::ValueAvg(field) => {
            format!(
                "{about}{value} of {} on average{span}, over {count} requests",
                field.name
            )
        }
        Kind::ValuePercentile(field, percent) => {
            let name = &field.name;
            format!("{about}{value} of {name} at percentile {percent}{span}, over {count} requests")
        }
        Kind::FirstSeen { .. } | Kind::Rare { .. } | Kind::Spike { .. } => {
            baseline::phrase(correlation, found, finding)
        }
    }
}

/// What the values of a field are, in words where there are some.
fn plural(field: &str) -> &str {
    match field {
        "actor.canonical" | "actor.name" | "user.username" => "actors",
        "objectRef.name" => "objects",
        "objectRef.namespace" => "namespaces",
        "objectRef.resource" => "kinds of resources",
        "requestURI" => "paths",
        "source.client" | "sourceIPs" => "addresses",
        "userAgent" => "clients",
        other => other,
    }
}

/// What happened, step by step; the same several times in a row is one step.
pub(super) fn steps(found: &Joined) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for step in &found.steps {
        let did = redact::text(&step.text).into_owned();
        match steps.last_mut().filter(|last| last.did == did) {
            Some(last) => last.count += 1,
            None => steps.push(Step {
                time_us: step.time_us,
                did,
                count: 1,
            }),
        }
    }
    steps
}

/// The condition, and what was compared with it.
pub(super) fn evidence(correlation: &Correlation, found: &Joined, count: u64) -> Vec<Evidence> {
    let line = line_of(correlation);
    let mut evidence = match correlation.kind.memory() {
        Some(memory) => baseline::evidence(correlation, memory, found, line),
        None => vec![condition(correlation, found, count, line)],
    };
    for (field, value) in correlation.group_by.iter().zip(&found.values) {
        evidence.push(Evidence {
            selection: "group-by".to_owned(),
            line,
            text: format!("the same {}", field.name),
            field: field.name.clone(),
            values: vec![safe(&field.name, value.as_deref().unwrap_or("none"))],
        });
    }
    evidence
}

/// Where the section begins that says what is looked for.
fn line_of(correlation: &Correlation) -> usize {
    let source = &correlation.header.source;
    let section = match correlation.kind.memory() {
        Some(_) => "baseline:",
        None => "correlation:",
    };
    source.position(source.text.find(section).unwrap_or(0)).0
}

fn condition(correlation: &Correlation, found: &Joined, count: u64, line: usize) -> Evidence {
    let within = duration(correlation.timespan_us);
    let what = match correlation.kind.field() {
        Some(field) => format!("{} of {}", correlation.kind.as_str(), field.name),
        None => correlation.kind.as_str().to_owned(),
    };
    Evidence {
        selection: "correlation".to_owned(),
        line,
        text: format!("{what} within {within}: {}", correlation.bounds),
        field: correlation.kind.as_str().to_owned(),
        // Counting ends where the condition holds; the requests go on.
        values: vec![match correlation.kind {
            Kind::EventCount => count.to_string(),
            _ => number(found.value),
        }],
    }
}

fn shown(field: &str, values: &[Box<str>]) -> String {
    let named = values.iter().take(VALUES_SHOWN);
    let named: Vec<_> = named.map(|value| safe(field, value)).collect();
    let more = if values.len() > VALUES_SHOWN {
        ", …"
    } else {
        ""
    };
    format!("{}{more}", named.join(", "))
}

/// A value of a field, or of several at once, without what looks like a secret, or has the name of one.
fn safe(field: &str, value: &str) -> String {
    if field.contains("exec.command") {
        return redact::arguments(&[value]).concat();
    }
    let value = redact::value_of(field, value);
    redact::text(&value).into_owned()
}

/// Whole numbers as such, others with three digits.
fn number(value: f64) -> String {
    if value.fract().abs() < f64::EPSILON {
        format!("{value:.0}")
    } else {
        format!("{value:.3}")
    }
}

/// `less than a second`, `42 s`, `10 min`, `2 h`, `3 d`: the largest unit of which there are some.
pub(super) fn duration(us: i64) -> String {
    let seconds = us / 1_000_000;
    match seconds {
        ..1 => "less than a second".to_owned(),
        1..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}
