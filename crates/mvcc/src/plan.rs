//! Planning a write transaction at the newest state: every check is made and every change
//! known before anything is written. Nothing here reads a clock.

use bytes::Bytes;
use cairn_codec::{Draft, Facts, RecordDraft, RecordKind, SequenceRule};
use cairn_types::{PayloadHash, StreamId, limits};

use crate::hashes::Hashes;
use crate::index::Before;
use crate::key_value::LeaseId;
use crate::lease::Leases;
use crate::overlay::{Overlay, Planned, Seen, View};
use crate::range::{check_request, collect, finish};
use crate::read::Values;
use crate::recent::Recents;
use crate::record::{CompactionRecord, LeaseRecord};
use crate::request::{DeleteRange, Put, RangeRequest};
use crate::txn::{DeleteResponse, PutResponse};
use crate::{Error, RangeResponse, Result};

/// Plans one write transaction; it sees its own changes.
#[derive(Debug)]
pub struct Planner<'a> {
    pub(crate) index: &'a crate::index::Index,
    pub(crate) leases: &'a Leases,
    pub(crate) values: Values<'a>,
    /// Newest revision, whether readers see it yet or not.
    pub(crate) base: u64,
    pub(crate) oldest: u64,
    pub(crate) recent: &'a Recents,
    pub(crate) hashes: Hashes,
    pub(crate) overlay: Overlay,
    pub(crate) lease_records: Vec<LeaseRecord>,
    pub(crate) compaction: Option<CompactionRecord>,
    /// Records of others that go into the same batch.
    pub(crate) extra: Vec<Extra>,
}

#[derive(Debug)]
pub(crate) struct Extra {
    kind: RecordKind,
    stream: StreamId,
    key: Option<Bytes>,
    timestamp: Option<cairn_types::Timestamp>,
    payload: Vec<u8>,
}

