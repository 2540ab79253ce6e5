//! Merges: tables into the level below, without what no reader can see.
//! Derived.
//!
//! A job is done in steps, so that whoever drives it decides when and how fast; nothing is
//! changed before its last step, which is one edit of the manifest.

use std::sync::Arc;

use bytes::Bytes;
use cairn_vfs::Vfs;

use crate::Result;
use crate::entry::{Entry, Redact};
use crate::levels::Levels;
use crate::manifest::LEVEL_MAX;
use crate::merge::Merge;
use crate::table::{Built, Table, TableBuilder, TableOptions};

/// What to merge, and where to.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Tables that go away, newest level first, as runs that do not overlap within themselves.
    runs: Vec<Vec<Arc<Table>>>,
    pub(crate) level: u8,
    /// Nothing below the target overlaps: a tombstone hides nothing.
    bottom: bool,
    /// The tables can move as they are.
    pub(crate) moves: bool,
}

/// When levels are too full.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// Tables of level 0 that start a merge.
    pub(crate) flushed_max: usize,
    /// Bytes of level 1; each level below holds ten times as much.
    pub(crate) level_len: u64,
}

fn overlaps(tables: &[Arc<Table>], first: &[u8], last: &[u8]) -> Vec<Arc<Table>> {
    let meets =
        |table: &&Arc<Table>| &*table.facts.first_key <= last && &*table.facts.last_key >= first;
    tables.iter().filter(meets).cloned().collect()
}

fn span(tables: &[Arc<Table>]) -> Option<(Bytes, Bytes)> {
    let first = tables.iter().map(|table| &table.facts.first_key).min()?;
    let last = tables.iter().map(|table| &table.facts.last_key).max()?;
    Some((first.clone(), last.clone()))
}

impl Plan {
    /// The most pressing merge, if any is due.
    pub(crate) fn choose(levels: &Levels, shape: Shape, after: &[u8]) -> Option<Self> {
        if levels.levels.first().is_some_and(|first| first.len() >= shape.flushed_max) {
            return Self::of_first_level(levels);
        }
        let mut allowed = shape.level_len;
        // The last level takes whatever comes: the manifest knows no other below it.
        for level in 1..levels.levels.len().min(LEVEL_MAX.into()) {
            if levels.level_len(level) > allowed {
                return Self::of_level(levels, level, after);
            }
            allowed = allowed.saturating_mul(10);
        }
        None
    }

    /// Everything into the lowest level in use.
    pub(crate) fn whole(levels: &Levels) -> Option<Self> {
        if levels.is_empty() {
            return None;
        }
        let first = levels.levels.first().into_iter().flatten().map(|table| vec![table.clone()]);
        let runs = first.chain(levels.levels.iter().skip(1).cloned()).collect();
        let level = levels.levels.len().saturating_sub(1).max(1);
        let level = u8::try_from(level).expect("there are few levels");
        Some(Self { runs, level, bottom: true, moves: false })
    }

    fn of_first_level(levels: &Levels) -> Option<Self> {
        let inputs = levels.levels.first()?;
        let (first, last) = span(inputs)?;
        let below = levels.levels.get(1).map_or_else(Vec::new, |t| overlaps(t, &first, &last));
        let mut by_key = inputs.clone();
        by_key.sort_by(|a, b| a.facts.first_key.cmp(&b.facts.first_key));
        let apart = by_key.is_sorted_by(|a, b| a.facts.last_key < b.facts.first_key);
        let moves = apart && below.is_empty();
        let mut runs: Vec<_> = inputs.iter().map(|table| vec![table.clone()]).collect();
        let (first, last) = span(&below).map_or((first.clone(), last.clone()), |(f, l)| {
            (first.clone().min(f), last.clone().max(l))
        });
        runs.push(below);
        Some(Self { runs, level: 1, bottom: is_bottom(levels, 1, &first, &last), moves })
    }

    fn of_level(levels: &Levels, level: usize, after: &[u8]) -> Option<Self> {
        let tables = levels.levels.get(level)?;
        // Round and round through the keys, so that every table gets its turn.
        let next = tables.iter().find(|table| &*table.facts.first_key > after);
        let table = next.or(tables.first())?;
        let (first, last) = (table.facts.first_key.clone(), table.facts.last_key.clone());
        let below = levels.levels.get(level + 1);
        let below = below.map_or_else(Vec::new, |tables| overlaps(tables, &first, &last));
        let moves = below.is_empty();
        let bottom = is_bottom(levels, level + 1, &first, &last);
        let target = u8::try_from(level + 1).expect("there are few levels");
        let runs = vec![vec![table.clone()], below];
        Some(Self { runs, level: target, bottom, moves })
    }

