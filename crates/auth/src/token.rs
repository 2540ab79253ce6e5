//! What a caller shows: API keys and session tokens, as text. Neither truth nor derived; the
//! store holds only keyed hashes of them.
//!
//! ```text
//! cairn_live_5f0c1e9a7b3d2c4e6f80_<64 digits: 256 random bits>_1a2b3c4d
//!       └ environment └ id, public                              └ CRC-32 of all before it
//! cairns_<64 digits: 256 random bits>
//! ```
//!
//! Digits are lower-case hexadecimal, so that a token has one spelling. The CRC is no defence:
//! it tells typing errors apart before the store is asked. 256 random bits need no slow hash.

use cairn_vfs::Rng;
use zeroize::Zeroizing;

use crate::hex;
use crate::mac::MacKey;
use crate::record::{ApiKeyId, SessionId};
use crate::secret::Secret;

/// Longest environment of an API key in bytes.
pub const MAX_ENVIRONMENT_LEN: usize = 16;

const SECRET_LEN: usize = 32;
const API_KEY_PREFIX: &str = "cairn_";
const SESSION_PREFIX: &str = "cairns_";
const CRC_DIGITS: usize = 8;
/// Longest API key: prefix, environment, id, secret, CRC and three separators.
const MAX_API_KEY_LEN: usize = 6 + MAX_ENVIRONMENT_LEN + 2 * (ApiKeyId::LEN + SECRET_LEN) + 8 + 3;

/// Whether this can be the environment of an API key.
pub fn is_environment(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=MAX_ENVIRONMENT_LEN).contains(&text.len()) && text.bytes().all(allowed)
}

/// An API key whose form and CRC are right.
pub struct ApiKeyText {
    pub environment: String,
    pub id: ApiKeyId,
    secret: Zeroizing<[u8; SECRET_LEN]>,
}

impl ApiKeyText {
    /// A new key.
    pub fn random(environment: &str, rng: &dyn Rng) -> Self {
        let mut id = ApiKeyId([0; ApiKeyId::LEN]);
        let mut secret = Zeroizing::new([0; SECRET_LEN]);
        rng.fill(&mut id.0);
        rng.fill(secret.as_mut_slice());
        Self { environment: environment.to_owned(), id, secret }
    }

    /// Takes a key apart; looks at nothing when it is too long or its CRC is wrong.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > MAX_API_KEY_LEN {
            return None;
        }
        let (covered, crc) = bytes.split_at_checked(bytes.len().checked_sub(CRC_DIGITS)?)?;
        let crc = hex::decode_array::<4>(crc)?;
        if crc32fast::hash(covered) != u32::from_be_bytes(*crc) {
            return None;
        }
        let text = std::str::from_utf8(covered).ok()?.strip_prefix(API_KEY_PREFIX)?;
        let mut parts = text.strip_suffix('_')?.split('_');
        let (environment, id, secret) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || !is_environment(environment) {
            return None;
        }
        let id = ApiKeyId(*hex::decode_array(id.as_bytes())?);
        let secret = hex::decode_array(secret.as_bytes())?;
        Some(Self { environment: environment.to_owned(), id, secret })
    }

    /// The whole key, to be shown once.
    pub fn to_text(&self) -> Secret {
        let mut text = Zeroizing::new(String::with_capacity(MAX_API_KEY_LEN));
        text.push_str(API_KEY_PREFIX);
        text.push_str(&self.environment);
        text.push('_');
        hex::encode(&self.id.0, &mut text);
        text.push('_');
        hex::encode(self.secret.as_slice(), &mut text);
        text.push('_');
        let crc = crc32fast::hash(text.as_bytes());
        hex::encode(&crc.to_be_bytes(), &mut text);
        text.as_str().into()
    }

    /// What is stored of it.
    pub fn mac(&self, key: &MacKey) -> [u8; 32] {
        // Id and secret have fixed lengths, so the parts cannot shift.
        key.mac(&[&self.id.0, self.secret.as_slice(), self.environment.as_bytes()])
    }
}

/// A session token whose form is right.
pub struct SessionText(Zeroizing<[u8; SECRET_LEN]>);

impl SessionText {
    /// A new token.
    pub fn random(rng: &dyn Rng) -> Self {
        let mut secret = Zeroizing::new([0; SECRET_LEN]);
        rng.fill(secret.as_mut_slice());
        Self(secret)
    }

    /// Takes a token apart.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        hex::decode_array(bytes.strip_prefix(SESSION_PREFIX.as_bytes())?).map(Self)
    }

    /// The whole token, to be given to the caller.
    pub fn to_text(&self) -> Secret {
        let mut text = Zeroizing::new(String::with_capacity(SESSION_PREFIX.len() + 2 * SECRET_LEN));
        text.push_str(SESSION_PREFIX);
        hex::encode(self.0.as_slice(), &mut text);
        text.as_str().into()
    }

    /// Where its session is stored.
    pub fn id(&self, key: &MacKey) -> SessionId {
        SessionId(key.mac(&[self.0.as_slice()]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_vfs::SeededRng;
    use proptest::prelude::*;

    #[test]
    fn a_key_has_the_promised_form_and_survives_text() {
        let key = ApiKeyText::random("live", &SeededRng::new(1));
        let text = key.to_text();
        let text = text.expose_str().expect("ASCII");
        let parts: Vec<&str> = text.split('_').collect();
        assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [5, 4, 20, 64, 8]);
        let parsed = ApiKeyText::parse(text.as_bytes()).expect("well-formed");
        assert_eq!((parsed.id, &parsed.environment), (key.id, &key.environment));
        let mac = MacKey::new(&[1; 32]);
        assert_eq!(parsed.mac(&mac), key.mac(&mac));
    }

    #[test]
    fn every_bit_flip_of_an_api_key_fails_its_crc() {
        let text = ApiKeyText::random("live", &SeededRng::new(1)).to_text();
        for bit in 0..text.len() * 8 {
            let mut bytes = text.expose().to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(ApiKeyText::parse(&bytes).is_none(), "bit {bit}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parsers_panic(bytes in proptest::collection::vec(any::<u8>(), 0..150)) {
            prop_assert!(ApiKeyText::parse(&bytes).is_none());
            prop_assert!(SessionText::parse(&bytes).is_none());
        }

        #[test]
        fn what_is_parsed_is_the_one_spelling(text in "cairn_[a-zA-Z0-9_]{0,120}") {
            let crc = format!("{text}_");
            let full = format!("{crc}{:08x}", crc32fast::hash(crc.as_bytes()));
            if let Some(key) = ApiKeyText::parse(full.as_bytes()) {
                let again = key.to_text();
                prop_assert_eq!(again.expose(), full.as_bytes());
            }
        }
    }
}
