//! Reading a table: through a mapping where the file system can, else through a cache of blocks.
//! Derived. A block is used only after its CRC was checked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use cairn_codec::{CodecId, CodecRegistry, SaltedCrc};
use cairn_index::{Filter, SparseIndex};
use cairn_vfs::{Mapping, OpenMode, Vfs, VfsFile};

use super::footer::FOOTER_LEN;
use super::{BLOCK_LEN_MAX, Built, FRAME_HEADER_LEN, Footer, TableCursor, file_name, salt};
use crate::block::{Block, BlockView, Got};
use crate::entry::{Entry, EntryRef};
use crate::{Error, Result};

/// Decoded blocks by table and position, within a budget of bytes.
pub(crate) type BlockCache = quick_cache::sync::Cache<(u64, u64), Block, BlockWeight>;

/// Weighs a block by its bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BlockWeight;

impl quick_cache::Weighter<(u64, u64), Block> for BlockWeight {
    fn weight(&self, _: &(u64, u64), block: &Block) -> u64 {
        block.bytes_len() as u64 + 64
    }
}

/// An open table.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) facts: Built,
    path: String,
    file: Arc<dyn VfsFile>,
    mapping: Option<Mapping>,
    /// A bit for each group whose frames were checked since the table was opened.
    checked: Vec<AtomicU64>,
    footer: Footer,
    filter: Filter,
    sparse: SparseIndex,
    sums: Bytes,
    crc: SaltedCrc,
    codecs: CodecRegistry,
    cache: Arc<BlockCache>,
}

