//! Who may send, and for which cluster.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use sha2::{Digest, Sha256};

use super::tls::PeerName;

pub mod pubsub;

use self::pubsub::Verifier;

/// Which clusters a sender may speak for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All.
    All,
    /// These.
    Clusters(BTreeSet<String>),
}

/// A secret that a sender shows. Only its hash is kept.
#[derive(Clone)]
pub struct Token {
    hash: [u8; 32],
    scope: Scope,
}

/// A name in a client certificate.
#[derive(Clone, Debug)]
pub struct CertificateName {
    /// Common name or DNS name.
    pub name: String,
    /// What it may speak for.
    pub scope: Scope,
}

/// Who may send.
#[derive(Debug, Default)]
pub struct Access {
    /// Bearer tokens; also Firehose's access keys.
    pub tokens: Vec<Token>,
    /// Whether a certificate of the configured authority is enough.
    pub certificates: bool,
    /// If not empty, only certificates with these names are.
    pub names: Vec<CertificateName>,
    /// Checks the signed tokens of Pub/Sub.
    pub pubsub: Option<Arc<Verifier>>,
    /// Whether everybody may: only on loopback.
    pub open: bool,
}

/// Why a sender may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It showed nothing that counts.
    Unknown,
    /// It may not speak for this cluster.
    OtherCluster,
}

impl Token {
    /// A token for some clusters.
    #[must_use]
    pub fn new(secret: &str, scope: Scope) -> Self {
        Self {
            hash: Sha256::digest(secret.as_bytes()).into(),
            scope,
        }
    }

    /// Compares hashes, so that time tells nothing about the secret.
    fn is(&self, shown: &str) -> bool {
        let shown: [u8; 32] = Sha256::digest(shown.as_bytes()).into();
        shown == self.hash
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Token(***, {:?})", self.scope)
    }
}

impl Scope {
    fn holds(&self, cluster: &str) -> bool {
        match self {
            Self::All => true,
            Self::Clusters(clusters) => clusters.contains(cluster),
        }
    }
}

/// What is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Webhook,
    Firehose,
    Pubsub,
}

impl Access {
    /// Whether anybody has to show anything.
    #[must_use]
    pub fn asks(&self) -> bool {
        !self.tokens.is_empty() || self.certificates || self.pubsub.is_some()
    }

    /// Whether a sender may speak for a cluster.
    pub(super) fn check(
        &self,
        way: Way,
        headers: &HeaderMap,
        peer: Option<&PeerName>,
        cluster: &str,
    ) -> Result<(), Refusal> {
        let Some(scope) = self.scope(way, headers, peer) else {
            return if self.open && !self.asks() {
                Ok(())
            } else {
                Err(Refusal::Unknown)
            };
        };
        if scope.holds(cluster) {
            Ok(())
        } else {
            Err(Refusal::OtherCluster)
        }
    }

    fn scope(&self, way: Way, headers: &HeaderMap, peer: Option<&PeerName>) -> Option<Scope> {
        if let Some(peer) = peer.filter(|_| self.certificates)
            && let Some(scope) = self.scope_of_peer(peer)
        {
            return Some(scope);
        }
        let shown = match way {
            Way::Firehose => headers.get("x-amz-firehose-access-key")?.to_str().ok()?,
            Way::Webhook | Way::Pubsub => bearer(headers)?,
        };
        if let Some(verifier) = self.pubsub.as_ref().filter(|_| way == Way::Pubsub)
            && verifier.accepts(shown)
        {
            return Some(Scope::All);
        }
        let token = self.tokens.iter().find(|token| token.is(shown))?;
        Some(token.scope.clone())
    }

    fn scope_of_peer(&self, peer: &PeerName) -> Option<Scope> {
        if self.names.is_empty() {
            return Some(Scope::All);
        }
        let named = self.names.iter().find(|known| peer.is(&known.name))?;
        Some(named.scope.clone())
    }

    /// Whether somebody may see metrics where they are not open to all.
    pub(super) fn may_look(&self, headers: &HeaderMap, peer: Option<&PeerName>) -> bool {
        (self.open && !self.asks()) || self.scope(Way::Webhook, headers, peer).is_some()
    }
}

/// The token of an `Authorization: Bearer` header.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        headers
    }

    fn one(cluster: &str) -> Scope {
        Scope::Clusters(BTreeSet::from([cluster.to_owned()]))
    }

    #[test]
    fn a_token_speaks_for_its_clusters_only() {
        let access = Access {
            tokens: vec![Token::new("s3cret", one("prod"))],
            ..Access::default()
        };
        let check = |value: &str, cluster| {
            access.check(
                Way::Webhook,
                &headers("authorization", value),
                None,
                cluster,
            )
        };
        assert_eq!(check("Bearer s3cret", "prod"), Ok(()));
        assert_eq!(check("bearer s3cret", "prod"), Ok(()));
        assert_eq!(check("Bearer s3cret", "dev"), Err(Refusal::OtherCluster));
        assert_eq!(check("Bearer other", "prod"), Err(Refusal::Unknown));
        assert_eq!(check("Basic s3cret", "prod"), Err(Refusal::Unknown));
        let key = headers("x-amz-firehose-access-key", "s3cret");
        assert_eq!(access.check(Way::Firehose, &key, None, "prod"), Ok(()));
        assert!(!format!("{access:?}").contains("s3cret"));
    }

    #[test]
    fn open_means_open_only_while_nothing_is_asked_for() {
        let mut access = Access {
            open: true,
            ..Access::default()
        };
        let nothing = HeaderMap::new();
        assert_eq!(access.check(Way::Webhook, &nothing, None, "a"), Ok(()));
        access.tokens.push(Token::new("s", Scope::All));
        assert_eq!(
            access.check(Way::Webhook, &nothing, None, "a"),
            Err(Refusal::Unknown)
        );
    }

    #[test]
    fn certificates_count_by_name_if_names_are_given() {
        let mut access = Access {
            certificates: true,
            ..Access::default()
        };
        let peer = PeerName::new(["apiserver-1".to_owned()]);
        let nothing = HeaderMap::new();
        assert_eq!(
            access.check(Way::Webhook, &nothing, Some(&peer), "a"),
            Ok(())
        );
        access.names.push(CertificateName {
            name: "apiserver-2".to_owned(),
            scope: Scope::All,
        });
        let refused = access.check(Way::Webhook, &nothing, Some(&peer), "a");
        assert_eq!(refused, Err(Refusal::Unknown));
    }
}
