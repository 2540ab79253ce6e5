//! Verified reads: a record is recomputed together with the chain from the nearest checkpoint
//! before it, so damage and forgery in between are seen without reading the whole log.

use cairn_codec::{RecordKind, verify_batch};
use cairn_types::{ChainHash, Lsn};

use crate::checkpoint::Checkpoint;
use crate::{Corruption, Error, Log, Record, Result};

/// A record with what its verification rested on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedRecord {
    /// The record.
    pub record: Record,
    /// The checkpoint that verification began at; `None` when it began at the log's start.
    pub checkpoint: Option<Lsn>,
    /// Chain value after the batch that holds the record, recomputed from all leaves since.
    pub chain: ChainHash,
    /// Batches that were recomputed.
    pub batch_count: u64,
}

impl Log {
    /// Reads a record and verifies everything from the nearest checkpoint before it up to it:
    /// checksums, payload hashes, leaves, and the chain through every batch in between. The
    /// cost grows with the distance to the checkpoint, not with the log.
    ///
    /// A chain proves nothing against somebody who can rewrite the whole log: compare
    /// checkpoints with copies kept elsewhere.
    ///
    /// # Errors
    /// [`Error::OutOfRange`], or [`Error::Corrupt`] with the first place that does not hold.
    pub fn read_verified(&self, lsn: Lsn) -> Result<VerifiedRecord> {
        let record = self.read(lsn)?;
        let checkpoint = self.checkpoint_before(lsn)?;
        let mut next = checkpoint.unwrap_or_else(|| self.start_lsn());
        let mut chain = None;
        let mut batch_count = 0;
        loop {
            let (segment, batch) = self.batch_of(next)?;
            let corrupt = |cause: String| {
                let position = batch.next_position - batch.header.total_len() as u64;
                Error::Corrupt(
                    Corruption::new(segment.path.clone(), position, cause)
                        .at_lsn(batch.header.first_lsn),
                )
            };
            if chain.is_some_and(|chain| chain != batch.header.prev_hash) {
                return Err(corrupt("the batch does not continue the hash chain".into()));
            }
            // As it is stored: the loaded one may have been opened.
            let position = batch.next_position - batch.header.total_len() as u64;
            let stored = segment.read_batch(position, batch.ordinal)?.body;
            let verified =
                verify_batch(&batch.header, &stored, &self.shared.store.registry, &segment.crc)
                    .map_err(|error| corrupt(error.to_string()))?;
            if chain.is_none() && checkpoint.is_some() {
                let said = self.checkpoint_at(next)?;
                if said != Some(batch.header.prev_hash) {
                    return Err(corrupt("the checkpoint names another chain value".into()));
                }
            }
            batch_count += 1;
            chain = Some(verified.chain);
            next = batch.header.end_lsn();
            if next > lsn {
                let chain = verified.chain;
                return Ok(VerifiedRecord { record, checkpoint, chain, batch_count });
            }
        }
    }

    /// The chain value that the checkpoint record at an LSN states.
    fn checkpoint_at(&self, lsn: Lsn) -> Result<Option<ChainHash>> {
        let record = self.read(lsn)?;
        if record.kind != RecordKind::CHECKPOINT {
            return Ok(None);
        }
        let checkpoint = record.payload.as_deref().and_then(Checkpoint::decode);
        Ok(checkpoint.filter(|said| said.tree_size == lsn.get()).map(|said| said.chain))
    }
}
