//! Kafka as log, state and outbox, for any number of processes.
//!
//! ```text
//!  webhook ─▶ intake ─▶ input ─┐ ┌ judge ────────┐                ┌ acts, findings ┐ ─▶ alerts
//!             cut at    topic  ├▶│ any partition │─▶ matches ───▶ │ one shard      │ ─▶ state (compacted)
//!  others' topics ─────────────┘ └───────────────┘   by rule and  └────────────────┘
//!                                   first half       cluster, or     second half
//!                                                    by cluster
//! ```
//!
//! 1. A body is acknowledged after all its messages are (`acks=all`, idempotent). Bodies are cut at the boundaries of their
//!    items, since brokers refuse what is larger than a mebibyte; one event that is larger goes as numbered parts (`cut`,
//!    `assembly`).
//! 2. Each half is a thread that owns a consumer and a transactional producer (`worker`), in a group of its own, so that each is
//!    shared out evenly by itself. Messages are collected, and only then is a transaction begun, in which all of them are evaluated
//!    and all that comes of them is written, with the offsets. Partitions come and go only while messages are collected, so never in
//!    the middle of a transaction.
//! 3. What is found of one rule in one cluster is judged in one place: its shard, a partition of the topic of matches. The state of a
//!    shard lies in memory; its changes go to the same partition of the state topic, from which whoever gets the shard restores it
//!    (`shard`, `restore`).
//! 4. Any error that leaves open what has happened ends the session: consumer, producer and all state are thrown away, and begun
//!    anew from what was committed. There is no other way of recovery, so this one is walked often.
//!
//! 5. What feeds correlations goes to the shard of its cluster's stream (`feed`), behind which stands how far each process has read
//!    (`reach`): so the shard knows the time of the whole input (`sources`), and takes in events in the order in which they came in,
//!    whoever has read them (`stream`).
//!
//! The time of acts is the clock's, written down with each transaction that made use of it; that of correlations stands on the topic of
//! matches.

mod assembly;
mod care;
mod client;
mod connection;
mod cut;
pub mod dlq;
mod feed;
mod gaps;
mod intake;
mod judging;
mod lag;
mod message;
mod reach;
mod restore;
mod settling;
mod shard;
mod sources;
mod stream;
mod topics;
mod worker;

pub use self::client::{Client, KafkaFault};
pub use self::intake::{KafkaBody, KafkaIntake};
pub use self::lag::Lag;
pub use self::topics::{Limits, TopicFacts, Topics};
pub use self::worker::Worker;

pub(crate) use self::client::{Deliveries, PATIENCE, Quiet};
pub(crate) use self::connection::end_transaction;
pub(crate) use self::message::{alert_headers, shortened};
