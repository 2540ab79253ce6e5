//! One segment file as readers and the writer share it: bytes below a published end, and the
//! index over them. The bytes are truth, the index is derived and rebuilt when it is absent.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use cairn_codec::{BATCH_HEADER_LEN, BatchHeader, FileCipher, SaltedCrc};
use cairn_types::{ChainHash, Lsn};
use cairn_vfs::{Mapping, OpenMode, VfsFile};

use crate::append::Buffer;
use crate::format::seal::{SEAL_LEN, Seal};
use crate::format::segment_header::{SEGMENT_HEADER_LEN, SegmentHeader};
use crate::format::{index_path, segment_path};
use crate::mutation::Mutation;
use crate::observe::ENABLED;
use crate::recover::{SegmentFile, scan};
use crate::segment_index::SegmentIndex;
use crate::store::{Store, read_whole};
use crate::{Corruption, Error, IoMode, Result};

/// Largest index file that is believed: far above what a full segment needs.
const INDEX_LEN_MAX: u64 = 1 << 30;

/// One segment file.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) header: SegmentHeader,
    pub(crate) crc: SaltedCrc,
    pub(crate) path: String,
    pub(crate) file: Arc<dyn VfsFile>,
    pub(crate) store: Arc<Store>,
    /// Seals the batches of a segment that this process writes, when there is a key.
    pub(crate) sealer: Option<FileCipher>,
    mapping: Option<Mapping>,
    /// End of the readable batches.
    end: AtomicU64,
    end_lsn: AtomicU64,
    end_chain: RwLock<ChainHash>,
    index: RwLock<Option<SegmentIndex>>,
    checked: CheckedBatches,
}

/// Which batches had their body's CRC checked since the segment was opened, one bit each. Only
/// for mapped segments: other reads are checked every time.
#[derive(Debug, Default)]
struct CheckedBatches {
    bits: RwLock<Vec<AtomicU64>>,
}

impl CheckedBatches {
    fn contains(&self, ordinal: usize) -> bool {
        let bits = self.bits.read().unwrap_or_else(PoisonError::into_inner);
        bits.get(ordinal / 64)
            .is_some_and(|word| word.load(Ordering::Relaxed) & (1 << (ordinal % 64)) != 0)
    }

    fn insert(&self, ordinal: usize) {
        let word = ordinal / 64;
        let grown = self.bits.read().unwrap_or_else(PoisonError::into_inner).len() > word;
        if !grown {
            let mut bits = self.bits.write().unwrap_or_else(PoisonError::into_inner);
            let len = bits.len().max((word + 1).next_power_of_two());
            bits.resize_with(len, AtomicU64::default);
        }
        let bits = self.bits.read().unwrap_or_else(PoisonError::into_inner);
        bits[word].fetch_or(1 << (ordinal % 64), Ordering::Relaxed);
    }
}

/// A batch as stored: its header and the body, without a copy when the file is mapped.
#[derive(Debug, Clone)]
pub(crate) struct StoredBatch {
    pub(crate) header: BatchHeader,
    pub(crate) body: Bytes,
}

impl Segment {
    /// Creates the file of a new segment under its temporary name, with its header.
    pub(crate) fn create(store: &Arc<Store>, header: SegmentHeader, capacity: u64) -> Result<Self> {
        let temporary = format!("{}.tmp", segment_path(header.id));
        if store.vfs.exists(&temporary)? {
            store.vfs.remove(&temporary)?;
        }
        let file = store.vfs.open(&temporary, OpenMode::Create)?;
        file.write_all_at(0, &header.encode())?;
        let end = SEGMENT_HEADER_LEN as u64;
        let (base, chain) = (header.base_lsn, header.prev_chain);
        let index = SegmentIndex::growing(base);
        let built = Self::build(store, header, file, (end, base, chain), capacity, Some(index))?;
        // The salt is fresh and the file empty: counters begin at 0 and are used by nobody else.
        Ok(Self { sealer: store.registry.sealer(&built.crc), ..built })
    }

    /// A segment whose batches end at `end`.
    pub(crate) fn open(
        store: &Arc<Store>,
        header: SegmentHeader,
        file: Arc<dyn VfsFile>,
        end: u64,
        end_lsn: Lsn,
        end_chain: ChainHash,
    ) -> Result<Self> {
        Self::build(store, header, file, (end, end_lsn, end_chain), end, None)
    }

    /// A segment that another one follows; where it ends stands in the next one's header, or
    /// in its own seal when the cleaner rewrote it.
    pub(crate) fn open_complete(
        store: &Arc<Store>,
        file: SegmentFile,
        next: &SegmentHeader,
    ) -> Result<Self> {
        let end =
            if file.header.rewrites == 0 { next.prev_end } else { rewritten_end(&file, next)? };
        Self::open(store, file.header, file.file, end, next.base_lsn, next.prev_chain)
    }

