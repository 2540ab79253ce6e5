//! Writing what has changed in memory into a new table of level 0. Derived.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::Tree;
use crate::Result;
use crate::entry::{EntryRef, Version};
use crate::levels::Levels;
use crate::manifest::{Manifest, Position};
use crate::memtable::Base;
use crate::table::{Table, TableBuilder};

/// A flush that has begun: what is to be written is fixed, writing it may take its time.
#[derive(Debug)]
#[must_use = "changes stay in memory until the flush is written"]
pub struct Flush {
    keys: Vec<Bytes>,
    sequence: u64,
    notes: Bytes,
}

/// Keys copied at a time while writers wait.
const PIECE: usize = 256;

/// A key with what of it goes into the table, newest first.
struct Changed {
    key: Bytes,
    base: Base,
    versions: Vec<Raw>,
}

struct Raw {
    sequence: u64,
    tombstone: bool,
    reference: u64,
    value: Vec<u8>,
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
        let keys = memtable.begin_flush();
        self.note_lens(&memtable);
        Flush { keys, sequence, notes }
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
    pub fn write_flush(&self, flush: Flush, position: Position) -> Result<()> {
        let outcome = self.write_table(&flush, position);
        if outcome.is_err() {
            self.take_flush_back();
        }
        outcome
    }

    fn write_table(&self, flush: &Flush, position: Position) -> Result<()> {
        let mut builder = None;
        let mut written: Vec<(Bytes, bool)> = Vec::with_capacity(flush.keys.len());
        for piece in flush.keys.chunks(PIECE) {
            for changed in self.copy_changes(piece, flush.sequence) {
                let builder = match &mut builder {
                    Some(builder) => builder,
                    none => none.insert(self.new_table()?),
                };
                push(builder, &changed)?;
                let newest = changed.versions.first().is_some_and(|newest| newest.tombstone);
                written.push((changed.key, newest));
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
        memtable.end_flush(&written, flush.sequence);
        Ok(())
    }

    pub(super) fn new_table(&self) -> Result<TableBuilder> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        TableBuilder::create(&self.vfs, &self.dir, id, &self.table_options)
    }

    pub(super) fn open_table(&self, facts: crate::table::Built) -> Result<Arc<Table>> {
        Ok(Arc::new(Table::open(&*self.vfs, &self.dir, facts, &self.codecs, &self.cache)?))
    }

    fn copy_changes(&self, keys: &[Bytes], sequence: u64) -> Vec<Changed> {
        let memtable = self.memtable();
        let flushed = memtable.flushed();
        let mut changes = Vec::with_capacity(keys.len());
        for key in keys {
            let Some(slot) = memtable.get(key) else { continue };
            let in_flush = |version: &&V| {
                let at = version.sequence();
                at > flushed && at <= sequence
            };
            let versions = slot.history.versions().iter().rev().filter(in_flush);
            let versions: Vec<Raw> = versions.map(raw).collect();
            if !versions.is_empty() {
                changes.push(Changed { key: key.clone(), base: slot.base, versions });
            }
        }
        changes
    }
}

fn raw<V: Version>(version: &V) -> Raw {
    let mut value = Vec::new();
    version.encode(&mut value);
    Raw {
        sequence: version.sequence(),
        tombstone: version.is_tombstone(),
        reference: version.reference(),
        value,
    }
}

/// Each version weighs what it changed; the oldest is compared with what the tables know.
fn push(builder: &mut TableBuilder, changed: &Changed) -> Result<()> {
    for (index, version) in changed.versions.iter().enumerate() {
        let lived = match changed.versions.get(index + 1) {
            Some(before) => !before.tombstone,
            None => changed.base == Base::Live,
        };
        builder.push(&EntryRef {
            key: &changed.key,
            sequence: version.sequence,
            tombstone: version.tombstone,
            weight: i8::from(!version.tombstone) - i8::from(lived),
            reference: version.reference,
            value: &version.value,
            owner: None,
        })?;
    }
    Ok(())
}
