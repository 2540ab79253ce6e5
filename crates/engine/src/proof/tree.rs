//! The tree over the log's records. **Derived**: rebuilt from LSN 0 when tiles or state are
//! missing, damaged, or of another past.

use std::sync::Arc;

use cairn_merkle::Hash;
use cairn_merkle::log::{
    MemTiles, NodeId, NodeReader, TileReader, TileStore, TiledTree, TreeHead, VfsTiles, prove,
};
use cairn_segment::Log;
use cairn_types::Lsn;

use super::files::{self, Keep};
use super::mutation::{Mutation, Mutations};
use super::overlay::Overlay;
use super::records::Found;
use super::state::TreeState;
use super::{Error, Result};

/// Directory of the tiles, laid out as others fetch it.
pub(super) const TILES: &str = "tiles";
/// Leaves of the newest tile are compared with the log when a tree is opened.
const TILE_WIDTH: u64 = 256;

/// Where tiles are.
pub(super) type Tiles = Arc<dyn TileStore>;

/// The tree, and readers of its tiles.
#[derive(Debug)]
pub(super) struct LogTree {
    log: Log,
    tree: TiledTree<Tiles>,
    reader: TileReader<Tiles>,
    found: Found,
    synced_size: u64,
    rebuilt_count: u64,
    pub(super) mutations: Mutations,
}

impl LogTree {
    /// Opens the tree as far as it had come.
    pub(super) fn open(log: &Log) -> Result<Self> {
        let vfs = &*log.sealed_vfs();
        if let Some(state) = TreeState::read(vfs, &log.store_id())?
            && let Some(tree) = Self::resume(log, state)?
        {
            return Ok(tree);
        }
        Self::empty(log)
    }

