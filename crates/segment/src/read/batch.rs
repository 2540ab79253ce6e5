//! Batches ready to be read, and a small cache of those that had to be copied or decompressed.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use cairn_codec::{BatchHeader, BatchView, CodecId, StatementCursor};
use cairn_types::{Lsn, SegmentId};

use crate::segment::{Segment, StoredBatch};
use crate::store::Store;
use crate::{Error, IoMode, Result};

/// A batch whose payloads are at hand.
#[derive(Debug)]
pub(crate) struct LoadedBatch {
    pub(crate) header: BatchHeader,
    pub(crate) body: Bytes,
    /// The raw payload section.
    pub(crate) payloads: Bytes,
    /// Where the batch after it begins, in the same segment.
    pub(crate) next_position: u64,
    pub(crate) ordinal: usize,
}

impl LoadedBatch {
    pub(crate) fn statements(&self) -> &[u8] {
        &self.body[..self.header.statements_len as usize]
    }

    pub(crate) fn seek(&self, lsn: Lsn) -> Result<StatementCursor> {
        let index = u32::try_from(lsn.get() - self.header.first_lsn.get()).unwrap_or(u32::MAX);
        Ok(BatchView::new(&self.header, &self.body)?.seek(index)?)
    }

    pub(crate) fn contains(&self, lsn: Lsn) -> bool {
        self.header.first_lsn <= lsn && lsn < self.header.end_lsn()
    }
}

/// A segment as one file: the cleaner puts another file in its place, where positions differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileId {
    segment: SegmentId,
    rewrites: u64,
}

type Cached = (FileId, u64, Arc<LoadedBatch>);

/// Loads batches.
#[derive(Debug)]
pub(crate) struct Batches {
    store: Arc<Store>,
    cache: Mutex<VecDeque<Cached>>,
    /// Batches in the cache. Mapped logs without compression never put one there, and their
    /// readers need not take the lock.
    cached_count: AtomicUsize,
}

/// Bytes of a batch that is read whole, where nothing is mapped, to look at one of its records.
const UNMAPPED_LEN_MAX: usize = 4096;

/// Decoded batches that are kept at most, besides the byte budget.
const CACHED_COUNT_MAX: usize = 64;

impl Batches {
    pub(crate) fn new(store: Arc<Store>) -> Self {
        Self { store, cache: Mutex::new(VecDeque::new()), cached_count: AtomicUsize::new(0) }
    }

    /// The batch at a position of a segment.
    pub(crate) fn load(
        &self,
        segment: &Segment,
        position: u64,
        ordinal: usize,
    ) -> Result<Arc<LoadedBatch>> {
        let mapped = self.store.config.io == IoMode::Map && self.store.vfs.supports_map();
        let id = FileId { segment: segment.header.id, rewrites: segment.header.rewrites };
        if let Some(batch) = self.cached(id, position) {
            return Ok(batch);
        }
        let StoredBatch { header, body } = segment.read_batch(position, ordinal)?;
        let body = if header.sealed {
            let opened = self.store.registry.plain_body(&header, &body, &segment.crc);
            let damaged = |error: cairn_codec::Error| {
                Error::corrupt(segment.path.clone(), position, error.to_string())
            };
            opened.map_err(damaged)?.into_owned().into()
        } else {
            body
        };
        let stored = body.slice(header.statements_len as usize..);
        let plain = header.codec == CodecId::NONE;
        let payloads = if plain {
            stored
        } else {
            let mut raw = Vec::new();
            let codec = self.store.registry.get(header.codec)?;
            codec.decompress(&stored, header.raw_len as usize, &mut raw).map_err(|error| {
                Error::corrupt(segment.path.clone(), position, error.to_string())
            })?;
            raw.into()
        };
        let next_position = position + header.total_len() as u64;
        let header_sealed = header.sealed;
        let batch = Arc::new(LoadedBatch { header, body, payloads, next_position, ordinal });
        if !(plain && mapped) || header_sealed {
            self.keep(id, position, &batch);
        }
        Ok(batch)
    }

    /// The batch at a position of a segment, if it can be read where it lies: neither compressed
    /// nor sealed, and mapped or short.
    pub(crate) fn load_in_place(
        &self,
        segment: &Segment,
        position: u64,
        ordinal: usize,
    ) -> Result<Option<LoadedBatch>> {
        let is_plain = |header: &BatchHeader, mapped: bool| {
            !header.sealed
                && header.codec == CodecId::NONE
                && (mapped || header.body_len() <= UNMAPPED_LEN_MAX)
        };
        let Some(StoredBatch { header, body }) =
            segment.read_batch_if(position, ordinal, is_plain)?
        else {
            return Ok(None);
        };
        let payloads = body.slice(header.statements_len as usize..);
        let next_position = position + header.total_len() as u64;
        Ok(Some(LoadedBatch { header, body, payloads, next_position, ordinal }))
    }

    fn cached(&self, file: FileId, position: u64) -> Option<Arc<LoadedBatch>> {
        if self.cached_count.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let hit = cache.iter().rev().find(|(id, at, _)| *id == file && *at == position);
        hit.map(|(_, _, batch)| batch.clone())
    }

    fn keep(&self, file: FileId, position: u64, batch: &Arc<LoadedBatch>) {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.push_back((file, position, batch.clone()));
        let size = |batch: &LoadedBatch| batch.body.len() + batch.payloads.len();
        let mut total: usize = cache.iter().map(|(_, _, batch)| size(batch)).sum();
        // The newest one stays even if it is too large: reading its records one by one would load
        // it for each.
        let budget = self.store.config.batch_cache_len;
        let least = usize::from(budget > 0);
        while cache.len() > least && (cache.len() > CACHED_COUNT_MAX || total > budget) {
            let Some((_, _, dropped)) = cache.pop_front() else { break };
            total -= size(&dropped);
        }
        self.cached_count.store(cache.len(), Ordering::Relaxed);
    }

    /// Forgets batches of a segment whose file was replaced.
    pub(crate) fn forget(&self, segment: SegmentId) {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.retain(|(id, _, _)| id.segment != segment);
    }
}
