//! SHA-256 values by what they stand for.

use std::fmt;

/// Text that is not 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a hash is 64 hexadecimal digits")]
pub struct InvalidHash;

macro_rules! hash {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        pub struct $name([u8; 32]);

        impl $name {
            /// Wraps the 32 bytes.
            #[must_use]
            pub const fn new(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The 32 bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidHash;
            fn from_str(text: &str) -> Result<Self, InvalidHash> {
                parse_hex(text).map(Self)
            }
        }
    };
}

hash! {
    /// Value of the hash chain after some batch.
    ///
    /// ```
    /// use cairn_types::ChainHash;
    /// let text = ChainHash::GENESIS.to_string();
    /// assert_eq!(text.parse(), Ok(ChainHash::GENESIS));
    /// ```
    ChainHash
}
hash! {
    /// Leaf of the Merkle tree (RFC 6962): SHA-256 of a zero byte and a record's statement.
    LeafHash
}
hash! {
    /// SHA-256 of a record's payload.
    PayloadHash
}

impl ChainHash {
    /// The chain value before the first record: 32 zero bytes.
    pub const GENESIS: Self = Self([0; 32]);
}

fn parse_hex(text: &str) -> Result<[u8; 32], InvalidHash> {
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return Err(InvalidHash);
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = [pair[0], pair[1]].map(|digit| char::from(digit).to_digit(16));
        let (high, low) = (high.ok_or(InvalidHash)?, low.ok_or(InvalidHash)?);
        *byte = u8::try_from(high * 16 + low).map_err(|_| InvalidHash)?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sixty_four_digits_are_a_hash() {
        assert!("00".parse::<ChainHash>().is_err());
        assert!("g".repeat(64).parse::<ChainHash>().is_err());
        assert!("é".repeat(32).parse::<ChainHash>().is_err());
        assert_eq!("ab".repeat(32).parse(), Ok(LeafHash::new([0xab; 32])));
    }
}
