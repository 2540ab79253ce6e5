//! Giving up the content of versions, in memory and in tables. Derived, as all of it: who is asked
//! knows from the log what is to go.
//!
//! Merges ask on their way, too; here the tables that hold something are written again at once,
//! each in its own place, with nothing else changed.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use cairn_index::key_hash;

use super::Tree;
use crate::Result;
use crate::entry::{EntryRef, Redact, Version};
use crate::levels::Levels;
use crate::manifest::Manifest;
use crate::table::{Table, TableCursor, file_id, file_name};

impl<V: Version> Tree<V> {
    /// Names who knows what versions must give up; once, before the first merge.
    pub fn redact_by(&self, redactor: Arc<dyn Redact>) {
        let _first_one_stays = self.redactor.set(redactor);
    }

    /// Puts others in the place of versions of a key in memory where `change` has one. They must
    /// keep sequence, weight and reference.
    pub fn amend(&self, key: &[u8], mut change: impl FnMut(&V) -> Option<V>) {
        let mut memtable = self.memtable_mut();
        memtable.amend(key, &mut change);
        self.note_lens(&memtable);
    }

    /// Writes every table again that holds content of these keys that must go, and removes all
    /// files that are no tables any more; how many tables. No flush may be under way. Costs the
    /// length of those tables.
    ///
    /// # Errors
    /// Of the file system; [`Error::Corrupt`](crate::Error::Corrupt). Either all of these tables
    /// were replaced then or none; doing it again is harmless.
    pub fn redact<K: AsRef<[u8]>>(&self, keys: &[K]) -> Result<usize> {
        let Some(redactor) = self.redactor.get().filter(|_| !self.read_only) else { return Ok(0) };
        let mut job = self.job.lock().unwrap_or_else(PoisonError::into_inner);
        // What a merge under way has copied already is to be seen in its result.
        while job.is_some() {
            self.step(&mut job, usize::MAX)?;
        }
        let mut replaced = HashMap::new();
        for (_, table) in self.levels.load_full().tables() {
            if holds(table, keys, &**redactor)? {
                replaced.insert(table.facts.id, self.copy_redacted(table, &**redactor)?);
            }
        }
        if !replaced.is_empty() {
            self.put_in_place(&replaced)?;
            // Blocks of the old tables are in it.
            self.cache.clear();
        }
        self.remove_strangers()?;
        Ok(replaced.len())
    }

    fn copy_redacted(&self, table: &Arc<Table>, redactor: &dyn Redact) -> Result<Arc<Table>> {
        let mut builder = self.new_table()?;
        let mut cursor = TableCursor::new(table.clone());
        cursor.go_to_group(0)?;
        while let Some(entry) = cursor.entry() {
            match redactor.redact(&entry) {
                Some(value) => builder.push(&EntryRef { value: &value, owner: None, ..entry })?,
                None => builder.push(&entry)?,
            }
            cursor.advance()?;
        }
        let built = builder.finish()?;
        debug_assert_eq!(built.versions, table.facts.versions, "no version goes");
        debug_assert_eq!(built.weight, table.facts.weight, "none is counted otherwise");
        self.open_table(built)
    }

    /// Edits the manifest: other tables in the places of some.
    fn put_in_place(&self, replaced: &HashMap<u64, Arc<Table>>) -> Result<()> {
        let mut manifest = self.manifest();
        let old = self.levels.load_full();
        let mut levels = old.levels.clone();
        for table in levels.iter_mut().flatten() {
            if let Some(other) = replaced.get(&table.facts.id) {
                *table = other.clone();
            }
        }
        let levels = Levels::new(old.generation + 1, levels);
        let tables = levels.tables().map(|(level, table)| (level, table.facts.clone())).collect();
        let next_id = self.next_id.load(std::sync::atomic::Ordering::Relaxed);
        let next = Manifest { tables, next_id, ..manifest.clone() };
        next.write(&*self.vfs, &self.dir, || {
            replaced.values().for_each(|table| self.remove_file(table.facts.id));
        })?;
        *manifest = next;
        self.levels.store(Arc::new(levels));
        Ok(())
    }

    /// Removes files of tables that the manifest does not name: replaced ones, and what failed
    /// flushes and merges left.
    fn remove_strangers(&self) -> Result<()> {
        let levels = self.levels.load_full();
        let known = |id: u64| levels.tables().any(|(_, table)| table.facts.id == id);
        for entry in self.vfs.list(&self.dir)? {
            if let Some(id) = file_id(&entry.name).filter(|id| !known(*id)) {
                self.vfs.remove(&format!("{}/{}", self.dir, file_name(id)))?;
            }
        }
        Ok(self.vfs.sync_dir(&self.dir)?)
    }
}

/// Whether a table holds content of these keys that must go.
fn holds<K: AsRef<[u8]>>(table: &Arc<Table>, keys: &[K], redactor: &dyn Redact) -> Result<bool> {
    for key in keys {
        let key = key.as_ref();
        if !table.spans(key) || !table.may_contain(key_hash(key))? {
            continue;
        }
        let mut found = false;
        table.versions(key, u64::MAX, |entry| {
            found = redactor.redact(entry).is_some();
            !found
        })?;
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}
