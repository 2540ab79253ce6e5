//! Walking through a table. Derived.

use std::sync::Arc;

use super::Table;
use crate::block::Cursor;
use crate::entry::EntryRef;
use crate::{Error, Result};

/// Stands on a version of a table, or behind the last.
#[derive(Debug)]
pub(crate) struct TableCursor {
    table: Arc<Table>,
    group: usize,
    /// Where the next frame begins.
    next_frame: u64,
    block: Option<Cursor>,
}

impl TableCursor {
    /// Stands behind the last version until it is moved.
    pub(crate) fn new(table: Arc<Table>) -> Self {
        Self { table, group: 0, next_frame: 0, block: None }
    }

    /// The version it stands on.
    pub(crate) fn entry(&self) -> Option<EntryRef<'_>> {
        self.block.as_ref()?.entry()
    }

    fn undecodable(&self) -> Error {
        Error::corrupt(
            self.table.path(),
            self.next_frame,
            "a version before this cannot be decoded",
        )
    }

    /// Loads the next frame, of this group or the one behind; `false` at the end.
    fn load_next(&mut self) -> Result<bool> {
        let buffer = self.block.take().map(Cursor::into_buffer).unwrap_or_default();
        let parts = self.table.parts()?;
        let Some((_, end)) = parts.group_span(self.group) else { return Ok(false) };
        if self.next_frame >= end {
            if self.group + 1 >= parts.group_count() {
                return Ok(false);
            }
            self.group += 1;
        }
        let (block, next) = self.table.frame(self.group, self.next_frame)?;
        self.next_frame = next;
        self.block = Some(Cursor::new(block, buffer));
        Ok(true)
    }

    /// Moves to the first version of a group.
    pub(crate) fn go_to_group(&mut self, group: usize) -> Result<()> {
        self.block = None;
        let Some((start, _)) = self.table.parts()?.group_span(group) else { return Ok(()) };
        self.group = group;
        self.next_frame = start;
        if self.load_next()? {
            self.advance()?;
        }
        Ok(())
    }

    /// Moves on.
    pub(crate) fn advance(&mut self) -> Result<()> {
        while let Some(block) = &mut self.block {
            match block.advance() {
                Some(true) => return Ok(()),
                Some(false) => {
                    self.load_next()?;
                }
                None => return Err(self.undecodable()),
            }
        }
        Ok(())
    }

    /// Moves to the first version that is not before this key and sequence.
    pub(crate) fn seek(&mut self, key: &[u8], sequence: u64) -> Result<()> {
        self.block = None;
        let parts = self.table.parts()?;
        let group = parts.find_group(key).unwrap_or(0);
        let Some((start, _)) = parts.group_span(group) else { return Ok(()) };
        self.group = group;
        self.next_frame = start;
        while self.load_next()? {
            let Some(block) = &mut self.block else { break };
            match block.seek(key, sequence) {
                Some(true) => break,
                Some(false) => {}
                None => return Err(self.undecodable()),
            }
        }
        Ok(())
    }

    /// Moves to the last version of the last key below `key`; `None` stands for the end. Says
    /// whether there is one. Costs a group.
    pub(crate) fn last_key_below(&mut self, key: Option<&[u8]>) -> Result<Option<Vec<u8>>> {
        let parts = self.table.parts()?;
        let from = match key {
            Some(key) => parts.find_group(key),
            None => parts.group_count().checked_sub(1),
        };
        let Some(mut group) = from else { return Ok(None) };
        loop {
            self.go_to_group(group)?;
            let mut last: Option<Vec<u8>> = None;
            while let Some(entry) = self.entry() {
                let is_behind = key.is_some_and(|key| entry.key >= key);
                let is_next_group = self.group != group;
                if is_behind || is_next_group {
                    break;
                }
                if last.as_deref() != Some(entry.key) {
                    last = Some(entry.key.to_vec());
                }
                self.advance()?;
            }
            if last.is_some() {
                return Ok(last);
            }
            match group.checked_sub(1) {
                Some(before) => group = before,
                None => return Ok(None),
            }
        }
    }
}
