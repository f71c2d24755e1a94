//! The section `condition`: comparisons, and what they are of.

use std::collections::HashMap;
use std::ops::{Range, RangeInclusive};

use super::super::ast::Bounds;
use super::super::yaml::Node;
use super::{Named, named};
use crate::diagnostic::Sink;

/// The section `condition`, as read.
#[derive(Debug, Default)]
pub(in crate::sigma) struct Conditions {
    pub(super) bounds: Option<Bounds>,
    pub(super) field: Option<Named>,
    pub(super) percentile: Option<f64>,
    pub(super) place: Range<usize>,
}

impl Conditions {
    pub(super) fn read(body: &Node, sink: &mut Sink) -> Self {
        let Some((key, written)) = body.entry("condition") else {
            return Self {
                place: body.head(),
                ..Self::default()
            };
        };
        let mut found = Self {
            place: key.span.clone(),
            ..Self::default()
        };
        let Some(entries) = written.mapping() else {
            sink.error(
                "bad_condition",
                written.span.clone(),
                "`condition` must be a mapping of comparisons",
            )
            .help("write `condition: {gte: 10}`");
            return found;
        };
        let mut comparisons = HashMap::new();
        for (key, value) in entries {
            let word = key.text().unwrap_or_default();
            match word {
                "field" => found.field = value.text().map(|_| named(value)),
                "percentile" => found.percentile = number(value, 0.0..=100.0, sink),
                "gt" | "gte" | "lt" | "lte" | "eq" | "neq" => {
                    let number = number(value, f64::MIN..=f64::MAX, sink);
                    comparisons.extend(number.map(|number| (word, number)));
                }
                _ => {
                    sink.error(
                        "bad_condition",
                        key.span.clone(),
                        format!("`{word}` is no comparison"),
                    )
                    .help("the comparisons are gt, gte, lt, lte, eq, neq; `field` and `percentile` go with value_…");
                }
            }
        }
        found.bounds = joined(&comparisons, &found.place, sink);
        found
    }
}

fn number(node: &Node, range: RangeInclusive<f64>, sink: &mut Sink) -> Option<f64> {
    let number = node.text().and_then(|text| text.parse::<f64>().ok());
    let found = number.filter(|number| number.is_finite() && range.contains(number));
    if found.is_none() {
        sink.error(
            "bad_condition",
            node.span.clone(),
            format!(
                "`{}` is no number that fits here",
                node.text().unwrap_or_default()
            ),
        );
    }
    found
}

/// One comparison, or a lower and an upper bound.
fn joined(
    comparisons: &HashMap<&str, f64>,
    place: &Range<usize>,
    sink: &mut Sink,
) -> Option<Bounds> {
    let get = |word: &str| comparisons.get(word).copied();
    let bound = |or_equal: &str, strictly: &str| {
        let or_equal = get(or_equal).map(|number| (number, false));
        (or_equal, get(strictly).map(|number| (number, true)))
    };
    let exactly = get("eq").map(|number| (number, false));
    let (gte, gt) = bound("gte", "gt");
    let (lte, lt) = bound("lte", "lt");
    let lowers: Vec<_> = [gte, gt, exactly].into_iter().flatten().collect();
    let uppers: Vec<_> = [lte, lt, exactly].into_iter().flatten().collect();
    let is_empty_range = matches!(
        (lowers.first(), uppers.first()),
        (Some((low, open)), Some((high, closed))) if low > high || (low >= high && (*open || *closed))
    );
    if lowers.len() > 1 || uppers.len() > 1 || is_empty_range {
        sink.error(
            "bad_condition",
            place.clone(),
            "no number can satisfy this, or one comparison says more than another",
        )
        .help("one comparison, or a lower (gt, gte) and a higher upper bound (lt, lte)");
        return None;
    }
    let bounds = Bounds {
        lower: lowers.first().copied(),
        upper: uppers.first().copied(),
        except: get("neq"),
    };
    (bounds != Bounds::default()).then_some(bounds)
}
