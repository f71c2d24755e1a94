//! Which techniques a set of rules covers, as a table for people.
//!
//! Techniques stand under each tactic that they serve, tactics in the order of the matrix, and what
//! is uncovered is listed as well: the gaps are what the reader came for. The text depends on
//! nothing but the rules, so a checked-in copy shows coverage change as a diff.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{self, Tactic, Technique};
use crate::id::TechniqueId;

/// The names of the rules that cover each technique, under its present id.
pub type RulesByTechnique<'a> = BTreeMap<TechniqueId, BTreeSet<&'a str>>;

/// The mark of a technique that no rule covers.
const UNCOVERED: &str = "-";

/// The mark of a technique that no rule covers as such, while some cover a sub-technique of it.
const BY_SUBTECHNIQUES: &str = "(sub-techniques only)";

/// Columns that the widest id, `T1078.001`, takes.
const ID_WIDTH: usize = 9;

/// Groups rules by the techniques that they name. Revoked ids count for what replaced them.
#[must_use]
pub fn by_technique<'a>(
    rules: impl IntoIterator<Item = (&'a str, &'a [TechniqueId])>,
) -> RulesByTechnique<'a> {
    let mut grouped = RulesByTechnique::new();
    for (rule, techniques) in rules {
        for &technique in techniques {
            grouped
                .entry(catalog::current(technique))
                .or_default()
                .insert(rule);
        }
    }
    grouped
}

/// The table for these rules, each given by its name and the techniques that it names. The last
/// line has the totals.
#[must_use]
pub fn table<'a>(rules: impl IntoIterator<Item = (&'a str, &'a [TechniqueId])>) -> String {
    let covering = by_technique(rules);
    let mut lines = Vec::new();
    for tactic in catalog::tactics() {
        push_tactic(&mut lines, tactic, &covering);
    }
    push_outside(&mut lines, &covering);
    lines.push(totals(&covering));
    lines.push(String::new());
    lines.join("\n")
}

/// A tactic with its techniques. One that has none on the Containers platform, such as
/// Reconnaissance, is left out: nothing there can be covered.
fn push_tactic(lines: &mut Vec<String>, tactic: &Tactic, covering: &RulesByTechnique<'_>) {
    let serves = |technique: &&Technique| technique.tactics.contains(&tactic);
    let techniques: Vec<_> = catalog::techniques().iter().filter(serves).collect();
    if techniques.is_empty() {
        return;
    }
    let covered = techniques
        .iter()
        .filter(|technique| covering.contains_key(&technique.id))
        .count();
    lines.push(format!(
        "{} ({}): {covered} of {}",
        tactic.name,
        tactic.id,
        techniques.len()
    ));
    for technique in techniques {
        let rules = rules_or_mark(technique.id, covering);
        push_rows(lines, technique.id, &technique.display_name, rules);
    }
    lines.push(String::new());
}

/// Techniques that rules name and the Containers table does not; their names are not known here.
fn push_outside(lines: &mut Vec<String>, covering: &RulesByTechnique<'_>) {
    let outside: Vec<_> = outside(covering).collect();
    if outside.is_empty() {
        return;
    }
    lines.push(format!("Not on the Containers platform: {}", outside.len()));
    for (id, rules) in outside {
        push_rows(lines, *id, "", rules.iter().copied().collect());
    }
    lines.push(String::new());
}

/// One line per rule, so that a rule more or less is a line more or less.
fn push_rows(lines: &mut Vec<String>, id: TechniqueId, name: &str, rules: Vec<&str>) {
    let name_width = name_width();
    let mut label = format!("{id:<ID_WIDTH$}  {name:<name_width$}");
    for rule in rules {
        lines.push(format!("  {label}  {rule}"));
        label = " ".repeat(ID_WIDTH + 2 + name_width);
    }
}

/// The last line: a technique counts once, however many tactics it serves.
fn totals(covering: &RulesByTechnique<'_>) -> String {
    let techniques = catalog::techniques();
    let covered = techniques
        .iter()
        .filter(|technique| covering.contains_key(&technique.id))
        .count();
    let partly = techniques
        .iter()
        .filter(|technique| only_by_subtechniques(technique.id, covering));
    let rules: BTreeSet<_> = covering.values().flatten().collect();
    format!(
        "Total: {covered} of {} techniques covered, by sub-techniques only: {}, not on the \
         Containers platform: {}, rules: {}",
        techniques.len(),
        partly.count(),
        outside(covering).count(),
        rules.len(),
    )
}

