//! What surprise looks at in an event.
//!
//! Events repeat: a cluster has some thousand users, clients, addresses and operations. What the bytes of a column mean is
//! found out once, by the views over a small event of this column, and remembered. So an event costs a few look-ups, and
//! nothing is allocated for what is known. Only a body that may ask for the node is read each time, and only if a word in it
//! says so.
//!
//! Requests count once, as far as one event can tell:
//!
//! * What was only received does not count.
//! * Requests that stay open (watches, and the subresources that connect) are logged when they start and when they end, which
//!   may be hours later. They count when they start: a session into a pod that ends after midnight would else be a habit of two
//!   days. The end does not count, whether or not the start was logged; an audit policy that omits `ResponseStarted` needs
//!   [`Stages::All`].

use std::sync::Arc;

use aho_corasick::AhoCorasick;
use memchr::memmem;

use crate::batch::{Column, EventRow};
use crate::event::Event;
use crate::json;
use crate::views::Root;

use super::actor::{Actor, Kind};
use super::limits::STATUS_BYTES_SHORT;
use super::memo::{Memo, Texts};
use super::operation::{Did, Operation, asks_for_node, path_of};
use super::place::{client_of, network_of};
use super::small::event_of;
use super::volume::Class;

/// What the installation says about its accounts and its log.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// Names of accounts that are the installation's automation: a kind of their own.
    pub automation: Vec<String>,
    /// Names of components of the control plane that Kubernetes itself does not reserve, such as `system:kwok-controller`. They
    /// are believed of external identities only: anybody's directory may call a person so.
    pub components: Vec<String>,
    /// Which stages count.
    pub stages: Stages,
}

/// Which stages of requests that stay open count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stages {
    /// The start. Right where the audit policy logs `ResponseStarted`, as nearly all do.
    #[default]
    Started,
    /// Start and end.
    All,
}

/// What one event says. Cheap to copy: its texts are shared.
#[derive(Clone, Debug)]
pub struct Features {
    /// Event time, microseconds since 1970 UTC.
    pub time_us: i64,
    /// Who authenticated.
    pub actor: Arc<Actor>,
    /// What was done; `None` for discovery.
    pub operation: Option<Did>,
    /// Acting as another identity, granted or refused.
    pub impersonation: Option<Did>,
    /// The namespace, or `-` for the whole cluster; `None` where there is no resource.
    pub namespace: Option<Arc<str>>,
    /// The family of the client.
    pub client: Arc<str>,
    /// The network that the request came from.
    pub network: Arc<str>,
    /// `denied` or `ok`.
    pub outcome: Arc<str>,
    /// What a session counts, by [`Class`].
    pub classes: [bool; Class::COUNT],
}

/// Reads events. One a thread; all its rows must have the same settings.
#[derive(Debug)]
pub struct Reader {
    reading: Reading,
    texts: Texts,
    words: Words,
    /// `None` for what cannot be told.
    actors: Memo<Option<Arc<Actor>>>,
    clients: Memo<Arc<str>>,
    networks: Memo<Arc<str>>,
    operations: Memo<Operation>,
    namespaces: Memo<Arc<str>>,
    /// Whether a status means that the request was refused.
    refusals: Memo<bool>,
    /// What bodies say that ask for the node; `None` if every body is to be read.
    suspects: Option<AhoCorasick>,
    /// The key that is being looked up.
    key: Vec<u8>,
}

/// Texts that are always needed.
#[derive(Debug)]
struct Words {
    ok: Arc<str>,
    denied: Arc<str>,
    everywhere: Arc<str>,
    impersonation: Did,
    watch_of_component: Did,
}

/// What was found out about an event.
struct Facts {
    time_us: i64,
    actor: Arc<Actor>,
    operation: Operation,
    namespace: Option<Arc<str>>,
    client: Arc<str>,
    network: Arc<str>,
    is_denied: bool,
    impersonates: bool,
    asks_for_node: bool,
}

/// The namespace of the cluster's own workloads, where a change matters more.
const SYSTEM: &str = "kube-system";

/// What stands in place of a namespace for the whole cluster.
pub(super) const EVERYWHERE: &str = "-";

