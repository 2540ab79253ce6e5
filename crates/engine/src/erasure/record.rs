//! The payload of an erasure's record. Truth: a record of kind 10 of the system stream. Its
//! content is never the content that goes.
//!
//! | size | field |
//! |---|---|
//! | 1 | version = 1 |
//! | 1 | what was asked for: 0 a record, 1 an event, 2 versions of a key |
//! | 2 | length of the reason, little-endian |
//! | | reason, UTF-8 |
//! | | varint: how many records, from 1 |
//! | | varints: the first record's LSN, then the distance from each to the next, from 1 |
//! | | for each record a varint length, 0 to 37, and so many bytes: the head of an event's payload (data kind, id, stamp of a producer), so that a repeat is still known for one |
//!
//! Every record named comes before this one.

use cairn_codec::varint;
use cairn_types::Lsn;

const VERSION: u8 = 1;

/// Bytes of an event's payload up to its id and stamp.
const HEAD_LEN_MAX: usize = 37;

/// Bytes of a reason.
pub const REASON_LEN_MAX: usize = 1024;

/// What an erasure was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErasureKind {
    /// One record, by its place in the log.
    Record,
    /// An event.
    Event,
    /// Versions of a key.
    Key,
}

impl ErasureKind {
    const fn number(self) -> u8 {
        match self {
            Self::Record => 0,
            Self::Event => 1,
            Self::Key => 2,
        }
    }

    const fn of(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Record),
            1 => Some(Self::Event),
            2 => Some(Self::Key),
            _ => None,
        }
    }
}

impl std::fmt::Display for ErasureKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Record => "record",
            Self::Event => "event",
            Self::Key => "key",
        })
    }
}

/// What the log says of an erasure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErasureRecord {
    /// What was asked for.
    pub kind: ErasureKind,
    /// Who asked and why, in the words of whoever did.
    pub reason: String,
    /// The records whose payload goes, rising.
    pub records: Vec<ErasedPlace>,
}

/// A record whose payload goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErasedPlace {
    /// Its place.
    pub lsn: Lsn,
    /// What stays known of an event: the head of its payload, up to id and stamp; else nothing.
    pub head: Vec<u8>,
}

impl ErasureRecord {
    /// The payload.
    ///
    /// # Panics
    /// When the reason is too long, no record is named, or they do not rise.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        assert!(self.reason.len() <= REASON_LEN_MAX, "checked before an erasure begins");
        assert!(!self.records.is_empty(), "an erasure names what it erases");
        let mut out = vec![VERSION, self.kind.number()];
        let reason_len = u16::try_from(self.reason.len()).expect("limited above");
        out.extend_from_slice(&reason_len.to_le_bytes());
        out.extend_from_slice(self.reason.as_bytes());
        varint::put(&mut out, self.records.len() as u64);
        let mut before = None;
        for ErasedPlace { lsn, head } in &self.records {
            assert!(head.len() <= HEAD_LEN_MAX, "a head is that of an event");
            let distance = before.map_or(Some(lsn.get()), |before| lsn.get().checked_sub(before));
            let distance = distance.expect("records rise");
            assert!(before.is_none() || distance > 0, "no record is named twice");
            varint::put(&mut out, distance);
            before = Some(lsn.get());
        }
        for ErasedPlace { head, .. } in &self.records {
            varint::put(&mut out, head.len() as u64);
            out.extend_from_slice(head);
        }
        out
    }

    /// Reads a payload; `None` when it is not one that [`encode`](Self::encode) writes.
    #[must_use]
    pub fn decode(payload: &[u8]) -> Option<Self> {
        let (&[VERSION, kind, len0, len1], rest) = payload.split_first_chunk::<4>()? else {
            return None;
        };
        let reason_len = usize::from(u16::from_le_bytes([len0, len1]));
        if reason_len > REASON_LEN_MAX {
            return None;
        }
        let (reason, mut rest) = rest.split_at_checked(reason_len)?;
        let reason = std::str::from_utf8(reason).ok()?.to_owned();
        let at = &mut rest;
        let count = usize::try_from(varint::take(at)?).ok()?;
        // A record takes at least two bytes: nothing is reserved for a count that cannot be.
        if count == 0 || count > at.len() / 2 {
            return None;
        }
        let mut records = Vec::with_capacity(count);
        let mut before: Option<u64> = None;
        for _ in 0..count {
            let distance = varint::take(at)?;
            let lsn = match before {
                None => distance,
                Some(_) if distance == 0 => return None,
                Some(before) => before.checked_add(distance)?,
            };
            records.push(ErasedPlace { lsn: Lsn::new(lsn), head: Vec::new() });
            before = Some(lsn);
        }
        for record in &mut records {
            let len = usize::try_from(varint::take(at)?).ok()?;
            let (head, rest) = at.split_at_checked(len).filter(|_| len <= HEAD_LEN_MAX)?;
            record.head = head.to_vec();
            *at = rest;
        }
        if !at.is_empty() {
            return None;
        }
        Some(Self { kind: ErasureKind::of(kind)?, reason, records })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(places: &[u64]) -> ErasureRecord {
        let record = |lsn: &u64| {
            let head = if lsn % 2 == 1 { vec![7; 17] } else { Vec::new() };
            ErasedPlace { lsn: Lsn::new(*lsn), head }
        };
        let records = places.iter().map(record).collect();
        ErasureRecord { kind: ErasureKind::Key, reason: "asked by A.".into(), records }
    }

    #[test]
    fn a_record_has_the_bytes_that_are_written_down() {
        let bytes = record(&[4, 6, 301]).encode();
        let head = b"\x01\x02\x0b\x00asked by A.\x03\x04\x02\xa7\x02\x00\x00\x11";
        assert_eq!(bytes, [&head[..], &[7; 17]].concat());
        assert_eq!(ErasureRecord::decode(&bytes), Some(record(&[4, 6, 301])));
        for len in 0..bytes.len() {
            assert_eq!(ErasureRecord::decode(&bytes[..len]), None, "cut to {len}");
        }
    }

    proptest! {
        #[test]
        fn records_survive_a_round_trip(places in prop::collection::btree_set(any::<u64>(), 1..50)) {
            let record = record(&places.into_iter().collect::<Vec<_>>());
            prop_assert_eq!(ErasureRecord::decode(&record.encode()), Some(record));
        }

        #[test]
        fn any_bytes_decode_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Some(record) = ErasureRecord::decode(&bytes) {
                prop_assert_eq!(record.encode(), bytes);
            }
        }
    }
}
