//! Following a log that another process writes.

use std::sync::{Arc, PoisonError};

use cairn_codec::seal::KeyNumber;
use cairn_types::SegmentId;
use cairn_vfs::OpenMode;

use super::{Head, Log};
use crate::format::segment_header::{SEGMENT_HEADER_LEN, SegmentHeader};
use crate::format::segment_path;
use crate::keyring::read_ring;
use crate::recover::{Layout, Stop, read_segment, scan_from};
use crate::segment::Segment;
use crate::store::SuperblockFile;
use crate::{Error, Result};

impl Log {
    /// Takes over the segments that were there when the log was opened for reading.
    pub(super) fn adopt_layout(&self, layout: Layout) -> Result<()> {
        let store = &self.shared.store;
        let mut files = layout.segments.into_iter().peekable();
        while let Some(file) = files.next() {
            self.shared.marks.raise_durable(file.header.base_lsn);
            let segment = match files.peek() {
                Some(next) => Segment::open_complete(store, file, &next.header)?,
                None => Segment::open_growing(store, file)?,
            };
            self.shared.marks.raise_written(segment.end_lsn());
            self.shared.segments.push(Arc::new(segment));
        }
        Ok(())
    }

    /// Looks for what another process has written since, and says whether there was anything.
    /// On a log that is open for writing this does nothing.
    ///
    /// # Errors
    /// When a file cannot be read, or a new segment does not continue the log;
    /// [`Error::OutOfRange`] when retention has dropped what comes next: open the log again then.
    pub fn refresh(&self) -> Result<bool> {
        if self.shared.append.is_some() {
            return Ok(false);
        }
        let mut head = self.shared.read_only_head.lock().unwrap_or_else(PoisonError::into_inner);
        let (vfs, before) = (&*self.shared.store.vfs, self.visible_end());
        let retained = loop {
            let last = self.shared.segments.load().last().cloned();
            let next = last
                .as_ref()
                .map_or(SegmentId::new(0), |segment| SegmentId::new(segment.header.id.get() + 1));
            // Asked before the last one is read: once another follows, nothing is added to it.
            let has_next = vfs.exists(&segment_path(next))?;
            if let Some(segment) = &last {
                self.read_on(segment, &mut head)?;
            }
            if !has_next {
                let retained = self.check_retained();
                if retained.is_err() && vfs.exists(&segment_path(next))? {
                    continue;
                }
                break retained;
            }
            let file = read_segment(vfs, next, &self.shared.store.id, OpenMode::Read)?;
            // A segment that was cleaned before it was read here has another length.
            let continues = last.as_ref().is_none_or(|segment| {
                let is_whole = segment.header.rewrites > 0 || segment.end() == file.header.prev_end;
                is_whole && segment.end_lsn() == file.header.base_lsn
            });
            if !continues {
                let cause = "it does not begin where the segment before it ends";
                return Err(Error::ChainMismatch { segment: next, cause: cause.into() });
            }
            self.learn_key(&file.header)?;
            // The segment before was synced before this one appeared.
            self.shared.marks.raise_durable(file.header.base_lsn);
            let segment = Segment::open_growing(&self.shared.store, file)?;
            self.shared.segments.push(Arc::new(segment));
        };
        let end = self.shared.marks.written();
        self.shared.marks.raise_visible(end);
        drop(head);
        let moved = end > before;
        if moved {
            self.shared.listeners.advanced(end);
        }
        retained.map(|()| moved)
    }

    /// The segment after the last one that was read may be gone already.
    fn check_retained(&self) -> Result<()> {
        let end = self.shared.marks.written();
        match SuperblockFile::read_slots(&*self.shared.store.vfs)?.newest {
            Some(block) if block.start_lsn > end => {
                Err(Error::OutOfRange { lsn: end, start: block.start_lsn, end: block.durable_end })
            }
            _ => Ok(()),
        }
    }

    /// On a log that is open for reading only: takes over the data keys that another process has
    /// added since.
    ///
    /// # Errors
    /// When the key ring cannot be read, or needs another key than those given.
    pub fn refresh_keys(&self) -> Result<()> {
        if self.shared.append.is_some() {
            return Ok(());
        }
        let store = &self.shared.store;
        match read_ring(&*store.vfs)?.ring {
            Some(ring) => Ok(store.registry.change_ring(&ring, None)?),
            None => Ok(()),
        }
    }

    /// Reads the key ring again when the process that writes has added a data key to it.
    fn learn_key(&self, header: &SegmentHeader) -> Result<()> {
        let store = &self.shared.store;
        if header.key == KeyNumber::NONE || store.registry.sealer(&header.crc()).is_some() {
            return Ok(());
        }
        let read = read_ring(&*store.vfs)?;
        let cause =
            || "another process rotated its keys; open it again with the new key".to_owned();
        let changed = read.ring.map(|ring| store.registry.change_ring(&ring, None));
        match changed {
            Some(Ok(())) if store.registry.sealer(&header.crc()).is_some() => Ok(()),
            _ => Err(Error::Sealed { file: segment_path(header.id), cause: cause() }),
        }
    }

    /// Reads whole batches that follow in the last segment.
    fn read_on(&self, segment: &Segment, head: &mut Head) -> Result<()> {
        let (position, lsn) = (segment.end(), segment.end_lsn());
        let mut newest: Option<(u64, usize)> = None;
        let place = (position.max(SEGMENT_HEADER_LEN as u64), lsn);
        let scanned = scan_from(&segment.file, &segment.header, place, true, |batch, at, body| {
            newest = Some((at, batch.total_len()));
            let end = at + batch.total_len() as u64;
            let body = self.shared.store.registry.plain_body(batch, body, &segment.crc)?;
            segment.extend(end, |index| index.add_batch(batch, at, &body))
        })?;
        self.shared.marks.raise_written(scanned.end_lsn);
        self.shared.marks.raise_durable(scanned.durable_end);
        if let Stop::Sealed(seal) = &scanned.stop {
            self.shared.marks.raise_durable(seal.end_lsn);
        }
        if let Some((at, len)) = newest {
            let mut bytes = vec![0; len];
            segment.file.read_exact_at(at, &mut bytes)?;
            let registry = &self.shared.store.registry;
            head.chain = crate::recover::chain_after(&bytes, &segment.crc, registry)
                .map_err(|error| Error::of_batch(segment.path.clone(), at, error))?;
        }
        head.next_lsn = scanned.end_lsn;
        Ok(())
    }
}
