//! Before records go: the tree over them is made durable, and what proofs need is written again
//! at the log's end. Tiles are all kept, also those below the minimum index: proofs that the log
//! only grew since an old checkpoint need them.

use std::sync::Arc;

use cairn_types::Lsn;

use super::{Error, Proofs, signing};
use crate::{Engine, Result};

impl Engine {
    /// Makes the log ready to lose its oldest segments; the first record that must stay.
    pub(crate) fn prepare_proofs_for_retention(&self) -> Result<Option<Lsn>> {
        match self.proofs().and_then(|proofs| proofs.prepare()) {
            // Records went before there was a tree: nothing more can be lost.
            Ok(()) | Err(Error::Pruned { .. }) => {}
            Err(Error::Engine(error)) => return Err(error),
            Err(error) => return Err(crate::Error::Proof(Arc::new(error))),
        }
        self.oldest_block()
    }
}

impl Proofs {
    fn prepare(&self) -> super::Result<()> {
        let mut held = self.held()?;
        held.writable()?;
        held.log.sync()?;
        held.tree.catch_up()?;
        let log = held.log.clone();
        signing::carry_forward(&log, &mut held.tree)?;
        if held.tree.found().map_root.is_some() {
            held.save_key_map(true)?;
        }
        held.tree.catch_up()?;
        held.tree.sync()
    }
}
