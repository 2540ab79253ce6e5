//! Reading a block. Derived. Its checksum was verified before; yet no byte is trusted: what
//! cannot be decoded is `None`, never a panic.

use bytes::Bytes;
use cairn_codec::varint;

use super::{FLAG_TOMBSTONE, FLAGS_MAX, TRAILER_LEN, WEIGHT_SHIFT, head};
use crate::entry::EntryRef;

/// A decoded block: shares its bytes.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    bytes: Bytes,
    entries_len: usize,
    restarts: usize,
    prefix_len: usize,
    count: usize,
}

impl Block {
    /// Checks the outline of a block.
    pub(crate) fn open(bytes: Bytes) -> Option<Self> {
        let (rest, trailer) = bytes.split_last_chunk::<TRAILER_LEN>()?;
        let [p0, p1, r0, r1, c0, c1, c2, c3] = *trailer;
        let prefix_len = usize::from(u16::from_le_bytes([p0, p1]));
        let restarts = usize::from(u16::from_le_bytes([r0, r1]));
        let count = u32::from_le_bytes([c0, c1, c2, c3]) as usize;
        let entries_len = rest.len().checked_sub(prefix_len + restarts * 12)?;
        if count > entries_len || restarts > count || (restarts == 0) != (count == 0) {
            return None;
        }
        Some(Self { bytes, entries_len, restarts, prefix_len, count })
    }

    pub(crate) fn bytes_len(&self) -> usize {
        self.bytes.len()
    }

    fn entries(&self) -> &[u8] {
        self.bytes.get(..self.entries_len).unwrap_or_default()
    }

    fn heads(&self) -> &[[u8; 8]] {
        let start = self.entries_len;
        self.bytes.get(start..start + self.restarts * 8).unwrap_or_default().as_chunks().0
    }

    fn restart(&self, index: usize) -> Option<usize> {
        let start = self.entries_len + self.restarts * 8 + index * 4;
        let offset = u32::from_le_bytes(*self.bytes.get(start..)?.first_chunk()?) as usize;
        (index < self.restarts && offset < self.entries_len).then_some(offset)
    }

    fn prefix(&self) -> &[u8] {
        let start = self.entries_len + self.restarts * 12;
        self.bytes.get(start..start + self.prefix_len).unwrap_or_default()
    }

    /// The rest of the key at a restart.
    fn restart_rest(&self, index: usize) -> Option<&[u8]> {
        let mut at = self.entries().get(self.restart(index)?..)?;
        let shared = varint::take(&mut at)?;
        let rest_len = usize::try_from(varint::take(&mut at)?).ok()?;
        let (_, after) = at.split_first()?;
        at = after;
        for _ in 0..3 {
            varint::take(&mut at)?;
        }
        if shared != 0 { None } else { at.get(..rest_len) }
    }

