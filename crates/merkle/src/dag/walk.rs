//! Walks from roots along links, as loops with a limit. **Derived** from the blocks.

use super::cid::{Cid, Codec};
use super::error::{Error, Result};
use super::graph::Dag;
use super::node::Node;
use super::store::NodeStore;
use std::collections::HashSet;

/// What is wrong with a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is not there.
    Missing {
        /// Its id.
        cid: Cid,
        /// A node that links to it, or none for a root.
        parent: Option<Cid>,
    },
    /// Its bytes are not those it was named for.
    Altered {
        /// The id it stands under.
        cid: Cid,
        /// What its bytes hash to.
        found: Cid,
    },
    /// It hashes to its id but is no node.
    NotANode {
        /// Its id.
        cid: Cid,
    },
}

/// What a check of all blocks under some roots found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Integrity {
    /// Blocks that were read and are whole.
    pub checked: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What is wrong, in the order it was found.
    pub faults: Vec<Fault>,
    /// The limit was reached: some blocks were not looked at.
    pub is_cut_short: bool,
}

impl Integrity {
    /// Whether every block was looked at and none is missing or altered.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.faults.is_empty() && !self.is_cut_short
    }
}

/// The blocks still to come, the next one last, and those that were met.
struct Walk {
    pending: Vec<(Cid, Option<Cid>)>,
    met: HashSet<Cid>,
}

impl Walk {
    fn from(roots: &[Cid]) -> Self {
        let pending = roots.iter().rev().map(|cid| (*cid, None)).collect();
        Self { pending, met: HashSet::new() }
    }

    /// The next block that was not met yet: a node before its children, children in order.
    fn next(&mut self) -> Option<(Cid, Option<Cid>)> {
        loop {
            let (cid, parent) = self.pending.pop()?;
            if self.met.insert(cid) {
                return Some((cid, parent));
            }
        }
    }

    /// A node can link often to the same blocks: only those not met wait, each once a node. So
    /// no more wait than [`MAX_LINKS`](super::MAX_LINKS) for each block met.
    fn push_links(&mut self, parent: Cid, node: &Node) {
        let mut seen = HashSet::new();
        let fresh = |cid: &&Cid| !self.met.contains(*cid) && seen.insert(**cid);
        let mut links: Vec<_> =
            node.links.iter().map(|link| &link.cid).filter(fresh).copied().collect();
        links.reverse();
        self.pending.extend(links.into_iter().map(|cid| (cid, Some(parent))));
    }
}

impl<S: NodeStore> Dag<S> {
    /// Every block that can be reached from `roots`, each once: a node before what it links to,
    /// links in their order.
    ///
    /// # Errors
    /// `TooLarge` when there are more than `limit`; `NotFound`, `Altered`, `Invalid`; those of
    /// the store.
    pub fn reachable(&self, roots: &[Cid], limit: usize) -> Result<Vec<Cid>> {
        let mut found = Vec::new();
        self.visit(roots, limit, |cid, _| {
            found.push(*cid);
            Ok(())
        })?;
        Ok(found)
    }

    /// Hands every block that can be reached to `each`, in the order of
    /// [`reachable`](Self::reachable). Memory is that of the ids, not of the blocks.
    pub(super) fn visit(
        &self,
        roots: &[Cid],
        limit: usize,
        mut each: impl FnMut(&Cid, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut walk = Walk::from(roots);
        while let Some((cid, _)) = walk.next() {
            if walk.met.len() > limit {
                let found = walk.met.len() as u64;
                return Err(Error::TooLarge {
                    what: "reachable blocks",
                    found,
                    limit: limit as u64,
                });
            }
            let block = self.get_block(&cid)?;
            if cid.codec() == Codec::DagCbor {
                walk.push_links(cid, &Node::decode(&block)?);
            }
            each(&cid, &block)?;
        }
        Ok(())
    }

    /// Reads and hashes every block under `roots`, at most `limit`, and names those that are
    /// missing or altered. What hangs under such a block cannot be looked at from there.
    ///
    /// # Errors
    /// Those of the store; never one for a damaged block.
    pub fn verify_integrity(&self, roots: &[Cid], limit: usize) -> Result<Integrity> {
        let mut report = Integrity::default();
        let mut walk = Walk::from(roots);
        while let Some((cid, parent)) = walk.next() {
            if walk.met.len() > limit {
                report.is_cut_short = true;
                break;
            }
            match self.get_block(&cid) {
                Ok(block) => {
                    if cid.codec() == Codec::DagCbor {
                        let Ok(node) = Node::decode(&block) else {
                            report.faults.push(Fault::NotANode { cid });
                            continue;
                        };
                        walk.push_links(cid, &node);
                    }
                    report.checked += 1;
                    report.bytes += block.len() as u64;
                }
                Err(Error::NotFound { cid }) => report.faults.push(Fault::Missing { cid, parent }),
                Err(Error::Altered { cid, found }) => {
                    report.faults.push(Fault::Altered { cid, found });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(report)
    }
}
