//! Whether a graph adds up, in one pass. What each key says of others is hashed and added; what they
//! say of it is hashed and taken off. Nothing is left when all agree, and with a key of hashes
//! that nobody knows, one wrong graph in 2^64 would seem right. Holds a bit for each packed edge.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, Hash, RandomState};

use cairndb::keys::{Range, RangeRequest};
use cairndb::types::Bytes;

use super::CheckReport;
use crate::chunk::{BlockView, Side, each_entry};
use crate::index::Definitions;
use crate::key::{self, Adjacent, ChunkKey};
use crate::limits::BLOCK_EDGES;
use crate::record::{Place, decode_edge};
use crate::source::{Past, Source};
use crate::{BatchId, Edge, EdgeId, Error, Label, Result, StorageKey, Vertex, VertexId, View};

/// Keys of vertices read at a time.
const PAGE: usize = 1024;

/// The report of a graph that adds up; `None` when something does not.
pub(super) fn balanced(view: &View, definitions: &Definitions) -> Result<Option<CheckReport>> {
    let report = CheckReport { revision: view.revision(), ..CheckReport::default() };
    let mut balance = Balance {
        hashes: RandomState::new(),
        definitions,
        left: 0,
        packed: HashMap::new(),
        sources: Vertices::new(view.source()),
        targets: Vertices::new(view.source()),
        report,
    };
    let mut is_sound = true;
    view.source().walk(Range::all(), &mut |key, value| {
        balance.report.key_count += 1;
        is_sound = match balance.key(key, &value) {
            Ok(is_sound) => is_sound,
            Err(Error::Damaged { .. }) => false,
            Err(error) => return Err(error),
        };
        Ok(is_sound)
    })?;
    Ok((is_sound && balance.left == 0).then_some(balance.report))
}

