//! What is kept of a finding, and sent to sinks: written down once, when it is raised.

use serde::{Deserialize, Serialize};

use super::StoreError;

/// One record of a finding. Each revision is a record; the id is the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The finding's id, 32 hex digits.
    pub uid: String,
    /// 1 for the first record, one more with each.
    pub revision: u32,
    /// `create`, `update`, `close`.
    pub activity: String,
    /// The rule's name and id.
    pub rule: String,
    /// The rule's id.
    pub rule_id: String,
    /// `informational` to `critical`.
    pub level: String,
    /// The cluster.
    pub cluster: String,
    /// Event time of the first request, microseconds since 1970 UTC.
    pub first_us: Option<i64>,
    /// Event time of the last request.
    pub last_us: Option<i64>,
    /// When it was raised, in the time of the log.
    pub raised_us: i64,
    /// For people, one line.
    pub line: String,
    /// For people, everything needed to act.
    pub text: String,
    /// For machines: OCSF.
    pub ocsf: String,
    /// The only sink that it is for: one that had given it up, and gets it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<String>,
    /// For machines: ECS, if a sink asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ecs: Option<String>,
}

/// Alerts say much in the same words: they shrink to a fifth. Higher levels win little, and cost a flood of alerts its pace.
const ZSTD_LEVEL: i32 = 1;

/// A record is some tens of kilobytes; beyond this it is none.
const RECORD_BYTES_MAX: usize = 64 << 20;

/// Written as compressed JSON: fields may be added, and what is missing has a default.
pub(crate) fn pack<T: Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    let failed = || StoreError::Content { what: "a record" };
    let json = serde_json::to_vec(value).map_err(|_| failed())?;
    zstd::bulk::compress(&json, ZSTD_LEVEL).map_err(|_| failed())
}

pub(crate) fn unpack<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    let failed = || StoreError::Content { what: "a record" };
    let size = zstd::bulk::Decompressor::upper_bound(bytes).unwrap_or(RECORD_BYTES_MAX);
    let json = zstd::bulk::decompress(bytes, size.min(RECORD_BYTES_MAX)).map_err(|_| failed())?;
    serde_json::from_slice(&json).map_err(|_| failed())
}
