//! Keyspaces that keep only the latest: what a compaction has hidden in them is dropped from the
//! log too, segment by segment. Changes no answer: it takes bytes away that nobody can ask for.
//!
//! # What stays
//! - Everything after the compaction's revision R, and every record of a key at or before R that
//!   a reader at R sees.
//! - The newest tombstone of a key, though no reader sees it: an older put of the key may be in
//!   another segment, in a table, or with a reader that follows, and without the tombstone it
//!   would come back. Mostly a tombstone is no longer than the leaf that would be left of it.
//! - Records so short that their leaf takes as much.
//!
//! Which version a reader at R sees is asked of the index, never guessed from the log. A record
//! keeps its LSN, so values that tables refer to by LSN stay where they are.
//!
//! # Order
//! R's record is in the log before R is believed here; the log is synced between the decision and
//! the replacement of a segment. So after any crash what is in the log has hidden what is gone.
//! R stands in the header of the replacement: a copy that is cut shorter knows from it what it
//! cannot answer.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use cairn_codec::{Content, RecordKind, RecordView};
use cairn_segment::{CleanOptions, Cleaned, Fate, SegmentStats};
use cairn_types::{Lsn, SegmentId, StreamId};
use cairn_vfs::{Clock, Throttle};

use crate::{Result, Store};

/// Dead bytes of a segment, of all its bytes, from which on it is worth writing again: each byte
/// written gives back at least half a byte, and at most a third of what is sealed is dead.
const DEAD_SHARE: f64 = 1.0 / 3.0;

/// Places of a segment that are looked at to guess how much of it is dead.
const SAMPLE_PLACES: u64 = 32;

/// Records at each place.
const SAMPLE_RECORDS: u64 = 32;

/// Bytes of a record beside key and payload, about.
const RECORD_OVERHEAD: u64 = 10;

/// Bytes of a record of which only the leaf is left.
const DROPPED_LEN: u64 = 34;

/// How to clean.
#[derive(Clone, Copy)]
pub struct CleanKeys<'a> {
    /// Segments in which less than this share is dead are left alone. 0 cleans whatever can be.
    pub dead_share: f64,
    /// End the active segment first, so that it can be cleaned, too.
    pub roll: bool,
    /// Called with segments done and segments in all.
    pub progress: Option<&'a dyn Fn(usize, usize)>,
}

impl Default for CleanKeys<'_> {
    fn default() -> Self {
        Self { dead_share: DEAD_SHARE, roll: false, progress: None }
    }
}

impl std::fmt::Debug for CleanKeys<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CleanKeys")
            .field("dead_share", &self.dead_share)
            .field("roll", &self.roll)
            .finish_non_exhaustive()
    }
}

/// Whether a keyspace that keeps only the latest still exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Live,
    Gone,
}

/// What was found out about a segment.
#[derive(Debug, Clone, Copy)]
struct Known {
    rewrites: u64,
    /// The compaction and the keyspaces that it was held against.
    against: (u64, u64),
    dead_share: f64,
}

/// What cleaning remembers. Derived, and lost at close.
#[derive(Debug)]
pub(crate) struct Cleaning {
    spaces: RwLock<BTreeMap<StreamId, Standing>>,
    /// Counts up with every keyspace that comes or goes.
    generation: AtomicU64,
    /// One cleaning at a time.
    known: Mutex<HashMap<SegmentId, Known>>,
    /// There may be something for the thread to clean.
    due: AtomicBool,
    /// The owner wants to do it.
    by_owner: AtomicBool,
    pub(crate) limiter: Throttle,
}