/// The outcome that is learned and never surprising.
pub(super) const OK: &str = "ok";

/// How the keys of operations begin.
const ON_RESOURCE: u8 = 0;
const ON_PATH: u8 = 1;
const DISCOVERY: u8 = 2;

/// What the message of a refused impersonation says.
const REFUSED_IMPERSONATION: &[u8] = b"cannot impersonate resource";

/// Without one of these no body asks for the node. The last two are for patches, which are logged as the client wrote them:
/// an addition by its path, and a name that is spelled by escapes.
const SUSPECTS: [&str; 8] = [
    "hostNetwork",
    "hostPID",
    "hostIPC",
    "hostPath",
    "privileged",
    "\"add\"",
    "/add",
    "\\u",
];

impl Reader {
    /// A reader that knows nothing yet.
    #[must_use]
    pub fn new(reading: Reading) -> Self {
        let mut texts = Texts::default();
        let words = Words {
            ok: texts.intern(OK),
            denied: texts.intern("denied"),
            everywhere: texts.intern(EVERYWHERE),
            impersonation: Did::impersonation(&mut texts),
            watch_of_component: Did::watch_of_component(&mut texts),
        };
        Self {
            reading,
            texts,
            words,
            actors: Memo::default(),
            clients: Memo::default(),
            networks: Memo::default(),
            operations: Memo::default(),
            namespaces: Memo::default(),
            refusals: Memo::default(),
            suspects: AhoCorasick::new(SUSPECTS).ok(),
            key: Vec::new(),
        }
    }

    /// What the event says; `None` if it does not count, has no time, or was cut before its user.
    pub fn features(&mut self, row: &EventRow<'_>) -> Option<Features> {
        if !self.counts(row) {
            return None;
        }
        let time_us = row.time()?;
        if row.is_odd() {
            return self.of_document(row, time_us);
        }
        let actor = self.actor(row)?;
        let operation = self.operation(row);
        let namespace = operation.is_on_resource.then(|| self.namespace(row));
        let is_denied = self.is_denied(row);
        let facts = Facts {
            time_us,
            actor,
            namespace,
            client: self.client(row),
            network: self.network(row),
            is_denied,
            impersonates: impersonates(row, is_denied),
            asks_for_node: operation.brings_pod && self.asks_for_node(row),
            operation,
        };
        Some(self.features_of(facts))
    }

    /// Whether the stage is one that counts.
    fn counts(&self, row: &EventRow<'_>) -> bool {
        match row.slice(Column::Stage) {
            Some(b"\"RequestReceived\"") => false,
            Some(b"\"ResponseComplete\"") => self.reading.stages == Stages::All || !stays_open(row),
            _ => true,
        }
    }

    fn features_of(&self, facts: Facts) -> Features {
        let in_system = facts.namespace.as_deref() == Some(SYSTEM);
        let mut features = Features {
            time_us: facts.time_us,
            operation: facts.operation.did(in_system, facts.asks_for_node),
            impersonation: facts.impersonates.then(|| self.words.impersonation.clone()),
            actor: facts.actor,
            namespace: facts.namespace,
            client: facts.client,
            network: facts.network,
            outcome: self.words.ok.clone(),
            classes: facts.operation.classes,
        };
        if facts.is_denied {
            features.outcome = self.words.denied.clone();
            features.classes[Class::Denied as usize] = true;
        }
        // Informers follow whatever exists, and what they watch is logged when it ends or starts anew.
        if features.actor.id.kind == Kind::ControlPlane && facts.operation.is_watch {
            features.operation = Some(self.words.watch_of_component.clone());
            features.impersonation = None;
        }
        features
    }

