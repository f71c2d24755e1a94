//! One tag of a Sigma rule, judged.
//!
//! Whoever loads rules calls [`check_tag`] for each tag and decides by the verdict: a technique or
//! a tactic is used as it is; a renamed or revoked one is used under its present name, with a word
//! to the author; one that is outside of the Containers platform is kept as written, since public
//! rules are not wrong for covering more than containers; only [`TagCheck::Unknown`] is a mistake.

use crate::catalog::{self, FormerName, Tactic, TacticMatch, Technique};
use crate::id::{self, TacticId, TechniqueId};
use crate::matrix::{self, MatrixEntry};

/// The verdict on one tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagCheck {
    /// A tag of another namespace (`tlp.red`, `cve.2024-3094`), or of none.
    NotAttack,
    /// A tactic under the name that it has today, or by its id.
    Tactic(&'static Tactic),
    /// A technique of the Containers platform.
    Technique(&'static Technique),
    /// A tactic under its name in ATT&CK v18.
    RenamedTactic {
        /// What v18 called it.
        former: FormerName,
        /// What it is today.
        tactic: &'static Tactic,
    },
    /// A technique that ATT&CK v19 revoked from the Containers platform.
    Revoked {
        /// The id in the tag.
        id: TechniqueId,
        /// The id to write instead.
        replacement: TechniqueId,
    },
    /// A well-formed technique that the Containers table does not know: accepted with a note, as
    /// nothing here can tell a technique of another platform from one that does not exist.
    NotOnContainers(TechniqueId),
    /// A page of Microsoft's Kubernetes threat matrix (`attack.ms-ta9038`), as public rules tag it.
    ThreatMatrix(&'static MatrixEntry),
    /// A group (`attack.g0139`) or a software (`attack.s0601`): valid Sigma, of no effect here.
    GroupOrSoftware,
    /// In ATT&CK's namespace, and nothing that it has.
    Unknown {
        /// The tag that was probably meant.
        suggestion: Option<String>,
    },
}

/// Judges one tag as a Sigma rule has it, namespace included, in any case.
#[must_use]
pub fn check_tag(tag: &str) -> TagCheck {
    let Some(name) = id::strip_namespace(tag) else {
        return TagCheck::NotAttack;
    };
    // Only the bare id: `attack.attack.t1609` must not pass as a technique.
    if id::strip_namespace(name).is_some() {
        return TagCheck::Unknown {
            suggestion: Some(format!("attack.{}", tail(name))),
        };
    }
    if let Ok(id) = name.parse::<TechniqueId>() {
        return check_technique(id);
    }
    if let Ok(id) = name.parse::<TacticId>() {
        // A number says nothing about what was meant, so there is nothing to suggest.
        return catalog::tactic(id)
            .map_or(TagCheck::Unknown { suggestion: None }, TagCheck::Tactic);
    }
    match catalog::tactic_by_name(name) {
        Some(TacticMatch::Current(tactic)) => return TagCheck::Tactic(tactic),
        Some(TacticMatch::Renamed { former, tactic }) => {
            return TagCheck::RenamedTactic { former, tactic };
        }
        None => {}
    }
    if let Some(entry) = matrix::entry(name) {
        return TagCheck::ThreatMatrix(entry);
    }
    if is_group_or_software(name) {
        return TagCheck::GroupOrSoftware;
    }
    TagCheck::Unknown {
        suggestion: suggestion(name),
    }
}

fn check_technique(id: TechniqueId) -> TagCheck {
    if let Some(replacement) = catalog::revoked(id) {
        return TagCheck::Revoked { id, replacement };
    }
    catalog::technique(id).map_or(TagCheck::NotOnContainers(id), TagCheck::Technique)
}

fn is_group_or_software(name: &str) -> bool {
    name.strip_prefix(['g', 'G', 's', 'S'])
        .is_some_and(|number| id::digits(number, 4).is_some())
}

fn suggestion(name: &str) -> Option<String> {
    let name = name.to_ascii_lowercase();
    let tag = mended_id(&name)
        .map(TechniqueId::as_tag)
        .or_else(|| nearest_tag(&name))?;
    Some(tag)
}

/// The id that was meant by `1609`, `t1078.1`, `t1078_001` or `t1078/001`. Edit distance would take
/// any of the neighbouring ids for as good as the right one.
fn mended_id(name: &str) -> Option<TechniqueId> {
    let bare = name.strip_prefix('t').unwrap_or(name);
    let id = match bare.split_once(['.', '_', '-', '/']) {
        Some((number, sub)) => format!("T{number}.{sub:0>3}"),
        None => format!("T{bare}"),
    };
    id.parse().ok().map(catalog::current)
}

/// The tag whose spelling is nearest, if it is near enough to be a slip: a third of the length, as
/// rustc has it for identifiers.
fn nearest_tag(name: &str) -> Option<String> {
    let name = name.replace(['_', ' '], "-");
    let distance_max = name.chars().count().max(3) / 3;
    candidates()
        .map(|(spelling, tag)| (strsim::damerau_levenshtein(&name, &spelling), tag))
        .filter(|(distance, _)| *distance <= distance_max)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, tag)| tag)
}

