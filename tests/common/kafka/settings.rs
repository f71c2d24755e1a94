//! The file `server.properties`.

use std::path::Path;

use super::options::Options;
use super::ports::{Ports, address};

/// The folder of the data, inside that of the broker.
pub(super) const DATA: &str = "data";

/// How many partitions there are for the state of groups, of transactions and of shares: few, since their first client waits
/// until all are made, which would be fifty.
pub(super) const STATE_PARTITIONS: u32 = 2;

/// One machine is the whole cluster, and a test does not wait for others to join.
///
/// A broker that was killed is let in again when its old session is over: after two seconds, where Kafka takes nine. Less, and
/// a broker that waits for its turn on a busy machine loses its partitions. The log cleaner's table is 128 MiB otherwise, half
/// of what Java may have here.
const SETTINGS: &str = "\
process.roles=broker,controller
node.id=1
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL
auto.create.topics.enable=false
broker.heartbeat.interval.ms=200
broker.session.timeout.ms=2000
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=4194304
offsets.topic.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.replication.factor=1
";

/// The settings of a broker with this folder.
pub(super) fn server(folder: &Path, ports: &Ports, options: &Options) -> String {
    let folder = folder.display();
    let mut settings = format!(
        "{SETTINGS}log.dirs={folder}/{DATA}\n\
         offsets.topic.num.partitions={STATE_PARTITIONS}\n\
         transaction.state.log.num.partitions={STATE_PARTITIONS}\n\
         share.coordinator.state.topic.num.partitions={STATE_PARTITIONS}\n"
    );
    settings += &listeners_and_controller(ports);
    if options.encrypts() {
        settings += &format!(
            "ssl.keystore.type=PEM\nssl.keystore.location={folder}/keystore.pem\n\
             ssl.truststore.type=PEM\nssl.truststore.location={folder}/ca.pem\n"
        );
    }
    if let Some(client_auth) = options.tls {
        settings += &client_auth.setting();
    }
    if let Some(sasl) = options.sasl {
        settings += &sasl.settings();
    }
    settings + &options.settings.join("\n")
}

/// The controller is named here rather than in the storage, so that one formatted storage serves brokers on all ports.
fn listeners_and_controller(ports: &Ports) -> String {
    let listeners: Vec<String> = ports
        .all()
        .map(|(name, at)| format!("{name}://{at}"))
        .collect();
    let listeners = listeners.join(",");
    let controller = address(ports.controller);
    format!("listeners={listeners}\ncontroller.quorum.voters=1@{controller}\n")
}
