//! One window of edges becomes one commit: edges that share an end and a label share a chunk.
//! Holds the window.

use std::collections::HashMap;

use cairndb::keys::{Planner, Put, RangeRequest};
use cairndb::types::Bytes;
use cairndb::types::limits::{MAX_BATCH_RAW_LEN, MAX_BATCH_RECORDS};

use super::ImportReport;
use crate::chunk::{Entry, Packed, Side, cost, encode_block, encode_chunk};
use crate::index::Definitions;
use crate::key::ChunkKey;
use crate::limits::{BLOCK_EDGES, CHUNK_EDGES_MAX, CHUNK_LEN_SOFT};
use crate::record::decode_edge;
use crate::{BatchId, Edge, EdgeId, Error, Graph, Label, Result, StorageKey, VertexId, id};

/// Most bytes of a window, by what its edges will take.
const WINDOW_LEN_MAX: usize = 96 << 20;
/// Most bytes and records of a commit, with room for what stands beside.
const COMMIT_LEN_MAX: usize = MAX_BATCH_RAW_LEN / 16 * 15;
const COMMIT_RECORDS_MAX: usize = MAX_BATCH_RECORDS / 16 * 15;
/// About how many bytes a record takes besides key and value.
const STATEMENT_LEN: usize = 48;

#[derive(Debug, Clone)]
struct Row {
    line: u64,
    src: VertexId,
    dst: VertexId,
    label: u32,
    /// Where its record is.
    start: usize,
    end: usize,
}

/// Most that one commit takes.
#[derive(Debug, Clone, Copy)]
struct Most {
    len: usize,
    records: usize,
}

impl Default for Most {
    fn default() -> Self {
        Self { len: COMMIT_LEN_MAX, records: COMMIT_RECORDS_MAX }
    }
}

impl Most {
    const fn takes(self, len: usize, records: usize) -> bool {
        len <= self.len && records <= self.records
    }
}

/// Edges that will be committed together.
#[derive(Debug, Default)]
pub(super) struct Window {
    rows: Vec<Row>,
    records: Vec<u8>,
    labels: Vec<Label>,
    by_label: HashMap<Label, u32>,
    cost: usize,
    most: Most,
}

impl Window {
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.cost >= WINDOW_LEN_MAX
    }

    pub(super) fn push(
        &mut self,
        line: u64,
        src: VertexId,
        dst: VertexId,
        label: Label,
        record: &[u8],
    ) {
        let fresh = u32::try_from(self.labels.len()).expect("a window has fewer rows");
        let number = match self.labels.last() {
            Some(last) if *last == label => fresh - 1,
            _ => *self.by_label.entry(label.clone()).or_insert(fresh),
        };
        if number == fresh {
            self.labels.push(label);
        }
        let start = self.records.len();
        self.records.extend_from_slice(record);
        self.rows.push(Row { line, src, dst, label: number, start, end: self.records.len() });
        self.cost += cost(record.len());
    }

    /// Commits all edges, in one commit if they fit.
    pub(super) fn commit(mut self, graph: &Graph, report: &mut ImportReport) -> Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        // Numbers of edges ascend by label, so that a block has one label.
        if self.labels.len() > 1 {
            self.rows.sort_by_key(|row| row.label);
        }
        let records = Bytes::from(std::mem::take(&mut self.records));
        commit_rows(graph, &self.rows, &self.labels, &records, self.most, report)
    }
}

