//! Reading vertices, edges and neighbours from any source. Holds nothing.

use std::ops::Bound;

use cairndb::keys::Range;
use cairndb::types::Bytes;

use crate::chunk::{Side, decode_block, decode_chunk, each_entry};
use crate::index::{Definition, Definitions, Target};
use crate::key::{self, ChunkKey};
use crate::limits::BLOCK_EDGES;
use crate::record::{Place, decode_edge};
use crate::source::Source;
use crate::{Edge, EdgeId, Error, Label, Result, StorageKey, Value, Vertex, VertexId};

/// Which edges of a vertex are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// Those that begin there.
    #[default]
    Out,
    /// Those that end there.
    In,
    /// Both.
    Both,
}

impl Direction {
    /// The sides of a vertex that have to be looked at.
    pub(crate) const fn sides(self) -> &'static [Side] {
        match self {
            Self::Out => &[Side::Out],
            Self::In => &[Side::In],
            Self::Both => &[Side::Out, Side::In],
        }
    }

    /// The other way.
    pub(crate) const fn reversed(self) -> Self {
        match self {
            Self::Out => Self::In,
            Self::In => Self::Out,
            Self::Both => Self::Both,
        }
    }
}

impl Side {
    const fn tag(self) -> u8 {
        match self {
            Self::Out => key::OUT,
            Self::In => key::IN,
        }
    }
}

/// The other end of an edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    /// The vertex there.
    pub vertex: VertexId,
    /// The edge.
    pub edge: EdgeId,
    /// Its label.
    pub label: Label,
    /// Whether the edge comes from there; else it leads there.
    pub is_incoming: bool,
}

/// An edge, and how it is stored.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) edge: Edge,
    /// Of a packed edge: its out chunk and its in chunk.
    pub(crate) packed: Option<(ChunkKey, ChunkKey)>,
    /// The key that is truth about it, and its value.
    pub(crate) key: Vec<u8>,
    pub(crate) value: Bytes,
}

pub(crate) fn vertex(source: &mut impl Source, id: VertexId) -> Result<Option<Vertex>> {
    let record = source.get(StorageKey::Vertex(id).encode())?;
    record.map(|record| Vertex::decode(id, &record)).transpose()
}

pub(crate) fn edge(source: &mut impl Source, id: EdgeId) -> Result<Option<Edge>> {
    Ok(find_edge(source, id)?.map(|found| found.edge))
}

/// Looks an edge up: among single edges, then among those of imports.
pub(crate) fn find_edge(source: &mut impl Source, id: EdgeId) -> Result<Option<Found>> {
    if let Some(place) = source.get(StorageKey::Edge(id).encode())? {
        let Place { src, dst, label } = Place::decode(&place)?;
        let key =
            StorageKey::Out(key::Adjacent { near: src, label: label.clone(), far: dst, edge: id });
        let key = key.encode();
        let missing = Error::Damaged { what: "edge", cause: "its place has no edge" };
        let value = source.get(key.clone())?.ok_or(missing)?;
        let edge = Edge { id, src, dst, label, props: decode_edge(&value)? };
        return Ok(Some(Found { edge, packed: None, key, value }));
    }
    let (batch, number) = id.split();
    let block = StorageKey::Block { batch, number: number / BLOCK_EDGES };
    let Some(block) = source.get(block.encode())? else { return Ok(None) };
    let Some((label, packed)) = decode_block(&block, (number % BLOCK_EDGES) as usize)? else {
        return Ok(None);
    };
    let out = ChunkKey { near: packed.src, label: label.clone(), batch, number: packed.out_chunk };
    let key = StorageKey::OutChunk(out.clone()).encode();
    let Some(value) = source.get(key.clone())? else { return Ok(None) };
    let entries = decode_chunk(Side::Out, &value)?;
    let Some(entry) = entries.into_iter().find(|entry| entry.number == number) else {
        return Ok(None);
    };
    let into = ChunkKey { near: entry.far, label: label.clone(), batch, number: packed.in_chunk };
    let props = decode_edge(&entry.record)?;
    let edge = Edge { id, src: packed.src, dst: entry.far, label, props };
    Ok(Some(Found { edge, packed: Some((out, into)), key, value }))
}

/// Calls `each` with every edge at one side of a vertex until it says stop; the record of the
/// edge comes with it on the out side.
pub(crate) fn walk_side(
    source: &mut impl Source,
    near: VertexId,
    side: Side,
    label: Option<&Label>,
    each: &mut dyn FnMut(Neighbour, Bytes) -> Result<bool>,
) -> Result<()> {
    let is_incoming = side == Side::In;
    let range = Range::prefix(key::adjacent_prefix(side.tag(), near, label));
    source.walk(range, &mut |key, value| match StorageKey::decode(key)? {
        StorageKey::Out(at) | StorageKey::In(at) => {
            let (vertex, edge, label) = (at.far, at.edge, at.label);
            each(Neighbour { vertex, edge, label, is_incoming }, value)
        }
        StorageKey::OutChunk(at) | StorageKey::InChunk(at) => {
            let mut outcome = Ok(true);
            each_entry(side, &value, |entry| {
                if matches!(outcome, Ok(true)) {
                    let edge = at.batch.edge(entry.number);
                    let (vertex, label) = (entry.far, at.label.clone());
                    outcome = each(Neighbour { vertex, edge, label, is_incoming }, entry.record);
                }
            })?;
            outcome
        }
        _ => Err(Error::Damaged { what: "key", cause: "it is no edge" }),
    })
}

