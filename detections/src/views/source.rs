//! Where a request came from, as far as anybody can know.
//!
//! A client may send any `X-Forwarded-For` it likes, and the API server appends only the address
//! that it saw itself. So the list is read from the right: past proxies that the installation
//! trusts, the first other address is the client; what is left of it is a claim.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use serde_json::Map;

use super::{View, strings};
use crate::event::{Event, Field};

/// The addresses of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trail {
    /// The address that the API server saw.
    pub(crate) peer: IpAddr,
    /// The first address from the right that is no trusted proxy; the leftmost one if all are.
    pub(crate) client: IpAddr,
    /// What stands left of the client.
    pub(crate) claimed: Vec<IpAddr>,
}

/// Reads `sourceIPs`; what is no address is skipped. `None` if no address is left.
pub(crate) fn client(source_ips: &[&str], trusted: &[IpNet]) -> Option<Trail> {
    let mut claimed: Vec<IpAddr> = source_ips
        .iter()
        .filter_map(|text| text.trim().parse().ok())
        .map(|address: IpAddr| address.to_canonical())
        .collect();
    let peer = *claimed.last()?;
    let is_proxy = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    let at = claimed
        .iter()
        .rposition(|address| !is_proxy(address))
        .unwrap_or(0);
    let client = *claimed.get(at)?;
    claimed.truncate(at);
    Some(Trail {
        peer,
        client,
        claimed,
    })
}

/// `loopback`, `link_local`, `private` or `public`. Documentation ranges are public: recordings use
/// them for such addresses.
pub(crate) fn kind(address: IpAddr) -> &'static str {
    match address.to_canonical() {
        IpAddr::V4(address) => kind_v4(address),
        IpAddr::V6(address) => kind_v6(address),
    }
}

fn kind_v4(address: Ipv4Addr) -> &'static str {
    match address.octets() {
        [127, ..] => "loopback",
        [169, 254, ..] => "link_local",
        // 100.64/10 and 240/4 are what clouds give to pods, 198.18/15 what laboratories give to
        // anything.
        [100, 64..=127, ..] | [198, 18..=19, ..] | [0 | 240..=255, ..] => "private",
        _ if address.is_private() => "private",
        _ => "public",
    }
}

fn kind_v6(address: Ipv6Addr) -> &'static str {
    if address.is_loopback() {
        "loopback"
    } else if address.is_unicast_link_local() {
        "link_local"
    } else if address.is_unique_local() || address.is_unspecified() {
        "private"
    } else {
        "public"
    }
}

/// The network that an address belongs to, as coarse as one place is: the next desk or pod is nothing new. Private addresses as
/// /16, public ones as /24, of IPv6 /48; what reaches no further than a machine or a link by its word.
fn network(address: IpAddr) -> String {
    let address = address.to_canonical();
    let prefix = match (kind(address), address) {
        (word @ ("loopback" | "link_local"), _) => return word.to_owned(),
        (_, IpAddr::V6(_)) => 48,
        ("public", _) => 24,
        _ => 16,
    };
    IpNet::new(address, prefix).map_or_else(|_| address.to_string(), |net| net.trunc().to_string())
}

pub(super) fn source(event: &Event) -> View {
    let source_ips = match event.top("sourceIPs") {
        Field::Unavailable => return View::unavailable(),
        Field::Absent => return View::absent(),
        Field::Present(value) => strings(value),
    };
    let Some(trail) = client(&source_ips, &event.settings().trusted_proxies) else {
        return View::absent();
    };
    let mut view = View::known(Map::new());
    view.set("peer", trail.peer.to_string());
    view.set("client", trail.client.to_string());
    view.set(
        "claimed",
        trail
            .claimed
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
    );
    view.set("kind", kind(trail.client));
    view.set("network", network(trail.client));
    view
}

#[cfg(test)]
mod tests {
    use super::super::testing::event;
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(source_ips: &[&str], peer: &str, address: &str, claimed: &[&str]) {
        let trusted = [
            "127.0.0.0/8".parse().unwrap(),
            "10.0.0.0/24".parse().unwrap(),
        ];
        let trail = client(source_ips, &trusted).unwrap();
        assert_eq!(
            (
                trail.peer.to_string().as_str(),
                trail.client.to_string().as_str()
            ),
            (peer, address)
        );
        assert_eq!(
            trail
                .claimed
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>(),
            claimed
        );
    }

    #[test]
    fn the_client_stands_right_of_every_claim() {
        check(
            &["203.0.113.66", "127.0.0.1"],
            "127.0.0.1",
            "203.0.113.66",
            &[],
        );
        check(
            &["8.8.8.8", "198.51.100.7", "10.0.0.3", "127.0.0.1"],
            "127.0.0.1",
            "198.51.100.7",
            &["8.8.8.8"],
        );
        check(
            &["127.0.0.1", "198.51.100.7"],
            "198.51.100.7",
            "198.51.100.7",
            &["127.0.0.1"],
        );
        check(&["127.0.0.1"], "127.0.0.1", "127.0.0.1", &[]);
        check(&["10.0.0.9", "127.0.0.1"], "127.0.0.1", "10.0.0.9", &[]);
    }

    #[test]
    fn what_is_no_address_is_skipped() {
        check(
            &["unknown", "::ffff:192.0.2.1", "", "fe80::1%eth0"],
            "192.0.2.1",
            "192.0.2.1",
            &[],
        );
        assert_eq!(client(&["x"], &[]), None);
        assert_eq!(
            source(&event(json!({"sourceIPs": [1, null]}))),
            View::absent()
        );
    }

    #[test]
    fn kinds() {
        let expected = [
            ("127.8.0.1", "loopback"),
            ("::1", "loopback"),
            ("10.244.1.9", "private"),
            ("172.31.0.1", "private"),
            ("172.32.0.1", "public"),
            ("100.64.0.1", "private"),
            ("fd00::1", "private"),
            ("169.254.1.1", "link_local"),
            ("fe80::1", "link_local"),
            ("203.0.113.9", "public"),
            ("2001:db8::1", "public"),
            ("::ffff:10.0.0.1", "private"),
        ];
        for (address, expected) in expected {
            assert_eq!(kind(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn networks() {
        let expected = [
            ("127.8.0.1", "loopback"),
            ("::1", "loopback"),
            ("169.254.1.1", "link_local"),
            ("fe80::1", "link_local"),
            ("10.244.1.9", "10.244.0.0/16"),
            ("100.64.3.1", "100.64.0.0/16"),
            ("203.0.113.9", "203.0.113.0/24"),
            ("2001:db8:1:2::9", "2001:db8:1::/48"),
            ("fd00:1:2:3::9", "fd00:1:2::/48"),
            ("::ffff:10.0.7.1", "10.0.0.0/16"),
        ];
        for (address, expected) in expected {
            assert_eq!(network(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn loopback_is_trusted_unless_told_otherwise() {
        let view = source(&event(json!({"sourceIPs": ["198.51.100.23", "127.0.0.1"]})));
        assert_eq!(
            (view.text("client"), view.text("kind")),
            (Some("198.51.100.23"), Some("public"))
        );
    }
}
