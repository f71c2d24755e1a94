//! Which names say that their value is secret.
//!
//! Names come as `DB_PASSWORD`, `clientSecret`, `--api-key`, `tls.key`; they are cut into words
//! first. A name is judged by its words, because `keycloak` is no key and `secretName` no secret.

use super::MARKER;

/// Words, also within a word, that make a name secret: `mysqlpassword` too.
const STEMS: [(&str, &str); 11] = [
    ("password", "password"),
    ("passwd", "password"),
    ("passphrase", "password"),
    ("pwd", "password"),
    ("token", "token"),
    ("secret", "secret"),
    ("credential", "credential"),
    ("apikey", "key"),
    ("accesskey", "key"),
    ("privatekey", "key"),
    ("id_rsa", "key"),
];

/// Words that make a name secret if they end it.
const LAST_WORDS: [(&str, &str); 6] = [
    ("pass", "password"),
    ("auth", "credential"),
    ("authorization", "credential"),
    ("cookie", "credential"),
    ("pat", "token"),
    ("jwt", "token"),
];

/// Words before a last `key` that make it a secret one. A key by itself is a map's, a label's, a
/// taint's.
const KEY_OWNERS: [&str; 20] = [
    "access",
    "account",
    "admin",
    "api",
    "auth",
    "ca",
    "client",
    "deploy",
    "encryption",
    "hmac",
    "license",
    "master",
    "private",
    "secret",
    "server",
    "session",
    "shared",
    "signing",
    "ssh",
    "tls",
];

/// Words that, ending a name, say that the value only leads to the secret or describes it.
const REFERENCES: [&str; 24] = [
    "audience",
    "audiences",
    "class",
    "count",
    "dir",
    "enabled",
    "endpoint",
    "expiration",
    "file",
    "issuer",
    "kind",
    "length",
    "mount",
    "name",
    "names",
    "namespace",
    "path",
    "policy",
    "provider",
    "ref",
    "seconds",
    "ttl",
    "type",
    "url",
];

/// What kind of secret a value of this name is; `None` if the name does not say so.
pub(super) fn secret_kind(name: &str) -> Option<&'static str> {
    // Names of secrets are short; a name of kilobytes is somebody's test of our patience. A marker
    // within a name would make it another name the second time.
    if name.len() > 256
        || name.contains(MARKER)
        || matches!(name, "secrets" | "tokens" | "credentials")
    {
        return None;
    }
    let words = words(name);
    let last = words.last()?.as_str();
    if REFERENCES.contains(&last) || words.iter().any(|word| word == "public") {
        return None;
    }
    let joined = name.to_ascii_lowercase();
    // A key's id tells which key it was, and an analyst needs it.
    let is_id = |kind: &str| kind == "key" && last == "id";
    let stem = STEMS
        .iter()
        .find(|(stem, kind)| joined.contains(stem) && !is_id(kind));
    let stem = stem.or_else(|| LAST_WORDS.iter().find(|(word, _)| *word == last));
    stem.map(|(_, kind)| *kind)
        .or_else(|| is_secret_key(name, &words).then_some("key"))
}

/// `tls.key`, `api-keys`, and any `…_KEY` of an environment.
fn is_secret_key(name: &str, words: &[String]) -> bool {
    let [.., owner, last] = words else {
        return false;
    };
    let is_key = matches!(last.as_str(), "key" | "keys");
    let is_environment = name.contains('_') && !name.bytes().any(|byte| byte.is_ascii_lowercase());
    is_key && (is_environment || KEY_OWNERS.contains(&owner.as_str()))
}

/// The words of a name in small letters: cut at everything that is no letter or digit, and before a
/// capital after a small letter.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_small = false;
    for character in name.chars() {
        if !character.is_alphanumeric() || (after_small && character.is_uppercase()) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| character.is_alphanumeric()) {
            word.extend(character.to_lowercase());
        }
        after_small = character.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets() {
        let names = [
            "DB_PASSWORD",
            "password",
            "mysqlpassword",
            "clientSecret",
            "--api-key",
            "apiKey",
            "tls.key",
            "STRIPE_KEY",
            "token",
            "GITHUB_TOKEN",
            "AWS_SECRET_ACCESS_KEY",
            "ssh-privatekey",
            "id_rsa",
            "SMTP_PASS",
            "auth",
            "Authorization",
            "bootstrap-token",
            "aws_access_key_id_secret",
        ];
        for name in names {
            assert!(secret_kind(name).is_some(), "{name}");
        }
    }

    #[test]
    fn names_that_only_lead_to_secrets() {
        let names = [
            "secretName",
            "secrets",
            "TOKEN_FILE",
            "tokenExpirationSeconds",
            "key",
            "KEYCLOAK_URL",
            "PUBLIC_KEY",
            "author",
            "passenger",
            "namespace",
            "topologyKey",
            "secretRef",
            "monkey",
            "passing",
            "",
            "credentials",
            "primary-key",
            "accessKeyId",
        ];
        for name in names {
            assert_eq!(secret_kind(name), None, "{name}");
        }
    }
}
