//! What each client address holds: connections, and requests of late.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::limits::{BODIES_PER_CLIENT, CLIENTS_MAX, HttpLimits};

/// All clients of a listener.
#[derive(Debug)]
pub(super) struct Clients {
    limits: HttpLimits,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    connections: usize,
    clients: HashMap<IpAddr, Client>,
}

#[derive(Debug)]
struct Client {
    connections: usize,
    /// Bodies on their way.
    bodies: usize,
    /// Requests that it may still make at once.
    tokens: f64,
    refilled: Instant,
}

/// A connection that counts, for as long as the value lives.
#[derive(Debug)]
pub(super) struct Place {
    clients: Arc<Clients>,
    address: IpAddr,
}

impl Clients {
    pub(super) fn new(limits: HttpLimits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            state: Mutex::default(),
        })
    }

    /// A place for one more connection; `None` if there are too many, in all or of this client.
    pub(super) fn connect(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let mut state = self.state();
        if state.connections >= self.limits.connections_max {
            return None;
        }
        if state.clients.len() >= CLIENTS_MAX {
            state.clients.retain(|_, client| client.connections > 0);
        }
        let burst = self.burst();
        let client = state.clients.entry(address).or_insert_with(|| Client {
            connections: 0,
            bodies: 0,
            tokens: burst,
            refilled: Instant::now(),
        });
        if client.connections >= self.limits.connections_per_client {
            return None;
        }
        client.connections += 1;
        state.connections += 1;
        Some(Place {
            clients: self.clone(),
            address,
        })
    }

    pub(super) fn connections(&self) -> usize {
        self.state().connections
    }

    fn burst(&self) -> f64 {
        f64::from(self.limits.requests_per_second) * 2.0
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A body on its way, for as long as the value lives.
#[derive(Debug)]
pub(super) struct BodyPlace<'a> {
    place: &'a Place,
}

impl Drop for BodyPlace<'_> {
    fn drop(&mut self) {
        let mut state = self.place.clients.state();
        if let Some(client) = state.clients.get_mut(&self.place.address) {
            client.bodies -= 1;
        }
    }
}

impl Place {
    /// A place for one more body; `None` if this client sends too many at once.
    pub(super) fn body(&self) -> Option<BodyPlace<'_>> {
        let mut state = self.clients.state();
        let client = state.clients.get_mut(&self.address)?;
        if client.bodies >= BODIES_PER_CLIENT {
            return None;
        }
        client.bodies += 1;
        Some(BodyPlace { place: self })
    }

    /// Whether the client may make one more request now.
    pub(super) fn may_ask(&self) -> bool {
        let (rate, burst) = (
            f64::from(self.clients.limits.requests_per_second),
            self.clients.burst(),
        );
        let mut state = self.clients.state();
        let Some(client) = state.clients.get_mut(&self.address) else {
            return true;
        };
        let now = Instant::now();
        let passed = now.duration_since(client.refilled).as_secs_f64();
        client.tokens = (client.tokens + passed * rate).min(burst);
        client.refilled = now;
        if client.tokens < 1.0 {
            return false;
        }
        client.tokens -= 1.0;
        true
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.clients.state();
        state.connections -= 1;
        if let Some(client) = state.clients.get_mut(&self.address) {
            client.connections -= 1;
        }
    }
}
