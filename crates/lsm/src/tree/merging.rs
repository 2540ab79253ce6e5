//! Driving merges. Derived. Nobody here decides when: a background thread or the writer calls
//! [`Tree::work`] for a bounded piece of it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use super::Tree;
use crate::Result;
use crate::entry::Version;
use crate::levels::Levels;
use crate::manifest::Manifest;
use crate::merging::{Job, Output, Plan, Shape};
use crate::table::file_name;

/// Versions in tables for each key that exists, above which everything is merged.
const VERSIONS_PER_KEY_MAX: u64 = 2;

/// Fewer versions than this are never too many.
const VERSIONS_FREE: u64 = 10_000;

impl<V: Version> Tree<V> {
    /// Whether a merge is due or under way.
    pub(crate) fn has_work(&self) -> bool {
        let job = self.job.lock().unwrap_or_else(PoisonError::into_inner);
        job.is_some() || self.plan().is_some()
    }

    /// How far flushes are ahead of merges: tables of level 0 for each that starts a merge. From
    /// 2 on a writer should help, by calling [`work`](Self::work) itself.
    #[must_use]
    pub fn pressure(&self) -> f64 {
        let levels = self.levels.load();
        let flushed = levels.levels.first().map_or(0, Vec::len);
        flushed as f64 / self.options.flushed_max.max(1) as f64
    }

    fn shape(&self) -> Shape {
        let options = &self.options;
        Shape { flushed_max: options.flushed_max.max(1), level_len: options.level_len }
    }

    fn plan(&self) -> Option<Plan> {
        let levels = self.levels.load();
        let after = self.compact_after.lock().unwrap_or_else(PoisonError::into_inner);
        Plan::choose(&levels, self.shape(), &after)
    }

    /// Merges about so many versions of a merge that is due, and says whether there is more to
    /// do. Returns at once when somebody else is at it.
    ///
    /// # Errors
    /// Of the file system; [`Error::Corrupt`](crate::Error::Corrupt). The merge is given up
    /// then, and nothing has changed.
    pub fn work(&self, versions: usize) -> Result<bool> {
        if self.read_only {
            return Ok(false);
        }
        let Ok(mut job) = self.job.try_lock() else { return Ok(false) };
        if job.is_none() {
            *job = match self.plan() {
                Some(plan) => Some(self.begin(plan)),
                None if self.is_bloated() => self.begin_whole(),
                None => None,
            };
        }
        if job.is_none() {
            return Ok(false);
        }
        self.step(&mut job, versions)?;
        let done = job.is_none();
        drop(job);
        Ok(!done || self.plan().is_some())
    }

    /// Merges all tables into one level and drops everything that no reader can see.
    ///
    /// # Errors
    /// As [`work`](Self::work).
    pub fn merge_all(&self) -> Result<()> {
        let mut job = self.job.lock().unwrap_or_else(PoisonError::into_inner);
        while job.is_some() {
            self.step(&mut job, usize::MAX)?;
        }
        *job = self.begin_whole();
        self.step(&mut job, usize::MAX)
    }

    /// The merge of all tables.
    fn begin_whole(&self) -> Option<Job> {
        self.merged_oldest.store(self.oldest.load(Ordering::Acquire), Ordering::Release);
        Plan::whole(&self.levels.load()).map(|plan| self.begin(plan))
    }

    /// Whether tables hold many more versions than keys, so that merging all of them would free
    /// space.
    fn is_bloated(&self) -> bool {
        let (_, versions, keys) = self.levels.load().totals();
        let keys = u64::try_from(keys).unwrap_or(0);
        let may_drop =
            self.oldest.load(Ordering::Acquire) > self.merged_oldest.load(Ordering::Acquire);
        may_drop && versions > VERSIONS_FREE + VERSIONS_PER_KEY_MAX * keys
    }

    fn begin(&self, plan: Plan) -> Job {
        let redactor = self.redactor.get().cloned();
        Job::new(plan, self.oldest.load(Ordering::Acquire), self.forgotten(), redactor)
    }

    pub(super) fn step(&self, job: &mut Option<Job>, versions: usize) -> Result<()> {
        let Some(mut now) = job.take() else { return Ok(()) };
        let next_id = || self.next_id.fetch_add(1, Ordering::Relaxed);
        let output = Output {
            vfs: &self.vfs,
            dir: &self.dir,
            options: &self.table_options,
            table_len: self.options.table_len,
            next_id: &next_id,
        };
        let before = now.written_len();
        let stepped = if now.plan.moves { Ok(true) } else { now.step(&output, versions) };
        self.merged_len.fetch_add(now.written_len().saturating_sub(before), Ordering::Relaxed);
        match stepped {
            Ok(true) => self.install(&now),
            Ok(false) => {
                *job = Some(now);
                Ok(())
            }
            Err(error) => {
                // A disk that is full must not get fuller with every try.
                now.built.iter().for_each(|table| self.remove_file(table.id));
                Err(error)
            }
        }
    }

    /// Removes a table's file that no manifest names; one that stays goes at the next open.
    pub(super) fn remove_file(&self, id: u64) {
        let _left_for_the_next_open = self.vfs.remove(&format!("{}/{}", self.dir, file_name(id)));
    }

    /// Replaces a merge's inputs by what it built.
    fn install(&self, job: &Job) -> Result<()> {
        let is_input = |id: u64| job.plan.inputs().any(|table| table.facts.id == id);
        let mut added = Vec::with_capacity(job.built.len());
        if job.plan.moves {
            added.extend(job.plan.inputs().cloned());
        }
        for facts in &job.built {
            added.push(self.open_table(facts.clone())?);
        }
        let mut manifest = self.manifest();
        let old = self.levels.load_full();
        let mut levels = old.levels.clone();
        for tables in &mut levels {
            tables.retain(|table| !is_input(table.facts.id));
        }
        let target = usize::from(job.plan.level);
        if levels.len() <= target {
            levels.resize_with(target + 1, Vec::new);
        }
        if let Some(tables) = levels.get_mut(target) {
            tables.extend(added);
            tables.sort_by(|a, b| a.facts.first_key.cmp(&b.facts.first_key));
            debug_assert!(tables.is_sorted_by(|a, b| a.facts.last_key < b.facts.first_key));
        }
        let levels = Levels::new(old.generation + 1, levels);
        let tables = levels.tables().map(|(level, table)| (level, table.facts.clone())).collect();
        let next_id = self.next_id.load(Ordering::Relaxed);
        let next = Manifest { tables, next_id, ..manifest.clone() };
        next.write(&*self.vfs, &self.dir, || {
            job.built.iter().for_each(|table| self.remove_file(table.id));
        })?;
        *manifest = next;
        self.levels.store(Arc::new(levels));
        drop(manifest);
        self.dropped.fetch_add(job.dropped, Ordering::Relaxed);
        let written = job.built.iter().map(|table| table.versions).sum();
        self.merged.fetch_add(written, Ordering::Relaxed);
        let last = job.plan.inputs().map(|table| &table.facts.last_key).max();
        if let Some(last) = last {
            let mut after = self.compact_after.lock().unwrap_or_else(PoisonError::into_inner);
            *after = last.to_vec();
        }
        if !job.plan.moves {
            for table in job.plan.inputs() {
                // Whoever reads it now has it open.
                self.remove_file(table.facts.id);
            }
        }
        Ok(())
    }
}
