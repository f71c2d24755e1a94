//! What is made once for all brokers and kept below `target/`, the jars first of all.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::process::run;

const POM: &str = "tests/kafka/pom.xml";

/// The folder with the jars.
pub(super) fn folder() -> &'static Path {
    static JARS: OnceLock<PathBuf> = OnceLock::new();
    JARS.get_or_init(|| prepared(&format!("kafka-libs-{}", version()), fetch))
}

/// Has Maven fill the folder.
fn fetch(folder: &Path) {
    let mut maven = Command::new("mvn");
    maven
        .args(["--batch-mode", "--no-transfer-progress", "--file"])
        .arg(root().join(POM))
        .arg(format!("-DoutputDirectory={}", folder.display()));
    run(&mut maven, "maven");
}

/// Kafka's version, from the one place that names it.
pub(super) fn version() -> String {
    let pom = fs::read_to_string(root().join(POM)).unwrap();
    let (_, rest) = pom.split_once("<kafka.version>").unwrap();
    let (version, _) = rest.split_once('<').unwrap();
    version.to_owned()
}

/// A folder of `target/` with this name. If it is missing, it is made: `fill` gets an empty folder, whose name is not the last
/// one, and it is there for others when `fill` returns.
pub(super) fn prepared(name: &str, fill: impl FnOnce(&Path)) -> PathBuf {
    let target = target_folder();
    let folder = target.join(name);
    fs::create_dir_all(&target).unwrap();
    // Until the end of the function, only one process is here; if it is killed, the next one takes over.
    let lock = File::create(target.join(format!("{name}.lock"))).unwrap();
    lock.lock().unwrap();
    if folder.is_dir() {
        return folder;
    }
    let part = target.join(format!("{name}.part"));
    if part.exists() {
        // The rest of an attempt that failed.
        fs::remove_dir_all(&part).unwrap();
    }
    fs::create_dir(&part).unwrap();
    fill(&part);
    fs::rename(part, &folder).unwrap();
    folder
}

/// What distinguishes prepared folders in their names.
pub(super) fn fingerprint(parts: &impl Hash) -> String {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// The workspace, also for a test of one of its members.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .find(|folder| folder.join(POM).is_file())
        .expect("tests/kafka/pom.xml is missing")
}

fn target_folder() -> PathBuf {
    let chosen = std::env::var_os("CARGO_TARGET_DIR");
    root().join(chosen.unwrap_or_else(|| "target".into()))
}