fn commit_rows(
    graph: &Graph,
    rows: &[Row],
    labels: &[Label],
    records: &Bytes,
    most: Most,
    report: &mut ImportReport,
) -> Result<()> {
    let numbers = numbers(rows);
    let batch = fresh_batch(graph)?;
    let batch = Batch { graph, rows, labels, records, batch, numbers: &numbers };
    let mut ends = Vec::new();
    let puts = batch.puts(&mut ends);
    let len: usize = puts.iter().map(|put| put.key.len() + put.value.len() + STATEMENT_LEN).sum();
    if !most.takes(len, puts.len()) && rows.len() > 1 {
        drop(puts);
        return commit_halves(graph, rows, labels, records, most, report);
    }
    // The one writer at a time looks and writes: nothing can come between.
    let written = graph.engine().keys().write(|planner| {
        if let Some(refusal) = batch.refusal(planner, &ends)? {
            return Ok(Err(refusal));
        }
        let definitions = batch.value(planner, &StorageKey::Definitions)?;
        let keys = match batch.index_keys(definitions.as_ref()) {
            Ok(keys) => keys,
            Err(error) => return Ok(Err(Refusal::Other(error))),
        };
        let key_len: usize = keys.iter().map(|key| key.len() + STATEMENT_LEN).sum();
        if !most.takes(len + key_len, puts.len() + keys.len()) && rows.len() > 1 {
            return Ok(Err(Refusal::TooLarge));
        }
        for put in &puts {
            planner.put(put)?;
        }
        for key in keys {
            planner.put(&Put::new(graph.keyspace().stream(), key, Bytes::new()))?;
        }
        Ok(Ok(planner.revision()))
    })?;
    match written {
        Ok(revision) => {
            report.added += rows.len() as u64;
            report.commit_count += 1;
            report.revision = revision;
            Ok(())
        }
        Err(Refusal::Taken) => commit_rows(graph, rows, labels, records, most, report),
        Err(Refusal::TooLarge) => {
            drop(puts);
            commit_halves(graph, rows, labels, records, most, report)
        }
        Err(Refusal::Missing(id)) => {
            let row = rows.iter().filter(|row| row.src == id || row.dst == id);
            let line = row.map(|row| row.line).min().unwrap_or(0);
            Err(Error::Row { line, column: 0, cause: Error::NoVertex { id }.to_string() })
        }
        Err(Refusal::Other(error)) => Err(error),
    }
}

/// What is too large for one commit becomes two.
fn commit_halves(
    graph: &Graph,
    rows: &[Row],
    labels: &[Label],
    records: &Bytes,
    most: Most,
    report: &mut ImportReport,
) -> Result<()> {
    let (first, second) = rows.split_at(rows.len() / 2);
    commit_rows(graph, first, labels, records, most, report)?;
    commit_rows(graph, second, labels, records, most, report)
}

/// Why a window was not written.
enum Refusal {
    /// With the entries of indexes it is too large for one commit.
    TooLarge,
    /// There is no such vertex.
    Missing(VertexId),
    /// Somebody has the ids, which no good random source lets happen.
    Taken,
    Other(Error),
}

/// Ids that nobody has.
fn fresh_batch(graph: &Graph) -> Result<BatchId> {
    let log = graph.engine().log();
    loop {
        let id = EdgeId::from_uuid(id::fresh(&**log.rng(), log.clock().now()));
        let (batch, _) = id.split();
        let block = StorageKey::Block { batch, number: 0 };
        if graph.keyspace().get(block.encode())?.is_none() {
            return Ok(batch);
        }
    }
}

/// The number of each row in its batch: ascending, and each label begins with a block.
fn numbers(rows: &[Row]) -> Vec<u32> {
    let mut next = 0_u32;
    let mut last = 0;
    let number = |row: &Row| {
        if row.label != last {
            last = row.label;
            next = next.next_multiple_of(BLOCK_EDGES);
        }
        next += 1;
        next - 1
    };
    rows.iter().map(number).collect()
}

/// Rows with the ids they get.
struct Batch<'a> {
    graph: &'a Graph,
    rows: &'a [Row],
    labels: &'a [Label],
    records: &'a Bytes,
    batch: BatchId,
    numbers: &'a [u32],
}

/// A row by one of its ends: the end and the index of the row.
type ByEnd = (VertexId, u32);