impl Planner<'_> {
    /// The revision that this transaction will have if it changes a key.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.base + 1
    }

    /// The revision of an answer given now: the new one once something has changed.
    pub(crate) fn answer_revision(&self) -> u64 {
        if self.overlay.is_empty() { self.base } else { self.base + 1 }
    }

    pub(crate) fn view(&self) -> View<'_> {
        let overlay = (!self.overlay.is_empty()).then_some(&self.overlay);
        View { index: self.index, revision: self.base, overlay }
    }

    /// Puts a record of another kind (an event, say) into the same batch: it is there if and
    /// only if the keys of this transaction are.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub fn attach(&mut self, record: RecordDraft<'_>, payload: Vec<u8>) -> Result<()> {
        within("payload", payload.len(), limits::MAX_PAYLOAD_LEN)?;
        self.extra.push(Extra {
            kind: record.kind,
            stream: record.stream,
            key: record.key.map(Bytes::copy_from_slice),
            timestamp: record.timestamp,
            payload,
        });
        Ok(())
    }

    /// Reads as this transaction sees it; a revision in the request reads the past.
    ///
    /// # Errors
    /// [`Error::EmptyKey`], [`Error::Compacted`], [`Error::FutureRevision`], the log's.
    pub fn range(&self, request: &RangeRequest) -> Result<RangeResponse> {
        check_request(request)?;
        self.check_revision(request.revision)?;
        let view = match request.revision {
            0 => self.view(),
            revision => View { index: self.index, revision, overlay: None },
        };
        finish(collect(&view, request)?, request, &self.values, self.answer_revision())
    }

    pub(crate) fn check_revision(&self, revision: u64) -> Result<()> {
        if revision > self.base {
            return Err(Error::FutureRevision { requested: revision, current: self.base });
        }
        if revision != 0 && revision < self.oldest {
            return Err(Error::Compacted { requested: revision, oldest: self.oldest });
        }
        Ok(())
    }

    /// What of a put can be refused without looking at other operations.
    pub(crate) fn check_put(&self, put: &Put) -> Result<()> {
        if put.key.is_empty() {
            return Err(Error::EmptyKey);
        }
        if self.index.is_forgotten(put.space) {
            return Err(Error::KeyspaceDropped { space: put.space });
        }
        within("key", put.key.len(), limits::MAX_KEY_LEN)?;
        within("value", put.value.len(), limits::MAX_PAYLOAD_LEN)?;
        if put.ignore_value && !put.value.is_empty() {
            return Err(Error::ValueProvided);
        }
        if put.ignore_lease && !put.lease.is_none() {
            return Err(Error::LeaseProvided);
        }
        if !put.lease.is_none() && !self.leases.contains(put.lease) {
            return Err(Error::LeaseNotFound { id: put.lease });
        }
        let needs_key = put.ignore_value || put.ignore_lease;
        if needs_key && !self.view().has(put.space, &put.key)? {
            return Err(Error::KeyNotFound { key: put.key.clone() });
        }
        Ok(())
    }

    /// Writes a key.
    ///
    /// # Errors
    /// As the kinds say; [`Error::Erased`] when an erased value is to be kept;
    /// [`Error::DuplicateKey`] when this transaction changed the key already.
    pub fn put(&mut self, put: &Put) -> Result<PutResponse> {
        let hash = self.hashes.get(put);
        self.take_put(put.clone(), hash)
    }

    /// As [`put`](Self::put) for a put that is given away, with the hash of its value if that is
    /// known.
    pub(crate) fn take_put(&mut self, put: Put, hash: Option<PayloadHash>) -> Result<PutResponse> {
        self.check_put(&put)?;
        let revision = self.revision();
        let wants_previous = put.prev_kv || put.ignore_value;
        let (found, before) = self.index.prepare(put.space, &put.key, |newest| {
            let seen = Seen::Stored(newest.filter(|newest| !newest.is_tombstone())?);
            let candidate = wants_previous.then(|| seen.to_candidate(&put.key));
            Some((seen.create(), seen.version() + 1, candidate))
        })?;
        if self.overlay.get(before.hash(), put.space, &put.key).is_some() {
            return Err(Error::DuplicateKey { key: put.key.clone() });
        }
        let (create, version, candidate) = found.unwrap_or((revision, 1, None));
        let previous =
            candidate.map(|found| self.values.resolve(put.space, found, true)).transpose()?;
        let value = match &previous {
            Some(previous) if put.ignore_value => {
                let value = previous.clone().into_value()?;
                let hash = cairn_codec::hash::payload(&value);
                (value, hash)
            }
            _ => {
                let hash = hash.unwrap_or_else(|| cairn_codec::hash::payload(&put.value));
                (put.value, hash)
            }
        };
        let sealer = self.values.sealer.filter(|sealer| sealer.seals(put.space));
        let sealed = match sealer {
            None => None,
            Some(sealer) => {
                let sealed = sealer.seal(put.space, &put.key, &value.0)?;
                let hash = cairn_codec::hash::payload(&sealed);
                Some(Box::new((sealed, hash)))
            }
        };
        self.overlay.push(Planned {
            space: put.space,
            key: put.key,
            value: Some(value),
            sealed,
            create,
            version,
            lease: if put.ignore_lease { before.lease } else { put.lease },
            before,
        });
        let prev_kv = previous.filter(|_| put.prev_kv);
        Ok(PutResponse { revision, prev_kv })
    }

    /// Deletes keys; each gets a tombstone, in the order of the keys.
    ///
    /// # Errors
    /// [`Error::EmptyKey`], the log's when previous versions are asked for;
    /// [`Error::DuplicateKey`] for a key that this transaction put.
    pub fn delete(&mut self, delete: &DeleteRange) -> Result<DeleteResponse> {
        if delete.range.is_single() && !delete.prev_kv {
            let deleted = self.delete_key(delete.space, delete.range.key.clone())?;
            let (revision, prev_kvs) = (self.answer_revision(), Vec::new());
            return Ok(DeleteResponse { revision, deleted: deleted.into(), prev_kvs });
        }
        if delete.range.key.is_empty() && delete.range.is_single() {
            return Err(Error::EmptyKey);
        }
        let mut keys = Vec::new();
        let mut previous = Vec::new();
        let mut duplicate = None;
        self.view().walk(delete.space, &delete.range, |key, seen| {
            if matches!(seen, Seen::Planned(..)) {
                duplicate = Some(Bytes::copy_from_slice(key));
                return false;
            }
            keys.push(Bytes::copy_from_slice(key));
            if delete.prev_kv {
                previous.push(seen.to_candidate(key));
            }
            true
        })?;
        if let Some(key) = duplicate {
            return Err(Error::DuplicateKey { key });
        }
        let prev_kvs = previous
            .into_iter()
            .map(|candidate| self.values.resolve(delete.space, candidate, true))
            .collect::<Result<_>>()?;
        let deleted = keys.len() as u64;
        for key in keys {
            self.tombstone(delete.space, key)?;
        }
        Ok(DeleteResponse { revision: self.answer_revision(), deleted, prev_kvs })
    }

    /// Deletes a key if it exists; whether it did.
    ///
    /// # Errors
    /// [`Error::EmptyKey`]; [`Error::DuplicateKey`] when this transaction put the key.
    pub fn delete_key(&mut self, space: StreamId, key: Bytes) -> Result<bool> {
        if key.is_empty() {
            return Err(Error::EmptyKey);
        }
        let ((), before) = self.index.prepare(space, &key, |_| ())?;
        match self.overlay.get(before.hash(), space, &key) {
            Some(planned) if planned.version != 0 => return Err(Error::DuplicateKey { key }),
            None if before.lived => self.push_tombstone(space, key, before),
            // It does not exist, or not any more.
            Some(_) | None => return Ok(false),
        }
        Ok(true)
    }

    pub(crate) fn tombstone(&mut self, space: StreamId, key: Bytes) -> Result<()> {
        let ((), before) = self.index.prepare(space, &key, |_| ())?;
        self.push_tombstone(space, key, before);
        Ok(())
    }

    fn push_tombstone(&mut self, space: StreamId, key: Bytes, before: Before) {
        let lease = LeaseId::NONE;
        self.overlay.push(Planned {
            space,
            key,
            value: None,
            sealed: None,
            create: 0,
            version: 0,
            lease,
            before,
        });
    }

    /// Whether there is anything to write.
    pub(crate) fn is_empty(&self) -> bool {
        self.overlay.is_empty()
            && self.lease_records.is_empty()
            && self.compaction.is_none()
            && self.extra.is_empty()
    }

    /// The batch: leases first, then keys in order, then what was attached.
    pub(crate) fn draft(&self) -> Result<Draft> {
        let changes = self.overlay.changes();
        let bytes = changes.iter().filter_map(|change| Some(change.stored()?.0.len())).sum();
        let mut draft = Draft::with_capacity(changes.len() + self.extra.len() + 1, bytes);
        for lease in &self.lease_records {
            let (kind, id) = match lease {
                LeaseRecord::Granted { id, .. } => (RecordKind::LEASE_GRANT, id),
                LeaseRecord::Revoked { id, .. } => (RecordKind::LEASE_REVOKE, id),
            };
            let sequence = SequenceRule::At(id.get().cast_unsigned());
            let record = RecordDraft { sequence, ..RecordDraft::new(kind, StreamId::SYSTEM) };
            draft.push(record, &lease.encode())?;
        }
        if let Some(compaction) = &self.compaction {
            let sequence = SequenceRule::At(compaction.oldest);
            let kind = RecordKind::COMPACTION;
            let record = RecordDraft { sequence, ..RecordDraft::new(kind, StreamId::SYSTEM) };
            draft.push(record, &compaction.encode())?;
        }
        let sequence = SequenceRule::At(self.revision());
        for change in changes {
            let kind = if change.value.is_some() { RecordKind::PUT } else { RecordKind::DELETE };
            let facts = change.value.is_some().then(|| Facts {
                create_revision: change.create,
                version: change.version,
                lease: change.lease.get().cast_unsigned(),
            });
            let record = RecordDraft {
                sequence,
                key: Some(&change.key),
                facts,
                ..RecordDraft::new(kind, change.space)
            };
            match change.stored() {
                Some((value, hash)) => draft.push_hashed(record, value, *hash)?,
                None => draft.push(record, b"")?,
            }
        }
        for extra in &self.extra {
            let record = RecordDraft {
                timestamp: extra.timestamp,
                key: extra.key.as_deref(),
                ..RecordDraft::new(extra.kind, extra.stream)
            };
            draft.push(record, &extra.payload)?;
        }
        if !changes.is_empty() {
            draft.set_first_revision(self.revision());
        }
        Ok(draft)
    }
}

pub(crate) fn within(what: &'static str, found: usize, limit: usize) -> Result<()> {
    let (found, limit) = (found as u64, limit as u64);
    if found > limit { Err(Error::TooLarge { what, found, limit }) } else { Ok(()) }
}
