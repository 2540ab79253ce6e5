//! Reading one key or a range at a revision: counting, filters, sorting, limits; and walking
//! through many keys without holding anything back.

use bytes::Bytes;
use cairn_types::{Lsn, StreamId};

use crate::erased::Held;
use crate::key_value::{KeyValue, Place, Version};
use crate::overlay::{Candidate, Overlay, View};
use crate::read::Values;
use crate::request::{Order, Range, RangeRequest, SortBy};
use crate::{Error, Result, Store};

/// The answer to a [`RangeRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeResponse {
    /// The current revision (not the one asked for).
    pub revision: u64,
    /// Results.
    pub kvs: Vec<KeyValue>,
    /// Keys in the range before filters and limit; with
    /// [`without_count`](RangeRequest::without_count) only those that were looked at.
    pub count: u64,
    /// The limit left some out.
    pub more: bool,
}

/// Results whose values may still have to be read.
#[derive(Debug)]
pub(crate) struct Collected {
    pub(crate) candidates: Vec<Candidate>,
    pub(crate) count: u64,
    pub(crate) more: bool,
}

pub(crate) fn check_request(request: &RangeRequest) -> Result<()> {
    if request.range.key.is_empty() && request.range.is_single() {
        return Err(Error::EmptyKey);
    }
    if request.keys_only && request.sort_by == SortBy::Value {
        return Err(Error::InvalidSort { reason: "by value, without values" });
    }
    Ok(())
}

/// Collects what a request asks for; values stay unread unless they decide the order.
pub(crate) fn collect(view: &View<'_>, request: &RangeRequest) -> Result<Collected> {
    let mut found = Collected { candidates: Vec::new(), count: 0, more: false };
    let sorted = request.needs_sort();
    let filtered = request.has_filters();
    let wants_count = request.count_only || !request.without_count;
    let as_stored = view.overlay.is_none_or(Overlay::is_empty);
    let counted = match as_stored && wants_count && !request.range.is_single() {
        true => view.index.quick_count(request.space, &request.range, view.revision)?,
        false => None,
    };
    if let (Some(count), true) = (counted, request.count_only) {
        found.count = count;
        return Ok(found);
    }
    // With the count known, a page need not look further than its end.
    let stop_at_the_page = !sorted && !filtered && (request.without_count || counted.is_some());
    let room = if request.limit == 0 || sorted { usize::MAX } else { request.limit };
    view.walk(request.space, &request.range, |key, seen| {
        found.count += 1;
        if request.count_only || (filtered && !request.passes(seen.create(), seen.modified())) {
            return true;
        }
        if found.candidates.len() < room {
            found.candidates.push(seen.to_candidate(key));
        } else {
            found.more = true;
            return !stop_at_the_page;
        }
        true
    })?;
    if let Some(count) = counted {
        found.count = count;
    }
    Ok(found)
}

/// Reads the values and brings results into order.
pub(crate) fn finish(
    found: Collected,
    request: &RangeRequest,
    values: &Values<'_>,
    revision: u64,
) -> Result<RangeResponse> {
    let Collected { mut candidates, count, mut more } = found;
    let by_value = request.sort_by == SortBy::Value;
    let sorted = request.needs_sort();
    if sorted && !by_value {
        sort_candidates(&mut candidates, request);
        more = cut(&mut candidates, request.limit);
    }
    let mut kvs = candidates
        .into_iter()
        .map(|candidate| values.resolve(request.space, candidate, !request.keys_only))
        .collect::<Result<Vec<_>>>()?;
    if by_value {
        kvs.sort_by(|a, b| a.value.cmp(&b.value));
        if request.order == Order::Descend {
            kvs.reverse();
        }
        more = cut(&mut kvs, request.limit);
    }
    Ok(RangeResponse { revision, kvs, count, more })
}

fn sort_candidates(candidates: &mut [Candidate], request: &RangeRequest) {
    let number = |candidate: &Candidate| {
        let (version, create, modified) = match candidate {
            Candidate::Stored(_, version) => (version.version, version.create, version.main),
            Candidate::Ready(kv) => (kv.version, kv.create_revision, kv.mod_revision),
        };
        match request.sort_by {
            SortBy::Version => version,
            SortBy::Create => create,
            SortBy::Mod => modified,
            SortBy::Key | SortBy::Value => 0,
        }
    };
    if request.sort_by != SortBy::Key {
        candidates.sort_by_key(number);
    }
    if request.order == Order::Descend {
        candidates.reverse();
    }
}

fn cut<T>(results: &mut Vec<T>, limit: usize) -> bool {
    if limit == 0 || results.len() <= limit {
        return false;
    }
    results.truncate(limit);
    true
}