impl Batch<'_> {
    fn row(&self, index: u32) -> &Row {
        self.rows.get(index as usize).expect("an index of a row")
    }

    fn label(&self, row: &Row) -> &Label {
        self.labels.get(row.label as usize).expect("a number of a label")
    }

    /// All chunks and blocks, and all vertices at the ends of rows.
    fn puts(&self, ends: &mut Vec<VertexId>) -> Vec<Put> {
        let mut puts = Vec::new();
        let out_chunks = self.chunks(Side::Out, &mut puts, ends);
        let in_chunks = self.chunks(Side::In, &mut puts, ends);
        ends.sort_unstable();
        ends.dedup();
        let packed = self.rows.iter().zip(out_chunks).zip(in_chunks);
        let packed = packed.map(|((row, out_chunk), in_chunk)| {
            (row.label, Packed { src: row.src, out_chunk, in_chunk })
        });
        let packed: Vec<(u32, Packed)> = packed.collect();
        let mut from = 0;
        for group in packed.chunk_by(|a, b| a.0 == b.0) {
            for block in group.chunks(BLOCK_EDGES as usize) {
                let first = self.numbers.get(from).copied().expect("one number a row");
                let entries: Vec<Packed> = block.iter().map(|(_, packed)| *packed).collect();
                let key = StorageKey::Block { batch: self.batch, number: first / BLOCK_EDGES };
                let label = self.labels.get(block[0].0 as usize).expect("a number of a label");
                self.add(&mut puts, &key, encode_block(label, &entries));
                from += block.len();
            }
        }
        puts
    }

    fn add(&self, puts: &mut Vec<Put>, key: &StorageKey, value: Vec<u8>) {
        puts.push(Put::new(self.graph.keyspace().stream(), key.encode(), value));
    }

    /// The rows by one of their ends. Rows of one end stay in the order of their numbers, and so
    /// of their labels.
    fn sorted(&self, side: Side) -> Vec<ByEnd> {
        let end = |row: &Row| match side {
            Side::Out => row.src,
            Side::In => row.dst,
        };
        let rows = (0..).zip(self.rows).map(|(index, row)| (end(row), index));
        let mut rows: Vec<ByEnd> = rows.collect();
        rows.sort_unstable();
        rows
    }

    /// Adds the chunks of one side; for each row the number of its chunk.
    fn chunks(&self, side: Side, puts: &mut Vec<Put>, ends: &mut Vec<VertexId>) -> Vec<u32> {
        let mut numbers = vec![0; self.rows.len()];
        let sorted = self.sorted(side);
        let same = |a: &ByEnd, b: &ByEnd| a.0 == b.0 && self.row(a.1).label == self.row(b.1).label;
        let mut entries: Vec<Entry> = Vec::with_capacity(CHUNK_EDGES_MAX);
        for group in sorted.chunk_by(same) {
            let (near, first) = group[0];
            ends.push(near);
            let label = self.label(self.row(first));
            let mut number = 0;
            let mut len = 0;
            let mut end = |entries: &mut Vec<Entry>, number: u32| {
                let key = ChunkKey { near, label: label.clone(), batch: self.batch, number };
                let key = match side {
                    Side::Out => StorageKey::OutChunk(key),
                    Side::In => StorageKey::InChunk(key),
                };
                self.add(puts, &key, encode_chunk(side, entries));
                entries.clear();
            };
            for (_, index) in group {
                if entries.len() >= CHUNK_EDGES_MAX || len >= CHUNK_LEN_SOFT {
                    end(&mut entries, number);
                    number += 1;
                    len = 0;
                }
                let row = self.row(*index);
                let (far, record) = match side {
                    Side::Out => (row.dst, self.records.slice(row.start..row.end)),
                    Side::In => (row.src, Bytes::new()),
                };
                len += record.len();
                let at = *index as usize;
                entries.push(Entry { number: self.numbers[at], far, record });
                numbers[at] = number;
            }
            end(&mut entries, number);
        }
        numbers
    }

    /// Why the rows cannot be written.
    fn refusal(
        &self,
        planner: &Planner<'_>,
        ends: &[VertexId],
    ) -> cairndb::keys::Result<Option<Refusal>> {
        let block = StorageKey::Block { batch: self.batch, number: 0 };
        if self.value(planner, &block)?.is_some() {
            return Ok(Some(Refusal::Taken));
        }
        for id in ends {
            if self.value(planner, &StorageKey::Vertex(*id))?.is_none() {
                return Ok(Some(Refusal::Missing(*id)));
            }
        }
        Ok(None)
    }

    fn value(
        &self,
        planner: &Planner<'_>,
        key: &StorageKey,
    ) -> cairndb::keys::Result<Option<Bytes>> {
        let request = RangeRequest::key(self.graph.keyspace().stream(), key.encode());
        let keys_only = matches!(key, StorageKey::Vertex(_));
        let request = RangeRequest { keys_only, ..request };
        Ok(planner.range(&request)?.kvs.pop().map(|kv| kv.value))
    }

    /// The entries of indexes over edges.
    fn index_keys(&self, definitions: Option<&Bytes>) -> Result<Vec<Vec<u8>>> {
        let Some(record) = definitions else { return Ok(Vec::new()) };
        let definitions = Definitions::decode(record)?;
        let mut keys = Vec::new();
        for (row, number) in self.rows.iter().zip(self.numbers) {
            let label = self.label(row);
            if !definitions.has_edges(label) {
                continue;
            }
            let record = self.records.get(row.start..row.end).unwrap_or_default();
            let (id, label) = (self.batch.edge(*number), label.clone());
            let props = decode_edge(record)?;
            let edge = Edge { id, src: row.src, dst: row.dst, label, props };
            keys.extend(definitions.keys_of_edge(&edge));
        }
        Ok(keys)
    }
}

#[cfg(test)]
mod tests;
