//! Where a broker listens.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use super::options::Options;

/// One for each listener.
#[derive(Debug)]
pub(super) struct Ports {
    pub(super) plaintext: u16,
    pub(super) controller: u16,
    pub(super) tls: Option<u16>,
    pub(super) sasl: Option<u16>,
}

impl Ports {
    pub(super) fn free(options: &Options) -> Self {
        Self {
            plaintext: free_port(),
            controller: free_port(),
            tls: options.tls.map(|_| free_port()),
            sasl: options.sasl.map(|_| free_port()),
        }
    }

    /// Kafka's names for the listeners, and their addresses.
    pub(super) fn all(&self) -> impl Iterator<Item = (&'static str, String)> {
        let ports = [
            ("PLAINTEXT", Some(self.plaintext)),
            ("CONTROLLER", Some(self.controller)),
            ("SSL", self.tls),
            ("SASL_SSL", self.sasl),
        ];
        let with_port = |(name, port): (_, Option<u16>)| Some((name, address(port?)));
        ports.into_iter().filter_map(with_port)
    }

    /// The first listener that nobody can connect to.
    pub(super) fn unreachable(&self) -> Option<String> {
        self.all().find_map(|(name, address)| {
            let error = TcpStream::connect(&address).err()?;
            Some(format!("{name} on {address}: {error}"))
        })
    }
}

pub(super) fn address(port: u16) -> String {
    format!("{}:{port}", Ipv4Addr::LOCALHOST)
}

/// A port that nobody listens on. It lies below those that Linux gives to clients, where a broker that is down could lose its
/// port to a connection, even to one of a client that keeps trying to reach it. Processes begin in different places, since
/// between this look and Java's start somebody else may look too.
fn free_port() -> u16 {
    const FIRST: u32 = 16_384;
    const COUNT: u32 = 16_384;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let offset = (process::id() * 64 + next) % COUNT;
        let port = u16::try_from(FIRST + offset).unwrap();
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
