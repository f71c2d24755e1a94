//! Microsoft's Threat Matrix for Kubernetes, beside ATT&CK.
//!
//! ATT&CK has one word, Deploy Container, for what this matrix tells apart as a new container, a
//! sidecar and a privileged container: it is nearer to what an audit log shows, and its pages say
//! how to mitigate. It was last changed in 2023 and keeps the names of its time, Defense Evasion
//! among them, so its tactics are names here and not [`Tactic`](crate::Tactic)s.

use std::sync::LazyLock;

use crate::id::TechniqueId;
use crate::tsv;

const MATRIX_TSV: &str = include_str!("../data/threat_matrix.tsv");

/// A technique of Microsoft's matrix.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MatrixEntry {
    /// The id: `MS-TA9006`.
    pub id: &'static str,
    /// The name: `Exec into container`.
    pub name: &'static str,
    /// The columns that it stands in, as Microsoft names them.
    pub tactics: Vec<&'static str>,
    /// What its page maps it to; may be empty, and may leave the Containers platform.
    pub attack: Vec<TechniqueId>,
    /// Its page, with the mitigations.
    pub url: String,
}

/// All entries, in the order of their ids.
#[must_use]
pub fn entries() -> &'static [MatrixEntry] {
    &ENTRIES
}

/// The entry with this id, in any case.
#[must_use]
pub fn entry(id: &str) -> Option<&'static MatrixEntry> {
    ENTRIES
        .iter()
        .find(|entry| entry.id.eq_ignore_ascii_case(id))
}

/// The entries that an act of this technique may belong to, in the order of their ids.
///
/// A sub-technique that no page names is looked up by its parent, as Compute Hijacking is a kind of
/// Resource Hijacking. Several entries may share a technique: these are candidates for the reader,
/// not a claim about the act.
#[must_use]
pub fn for_technique(id: TechniqueId) -> Vec<&'static MatrixEntry> {
    let exact = mapped_to(id);
    match id.parent() {
        Some(parent) if exact.is_empty() => mapped_to(parent),
        _ => exact,
    }
}

static ENTRIES: LazyLock<Vec<MatrixEntry>> =
    LazyLock::new(|| tsv::rows(MATRIX_TSV).filter_map(parse_entry).collect());

fn mapped_to(id: TechniqueId) -> Vec<&'static MatrixEntry> {
    ENTRIES
        .iter()
        .filter(|entry| entry.attack.contains(&id))
        .collect()
}

fn parse_entry(row: &'static str) -> Option<MatrixEntry> {
    let [id, name, tactics, attack, page] = tsv::cells(row)?;
    Some(MatrixEntry {
        id,
        name,
        tactics: tsv::list(tactics).collect(),
        attack: tsv::list(attack)
            .map(str::parse)
            .collect::<Result<_, _>>()
            .ok()?,
        url: page_url(page),
    })
}

fn page_url(page: &str) -> String {
    // Blanks are the only characters of these names that an address does not take as they are.
    let page = page.replace(' ', "%20");
    format!("https://microsoft.github.io/Threat-Matrix-for-Kubernetes/techniques/{page}/")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::catalog;

    #[track_caller]
    fn check_mapping(technique: &str, expected: &[&str]) {
        let found = for_technique(technique.parse().expect("well formed"));
        let ids: Vec<_> = found.iter().map(|entry| entry.id).collect();
        assert_eq!(ids, expected, "{technique}");
    }

    #[test]
    fn every_row_parses() {
        tsv::assert_all_parse(MATRIX_TSV, 40, parse_entry);
        assert_eq!(entries().len(), 40);
    }

    #[test]
    fn every_tactic_is_one_of_microsofts_ten() {
        let names: BTreeSet<_> = entries().iter().flat_map(|entry| &entry.tactics).collect();
        assert_eq!(names.len(), 10);
        for name in names {
            assert!(catalog::tactic_by_name(name).is_some(), "{name}");
        }
    }

    #[test]
    fn an_entry_is_complete() {
        let entry = entry("ms-ta9013").expect("an entry");
        assert_eq!(entry.name, "Writable hostPath mount");
        assert_eq!(
            entry.tactics,
            ["Persistence", "Privilege Escalation", "Lateral Movement"]
        );
        assert_eq!(entry.attack, ["T1611".parse().expect("well formed")]);
        let page = "https://microsoft.github.io/Threat-Matrix-for-Kubernetes/techniques/\
                    Writable%20hostPath%20mount/";
        assert_eq!(entry.url, page);
        assert_eq!(super::entry("MS-TA9032"), None);
    }

    #[test]
    fn a_technique_finds_its_entries() {
        check_mapping("T1609", &["MS-TA9006"]);
        check_mapping("T1610", &["MS-TA9008", "MS-TA9011", "MS-TA9018"]);
        check_mapping("T1613", &["MS-TA9029", "MS-TA9030"]);
        check_mapping("T1069", &[]);
    }

    #[test]
    fn a_subtechnique_falls_back_to_its_parent() {
        check_mapping("T1496.001", &["MS-TA9039"]);
        check_mapping("T1552.007", &["MS-TA9025"]);
    }
}
