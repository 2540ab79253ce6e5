//! Cleaning: payloads are erased and records dropped inside segments that are complete, by
//! writing a replacement file. Truth: the replacement is synced and renamed over the old file
//! before anybody reads it, so a crash leaves the one or the other. LSNs, leaves and the chain
//! stay, so every proof and checkpoint made before still holds.

use std::ops::ControlFlow;
use std::sync::{Arc, PoisonError};

use cairn_codec::{
    BATCH_HEADER_LEN, BatchHeader, BatchView, Content, Fate, RecordView, rewrite, seal_batch,
};
use cairn_types::{Lsn, SegmentId};
use cairn_vfs::{OpenMode, VfsFile};

use crate::append::NextSequences;
use crate::format::seal::{SEAL_LEN, Seal};
use crate::format::segment_header::{SEGMENT_HEADER_LEN, SegmentHeader};
use crate::format::segment_path;
use crate::segment::Segment;
use crate::segment_index::SegmentIndex;
use crate::window::Window;
use crate::{Error, Log, Result, SpaceLimit};

/// Bytes that are gathered before the replacement file is written to.
const WRITE_LEN: usize = 1 << 20;

/// Is told of bytes read or written; slows a cleaning down by waiting, or ends it.
pub type Pace<'a> = &'a dyn Fn(u64) -> ControlFlow<()>;

/// Bounds and progress of a cleaning.
#[derive(Clone, Copy, Default)]
pub struct CleanOptions<'a> {
    /// Only segments that end at or before this LSN; `None` for all but the last.
    pub before: Option<Lsn>,
    /// Only segments for whose first LSN and the LSN after the last one this says yes; all
    /// without it. The others are not read.
    pub wanted: Option<&'a dyn Fn(Lsn, Lsn) -> bool>,
    /// Only this segment.
    pub segment: Option<SegmentId>,
    /// Written into the headers of replaced segments: how far the owner's right to drop reached.
    /// A copy that is cut before that place is known by it; see [`Log::cleaned_to`].
    pub mark: u64,
    /// Called with the bytes that were read or written since the last call. It may wait, so that
    /// cleaning stays below a rate; when it breaks, cleaning ends with [`Error::Closed`].
    pub pace: Option<Pace<'a>>,
    /// Called with segments done and segments in all.
    pub progress: Option<&'a dyn Fn(usize, usize)>,
}

impl std::fmt::Debug for CleanOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CleanOptions")
            .field("before", &self.before)
            .field("segment", &self.segment)
            .finish_non_exhaustive()
    }
}

/// What a cleaning did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cleaned {
    /// Segments that were looked at.
    pub segment_count: usize,
    /// Segments that were replaced.
    pub replaced_count: usize,
    /// Records whose payload was erased.
    pub erased_count: u64,
    /// Records that were dropped.
    pub dropped_count: u64,
    /// Bytes before, of the segments replaced.
    pub len_before: u64,
    /// Bytes after.
    pub len_after: u64,
}

/// What is to happen to the records of one segment, decided before anything is written.
pub(crate) struct Plan {
    /// Of each record; nothing when all stay.
    fates: Option<Vec<Fate>>,
    erased_count: u64,
    dropped_count: u64,
}

