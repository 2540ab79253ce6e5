//! The DAG over a store: add, get, name. **Truth** is what the store holds; every block is
//! hashed again when it is read.

use super::cid::{Cid, Codec};
use super::error::{Error, Result};
use super::node::{MAX_BLOCK_LEN, Node, check};
use super::store::NodeStore;
use bytes::Bytes;
use cairn_types::limits::MAX_NAME_LEN;
use std::collections::{BTreeMap, HashSet};

/// Nodes named by their content, over any store.
///
/// See the [module](super) for an example.
#[derive(Debug, Clone)]
pub struct Dag<S> {
    pub(super) store: S,
}

impl<S: NodeStore> Dag<S> {
    /// The DAG of a store.
    #[must_use]
    pub const fn new(store: S) -> Self {
        Self { store }
    }

    /// Its store.
    #[must_use]
    pub const fn store(&self) -> &S {
        &self.store
    }

    /// Keeps a node; gives its id. All it links to must be there, so what was added this way is
    /// whole.
    ///
    /// # Errors
    /// `TooLarge`; `NotFound` for a link that leads nowhere; those of the store.
    pub fn add_node(&self, node: &Node) -> Result<Cid> {
        let block = node.encode()?;
        let targets: HashSet<&Cid> = node.links.iter().map(|link| &link.cid).collect();
        targets.into_iter().try_for_each(|cid| self.must_exist(cid))?;
        self.put(Codec::DagCbor, block.into())
    }

    /// Keeps bytes as a block of their own, without links; gives its id.
    ///
    /// # Errors
    /// `TooLarge`; those of the store.
    pub fn add_raw(&self, data: impl Into<Bytes>) -> Result<Cid> {
        let data = data.into();
        check("block", data.len(), MAX_BLOCK_LEN)?;
        self.put(Codec::Raw, data)
    }

    fn put(&self, codec: Codec, block: Bytes) -> Result<Cid> {
        let cid = Cid::of(codec, &block);
        self.store.put(&cid, block).map_err(Error::Store)?;
        Ok(cid)
    }

    /// The node of an id. A raw block is a node without links.
    ///
    /// # Errors
    /// `NotFound`; `Altered` when the store gives other bytes; `Invalid` for a block that is no
    /// node; those of the store.
    pub fn get_node(&self, cid: &Cid) -> Result<Node> {
        let block = self.get_block(cid)?;
        match cid.codec() {
            Codec::Raw => Ok(Node::new(block)),
            Codec::DagCbor => Node::decode(&block),
        }
    }

    /// The bytes of a block.
    ///
    /// # Errors
    /// `NotFound`; `Altered`; those of the store.
    pub fn get_block(&self, cid: &Cid) -> Result<Bytes> {
        let block = self.store.get(cid).map_err(Error::Store)?;
        let block = block.ok_or(Error::NotFound { cid: *cid })?;
        let found = Cid::of(cid.codec(), &block);
        if found == *cid { Ok(block) } else { Err(Error::Altered { cid: *cid, found }) }
    }

    fn must_exist(&self, cid: &Cid) -> Result<()> {
        let is_there = self.store.contains(cid).map_err(Error::Store)?;
        if is_there { Ok(()) } else { Err(Error::NotFound { cid: *cid }) }
    }

    /// Names a root, or takes the name away.
    ///
    /// # Errors
    /// `Invalid` for an empty name, `TooLarge` for one over 249 bytes; `NotFound` when the node is
    /// not there; those of the store.
    pub fn set_root(&self, name: &str, cid: Option<&Cid>) -> Result<()> {
        if name.is_empty() {
            return Err(Error::Invalid { what: "name of a root", cause: "it is empty" });
        }
        check("name of a root", name.len(), MAX_NAME_LEN)?;
        cid.map_or(Ok(()), |cid| self.must_exist(cid))?;
        self.store.set_root(name, cid).map_err(Error::Store)
    }

    /// The root of that name.
    ///
    /// # Errors
    /// Those of the store.
    pub fn root(&self, name: &str) -> Result<Option<Cid>> {
        self.store.root(name).map_err(Error::Store)
    }

    /// All named roots, by name.
    ///
    /// # Errors
    /// Those of the store.
    pub fn roots(&self) -> Result<BTreeMap<String, Cid>> {
        self.store.roots().map_err(Error::Store)
    }

    /// One id that commits to all named roots and so to all below them: that of a node without
    /// data which links to them in the order of their names. The node itself is not kept.
    ///
    /// # Errors
    /// `TooLarge` for more roots than a node has links; those of the store.
    pub fn root_hash(&self) -> Result<Cid> {
        let link = |node: Node, (name, cid)| node.with_link(name, cid, 0);
        self.roots()?.into_iter().fold(Node::default(), link).cid()
    }
}
