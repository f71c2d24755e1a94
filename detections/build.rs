//! Embeds the rules: every `rules/<tactic>/<name>.yml` with the page beside it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("rules");
    println!("cargo::rerun-if-changed=rules");
    let mut rules = Vec::new();
    collect(&root, &mut rules)?;
    // The order of files must not depend on the file system.
    rules.sort();
    let mut code = String::from("&[\n");
    for rule in &rules {
        let page = rule.with_extension("md");
        let shown = rule
            .strip_prefix(&root)
            .unwrap_or(rule)
            .display()
            .to_string()
            .replace('\\', "/");
        let page = if page.exists() {
            format!("include_str!({:?})", page.to_string_lossy())
        } else {
            "\"\"".to_owned()
        };
        let _ = writeln!(
            code,
            "    Bundled {{ path: {shown:?}, rule: include_str!({:?}), page: {page} }},",
            rule.to_string_lossy()
        );
    }
    code.push(']');
    fs::write(
        PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("bundled.rs"),
        code,
    )
}

fn collect(folder: &Path, rules: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            println!("cargo::rerun-if-changed={}", path.display());
            collect(&path, rules)?;
        } else if path.extension().is_some_and(|extension| extension == "yml") {
            rules.push(path);
        }
    }
    Ok(())
}
