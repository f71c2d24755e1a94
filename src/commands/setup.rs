//! `tidewatch setup`: everything that an API server needs to send, and Tidewatch to listen.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SanType,
};

use crate::cli::live::SetupArgs;
use crate::exit::Exit;

/// The policy that the rules were written against.
const AUDIT_POLICY: &str = include_str!("../../deploy/audit-policy.yaml");

/// Certificates of a trial last this long.
const DAYS: u32 = 365;

pub(crate) fn run(arguments: &SetupArgs) -> anyhow::Result<Exit> {
    let out = &arguments.out;
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder
        .create(out)
        .with_context(|| format!("cannot make {}", out.display()))?;
    let installed = match &arguments.installed {
        Some(folder) => folder.clone(),
        None => fs::canonicalize(out)?,
    };
    for (name, content) in files(arguments, &fs::canonicalize(out)?, &installed)? {
        write(&out.join(name), &content)?;
    }
    writeln!(std::io::stdout(), "{}", next_steps(arguments, &installed))?;
    Ok(Exit::Success)
}

fn write(path: &Path, content: &str) -> anyhow::Result<()> {
    let mut options = OpenOptions::new();
    // Keys are among them.
    options.write(true).create_new(true).mode(0o600);
    let mut file = options.open(path).map_err(|error| {
        anyhow!(
            "cannot write {}: {error}; nothing that is there is overwritten",
            path.display()
        )
    })?;
    file.write_all(content.as_bytes())?;
    Ok(())
}

fn files(
    arguments: &SetupArgs,
    own: &Path,
    installed: &Path,
) -> anyhow::Result<Vec<(&'static str, String)>> {
    let issuer = authority()?;
    let host = host_name(&arguments.host)?;
    let server = certificate(
        &issuer,
        "tidewatch",
        vec![host],
        ExtendedKeyUsagePurpose::ServerAuth,
    )?;
    let name = format!("{}.{}", arguments.apiserver, arguments.cluster);
    let client = certificate(
        &issuer,
        &name,
        Vec::new(),
        ExtendedKeyUsagePurpose::ClientAuth,
    )?;
    Ok(vec![
        ("audit-policy.yaml", AUDIT_POLICY.to_owned()),
        ("webhook.yaml", kubeconfig(arguments, installed)),
        ("tidewatch.toml", configuration(arguments, own, &name)),
        ("apiserver-flags.txt", flags(installed)),
        ("ca.crt", issuer.pem()),
        ("tidewatch.crt", server.0),
        ("tidewatch.key", server.1),
        ("apiserver.crt", client.0),
        ("apiserver.key", client.1),
    ])
}

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn authority() -> anyhow::Result<Issuer> {
    let mut params = params("tidewatch trial authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}

/// A certificate and its key, PEM.
fn certificate(
    issuer: &Issuer,
    name: &str,
    hosts: Vec<SanType>,
    purpose: ExtendedKeyUsagePurpose,
) -> anyhow::Result<(String, String)> {
    let mut params = params(name);
    params.subject_alt_names = hosts;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![purpose];
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, issuer)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    let now = std::time::SystemTime::now();
    let day = std::time::Duration::from_hours(24);
    // Clocks differ: valid since yesterday.
    params.not_before = (now - day).into();
    params.not_after = (now + day * DAYS).into();
    params
}

fn host_name(host: &str) -> anyhow::Result<SanType> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    let name = host.try_into();
    Ok(SanType::DnsName(
        name.with_context(|| format!("{host} is no host name"))?,
    ))
}

