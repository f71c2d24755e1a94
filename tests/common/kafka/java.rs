//! How Java is started, for a broker and for Kafka's other programs.
//!
//! A broker's start is nearly all the loading of thousands of classes. Java can write those it has loaded to an archive and
//! map them from there the next time, which halves a start.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::broker::Broker;
use super::jars::{self, prepared};
use super::options::{ClientAuth, Options, Sasl};
use super::process::run;

/// The Debian package with `java`.
pub(super) const PACKAGE: &str = "default-jre-headless";

/// For programs that live for seconds: the quick compiler alone and the plainest collector take two fifths off a start. The
/// last flag is about a file below `/tmp` that a killed process leaves there.
const FLAGS: [&str; 3] = [
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    "-XX:-UsePerfData",
];

const TOOL_FLAGS: [&str; 2] = ["-Xmx128m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"];

const BROKER_FLAGS: [&str; 3] = [
    "-Xmx256m",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
];

/// One of Kafka's own programs, still without arguments.
pub(super) fn tool(folder: &Path, class: &str) -> Command {
    let mut java = java(folder);
    java.args(TOOL_FLAGS).arg(class).stdin(Stdio::null());
    java
}

/// The broker, still without its settings.
pub(super) fn broker(folder: &Path, classes: Option<&str>) -> Command {
    let mut java = java(folder);
    java.args(BROKER_FLAGS).args(classes).arg("kafka.Kafka");
    java
}

fn java(folder: &Path) -> Command {
    let mut java = Command::new("java");
    java.args(FLAGS)
        // Where the compression libraries are unpacked, and left behind by a broker that is killed.
        .arg(format!("-Djava.io.tmpdir={}", folder.display()))
        .arg("-cp")
        .arg(jars::folder().join("*"))
        // Where Java leaves a report when it crashes.
        .current_dir(folder);
    java
}

/// The flag for a broker that takes its classes from the archive. There is none where Java wrote no archive, as one does that
/// has none of its own classes: starts are slow there, and right.
pub(super) fn archived_classes() -> Option<String> {
    static ARCHIVE: OnceLock<PathBuf> = OnceLock::new();
    let archive = ARCHIVE.get_or_init(|| {
        // Java takes an archive only if it wrote it itself, and from the same jars. Otherwise it says so in the broker's log
        // and goes on without.
        let version = run(Command::new("java").arg("-version"), PACKAGE);
        let parts = jars::fingerprint(&(version, jars::folder()));
        let name = format!("kafka-classes-{}-{parts}", jars::version());
        prepared(&name, archive_classes).join(ARCHIVE_NAME)
    });
    let flag = || format!("-XX:SharedArchiveFile={}", archive.display());
    archive.is_file().then(flag)
}

const ARCHIVE_NAME: &str = "classes.jsa";

/// Runs a broker that writes the archive when it stops.
fn archive_classes(folder: &Path) {
    let archive = folder.join(ARCHIVE_NAME);
    let options = Options {
        tls: Some(ClientAuth::Requested),
        sasl: Some(Sasl::ScramSha256),
        settings: &[],
    };
    let flag = format!("-XX:ArchiveClassesAtExit={}", archive.display());
    let mut broker = Broker::start_with(&options, Some(flag));
    broker.stop();
}
