//! Opening the tables that a manifest names. Derived.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, OnceLock, RwLock};

use arc_swap::ArcSwap;
use bytes::Bytes;
use cairn_codec::CodecRegistry;
use cairn_vfs::{Rng, Vfs};

use super::{Tree, TreeOptions};
use crate::entry::Version;
use crate::levels::Levels;
use crate::manifest::{self, Manifest, Position};
use crate::memtable::{Memtable, Seed};
use crate::table::{BlockCache, Table, TableOptions, file_id};
use crate::{Error, Result};

/// What was found at open.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Opened {
    /// The tables hold what the log says before this place; the rest has to be inserted.
    pub position: Position,
    /// Greatest sequence in tables.
    pub sequence: u64,
    /// Oldest sequence that readers may ask for.
    pub oldest: u64,
    /// What the layer above wrote with the last flush.
    pub notes: Bytes,
    /// There were tables, but of another store or another past: they were left aside.
    pub discarded: bool,
}

/// Blocks that the cache expects to hold, about: it grows beyond.
const CACHE_ITEMS: usize = 4096;

impl<V: Version> Tree<V> {
    /// Opens the store in a directory, which is created when absent. `store` names the log that
    /// the tables belong to, and `fits` says whether that log has the record at a position; tables
    /// that do not fit are removed.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::UnsupportedVersion`] for damaged tables; of the file system;
    /// what `fits` returns.
    pub fn open(
        vfs: Arc<dyn Vfs>,
        dir: &str,
        options: TreeOptions,
        rng: &dyn Rng,
        store: [u8; 16],
        fits: impl FnOnce(&Position) -> Result<bool>,
    ) -> Result<(Self, Opened)> {
        vfs.create_dir_all(dir)?;
        let found = Manifest::read(&*vfs, dir)?;
        let had_any = found.is_some();
        let manifest = match found {
            Some(manifest) if manifest.store == store && fits(&manifest.position)? => {
                Some(manifest)
            }
            _ => None,
        };
        let discarded = had_any && manifest.is_none();
        if discarded {
            Self::discard(&*vfs, dir)?;
        }
        let manifest = manifest.unwrap_or(Manifest { store, ..Manifest::default() });
        let known = |id: u64| manifest.tables.iter().any(|(_, table)| table.id == id);
        for entry in vfs.list(dir)? {
            // Left behind by a crash before the manifest named them.
            if file_id(&entry.name).is_some_and(|id| !known(id)) {
                vfs.remove(&format!("{dir}/{}", entry.name))?;
            }
        }
        match Self::of(vfs, dir, options, rng, manifest, discarded, false) {
            // The manifest names only what was synced before: somebody has removed it.
            Err(Error::Vfs(error)) if error.is_not_found() => {
                Err(Error::corrupt(&error.path, 0, "a table that the manifest names is not there"))
            }
            outcome => outcome,
        }
    }

    /// Opens the store of another process for reading: nothing is written or removed. Tables
    /// that do not fit are left aside.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_read_only(
        vfs: Arc<dyn Vfs>,
        dir: &str,
        options: TreeOptions,
        rng: &dyn Rng,
        store: [u8; 16],
        fits: impl Fn(&Position) -> Result<bool>,
    ) -> Result<(Self, Opened)> {
        const ATTEMPTS: usize = 10;
        let mut attempt = 0;
        loop {
            attempt += 1;
            let found = Manifest::read(&*vfs, dir)?;
            let (manifest, discarded) = match found {
                Some(manifest) if manifest.store == store && fits(&manifest.position)? => {
                    (manifest, false)
                }
                other => (Manifest { store, ..Manifest::default() }, other.is_some()),
            };
            match Self::of(vfs.clone(), dir, options, rng, manifest, discarded, true) {
                // The writer has merged a table away since the manifest was read.
                Err(Error::Vfs(error)) if error.is_not_found() && attempt < ATTEMPTS => {}
                outcome => return outcome,
            }
        }
    }

    /// Removes all tables: they will be built again from the log.
    ///
    /// # Errors
    /// Of the file system.
    pub fn discard(vfs: &dyn Vfs, dir: &str) -> Result<()> {
        if !vfs.exists(dir)? {
            return Ok(());
        }
        // The manifest goes first: without it the rest is nothing.
        let path = format!("{dir}/{}", manifest::FILE);
        if vfs.exists(&path)? {
            vfs.remove(&path)?;
            vfs.sync_dir(dir)?;
        }
        for entry in vfs.list(dir)? {
            if file_id(&entry.name).is_some() {
                vfs.remove(&format!("{dir}/{}", entry.name))?;
            }
        }
        Ok(())
    }

    fn of(
        vfs: Arc<dyn Vfs>,
        dir: &str,
        options: TreeOptions,
        rng: &dyn Rng,
        manifest: Manifest,
        discarded: bool,
        read_only: bool,
    ) -> Result<(Self, Opened)> {
        let codecs = CodecRegistry::standard();
        let cache: Arc<BlockCache> = Arc::new(BlockCache::with_weighter(
            CACHE_ITEMS,
            options.cache_len,
            crate::table::BlockWeight,
        ));
        let mut levels: Vec<Vec<Arc<Table>>> = Vec::new();
        for (level, facts) in &manifest.tables {
            let table = Table::open(&*vfs, dir, facts.clone(), &codecs, &cache)?;
            let level = usize::from(*level);
            if levels.len() <= level {
                levels.resize_with(level + 1, Vec::new);
            }
            levels[level].push(Arc::new(table));
        }
        for tables in levels.iter().skip(1) {
            if !tables.is_sorted_by(|a, b| a.facts.last_key < b.facts.first_key) {
                return Err(Error::corrupt(manifest::FILE, 0, "tables of a level overlap"));
            }
        }
        let mut seed = [0; 8];
        rng.fill(&mut seed);
        let (sequence, oldest) = (manifest.sequence, manifest.oldest);
        let seed = Seed(u64::from_le_bytes(seed));
        let memtable = Memtable::new(seed, sequence, levels.is_empty());
        let opened = Opened {
            position: manifest.position,
            sequence,
            oldest,
            notes: manifest.notes.clone(),
            discarded,
        };
        let table_options = TableOptions {
            block_len: options.block_len,
            filter_bits: options.filter_bits,
            codec: codecs.writer(options.compression)?,
        };
        let tree = Self {
            vfs,
            dir: dir.to_owned(),
            options,
            table_options,
            cache,
            codecs,
            memtable: RwLock::new(memtable),
            seed,
            hot: None,
            memory_len: AtomicUsize::new(0),
            dirty_len: AtomicUsize::new(0),
            levels: ArcSwap::from_pointee(Levels::new(0, levels)),
            next_id: AtomicU64::new(manifest.next_id),
            manifest: Mutex::new(manifest),
            job: Mutex::default(),
            oldest: AtomicU64::new(oldest),
            read_only,
            forgotten: RwLock::default(),
            has_forgotten: AtomicBool::new(false),
            redactor: OnceLock::new(),
            compact_after: Mutex::default(),
            looked_for: (0..super::LOOKED_FOR).map(|_| AtomicU32::new(0)).collect(),
            writing: AtomicBool::new(false),
            dropped: AtomicU64::new(0),
            merged: AtomicU64::new(0),
            merged_len: AtomicU64::new(0),
            flushed: AtomicU64::new(0),
            merged_oldest: AtomicU64::new(oldest),
        };
        Ok((tree, opened))
    }
}
