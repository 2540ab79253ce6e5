//! Nodes and their one encoding. **Truth**: the bytes of a block.
//!
//! A node is this value in strict DAG-CBOR. Keys stand in the order of DAG-CBOR, links in the
//! order their author gave:
//!
//! ```text
//! { "data": bytes, "links": [ { "cid": id, "name": text, "size": unsigned }, ... ] }
//! ```

use super::cbor::{Reader, Writer};
use super::cid::{Cid, Codec};
use super::error::{Error, Result};
use bytes::Bytes;

/// Longest block in bytes.
pub const MAX_BLOCK_LEN: usize = 2 << 20;
/// Most links of a node.
pub const MAX_LINKS: usize = 16_384;
/// Longest name of a link in bytes.
pub const MAX_LINK_NAME_LEN: usize = 1024;
const WHAT: &str = "node";
/// A link without a name: map, three keys, id, empty text, small number.
const LINK_LEN_MIN: usize = 58;

/// A link to another block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Name among the links of its node; may repeat or be empty.
    pub name: String,
    /// Where it leads.
    pub cid: Cid,
    /// How large that is, as the author counts. Nothing here depends on it.
    pub size: u64,
}

/// Data and links: what a block holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Node {
    /// Any bytes.
    pub data: Bytes,
    /// Links in the author's order.
    pub links: Vec<Link>,
}

impl Node {
    /// A node without links.
    #[must_use]
    pub fn new(data: impl Into<Bytes>) -> Self {
        Self { data: data.into(), links: Vec::new() }
    }

    /// The node with one link more.
    #[must_use]
    pub fn with_link(mut self, name: impl Into<String>, cid: Cid, size: u64) -> Self {
        self.links.push(Link { name: name.into(), cid, size });
        self
    }

    /// The node's id.
    ///
    /// # Errors
    /// `TooLarge`, as [`encode`](Self::encode).
    pub fn cid(&self) -> Result<Cid> {
        Ok(Cid::of(Codec::DagCbor, &self.encode()?))
    }

    /// The bytes of the block.
    ///
    /// # Errors
    /// `TooLarge` for more than [`MAX_LINKS`] links, a name over [`MAX_LINK_NAME_LEN`] or a block
    /// over [`MAX_BLOCK_LEN`].
    pub fn encode(&self) -> Result<Vec<u8>> {
        check("links", self.links.len(), MAX_LINKS)?;
        check("data of a node", self.data.len(), MAX_BLOCK_LEN)?;
        let mut out = Writer::default();
        out.map(2);
        out.text("data");
        out.bytes(&self.data);
        out.text("links");
        out.array(self.links.len());
        for link in &self.links {
            check("name of a link", link.name.len(), MAX_LINK_NAME_LEN)?;
            out.map(3);
            out.text("cid");
            out.cid(&link.cid);
            out.text("name");
            out.text(&link.name);
            out.text("size");
            out.unsigned(link.size);
        }
        let block = out.finish();
        check("block", block.len(), MAX_BLOCK_LEN)?;
        Ok(block)
    }

    /// Reads a block. Its data is shared, not copied.
    ///
    /// # Errors
    /// `Invalid` for bytes that [`encode`](Self::encode) would not write; `TooLarge`;
    /// `Unsupported` for links with other ids.
    pub fn decode(block: &Bytes) -> Result<Self> {
        check("block", block.len(), MAX_BLOCK_LEN)?;
        let mut reader = Reader::new(WHAT, block);
        reader.map(2)?;
        reader.key("data")?;
        let data = block.slice_ref(reader.bytes()?);
        reader.key("links")?;
        let count = reader.array(MAX_LINKS, LINK_LEN_MIN)?;
        let mut links = Vec::with_capacity(count);
        for _ in 0..count {
            reader.map(3)?;
            reader.key("cid")?;
            let cid = reader.cid()?;
            reader.key("name")?;
            let name = reader.text()?;
            check("name of a link", name.len(), MAX_LINK_NAME_LEN)?;
            reader.key("size")?;
            links.push(Link { name: name.to_owned(), cid, size: reader.unsigned()? });
        }
        reader.finish()?;
        Ok(Self { data, links })
    }
}

pub(super) fn check(what: &'static str, found: usize, limit: usize) -> Result<()> {
    if found > limit {
        return Err(Error::TooLarge { what, found: found as u64, limit: limit as u64 });
    }
    Ok(())
}
