//! From where a request came, and by what client: coarse enough that a new version or another desk is nothing new.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::event::Event;
use crate::views::Root;

use super::limits::CLIENT_CHARS_MAX;

/// How the name of a network begins that lies inside the house.
pub(super) const PRIVATE: &str = "private";

/// The network of the client address (view `source`): private ones as /16, public ones as /24, of IPv6 /48.
pub(super) fn network_of(event: &Event) -> String {
    let view = event.view(Root::Source);
    let client = view
        .text("client")
        .and_then(|client| client.parse::<IpAddr>().ok());
    match (view.text("kind"), client) {
        (_, None) => "unknown".to_owned(),
        (Some("loopback"), _) => "loopback".to_owned(),
        (Some("public"), Some(IpAddr::V4(address))) => {
            let [a, b, c, _] = address.octets();
            format!("public {}/24", Ipv4Addr::new(a, b, c, 0))
        }
        (Some("public"), Some(IpAddr::V6(address))) => {
            let [a, b, c, ..] = address.segments();
            format!("public6 {}/48", Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0))
        }
        (_, Some(IpAddr::V4(address))) => {
            let [a, b, ..] = address.octets();
            format!("{PRIVATE} {}/16", Ipv4Addr::new(a, b, 0, 0))
        }
        (_, Some(IpAddr::V6(_))) => format!("{PRIVATE}6"),
    }
}

/// The family of a client: the first word of its user agent, up to the version.
pub(super) fn client_of(event: &Event) -> String {
    let text = event.text(&["userAgent"]).unwrap_or_default();
    let family = text.split([' ', '/']).next().unwrap_or_default();
    if family.is_empty() {
        return "(none)".to_owned();
    }
    family
        .to_lowercase()
        .chars()
        .take(CLIENT_CHARS_MAX)
        .collect()
}
