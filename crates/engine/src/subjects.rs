//! Subjects: in topics and keyspaces that were created for it, payloads are sealed with a key of
//! the one they are about, and the log commits to the sealed form. Shredding a subject drops its
//! key: everything about it is gone at once, wherever copies of the log are, and every proof
//! holds.
//!
//! ```text
//! key "alice/email" ─▶ subject "alice" ─▶ its key in keys/subjects ─HKDF, fresh salt─▶ AES-256-GCM
//! shred("alice") ─▶ log who asked and why (kind 10), synced ─▶ the key's slot is zeroes, synced
//! ```
//!
//! The subject is what stands before the first `/` of the key, else the whole key. Names of
//! subjects stay in keys and in the record of shredding: use pseudonyms. Which streams are sealed
//! and who was shredded is **derived** from the log; the keys are truth and nowhere else.

mod key_file;
mod record;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use bytes::Bytes;
use cairn_codec::seal::{BlockCipher, BlockIdentity, FILE_SALT_LEN, FileKind, StoreKey};
use cairn_mvcc::{Erasure, ValueSealer};
use cairn_segment::{Log, OwnedFile, RecordKind};
use cairn_types::{Lsn, StreamId};

pub(crate) use record::SUBJECT;
pub use record::{SUBJECT_LEN_MAX, ShredRecord};

use crate::{Engine, Error, Result, envelope};
use key_file::{KeyFile, SubjectId};

/// The subject of a key.
#[must_use]
pub fn subject_of(key: &[u8]) -> &[u8] {
    key.split(|byte| *byte == b'/').next().unwrap_or(key)
}

/// A subject whose key was dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shredded {
    /// The subject.
    pub subject: Vec<u8>,
    /// The record that authorised it.
    pub by: Lsn,
    /// Who asked and why.
    pub reason: String,
}

/// What the log says of subjects, and their keys.
#[derive(Debug, Default)]
pub(crate) struct Subjects {
    streams: RwLock<BTreeSet<StreamId>>,
    /// Looked at first: mostly nothing is sealed for subjects.
    has_streams: AtomicBool,
    shredded: RwLock<BTreeMap<Vec<u8>, Shredded>>,
    log: OnceLock<Log>,
    /// Read when it is first needed.
    keys: Mutex<Option<KeyFile>>,
}

impl Subjects {
    /// Says which log it is for; once, before anything is sealed or opened.
    pub(crate) fn attach(&self, log: &Log) {
        let _the_first_one_stays = self.log.set(log.clone());
    }

    fn log(&self) -> &Log {
        self.log.get().expect("attached before the engine is handed out")
    }

    /// Notes that the payloads of a stream are sealed.
    pub(crate) fn note_stream(&self, stream: StreamId) {
        self.streams.write().unwrap_or_else(PoisonError::into_inner).insert(stream);
        self.has_streams.store(true, Ordering::Release);
    }

    /// Whether the payloads of a stream are sealed.
    pub(crate) fn has_stream(&self, stream: StreamId) -> bool {
        self.has_streams.load(Ordering::Acquire)
            && self.streams.read().unwrap_or_else(PoisonError::into_inner).contains(&stream)
    }

    /// Notes that a subject was shredded; the first record counts.
    pub(crate) fn note_shredded(&self, record: ShredRecord, by: Lsn) {
        let ShredRecord { subject, reason } = record;
        let mut shredded = self.shredded.write().unwrap_or_else(PoisonError::into_inner);
        let new = || Shredded { subject: subject.clone(), by, reason };
        shredded.entry(subject.clone()).or_insert_with(new);
    }

    /// All that were shredded, by name.
    pub(crate) fn all_shredded(&self) -> Vec<Shredded> {
        let shredded = self.shredded.read().unwrap_or_else(PoisonError::into_inner);
        shredded.values().cloned().collect()
    }

    fn shredded_by(&self, subject: &[u8]) -> Option<Lsn> {
        let shredded = self.shredded.read().unwrap_or_else(PoisonError::into_inner);
        shredded.get(subject).map(|shredded| shredded.by)
    }