impl Cleaning {
    pub(crate) fn new(clock: Arc<dyn Clock>, rate: u64) -> Self {
        Self {
            spaces: RwLock::default(),
            generation: AtomicU64::new(0),
            known: Mutex::default(),
            due: AtomicBool::new(false),
            by_owner: AtomicBool::new(false),
            limiter: Throttle::new(clock, rate),
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<SegmentId, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spaces(&self) -> BTreeMap<StreamId, Standing> {
        self.spaces.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A keyspace was dropped.
    pub(crate) fn note_gone(&self, space: StreamId) {
        let mut spaces = self.spaces.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(standing) = spaces.get_mut(&space) {
            *standing = Standing::Gone;
            self.generation.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Nothing is to be cleaned before somebody says so again.
    pub(crate) fn rest(&self) {
        self.due.store(false, Ordering::Release);
    }

    pub(crate) fn is_due(&self) -> bool {
        self.due.load(Ordering::Acquire) && !self.by_owner.load(Ordering::Acquire)
    }
}

/// Decides about records of one cleaning.
struct Judge<'a> {
    store: &'a Store,
    spaces: BTreeMap<StreamId, Standing>,
    oldest: u64,
}

impl Judge<'_> {
    /// What may happen to a record, and how many bytes it takes now.
    fn fate(&self, lsn: Lsn, record: &RecordView<'_>) -> Result<Fate> {
        let is_change = matches!(record.kind, RecordKind::PUT | RecordKind::DELETE);
        if !is_change || record.sequence > self.oldest || stored_len(record) <= DROPPED_LEN {
            return Ok(Fate::Keep);
        }
        let (Some(standing), Some(key)) = (self.spaces.get(&record.stream), record.key) else {
            return Ok(Fate::Keep);
        };
        if *standing == Standing::Gone {
            // Its lease still counts the key among its own.
            let has_lease = record.facts.is_some_and(|facts| facts.lease != 0);
            return Ok(if has_lease { Fate::Keep } else { Fate::Drop });
        }
        let is_delete = record.kind == RecordKind::DELETE;
        self.store.index().with_any(record.stream, key, self.oldest, |found| match found {
            Some(found) if found.lsn != lsn && found.main > record.sequence => Fate::Drop,
            Some(_) => Fate::Keep,
            // The newest one is a tombstone, which the index has let go of.
            None if is_delete => Fate::Keep,
            None => Fate::Drop,
        })
    }
}

/// Bytes that a record takes before compression, about.
fn stored_len(record: &RecordView<'_>) -> u64 {
    let content = match &record.content {
        Content::Payload(_) => record.payload_len,
        Content::Erased(_) => 32,
        Content::Dropped(_) => return DROPPED_LEN,
    };
    RECORD_OVERHEAD + record.key.map_or(0, |key| key.len() as u64) + content
}

impl Store {
    /// Says that a keyspace needs only what can be read: [`clean`](Self::clean) and the
    /// background drop what compactions have hidden from the log, too.
    pub fn keep_latest_only(&self, space: StreamId) {
        let cleaning = &self.shared.cleaning;
        let mut spaces = cleaning.spaces.write().unwrap_or_else(PoisonError::into_inner);
        spaces.entry(space).or_insert(Standing::Live);
        drop(spaces);
        cleaning.generation.fetch_add(1, Ordering::AcqRel);
        self.note_cleaning_due();
    }

    /// Takes [`keep_latest_only`](Self::keep_latest_only) back. What went does not come back.
    pub fn keep_everything(&self, space: StreamId) {
        let cleaning = &self.shared.cleaning;
        cleaning.spaces.write().unwrap_or_else(PoisonError::into_inner).remove(&space);
        cleaning.generation.fetch_add(1, Ordering::AcqRel);
        // One that has begun is waited for: nothing of the keyspace goes from here on.
        drop(cleaning.known());
    }

    /// Whether the background leaves cleaning to the owner, who has something to do before.
    pub fn clean_by_owner(&self, by_owner: bool) {
        self.shared.cleaning.by_owner.store(by_owner, Ordering::Release);
    }

    /// Drops from complete segments what no reader can ask for in keyspaces that
    /// [keep only the latest](Self::keep_latest_only). LSNs, leaves and the chain stay, so every
    /// proof and checkpoint made before still holds.
    ///
    /// # Errors
    /// As [`Log::clean`](cairn_segment::Log::clean); [`Error::Index`](crate::Error::Index).
    /// Segments replaced before stay replaced.
    pub fn clean(&self, options: &CleanKeys<'_>) -> Result<Cleaned> {
        if options.roll {
            self.complete_active()?;
        }
        let mut total = Cleaned::default();
        let segments = self.complete_segments()?;
        for (done, segment) in segments.iter().enumerate() {
            if let Some(progress) = options.progress {
                progress(done, segments.len());
            }
            let cleaned =
                self.clean_segment(segment, options.dead_share, &|_| ControlFlow::Continue(()))?;
            add(&mut total, &cleaned.unwrap_or_default());
        }
        if let Some(progress) = options.progress {
            progress(segments.len(), segments.len());
        }
        Ok(total)
    }

    /// Ends the active segment if it has changes of keys, and begins another.
    fn complete_active(&self) -> Result<()> {
        let log = &self.shared.log;
        let active = log.segment_stats()?.pop().filter(|last| !last.is_complete);
        let Some(active) = active else { return Ok(()) };
        if log.next_keys(active.base_lsn)?.is_some() {
            log.roll()?;
            log.checkpoint()?;
        }
        Ok(())
    }

    fn complete_segments(&self) -> Result<Vec<SegmentStats>> {
        let mut segments = self.shared.log.segment_stats()?;
        segments.retain(|segment| segment.is_complete);
        Ok(segments)
    }

    /// Cleans the first segment that is worth it; says whether there was one.
    pub(crate) fn clean_some(&self, pace: &dyn Fn(u64) -> ControlFlow<()>) -> Result<bool> {
        for segment in self.complete_segments()? {
            if self.clean_segment(&segment, DEAD_SHARE, pace)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Notes that there may be something to clean.
    pub(crate) fn note_cleaning_due(&self) {
        let cleaning = &self.shared.cleaning;
        let is_some = !cleaning.spaces.read().unwrap_or_else(PoisonError::into_inner).is_empty();
        if is_some && self.compact_revision() > 0 {
            cleaning.due.store(true, Ordering::Release);
            self.shared.maintenance.wake();
        }
    }

    /// Cleans a segment if enough of it is dead.
    fn clean_segment(
        &self,
        segment: &SegmentStats,
        dead_share: f64,
        pace: &dyn Fn(u64) -> ControlFlow<()>,
    ) -> Result<Option<Cleaned>> {
        let cleaning = &self.shared.cleaning;
        let mut all_known = cleaning.known();
        let generation = cleaning.generation.load(Ordering::Acquire);
        let (spaces, oldest) = (cleaning.spaces(), self.compact_revision());
        let against = (oldest, generation);
        if spaces.is_empty() || oldest == 0 {
            return Ok(None);
        }
        let judge = Judge { store: self, spaces, oldest };
        let known = all_known.get(&segment.id).copied();
        let known = known.filter(|k| (k.rewrites, k.against) == (segment.rewrites, against));
        let dead = match known {
            Some(known) => known.dead_share,
            // Everything is to go: no guess can say that there is nothing.
            None if dead_share <= 0.0 => 1.0,
            None => self.sample(segment, &judge, pace)?,
        };
        let note = |rewrites, dead_share| Known { rewrites, against, dead_share };
        if dead <= 0.0 || dead < dead_share {
            all_known.insert(segment.id, note(segment.rewrites, dead));
            return Ok(None);
        }
        let mut failure = None;
        let mut fate = |lsn: Lsn, record: &RecordView<'_>| match &failure {
            Some(_) => Fate::Keep,
            None => judge.fate(lsn, record).unwrap_or_else(|error| {
                failure = Some(error);
                Fate::Keep
            }),
        };
        let only = CleanOptions {
            segment: Some(segment.id),
            mark: oldest,
            pace: Some(pace),
            ..CleanOptions::default()
        };
        let cleaned = self.shared.log.clean(&mut fate, &only)?;
        if let Some(error) = failure {
            return Err(error);
        }
        let rewrites = segment.rewrites + cleaned.replaced_count as u64;
        all_known.insert(segment.id, note(rewrites, 0.0));
        Ok((cleaned.replaced_count > 0).then_some(cleaned))
    }

    /// Guesses from some places of a segment how much of it is dead.
    fn sample(
        &self,
        segment: &SegmentStats,
        judge: &Judge<'_>,
        pace: &dyn Fn(u64) -> ControlFlow<()>,
    ) -> Result<f64> {
        let count = segment.end_lsn.get() - segment.base_lsn.get();
        let step = (count / SAMPLE_PLACES).max(1);
        let mut scan = self.shared.log.scan(segment.base_lsn);
        let (mut all, mut dead) = (0, 0);
        for place in (0..count).step_by(usize::try_from(step).unwrap_or(usize::MAX)) {
            let from = segment.base_lsn.get() + place;
            scan.seek(Lsn::new(from));
            let mut read = 0;
            let end = (from + SAMPLE_RECORDS.min(step)).min(segment.end_lsn.get());
            while scan.position().get() < end {
                let Some(record) = scan.next_record()? else { break };
                let len = stored_len(&record.view);
                read += len;
                if judge.fate(record.lsn, &record.view)? == Fate::Drop {
                    dead += len - DROPPED_LEN;
                }
            }
            all += read;
            if pace(read).is_break() {
                return Ok(0.0);
            }
        }
        Ok(if all == 0 { 0.0 } else { dead as f64 / all as f64 })
    }
}

fn add(total: &mut Cleaned, more: &Cleaned) {
    total.segment_count += more.segment_count;
    total.replaced_count += more.replaced_count;
    total.erased_count += more.erased_count;
    total.dropped_count += more.dropped_count;
    total.len_before += more.len_before;
    total.len_after += more.len_after;
}
