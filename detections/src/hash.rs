//! Names of things that are known by several texts.

use sha2::{Digest, Sha256};

/// A hash of texts that does not confuse `["ab", "c"]` with `["a", "bc"]`: 128 bits, since an attacker chooses some of them.
#[must_use]
pub fn hash<'a>(parts: impl IntoIterator<Item = &'a str>) -> [u8; 16] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let digest = hasher.finalize();
    let mut short = [0; 16];
    short.copy_from_slice(&digest[..16]);
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_apart() {
        assert_ne!(hash(["ab", "c"]), hash(["a", "bc"]));
    }
}
