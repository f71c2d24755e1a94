//! All fields of the configuration, in the order of the documentation.

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// `true` or `false`.
    Flag,
    /// A whole number within bounds.
    Number(i64, i64),
    /// Bytes: `"64MiB"`.
    Size,
    /// A time span: `"30s"`, `"250ms"`, `"24h"`, `"90d"`.
    Duration,
    /// Address and port: `"127.0.0.1:9443"`.
    Address,
    /// A list of texts.
    Texts,
    /// One of these.
    Choice(&'static [&'static str]),
    /// A secret, never itself in the file: `{ file = "…" }` or `{ env = "…" }`.
    Secret,
    /// Names and values that a library reads, not we.
    Settings,
    /// The same, where each value is a [`Kind::Secret`].
    Secrets,
}

/// One field.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Where it stands: `http.listen`; `*` is a name of the user's own, `[]` an element of a list of tables.
    pub path: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// What it is if it is not there, in TOML; empty if it has none.
    pub default: &'static str,
    /// How it may look, in TOML.
    pub example: &'static str,
    /// What it is for.
    pub doc: &'static str,
}

const fn field(
    path: &'static str,
    kind: Kind,
    default: &'static str,
    example: &'static str,
    doc: &'static str,
) -> Field {
    Field {
        path,
        kind,
        default,
        example,
        doc,
    }
}

/// What sections are for.
pub const SECTIONS: &[(&str, &str)] = &[
    ("", "At the top of the file."),
    (
        "log",
        "The log of what came in, in segment files below the data directory.",
    ),
    ("findings", "Findings that are kept for `tidewatch alerts`."),
    (
        "dead_letters",
        "What could not be processed, kept with its bytes for `tidewatch dlq`.",
    ),
    (
        "rules",
        "Which rules are used. They are read again when a file changes, and on SIGHUP.",
    ),
    ("detection", "How events become findings."),
    (
        "http",
        "The listener for the audit webhook, Firehose and Pub/Sub, with health and metrics.",
    ),
    (
        "http.tls",
        "TLS. The files are read again when they change.",
    ),
    (
        "http.tokens[]",
        "Bearer tokens of senders; Firehose shows them as its access key.",
    ),
    (
        "http.clients[]",
        "Names of client certificates. If there are any, only these may send.",
    ),
    ("http.pubsub", "Google Pub/Sub's signed pushes."),
    (
        "http.limits",
        "Bounds of the listener. Each one that is reached is counted.",
    ),
    (
        "completeness",
        "Whether all that API servers emit arrives; what does not is a finding. With embedded state.",
    ),
    (
        "apiservers[]",
        "API servers whose own counters of audit events are read, each at an address of its own.",
    ),
    (
        "files[]",
        "Log files that are followed, for distributions without an audit webhook.",
    ),
    (
        "kafka",
        "Kafka: with `state = \"kafka\"` everything, with embedded state for sinks of that type. docs/kafka.md says more.",
    ),
    (
        "kafka.topics",
        "Its topics. Those that are missing are made, with what Tidewatch needs.",
    ),
    (
        "kafka.sources[]",
        "Topics of others that are read: audit events, lists of them, or a cloud's envelopes as messages.",
    ),
    (
        "sinks.*",
        "Where alerts go; the name is yours, and names the sink's place in the outbox.",
    ),
    (
        "logging",
        "What the process says of itself, on standard error.",
    ),
];

/// The levels of a rule, as in `min_level`.
const LEVELS: &[&str] = &["informational", "low", "medium", "high", "critical"];

