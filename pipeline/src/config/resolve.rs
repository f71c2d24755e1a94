//! From values to what the program uses; what no field can say alone is checked here.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use detections::diagnostic::Sink;
use detections::sigma::ast::Level;
use ipnet::IpNet;

use crate::rules::RuleSources;
use crate::source::http::HttpLimits;
use crate::spool::LogOptions;

use super::fields::find;
use super::resolved::{
    Config, FileSource, LogFormat, Pubsub, Receiver, SinkConfig, SinkFormat, SinkKind, StateKind,
    Tls, TokenConfig, faults_of_listening,
};
use super::values::{Secret, Value, Values, default_of};

/// 1 GiB: the largest limit of bodies. The description of a body names its chunks, and has a bound of its own.
const BODY_BYTES_LIMIT: u64 = 1 << 30;

/// Reads values with their defaults, and collects what does not fit.
pub(super) struct Resolver<'a> {
    pub(super) values: &'a Values,
    pub(super) sink: &'a mut Sink,
}

pub(super) fn resolve(values: &Values, sink: &mut Sink) -> Config {
    let mut resolver = Resolver { values, sink };
    let config = resolver.config();
    resolver.check_access(&config);
    resolver.check_kafka(&config);
    resolver.check_completeness(&config);
    config
}

impl Resolver<'_> {
    fn config(&mut self) -> Config {
        Config {
            data_dir: self.text("data_dir").into(),
            state: match self.text("state").as_str() {
                "kafka" => StateKind::Kafka,
                _ => StateKind::Embedded,
            },
            kafka: self.kafka(),
            log: LogOptions {
                quota_bytes: self.size("log.quota"),
                keep_us: micros(self.duration("log.keep")),
                reserve_bytes: self.size("log.reserve"),
                ..LogOptions::default()
            },
            findings_keep: self.duration("findings.keep"),
            findings_quota: self.size("findings.quota"),
            dead_letters_quota: self.size("dead_letters.quota"),
            rules: self.rules(),
            window: self.duration("detection.window"),
            trusted_proxies: self.networks("detection.trusted_proxies"),
            automation: self.texts("detection.automation"),
            commit_interval: self.duration("detection.commit_interval"),
            listen: self.address("http.listen"),
            tls: self.tls(),
            tokens: self.tokens(),
            clients: self.clients(),
            pubsub: self.pubsub(),
            limits: self.limits(),
            apiservers: self.apiservers(),
            completeness: self.completeness(),
            files: self.files(),
            sinks: self.sinks(),
            log_level: self.text("logging.level"),
            log_format: match self.text("logging.format").as_str() {
                "json" => LogFormat::Json,
                _ => LogFormat::Text,
            },
        }
    }

    fn rules(&self) -> RuleSources {
        let paths = |path: &str| self.texts(path).into_iter().map(PathBuf::from).collect();
        RuleSources {
            without_bundled: !self.flag("rules.bundled"),
            paths: paths("rules.paths"),
            disabled: self.texts("rules.disable"),
            exclusions: paths("rules.exclusions"),
            lists: paths("rules.lists"),
        }
    }

    fn tls(&mut self) -> Option<Tls> {
        let path =
            |own: &Self, name: &str| own.optional(&format!("http.tls.{name}")).map(PathBuf::from);
        let (certificate, key) = (path(self, "certificate"), path(self, "key"));
        let client_authority = path(self, "client_authority");
        if certificate.is_none() && key.is_none() && client_authority.is_none() {
            return None;
        }
        for (name, value) in [("certificate", &certificate), ("key", &key)] {
            if value.is_none() {
                self.missing(
                    &format!("http.tls.{name}"),
                    "TLS needs a certificate and its key",
                );
            }
        }
        Some(Tls {
            certificate: certificate?,
            key: key?,
            client_authority,
        })
    }

    fn tokens(&mut self) -> Vec<TokenConfig> {
        let mut tokens = Vec::new();
        for path in self.values.children("http.tokens") {
            let secret = format!("{path}.secret");
            let clusters = self.texts(&format!("{path}.clusters"));
            match self.secret(&secret) {
                Some(secret) => tokens.push(TokenConfig { secret, clusters }),
                None => self.missing(&secret, "a token needs its secret"),
            }
        }
        tokens
    }

    fn clients(&mut self) -> Vec<(String, Vec<String>)> {
        let mut clients = Vec::new();
        for path in self.values.children("http.clients") {
            let name = format!("{path}.name");
            let clusters = self.texts(&format!("{path}.clusters"));
            match self.optional(&name) {
                Some(name) => clients.push((name, clusters)),
                None => self.missing(&name, "a client needs the name in its certificate"),
            }
        }
        clients
    }

    fn pubsub(&mut self) -> Option<Pubsub> {
        let audience = self.optional("http.pubsub.audience");
        let service_account = self.optional("http.pubsub.service_account");
        if audience.is_none() && service_account.is_none() {
            return None;
        }
        for (name, value) in [
            ("audience", &audience),
            ("service_account", &service_account),
        ] {
            if value.is_none() {
                let why = "pushes are accepted for one audience and one service account";
                self.missing(&format!("http.pubsub.{name}"), why);
            }
        }
        Some(Pubsub {
            audience: audience?,
            service_account: service_account?,
            keys: self.text("http.pubsub.keys"),
        })
    }

    fn limits(&self) -> HttpLimits {
        let count = |name: &str| self.number(&format!("http.limits.{name}"));
        let time = |name: &str| self.duration(&format!("http.limits.{name}"));
        HttpLimits {
            body_bytes_max: self.size("http.limits.body"),
            connections_max: usize::try_from(count("connections")).unwrap_or(usize::MAX),
            connections_per_client: usize::try_from(count("connections_per_client"))
                .unwrap_or(usize::MAX),
            requests_per_second: u32::try_from(count("requests_per_second")).unwrap_or(u32::MAX),
            first_request: time("first_request"),
            idle: time("idle"),
            body: time("body_time"),
            connection_age: time("connection_age"),
            ..HttpLimits::default()
        }
    }

    fn files(&mut self) -> Vec<FileSource> {
        let mut files = Vec::new();
        for path in self.values.children("files") {
            let file = format!("{path}.path");
            let Some(followed) = self.optional(&file).map(PathBuf::from) else {
                self.missing(&file, "a file to follow needs its path");
                continue;
            };
            let own_name = || {
                let name = followed.file_name().unwrap_or_default();
                name.to_string_lossy().into_owned()
            };
            files.push(FileSource {
                cluster: self.text(&format!("{path}.cluster")),
                name: self
                    .optional(&format!("{path}.name"))
                    .unwrap_or_else(own_name),
                path: followed,
            });
        }
        files
    }

    fn sinks(&mut self) -> Vec<SinkConfig> {
        let mut sinks = Vec::new();
        for path in self.values.children("sinks") {
            let Some(kind) = self.sink_kind(&path) else {
                continue;
            };
            let level = self.text(&format!("{path}.min_level"));
            sinks.push(SinkConfig {
                name: path.trim_start_matches("sinks.").to_owned(),
                format: self.format(&path),
                min_level: Level::parse(&level).unwrap_or(Level::Informational),
                give_up_after: self.duration(&format!("{path}.give_up_after")),
                queue: u64::try_from(self.number(&format!("{path}.queue"))).unwrap_or(0),
                kind,
            });
        }
        sinks
    }

    pub(super) fn format(&self, path: &str) -> SinkFormat {
        match self.text(&format!("{path}.format")).as_str() {
            "ecs" => SinkFormat::Ecs,
            "text" => SinkFormat::Text,
            "line" => SinkFormat::Line,
            _ => SinkFormat::Ocsf,
        }
    }

    fn sink_kind(&mut self, path: &str) -> Option<SinkKind> {
        let of = |name: &str| format!("{path}.{name}");
        let Some(kind) = self.optional(&of("type")) else {
            self.missing(&of("type"), "say what this sink is");
            return None;
        };
        match kind.as_str() {
            "stdout" => Some(SinkKind::Stdout),
            "file" => {
                let Some(file) = self.optional(&of("path")) else {
                    self.missing(&of("path"), "a file sink needs its path");
                    return None;
                };
                Some(SinkKind::File {
                    path: file.into(),
                    rotate: self.size(&of("rotate")),
                    keep: usize::try_from(self.number(&of("keep"))).unwrap_or(1),
                })
            }
            "splunk" => {
                let receiver = self.receiver(path)?;
                if receiver.token.is_none() {
                    self.missing(&of("token"), "the event collector asks for its token");
                    return None;
                }
                Some(SinkKind::Splunk {
                    receiver,
                    index: self.optional(&of("index")),
                    sourcetype: self.text(&of("sourcetype")),
                })
            }
            "kafka" => {
                let Some(kafka) = self.kafka() else {
                    self.missing("kafka.brokers", "a sink writes to Kafka");
                    return None;
                };
                Some(SinkKind::Kafka {
                    topic: self.text(&of("topic")),
                    kafka: Box::new(kafka),
                })
            }
            _ => Some(SinkKind::Webhook(self.receiver(path)?)),
        }
    }

    fn receiver(&mut self, path: &str) -> Option<Receiver> {
        let of = |name: &str| format!("{path}.{name}");
        let Some(url) = self.optional(&of("url")) else {
            self.missing(&of("url"), "this sink posts to an address");
            return None;
        };
        if !url.starts_with("https://") && !url.starts_with("http://") {
            let span = self.values.span(&of("url"));
            self.sink
                .error(
                    "wrong_value",
                    span,
                    format!("`{}` is no address", of("url")),
                )
                .help("write https://…");
        }
        Some(Receiver {
            url,
            token: self.secret(&of("token")),
            authority: self.optional(&of("authority")).map(PathBuf::from),
            batch: usize::try_from(self.number(&of("batch"))).unwrap_or(1),
            timeout: self.duration(&of("timeout")),
        })
    }

    /// Nothing listens beyond loopback without authentication.
    fn check_access(&mut self, config: &Config) {
        if let Some(message) = faults_of_listening(config) {
            let span = self.values.span("http.listen");
            self.sink.error("open_to_all", span, message).help(
                "configure [[http.tokens]] or http.tls.client_authority, or listen on 127.0.0.1",
            );
        }
        if config.limits.body_bytes_max > BODY_BYTES_LIMIT {
            let span = self.values.span("http.limits.body");
            self.sink
                .error(
                    "wrong_value",
                    span,
                    "a body of more than 1GiB is no batch of events",
                )
                .help("write a smaller one: the API server's largest measured one had 41 MB");
        }
        if !config.listen.ip().is_loopback() && config.tls.is_none() {
            let span = self.values.span("http.listen");
            self.sink
                .warning("no_tls", span, "audit logs and tokens travel in the clear")
                .help("configure [http.tls], unless a proxy in front of it ends TLS");
        }
        let authority = config
            .tls
            .as_ref()
            .and_then(|tls| tls.client_authority.as_ref());
        if !config.clients.is_empty() && authority.is_none() {
            let span = self.values.span("http.clients[0].name");
            self.sink
                .error(
                    "no_authority",
                    span,
                    "names of client certificates without their authority",
                )
                .help("configure http.tls.client_authority");
        }
    }

    pub(super) fn missing(&mut self, path: &str, why: &str) {
        if self.values.is_faulty(path) {
            return;
        }
        let example = find(path).map_or("", |field| field.example);
        let name = path.rsplit('.').next().unwrap_or(path);
        self.sink
            .error(
                "missing_field",
                self.values.span(path),
                format!("`{path}` is missing: {why}"),
            )
            .help(format!("add {name} = {example}"));
    }

    /// What was written, else the default of the table.
    pub(super) fn value(&self, path: &str) -> Option<Value> {
        let written = self.values.get(path).cloned();
        written.or_else(|| find(path).and_then(default_of))
    }

    pub(super) fn optional(&self, path: &str) -> Option<String> {
        match self.value(path) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub(super) fn text(&self, path: &str) -> String {
        self.optional(path).unwrap_or_default()
    }

    pub(super) fn flag(&self, path: &str) -> bool {
        self.value(path) == Some(Value::Flag(true))
    }

    pub(super) fn number(&self, path: &str) -> i64 {
        match self.value(path) {
            Some(Value::Number(number)) => number,
            _ => 0,
        }
    }

    fn size(&self, path: &str) -> u64 {
        match self.value(path) {
            Some(Value::Size(bytes)) => bytes,
            _ => 0,
        }
    }

    pub(super) fn duration(&self, path: &str) -> Duration {
        match self.value(path) {
            Some(Value::Duration(duration)) => duration,
            _ => Duration::ZERO,
        }
    }

    fn address(&self, path: &str) -> SocketAddr {
        match self.value(path) {
            Some(Value::Address(address)) => address,
            _ => SocketAddr::from(([127, 0, 0, 1], 0)),
        }
    }

    pub(super) fn texts(&self, path: &str) -> Vec<String> {
        match self.value(path) {
            Some(Value::Texts(texts)) => texts,
            _ => Vec::new(),
        }
    }

    pub(super) fn secret(&self, path: &str) -> Option<Secret> {
        match self.value(path) {
            Some(Value::Secret(secret)) => Some(secret),
            _ => None,
        }
    }

    fn networks(&mut self, path: &str) -> Vec<IpNet> {
        let mut networks = Vec::new();
        for text in self.texts(path) {
            let address = || text.parse::<std::net::IpAddr>().map(IpNet::from);
            if let Ok(network) = text.parse().or_else(|_| address()) {
                networks.push(network);
                continue;
            }
            let span = self.values.span(path);
            let message = format!("`{text}` is no address and no network");
            self.sink
                .error("wrong_value", span, message)
                .help("write 10.0.0.0/8 or 10.0.0.1");
        }
        networks
    }
}

pub(super) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
