//! Validated names. A name never becomes a path, but it must be safe to print and to compare.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use crate::limits::MAX_NAME_LEN;

/// Why a name was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid name {name:?}: {reason}; use 1 to 249 of the characters a-z A-Z 0-9 . _ -")]
pub struct InvalidName {
    /// The name, shortened when it is long.
    pub name: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

fn check(bytes: &[u8]) -> Result<&str, InvalidName> {
    let refuse = |reason| {
        let shown = &bytes[..bytes.len().min(64)];
        Err(InvalidName { name: String::from_utf8_lossy(shown).into_owned(), reason })
    };
    if bytes.is_empty() {
        return refuse("it is empty");
    }
    if bytes.len() > MAX_NAME_LEN {
        return refuse("it is too long");
    }
    if bytes == b"." || bytes == b".." {
        return refuse("it is a relative path");
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return refuse("it is not UTF-8");
    };
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if text.bytes().all(allowed) {
        Ok(text)
    } else {
        refuse("it has a character that is not allowed")
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        #[cfg_attr(feature = "serde", serde(try_from = "String", into = "String"))]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks a name.
            ///
            /// # Errors
            /// [`InvalidName`] says what is wrong with it.
            pub fn new(name: impl AsRef<str>) -> Result<Self, InvalidName> {
                Self::from_bytes(name.as_ref().as_bytes())
            }

            /// Checks a name that comes as bytes.
            ///
            /// # Errors
            /// [`InvalidName`] says what is wrong with it.
            pub fn from_bytes(name: &[u8]) -> Result<Self, InvalidName> {
                check(name).map(|name| Self(name.into()))
            }

            /// The name.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidName;
            fn from_str(name: &str) -> Result<Self, InvalidName> {
                Self::new(name)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(name: String) -> Result<Self, InvalidName> {
                Self::new(name)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = InvalidName;
            fn try_from(name: &str) -> Result<Self, InvalidName> {
                Self::new(name)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().to_owned()
            }
        }
    };
}

name! {
    /// Name of a topic.
    ///
    /// ```
    /// use cairn_types::Topic;
    /// assert!(Topic::new("orders.eu-1").is_ok());
    /// assert!(Topic::new("../etc").is_err());
    /// ```
    Topic
}
name! {
    /// Name of a consumer group.
    GroupName
}
name! {
    /// Name of a keyspace.
    KeyspaceName
}
name! {
    /// Name of a producer of events.
    ProducerName
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_are_refused() {
        let long = "x".repeat(250);
        for name in ["", ".", "..", "a/b", "a\0", "a b", "ä", "a\n", long.as_str()] {
            assert!(Topic::new(name).is_err(), "{name:?}");
        }
        assert!(Topic::from_bytes(&[0xff, 0xfe]).is_err());
        assert!(Topic::new("x".repeat(249)).is_ok());
    }
}
