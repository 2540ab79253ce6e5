//! Writing a block. Derived.

use cairn_codec::varint;

use super::{COUNT_MAX, FLAG_TOMBSTONE, WEIGHT_SHIFT, head};
use crate::entry::EntryRef;

/// Collects entries in order and lays them out.
#[derive(Debug, Default)]
pub(crate) struct BlockBuilder {
    /// Whole keys, one behind the other, and where each ends.
    keys: Vec<u8>,
    key_ends: Vec<usize>,
    facts: Vec<Facts>,
    values: Vec<u8>,
}

#[derive(Debug)]
struct Facts {
    sequence: u64,
    reference: u64,
    flags: u8,
    value_end: usize,
}

impl BlockBuilder {
    pub(crate) fn push(&mut self, entry: &EntryRef<'_>) {
        debug_assert!((-1..=1).contains(&entry.weight), "a version changes the count by at most 1");
        self.keys.extend_from_slice(entry.key);
        self.key_ends.push(self.keys.len());
        self.values.extend_from_slice(entry.value);
        let weight = (entry.weight.clamp(-1, 1) + 1).cast_unsigned();
        let tombstone = if entry.tombstone { FLAG_TOMBSTONE } else { 0 };
        self.facts.push(Facts {
            sequence: entry.sequence,
            reference: entry.reference,
            flags: tombstone | (weight << WEIGHT_SHIFT),
            value_end: self.values.len(),
        });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.facts.is_empty()
    }

    /// About how many bytes the block will have.
    pub(crate) fn len(&self) -> usize {
        self.keys.len() + self.values.len() + 24 * self.facts.len()
    }

    /// Whether one more entry fits what a block can count.
    pub(crate) fn has_room(&self) -> bool {
        self.facts.len() < COUNT_MAX
    }

    fn key(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).map_or(0, |before| self.key_ends[before]);
        &self.keys[start..self.key_ends[index]]
    }

    /// Appends the block to `out` and begins a new one.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        let count = self.facts.len();
        let prefix_len = match count {
            0 => 0,
            _ => shared(self.key(0), self.key(count - 1)).min(usize::from(u16::MAX)),
        };
        let prefix_field = u16::try_from(prefix_len).expect("cut to that above");
        let count_field = u32::try_from(count).expect("has_room keeps it below");
        out.extend_from_slice(&prefix_field.to_le_bytes());
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(&count_field.to_le_bytes());
        for index in 0..count {
            let head = head(&self.key(index)[prefix_len..]);
            out.extend_from_slice(&head.to_be_bytes());
        }
        let offsets_at = out.len();
        out.resize(offsets_at + count * 4, 0);
        if count > 0 {
            out.extend_from_slice(&self.key(0)[..prefix_len]);
        }
        self.write_entries(prefix_len, offsets_at, out);
        self.keys.clear();
        self.key_ends.clear();
        self.facts.clear();
        self.values.clear();
    }
}

impl BlockBuilder {
    /// Appends the entries, and fills in where each begins.
    fn write_entries(&self, prefix_len: usize, offsets_at: usize, out: &mut Vec<u8>) {
        let start = out.len();
        let mut value_start = 0;
        for (index, facts) in self.facts.iter().enumerate() {
            let key = &self.key(index)[prefix_len..];
            let value = &self.values[value_start..facts.value_end];
            value_start = facts.value_end;
            let offset = u32::try_from(out.len() - start).expect("a block is far smaller");
            let at = offsets_at + index * 4;
            out[at..at + 4].copy_from_slice(&offset.to_le_bytes());
            out.push(facts.flags);
            varint::put(out, key.len() as u64);
            varint::put(out, value.len() as u64);
            varint::put(out, facts.sequence);
            varint::put(out, facts.reference);
            out.extend_from_slice(key);
            out.extend_from_slice(value);
        }
    }
}

fn shared(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}
