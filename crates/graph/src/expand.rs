//! Everything within some hops of a vertex, breadth first, within limits. Holds nothing.

use std::collections::HashSet;

use crate::read::walk_neighbours;
use crate::source::Source;
use crate::{Direction, EdgeId, Label, Result, VertexId};

/// How far to go.
#[derive(Debug, Clone)]
pub struct ExpandOptions {
    /// Along which edges.
    pub direction: Direction,
    /// With which labels; none means all.
    pub labels: Vec<Label>,
    /// Most hops.
    pub depth_max: usize,
    /// Most vertices, the first one included.
    pub vertices_max: usize,
    /// Most edges to look at.
    pub edges_max: usize,
}

impl Default for ExpandOptions {
    fn default() -> Self {
        Self {
            direction: Direction::Out,
            labels: Vec::new(),
            depth_max: 2,
            vertices_max: 10_000,
            edges_max: 100_000,
        }
    }
}

/// A vertex that was reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// The vertex.
    pub vertex: VertexId,
    /// Hops to it, the fewest there are.
    pub depth: usize,
    /// The edge it was reached by first, and from where; none for the first vertex.
    pub by: Option<(EdgeId, VertexId)>,
}

/// What an expansion found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expansion {
    /// Vertices, nearest first, beginning with the one it started from.
    pub reached: Vec<Reached>,
    /// Edges looked at.
    pub edge_count: usize,
    /// A limit of vertices or edges was met: there is more.
    pub is_cut: bool,
}

pub(crate) fn expand(
    source: &mut impl Source,
    from: VertexId,
    options: &ExpandOptions,
) -> Result<Expansion> {
    let first = Reached { vertex: from, depth: 0, by: None };
    let mut found = Expansion { reached: vec![first], edge_count: 0, is_cut: false };
    let mut seen = HashSet::from([from]);
    let mut next = 0;
    while let Some(near) = found.reached.get(next).cloned() {
        next += 1;
        if near.depth >= options.depth_max || found.is_cut {
            break;
        }
        let (direction, labels) = (options.direction, &options.labels);
        walk_neighbours(source, near.vertex, direction, labels, &mut |neighbour, _| {
            if found.edge_count >= options.edges_max {
                found.is_cut = true;
                return Ok(false);
            }
            found.edge_count += 1;
            if seen.contains(&neighbour.vertex) {
                return Ok(true);
            }
            if found.reached.len() >= options.vertices_max {
                found.is_cut = true;
                return Ok(false);
            }
            seen.insert(neighbour.vertex);
            found.reached.push(Reached {
                vertex: neighbour.vertex,
                depth: near.depth + 1,
                by: Some((neighbour.edge, near.vertex)),
            });
            Ok(true)
        })?;
    }
    Ok(found)
}
