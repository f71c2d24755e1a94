//! What a test can ask of a broker.

/// Who may log in through SASL.
pub(crate) const USER: &str = "tidewatch";
/// The password of `USER`.
pub(crate) const PASSWORD: &str = "only-for-tests";

/// What a broker offers besides its plaintext listener.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    /// A TLS listener.
    pub(crate) tls: Option<ClientAuth>,
    /// A listener for name and password, inside TLS. It asks for no client certificate.
    pub(crate) sasl: Option<Sasl>,
    /// Further lines of `server.properties`. Where a setting is there twice, the last one counts.
    pub(crate) settings: &'static [&'static str],
}

impl Options {
    /// Whether a listener shows a certificate.
    pub(super) fn encrypts(&self) -> bool {
        self.tls.is_some() || self.sasl.is_some()
    }
}

/// What the TLS listener thinks of clients without a certificate.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ClientAuth {
    /// It asks for one, and lets them in without.
    Requested,
    /// It turns them away.
    Required,
}

impl ClientAuth {
    /// Its setting.
    pub(super) fn setting(self) -> String {
        let word = match self {
            Self::Requested => "requested",
            Self::Required => "required",
        };
        format!("listener.name.ssl.ssl.client.auth={word}\n")
    }
}

/// How name and password are proven.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sasl {
    Plain,
    ScramSha256,
    ScramSha512,
}

impl Sasl {
    /// Its name, also in librdkafka's `sasl.mechanism`.
    pub(crate) fn mechanism(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }

    /// The settings of its listener.
    pub(super) fn settings(self) -> String {
        let mechanism = self.mechanism();
        let module = match self {
            Self::Plain => {
                format!("plain.PlainLoginModule required user_{USER}=\"{PASSWORD}\"")
            }
            Self::ScramSha256 | Self::ScramSha512 => "scram.ScramLoginModule required".to_owned(),
        };
        let prefix = format!("listener.name.sasl_ssl.{}", mechanism.to_lowercase());
        format!(
            "sasl.enabled.mechanisms={mechanism}\n\
             {prefix}.sasl.jaas.config=org.apache.kafka.common.security.{module};\n"
        )
    }

    /// What the formatting of the storage is told: SCRAM keeps its users there, PLAIN in the settings.
    pub(super) fn format_arguments(self) -> Vec<String> {
        match self {
            Self::Plain => Vec::new(),
            Self::ScramSha256 | Self::ScramSha512 => {
                let mechanism = self.mechanism();
                let user = format!("{mechanism}=[name={USER},password={PASSWORD}]");
                vec!["--add-scram".to_owned(), user]
            }
        }
    }
}