/// Everything that an author may have meant, as it would be spelled, with the tag to write: tactics
/// by both names, techniques by id and by name.
fn candidates() -> impl Iterator<Item = (String, String)> {
    let tactics = catalog::tactics().iter().flat_map(|tactic| {
        let spellings = [
            Some(tactic.short_name),
            tactic.former.map(|former| former.short_name),
        ];
        let tag = format!("attack.{}", tactic.short_name);
        spellings
            .into_iter()
            .flatten()
            .map(move |spelling| (spelling.to_owned(), tag.clone()))
    });
    let techniques = catalog::techniques().iter().flat_map(|technique| {
        let id = technique.id.to_string().to_ascii_lowercase();
        let name = technique.name.to_ascii_lowercase().replace([' ', '/'], "-");
        [(id, technique.id.as_tag()), (name, technique.id.as_tag())]
    });
    tactics.chain(techniques)
}

/// What follows the last repetition of the namespace.
fn tail(name: &str) -> &str {
    let mut tail = name;
    while let Some(rest) = id::strip_namespace(tail) {
        tail = rest;
    }
    tail
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A verdict in one line, so that a table of tags reads like a table.
    #[track_caller]
    fn check(tag: &str, expected: &str) {
        let verdict = match check_tag(tag) {
            TagCheck::NotAttack => "not attack".to_owned(),
            TagCheck::Tactic(tactic) => format!("tactic {}", tactic.short_name),
            TagCheck::Technique(technique) => format!("technique {}", technique.display_name),
            TagCheck::RenamedTactic { former, tactic } => {
                format!("renamed {} to {}", former.name, tactic.name)
            }
            TagCheck::Revoked { id, replacement } => format!("revoked {id} for {replacement}"),
            TagCheck::NotOnContainers(id) => format!("elsewhere {id}"),
            TagCheck::ThreatMatrix(entry) => format!("matrix {}", entry.name),
            TagCheck::GroupOrSoftware => "group or software".to_owned(),
            TagCheck::Unknown {
                suggestion: Some(suggestion),
            } => format!("unknown, {suggestion}?"),
            TagCheck::Unknown { suggestion: None } => "unknown".to_owned(),
        };
        assert_eq!(verdict, expected, "{tag}");
    }

    #[test]
    fn other_namespaces_are_none_of_our_business() {
        for tag in [
            "tlp.red",
            "cve.2024-3094",
            "detection.threat-hunting",
            "attack",
            "",
            "t1609",
        ] {
            check(tag, "not attack");
        }
    }

    #[test]
    fn tactics_and_techniques_are_found_in_any_case() {
        check("attack.t1609", "technique Container Administration Command");
        check(
            "Attack.T1078.001",
            "technique Valid Accounts: Default Accounts",
        );
        check("attack.execution", "tactic execution");
        check("attack.privilege_escalation", "tactic privilege-escalation");
        check("attack.ta0002", "tactic execution");
    }

    #[test]
    fn names_of_v18_are_understood_and_reported() {
        check(
            "attack.defense-evasion",
            "renamed Defense Evasion to Stealth",
        );
        check(
            "attack.defense_evasion",
            "renamed Defense Evasion to Stealth",
        );
        check("attack.ta0005", "tactic stealth");
        check("attack.t1562", "revoked T1562 for T1685");
        check("attack.t1562.001", "revoked T1562.001 for T1685");
    }

    #[test]
    fn what_is_valid_elsewhere_is_no_mistake() {
        check("attack.t1557", "elsewhere T1557");
        check("attack.t1090.003", "elsewhere T1090.003");
        check("attack.g0139", "group or software");
        check("attack.s0601", "group or software");
        check("attack.MS-TA9038", "matrix Data destruction");
    }

    #[test]
    fn a_mended_id_is_suggested() {
        check("attack.1531", "unknown, attack.t1531?");
        check("attack.t1078.1", "unknown, attack.t1078.001?");
        check("attack.t1078_001", "unknown, attack.t1078.001?");
        check("attack.t1078/001", "unknown, attack.t1078.001?");
        check("attack.t1562.1", "unknown, attack.t1685?");
        check("attack.attack.t1609", "unknown, attack.t1609?");
    }

    #[test]
    fn the_nearest_name_is_suggested() {
        check(
            "attack.privilege-escalaton",
            "unknown, attack.privilege-escalation?",
        );
        check(
            "attack.credentials_access",
            "unknown, attack.credential-access?",
        );
        check("attack.defence-evasion", "unknown, attack.stealth?");
        check(
            "attack.defense-impairement",
            "unknown, attack.defense-impairment?",
        );
        check(
            "attack.container_administration_command",
            "unknown, attack.t1609?",
        );
        check("attack.t16099", "unknown, attack.t1609?");
    }

    #[test]
    fn nothing_far_fetched_is_suggested() {
        for tag in [
            "attack.kubernetes",
            "attack.",
            "attack.x",
            "attack.ta9999",
            "attack.ms-ta9032",
        ] {
            check(tag, "unknown");
        }
    }
}
