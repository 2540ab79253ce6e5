//! Names each key that others do not agree with. Some point reads an edge: only done when the
//! balance of the whole graph says that there is something to name. Nothing is kept.

use std::collections::HashMap;

use cairndb::keys::Range;
use cairndb::types::Bytes;

use super::CheckReport;
use crate::chunk::{Entry, Side, decode_block, decode_chunk};
use crate::index::{Definitions, Target};
use crate::key::{Adjacent, ChunkKey, property_prefix};
use crate::limits::BLOCK_EDGES;
use crate::read;
use crate::record::{Place, decode_edge};
use crate::source::{Past, Source};
use crate::{Edge, EdgeId, Error, Result, StorageKey, Vertex, VertexId, View};

/// Reads every key, and holds it against all others that speak of the same thing.
pub(super) fn name(view: &View, definitions: Definitions) -> Result<CheckReport> {
    let report = CheckReport { revision: view.revision(), ..CheckReport::default() };
    let source = Remembering { past: view.source(), known: HashMap::new() };
    let mut check = Check { source, definitions, report };
    view.source().walk(Range::all(), &mut |key, value| {
        check.report.key_count += 1;
        match check.key(key, &value) {
            Ok(()) => {}
            Err(Error::Damaged { what, cause }) => {
                check.report.note(key, format!("damaged {what}: {cause}"));
            }
            Err(error) => return Err(error),
        }
        Ok(true)
    })?;
    Ok(check.report)
}

/// Values that were looked up last: neighbours in the walk ask for the same chunks and blocks.
struct Remembering {
    past: Past,
    known: HashMap<Vec<u8>, Option<Bytes>>,
}

/// Values remembered; a chunk has a few KiB.
const REMEMBERED_MAX: usize = 8192;

impl Source for Remembering {
    fn get(&mut self, key: Vec<u8>) -> Result<Option<Bytes>> {
        if let Some(known) = self.known.get(&key) {
            return Ok(known.clone());
        }
        let value = self.past.get(key.clone())?;
        if self.known.len() >= REMEMBERED_MAX {
            self.known.clear();
        }
        self.known.insert(key, value.clone());
        Ok(value)
    }

    fn walk(
        &mut self,
        range: Range,
        each: &mut dyn FnMut(&[u8], Bytes) -> Result<bool>,
    ) -> Result<()> {
        self.past.walk(range, each)
    }
}

struct Check {
    source: Remembering,
    definitions: Definitions,
    report: CheckReport,
}

impl Check {
    fn note(&mut self, key: &[u8], what: impl Into<String>) {
        self.report.note(key, what);
    }

    fn has(&mut self, key: &StorageKey) -> Result<bool> {
        self.source.has(key.encode())
    }

    fn key(&mut self, key: &[u8], value: &Bytes) -> Result<()> {
        match StorageKey::decode(key)? {
            StorageKey::Definitions => Definitions::decode(value).map(|_| ()),
            StorageKey::Vertex(id) => self.vertex(key, id, value),
            StorageKey::Out(at) => self.out(key, &at, value),
            StorageKey::OutChunk(at) => self.out_chunk(key, &at, value),
            StorageKey::In(at) => {
                let Adjacent { near, label, far, edge } = at;
                let out = Adjacent { near: far, label, far: near, edge };
                if !self.has(&StorageKey::Out(out))? {
                    self.note(key, "an incoming edge that its source does not have");
                }
                Ok(())
            }
            StorageKey::InChunk(at) => self.in_chunk(key, &at, value),
            StorageKey::Edge(id) => {
                let Place { src, dst, label } = Place::decode(value)?;
                let out = Adjacent { near: src, label, far: dst, edge: id };
                if !self.has(&StorageKey::Out(out))? {
                    self.note(key, "a place where the edge is not");
                }
                Ok(())
            }
            StorageKey::Block { .. } => decode_block(value, 0).map(|_| ()),
            StorageKey::Label { label, vertex } => {
                let found = read::vertex(&mut self.source, vertex)?;
                if !found.is_some_and(|found| found.labels.contains(&label)) {
                    self.note(key, "a label that the vertex does not have");
                }
                Ok(())
            }
            StorageKey::Property { index, value, id } => self.entry(key, index, &value, id),
        }
    }

    fn vertex(&mut self, key: &[u8], id: VertexId, value: &Bytes) -> Result<()> {
        self.report.vertex_count += 1;
        let vertex = Vertex::decode(id, value)?;
        for derived in self.definitions.keys_of_vertex(&vertex) {
            if !self.source.has(derived)? {
                self.note(key, "a vertex that a label or an index lacks");
            }
        }
        Ok(())
    }

