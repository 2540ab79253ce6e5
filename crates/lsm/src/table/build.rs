//! Writing a table. Derived.

use std::sync::Arc;

use bytes::Bytes;
use cairn_codec::{Codec, CodecId, SaltedCrc};
use cairn_index::{FilterBuilder, SparseBuilder};
use cairn_vfs::{OpenMode, Vfs, VfsFile};

use super::{FRAME_HEADER_LEN, Footer, file_name, salt};
use crate::block::BlockBuilder;
use crate::entry::EntryRef;
use crate::{Error, Result};

/// How tables are written.
#[derive(Debug, Clone)]
pub(crate) struct TableOptions {
    /// Content after which a block ends.
    pub(crate) block_len: usize,
    /// Bits of the filter for each key.
    pub(crate) filter_bits: u32,
    /// Compresses blocks.
    pub(crate) codec: Arc<dyn Codec>,
}

/// A block that has grown to so many times its length is cut within a key.
const CUT_WITHIN_KEY: usize = 4;

/// Bytes collected before they are written.
const WRITE_LEN: usize = 256 << 10;

/// Facts of a finished table, as the manifest keeps them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Built {
    pub(crate) id: u64,
    pub(crate) len: u64,
    pub(crate) versions: u64,
    pub(crate) weight: i64,
    pub(crate) sequence_max: u64,
    pub(crate) reference_min: u64,
    pub(crate) first_key: Bytes,
    pub(crate) last_key: Bytes,
}

/// Writes versions in order into a new file, which is removed again unless it is finished.
#[derive(Debug)]
pub(crate) struct TableBuilder {
    id: u64,
    unfinished: Unfinished,
    file: Arc<dyn VfsFile>,
    options: TableOptions,
    crc: SaltedCrc,
    block: BlockBuilder,
    /// The block continues the key that the one before was cut within.
    continues: bool,
    filter: FilterBuilder,
    sparse: SparseBuilder,
    sums: Vec<u8>,
    sum: i64,
    first_key: Option<Bytes>,
    last_key: Vec<u8>,
    versions: u64,
    sequence_max: u64,
    reference_min: u64,
    pending: Vec<u8>,
    written: u64,
    content: Vec<u8>,
}

/// A file that goes with its builder.
#[derive(Debug)]
struct Unfinished {
    vfs: Arc<dyn Vfs>,
    path: Option<String>,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(path) = self.path.take() {
            // One that stays goes at the next open.
            let _left_for_the_next_open = self.vfs.remove(&path);
        }
    }
}

impl TableBuilder {
    pub(crate) fn create(
        vfs: &Arc<dyn Vfs>,
        dir: &str,
        id: u64,
        options: &TableOptions,
    ) -> Result<Self> {
        let path = format!("{dir}/{}", file_name(id));
        let file = vfs.open(&path, OpenMode::Create)?;
        Ok(Self {
            id,
            unfinished: Unfinished { vfs: vfs.clone(), path: Some(path) },
            file,
            crc: salt(id),
            block: BlockBuilder::default(),
            continues: false,
            filter: FilterBuilder::new(options.filter_bits),
            sparse: SparseBuilder::every(1),
            sums: Vec::new(),
            sum: 0,
            first_key: None,
            last_key: Vec::new(),
            versions: 0,
            sequence_max: 0,
            reference_min: u64::MAX,
            pending: Vec::with_capacity(WRITE_LEN * 2),
            written: 0,
            content: Vec::new(),
            options: options.clone(),
        })
    }

    /// Bytes so far.
    pub(crate) fn len(&self) -> u64 {
        self.written + self.pending.len() as u64 + self.block.len() as u64
    }

    /// The last key that was added.
    pub(crate) fn last_key(&self) -> &[u8] {
        &self.last_key
    }

