//! Writing a sparse index. **Derived**: from the keys of a sorted file.

use super::{
    AT_BODY_CRC, AT_COUNT, AT_END, AT_HEADER_CRC, AT_PREFIX_LEN, AT_RESTS_LEN, AT_VERSION,
    ENTRY_LEN, HEADER_LEN, MAGIC, SALT, VERSION, head,
};
use crate::error::{Error, Result};
use cairn_codec::SaltedCrc;
use cairn_types::limits::MAX_INDEX_KEY_LEN;

/// Takes the keys of a sorted file in order and keeps every nth.
///
/// ```
/// use cairn_index::{Span, SparseBuilder, SparseIndex};
/// let mut builder = SparseBuilder::every(2);
/// for (position, key) in [(0, "a"), (30, "c"), (60, "e"), (90, "g")] {
///     builder.add(key.as_bytes(), position)?;
/// }
/// let index = SparseIndex::open(builder.build(120)?)?;
/// assert_eq!(index.seek(b"d"), Some(0), "a, the last key kept that is not above");
/// assert_eq!(index.seek_span(b"f"), Some(Span { start: 60, end: 120 }));
/// assert_eq!(index.seek(b"A"), None, "before all keys");
/// # Ok::<(), cairn_index::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct SparseBuilder {
    stride: usize,
    seen: usize,
    last: Vec<u8>,
    last_position: u64,
    /// Whole keys, one behind the other.
    keys: Vec<u8>,
    ends: Vec<usize>,
    positions: Vec<u64>,
}

impl SparseBuilder {
    /// Keeps the first of every `stride` keys; 1 (and 0) keeps all, as for one key a block.
    #[must_use]
    pub fn every(stride: usize) -> Self {
        let (last, keys) = (Vec::new(), Vec::new());
        let (ends, positions) = (Vec::new(), Vec::new());
        Self { stride: stride.max(1), seen: 0, last, last_position: 0, keys, ends, positions }
    }

    /// The next key of the file.
    ///
    /// # Errors
    /// `OutOfRange` for a key over [`MAX_INDEX_KEY_LEN`], a key that is not above the one before, or a
    /// position below the one before; nothing was added then.
    pub fn add(&mut self, key: &[u8], position: u64) -> Result<()> {
        let refuse = |what, found, limit| Err(Error::OutOfRange { what, found, limit });
        if key.len() > MAX_INDEX_KEY_LEN {
            return refuse("length of a key", key.len() as u64, MAX_INDEX_KEY_LEN as u64);
        }
        if self.seen > 0 && key <= &*self.last {
            return refuse(
                "number of keys in rising order",
                self.seen as u64 + 1,
                self.seen as u64,
            );
        }
        if position < self.last_position {
            return refuse("position before this one", self.last_position, position);
        }
        if self.seen.is_multiple_of(self.stride) {
            self.keys.extend_from_slice(key);
            self.ends.push(self.keys.len());
            self.positions.push(position);
        }
        self.last.clear();
        self.last.extend_from_slice(key);
        self.last_position = position;
        self.seen += 1;
        Ok(())
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.positions.len()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    /// The index, ready to be written. `end` is the position behind the last key's data.
    ///
    /// # Errors
    /// `OutOfRange` when `end` is below the last position, or the keys come to 4 GiB.
    pub fn build(&self, end: u64) -> Result<Vec<u8>> {
        if end < self.last_position {
            let (found, limit) = (self.last_position, end);
            return Err(Error::OutOfRange { what: "last position", found, limit });
        }
        let shared = self.shared_len();
        let prefix = self.key(0).get(..shared).unwrap_or_default();
        let rests_len = self.keys.len() - shared * self.len();
        let (found, limit) = (rests_len.max(self.len()) as u64, u64::from(u32::MAX));
        let (Ok(rests), Ok(count)) = (u32::try_from(rests_len), u32::try_from(self.len())) else {
            return Err(Error::OutOfRange { what: "bytes of keys", found, limit });
        };
        let mut out = vec![0; HEADER_LEN];
        out.reserve_exact(self.len() * ENTRY_LEN + shared + rests_len);
        let rest = |index: usize| self.key(index).get(shared..).unwrap_or_default();
        (0..self.len()).for_each(|at| out.extend_from_slice(&head(rest(at)).to_le_bytes()));
        self.positions.iter().for_each(|at| out.extend_from_slice(&at.to_le_bytes()));
        let mut rest_end = 0_u32;
        for index in 0..self.len() {
            rest_end += u32::try_from(rest(index).len()).expect("a key's length is limited");
            out.extend_from_slice(&rest_end.to_le_bytes());
        }
        out.extend_from_slice(prefix);
        (0..self.len()).for_each(|at| out.extend_from_slice(rest(at)));

        let crc = SaltedCrc::new(SALT);
        let (header, body) = out.split_at_mut(HEADER_LEN);
        let mut put = |at: usize, bytes: &[u8]| {
            header[at..at + bytes.len()].copy_from_slice(bytes);
        };
        put(0, &MAGIC.to_le_bytes());
        put(AT_VERSION, &VERSION.to_le_bytes());
        let prefix_len = u16::try_from(shared).expect("a key's length is limited");
        put(AT_PREFIX_LEN, &prefix_len.to_le_bytes());
        put(AT_COUNT, &count.to_le_bytes());
        put(AT_RESTS_LEN, &rests.to_le_bytes());
        put(AT_END, &end.to_le_bytes());
        put(AT_BODY_CRC, &crc.checksum(body).to_le_bytes());
        let check = crc.checksum(&header[..AT_HEADER_CRC]);
        header[AT_HEADER_CRC..].copy_from_slice(&check.to_le_bytes());
        Ok(out)
    }

    fn key(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        let end = self.ends.get(index).copied().unwrap_or(start);
        &self.keys[start..end]
    }

    /// What all keys share; of one key nothing, so that its head tells something.
    fn shared_len(&self) -> usize {
        match self.len() {
            0 | 1 => 0,
            len => {
                let (first, last) = (self.key(0), self.key(len - 1));
                first.iter().zip(last).take_while(|(a, b)| a == b).count()
            }
        }
    }
}