    /// The same without memory, for events whose columns cannot be told.
    fn of_document(&mut self, row: &EventRow<'_>, time_us: i64) -> Option<Features> {
        let event = row.event().ok()?;
        let actor = Actor::read(&event, &self.reading, &mut self.texts)?;
        let operation = Operation::of_event(&event, &mut self.texts);
        let namespace = event.text(&["objectRef", "namespace"]).unwrap_or_default();
        let namespace = if namespace.is_empty() {
            self.words.everywhere.clone()
        } else {
            self.texts.intern(namespace)
        };
        let impersonates = event
            .fields()
            .get("impersonatedUser")
            .is_some_and(|user| !user.is_null());
        let facts = Facts {
            time_us,
            actor: Arc::new(actor),
            namespace: operation.is_on_resource.then_some(namespace),
            client: self.texts.intern(&client_of(&event)),
            network: self.texts.intern(&network_of(&event)),
            is_denied: is_denied(&event),
            impersonates: impersonates || was_refused_impersonation(&event),
            asks_for_node: operation.brings_pod && asks_for_node(&event),
            operation,
        };
        Some(self.features_of(facts))
    }

    /// The envelope belongs to it: clouds hide groups, and have names of their own.
    fn actor(&mut self, row: &EventRow<'_>) -> Option<Arc<Actor>> {
        let user = row.slice(Column::User).unwrap_or_default();
        self.key.clear();
        self.key.push(row.envelope() as u8);
        self.key.extend_from_slice(user);
        if let Some(known) = self.actors.get(&self.key) {
            return known;
        }
        let event = event_of(&[Column::User], row)?;
        let actor = Actor::read(&event, &self.reading, &mut self.texts).map(Arc::new);
        self.actors.keep(&self.key, actor)
    }

    fn client(&mut self, row: &EventRow<'_>) -> Arc<str> {
        let agent = row.slice(Column::UserAgent).unwrap_or_default();
        if let Some(known) = self.clients.get(agent) {
            return known;
        }
        let event = event_of(&[Column::UserAgent], row);
        let client = event.as_ref().map(client_of).unwrap_or_default();
        self.clients.keep(agent, self.texts.intern(&client))
    }

    fn network(&mut self, row: &EventRow<'_>) -> Arc<str> {
        let addresses = row.slice(Column::SourceIps).unwrap_or_default();
        if let Some(known) = self.networks.get(addresses) {
            return known;
        }
        let event = event_of(&[Column::SourceIps], row);
        let network = event.as_ref().map(network_of).unwrap_or_default();
        self.networks.keep(addresses, self.texts.intern(&network))
    }

    fn namespace(&mut self, row: &EventRow<'_>) -> Arc<str> {
        let slice = row.slice(Column::Namespace).unwrap_or_default();
        if let Some(known) = self.namespaces.get(slice) {
            return known;
        }
        let namespace = match json::string(slice) {
            Some(name) if !name.is_empty() => self.texts.intern(&name),
            _ => self.words.everywhere.clone(),
        };
        self.namespaces.keep(slice, namespace)
    }

    fn operation(&mut self, row: &EventRow<'_>) -> Operation {
        let resource = row.slice(Column::Resource).unwrap_or_default();
        // A name, and not an empty one.
        if resource.starts_with(b"\"") && resource.len() > 2 {
            self.operation_on_resource(row)
        } else {
            self.operation_on_path(row)
        }
    }

    fn operation_on_resource(&mut self, row: &EventRow<'_>) -> Operation {
        let columns = [
            Column::Verb,
            Column::ApiGroup,
            Column::Resource,
            Column::Subresource,
        ];
        let slices = columns.map(|column| row.slice(column).unwrap_or_default());
        self.key.clear();
        self.key.push(ON_RESOURCE);
        for slice in slices {
            put(&mut self.key, slice);
        }
        if let Some(known) = self.operations.get(&self.key) {
            return known;
        }
        let [verb, group, resource, subresource] =
            slices.map(|slice| json::string(slice).unwrap_or_default());
        let operation =
            Operation::on_resource(&verb, &group, &resource, &subresource, &mut self.texts);
        self.operations.keep(&self.key, operation)
    }

    fn operation_on_path(&mut self, row: &EventRow<'_>) -> Operation {
        let verb = row.slice(Column::Verb).unwrap_or_default();
        let uri = row.slice(Column::RequestUri).and_then(json::string);
        let path = path_of(uri.as_deref().unwrap_or_default());
        self.key.clear();
        self.key.push(path.map_or(DISCOVERY, |_| ON_PATH));
        put(&mut self.key, verb);
        self.key
            .extend_from_slice(path.unwrap_or_default().as_bytes());
        if let Some(known) = self.operations.get(&self.key) {
            return known;
        }
        let verb = json::string(verb).unwrap_or_default();
        let operation = Operation::on_path(&verb, path, &mut self.texts);
        self.operations.keep(&self.key, operation)
    }