impl Table {
    /// Opens a table and checks everything but its blocks.
    pub(crate) fn open(
        vfs: &dyn Vfs,
        dir: &str,
        facts: Built,
        codecs: &CodecRegistry,
        cache: &Arc<BlockCache>,
    ) -> Result<Self> {
        let path = format!("{dir}/{}", file_name(facts.id));
        let file = vfs.open(&path, OpenMode::Read)?;
        let corrupt = |cause| Error::corrupt(&path, 0, cause);
        let len = file.len()?;
        if len != facts.len || len < FOOTER_LEN as u64 {
            return Err(corrupt("its length is not what the manifest says"));
        }
        let crc = salt(facts.id);
        let mut footer = [0; FOOTER_LEN];
        file.read_exact_at(len - FOOTER_LEN as u64, &mut footer)?;
        let footer = Footer::decode(&footer, &crc, &path, len)?;
        let is_other = footer.versions != facts.versions
            || footer.weight != facts.weight
            || footer.sequence_max != facts.sequence_max
            || footer.reference_min != facts.reference_min;
        if is_other {
            return Err(corrupt("its footer is not what the manifest says"));
        }
        let mapping = if vfs.supports_map() { Some(file.map(len)?) } else { None };
        if let Some(mapping) = &mapping {
            mapping.set_limit(len);
        }
        let part = |position: u64, len: u64| -> Result<Bytes> {
            let len = usize::try_from(len).map_err(|_| corrupt("a part does not fit memory"))?;
            if let Some(bytes) = mapping.as_ref().and_then(|mapping| mapping.bytes(position, len)) {
                return Ok(bytes);
            }
            let mut bytes = vec![0; len];
            file.read_exact_at(position, &mut bytes)?;
            Ok(bytes.into())
        };
        let filter_at = footer.frames_len;
        let sparse_at = filter_at + footer.filter_len;
        let sums_at = sparse_at + footer.sparse_len;
        let filter = Filter::open(part(filter_at, footer.filter_len)?)?;
        let sparse = SparseIndex::open(part(sparse_at, footer.sparse_len)?)?;
        let sums = part(sums_at, footer.groups * 8)?;
        if crc.checksum(&sums) != footer.sums_crc {
            return Err(Error::corrupt(&path, sums_at, "the CRC of the sums is wrong"));
        }
        let groups = sparse.view().len();
        if groups as u64 != footer.groups || sparse.view().end() != footer.frames_len {
            return Err(Error::corrupt(&path, sparse_at, "the sparse index is of another table"));
        }
        let checked = (0..groups.div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        Ok(Self {
            facts,
            file,
            mapping,
            checked,
            footer,
            filter,
            sparse,
            sums,
            crc,
            codecs: codecs.clone(),
            cache: cache.clone(),
            path,
        })
    }

    /// Whether a key lies between its first and its last one.
    pub(crate) fn spans(&self, key: &[u8]) -> bool {
        *key >= *self.facts.first_key && *key <= *self.facts.last_key
    }

    /// Whether it may hold a key, by the hash of the key; `false` is certain.
    pub(crate) fn may_contain(&self, hash: u64) -> bool {
        self.filter.may_contain_hash(hash)
    }

    pub(crate) fn group_count(&self) -> usize {
        self.sparse.view().len()
    }

    /// The group that a key is in, if it is in the table at all.
    pub(crate) fn find_group(&self, key: &[u8]) -> Option<usize> {
        self.sparse.view().find(key)
    }

    /// Where the frames of a group are.
    pub(crate) fn group_span(&self, group: usize) -> Option<(u64, u64)> {
        let view = self.sparse.view();
        let start = view.position(group)?;
        Some((start, view.position(group + 1).unwrap_or(self.footer.frames_len)))
    }

    /// All weights before a group; of the whole table for the group behind the last.
    fn sum_before(&self, group: usize) -> i64 {
        let sum = self.sums.as_chunks::<8>().0.get(group);
        sum.map_or(self.footer.weight, |sum| i64::from_le_bytes(*sum))
    }

    /// The sum of the weights of all keys below this one.
    pub(crate) fn weight_below(self: &Arc<Self>, key: &[u8]) -> Result<i64> {
        let Some(group) = self.find_group(key) else { return Ok(0) };
        let mut sum = self.sum_before(group);
        let mut cursor = TableCursor::new(self.clone());
        cursor.go_to_group(group)?;
        while let Some(entry) = cursor.entry() {
            if entry.key >= key {
                break;
            }
            sum += i64::from(entry.weight);
            cursor.advance()?;
        }
        Ok(sum)
    }

    /// Calls `each` with the versions of a key, newest first, from the first one that is not
    /// newer than `sequence`, until it says stop.
    pub(crate) fn versions(
        self: &Arc<Self>,
        key: &[u8],
        sequence: u64,
        mut each: impl FnMut(&EntryRef<'_>) -> bool,
    ) -> Result<()> {
        let mut cursor = TableCursor::new(self.clone());
        cursor.seek(key, sequence)?;
        while let Some(entry) = cursor.entry() {
            if entry.key != key || !each(&entry) {
                break;
            }
            cursor.advance()?;
        }
        Ok(())
    }

    /// Calls `look` with the newest version of a key that is not newer than `sequence`; says
    /// whether there is one.
    pub(crate) fn get(
        &self,
        key: &[u8],
        sequence: u64,
        look: &mut dyn FnMut(&EntryRef<'_>),
    ) -> Result<bool> {
        let Some(group) = self.find_group(key) else { return Ok(false) };
        let Some((mut position, end)) = self.group_span(group) else { return Ok(false) };
        while position < end {
            if let Some((bytes, next)) = self.checked_slice(group, position) {
                let view = BlockView::open(bytes);
                match view.and_then(|view| view.get(key, sequence)) {
                    Some(Got::Found(entry)) => look(&entry),
                    Some(Got::Absent) => return Ok(false),
                    Some(Got::AtEnd) => {
                        position = next;
                        continue;
                    }
                    None => return Err(Error::corrupt(&self.path, position, "a block is not one")),
                }
                return Ok(true);
            }
            let (block, next) = self.frame(group, position)?;
            match block.view().get(key, sequence) {
                Some(Got::Found(entry)) => look(&entry),
                Some(Got::Absent) => return Ok(false),
                Some(Got::AtEnd) => {
                    position = next;
                    continue;
                }
                None => return Err(Error::corrupt(&self.path, position, "a block is not one")),
            }
            return Ok(true);
        }
        Ok(false)
    }

    /// The content of an uncompressed frame that is mapped and was checked before, and where the
    /// next frame begins.
    fn checked_slice(&self, group: usize, position: u64) -> Option<(&[u8], u64)> {
        let mapping = self.mapping.as_ref().filter(|_| self.is_checked(group))?;
        let header = mapping.slice(position, FRAME_HEADER_LEN)?;
        let [0, _, _, _, s0, s1, s2, s3, ..] = *header else { return None };
        let stored_len = u32::from_le_bytes([s0, s1, s2, s3]) as usize;
        let start = position + FRAME_HEADER_LEN as u64;
        Some((mapping.slice(start, stored_len)?, start + stored_len as u64))
    }

    /// The frame at a position of a group: its block, and where the next frame begins.
    pub(crate) fn frame(&self, group: usize, position: u64) -> Result<(Block, u64)> {
        let corrupt = |cause| Error::corrupt(&self.path, position, cause);
        let mut header = [0; FRAME_HEADER_LEN];
        match self.mapping.as_ref().and_then(|map| map.slice(position, FRAME_HEADER_LEN)) {
            Some(mapped) => header.copy_from_slice(mapped),
            None => self.file.read_exact_at(position, &mut header)?,
        }
        let [codec, z0, z1, z2, s0, s1, s2, s3, r0, r1, r2, r3, ..] = header;
        let stored_len = u32::from_le_bytes([s0, s1, s2, s3]) as usize;
        let raw_len = u32::from_le_bytes([r0, r1, r2, r3]) as usize;
        let start = position + FRAME_HEADER_LEN as u64;
        let next = start + stored_len as u64;
        if [z0, z1, z2] != [0; 3] || raw_len > BLOCK_LEN_MAX || next > self.footer.frames_len {
            return Err(corrupt("a frame's header is not one"));
        }
        let codec = CodecId::new(codec);
        let mapped = self.mapping.as_ref().and_then(|map| map.bytes(start, stored_len));
        if let (Some(bytes), CodecId::NONE) = (&mapped, codec) {
            // The kernel's page cache is the cache.
            if !self.is_checked(group) {
                self.check(&header, bytes, position)?;
                let next_group = self.group_span(group).map(|span| span.1);
                if next_group == Some(next) && self.group_span(group).map(|s| s.0) == Some(position)
                {
                    self.set_checked(group);
                }
            }
            let block = Block::open(bytes.clone()).ok_or(corrupt("a block is not one"))?;
            return Ok((block, next));
        }
        if let Some(block) = self.cache.get(&(self.facts.id, position)) {
            return Ok((block, next));
        }
        let stored = match mapped {
            Some(bytes) => bytes,
            None => {
                let mut bytes = vec![0; stored_len];
                self.file.read_exact_at(start, &mut bytes)?;
                bytes.into()
            }
        };
        self.check(&header, &stored, position)?;
        let content = if codec == CodecId::NONE {
            stored
        } else {
            let mut content = Vec::with_capacity(raw_len);
            self.codecs.get(codec)?.decompress(&stored, raw_len, &mut content)?;
            content.into()
        };
        let block = Block::open(content).ok_or(corrupt("a block is not one"))?;
        self.cache.insert((self.facts.id, position), block.clone());
        Ok((block, next))
    }

    fn check(&self, header: &[u8; FRAME_HEADER_LEN], stored: &[u8], position: u64) -> Result<()> {
        let mut hasher = self.crc.hasher();
        hasher.update(&header[..12]);
        hasher.update(stored);
        if hasher.finalize().to_le_bytes() != header[12..] {
            return Err(Error::corrupt(&self.path, position, "a frame's CRC is wrong"));
        }
        Ok(())
    }

    fn is_checked(&self, group: usize) -> bool {
        let word = self.checked.get(group / 64).map_or(0, |word| word.load(Ordering::Relaxed));
        word & (1 << (group % 64)) != 0
    }

    fn set_checked(&self, group: usize) {
        if let Some(word) = self.checked.get(group / 64) {
            word.fetch_or(1 << (group % 64), Ordering::Relaxed);
        }
    }

    /// Reads every block and checks order, sums and counts.
    pub(crate) fn verify(self: &Arc<Self>) -> Result<()> {
        let corrupt = |cause| Error::corrupt(&self.path, 0, cause);
        self.checked.iter().for_each(|word| word.store(0, Ordering::Relaxed));
        let mut cursor = TableCursor::new(self.clone());
        cursor.go_to_group(0)?;
        let (mut versions, mut weight) = (0, 0);
        let mut last: Option<Entry> = None;
        while let Some(entry) = cursor.entry() {
            let in_order =
                last.as_ref().is_none_or(|last| last.as_ref().is_before(entry.key, entry.sequence));
            if !in_order {
                return Err(corrupt("its versions are out of order"));
            }
            if !self.may_contain(cairn_index::key_hash(entry.key)) {
                return Err(corrupt("its filter denies a key that it has"));
            }
            versions += 1;
            weight += i64::from(entry.weight);
            last = Some(entry.to_entry());
            cursor.advance()?;
        }
        if (versions, weight) != (self.footer.versions, self.footer.weight) {
            return Err(corrupt("its versions are not as many as its footer says"));
        }
        Ok(())
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }
}
