//! Bodies over HTTP: the API server's audit webhook, AWS Data Firehose, Google Cloud Pub/Sub.
//!
//! ```text
//!  POST /v1/audit/<cluster>/<apiserver>          audit webhook: EventList, answered {}
//!  POST /v1/firehose/<cluster>/<stream>          Firehose's HTTP end point delivery
//!  POST /v1/pubsub/<cluster>/<subscription>      Pub/Sub's push
//!  GET  /healthz  /readyz  /metrics
//! ```
//!
//! What a sender can rely on:
//!
//! 1. A 2xx means that the body is durable. Nothing of it was parsed before: whatever it holds, it is in the log.
//! 2. Overload is told early and cheaply, by 429 with `Retry-After: 1`: the API server then comes again after a second, eleven
//!    times within one call. A hang would make it hold ever more batches in memory.
//! 3. Query parameters are ignored; client-go adds `?timeout=30s`.
//! 4. Nobody holds more than a share: connections, their age, the time for a head and for a body, and the rate per client are
//!    bounded (`HttpLimits`), and each bound that is reached is counted.
//! 5. A body beyond the limit is kept up to there and answered 2xx, since a 4xx would make the API server send it five times and
//!    then drop all of its events. What was left out is counted, and told by a dead letter.

pub mod auth;
pub mod limits;
pub mod tls;

mod clients;
mod ingest;
mod routes;
mod server;

pub use self::limits::HttpLimits;
pub use self::server::{HttpServer, ListenError};

use std::net::SocketAddr;
use std::sync::Arc;

use crate::telemetry::Telemetry;

use super::Ready;

use self::auth::Access;
use self::tls::TlsSource;

/// How to listen.
#[derive(Debug)]
pub struct HttpOptions {
    /// Where.
    pub listen: SocketAddr,
    /// Certificates; none is plain HTTP.
    pub tls: Option<TlsSource>,
    /// Who may send.
    pub access: Access,
    /// The bounds.
    pub limits: HttpLimits,
    /// What `/readyz` says.
    pub ready: Arc<Ready>,
    /// What is counted, and what `/metrics` shows.
    pub telemetry: Arc<Telemetry>,
}
