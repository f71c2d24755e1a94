//! The signed token of a Pub/Sub push: an `OpenID` Connect token of Google for a service account of the subscription.
//!
//! <https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions>: signed with RS256 by a key of
//! <https://www.googleapis.com/oauth2/v3/certs>, `iss` is `https://accounts.google.com`, `aud` is what the subscription says,
//! `email` is its service account.

use std::collections::HashMap;
use std::fmt;

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde::Deserialize;

use crate::clock::Clock;

const ISSUERS: [&str; 2] = ["https://accounts.google.com", "accounts.google.com"];

/// Clocks of clouds and of us may differ by this many seconds.
const LEEWAY_S: i64 = 60;

/// Checks tokens against keys that can be replaced while it works.
pub struct Verifier {
    audience: String,
    email: String,
    clock: Clock,
    keys: ArcSwap<HashMap<String, Key>>,
}

struct Key {
    modulus: Vec<u8>,
    exponent: Vec<u8>,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<JsonKey>,
}

#[derive(Deserialize)]
struct JsonKey {
    kid: String,
    kty: String,
    #[serde(default)]
    n: String,
    #[serde(default)]
    e: String,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: String,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    exp: i64,
    #[serde(default)]
    email: String,
    #[serde(default)]
    email_verified: bool,
}

impl Verifier {
    /// Accepts tokens for this audience and service account. It has no keys yet, and so accepts none.
    #[must_use]
    pub fn new(audience: &str, email: &str, clock: Clock) -> Self {
        Self {
            audience: audience.to_owned(),
            email: email.to_owned(),
            clock,
            keys: ArcSwap::default(),
        }
    }

    /// Uses the keys of a JSON Web Key Set from now on.
    ///
    /// # Errors
    /// If it is none, or holds no RSA key.
    pub fn set_keys(&self, json: &[u8]) -> Result<(), String> {
        let set: KeySet = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        let keys: HashMap<_, _> = set.keys.iter().filter_map(JsonKey::parse).collect();
        if keys.is_empty() {
            return Err("the key set holds no RSA key".to_owned());
        }
        self.keys.store(keys.into());
        Ok(())
    }

    /// Whether a token is signed by a known key, is not over, and is for us.
    pub(crate) fn accepts(&self, token: &str) -> bool {
        self.claims(token).is_some_and(|claims| {
            ISSUERS.contains(&claims.iss.as_str())
                && claims.aud == self.audience
                && claims.email == self.email
                && claims.email_verified
                && self.clock.now_us() / 1_000_000 < claims.exp + LEEWAY_S
        })
    }

    fn claims(&self, token: &str) -> Option<Claims> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let header: Header = serde_json::from_slice(&decode(header)?).ok()?;
        // The algorithm is ours to choose, not the token's.
        (header.alg == "RS256").then_some(())?;
        let keys = self.keys.load();
        let key = keys.get(&header.kid)?;
        let components = RsaPublicKeyComponents {
            n: &key.modulus,
            e: &key.exponent,
        };
        let signature = decode(signature)?;
        components
            .verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &signature)
            .ok()?;
        serde_json::from_slice(&decode(claims)?).ok()
    }
}

impl JsonKey {
    fn parse(&self) -> Option<(String, Key)> {
        (self.kty == "RSA").then_some(())?;
        let key = Key {
            modulus: decode(&self.n)?,
            exponent: decode(&self.e)?,
        };
        Some((self.kid.clone(), key))
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Verifier({} for {})", self.email, self.audience)
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()
}
