//! Where the rules of a run come from: the pack in the binary, folders, lists, exclusions.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use detections::bundled;
use detections::diagnostic::{Source, did_you_mean};
use detections::page::Page;
use detections::sigma::ast::Header;
use detections::sigma::{Loaded, Placeholders, load};

use crate::catalog::Catalog;

/// A rule file beyond this size is no rule file; the largest real one has a few KiB.
const RULE_BYTES_MAX: u64 = 1 << 20;

/// What to load.
#[derive(Clone, Debug, Default)]
pub struct RuleSources {
    /// Leave out the pack in the binary.
    pub without_bundled: bool,
    /// Rule files, or folders of them.
    pub paths: Vec<PathBuf>,
    /// Names, ids, or tags of rules to leave out.
    pub disabled: Vec<String>,
    /// Files of Sigma filters.
    pub exclusions: Vec<PathBuf>,
    /// YAML files of lists for `%placeholders%`.
    pub lists: Vec<PathBuf>,
}

/// Why rules could not be had at all. Faults *in* rules are diagnostics, not errors.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// A file could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is far too large.
    #[error("{path} is {size} bytes: a rule file has a few thousand")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        size: u64,
    },
    /// A folder without rules, most likely the wrong one.
    #[error("{0} holds no .yml or .yaml file")]
    Empty(PathBuf),
    /// A list file is no mapping of names to values.
    #[error("{path}: {reason}")]
    Lists {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// `--disable` names nothing.
    #[error("there is no rule, id or tag `{name}` to disable{hint}")]
    NothingToDisable {
        /// What was named.
        name: String,
        /// ` (did you mean …)`, or empty.
        hint: String,
    },
}

/// Rules with their pages, and what is wrong with them.
#[derive(Debug)]
pub struct LoadedRules {
    /// What the language says of them.
    pub loaded: Loaded,
    /// Pages by the rule's name.
    pub pages: BTreeMap<String, Page>,
}

impl LoadedRules {
    /// Compiles the rules.
    #[must_use]
    pub fn into_catalog(self) -> Catalog {
        let Self { loaded, pages } = self;
        Catalog::new(loaded, |header| pages.get(&header.name).cloned())
    }
}

impl RuleSources {
    /// Reads and parses everything.
    ///
    /// # Errors
    /// If a file cannot be read, or an option names nothing. Faults in rules are in the result.
    pub fn load(&self) -> Result<LoadedRules, RulesError> {
        let mut sources = Vec::new();
        let mut pages = BTreeMap::new();
        if !self.without_bundled {
            for bundled in bundled::RULES {
                sources.push(bundled.source());
                pages.insert(bundled.name().to_owned(), Page::parse(bundled.page));
            }
        }
        for path in &self.paths {
            read_rules(path, &mut sources, &mut pages)?;
        }
        for path in &self.exclusions {
            sources.push(read(path)?);
        }
        let mut loaded = load(&sources, &self.read_lists()?);
        self.disable(&mut loaded)?;
        Ok(LoadedRules { loaded, pages })
    }

    fn read_lists(&self) -> Result<Placeholders, RulesError> {
        let mut lists = Placeholders::new();
        for path in &self.lists {
            let source = read(path)?;
            let found = detections::sigma::lists(&source).map_err(|reason| RulesError::Lists {
                path: path.clone(),
                reason,
            })?;
            lists.extend(found);
        }
        Ok(lists)
    }

    fn disable(&self, loaded: &mut Loaded) -> Result<(), RulesError> {
        for name in &self.disabled {
            let known: Vec<String> = loaded.headers().map(|header| header.name.clone()).collect();
            let matches = |header: &Header| {
                header.is_called(name) || header.tags.iter().any(|tag| tag == name)
            };
            if !loaded.disable(matches) {
                let near = did_you_mean(name, known.iter().map(String::as_str));
                let hint = near
                    .map(|near| format!(" (did you mean `{near}`?)"))
                    .unwrap_or_default();
                return Err(RulesError::NothingToDisable {
                    name: name.clone(),
                    hint,
                });
            }
        }
        Ok(())
    }
}

fn read(path: &Path) -> Result<Source, RulesError> {
    let failed = |source| RulesError::Read {
        path: path.to_owned(),
        source,
    };
    let size = fs::metadata(path).map_err(failed)?.len();
    if size > RULE_BYTES_MAX {
        return Err(RulesError::TooLarge {
            path: path.to_owned(),
            size,
        });
    }
    let text = fs::read_to_string(path).map_err(failed)?;
    Ok(Source::new(&path.display().to_string(), &text))
}

fn read_rules(
    path: &Path,
    sources: &mut Vec<Source>,
    pages: &mut BTreeMap<String, Page>,
) -> Result<(), RulesError> {
    let files = rule_files(path)?;
    if files.is_empty() {
        return Err(RulesError::Empty(path.to_owned()));
    }
    for file in files {
        let page = file.with_extension("md");
        let stem = file
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        sources.push(read(&file)?);
        if page.exists() {
            pages.insert(stem, Page::parse(&read(&page)?.text));
        }
    }
    Ok(())
}

/// The rule files below a folder, sorted; a file is itself.
fn rule_files(path: &Path) -> Result<Vec<PathBuf>, RulesError> {
    let failed = |source| RulesError::Read {
        path: path.to_owned(),
        source,
    };
    if !fs::metadata(path).map_err(failed)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        // Kubernetes mounts config maps with a second copy of everything in `..data`.
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let entry = entry.path();
        if entry.is_dir() {
            files.extend(rule_files(&entry)?);
        } else if entry
            .extension()
            .is_some_and(|extension| extension == "yml" || extension == "yaml")
        {
            files.push(entry);
        }
    }
    files.sort();
    Ok(files)
}
