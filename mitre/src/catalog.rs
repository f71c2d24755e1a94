//! What ATT&CK for Containers says about an id or a name.
//!
//! Three tables, each parsed once on first use: the tactics in the order of the matrix, the active
//! techniques in the order of their ids, and the revoked ids with what replaced them. They are
//! small (15, 48 and 2 rows), so a lookup is a binary search or a walk, and everything that is
//! handed out lives as long as the program.

use std::sync::LazyLock;

use crate::id::{TacticId, TechniqueId};
use crate::tsv;

const TACTICS_TSV: &str = include_str!("../data/tactics.tsv");
const ATTACK_TSV: &str = include_str!("../data/attack.tsv");

/// A column of the matrix: what an adversary wants to achieve.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tactic {
    /// The id, which outlives renaming.
    pub id: TacticId,
    /// The name in tags, layers and STIX: `privilege-escalation`.
    pub short_name: &'static str,
    /// The name for people: `Privilege Escalation`.
    pub name: &'static str,
    /// What ATT&CK v18 called this id, where v19 renamed it.
    pub former: Option<FormerName>,
    /// The place in the official matrix, from 0; an attack tends to move along it.
    pub position: usize,
    /// The tactic's page.
    pub url: String,
}

/// The names that a tactic had in ATT&CK v18.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FormerName {
    /// The name in tags and layers: `defense-evasion`.
    pub short_name: &'static str,
    /// The name for people: `Defense Evasion`.
    pub name: &'static str,
}

/// A tactic found by name, and whether the name is still in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TacticMatch {
    /// The name that this version of ATT&CK uses.
    Current(&'static Tactic),
    /// The name of v18 for a tactic that v19 renamed.
    Renamed {
        /// What v18 called it.
        former: FormerName,
        /// The tactic that has its id today.
        tactic: &'static Tactic,
    },
}

/// A technique or sub-technique of the Containers platform.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Technique {
    /// The id.
    pub id: TechniqueId,
    /// The name within its parent: `Default Accounts`.
    pub name: &'static str,
    /// The name by itself: `Valid Accounts: Default Accounts`; the same as `name` for a technique.
    pub display_name: String,
    /// The tactics that it serves, in the order of the matrix; never empty.
    pub tactics: Vec<&'static Tactic>,
    /// The technique's page.
    pub url: String,
    /// The technique that a sub-technique belongs to.
    pub parent: Option<TechniqueId>,
}

/// All tactics of ATT&CK Enterprise, in the order of the matrix.
#[must_use]
pub fn tactics() -> &'static [Tactic] {
    &TACTICS
}

/// The tactic with this id.
#[must_use]
pub fn tactic(id: TacticId) -> Option<&'static Tactic> {
    TACTICS.iter().find(|tactic| tactic.id == id)
}

/// The tactic of this name, in any case and with `-`, `_` or a blank between words.
///
/// `defense-evasion` is found as the former name of Stealth, which kept its id. ATT&CK moved part of
/// the old tactic to Defense Impairment; which of the two an old rule means, its technique tells.
#[must_use]
pub fn tactic_by_name(name: &str) -> Option<TacticMatch> {
    let wanted = name.to_ascii_lowercase().replace(['_', ' '], "-");
    if let Some(tactic) = TACTICS.iter().find(|tactic| tactic.short_name == wanted) {
        return Some(TacticMatch::Current(tactic));
    }
    TACTICS.iter().find_map(|tactic| {
        let former = tactic.former.filter(|former| former.short_name == wanted)?;
        Some(TacticMatch::Renamed { former, tactic })
    })
}

/// All active techniques of the Containers platform, in the order of their ids.
#[must_use]
pub fn techniques() -> &'static [Technique] {
    &ATTACK.techniques
}

/// The technique with this id, if it is active and on the Containers platform.
#[must_use]
pub fn technique(id: TechniqueId) -> Option<&'static Technique> {
    let techniques = techniques();
    let index = techniques
        .binary_search_by_key(&id, |technique| technique.id)
        .ok()?;
    techniques.get(index)
}

