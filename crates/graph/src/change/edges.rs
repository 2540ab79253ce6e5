//! Edges inside a transaction: single ones, and those that imports packed into chunks. Truth.

use super::GraphTx;
use crate::chunk::{BlockView, Packed, Side, decode_chunk, each_entry, encode_chunk};
use crate::key::{Adjacent, ChunkKey};
use crate::limits::BLOCK_EDGES;
use crate::read::{Found, find_edge};
use crate::record::{Place, encode_edge};
use crate::source::Source;
use crate::{BatchId, Edge, EdgeId, Error, Properties, Result, StorageKey};

/// The edge at its source, at its target, and where it is.
fn single_keys(edge: &Edge) -> [Vec<u8>; 3] {
    let label = || edge.label.clone();
    let out = Adjacent { near: edge.src, label: label(), far: edge.dst, edge: edge.id };
    let into = Adjacent { near: edge.dst, label: label(), far: edge.src, edge: edge.id };
    [
        StorageKey::Out(out).encode(),
        StorageKey::In(into).encode(),
        StorageKey::Edge(edge.id).encode(),
    ]
}

impl GraphTx<'_> {
    /// Adds an edge between vertices that are there.
    ///
    /// # Errors
    /// [`Error::EdgeExists`], [`Error::NoVertex`]; [`Error::Limit`], [`Error::Invalid`]; the
    /// engine's.
    pub fn add_edge(&mut self, edge: &Edge) -> Result<()> {
        for id in [edge.src, edge.dst] {
            if !self.has(StorageKey::Vertex(id).encode())? {
                return Err(Error::NoVertex { id });
            }
        }
        if find_edge(&mut self.source(), edge.id)?.is_some() {
            return Err(Error::EdgeExists { id: edge.id });
        }
        let record = encode_edge(&edge.props)?;
        let keys = self.definitions()?.keys_of_edge(edge);
        self.put_single(edge, record);
        self.replace_keys(&[], &keys);
        Ok(())
    }

    fn put_single(&mut self, edge: &Edge, record: Vec<u8>) {
        let [out, into, place] = single_keys(edge);
        let (src, dst, label) = (edge.src, edge.dst, edge.label.clone());
        self.put(out, record);
        self.put(into, Vec::new());
        self.put(place, Place { src, dst, label }.encode());
    }

    /// Replaces the properties of an edge. Its ends and its label never change.
    ///
    /// # Errors
    /// [`Error::NoEdge`]; as [`add_edge`](Self::add_edge).
    pub fn update_edge(&mut self, id: EdgeId, props: &Properties) -> Result<()> {
        let found = find_edge(&mut self.source(), id)?.ok_or(Error::NoEdge { id })?;
        let record = encode_edge(props)?;
        let definitions = self.definitions()?;
        let after = Edge { props: props.clone(), ..found.edge.clone() };
        let old = definitions.keys_of_edge(&found.edge);
        match &found.packed {
            None => self.put(found.key, record),
            // Chunks only ever shrink: an edge that changes becomes a single one.
            Some((out, into)) => {
                self.take_out(out, into, id)?;
                self.put_single(&after, record);
            }
        }
        self.replace_keys(&old, &definitions.keys_of_edge(&after));
        Ok(())
    }

    /// Deletes an edge.
    ///
    /// # Errors
    /// [`Error::NoEdge`]; the engine's.
    pub fn remove_edge(&mut self, id: EdgeId) -> Result<()> {
        let found = find_edge(&mut self.source(), id)?.ok_or(Error::NoEdge { id })?;
        let Found { edge, packed, .. } = found;
        match packed {
            None => single_keys(&edge).into_iter().for_each(|key| self.delete(key)),
            Some((out, into)) => self.take_out(&out, &into, id)?,
        }
        let keys = self.definitions()?.keys_of_edge(&edge);
        self.replace_keys(&keys, &[]);
        Ok(())
    }

    /// Takes an edge out of both its chunks.
    fn take_out(&mut self, out: &ChunkKey, into: &ChunkKey, id: EdgeId) -> Result<()> {
        let (_, number) = id.split();
        let both = [
            (Side::Out, StorageKey::OutChunk(out.clone())),
            (Side::In, StorageKey::InChunk(into.clone())),
        ];
        for (side, key) in both {
            let key = key.encode();
            let missing = Error::Damaged { what: "chunk", cause: "one end does not have it" };
            let value = self.source().get(key.clone())?.ok_or(missing)?;
            let mut entries = decode_chunk(side, &value)?;
            let before = entries.len();
            entries.retain(|entry| entry.number != number);
            if entries.len() == before {
                let cause = "one end does not have the edge";
                return Err(Error::Damaged { what: "chunk", cause });
            }
            match entries.is_empty() {
                true => self.delete(key),
                false => self.put(key, encode_chunk(side, &entries)),
            }
        }
        self.free_block(out, id)
    }

    /// Deletes the block of an edge that has just left its chunks when no edge of it is packed
    /// any more. Looks for one from the edge on, so that edges which go in their order cost one
    /// look each; a block costs at most as many looks as it has entries.
    fn free_block(&mut self, out: &ChunkKey, id: EdgeId) -> Result<()> {
        let (batch, number) = id.split();
        let key = StorageKey::Block { batch, number: number / BLOCK_EDGES }.encode();
        let missing = Error::Damaged { what: "block", cause: "a packed edge has none" };
        let value = self.source().get(key.clone())?.ok_or(missing)?;
        let block = BlockView::new(&value)?;
        let (first, own) = (number - number % BLOCK_EDGES, (number % BLOCK_EDGES) as usize);
        let others = (own + 1..block.len()).chain(0..own);
        for index in others {
            let Some(packed) = block.get(index)? else { break };
            let number = u32::try_from(index).map_or(first, |index| first + index);
            if self.is_packed(out, batch, number, packed)? {
                return Ok(());
            }
        }
        self.delete(key);
        Ok(())
    }

    /// Whether an edge is in the chunk that its block names.
    fn is_packed(
        &mut self,
        beside: &ChunkKey,
        batch: BatchId,
        number: u32,
        packed: Packed,
    ) -> Result<bool> {
        let (label, chunk) = (beside.label.clone(), packed.out_chunk);
        let key = ChunkKey { near: packed.src, label, batch, number: chunk };
        let Some(value) = self.source().get(StorageKey::OutChunk(key).encode())? else {
            return Ok(false);
        };
        let mut is_there = false;
        each_entry(Side::Out, &value, |entry| is_there |= entry.number == number)?;
        Ok(is_there)
    }
}
