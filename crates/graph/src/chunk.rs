//! Edges that were imported together, packed by the end and the label that they share. Out
//! chunks are truth; in chunks and blocks are derived from them.
//!
//! ```text
//! out chunk   version 1 = 1, count 2, (edge number 4, target 16, length 4, record of the edge)*
//! in chunk    version 1 = 1, count 2, (edge number 4, source 16)*
//! block       version 1 = 1, length 1, label, count 2, (source 16, out chunk 4, in chunk 4)*
//! ```
//!
//! Numbers are little-endian; entries of chunks ascend by edge number. A chunk that loses its
//! last edge is deleted, and chunks never gain one. A block is a hint and is never changed: an
//! edge that its chunk does not have any more is gone, or is a single edge now. When the last of
//! its edges leaves its chunks, a block is deleted.

use cairndb::types::Bytes;

use crate::cursor::Cursor;
use crate::limits::{BLOCK_EDGES, CHUNK_EDGES_MAX, CHUNK_LEN_MAX, RECORD_LEN_MAX};
use crate::{Label, Result, VertexId};

const VERSION: u8 = 1;
/// Bytes of an entry of an out chunk before the record.
const OUT_ENTRY_LEN: usize = 24;
const IN_ENTRY_LEN: usize = 20;
const BLOCK_ENTRY_LEN: usize = 24;

/// An edge in a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Number of the edge in its batch.
    pub number: u32,
    /// The other end.
    pub far: VertexId,
    /// The record of the edge; empty in an in chunk.
    pub record: Bytes,
}

/// Which end a chunk is kept at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The source: entries have records.
    Out,
    /// The target.
    In,
}

/// The value of a chunk.
#[must_use]
pub fn encode_chunk(side: Side, entries: &[Entry]) -> Vec<u8> {
    let mut out = Vec::with_capacity(3 + entries.len() * 48);
    out.push(VERSION);
    let count = u16::try_from(entries.len()).expect("chunks are limited to fewer");
    out.extend_from_slice(&count.to_le_bytes());
    for entry in entries {
        out.extend_from_slice(&entry.number.to_le_bytes());
        out.extend_from_slice(&entry.far.to_bytes());
        if side == Side::Out {
            let len = u32::try_from(entry.record.len()).expect("records are limited to less");
            out.extend_from_slice(&len.to_le_bytes());
            out.extend_from_slice(&entry.record);
        }
    }
    out
}

/// Calls `each` with every entry of a chunk. Records are not looked into, and share the bytes.
///
/// # Errors
/// [`Damaged`](crate::Error::Damaged) unless the value has its exact form.
pub fn each_entry(side: Side, value: &Bytes, mut each: impl FnMut(Entry)) -> Result<()> {
    let mut at = Cursor::new(value, "chunk");
    if value.len() > CHUNK_LEN_MAX {
        return Err(at.damaged("too long"));
    }
    if at.u8()? != VERSION {
        return Err(at.damaged("an unknown version"));
    }
    let count = usize::from(at.u16()?);
    if count == 0 || count > CHUNK_EDGES_MAX {
        return Err(at.damaged("no possible number of edges"));
    }
    let mut last = None;
    for _ in 0..count {
        let number = at.u32()?;
        if last.is_some_and(|last| last >= number) {
            return Err(at.damaged("edges out of order"));
        }
        last = Some(number);
        let far = VertexId::from_bytes(at.array()?);
        let record = match side {
            Side::In => Bytes::new(),
            Side::Out => value.slice_ref(at.long(RECORD_LEN_MAX)?),
        };
        each(Entry { number, far, record });
    }
    at.end()
}

/// All entries of a chunk.
///
/// # Errors
/// As [`each_entry`].
pub fn decode_chunk(side: Side, value: &Bytes) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    each_entry(side, value, |entry| entries.push(entry))?;
    Ok(entries)
}

/// About how many bytes an edge takes in both chunks and its block.
pub(crate) const fn cost(record_len: usize) -> usize {
    OUT_ENTRY_LEN + record_len + IN_ENTRY_LEN + BLOCK_ENTRY_LEN
}

/// Where an edge of a batch was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packed {
    /// Where it begins.
    pub src: VertexId,
    /// Number of its out chunk.
    pub out_chunk: u32,
    /// Number of its in chunk.
    pub in_chunk: u32,
}

/// Bytes of a block before its entries.
fn block_head(label: &Label) -> usize {
    4 + label.as_str().len()
}

/// The value of a block.
#[must_use]
pub fn encode_block(label: &Label, entries: &[Packed]) -> Vec<u8> {
    let mut out = Vec::with_capacity(block_head(label) + entries.len() * BLOCK_ENTRY_LEN);
    out.push(VERSION);
    out.push(u8::try_from(label.as_str().len()).expect("labels are short"));
    out.extend_from_slice(label.as_str().as_bytes());
    let count = u16::try_from(entries.len()).expect("blocks are limited to fewer");
    out.extend_from_slice(&count.to_le_bytes());
    for entry in entries {
        out.extend_from_slice(&entry.src.to_bytes());
        out.extend_from_slice(&entry.out_chunk.to_le_bytes());
        out.extend_from_slice(&entry.in_chunk.to_le_bytes());
    }
    out
}

/// A block that was read: its label, and its entries as bytes.
#[derive(Debug, Clone)]
pub(crate) struct BlockView<'a> {
    pub(crate) label: Label,
    entries: &'a [u8],
}

impl<'a> BlockView<'a> {
    /// Checks the form of a block.
    pub(crate) fn new(value: &'a [u8]) -> Result<Self> {
        let mut at = Cursor::new(value, "block");
        if at.u8()? != VERSION {
            return Err(at.damaged("an unknown version"));
        }
        let label = Label::from_utf8(at.short()?).ok_or(at.damaged("an invalid label"))?;
        let count = usize::from(at.u16()?);
        let entries = at.rest();
        if count == 0 || count > BLOCK_EDGES as usize || entries.len() != count * BLOCK_ENTRY_LEN {
            return Err(at.damaged("no possible number of edges"));
        }
        Ok(Self { label, entries })
    }

    /// How many edges it was made for.
    pub(crate) const fn len(&self) -> usize {
        self.entries.len() / BLOCK_ENTRY_LEN
    }

    /// Its entry at an index; `None` beyond its end.
    pub(crate) fn get(&self, index: usize) -> Result<Option<Packed>> {
        let entry = self.entries.chunks_exact(BLOCK_ENTRY_LEN).nth(index);
        entry.map(Packed::decode).transpose()
    }

    /// All its entries.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Result<Packed>> {
        self.entries.chunks_exact(BLOCK_ENTRY_LEN).map(Packed::decode)
    }
}

impl Packed {
    fn decode(entry: &[u8]) -> Result<Self> {
        let mut at = Cursor::new(entry, "block");
        let src = VertexId::from_bytes(at.array()?);
        Ok(Self { src, out_chunk: at.u32()?, in_chunk: at.u32()? })
    }
}

/// The entry of a block at an index, with the label of the block; `None` beyond its end.
///
/// # Errors
/// [`Damaged`](crate::Error::Damaged) unless the value has its exact form.
pub fn decode_block(value: &[u8], index: usize) -> Result<Option<(Label, Packed)>> {
    let block = BlockView::new(value)?;
    let packed = block.get(index)?;
    Ok(packed.map(|packed| (block.label, packed)))
}
