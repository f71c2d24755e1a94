//! Whether all that the API servers emitted has arrived.
//!
//! ```text
//!  bodies, evaluated ──▶ arrived ─┐
//!                                 ├▶ watch ─▶ notice ─▶ record ─▶ store, sinks
//!  /metrics ─▶ scrape ─▶ counters ┘  per sender   silent, missing, dropped
//! ```
//!
//! A detector that sees nothing says nothing, and so does one that is shown nothing. So the log itself is watched: [`Watch`] is
//! told what came of each sender, and, if an API server's metrics may be read, how many events it says that it emitted.
//!
//! # What the API server counts
//!
//! * `apiserver_audit_event_total` goes up by one for each event of each stage that the policy asks for, right before the event is
//!   handed to the backends: requests of level `None` and stages in `omitStages` are not in it. It goes up by one also if there
//!   are two backends, and each of them gets the event. So what *one* backend delivers here is comparable with it, whatever the
//!   policy: what was counted should arrive, once. If a log file and the webhook of one API server both lead here, they need two
//!   names, and each is compared by itself.
//! * `apiserver_audit_error_total{plugin}` goes up by the number of events that a backend lost: `webhook` and `log` after the last
//!   try, `buffered` when its buffer was full, `truncate` when an event was too large even without its bodies. Some of them may have
//!   arrived all the same: a batch that timed out in the end may have been kept here.
//! * `apiserver_audit_requests_rejected_total`: users' requests that were refused because they could not be audited.
//!
//! All begin with zero when the process starts, which `process_start_time_seconds` tells. An API server without an audit policy, or
//! without any backend, shows them too, and they stay at zero: that somebody switched the log off looks like a restart into silence.
//! The counters are those of *one* process. An address behind which several of them take turns looks like one that restarts
//! with every look, and nothing can be said of it; so each API server is asked at an address of its own, and has a name of its own
//! in the address that it sends to.
//!
//! # What is told
//!
//! 1. *Silent*: nothing came for longer than is usual for this sender. Where counters are read, a cluster that was only quiet is not
//!    silent: the API server must have emitted something, or have been restarted, or not answer either.
//! 2. *Missing*: more was emitted than has arrived, for longer than any retry takes. Nobody knows where these events are.
//! 3. *Dropped*: the API server itself says that it lost events.
//!
//! What the policy does not ask for is not counted, so a policy that was changed to ask for less is seen by none of these; and an API
//! server whose program was replaced says what it is made to say.
//!
//! What arrived more often than it was emitted was repeated, and is no finding. That counters cannot be read is none either: it is
//! told by [`Scrapes`], for telemetry.

mod counters;
mod notice;
mod scrape;
mod watch;

use serde::{Deserialize, Serialize};

pub use self::counters::{Counters, CountersError};
pub use self::notice::{Activity, Counts, Ending, Kind, Notice, Proof};
pub use self::scrape::{Backend, Scrape, ScrapeError, ScrapeState, Scrapers, Scrapes, Target};
pub use self::watch::{Arrival, Options, Standing, Watch};

/// Who sends: one API server, one stream or one file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Sender {
    /// The cluster, as in the address that is sent to.
    pub cluster: String,
    /// Which API server, stream or file of it.
    pub origin: String,
}
