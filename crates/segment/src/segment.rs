//! One segment file as readers and the writer share it: bytes below a published end, and the
//! index over them. The bytes are truth, the index is derived and rebuilt when it is absent.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use cairn_codec::{BATCH_HEADER_LEN, BatchHeader, SaltedCrc};
use cairn_types::{ChainHash, Lsn, StreamId, Timestamp};
use cairn_vfs::{Mapping, OpenMode, VfsFile};

use crate::append::Buffer;
use crate::checked::CheckedBatches;
use crate::format::segment_header::{SEGMENT_HEADER_LEN, SegmentHeader};
use crate::format::{index_path, segment_path};
use crate::format::seal::Seal;
use crate::segment_index::SegmentIndex;
use crate::mutation::Mutation;
use crate::recover::scan;
use crate::store::Store;
use crate::{Corruption, Error, IoMode, Result};

/// One segment file.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) header: SegmentHeader,
    pub(crate) crc: SaltedCrc,
    pub(crate) path: String,
    pub(crate) file: Arc<dyn VfsFile>,
    mapping: Option<Mapping>,
    /// End of the readable batches.
    end: AtomicU64,
    end_lsn: AtomicU64,
    end_chain: RwLock<ChainHash>,
    index: RwLock<Option<SegmentIndex>>,
    checked: CheckedBatches,
    skip_crc: bool,
}

/// What the log needs to know of a segment when it is opened.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    pub(crate) next_sequences: Vec<(StreamId, u64)>,
    pub(crate) last_commit_time: Timestamp,
    pub(crate) checkpoint_count: u64,
}

/// A batch as stored: its header and the body, without a copy when the file is mapped.
#[derive(Debug, Clone)]
pub(crate) struct StoredBatch {
    pub(crate) header: BatchHeader,
    pub(crate) body: Bytes,
}

impl Segment {
    /// Creates the file of a new segment under its temporary name, with its header.
    pub(crate) fn create(store: &Store, header: SegmentHeader, capacity: u64) -> Result<Self> {
        let path = segment_path(header.id);
        let temporary = format!("{path}.tmp");
        if store.vfs.exists(&temporary)? {
            store.vfs.remove(&temporary)?;
        }
        let file = store.vfs.open(&temporary, OpenMode::Create)?;
        file.write_all_at(0, &header.encode())?;
        let end = SEGMENT_HEADER_LEN as u64;
        let (base, chain) = (header.base_lsn, header.prev_chain);
        let index = SegmentIndex::growing(base);
        Self::build(store, header, file, (end, base, chain), capacity, Some(index))
    }

    /// A segment whose batches end at `end`.
    pub(crate) fn open(
        store: &Store,
        header: SegmentHeader,
        file: Arc<dyn VfsFile>,
        end: u64,
        end_lsn: Lsn,
        end_chain: ChainHash,
    ) -> Result<Self> {
        Self::build(store, header, file, (end, end_lsn, end_chain), end, None)
    }

    fn build(
        store: &Store,
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
            path: segment_path(header.id),
            header,
            file,
            mapping,
            end: end.into(),
            end_lsn: end_lsn.get().into(),
            end_chain: RwLock::new(end_chain),
            index: RwLock::new(index),
            checked: CheckedBatches::default(),
            skip_crc: store.mutations.has(Mutation::SkipBodyCrc),
        })
    }

    /// Gives a created segment its name.
    pub(crate) fn appear(&self, store: &Store) -> Result<()> {
        store.vfs.rename(&format!("{}.tmp", self.path), &self.path)?;
        store.sync_log_dir()
    }

    /// Removes a segment that could not be completed; a leftover is removed at the next open.
    pub(crate) fn abandon(&self, store: &Store) {
        let temporary = format!("{}.tmp", self.path);
        if store.vfs.remove(&temporary).is_err() {
            // Nothing more can be done here, and the next open sweeps temporary files.
        }
    }

    pub(crate) fn write(&self, position: u64, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        Ok(self.file.write_all_at(position, bytes)?)
    }

    pub(crate) fn sync(&self) -> Result<()> {
        Ok(self.file.sync_data()?)
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
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        let index = index.as_mut().expect("a segment that takes writes has its index");
        index.add_buffer(buffer);
        self.end.store(end, Ordering::Release);
        self.end_lsn.store(index.next_lsn().get(), Ordering::Release);
    }

    /// Makes batches readable that another process wrote.
    pub(crate) fn extend(&self, end: u64, end_chain: ChainHash, batches: &Buffer) {
        *self.end_chain.write().unwrap_or_else(PoisonError::into_inner) = end_chain;
        self.publish(batches, end);
    }

    /// Writes the index file and returns the segment in its sealed form.
    pub(crate) fn seal(&self, store: &Store, seal: &Seal) -> Result<Arc<Self>> {
        let index = self.index.write().unwrap_or_else(PoisonError::into_inner).take();
        let (header, file) = (self.header.clone(), self.file.clone());
        let sealed = Self::open(store, header, file, seal.position, seal.end_lsn, seal.chain)?;
        // Readers that still hold the growing form find its index again in the sealed file.
        sealed.adopt_index(store, index);
        let kept = Self::load_index(&sealed, store)?;
        *self.index.write().unwrap_or_else(PoisonError::into_inner) = Some(kept);
        Ok(Arc::new(sealed))
    }

    /// Saves an index that was built while reading, if there is one.
    pub(crate) fn adopt_index(&self, store: &Store, index: Option<SegmentIndex>) {
        let Some(index) = index else { return };
        let bytes = index.encode(&self.header, self.end());
        // The index is derived: a failed or torn write only costs a rebuild.
        let saved = store.write_whole(&index_path(self.header.id), &bytes);
        let adopted = match saved {
            Ok(()) => index,
            Err(_) => index,
        };
        *self.index.write().unwrap_or_else(PoisonError::into_inner) = Some(adopted);
    }
}
