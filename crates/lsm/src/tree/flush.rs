//! Writing what has changed in memory into a new table of level 0. Derived.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::Tree;
use crate::Result;
use crate::entry::{EntryRef, Version};
use crate::levels::Levels;
use crate::manifest::{Manifest, Position};
use crate::memtable::{Base, Key};
use crate::table::{Table, TableBuilder};

/// A flush that has begun: what is to be written is fixed, writing it may take its time.
#[derive(Debug)]
#[must_use = "changes stay in memory until the flush is written"]
pub struct Flush {
    /// The slots with changes.
    slots: Vec<(Key, u32)>,
    sequence: u64,
    notes: Bytes,
}

/// Keys copied at a time while writers wait.
const PIECE: usize = 256;

/// What of some keys goes into the table, copied so that it can be written without the lock.
#[derive(Default)]
struct Copies {
    /// Key by key, newest version first.
    changes: Vec<Change>,
    values: Vec<u8>,
}

struct Change {
    /// Place of the key in its piece.
    key: usize,
    sequence: u64,
    tombstone: bool,
    /// What it changed in the number of keys that exist.
    weight: i8,
    reference: u64,
    value: Range<usize>,
}

impl Copies {
    /// Adds the versions of a key, newest first.
    fn add<'v, V: Version>(
        &mut self,
        key: usize,
        base: Base,
        versions: impl Iterator<Item = &'v V>,
    ) {
        let mut versions = versions.peekable();
        while let Some(version) = versions.next() {
            let tombstone = version.is_tombstone();
            // The oldest one is compared with what the tables know.
            let lived = versions.peek().map_or(base == Base::Live, |before| !before.is_tombstone());
            let start = self.values.len();
            version.encode(&mut self.values);
            self.changes.push(Change {
                key,
                sequence: version.sequence(),
                tombstone,
                weight: i8::from(!tombstone) - i8::from(lived),
                reference: version.reference(),
                value: start..self.values.len(),
            });
        }
    }

    fn clear(&mut self) {
        self.changes.clear();
        self.values.clear();
    }
}

impl<V: Version> Tree<V> {
    /// Whether so much has changed that a flush is due.
    #[must_use]
    pub fn needs_flush(&self) -> bool {
        self.dirty_len.load(Ordering::Relaxed) >= self.options.flush_len
    }

    /// Whether so many flushes' worth of changes wait in memory.
    #[must_use]
    pub fn is_behind(&self, flushes: u64) -> bool {
        self.dirty_len.load(Ordering::Relaxed) as u64
            >= (self.options.flush_len as u64).saturating_mul(flushes)
    }

    /// Begins a flush of everything up to `sequence`, which is all that was inserted: the one
    /// writer calls this between writes. One flush at a time.
    pub fn begin_flush(&self, sequence: u64, notes: Bytes) -> Flush {
        let mut memtable = self.memtable_mut();
        let slots = memtable.begin_flush();
        self.note_lens(&memtable);
        Flush { slots, sequence, notes }
    }

    /// Gives a flush up: its changes belong to the next one.
    pub fn abandon_flush(&self, _flush: Flush) {
        self.take_flush_back();
    }

    fn take_flush_back(&self) {
        let mut memtable = self.memtable_mut();
        memtable.abandon_flush();
        self.note_lens(&memtable);
    }

    /// Writes a flush. `position` is the place in the log up to which it reaches; what is before
    /// that must be durable by now. When writing fails, changes stay in memory, and belong to
    /// the next flush.
    ///
    /// # Errors
    /// Of the file system.
    pub fn write_flush(&self, mut flush: Flush, position: Position) -> Result<()> {
        // Here and not when it began, where writers waited.
        flush.slots.sort_unstable();
        let outcome = self.write_table(&flush, position);
        if outcome.is_err() {
            self.take_flush_back();
        }
        outcome
    }

    fn write_table(&self, flush: &Flush, position: Position) -> Result<()> {
        let mut builder = None;
        let mut written: Vec<(u32, bool)> = Vec::with_capacity(flush.slots.len());
        let mut copies = Copies::default();
        for piece in flush.slots.chunks(PIECE) {
            self.copy_changes(piece, flush.sequence, &mut copies);
            let mut last = None;
            for change in &copies.changes {
                let (key, number) = &piece[change.key];
                if last.replace(change.key) != Some(change.key) {
                    written.push((*number, change.tombstone));
                }
                let builder = match &mut builder {
                    Some(builder) => builder,
                    none => none.insert(self.new_table()?),
                };
                builder.push(&EntryRef {
                    key,
                    sequence: change.sequence,
                    tombstone: change.tombstone,
                    weight: change.weight,
                    reference: change.reference,
                    value: &copies.values[change.value.clone()],
                    owner: None,
                })?;
            }
        }
        let built = builder.map(TableBuilder::finish).transpose()?;
        let versions = built.as_ref().map_or(0, |built| built.versions);
        let mut manifest = self.manifest();
        let mut next = Manifest {
            position,
            sequence: flush.sequence,
            oldest: self.oldest.load(Ordering::Acquire),
            next_id: self.next_id.load(Ordering::Relaxed),
            notes: flush.notes.clone(),
            ..manifest.clone()
        };
        let table = match built {
            None => None,
            Some(facts) => {
                next.tables.insert(0, (0, facts.clone()));
                Some(self.open_table(facts)?)
            }
        };
        next.write(&*self.vfs, &self.dir, || {
            table.iter().for_each(|table| self.remove_file(table.facts.id));
        })?;
        *manifest = next;
        self.flushed.fetch_add(versions, Ordering::Relaxed);
        let old = self.levels.load_full();
        let mut levels = old.levels.clone();
        if let Some(table) = table {
            if levels.is_empty() {
                levels.push(Vec::new());
            }
            if let Some(first) = levels.first_mut() {
                first.insert(0, table);
            }
        }
        // Readers who miss a key in memory from here on find it in the new list.
        let mut memtable = self.memtable_mut();
        self.levels.store(Arc::new(Levels::new(old.generation + 1, levels)));
        let order = memtable.end_flush(&written, flush.sequence);
        drop(memtable);
        drop(order);
        Ok(())
    }

    pub(super) fn new_table(&self) -> Result<TableBuilder> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        TableBuilder::create(&self.vfs, &self.dir, id, &self.table_options)
    }

    pub(super) fn open_table(&self, facts: crate::table::Built) -> Result<Arc<Table>> {
        Ok(Arc::new(Table::open(&*self.vfs, &self.dir, facts, &self.codecs, &self.cache)?))
    }

    fn copy_changes(&self, slots: &[(Key, u32)], sequence: u64, copies: &mut Copies) {
        copies.clear();
        let memtable = self.memtable();
        let flushed = memtable.flushed();
        for (place, (key, number)) in slots.iter().enumerate() {
            let Some(slot) = memtable.flushing(*number) else { continue };
            debug_assert_eq!(slot.key, *key, "a number is not given again while it is flushed");
            let in_flush = |version: &&V| {
                let at = version.sequence();
                at > flushed && at <= sequence
            };
            let versions = slot.history.versions().iter().rev().filter(in_flush);
            copies.add(place, slot.base, versions);
        }
    }
}
