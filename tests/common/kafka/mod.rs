//! A real Apache Kafka for the end-to-end tests: one broker that is its own controller (`KRaft`), on this machine only.
//!
//! What comes in is `tests/kafka/pom.xml`, which names the version, and what a test asks for. What goes out are addresses to
//! connect to, certificates to trust and to show, the handles that make a broker fail (`pause`, `kill`, `restart`), and a
//! [`client`] to write topics and to read them. A mock would agree with whatever we believe about Kafka; the broker is where
//! such beliefs are tried.
//!
//! 1. Nothing is skipped: a missing program fails the test and names the Debian package.
//! 2. What is slow and the same for every broker is made once, below `target/`: the jars from Maven Central, the formatted
//!    storage, the archive of loaded classes. Whole or not at all, also when several test processes ask at once.
//! 3. Every broker has ports, certificates and a folder of its own, so that tests run beside each other.
//! 4. Nothing is left: neither process nor file outlives the test, however it ends (see `process::GUARD`).
//!
//! A start takes less than two seconds, on two cores with nobody else on them. The first of all takes twelve and the download.

#![allow(
    dead_code,
    unused_imports,
    reason = "every test file uses a part of it"
)]

mod broker;
pub(crate) mod client;
mod options;
mod reader;
mod topics;

mod certificates;
mod jars;
mod java;
mod ports;
mod process;
mod settings;
mod storage;

pub(crate) use broker::Broker;
pub(crate) use options::{ClientAuth, Options, PASSWORD, Sasl, USER};