impl Log {
    /// Erases payloads and drops records as `fate` says, in every segment but the last.
    /// [`Fate::Drop`] of a stream's newest record only erases it, because the stream's
    /// next sequence is known from that record. `fate` sees each record once, in log order;
    /// records that were erased or dropped before are offered again and cost nothing.
    ///
    /// Old files disappear once no reader holds them. This is the hook behind retention by
    /// key: who knows which records are superseded says so here.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for damage (the segment is left as it is), [`Error::NoSpace`] and
    /// others when a replacement cannot be written, [`Error::Closed`] when the pace ended it;
    /// segments replaced before stay replaced.
    ///
    /// ```
    /// use cairn_segment::{Draft, Fate, Log, RecordDraft, RecordKind};
    /// use cairn_types::StreamId;
    /// let log = Log::options().vfs(std::sync::Arc::new(cairn_vfs::MemVfs::new())).open()?;
    /// for payload in [b"secret", b"public"] {
    ///     let mut draft = Draft::new();
    ///     draft.push(RecordDraft::new(RecordKind::USER, StreamId::new(1)), payload)?;
    ///     log.append(&draft)?;
    ///     log.roll()?;
    /// }
    /// let mut erase_first = |lsn: cairn_types::Lsn, _: &cairn_codec::RecordView<'_>| {
    ///     if lsn.get() == 0 { Fate::Erase } else { Fate::Keep }
    /// };
    /// let cleaned = log.clean(&mut erase_first, &Default::default())?;
    /// assert_eq!(cleaned.erased_count, 1);
    /// assert_eq!(log.read(cairn_types::Lsn::new(0))?.payload, None);
    /// assert!(log.verify(&Default::default())?.is_intact());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg_attr(feature = "tracing", tracing::instrument(name = "cairn_log_clean", skip_all, err))]
    pub fn clean(
        &self,
        fate: &mut dyn FnMut(Lsn, &RecordView<'_>) -> Fate,
        options: &CleanOptions<'_>,
    ) -> Result<Cleaned> {
        let append = self.writer()?;
        let _alone = self.shared.maintenance.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = {
            let state = append.lock();
            state.check_open()?;
            state.next_sequence.clone()
        };
        let segments = self.shared.segments.load();
        let complete: Vec<_> = segments
            .iter()
            .take(segments.len().saturating_sub(1))
            .filter(|segment| options.before.is_none_or(|before| segment.end_lsn() <= before))
            .filter(|segment| {
                let (from, to) = (segment.header.base_lsn, segment.end_lsn());
                options.wanted.is_none_or(|wanted| wanted(from, to))
            })
            .filter(|segment| options.segment.is_none_or(|only| segment.header.id == only))
            .cloned()
            .collect();
        let mut cleaned = Cleaned::default();
        for (done, segment) in complete.iter().enumerate() {
            if let Some(progress) = options.progress {
                progress(done, complete.len());
            }
            cleaned.segment_count += 1;
            let plan = plan(segment, &newest, fate, options.pace)?;
            if plan.erased_count + plan.dropped_count > 0 {
                // Whatever `fate` knew of later records must not be lost after what they
                // supersede is gone.
                append.sync()?;
                let replacement = self.replace(segment, &plan, options)?;
                cleaned.replaced_count += 1;
                cleaned.erased_count += plan.erased_count;
                cleaned.dropped_count += plan.dropped_count;
                let counters = &self.shared.store.counters;
                counters.cleaned_records.increment(plan.erased_count + plan.dropped_count);
                cleaned.len_before += segment.end();
                cleaned.len_after += replacement.end();
            }
        }
        if let Some(progress) = options.progress {
            progress(complete.len(), complete.len());
        }
        Ok(cleaned)
    }

    /// Writes the replacement of a segment, gives it the segment's name and shows it to readers.
    pub(crate) fn replace(
        &self,
        segment: &Segment,
        plan: &Plan,
        options: &CleanOptions<'_>,
    ) -> Result<Arc<Segment>> {
        let store = &self.shared.store;
        let path = segment_path(segment.header.id);
        let temporary = format!("{path}.tmp");
        if store.vfs.exists(&temporary)? {
            store.vfs.remove(&temporary)?;
        }
        let written = Replacement::create(self, segment, &temporary, options.mark)
            .and_then(|replacement| replacement.write(self, segment, plan, options.pace));
        let (header, file, index, end) = match written {
            Ok(written) => written,
            Err(error) => {
                let _swept_at_the_next_open = store.vfs.remove(&temporary);
                return Err(no_space_or(error));
            }
        };
        store.vfs.rename(&temporary, &path)?;
        store.sync_log_dir()?;
        let replacement =
            Segment::open(store, header, file, end, segment.end_lsn(), segment.end_chain())?;
        replacement.adopt_index(index);
        let replacement = Arc::new(replacement);
        self.shared.segments.replace(replacement.clone());
        self.shared.batches.forget(segment.header.id);
        Ok(replacement)
    }
}

impl Plan {
    /// Everything stays: the segment is sealed anew.
    pub(crate) const KEEP_ALL: Self = Self { fates: None, erased_count: 0, dropped_count: 0 };
}

/// Asks for the fate of every record of a segment.
fn plan(
    segment: &Segment,
    newest: &NextSequences,
    fate: &mut dyn FnMut(Lsn, &RecordView<'_>) -> Fate,
    pace: Option<Pace<'_>>,
) -> Result<Plan> {
    let mut fates = Vec::new();
    let mut plan = Plan { fates: None, erased_count: 0, dropped_count: 0 };
    each_batch(segment, pace, |header, body| {
        for record in BatchView::new(header, body)?.records() {
            let record = record?;
            let lsn = Lsn::new(header.first_lsn.get() + u64::from(record.index));
            let mut wish = fate(lsn, &record);
            let is_newest = record.kind.is_sequenced()
                && record.sequence.checked_add(1) == newest.get(&record.stream).copied();
            if wish == Fate::Drop && is_newest {
                wish = Fate::Erase;
            }
            match (wish, &record.content) {
                (_, Content::Dropped(_)) | (Fate::Erase, Content::Erased(_)) => wish = Fate::Keep,
                (Fate::Erase, Content::Payload(_)) => plan.erased_count += 1,
                (Fate::Drop, _) => plan.dropped_count += 1,
                (Fate::Keep, _) => {}
            }
            fates.push(wish);
        }
        Ok(())
    })?;
    plan.fates = Some(fates);
    Ok(plan)
}

/// Hands out every batch of a complete segment, with its CRCs checked.
fn each_batch(
    segment: &Segment,
    pace: Option<Pace<'_>>,
    mut each: impl FnMut(&BatchHeader, &[u8]) -> Result<()>,
) -> Result<()> {
    let damaged = |position, error: cairn_codec::Error| {
        Error::of_batch(segment.path.clone(), position, error)
    };
    let mut window = Window::new(segment.file.clone())?;
    let mut position = SEGMENT_HEADER_LEN as u64;
    let mut paced = position;
    while position < segment.end() {
        if position - paced >= WRITE_LEN as u64 {
            keep_pace(pace, position - paced)?;
            paced = position;
        }
        let head = window.get(position, BATCH_HEADER_LEN)?;
        let header =
            BatchHeader::decode(head, &segment.crc).map_err(|error| damaged(position, error))?;
        let body = window.get(position + BATCH_HEADER_LEN as u64, header.body_len())?;
        header.check_body(body, &segment.crc).map_err(|error| damaged(position, error))?;
        let body = segment.store.registry.plain_body(&header, body, &segment.crc);
        each(&header, &body.map_err(|error| damaged(position, error))?)?;
        position += header.total_len() as u64;
    }
    keep_pace(pace, position - paced)
}

/// Reports bytes and waits as long as the owner wants.
fn keep_pace(pace: Option<Pace<'_>>, len: u64) -> Result<()> {
    match pace.map_or(ControlFlow::Continue(()), |pace| pace(len)) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Error::Closed),
    }
}