fn kubeconfig(arguments: &SetupArgs, installed: &Path) -> String {
    let SetupArgs {
        cluster,
        apiserver,
        port,
        ..
    } = arguments;
    let host = url_host(&arguments.host);
    let file = |name: &str| installed.join(name).display().to_string();
    format!(
        "# The API server's --audit-webhook-config-file. Each API server has an address of its own, so that its silence is noticed.
apiVersion: v1
kind: Config
clusters:
- name: tidewatch
  cluster:
    server: https://{host}:{port}/v1/audit/{cluster}/{apiserver}
    certificate-authority: {ca}
users:
- name: apiserver
  user:
    client-certificate: {certificate}
    client-key: {key}
contexts:
- name: tidewatch
  context:
    cluster: tidewatch
    user: apiserver
current-context: tidewatch
",
        ca = file("ca.crt"),
        certificate = file("apiserver.crt"),
        key = file("apiserver.key"),
    )
}

fn url_host(host: &str) -> String {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) => format!("[{address}]"),
        _ => host.to_owned(),
    }
}

/// Tidewatch's own files lie where they were written; what the API server needs may be taken elsewhere.
fn configuration(arguments: &SetupArgs, own: &Path, client: &str) -> String {
    let host: IpAddr = arguments.host.parse().unwrap_or(IpAddr::from([0, 0, 0, 0]));
    // Another machine's API server reaches no loopback; which of the host's addresses it uses is not ours to know.
    let listen = if host.is_loopback() {
        url_host(&arguments.host)
    } else {
        "0.0.0.0".to_owned()
    };
    let file = |name: &str| own.join(name).display().to_string();
    format!(
        "# For `tidewatch serve --config`. All fields: docs/config.md, `tidewatch config schema`.
data_dir = {data:?}

[http]
listen = \"{listen}:{port}\"

[http.tls]
certificate = {certificate:?}
key = {key:?}
client_authority = {ca:?}

[[http.clients]]
name = {client:?}
clusters = [{cluster:?}]

# [sinks.siem]
# type = \"webhook\"
# url = \"https://siem.example.com/alerts\"
# token = {{ file = \"/run/secrets/siem-token\" }}
",
        data = file("data"),
        port = arguments.port,
        certificate = file("tidewatch.crt"),
        key = file("tidewatch.key"),
        ca = file("ca.crt"),
        cluster = arguments.cluster,
    )
}

fn flags(installed: &Path) -> String {
    let file = |name: &str| installed.join(name).display().to_string();
    format!(
        "# Flags of kube-apiserver (kubeadm: apiServer.extraArgs, with the folder as an extra volume).
--audit-policy-file={policy}
--audit-webhook-config-file={webhook}
# A batch is sent after a second, or with 400 events. The default is to wait for 30 s: then every alert comes half a minute late.
--audit-webhook-batch-max-wait=1s
# Batches a second. The default of 10 with 400 events each is 4,000 events a second; beyond it the API server drops them.
--audit-webhook-batch-throttle-qps=50
--audit-webhook-batch-throttle-burst=100
# Events that wait in memory. The default of 10,000 is 2.5 s at 4,000 a second.
--audit-webhook-batch-buffer-size=50000
# After a failure the API server waits this long, and 1.5 times longer each time, five times; then the batch is lost. The default
# of 10s covers about 80 s in which Tidewatch is away. Overload is told by 429 with Retry-After, which does not count as failure.
--audit-webhook-initial-backoff=10s
",
        policy = file("audit-policy.yaml"),
        webhook = file("webhook.yaml"),
    )
}

fn next_steps(arguments: &SetupArgs, installed: &Path) -> String {
    let file = |name: &str| -> PathBuf { installed.join(name) };
    let flags = fs::read_to_string(arguments.out.join("apiserver-flags.txt")).unwrap_or_default();
    let shown = flags
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| format!("  {line}\n"))
        .collect::<String>();
    format!(
        "Written to {out}: an audit policy, the webhook's kubeconfig, a configuration, and certificates for a trial ({DAYS} days).

1. Start Tidewatch:
  tidewatch serve --config {config}

2. Give the API server these flags (why: {flags}):
{shown}
3. Look at what it finds:
  tidewatch alerts list --config {config}",
        out = arguments.out.display(),
        config = arguments.out.join("tidewatch.toml").display(),
        flags = file("apiserver-flags.txt").display(),
    )
}