    /// The tree of a state, unless its tiles or the log say otherwise.
    fn resume(log: &Log, state: TreeState) -> Result<Option<Self>> {
        let TreeState { head, synced_size, found } = state;
        if head.size > end_of(log).get() || head.size < log.start_lsn().get() {
            return Ok(None);
        }
        let store = tiles(log);
        let opened = TiledTree::open(store.clone(), &head)
            .and_then(|tree| Ok((tree, TileReader::open(store, head)?)));
        let (tree, reader) = match opened.map_err(Error::from) {
            Ok(opened) => opened,
            Err(error) if error.is_damaged_tile() => return Ok(None),
            Err(error) => return Err(error),
        };
        let (log, mutations) = (log.clone(), Mutations::default());
        let rebuilt_count = 0;
        let tree = Self { log, tree, reader, found, synced_size, rebuilt_count, mutations };
        match tree.has_past_of_log() {
            Ok(true) => Ok(Some(tree)),
            Ok(false) => Ok(None),
            Err(error) if error.is_damaged_tile() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the newest tile holds the leaves that the log has there.
    fn has_past_of_log(&self) -> Result<bool> {
        let size = self.size();
        let begin = size.saturating_sub(1) & !(TILE_WIDTH - 1);
        let mut scan = self.log.scan(Lsn::new(begin).max(self.log.start_lsn()));
        while scan.position().get() < size {
            let index = scan.position().get();
            let Some(record) = scan.next_record()? else { return Ok(false) };
            if self.reader.node(NodeId { height: 0, index })? != Hash::from(record.leaf()) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn empty(log: &Log) -> Result<Self> {
        if log.start_lsn() > Lsn::ZERO {
            return Err(Error::Pruned { start: log.start_lsn() });
        }
        if !log.is_read_only() {
            files::clear(&*log.sealed_vfs(), TILES)?;
        }
        let store = if log.is_read_only() { Arc::new(MemTiles::new()) } else { tiles(log) };
        let reader = TileReader::open(store.clone(), TreeHead::empty())?;
        let tree = TiledTree::new(store);
        let found = Found::default();
        let (log, mutations) = (log.clone(), Mutations::default());
        let tree = Self { log, tree, reader, found, synced_size: 0, rebuilt_count: 0, mutations };
        // Durable before the log states a map: cleaning knows by this file that there may be one.
        tree.write_state(Keep::Durably)?;
        Ok(tree)
    }

    /// Takes in all durable records; how many were new.
    pub(super) fn catch_up(&mut self) -> Result<u64> {
        let begun = self.size();
        self.repaired(|tree| tree.advance())?;
        Ok(self.size().saturating_sub(begun))
    }

    /// Where the records end that may be in it.
    pub(super) fn end(&self) -> Lsn {
        match self.mutations.has(Mutation::SignAheadOfDurable) {
            true => self.log.visible_end(),
            false => end_of(&self.log),
        }
    }

    fn advance(&mut self) -> Result<()> {
        let end = self.end();
        let mut scan = self.log.scan(Lsn::new(self.tree.size()));
        while scan.position() < end {
            let Some(record) = scan.next_record()? else { break };
            self.found.note(&record);
            let index = self.tree.push(record.leaf().into())?;
            assert_eq!(index, record.lsn.get(), "a record's leaf has the number of the record");
        }
        if self.tree.size() == self.reader.head().size {
            return Ok(());
        }
        let head = self.tree.publish()?;
        self.reader.advance(head)?;
        self.write_state(Keep::Loosely)
    }

    /// Does something; when a tile turns out to be damaged, builds the tree again and does it
    /// once more.
    pub(super) fn repaired<T>(&mut self, mut act: impl FnMut(&mut Self) -> Result<T>) -> Result<T> {
        match act(self) {
            Err(error) if error.is_damaged_tile() => {
                let rebuilt_count = self.rebuilt_count + 1;
                *self = Self { rebuilt_count, ..Self::empty(&self.log)? };
                self.advance()?;
                act(self)
            }
            outcome => outcome,
        }
    }

    fn write_state(&self, keep: Keep) -> Result<()> {
        if self.log.is_read_only() {
            return Ok(());
        }
        let (head, synced_size) = (*self.reader.head(), self.synced_size);
        let state = TreeState { head, synced_size, found: self.found.clone() };
        state.write(&*self.log.sealed_vfs(), &self.log.store_id(), keep)
    }

    /// Makes the tiles themselves durable: from then on the records may go.
    pub(super) fn sync(&mut self) -> Result<()> {
        let head = *self.reader.head();
        super::export::sync_tiles(&*self.log.sealed_vfs(), self.synced_size, head.size)?;
        self.synced_size = head.size;
        self.write_state(Keep::Durably)
    }

    /// The head whose proofs can be read: all of it is durable in the log.
    pub(super) fn head(&self) -> TreeHead {
        *self.reader.head()
    }

    /// How many records are in the tree.
    pub(super) fn size(&self) -> u64 {
        self.reader.head().size
    }

    /// The root of the first `size` records.
    pub(super) fn root_at(&mut self, size: u64) -> Result<Hash> {
        self.repaired(|tree| Ok(prove::root(&tree.reader, size)?))
    }

    pub(super) fn inclusion(&mut self, index: u64, size: u64) -> Result<Vec<Hash>> {
        self.repaired(|tree| Ok(prove::inclusion(&tree.reader, index, size)?))
    }

    pub(super) fn consistency(&mut self, old: u64, new: u64) -> Result<Vec<Hash>> {
        self.repaired(|tree| Ok(prove::consistency(&tree.reader, old, new)?))
    }

    pub(super) fn store(&self) -> &Tiles {
        self.tree.store()
    }

    pub(super) const fn found(&self) -> &Found {
        &self.found
    }

    pub(super) const fn rebuilt_count(&self) -> u64 {
        self.rebuilt_count
    }
}

/// Where the part of a log ends that may be proven: what is on the disk. A reader beside a
/// writing process sees only files and takes what is whole in them.
pub(super) fn end_of(log: &Log) -> Lsn {
    if log.is_read_only() { log.visible_end() } else { log.durable_end().min(log.visible_end()) }
}

fn tiles(log: &Log) -> Tiles {
    let below = VfsTiles::new(log.sealed_vfs(), TILES);
    if log.is_read_only() {
        return Arc::new(Overlay { above: MemTiles::new(), below });
    }
    Arc::new(below)
}