    pub(crate) fn inputs(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.runs.iter().flatten()
    }
}

fn is_bottom(levels: &Levels, level: usize, first: &[u8], last: &[u8]) -> bool {
    let mut below = levels.levels.iter().skip(level + 1);
    below.all(|tables| overlaps(tables, first, last).is_empty())
}

/// A merge in progress.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) plan: Plan,
    merge: Merge,
    started: bool,
    /// Versions at or below this that something newer, also at or below it, hides, are dropped.
    oldest: u64,
    /// Keys that were dropped whole.
    forgotten: Vec<(Bytes, Bytes)>,
    redactor: Option<Arc<dyn Redact>>,
    /// The last version that is kept: takes in the weights of those dropped behind it.
    pending: Option<Entry>,
    key: Vec<u8>,
    /// A version at or below `oldest` of this key has come by.
    has_visible: bool,
    builder: Option<TableBuilder>,
    pub(crate) built: Vec<Built>,
    pub(crate) dropped: u64,
}

/// Where a job's tables go.
pub(crate) struct Output<'a> {
    pub(crate) vfs: &'a Arc<dyn Vfs>,
    pub(crate) dir: &'a str,
    pub(crate) options: &'a TableOptions,
    pub(crate) table_len: u64,
    pub(crate) next_id: &'a dyn Fn() -> u64,
}

impl Job {
    pub(crate) fn new(
        plan: Plan,
        oldest: u64,
        forgotten: Vec<(Bytes, Bytes)>,
        redactor: Option<Arc<dyn Redact>>,
    ) -> Self {
        let merge = Merge::new(plan.runs.iter().cloned());
        Self {
            plan,
            merge,
            started: false,
            oldest,
            forgotten,
            redactor,
            pending: None,
            key: Vec::new(),
            has_visible: false,
            builder: None,
            built: Vec::new(),
            dropped: 0,
        }
    }

    /// Bytes of the tables that it has built so far.
    pub(crate) fn written_len(&self) -> u64 {
        let built: u64 = self.built.iter().map(|table| table.len).sum();
        built + self.builder.as_ref().map_or(0, TableBuilder::len)
    }

    /// Merges about so many versions more; says whether that was all.
    pub(crate) fn step(&mut self, output: &Output<'_>, versions: usize) -> Result<bool> {
        if !self.started {
            self.merge.seek(&[], u64::MAX)?;
            self.started = true;
        }
        for _ in 0..versions {
            let Some(entry) = self.merge.entry() else {
                self.keep(None, output)?;
                if let Some(builder) = self.builder.take() {
                    self.built.push(builder.finish()?);
                }
                return Ok(true);
            };
            let is_new_key = entry.key != self.key;
            if is_new_key {
                self.key.clear();
                self.key.extend_from_slice(entry.key);
                self.has_visible = false;
            }
            let is_old = entry.sequence <= self.oldest;
            let hidden = is_old && self.has_visible;
            let says_nothing = is_old && entry.tombstone && self.plan.bottom;
            self.has_visible |= is_old;
            let is_forgotten = self
                .forgotten
                .iter()
                .any(|(start, end)| **start <= *entry.key && *entry.key < **end);
            if is_forgotten {
                self.dropped += 1;
            } else if hidden || says_nothing {
                self.dropped += 1;
                let weight = entry.weight;
                // Without a newer version the dropped ones add up to nothing.
                if let Some(pending) = self.pending.as_mut().filter(|p| *p.key == *self.key) {
                    pending.weight += weight;
                }
            } else {
                let redacted = self.redactor.as_ref().and_then(|redact| redact.redact(&entry));
                let mut entry = entry.to_entry();
                if let Some(value) = redacted {
                    entry.value = value.into();
                }
                self.keep(Some(entry), output)?;
            }
            self.merge.advance()?;
        }
        Ok(false)
    }

    /// Writes the pending version and waits with this one.
    fn keep(&mut self, entry: Option<Entry>, output: &Output<'_>) -> Result<()> {
        let Some(entry) = std::mem::replace(&mut self.pending, entry) else { return Ok(()) };
        let is_full = self.builder.as_ref().is_some_and(|builder| {
            builder.len() >= output.table_len && builder.last_key() != &*entry.key
        });
        if is_full && let Some(builder) = self.builder.take() {
            self.built.push(builder.finish()?);
        }
        let builder = match &mut self.builder {
            Some(builder) => builder,
            none => {
                let id = (output.next_id)();
                none.insert(TableBuilder::create(output.vfs, output.dir, id, output.options)?)
            }
        };
        builder.push(&entry.as_ref())
    }
}
