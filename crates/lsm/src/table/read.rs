//! Reading a table: through a mapping where the file system can, else through a cache of blocks.
//! Derived. A block is used only after its CRC was checked.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use cairn_codec::{CodecId, CodecRegistry, SaltedCrc};
use cairn_vfs::{Mapping, OpenMode, Vfs, VfsFile};

use super::footer::FOOTER_LEN;
use super::parts::Parts;
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
    footer: Footer,
    parts: OnceLock<Parts>,
    crc: SaltedCrc,
    codecs: CodecRegistry,
    cache: Arc<BlockCache>,
}

impl Table {
    /// Opens a table and checks that it is the one that the manifest means.
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
        let (codecs, cache) = (codecs.clone(), cache.clone());
        let parts = OnceLock::new();
        Ok(Self { facts, path, file, mapping, footer, parts, crc, codecs, cache })
    }

    /// What leads to the blocks; read when it is first needed.
    pub(super) fn parts(&self) -> Result<&Parts> {
        if let Some(parts) = self.parts.get() {
            return Ok(parts);
        }
        let read = |position, len| self.read_part(position, len);
        let parts = Parts::load(&self.path, &self.footer, &self.crc, read)?;
        Ok(self.parts.get_or_init(|| parts))
    }

    fn read_part(&self, position: u64, len: u64) -> Result<Bytes> {
        let too_long = || Error::corrupt(&self.path, position, "a part does not fit memory");
        let len = usize::try_from(len).map_err(|_| too_long())?;
        if let Some(bytes) = self.mapping.as_ref().and_then(|map| map.bytes(position, len)) {
            return Ok(bytes);
        }
        let mut bytes = vec![0; len];
        self.file.read_exact_at(position, &mut bytes)?;
        Ok(bytes.into())
    }

    /// Whether a key lies between its first and its last one.
    pub(crate) fn spans(&self, key: &[u8]) -> bool {
        *key >= *self.facts.first_key && *key <= *self.facts.last_key
    }

    /// Whether it may hold a key, by the hash of the key; `false` is certain.
    pub(crate) fn may_contain(&self, hash: u64) -> Result<bool> {
        Ok(self.parts()?.may_contain(hash))
    }

    /// The sum of the weights of all keys below this one.
    pub(crate) fn weight_below(self: &Arc<Self>, key: &[u8]) -> Result<i64> {
        let parts = self.parts()?;
        let Some(group) = parts.find_group(key) else { return Ok(0) };
        let mut sum = parts.sum_before(group);
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
        let parts = self.parts()?;
        let Some(group) = parts.find_group(key) else { return Ok(false) };
        let Some((mut position, end)) = parts.group_span(group) else { return Ok(false) };
        let is_checked = parts.is_checked(group);
        while position < end {
            let checked = if is_checked { self.checked_slice(position) } else { None };
            let (got, next) = match checked {
                Some((bytes, next)) => {
                    let view = BlockView::open(bytes);
                    (
                        view.and_then(|view| view.get(key, sequence)).map(|got| show(&got, look)),
                        next,
                    )
                }
                None => {
                    let (block, next) = self.frame(group, position)?;
                    (block.view().get(key, sequence).map(|got| show(&got, look)), next)
                }
            };
            match got {
                Some(Some(found)) => return Ok(found),
                Some(None) => position = next,
                None => return Err(Error::corrupt(&self.path, position, "a block is not one")),
            }
        }
        Ok(false)
    }

    /// The content of an uncompressed frame that is mapped and was checked before, and where the
    /// next frame begins.
    fn checked_slice(&self, position: u64) -> Option<(&[u8], u64)> {
        let mapping = self.mapping.as_ref()?;
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
            let parts = self.parts()?;
            if !parts.is_checked(group) {
                self.check(&header, bytes, position)?;
                if parts.group_span(group) == Some((position, next)) {
                    parts.set_checked(group);
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

    /// Reads every block and checks order, sums and counts.
    pub(crate) fn verify(self: &Arc<Self>) -> Result<()> {
        let corrupt = |cause| Error::corrupt(&self.path, 0, cause);
        let parts = self.parts()?;
        parts.forget_checks();
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
            if !parts.may_contain(cairn_index::key_hash(entry.key)) {
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

/// Shows what a block has of a key; whether it has any, or `None` when the next block says.
fn show(got: &Got<'_>, look: &mut dyn FnMut(&EntryRef<'_>)) -> Option<bool> {
    match got {
        Got::Found(entry) => {
            look(entry);
            Some(true)
        }
        Got::Absent => Some(false),
        Got::AtEnd => None,
    }
}
