//! Reading keys as they are or were. Neither truth nor derived: it looks at both.

use std::collections::VecDeque;

use bytes::Bytes;
use cairn_segment::{Log, RecordKind, RecordRef};
use cairn_types::{Lsn, StreamId};

use crate::erased::{Erased, Held};
use crate::key_value::{Place, Version};
use crate::overlay::View;
use crate::range::{check_request, collect, finish};
use crate::request::RangeRequest;
use crate::{Error, KeyValue, RangeResponse, Result, Store, ValueSealer};

/// Reads values, also those that the log does not show to readers yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Values<'a> {
    pub(crate) log: &'a Log,
    pub(crate) erased: &'a Erased,
    pub(crate) sealer: Option<&'a dyn ValueSealer>,
    pub(crate) unpublished: Option<&'a VecDeque<(Lsn, Bytes)>>,
}

impl Values<'_> {
    /// The payload of a record. Fails when the record was dropped, which happens to versions that
    /// a compaction has hidden since they were found.
    pub(crate) fn read_log(&self, lsn: Lsn) -> Result<Held> {
        if let Some(recent) = self.unpublished
            && let Ok(place) = recent.binary_search_by_key(&lsn, |(at, _)| *at)
            && let Some((_, value)) = recent.get(place)
        {
            return Ok(Held::Value(value.clone()));
        }
        let held = |record: &RecordRef<'_>| match record.payload_bytes() {
            _ if record.view.kind == RecordKind::DROPPED => {
                Err(Error::Damaged { lsn, cause: "it was dropped though a key needs it" })
            }
            Some(value) => Ok(Held::Value(value)),
            None => Ok(Held::Erased(self.erased.erasure(lsn))),
        };
        if let Ok(Some(held)) = self.log.look_at(lsn, held) {
            return held;
        }
        let mut scan = self.log.scan(lsn);
        match scan.next_record()? {
            // A copy: a value that is kept must not keep the whole batch it was unpacked with.
            Some(record) => held(&record).map(|held| match held {
                Held::Value(value) => Held::Value(Bytes::copy_from_slice(&value)),
                erased => erased,
            }),
            None => Err(Error::Damaged { lsn, cause: "the record is not to be had" }),
        }
    }
}

impl Store {
    /// Refuses an answer when its revision was compacted away while it was looked for.
    pub(crate) fn check_kept(&self, revision: u64) -> Result<()> {
        let oldest = self.compact_revision();
        if revision < oldest {
            return Err(Error::Compacted { requested: revision, oldest });
        }
        Ok(())
    }

    /// Reads at a revision; at the current one again when a compaction came in between.
    pub(crate) fn read_at<T>(&self, asked: u64, read: impl Fn(u64) -> Result<T>) -> Result<T> {
        loop {
            let revision = self.readable(asked)?;
            let answer = read(revision)?;
            if self.compact_revision() <= revision {
                return Ok(answer);
            }
        }
    }

    /// As [`read_at`](Self::read_at) for what also reads values: those of a revision that is
    /// compacted meanwhile may be gone from the log.
    fn read_values_at<T>(&self, asked: u64, read: impl Fn(u64) -> Result<T>) -> Result<T> {
        loop {
            let revision = self.readable(asked)?;
            let outcome = read(revision);
            if self.compact_revision() <= revision {
                return outcome;
            }
        }
    }

    /// The revision to read at, checked; 0 stands for the current one.
    pub(crate) fn readable(&self, revision: u64) -> Result<u64> {
        let current = self.revision();
        let oldest = self.compact_revision();
        match revision {
            0 => Ok(current),
            _ if revision > current => Err(Error::FutureRevision { requested: revision, current }),
            _ if revision < oldest => Err(Error::Compacted { requested: revision, oldest }),
            _ => Ok(revision),
        }
    }

    /// The newest version of a key.
    ///
    /// # Errors
    /// The log's, when the value has to be read from it.
    pub fn get(&self, space: StreamId, key: &[u8]) -> Result<Option<KeyValue>> {
        self.get_at(space, key, 0)
    }

    /// The newest value of a key, without its facts: the cheapest read.
    ///
    /// # Errors
    /// [`Error::Erased`]; the log's, when the value has to be read from it.
    pub fn value(&self, space: StreamId, key: &[u8]) -> Result<Option<Bytes>> {
        self.read_values_at(0, |revision| {
            let found = self.index().with_version(space, key, revision, |version| {
                version.map(|version| match &version.place {
                    Place::Inline(value) => (version.lsn, Some(Held::Value(value.clone()))),
                    Place::Log | Place::Erased => (version.lsn, None),
                })
            })?;
            let Some((lsn, held)) = found else { return Ok(None) };
            let erased = self.shared.erased.erasure(lsn);
            let held = match held {
                _ if erased.by.is_some() => Held::Erased(erased),
                Some(held) => held,
                None => self.values().read_log(lsn)?,
            };
            self.values().opened(space, key, lsn, held)?.value().map(Some)
        })
    }

    /// A key as it was at a revision; 0 for the current one.
    ///
    /// # Errors
    /// [`Error::Compacted`], [`Error::FutureRevision`], the log's.
    pub fn get_at(&self, space: StreamId, key: &[u8], revision: u64) -> Result<Option<KeyValue>> {
        self.read_values_at(revision, |at| {
            let Some(version) = self.index().version(space, key, at)? else { return Ok(None) };
            let value = self.values().read(space, key, &version)?;
            Ok(Some(version.with_value(Bytes::copy_from_slice(key), value)))
        })
    }

    /// Reads a key or a range.
    ///
    /// # Errors
    /// [`Error::EmptyKey`], [`Error::Compacted`], [`Error::FutureRevision`],
    /// [`Error::InvalidSort`], the log's.
    pub fn range(&self, request: &RangeRequest) -> Result<RangeResponse> {
        check_request(request)?;
        let current = self.revision();
        loop {
            let (revision, found) = self.read_at(request.revision, |revision| {
                let view = View { index: self.index(), revision, overlay: None };
                Ok((revision, collect(&view, request)?))
            })?;
            let answer = finish(found, request, &self.values(), current.max(revision));
            // Values can go once their revision is compacted: then it is read again.
            if answer.is_ok() || self.compact_revision() <= revision {
                return answer;
            }
        }
    }

    /// Every version of a key that can still be read, oldest first. A deletion comes as a
    /// version 0 without a value.
    ///
    /// # Errors
    /// The log's.
    pub fn history(&self, space: StreamId, key: &[u8]) -> Result<Vec<KeyValue>> {
        loop {
            let oldest = self.compact_revision();
            let published = self.revision();
            let versions = self.index().history(space, key)?;
            let values = self.values();
            let visible = versions.iter().filter(|version| version.main <= published);
            let with_value = |version: &Version| {
                let value = values.read(space, key, version)?;
                Ok(version.with_value(Bytes::copy_from_slice(key), value))
            };
            let found = visible.map(with_value).collect();
            if self.compact_revision() == oldest {
                return found;
            }
        }
    }
}