    fn edge(&mut self, key: &[u8], edge: &Edge) -> Result<()> {
        self.report.edge_count += 1;
        for id in [edge.src, edge.dst] {
            if !self.has(&StorageKey::Vertex(id))? {
                self.note(key, "an edge without a vertex at one end");
            }
        }
        for derived in self.definitions.keys_of_edge(edge) {
            if !self.source.has(derived)? {
                self.note(key, "an edge that an index lacks");
            }
        }
        Ok(())
    }

    fn out(&mut self, key: &[u8], at: &Adjacent, value: &Bytes) -> Result<()> {
        let props = decode_edge(value)?;
        let (src, dst, label) = (at.near, at.far, at.label.clone());
        let into = Adjacent { near: dst, label: label.clone(), far: src, edge: at.edge };
        if !self.has(&StorageKey::In(into))? {
            self.note(key, "an edge that its target does not have");
        }
        let place = self.source.get(StorageKey::Edge(at.edge).encode())?;
        let is_here = match place {
            None => false,
            Some(place) => Place::decode(&place)? == Place { src, dst, label: label.clone() },
        };
        if !is_here {
            self.note(key, "an edge whose place is another");
        }
        self.edge(key, &Edge { id: at.edge, src, dst, label, props })
    }

    fn out_chunk(&mut self, key: &[u8], at: &ChunkKey, value: &Bytes) -> Result<()> {
        for entry in decode_chunk(Side::Out, value)? {
            let id = at.batch.edge(entry.number);
            let found = read::find_edge(&mut self.source, id)?;
            let Some(found) = found.filter(|found| found.key == key) else {
                self.note(key, format!("edge {id}, which is not found by its id here"));
                continue;
            };
            let into = found.packed.map(|(_, into)| into);
            let back = match into {
                None => None,
                Some(into) => self.chunk_entry(Side::In, &into, id)?,
            };
            if back.is_none_or(|back| back.far != at.near) {
                self.note(key, format!("edge {id}, which its target does not have"));
            }
            self.edge(key, &found.edge)?;
        }
        Ok(())
    }

    fn in_chunk(&mut self, key: &[u8], at: &ChunkKey, value: &Bytes) -> Result<()> {
        for entry in decode_chunk(Side::In, value)? {
            let id = at.batch.edge(entry.number);
            let number = entry.number / BLOCK_EDGES;
            let block = StorageKey::Block { batch: at.batch, number }.encode();
            let index = (entry.number % BLOCK_EDGES) as usize;
            let packed = match self.source.get(block)? {
                None => None,
                Some(block) => decode_block(&block, index)?,
            };
            let Some((label, packed)) = packed else {
                self.note(key, format!("incoming edge {id}, of which no block knows"));
                continue;
            };
            let (near, number) = (entry.far, packed.out_chunk);
            let out = ChunkKey { near, label, batch: at.batch, number };
            let there = self.chunk_entry(Side::Out, &out, id)?;
            let is_same = packed.in_chunk == at.number && out.label == at.label;
            if !is_same || there.is_none_or(|there| there.far != at.near) {
                self.note(key, format!("incoming edge {id}, which its source does not have"));
            }
        }
        Ok(())
    }

    fn chunk_entry(&mut self, side: Side, at: &ChunkKey, id: EdgeId) -> Result<Option<Entry>> {
        let key = match side {
            Side::Out => StorageKey::OutChunk(at.clone()),
            Side::In => StorageKey::InChunk(at.clone()),
        };
        let Some(value) = self.source.get(key.encode())? else { return Ok(None) };
        let (_, number) = id.split();
        Ok(decode_chunk(side, &value)?.into_iter().find(|entry| entry.number == number))
    }

    fn entry(&mut self, key: &[u8], index: u32, value: &[u8], id: [u8; 16]) -> Result<()> {
        let list = self.definitions.list();
        let Some(definition) = list.iter().find(|known| known.number == index).cloned() else {
            self.note(key, "an entry of an index that there is not");
            return Ok(());
        };
        let props = match definition.target {
            Target::Vertex => read::vertex(&mut self.source, VertexId::from_bytes(id))?
                .filter(|vertex| vertex.labels.contains(&definition.label))
                .map(|vertex| vertex.props),
            Target::Edge => read::edge(&mut self.source, EdgeId::from_bytes(id))?
                .filter(|edge| edge.label == definition.label)
                .map(|edge| edge.props),
        };
        let found = props.and_then(|mut props| props.remove(&definition.property));
        let prefix = found.map(|found| property_prefix(index, Some(&found)));
        if prefix.as_deref().and_then(|prefix| prefix.get(5..)) != Some(value) {
            self.note(key, "an entry of an index for a value that is not there");
        }
        Ok(())
    }
}
