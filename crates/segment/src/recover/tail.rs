//! The tail of an unsealed segment: what nothing proves durable is copied, then the old file
//! is cut. Each step can be interrupted and repeated.
//!
//! 1. The tail is written to a new, sealed segment under a temporary name and synced.
//! 2. The file is renamed, the directory synced: from here the new header names the old end.
//! 3. The old file is cut at that end, and the superblock says where the log ends.

use std::sync::Arc;

use cairn_codec::{BATCH_HEADER_LEN, BatchHeader};
use cairn_types::{Lsn, SegmentId};

use super::layout::SegmentFile;
use super::open::{LogEnd, write_end};
use super::report::RecoveryReport;
use super::scan::{Scanned, ScannedBatch};
use crate::format::seal::Seal;
use crate::format::segment_header::{SEGMENT_HEADER_LEN, SegmentHeader};
use crate::mutation::Mutation;
use crate::segment::Segment;
use crate::store::{Store, SuperblockFile, name_of};
use crate::window::Window;
use crate::{Error, Result};

/// Brings an unsealed last segment into order and returns where the log ends.
pub(super) fn recover(
    store: &Arc<Store>,
    superblock: &SuperblockFile,
    last: &SegmentFile,
    scanned: &Scanned,
    durable_end: Lsn,
    segments: &mut Vec<Arc<Segment>>,
    report: &mut RecoveryReport,
) -> Result<LogEnd> {
    let tail_index = scanned.batches.partition_point(|batch| batch.first_lsn < durable_end);
    let trust = store.mutations.has(Mutation::TrustPageCache);
    let (durable, tail) =
        scanned.batches.split_at(if trust { scanned.batches.len() } else { tail_index });
    let end = durable_end_of(store, last, scanned, durable, tail)?;
    if tail.is_empty() {
        last.file.set_len(end.position)?;
        last.file.sync_all()?;
        write_end(superblock, &end)?;
        return Ok(end);
    }
    report.copied_records = tail.iter().map(|batch| u64::from(batch.records)).sum();
    let copy = copy_tail(store, last, tail, &end)?;
    last.file.set_len(end.position)?;
    last.file.sync_all()?;
    let new_end = LogEnd {
        segment: copy.header.id,
        position: copy.end(),
        lsn: copy.end_lsn(),
        chain: copy.end_chain(),
    };
    write_end(superblock, &new_end)?;
    let old = Segment::open(
        store,
        last.header.clone(),
        last.file.clone(),
        end.position,
        end.lsn,
        end.chain,
    )?;
    segments.push(Arc::new(old));
    segments.push(Arc::new(copy));
    Ok(new_end)
}

/// End of the durable batches, with the chain value there.
fn durable_end_of(
    store: &Store,
    last: &SegmentFile,
    scanned: &Scanned,
    durable: &[ScannedBatch],
    tail: &[ScannedBatch],
) -> Result<LogEnd> {
    let segment = last.header.id;
    let end = |position, lsn, chain| LogEnd { segment, position, lsn, chain };
    if let Some(first) = tail.first() {
        return Ok(end(first.position, first.first_lsn, first.prev_hash));
    }
    let Some(newest) = durable.last() else {
        let position = SEGMENT_HEADER_LEN as u64;
        return Ok(end(position, last.header.base_lsn, last.header.prev_chain));
    };
    let mut window = Window::new(last.file.clone())?;
    let chain = batch_chain(store, &mut window, &last.header, newest)?;
    Ok(end(scanned.end, scanned.end_lsn, chain))
}

/// Verifies one batch completely and returns the chain value after it.
fn batch_chain(
    store: &Store,
    window: &mut Window,
    header: &SegmentHeader,
    batch: &ScannedBatch,
) -> Result<cairn_types::ChainHash> {
    let len = usize::try_from(batch.len).expect("a batch is limited to fewer bytes");
    let bytes = window.get(batch.position, len)?;
    let crc = header.crc();
    let path = name_of(header.id);
    chain_after(bytes, &crc, &store.registry).map_err(|error| {
        match Error::of_batch(path, batch.position, error) {
            Error::Corrupt(damage) => Error::Corrupt(damage.at_lsn(batch.first_lsn)),
            other => other,
        }
    })
}

/// Chain value after the batch in `bytes`, which is verified completely.
pub(crate) fn chain_after(
    bytes: &[u8],
    crc: &cairn_codec::SaltedCrc,
    registry: &cairn_codec::CodecRegistry,
) -> std::result::Result<cairn_types::ChainHash, cairn_codec::Error> {
    let header = BatchHeader::decode(bytes, crc)?;
    let body = bytes.get(BATCH_HEADER_LEN..header.total_len()).unwrap_or_default();
    Ok(cairn_codec::verify_batch(&header, body, registry, crc)?.chain)
}

/// Writes the tail into a new sealed segment.
fn copy_tail(
    store: &Arc<Store>,
    last: &SegmentFile,
    tail: &[ScannedBatch],
    from: &LogEnd,
) -> Result<Segment> {
    let header = SegmentHeader {
        store_id: store.id,
        id: SegmentId::new(last.header.id.get() + 1),
        base_lsn: from.lsn,
        created_at: store.clock.now(),
        salt: store.fresh_salt(),
        prev_chain: from.chain,
        prev_end: from.position,
        rewrites: 0,
        cleaned_to: 0,
        key: store.registry.active_key(),
    };
    let (old_crc, crc) = (last.header.crc(), header.crc());
    let sealer = store.registry.sealer(&crc);
    let mut out = header.encode().to_vec();
    let mut window = Window::new(last.file.clone())?;
    let mut chain = from.chain;
    for batch in tail {
        let newest = batch_chain(store, &mut window, &last.header, batch)?;
        if batch.prev_hash != chain {
            return Err(Error::ChainMismatch {
                segment: last.header.id,
                cause: format!("the batch at byte {} does not continue the chain", batch.position),
            });
        }
        chain = newest;
        let len = usize::try_from(batch.len).expect("a batch is limited to fewer bytes");
        let bytes = window.get(batch.position, len)?;
        cairn_codec::copy_batch(bytes, &old_crc, &store.registry, &crc, sealer.as_ref(), &mut out)?;
    }
    let end = out.len() as u64;
    let records: u64 = tail.iter().map(|batch| u64::from(batch.records)).sum();
    let seal = Seal {
        id: header.id,
        end_lsn: Lsn::new(from.lsn.get() + records),
        batch_count: tail.len() as u64,
        position: end,
        chain,
        sealed_at: header.created_at,
    };
    out.extend_from_slice(&seal.encode(&crc));
    let path = name_of(header.id);
    store.write_whole(&path, &out)?;
    store.sync_log_dir()?;
    let file = store.vfs.open(&path, cairn_vfs::OpenMode::ReadWrite)?;
    Segment::open(store, header, file, end, seal.end_lsn, chain)
}
