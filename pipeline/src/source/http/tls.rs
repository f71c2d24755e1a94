//! TLS by rustls: certificates from files, read again when they change.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use sha2::{Digest, Sha256};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// The files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate and those between it and its authority, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// Authorities of client certificates, PEM. Without it none are asked for.
    pub client_authority: Option<PathBuf>,
}

/// Why certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or holds nothing of the kind.
    #[error("{path}: {reason}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Certificate and key do not go together.
    #[error("certificate and key do not go together: {0}")]
    Pair(rustls::Error),
}

/// What TLS is done with, and the files that it comes from.
pub struct TlsSource {
    files: TlsFiles,
    config: ArcSwap<ServerConfig>,
    seen: ArcSwap<[u8; 32]>,
}

/// The names in a client's certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerName {
    names: Vec<String>,
}

impl TlsSource {
    /// Reads the files.
    ///
    /// # Errors
    /// If they cannot be used.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let config = server_config(&files)?;
        Ok(Self {
            seen: ArcSwap::from_pointee(fingerprint(&files)),
            config: ArcSwap::from_pointee(config),
            files,
        })
    }

    /// What new connections use.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        self.config.load_full()
    }

    /// Reads the files again if they changed; true if so. Connections that are open stay as they are.
    ///
    /// # Errors
    /// If they cannot be used: then what was used before stays.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let now = fingerprint(&self.files);
        if now == **self.seen.load() {
            return Ok(false);
        }
        let config = server_config(&self.files)?;
        self.config.store(Arc::new(config));
        self.seen.store(Arc::new(now));
        Ok(true)
    }
}

impl fmt::Debug for TlsSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "TlsSource({:?})", self.files)
    }
}

impl PeerName {
    /// These names.
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        Self {
            names: names.into_iter().collect(),
        }
    }

    /// The names in a certificate that was verified: common name and DNS names.
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Self {
        let Ok(parsed) = Certificate::from_der(certificate) else {
            return Self::default();
        };
        let tbs = parsed.tbs_certificate();
        let common = tbs.subject().common_name().ok().flatten();
        let mut names: Vec<String> = common
            .map(|name| name.value().into_owned())
            .into_iter()
            .collect();
        if let Ok(Some((_, alternatives))) = tbs.get_extension::<SubjectAltName>() {
            let dns = alternatives.0.iter().filter_map(|name| match name {
                GeneralName::DnsName(name) => Some(name.to_string()),
                _ => None,
            });
            names.extend(dns);
        }
        Self { names }
    }

    pub(super) fn is(&self, name: &str) -> bool {
        self.names.iter().any(|own| own == name)
    }
}

fn server_config(files: &TlsFiles) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = certificates(&files.certificate)?;
    let key =
        PrivateKeyDer::from_pem_file(&files.key).map_err(|error| file_error(&files.key, &error))?;
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Pair)?;
    let builder = match &files.client_authority {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                roots
                    .add(certificate)
                    .map_err(|error| file_error(path, &error))?;
            }
            // Asked for, not demanded: health is told to everybody, and tokens may do instead.
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .allow_unauthenticated()
                .build()
                .map_err(|error| file_error(path, &error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(TlsError::Pair)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(path).map_err(|error| file_error(path, &error))?;
    let certificates: Result<Vec<_>, _> = read.collect();
    let certificates = certificates.map_err(|error| file_error(path, &error))?;
    if certificates.is_empty() {
        return Err(file_error(path, &"holds no certificate (PEM)"));
    }
    Ok(certificates)
}

fn file_error(path: &Path, reason: &dyn fmt::Display) -> TlsError {
    TlsError::File {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}

/// Changes with what the files hold.
fn fingerprint(files: &TlsFiles) -> [u8; 32] {
    let mut hasher = Sha256::new();
    let paths = [
        Some(&files.certificate),
        Some(&files.key),
        files.client_authority.as_ref(),
    ];
    for path in paths.into_iter().flatten() {
        let content: io::Result<Vec<u8>> = std::fs::read(path);
        hasher.update(content.unwrap_or_default());
        hasher.update([0]);
    }
    hasher.finalize().into()
}
