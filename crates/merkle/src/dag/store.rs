//! Where blocks and named roots are kept. **Truth** is what a store holds.

use super::cid::Cid;
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Why a store failed.
pub type StoreError = Box<dyn std::error::Error + Send + Sync>;

/// Keeps blocks by id, and roots by name. It need not check anything: whatever it gives back is
/// hashed again. The engine implements it over its log.
pub trait NodeStore {
    /// The block, if it is there.
    ///
    /// # Errors
    /// Whatever kept it from looking.
    fn get(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError>;

    /// Keeps a block. Keeping it again changes nothing.
    ///
    /// # Errors
    /// Whatever kept it from keeping it.
    fn put(&self, cid: &Cid, block: Bytes) -> Result<(), StoreError>;

    /// Whether the block is there.
    ///
    /// # Errors
    /// Whatever kept it from looking.
    fn contains(&self, cid: &Cid) -> Result<bool, StoreError> {
        Ok(self.get(cid)?.is_some())
    }

    /// The root of that name.
    ///
    /// # Errors
    /// Whatever kept it from looking.
    fn root(&self, name: &str) -> Result<Option<Cid>, StoreError>;

    /// Names a root anew, or takes the name away.
    ///
    /// # Errors
    /// Whatever kept it from keeping it.
    fn set_root(&self, name: &str, cid: Option<&Cid>) -> Result<(), StoreError>;

    /// All named roots, by name.
    ///
    /// # Errors
    /// Whatever kept it from looking.
    fn roots(&self) -> Result<BTreeMap<String, Cid>, StoreError>;
}

impl<S: NodeStore + ?Sized> NodeStore for &S {
    fn get(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        (**self).get(cid)
    }
    fn put(&self, cid: &Cid, block: Bytes) -> Result<(), StoreError> {
        (**self).put(cid, block)
    }
    fn contains(&self, cid: &Cid) -> Result<bool, StoreError> {
        (**self).contains(cid)
    }
    fn root(&self, name: &str) -> Result<Option<Cid>, StoreError> {
        (**self).root(name)
    }
    fn set_root(&self, name: &str, cid: Option<&Cid>) -> Result<(), StoreError> {
        (**self).set_root(name, cid)
    }
    fn roots(&self) -> Result<BTreeMap<String, Cid>, StoreError> {
        (**self).roots()
    }
}

/// A store in memory, without a limit of its own.
#[derive(Debug, Default)]
pub struct MemoryStore(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    blocks: HashMap<Cid, Bytes>,
    roots: BTreeMap<String, Cid>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a block away; gives it back if it was there.
    pub fn remove(&self, cid: &Cid) -> Option<Bytes> {
        self.held().blocks.remove(cid)
    }

    /// Count of blocks.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held().blocks.len()
    }

    /// Whether there is no block.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every change is one insertion or removal, so what a panic leaves is sound.
    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl NodeStore for MemoryStore {
    fn get(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        Ok(self.held().blocks.get(cid).cloned())
    }

    fn put(&self, cid: &Cid, block: Bytes) -> Result<(), StoreError> {
        self.held().blocks.insert(*cid, block);
        Ok(())
    }

    fn contains(&self, cid: &Cid) -> Result<bool, StoreError> {
        Ok(self.held().blocks.contains_key(cid))
    }

    fn root(&self, name: &str) -> Result<Option<Cid>, StoreError> {
        Ok(self.held().roots.get(name).copied())
    }

    fn set_root(&self, name: &str, cid: Option<&Cid>) -> Result<(), StoreError> {
        let mut held = self.held();
        match cid {
            Some(cid) => held.roots.insert(name.to_owned(), *cid),
            None => held.roots.remove(name),
        };
        Ok(())
    }

    fn roots(&self) -> Result<BTreeMap<String, Cid>, StoreError> {
        Ok(self.held().roots.clone())
    }
}
