//! Connections: accepted, counted, grown old, ended.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;

use crate::source::intake::Intake;
use crate::telemetry::Refused;

use super::HttpOptions;
use super::auth::pubsub::Verifier;
use super::clients::{Clients, Place};
use super::limits::{BACKLOG, DRAIN, HEAD_BYTES_MAX, HttpLimits, STREAMS_MAX};
use super::routes::{Caller, Context, answer};
use super::tls::{PeerName, TlsSource};

/// Why nothing listens.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}")]
pub struct ListenError {
    address: SocketAddr,
    source: io::Error,
}

/// A listener that is open. It answers as soon as [`HttpServer::run`] does.
#[derive(Debug)]
pub struct HttpServer {
    listener: TcpListener,
    tls: Option<Arc<TlsSource>>,
    clients: Arc<Clients>,
    context: Arc<Context>,
}

impl HttpServer {
    /// Listens. Called within a runtime, which will serve.
    ///
    /// # Errors
    /// If the address cannot be had.
    pub fn bind(options: HttpOptions, intake: Intake) -> Result<Self, ListenError> {
        let address = options.listen;
        let listener = listen(address).map_err(|source| ListenError { address, source })?;
        Ok(Self {
            listener,
            tls: options.tls.map(Arc::new),
            clients: Clients::new(options.limits),
            context: Arc::new(Context {
                intake,
                access: options.access,
                limits: options.limits,
                ready: options.ready,
                telemetry: options.telemetry,
            }),
        })
    }

    /// Where it listens: the port, if any was as good as another.
    ///
    /// # Errors
    /// If the system does not tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The certificates, to be read again in time.
    #[must_use]
    pub fn tls(&self) -> Option<Arc<TlsSource>> {
        self.tls.clone()
    }

    /// What checks Pub/Sub's tokens, to be given keys in time.
    #[must_use]
    pub fn verifier(&self) -> Option<Arc<Verifier>> {
        self.context.access.pubsub.clone()
    }

    /// Serves until told to stop, then lets open requests end.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                _ = stop.wait_for(|stop| *stop) => break,
            };
            match accepted {
                Ok((stream, peer)) => self.accept(stream, peer, &mut connections, stop.clone()),
                Err(error) => {
                    // Mostly too many open files: it passes when connections end.
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(Duration::from_millis(50)).await;
                }
            }
            while connections.try_join_next().is_some() {}
            self.context
                .telemetry
                .connections(self.clients.connections());
        }
        drop(self.listener);
        let drained = timeout(DRAIN, async {
            while connections.join_next().await.is_some() {}
        });
        if drained.await.is_err() {
            tracing::warn!("some requests did not end in time; their senders will come again");
        }
    }

    fn accept(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        connections: &mut JoinSet<()>,
        stop: watch::Receiver<bool>,
    ) {
        let Some(place) = self.clients.connect(peer.ip().to_canonical()) else {
            self.context.telemetry.refused(Refused::Connections);
            return;
        };
        let connection = Connection {
            context: self.context.clone(),
            tls: self.tls.clone(),
            stop,
        };
        connections.spawn(connection.serve(stream, place));
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // A restart must not wait for connections of the process before to be forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

struct Connection {
    context: Arc<Context>,
    tls: Option<Arc<TlsSource>>,
    stop: watch::Receiver<bool>,
}

impl Connection {
    async fn serve(self, stream: TcpStream, place: Place) {
        let _best_effort = stream.set_nodelay(true);
        let until = Instant::now() + self.context.limits.first_request;
        let Some(tls) = &self.tls else {
            return self.requests(stream, place, None, until).await;
        };
        let acceptor = TlsAcceptor::from(tls.config());
        match tokio::time::timeout_at(until, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => {
                let certificates = stream.get_ref().1.peer_certificates();
                let peer = certificates.and_then(<[_]>::first).map(PeerName::of);
                self.requests(stream, place, peer, until).await;
            }
            Ok(Err(error)) => {
                self.context.telemetry.refused(Refused::Tls);
                tracing::debug!(%error, "a TLS handshake failed");
            }
            Err(_) => self.context.telemetry.refused(Refused::Slow),
        }
    }

    async fn requests<S>(self, stream: S, place: Place, peer: Option<PeerName>, until: Instant)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self {
            context, mut stop, ..
        } = self;
        let limits = context.limits;
        let caller = Arc::new(Caller {
            place,
            peer,
            has_asked: AtomicBool::new(false),
        });
        let service = {
            let (context, caller) = (context.clone(), caller.clone());
            service_fn(move |request| {
                caller.has_asked.store(true, Ordering::Relaxed);
                let (context, caller) = (context.clone(), caller.clone());
                async move { Ok::<_, Infallible>(answer(request, &context, &caller).await) }
            })
        };
        let builder = builder(&limits);
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let mut age = pin!(sleep(spread(limits.connection_age)));
        let mut first = pin!(sleep_until(until));
        let mut last = pin!(sleep(limits.connection_age * 2 + limits.body));
        let (mut ending, mut checked) = (false, false);
        loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a connection ended");
                    }
                    return;
                }
                () = &mut first, if !checked => {
                    checked = true;
                    if !caller.has_asked.load(Ordering::Relaxed) {
                        context.telemetry.refused(Refused::Slow);
                        return;
                    }
                }
                // Whoever does not read its answers is not waited for any more.
                () = &mut last => return,
                () = &mut age, if !ending => {
                    last.as_mut().reset(Instant::now() + limits.body + DRAIN);
                    ending = true;
                    connection.as_mut().graceful_shutdown();
                }
                _ = stop.wait_for(|stop| *stop), if !ending => {
                    ending = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

fn builder(limits: &HttpLimits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.idle)
        .max_buf_size(512 << 10);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX))
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(1 << 20)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(15));
    builder
}

/// Up to a tenth more or less, so that connections that were opened together do not end together.
fn spread(age: Duration) -> Duration {
    use std::hash::{BuildHasher as _, RandomState};
    let random = RandomState::new().hash_one(0_u8) % 200;
    age.mul_f64(0.9 + random as f64 / 1000.0)
}