    fn with_keys<T>(&self, act: impl FnOnce(&mut KeyFile) -> Result<T>) -> Result<T> {
        let mut keys: MutexGuard<'_, _> = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = match &mut *keys {
            Some(keys) => keys,
            none => none.insert(KeyFile::open(self.log())?),
        };
        act(keys)
    }

    /// The file of the keys of subjects, with the data keys of the store that it needs.
    pub(crate) fn owned_files(&self) -> Result<[OwnedFile; 1]> {
        let keys = self.with_keys(|keys| Ok(keys.data_keys()))?;
        Ok([OwnedFile { path: key_file::PATH, keys }])
    }

    /// Seals the keys of subjects with the newest data key.
    pub(crate) fn reseal(&self) -> Result<()> {
        let outcome = self.with_keys(KeyFile::reseal);
        if outcome.is_err() {
            // Which of the two files is in place is not known: it is read again.
            *self.keys.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        outcome
    }

    /// Seals what is about the subject of a key.
    fn seal_bytes(&self, stream: StreamId, key: &[u8], plain: &[u8]) -> Result<Vec<u8>> {
        let log = self.log();
        let subject = subject_of(key);
        let (found, limit) = (subject.len() as u64, SUBJECT_LEN_MAX as u64);
        if subject.is_empty() {
            return Err(Error::NoSubject);
        }
        if found > limit {
            return Err(Error::TooLarge { what: "subject", found, limit });
        }
        let id = KeyFile::id_of(log, subject);
        // Looked at under the lock of the keys: a key is not made again while it is dropped.
        let secret = self.with_keys(|keys| match self.shredded_by(subject) {
            Some(by) => Err(Error::SubjectShredded { by }),
            None => keys.get_or_make(&id),
        })?;
        let mut salt = [0; FILE_SALT_LEN];
        log.rng().fill(&mut salt);
        let place = BlockIdentity { store_id: log.store_id(), file: stream.get().into(), place: 0 };
        let mut out = salt.to_vec();
        secret.new_file(FileKind::Subject, place.file, &salt).seal(&place, plain, &mut out)?;
        Ok(out)
    }

    /// The key of a subject. When another process writes the file it is read again: the key may
    /// be new, or the file was replaced while it was read.
    fn key_of(&self, id: &SubjectId) -> Result<Option<Arc<StoreKey>>> {
        let known = self.with_keys(|keys| Ok(keys.get(id)));
        if matches!(known, Ok(Some(_))) || !self.log().is_read_only() {
            return known;
        }
        *self.keys.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.with_keys(|keys| Ok(keys.get(id)))
    }

    /// Opens what was sealed; or says by which record it is gone.
    fn open_bytes(
        &self,
        stream: StreamId,
        key: &[u8],
        lsn: Lsn,
        sealed: &[u8],
    ) -> Result<std::result::Result<Vec<u8>, Erasure>> {
        let subject = subject_of(key);
        if let Some(by) = self.shredded_by(subject) {
            return Ok(Err(Erasure { lsn, by: Some(by) }));
        }
        let log = self.log();
        let damaged = |cause| Error::Damaged { lsn, cause };
        let id = KeyFile::id_of(log, subject);
        let secret = self.key_of(&id)?;
        let secret =
            secret.ok_or(damaged("its subject's key is missing, and nobody shredded it"))?;
        let (salt, block) =
            sealed.split_first_chunk::<FILE_SALT_LEN>().ok_or(damaged("it is not sealed"))?;
        let place = BlockIdentity { store_id: log.store_id(), file: stream.get().into(), place: 0 };
        let mut plain = Vec::with_capacity(block.len());
        let cipher = secret.old_file(FileKind::Subject, place.file, salt);
        let opened = cipher.open(&place, block, &mut plain);
        opened.map_err(|_| damaged("it does not open with its subject's key"))?;
        Ok(Ok(plain))
    }

    /// Seals the payload of an event, but for its head, when its topic is so.
    pub(crate) fn seal_event(
        &self,
        stream: StreamId,
        key: Option<&[u8]>,
        payload: &mut Vec<u8>,
    ) -> Result<()> {
        if !self.has_stream(stream) {
            return Ok(());
        }
        let head_len = envelope::head_of(payload).len();
        let body = payload.split_off(head_len);
        let sealed = self.seal_bytes(stream, key.ok_or(Error::NoSubject)?, &body)?;
        envelope::mark_sealed(payload);
        payload.extend_from_slice(&sealed);
        Ok(())
    }

    /// The payload of an event as it was before it was sealed; nothing when its subject was
    /// shredded.
    pub(crate) fn open_event(
        &self,
        stream: StreamId,
        key: Option<&[u8]>,
        lsn: Lsn,
        payload: Bytes,
    ) -> Result<Option<Bytes>> {
        if !envelope::is_sealed(&payload) {
            return Ok(Some(payload));
        }
        let (head, sealed) = payload.split_at(envelope::head_of(&payload).len());
        let opened = self.open_bytes(stream, key.unwrap_or_default(), lsn, sealed)?;
        let Ok(body) = opened else { return Ok(None) };
        let mut plain = head.to_vec();
        envelope::mark_plain(&mut plain);
        plain.extend_from_slice(&body);
        Ok(Some(plain.into()))
    }

    /// By which record an event is gone, by its key.
    pub(crate) fn gone_by(&self, stream: StreamId, key: &[u8]) -> Option<Lsn> {
        if self.has_stream(stream) { self.shredded_by(subject_of(key)) } else { None }
    }

    /// Drops the keys that are to be dropped.
    fn finish(&self) -> Result<()> {
        let shredded = self.all_shredded();
        if shredded.is_empty() || self.log().is_read_only() {
            return Ok(());
        }
        self.log().sync()?;
        self.with_keys(|keys| {
            keys.wipe_torn()?;
            for one in &shredded {
                keys.forget(&KeyFile::id_of(self.log(), &one.subject))?;
            }
            Ok(())
        })
    }
}

