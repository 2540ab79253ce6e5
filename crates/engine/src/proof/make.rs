//! Making proofs about records and keys. Nothing is kept here.

use cairn_merkle::log::TreeHead;
use cairn_merkle::map::{Claim, PathHash, Question};
use cairn_merkle::proof_file::ProofFile;
use cairn_segment::RecordKind;
use cairn_types::Lsn;

use super::handle::{Guard, Held};
use super::key_map::KeyMapView;
use super::key_proof::KeyProofFile;
use super::{Error, Proofs, Result};

/// A proof that the log has a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// Place of the record.
    pub lsn: Lsn,
    /// The signed head that has it.
    pub head: TreeHead,
    /// The file to hand out; its extra data is the leaf.
    pub file: ProofFile,
    /// The raw leaf: the canonical statement of the record.
    pub leaf: Vec<u8>,
}

/// A proof about all versions of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyProven {
    /// Place of the map root that it leads to.
    pub lsn: Lsn,
    /// The signed head that has the map root.
    pub head: TreeHead,
    /// The newest revision that the map root covers.
    pub revision: u64,
    /// The file to hand out.
    pub file: KeyProofFile,
}

impl Proofs {
    /// Proves that the log has the record at an LSN. Signs the newest head unless one that was
    /// signed covers the record.
    ///
    /// # Errors
    /// [`Error::NoRecord`], [`Error::Dropped`], [`Error::ReadOnly`]; as
    /// [`checkpoint`](Self::checkpoint).
    pub fn prove_lsn(&self, lsn: Lsn) -> Result<Proven> {
        self.held()?.prove(lsn)
    }

    /// Proves that the log has an event, also when it was erased.
    ///
    /// # Errors
    /// As [`prove_lsn`](Self::prove_lsn); the engine's for a topic, partition or event that is
    /// not there.
    pub fn prove_event(&self, topic: &str, partition: u32, offset: u64) -> Result<Proven> {
        self.prove_lsn(self.engine.event_place(topic, partition, offset)?)
    }

    /// Proves that the log has the put that was current at a revision, 0 for the newest. That
    /// nothing replaced it by then is shown by [`prove_map`](Self::prove_map).
    ///
    /// # Errors
    /// [`Error::NoKey`] when the key was not there then; as [`prove_lsn`](Self::prove_lsn).
    pub fn prove_key(&self, keyspace: &str, key: &[u8], revision: u64) -> Result<Proven> {
        let stream = self.engine.keyspace(keyspace)?.stream();
        let path = PathHash::of_key(u64::from(stream.get()), key);
        let mut held = self.held()?;
        let view = held.keys()?;
        let newest = view.newest_revision();
        let revision = if revision == 0 { newest } else { revision };
        let Some(place) = view.version_at(&path, revision) else {
            return Err(Error::NoKey { revision });
        };
        let mut scan = held.log.scan(place.lsn);
        let is_put = scan.next_record()?.is_some_and(|found| found.view.kind == RecordKind::PUT);
        if !is_put {
            return Err(Error::NoKey { revision });
        }
        held.prove(place.lsn)
    }

    /// Answers a question about a key, whatever the answer is: what it was at a revision (also
    /// that it was not there), what is newest, or its complete history.
    ///
    /// # Errors
    /// [`cairn_merkle::map::Error`] for a revision to come and for too long a history;
    /// [`Error::Pruned`]; as [`prove_lsn`](Self::prove_lsn).
    pub fn prove_map(&self, keyspace: &str, key: &[u8], question: Question) -> Result<KeyProven> {
        let stream = self.engine.keyspace(keyspace)?.stream();
        let number = u64::from(stream.get());
        let mut held = self.held()?;
        held.keys()?;
        let Held { log, keys, .. } = &mut *held;
        let view = keys.as_mut().expect("opened above");
        let (lsn, head) = view.root(log, false)?;
        let claim = Claim { path: PathHash::of_key(number, key), question };
        let proof = view.map().prove(&claim, &view.history(log))?;
        let record = held.prove(lsn)?;
        let file = KeyProofFile {
            keyspace: number,
            key: key.to_vec(),
            question,
            head,
            proof: proof.encode(),
            record: record.file,
        };
        Ok(KeyProven { lsn, head: record.head, revision: head.revision, file })
    }

    /// Keeps the key map as a file, so that the next opening need not read every value.
    ///
    /// # Errors
    /// [`Error::ReadOnly`]; the log's, and those of the file.
    pub fn save_key_map(&self) -> Result<()> {
        self.held()?.save_key_map(false)
    }
}

impl Guard<'_> {
    /// The key map of everything that is durable.
    fn keys(&mut self) -> Result<&KeyMapView> {
        let held = &mut **self;
        if !held.log.is_read_only() {
            held.log.sync()?;
        }
        match &mut held.keys {
            Some(view) => view.catch_up(&held.log)?,
            None => held.keys = Some(KeyMapView::open(&held.log)?),
        }
        Ok(held.keys.as_ref().expect("opened above"))
    }

    /// Keeps the key map as a file, after stating it in the log, again if that is asked for.
    pub(super) fn save_key_map(&mut self, anew: bool) -> Result<()> {
        self.keys()?;
        let Held { log, keys, .. } = &mut **self;
        let view = keys.as_mut().expect("opened above");
        view.root(log, anew)?;
        view.save(&*log.sealed_vfs())
    }
}

impl Held {
    fn prove(&mut self, lsn: Lsn) -> Result<Proven> {
        let signed = self.covering(lsn)?;
        let mut scan = self.log.scan(lsn);
        let record = scan.next_record()?;
        let end = super::tree::end_of(&self.log);
        let record = record.ok_or(Error::NoRecord { lsn, end })?;
        let leaf = record.statement().ok_or(Error::Dropped { lsn })?;
        let proof = self.tree.inclusion(lsn.get(), signed.head.size)?;
        let file = ProofFile::new(lsn.get(), proof, signed.note)?.with_extra(leaf.clone())?;
        Ok(Proven { lsn, head: signed.head, file, leaf })
    }
}
