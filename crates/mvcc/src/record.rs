//! Payloads of the records that are neither puts nor deletes. Truth.
//!
//! A put is a record of kind 2: stream = keyspace, sequence = revision, key, facts (create
//! revision, version, lease), payload = value. A delete is kind 3 with key, no facts and no
//! payload. The order within a batch is the order within the revision (etcd's sub revision).
//!
//! Lease granted or renewed (kind 4, stream 0, sequence = the lease's number):
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 1 | version = 1 |
//! | 1 | 1 | 0 granted, 1 renewed |
//! | 2 | 8 | lease |
//! | 10 | 8 | time to live in seconds |
//!
//! Lease revoked (kind 5, stream 0, sequence = the lease's number); the deletes of its keys
//! stand in the same batch:
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 1 | version = 1 |
//! | 1 | 1 | 0 revoked, 1 expired |
//! | 2 | 8 | lease |
//!
//! Compaction (kind 13, stream 0, sequence = the revision):
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 1 | version = 1 |
//! | 1 | 8 | oldest revision that can be read from now on |
//! | 9 | 8 | current revision: it must not go back when the last change is compacted away |

use crate::LeaseId;

const VERSION: u8 = 1;

/// What the log says of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LeaseRecord {
    Granted { id: LeaseId, ttl: i64, renewed: bool },
    Revoked { id: LeaseId, expired: bool },
}

impl LeaseRecord {
    pub(crate) fn encode(self) -> Vec<u8> {
        match self {
            Self::Granted { id, ttl, renewed } => {
                let mut payload = vec![VERSION, u8::from(renewed)];
                payload.extend_from_slice(&id.get().to_le_bytes());
                payload.extend_from_slice(&ttl.to_le_bytes());
                payload
            }
            Self::Revoked { id, expired } => {
                let mut payload = vec![VERSION, u8::from(expired)];
                payload.extend_from_slice(&id.get().to_le_bytes());
                payload
            }
        }
    }

    pub(crate) fn decode_grant(payload: &[u8]) -> Option<Self> {
        let (head, rest) = payload.split_first_chunk::<2>()?;
        let (id, rest) = rest.split_first_chunk::<8>()?;
        let ttl = i64::from_le_bytes(<[u8; 8]>::try_from(rest).ok()?);
        let renewed = flag(*head)?;
        let id = LeaseId::new(i64::from_le_bytes(*id));
        (ttl > 0 && !id.is_none()).then_some(Self::Granted { id, ttl, renewed })
    }

    pub(crate) fn decode_revoke(payload: &[u8]) -> Option<Self> {
        let (head, rest) = payload.split_first_chunk::<2>()?;
        let id = LeaseId::new(i64::from_le_bytes(<[u8; 8]>::try_from(rest).ok()?));
        let expired = flag(*head)?;
        (!id.is_none()).then_some(Self::Revoked { id, expired })
    }
}

fn flag(head: [u8; 2]) -> Option<bool> {
    match head {
        [VERSION, 0] => Some(false),
        [VERSION, 1] => Some(true),
        _ => None,
    }
}

/// A compaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CompactionRecord {
    pub(crate) oldest: u64,
    pub(crate) current: u64,
}

impl CompactionRecord {
    pub(crate) fn encode(self) -> Vec<u8> {
        let mut payload = vec![VERSION];
        payload.extend_from_slice(&self.oldest.to_le_bytes());
        payload.extend_from_slice(&self.current.to_le_bytes());
        payload
    }

    pub(crate) fn decode(payload: &[u8]) -> Option<Self> {
        let (head, rest) = payload.split_first_chunk::<1>()?;
        let (oldest, rest) = rest.split_first_chunk::<8>()?;
        let current = u64::from_le_bytes(<[u8; 8]>::try_from(rest).ok()?);
        let oldest = u64::from_le_bytes(*oldest);
        (*head == [VERSION] && oldest <= current).then_some(Self { oldest, current })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn records_survive_a_round_trip(id in any::<i64>(), ttl in 1..i64::MAX, flag: bool) {
            prop_assume!(id != 0);
            let id = LeaseId::new(id);
            let granted = LeaseRecord::Granted { id, ttl, renewed: flag };
            prop_assert_eq!(LeaseRecord::decode_grant(&granted.encode()), Some(granted));
            let revoked = LeaseRecord::Revoked { id, expired: flag };
            prop_assert_eq!(LeaseRecord::decode_revoke(&revoked.encode()), Some(revoked));
        }

        #[test]
        fn no_bytes_make_a_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..30)) {
            let _ = LeaseRecord::decode_grant(&bytes);
            let _ = LeaseRecord::decode_revoke(&bytes);
            let _ = CompactionRecord::decode(&bytes);
        }
    }

    #[test]
    fn a_compaction_beyond_the_current_revision_is_refused() {
        let good = CompactionRecord { oldest: 3, current: 9 };
        assert_eq!(CompactionRecord::decode(&good.encode()), Some(good));
        let bad = CompactionRecord { oldest: 10, current: 9 };
        assert_eq!(CompactionRecord::decode(&bad.encode()), None);
    }
}
