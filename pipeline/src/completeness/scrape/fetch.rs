//! One look at one API server.

use std::io::BufReader;
use std::path::Path;
use std::time::Duration;

use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::pem::certificates;

use super::super::{Counters, CountersError};
use super::{Backend, Target};

/// How long a look may take, with all of the page.
const TIMEOUT: Duration = Duration::from_secs(10);

/// 1 MiB: certificates of authorities; the bundle of all public ones is a quarter of it.
const AUTHORITIES_BYTES_MAX: u64 = 1 << 20;

/// Why an API server's counters could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ScrapeError {
    /// The address cannot be used.
    #[error("{url}: {fault}")]
    Url {
        /// The address.
        url: String,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// The token cannot be read.
    #[error("{0}")]
    Token(String),
    /// The authorities cannot be read.
    #[error("authorities in {path}: {fault}")]
    Authority {
        /// Their file.
        path: String,
        /// What is wrong with it.
        fault: String,
    },
    /// There was no answer.
    #[error("{url} does not answer: {fault}")]
    Call {
        /// The address.
        url: String,
        /// Why.
        fault: String,
    },
    /// The answer was no page.
    #[error("{url} answered {status}{hint}", hint = hint(*status))]
    Status {
        /// The address.
        url: String,
        /// Its status.
        status: u16,
    },
    /// The page is not an API server's.
    #[error("{url}: {source}")]
    Page {
        /// The address.
        url: String,
        /// Why.
        source: CountersError,
    },
    /// The page does not tell how many events there were.
    #[error("{url} shows no apiserver_audit_event_total: it is the page of something else")]
    NoEvents {
        /// The address.
        url: String,
    },
}

fn hint(status: u16) -> &'static str {
    match status {
        401 => ": it does not know the token",
        403 => ": the token's account may not `get` the path /metrics (nonResourceURLs)",
        404 => ": the path is /metrics",
        _ => "",
    }
}

impl Backend {
    /// Whether what this plugin loses is missing here. A plugin that is not known is believed to be on the way.
    fn concerns(self, plugin: &str) -> bool {
        match self {
            Self::Webhook => plugin != "log",
            Self::Log => !matches!(plugin, "webhook" | "dynamic_webhook"),
        }
    }
}

/// Asks, and reads what is answered. Errors that are not of our backend's way are left out.
pub(super) fn fetch(target: &Target) -> Result<Counters, ScrapeError> {
    let url = || target.url.clone();
    if let Some(fault) = target.fault() {
        return Err(ScrapeError::Url { url: url(), fault });
    }
    let called = |error: ureq::Error| ScrapeError::Call {
        url: url(),
        fault: error.to_string(),
    };
    let mut request = agent(target)?
        .get(&target.url)
        .header("accept", "text/plain; version=0.0.4");
    if let Some(token) = &target.token {
        let token = token.read().map_err(ScrapeError::Token)?;
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let mut answer = request.call().map_err(called)?;
    let status = answer.status().as_u16();
    if status != 200 {
        return Err(ScrapeError::Status { url: url(), status });
    }
    let page = BufReader::new(answer.body_mut().as_reader());
    let mut counters =
        Counters::read(page).map_err(|source| ScrapeError::Page { url: url(), source })?;
    if counters.events.is_none() {
        return Err(ScrapeError::NoEvents { url: url() });
    }
    let backend = target.backend;
    counters.errors.retain(|plugin, _| backend.concerns(plugin));
    Ok(counters)
}

/// A new one for each look, and a new connection with it: they are a minute apart.
fn agent(target: &Target) -> Result<Agent, ScrapeError> {
    let roots = match &target.authority {
        None => RootCerts::WebPki,
        Some(path) => RootCerts::from(authorities(path)?),
    };
    let config = Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .http_status_as_error(false)
        .max_redirects(0)
        // The API server is asked, and nobody between.
        .proxy(None)
        .user_agent(concat!("tidewatch/", env!("CARGO_PKG_VERSION")))
        .tls_config(TlsConfig::builder().root_certs(roots).build())
        .build();
    Ok(config.into())
}

fn authorities(path: &Path) -> Result<Vec<Certificate<'static>>, ScrapeError> {
    let failed = |fault: String| ScrapeError::Authority {
        path: path.display().to_string(),
        fault,
    };
    let size = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?;
    if size.len() > AUTHORITIES_BYTES_MAX {
        return Err(failed("far too large for certificates".to_owned()));
    }
    let pem = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    let found = certificates(&pem);
    if found.is_empty() {
        return Err(failed("no certificate (PEM)".to_owned()));
    }
    Ok(found)
}
