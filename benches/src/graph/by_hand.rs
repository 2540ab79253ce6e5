//! A graph as one would lay it out by hand on redb: each edge at both ends, with its weight, and
//! by its id. No revisions, no indexes, no feed.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use redb::{
    Database, Durability, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction,
};

use crate::work::{Id, Store, files_len, id};

pub const LOAD: &str = "in its memory in commits of 100,000 edges, synced by the last";
pub const CHANGE: &str = "each commit synced";

type Table = TableDefinition<'static, &'static [u8], &'static [u8]>;

/// Vertex, label, other vertex, edge -> weight; the label is one byte.
const OUT: Table = Table::new("out");
const IN: Table = Table::new("in");
/// Edge -> source, target.
const EDGES: Table = Table::new("edges");
const VERTICES: Table = Table::new("vertices");

const LABEL: &[u8] = b"e";
const BATCH: usize = 100_000;

pub struct ByHand {
    db: Database,
    next: u64,
    dir: PathBuf,
}

pub fn open(dir: &Path) -> Result<ByHand> {
    std::fs::create_dir_all(dir)?;
    let db = Database::create(dir.join("graph.redb"))?;
    Ok(ByHand { db, next: 1 << 50, dir: dir.to_owned() })
}

fn adjacent(near: &Id, far: &Id, edge: &Id) -> Vec<u8> {
    [&near[..], LABEL, far, edge].concat()
}

/// Adds edges within a transaction; both ends must be there.
fn insert(begun: &WriteTransaction, edges: &[(Id, Id, Id)]) -> Result<()> {
    let (mut out, mut into) = (begun.open_table(OUT)?, begun.open_table(IN)?);
    let (mut by_id, vertices) = (begun.open_table(EDGES)?, begun.open_table(VERTICES)?);
    for (edge, src, dst) in edges {
        ensure!(vertices.get(&src[..])?.is_some(), "no source");
        ensure!(vertices.get(&dst[..])?.is_some(), "no target");
        out.insert(&adjacent(src, dst, edge)[..], &7_u64.to_le_bytes()[..])?;
        into.insert(&adjacent(dst, src, edge)[..], &[][..])?;
        by_id.insert(&edge[..], &[&src[..], dst].concat()[..])?;
    }
    Ok(())
}

impl ByHand {
    fn fresh(&mut self) -> Id {
        self.next += 1;
        id(self.next)
    }

    fn write(
        &self,
        durability: Durability,
        change: impl FnOnce(&WriteTransaction) -> Result<()>,
    ) -> Result<()> {
        let mut begun = self.db.begin_write()?;
        begun.set_durability(durability)?;
        change(&begun)?;
        Ok(begun.commit()?)
    }
}

impl Store for ByHand {
    fn add_vertices(&mut self, ids: &mut dyn Iterator<Item = Id>) -> Result<()> {
        self.write(Durability::Immediate, |begun| {
            let mut vertices = begun.open_table(VERTICES)?;
            for id in ids {
                vertices.insert(&id[..], &[][..])?;
            }
            Ok(())
        })
    }

    fn load(&mut self, ends: &mut dyn Iterator<Item = (Id, Id)>) -> Result<()> {
        loop {
            let some: Vec<_> =
                ends.take(BATCH).map(|(src, dst)| (self.fresh(), src, dst)).collect();
            if some.is_empty() {
                return self.write(Durability::Immediate, |_| Ok(()));
            }
            self.write(Durability::None, |begun| insert(begun, &some))?;
        }
    }

    fn settle(&mut self) -> Result<()> {
        self.near([0; 16], false, &mut Vec::new())
    }

    fn near(&self, vertex: Id, is_incoming: bool, found: &mut Vec<(Id, Id)>) -> Result<()> {
        let table = if is_incoming { IN } else { OUT };
        let table = self.db.begin_read()?.open_table(table)?;
        for pair in table.range(&vertex[..]..)? {
            let (key, _) = pair?;
            let key = key.value();
            if !key.starts_with(&vertex) {
                break;
            }
            let (far, edge) = key[17..].split_at(16);
            found.push((far.try_into()?, edge.try_into()?));
        }
        Ok(())
    }

    fn edge(&self, edge: Id) -> Result<Option<(Id, Id, u64)>> {
        let begun = self.db.begin_read()?;
        let ends = begun.open_table(EDGES)?;
        let Some(ends) = ends.get(&edge[..])? else { return Ok(None) };
        let (src, dst) = ends.value().split_at(16);
        let (src, dst): (Id, Id) = (src.try_into()?, dst.try_into()?);
        let out = begun.open_table(OUT)?;
        let weight = out.get(&adjacent(&src, &dst, &edge)[..])?.context("an edge without end")?;
        Ok(Some((src, dst, u64::from_le_bytes(weight.value().try_into()?))))
    }

    fn add(&mut self, src: Id, dst: Id) -> Result<Id> {
        let edge = self.fresh();
        self.write(Durability::Immediate, |begun| insert(begun, &[(edge, src, dst)]))?;
        Ok(edge)
    }

    fn remove(&mut self, edge: Id) -> Result<()> {
        self.write(Durability::Immediate, |begun| {
            let mut by_id = begun.open_table(EDGES)?;
            let ends = by_id.remove(&edge[..])?.context("no such edge")?.value().to_vec();
            let (src, dst) = ends.split_at(16);
            let (src, dst): (Id, Id) = (src.try_into()?, dst.try_into()?);
            begun.open_table(OUT)?.remove(&adjacent(&src, &dst, &edge)[..])?;
            begun.open_table(IN)?.remove(&adjacent(&dst, &src, &edge)[..])?;
            Ok(())
        })
    }

    fn disk_len(&self) -> Result<u64> {
        files_len(&self.dir)
    }
}
