//! HMAC-SHA-256, and the keys that are derived from a store's root secret. Derived: from that
//! secret, which is sealed in the store.
//!
//! Each purpose has a key of its own (HKDF with a label), so that the same bytes hashed for two
//! purposes have nothing in common.

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// HMAC-SHA-256 over parts; the caller sees to it that only one part has a variable length.
pub fn mac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// HMAC-SHA-256 under a key that is used often: the half of the work that the key alone decides
/// is done once.
#[derive(Clone)]
pub struct MacKey(Hmac<Sha256>);

impl MacKey {
    /// For this key.
    pub fn new(key: &[u8; 32]) -> Self {
        Self(Hmac::new_from_slice(key).expect("HMAC takes keys of any length"))
    }

    /// As [`mac`] under the key.
    pub fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.0.clone();
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().into()
    }
}

/// The keys of a store.
pub struct DerivedKeys {
    /// For the index of user names: names stand in no key of the store.
    pub names: Zeroizing<[u8; 32]>,
    /// For secrets of API keys.
    pub api_keys: MacKey,
    /// For session tokens.
    pub sessions: MacKey,
    /// For what audit events say of names that do not exist.
    pub audit: Zeroizing<[u8; 32]>,
}

impl DerivedKeys {
    /// Length of the root secret in bytes.
    pub const ROOT_LEN: usize = 32;

    /// The keys of this root secret.
    pub fn of(root: &[u8]) -> Self {
        let root = Hkdf::<Sha256>::new(Some(b"cairn-auth root 1"), root);
        let derive = |label: &[u8]| {
            let mut key = Zeroizing::new([0; 32]);
            root.expand(label, key.as_mut_slice()).expect("32 bytes are one block of the hash");
            key
        };
        Self {
            names: derive(b"names"),
            api_keys: MacKey::new(&derive(b"api keys")),
            sessions: MacKey::new(&derive(b"sessions")),
            audit: derive(b"audit"),
        }
    }
}

#[cfg(test)]
mod tests {
    use sha2::Sha256;
    use zeroize::ZeroizeOnDrop;

    #[test]
    fn states_of_the_hash_are_wiped_since_they_are_as_good_as_the_key() {
        fn is_wiped<T: ZeroizeOnDrop>() {}
        is_wiped::<Sha256>();
    }
}