/// All keys of a range at one revision, in order, read in pieces: nothing is held in between,
/// and writers go on.
#[derive(Debug)]
#[must_use = "nothing is read until it is asked for keys"]
pub struct Scan {
    store: Store,
    space: StreamId,
    range: Range,
    revision: u64,
    after: Option<Bytes>,
    ready: std::vec::IntoIter<(Bytes, Version)>,
    done: bool,
}

/// Keys fetched at first: a page is mostly no longer.
const FIRST_PIECE: usize = 104;
/// Keys fetched at a time after that.
const PIECE: usize = 512;

impl Store {
    /// Walks through a range at a revision (0 for the current one).
    ///
    /// # Errors
    /// [`Error::Compacted`], [`Error::FutureRevision`].
    pub fn scan(&self, space: StreamId, range: Range, revision: u64) -> Result<Scan> {
        let revision = self.readable(revision)?;
        Ok(Scan {
            store: self.clone(),
            space,
            range,
            revision,
            after: None,
            ready: Vec::new().into_iter(),
            done: false,
        })
    }
}

impl Scan {
    /// The revision that is read.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    fn fetch(&mut self) -> Result<()> {
        let oldest = self.store.compact_revision();
        if self.revision < oldest {
            return Err(Error::Compacted { requested: self.revision, oldest });
        }
        let most = if self.after.is_none() { FIRST_PIECE } else { PIECE };
        // The keys of a piece share one buffer.
        let mut keys: Vec<u8> = Vec::with_capacity(most * 32);
        let mut piece: Vec<(usize, Version)> = Vec::with_capacity(most);
        let index = self.store.index();
        let after = self.after.as_deref();
        index.walk_from(self.space, &self.range, after, self.revision, |key, version| {
            keys.extend_from_slice(key);
            piece.push((keys.len(), version));
            piece.len() < most
        })?;
        self.store.check_kept(self.revision)?;
        self.done = piece.len() < most;
        let keys = Bytes::from(keys);
        let mut start = 0;
        let piece: Vec<(Bytes, Version)> = piece
            .into_iter()
            .map(|(end, version)| (keys.slice(std::mem::replace(&mut start, end)..end), version))
            .collect();
        self.after = piece.last().map(|(key, _)| key.clone()).or(self.after.take());
        self.ready = piece.into_iter();
        Ok(())
    }
}

impl Iterator for Scan {
    type Item = Result<KeyValue>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((key, version)) = self.ready.next() {
                let held = self.store.values().read(self.space, &key, &version);
                let held = held.or_else(|error| {
                    // What is compacted while it is walked through may be gone.
                    self.store.check_kept(self.revision)?;
                    Err(error)
                });
                return Some(held.map(|held| version.with_value(key, held)));
            }
            if self.done {
                return None;
            }
            if let Err(error) = self.fetch() {
                self.done = true;
                return Some(Err(error));
            }
        }
    }
}

impl Values<'_> {
    /// A result with its value.
    pub(crate) fn resolve(
        &self,
        space: StreamId,
        candidate: Candidate,
        with_value: bool,
    ) -> Result<KeyValue> {
        match candidate {
            Candidate::Ready(kv) if with_value => Ok(kv),
            Candidate::Ready(kv) => Ok(KeyValue { value: Bytes::new(), ..kv }),
            Candidate::Stored(key, version) => {
                let no_value = || Ok(Held::Value(Bytes::new()));
                let held = if with_value { self.read(space, &key, &version) } else { no_value() };
                Ok(version.with_value(key, held?))
            }
        }
    }

    /// The value of a version: from memory, or from its record.
    pub(crate) fn read(&self, space: StreamId, key: &[u8], version: &Version) -> Result<Held> {
        if version.is_tombstone() {
            return Ok(Held::Value(Bytes::new()));
        }
        let erased = self.erased.erasure(version.lsn);
        if erased.by.is_some() {
            return Ok(Held::Erased(erased));
        }
        let held = match &version.place {
            Place::Inline(value) => Held::Value(value.clone()),
            Place::Erased => Held::Erased(erased),
            Place::Log => self.read_log(version.lsn)?,
        };
        self.opened(space, key, version.lsn, held)
    }

    /// Whether the values of a keyspace are sealed.
    pub(crate) fn seals(&self, space: StreamId) -> bool {
        self.sealer.is_some_and(|sealer| sealer.seals(space))
    }

    /// A value as readers see it: opened if it was sealed.
    pub(crate) fn opened(&self, space: StreamId, key: &[u8], lsn: Lsn, held: Held) -> Result<Held> {
        match (held, self.sealer.filter(|sealer| sealer.seals(space))) {
            (Held::Value(stored), Some(sealer)) => {
                let opened = sealer.open(space, key, lsn, &stored)?;
                Ok(opened.map_or_else(Held::Erased, Held::Value))
            }
            (held, _) => Ok(held),
        }
    }
}
