//! Reading a block. Derived. Its checksum was verified before; yet no byte is trusted: what
//! cannot be decoded is `None`, never a panic.

use std::cmp::Ordering;

use bytes::Bytes;
use cairn_codec::varint;

use super::{COUNT_MAX, FLAG_TOMBSTONE, FLAGS_MAX, HEADER_LEN, WEIGHT_SHIFT, head};
use crate::entry::EntryRef;

/// Where the parts of a block are.
#[derive(Debug, Clone, Copy)]
struct Outline {
    prefix_len: usize,
    count: usize,
}

/// A block in borrowed bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BlockView<'a> {
    bytes: &'a [u8],
    outline: Outline,
}

/// A block that shares its bytes.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    bytes: Bytes,
    outline: Outline,
}

/// An entry as it lies in the block; its key is the block's prefix and `rest`.
#[derive(Debug, Clone, Copy)]
struct Raw<'a> {
    flags: u8,
    sequence: u64,
    reference: u64,
    rest: &'a [u8],
    value: &'a [u8],
    /// Where the value begins.
    value_at: usize,
}

impl Outline {
    fn of(bytes: &[u8]) -> Option<Self> {
        let (header, rest) = bytes.split_first_chunk::<HEADER_LEN>()?;
        let [p0, p1, z0, z1, c0, c1, c2, c3] = *header;
        let prefix_len = usize::from(u16::from_le_bytes([p0, p1]));
        let count = u32::from_le_bytes([c0, c1, c2, c3]) as usize;
        if [z0, z1] != [0; 2] || count > COUNT_MAX {
            return None;
        }
        rest.len().checked_sub(prefix_len + count * 12)?;
        Some(Self { prefix_len, count })
    }
}

impl<'a> BlockView<'a> {
    /// Checks the outline of a block.
    pub(crate) fn open(bytes: &'a [u8]) -> Option<Self> {
        Some(Self { bytes, outline: Outline::of(bytes)? })
    }

    fn part(self, start: usize, len: usize) -> &'a [u8] {
        self.bytes.get(start..start + len).unwrap_or_default()
    }

    fn heads(self) -> &'a [[u8; 8]] {
        self.part(HEADER_LEN, self.outline.count * 8).as_chunks().0
    }

    fn offset(self, index: usize) -> Option<usize> {
        let count = self.outline.count;
        let offsets = self.part(HEADER_LEN + count * 8, count * 4).as_chunks::<4>().0;
        offsets.get(index).map(|offset| u32::from_le_bytes(*offset) as usize)
    }

    fn prefix(self) -> &'a [u8] {
        self.part(HEADER_LEN + self.outline.count * 12, self.outline.prefix_len)
    }

    /// Where the entries begin.
    fn entries_at(self) -> usize {
        HEADER_LEN + self.outline.count * 12 + self.outline.prefix_len
    }

    fn raw(self, index: usize) -> Option<Raw<'a>> {
        let start = self.entries_at().checked_add(self.offset(index)?)?;
        let mut at = self.bytes.get(start..)?;
        let (&flags, after) = at.split_first()?;
        at = after;
        let rest_len = usize::try_from(varint::take(&mut at)?).ok()?;
        let value_len = usize::try_from(varint::take(&mut at)?).ok()?;
        let sequence = varint::take(&mut at)?;
        let reference = varint::take(&mut at)?;
        let (rest, at) = at.split_at_checked(rest_len)?;
        let value_at = self.bytes.len() - at.len();
        let value = at.get(..value_len)?;
        (flags <= FLAGS_MAX).then_some(Raw { flags, sequence, reference, rest, value, value_at })
    }

    /// The number of the first entry that is not before this key and sequence, as
    /// [`EntryRef::is_before`] orders them; that of the end when there is none.
    fn find(self, key: &[u8], sequence: u64) -> Option<usize> {
        let prefix = self.prefix();
        let Some(rest) = key.strip_prefix(prefix) else {
            return Some(if key < prefix { 0 } else { self.outline.count });
        };
        let wanted = head(rest);
        let heads = self.heads();
        let mut low = heads.partition_point(|head| u64::from_be_bytes(*head) < wanted);
        let equal = heads.get(low..).unwrap_or_default();
        let same = equal.iter().take_while(|head| u64::from_be_bytes(**head) == wanted).count();
        let mut high = low + same;
        while low < high {
            let middle = low.midpoint(high);
            let raw = self.raw(middle)?;
            let is_before = match raw.rest.cmp(rest) {
                Ordering::Less => true,
                Ordering::Equal => raw.sequence > sequence,
                Ordering::Greater => false,
            };
            if is_before {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Some(low)
    }

    /// The newest version of a key that is not newer than `sequence`: `Some(None)` when it is
    /// not in this block, but may be in the next when `at_end`.
    pub(crate) fn get(self, key: &'a [u8], sequence: u64) -> Option<Got<'a>> {
        let index = self.find(key, sequence)?;
        if index >= self.outline.count {
            return Some(Got::AtEnd);
        }
        let raw = self.raw(index)?;
        let is_it = key.strip_prefix(self.prefix()).is_some_and(|rest| rest == raw.rest);
        Some(if is_it { Got::Found(raw.entry(key, None)) } else { Got::Absent })
    }
}

/// What a block says of a key.
#[derive(Debug)]
pub(crate) enum Got<'a> {
    Found(EntryRef<'a>),
    /// A later key is in this block.
    Absent,
    /// All of this block is before it.
    AtEnd,
}

impl<'a> Raw<'a> {
    fn entry(self, key: &'a [u8], shared: Option<&'a Bytes>) -> EntryRef<'a> {
        EntryRef {
            key,
            sequence: self.sequence,
            tombstone: self.flags & FLAG_TOMBSTONE != 0,
            weight: (self.flags >> WEIGHT_SHIFT).cast_signed() - 1,
            reference: self.reference,
            value: self.value,
            owner: shared.map(|bytes| (bytes, self.value_at)),
        }
    }
}

impl Block {
    /// Checks the outline of a block.
    pub(crate) fn open(bytes: Bytes) -> Option<Self> {
        let outline = Outline::of(&bytes)?;
        Some(Self { bytes, outline })
    }

    pub(crate) fn bytes_len(&self) -> usize {
        self.bytes.len()
    }

    #[inline]
    pub(crate) fn view(&self) -> BlockView<'_> {
        BlockView { bytes: &self.bytes, outline: self.outline }
    }
}

