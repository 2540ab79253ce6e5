//! Names of locks and elections, and the keys that they become. Neither truth nor derived.
//!
//! A key is `lock/NAME`, one zero byte, and the revision that creates it as 16 hexadecimal
//! digits: keys of one name stand together, in the order in which they came, and no name can be
//! made to look like a part of another because none holds a zero byte.

use bytes::Bytes;
use cairndb::keys::Range;

use crate::{Error, Result};

/// Longest name in bytes.
pub const LOCK_NAME_LEN_MAX: usize = 256;

/// What a queue is for; the two never meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Area {
    /// Locks.
    Lock,
    /// Elections.
    Vote,
}

impl Area {
    const fn prefix(self) -> &'static [u8] {
        match self {
            Self::Lock => b"lock/",
            Self::Vote => b"vote/",
        }
    }
}

/// A checked name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QueueName {
    name: String,
    /// What every key of this queue begins with.
    prefix: Bytes,
}

impl QueueName {
    pub(crate) fn new(area: Area, name: &str) -> Result<Self> {
        let reason = if name.is_empty() {
            "it is empty"
        } else if name.len() > LOCK_NAME_LEN_MAX {
            "it is longer than 256 bytes"
        } else if name.contains('\0') {
            "it holds a zero byte"
        } else {
            let prefix = [area.prefix(), name.as_bytes(), &[0]].concat().into();
            return Ok(Self { name: name.to_owned(), prefix });
        };
        Err(Error::Invalid { what: "lock name", reason: reason.to_owned() })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.name
    }

    /// All keys of the queue.
    pub(crate) fn all(&self) -> Range {
        Range::prefix(self.prefix.clone())
    }

    /// The key of whoever came with this revision.
    pub(crate) fn key(&self, token: u64) -> Bytes {
        [&self.prefix[..], format!("{token:016x}").as_bytes()].concat().into()
    }

    /// Everybody who came before.
    pub(crate) fn before(&self, token: u64) -> Range {
        Range::between(self.prefix.clone(), self.key(token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_reaches_into_the_queue_of_another() {
        let short = QueueName::new(Area::Lock, "a").expect("a name");
        for other in ["a/b", "aa", "a\u{1}", "A", "b"] {
            let other = QueueName::new(Area::Lock, other).expect("a name");
            assert!(!short.all().contains(&other.key(7)));
            assert!(!other.all().contains(&short.key(7)));
        }
        let vote = QueueName::new(Area::Vote, "a").expect("a name");
        assert!(!short.all().contains(&vote.key(7)));
        assert!(short.before(0x100).contains(&short.key(0xff)));
        assert!(!short.before(0x100).contains(&short.key(0x100)));
    }

    #[test]
    fn names_that_could_mislead_are_refused() {
        for name in ["", "a\0b", "\0", &"x".repeat(257)] {
            assert!(QueueName::new(Area::Lock, name).is_err(), "{name:?}");
        }
        for name in ["..", "/", "名前", " ", "a\nb", &"x".repeat(256)] {
            assert!(QueueName::new(Area::Lock, name).is_ok(), "{name:?}");
        }
    }
}