/// As [`walk_side`], in a direction and with any of some labels; none means all.
pub(crate) fn walk_neighbours(
    source: &mut impl Source,
    near: VertexId,
    direction: Direction,
    labels: &[Label],
    each: &mut dyn FnMut(Neighbour, Bytes) -> Result<bool>,
) -> Result<()> {
    let mut go_on = true;
    for side in direction.sides() {
        let any = [None];
        let some: Vec<Option<&Label>> = labels.iter().map(Some).collect();
        for label in if some.is_empty() { &any[..] } else { &some[..] } {
            if go_on {
                walk_side(source, near, *side, *label, &mut |neighbour, record| {
                    go_on = each(neighbour, record)?;
                    Ok(go_on)
                })?;
            }
        }
    }
    Ok(())
}

pub(crate) fn neighbours(
    source: &mut impl Source,
    near: VertexId,
    direction: Direction,
    labels: &[Label],
    limit: usize,
) -> Result<Vec<Neighbour>> {
    let mut found = Vec::new();
    if limit == 0 {
        return Ok(found);
    }
    walk_neighbours(source, near, direction, labels, &mut |neighbour, _| {
        found.push(neighbour);
        Ok(found.len() < limit)
    })?;
    Ok(found)
}

pub(crate) fn vertices_with_label(
    source: &mut impl Source,
    label: &Label,
    limit: usize,
) -> Result<Vec<VertexId>> {
    let mut found = Vec::new();
    source.walk(Range::prefix(key::label_prefix(label)), &mut |key, _| {
        if found.len() >= limit {
            return Ok(false);
        }
        let StorageKey::Label { vertex, .. } = StorageKey::decode(key)? else {
            return Err(Error::Damaged { what: "key", cause: "it is no label" });
        };
        found.push(vertex);
        Ok(true)
    })?;
    Ok(found)
}

/// The definitions of the indexes.
pub(crate) fn definitions(source: &mut impl Source) -> Result<Definitions> {
    match source.get(StorageKey::Definitions.encode())? {
        None => Ok(Definitions::default()),
        Some(record) => Definitions::decode(&record),
    }
}

/// The ids whose indexed value lies between two bounds of one type, in the order of values.
pub(crate) fn ids_between(
    source: &mut impl Source,
    definition: &Definition,
    bounds: (Bound<&Value>, Bound<&Value>),
    limit: usize,
) -> Result<Vec<[u8; 16]>> {
    let Some(range) = index_range(definition.number, bounds) else { return Ok(Vec::new()) };
    // What an index cut off has to be looked up; everything else was decided by the key.
    let is_cut = |bound: Bound<&Value>| matches!(bound, Bound::Included(value) | Bound::Excluded(value) if value.is_cut());
    let look_up = is_cut(bounds.0) || is_cut(bounds.1);
    let mut candidates = Vec::new();
    source.walk(range, &mut |key, _| {
        let StorageKey::Property { id, .. } = StorageKey::decode(key)? else {
            return Err(Error::Damaged { what: "key", cause: "it is no entry of an index" });
        };
        candidates.push(id);
        Ok(look_up || candidates.len() < limit)
    })?;
    if !look_up {
        candidates.truncate(limit);
        return Ok(candidates);
    }
    let mut found: Vec<([u8; 16], Value)> = Vec::new();
    for id in candidates {
        let props = match definition.target {
            Target::Vertex => vertex(source, VertexId::from_bytes(id))?.map(|found| found.props),
            Target::Edge => edge(source, EdgeId::from_bytes(id))?.map(|found| found.props),
        };
        let value = props.and_then(|mut props| props.remove(&definition.property));
        found.extend(value.filter(|value| lies_within(value, bounds)).map(|value| (id, value)));
    }
    found.sort_by(|a, b| a.1.order(&b.1).then(a.0.cmp(&b.0)));
    Ok(found.into_iter().take(limit).map(|(id, _)| id).collect())
}

fn lies_within(value: &Value, bounds: (Bound<&Value>, Bound<&Value>)) -> bool {
    let after = match bounds.0 {
        Bound::Included(from) => value.order(from).is_ge(),
        Bound::Excluded(from) => value.order(from).is_gt(),
        Bound::Unbounded => true,
    };
    after
        && match bounds.1 {
            Bound::Included(to) => value.order(to).is_le(),
            Bound::Excluded(to) => value.order(to).is_lt(),
            Bound::Unbounded => true,
        }
}

/// The keys of an index between two values; a cut value keeps what it may stand for.
fn index_range(number: u32, bounds: (Bound<&Value>, Bound<&Value>)) -> Option<Range> {
    let behind = |value: &Value| Range::prefix(key::property_prefix(number, Some(value))).end;
    let start = match bounds.0 {
        Bound::Unbounded => key::property_prefix(number, None).into(),
        Bound::Excluded(value) if !value.is_cut() => behind(value)?,
        Bound::Included(value) | Bound::Excluded(value) => {
            key::property_prefix(number, Some(value)).into()
        }
    };
    let end = match bounds.1 {
        Bound::Unbounded => Range::prefix(key::property_prefix(number, None)).end?,
        Bound::Excluded(value) if !value.is_cut() => {
            key::property_prefix(number, Some(value)).into()
        }
        Bound::Included(value) | Bound::Excluded(value) => behind(value)?,
    };
    (start < end).then(|| Range::between(start, end))
}
