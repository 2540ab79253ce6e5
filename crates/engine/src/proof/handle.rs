//! Proofs as their users hold them: catching up, heads, signing.

use std::sync::{Mutex, MutexGuard, PoisonError};

use cairn_merkle::log::TreeHead;
use cairn_merkle::note::{Checkpoint, KeyName, Note, SignatureKind, Signer, Verifier};
use cairn_segment::{Log, RecordKind};
use cairn_types::Lsn;

use super::key_map::KeyMapView;
use super::tree::{LogTree, end_of};
use super::{Error, Result, records, signed, signing};
use crate::Engine;

/// What an engine keeps for proofs, once somebody asks for one.
#[derive(Debug, Default)]
pub(crate) struct Slot(Mutex<Option<Held>>);

impl Slot {
    /// Does something while nobody else reads or writes the files of proofs.
    pub(crate) fn alone<T>(&self, act: impl FnOnce() -> T) -> T {
        let _held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        act()
    }
}

/// Tree, map and the newest signature.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) log: Log,
    pub(super) tree: LogTree,
    pub(super) keys: Option<KeyMapView>,
    pub(super) policy: Policy,
    /// The newest head that this process signed.
    pub(super) signed: Option<SignedHead>,
}

/// When the log writes down what was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// A checkpoint is also a record of the log when it covers so many records more than the
    /// last recorded one; `None`: never.
    pub record_every: Option<u64>,
}

impl Default for Policy {
    fn default() -> Self {
        Self { record_every: Some(1000) }
    }
}

/// A head and the note with the log's signature over it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedHead {
    /// Size and root.
    pub head: TreeHead,
    /// The C2SP checkpoint.
    pub note: Note,
}

/// Proofs of one engine. Clones share tree and map.
#[derive(Debug, Clone)]
pub struct Proofs {
    pub(super) engine: Engine,
}

/// The tree and the map, locked.
pub(super) struct Guard<'a>(MutexGuard<'a, Option<Held>>);

impl std::ops::Deref for Guard<'_> {
    type Target = Held;
    fn deref(&self) -> &Held {
        self.0.as_ref().expect("opened before it is handed out")
    }
}

impl std::ops::DerefMut for Guard<'_> {
    fn deref_mut(&mut self) -> &mut Held {
        self.0.as_mut().expect("opened before it is handed out")
    }
}

impl Engine {
    /// Proofs over this engine's log. The first call opens the tree as far as it had come.
    ///
    /// # Errors
    /// [`Error::Pruned`] when records were dropped before there was a tree over them; the log's
    /// and those of the files.
    pub fn proofs(&self) -> Result<Proofs> {
        let proofs = Proofs { engine: self.clone() };
        proofs.held()?;
        Ok(proofs)
    }
}

impl Proofs {
    pub(super) fn held(&self) -> Result<Guard<'_>> {
        let slot = &self.engine.shared.proofs.0;
        let mut held = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_none() {
            let log = self.engine.log().clone();
            let (tree, policy) = (LogTree::open(&log)?, Policy::default());
            *held = Some(Held { log, tree, keys: None, policy, signed: None });
        }
        Ok(Guard(held))
    }

    /// Sets when the log writes down what was signed.
    ///
    /// # Errors
    /// As [`Engine::proofs`].
    pub fn set_policy(&self, policy: Policy) -> Result<()> {
        self.held()?.policy = policy;
        Ok(())
    }

    /// Takes all durable records into the tree; says how many were new.
    ///
    /// # Errors
    /// The log's, and those of the files.
    pub fn catch_up(&self) -> Result<u64> {
        self.held()?.tree.catch_up()
    }

    /// Size and root of the tree as far as it has come. Not signed.
    ///
    /// # Errors
    /// As [`Engine::proofs`].
    pub fn head(&self) -> Result<TreeHead> {
        Ok(self.held()?.tree.head())
    }

    /// The root of the first `size` records.
    ///
    /// # Errors
    /// [`Error::NoSuchSizes`] beyond the tree.
    pub fn root_at(&self, size: u64) -> Result<cairn_merkle::Hash> {
        let mut held = self.held()?;
        if size > held.tree.size() {
            let found = held.tree.size();
            return Err(Error::NoSuchSizes { old: size, new: size, size: found });
        }
        held.tree.root_at(size)
    }

    /// The first record that can still be read: the minimum index of the log.
    #[must_use]
    pub fn minimum_index(&self) -> Lsn {
        self.engine.log().start_lsn()
    }

    /// How often the tree was built again because a tile was damaged.
    ///
    /// # Errors
    /// As [`Engine::proofs`].
    pub fn rebuilt_count(&self) -> Result<u64> {
        Ok(self.held()?.tree.rebuilt_count())
    }

    /// The newest head that was ever signed, as `keys/signed` remembers.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn last_signed(&self) -> Result<Option<TreeHead>> {
        let log = self.engine.log();
        Ok(signed::read(&*log.sealed_vfs(), &log.store_id())?.filter(|head| head.size > 0))
    }

    /// Signs the head of everything that is durable now.
    ///
    /// # Errors
    /// [`Error::BelowSigned`], [`Error::SignedDiffers`] and [`Error::SignedMissing`]: nothing is
    /// signed then. [`Error::ReadOnly`]; the log's.
    pub fn checkpoint(&self) -> Result<SignedHead> {
        let mut held = self.held()?;
        let signed = held.sign(None)?;
        held.record(&signed)?;
        Ok(signed)
    }

    /// The public key that checks this log's signatures; the key is made when there is none.
    ///
    /// # Errors
    /// [`Error::ReadOnly`] when there is none and none can be made; the log's.
    pub fn verifier(&self) -> Result<Verifier> {
        let mut held = self.held()?;
        held.tree.catch_up()?;
        if held.log.is_read_only() {
            let found = signing::find(&held.log, &held.tree)?;
            return found.map(|key| key.verifier()).ok_or(Error::ReadOnly);
        }
        Ok(held.signer(None)?.verifier())
    }

    /// All public keys that ever signed this log, the newest last.
    ///
    /// # Errors
    /// The log's.
    pub fn verifiers(&self) -> Result<Vec<Verifier>> {
        let mut held = self.held()?;
        held.tree.catch_up()?;
        signing::known(&held.log, &held.tree)
    }

    /// Chooses the name that the log signs under, once, before anything is signed; makes the key.
    ///
    /// # Errors
    /// [`Error::OriginFixed`] when it has another name already.
    pub fn set_origin(&self, origin: &str) -> Result<Verifier> {
        let name = KeyName::new(origin)?;
        let mut held = self.held()?;
        held.writable()?;
        held.tree.catch_up()?;
        let key = held.signer(Some(name.as_str()))?;
        if *key.name() == name {
            return Ok(key.verifier());
        }
        Err(Error::OriginFixed { origin: key.name().to_string() })
    }

    /// Replaces the key by a fresh one under the same name. Both sign the record of it.
    ///
    /// # Errors
    /// [`Error::ReadOnly`]; the log's.
    pub fn rotate_key(&self) -> Result<Verifier> {
        let mut held = self.held()?;
        held.writable()?;
        held.tree.catch_up()?;
        let name = held.signer(None)?.name().clone();
        let next = Signer::generate(name, SignatureKind::Ed25519, &**held.log.rng());
        held.replace_key(&next)
    }

    /// Signs with this key from now on; the first one also chooses the name.
    ///
    /// # Errors
    /// [`Error::OriginFixed`] for a key under another name; [`Error::ReadOnly`]; the log's.
    pub fn supply_key(&self, key: &Signer) -> Result<Verifier> {
        let mut held = self.held()?;
        held.writable()?;
        held.tree.catch_up()?;
        held.replace_key(key)
    }
}