/// All of them.
pub const FIELDS: &[Field] = &[
    field(
        "data_dir",
        Kind::Text,
        "\"tidewatch-data\"",
        "\"/var/lib/tidewatch\"",
        "Where log, state, findings and dead letters lie. One process at a time works in it.",
    ),
    field(
        "state",
        Kind::Choice(&["embedded", "kafka"]),
        "\"embedded\"",
        "\"kafka\"",
        "Where bodies, state and alerts lie: in the data directory of this one process, or in Kafka, which any number of processes share.",
    ),
    field(
        "log.quota",
        Kind::Size,
        "\"8GiB\"",
        "\"100GiB\"",
        "Bytes that the log may take. With half of it waiting to be evaluated, senders are told to come again.",
    ),
    field(
        "log.keep",
        Kind::Duration,
        "\"24h\"",
        "\"7d\"",
        "How long bodies are kept after they were evaluated, within the quota.",
    ),
    field(
        "log.reserve",
        Kind::Size,
        "\"512MiB\"",
        "\"5GiB\"",
        "Bytes that must stay free on the disk; with less, senders are told to come again.",
    ),
    field(
        "findings.keep",
        Kind::Duration,
        "\"90d\"",
        "\"365d\"",
        "How long a finding is kept after its last change.",
    ),
    field(
        "findings.quota",
        Kind::Size,
        "\"1GiB\"",
        "\"10GiB\"",
        "Bytes that findings may take; the oldest go first.",
    ),
    field(
        "dead_letters.quota",
        Kind::Size,
        "\"1GiB\"",
        "\"10GiB\"",
        "Bytes that dead letters may take; the oldest go first, and that is counted.",
    ),
    field(
        "rules.bundled",
        Kind::Flag,
        "true",
        "false",
        "Whether the rules in the binary are used.",
    ),
    field(
        "rules.paths",
        Kind::Texts,
        "[]",
        "[\"/etc/tidewatch/rules\"]",
        "More rules: files or folders of Sigma rules.",
    ),
    field(
        "rules.disable",
        Kind::Texts,
        "[]",
        "[\"pod_exec_or_attach\"]",
        "Rules to leave out, by name, id or tag.",
    ),
    field(
        "rules.exclusions",
        Kind::Texts,
        "[]",
        "[\"/etc/tidewatch/exclusions.yml\"]",
        "Files of Sigma filters that say what is expected.",
    ),
    field(
        "rules.lists",
        Kind::Texts,
        "[]",
        "[\"/etc/tidewatch/lists.yml\"]",
        "YAML files of lists for %placeholders% in rules.",
    ),
    field(
        "detection.window",
        Kind::Duration,
        "\"1h\"",
        "\"30m\"",
        "How long one act may go on before it becomes a new finding. Ids depend on it.",
    ),
    field(
        "detection.trusted_proxies",
        Kind::Texts,
        "[]",
        "[\"10.0.0.0/8\"]",
        "Proxies whose word on client addresses is trusted, as addresses or networks. Loopback always is.",
    ),
    field(
        "detection.automation",
        Kind::Texts,
        "[]",
        "[\"system:serviceaccount:argocd:argocd-application-controller\"]",
        "Accounts that are your own automation: their findings are one level lower.",
    ),
    field(
        "detection.commit_interval",
        Kind::Duration,
        "\"100ms\"",
        "\"1s\"",
        "The longest that something found waits for its commit while more comes in.",
    ),
    field(
        "http.listen",
        Kind::Address,
        "\"127.0.0.1:9443\"",
        "\"0.0.0.0:9443\"",
        "Where to listen. Beyond loopback senders must authenticate: by tokens or client certificates.",
    ),
    field(
        "http.tls.certificate",
        Kind::Text,
        "",
        "\"/etc/tidewatch/tls/tls.crt\"",
        "The server's certificate and its chain, PEM.",
    ),
    field(
        "http.tls.key",
        Kind::Text,
        "",
        "\"/etc/tidewatch/tls/tls.key\"",
        "Its private key, PEM.",
    ),
    field(
        "http.tls.client_authority",
        Kind::Text,
        "",
        "\"/etc/tidewatch/tls/clients.crt\"",
        "Authorities of client certificates, PEM. A certificate of theirs lets its owner send.",
    ),
    field(
        "http.tokens[].secret",
        Kind::Secret,
        "",
        "{ file = \"/run/secrets/webhook-token\" }",
        "The token.",
    ),
    field(
        "http.tokens[].clusters",
        Kind::Texts,
        "[]",
        "[\"prod-eu\"]",
        "Clusters that it may speak for; all if empty.",
    ),
    field(
        "http.clients[].name",
        Kind::Text,
        "",
        "\"apiserver.prod-eu\"",
        "Common name or DNS name in the certificate.",
    ),
    field(
        "http.clients[].clusters",
        Kind::Texts,
        "[]",
        "[\"prod-eu\"]",
        "Clusters that it may speak for; all if empty.",
    ),
    field(
        "http.pubsub.audience",
        Kind::Text,
        "",
        "\"https://tidewatch.example.com\"",
        "The audience of the subscription's tokens.",
    ),
    field(
        "http.pubsub.service_account",
        Kind::Text,
        "",
        "\"push@project.iam.gserviceaccount.com\"",
        "The service account of the subscription.",
    ),
    field(
        "http.pubsub.keys",
        Kind::Text,
        "\"https://www.googleapis.com/oauth2/v3/certs\"",
        "\"/etc/tidewatch/google-keys.json\"",
        "Google's keys, as a JSON Web Key Set: an address that is asked every hour, or a file.",
    ),
    field(
        "http.limits.body",
        Kind::Size,
        "\"64MiB\"",
        "\"128MiB\"",
        "The largest body. What is beyond is not kept, and told by a dead letter; the API server's largest measured one had 41 MB.",
    ),
    field(
        "http.limits.connections",
        Kind::Number(1, 1_000_000),
        "4096",
        "10000",
        "Open connections in all.",
    ),
    field(
        "http.limits.connections_per_client",
        Kind::Number(1, 1_000_000),
        "512",
        "4096",
        "Open connections of one client address.",
    ),
    field(
        "http.limits.requests_per_second",
        Kind::Number(1, 1_000_000),
        "20000",
        "1000",
        "Requests of one client address a second, on average; twice as many at once.",
    ),
    field(
        "http.limits.first_request",
        Kind::Duration,
        "\"10s\"",
        "\"5s\"",
        "How long a new connection may take to show its first whole head, with its TLS handshake.",
    ),
    field(
        "http.limits.idle",
        Kind::Duration,
        "\"2m\"",
        "\"30s\"",
        "How long a connection may be idle between requests.",
    ),
    field(
        "http.limits.body_time",
        Kind::Duration,
        "\"30s\"",
        "\"60s\"",
        "How long a body may take. The API server gives up after 30 s.",
    ),
    field(
        "http.limits.connection_age",
        Kind::Duration,
        "\"5m\"",
        "\"1h\"",
        "How old a connection grows before it is asked to end, so that senders spread over replicas.",
    ),
    field(
        "completeness.silence",
        Kind::Flag,
        "true",
        "false",
        "Whether a sender that falls silent is a finding.",
    ),
    field(
        "completeness.silent_after",
        Kind::Duration,
        "\"15m\"",
        "\"1h\"",
        "The least time without a body that is called silence; one that is usually silent for longer is given up to eight times as long.",
    ),
    field(
        "completeness.grace",
        Kind::Duration,
        "\"5m\"",
        "\"10m\"",
        "How long events may be under way before they are missing. The API server collects for 30 s and tries for up to 248 s.",
    ),
    field(
        "completeness.tolerance",
        Kind::Number(0, 1_000_000_000),
        "10",
        "1000",
        "Events that may be missing, besides what is under way at any time.",
    ),
    field(
        "apiservers[].cluster",
        Kind::Text,
        "\"default\"",
        "\"prod-eu\"",
        "The cluster, as in the address that it sends to.",
    ),
    field(
        "apiservers[].name",
        Kind::Text,
        "",
        "\"master-1\"",
        "The API server, as in the address that it sends to; for a followed file its name.",
    ),
    field(
        "apiservers[].url",
        Kind::Text,
        "",
        "\"https://10.0.0.1:6443/metrics\"",
        "Its metrics. An address behind which several take turns tells nothing.",
    ),
    field(
        "apiservers[].backend",
        Kind::Choice(&["webhook", "log"]),
        "\"webhook\"",
        "\"log\"",
        "Which of its backends leads here; what the other one loses is not missed.",
    ),
    field(
        "apiservers[].token",
        Kind::Secret,
        "",
        "{ file = \"/run/secrets/metrics-token\" }",
        "A token of an account that may `get` the path /metrics; read again each time.",
    ),
    field(
        "apiservers[].authority",
        Kind::Text,
        "",
        "\"/etc/tidewatch/k8s-ca.crt\"",
        "Authorities of its certificate, PEM, in place of the public ones.",
    ),
    field(
        "apiservers[].interval",
        Kind::Duration,
        "\"1m\"",
        "\"30s\"",
        "The time between two looks.",
    ),
    field(
        "files[].path",
        Kind::Text,
        "",
        "\"/var/log/kubernetes/audit/audit.log\"",
        "The file that is written to; it is followed over rotation.",
    ),
    field(
        "files[].cluster",
        Kind::Text,
        "\"default\"",
        "\"prod-eu\"",
        "The cluster of its events.",
    ),
    field(
        "files[].name",
        Kind::Text,
        "",
        "\"master-1\"",
        "Which API server it is of; the file's name if it is left out.",
    ),
    field(
        "kafka.brokers",
        Kind::Texts,
        "[]",
        "[\"kafka-0:9092\", \"kafka-1:9092\"]",
        "Brokers to ask for all others.",
    ),
    field(
        "kafka.group",
        Kind::Text,
        "\"tidewatch\"",
        "\"tidewatch-prod\"",
        "The consumer group that all processes of one installation share. Ids of its transactions begin with it.",
    ),
    field(
        "kafka.instance",
        Kind::Text,
        "",
        "\"tidewatch-0\"",
        "The name of this process in its group; the host's name if it is left out. Of two with one name, the older is shut out.",
    ),
    field(
        "kafka.settings",
        Kind::Settings,
        "{}",
        "{ \"security.protocol\" = \"ssl\", \"ssl.ca.location\" = \"/etc/tidewatch/kafka-ca.crt\" }",
        "Settings of librdkafka, as they are: TLS, SASL, time-outs. Those that what is promised depends on are refused.",
    ),
    field(
        "kafka.secrets",
        Kind::Secrets,
        "{}",
        "{ \"sasl.password\" = { env = \"KAFKA_PASSWORD\" } }",
        "Settings that are secrets.",
    ),
    field(
        "kafka.format",
        Kind::Choice(&["ocsf", "ecs"]),
        "\"ocsf\"",
        "\"ecs\"",
        "How alerts are written to the topic, with `state = \"kafka\"`.",
    ),
    field(
        "kafka.topics.input",
        Kind::Text,
        "\"tidewatch.input\"",
        "\"audit\"",
        "What the listener receives.",
    ),
    field(
        "kafka.topics.matches",
        Kind::Text,
        "\"tidewatch.matches\"",
        "\"tidewatch-prod.matches\"",
        "Events that matched, by rule and cluster, between the two halves of evaluation.",
    ),
    field(
        "kafka.topics.state",
        Kind::Text,
        "\"tidewatch.state\"",
        "\"tidewatch-prod.state\"",
        "Changes of state; compacted.",
    ),
    field(
        "kafka.topics.alerts",
        Kind::Text,
        "\"tidewatch.alerts\"",
        "\"security.alerts\"",
        "Alerts.",
    ),
    field(
        "kafka.topics.partitions",
        Kind::Number(1, 10_000),
        "12",
        "48",
        "Partitions of the input and alert topics, if they are made.",
    ),
    field(
        "kafka.topics.shards",
        Kind::Number(1, 1024),
        "64",
        "16",
        "Partitions of the topics of matches and state, if they are made. They can never be changed later.",
    ),
    field(
        "kafka.topics.replication",
        Kind::Number(-1, 100),
        "-1",
        "3",
        "Copies of each partition, if topics are made; -1 is what the broker has as its default.",
    ),
    field(
        "kafka.sources[].topics",
        Kind::Texts,
        "[]",
        "[\"audit-prod-eu\"]",
        "The topics.",
    ),
    field(
        "kafka.sources[].cluster",
        Kind::Text,
        "\"default\"",
        "\"prod-eu\"",
        "The cluster of events whose envelope names none.",
    ),
    field(
        "sinks.*.type",
        Kind::Choice(&["file", "stdout", "webhook", "splunk", "kafka"]),
        "",
        "\"webhook\"",
        "What it is.",
    ),
    field(
        "sinks.*.format",
        Kind::Choice(&["ocsf", "ecs", "text", "line"]),
        "\"ocsf\"",
        "\"ecs\"",
        "How alerts are written: OCSF 1.8.0, ECS 9, or for people.",
    ),
    field(
        "sinks.*.min_level",
        Kind::Choice(LEVELS),
        "\"informational\"",
        "\"medium\"",
        "Only alerts of at least this level.",
    ),
    field(
        "sinks.*.path",
        Kind::Text,
        "",
        "\"/var/log/tidewatch/alerts.ndjson\"",
        "File: where to write.",
    ),
    field(
        "sinks.*.rotate",
        Kind::Size,
        "\"100MiB\"",
        "\"1GiB\"",
        "File: its size when a new one is begun.",
    ),
    field(
        "sinks.*.keep",
        Kind::Number(1, 10_000),
        "10",
        "100",
        "File: how many old ones are kept.",
    ),
    field(
        "sinks.*.url",
        Kind::Text,
        "",
        "\"https://siem.example.com/alerts\"",
        "Webhook: where to post. Splunk: the address of the event collector, without its path.",
    ),
    field(
        "sinks.*.token",
        Kind::Secret,
        "",
        "{ env = \"HEC_TOKEN\" }",
        "Webhook: a bearer token. Splunk: the token of the event collector.",
    ),
    field(
        "sinks.*.authority",
        Kind::Text,
        "",
        "\"/etc/tidewatch/siem-ca.crt\"",
        "Webhook and Splunk: authorities of the receiver's certificate, PEM, in place of the public ones.",
    ),
    field(
        "sinks.*.batch",
        Kind::Number(1, 1000),
        "100",
        "1",
        "Webhook and Splunk: alerts in one call, as one JSON object a line.",
    ),
    field(
        "sinks.*.timeout",
        Kind::Duration,
        "\"10s\"",
        "\"30s\"",
        "Webhook and Splunk: how long a call may take.",
    ),
    field(
        "sinks.*.give_up_after",
        Kind::Duration,
        "\"24h\"",
        "\"7d\"",
        "How long delivery of one alert is tried before it becomes a dead letter. A receiver that says 4xx will not change its mind: its answer is final.",
    ),
    field(
        "sinks.*.queue",
        Kind::Number(100, 100_000_000),
        "1000000",
        "100000",
        "Alerts that may wait for this sink; beyond, the oldest become dead letters.",
    ),
    field(
        "sinks.*.index",
        Kind::Text,
        "",
        "\"security\"",
        "Splunk: the index.",
    ),
    field(
        "sinks.*.sourcetype",
        Kind::Text,
        "\"tidewatch:alert\"",
        "\"ocsf\"",
        "Splunk: the source type.",
    ),
    field(
        "sinks.*.topic",
        Kind::Text,
        "\"tidewatch.alerts\"",
        "\"security.alerts\"",
        "Kafka: the topic. The brokers are those of `[kafka]`.",
    ),
    field(
        "logging.level",
        Kind::Text,
        "\"info\"",
        "\"warn,pipeline=debug\"",
        "What is said: a level, or levels by module.",
    ),
    field(
        "logging.format",
        Kind::Choice(&["text", "json"]),
        "\"text\"",
        "\"json\"",
        "How.",
    ),
];

/// The field at a path in which names of the user's own and numbers of elements stand: `sinks.siem.url`.
#[must_use]
pub fn find(path: &str) -> Option<&'static Field> {
    FIELDS.iter().find(|field| fits(field.path, path))
}

/// Whether a path is one of a pattern with `*` and `[]`; elements of lists look like `tokens[0]`.
pub(super) fn fits(pattern: &str, path: &str) -> bool {
    let (mut wanted, mut found) = (pattern.split('.'), path.split('.'));
    loop {
        match (wanted.next(), found.next()) {
            (None, None) => return true,
            (Some(wanted), Some(found)) => {
                let element = wanted.strip_suffix("[]");
                let same = wanted == "*"
                    || wanted == found
                    || element.is_some_and(|list| {
                        found
                            .strip_prefix(list)
                            .is_some_and(|rest| rest.starts_with('['))
                    });
                if !same {
                    return false;
                }
            }
            _ => return false,
        }
    }
}
