//! From the configuration to what the parts are made of.

use std::sync::Arc;
use std::time::Duration;

use detections::diagnostic::Severity;
use detections::event::Settings;

use crate::clock::Clock;
use crate::config::{Config, SinkConfig, SinkFormat};
use crate::kafka::Client;
use crate::live::{LiveOptions, OutputForms};
use crate::run::Options;
use crate::source::http::auth::pubsub::Verifier;
use crate::source::http::auth::{Access, CertificateName, Scope, Token};
use crate::source::http::tls::{TlsFiles, TlsSource};

use super::StartError;

/// What is wrong with that which a configuration names: rules, certificates, secrets. Nothing is started.
#[must_use]
pub fn check_world(config: &Config) -> Vec<String> {
    let mut faults = Vec::new();
    match config.rules.load() {
        Err(error) => faults.push(error.to_string()),
        Ok(loaded) => {
            let errors = loaded.loaded.diagnostics.into_iter();
            let errors = errors.filter(|fault| fault.severity == Severity::Error);
            faults.extend(errors.map(|fault| fault.render_concise()));
        }
    }
    faults.extend(tls_source(config).err().map(|error| error.to_string()));
    let tokens = config.tokens.iter().map(|token| &token.secret);
    let sinks = config.sinks.iter().filter_map(SinkConfig::secret);
    for secret in tokens.chain(sinks) {
        faults.extend(secret.read().err());
    }
    for target in &config.apiservers {
        faults.extend(target.token.as_ref().and_then(|token| token.read().err()));
        if let Some(path) = target.authority.as_ref().filter(|path| !path.is_file()) {
            faults.push(format!("there is no file {}", path.display()));
        }
    }
    let kafka = config.kafka.as_ref().map(Client::new);
    faults.extend(kafka.and_then(Result::err).map(|fault| fault.to_string()));
    faults
}

pub(super) fn live_options(config: &Config) -> LiveOptions {
    let mut settings = Settings::default();
    settings.trusted_proxies.extend(&config.trusted_proxies);
    let micros = |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    LiveOptions {
        pipeline: Options {
            surprise: None,
            learned: None,
            keeps_learned: false,
            settings: Arc::new(settings),
            automation: config.automation.clone(),
            window_us: micros(config.window),
            ..Options::default()
        },
        commit_every: config.commit_interval,
        keep_findings_us: micros(config.findings_keep),
        findings_bytes_max: config.findings_quota,
        dead_letters_bytes_max: config.dead_letters_quota,
        sinks: !config.sinks.is_empty(),
        completeness: config.completeness,
        forms: OutputForms {
            ecs: config
                .sinks
                .iter()
                .any(|sink| sink.format == SinkFormat::Ecs),
        },
    }
}

pub(super) fn tls_source(config: &Config) -> Result<Option<TlsSource>, StartError> {
    let Some(tls) = &config.tls else {
        return Ok(None);
    };
    let files = TlsFiles {
        certificate: tls.certificate.clone(),
        key: tls.key.clone(),
        client_authority: tls.client_authority.clone(),
    };
    Ok(Some(TlsSource::load(files)?))
}

pub(super) fn access(config: &Config, clock: &Clock) -> Result<Access, StartError> {
    let scope = |clusters: &[String]| {
        if clusters.is_empty() {
            Scope::All
        } else {
            Scope::Clusters(clusters.iter().cloned().collect())
        }
    };
    let mut tokens = Vec::new();
    for token in &config.tokens {
        let secret = token.secret.read().map_err(StartError::Secret)?;
        tokens.push(Token::new(&secret, scope(&token.clusters)));
    }
    let names = config
        .clients
        .iter()
        .map(|(name, clusters)| CertificateName {
            name: name.clone(),
            scope: scope(clusters),
        });
    let verifier = config
        .pubsub
        .as_ref()
        .map(|pubsub| Verifier::new(&pubsub.audience, &pubsub.service_account, clock.clone()));
    let authority = config
        .tls
        .as_ref()
        .and_then(|tls| tls.client_authority.as_ref());
    Ok(Access {
        tokens,
        certificates: authority.is_some(),
        names: names.collect(),
        pubsub: verifier.map(Arc::new),
        open: config.listen.ip().is_loopback(),
    })
}
