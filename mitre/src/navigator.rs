//! Coverage as a layer for the ATT&CK Navigator, in layer format 4.5.
//!
//! A technique gets one entry per tactic that it serves, as the format colours cells and not
//! techniques, and the score is what the caller counted: rules, findings of a replay, or anything
//! else of which more is darker. The tactic of an entry is the short name, not the id.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::ATTACK_VERSION;
use crate::catalog;
use crate::coverage;
use crate::id::TechniqueId;

/// The version of the format that [`layer`] writes.
const LAYER_VERSION: &str = "4.5";

/// The Navigator that was current when ATT&CK v19 came out; the format asks for at least 4.9.0.
const NAVIGATOR_VERSION: &str = "5.3.2";

/// The Navigator's code for techniques with the highest score first.
const SORT_BY_SCORE_DESCENDING: u8 = 3;

/// No score is white, so that what is uncovered looks empty; the highest is a blue on which black
/// letters stay readable.
const GRADIENT: [&str; 2] = ["#ffffff", "#66b1ff"];

/// What a layer says about one technique.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TechniqueCoverage {
    /// How dark the cell is, relative to the highest score of the layer.
    pub score: u32,
    /// What the cell's tooltip says, such as the names of the rules.
    pub comment: String,
}

/// Scores each technique by the number of rules that cover it, with their names as the comment.
#[must_use]
pub fn scores<'a>(
    rules: impl IntoIterator<Item = (&'a str, &'a [TechniqueId])>,
) -> BTreeMap<TechniqueId, TechniqueCoverage> {
    let score = |names: BTreeSet<&str>| TechniqueCoverage {
        score: u32::try_from(names.len()).unwrap_or(u32::MAX),
        comment: names.into_iter().collect::<Vec<_>>().join(", "),
    };
    let grouped = coverage::by_technique(rules);
    grouped
        .into_iter()
        .map(|(id, names)| (id, score(names)))
        .collect()
}

/// A layer of the Containers platform with these scores.
///
/// Revoked ids are shown as what replaced them. A technique outside of the Containers table gets one
/// entry without a tactic, which the Navigator takes to mean all of them.
#[must_use]
pub fn layer(
    name: &str,
    description: &str,
    scores: &BTreeMap<TechniqueId, TechniqueCoverage>,
) -> Value {
    let scores = under_current_ids(scores);
    let score_max = scores.values().map(|coverage| coverage.score).max();
    let parents: BTreeSet<_> = scores.keys().filter_map(|id| id.parent()).collect();
    let techniques: Vec<Value> = scores
        .iter()
        .flat_map(|(id, coverage)| entries(*id, coverage, parents.contains(id)))
        .collect();
    json!({
        "name": name,
        "description": description,
        "domain": "enterprise-attack",
        "versions": {
            "attack": attack_major_version(),
            "navigator": NAVIGATOR_VERSION,
            "layer": LAYER_VERSION,
        },
        "filters": { "platforms": ["Containers"] },
        "sorting": SORT_BY_SCORE_DESCENDING,
        // A covered sub-technique shows even if its parent has no entry of its own.
        "layout": { "layout": "side", "showID": true, "expandedSubtechniques": "annotated" },
        "hideDisabled": false,
        "techniques": techniques,
        "gradient": {
            "colors": GRADIENT,
            "minValue": 0,
            // The format wants more than the minimum, also where nothing is covered.
            "maxValue": score_max.unwrap_or_default().max(1),
        },
    })
}

/// The Navigator names releases of ATT&CK by their major version alone.
fn attack_major_version() -> &'static str {
    ATTACK_VERSION
        .split_once('.')
        .map_or(ATTACK_VERSION, |(major, _)| major)
}

/// The scores with revoked ids added to what replaced them: the Navigator has no cell for the old.
fn under_current_ids(
    scores: &BTreeMap<TechniqueId, TechniqueCoverage>,
) -> BTreeMap<TechniqueId, TechniqueCoverage> {
    let mut current: BTreeMap<TechniqueId, TechniqueCoverage> = BTreeMap::new();
    for (id, coverage) in scores {
        let merged = current.entry(catalog::current(*id)).or_default();
        merged.score = merged.score.saturating_add(coverage.score);
        if !merged.comment.is_empty() && !coverage.comment.is_empty() {
            merged.comment.push_str(", ");
        }
        merged.comment.push_str(&coverage.comment);
    }
    current
}