/// What is said of whom. Each is said by two keys: one adds it, the other takes it off.
#[derive(Hash)]
enum Said<'a> {
    /// A single edge, by both its ends.
    Single(&'a Adjacent),
    /// A single edge, by its source and its place.
    Place(EdgeId, VertexId, VertexId, &'a Label),
    /// A packed edge, by both its chunks: source, target.
    Ends(EdgeId, VertexId, VertexId, u64),
    /// The number of its chunk on one side, by the chunk and the block.
    Chunk(bool, EdgeId, VertexId, u64, u32),
    /// A key of a label or an index, by what has it and by itself.
    Derived(&'a [u8]),
}

struct Balance<'a> {
    hashes: RandomState,
    definitions: &'a Definitions,
    left: u64,
    /// Which edges of a block are in chunks.
    packed: HashMap<(BatchId, u32), u128>,
    sources: Vertices,
    targets: Vertices,
    report: CheckReport,
}

impl Balance<'_> {
    fn hash(&self, what: &impl Hash) -> u64 {
        self.hashes.hash_one(what)
    }

    fn add(&mut self, said: &Said<'_>) {
        self.left = self.left.wrapping_add(self.hash(said));
    }

    fn take_off(&mut self, said: &Said<'_>) {
        self.left = self.left.wrapping_sub(self.hash(said));
    }

    /// Takes in a key; false when it cannot be right.
    fn key(&mut self, key: &[u8], value: &Bytes) -> Result<bool> {
        match StorageKey::decode(key)? {
            StorageKey::Definitions => Definitions::decode(value).map(|_| true),
            StorageKey::Vertex(id) => {
                self.report.vertex_count += 1;
                let vertex = Vertex::decode(id, value)?;
                self.add_derived(&self.definitions.keys_of_vertex(&vertex));
                Ok(true)
            }
            StorageKey::Out(at) => self.out(at, value),
            StorageKey::OutChunk(at) => self.out_chunk(&at, value),
            StorageKey::In(at) => {
                let Adjacent { near, label, far, edge } = at;
                self.take_off(&Said::Single(&Adjacent { near: far, label, far: near, edge }));
                self.targets.has(near)
            }
            StorageKey::InChunk(at) => self.in_chunk(&at, value),
            StorageKey::Edge(id) => {
                let Place { src, dst, label } = Place::decode(value)?;
                self.take_off(&Said::Place(id, src, dst, &label));
                let (batch, number) = id.split();
                Ok(self.packed_of(batch, number) & bit(number) == 0)
            }
            StorageKey::Block { batch, number } => self.block(batch, number, value),
            StorageKey::Label { .. } | StorageKey::Property { .. } => {
                self.take_off(&Said::Derived(key));
                Ok(true)
            }
        }
    }

    fn add_derived(&mut self, keys: &[Vec<u8>]) {
        keys.iter().for_each(|key| self.add(&Said::Derived(key)));
    }

    fn edge(&mut self, edge: &Edge) {
        self.report.edge_count += 1;
        self.add_derived(&self.definitions.keys_of_edge(edge));
    }

    fn out(&mut self, at: Adjacent, value: &[u8]) -> Result<bool> {
        let props = decode_edge(value)?;
        self.add(&Said::Single(&at));
        self.add(&Said::Place(at.edge, at.near, at.far, &at.label));
        let Adjacent { near: src, label, far: dst, edge: id } = at;
        self.edge(&Edge { id, src, dst, label, props });
        self.sources.has(src)
    }

    fn out_chunk(&mut self, at: &ChunkKey, value: &Bytes) -> Result<bool> {
        let label = self.hash(&at.label);
        let has_keys = self.definitions.has_edges(&at.label);
        let mut outcome = Ok(true);
        each_entry(Side::Out, value, |entry| {
            let id = at.batch.edge(entry.number);
            self.add(&Said::Ends(id, at.near, entry.far, label));
            self.add(&Said::Chunk(true, id, at.near, label, at.number));
            let packed = self.packed.entry((at.batch, entry.number / BLOCK_EDGES)).or_default();
            let is_new = *packed & bit(entry.number) == 0;
            *packed |= bit(entry.number);
            match decode_edge(&entry.record) {
                Err(error) => outcome = Err(error),
                Ok(_) if !is_new => outcome = Ok(false),
                Ok(props) if has_keys => {
                    let (src, dst, label) = (at.near, entry.far, at.label.clone());
                    self.edge(&Edge { id, src, dst, label, props });
                }
                Ok(_) => self.report.edge_count += 1,
            }
        })?;
        Ok(outcome? && self.sources.has(at.near)?)
    }

    fn in_chunk(&mut self, at: &ChunkKey, value: &Bytes) -> Result<bool> {
        let label = self.hash(&at.label);
        each_entry(Side::In, value, |entry| {
            let id = at.batch.edge(entry.number);
            self.take_off(&Said::Ends(id, entry.far, at.near, label));
            self.add(&Said::Chunk(false, id, entry.far, label, at.number));
        })?;
        self.targets.has(at.near)
    }

    fn packed_of(&self, batch: BatchId, number: u32) -> u128 {
        self.packed.get(&(batch, number / BLOCK_EDGES)).copied().unwrap_or(0)
    }

    /// Edges that left their chunks stay in their block, and say nothing.
    fn block(&mut self, batch: BatchId, number: u32, value: &[u8]) -> Result<bool> {
        let block = BlockView::new(value)?;
        let Some(first) = number.checked_mul(BLOCK_EDGES) else { return Ok(false) };
        let packed = self.packed_of(batch, first);
        self.report.unused_block_count += u64::from(packed == 0);
        let label = self.hash(&block.label);
        for (number, entry) in (first..).zip(block.entries()) {
            let entry = entry?;
            if packed & bit(number) != 0 {
                let id = batch.edge(number);
                self.take_off(&Said::Chunk(true, id, entry.src, label, entry.out_chunk));
                self.take_off(&Said::Chunk(false, id, entry.src, label, entry.in_chunk));
            }
        }
        Ok(true)
    }
}

/// The bit of an edge among those of its block.
const fn bit(number: u32) -> u128 {
    1 << (number % BLOCK_EDGES)
}

/// The vertices in order, for whoever asks for them in order.
struct Vertices {
    past: Past,
    request: Option<RangeRequest>,
    page: VecDeque<VertexId>,
}

impl Vertices {
    fn new(past: Past) -> Self {
        let range = Range::prefix(vec![key::VERTEX]);
        let request = RangeRequest::new(past.space.stream(), range).at(past.revision);
        let request = RangeRequest { keys_only: true, without_count: true, ..request.limit(PAGE) };
        Self { past, request: Some(request), page: VecDeque::new() }
    }

    /// Whether there is a vertex; never asked for one before the last.
    fn has(&mut self, id: VertexId) -> Result<bool> {
        loop {
            match self.page.front() {
                Some(front) if *front < id => drop(self.page.pop_front()),
                Some(front) => return Ok(*front == id),
                None if self.request.is_none() => return Ok(false),
                None => self.read_page()?,
            }
        }
    }

    fn read_page(&mut self) -> Result<()> {
        let Some(mut request) = self.request.take() else { return Ok(()) };
        let page = self.past.space.range(&request)?;
        if let (true, Some(last)) = (page.more, page.kvs.last()) {
            request.range.key = [&last.key[..], &[0]].concat().into();
            self.request = Some(request);
        }
        for kv in page.kvs {
            if let StorageKey::Vertex(id) = StorageKey::decode(&kv.key)? {
                self.page.push_back(id);
            }
        }
        Ok(())
    }
}