fn rules_or_mark<'a>(id: TechniqueId, covering: &RulesByTechnique<'a>) -> Vec<&'a str> {
    match covering.get(&id) {
        Some(rules) => rules.iter().copied().collect(),
        None if only_by_subtechniques(id, covering) => vec![BY_SUBTECHNIQUES],
        None => vec![UNCOVERED],
    }
}

fn only_by_subtechniques(id: TechniqueId, covering: &RulesByTechnique<'_>) -> bool {
    !covering.contains_key(&id) && covering.keys().any(|covered| covered.parent() == Some(id))
}

fn outside<'c, 'a>(
    covering: &'c RulesByTechnique<'a>,
) -> impl Iterator<Item = (&'c TechniqueId, &'c BTreeSet<&'a str>)> {
    covering
        .iter()
        .filter(|(id, _)| catalog::technique(**id).is_none())
}

/// The widest name of the whole table rather than of what is covered, so that a new rule does not
/// shift every line.
fn name_width() -> usize {
    let widths = catalog::techniques()
        .iter()
        .map(|technique| technique.display_name.len());
    widths.max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(texts: &[&str]) -> Vec<TechniqueId> {
        texts
            .iter()
            .map(|text| text.parse().expect("well formed"))
            .collect()
    }

    fn table_of(rules: &[(&str, &[&str])]) -> String {
        let rules: Vec<_> = rules
            .iter()
            .map(|(name, texts)| (*name, ids(texts)))
            .collect();
        table(rules.iter().map(|(name, ids)| (*name, ids.as_slice())))
    }

    /// The lines of one tactic, blanks within them squeezed.
    fn section(table: &str, heading: &str) -> Vec<String> {
        let lines = table.lines().skip_while(|line| !line.starts_with(heading));
        let section = lines.take_while(|line| !line.is_empty());
        section
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect()
    }

    #[test]
    fn a_tactic_lists_covered_and_uncovered_techniques() {
        let table = table_of(&[
            ("pod_listing", &["T1613"]),
            ("api_scan", &["T1046", "T1613"]),
        ]);
        let expected = [
            "Discovery (TA0007): 2 of 3",
            "T1046 Network Service Discovery api_scan",
            "T1069 Permission Groups Discovery -",
            "T1613 Container and Resource Discovery api_scan",
            "pod_listing",
        ];
        assert_eq!(section(&table, "Discovery"), expected);
    }

    #[test]
    fn columns_are_aligned() {
        let table = table_of(&[("exec", &["T1609"]), ("exec_shell", &["T1609"])]);
        let column = |text| table.lines().find_map(|line: &str| line.find(text));
        assert_eq!(column("exec_shell"), column("exec"));
        assert_eq!(column("  T1609"), Some(0));
        assert!(table.lines().all(|line| line.trim_end() == line));
    }

    #[test]
    fn a_technique_stands_under_each_of_its_tactics_and_counts_once() {
        let table = table_of(&[("cron", &["T1053.007"])]);
        for heading in ["Execution", "Persistence", "Privilege Escalation"] {
            let row = "T1053.007 Scheduled Task/Job: Container Orchestration Job cron".to_owned();
            assert!(section(&table, heading).contains(&row), "{heading}");
        }
        let parent = "T1053 Scheduled Task/Job (sub-techniques only)".to_owned();
        assert!(section(&table, "Execution").contains(&parent));
        let totals = "Total: 1 of 48 techniques covered, by sub-techniques only: 1, not on the \
                      Containers platform: 0, rules: 1";
        assert_eq!(table.lines().last(), Some(totals));
    }

    #[test]
    fn tactics_stand_in_matrix_order_and_empty_ones_are_left_out() {
        let table = table_of(&[]);
        let headings: Vec<_> = table
            .lines()
            .filter(|line| line.contains("(TA"))
            .filter_map(|line| line.split_once(" (TA").map(|(name, _)| name))
            .collect();
        let expected = [
            "Initial Access",
            "Execution",
            "Persistence",
            "Privilege Escalation",
            "Stealth",
            "Defense Impairment",
            "Credential Access",
            "Discovery",
            "Lateral Movement",
            "Impact",
        ];
        assert_eq!(headings, expected);
    }

    #[test]
    fn revoked_ids_count_for_their_replacement_and_foreign_ones_apart() {
        let table = table_of(&[("audit_off", &["T1562.001"]), ("dns", &["T1557"])]);
        let impairment = section(&table, "Defense Impairment");
        assert!(impairment.contains(&"T1685 Disable or Modify Tools audit_off".to_owned()));
        let outside = section(&table, "Not on");
        assert_eq!(outside, ["Not on the Containers platform: 1", "T1557 dns"]);
    }
}
