//! The work: edges between random vertices, ten a vertex, each with one number; then reads, then
//! changes of one edge. What a read gives is checked while it is timed.

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Result, ensure};

/// How much there is.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    pub vertices: u64,
    pub edges: u64,
}

/// An id, of a vertex or an edge.
pub type Id = [u8; 16];

/// One side of the comparison.
pub trait Store {
    fn add_vertices(&mut self, ids: &mut dyn Iterator<Item = Id>) -> Result<()>;
    /// Edges with their ends, which must be there; on the disk when it returns.
    fn load(&mut self, ends: &mut dyn Iterator<Item = (Id, Id)>) -> Result<()>;
    /// What is done before the first read.
    fn settle(&mut self) -> Result<()>;
    /// The vertices at the other ends, with the edges.
    fn near(&self, vertex: Id, is_incoming: bool, found: &mut Vec<(Id, Id)>) -> Result<()>;
    /// Source, target and weight of an edge.
    fn edge(&self, edge: Id) -> Result<Option<(Id, Id, u64)>>;
    /// Adds an edge; on the disk when it returns.
    fn add(&mut self, src: Id, dst: Id) -> Result<Id>;
    /// Removes an edge; on the disk when it returns.
    fn remove(&mut self, edge: Id) -> Result<()>;
    /// Bytes in its files.
    fn disk_len(&self) -> Result<u64>;
}

/// What is measured, with its unit.
pub const WORKS: [(&str, &str); 9] = [
    ("load, synced at the end", "edges"),
    ("first read after the load", "reads"),
    ("out neighbours of a vertex, about 10", "vertices"),
    ("in neighbours of a vertex, about 10", "vertices"),
    ("edge by id", "edges"),
    ("two hops from a vertex, about 110", "vertices"),
    ("add an edge, synced", "edges"),
    ("remove an edge, synced", "edges"),
    ("edges a byte on the disk", "edges"),
];

/// One figure for each kind of work: how often a second.
pub type Figures = [f64; WORKS.len()];

const HOPS: u64 = 2_000;
const CHANGES: u64 = 1_000;

fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 31)
}

/// The id of a vertex.
pub fn id(number: u64) -> Id {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&mix(number + 1).to_be_bytes());
    bytes[8..].copy_from_slice(&mix(number + (1 << 40)).to_be_bytes());
    bytes
}

impl Sizes {
    fn ends(&self, edge: u64) -> (Id, Id) {
        (id(mix(edge) % self.vertices), id(mix(edge + self.edges) % self.vertices))
    }

    fn some_vertex(&self, number: u64) -> Id {
        id(mix(number ^ 0x5555) % self.vertices)
    }
}

/// How often a second `work` was done.
fn rate(count: u64, work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    work()?;
    Ok(count as f64 / start.elapsed().as_secs_f64())
}

/// Does everything once.
pub fn run(store: &mut dyn Store, sizes: &Sizes) -> Result<Figures> {
    store.add_vertices(&mut (0..sizes.vertices).map(id))?;
    let mut ends = (0..sizes.edges).map(|edge| sizes.ends(edge));
    let load = rate(sizes.edges, || store.load(&mut ends))?;
    let len = store.disk_len()?;
    let first = rate(1, || store.settle())?;
    let [out, into] = [false, true].map(|is_incoming| {
        let mut total = 0;
        let rate = rate(sizes.vertices, || {
            let mut found = Vec::new();
            for number in 0..sizes.vertices {
                found.clear();
                store.near(id(number), is_incoming, &mut found)?;
                total += found.len() as u64;
            }
            Ok(())
        });
        ensure!(total == sizes.edges, "{total} neighbours of {} edges", sizes.edges);
        rate
    });
    let mut known = Vec::new();
    for number in 0..sizes.vertices / 10 {
        let src = sizes.some_vertex(number);
        let mut found = Vec::new();
        store.near(src, false, &mut found)?;
        known.extend(found.iter().map(|(dst, edge)| (*edge, src, *dst)));
    }
    let by_id = rate(known.len() as u64, || {
        known.iter().try_for_each(|(edge, src, dst)| {
            ensure!(store.edge(*edge)? == Some((*src, *dst, 7)), "another edge");
            Ok(())
        })
    })?;
    let hops = rate(HOPS, || {
        let (mut near, mut far) = (Vec::new(), Vec::new());
        for number in 0..HOPS {
            near.clear();
            store.near(sizes.some_vertex(number), false, &mut near)?;
            for (vertex, _) in &near {
                far.clear();
                store.near(*vertex, false, &mut far)?;
                black_box(&far);
            }
        }
        Ok(())
    })?;
    let mut added = Vec::new();
    let add = rate(CHANGES, || {
        for number in 0..CHANGES {
            let (src, dst) = (sizes.some_vertex(number), sizes.some_vertex(number + CHANGES));
            added.push(store.add(src, dst)?);
        }
        Ok(())
    })?;
    // Half of those just added, half of those loaded.
    let mut gone: Vec<Id> = known.iter().map(|(edge, ..)| *edge).collect();
    gone.sort_unstable();
    gone.dedup();
    gone.truncate(CHANGES as usize / 2);
    gone.extend(added.iter().take(CHANGES as usize / 2));
    let remove = rate(gone.len() as u64, || gone.iter().try_for_each(|edge| store.remove(*edge)))?;
    ensure!(gone.iter().all(|edge| matches!(store.edge(*edge), Ok(None))), "an edge came back");
    Ok([load, first, out?, into?, by_id, hops, add, remove, sizes.edges as f64 / len as f64])
}

/// Bytes of all files under a directory.
pub fn files_len(dir: &std::path::Path) -> Result<u64> {
    let mut len = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        len += if meta.is_dir() { files_len(&entry.path())? } else { meta.len() };
    }
    Ok(len)
}
