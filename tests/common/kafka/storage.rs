//! The formatted storage that a broker must find before its first start.
//!
//! Kafka formats with a program of its own, most of a second for each broker. What it writes depends on the version and on
//! the users of SCRAM, so it is written once and copied; only the name of the cluster is put in.

use std::fs;
use std::path::{Path, PathBuf};

use super::jars::{self, prepared};
use super::options::{Options, Sasl};
use super::ports::Ports;
use super::process::run;
use super::{java, settings};

/// The name of the cluster in the storage that is copied.
const CLUSTER: &str = "tidewatch000000000000A";

/// Fills the data folder of a new broker.
pub(super) fn lay_out(data: &Path, cluster: &str, options: &Options) {
    let formatted = formatted(options.sasl);
    fs::create_dir(data).unwrap();
    let bootstrap = "bootstrap.checkpoint";
    fs::copy(formatted.join(bootstrap), data.join(bootstrap)).unwrap();
    let properties = fs::read_to_string(formatted.join("meta.properties")).unwrap();
    let properties = properties.replace(CLUSTER, cluster);
    fs::write(data.join("meta.properties"), properties).unwrap();
}

/// The storage to copy.
fn formatted(sasl: Option<Sasl>) -> PathBuf {
    let arguments: Vec<String> = sasl.into_iter().flat_map(Sasl::format_arguments).collect();
    // The passwords are in it: others than those of an older source are another storage.
    let parts = jars::fingerprint(&arguments);
    let name = format!("kafka-storage-{}-{parts}", jars::version());
    prepared(&name, |folder| format(folder, &arguments)).join(settings::DATA)
}

fn format(folder: &Path, arguments: &[String]) {
    let options = Options::default();
    let settings = settings::server(folder, &Ports::free(&options), &options);
    let file = folder.join("server.properties");
    fs::write(&file, settings).unwrap();
    let mut format = java::tool(folder, "kafka.tools.StorageTool");
    format.args(["format", "--cluster-id", CLUSTER, "--config"]);
    format.arg(file).args(arguments);
    run(&mut format, java::PACKAGE);
}
