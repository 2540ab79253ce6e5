//! What the store wants to find again with its tables: everything that the log before them says
//! and that is no version of a key. Derived.
//!
//! Layout, all numbers varints of cairn-codec:
//!
//! | field |
//! |---|
//! | 1, the version of this layout |
//! | current revision |
//! | oldest readable revision |
//! | LSN of the last change and 1, or 0 |
//! | leases, then each: number (zigzag), seconds (zigzag), LSN, time in microseconds (zigzag), keys, then each: keyspace, length, key |
//! | interval of the anchors, anchors, then each: revisions and LSNs since the one before |

use bytes::Bytes;
use cairn_codec::varint;
use cairn_types::limits::MAX_KEY_LEN;
use cairn_types::{Lsn, StreamId, Timestamp};

use crate::LeaseId;
use crate::anchors::Anchors;
use crate::lease::Leases;

const VERSION: u64 = 1;

/// What is noted.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) current: u64,
    pub(crate) oldest: u64,
    pub(crate) last_change: Option<Lsn>,
    pub(crate) leases: Leases,
    pub(crate) anchors: Anchors,
}

/// Writes down all but the anchors, which come last.
pub(crate) fn encode(
    current: u64,
    oldest: u64,
    last_change: Option<Lsn>,
    leases: &Leases,
    out: &mut Vec<u8>,
) {
    for number in [VERSION, current, oldest, last_change.map_or(0, |lsn| lsn.get() + 1)] {
        varint::put(out, number);
    }
    leases.encode(out);
}

impl Notes {
    /// Reads what was written down; `None` when it is not that.
    pub(crate) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let at = &mut bytes;
        if varint::take(at)? != VERSION {
            return None;
        }
        let (current, oldest) = (varint::take(at)?, varint::take(at)?);
        let last_change = varint::take(at)?.checked_sub(1).map(Lsn::new);
        let leases = Leases::decode(at)?;
        let anchors = Anchors::decode(at)?;
        at.is_empty().then_some(Self { current, oldest, last_change, leases, anchors })
    }
}

impl Leases {
    fn encode(&self, out: &mut Vec<u8>) {
        varint::put(out, self.by_id.len() as u64);
        for (id, lease) in &self.by_id {
            varint::put(out, varint::zigzag(id.get()));
            varint::put(out, varint::zigzag(lease.ttl));
            varint::put(out, lease.lsn.get());
            varint::put(out, varint::zigzag(lease.renewed_at.as_micros()));
            varint::put(out, lease.keys.len() as u64);
            for (space, key) in &lease.keys {
                varint::put(out, u64::from(space.get()));
                varint::put(out, key.len() as u64);
                out.extend_from_slice(key);
            }
        }
    }

    fn decode(at: &mut &[u8]) -> Option<Self> {
        let mut leases = Self::default();
        for _ in 0..varint::take(at)? {
            let id = LeaseId::new(varint::unzigzag(varint::take(at)?));
            let ttl = varint::unzigzag(varint::take(at)?);
            let lsn = Lsn::new(varint::take(at)?);
            let renewed_at = Timestamp::from_micros(varint::unzigzag(varint::take(at)?));
            leases.grant(id, ttl, lsn, renewed_at, std::time::Duration::ZERO);
            for _ in 0..varint::take(at)? {
                let space = StreamId::new(u32::try_from(varint::take(at)?).ok()?);
                let len = usize::try_from(varint::take(at)?).ok()?;
                let (key, rest) = at.split_at_checked(len).filter(|_| len <= MAX_KEY_LEN)?;
                *at = rest;
                leases.move_key(space, &Bytes::copy_from_slice(key), LeaseId::NONE, id);
            }
        }
        Some(leases)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn notes_come_back_as_they_were_written() {
        let mut leases = Leases::default();
        let at = Timestamp::from_micros(-5);
        leases.grant(LeaseId::new(-7), 60, Lsn::new(9), at, std::time::Duration::ZERO);
        let key = Bytes::from_static(b"k");
        leases.move_key(StreamId::new(3), &key, LeaseId::NONE, LeaseId::new(-7));
        let mut bytes = Vec::new();
        encode(5, 2, Some(Lsn::new(0)), &leases, &mut bytes);
        Anchors::default().encode(&mut bytes);
        let notes = Notes::decode(&bytes).expect("decodes");
        assert_eq!((notes.current, notes.oldest, notes.last_change), (5, 2, Some(Lsn::new(0))));
        assert_eq!(notes.leases.ttl(LeaseId::new(-7)), Some(60));
        let keys = notes.leases.keys(LeaseId::new(-7)).expect("there");
        assert!(keys.contains(&(StreamId::new(3), key)));
        assert!(Notes::decode(&bytes[..bytes.len() - 1]).is_none());
    }

    proptest! {
        #[test]
        fn any_bytes_decode_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = Notes::decode(&bytes);
        }
    }
}
