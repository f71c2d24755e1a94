//! The bounds of the HTTP source. Each can be set in the configuration; these are the defaults, with their reasons.

use std::time::Duration;

use crate::spool::limits::BODY_BYTES_MAX;

/// What one listener takes.
#[derive(Clone, Copy, Debug)]
pub struct HttpLimits {
    /// Bytes of a body.
    pub body_bytes_max: u64,
    /// Open connections in all. Each costs about 20 KiB, with TLS 60 KiB.
    pub connections_max: usize,
    /// Open connections of one client address. An API server keeps 25 idle ones at most.
    pub connections_per_client: usize,
    /// Requests a second of one client address, on average; twice as many at once. An API server sends 10 batches a second; in
    /// blocking mode a request for each event.
    pub requests_per_second: u32,
    /// How long a new connection may take to show its first whole request, with its TLS handshake.
    pub first_request: Duration,
    /// How long a connection may be idle between two requests. The API server closes after 90 s by itself.
    pub idle: Duration,
    /// How long a body may take. The API server gives up after 30 s.
    pub body: Duration,
    /// How long a sender waits for memory before it is told to come again.
    pub patience: Duration,
    /// How old a connection grows before it is asked to end, so that senders find their way to other replicas; spread by a tenth.
    pub connection_age: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            body_bytes_max: BODY_BYTES_MAX,
            connections_max: 4096,
            connections_per_client: 512,
            requests_per_second: 20_000,
            first_request: Duration::from_secs(10),
            idle: Duration::from_mins(2),
            body: Duration::from_secs(30),
            patience: Duration::from_millis(250),
            connection_age: Duration::from_mins(5),
        }
    }
}

/// Streams of one HTTP/2 connection at a time. The API server sends few; each may hold a chunk in memory.
pub(super) const STREAMS_MAX: u32 = 64;

/// 64 KiB: the head of a request.
pub(super) const HEAD_BYTES_MAX: usize = 64 << 10;

/// 253 characters: a name in a path, as long as names of Kubernetes are.
pub(super) const NAME_CHARS_MAX: usize = 253;

/// Bytes beyond the limit of a body that are read and thrown away, so that its sender hears an answer: three times the limit.
pub(super) const DISCARDED_FACTOR: u64 = 3;

/// 4 MiB: what is read of a body that is refused, so that its sender, who may be writing still, hears why. Bodies of an API server
/// have 1 to 2 MB.
pub(super) const DRAINED_BYTES: usize = 4 << 20;

/// How long that may take.
pub(super) const DRAINED_TIME: Duration = Duration::from_secs(2);

/// Bodies of one client on their way at once. Each may hold a mebibyte: with more, one slow sender could take all memory for bodies
/// from the others.
pub(super) const BODIES_PER_CLIENT: usize = 24;

/// Connections that wait to be accepted. With fewer, a storm of them waits a second each for the kernel to try again.
pub(super) const BACKLOG: u32 = 4096;

/// Clients whose rates are remembered.
pub(super) const CLIENTS_MAX: usize = 65_536;

/// How long open requests may go on when the server ends.
pub(super) const DRAIN: Duration = Duration::from_secs(10);
