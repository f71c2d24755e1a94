//! Certificates in files.

use ureq::tls::{Certificate, PemItem, parse_pem};

/// The certificates of a PEM text; whatever else is in it is left out.
pub(crate) fn certificates(pem: &[u8]) -> Vec<Certificate<'static>> {
    let items = parse_pem(pem);
    items
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect()
}