/// The cells of one technique: one under each of its tactics.
fn entries(id: TechniqueId, coverage: &TechniqueCoverage, show_subtechniques: bool) -> Vec<Value> {
    let cell = json!({
        "techniqueID": id.to_string(),
        "score": coverage.score,
        "comment": coverage.comment,
        "enabled": true,
        "showSubtechniques": show_subtechniques,
    });
    let Some(technique) = catalog::technique(id) else {
        return vec![cell];
    };
    let under_tactic = |short_name: &str| {
        let mut cell = cell.clone();
        if let Value::Object(fields) = &mut cell {
            fields.insert("tactic".to_owned(), Value::from(short_name));
        }
        cell
    };
    technique
        .tactics
        .iter()
        .map(|tactic| under_tactic(tactic.short_name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer_of(rules: &[(&str, &[&str])]) -> Value {
        let parse = |texts: &[&str]| -> Vec<TechniqueId> {
            texts
                .iter()
                .map(|text| text.parse().expect("well formed"))
                .collect()
        };
        let rules: Vec<_> = rules
            .iter()
            .map(|(name, texts)| (*name, parse(texts)))
            .collect();
        let scores = scores(rules.iter().map(|(name, ids)| (*name, ids.as_slice())));
        layer("Rules", "What they cover", &scores)
    }

    fn cells(layer: &Value) -> Vec<(&str, Option<&str>, u64)> {
        let techniques = layer["techniques"].as_array().expect("a list");
        techniques
            .iter()
            .map(|value| {
                let id = value["techniqueID"].as_str().expect("an id");
                (
                    id,
                    value["tactic"].as_str(),
                    value["score"].as_u64().expect("a score"),
                )
            })
            .collect()
    }

    #[test]
    fn the_head_is_what_format_4_5_requires() {
        let layer = layer_of(&[]);
        assert_eq!(layer["name"], "Rules");
        assert_eq!(layer["domain"], "enterprise-attack");
        assert_eq!(layer["versions"]["layer"], "4.5");
        assert_eq!(layer["versions"]["attack"], "19");
        assert_eq!(layer["filters"]["platforms"], json!(["Containers"]));
        assert_eq!(layer["gradient"]["maxValue"], 1);
        assert_eq!(layer["techniques"], json!([]));
    }

    #[test]
    fn a_technique_has_a_cell_under_each_of_its_tactics() {
        let layer = layer_of(&[("cron", &["T1053.007"]), ("job", &["T1053.007"])]);
        let expected = ["execution", "persistence", "privilege-escalation"]
            .map(|tactic| ("T1053.007", Some(tactic), 2));
        assert_eq!(cells(&layer), expected);
        assert_eq!(layer["techniques"][0]["comment"], "cron, job");
        assert_eq!(layer["techniques"][0]["enabled"], true);
        assert_eq!(layer["gradient"]["maxValue"], 2);
    }

    #[test]
    fn a_parent_shows_its_covered_subtechniques() {
        let layer = layer_of(&[("token", &["T1552", "T1552.007"]), ("exec", &["T1609"])]);
        let shown: Vec<_> = layer["techniques"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|cell| cell["showSubtechniques"].as_bool().expect("a boolean"))
            .collect();
        assert_eq!(shown, [true, false, false]);
    }

    #[test]
    fn revoked_ids_are_merged_into_their_replacement() {
        let coverage = |comment: &str| TechniqueCoverage {
            score: 1,
            comment: comment.to_owned(),
        };
        let scores = ["T1562", "T1562.001", "T1685"]
            .map(|id| (id.parse().expect("well formed"), coverage(id)));
        let layer = layer("Rules", "", &BTreeMap::from(scores));
        assert_eq!(cells(&layer), [("T1685", Some("defense-impairment"), 3)]);
        assert_eq!(layer["techniques"][0]["comment"], "T1562, T1562.001, T1685");
    }

    #[test]
    fn a_technique_of_another_platform_has_one_cell_without_tactic() {
        assert_eq!(
            cells(&layer_of(&[("dns", &["T1557"])])),
            [("T1557", None, 1)]
        );
    }
}
