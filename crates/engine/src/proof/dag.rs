//! Blocks of the content-addressed graph as records of the log. **Truth**: the records; the
//! index in memory is derived from them.
//!
//! | kind | stream | key | payload |
//! |---|---|---|---|
//! | 34, block | 4,294,967,294 | id of the block, 36 bytes | the block |
//! | 35, root | the same | name of the root | id of the block, nothing to take the name away |
//!
//! A block's payload hash is the hash in its id, so a proof of the record is one of the block.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use cairn_merkle::dag::{Cid, Dag, NodeStore, StoreError};
use cairn_segment::{Draft, RecordDraft, RecordKind, RecordRef};
use cairn_types::{Lsn, StreamId};

use crate::{Engine, Result};

/// The stream of blocks and roots. Streams of topics and keyspaces are numbered from 1 up and end
/// before it.
pub const DAG_STREAM: StreamId = StreamId::new(u32::MAX - 1);

/// Blocks and named roots in an engine's log.
#[derive(Debug)]
pub struct LogBlocks {
    engine: Engine,
    index: Mutex<Index>,
}

#[derive(Debug, Default)]
struct Index {
    /// Sequence of the stream that comes next.
    next: u64,
    blocks: HashMap<Cid, Lsn>,
    roots: BTreeMap<String, Cid>,
}

impl Index {
    fn catch_up(&mut self, engine: &Engine) -> Result<()> {
        let mut scan = engine.log().scan_stream(DAG_STREAM, self.next);
        while let Some(record) = scan.next_record()? {
            self.next = record.view.sequence + 1;
            self.apply(&record);
        }
        Ok(())
    }

    /// A record that is none of ours changes nothing: whatever is read is hashed again.
    fn apply(&mut self, record: &RecordRef<'_>) {
        let key = record.view.key.unwrap_or_default();
        match record.view.kind {
            RecordKind::DAG_BLOCK => {
                if let Ok(cid) = Cid::decode(key) {
                    self.blocks.entry(cid).or_insert(record.lsn);
                }
            }
            RecordKind::DAG_ROOT => {
                let Ok(name) = std::str::from_utf8(key) else { return };
                match record.payload().map(Cid::decode) {
                    Some(Ok(cid)) => self.roots.insert(name.to_owned(), cid),
                    _ => self.roots.remove(name),
                };
            }
            _ => {}
        }
    }
}

impl Engine {
    /// The content-addressed graph in this engine's log.
    ///
    /// # Errors
    /// The log's.
    ///
    /// ```
    /// use cairn_engine::Engine;
    /// use cairn_merkle::dag::Node;
    /// let dir = tempfile::tempdir()?;
    /// let engine = Engine::open(dir.path().join("data"))?;
    /// let dag = engine.dag()?;
    /// let leaf = dag.add_node(&Node::new("stone"))?;
    /// dag.set_root("cairn", Some(&leaf))?;
    /// let place = dag.store().place(&leaf)?.expect("added");
    /// assert_eq!(engine.proofs()?.prove_lsn(place)?.lsn, place);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn dag(&self) -> Result<Dag<LogBlocks>> {
        let mut index = Index::default();
        index.catch_up(self)?;
        Ok(Dag::new(LogBlocks { engine: self.clone(), index: Mutex::new(index) }))
    }

    /// The first record that the graph needs.
    pub(super) fn oldest_block(&self) -> Result<Option<Lsn>> {
        let mut scan = self.log().scan_stream(DAG_STREAM, 0);
        Ok(scan.next_record()?.map(|record| record.lsn))
    }
}

impl LogBlocks {
    /// Place of a block's record.
    ///
    /// # Errors
    /// The log's.
    pub fn place(&self, cid: &Cid) -> Result<Option<Lsn>> {
        Ok(self.index()?.blocks.get(cid).copied())
    }

    /// The index of everything that is visible.
    fn index(&self) -> Result<MutexGuard<'_, Index>> {
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        index.catch_up(&self.engine)?;
        Ok(index)
    }

    fn append(&self, kind: RecordKind, key: &[u8], payload: &[u8]) -> Result<()> {
        let mut draft = Draft::new();
        let record = RecordDraft { key: Some(key), ..RecordDraft::new(kind, DAG_STREAM) };
        draft.push(record, payload)?;
        self.engine.log().append(&draft)?;
        Ok(())
    }
}

impl NodeStore for LogBlocks {
    fn get(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        let Some(lsn) = self.place(cid)? else { return Ok(None) };
        let mut scan = self.engine.log().scan(lsn);
        Ok(scan.next_record()?.and_then(|record| record.payload_bytes()))
    }

    fn put(&self, cid: &Cid, block: Bytes) -> Result<(), StoreError> {
        let index = self.index()?;
        if !index.blocks.contains_key(cid) {
            self.append(RecordKind::DAG_BLOCK, &cid.encode(), &block)?;
        }
        Ok(())
    }

    fn contains(&self, cid: &Cid) -> Result<bool, StoreError> {
        Ok(self.place(cid)?.is_some())
    }

    fn root(&self, name: &str) -> Result<Option<Cid>, StoreError> {
        Ok(self.index()?.roots.get(name).copied())
    }

    fn set_root(&self, name: &str, cid: Option<&Cid>) -> Result<(), StoreError> {
        let index = self.index()?;
        if index.roots.get(name) != cid {
            let payload = cid.map(|cid| cid.encode().to_vec()).unwrap_or_default();
            self.append(RecordKind::DAG_ROOT, name.as_bytes(), &payload)?;
        }
        Ok(())
    }

    fn roots(&self) -> Result<BTreeMap<String, Cid>, StoreError> {
        Ok(self.index()?.roots.clone())
    }
}