    /// The last segment of a log that another process writes, read from its beginning.
    pub(crate) fn open_growing(store: &Arc<Store>, file: SegmentFile) -> Result<Self> {
        let end = SEGMENT_HEADER_LEN as u64;
        let (base, chain) = (file.header.base_lsn, file.header.prev_chain);
        let index = SegmentIndex::growing(base);
        Self::build(store, file.header, file.file, (end, base, chain), end, Some(index))
    }

    fn build(
        store: &Arc<Store>,
        header: SegmentHeader,
        file: Arc<dyn VfsFile>,
        (end, end_lsn, end_chain): (u64, Lsn, ChainHash),
        capacity: u64,
        index: Option<SegmentIndex>,
    ) -> Result<Self> {
        let wants_map = store.config.io == IoMode::Map && store.vfs.supports_map();
        let mapping = if wants_map { Some(file.map(capacity)?) } else { None };
        if let Some(mapping) = &mapping {
            mapping.set_limit(end);
        }
        Ok(Self {
            crc: header.crc(),
            sealer: None,
            path: segment_path(header.id),
            header,
            file,
            store: store.clone(),
            mapping,
            end: end.into(),
            end_lsn: end_lsn.get().into(),
            end_chain: RwLock::new(end_chain),
            index: RwLock::new(index),
            checked: CheckedBatches::default(),
        })
    }

    /// Gives a created segment its name.
    pub(crate) fn appear(&self) -> Result<()> {
        self.store.vfs.rename(&format!("{}.tmp", self.path), &self.path)?;
        self.store.sync_log_dir()
    }

    /// Removes a segment that could not be completed. What cannot be removed now is swept at
    /// the next open.
    pub(crate) fn abandon(&self) {
        let _swept_later = self.store.vfs.remove(&format!("{}.tmp", self.path));
    }

    pub(crate) fn write(&self, position: u64, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        Ok(self.file.write_all_at(position, bytes)?)
    }

    pub(crate) fn sync(&self) -> Result<()> {
        let counters = &self.store.counters;
        counters.syncs.increment(1);
        if !ENABLED {
            return Ok(self.file.sync_data()?);
        }
        let before = self.store.clock.monotonic();
        let outcome = self.file.sync_data();
        let took = self.store.clock.monotonic().saturating_sub(before);
        counters.sync_seconds.record(took.as_secs_f64());
        Ok(outcome?)
    }

    pub(crate) fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    pub(crate) fn end_lsn(&self) -> Lsn {
        Lsn::new(self.end_lsn.load(Ordering::Acquire))
    }

