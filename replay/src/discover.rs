//! From what the user names to the inputs to read: files, folders, globs, standard input.

use std::path::{Path, PathBuf};

use walkdir::WalkDir;

/// An input to read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum InputPath {
    /// Standard input, named `-`.
    Stdin,
    /// A file.
    File(PathBuf),
}

impl InputPath {
    /// The name that alerts and messages use.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Stdin => "stdin".to_owned(),
            Self::File(path) => path.display().to_string(),
        }
    }
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    /// To read, in the order named, folders sorted; each file once.
    pub paths: Vec<InputPath>,
    /// Files in folders that are no logs by their names.
    pub skipped: Vec<PathBuf>,
}

/// Why an argument leads nowhere.
#[derive(Debug, thiserror::Error)]
pub enum DiscoverError {
    /// No such file, and no glob that matches.
    #[error("{0}: no such file or folder, and no file matches it as a pattern")]
    NotFound(String),
    /// A folder that cannot be walked.
    #[error("cannot read the folder: {0}")]
    Walk(#[from] walkdir::Error),
    /// A folder without a log.
    #[error("{0}: the folder holds no log file")]
    EmptyFolder(String),
}

/// Extensions of files that stand beside logs and are none. Anything else in a folder is tried: rotated logs have names
/// like `audit.log.1`, `audit-2026-11-20T00-00-00.000` or a bare id.
const NOT_LOGS: [&str; 18] = [
    "bz2", "conf", "css", "html", "js", "lock", "md", "parquet", "pem", "png", "py", "rs", "sh",
    "toml", "tsv", "yaml", "yml", "zip",
];

/// Finds the inputs. All arguments that lead nowhere are reported at once.
///
/// # Errors
/// One per argument that names nothing.
pub fn discover(arguments: &[String]) -> Result<Inputs, Vec<DiscoverError>> {
    let mut inputs = Inputs::default();
    let mut errors = Vec::new();
    for argument in arguments {
        if let Err(error) = inputs.add(argument) {
            errors.push(error);
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    inputs.paths.retain(|path| seen.insert(path.clone()));
    if errors.is_empty() {
        Ok(inputs)
    } else {
        Err(errors)
    }
}

impl Inputs {
    fn add(&mut self, argument: &str) -> Result<(), DiscoverError> {
        let path = Path::new(argument);
        if argument == "-" {
            self.paths.push(InputPath::Stdin);
        } else if path.is_dir() {
            self.add_folder(path)?;
        } else if path.exists() {
            self.paths.push(InputPath::File(path.to_owned()));
        } else {
            self.add_glob(argument)?;
        }
        Ok(())
    }

    fn add_folder(&mut self, folder: &Path) -> Result<(), DiscoverError> {
        let before = self.paths.len();
        let hidden = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with('.');
        let walk = WalkDir::new(folder)
            .follow_links(true)
            .sort_by_file_name()
            .into_iter();
        for entry in walk.filter_entry(|entry| entry.depth() == 0 || !hidden(entry.file_name())) {
            let entry = entry?;
            if entry.file_type().is_file() {
                if is_log(entry.path()) {
                    self.paths.push(InputPath::File(entry.into_path()));
                } else {
                    self.skipped.push(entry.into_path());
                }
            }
        }
        if self.paths.len() == before {
            return Err(DiscoverError::EmptyFolder(folder.display().to_string()));
        }
        Ok(())
    }

    /// Shells expand globs; this is for quoted ones, and for shells that do not.
    fn add_glob(&mut self, pattern: &str) -> Result<(), DiscoverError> {
        let not_found = || DiscoverError::NotFound(pattern.to_owned());
        let matches = glob::glob(pattern).map_err(|_| not_found())?;
        let mut found: Vec<PathBuf> = matches.filter_map(Result::ok).collect();
        found.sort();
        if found.is_empty() {
            return Err(not_found());
        }
        for path in found {
            if path.is_dir() {
                self.add_folder(&path)?;
            } else {
                self.paths.push(InputPath::File(path));
            }
        }
        Ok(())
    }
}

fn is_log(path: &Path) -> bool {
    let extension = path
        .extension()
        .map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    extension.is_none_or(|extension| !NOT_LOGS.contains(&extension.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn folders_are_sorted_and_hidden_files_left_out() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "b.ndjson",
            "a.log.gz",
            ".hidden",
            "README.md",
            "audit.log.1",
        ] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let inputs = discover(&[folder.path().display().to_string()]).unwrap();
        let names: Vec<String> = inputs
            .paths
            .iter()
            .map(|path| path.name().rsplit('/').next().unwrap().to_owned())
            .collect();
        assert_eq!(names, ["a.log.gz", "audit.log.1", "b.ndjson"]);
        assert_eq!(inputs.skipped.len(), 1);
        let pattern = folder.path().join("*.ndjson").display().to_string();
        assert_eq!(discover(&[pattern]).unwrap().paths.len(), 1);
    }

    #[test]
    fn every_argument_that_leads_nowhere_is_named() {
        let errors = discover(&["/nowhere/a".to_owned(), "/nowhere/*.b".to_owned()]).unwrap_err();
        assert_eq!(errors.len(), 2);
    }
}
