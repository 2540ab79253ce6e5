//! Verification of a whole store from its files alone: every checksum, every leaf, the chain
//! through all segments, and where the superblock says the log must reach.

mod report;
mod segment;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use cairn_codec::CodecRegistry;
use cairn_vfs::{OpenMode, Vfs};

pub use report::{OnErased, VerifyOptions, VerifyReport};

use self::segment::{Bounds, verify_segment};
use crate::format::index_path;
use crate::recover::{Layout, read_layout};
use crate::segment_index::SegmentIndex;
use crate::store::read_whole;
use crate::{Corruption, Error, Log, Result};

/// Verifies the store in `vfs` without opening it: nothing is changed, and it may be damaged.
///
/// # Errors
/// [`Error::NoStore`]; [`Error::Sealed`] without the key of an encrypted store; a key ring of which
/// no copy is whole; files that cannot be read at all; what only a newer program or a codec that is
/// not registered can read. Other damage is in the report.
pub fn verify_store(
    vfs: &dyn Vfs,
    registry: &CodecRegistry,
    options: &VerifyOptions<'_>,
) -> Result<VerifyReport> {
    let mut report = VerifyReport::default();
    let layout = match read_layout(vfs, OpenMode::Read) {
        Ok(Some(layout)) => layout,
        Ok(None) => return Err(Error::NoStore),
        Err(error @ Error::Vfs(_)) => return Err(error),
        Err(error) if error.is_unsupported() => return Err(error),
        Err(Error::Corrupt(corruption)) => {
            report.damage.push(corruption);
            return Ok(report);
        }
        Err(error) => {
            report.damage.push(Corruption::new(crate::format::LOG_DIR, 0, error.to_string()));
            return Ok(report);
        }
    };
    let registry = &layout.unlock(registry)?;
    report.damage.extend(layout.damaged_slots.iter().cloned());
    report.damage.extend(layout.ring.damaged.iter().cloned());
    report.start_lsn = Some(layout.superblock.start_lsn);
    verify_segments(registry, options, &layout, &mut report)?;
    verify_indexes(vfs, &layout, &mut report);
    report.damage.sort_by(|a, b| (&a.file, a.position).cmp(&(&b.file, b.position)));
    Ok(report)
}

/// Verifies the segments, several at a time.
fn verify_segments(
    registry: &CodecRegistry,
    options: &VerifyOptions<'_>,
    layout: &Layout,
    report: &mut VerifyReport,
) -> Result<()> {
    let next = AtomicUsize::new(0);
    let total: u64 = layout.segments.iter().map(|segment| segment.len).sum();
    let done = Mutex::new((0_u64, Vec::new()));
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(file) = layout.segments.get(number) else { return };
            let bounds = Bounds::of(layout, number);
            let outcome = verify_segment(file, &bounds, registry, options.on_erased);
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            done.0 += file.len;
            if let Some(progress) = options.progress {
                progress(done.0, total);
            }
            done.1.push((number, outcome));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..options.threads.max(1) {
            scope.spawn(work);
        }
        work();
    });
    let mut outcomes = done.into_inner().unwrap_or_else(PoisonError::into_inner).1;
    outcomes.sort_by_key(|(number, _)| *number);
    for (_, outcome) in outcomes {
        report.add(outcome?);
    }
    Ok(())
}

/// Damaged indexes cost a rebuild, nothing else.
fn verify_indexes(vfs: &dyn Vfs, layout: &Layout, report: &mut VerifyReport) {
    for (number, file) in layout.segments.iter().enumerate() {
        let path = index_path(file.header.id);
        let Ok(bytes) = read_whole(vfs, &path, 1 << 30) else { continue };
        let fits = match Bounds::of(layout, number).settled(file) {
            Some((end, lsn)) => SegmentIndex::decode(&bytes, &file.header, end, lsn).is_some(),
            None => true,
        };
        if !fits {
            let cause = "the index is damaged or of another segment; it is rebuilt when needed";
            report.derived_damage.push(Corruption::new(path, 0, cause));
        }
    }
}

impl Log {
    /// Verifies everything that is written, from the files alone.
    ///
    /// # Errors
    /// As [`verify_store`].
    #[cfg_attr(feature = "tracing", tracing::instrument(name = "cairn_log_verify", skip_all, err))]
    pub fn verify(&self, options: &VerifyOptions<'_>) -> Result<VerifyReport> {
        if let Some(append) = &self.shared.append {
            append.sync()?;
        }
        verify_store(&*self.shared.store.vfs, &self.shared.store.registry, options)
    }
}