    /// The restart from which on to look for a key: the last one whose key is below it.
    fn find_restart(&self, rest: &[u8]) -> Option<usize> {
        let wanted = head(rest);
        let heads = self.heads();
        let low = heads.partition_point(|head| u64::from_be_bytes(*head) < wanted);
        let equal = heads.get(low..).unwrap_or_default();
        let mut high = low + equal.partition_point(|head| u64::from_be_bytes(*head) == wanted);
        let mut low = low;
        while low < high {
            let middle = low.midpoint(high);
            if self.restart_rest(middle)? < rest {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Some(low.saturating_sub(1))
    }
}

/// Walks through a block.
#[derive(Debug, Clone)]
pub(crate) struct Cursor {
    block: Block,
    /// Where the next entry begins.
    next: usize,
    left: usize,
    key: Vec<u8>,
    now: Option<Now>,
}

/// The entry that a cursor stands on.
#[derive(Debug, Clone, Copy)]
struct Now {
    sequence: u64,
    reference: u64,
    flags: u8,
    value: (usize, usize),
}

impl Cursor {
    /// Stands before the first entry.
    pub(crate) fn new(block: Block) -> Self {
        let (left, key) = (block.count, block.prefix().to_vec());
        Self { block, next: 0, left, key, now: None }
    }

    /// Moves to the next entry; `Some(false)` at the end, `None` when it cannot be decoded.
    pub(crate) fn advance(&mut self) -> Option<bool> {
        self.now = None;
        if self.left == 0 || self.next == self.block.entries_len {
            return Some(false);
        }
        let entries = self.block.entries();
        let mut at = entries.get(self.next..)?;
        let shared = usize::try_from(varint::take(&mut at)?).ok()?;
        let rest_len = usize::try_from(varint::take(&mut at)?).ok()?;
        let (&flags, after) = at.split_first()?;
        at = after;
        let value_len = usize::try_from(varint::take(&mut at)?).ok()?;
        let sequence = varint::take(&mut at)?;
        let reference = varint::take(&mut at)?;
        let rest = at.get(..rest_len)?;
        let keep = self.block.prefix_len.checked_add(shared)?;
        if flags > FLAGS_MAX || keep > self.key.len() {
            return None;
        }
        let value = entries.len() - at.len() + rest_len;
        let end = value.checked_add(value_len).filter(|end| *end <= entries.len())?;
        self.key.truncate(keep);
        self.key.extend_from_slice(rest);
        self.next = end;
        self.left -= 1;
        self.now = Some(Now { sequence, reference, flags, value: (value, end) });
        Some(true)
    }

    /// Moves to the first entry that is not before this key and sequence, as
    /// [`EntryRef::is_before`] orders them; `Some(false)` when there is none.
    pub(crate) fn seek(&mut self, key: &[u8], sequence: u64) -> Option<bool> {
        let prefix = self.block.prefix();
        let from = match key.strip_prefix(prefix) {
            Some(rest) => self.block.find_restart(rest)?,
            None if key < prefix => 0,
            None => self.block.restarts.saturating_sub(1),
        };
        self.go_to_restart(from)?;
        while self.advance()? {
            if !self.entry().is_some_and(|entry| entry.is_before(key, sequence)) {
                return Some(true);
            }
        }
        Some(false)
    }

    fn go_to_restart(&mut self, index: usize) -> Option<()> {
        if self.block.count == 0 {
            return Some(());
        }
        self.next = self.block.restart(index)?;
        self.left = self.block.count;
        self.now = None;
        self.key.truncate(self.block.prefix_len);
        Some(())
    }

    /// The entry that the cursor stands on.
    pub(crate) fn entry(&self) -> Option<EntryRef<'_>> {
        let now = self.now.as_ref()?;
        let weight = (now.flags >> WEIGHT_SHIFT).cast_signed() - 1;
        Some(EntryRef {
            key: &self.key,
            sequence: now.sequence,
            tombstone: now.flags & FLAG_TOMBSTONE != 0,
            weight,
            reference: now.reference,
            value: self.block.bytes.get(now.value.0..now.value.1).unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::BlockBuilder;
    use super::*;
    use crate::entry::Entry;
    use proptest::prelude::*;

    fn entries() -> impl Strategy<Value = Vec<Entry>> {
        let entry = (prop::collection::vec(0_u8..4, 0..6), 0_u64..50, -1_i8..2, any::<bool>());
        prop::collection::vec(entry, 0..80).prop_map(|raw| {
            let mut all: Vec<Entry> = raw
                .into_iter()
                .map(|(key, sequence, weight, tombstone)| Entry {
                    value: vec![b'v'; key.len() * 3].into(),
                    key: [&b"prefix/"[..], &key].concat().into(),
                    sequence,
                    tombstone,
                    weight,
                    reference: sequence * 3,
                })
                .collect();
            all.sort_by(|a, b| a.key.cmp(&b.key).then(b.sequence.cmp(&a.sequence)));
            all.dedup_by(|a, b| (&a.key, a.sequence) == (&b.key, b.sequence));
            all
        })
    }

    fn build(entries: &[Entry]) -> Bytes {
        let mut builder = BlockBuilder::default();
        entries.iter().for_each(|entry| builder.push(&entry.as_ref()));
        let mut out = Vec::new();
        builder.finish(&mut out);
        out.into()
    }

    proptest! {
        #[test]
        fn a_block_gives_back_its_entries_and_finds_each(entries in entries()) {
            let block = Block::open(build(&entries)).expect("what was built opens");
            let mut cursor = Cursor::new(block);
            for expected in &entries {
                prop_assert_eq!(cursor.advance(), Some(true));
                let found = cursor.entry().map(|entry| entry.to_entry());
                prop_assert_eq!(found.as_ref(), Some(expected));
            }
            prop_assert_eq!(cursor.advance(), Some(false));
            for (key, sequence) in entries.iter().map(|entry| (&entry.key, entry.sequence)) {
                for wanted in [sequence, sequence + 1, sequence.saturating_sub(1)] {
                    let expected = entries.iter().find(|e| !e.as_ref().is_before(key, wanted));
                    let found = cursor.seek(key, wanted).expect("decodes");
                    prop_assert_eq!(found, expected.is_some());
                    let found = cursor.entry().map(|entry| entry.to_entry());
                    prop_assert_eq!(found.as_ref(), expected);
                }
            }
        }

        #[test]
        fn any_bytes_decode_without_a_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200),
            entries in entries(), flip in any::<(usize, u8)>()) {
            let mut built = build(&entries).to_vec();
            if !built.is_empty() {
                let at = flip.0 % built.len();
                built[at] ^= flip.1;
            }
            for bytes in [std::mem::take(&mut bytes), built] {
                let Some(block) = Block::open(bytes.into()) else { continue };
                let mut cursor = Cursor::new(block);
                let _ = cursor.seek(b"prefix/x", 3);
                let mut steps = 0;
                while cursor.advance() == Some(true) {
                    steps += 1;
                    prop_assert!(steps < 10_000);
                }
            }
        }
    }
}