    fn is_denied(&mut self, row: &EventRow<'_>) -> bool {
        let Some(status) = row.slice(Column::ResponseStatus) else {
            return false;
        };
        // Whatever the code, a panic is a failure.
        if matches!(row.slice(Column::Stage), Some(b"\"Panic\"")) {
            return false;
        }
        let key = if status.len() <= STATUS_BYTES_SHORT {
            Some(status)
        } else {
            code_of(status)
        };
        if let Some(known) = key.and_then(|key| self.refusals.get(key)) {
            return known;
        }
        let event = event_of(&[Column::ResponseStatus], row);
        let denied = event.as_ref().is_some_and(is_denied);
        match key {
            Some(key) => self.refusals.keep(key, denied),
            None => denied,
        }
    }

    /// Only a body with a suspicious word is read.
    fn asks_for_node(&self, row: &EventRow<'_>) -> bool {
        let is_suspicious = |column| {
            let body = row.slice(column).unwrap_or_default();
            let suspects = self.suspects.as_ref();
            suspects.is_none_or(|suspects| suspects.is_match(body))
        };
        (is_suspicious(Column::RequestObject) || is_suspicious(Column::ResponseObject))
            && row.event().is_ok_and(|event| asks_for_node(&event))
    }
}

/// The identity of the request that an event tells of: [`Event::request_identity`], read from the columns that it needs.
#[must_use]
pub fn identity_of(row: &EventRow<'_>) -> [u8; 16] {
    let columns = [
        Column::AuditId,
        Column::RequestReceivedTimestamp,
        Column::Verb,
        Column::RequestUri,
        Column::User,
    ];
    event_of(&columns, row).map_or([0; 16], |event| event.request_identity())
}

/// Whether the API server logs the start of such a request by itself: watches, and the subresources that connect. Of logs it
/// does, whether they are followed or not.
fn stays_open(row: &EventRow<'_>) -> bool {
    matches!(row.slice(Column::Verb), Some(b"\"watch\""))
        || matches!(
            row.slice(Column::Subresource),
            Some(b"\"exec\"" | b"\"attach\"" | b"\"portforward\"" | b"\"proxy\"" | b"\"log\"")
        )
}

/// Adds a part to a key, so that no other parts look the same.
fn put(key: &mut Vec<u8>, part: &[u8]) {
    key.extend_from_slice(&part.len().to_le_bytes());
    key.extend_from_slice(part);
}

/// The code of a status, as it was written; `None` if it is anything but a number.
fn code_of(status: &[u8]) -> Option<&[u8]> {
    let mut code: Option<&[u8]> = None;
    for member in json::members(status) {
        let (key, value) = member.ok()?;
        // Of duplicate keys the last wins.
        if key == "code" {
            code = Some(value);
        }
    }
    code.filter(|code| code.len() < 10 && code.iter().all(u8::is_ascii_digit))
}

fn is_denied(event: &Event) -> bool {
    event.view(Root::Outcome).text("result") == Some("denied")
}

fn was_refused_impersonation(event: &Event) -> bool {
    event.view(Root::Outcome).text("denied_by") == Some("impersonation")
}

/// Whether the actor acted as somebody else, or tried to.
fn impersonates(row: &EventRow<'_>, is_denied: bool) -> bool {
    let user = row.slice(Column::ImpersonatedUser);
    if user.is_some_and(|user| user != b"null") {
        return true;
    }
    let status = row.slice(Column::ResponseStatus).unwrap_or_default();
    let columns = [Column::ResponseStatus, Column::Annotations, Column::Stage];
    is_denied
        && memmem::find(status, REFUSED_IMPERSONATION).is_some()
        && event_of(&columns, row).is_some_and(|event| was_refused_impersonation(&event))
}