/// The id that replaced this one, if ATT&CK v19 revoked it from the Containers platform.
#[must_use]
pub fn revoked(id: TechniqueId) -> Option<TechniqueId> {
    let revocation = ATTACK
        .revocations
        .iter()
        .find(|revocation| revocation.id == id)?;
    Some(revocation.replacement)
}

/// The id under which a technique is counted today: its replacement if it was revoked, else itself.
#[must_use]
pub fn current(id: TechniqueId) -> TechniqueId {
    revoked(id).unwrap_or(id)
}

static TACTICS: LazyLock<Vec<Tactic>> = LazyLock::new(|| {
    let parsed = tsv::rows(TACTICS_TSV).filter_map(parse_tactic);
    parsed
        .enumerate()
        .map(|(position, tactic)| Tactic { position, ..tactic })
        .collect()
});

static ATTACK: LazyLock<AttackTable> = LazyLock::new(|| {
    let mut table = AttackTable::default();
    for row in tsv::rows(ATTACK_TSV).filter_map(parse_attack_row) {
        match row {
            AttackRow::Active(technique) => table.techniques.push(technique),
            AttackRow::Revoked(revocation) => table.revocations.push(revocation),
        }
    }
    table.techniques.sort_by_key(|technique| technique.id);
    name_after_parents(&mut table.techniques);
    table
});

#[derive(Default)]
struct AttackTable {
    techniques: Vec<Technique>,
    revocations: Vec<Revocation>,
}

enum AttackRow {
    Active(Technique),
    Revoked(Revocation),
}

struct Revocation {
    id: TechniqueId,
    replacement: TechniqueId,
}

/// A row of `tactics.tsv`; the position follows from the row's place, which it cannot know.
fn parse_tactic(row: &'static str) -> Option<Tactic> {
    let [id, short_name, name, former_short_name, former_name] = tsv::cells(row)?;
    let id: TacticId = id.parse().ok()?;
    let former = match (tsv::optional(former_short_name), tsv::optional(former_name)) {
        (Some(short_name), Some(name)) => Some(FormerName { short_name, name }),
        (None, None) => None,
        _ => return None,
    };
    Some(Tactic {
        id,
        short_name,
        name,
        former,
        position: 0,
        url: id.url(),
    })
}

/// A row of `attack.tsv`. A technique without a known tactic could stand nowhere in the matrix, so
/// such a row does not parse.
fn parse_attack_row(row: &'static str) -> Option<AttackRow> {
    let [id, status, name, parent, tactics, replaced_by] = tsv::cells(row)?;
    let id: TechniqueId = id.parse().ok()?;
    if tsv::optional(parent).map(str::parse).transpose().ok()? != id.parent() {
        return None;
    }
    match status {
        "active" => {
            let display_name = name.to_owned();
            let tactics = parse_tactics(tactics)?;
            let (url, parent) = (id.url(), id.parent());
            Some(AttackRow::Active(Technique {
                id,
                name,
                display_name,
                tactics,
                url,
                parent,
            }))
        }
        "revoked" => {
            let replacement = replaced_by.parse().ok()?;
            Some(AttackRow::Revoked(Revocation { id, replacement }))
        }
        _ => None,
    }
}