/// Walks through a block.
#[derive(Debug, Clone)]
pub(crate) struct Cursor {
    block: Block,
    /// The number of the next entry.
    next: usize,
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
    /// Stands before the first entry. Takes over a buffer for keys.
    pub(crate) fn new(block: Block, mut key: Vec<u8>) -> Self {
        key.clear();
        key.extend_from_slice(block.view().prefix());
        Self { block, next: 0, key, now: None }
    }

    /// Gives its buffer back.
    pub(crate) fn into_buffer(self) -> Vec<u8> {
        self.key
    }

    /// Moves to the next entry; `Some(false)` at the end, `None` when it cannot be decoded.
    pub(crate) fn advance(&mut self) -> Option<bool> {
        self.now = None;
        let outline = self.block.outline;
        if self.next >= outline.count {
            return Some(false);
        }
        let raw = self.block.view().raw(self.next)?;
        self.key.truncate(outline.prefix_len);
        self.key.extend_from_slice(raw.rest);
        self.next += 1;
        self.now = Some(Now {
            sequence: raw.sequence,
            reference: raw.reference,
            flags: raw.flags,
            value: (raw.value_at, raw.value_at + raw.value.len()),
        });
        Some(true)
    }

    /// Moves to the first entry that is not before this key and sequence; `Some(false)` when
    /// there is none.
    pub(crate) fn seek(&mut self, key: &[u8], sequence: u64) -> Option<bool> {
        self.next = self.block.view().find(key, sequence)?;
        self.advance()
    }

    /// The entry that the cursor stands on.
    pub(crate) fn entry(&self) -> Option<EntryRef<'_>> {
        let now = self.now.as_ref()?;
        Some(EntryRef {
            key: &self.key,
            sequence: now.sequence,
            tombstone: now.flags & FLAG_TOMBSTONE != 0,
            weight: (now.flags >> WEIGHT_SHIFT).cast_signed() - 1,
            reference: now.reference,
            value: self.block.bytes.get(now.value.0..now.value.1).unwrap_or_default(),
            owner: Some((&self.block.bytes, now.value.0)),
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
            let mut cursor = Cursor::new(block, Vec::new());
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
                let mut cursor = Cursor::new(block, Vec::new());
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