    /// Adds the next version.
    pub(crate) fn push(&mut self, entry: &EntryRef<'_>) -> Result<()> {
        let is_new_key = self.versions == 0 || entry.key != self.last_key;
        let len = self.block.len();
        let is_full = len >= self.options.block_len || !self.block.has_room();
        let is_overfull = len >= self.options.block_len * CUT_WITHIN_KEY || !self.block.has_room();
        if !self.block.is_empty() && ((is_full && is_new_key) || is_overfull) {
            self.end_block()?;
            self.continues = !is_new_key;
        }
        if self.block.is_empty() && !self.continues {
            self.sparse.add(entry.key, self.position())?;
            self.sums.extend_from_slice(&self.sum.to_le_bytes());
        }
        if is_new_key {
            self.filter.add(entry.key);
            self.last_key.clear();
            self.last_key.extend_from_slice(entry.key);
            if self.first_key.is_none() {
                self.first_key = Some(Bytes::copy_from_slice(entry.key));
            }
        }
        self.block.push(entry);
        self.sum += i64::from(entry.weight);
        self.versions += 1;
        self.sequence_max = self.sequence_max.max(entry.sequence);
        self.reference_min = self.reference_min.min(entry.reference);
        Ok(())
    }

    fn position(&self) -> u64 {
        self.written + self.pending.len() as u64
    }

    fn end_block(&mut self) -> Result<()> {
        self.content.clear();
        self.block.finish(&mut self.content);
        let start = self.pending.len();
        self.pending.extend_from_slice(&[0; FRAME_HEADER_LEN]);
        let mut codec = self.options.codec.id();
        if codec != CodecId::NONE {
            self.options.codec.compress(&self.content, &mut self.pending)?;
        }
        // What does not shrink is stored as it is.
        if codec == CodecId::NONE
            || self.pending.len() - start - FRAME_HEADER_LEN >= self.content.len()
        {
            self.pending.truncate(start + FRAME_HEADER_LEN);
            self.pending.extend_from_slice(&self.content);
            codec = CodecId::NONE;
        }
        let stored = self.pending.len() - start - FRAME_HEADER_LEN;
        let lens = (u32::try_from(stored), u32::try_from(self.content.len()));
        let (Ok(stored_len), Ok(raw_len)) = lens else {
            let (found, limit) = (stored as u64, u64::from(u32::MAX));
            return Err(Error::TooLarge { what: "a block of a table", found, limit });
        };
        let frame = &mut self.pending[start..];
        frame[0] = codec.get();
        frame[4..8].copy_from_slice(&stored_len.to_le_bytes());
        frame[8..12].copy_from_slice(&raw_len.to_le_bytes());
        let mut hasher = self.crc.hasher();
        hasher.update(&frame[..12]);
        hasher.update(&frame[FRAME_HEADER_LEN..]);
        let check = hasher.finalize();
        frame[12..16].copy_from_slice(&check.to_le_bytes());
        if self.pending.len() >= WRITE_LEN {
            self.write_pending()?;
        }
        Ok(())
    }

    fn write_pending(&mut self) -> Result<()> {
        self.file.write_all_at(self.written, &self.pending)?;
        self.written += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    /// Writes the rest and syncs the file. Its name is durable once the directory is synced.
    pub(crate) fn finish(mut self) -> Result<Built> {
        if !self.block.is_empty() {
            self.end_block()?;
        }
        let frames_len = self.position();
        let filter = self.filter.build();
        let groups = self.sparse.len() as u64;
        let sparse = self.sparse.build(frames_len)?;
        let footer = Footer {
            frames_len,
            filter_len: filter.len() as u64,
            sparse_len: sparse.len() as u64,
            groups,
            versions: self.versions,
            weight: self.sum,
            sequence_max: self.sequence_max,
            reference_min: self.reference_min,
            sums_crc: self.crc.checksum(&self.sums),
        };
        self.pending.extend_from_slice(&filter);
        self.pending.extend_from_slice(&sparse);
        let sums = std::mem::take(&mut self.sums);
        self.pending.extend_from_slice(&sums);
        self.pending.extend_from_slice(&footer.encode(&self.crc));
        self.file.write_all_at(self.written, &self.pending)?;
        self.file.sync_all()?;
        self.unfinished.path = None;
        Ok(Built {
            id: self.id,
            len: self.written + self.pending.len() as u64,
            versions: self.versions,
            weight: self.sum,
            sequence_max: self.sequence_max,
            reference_min: self.reference_min,
            first_key: self.first_key.unwrap_or_default(),
            last_key: self.last_key.into(),
        })
    }
}