/// The file that takes a segment's place.
struct Replacement {
    header: SegmentHeader,
    file: Arc<dyn VfsFile>,
    index: SegmentIndex,
    position: u64,
    pending: Vec<u8>,
    batch_count: u64,
}

type Written = (SegmentHeader, Arc<dyn VfsFile>, SegmentIndex, u64);

impl Replacement {
    fn create(log: &Log, old: &Segment, temporary: &str, mark: u64) -> Result<Self> {
        let store = &log.shared.store;
        let header = SegmentHeader {
            salt: store.fresh_salt(),
            rewrites: old.header.rewrites + 1,
            cleaned_to: old.header.cleaned_to.max(mark),
            key: store.registry.active_key(),
            ..old.header.clone()
        };
        let file = store.vfs.open(temporary, OpenMode::Create)?;
        let pending = header.encode().to_vec();
        let index = SegmentIndex::growing(header.base_lsn);
        Ok(Self { header, file, index, position: 0, pending, batch_count: 0 })
    }

    fn end(&self) -> u64 {
        self.position + self.pending.len() as u64
    }

    fn write(
        mut self,
        log: &Log,
        old: &Segment,
        plan: &Plan,
        pace: Option<Pace<'_>>,
    ) -> Result<Written> {
        let crc = self.header.crc();
        let registry = &log.shared.store.registry;
        let sealer = registry.sealer(&crc);
        let mut fates = plan.fates.as_deref();
        each_batch(old, None, |header, body| {
            let codec = registry.get(header.codec)?;
            let start = self.pending.len();
            let position = self.end();
            let split = fates.map(|fates| {
                let split = fates.split_at_checked(header.record_count as usize);
                split.expect("the plan has a fate for every record")
            });
            let of_batch = split.map(|(of_batch, _)| of_batch);
            fates = split.map(|(_, rest)| rest);
            // By its place: records that were dropped before are not asked about.
            let fate = |record: &RecordView<'_>| match of_batch {
                Some(fates) => fates[record.index as usize],
                None => Fate::Keep,
            };
            rewrite(header, body, registry, codec, &crc, fate, &mut self.pending)?;
            let batch = self.pending.get(start..).unwrap_or_default();
            let rewritten = BatchHeader::decode(batch, &crc)?;
            let body = batch.get(BATCH_HEADER_LEN..).unwrap_or_default();
            self.index.add_batch(&rewritten, position, body)?;
            if let Some(sealer) = &sealer {
                seal_batch(&mut self.pending, start, &crc, sealer)?;
            }
            if u32::try_from(self.end()).is_err() {
                let limit = u64::from(u32::MAX);
                return Err(Error::TooLarge {
                    what: "bytes of a cleaned segment",
                    found: self.end(),
                    limit,
                });
            }
            self.batch_count += 1;
            if self.pending.len() >= WRITE_LEN {
                keep_pace(pace, self.pending.len() as u64)?;
                self.flush()?;
            }
            Ok(())
        })?;
        let end = self.end();
        let seal = Seal {
            id: self.header.id,
            end_lsn: old.end_lsn(),
            batch_count: self.batch_count,
            position: end,
            chain: old.end_chain(),
            sealed_at: log.shared.store.clock.now(),
        };
        self.pending.extend_from_slice(&seal.encode(&crc));
        self.flush()?;
        assert_eq!(self.position, end + SEAL_LEN as u64, "nothing follows the seal");
        self.file.sync_all()?;
        Ok((self.header, self.file, self.index, end))
    }

    fn flush(&mut self) -> Result<()> {
        self.file.write_all_at(self.position, &self.pending)?;
        self.position += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }
}

fn no_space_or(error: Error) -> Error {
    match &error {
        Error::Vfs(cause) if cause.is_no_space() => {
            Error::NoSpace { doing: "writing a cleaned segment", limit: SpaceLimit::Disk }
        }
        _ => error,
    }
}