/// Tactics by their present names, brought into the order of the matrix: STIX has none.
fn parse_tactics(cell: &'static str) -> Option<Vec<&'static Tactic>> {
    let mut tactics = Vec::new();
    for name in tsv::list(cell) {
        tactics.push(TACTICS.iter().find(|tactic| tactic.short_name == name)?);
    }
    tactics.sort_by_key(|tactic| tactic.position);
    (!tactics.is_empty()).then_some(tactics)
}

/// Puts a parent's name before those of its sub-techniques, which follow it directly in the order of
/// the ids.
fn name_after_parents(techniques: &mut [Technique]) {
    let mut last_parent: Option<(TechniqueId, &'static str)> = None;
    for technique in techniques {
        match (technique.parent, last_parent) {
            (None, _) => last_parent = Some((technique.id, technique.name)),
            (Some(parent), Some((id, name))) if parent == id => {
                technique.display_name = format!("{name}: {}", technique.name);
            }
            (Some(_), _) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn id(text: &str) -> TechniqueId {
        text.parse().expect("well formed")
    }

    fn known(text: &str) -> &'static Technique {
        technique(id(text)).expect("on the Containers platform")
    }

    #[test]
    fn every_row_parses() {
        tsv::assert_all_parse(TACTICS_TSV, 15, parse_tactic);
        tsv::assert_all_parse(ATTACK_TSV, 50, parse_attack_row);
        assert_eq!(
            (
                tactics().len(),
                techniques().len(),
                ATTACK.revocations.len()
            ),
            (15, 48, 2)
        );
    }

    #[test]
    fn ids_and_names_are_unique() {
        let ids: BTreeSet<_> = techniques().iter().map(|technique| technique.id).collect();
        assert_eq!(ids.len(), techniques().len());
        let names: BTreeSet<_> = tactics().iter().map(|tactic| tactic.short_name).collect();
        assert_eq!(names.len(), tactics().len());
    }

    #[test]
    fn every_subtechnique_has_its_parent_in_the_table() {
        for technique in techniques() {
            let Some(parent) = technique.parent else {
                continue;
            };
            let parent = super::technique(parent).expect("a parent in the table");
            assert_eq!(
                technique.display_name,
                format!("{}: {}", parent.name, technique.name)
            );
        }
    }

    #[test]
    fn every_replacement_is_active_and_no_revoked_id_is() {
        for Revocation { id, replacement } in &ATTACK.revocations {
            assert!(technique(*replacement).is_some());
            assert!(technique(*id).is_none());
        }
    }

    #[test]
    fn a_subtechnique_is_complete() {
        let technique = known("T1078.001");
        assert_eq!(technique.name, "Default Accounts");
        assert_eq!(technique.display_name, "Valid Accounts: Default Accounts");
        assert_eq!(
            technique.url,
            "https://attack.mitre.org/techniques/T1078/001/"
        );
        assert_eq!(technique.parent, Some(id("T1078")));
        let tactics: Vec<_> = technique
            .tactics
            .iter()
            .map(|tactic| tactic.short_name)
            .collect();
        let in_matrix_order = [
            "initial-access",
            "persistence",
            "privilege-escalation",
            "stealth",
        ];
        assert_eq!(tactics, in_matrix_order);
    }

    #[test]
    fn tactics_stand_in_the_order_of_the_matrix() {
        let names: Vec<_> = tactics().iter().map(|tactic| tactic.name).collect();
        assert_eq!(names.first(), Some(&"Reconnaissance"));
        assert_eq!(names.last(), Some(&"Impact"));
        assert!(
            names
                .windows(2)
                .any(|pair| pair == ["Stealth", "Defense Impairment"])
        );
        assert!(
            tactics()
                .iter()
                .enumerate()
                .all(|(index, tactic)| index == tactic.position)
        );
    }

    #[test]
    fn a_tactic_is_found_by_id_and_by_name() {
        let by_id = tactic("TA0004".parse().expect("well formed")).expect("known");
        assert_eq!(by_id.url, "https://attack.mitre.org/tactics/TA0004/");
        let spellings = [
            "privilege-escalation",
            "privilege_escalation",
            "Privilege Escalation",
        ];
        for name in spellings {
            assert_eq!(
                tactic_by_name(name),
                Some(TacticMatch::Current(by_id)),
                "{name}"
            );
        }
        assert_eq!(tactic_by_name("privilege"), None);
        assert_eq!(tactic("TA9999".parse().expect("well formed")), None);
    }

    #[test]
    fn the_v18_name_of_stealth_is_found_as_renamed() {
        let Some(TacticMatch::Renamed { former, tactic }) = tactic_by_name("Defense_Evasion")
        else {
            panic!("v18 called TA0005 so");
        };
        assert_eq!(former.name, "Defense Evasion");
        assert_eq!(
            (tactic.id.to_string().as_str(), tactic.name),
            ("TA0005", "Stealth")
        );
    }

    #[test]
    fn revoked_ids_lead_to_their_replacement() {
        assert_eq!(revoked(id("T1562")), Some(id("T1685")));
        assert_eq!(current(id("T1562.001")), id("T1685"));
        assert_eq!(revoked(id("T1609")), None);
        assert_eq!(current(id("T1609")), id("T1609"));
        assert_eq!(technique(id("T9999")), None);
    }
}
