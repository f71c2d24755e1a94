//! TLS with real certificates, as `tidewatch setup` makes them, and HTTP/2 as the API server speaks it.

#[path = "common/serving.rs"]
mod serving;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::{Request, StatusCode, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serving::{Serving, event_list, privileged_pod, tidewatch, wait_until};
use tokio_rustls::TlsConnector;

/// What `tidewatch setup` wrote.
fn set_up(folder: &Path) {
    let made = tidewatch(&[
        "setup",
        "--out",
        folder.to_str().unwrap(),
        "--cluster",
        "lab",
        "--apiserver",
        "api-1",
    ]);
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let said = String::from_utf8(made.stdout).unwrap();
    assert!(said.contains("--audit-webhook-batch-max-wait=1s"), "{said}");
}

fn serve(folder: &Path) -> Serving {
    let config = folder.join("tidewatch.toml");
    let checked = tidewatch(&["config", "check", config.to_str().unwrap()]);
    assert!(
        checked.status.success(),
        "{}",
        String::from_utf8_lossy(&checked.stderr)
    );
    Serving::with(
        &folder.join("data"),
        &["--config", config.to_str().unwrap()],
    )
}

/// A client that trusts one authority, and shows a certificate if it has one.
struct Client {
    config: Arc<ClientConfig>,
}

impl Client {
    fn new(authority: &Path, identity: Option<&Path>, http2: bool) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(authority.join("ca.crt")).unwrap())
            .unwrap();
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(folder) => {
                let chain =
                    vec![CertificateDer::from_pem_file(folder.join("apiserver.crt")).unwrap()];
                let key = PrivateKeyDer::from_pem_file(folder.join("apiserver.key")).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        config.alpn_protocols = vec![if http2 {
            b"h2".to_vec()
        } else {
            b"http/1.1".to_vec()
        }];
        Self {
            config: Arc::new(config),
        }
    }

    /// Sends requests one after the other on one connection; the statuses.
    async fn send(
        &self,
        address: SocketAddr,
        requests: Vec<Request<Full<Bytes>>>,
    ) -> Result<Vec<StatusCode>, String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let stream = tokio::net::TcpStream::connect(address)
            .await
            .map_err(|error| text(&error))?;
        let name = ServerName::from(address.ip());
        let stream = TlsConnector::from(self.config.clone())
            .connect(name, stream)
            .await;
        let stream = stream.map_err(|error| text(&error))?;
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let io = TokioIo::new(stream);
        let mut statuses = Vec::new();
        if http2 {
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
                    .await
                    .map_err(|error| text(&error))?;
            tokio::spawn(connection);
            for request in requests {
                let answer = sender
                    .send_request(request)
                    .await
                    .map_err(|error| format!("{error:?}"))?;
                assert_eq!(answer.version(), Version::HTTP_2);
                statuses.push(answer.status());
                answer
                    .into_body()
                    .collect()
                    .await
                    .map_err(|error| text(&error))?;
            }
        } else {
            let (mut sender, connection) = hyper::client::conn::http1::handshake(io)
                .await
                .map_err(|error| text(&error))?;
            tokio::spawn(connection);
            for request in requests {
                sender.ready().await.map_err(|error| text(&error))?;
                let answer = sender
                    .send_request(request)
                    .await
                    .map_err(|error| format!("{error:?}"))?;
                statuses.push(answer.status());
                answer
                    .into_body()
                    .collect()
                    .await
                    .map_err(|error| text(&error))?;
            }
        }
        Ok(statuses)
    }
}

fn post(address: SocketAddr, path: &str, body: Vec<u8>) -> Request<Full<Bytes>> {
    Request::post(format!("https://{address}{path}?timeout=30s"))
        .header("host", address.to_string())
        .body(Full::new(Bytes::from(body)))
        .unwrap()
}

fn get(address: SocketAddr, path: &str) -> Request<Full<Bytes>> {
    Request::get(format!("https://{address}{path}"))
        .header("host", address.to_string())
        .body(Full::default())
        .unwrap()
}

#[tokio::test]
async fn the_certificates_of_setup_let_one_api_server_in_and_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let (own, foreign) = (folder.path().join("own"), folder.path().join("foreign"));
    set_up(&own);
    set_up(&foreign);
    let serving = serve(&own);
    let at = serving.address;
    let body = |name: &str| event_list(&[privileged_pod(name)]);
    for http2 in [true, false] {
        let name = if http2 { "two" } else { "one" };
        let client = Client::new(&own, Some(&own), http2);
        let requests = vec![
            post(at, "/v1/audit/lab/api-1", body(name)),
            post(at, "/v1/audit/other/api-1", body("forged")),
            get(at, "/metrics"),
        ];
        let statuses = client.send(at, requests).await.unwrap();
        assert_eq!(statuses, [200, 403, 200], "http2: {http2}");
        let stranger = Client::new(&own, None, http2);
        let requests = vec![
            post(at, "/v1/audit/lab/api-1", body("stranger")),
            get(at, "/metrics"),
            get(at, "/healthz"),
            get(at, "/readyz"),
        ];
        let statuses = stranger.send(at, requests).await.unwrap();
        assert_eq!(statuses, [401, 401, 200, 200], "http2: {http2}");
        // A certificate of another authority ends the handshake; with TLS 1.3 the client learns it with its first read.
        let impostor = Client::new(&own, Some(&foreign), http2);
        let refused = impostor
            .send(at, vec![post(at, "/v1/audit/lab/api-1", body("impostor"))])
            .await;
        assert!(refused.is_err(), "{refused:?}");
        // And a client that does not trust us does not talk to us.
        let doubting = Client::new(&foreign, Some(&own), http2);
        let refused = doubting.send(at, vec![get(at, "/healthz")]).await;
        assert!(refused.is_err(), "{refused:?}");
    }
    let findings = serving.wait_for_findings(2);
    assert_eq!(findings.len(), 2);
}

#[tokio::test]
async fn a_new_certificate_is_used_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (own, renewed) = (folder.path().join("own"), folder.path().join("renewed"));
    set_up(&own);
    set_up(&renewed);
    let serving = serve(&own);
    let at = serving.address;
    let client = Client::new(&renewed, None, true);
    assert!(client.send(at, vec![get(at, "/healthz")]).await.is_err());
    // A certificate without its key is refused, and the old pair stays.
    fs::copy(renewed.join("tidewatch.crt"), own.join("tidewatch.crt")).unwrap();
    serving.signal("-HUP");
    wait_until("the refusal", || {
        serving.said().contains("the certificate stays as it was")
    });
    assert!(
        Client::new(&own, None, true)
            .send(at, vec![get(at, "/healthz")])
            .await
            .is_ok()
    );
    fs::copy(renewed.join("tidewatch.key"), own.join("tidewatch.key")).unwrap();
    serving.signal("-HUP");
    wait_until("the new certificate", || {
        serving
            .said()
            .contains("new connections use the new certificate")
    });
    assert!(client.send(at, vec![get(at, "/healthz")]).await.is_ok());
}

#[test]
fn setup_overwrites_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("setup");
    set_up(&out);
    let again = tidewatch(&["setup", "--out", out.to_str().unwrap()]);
    let said = String::from_utf8(again.stderr).unwrap();
    assert!(
        !again.status.success() && said.contains("nothing that is there is overwritten"),
        "{said}"
    );
}
