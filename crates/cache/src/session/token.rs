//! Tokens and ids of sessions. Neither truth nor derived.

use std::fmt;

use cairndb::auth::Secret;
use cairndb::vfs::Rng;
use sha2::{Digest, Sha256};

const LEN: usize = 32;
const LABEL: &[u8] = b"cairn-cache session id 1\0";

/// 256 random bits that let their bearer in. `Debug` shows nothing of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionToken(Secret);

impl SessionToken {
    pub(super) fn random(rng: &dyn Rng) -> Self {
        let mut bytes = vec![0; LEN];
        rng.fill(&mut bytes);
        Self(bytes.into())
    }

    /// The token in a text that [`expose`](Self::expose) gave; `None` for anything else.
    ///
    /// ```
    /// use cairn_cache::SessionToken;
    /// let text = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    /// assert_eq!(SessionToken::parse(text).expect("64 digits").expose().expose_str(), Some(text));
    /// assert!(SessionToken::parse("00").is_none());
    /// ```
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        from_hex(text).map(|bytes| Self(bytes.to_vec().into()))
    }

    /// The token as 64 hexadecimal digits, for a cookie or a header and nothing else.
    #[must_use]
    pub fn expose(&self) -> Secret {
        to_hex(self.0.expose()).into()
    }

    /// The id under which the session is stored: a hash, from which nobody finds the token.
    #[must_use]
    pub fn id(&self) -> SessionId {
        let mut hash = Sha256::new();
        hash.update(LABEL);
        hash.update(self.0.expose());
        SessionId(hash.finalize().into())
    }
}

/// Which session: the SHA-256 of its token. It may be logged and listed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId([u8; LEN]);

impl SessionId {
    /// The id in 64 hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        from_hex(text).map(Self)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&to_hex(&self.0))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({self})")
    }
}

pub(super) fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

/// Exactly 64 small digits: one text for each value, so that none slips past a comparison.
fn from_hex(text: &str) -> Option<[u8; LEN]> {
    let digits: &[u8; 2 * LEN] = text.as_bytes().try_into().ok()?;
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; LEN];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(*pair.first()?)? << 4 | nibble(*pair.get(1)?)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairndb::vfs::SeededRng;

    #[test]
    fn tokens_come_back_from_their_text_and_show_nothing() {
        let token = SessionToken::random(&SeededRng::new(1));
        let text = token.expose();
        let text = text.expose_str().expect("digits");
        assert_eq!(SessionToken::parse(text), Some(token.clone()));
        assert!(!format!("{token:?}").contains(text));
        assert_ne!(token.id().to_string(), text);
        assert_eq!(SessionId::parse(&token.id().to_string()), Some(token.id()));
        for wrong in ["", "0", &text[1..], &format!("{text}0"), &text.to_uppercase(), "é"] {
            assert!(SessionToken::parse(wrong).is_none() || wrong == text, "{wrong}");
        }
    }
}
