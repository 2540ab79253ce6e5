//! Paths: with the fewest edges, from both ends at once; with the least weight. Holds nothing.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use crate::read::{self, walk_neighbours};
use crate::record::decode_edge;
use crate::source::Source;
use crate::{Direction, EdgeId, Error, Label, Result, VertexId};

/// How far to look for a path.
#[derive(Debug, Clone)]
pub struct PathOptions {
    /// Along which edges.
    pub direction: Direction,
    /// With which labels; none means all.
    pub labels: Vec<Label>,
    /// Most edges of a path with the fewest edges; a cheapest path may have any number.
    pub depth_max: usize,
    /// Most vertices to visit.
    pub vertices_max: usize,
}

impl Default for PathOptions {
    fn default() -> Self {
        Self {
            direction: Direction::Out,
            labels: Vec::new(),
            depth_max: 32,
            vertices_max: 1_000_000,
        }
    }
}

/// A path.
#[derive(Debug, Clone, PartialEq)]
pub struct Path {
    /// Its vertices, from the first to the last.
    pub vertices: Vec<VertexId>,
    /// The edges between them.
    pub edges: Vec<EdgeId>,
    /// Their number, or the sum of the property.
    pub weight: f64,
}

/// Where a search has been: for each vertex the edge and the vertex it came from.
type Trail = HashMap<VertexId, Option<(EdgeId, VertexId)>>;

/// One of two searches that go towards each other.
struct Half {
    trail: Trail,
    /// What was reached last, to go on from.
    frontier: Vec<VertexId>,
    direction: Direction,
    depth: usize,
}

impl Half {
    fn new(start: VertexId, direction: Direction) -> Self {
        Self { trail: Trail::from([(start, None)]), frontier: vec![start], direction, depth: 0 }
    }

    /// Goes one hop further; gives a vertex that the other search has been at, if one is met.
    fn step(
        &mut self,
        source: &mut impl Source,
        other: &Self,
        options: &PathOptions,
    ) -> Result<Option<VertexId>> {
        self.depth += 1;
        let mut met = None;
        let mut next = Vec::new();
        let seen = other.trail.len();
        for near in std::mem::take(&mut self.frontier) {
            let trail = &mut self.trail;
            walk_neighbours(source, near, self.direction, &options.labels, &mut |found, _| {
                if trail.contains_key(&found.vertex) {
                    return Ok(true);
                }
                visit(trail.len() + seen, options)?;
                trail.insert(found.vertex, Some((found.edge, near)));
                if other.trail.contains_key(&found.vertex) {
                    met = Some(found.vertex);
                    return Ok(false);
                }
                next.push(found.vertex);
                Ok(true)
            })?;
            if met.is_some() {
                break;
            }
        }
        self.frontier = next;
        Ok(met)
    }
}

fn visit(count: usize, options: &PathOptions) -> Result<()> {
    if count >= options.vertices_max {
        let limit = options.vertices_max as u64;
        return Err(Error::Limit { what: "vertices to visit for a path", limit });
    }
    Ok(())
}

/// Breadth first from both ends: the smaller frontier goes on. A hop is finished by one side before
/// the other goes on, so the first vertex that both have seen is on a path with the fewest edges.
pub(crate) fn shortest(
    source: &mut impl Source,
    from: VertexId,
    to: VertexId,
    options: &PathOptions,
) -> Result<Option<Path>> {
    let mut ahead = Half::new(from, options.direction);
    let mut behind = Half::new(to, options.direction.reversed());
    let mut met = (from == to).then_some(from);
    while met.is_none() {
        let is_over = ahead.frontier.is_empty() || behind.frontier.is_empty();
        if is_over || ahead.depth + behind.depth >= options.depth_max {
            return Ok(None);
        }
        met = if ahead.frontier.len() <= behind.frontier.len() {
            ahead.step(source, &behind, options)?
        } else {
            behind.step(source, &ahead, options)?
        };
    }
    let Some(met) = met else { return Ok(None) };
    let (mut vertices, mut edges) = walk_back(&ahead.trail, met);
    let mut at = met;
    while let Some(Some((edge, next))) = behind.trail.get(&at) {
        edges.push(*edge);
        vertices.push(*next);
        at = *next;
    }
    #[expect(clippy::cast_precision_loss, reason = "a path has fewer than 2^52 edges")]
    let weight = edges.len() as f64;
    Ok(Some(Path { vertices, edges, weight }))
}

/// The way a search came to a vertex, from its start.
fn walk_back(trail: &Trail, end: VertexId) -> (Vec<VertexId>, Vec<EdgeId>) {
    let (mut vertices, mut edges) = (vec![end], Vec::new());
    let mut at = end;
    while let Some(Some((edge, before))) = trail.get(&at) {
        edges.push(*edge);
        vertices.push(*before);
        at = *before;
    }
    vertices.reverse();
    edges.reverse();
    (vertices, edges)
}

/// A weight, ordered; no weight is NaN.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Weight(f64);

impl Eq for Weight {}

impl Ord for Weight {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Weight {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Dijkstra's search.
pub(crate) fn cheapest(
    source: &mut impl Source,
    from: VertexId,
    to: VertexId,
    property: &str,
    options: &PathOptions,
) -> Result<Option<Path>> {
    let mut trail = Trail::new();
    let mut best: HashMap<VertexId, f64> = HashMap::from([(from, 0.0)]);
    let mut heap = BinaryHeap::from([Reverse((Weight(0.0), from, None))]);
    while let Some(Reverse((weight, near, by))) = heap.pop() {
        if trail.contains_key(&near) {
            continue;
        }
        visit(trail.len(), options)?;
        trail.insert(near, by);
        if near == to {
            let (vertices, edges) = walk_back(&trail, to);
            return Ok(Some(Path { vertices, edges, weight: weight.0 }));
        }
        let mut found = Vec::new();
        let (direction, labels) = (options.direction, &options.labels);
        walk_neighbours(source, near, direction, labels, &mut |neighbour, record| {
            found.push((neighbour, record));
            Ok(true)
        })?;
        for (neighbour, record) in found {
            if trail.contains_key(&neighbour.vertex) {
                continue;
            }
            // Records lie at the source of an edge.
            let props = match neighbour.is_incoming {
                false => decode_edge(&record)?,
                true => {
                    read::edge(source, neighbour.edge)?
                        .ok_or(Error::Damaged { what: "edge", cause: "one end does not know it" })?
                        .props
                }
            };
            let Some(value) = props.get(property) else { continue };
            let step = value.as_number().filter(|step| *step >= 0.0).ok_or_else(|| {
                let cause = format!("{property} of edge {} is no weight", neighbour.edge);
                Error::invalid("property", cause)
            })?;
            let sum = weight.0 + step;
            let known = best.get(&neighbour.vertex).copied().unwrap_or(f64::INFINITY);
            if sum < known {
                best.insert(neighbour.vertex, sum);
                heap.push(Reverse((Weight(sum), neighbour.vertex, Some((neighbour.edge, near)))));
            }
        }
    }
    Ok(None)
}
