//! Proofs as their users hold them: catching up, heads, signing.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cairn_merkle::log::TreeHead;
use cairn_merkle::note::{Checkpoint, KeyName, Note, SignatureKind, Signer, Verifier};
use cairn_segment::{Log, RecordKind};
use cairn_types::Lsn;

use super::key_map::KeyMapView;
use super::mutation::{Mutation, Mutations};
use super::tree::LogTree;
use super::{Error, Result, records, signed, signing};
use crate::Engine;

/// What an engine keeps for proofs, once somebody asks for one.
#[derive(Debug, Default)]
pub(crate) struct Slot(Mutex<Option<Held>>);

impl Slot {
    /// Whether somebody asked for proofs.
    pub(crate) fn is_open(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

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
    /// When a checkpoint was recorded last, by the monotonic clock, or this was opened.
    pub(super) recorded_at: Duration,
    pub(super) mutations: Mutations,
}

/// When the log writes down what was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// A checkpoint is also a record of the log when it covers so many records more than the
    /// last recorded one; `None`: never for their number.
    pub record_every: Option<u64>,
    /// The same when so much time has passed since the last one, or since proofs were first
    /// asked for, and there is something new; `None`: never for the time.
    pub record_after: Option<Duration>,
}

impl Default for Policy {
    fn default() -> Self {
        Self { record_every: Some(1000), record_after: None }
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
        // Cleaning must not be ahead of the key map.
        self.keys().clean_by_owner(true);
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
            let (recorded_at, mutations) = (log.clock().monotonic(), Mutations::default());
            let (keys, signed) = (None, None);
            *held = Some(Held { log, tree, keys, policy, signed, recorded_at, mutations });
        }
        Ok(Guard(held))
    }

    /// Sets when the log writes down what was signed: by [`checkpoint`](Self::checkpoint), and
    /// without being asked by [`catch_up`](Self::catch_up).
    ///
    /// # Errors
    /// As [`Engine::proofs`].
    pub fn set_policy(&self, policy: Policy) -> Result<()> {
        self.held()?.policy = policy;
        Ok(())
    }

    /// Takes all durable records into the tree; says how many were new. If the
    /// [policy](Self::set_policy) says that it is time, and the log has a key, the head is then
    /// signed and recorded. Whoever wants the tree to trail closely calls this now and then;
    /// [`Engine::maintain`] does, once proofs were asked for.
    ///
    /// # Errors
    /// The log's, and those of the files; when a head is due as [`checkpoint`](Self::checkpoint).
    pub fn catch_up(&self) -> Result<u64> {
        let mut held = self.held()?;
        let taken = held.tree.catch_up()?;
        held.record_if_due()?;
        Ok(taken)
    }

    /// Switches a planted bug on.
    ///
    /// # Errors
    /// As [`Engine::proofs`].
    #[cfg(feature = "mutants")]
    #[doc(hidden)]
    pub fn plant(&self, mutation: Mutation) -> Result<()> {
        let mut held = self.held()?;
        let mutations = Mutations { active: Some(mutation) };
        held.mutations = mutations;
        held.tree.mutations = mutations;
        Ok(())
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
        if !self.mutations.has(Mutation::SignAheadOfDurable) {
            self.log.sync()?;
        }
        self.tree.catch_up()?;
        let last = match self.mutations.has(Mutation::SignAfterRollback) {
            true => None,
            false => self.check_signed()?,
        };
        let key = self.signer(None)?;
        let head = match (last, covers) {
            (Some(last), Some(lsn)) if last.size > lsn.get() => last,
            _ => self.tree.head(),
        };
        let end = self.tree.end();
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
        if !self.is_due(signed.head.size) {
            return Ok(());
        }
        let payload = signed.note.to_string();
        records::append(&self.log, RecordKind::TREE_HEAD, signed.head.size, payload.as_bytes())?;
        self.recorded_at = self.log.clock().monotonic();
        self.tree.catch_up()?;
        Ok(())
    }

    /// Whether a head of this size is to be recorded. The record of the last one is not news.
    fn is_due(&self, size: u64) -> bool {
        let since = size.saturating_sub(self.tree.found().recorded_size);
        let Policy { record_every, record_after } = self.policy;
        let by_count = record_every.is_some_and(|every| since >= every);
        let waited = self.log.clock().monotonic().saturating_sub(self.recorded_at);
        since >= 2 && (by_count || record_after.is_some_and(|after| waited >= after))
    }

    /// Signs and records the head if the policy says so, and there is a key: none is made for it.
    fn record_if_due(&mut self) -> Result<()> {
        let is_due = !self.log.is_read_only() && self.is_due(self.tree.size());
        if !is_due || signing::find(&self.log, &self.tree)?.is_none() {
            return Ok(());
        }
        let signed = self.sign(None)?;
        self.record(&signed)
    }
}
