//! What a container says about all of its elements.

use detections::json;

use super::shape::{Api, Kind, Shape, Span};
use crate::decode::limits::CONTEXT_BYTES_MAX;

/// The scalar members of the containers around a record that the envelope step asks for; inner ones
/// win.
///
/// Members behind the list are known only if the container is smaller than
/// [`PROBE_BYTES`](crate::decode::limits).
#[derive(Clone, Debug, Default)]
pub(crate) struct Context {
    pub(crate) kind: Kind,
    pub(crate) api: Api,
    pub(crate) resource_id: String,
    pub(crate) log_group: String,
    pub(crate) log_stream: String,
    pub(crate) message_type: String,
}

impl Context {
    /// The context inside of a container that stands in this context.
    pub(super) fn inside(&self, shape: &Shape, container: &[u8]) -> Self {
        let text = |span: Option<Span>, outer: &str| {
            let raw = span.and_then(|(start, end)| container.get(start..end));
            let text = raw
                .filter(|raw| raw.len() <= CONTEXT_BYTES_MAX)
                .and_then(json::string);
            text.map_or_else(|| outer.to_owned(), std::borrow::Cow::into_owned)
        };
        Self {
            kind: if shape.kind == Kind::Absent {
                self.kind
            } else {
                shape.kind
            },
            api: if shape.api == Api::Absent {
                self.api
            } else {
                shape.api
            },
            resource_id: text(shape.resource_id, &self.resource_id),
            log_group: text(shape.log_group, &self.log_group),
            log_stream: text(shape.log_stream, &self.log_stream),
            message_type: text(shape.message_type, &self.message_type),
        }
    }
}