impl ValueSealer for Subjects {
    fn seals(&self, space: StreamId) -> bool {
        self.has_stream(space)
    }

    fn seal(&self, space: StreamId, key: &[u8], value: &[u8]) -> cairn_mvcc::Result<Bytes> {
        Ok(self.seal_bytes(space, key, value).map_err(sealing)?.into())
    }

    fn open(
        &self,
        space: StreamId,
        key: &[u8],
        lsn: Lsn,
        stored: &[u8],
    ) -> cairn_mvcc::Result<std::result::Result<Bytes, Erasure>> {
        Ok(self.open_bytes(space, key, lsn, stored).map_err(sealing)?.map(Bytes::from))
    }
}

fn sealing(error: Error) -> cairn_mvcc::Error {
    cairn_mvcc::Error::Sealing { kind: error.kind(), cause: error.to_string() }
}

impl Engine {
    /// Drops the key of a subject: nothing about it in topics and keyspaces sealed by subject can
    /// be read any more, here or in any copy of the log. Records, their proofs and the subject's
    /// keys stay. Nothing more can be written about it. Copies of `keys/` elsewhere are out of
    /// reach. The reason goes into the log: say who asked and why.
    ///
    /// Doing it again changes nothing and names the same record.
    ///
    /// # Errors
    /// [`Error::NothingToErase`] for a subject that has no key; [`Error::TooLarge`]; the log's.
    #[cfg_attr(feature = "tracing", tracing::instrument(name = "cairn_shred", skip_all, err))]
    pub fn shred(&self, subject: impl AsRef<[u8]>, reason: &str) -> Result<Shredded> {
        let (subject, subjects) = (subject.as_ref(), &self.shared.subjects);
        let (found, limit) = (reason.len() as u64, crate::erasure::REASON_LEN_MAX as u64);
        if found > limit {
            return Err(Error::TooLarge { what: "reason", found, limit });
        }
        let mut view = self.shared.view.write().unwrap_or_else(PoisonError::into_inner);
        if subjects.shredded_by(subject).is_none() {
            let id = KeyFile::id_of(self.log(), subject);
            if subjects.with_keys(|keys| Ok(keys.get(&id)))?.is_none() {
                return Err(Error::NothingToErase);
            }
            let record = ShredRecord { subject: subject.to_vec(), reason: reason.to_owned() };
            self.append_system(&mut view, RecordKind::ERASURE, &record.encode(), None)?;
        }
        drop(view);
        subjects.finish()?;
        let all = subjects.shredded.read().unwrap_or_else(PoisonError::into_inner);
        Ok(all.get(subject).cloned().expect("noted when its record was applied"))
    }

    /// The subjects that were shredded, by name.
    #[must_use]
    pub fn shredded(&self) -> Vec<Shredded> {
        self.shared.subjects.all_shredded()
    }

    /// Drops keys whose dropping a crash interrupted.
    pub(crate) fn finish_shredding(&self) -> Result<()> {
        self.shared.subjects.finish()
    }
}

/// Shared by view and engine.
pub(crate) type SharedSubjects = Arc<Subjects>;
