//! From matches to findings: one act is one finding.
//!
//! A request is logged at several stages, kubectl falls back from WebSocket to SPDY, a deployment becomes a replica set and
//! pods, a script deletes two hundred events. An analyst wants one line each. Three steps join them, none of which depends
//! on the order of input:
//!
//! 1. *Stages*. Matches of one request (`identity`) count once; the last stage tells the outcome. Matches of early stages
//!    wait until the last one came or the input ends.
//! 2. *Acts*. Requests of one actor on one root object (`owner`) with one outcome within one window are one act.
//! 3. *Follow-ups*. What a workload controller did for an owner whose own write raised the same rule is folded into it;
//!    if the owner's write was not seen, the controllers' writes are one finding per owner.

mod act;
mod acts;
mod family;
mod fold;
mod identity;
mod ledger;
mod owner;
pub mod severity;
mod stored;
pub mod story;
pub mod stream;

pub(crate) use act::actor_key;
pub use act::{Exemplar, Finding, Hit, RuleTraits};
pub use acts::Acts;
pub(crate) use detections::hash::hash;
pub use identity::Identity;
pub use ledger::{Change, Ledger, Memory, RequestSeen, Said};
pub(crate) use owner::workloads_of;
pub use owner::{object_in_reference, object_of, root_of};
pub(crate) use stored::{stored_bytes, stored_origin};
