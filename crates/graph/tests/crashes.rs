//! Crashes during changes of a graph, on a disk that loses whatever was not synced: whatever comes
//! back agrees with itself. `CAIRN_CRASHES` sets how many; every failure prints its seed.

use std::sync::Arc;

use cairn_graph::{
    Edge, Error, Graph, ImportOptions, Label, NewEdge, OnDelete, Target, Value, Vertex,
};
use cairndb::prelude::*;
use cairndb::vfs::{Rng as _, SeededRng, SimConfig, SimVfs};

use crate::soaking::seeds;
use crate::{id, open};

const CRASHES_A_LIFE: u32 = 8;

fn lives() -> u64 {
    let crashes = std::env::var("CAIRN_CRASHES").ok().and_then(|text| text.parse().ok());
    (crashes.unwrap_or(40_000_u64) / 200).clamp(1, 2000)
}

/// What somebody was told.
#[derive(Debug, Default, Clone, Copy)]
struct Acknowledged {
    revision: u64,
    /// Vertices and edges at that revision.
    counts: (u64, u64),
}

fn change(graph: &Graph, rng: &SeededRng) -> Result<(), Error> {
    let below = |bound: u64| u8::try_from(rng.below(bound)).expect("small");
    let number = i64::from(below(5));
    match rng.below(9) {
        0 | 1 => {
            graph.add_vertex(&Vertex::new(id(below(8))).label("a")?.prop("n", number))?;
        }
        2 => {
            graph.update_vertex(&Vertex::new(id(below(8))).label("b")?.prop("n", number))?;
        }
        3 => {
            graph.remove_vertex(id(below(8)), OnDelete::CASCADE)?;
        }
        4 | 5 => {
            let new = Edge::new(graph.fresh_edge_id(), id(below(8)), id(below(8)), "e")?;
            graph.add_edge(&new.prop("n", number))?;
        }
        6 => {
            let mut loader = graph.edge_loader(&ImportOptions::default());
            for _ in 0..rng.below(30) {
                let props = [("n".to_owned(), Value::Int(number))].into();
                let (src, dst, label) = (id(below(8)), id(below(8)), Label::new("e")?);
                loader.push(1, NewEdge { id: None, src, dst, label, props })?;
            }
            loader.finish()?;
        }
        7 => {
            let some =
                graph.now().neighbours(id(below(8)), cairn_graph::Direction::Both, &[], 9)?;
            if let Some(found) = some.last() {
                let props = [("n".to_owned(), Value::Int(number))].into();
                match rng.below(2) {
                    0 => {
                        graph.remove_edge(found.edge)?;
                    }
                    _ => {
                        graph.update_edge(found.edge, &props)?;
                    }
                }
            }
        }
        _ => match rng.below(2) {
            0 => {
                graph.create_index(Target::Edge, "e", "n")?;
            }
            _ => {
                graph.drop_index(Target::Edge, "e", "n")?;
            }
        },
    }
    Ok(())
}

fn work(
    disk: &SimVfs,
    seed: u64,
    durability: Durability,
    rng: &SeededRng,
    told: &mut Acknowledged,
) -> Result<(), Error> {
    let engine = open(Arc::new(disk.clone()), rng.next_u64(), durability)?;
    let graph = Graph::open(&engine, "g")?;
    graph.create_index(Target::Vertex, "a", "n")?;
    loop {
        match change(&graph, rng) {
            Ok(()) => {
                let stats = graph.now().stats()?;
                let counts = (stats.vertex_count, stats.edge_count);
                *told = Acknowledged { revision: stats.revision, counts };
            }
            Err(error @ (Error::Engine(_) | Error::Proof(_))) => return Err(error),
            // Refused, as the vertex or edge happens to be there or not.
            Err(error) => assert!(!matches!(error, Error::Damaged { .. }), "seed {seed}: {error}"),
        }
    }
}

fn live(seed: u64, durability: Durability) {
    let (disk, rng) = (SimVfs::new(seed, SimConfig::default()), SeededRng::new(seed));
    let mut told = Acknowledged::default();
    for _ in 0..CRASHES_A_LIFE {
        disk.crash_after(20 + rng.below(300));
        match work(&disk, seed, durability, &rng, &mut told) {
            Ok(()) => unreachable!("it ends when the disk does"),
            Err(error) => assert!(disk.is_down(), "seed {seed}: {error}"),
        }
        let is_kill = rng.below(4) == 0;
        if is_kill {
            disk.process_crash()
        } else {
            disk.power_crash()
        }
        // Numbers of its own for each opening: ids and salts do not come again.
        let engine = open(Arc::new(disk.clone()), rng.next_u64(), durability).expect("recovers");
        let Ok(graph) = Graph::existing(&engine, "g") else {
            let was_told = durability == Durability::Sync || is_kill;
            assert!(!was_told || told.counts == (0, 0), "seed {seed}: a graph was lost");
            told = Acknowledged { revision: engine.revision(), counts: (0, 0) };
            continue;
        };
        let report = graph.check().expect("checks");
        assert!(report.is_intact(), "seed {seed}: {:?}", report.disagreements);
        if durability == Durability::Sync || is_kill {
            let (found, wanted) = (engine.revision(), told.revision);
            assert!(found >= wanted, "seed {seed}: a change was lost: {found} of {wanted}");
            let then = graph.at(told.revision).expect("readable").stats().expect("counts");
            assert_eq!((then.vertex_count, then.edge_count), told.counts, "seed {seed}");
        }
        let now = graph.now().stats().expect("counts");
        let counts = (now.vertex_count, now.edge_count);
        told = Acknowledged { revision: engine.revision(), counts };
    }
}

#[test]
fn after_any_crash_both_directions_and_all_indexes_agree() {
    let mut crashes = 0;
    for seed in seeds(0..lives()) {
        println!("seed {seed}");
        live(seed, if seed % 3 == 0 { Durability::Buffered } else { Durability::Sync });
        crashes += CRASHES_A_LIFE;
    }
    println!("total: crashes={crashes} violations=0");
}