impl Held {
    pub(super) fn writable(&self) -> Result<()> {
        if self.log.is_read_only() { Err(Error::ReadOnly) } else { Ok(()) }
    }

    /// The key, made and recorded when that was not done. The tree must have caught up.
    fn signer(&mut self, origin: Option<&str>) -> Result<Signer> {
        self.writable()?;
        let key = signing::signer(&self.log, &mut self.tree, origin)?;
        signing::record(&self.log, &mut self.tree, &key)?;
        Ok(key)
    }

    fn replace_key(&mut self, next: &Signer) -> Result<Verifier> {
        signing::rotate(&self.log, &mut self.tree, next)?;
        self.signed = None;
        Ok(next.verifier())
    }

    /// Signs a head that covers a record: the newest signed one if it does, else the newest.
    pub(super) fn covering(&mut self, lsn: Lsn) -> Result<SignedHead> {
        if let Some(signed) = self.signed.as_ref().filter(|signed| signed.head.size > lsn.get()) {
            return Ok(signed.clone());
        }
        self.sign(Some(lsn))
    }

    /// Signs the newest durable head; with `covers`, the newest signed one again if that is
    /// enough.
    pub(super) fn sign(&mut self, covers: Option<Lsn>) -> Result<SignedHead> {
        self.writable()?;
        self.log.sync()?;
        self.tree.catch_up()?;
        let last = self.check_signed()?;
        let key = self.signer(None)?;
        let head = match (last, covers) {
            (Some(last), Some(lsn)) if last.size > lsn.get() => last,
            _ => self.tree.head(),
        };
        let end = end_of(&self.log);
        if let Some(lsn) = covers.filter(|lsn| lsn.get() >= head.size) {
            return Err(Error::NoRecord { lsn, end });
        }
        assert!(head.size <= end.get(), "only what is durable is signed");
        assert!(last.is_none_or(|last| last.size <= head.size), "heads are signed in order");
        if last.is_none_or(|last| last.size < head.size) {
            signed::write(&*self.log.sealed_vfs(), &self.log.store_id(), &head)?;
        }
        let note = Checkpoint::new(key.name().as_str(), head)?.sign(&key)?;
        let signed = SignedHead { head, note };
        self.signed = Some(signed.clone());
        Ok(signed)
    }

    /// The newest signed head, if the log still begins with it. A store that never signed has
    /// none.
    pub(super) fn check_signed(&mut self) -> Result<Option<TreeHead>> {
        let Some(last) = signed::read(&*self.log.sealed_vfs(), &self.log.store_id())? else {
            let has_key = signing::find(&self.log, &self.tree)?.is_some();
            return if has_key { Err(Error::SignedMissing) } else { Ok(None) };
        };
        if last.size > self.tree.size() {
            return Err(Error::BelowSigned { signed: last.size, found: self.tree.size() });
        }
        let found = self.tree.root_at(last.size)?;
        if found != last.root {
            return Err(Error::SignedDiffers { size: last.size, signed: last.root, found });
        }
        Ok(Some(last))
    }

    /// Writes a checkpoint into the log when the policy asks for it.
    fn record(&mut self, signed: &SignedHead) -> Result<()> {
        let Some(every) = self.policy.record_every else { return Ok(()) };
        let since = signed.head.size.saturating_sub(self.tree.found().recorded_size);
        if since < every.max(2) {
            return Ok(());
        }
        let payload = signed.note.to_string();
        records::append(&self.log, RecordKind::TREE_HEAD, signed.head.size, payload.as_bytes())?;
        self.tree.catch_up()?;
        Ok(())
    }
}