    pub(crate) fn end_chain(&self) -> ChainHash {
        *self.end_chain.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes written batches readable.
    pub(crate) fn publish(&self, buffer: &Buffer, end: u64) {
        if let Some(mapping) = &self.mapping {
            mapping.set_limit(end);
        }
        let mut guard = self.index.write().unwrap_or_else(PoisonError::into_inner);
        let index = guard.as_mut().expect("a segment that takes writes has its index");
        index.add_buffer(buffer);
        self.end.store(end, Ordering::Release);
        self.end_lsn.store(index.next_lsn().get(), Ordering::Release);
    }

    /// Makes one more batch readable that another process wrote.
    pub(crate) fn extend(
        &self,
        end: u64,
        add: impl FnOnce(&mut SegmentIndex) -> Result<()>,
    ) -> Result<()> {
        let mut guard = self.index.write().unwrap_or_else(PoisonError::into_inner);
        let index = guard.as_mut().expect("a growing segment has its index");
        add(index)?;
        self.end.store(end, Ordering::Release);
        self.end_lsn.store(index.next_lsn().get(), Ordering::Release);
        Ok(())
    }

    /// Notes the chain value at the end and saves the index beside the segment.
    pub(crate) fn settle(&self, end_chain: ChainHash) {
        *self.end_chain.write().unwrap_or_else(PoisonError::into_inner) = end_chain;
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = index.as_ref() {
            self.save_index(index);
        }
    }

    /// Takes over an index that was built while the segment was scanned.
    pub(crate) fn adopt_index(&self, index: SegmentIndex) {
        self.save_index(&index);
        *self.index.write().unwrap_or_else(PoisonError::into_inner) = Some(index);
    }

    /// The index is derived: a failed or torn write only costs a rebuild at the next open.
    fn save_index(&self, index: &SegmentIndex) {
        if self.store.read_only {
            return;
        }
        let bytes = index.encode(&self.header, self.end());
        let _rebuilt_when_absent = self.store.write_whole(&index_path(self.header.id), &bytes);
    }

    /// Runs `look` on the index, loading or rebuilding it first when needed.
    pub(crate) fn with_index<T>(&self, look: impl FnOnce(&SegmentIndex) -> T) -> Result<T> {
        {
            let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(index) = index.as_ref() {
                return Ok(look(index));
            }
        }
        let mut guard = self.index.write().unwrap_or_else(PoisonError::into_inner);
        if guard.is_none() {
            *guard = Some(self.load_index()?);
        }
        Ok(look(guard.as_ref().expect("loaded above")))
    }

    fn load_index(&self) -> Result<SegmentIndex> {
        let path = index_path(self.header.id);
        if let Ok(bytes) = read_whole(&*self.store.vfs, &path, INDEX_LEN_MAX) {
            let index = SegmentIndex::decode(&bytes, &self.header, self.end(), self.end_lsn());
            if let Some(index) = index {
                return Ok(index);
            }
        }
        let mut index = SegmentIndex::growing(self.header.base_lsn);
        let end = self.end();
        let scanned = scan(&self.file, &self.header, true, |batch, position, body| {
            if position >= end {
                return Ok(());
            }
            let body = self.store.registry.plain_body(batch, body, &self.crc)?;
            index.add_batch(batch, position, &body)
        })?;
        if scanned.end < end || index.next_lsn() != self.end_lsn() {
            let cause = "the batches do not reach the segment's end; rebuilding its index failed";
            return Err(Error::Corrupt(
                Corruption::new(self.path.clone(), scanned.end, cause).at_lsn(scanned.end_lsn),
            ));
        }
        self.save_index(&index);
        Ok(index)
    }

    fn bytes(&self, position: u64, len: usize) -> Result<Bytes> {
        if position + len as u64 > self.end() {
            let cause = format!("{len} bytes at this place reach past the segment's end");
            return Err(Error::corrupt(self.path.clone(), position, cause));
        }
        if let Some(bytes) = self.mapping.as_ref().and_then(|map| map.bytes(position, len)) {
            return Ok(bytes);
        }
        let mut bytes = vec![0; len];
        self.file.read_exact_at(position, &mut bytes)?;
        Ok(bytes.into())
    }

    /// Reads the batch at a position and checks it. `ordinal` is its number in the segment.
    pub(crate) fn read_batch(&self, position: u64, ordinal: usize) -> Result<StoredBatch> {
        let found = self.read_batch_if(position, ordinal, |_, _| true)?;
        Ok(found.expect("every batch is wanted"))
    }

    /// As [`read_batch`](Self::read_batch), unless the header is of a batch that is not wanted;
    /// `wanted` is also told whether the segment is mapped.
    pub(crate) fn read_batch_if(
        &self,
        position: u64,
        ordinal: usize,
        wanted: impl FnOnce(&BatchHeader, bool) -> bool,
    ) -> Result<Option<StoredBatch>> {
        let damaged =
            |error: cairn_codec::Error| Error::of_batch(self.path.clone(), position, error);
        let head = self.bytes(position, BATCH_HEADER_LEN)?;
        let header = BatchHeader::decode(&head, &self.crc).map_err(damaged)?;
        if !wanted(&header, self.mapping.is_some()) {
            return Ok(None);
        }
        let body = self.bytes(position + BATCH_HEADER_LEN as u64, header.body_len())?;
        let known = self.mapping.is_some() && self.checked.contains(ordinal);
        if !known && !self.store.mutations.has(Mutation::SkipBodyCrc) {
            header.check_body(&body, &self.crc).map_err(damaged)?;
            if self.mapping.is_some() {
                self.checked.insert(ordinal);
            }
        }
        Ok(Some(StoredBatch { header, body }))
    }
}

/// End of the batches of a segment that the cleaner wrote: its seal is the end of the file.
pub(crate) fn rewritten_end(file: &SegmentFile, next: &SegmentHeader) -> Result<u64> {
    let path = segment_path(file.header.id);
    let position = file.len.saturating_sub(SEAL_LEN as u64);
    let mut bytes = [0; SEAL_LEN];
    file.file.read_exact_at(position, &mut bytes)?;
    let agrees = |seal: &Seal| {
        seal.position == position
            && seal.id == file.header.id
            && seal.end_lsn == next.base_lsn
            && seal.chain == next.prev_chain
    };
    match Seal::decode(&bytes, &file.header.crc()) {
        Ok(seal) if agrees(&seal) => Ok(position),
        Ok(_) => Err(Error::corrupt(path, position, "the seal does not fit the next segment")),
        Err(fault) => Err(Error::corrupt(path, position, format!("seal: {fault}"))),
    }
}
